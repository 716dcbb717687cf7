//! A diagnosis with everything that the console says and does about it. Plain data.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::Value;

use crate::model::host::Hosts;
use crate::model::{InstanceId, Network};
use crate::plan::answer::{self, Row};
use crate::plan::{Plan, Repair};
use crate::reach::{Diagnosis, Finding, Observations};
use crate::tui::effect::WalkDepth;

/// The answer to "why can it not get out", and what it was made from.
#[derive(Debug, Clone, PartialEq)]
pub struct Diagnosed {
    pub instance_id: InstanceId,
    /// Whether the hosts were asked for it.
    pub depth: WalkDepth,
    pub diagnosis: Diagnosis,
    /// For each finding, in their order: what would put it right.
    pub mends: Vec<Option<Mend>>,
    /// The snapshot, what the hosts said and what was tried: the diagnosis follows from these.
    pub network: Arc<Network>,
    pub hosts: Hosts,
    pub observations: Observations,
    /// When the last answer was there.
    pub at: Timestamp,
}

/// What goes into an incident report.
#[derive(Debug, Clone, PartialEq)]
pub struct Story {
    /// The answer before the first repair.
    pub first: Box<Diagnosed>,
    /// The repairs that were tried after that, in order.
    pub tried: Vec<Tried>,
    /// The newest answer after them. `None`: nothing was repaired, or nobody has looked since.
    pub after: Option<Box<Diagnosed>>,
}

/// A repair that was tried.
#[derive(Debug, Clone, PartialEq)]
pub struct Tried {
    pub finding: Finding,
    pub repair: Repair,
    /// When it ended.
    pub at: Timestamp,
    /// `None`: it came to its end. Otherwise why not.
    pub failure: Option<String>,
}

/// What would put a finding right.
#[derive(Debug, Clone, PartialEq)]
pub struct Mend {
    pub repair: Repair,
    /// Whose lock and journal it takes.
    pub stack: String,
}

impl Mend {
    /// As the saga runs it.
    pub fn plan(&self) -> Plan {
        self.repair.plan(&self.stack)
    }
}

impl Diagnosed {
    /// The verdict in one sentence.
    pub fn verdict(&self) -> String {
        answer::verdict(&self.instance_id, &self.diagnosis, &self.observations)
    }

    /// The document that `natdeck diagnose --output json` prints.
    pub fn json(&self) -> Value {
        let rows: Vec<Row<'_>> = (self.diagnosis.findings.iter().zip(&self.mends))
            .map(|(finding, mend)| Row { finding, repair: mend.as_ref().map(|mend| mend.repair.clone()) })
            .collect();
        answer::diagnose_json(&self.instance_id, &self.diagnosis, &rows, &self.observations)
    }

    /// A finding and what would put it right.
    pub fn row(&self, at: usize) -> Option<(&Finding, Option<&Mend>)> {
        let finding = self.diagnosis.findings.get(at)?;
        Some((finding, self.mends.get(at).and_then(Option::as_ref)))
    }

    /// Whether packets leave as they were meant to.
    pub fn is_well(&self) -> bool {
        self.diagnosis.is_well()
    }
}
