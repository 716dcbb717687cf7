//! Bad input: one clear line on standard error, exit 2, nothing changed.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::Path;
use std::time::{Duration, Instant};

use natdeck::aws::{CallLog, Session, Target};
use natdeck::model::{Identity, World};
use natdeck::ops;
use natdeck::plan::{PlanKind, Spec};
use natdeck::sandbox::{Options, Sandbox};

use super::support::{Home, Ran};

/// Exit 2, and exactly one line that names all of `words`.
fn one_line(ran: &Ran, words: &[&str]) {
    assert_eq!(ran.code, 2, "stdout {} stderr {}", ran.stdout, ran.stderr);
    assert_eq!(ran.stdout, "", "nothing on standard output");
    let lines: Vec<&str> = ran.stderr.lines().filter(|line| !line.trim().is_empty()).collect();
    assert_eq!(lines.len(), 1, "{}", ran.stderr);
    for word in words {
        assert!(ran.stderr.contains(word), "'{word}' is missing in: {}", ran.stderr);
    }
}

#[test]
fn ranges_that_overlap_or_lie_outside() {
    let home = Home::new();
    let ran =
        home.run(&["--sandbox", "--scenario", "empty", "apply", "--yes", "--private-subnet-cidr", "10.8.1.128/25"]);
    one_line(&ran, &["10.8.1.128/25", "overlap"]);
    let ran = home.run(&["--sandbox", "plan", "--public-subnet-cidr", "192.168.0.0/24"]);
    one_line(&ran, &["192.168.0.0/24", "10.8.0.0/16"]);
}

#[test]
fn a_malformed_range_names_the_flag() {
    let home = Home::new();
    let ran = home.run(&["--sandbox", "plan", "--vpc-cidr", "10.8.0.0/33"]);
    assert_eq!(ran.code, 2);
    assert!(ran.stderr.contains("10.8.0.0/33") && ran.stderr.contains("--vpc-cidr"), "{}", ran.stderr);
}

#[test]
fn a_zone_that_does_not_exist() {
    let home = Home::new();
    let ran = home.run(&["--sandbox", "--scenario", "empty", "apply", "--yes", "--zone", "eu-central-1z"]);
    one_line(&ran, &["eu-central-1z"]);
}

#[test]
fn an_unknown_instance_or_vpc() {
    let home = Home::new();
    one_line(&home.run(&["--sandbox", "check", "i-0123456789abcdef0"]), &["i-0123456789abcdef0", "natdeck tree"]);
    one_line(&home.run(&["--sandbox", "tree", "--vpc", "vpc-0123456789abcdef0"]), &["vpc-0123456789abcdef0"]);
}

#[test]
fn no_region_and_no_credentials() {
    let home = Home::new();
    one_line(&home.run(&["tree"]), &["region"]);
    let ran = home.run(&["tree", "--region", "eu-central-1"]);
    one_line(&ran, &["credentials"]);
}

/// Answers every connection with `answer`, forever.
fn endpoint(answer: &'static [u8]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { continue };
            std::thread::spawn(move || {
                let mut request = [0; 65536];
                let _ = stream.read(&mut request);
                if answer.is_empty() {
                    // Hangs: holds the connection and never answers.
                    let _ = stream.read(&mut request);
                    return;
                }
                let _ = stream.write_all(answer);
            });
        }
    });
    format!("http://{address}")
}

fn at_endpoint(home: &Home, url: &str, arguments: &[&str]) -> Ran {
    let output = home
        .command(arguments)
        .args(["--endpoint-url", url, "--region", "eu-central-1"])
        .env("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
        .env("AWS_SECRET_ACCESS_KEY", "secret")
        .output()
        .unwrap();
    super::support::finish(&output)
}

#[test]
fn an_endpoint_that_refuses() {
    // A port that was free a moment ago: nobody listens.
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let ran = at_endpoint(&Home::new(), &format!("http://{free}"), &["tree"]);
    one_line(&ran, &[&free.to_string()]);
}

#[test]
fn an_endpoint_that_hangs() {
    let started = Instant::now();
    let ran = at_endpoint(&Home::new(), &endpoint(b""), &["tree"]);
    one_line(&ran, &["no answer"]);
    assert!(started.elapsed() < Duration::from_secs(30), "{:?}", started.elapsed());
}

#[test]
fn an_endpoint_that_answers_rubbish() {
    let page = b"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 23\r\nconnection: close\r\n\r\n<html>Sign in!</html>\r\n";
    let ran = at_endpoint(&Home::new(), &endpoint(page), &["tree"]);
    one_line(&ran, &["not AWS's"]);
}

#[test]
fn expired_credentials() {
    let body = "<Response><Errors><Error><Code>RequestExpired</Code><Message>Request has expired.</Message></Error></Errors><RequestID>r</RequestID></Response>";
    let answer = format!(
        "HTTP/1.1 400 Bad Request\r\ncontent-type: text/xml\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    );
    let ran = at_endpoint(&Home::new(), &endpoint(Box::leak(answer.into_bytes().into_boxed_slice())), &["tree"]);
    one_line(&ran, &["RequestExpired", "renew"]);
}

#[test]
fn an_unreadable_spec_names_its_line_and_field() {
    let home = Home::new();
    let spec = home.path().join("nat.toml");
    fs::write(&spec, "name = \"shop\"\nvpc_cidr = \"10.8.0.0/99\"\n").unwrap();
    let ran = home.run(&["--sandbox", "apply", "--yes", "--spec", spec.to_str().unwrap()]);
    one_line(&ran, &["nat.toml", "line 2", "vpc_cidr"]);
    let ran = home.run(&["--sandbox", "plan", "--spec", "/nowhere/nat.toml"]);
    one_line(&ran, &["/nowhere/nat.toml"]);
}

#[test]
fn a_damaged_sandbox_file_is_kept() {
    let home = Home::new();
    let file = home.path().join("world.json");
    fs::write(&file, "{ not json").unwrap();
    let state = ["--sandbox", "--sandbox-state", file.to_str().unwrap()];
    let ran = home.run(&[&state[..], &["tree"]].concat());
    one_line(&ran, &["world.json", "damaged", "natdeck sandbox reset"]);
    assert_eq!(fs::read_to_string(&file).unwrap(), "{ not json", "it is not overwritten");

    let reset = home.expect(0, &[&state[..], &["sandbox", "reset"]].concat());
    let aside: Vec<_> = fs::read_dir(home.path())
        .unwrap()
        .filter_map(|entry| fs::read_to_string(entry.unwrap().path()).ok())
        .filter(|text| text == "{ not json")
        .collect();
    assert_eq!(aside.len(), 1, "the damaged file is kept aside: {}", reset.stderr);
    home.expect(0, &[&state[..], &["tree"]].concat());
}

#[test]
fn a_damaged_journal_is_kept() {
    let home = Home::new();
    let file = home.path().join("world.json");
    let state = ["--sandbox", "--sandbox-state", file.to_str().unwrap()];
    let journals = home.path().join("world.json.journals/sandbox/123456789012-eu-central-1");
    fs::create_dir_all(&journals).unwrap();
    let journal = journals.join("natdeck-provision.jsonl");
    fs::write(&journal, "{\"record\":\"nonsense\"}\n{}\n").unwrap();
    let ran = home.run(&[&state[..], &["apply", "--yes"]].concat());
    one_line(&ran, &["natdeck-provision.jsonl", "damaged"]);
    assert_eq!(fs::read_to_string(&journal).unwrap(), "{\"record\":\"nonsense\"}\n{}\n");
}

#[test]
fn two_natdecks_on_one_sandbox() {
    let home = Home::new();
    let file = home.path().join("world.json");
    let arguments = ["--sandbox", "--sandbox-state", file.to_str().unwrap(), "tree"];
    let first = Sandbox::open(Options { state_file: Some(file.clone()), ..Options::default() }).unwrap();
    one_line(&home.run(&arguments), &["world.json", "in use by process", &std::process::id().to_string()]);
    drop(first);
    home.expect(0, &arguments);
}

#[tokio::test]
async fn two_natdecks_on_one_stack() {
    let home = Home::new();
    let sandbox = Sandbox::open(Options::default()).unwrap();
    let target = Target { sandbox: Some(sandbox.http_client()), ..Target::default() };
    let session = Session::connect(target, CallLog::new()).await.unwrap();
    let journals = ops::journal_dir(home.path(), &session.caller_identity().await.unwrap());
    let network = ops::observe(&session, None, None).await;
    let plan = ops::plan_provision(&session, &Spec::default(), &network).await.unwrap();
    let first = ops::Change::begin(&session, &journals, &plan).unwrap();
    let Err(second) = ops::Change::begin(&session, &journals, &plan) else { panic!("both hold the stack") };
    let holder = format!("process {}", std::process::id());
    assert!(second.to_string().contains("'natdeck' is in use by") && second.to_string().contains(&holder), "{second}");
    drop(first);
    assert!(ops::Change::resume(&session, &journals, "natdeck", PlanKind::Provision).unwrap().is_some(), "it is free");
}

#[test]
fn a_stack_of_the_same_name_elsewhere_is_another_stack() {
    let identity = |world, region: &str| Identity {
        world,
        region: region.to_owned(),
        profile: None,
        account_id: Some("123456789012".to_owned()),
        caller_arn: None,
        read_only: false,
    };
    let base = Path::new("/state");
    let here = ops::journal_dir(base, &identity(World::Aws, "eu-central-1"));
    assert_eq!(here, Path::new("/state/aws/123456789012-eu-central-1"));
    assert_ne!(here, ops::journal_dir(base, &identity(World::Aws, "us-east-1")));
    let endpoint = ops::journal_dir(base, &identity(World::Endpoint("http://127.0.0.1:5000/../x".to_owned()), "r"));
    assert_eq!(endpoint, Path::new("/state/http---127.0.0.1-5000-..-x/123456789012-r"), "no way out of the directory");
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let home = Home::new();
    let mut child = home
        .command(&["--sandbox", "tree", "--output", "json"])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn sandbox_flags_without_the_sandbox() {
    let home = Home::new();
    one_line(&home.run(&["tree", "--scenario", "empty"]), &["--scenario", "--sandbox"]);
}
