//! The path as it is drawn: what the packet meets, walked on past every cause.

use super::Draft;
use crate::reach::trace::{Component, Decision, Direction};
use crate::reach::{Cause, Disposition, Evidence, Finding, Hop, Severity, Trace};

impl Draft<'_> {
    /// Each stretch as it was walked: up to the first cause in the world as it is, from there to the next in the world
    /// without the first, and so on. Findings that no walk can see are marked where they act.
    pub(super) fn path(&self, last: &Trace, disposition: Disposition) -> Vec<Hop> {
        let mut path: Vec<Hop> = Vec::new();
        let mut from = 0;
        let mut walks = self.stopped.iter().chain(std::iter::once(&last.hops)).peekable();
        while let Some(hops) = walks.next() {
            // A walk may be stopped earlier than the one before it.
            path.extend(hops.iter().skip(from.min(hops.len().saturating_sub(1))).cloned());
            let (Some(denied), Some(next)) = (hops.last(), walks.peek()) else { break };
            // The mended hop lets the same packet pass, and is not told twice. Where a host was mended that something
            // behind it noticed, the walk goes on with what that was.
            let at = hops.len().saturating_sub(1);
            let same = |hop: &Hop| hop.component == denied.component && hop.direction == denied.direction;
            from = if next.get(at).is_some_and(same) { at + 1 } else { at };
        }
        path.dedup();
        let assumed = |hop: &&mut Hop| {
            hop.component == Component::NatHost
                && hop.decision != Decision::Denied
                && self.assumed.iter().any(|id| hop.resource_id.as_ref() == Some(&id.into()))
        };
        for hop in path.iter_mut().filter(assumed) {
            hop.decision = Decision::Unknown;
            hop.detail = format!("{}; whether it is so cannot be seen", hop.detail);
        }
        for finding in self.findings.iter().filter(|finding| finding.severity == Severity::Breaks) {
            mark(&mut path, finding, disposition);
        }
        path
    }
}

/// Marks what no walk can see: names that do not resolve, a table that is full.
fn mark(path: &mut Vec<Hop>, finding: &Finding, disposition: Disposition) {
    let client = matches!(finding.cause, Cause::ClientDns | Cause::ClientProxyOrFirewall | Cause::ClientPortsExhausted);
    let told = path.iter().any(|hop| hop.detail == finding.summary);
    let stopped = path.iter().any(|hop| hop.decision == Decision::Denied);
    if told || disposition == Disposition::Delivered || (stopped && !client) {
        return;
    }
    let decision = if finding.is_guess() { Decision::Unknown } else { Decision::Denied };
    let hop = |component, evidence: &[Evidence]| Hop {
        component,
        resource_id: finding.resource_id.clone(),
        direction: Direction::Forward,
        decision,
        detail: finding.summary.clone(),
        evidence: evidence.to_vec(),
        code: Some(finding.code),
    };
    if client {
        path.insert(1.min(path.len()), hop(Component::Instance, &finding.evidence));
        return;
    }
    let acts = |hop: &&mut Hop| hop.component == Component::NatHost && hop.resource_id == finding.resource_id;
    if let Some(host) = path.iter_mut().find(acts)
        && host.decision != Decision::Unknown
    {
        *host = hop(Component::NatHost, &finding.evidence);
    }
}
