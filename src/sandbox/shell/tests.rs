//! A shell on hosts of the article's sandbox, with a clock that stands until it is moved.

use std::cell::RefCell;

use super::*;
use crate::sandbox::clock::Clock;
use crate::sandbox::{Options, Scenario};

#[derive(Default)]
struct Recorder {
    out: RefCell<String>,
    err: RefCell<String>,
    /// Raised when this text has been printed so often.
    stop_after: Option<(&'static str, usize, Interrupt)>,
}

impl Screen for Recorder {
    fn print(&self, stream: Stream, text: &str) {
        match stream {
            Stream::Out => self.out.borrow_mut().push_str(text),
            Stream::Err => self.err.borrow_mut().push_str(text),
        }
        if let Some((text, times, interrupt)) = &self.stop_after
            && self.out.borrow().matches(text).count() >= *times
        {
            interrupt.raise();
        }
    }

    fn ask(&self, prompt: &str) -> Result<Option<String>, Interrupted> {
        self.out.borrow_mut().push_str(prompt);
        Ok(Some("y".to_owned()))
    }
}

fn sandbox(scenario: Scenario) -> Sandbox {
    let clock = Clock::manual("2026-11-24T08:00:00Z".parse().unwrap());
    let sandbox =
        Sandbox::open(Options { scenario: Some(scenario), clock: clock.clone(), ..Options::default() }).unwrap();
    clock.advance(std::time::Duration::from_secs(300));
    sandbox
}

fn shell(sandbox: &Sandbox, name: &str) -> HostShell {
    HostShell::open(sandbox.clone(), name, true, Interrupt::default()).unwrap()
}

fn typed(shell: &mut HostShell, text: &str) -> (String, String, i32) {
    let screen = Recorder::default();
    let entered = shell.enter(text, &screen).unwrap();
    (screen.out.take(), screen.err.take(), entered.status)
}

#[test]
fn a_session_looks_as_in_the_article() {
    let sandbox = sandbox(Scenario::Article);
    let mut shell = shell(&sandbox, "Private-Instance-0");
    assert_eq!(shell.prompt(), "sh-5.2$ ");
    typed(&mut shell, "bash");
    let prompt = shell.prompt();
    assert!(prompt.starts_with("[ssm-user@ip-10-8-2-") && prompt.ends_with(" bin]$ "), "{prompt}");
    let (address, _, _) = typed(&mut shell, "curl -s https://api.ipify.org && echo");
    let nat = sandbox.with_world(|world| {
        let mut all = world.all::<Instance>();
        all.find(|instance| instance.tags.name() == Some("NAT-Instance")).and_then(|instance| instance.public_ip)
    });
    assert_eq!(address.trim(), nat.unwrap().unwrap().to_string());
    typed(&mut shell, "sudo -i");
    assert!(shell.prompt().starts_with("[root@ip-10-8-2-") && shell.prompt().ends_with(" ~]# "), "{}", shell.prompt());
    for _ in 0..2 {
        assert!(!shell.enter("exit", &Recorder::default()).unwrap().ended);
    }
    assert!(shell.enter("exit 3", &Recorder::default()).unwrap() == Entered { status: 3, ended: true });
}

#[test]
fn what_is_typed_stays_and_a_user_who_is_not_root_is_refused() {
    let sandbox = sandbox(Scenario::Article);
    let mut first = shell(&sandbox, "NAT-Instance");
    typed(&mut first, "cd /tmp; x=5; f() { echo \"f $x $1\"; }; echo kept > note");
    assert_eq!(typed(&mut first, "f a; cat note; pwd").0, "f 5 a\nkept\n/tmp\n");
    let (_, refused, status) = typed(&mut first, "sysctl -w net.ipv4.ip_forward=0");
    assert_eq!((refused.as_str(), status), ("sysctl: permission denied on key \"net.ipv4.ip_forward\"\n", 255));
    assert_eq!(typed(&mut first, "echo 0 > /etc/motd").1, "sh: /etc/motd: Permission denied\n");
    assert_eq!(typed(&mut first, "sudo sysctl -w net.ipv4.ip_forward=0").0, "net.ipv4.ip_forward = 0\n");
    assert_eq!(typed(&mut first, "nonsense").1, "sh: nonsense: command not found\n");
    assert_eq!(typed(&mut first, "echo $?").0, "127\n");
    assert_eq!(typed(&mut shell(&sandbox, "NAT-Instance"), "cat /tmp/note; id -un").0, "kept\nssm-user\n");
    let (_, _, status) = typed(&mut shell(&sandbox, "Private-Instance-0"), "curl -s -m 5 https://api.ipify.org");
    assert_eq!(status, 28, "forwarding is off now");
}

#[test]
fn ctrl_c_ends_a_ping_with_its_statistics_and_a_loop_with_130() {
    let sandbox = sandbox(Scenario::Article);
    let interrupt = Interrupt::default();
    let mut shell = HostShell::open(sandbox.clone(), "Private-Instance-0", true, interrupt.clone()).unwrap();
    let screen = Recorder { stop_after: Some(("icmp_seq=", 15, interrupt.clone())), ..Recorder::default() };
    let entered = shell.enter("ping google.com", &screen).unwrap();
    let out = screen.out.take();
    assert!(
        out.contains("icmp_seq=15 ") && out.contains("15 packets transmitted, 15 received, 0% packet loss"),
        "{out}"
    );
    assert_eq!(entered.status, 0);
    let screen = Recorder { stop_after: Some(("turn", 400, interrupt)), ..Recorder::default() };
    let entered = shell.enter("while true; do echo turn; sleep 60; done", &screen).unwrap();
    assert_eq!(entered.status, 130);
}

#[test]
fn the_world_goes_on_while_a_command_waits() {
    let sandbox = sandbox(Scenario::Draft);
    let mut shell = shell(&sandbox, "Private-Instance-0");
    let before = sandbox.with_world(|world| world.now).unwrap();
    let (out, _, _) = typed(&mut shell, "date +%s; sleep 90; date +%s");
    let times: Vec<i64> = out.lines().map(|line| line.parse().unwrap()).collect();
    assert_eq!(times[1] - times[0], 90);
    assert!(sandbox.with_world(|world| world.now).unwrap().duration_since(before).as_secs() >= 90);
}

#[test]
fn an_instance_that_cannot_be_entered_is_named_with_what_to_do() {
    let sandbox = sandbox(Scenario::Article);
    let refusal =
        |which: &str| HostShell::open(sandbox.clone(), which, true, Interrupt::default()).err().unwrap().to_string();
    assert!(refusal("i-0000000000000000f").contains("natdeck --sandbox tree"));
    sandbox
        .with_world(|world| {
            let ids: Vec<InstanceId> = world.all::<Instance>().map(|instance| instance.instance_id.clone()).collect();
            for id in ids {
                world.get_mut::<Instance>(&id).unwrap().state = InstanceState::Stopped;
            }
        })
        .unwrap();
    assert!(refusal("NAT-Instance").contains("is stopped") && refusal("NAT-Instance").contains("start-instances"));
}

#[test]
fn programs_and_files_are_completed() {
    let sandbox = sandbox(Scenario::Article);
    let shell = shell(&sandbox, "NAT-Instance");
    let complete = |line: &str| shell.complete(line, line.len());
    assert_eq!(
        complete("sudo ipt"),
        (5, ["iptables", "iptables-restore", "iptables-save"].map(str::to_owned).to_vec())
    );
    assert_eq!(complete("cat /etc/os-r"), (4, vec!["/etc/os-release".to_owned()]));
    assert_eq!(complete("ls /var/lo").1, ["/var/log/"]);
}
