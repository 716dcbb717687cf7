//! A shell on a real instance: the aws CLI's `ssm start-session`, which brings the terminal through SSM.

use std::io::{self, Write};
use std::process::Command;

use super::arguments::Global;
use crate::model::InstanceId;

/// Why there was no session.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    #[error("the aws CLI is not installed")]
    NoCli,
    #[error("the aws CLI cannot be started")]
    Start(#[source] io::Error),
    #[error("aws ssm start-session ended with status {0}")]
    Ended(i32),
}

impl SessionError {
    /// What to do now.
    pub fn next_move(&self) -> &'static str {
        match self {
            Self::NoCli => "install the AWS CLI version 2 and its Session Manager plugin",
            Self::Start(_) => "see whether `aws --version` works in this terminal",
            Self::Ended(_) => "check the Session Manager plugin, the instance's profile and its way to SSM",
        }
    }
}

/// Runs `aws ssm start-session` at the terminal and returns when it has ended. Blocks the thread.
pub fn start_session(global: &Global, instance_id: &InstanceId) -> Result<(), SessionError> {
    let mut command = Command::new("aws");
    command.args(["ssm", "start-session", "--target", instance_id.as_str()]);
    let options =
        [("--profile", &global.profile), ("--region", &global.region), ("--endpoint-url", &global.endpoint_url)];
    for (flag, value) in options {
        if let Some(value) = value {
            command.args([flag, value]);
        }
    }
    let status = command.status().map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => SessionError::NoCli,
        _ => SessionError::Start(error),
    })?;
    if status.success() {
        return Ok(());
    }
    // What the aws CLI said would be gone with the console's next frame.
    let mut line = String::new();
    // Without a screen and a keyboard there is nobody to wait for.
    let _said = io::stderr().write_all(b"\nnatdeck: press Enter to go back to the console ");
    let _answered = io::stdin().read_line(&mut line);
    Err(SessionError::Ended(status.code().unwrap_or(-1)))
}
