//! The Checks pane: the rows of an egress check, and whether it is repeated. Plain data.

use crate::model::InstanceId;
use crate::reach::history::Watch;
use crate::reach::{EgressResult, Verdict};
use crate::tui::effect::Generation;
use crate::tui::message::Failure;
use jiff::Timestamp;
use std::fmt;

/// The Checks pane.
#[derive(Debug, Default)]
pub struct Checks {
    /// In the order in which they were asked.
    pub rows: Vec<CheckRow>,
    pub cursor: usize,
    pub top: usize,
    pub asking: Option<(Generation, Timestamp)>,
    pub failure: Option<Failure>,
    /// To be asked as soon as the next snapshot is there, without taking the screen.
    pub queued: Vec<InstanceId>,
    /// Whether they are asked again and again.
    pub watching: Option<Watching>,
    /// What every check found, by instance.
    pub history: Watch,
}

/// Checks that are repeated until the person stops them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Watching {
    pub instance_ids: Vec<InstanceId>,
    /// When the round that is under way, or was last, was asked for.
    pub asked_at: Timestamp,
}

/// One instance that was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckRow {
    pub instance_id: InstanceId,
    /// `None`: no answer yet.
    pub result: Option<EgressResult>,
    pub answered_at: Option<Timestamp>,
    /// Something was changed after the answer: it tells how things were.
    pub outdated: bool,
}

impl Checks {
    /// The rows that nothing was changed after.
    pub fn current(&self) -> impl Iterator<Item = &CheckRow> {
        self.rows.iter().filter(|row| !row.outdated)
    }

    /// What came of the newest answers.
    pub fn count(&self) -> Count {
        let verdicts = || self.current().filter_map(|row| row.result.as_ref()).map(|result| result.verdict);
        let of = |wanted: Verdict| verdicts().filter(|verdict| *verdict == wanted).count();
        Count { via_nat: of(Verdict::ViaNat), cannot_test: of(Verdict::CannotTest), all: self.rows.len() }
    }

    /// The newest verdict on an instance.
    pub fn result_of(&self, id: &InstanceId) -> Option<&CheckRow> {
        self.rows.iter().find(|row| &row.instance_id == id)
    }
}

/// A check in a few words. What cannot be tested is neither passed nor failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Count {
    pub via_nat: usize,
    pub cannot_test: usize,
    pub all: usize,
}

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tested = self.all - self.cannot_test.min(self.all);
        match (tested, self.cannot_test) {
            (0, 1..) => write!(f, "none of {} can be tested", self.all),
            (_, 0) => write!(f, "{} of {} via NAT", self.via_nat, self.all),
            (_, cannot) => write!(f, "{} of {tested} via NAT, {cannot} cannot be tested", self.via_nat),
        }
    }
}
