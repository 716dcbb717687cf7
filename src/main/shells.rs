//! Shells on instances: on the sandbox's hosts in this process, through the aws CLI on real ones.

use std::sync::Arc;

use color_eyre::eyre;
use natdeck::cli::arguments::Global;
use natdeck::cli::{self, Answer};
use natdeck::sandbox::shell::{Interrupt, ShellEnd, run, run_script};
use natdeck::sandbox::{Remote, Sandbox};
use natdeck::tui::{Failure, ShellDoor};

/// Where shells are opened.
pub enum Shells {
    Aws,
    /// The sandbox of this process.
    Own(Sandbox),
    /// Another process has the hosts.
    Served(Remote),
}

/// Why there is no shell on the hosts of a served sandbox.
pub const SERVED: &str = "another process serves this sandbox and has its hosts; end `natdeck sandbox serve` to open a \
    shell, or send commands by `aws ssm send-command`";

impl Shells {
    /// How the console opens a shell.
    pub fn door(self, global: &Global) -> ShellDoor {
        let global = global.clone();
        Arc::new(move |instance_id| {
            let what = format!("open a shell on {instance_id}");
            let failed = |reason: String| Failure::new(what.clone(), reason);
            match &self {
                Self::Own(sandbox) => at_terminal(sandbox.clone(), instance_id.as_str())
                    .map(drop)
                    .map_err(|error| failed(cli::error_line(&error))),
                Self::Served(_) => Err(failed(SERVED.to_owned())),
                Self::Aws => {
                    let _heard = raise_at_ctrl_c(&Interrupt::default()).map_err(|error| failed(error.to_string()))?;
                    cli::start_session(&global, instance_id)
                        .map_err(|error| failed(error.to_string()).with_next_move(error.next_move()))
                }
            }
        })
    }
}

/// Ctrl-C is for the command that runs, and does not end natdeck. At the prompt the line editor sees it as a key.
fn raise_at_ctrl_c(interrupt: &Interrupt) -> std::io::Result<cli::Heard> {
    let raised = interrupt.clone();
    cli::on_ctrl_c(move || raised.raise())
}

/// Blocks the thread until the shell has ended.
fn at_terminal(sandbox: Sandbox, instance: &str) -> eyre::Result<ShellEnd> {
    let interrupt = Interrupt::default();
    let _heard = raise_at_ctrl_c(&interrupt)?;
    // Without a home directory nothing is remembered.
    let history = super::xdg_state_dir().ok().map(|directory| directory.join("shell_history"));
    Ok(run(sandbox, instance, history.as_deref(), interrupt)?)
}

/// `natdeck sandbox shell`: at the terminal, or with the script that standard input holds.
pub async fn shell(sandbox: Sandbox, instance: &str) -> eyre::Result<Answer> {
    let instance = instance.to_owned();
    let ended = tokio::task::spawn_blocking(move || -> eyre::Result<ShellEnd> {
        if std::io::IsTerminal::is_terminal(&std::io::stdin()) {
            return at_terminal(sandbox, &instance);
        }
        let interrupt = Interrupt::default();
        let _heard = raise_at_ctrl_c(&interrupt)?;
        Ok(run_script(sandbox, &instance, interrupt)?)
    })
    .await??;
    Ok(Answer::Status(u8::try_from(ended.status & 0xff).unwrap_or(u8::MAX)))
}
