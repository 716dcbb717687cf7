//! From a snapshot, hosts and what was tried to every cause on the way. Pure.
//!
//! One walk says what stops the packet now. The copy of the world is then mended and walked again, until the packet
//! passes or nothing can be mended, so that every cause on the path is named, there and back. What the packet test
//! showed outweighs the walk: a snapshot can be old or incomplete, a packet cannot.

mod elsewhere;
mod guesses;
mod names;
mod path;
mod ports;
mod signs;

use super::host::Ports;
use super::mend::{Mended, Mending};
use super::trace::{Component, Decision};
use super::walk::walk_on;
use super::{
    Cause, Certainty, Code, Diagnosis, Disposition, Evidence, Finding, Flow, Hop, Observations, PacketTest, Place,
    Severity, Subject, Trace,
};
use crate::model::host::HostFacts;
use crate::model::host_health::HostHealth;
use crate::model::{InstanceId, Network, ResourceId, RouteDestination, Unknown};

/// More causes than this on one path are not looked for.
const CAUSES_AT_MOST: usize = 32;

/// Why a flow does not get through, or that it does.
pub fn diagnose(network: &Network, hosts: &dyn HostFacts, flow: &Flow, observations: &Observations) -> Diagnosis {
    let mut draft = Draft {
        network,
        hosts,
        flow,
        observations,
        findings: Vec::new(),
        stopped: Vec::new(),
        unknown: Vec::new(),
        assumed: Vec::new(),
        names_unknown: false,
        ports: Vec::new(),
    };
    let (trace, last) = draft.walk_past_everything();
    draft.resolver(&trace);
    draft.elsewhere(&trace, &last);
    draft.host_signs(&last);
    draft.client_signs();
    draft.test_signs();
    draft.guess(&trace);
    draft.finish(trace, &last)
}

/// A diagnosis in the making.
struct Draft<'a> {
    network: &'a Network,
    hosts: &'a dyn HostFacts,
    flow: &'a Flow,
    observations: &'a Observations,
    /// In the order of the path; warnings anywhere.
    findings: Vec<Finding>,
    /// The hops of each walk that was stopped; the last of each denies.
    stopped: Vec<Vec<Hop>>,
    unknown: Vec<Unknown>,
    /// Hosts that are not known and were taken to be healthy.
    assumed: Vec<InstanceId>,
    /// Nothing tells whether names resolve at the client.
    names_unknown: bool,
    /// The source ports that the hosts on the way chose from.
    ports: Vec<(InstanceId, Ports)>,
}

impl<'a> Draft<'a> {
    /// What happens now, and the walk on past everything.
    fn walk_past_everything(&mut self) -> (Trace, Trace) {
        let mut world = Mended::new(self.network, self.hosts);
        let mut first = None;
        loop {
            let walked = walk_on(&world.network, &world, self.flow, true);
            let now = walked.trace;
            // Of the world as it is: a mended one has forgotten.
            for (id, ports) in walked.ports {
                if !self.ports.iter().any(|(known, _)| *known == id) {
                    self.ports.push((id, ports));
                }
            }
            for unknown in &now.unknown {
                if !self.unknown.contains(unknown) {
                    self.unknown.push(unknown.clone());
                }
            }
            let trace = first.get_or_insert_with(|| now.clone());
            let Some((cause, subject)) = walked.stopped_by else {
                let host = now.hops.last().filter(|hop| hop.decision == Decision::Unknown);
                let host = host.and_then(|hop| hop.resource_id.as_ref()).map(|id| InstanceId::new(id.as_str()));
                let host = host.filter(|id| id.as_str().starts_with(InstanceId::PREFIX));
                if let Some(id) = host.filter(|id| world.assume_host(id)) {
                    self.assumed.push(id);
                    continue;
                }
                return (trace.clone(), now);
            };
            if !self.take(&mut world, &now, cause, subject) {
                return (trace.clone(), now);
            }
        }
    }

    /// Notes the cause that stopped a walk and mends it. `false`: the walk cannot go on.
    fn take(&mut self, world: &mut Mended<'_>, now: &Trace, cause: Cause, mut subject: Subject) -> bool {
        let Some(hop) = now.stop() else { return false };
        let cause = self.reconsider(world, cause, &subject);
        let mending = world.mend(cause, &mut subject, hop.direction);
        // What is wrong on a host is often noticed only behind it.
        let host = subject.instance_id.as_ref().filter(|_| cause.place() == Place::NatHost).map(ResourceId::from);
        let resource_id = host.or_else(|| hop.resource_id.clone());
        let known = |finding: &Finding| {
            finding.cause == cause && finding.resource_id == resource_id && finding.subject.packet == subject.packet
        };
        if self.findings.iter().any(known) || self.findings.len() == CAUSES_AT_MOST {
            return false;
        }
        let again = self.findings.iter().position(|f| f.cause == cause && f.resource_id == resource_id);
        self.stopped.push(now.hops.clone());
        if again.is_none() {
            let certainty = if !self.assumed.is_empty() || mending == Mending::Assumed {
                Certainty::Likely
            } else {
                Certainty::Certain
            };
            let finding = Finding {
                cause,
                code: cause.code(),
                severity: cause.severity(),
                certainty,
                resource_id,
                summary: hop.detail.clone(),
                evidence: self.dated(hop.evidence.clone(), subject.instance_id.as_ref()),
                subject,
            };
            self.findings.push(finding);
        }
        mending != Mending::Cannot
    }

    /// A private instance whose route leads straight to the internet gateway lacks no address of its own when there
    /// is a NAT for it: its route is wrong.
    fn reconsider(&self, world: &Mended<'_>, cause: Cause, subject: &Subject) -> Cause {
        let clients = subject.instance_id.as_ref() == Some(&self.flow.instance_id);
        let default = subject.destination.as_ref().is_some_and(RouteDestination::is_ipv4_default);
        if cause == Cause::NoPublicAddress && clients && !default {
            return Cause::MoreSpecificRoute;
        }
        if cause == Cause::NoPublicAddress && clients && world.candidate(subject).is_some() {
            return Cause::RoutedToOtherEgress;
        }
        cause
    }

    /// Lines of a host's output get the time at which they were read.
    fn dated(&self, mut evidence: Vec<Evidence>, host: Option<&InstanceId>) -> Vec<Evidence> {
        let at = host.and_then(|id| self.health(id)).and_then(|health| health.observed_at);
        for line in evidence.iter_mut().filter(|line| !line.source.starts_with("Describe")) {
            line.observed_at = line.observed_at.or(at);
        }
        evidence
    }

    fn health(&self, id: &InstanceId) -> Option<&HostHealth> {
        self.observations.health.get(id.as_str())?.known().ok()
    }

    /// The hosts that forward on the path, each once.
    fn nat_hosts(&self, last: &Trace) -> Vec<InstanceId> {
        let mut ids: Vec<InstanceId> = Vec::new();
        let on_path = last.hops.iter().chain(self.stopped.iter().filter_map(|hops| hops.last()));
        for hop in on_path.filter(|hop| hop.component == Component::NatHost) {
            if let Some(id) = hop.resource_id.as_ref().map(|id| InstanceId::new(id.as_str()))
                && !ids.contains(&id)
            {
                ids.push(id);
            }
        }
        ids
    }

    fn breaks(&self) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(|finding| finding.severity == Severity::Breaks)
    }

    fn find(&self, cause: Cause) -> Option<usize> {
        self.findings.iter().position(|finding| finding.cause == cause)
    }

    /// A finding that no hop carries.
    fn finding(&self, cause: Cause, certainty: Certainty, resource: Option<ResourceId>, summary: String) -> Finding {
        let mut subject = Subject { flow: Some(self.flow.clone()), ..Subject::default() };
        if let Some(id) = &resource {
            subject.name(id);
        }
        Finding {
            cause,
            code: cause.code(),
            severity: cause.severity(),
            certainty,
            resource_id: resource,
            summary,
            evidence: Vec::new(),
            subject,
        }
    }

    fn finish(mut self, trace: Trace, last: &Trace) -> Diagnosis {
        let disposition = self.disposition(&trace);
        if self.observations.passed() {
            self.packet_outweighs();
        }
        // Stable: the order of the path stays.
        self.findings.sort_by_key(|finding| finding.severity);
        for (id, fact) in &self.observations.health {
            if let Err(unknown) = fact.known()
                && !self.unknown.iter().any(|known| known.what.contains(id))
            {
                self.unknown.push(unknown.clone());
            }
        }
        if let Some(PacketTest::CouldNotRun { code, reason }) = &self.observations.test {
            self.unknown.push(Unknown::new("the packet test", format!("{code}: {reason}")));
        }
        // Last what the snapshot lacks and nothing on the path asked for: something else may be there to be seen.
        for gap in self.network.gaps() {
            if !self.unknown.contains(gap) {
                self.unknown.push(gap.clone());
            }
        }
        let path = self.path(last, disposition);
        Diagnosis { trace, disposition, path, findings: self.findings, unknown: self.unknown }
    }

    /// The packet test outweighs the walk; then what surely stops the packet; then what is not known.
    fn disposition(&self, trace: &Trace) -> Disposition {
        if self.observations.passed() {
            return Disposition::Delivered;
        }
        let surely = |finding: &Finding| finding.certainty == Certainty::Certain && stops(finding);
        if self.observations.failed() || self.breaks().any(surely) {
            return Disposition::Dropped;
        }
        let untested = matches!(self.observations.test, Some(PacketTest::CouldNotRun { .. }));
        match trace.disposition {
            Disposition::Delivered if untested || self.names_unknown => Disposition::InsufficientInformation,
            Disposition::Delivered if self.breaks().any(stops) => Disposition::InsufficientInformation,
            Disposition::Dropped => Disposition::Dropped,
            disposition => disposition,
        }
    }

    /// The packet passed. What the walk said stops it does not, whatever the snapshot shows.
    fn packet_outweighs(&mut self) {
        for finding in &mut self.findings {
            if finding.severity == Severity::Breaks && stops(finding) {
                finding.severity = Severity::Warns;
                finding.certainty = Certainty::Guess;
                finding.summary = format!("the packet test passed although {}", finding.summary);
            }
        }
    }
}

/// Whether a finding keeps packets from arriving. Another way out does not, unless the walk was stopped there.
fn stops(finding: &Finding) -> bool {
    finding.code != Code::RoutedToOtherEgress || finding.subject.packet.is_some()
}
