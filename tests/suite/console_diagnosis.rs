//! The console's diagnosis, with a real terminal, the sandbox and its hosts: a drill is broken, found, repaired and
//! reported.

use super::console::Console;
use super::support::Home;

const CTRL_S: &str = "\u{13}";

#[test]
fn a_drill_is_found_repaired_checked_and_reported() {
    let home = Home::new();
    let mut console = Console::start(&home, 120, 40, &["--sandbox", "--scenario", "article"]);
    console.see("Private-Instance-0");
    console.keys("/instance-0\r");
    console.keys("B");
    console.see("surprise me");
    console.keys("ip_forward");
    console.see("1 of ");
    console.keys("\r");
    console.see("DRILL HOST_IP_FORWARD_OFF");
    console.keys("x");
    console.see("does not reach");
    // The packet test's answer: the hosts have been asked.
    console.see("curl 28, timed out");
    console.see("HOST_IP_FORWARD_OFF  i-");
    console.keys("\r");
    console.see("net.ipv4.ip_forward = 0");
    console.keys("f");
    console.see("ssm:SendCommand");
    console.keys("y");
    console.see("Repaired: Private-Instance-0 leaves through ");
    console.see("via NAT");
    console.see_that("the drill is over", |text| !text.contains("DRILL"));
    console.keys(CTRL_S);
    console.see("as it is");
    console.keys("r");
    console.see("The report is in natdeck-i-");
    let reports: Vec<_> = std::fs::read_dir(home.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
    let report = reports.iter().find(|path| path.extension().is_some_and(|extension| extension == "md")).unwrap();
    let text = std::fs::read_to_string(report).unwrap();
    assert!(text.contains("HOST_IP_FORWARD_OFF") && !text.contains("123456789012"), "{text}");
    console.keys("q");
    assert_eq!(console.ended(), 0);
    console.restored();
}

#[test]
fn read_only_says_what_could_not_be_asked_and_repairs_nothing() {
    let home = Home::new();
    home.expect(0, &["sandbox", "reset", "--scenario", "article"]);
    let mut console = Console::start(&home, 80, 24, &["--sandbox", "--read-only"]);
    console.see("Private-Instance-0");
    console.keys("/instance-0\r");
    console.keys("x");
    console.see("the packet test could not run");
    console.keys("f");
    console.see("Read-only: nothing is changed.");
    console.keys("q");
    assert_eq!(console.ended(), 0);
}
