//! The test itself, and what the test leaves open where hosts cannot be seen.

use super::Draft;
use crate::model::{InstanceId, PingStatus, ResourceId};
use crate::reach::walk::evidence;
use crate::reach::{Cause, Certainty, Code, Component, Decision, Evidence, PacketTest, Probe, Trace};

impl Draft<'_> {
    pub(super) fn said(&self, probe: &Probe) -> Evidence {
        evidence::call("curl", &probe.url, format!("exit {}: {}", probe.exit_code, probe.message), self.tested_at())
    }

    /// What the test says of itself.
    pub(super) fn test_signs(&mut self) {
        match &self.observations.test {
            Some(PacketTest::CouldNotRun { code, reason }) => {
                let Some(cause) = Cause::ALL.iter().find(|cause| cause.code() == *code) else { return };
                let id = self.flow.instance_id.clone();
                let resource = Some(ResourceId::from(&id));
                let mut finding = self.finding(*cause, Certainty::Certain, resource, reason.clone());
                finding.evidence.push(evidence::call("SSM", id.as_str(), reason.clone(), None));
                // Before the other warnings: it says how much the rest is worth.
                let at = self.breaks().count();
                self.findings.sort_by_key(|finding| finding.severity);
                self.findings.insert(at, finding);
            }
            Some(PacketTest::Ran { probes, .. }) => {
                let (Some(first), Some(answered)) = (probes.first(), probes.iter().find(|p| p.address.is_some()))
                else {
                    return;
                };
                if first.address.is_some() {
                    return;
                }
                let summary = format!("{} does not answer and {} does", first.url, answered.url);
                let mut finding = self.finding(Cause::TestTargetDown, Certainty::Certain, None, summary);
                finding.evidence = vec![self.said(first), self.said(answered)];
                self.findings.push(finding);
            }
            None => {}
        }
    }

    /// Nothing that can be seen says why the test failed, or why it could not run: what fits, called a guess.
    pub(super) fn guess(&mut self, trace: &Trace) {
        if self.breaks().next().is_some() {
            return;
        }
        let blind = trace.hops.last().filter(|hop| hop.component == Component::NatHost);
        let blind = blind.filter(|hop| hop.decision == Decision::Unknown).and_then(|hop| hop.resource_id.as_ref());
        let nat = blind.map(|id| InstanceId::new(id.as_str()));
        let lost = nat.as_ref().and_then(|nat| self.lost_agent(nat));
        let probe = self.observations.probes().and_then(<[Probe]>::first).filter(|_| self.observations.failed());
        let (resource, fits, mut evidence) = match (nat, probe) {
            (Some(nat), Some(probe)) => {
                let fits = self.fits(&nat, probe, lost.is_some());
                (ResourceId::from(&nat), fits, vec![self.said(probe)])
            }
            (None, Some(probe)) => {
                let why = match probe.exit_code {
                    5 | 97 => "curl speaks to a proxy",
                    _ => "nothing on the path stops it, so the instance itself may",
                };
                let fits = vec![(Cause::ClientProxyOrFirewall, why)];
                (ResourceId::from(&self.flow.instance_id), fits, vec![self.said(probe)])
            }
            // The client's agent rode on the same way out, and went with the NAT's; nothing else took it along.
            (Some(nat), None) if lost.is_some() && self.agent_offline() => {
                let Some(client) = self.lost_agent(&self.flow.instance_id) else { return };
                (ResourceId::from(&nat), self.takes_host_along(&nat), vec![client])
            }
            _ => return,
        };
        evidence.extend(lost);
        for (cause, why) in fits {
            let mut finding = self.finding(cause, Certainty::Guess, Some(resource.clone()), why.to_owned());
            finding.evidence.clone_from(&evidence);
            self.findings.push(finding);
        }
    }

    fn agent_offline(&self) -> bool {
        matches!(&self.observations.test, Some(PacketTest::CouldNotRun { code: Code::TestAgentOffline, .. }))
    }

    /// That a host answered SSM once and does not any more.
    fn lost_agent(&self, host: &InstanceId) -> Option<Evidence> {
        let agent = self.network.managed_instances.get(host).ok()??;
        let (PingStatus::ConnectionLost, Some(last)) = (&agent.ping_status, agent.last_ping_at) else { return None };
        let text = format!("PingStatus = {}, LastPingDateTime = {last:.0}", agent.ping_status);
        let at = self.network.managed_instances.observed_at();
        Some(evidence::call("DescribeInstanceInformation", host.as_str(), text, at))
    }

    /// What keeps a NAT host itself from the outside, and so its SSM agent.
    fn takes_host_along(&self, nat: &InstanceId) -> Vec<(Cause, &'static str)> {
        let mut fits = vec![
            (Cause::HostDefaultRouteWrong, "without its default route the host sends it nowhere, or the wrong way"),
            (Cause::HostConntrackFull, "a full table drops new connections in silence"),
        ];
        if self.network.interfaces_of(nat).is_ok_and(|own| own.len() > 1) {
            fits.push((Cause::HostInterfaceDown, "an interface that is down takes nothing"));
        }
        fits
    }

    /// What on a NAT host that cannot be asked fits the way in which the test failed, likeliest first. When the host has
    /// lost its own connection to SSM, that is what would take this along too.
    fn fits(&self, nat: &InstanceId, probe: &Probe, lost: bool) -> Vec<(Cause, &'static str)> {
        if probe.exit_code == 7 {
            return vec![
                (Cause::HostForwardDenied, "a REJECT rule answers at once"),
                (Cause::HostDefaultRouteWrong, "a host that has no route says so at once"),
            ];
        }
        if probe.connected == Some(true) {
            return vec![(Cause::HostPathMtu, "the connection opens and then hangs")];
        }
        let own = self.network.interfaces_of(nat).unwrap_or_default();
        let mut fits = vec![
            (Cause::HostIpForwardOff, "a host that does not forward drops in silence"),
            (Cause::HostNoMasquerade, "what is not translated is dropped in silence"),
            (Cause::HostMasqueradeWrongInterface, "a rule for another interface translates nothing"),
            (Cause::HostUserDataFailed, "a boot script that died half-way leaves a host that is no NAT"),
            (Cause::HostNoFirewallTool, "without iptables and nft nothing translates"),
            (Cause::HostForwardDenied, "a policy of DROP drops in silence"),
            (Cause::HostForwardReplyDenied, "a policy of DROP drops the replies in silence"),
        ];
        let at = if lost { 0 } else { fits.len() };
        fits.splice(at..at, self.takes_host_along(nat));
        fits.push((Cause::HostPortsExhausted, "without a free source port new connections fail in silence"));
        // With one interface there is no other way for the reply to take.
        if own.len() != 1 {
            fits.push((Cause::HostRpFilter, "a strict reverse-path filter drops what comes another way"));
            let client = self.network.interfaces_of(&self.flow.instance_id).unwrap_or_default();
            let beside = client.first().is_some_and(|client| own.iter().any(|nat| nat.subnet_id == client.subnet_id));
            if !beside {
                fits.push((
                    Cause::HostNoReturnRoute,
                    "without a way back to this subnet replies leave by the outer one",
                ));
            }
        }
        fits
    }
}
