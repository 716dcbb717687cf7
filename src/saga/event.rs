//! What the engine tells while it runs, and how a run ends. Plain data.

use std::sync::Arc;

/// Something happened. For the console and for progress lines; `O` is the action's output.
#[derive(Debug, Clone, PartialEq)]
pub enum Event<O> {
    /// The step is being applied (or, after a crash, checked first).
    StepStarted {
        id: String,
    },
    /// The step is done.
    StepSucceeded {
        id: String,
        output: O,
    },
    /// The step failed. `error` is the whole chain of causes on one line.
    StepFailed {
        id: String,
        error: String,
    },
    /// The action says what it waits for.
    Progress {
        id: String,
        text: String,
    },
    /// The step is being taken back.
    UndoStarted {
        id: String,
    },
    Undone {
        id: String,
    },
    UndoFailed {
        id: String,
        error: String,
    },
    /// A stop was asked for: what runs is allowed to end, nothing more is started.
    Stopping,
}

/// How far to go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RunMode {
    /// The next step in the order of the list.
    One,
    /// Everything, independent steps at once.
    All,
    /// This step and all that it needs, and nothing else.
    Until(String),
}

/// Where one node stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NodeState {
    /// It existed before: never applied, never undone.
    Given,
    /// Not begun, or taken back.
    Waiting,
    /// Being applied; or, when nothing runs, begun by a process that ended before the answer: it will be checked.
    Started,
    Succeeded,
    /// The error, as one line.
    Failed(String),
    /// Being taken back; or begun to be, by a process that ended.
    Undoing,
    /// The error, as one line.
    UndoFailed(String),
}

impl NodeState {
    /// Whether what waits for it may start.
    pub fn is_done(&self) -> bool {
        matches!(self, Self::Given | Self::Succeeded)
    }
}

/// One step that failed.
#[derive(Debug, Clone)]
pub struct Failure<E> {
    pub id: String,
    pub error: Arc<E>,
}

/// How a run ended. What can be done next: after `Paused` and `Stopped` run again; after `Failed` run again (the
/// failed steps are checked and applied with the same token) or undo.
#[derive(Debug, Clone)]
pub enum Outcome<E> {
    /// Every step is done.
    Finished,
    /// What was asked for is done, and steps remain: the next one.
    Paused { next: String },
    /// A stop was asked for.
    Stopped,
    /// These failed. What did not depend on them was still run.
    Failed { failures: Vec<Failure<E>> },
    /// Everything that this saga made is taken back.
    Undone,
    /// What was asked to be taken back is; other steps of this saga are still done.
    PartlyUndone { id: String },
}
