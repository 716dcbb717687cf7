//! One step of a plan, and the plan. Pure data.

use serde::{Deserialize, Serialize};

use super::{Call, Output, Outputs, StepId};
use crate::model::{ResourceId, Tags};

/// Whether a step's effect is there already, in the snapshot that the plan was made from. What happens while a plan
/// runs is the saga's to say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepState {
    ToDo,
    Done,
}

/// One effect, with everything a person wants to know before agreeing to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    pub id: StepId,
    /// `Create the public subnet 10.8.1.0/24 in eu-central-1b`.
    pub title: String,
    /// Why, in one or two sentences.
    pub reason: String,
    pub call: Call,
    /// The steps that must be done first.
    pub waits_for: Vec<StepId>,
    /// What the made resource is tagged with: `natdeck:stack`, `natdeck:step`, `Name`. Empty where nothing is made.
    pub tags: Tags,
    pub state: StepState,
    /// What exists, for a step that is done.
    pub output: Option<Output>,
}

impl Step {
    /// AWS's name of the operation: `CreateVpc`.
    pub fn operation(&self) -> &'static str {
        self.call.operation()
    }

    /// Which of AWS's services answers: `ec2`, `iam` or `ssm`.
    pub fn service(&self) -> &'static str {
        self.call.service()
    }

    pub fn is_done(&self) -> bool {
        self.state == StepState::Done
    }
}

/// What a plan is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PlanKind {
    Provision,
    Teardown,
    /// Puts one finding right.
    Repair,
}

impl PlanKind {
    /// `provision`, `teardown`: part of the journal's file name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Provision => "provision",
            Self::Teardown => "teardown",
            Self::Repair => "repair",
        }
    }
}

/// Something that is not this stack's and keeps AWS from deleting what is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Blocker {
    /// What blocks: `eni-…`.
    pub resource: ResourceId,
    /// What cannot be deleted because of it: `subnet-…`.
    pub blocks: ResourceId,
    /// Why: `the interface eni-… ('bastion') lies in the subnet`.
    pub why: String,
    /// What the operator can do about it.
    pub next_move: String,
}

/// Steps in an order that can be followed from top to bottom.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    pub stack: String,
    pub kind: PlanKind,
    pub steps: Vec<Step>,
    /// What the operator should know and no step says: `the address is lost when the instance stops`.
    pub notes: Vec<String>,
    /// What will keep this plan from ending well. Only teardown has any.
    pub blockers: Vec<Blocker>,
}

impl Plan {
    /// The steps that remain.
    pub fn to_do(&self) -> impl Iterator<Item = &Step> {
        self.steps.iter().filter(|step| !step.is_done())
    }

    /// What exists already, by step.
    pub fn outputs(&self) -> Outputs {
        self.steps.iter().filter_map(|step| Some((step.id.as_str().to_owned(), step.output.clone()?))).collect()
    }

    /// Whether running it would change nothing.
    pub fn is_empty(&self) -> bool {
        !self.to_do().any(|step| step.call.changes())
    }

    pub fn step(&self, id: &StepId) -> Option<&Step> {
        self.steps.iter().find(|step| &step.id == id)
    }
}
