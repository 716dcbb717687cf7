//! The headless commands: one function each, from arguments to an exit code.
//!
//! Documents go to standard output; progress, questions and errors to standard error. Exit codes: 0 as asked, 1 the
//! answer is no, 2 bad usage or an AWS error, 3 cannot test, 130 interrupted by Ctrl-C.

pub mod arguments;
mod audit;
mod change;
mod diagnose;
mod inspect;
mod interrupt;
pub mod output;
mod session;
mod snapshot;
mod spec;
mod terminal;
mod watch;

use std::path::PathBuf;

use clap::CommandFactory;
use color_eyre::eyre;

use arguments::{Arguments, Command, Global};
pub use interrupt::{Heard, on_ctrl_c};
pub use session::{SessionError, start_session};
pub use snapshot::{Snapshot, run as run_on_snapshot};
pub use spec::read as read_spec;
pub use terminal::{Terminal, error_line};

use crate::aws::{CallLog, Session, Target};
use crate::ops;

/// The end of a command that did not fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// As asked.
    Yes,
    /// The answer is no: egress is broken, or the plan is not empty.
    No,
    CannotTest,
    /// Ctrl-C ended it before its time.
    Interrupted,
    /// What the last command of a shell said.
    Status(u8),
}

impl Answer {
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Yes => 0,
            Self::No => 1,
            Self::CannotTest => 3,
            Self::Interrupted => INTERRUPTED,
            Self::Status(code) => code,
        }
    }
}

/// What shells give a command that SIGINT ended: 128 and the number of the signal.
const INTERRUPTED: u8 = 130;
/// Bad usage or an AWS error.
pub const FAILED: u8 = 2;

/// What every command needs.
pub struct Context {
    pub global: Global,
    pub target: Target,
    /// Below it journals are kept.
    pub state_dir: PathBuf,
    pub terminal: Terminal,
    pub log: CallLog,
}

impl Context {
    async fn connect(&self) -> eyre::Result<Session> {
        Ok(Session::connect(self.target.clone(), self.log.clone()).await?)
    }

    /// Where the journals of the account and region that `session` speaks to are.
    async fn journals(&self, session: &Session) -> eyre::Result<PathBuf> {
        Ok(ops::journal_dir(&self.state_dir, &session.caller_identity().await?))
    }
}

/// Runs a headless command. `sandbox reset` and the console are not here: main owns their worlds.
pub async fn run(command: &Command, context: &Context) -> eyre::Result<Answer> {
    match command {
        Command::Tree(arguments) => inspect::tree(context, arguments).await,
        Command::Check(arguments) => inspect::check(context, arguments).await,
        Command::Diagnose(arguments) => diagnose::diagnose(context, arguments).await,
        Command::Plan(arguments) => change::plan(context, arguments).await,
        Command::Apply(arguments) => change::apply(context, arguments).await,
        Command::Destroy(arguments) => change::destroy(context, arguments).await,
        Command::IamPolicy | Command::Completions { .. } | Command::Man | Command::Sandbox(_) => {
            offline(command, &context.terminal)
        }
    }
}

/// The commands that need no world at all. Others answer that they do.
pub fn offline(command: &Command, terminal: &Terminal) -> eyre::Result<Answer> {
    let mut document = Vec::new();
    match command {
        Command::IamPolicy => {
            document = serde_json::to_vec_pretty(&crate::aws::iam_policy())?;
            document.push(b'\n');
        }
        Command::Completions { shell } => {
            clap_complete::generate(*shell, &mut Arguments::command(), "natdeck", &mut document);
        }
        Command::Man => clap_mangen::Man::new(Arguments::command()).render(&mut document)?,
        _ => eyre::bail!("this command needs a world to work in"),
    }
    terminal.document(&String::from_utf8_lossy(&document))?;
    Ok(Answer::Yes)
}
