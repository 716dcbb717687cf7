//! Names, the test itself, and what the test leaves open where hosts cannot be seen.

use std::net::IpAddr;

use super::Draft;
use crate::model::{InstanceId, PingStatus, ResourceId, Unknown};
use crate::reach::walk::evidence;
use crate::reach::{Cause, Certainty, Code, Component, Decision, Disposition, Evidence, PacketTest, Probe, Trace};

impl Draft<'_> {
    /// Names come before packets: a resolver that is switched off, or one that does not answer.
    pub(super) fn resolver(&mut self, trace: &Trace) {
        if self.observations.passed() {
            return;
        }
        let Ok(Some(client)) = self.network.instances.get(&self.flow.instance_id) else { return };
        let Some(vpc_id) = client.vpc_id.clone() else { return };
        let health = self.health(&self.flow.instance_id);
        let unresolved = self.observations.probes().is_some_and(|probes| probes.iter().any(|p| p.exit_code == 6));
        let names: Vec<String> = health
            .map(|h| h.resolves.iter().filter(|(_, resolves)| !**resolves).map(|(name, _)| name.clone()).collect())
            .unwrap_or_default();
        let elsewhere =
            health.is_some_and(|h| !h.nameservers.is_empty() && !h.nameservers.iter().any(|s| self.is_vpcs(s)));
        let asked = health.is_some_and(|health| !health.resolves.is_empty()) || self.observations.probes().is_some();
        let vpc = self.network.vpcs.get(&vpc_id);
        let not_read = || Unknown::new("EnableDnsSupport", "it could not be read");
        let gap = match &vpc {
            Err(unknown) => Some((*unknown).clone()),
            Ok(vpc) => vpc.filter(|vpc| vpc.dns_support.is_none()).map(|_| not_read()),
        };
        let vpc = vpc.ok().flatten();
        let off = vpc.is_some_and(|vpc| vpc.dns_support == Some(false));
        let client_id = self.flow.instance_id.clone();
        let mut lines: Vec<Evidence> = Vec::new();
        if let Some(health) = health {
            let resolves = |name: &String| evidence::call("getent hosts", name, "(no output)", health.observed_at);
            lines.extend(names.iter().map(resolves));
            let servers = health.nameservers.iter().map(|s| format!("nameserver {s}"));
            lines.extend(servers.map(|line| evidence::call("/etc/resolv.conf", "", line, health.observed_at)));
        }
        if let Some(probe) = self.observations.probes().and_then(|probes| probes.iter().find(|p| p.exit_code == 6)) {
            lines.push(self.said(probe));
        }
        if let Some(gap) = gap {
            self.names_unknown = !asked;
            self.unknown.push(Unknown::new(format!("whether names resolve in {vpc_id}"), gap.to_string()));
        }
        if off && !elsewhere {
            let summary = format!("the resolver of {vpc_id} is switched off, so names do not resolve");
            let resource = Some(ResourceId::from(&vpc_id));
            let mut finding = self.finding(Cause::ClientDns, Certainty::Certain, resource, summary);
            let at = self.network.vpcs.observed_at();
            finding.evidence.push(evidence::call(
                "DescribeVpcAttribute",
                vpc_id.as_str(),
                "EnableDnsSupport = false",
                at,
            ));
            finding.evidence.append(&mut lines);
            self.put_first(finding);
        } else if unresolved || !names.is_empty() {
            // A resolver out on the internet fails with everything else; the walk says why.
            if elsewhere && trace.disposition != Disposition::Delivered {
                return;
            }
            let certainty = if names.is_empty() { Certainty::Likely } else { Certainty::Certain };
            let summary = format!("names do not resolve on {client_id}");
            let mut finding = self.finding(Cause::ClientDns, certainty, Some(ResourceId::from(&client_id)), summary);
            finding.evidence = lines;
            self.put_first(finding);
        }
    }

    /// Whether a name server is the VPC's own: base plus two, or the link-local one.
    fn is_vpcs(&self, server: &str) -> bool {
        let Ok(IpAddr::V4(server)) = server.parse() else { return server == "fd00:ec2::253" };
        let vpcs = self.network.vpcs.shown().values();
        server.octets().starts_with(&[169, 254])
            // systemd-resolved asks whom DHCP named, which is the VPC's unless somebody changed it.
            || server.octets().starts_with(&[127])
            || vpcs.flat_map(|vpc| &vpc.cidr_blocks).any(|net| u32::from(net.network()) + 2 == u32::from(server))
    }

    fn said(&self, probe: &Probe) -> Evidence {
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
