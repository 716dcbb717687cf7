//! From a snapshot, hosts and what was tried to every cause on the way. Pure.

use super::walk::walk_on;
use super::{Certainty, Diagnosis, Disposition, Finding, Flow, Observations};
use crate::model::Network;
use crate::model::host::HostFacts;

/// Why a flow does not get through, or that it does.
pub fn diagnose(network: &Network, hosts: &dyn HostFacts, flow: &Flow, observations: &Observations) -> Diagnosis {
    let walked = walk_on(network, hosts, flow, true);
    let mut findings = Vec::new();
    if let (Some((cause, subject)), Some(hop)) = (walked.stopped_by, walked.trace.stop()) {
        findings.push(Finding {
            cause,
            code: cause.code(),
            severity: cause.severity(),
            certainty: if walked.assumed.is_empty() { Certainty::Certain } else { Certainty::Likely },
            resource_id: hop.resource_id.clone(),
            summary: hop.detail.clone(),
            evidence: hop.evidence.clone(),
            subject,
        });
    }
    let disposition = match observations.address() {
        Some(_) => Disposition::Delivered,
        None => walked.trace.disposition,
    };
    Diagnosis {
        disposition,
        path: walked.trace.hops.clone(),
        unknown: walked.trace.unknown.clone(),
        trace: walked.trace,
        findings,
    }
}
