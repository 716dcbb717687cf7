//! `natdeck sandbox shell`: a script on standard input, a person at a terminal, and the way from the console and back.

use std::io::Write;
use std::process::Stdio;

use crate::console::Console;
use crate::support::Home;

const CTRL_C: &str = "\u{3}";
const CTRL_D: &str = "\u{4}";

fn piped(home: &Home, instance: &str, script: &str) -> (i32, String, String) {
    let mut command = home.command(&["--scenario", "article", "sandbox", "shell", instance]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    (
        output.status.code().unwrap(),
        String::from_utf8(output.stdout).unwrap(),
        String::from_utf8(output.stderr).unwrap(),
    )
}

#[test]
fn a_script_on_standard_input_runs_on_the_host_and_its_state_stays() {
    let home = Home::new();
    let (code, address, errors) = piped(&home, "Private-Instance-0", "curl -s https://api.ipify.org");
    assert_eq!((code, errors.as_str()), (0, ""));
    assert!(address.parse::<std::net::Ipv4Addr>().is_ok(), "{address}");
    assert_eq!(piped(&home, "NAT-Instance", "sudo sysctl -w net.ipv4.ip_forward=0; exit 5").0, 5);
    let (code, out, _) =
        piped(&home, "Private-Instance-0", "curl -s -m 1 https://api.ipify.org; echo \"ended $?\"; false");
    assert_eq!((code, out.as_str()), (1, "ended 28\n"));
    let (code, _, errors) = piped(&home, "Nobody", "true");
    assert_eq!(code, 2);
    assert!(errors.contains("there is no instance Nobody") && errors.contains("natdeck --sandbox tree"), "{errors}");
}

/// Waits for the prompt: the line editor throws away what is typed before it is there.
fn ready(console: &Console) {
    console.see_that("a prompt at the end", |text| text.trim_end().ends_with('$'));
}

#[test]
fn a_person_types_completes_interrupts_and_leaves() {
    let home = Home::new();
    let mut shell =
        Console::start(&home, 100, 30, &["--scenario", "article", "sandbox", "shell", "Private-Instance-0"]);
    shell.see("sh-5.2$");
    shell.keys("bash\r");
    shell.see("[ssm-user@ip-10-8-2-");
    ready(&shell);
    shell.keys("ping google.com\r");
    // Line by line, as time passes.
    shell.see("icmp_seq=2 ttl=117");
    shell.keys(CTRL_C);
    shell.see("0% packet loss");
    ready(&shell);
    shell.keys("cat /etc/os-rel\t\r");
    shell.see("PRETTY_NAME=\"Amazon Linux 2023\"");
    // One line after another: the editor reads no further than the line at hand.
    ready(&shell);
    for (count, line) in [(1, "for i in 1 2\r"), (2, "do echo turn-$i\r")] {
        shell.keys(line);
        shell.see_that("the next line is asked for", |text| {
            text.matches("\n>").count() == count && text.trim_end().ends_with("\n>")
        });
    }
    shell.keys("done\r");
    shell.see("turn-2");
    ready(&shell);
    shell.keys("unfinished words");
    shell.see("unfinished words");
    shell.keys(CTRL_C);
    ready(&shell);
    shell.keys("sleep 100\r");
    shell.see("sleep 100");
    std::thread::park_timeout(std::time::Duration::from_millis(300));
    shell.keys(CTRL_C);
    ready(&shell);
    shell.keys("echo \"status $?\"\r");
    shell.see("status 130");
    ready(&shell);
    shell.keys("exit\r");
    shell.see_that("the outer shell's prompt", |text| text.trim_end().ends_with("\nsh-5.2$"));
    shell.keys("exit 7\r");
    assert_eq!(shell.ended(), 7);
    let history = std::fs::read_to_string(home.path().join("state/natdeck/shell_history")).unwrap();
    assert!(history.contains("ping google.com") && history.contains("exit 7"), "{history}");
}

#[test]
fn the_console_lends_its_terminal_to_a_shell_and_comes_back_to_the_same_place() {
    let home = Home::new();
    let mut console = Console::start(&home, 120, 30, &["--sandbox", "--scenario", "article"]);
    console.see("Private-Instance-0");
    console.keys("/Private-Instance-0\r");
    console.see("Private-Instance-0");
    console.keys("s");
    console.see("sh-5.2$");
    console.keys("sleep 50\r");
    console.see("sleep 50");
    std::thread::park_timeout(std::time::Duration::from_millis(300));
    console.keys(CTRL_C);
    ready(&console);
    console.keys("curl -s -o /dev/null -w 'answer %{http_code}' https://example.com\r");
    console.see_that("the answer, and the prompt after it", |text| text.trim_end().ends_with("answer 200sh-5.2$"));
    console.keys(CTRL_D);
    console.see_that("the console is back", |text| text.contains("Private-Instance-0") && !text.contains("sh-5.2$"));
    // The keyboard is the console's again, and the same instance is selected.
    console.keys("t");
    console.see("1 of 1 via NAT");
    console.keys("q");
    assert_eq!(console.ended(), 0);
    console.restored();
}
