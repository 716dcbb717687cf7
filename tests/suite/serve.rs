//! The sandbox on a port, as people start it: other commands find it by its file or by its address, and nothing that
//! is sent to it takes it down.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Stdio};
use std::thread::JoinHandle;
use std::time::Duration;

use natdeck::model::InstanceId;
use natdeck::reach::Cause;
use natdeck::sandbox::causes::breakable;
use natdeck::sandbox::{Options, Remote, Sandbox, Scenario};

use super::support::{Home, finish};

/// How many lines of environment the server prints.
const SETTINGS: usize = 6;

/// A served sandbox, ended with the test.
pub struct Served {
    child: Child,
    /// What it says on standard error, until it ends.
    said: Option<JoinHandle<String>>,
    /// `127.0.0.1:4566`
    pub address: String,
    /// What it printed on standard output when it was ready.
    pub environment: Vec<String>,
}

impl Served {
    /// Starts it on a free port with the home's own state file, and waits until it says that it is ready.
    pub fn start(home: &Home, arguments: &[&str]) -> Self {
        let mut all = vec!["sandbox", "serve", "--listen", "127.0.0.1:0"];
        all.extend(arguments);
        let mut child = home.command(&all).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        // The settings and no more come on standard output; it stays open until the end.
        let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let mut environment: Vec<String> = Vec::new();
        for line in lines {
            environment.push(line);
            if environment.len() == SETTINGS {
                break;
            }
        }
        let address = environment
            .iter()
            .find_map(|line| line.strip_prefix("export AWS_ENDPOINT_URL=http://"))
            .unwrap_or_else(|| panic!("no address in {environment:?}"))
            .to_owned();
        // Read all the time: a pipe that is full would hold it up.
        let mut errors = child.stderr.take().unwrap();
        let said = std::thread::spawn(move || {
            let mut said = String::new();
            errors.read_to_string(&mut said).unwrap();
            said
        });
        Self { child, said: Some(said), address, environment }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Sends bytes and reads until the other side closes.
    fn raw(&self, bytes: &[u8]) -> String {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        stream.write_all(bytes).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        String::from_utf8_lossy(&answer).into_owned()
    }

    fn post(&self, headers: &str, body: &str) -> String {
        let length = body.len();
        self.raw(
            format!(
                "POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n{body}"
            )
            .as_bytes(),
        )
    }

    /// Asks it to end, as a service manager would, and gives what it had written on standard error.
    pub fn end(mut self) -> String {
        let ended = std::process::Command::new("kill").arg(self.child.id().to_string()).status().unwrap();
        assert!(ended.success());
        let said = self.said.take().unwrap().join().unwrap();
        let status = self.child.wait().unwrap();
        assert!(status.success(), "{status}: {said}");
        said
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn commands_with_the_same_file_speak_to_the_server_and_see_the_sandbox() {
    let home = Home::new();
    let served = Served::start(&home, &[]);
    let tree = home.json(0, &["--sandbox", "tree", "--output", "json"]);
    assert_eq!(tree["world"], "sandbox");
    home.expect(0, &["--sandbox", "apply", "--yes"]);
    let check = home.json(0, &["--sandbox", "check", "--output", "json"]);
    assert_eq!(check["ok"], true, "{check}");
    // The same world by its address, with the environment that the server printed.
    let mut command = home.command(&["check", "--output", "json"]);
    for line in &served.environment {
        let (name, value) = line.strip_prefix("export ").unwrap().split_once('=').unwrap();
        command.env(name, value);
    }
    let ran = finish(&command.output().unwrap());
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let by_address: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(by_address["instances"][0]["address"], check["instances"][0]["address"]);
    assert_eq!(by_address["world"], served.url().as_str());
    // What happened is in the file when the server has ended.
    served.end();
    assert_eq!(home.json(0, &["--sandbox", "check", "--output", "json"])["ok"], true);
}

#[test]
fn a_served_sandbox_begins_again_when_it_is_told_to() {
    let home = Home::new();
    let served = Served::start(&home, &[]);
    let ran = home.expect(0, &["sandbox", "reset", "--scenario", "article"]);
    assert!(ran.stderr.contains(&served.url()), "{}", ran.stderr);
    assert_eq!(home.json(0, &["--sandbox", "check", "--output", "json"])["ok"], true);
    let refused = home.expect(2, &["--sandbox", "--scenario", "empty", "tree"]);
    assert!(refused.stderr.contains("holds scenario article"), "{}", refused.stderr);
    let refused = home.expect(2, &["--sandbox", "--sandbox-fault", "throttle=10%", "tree"]);
    assert!(refused.stderr.contains("give it to `natdeck sandbox serve`"), "{}", refused.stderr);
}

#[test]
fn a_served_sandbox_is_broken_like_any_other() {
    let home = Home::new();
    let _served = Served::start(&home, &["--scenario", "article"]);
    home.expect(0, &["--sandbox", "check"]);
    let ran = home.expect(0, &["--sandbox", "sandbox", "break", "HOST_IP_FORWARD_OFF"]);
    assert!(ran.stderr.contains("ip_forward"), "{}", ran.stderr);
    let broken = home.json(1, &["--sandbox", "check", "--output", "json"]);
    assert_eq!(broken["instances"][0]["code"], "HOST_IP_FORWARD_OFF", "{broken}");
    let refused = home.expect(2, &["sandbox", "break", "NO_SUCH_ADDRESS"]);
    assert!(refused.stderr.contains("nothing is broken by NO_SUCH_ADDRESS"), "{}", refused.stderr);
}

#[test]
fn other_machines_are_let_in_only_when_that_was_said() {
    let home = Home::new();
    let refused = home.expect(2, &["sandbox", "serve", "--listen", "0.0.0.0:0"]);
    assert!(
        refused.stderr.contains("--allow-remote") && refused.stderr.contains("other machines"),
        "{}",
        refused.stderr
    );
    assert!(refused.stdout.is_empty());
}

#[test]
fn a_port_that_is_taken_is_named_with_the_next_move() {
    let home = Home::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let refused = home.expect(2, &["sandbox", "serve", "--listen", &address]);
    assert!(refused.stderr.contains(&address) && refused.stderr.contains("--listen"), "{}", refused.stderr);
}

#[test]
fn nothing_that_is_sent_takes_the_server_down() {
    let home = Home::new();
    let served = Served::start(&home, &["-v"]);
    let form = "Content-Type: application/x-www-form-urlencoded\r\n";
    let target = |name: &str| format!("X-Amz-Target: AmazonSSM.{name}\r\nContent-Type: application/x-amz-json-1.1\r\n");
    let cases = [
        (served.raw(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc"), ""),
        (served.raw(b"GET\r\n\r\n"), "400 Bad Request"),
        (served.raw(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"), "MissingAction"),
        (served.post(form, "Action=%ff%fe&Version=2016-11-15"), "InvalidAction"),
        (served.post(form, "Action=FlyToTheMoon&Version=2016-11-15"), "InvalidAction"),
        (served.post(form, "Action=DescribeVpcs&Version=2016-11-15&VpcId.1=x"), "InvalidVpcID.Malformed"),
        (served.post(form, "Action=DescribeVpcs&Version=2016-11-15&MaxResults=-1"), "InvalidParameterValue"),
        (served.post(&target("SendCommand"), "{"), "SerializationException"),
        (served.post(&target("SendCommand"), "[1]"), "400"),
        (served.post(&target("Nothing"), "{}"), "UnknownOperationException"),
        (
            served.raw(b"POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 99999999\r\n\r\nAction"),
            "413",
        ),
        (
            served.raw(b"POST /_natdeck/reset HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"),
            "403",
        ),
    ];
    for (answer, expected) in &cases {
        assert!(answer.contains(expected), "expected {expected} in: {answer}");
    }
    let well = served.post(form, "Action=DescribeVpcs&Version=2016-11-15");
    assert!(well.starts_with("HTTP/1.1 200") && well.contains("<vpcId>"), "{well}");
    let log = served.end();
    for line in ["ec2:DescribeVpcs", " ok", "ec2:FlyToTheMoon", "400 InvalidAction", "ssm:Nothing"] {
        assert!(log.contains(line), "{line} in {log}");
    }
}

#[test]
fn time_can_be_stretched_and_left_out() {
    let home = Home::new();
    let took = |scale: &str| {
        let started = std::time::Instant::now();
        home.expect(0, &["--sandbox", "--time-scale", scale, "apply", "--yes"]);
        let took = started.elapsed();
        home.expect(0, &["--sandbox", "--time-scale", "0", "destroy", "--yes"]);
        took
    };
    let (none, slow) = (took("0"), took("8"));
    assert!(slow > none + Duration::from_secs(2), "{none:?} {slow:?}");
    let refused = home.expect(2, &["--sandbox", "--time-scale", "1001", "tree"]);
    assert!(refused.stderr.contains("--time-scale"), "{}", refused.stderr);
}

#[tokio::test]
async fn a_served_sandbox_says_what_can_be_broken_in_its_world_and_what_cannot_leaves_nothing_behind() {
    let home = Home::new();
    let served = Served::start(&home, &["--scenario", "article"]);
    let (remote, _) = Remote::find(served.address.parse().unwrap()).await.unwrap();
    let listed = remote.breakable(None).await.unwrap();
    let world = Sandbox::open(Options { scenario: Some(Scenario::Article), ..Options::default() }).unwrap();
    let own = world.with_world(|world| breakable(world, None)).unwrap().unwrap();
    assert_eq!(listed, own, "as a sandbox of its own");
    assert!(listed.contains(&Cause::NoRoute) && !listed.contains(&Cause::SgReferencesNotPreserved), "{listed:?}");
    let never = Cause::ALL.iter().find(|cause| !listed.contains(cause)).unwrap();
    remote.break_egress(*never, None).await.unwrap_err();
    home.expect(0, &["--sandbox", "check"]);
    let nobody = remote.breakable(Some(&InstanceId::new("i-0123456789abcdef0"))).await.unwrap_err();
    assert!(nobody.to_string().contains("no instance i-0123456789abcdef0"), "{nobody}");
}
