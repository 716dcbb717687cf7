//! What to change: from what was asked for and what exists to a list of typed steps. Pure: no network, clock or
//! file; the same input gives the same plan.
//!
//! [`Spec`] says what is wanted, [`Step`] is one effect on AWS as data, and a [`Plan`] is a list of steps in an order
//! that may be followed from top to bottom. Whoever runs a plan has no choice left to make. [`provision`] and
//! [`teardown`] make plans.

pub mod answer;
mod call;
mod cli;
mod cost;
mod marks;
mod output;
mod provision;
pub mod repair;
mod spec;
mod step;
mod teardown;
mod terraform;

use ipnet::Ipv4Net;

pub use call::{Call, IngressRule, Launch, RouteVia, RulePeer, VpcAttribute};
pub use cost::{Cost, CostLine, cost};
pub use marks::Mark;
pub use output::{Output, Outputs, Produced, Ref, StepId, Unresolved};
pub use provision::{Inputs, PlanError, provision};
pub use repair::{Repair, RepairCall};
pub use spec::{Architecture, ImageSource, Spec, SpecError, SpecFileError, Topology};
pub use step::{Blocker, Plan, PlanKind, Step, StepState};
pub use teardown::{blockers_of, teardown};

/// The boot script of a NAT instance, for this many interfaces. Ends with an error unless the host masquerades.
pub fn user_data(topology: Topology) -> String {
    const SCRIPT: &str = include_str!("../../assets/user-data.sh");
    SCRIPT.replacen("NATDECK_INTERFACES=2", &format!("NATDECK_INTERFACES={}", topology.interfaces()), 1)
}

/// Who may assume the instances' role: EC2, on their behalf. JSON.
pub fn trust_policy() -> &'static str {
    include_str!("../../assets/instance-trust-policy.json")
}

/// `0.0.0.0/0`.
pub(crate) fn default_destination() -> Ipv4Net {
    Ipv4Net::default()
}
