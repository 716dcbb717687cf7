//! The outcome of an egress check: what an instance really saw, against what its route promises. Pure data.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::model::InstanceId;

/// The four verdicts. "Cannot test" is neither passed nor failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The address seen outside is the one of the NAT that the instance's route points at.
    ViaNat,
    /// An address, but another than that of the NAT that is meant.
    OtherWayOut,
    /// The command ran and got nothing.
    NoEgress,
    /// SSM could not run it.
    CannotTest,
}

impl Verdict {
    /// For people: `via NAT`.
    pub fn label(self) -> &'static str {
        match self {
            Self::ViaNat => "via NAT",
            Self::OtherWayOut => "other way out",
            Self::NoEgress => "no egress",
            Self::CannotTest => "cannot test",
        }
    }

    /// For lists without colour.
    pub fn symbol(self) -> &'static str {
        match self {
            Self::ViaNat => "✓",
            Self::OtherWayOut => "≠",
            Self::NoEgress => "✗",
            Self::CannotTest => "?",
        }
    }
}

/// What instance plays which part in a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// A private instance: the question is asked for it.
    Client,
    /// A NAT host: it must get out by itself before it can let others out.
    Nat,
}

/// The result for one instance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EgressResult {
    pub instance_id: InstanceId,
    pub name: Option<String>,
    pub private_ip: Option<IpAddr>,
    pub role: Role,
    pub verdict: Verdict,
    /// The address that the outside saw.
    pub address: Option<IpAddr>,
    /// The public address of the way out that the instance's own route names, or of the NAT instance that it leads past.
    pub expected_address: Option<IpAddr>,
    /// How long the request took on the instance, as curl reports it.
    pub latency_ms: Option<u64>,
    /// The code of the cause: one of [`crate::reach::Code`], as text, when something is wrong.
    pub code: Option<String>,
    /// Why, for a person, when something is wrong.
    pub reason: Option<String>,
}

/// Progress of a running check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CheckProgress {
    /// These are asked now.
    Started { instance_ids: Vec<InstanceId> },
    /// One answer.
    Answered(Box<EgressResult>),
}
