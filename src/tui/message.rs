//! Everything that can happen to the console: keys, time, answers. One type, one channel. Plain data.

use crossterm::event::KeyEvent;
use jiff::Timestamp;

use crate::model::{ApiCall, Identity, InstanceId, Network};
use crate::plan::{Output, Outputs, Plan};
use crate::reach::{CheckProgress, Trace};
use crate::saga::{Event, NodeState};

use super::diagnosis::Diagnosed;
use super::drill::{Broken, Drill};
use super::effect::Generation;

/// Why something was not done, for a person.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}: {reason}")]
pub struct Failure {
    /// What was tried: `plan the teardown of 'demo'`.
    pub what: String,
    /// Why it did not work, AWS's code included.
    pub reason: String,
    /// What to do now, when that is known.
    pub next_move: Option<String>,
}

impl Failure {
    pub fn new(what: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { what: what.into(), reason: reason.into(), next_move: None }
    }

    #[must_use]
    pub fn with_next_move(mut self, next_move: impl Into<String>) -> Self {
        self.next_move = Some(next_move.into());
        self
    }
}

/// A plan with all that the Steps pane shows of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Prepared {
    pub plan: Plan,
    /// What exists by now, by step id.
    pub outputs: Outputs,
    /// What it costs, a line each, with the date of the prices. Empty: nothing to say.
    pub cost: Vec<String>,
    /// Where steps stand that an earlier, unfinished run has begun: by step id, in the order in which they were begun.
    /// The others are as the plan says.
    pub resumed: Vec<(String, NodeState)>,
}

/// How a run or an undo ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RunEnd {
    /// Every step is done.
    Finished,
    /// What was asked for is done, and steps remain.
    Paused,
    /// A stop was asked for.
    Stopped,
    /// Steps failed: by step id.
    Failed(Vec<(String, Failure)>),
    /// Everything that was made is taken back.
    Undone,
    /// One step is taken back, others remain.
    PartlyUndone { id: String },
    /// The run could not begin, or ended for a reason that is not a step's: lock held, journal damaged.
    Broken(Failure),
}

/// Something happened.
#[derive(Debug, Clone, PartialEq)]
pub enum Message {
    Key(KeyEvent),
    Paste(String),
    /// Columns and rows.
    Resize(u16, u16),
    /// Time passed.
    Tick {
        now: Timestamp,
    },
    /// SIGTERM, SIGHUP, or the terminal is gone.
    Terminate,
    /// The console is back after a suspension.
    Resumed,
    /// The shell that had the terminal has ended.
    ShellEnded(Result<(), Failure>),
    Identified(Result<Identity, Failure>),
    Observed {
        generation: Generation,
        result: Result<Box<Network>, Failure>,
    },
    Walked {
        generation: Generation,
        instance_id: InstanceId,
        result: Result<Box<Trace>, Failure>,
    },
    Diagnosed {
        generation: Generation,
        result: Result<Box<Diagnosed>, Failure>,
    },
    /// Where a report is.
    ReportSaved(Result<String, Failure>),
    DrillsListed {
        generation: Generation,
        result: Result<Vec<Drill>, Failure>,
    },
    /// Something was broken on purpose.
    Broke {
        generation: Generation,
        result: Result<Broken, Failure>,
    },
    Planned {
        generation: Generation,
        result: Result<Box<Prepared>, Failure>,
    },
    Run {
        generation: Generation,
        event: Event<Output>,
    },
    RunEnded {
        generation: Generation,
        end: RunEnd,
    },
    Check {
        generation: Generation,
        progress: CheckProgress,
    },
    CheckEnded {
        generation: Generation,
        result: Result<(), Failure>,
    },
    /// New entries of the API log.
    Calls(Vec<ApiCall>),
    /// Something to tell that nobody asked for.
    Notice(String),
}
