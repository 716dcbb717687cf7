//! What puts a finding right: one change, said in full before it is made. Pure.
//!
//! A repair touches only what the finding names, is scoped to the private subnet and the port in question, and says in
//! words when it lets in or out more than that. Where the snapshot does not say enough, there is none.

mod call;
mod host;
#[cfg(test)]
mod tests;
mod vpc;

use serde::{Deserialize, Serialize};

pub use call::RepairCall;
pub(super) use call::direction_flag;

use super::{Call, Output, Outputs, Plan, PlanKind, Step, StepId, StepState};
use crate::model::{Network, Tags};
use crate::reach::{Cause, Finding, Place, Severity};

/// As often the world is looked at again after a repair before it is said not to have helped: AWS's describes lag, and
/// agents come back late.
pub const LOOKS_AFTER: u32 = 4;

/// What would be different afterwards.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// The resource and its field: `rtb-… 0.0.0.0/0`.
    pub what: String,
    pub before: String,
    pub after: String,
}

/// How one finding is put right.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Repair {
    pub cause: Cause,
    /// `Point 0.0.0.0/0 of rtb-… at eni-…`.
    pub title: String,
    pub changes: Vec<Change>,
    /// One as a rule; two where something has to be made first.
    pub steps: Vec<Step>,
    /// The same by hand: aws CLI lines, or commands on the host.
    pub commands: Vec<String>,
    /// What to know before agreeing: what passes afterwards that is more than the packets in question ("widens …"), or
    /// what else loses something by it.
    pub caution: Option<String>,
}

/// The repair of a finding. `None`: natdeck has none, or is not sure what to change.
pub fn repair(finding: &Finding, network: &Network) -> Option<Repair> {
    if finding.is_guess() || !finding.cause.repairable() {
        return None;
    }
    vpc::repair(finding, network).or_else(|| host::repair(finding, network))
}

/// Which finding to repair next, and how: what stops packets first, in the order of the path, then the warnings. What has
/// to download something on the NAT host waits for what keeps the host itself from the internet.
pub fn next<'a>(
    findings: &'a [Finding],
    network: &Network,
    skip: impl Fn(&Finding) -> bool,
) -> Option<(&'a Finding, Repair)> {
    let downloads = findings.iter().any(|finding| is_download(finding.cause));
    // Where a person has to let the host out first, a download would only fail.
    let held = findings
        .iter()
        .any(|f| keeps_host_in(f.cause) && f.severity == Severity::Breaks && repair(f, network).is_none());
    let mut waiting: Vec<&Finding> = findings.iter().filter(|finding| !skip(finding)).collect();
    waiting.retain(|finding| !(downloads && held && rank(finding.cause) > 0));
    waiting.sort_by_key(|finding| (finding.severity, if downloads { rank(finding.cause) } else { 0 }));
    waiting.into_iter().find_map(|finding| Some((finding, repair(finding, network)?)))
}

fn is_download(cause: Cause) -> bool {
    matches!(cause, Cause::HostNoFirewallTool | Cause::HostUserDataFailed)
}

/// What keeps the NAT host itself from the internet.
fn keeps_host_in(cause: Cause) -> bool {
    matches!(
        cause,
        Cause::VpcBlockPublicAccess
            | Cause::NatSubnetNotPublic
            | Cause::IgwNotAttached
            | Cause::NoPublicAddress
            | Cause::AddressMoved
            | Cause::RepliesRedirected
            | Cause::NatEgressRule
            | Cause::AclNatEgress
            | Cause::AclReplyNatIngress
    )
}

/// Before or after a download, when one is needed.
fn rank(cause: Cause) -> u8 {
    match cause {
        Cause::HostDefaultRouteWrong | Cause::HostInterfaceDown | Cause::HostConntrackFull => 0,
        _ if is_download(cause) => 1,
        _ if cause.place() == Place::NatHost => 2,
        _ => 0,
    }
}

impl Repair {
    /// As a plan that the saga runs. `stack` is whose journal it is written to.
    pub fn plan(&self, stack: &str) -> Plan {
        Plan {
            stack: stack.to_owned(),
            kind: PlanKind::Repair,
            steps: self.steps.clone(),
            notes: self.caution.iter().cloned().collect(),
            blockers: Vec::new(),
        }
    }
}

/// A repair in the making.
struct Draft {
    title: String,
    changes: Vec<Change>,
    calls: Vec<Call>,
    caution: Option<String>,
    /// In place of the aws CLI lines.
    commands: Option<Vec<String>>,
}

impl Draft {
    fn one(title: String, change: Change, call: Call) -> Self {
        Self { title, changes: vec![change], calls: vec![call], caution: None, commands: None }
    }

    fn caution(mut self, caution: Option<String>) -> Self {
        self.caution = caution;
        self
    }

    fn finish(self, finding: &Finding) -> Repair {
        let mut steps: Vec<Step> = Vec::new();
        let count = self.calls.len();
        for (at, call) in self.calls.into_iter().enumerate() {
            let name = if count == 1 || at + 1 == count { "repair".to_owned() } else { format!("repair-{}", at + 1) };
            let waits_for = steps.iter().map(|step| step.id.clone()).collect();
            steps.push(Step {
                id: StepId::new(name),
                title: self.title.clone(),
                reason: finding.cause.explanation().to_owned(),
                call,
                waits_for,
                tags: Tags::default(),
                state: StepState::ToDo,
                output: None::<Output>,
            });
        }
        let lines = || steps.iter().map(|step| step.aws_cli(&Outputs::new())).collect();
        let commands = self.commands.unwrap_or_else(lines);
        Repair {
            cause: finding.cause,
            title: self.title,
            changes: self.changes,
            steps,
            commands,
            caution: self.caution,
        }
    }
}

fn change(what: impl Into<String>, before: impl Into<String>, after: impl Into<String>) -> Change {
    Change { what: what.into(), before: before.into(), after: after.into() }
}
