//! The incident report: everything a diagnosis was made from, kept in a file that people read, share and ask again
//! later, without AWS.
//!
//! [`Incident`] is the data, [`markdown`] what an on-call engineer pastes into a channel (with the data at its end),
//! [`redact`] takes out what outsiders should not see, [`save`] and [`open`] are the way to the disk and back.

mod cells;
mod file;
mod json;
mod markdown;
mod redact;
mod sections;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Looked, Question, choose};
use crate::model::{ApiCall, Identity, Network, ResourceId, Unknown};
use crate::plan::Repair;
use crate::plan::repair::Change;
use crate::reach::audit::{Asked, ClientFacts, ClientLook};
use crate::reach::{self, Cause, Diagnosis, Disposition, Finding, Observations, Role};

pub use file::{Opened, ReadError, SaveError, Saving, check_place, open, save};
pub use markdown::markdown;
pub use redact::{Key, RedactError, redact};

/// The version of the data that this natdeck writes. It reads this one and those before it.
pub const VERSION: u32 = 1;

/// What was asked, seen, done and answered. Serialises to one JSON document and back to the same.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Incident {
    /// Of this document: [`VERSION`].
    pub version: u32,
    /// Which natdeck wrote it.
    pub natdeck: String,
    /// When the look was complete. Ages are counted up to here.
    pub at: Timestamp,
    /// Whether account numbers and addresses are stand-ins.
    pub redacted: bool,
    pub identity: Identity,
    pub question: Question,
    pub network: Network,
    /// What the hosts said.
    pub looked: Looked,
    /// The repairs that were tried after that, in order.
    pub repairs: Vec<Repaired>,
    /// What was seen after the last repair. `None`: nothing was repaired.
    pub after: Option<Look>,
    /// When the repairs were interrupted: nothing more was tried or looked at. `None`: they came to their end.
    #[serde(default)]
    pub interrupted_at: Option<Timestamp>,
    /// The API calls of the run, oldest first.
    pub calls: Vec<ApiCall>,
}

/// One look at everything.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Look {
    /// When it was complete.
    pub at: Timestamp,
    pub network: Network,
    pub looked: Looked,
}

/// A repair that was tried.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Repaired {
    pub cause: Cause,
    pub resource_id: Option<ResourceId>,
    pub title: String,
    pub changes: Vec<Change>,
    pub commands: Vec<String>,
    pub caution: Option<String>,
    /// When it ended.
    pub at: Timestamp,
    /// `None`: it came to its end. Otherwise why not.
    pub failure: Option<String>,
}

impl Repaired {
    pub fn new(finding: &Finding, repair: &Repair, at: Timestamp, failure: Option<String>) -> Self {
        Self {
            cause: finding.cause,
            resource_id: finding.resource_id.clone(),
            title: repair.title.clone(),
            changes: repair.changes.clone(),
            commands: repair.commands.clone(),
            caution: repair.caution.clone(),
            at,
            failure,
        }
    }
}

impl Incident {
    /// What was asked and seen, before anything was repaired.
    pub fn new(identity: Identity, question: Question, look: Look, calls: Vec<ApiCall>) -> Self {
        Self {
            version: VERSION,
            natdeck: env!("CARGO_PKG_VERSION").to_owned(),
            at: look.at,
            redacted: false,
            identity,
            question,
            network: look.network,
            looked: look.looked,
            repairs: Vec::new(),
            after: None,
            interrupted_at: None,
            calls,
        }
    }

    /// The answer, from the data alone.
    pub fn diagnosis(&self) -> Diagnosis {
        reach::diagnose(&self.network, &self.looked.hosts, &self.question.flow, &self.looked.observations)
    }

    /// The same world with another question.
    pub fn about(&self, question: Question) -> Self {
        if question == self.question {
            return self.clone();
        }
        let (_, looked) = self.ask(&question);
        Self { question, looked, repairs: Vec::new(), after: None, interrupted_at: None, ..self.clone() }
    }

    /// What was asked, as an audit of all instances takes it.
    pub fn asked(&self) -> Asked {
        let Looked { hosts, observations } = &self.looked;
        let id = &self.question.flow.instance_id;
        let egress = self.question == Question::egress(id.clone());
        let look = observations.test.clone().filter(|_| egress).map(|test| {
            let facts = hosts.get(id).zip(observations.health.get(id.as_str()));
            let facts = facts.map(|(host, health)| ClientFacts { host: host.clone(), health: health.clone() });
            (id.clone(), ClientLook { test, facts })
        });
        let mut asked =
            Asked { hosts: hosts.clone(), health: observations.health.clone(), clients: look.into_iter().collect() };
        // Its own kernel is on nobody's way, unless it is a NAT itself.
        let chosen = choose(&self.network, std::slice::from_ref(id), None);
        if !chosen.is_ok_and(|chosen| chosen.iter().any(|one| one.role == Role::Nat)) {
            asked.hosts.remove(id);
            asked.health.remove(id.as_str());
        }
        asked
    }

    /// What was seen after the last repair, in place of what was seen before the first. `None`: nothing was repaired, or
    /// nobody looked afterwards.
    pub fn afterwards(self) -> Option<Self> {
        let Look { at, network, looked } = self.after?;
        Some(Self { at, network, looked, repairs: Vec::new(), after: None, interrupted_at: None, ..self })
    }

    /// The answer after the repairs.
    pub fn diagnosis_after(&self) -> Option<Diagnosis> {
        let after = self.after.as_ref()?;
        let Looked { hosts, observations } = &after.looked;
        Some(reach::diagnose(&after.network, hosts, &self.question.flow, observations))
    }

    /// The answer to a question that may be another than the one that was asked, and what it rests on. Nothing is sent:
    /// without the packet test of that very question, that packets get through cannot be told.
    pub fn ask(&self, question: &Question) -> (Diagnosis, Looked) {
        if *question == self.question {
            return (self.diagnosis(), self.looked.clone());
        }
        let Looked { hosts, observations } = &self.looked;
        let observations = Observations { test: None, health: observations.health.clone() };
        let mut diagnosis = reach::diagnose(&self.network, hosts, &question.flow, &observations);
        if diagnosis.disposition == Disposition::Delivered {
            diagnosis.disposition = Disposition::InsufficientInformation;
        }
        let asked = &self.question.flow;
        let reason = format!(
            "none was made when the snapshot was taken; it is of {} to {} port {}",
            asked.instance_id, asked.destination, asked.destination_port
        );
        diagnosis.unknown.insert(0, Unknown::new("the packet test", reason));
        (diagnosis, Looked { hosts: hosts.clone(), observations })
    }
}

/// What a report is called when nobody says: `natdeck-i-0a1b2c3d-20261124T113843Z.md`.
pub fn file_name(incident: &Incident) -> String {
    let at = incident.after.as_ref().map_or(incident.at, |after| after.at).strftime("%Y%m%dT%H%M%SZ");
    let redacted = if incident.redacted { "-redacted" } else { "" };
    format!("natdeck-{}-{at}{redacted}.md", incident.question.flow.instance_id)
}
