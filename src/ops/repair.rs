//! A repair carried out: a saga of its own, locked and journalled like any other change.

use std::path::Path;

use super::change::{Change, ChangeError};
use crate::aws::Session;
use crate::model::Network;
use crate::plan::{Plan, PlanKind, Repair};
use crate::reach::Finding;

/// Whose lock and journal a repair takes: the stack of what it touches, so that no apply runs meanwhile. What belongs to
/// no stack is repaired under a name of its own.
pub fn stack_of(network: &Network, finding: &Finding) -> String {
    let subject = &finding.subject;
    let of_instance = || {
        let id = subject.instance_id.as_ref()?;
        network.instances.shown().get(id.as_str())?.tags.stack()
    };
    let of_table = || {
        let id = subject.route_table_id.as_ref()?;
        network.route_tables.shown().get(id.as_str())?.tags.stack()
    };
    let of_vpc = || {
        let id = subject.vpc_id.as_ref()?;
        network.vpcs.shown().get(id.as_str())?.tags.stack()
    };
    of_instance().or_else(of_table).or_else(of_vpc).unwrap_or("repair").to_owned()
}

/// As [`begin_repair_plan`], with the plan of `repair`.
pub fn begin_repair(session: &Session, journals: &Path, stack: &str, repair: &Repair) -> Result<Change, ChangeError> {
    begin_repair_plan(session, journals, &repair.plan(stack))
}

/// Begins a repair. One that was begun and never ended is given up first: what it did shows in the next diagnosis.
pub fn begin_repair_plan(session: &Session, journals: &Path, plan: &Plan) -> Result<Change, ChangeError> {
    if let Some(unfinished) = Change::resume(session, journals, &plan.stack, PlanKind::Repair)? {
        unfinished.abandon()?;
    }
    Change::begin(session, journals, plan)
}
