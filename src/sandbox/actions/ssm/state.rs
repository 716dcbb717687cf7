//! What SSM stores.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::associations::Association;
use super::content::Step;
use super::documents::Document;
use super::parameters::Parameter;
use crate::model::InstanceId;
use crate::sandbox::host::Output;

/// SSM's state in one region.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Ssm {
    /// Instances whose agent has ever been heard of.
    pub agents: BTreeMap<InstanceId, Agent>,
    /// Instances whose agent is online and takes no commands.
    #[serde(default)]
    pub deaf: BTreeSet<InstanceId>,
    /// By command ID.
    pub commands: BTreeMap<String, Command>,
    /// The account's own parameters, by name.
    #[serde(default)]
    pub parameters: BTreeMap<String, Parameter>,
    /// The account's own documents, by name.
    #[serde(default)]
    pub documents: BTreeMap<String, Document>,
    /// By association ID.
    #[serde(default)]
    pub associations: BTreeMap<String, Association>,
    /// When the world last changed in a way that agents may notice. `None`: not since they were last looked at.
    pub touched_at: Option<Timestamp>,
    /// Whether every agent is as it can be, until the world is touched again.
    pub settled: bool,
    /// How much of a script's simulated time really passes before its command ends. Small, so that nobody waits ten
    /// seconds for a simulated `curl` to time out. What commands report is not scaled.
    pub time_scale: f64,
}

impl Default for Ssm {
    fn default() -> Self {
        Self {
            agents: BTreeMap::new(),
            deaf: BTreeSet::new(),
            commands: BTreeMap::new(),
            parameters: BTreeMap::new(),
            documents: BTreeMap::new(),
            associations: BTreeMap::new(),
            touched_at: None,
            settled: false,
            time_scale: 0.02,
        }
    }
}

impl Ssm {
    /// How long this much simulated time really takes.
    pub(super) fn scaled(&self, simulated: Duration) -> Duration {
        Duration::try_from_secs_f64(simulated.as_secs_f64() * self.time_scale).unwrap_or(simulated)
    }
}

/// The agent on one instance, as SSM sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Agent {
    pub online: bool,
    /// Since when it is online, or was last heard.
    pub since: Timestamp,
    /// `None`: it has never been online, so that SSM does not list it.
    pub registered_at: Option<Timestamp>,
    /// Since when it could be online and is not, or the reverse. `None`: it is as it can be.
    pub changing_since: Option<Timestamp>,
}

/// One SendCommand.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Command {
    pub command_id: String,
    pub document_name: String,
    /// As the client sent it, `$DEFAULT` unless it did.
    pub document_version: String,
    pub comment: String,
    /// As the client sent them.
    pub parameters: Value,
    pub instance_ids: Vec<String>,
    pub targets: Value,
    pub requested_at: Timestamp,
    /// Bounds the delivery, in seconds.
    pub timeout_s: u64,
    pub max_concurrency: String,
    pub max_errors: String,
    /// What the hosts run, in order.
    pub steps: Vec<Step>,
    /// The association that sent it. Such commands are not listed.
    pub association_id: Option<String>,
    pub invocations: BTreeMap<InstanceId, Invocation>,
}

/// One command on one instance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Invocation {
    /// The instance's `Name` tag at the time, or nothing.
    pub instance_name: String,
    pub progress: Progress,
}

/// How far an invocation is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Progress {
    /// Not delivered before this time.
    Waiting {
        until: Timestamp,
    },
    /// The host has run it; SSM learns of it at `ends_at`.
    Running {
        started_at: Timestamp,
        ends_at: Timestamp,
        steps: Vec<StepResult>,
    },
    Ended(Ended),
}

/// The end of an invocation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    pub outcome: Outcome,
    /// `None`: it never started.
    pub started_at: Option<Timestamp>,
    pub ended_at: Timestamp,
    /// One for each step of the command; none when it never started.
    pub steps: Vec<StepResult>,
}

/// What became of one step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepResult {
    pub name: String,
    pub outcome: Outcome,
    /// From the start of the invocation to that of the step, in simulated time.
    pub starts_after: Duration,
    /// As the agent reports it.
    pub output: Output,
}

/// How an invocation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    Success,
    Failed,
    Cancelled,
    DeliveryTimedOut,
    ExecutionTimedOut,
    Undeliverable,
    /// Not sent, since too many others had failed.
    Terminated,
}

impl Outcome {
    pub(super) fn status(self) -> &'static str {
        match self {
            Self::Success => "Success",
            Self::Failed | Self::Undeliverable => "Failed",
            Self::Cancelled | Self::Terminated => "Cancelled",
            Self::DeliveryTimedOut | Self::ExecutionTimedOut => "TimedOut",
        }
    }

    pub(super) fn details(self) -> &'static str {
        match self {
            Self::Success => "Success",
            Self::Failed => "Failed",
            Self::Cancelled => "Cancelled",
            Self::DeliveryTimedOut => "Delivery Timed Out",
            Self::ExecutionTimedOut => "Execution Timed Out",
            Self::Undeliverable => "Undeliverable",
            Self::Terminated => "Terminated",
        }
    }
}

impl Invocation {
    pub(super) fn status(&self) -> &'static str {
        match &self.progress {
            Progress::Waiting { .. } => "Pending",
            Progress::Running { .. } => "InProgress",
            Progress::Ended(ended) => ended.outcome.status(),
        }
    }

    pub(super) fn details(&self) -> &'static str {
        match &self.progress {
            Progress::Waiting { .. } => "Pending",
            Progress::Running { .. } => "In Progress",
            Progress::Ended(ended) => ended.outcome.details(),
        }
    }

    /// The steps that have ended, with what they did; none before the invocation has ended.
    pub(super) fn results(&self) -> &[StepResult] {
        match &self.progress {
            Progress::Ended(ended) => &ended.steps,
            Progress::Waiting { .. } | Progress::Running { .. } => &[],
        }
    }

    /// -1 until it has ended by itself. With several steps, the worst of theirs.
    pub(super) fn response_code(&self) -> i32 {
        let Progress::Ended(ended) = &self.progress else { return -1 };
        match ended.outcome {
            Outcome::Success | Outcome::Failed => {
                let codes = ended.steps.iter().map(StepResult::response_code);
                codes.max_by_key(|code| i32::from(*code != 0)).unwrap_or(0)
            }
            Outcome::Cancelled | Outcome::ExecutionTimedOut if ended.started_at.is_some() => 137,
            _ => -1,
        }
    }
}

impl StepResult {
    pub(super) fn response_code(&self) -> i32 {
        match self.outcome {
            Outcome::Success | Outcome::Failed => self.output.exit_code,
            Outcome::Cancelled | Outcome::ExecutionTimedOut => 137,
            _ => -1,
        }
    }
}

impl Command {
    /// The status of the command as a whole, with its details.
    pub(super) fn status(&self) -> (&'static str, &'static str) {
        let all: Vec<&Invocation> = self.invocations.values().collect();
        if all.is_empty() {
            return ("Success", "NoInstancesInTag");
        }
        if all.iter().all(|invocation| matches!(invocation.progress, Progress::Waiting { .. })) {
            return ("Pending", "Pending");
        }
        let outcomes: Option<Vec<Outcome>> = all
            .iter()
            .map(|invocation| match &invocation.progress {
                Progress::Ended(ended) => Some(ended.outcome),
                Progress::Waiting { .. } | Progress::Running { .. } => None,
            })
            .collect();
        let Some(outcomes) = outcomes else { return ("InProgress", "In Progress") };
        let outcome = worst(outcomes);
        (outcome.status(), outcome.details())
    }

    /// How many may be under way at once.
    pub(super) fn concurrency(&self) -> usize {
        portion(&self.max_concurrency, self.invocations.len()).max(1)
    }

    /// After how many errors no more are sent.
    pub(super) fn errors_allowed(&self) -> usize {
        portion(&self.max_errors, self.invocations.len())
    }

    /// Bounds all steps together, in seconds.
    pub(super) fn execution_timeout_s(&self) -> u64 {
        self.steps.iter().map(|step| step.timeout_s).fold(0, u64::saturating_add)
    }
}

/// `50`, or `10%` of so many.
fn portion(text: &str, of: usize) -> usize {
    match text.strip_suffix('%') {
        Some(percent) => percent.parse::<usize>().map_or(0, |percent| of.saturating_mul(percent) / 100),
        None => text.parse().unwrap_or(0),
    }
}

/// What several outcomes come to together.
pub(super) fn worst(outcomes: impl IntoIterator<Item = Outcome>) -> Outcome {
    let outcomes: Vec<Outcome> = outcomes.into_iter().collect();
    let order = [
        Outcome::ExecutionTimedOut,
        Outcome::Failed,
        Outcome::Undeliverable,
        Outcome::DeliveryTimedOut,
        Outcome::Terminated,
        Outcome::Cancelled,
    ];
    order.into_iter().find(|outcome| outcomes.contains(outcome)).unwrap_or(Outcome::Success)
}
