//! Incident reports, as a person makes and opens them.

use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use natdeck::ops::report::{self, ReadError, Saving};
use serde_json::Value;

use super::console::Console;
use super::support::Home;

/// A sandbox with the article's NAT, broken, and an instance that does not get out.
struct Broken {
    home: Home,
    instance: String,
}

impl Broken {
    fn by(cause: &str) -> Self {
        let home = Home::new();
        home.expect(0, &["--sandbox", "--scenario", "article", "sandbox", "break", cause, "--quiet"]);
        let tree = home.json(0, &["--sandbox", "tree", "--output", "json"]);
        let instance = private_instance(&tree).expect("the article has private instances");
        Self { home, instance }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    fn diagnose<'a>(&'a self, more: &[&'a str]) -> Vec<&'a str> {
        [&["--sandbox", "diagnose", self.instance.as_str()], more].concat()
    }
}

fn private_instance(tree: &Value) -> Option<String> {
    let instances = tree["vpcs"].as_array()?.iter().flat_map(|vpc| vpc["instances"].as_array().into_iter().flatten());
    let mut private = instances.filter(|one| one["name"].as_str().is_some_and(|name| name.starts_with("Private")));
    Some(private.next()?["instance_id"].as_str()?.to_owned())
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn a_report_tells_all_and_is_for_its_owner_alone() {
    let broken = Broken::by("BLACKHOLE_ROUTE");
    let file = broken.file("incident.md");
    let ran = broken.home.expect(1, &broken.diagnose(&["--report", text(&file)]));
    assert!(ran.stderr.contains("the report is in"), "{}", ran.stderr);
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let said = std::fs::read_to_string(&file).unwrap();
    for part in
        ["## Path", "## Cause", "BLACKHOLE_ROUTE", "**Repair:**", "## Packet test", "## API calls", "## Snapshot"]
    {
        assert!(said.contains(part), "{part} is missing in\n{said}");
    }
    // Nothing is left beside it.
    let left = std::fs::read_dir(broken.home.path())
        .unwrap()
        .filter(|entry| entry.as_ref().unwrap().file_name().to_string_lossy().ends_with(".part"));
    assert_eq!(left.count(), 0);
    let opened = report::open(&file).unwrap();
    assert!(!opened.edited && !opened.incident.redacted);
    assert_eq!(opened.incident.question.flow.instance_id.as_str(), broken.instance);
    assert_eq!(opened.incident.diagnosis().first_break().unwrap().cause.name(), "BLACKHOLE_ROUTE");
    assert!(opened.incident.calls.iter().any(|call| call.operation == "DescribeRouteTables"));
}

#[test]
fn a_report_replaces_nothing_unless_told_to() {
    let broken = Broken::by("BLACKHOLE_ROUTE");
    let file = broken.file("incident.md");
    std::fs::write(&file, "earlier evidence").unwrap();
    let ran = broken.home.expect(2, &broken.diagnose(&["--report", text(&file)]));
    assert!(ran.stderr.contains("exists") && ran.stderr.contains("--overwrite"), "{}", ran.stderr);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "earlier evidence");
    let nowhere = broken.file("no/such/incident.md");
    let ran = broken.home.expect(2, &broken.diagnose(&["--report", text(&nowhere)]));
    assert!(ran.stderr.contains("there is no directory"), "{}", ran.stderr);
    broken.home.expect(1, &broken.diagnose(&["--report", text(&file), "--overwrite"]));
    assert!(report::open(&file).is_ok());
}

#[test]
fn a_report_of_a_repair_tells_before_and_after() {
    let broken = Broken::by("HOST_IP_FORWARD_OFF");
    let file = broken.file("incident.md");
    broken.home.expect(0, &broken.diagnose(&["--fix", "--yes", "--report", text(&file)]));
    let said = std::fs::read_to_string(&file).unwrap();
    for part in [", repaired\n", "## Cause", "## What was repaired", "Done at", "## Afterwards", "gets out"] {
        assert!(said.contains(part), "{part} is missing in\n{said}");
    }
    let incident = report::open(&file).unwrap().incident;
    assert_eq!(incident.diagnosis().first_break().unwrap().cause.name(), "HOST_IP_FORWARD_OFF");
    assert_eq!(incident.diagnosis_after().unwrap().first_break(), None);
    assert_eq!(incident.repairs.len(), 1);
    // It opens as before the repairs, unless asked otherwise.
    let id = broken.instance.as_str();
    broken.home.expect(1, &["--snapshot", text(&file), "diagnose", id]);
    let after = broken.home.expect(0, &["--snapshot", text(&file), "--after", "diagnose", id]);
    assert!(after.stderr.contains("after the repairs") && after.stdout.contains("gets out"), "{}", after.stderr);
    let lone = broken.file("before.md");
    broken.home.expect(0, &["--snapshot", text(&file), "--after", "diagnose", id, "--report", text(&lone)]);
    let ran = broken.home.expect(2, &["--snapshot", text(&lone), "--after", "diagnose", id]);
    assert!(ran.stderr.contains("holds no look after a repair"), "{}", ran.stderr);
    broken.home.expect(2, &["--sandbox", "--after", "tree"]);
}

/// Runs the repair of two causes slowly, and presses Ctrl-C as soon as a line of standard error has `at` in it.
fn interrupted(at: &str) -> (Broken, report::Incident) {
    let broken = Broken::by("NO_ROUTE_TO_DESTINATION");
    broken.home.expect(0, &["--sandbox", "sandbox", "break", "HOST_IP_FORWARD_OFF", "--quiet"]);
    let file = broken.file("incident.md");
    let slow = ["--sandbox-fault", "latency=300ms", "--fix", "--yes", "--report", text(&file)];
    let mut command = broken.home.command(&broken.diagnose(&slow));
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut said = String::new();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map(|line| line.unwrap());
    for line in lines.by_ref() {
        said.push_str(&format!("{line}\n"));
        if line.contains(at) {
            let pid = child.id().to_string();
            assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
            break;
        }
    }
    said.extend(lines.map(|line| line + "\n"));
    assert_eq!(child.wait().unwrap().code(), Some(130), "{said}");
    assert!(said.contains("interrupted") && said.contains("the report is in"), "{said}");
    let incident = report::open(&file).unwrap().incident;
    assert!(incident.interrupted_at.is_some() && incident.after.is_none());
    let told = std::fs::read_to_string(&file).unwrap();
    assert!(told.contains(", repair interrupted\n") && told.contains("**Interrupted** at"), "{told}");
    (broken, incident)
}

#[test]
fn ctrl_c_before_a_repair_is_begun_leaves_the_world_alone_and_the_report_of_it() {
    let (broken, incident) = interrupted("  repair: ");
    let [tried] = &incident.repairs[..] else { panic!("{:#?}", incident.repairs) };
    assert_eq!(tried.failure.as_deref(), Some("interrupted before it was begun"));
    let said = broken.home.json(1, &broken.diagnose(&["--output", "json"]));
    assert_eq!(said["findings"][0]["code"], "NO_ROUTE_TO_DESTINATION", "{said}");
}

#[test]
fn ctrl_c_between_two_repairs_keeps_the_first_and_reports_it() {
    let (broken, incident) = interrupted("✓ ");
    let [made] = &incident.repairs[..] else { panic!("{:#?}", incident.repairs) };
    assert_eq!((made.cause.name().as_str(), &made.failure), ("NO_ROUTE_TO_DESTINATION", &None));
    assert_eq!(incident.diagnosis().first_break().unwrap().cause.name(), "NO_ROUTE_TO_DESTINATION");
    let said = broken.home.json(1, &broken.diagnose(&["--output", "json"]));
    assert_eq!(said["findings"][0]["code"], "HOST_IP_FORWARD_OFF", "{said}");
}

#[test]
fn what_is_no_whole_report_is_refused_by_name() {
    let broken = Broken::by("BLACKHOLE_ROUTE");
    let (markdown, json) = (broken.file("incident.md"), broken.file("incident.json"));
    broken.home.expect(1, &broken.diagnose(&["--report", text(&markdown)]));
    broken.home.expect(1, &broken.diagnose(&["--report", text(&json)]));
    let incident = report::open(&json).unwrap().incident;
    let (markdown, json) = (std::fs::read_to_string(markdown).unwrap(), std::fs::read_to_string(json).unwrap());
    let file = broken.file("other");
    let opened = |content: &[u8]| {
        std::fs::write(&file, content).unwrap();
        report::open(&file)
    };
    // Notes around it, line ends of another system and an indented copy of the data are all the same report.
    let noted =
        format!("My notes.\n\n```\n```json natdeck-incident\n```\n{markdown}\nMore notes.\n").replace('\n', "\r\n");
    assert_eq!(
        opened(noted.as_bytes()).unwrap().incident.at,
        report::open(&broken.file("incident.md")).unwrap().incident.at
    );
    assert_eq!(opened(json.as_bytes()).unwrap().incident, incident);
    assert!(
        opened(markdown.replace("\"region\": \"eu-central-1\"", "\"region\": \"eu-west-1\"").as_bytes())
            .unwrap()
            .edited
    );
    assert!(matches!(report::open(&broken.file("none")), Err(ReadError::NotFound { .. })));
    assert!(matches!(report::open(broken.home.path()), Err(ReadError::NotAFile { .. })));
    assert!(matches!(opened(b""), Err(ReadError::NotAReport { .. })));
    assert!(matches!(opened(b"# Minutes\n\nNothing.\n"), Err(ReadError::NotAReport { .. })));
    assert!(matches!(opened(b"{\"version\": 1}"), Err(ReadError::NotAReport { .. })));
    assert!(matches!(opened(&[0xff, 0xfe, 0x00]), Err(ReadError::NotAReport { .. })));
    for part in 1..8 {
        let cut = opened(&json.as_bytes()[..json.len() * part / 8]);
        assert!(matches!(cut, Err(ReadError::CutOff { .. })), "{part}: {cut:?}");
    }
    let begun = markdown.find("natdeck-incident").unwrap();
    let cut = opened(&markdown.as_bytes()[..(begun + markdown.len()) / 2]);
    assert!(matches!(cut, Err(ReadError::CutOff { .. })), "{cut:?}");
    let newer = json.replacen("\"version\": 1", "\"version\": 2", 1).replacen("{", "{\"new\": 0,", 1);
    assert!(matches!(opened(newer.as_bytes()), Err(ReadError::Newer { version: 2, .. })));
    let damaged = opened(json.replacen("\"region\":", "\"regoin\":", 1).as_bytes());
    assert!(matches!(damaged, Err(ReadError::Damaged { .. })), "{damaged:?}");
    let sparse = std::fs::File::create(&file).unwrap();
    sparse.set_len(300 << 20).unwrap();
    assert!(matches!(report::open(&file), Err(ReadError::TooLarge { .. })));
    let place = report::check_place(&file, Saving::New);
    assert!(place.is_err());
}

#[test]
fn a_report_answers_as_the_sandbox_did() {
    let broken = Broken::by("HOST_NO_MASQUERADE");
    let (home, id) = (&broken.home, broken.instance.as_str());
    for format in ["text", "json"] {
        let file = broken.file(&format!("{format}.md"));
        let live = home.expect(1, &broken.diagnose(&["--report", text(&file), "--output", format]));
        let later = home.expect(1, &["--snapshot", text(&file), "diagnose", id, "--output", format]);
        assert_eq!(live.stdout, later.stdout);
        assert!(later.stderr.contains("snapshot of sandbox account 123456789012"), "{}", later.stderr);
    }
    let file = broken.file("json.md");
    let incident = report::open(&file).unwrap().incident;
    let mut live = home.json(0, &["--sandbox", "tree", "--output", "json"]);
    let later = home.json(0, &["--snapshot", text(&file), "tree", "--output", "json"]);
    // Two looks at the same: all but the time of the look.
    live["observed_at"] = later["observed_at"].clone();
    assert_eq!(live, later);
    assert_eq!(later["observed_at"].as_str(), incident.network.observed_at.map(|at| at.to_string()).as_deref());
    let live = home.expect(0, &["--sandbox", "tree"]);
    let later = home.expect(0, &["--snapshot", text(&file), "tree"]);
    assert_eq!(live.stdout, later.stdout);
    let live = home.expect(0, &["--sandbox", "plan", "--destroy", "--stack", "none"]);
    let later = home.expect(0, &["--snapshot", text(&file), "plan", "--destroy", "--stack", "none"]);
    assert_eq!(live.stdout, later.stdout);
}

#[test]
fn a_redacted_report_answers_the_same_by_other_addresses() {
    let broken = Broken::by("HOST_IP_FORWARD_OFF");
    let (home, id) = (&broken.home, broken.instance.as_str());
    let (open, closed) = (broken.file("open.md"), broken.file("closed.md"));
    let live = home.json(1, &broken.diagnose(&["--report", text(&open), "--output", "json"]));
    // A report that is there already can be redacted later.
    home.expect(1, &["--snapshot", text(&open), "diagnose", id, "--report", text(&closed), "--redact"]);
    let later = home.json(1, &["--snapshot", text(&closed), "diagnose", id, "--output", "json"]);
    let codes = |said: &Value| -> Vec<String> {
        said["findings"].as_array().unwrap().iter().map(|finding| finding["cause"].to_string()).collect()
    };
    assert_eq!(codes(&live), codes(&later));
    let said = std::fs::read_to_string(&closed).unwrap();
    assert!(said.contains("000000000001") && !said.contains("123456789012") && !said.contains("10.8."), "{said}");
    assert!(said.contains("stand-ins"));
}

#[test]
fn another_instance_is_answered_from_the_file_and_what_is_unknown_is_said() {
    let broken = Broken::by("HOST_IP_FORWARD_OFF");
    let file = broken.file("incident.md");
    broken.home.expect(1, &broken.diagnose(&["--report", text(&file)]));
    let tree = broken.home.json(0, &["--snapshot", text(&file), "tree", "--output", "json"]);
    let mut all = tree["vpcs"][0]["instances"].as_array().unwrap().iter();
    let other =
        all.find(|one| one["name"].as_str().unwrap().starts_with("Private") && one["instance_id"] != *broken.instance);
    let other = other.unwrap()["instance_id"].as_str().unwrap();
    let said = broken.home.json(1, &["--snapshot", text(&file), "diagnose", other, "--output", "json"]);
    assert_eq!(said["findings"][0]["cause"], "HOST_IP_FORWARD_OFF");
    assert_eq!(said["unknown"][0]["what"], "the packet test");
    // Nothing stops it in the snapshot, and no packet was sent: that is not "it gets out".
    let healthy = broken.file("healthy.md");
    broken.home.expect(0, &broken.diagnose(&["--fix", "--yes"]));
    broken.home.expect(0, &broken.diagnose(&["--report", text(&healthy)]));
    let said = broken.home.json(3, &["--snapshot", text(&healthy), "diagnose", other, "--output", "json"]);
    assert_eq!(said["disposition"], "insufficient_information");
    broken.home.expect(2, &["--snapshot", text(&file), "diagnose", "i-0123456789abcdef0"]);
}

#[test]
fn an_audit_from_the_file_tells_what_the_report_knows_of_all() {
    let broken = Broken::by("HOST_IP_FORWARD_OFF");
    let file = broken.file("incident.md");
    broken.home.expect(1, &broken.diagnose(&["--report", text(&file)]));
    let said = broken.home.json(1, &["--snapshot", text(&file), "check", "--all", "--explain", "--output", "json"]);
    let rows = said["instances"].as_array().unwrap();
    let private: Vec<&Value> = rows.iter().filter(|row| row["role"] == "client").collect();
    assert_eq!(private.len(), 2, "{said:#}");
    for row in private {
        assert_eq!(row["findings"][0]["cause"], "HOST_IP_FORWARD_OFF", "{row:#}");
        // What was tested stands for its like.
        assert_eq!(row["verdict"], "no_egress", "{row:#}");
    }
}

#[test]
fn a_snapshot_refuses_what_would_ask_or_change() {
    let broken = Broken::by("BLACKHOLE_ROUTE");
    let (home, id) = (&broken.home, broken.instance.as_str());
    let file = broken.file("incident.md");
    home.expect(1, &broken.diagnose(&["--report", text(&file)]));
    for (arguments, says) in [
        (vec!["apply", "--yes"], "leave --snapshot out"),
        (vec!["destroy", "--yes"], "plan --destroy"),
        (vec!["check"], "check --all --explain"),
        (vec!["check", "--watch", "30s"], "check --all --explain"),
        (vec!["check", "--all", "--explain", "--tests", "every"], "--tests every sends packets"),
        (vec!["diagnose", id, "--fix"], "the repairs are shown without it"),
        (vec!["plan"], "plan --destroy works"),
        (vec!["sandbox", "reset"], "not of a snapshot"),
        (vec!["tree", "--sandbox"], "--sandbox"),
        (vec!["tree", "--profile", "x"], "--profile"),
        (vec!["tree", "--region", "x"], "--region"),
        (vec!["tree", "--endpoint-url", "http://127.0.0.1:1"], "--endpoint-url"),
        (vec!["diagnose", id, "--to", "db.example.com:5432", "--fix"], "--fix"),
    ] {
        let ran = home.expect(2, &[&["--snapshot", text(&file)], &arguments[..]].concat());
        assert!(ran.stderr.contains(says), "{arguments:?}: {}", ran.stderr);
    }
    let none = home.expect(2, &["--snapshot", "/none/such.md", "tree"]);
    assert!(none.stderr.contains("there is no file /none/such.md"), "{}", none.stderr);
}

#[test]
fn the_console_opens_a_report_and_changes_nothing() {
    let broken = Broken::by("HOST_IP_FORWARD_OFF");
    let file = broken.file("incident.md");
    broken.home.expect(1, &broken.diagnose(&["--report", text(&file)]));
    let mut console = Console::start(&broken.home, 120, 40, &["--snapshot", text(&file)]);
    console.see("SNAPSHOT of 2");
    console.see("SANDBOX");
    // What is typed before there is a tree finds nothing.
    console.see("Private-Instance-1");
    console.keys(&format!("/{}\r", broken.instance));
    console.keys("x");
    console.see("HOST_IP_FORWARD_OFF");
    console.see("api.ipify.org: no answer");
    console.keys("f");
    console.see("A snapshot only looks back");
    console.keys("t");
    console.see("check the egress: this is a snapshot");
    console.keys("4");
    console.see("ssm:SendCommand");
    console.keys("q");
    assert_eq!(console.ended(), 0);
}
