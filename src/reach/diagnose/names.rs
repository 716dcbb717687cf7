//! Names that do not resolve: a resolver that is switched off, one that does not answer, or a DHCP options set that names
//! servers which cannot be reached.

use std::net::IpAddr;

use super::Draft;
use crate::model::{DhcpOptions, Protocol, ResourceId, Unknown, VpcId};
use crate::reach::walk::{evidence, walk};
use crate::reach::{Cause, Certainty, Disposition, Evidence, Flow, Trace};

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
        let asked = health.is_some_and(|health| !health.resolves.is_empty()) || self.observations.probes().is_some();
        let vpc = self.network.vpcs.get(&vpc_id);
        let not_read = || Unknown::new("EnableDnsSupport", "it could not be read");
        let gap = match &vpc {
            Err(unknown) => Some((*unknown).clone()),
            Ok(vpc) => vpc.filter(|vpc| vpc.dns_support.is_none()).map(|_| not_read()),
        };
        let vpc = vpc.ok().flatten();
        let off = vpc.is_some_and(|vpc| vpc.dns_support == Some(false));
        let dhcp = vpc.and_then(|vpc| vpc.dhcp_options.clone());
        let servers = self.servers(health.map_or(&[], |health| &health.nameservers), dhcp.as_ref());
        let elsewhere = servers.as_ref().is_some_and(|all| !all.iter().any(|server| self.is_vpcs(server)));
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
            // Another resolver may have been named, which nothing shows.
            let certainty = if servers.is_some() || unresolved { Certainty::Certain } else { Certainty::Likely };
            let mut finding = self.finding(Cause::ClientDns, certainty, resource, summary);
            let at = self.network.vpcs.observed_at();
            finding.evidence.push(evidence::call(
                "DescribeVpcAttribute",
                vpc_id.as_str(),
                "EnableDnsSupport = false",
                at,
            ));
            finding.evidence.append(&mut lines);
            self.put_first(finding);
            return;
        }
        let failed = unresolved || !names.is_empty();
        // A resolver out on the internet fails with everything else; the walk says why.
        if elsewhere && trace.disposition == Disposition::Dropped {
            return;
        }
        let lost = dhcp.as_ref().and_then(|set| self.lost_servers(&vpc_id, set, servers.as_deref()));
        let may_pass = !elsewhere || trace.disposition == Disposition::Delivered;
        if lost.is_none() && !(failed && may_pass) {
            return;
        }
        let certainty = if names.is_empty() { Certainty::Likely } else { Certainty::Certain };
        let set = lost.as_ref().and(dhcp.as_ref());
        let resource = set.map_or_else(|| ResourceId::from(&client_id), |set| ResourceId(set.dhcp_options_id.clone()));
        let summary = lost.as_ref().map_or_else(
            || format!("names do not resolve on {client_id}"),
            |(why, _)| format!("names do not resolve on {client_id}: {why}"),
        );
        let mut finding = self.finding(Cause::ClientDns, certainty, Some(resource), summary);
        finding.evidence = lost.map(|(_, evidence)| evidence).unwrap_or_default();
        finding.evidence.append(&mut lines);
        self.put_first(finding);
    }

    /// Whom the instance asks: what it says itself, else what DHCP tells it. `None`: neither is known.
    fn servers(&self, said: &[String], dhcp: Option<&DhcpOptions>) -> Option<Vec<String>> {
        let told = || dhcp?.domain_name_servers.clone();
        // systemd-resolved asks whom DHCP named.
        let stub = said.iter().all(|server| server.parse::<IpAddr>().is_ok_and(|server| server.is_loopback()));
        if stub { told().or_else(|| (!said.is_empty()).then(|| said.to_vec())) } else { Some(said.to_vec()) }
    }

    /// Why none of the servers that a set names answers, as far as the snapshot tells, and what shows it. `None`: one
    /// may, or the instance asks others.
    fn lost_servers(
        &self,
        vpc_id: &VpcId,
        set: &DhcpOptions,
        servers: Option<&[String]>,
    ) -> Option<(String, Vec<Evidence>)> {
        let named = set.domain_name_servers.as_ref()?;
        if servers != Some(named) {
            return None;
        }
        let id = &set.dhcp_options_id;
        let at = self.network.vpcs.observed_at();
        let text = format!("domain-name-servers = [{}], and {vpc_id} has this set", named.join(", "));
        let mut evidence = vec![evidence::call("DescribeDhcpOptions", id, text, at)];
        if named.is_empty() {
            return Some((format!("the DHCP options {id} of {vpc_id} name no name server"), evidence));
        }
        let mut stops = Vec::new();
        for server in named {
            let destination = server.parse().ok()?;
            let flow = Flow { protocol: Protocol::Udp, ..Flow::tcp(self.flow.instance_id.clone(), destination, 53) };
            let walked = walk(self.network, self.hosts, &flow);
            let stop = walked.stop().filter(|_| walked.disposition == Disposition::Dropped)?;
            evidence.extend(stop.evidence.iter().cloned());
            stops.push(format!("{server} ({})", stop.detail));
        }
        let text = format!("the DHCP options {id} of {vpc_id} name servers out of its reach: {}", stops.join("; "));
        Some((text, evidence))
    }

    /// Whether a name server is the VPC's own: base plus two, or the link-local one.
    fn is_vpcs(&self, server: &str) -> bool {
        let Ok(IpAddr::V4(server)) = server.parse() else {
            return server == "fd00:ec2::253" || server == DhcpOptions::AMAZON_PROVIDED;
        };
        let vpcs = self.network.vpcs.shown().values();
        server.octets().starts_with(&[169, 254])
            // systemd-resolved asks whom DHCP named, which is the VPC's unless somebody changed it.
            || server.octets().starts_with(&[127])
            || vpcs.flat_map(|vpc| &vpc.cidr_blocks).any(|net| u32::from(net.network()) + 2 == u32::from(server))
    }
}
