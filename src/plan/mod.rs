//! What to change: from what was asked for and what exists to a list of typed steps. Pure: no network, clock or
//! file; the same input gives the same plan.
//!
//! [`Spec`] says what is wanted, [`Step`] is one effect on AWS as data, and a [`Plan`] is a list of steps in an order
//! that may be followed from top to bottom. Whoever runs a plan has no choice left to make.

mod call;
mod output;
mod spec;
mod step;

pub use call::{Call, IngressRule, Launch, RouteVia, RulePeer, Settle, VpcAttribute};
pub use output::{Output, Outputs, Produced, Ref, StepId, Unresolved};
pub use spec::{Architecture, ImageSource, Spec, SpecError, SpecFileError, Topology};
pub use step::{Blocker, Plan, PlanKind, Step, StepState};
