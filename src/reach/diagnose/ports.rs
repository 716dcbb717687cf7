//! Source ports that run out: towards one destination a NAT's address has as many connections as it has ports.

use super::Draft;
use crate::model::host_health::HostHealth;
use crate::model::{InstanceId, ResourceId, Unknown};
use crate::reach::host::Ports;
use crate::reach::walk::evidence;
use crate::reach::{Cause, Certainty, Evidence, Finding, Severity};

impl Draft<'_> {
    /// What the walk counted, and what the kernel's counter of failures adds to it.
    pub(super) fn ports(&mut self, id: &InstanceId, health: Option<&HostHealth>) {
        let at = health.and_then(|health| health.observed_at);
        let counters = health.and_then(|health| health.conntrack);
        let failures = counters.map(|counters| counters.insert_failed).filter(|failures| *failures > 0);
        let failures =
            failures.map(|failures| evidence::call("conntrack -S", "", format!("insert_failed={failures}"), at));
        // The walk was stopped by it.
        let stops =
            |f: &&mut Finding| f.cause == Cause::HostPortsExhausted && f.subject.instance_id.as_ref() == Some(id);
        if let Some(finding) = self.findings.iter_mut().find(stops) {
            finding.evidence.extend(failures);
            return;
        }
        let ports = self.ports.iter().find(|(host, _)| host == id).map(|(_, ports)| ports.clone());
        let resource = Some(ResourceId::from(id));
        if let Some(ports) = ports.as_ref().filter(|ports| ports.are_few()) {
            let summary = format!("{id} has few source ports left for {}: {} are held", ports.what(), ports.how_many());
            let mut finding = self.finding(Cause::HostPortsExhausted, Certainty::Likely, resource, summary);
            let lines = evidence::lines(vec![ports.line()]);
            finding.evidence = lines.into_iter().map(|e| Evidence { observed_at: at, ..e }).collect();
            finding.evidence.extend(failures);
            finding.severity = self.of_ports();
            self.findings.push(finding);
            return;
        }
        let unknown = ports.as_ref().is_none_or(Ports::are_unknown);
        if let Some(ports) = ports.as_ref().filter(|ports| ports.are_unknown()) {
            let reason = "neither conntrack -L nor /proc/net/nf_conntrack shows all connections there";
            self.unknown
                .push(Unknown::new(format!("how many source ports {id} has left for {}", ports.what()), reason));
        }
        if let Some(failures) = failures {
            let summary = format!(
                "{id} may have had no free source port for some connections since it booted; clashes count there as well"
            );
            let mut finding = self.finding(Cause::HostPortsExhausted, Certainty::Guess, resource, summary);
            finding.evidence.push(failures);
            // Where the ports were counted, it was another time or another destination.
            finding.severity = if unknown { self.of_ports() } else { Severity::Warns };
            self.findings.push(finding);
        }
    }

    /// Without another cause and with a test that failed, this is what stops packets.
    fn of_ports(&self) -> Severity {
        let stops = self.observations.failed() && self.breaks().next().is_none();
        if stops { Severity::Breaks } else { Severity::Warns }
    }
}
