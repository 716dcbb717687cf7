//! What hosts tell beside what their kernels do with a packet.

use std::net::IpAddr;

use super::Draft;
use crate::model::host::{Host, HostInterface, Target};
use crate::model::host_health::{HostHealth, Persistence};
use crate::model::{InstanceId, NetworkInterface, ResourceId};
use crate::reach::flow::Packet;
use crate::reach::host::{self, Passage, Problem, Stopped};
use crate::reach::routing::outer;
use crate::reach::walk::evidence;
use crate::reach::{Cause, Certainty, Evidence, Finding, PacketTest, Severity, Trace};

/// Steal above this share of all time is worth a word.
const STEAL_PERCENT: u64 = 5;

/// Sockets beyond this share of the local ports may have taken them all: those towards one destination share a range.
const PORTS_PERCENT: u64 = 90;

impl Draft<'_> {
    pub(super) fn tested_at(&self) -> Option<jiff::Timestamp> {
        match &self.observations.test {
            Some(PacketTest::Ran { observed_at, .. }) => *observed_at,
            _ => None,
        }
    }

    /// The NAT hosts on the path.
    pub(super) fn host_signs(&mut self, last: &Trace) {
        for id in self.nat_hosts(last) {
            let health = self.health(&id).cloned();
            let Some(health) = health else {
                self.ports(&id, None);
                continue;
            };
            self.never_made_a_nat(&id, &health);
            self.used_up(&id, &health);
            self.ports(&id, Some(&health));
            if let Ok(host) = self.hosts.host(&id).cloned() {
                self.persistence(&id, &health, &host);
                self.path_mtu(&id, &health, &host);
            }
            self.credits(&id, &health);
        }
    }

    fn line(source: &str, text: impl Into<String>, health: &HostHealth) -> Evidence {
        evidence::call(source, "", text, health.observed_at)
    }

    /// The first finding on this host that stops packets.
    fn first_on(&self, id: &InstanceId) -> Option<usize> {
        self.findings.iter().position(|finding| {
            finding.severity == Severity::Breaks
                && finding.code.as_str().starts_with("HOST_")
                && finding.subject.instance_id.as_ref() == Some(id)
        })
    }

    /// A boot script that died and a missing tool explain what is missing on the host, so they come before it.
    fn never_made_a_nat(&mut self, id: &InstanceId, health: &HostHealth) {
        let resource = Some(ResourceId::from(id));
        if let Some(tools) = &health.tools
            && !tools.iter().any(|tool| tool == "iptables" || tool == "nft")
            && let Some(at) = self.find(Cause::HostNoMasquerade)
        {
            let summary = format!("neither iptables nor nft is installed on {id}, so nothing translates");
            let mut finding = self.finding(Cause::HostNoFirewallTool, Certainty::Certain, resource.clone(), summary);
            finding.evidence.push(Self::line("command -v iptables nft", "(no output)", health));
            finding.evidence.extend(self.findings.get(at).map(|f| f.evidence.clone()).unwrap_or_default());
            finding.subject.out_device = self.findings.get(at).and_then(|f| f.subject.out_device.clone());
            self.findings.insert(at, finding);
        }
        let Some(cloud_init) = health.cloud_init.as_ref().filter(|c| c.status == "error") else { return };
        let summary = format!("the boot script of {id} failed");
        let mut finding = self.finding(Cause::HostUserDataFailed, Certainty::Certain, resource, summary);
        finding.evidence.push(Self::line("cloud-init status --long", "status: error", health));
        let detail = cloud_init.detail.iter().filter(|line| line.as_str() != "status: error");
        finding.evidence.extend(detail.map(|line| Self::line("cloud-init status --long", line.as_str(), health)));
        match self.first_on(id) {
            Some(at) => self.findings.insert(at, finding),
            // Whatever it left undone was done since, and comes back at the next boot.
            None if health.persistence.as_ref().is_some_and(Persistence::is_complete) => {}
            None => {
                finding.severity = Severity::Warns;
                self.findings.push(finding);
            }
        }
    }

    fn used_up(&mut self, id: &InstanceId, health: &HostHealth) {
        let resource = Some(ResourceId::from(id));
        let counters = health.allowances.iter().flat_map(|(device, counters)| {
            counters.iter().filter(|(_, count)| **count > 0).map(move |(name, count)| (device, name, count))
        });
        let lines: Vec<Evidence> = counters
            .map(|(device, name, count)| {
                Self::line(&format!("ethtool -S {device}"), format!("{name}: {count}"), health)
            })
            .collect();
        if !lines.is_empty() {
            let summary = format!("EC2 held {id} back for what its instance type may carry");
            let mut finding = self.finding(Cause::HostAllowanceExceeded, Certainty::Certain, resource.clone(), summary);
            finding.evidence = lines;
            self.findings.push(finding);
        }
        if !health.kernel_log.is_empty() {
            match self.find(Cause::HostConntrackFull) {
                Some(at) => {
                    if let Some(finding) = self.findings.get_mut(at) {
                        finding
                            .evidence
                            .extend(health.kernel_log.iter().map(|l| Self::line("dmesg", l.as_str(), health)));
                    }
                }
                None => {
                    let summary = format!("the connection tracking table of {id} has been full since it booted");
                    let mut finding = self.finding(Cause::HostConntrackFull, Certainty::Likely, resource, summary);
                    finding.evidence =
                        health.kernel_log.iter().map(|l| Self::line("dmesg", l.as_str(), health)).collect();
                    finding.severity = Severity::Warns;
                    self.findings.push(finding);
                }
            }
        }
    }

    /// It translates now. Would it after a reboot?
    fn persistence(&mut self, id: &InstanceId, health: &HostHealth, host: &Host) {
        let Some(kept) = &health.persistence else { return };
        let (rules, forwards) = (kept.keeps_rules(), kept.keeps_forwarding());
        let works = host.ip_forward && translates(host);
        if !works || (rules && forwards) {
            return;
        }
        let summary = match (rules, forwards) {
            (false, false) => format!("forwarding and translation of {id} are gone after a reboot"),
            (false, true) => format!("the translation rules of {id} are gone after a reboot"),
            _ => format!("forwarding of {id} is off again after a reboot"),
        };
        let mut finding =
            self.finding(Cause::HostRulesNotPersistent, Certainty::Certain, Some(ResourceId::from(id)), summary);
        let shown = |list: &[String]| if list.is_empty() { "none".to_owned() } else { list.join(", ") };
        let text = format!(
            "enabled units: {}; files with rules: {}; files with net.ipv4.ip_forward: {}",
            shown(&kept.units),
            shown(&kept.rule_files),
            shown(&kept.sysctl_files)
        );
        finding.evidence.push(Self::line("systemctl list-unit-files; ls /etc", text, health));
        self.findings.push(finding);
    }

    /// Large packets hang: the inner interface takes more than the outer, and the word about it does not come through.
    fn path_mtu(&mut self, id: &InstanceId, health: &HostHealth, host: &Host) {
        let hung = self.observations.probes().is_some_and(|probes| {
            probes.iter().any(|probe| probe.connected == Some(true) && matches!(probe.exit_code, 28 | 35))
        });
        let own: Vec<NetworkInterface> =
            self.network.interfaces_of(id).unwrap_or_default().into_iter().cloned().collect();
        let Some(out) = outer(self.network, &own).and_then(|i| host.interface_by_mac(&i.mac_address)) else { return };
        let devices = host.interfaces.iter().filter(|device| device.name != "lo");
        let uneven = devices.clone().any(|device| device.mtu > out.mtu);
        let blocked = self.drops_icmp(host, own.iter().find_map(|i| host.interface_by_mac(&i.mac_address)), out);
        let no_discovery = health.sysctls.get("net.ipv4.ip_no_pmtu_disc").is_some_and(|value| value != "0");
        // The walk found it, or there is no sign of it.
        if self.find(Cause::HostPathMtu).is_some() || !(hung || (blocked.is_some() && (uneven || out.mtu > 1500))) {
            return;
        }
        let certainty = if hung && blocked.is_some() { Certainty::Certain } else { Certainty::Likely };
        let summary = if hung {
            format!("connections through {id} open and then hang: large packets do not pass")
        } else {
            format!("{id} drops the ICMP that tells senders to send smaller packets")
        };
        let mut finding = self.finding(Cause::HostPathMtu, certainty, Some(ResourceId::from(id)), summary);
        let at = health.observed_at;
        finding.evidence.extend(blocked.into_iter().flatten().map(|e| Evidence { observed_at: at, ..e }));
        let mtus: Vec<String> = devices.map(|device| format!("{} mtu {}", device.name, device.mtu)).collect();
        finding.evidence.push(Self::line("ip -j addr", mtus.join(", "), health));
        if no_discovery {
            let text = "net.ipv4.ip_no_pmtu_disc = 1";
            finding.evidence.push(Self::line("sysctl net.ipv4.ip_no_pmtu_disc", text, health));
        }
        finding.subject.out_device = Some(out.name.clone());
        if !hung {
            finding.severity = Severity::Warns;
        }
        self.findings.push(finding);
    }

    /// What keeps ICMP about too large packets from the client: the host's own, or what comes from outside by `out`.
    fn drops_icmp(&self, host: &Host, inner: Option<&HostInterface>, out: &HostInterface) -> Option<Vec<Evidence>> {
        let client = self.network.interfaces_of(&self.flow.instance_id).ok()?.first()?.private_ip?;
        let source = inner.unwrap_or(out).addresses.iter().map(ipnet::IpNet::addr).find(IpAddr::is_ipv4)?;
        let own = Packet::too_large(source, client.into());
        let foreign = Packet::too_large(self.flow.destination, client.into());
        let denied = |passed: Result<Passage, Stopped>| match passed {
            Err(Stopped { problem: Problem::Denied { .. }, lines }) => Some(evidence::lines(lines)),
            _ => None,
        };
        denied(host::send(host, own, &mut Vec::new()))
            .or_else(|| denied(host::receive(host, out, foreign, &mut Vec::new())))
    }

    /// CloudWatch's credit balance is not asked. Steal on a burstable type is what the host itself can tell.
    fn credits(&mut self, id: &InstanceId, health: &HostHealth) {
        let Ok(Some(instance)) = self.network.instances.get(id) else { return };
        let standard = instance.cpu_credits.as_deref() == Some("standard");
        let Some(cpu) = health.cpu.filter(|cpu| cpu.total > 0) else { return };
        let percent = cpu.steal.saturating_mul(100) / cpu.total;
        if !instance.is_burstable() || percent < STEAL_PERCENT || instance.cpu_credits.as_deref() == Some("unlimited") {
            return;
        }
        let certainty = if standard { Certainty::Likely } else { Certainty::Guess };
        let summary = format!(
            "{id} ({}) waited {percent} % of its time for a processor, as one without CPU credits does",
            instance.instance_type
        );
        let mut finding = self.finding(Cause::HostCpuCredits, certainty, Some(ResourceId::from(id)), summary);
        let text = format!("steal {} of {} ticks since boot", cpu.steal, cpu.total);
        finding.evidence.push(Self::line("/proc/stat", text, health));
        let mode = instance.cpu_credits.as_deref().unwrap_or("unknown");
        let text = format!("InstanceType = {}, CpuCredits = {mode}", instance.instance_type);
        finding.evidence.push(evidence::instance(self.network, id.as_str(), text));
        self.findings.push(finding);
    }

    /// Whether names resolve at the client, and what its own settings do.
    pub(super) fn client_signs(&mut self) {
        let id = self.flow.instance_id.clone();
        let Some(health) = self.health(&id).cloned() else { return };
        if !self.observations.failed() {
            return;
        }
        self.local_ports(&id, &health);
        if health.proxies.is_empty() {
            return;
        }
        let summary = format!("programs on {id} are told to use a proxy");
        let mut finding =
            self.finding(Cause::ClientProxyOrFirewall, Certainty::Likely, Some(ResourceId::from(&id)), summary);
        finding.evidence =
            health.proxies.iter().map(|proxy| Self::line(&proxy.source, proxy.text.as_str(), &health)).collect();
        self.put_first(finding);
    }

    /// Port exhaustion on the source: first of what AWS lists for a NAT instance that works now and then ("How do I
    /// resolve intermittent connection issues when using a NAT instance",
    /// <https://repost.aws/knowledge-center/resolve-connection-nat-instance>). A server holds as many sockets on one port,
    /// so that the number says nothing while new connections come about.
    fn local_ports(&mut self, id: &InstanceId, health: &HostHealth) {
        let Some(sockets) = health.sockets else { return };
        let name = "net.ipv4.ip_local_port_range";
        let range = health.sysctls.get(name).and_then(|range| {
            let (first, last) = range.split_once(' ')?;
            Some((first.parse::<u64>().ok()?, last.trim().parse::<u64>().ok()?))
        });
        let Some((first, last)) = range.filter(|(first, last)| first <= last) else { return };
        let (taken, all) = (sockets.in_use.saturating_add(sockets.time_wait), last - first + 1);
        if taken.saturating_mul(100) < all.saturating_mul(PORTS_PERCENT) {
            return;
        }
        let summary = format!("{id} holds {taken} TCP sockets and has {all} local ports for new connections");
        let resource = Some(ResourceId::from(id));
        let mut finding = self.finding(Cause::ClientPortsExhausted, Certainty::Likely, resource, summary);
        let text = format!("TCP: inuse {}, tw {}", sockets.in_use, sockets.time_wait);
        finding.evidence.push(Self::line("/proc/net/sockstat", text, health));
        finding.evidence.push(Self::line(&format!("sysctl {name}"), format!("{name} = {first} {last}"), health));
        if self.breaks().next().is_some() {
            finding.severity = Severity::Warns;
        }
        self.findings.push(finding);
    }

    pub(super) fn put_first(&mut self, finding: Finding) {
        self.findings.insert(0, finding);
    }
}

fn translates(host: &Host) -> bool {
    let chains = host.ruleset.tables.iter().flat_map(|table| &table.chains);
    chains.flat_map(|chain| &chain.rules).any(|rule| matches!(rule.target, Target::Masquerade | Target::Snat { .. }))
}
