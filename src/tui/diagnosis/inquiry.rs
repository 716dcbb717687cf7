//! What the console remembers of a diagnosis: who it is about, what is being asked, where the person looks, and what
//! became of a repair. Pure data.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::{Diagnosed, Story, Tried};
use crate::model::InstanceId;
use crate::plan::Repair;
use crate::reach::{Finding, FindingKey};
use crate::tui::effect::{Generation, WalkDepth};
use crate::tui::message::Failure;
use crate::tui::model::{Focus, Pane};

/// The Diagnosis pane.
#[derive(Debug, Default)]
pub struct Inquiry {
    /// Whom it is about. `None`: nobody yet.
    pub about: Option<InstanceId>,
    /// The newest answer, kept while a newer one is awaited.
    pub answer: Option<Box<Diagnosed>>,
    /// The question that what is known already answers.
    pub quick: Option<Generation>,
    pub asking: Asking,
    /// Why there is no answer, or no newer one.
    pub failure: Option<Failure>,
    /// The finding that keys act on.
    pub cursor: usize,
    /// The findings whose evidence is shown.
    pub open: BTreeSet<FindingKey>,
    /// The first line of the body that is shown.
    pub top: usize,
    pub path: PathForm,
    /// Where the person came from, and goes back to.
    pub from: Option<(Focus, Pane)>,
    pub aftermath: Aftermath,
    /// The answer before the first repair, where one was tried.
    pub first: Option<Box<Diagnosed>>,
    /// What was tried.
    pub tried: Vec<Tried>,
}

/// What is under way.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Asking {
    #[default]
    Nothing,
    /// A new snapshot; the hosts are asked as soon as it is there.
    Look { since: Timestamp },
    /// The hosts.
    Hosts { generation: Generation, since: Timestamp },
}

impl Asking {
    pub fn since(&self) -> Option<Timestamp> {
        match self {
            Self::Nothing => None,
            Self::Look { since } | Self::Hosts { since, .. } => Some(*since),
        }
    }
}

/// How much of the path is shown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum PathForm {
    /// As much as there is room for.
    #[default]
    Fitting,
    /// What passes as a chain of marks; what does not in full.
    Chain,
    /// A line for each hop that passes.
    Lines,
    /// Every word.
    Full,
}

/// What came of a repair.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Aftermath {
    #[default]
    None,
    /// It runs: how far, the Steps pane's session knows.
    Repairing(Box<Attempt>),
    /// It ran, and whether it helped is being seen. `next`: when to look again, while nothing is asked.
    Looking { of: FindingKey, looks: u32, next: Option<Timestamp> },
    /// It ended without having run to its end. It may be tried again.
    Failed { attempt: Box<Attempt>, failure: Failure },
    /// What is to be said of it. `true`: it helped.
    Told { well: bool, text: String },
}

/// A repair of a finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    pub of: FindingKey,
    pub finding: Finding,
    pub repair: Repair,
}

impl Inquiry {
    /// The finding that keys act on.
    pub fn selected(&self) -> Option<&Finding> {
        self.answer.as_ref()?.diagnosis.findings.get(self.cursor)
    }

    pub fn findings(&self) -> usize {
        self.answer.as_ref().map_or(0, |answer| answer.diagnosis.findings.len())
    }

    /// Takes a newer answer; the person goes on looking at the same finding where it is still there.
    pub fn take(&mut self, answer: Box<Diagnosed>) {
        let looked_at = self.selected().map(FindingKey::of);
        let findings = &answer.diagnosis.findings;
        let again = looked_at.and_then(|key| findings.iter().position(|finding| FindingKey::of(finding) == key));
        self.cursor = again.unwrap_or(0);
        self.failure = None;
        self.answer = Some(answer);
    }

    /// Everything since it was first asked about this instance. `None`: there is no full answer yet.
    pub fn story(&self) -> Option<Story> {
        let newest = self.answer.as_ref().filter(|answer| answer.depth == WalkDepth::AskHosts);
        let Some(first) = &self.first else {
            return Some(Story { first: newest?.clone(), tried: Vec::new(), after: None });
        };
        let repaired_at = self.tried.last().map(|tried| tried.at);
        let after = newest.filter(|answer| repaired_at.is_some_and(|at| answer.at >= at)).cloned();
        Some(Story { first: first.clone(), tried: self.tried.clone(), after })
    }

    /// Whether a newer answer of this finding's repair is awaited or it runs.
    pub fn is_repairing(&self) -> bool {
        matches!(self.aftermath, Aftermath::Repairing(_) | Aftermath::Looking { .. })
    }
}
