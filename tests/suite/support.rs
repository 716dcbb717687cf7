//! Running the built binary as a person or a script would, each time in a home of its own.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

/// A home directory of its own: nothing of the machine's configuration or state is seen or touched.
pub struct Home {
    pub directory: TempDir,
}

/// What a run of natdeck came to.
pub struct Ran {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Home {
    pub fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap() }
    }

    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// The binary, with a clean environment.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_natdeck"));
        command
            .args(arguments)
            .env_clear()
            .env("HOME", self.path())
            .env("XDG_STATE_HOME", self.path().join("state"))
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .stdin(std::process::Stdio::null());
        command
    }

    pub fn run(&self, arguments: &[&str]) -> Ran {
        finish(&self.command(arguments).output().unwrap())
    }

    /// Runs and insists on the exit code; what was printed is in the message when it is another.
    pub fn expect(&self, code: i32, arguments: &[&str]) -> Ran {
        let ran = self.run(arguments);
        assert_eq!(
            ran.code,
            code,
            "natdeck {}\n--- stdout\n{}\n--- stderr\n{}",
            arguments.join(" "),
            ran.stdout,
            ran.stderr
        );
        ran
    }

    /// Runs and reads the JSON document.
    pub fn json(&self, code: i32, arguments: &[&str]) -> Value {
        let ran = self.expect(code, arguments);
        serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{error} in\n{}", ran.stdout))
    }
}

pub fn finish(output: &Output) -> Ran {
    Ran {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// Lets real time pass.
#[expect(clippy::disallowed_methods, reason = "a thread of a test, and the moment is what is tried")]
pub fn let_pass(time: std::time::Duration) {
    std::thread::sleep(time);
}
