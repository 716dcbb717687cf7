//! The Steps pane: a plan, and how far its run has come. Plain data.

use crate::plan::{Outputs, Plan, PlanKind};
use crate::saga::NodeState;
use crate::tui::effect::Generation;
use crate::tui::message::{Failure, RunEnd};
use crate::tui::step_text::StepText;
use jiff::Timestamp;
use std::sync::Arc;

/// The Steps pane.
#[derive(Debug)]
pub enum Steps {
    Empty,
    Planning { generation: Generation, kind: PlanKind, since: Timestamp },
    Refused { kind: PlanKind, failure: Failure },
    Ready(Box<Session>),
}

/// A plan being walked.
#[derive(Debug)]
pub struct Session {
    pub plan: Arc<Plan>,
    /// What exists by now, by step id.
    pub outputs: Outputs,
    /// For each step, with what exists by now.
    pub texts: Vec<StepText>,
    pub cost: Vec<String>,
    /// For each step of the plan, in its order.
    pub progress: Vec<StepProgress>,
    pub cursor: usize,
    pub top: usize,
    /// The first line shown of the selected step's text.
    pub text_top: usize,
    pub activity: Activity,
    /// How the last run ended.
    pub end: Option<RunEnd>,
    pub script: Script,
    pub consent: Consent,
}

/// Where one step stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepProgress {
    pub state: NodeState,
    pub started_at: Option<Timestamp>,
    pub ended_at: Option<Timestamp>,
    /// What it waits for.
    pub says: Option<String>,
    /// What it made, or what there was.
    pub made: Option<String>,
    pub next_move: Option<String>,
    /// The order in which steps were begun, from 1. 0: not begun.
    pub begun: usize,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Activity {
    Idle,
    Running {
        generation: Generation,
        since: Timestamp,
    },
    /// Running, and a stop was asked for.
    Stopping {
        generation: Generation,
        since: Timestamp,
    },
    Undoing {
        generation: Generation,
        since: Timestamp,
    },
}

impl Activity {
    /// The question that is under way, and since when.
    pub fn under_way(&self) -> Option<(Generation, Timestamp)> {
        match self {
            Self::Idle => None,
            Self::Running { generation, since }
            | Self::Stopping { generation, since }
            | Self::Undoing { generation, since } => Some((*generation, *since)),
        }
    }
}

/// Which form of the step is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Script {
    AwsCli,
    Terraform,
}

/// Whether the person agreed to this plan being run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Consent {
    Needed,
    Given,
}

impl Session {
    /// The step that runs next.
    pub fn next(&self) -> Option<usize> {
        self.progress.iter().position(|progress| !progress.state.is_done())
    }

    /// The step that an undo takes back: of those that were begun, the last.
    pub fn last_begun(&self) -> Option<usize> {
        let undoable = |state: &NodeState| !matches!(state, NodeState::Given | NodeState::Waiting);
        let begun = self.progress.iter().enumerate().filter(|(_, progress)| undoable(&progress.state));
        begun.max_by_key(|(_, progress)| progress.begun).map(|(at, _)| at)
    }

    /// A number for a step that begins.
    pub fn begin(&self) -> usize {
        1 + self.progress.iter().map(|progress| progress.begun).max().unwrap_or(0)
    }

    pub fn done(&self) -> usize {
        self.progress.iter().filter(|progress| progress.state.is_done()).count()
    }

    /// Writes the steps' texts with what exists by now.
    pub fn write_texts(&mut self) {
        self.texts = self.plan.steps.iter().map(|step| StepText::of(step, &self.outputs)).collect();
    }

    pub fn step_at(&self, id: &str) -> Option<usize> {
        self.plan.steps.iter().position(|step| step.id.as_str() == id)
    }
}
