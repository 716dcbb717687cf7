//! The witnesses that are not ours, and a sandbox on a port for them: programs of the Python environment that
//! `tests/run` sets up.

use std::io::{BufRead as _, BufReader, Read};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use super::serve;
use super::support::Home;

/// A program of the witnesses' environment. Without it nothing can be shown, so the test fails and says how.
pub fn witness(program: &str) -> PathBuf {
    let directory = std::env::var_os("NATDECK_WITNESS")
        .map_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/target/witness/bin")), PathBuf::from);
    let program = directory.join(program);
    assert!(program.exists(), "{} is missing: tests/run installs the witnesses", program.display());
    program
}

/// A file of `tests/witness`.
pub fn file(name: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/witness")).join(name)
}

/// Runs a script of `tests/witness` and gives what it printed.
pub fn python(script: &str, arguments: &[&str]) -> String {
    let output = Command::new(witness("python3"))
        .arg(file(script))
        .args(arguments)
        // Nothing is written beside the sources.
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .output()
        .unwrap();
    assert!(output.status.success(), "{script}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The URL on the line of a server's output that names one. The rest is read on, or the server blocks on a full pipe.
fn url_in(output: impl Read + Send + 'static) -> String {
    let mut lines = BufReader::new(output).lines();
    let url = lines
        .by_ref()
        .map_while(Result::ok)
        .find_map(|line| Some(format!("http://127.0.0.1:{}", line.split("http://127.0.0.1:").nth(1)?.trim())))
        .expect("the server says where it listens");
    std::thread::spawn(move || lines.for_each(drop));
    url
}

/// A moto server on a port of its own, ended with the test.
pub struct Moto {
    child: Child,
    pub url: String,
}

impl Moto {
    pub fn start() -> Self {
        let mut child = Command::new(witness("moto_server"))
            .args(["-H", "127.0.0.1", "-p", "0"])
            // Without it moto knows none of AWS's managed policies.
            .env("MOTO_IAM_LOAD_MANAGED_POLICIES", "true")
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let url = url_in(child.stderr.take().unwrap());
        let moto = Self { child, url };
        python("warm_up.py", &[&moto.url]);
        moto
    }
}

impl Drop for Moto {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// `natdeck sandbox serve` on a port of its own, with an empty world, ended with the test.
pub struct Served {
    _server: serve::Served,
    pub url: String,
    /// Where its state is, for clients that want a home too.
    pub home: Home,
}

impl Served {
    pub fn start() -> Self {
        let home = Home::new();
        let server = serve::Served::start(&home, &["--sandbox", "--scenario", "empty", "--region", "eu-central-1"]);
        Self { url: server.url(), _server: server, home }
    }
}
