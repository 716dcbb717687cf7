//! What `update` asks the runtime to do. Plain data: nothing here runs.

use std::sync::Arc;

use crate::model::{InstanceId, Network};
use crate::plan::Plan;
use crate::reach::Cause;
use crate::saga::RunMode;

use super::diagnosis::Story;

/// Numbers questions, so that a late answer to an older one is told from the answer to the newest.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Generation(pub u64);

/// How far a walk may go for facts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WalkDepth {
    /// With what is known: sends nothing.
    Known,
    /// Asks the hosts on the way through SSM.
    AskHosts,
}

/// Something to do outside.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    Identify,
    Observe {
        generation: Generation,
    },
    Walk {
        generation: Generation,
        network: Arc<Network>,
        instance_id: InstanceId,
        depth: WalkDepth,
    },
    /// Why an instance does not get out.
    Diagnose {
        generation: Generation,
        network: Arc<Network>,
        instance_id: InstanceId,
        depth: WalkDepth,
    },
    /// Keeps a diagnosis in a file.
    SaveReport {
        story: Box<Story>,
        redact: bool,
    },
    /// What can be broken on purpose.
    ListDrills {
        generation: Generation,
        instance_id: Option<InstanceId>,
    },
    /// Breaks egress on purpose by one of the causes: which one is left to chance.
    Break {
        generation: Generation,
        causes: Vec<Cause>,
        instance_id: Option<InstanceId>,
    },
    PlanProvision {
        generation: Generation,
        network: Option<Arc<Network>>,
    },
    /// `stack`: `None` lets the backend choose the one it was started for.
    PlanTeardown {
        generation: Generation,
        stack: Option<String>,
    },
    Run {
        generation: Generation,
        plan: Arc<Plan>,
        mode: RunMode,
    },
    /// Lets the running step end and starts no other.
    StopRun,
    UndoLast {
        generation: Generation,
        plan: Arc<Plan>,
    },
    Check {
        generation: Generation,
        network: Arc<Network>,
        instance_ids: Vec<InstanceId>,
    },
    /// To the terminal's clipboard (OSC 52).
    Copy {
        text: String,
    },
    Suspend,
    /// A shell on an instance has the terminal until it ends.
    Shell {
        instance_id: InstanceId,
    },
    Quit,
}
