//! The lines of the journal.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Node;

/// One line of the journal: a JSON object whose `record` says which.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "record", rename_all = "snake_case")]
pub enum Record<S, O> {
    /// The first line: all that is going to be done, so that a resume leaves nothing to choose.
    Begin {
        /// The journal's format: 1.
        version: u32,
        /// `natdeck-provision`.
        saga: String,
        at: Timestamp,
        nodes: Vec<Node<S, O>>,
    },
    /// About to be applied. Written before the call.
    Started {
        id: String,
        token: String,
        at: Timestamp,
    },
    Succeeded {
        id: String,
        output: O,
        at: Timestamp,
    },
    /// `error` is the chain of causes on one line.
    Failed {
        id: String,
        error: String,
        at: Timestamp,
    },
    /// About to be taken back. Written before the call.
    UndoStarted {
        id: String,
        at: Timestamp,
    },
    Undone {
        id: String,
        at: Timestamp,
    },
    UndoFailed {
        id: String,
        error: String,
        at: Timestamp,
    },
    /// The last line: nothing follows, and the file is put aside.
    End {
        ending: Ending,
        at: Timestamp,
    },
}

/// How a saga was closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// Every node is done.
    Finished,
    /// Every node is taken back, or none was ever begun.
    Undone,
    /// Given up: a new plan is made from what exists.
    Abandoned,
}
