//! What a simulated host finds beyond its network cards: the VPC's resolver, other hosts, endpoints and the internet.
//! Every packet goes the way that [`reach::walk`] finds. Pure.

mod names;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::host::{Machine, Outside, Reached, ResolveError};
use super::world::World;
use crate::model::host::Host;
use crate::model::host::HostFacts;
use crate::model::{
    EndpointKind, EndpointState, InstanceId, Network, NetworkInterface, NetworkInterfaceId, Protocol, Unknown, Vpc,
};
use crate::reach::{Component, Disposition, Flow, Trace, walk};

pub(super) use names::public as public_address;

/// The part of the internet that can be changed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Internet {
    /// Names of sites that are down: they resolve, and nobody answers.
    pub down: BTreeSet<String>,
    /// The same, for as long as the sandbox is open with such a fault.
    #[serde(skip)]
    pub faulty: BTreeSet<String>,
}

/// The world as one of its hosts sees it.
#[derive(Debug, Clone, Copy)]
pub struct View<'a> {
    pub network: &'a Network,
    pub internet: &'a Internet,
    /// The other hosts. The one that asks need not be among them.
    pub machines: &'a BTreeMap<InstanceId, Machine>,
    pub now: Timestamp,
}

impl World {
    /// Does something with a machine while the rest of the world is its outside. `None`: there is no such machine.
    pub fn with_machine<T>(
        &mut self,
        instance_id: &InstanceId,
        act: impl FnOnce(&mut Machine, &dyn Outside) -> T,
    ) -> Option<T> {
        let mut machine = self.machines.remove(instance_id)?;
        let state = |machine: &Machine| (machine.is_running(), machine.is_busy(), machine.nics().len());
        let before = state(&machine);
        let done = act(&mut machine, &self.view());
        // Agents look again when a host came up, went down, was rewired or is at work. Looking is not free, and hosts
        // that only grow older need none.
        let changed = before.1 || before != state(&machine);
        self.machines.insert(instance_id.clone(), machine);
        if changed {
            self.touch();
        }
        Some(done)
    }

    /// The world as its hosts see it.
    pub fn view(&self) -> View<'_> {
        View { network: &self.network, internet: &self.internet, machines: &self.machines, now: self.now }
    }

    /// What becomes of a flow that one of the instances opens.
    pub fn walk(&self, flow: &Flow) -> Trace {
        walk(&self.network, &Kernels { machines: &self.machines, asking: None }, flow)
    }
}

/// The kernels of all hosts, that of the asking one as it is in the middle of its script.
struct Kernels<'a> {
    machines: &'a BTreeMap<InstanceId, Machine>,
    asking: Option<(&'a str, &'a Host)>,
}

impl HostFacts for Kernels<'_> {
    fn host(&self, instance_id: &InstanceId) -> Result<&Host, Unknown> {
        match self.asking {
            Some((id, host)) if id == instance_id.as_str() => Ok(host),
            _ => self
                .machines
                .get(instance_id)
                .map(Machine::kernel)
                .ok_or_else(|| Unknown::new(format!("facts of host {instance_id}"), "it is not simulated")),
        }
    }
}

impl Outside for View<'_> {
    fn resolve(&self, machine: &Machine, name: &str) -> Result<IpAddr, ResolveError> {
        let name = name.trim_end_matches('.').to_ascii_lowercase();
        if let Ok(address) = name.parse::<IpAddr>() {
            return Ok(address);
        }
        let vpc = self.vpc_of(machine).ok_or(ResolveError::TimedOut)?;
        let public = || names::public(&name, &self.network.region, self.s3_range());
        // One after the other, until one answers.
        for server in name_servers(machine, vpc) {
            let answer = if is_resolver_of(vpc, server) {
                // `enableDnsSupport` off: it does not answer (VPC guide, "DNS attributes").
                if vpc.dns_support != Some(true) || !self.reaches_resolver(machine, vpc) {
                    continue;
                }
                self.endpoint_address(machine, vpc, &name).or_else(|| self.host_address(vpc, &name)).or_else(public)
            } else {
                let arrives = self.trace(machine, server, 53, Protocol::Udp).disposition == Disposition::Delivered;
                if !arrives || !matches!(self.listens(server, 53, Protocol::Udp), Listener::Answers) {
                    continue;
                }
                public()
            };
            return answer.map(IpAddr::V4).ok_or(ResolveError::NoSuchHost);
        }
        Err(ResolveError::TimedOut)
    }

    fn connect(&self, machine: &Machine, destination: IpAddr, port: u16, protocol: Protocol) -> Reached {
        let trace = self.trace(machine, destination, port, protocol);
        match trace.disposition {
            Disposition::InsufficientInformation => Reached::TimedOut,
            Disposition::Dropped if !trace.refused => Reached::TimedOut,
            Disposition::Dropped => {
                // The sender's own kernel says "unreachable"; anybody further away refuses.
                match trace.stop().map(|hop| hop.component) {
                    Some(Component::Instance) => Reached::Unreachable,
                    _ => Reached::Refused,
                }
            }
            Disposition::Delivered => match self.listens(destination, port, protocol) {
                Listener::Answers => {
                    let source = trace.address.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
                    let rtt = round_trip(&trace);
                    if protocol == Protocol::Tcp && self.loses_large(machine, &trace.flow) {
                        return Reached::Stalled { source, rtt };
                    }
                    Reached::Delivered { source, rtt }
                }
                Listener::Refuses => Reached::Refused,
                Listener::Silent => Reached::TimedOut,
            },
        }
    }

    fn now(&self) -> Timestamp {
        self.now
    }
}

/// Whether somebody is at home where the packet arrived.
enum Listener {
    Answers,
    Refuses,
    Silent,
}

impl View<'_> {
    fn trace(&self, machine: &Machine, destination: IpAddr, port: u16, protocol: Protocol) -> Trace {
        let id = machine.launch().instance_id.as_str();
        let flow = Flow { protocol, ..Flow::tcp(InstanceId::new(id), destination, port) };
        walk(self.network, &Kernels { machines: self.machines, asking: Some((id, machine.kernel())) }, &flow)
    }

    /// Whether large packets of a flow are lost where small ones pass. Only where an interface is smaller than usual.
    fn loses_large(&self, machine: &Machine, flow: &Flow) -> bool {
        let narrow = |machine: &Machine| machine.kernel().interfaces.iter().any(|device| device.mtu < 1500);
        if !self.machines.values().any(narrow) {
            return false;
        }
        let flow = Flow { large: true, ..flow.clone() };
        let asking = Some((machine.launch().instance_id.as_str(), machine.kernel()));
        let trace = walk(self.network, &Kernels { machines: self.machines, asking }, &flow);
        trace.disposition != Disposition::Delivered
    }

    fn vpc_of(&self, machine: &Machine) -> Option<&Vpc> {
        let vpc_id = &machine.nics().first()?.vpc_id;
        self.network.vpcs.shown().get(vpc_id)
    }

    fn reaches_resolver(&self, machine: &Machine, vpc: &Vpc) -> bool {
        let id = machine.launch().instance_id.as_str();
        let only_ipv6 = self.network.instances.shown().get(id).is_some_and(|instance| instance.private_ip.is_none());
        let resolver = if only_ipv6 {
            Some(IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x253)))
        } else {
            vpc.cidr_blocks.first().map(|range| IpAddr::V4(names::nth(*range, 2)))
        };
        resolver.is_some_and(|resolver| {
            self.trace(machine, resolver, 53, Protocol::Udp).disposition == Disposition::Delivered
        })
    }

    fn interface(&self, id: &NetworkInterfaceId) -> Option<&NetworkInterface> {
        self.network.network_interfaces.shown().get(id.as_str())
    }

    /// The address of an interface endpoint: by its own name, or with private DNS by the service's.
    fn endpoint_address(&self, machine: &Machine, vpc: &Vpc, name: &str) -> Option<Ipv4Addr> {
        let zone = machine.launch().zone.as_str();
        let region = &self.network.region;
        let endpoint = self.network.vpc_endpoints.shown().values().find(|endpoint| {
            let usable = endpoint.vpc_id == vpc.vpc_id
                && endpoint.kind == EndpointKind::Interface
                && endpoint.state == EndpointState::Available;
            let own = name.starts_with(endpoint.vpc_endpoint_id.as_str()) && name.ends_with(".vpce.amazonaws.com");
            // Private DNS needs both attributes of the VPC (VPC guide, "Private DNS names").
            let private = endpoint.private_dns_enabled
                && vpc.dns_hostnames == Some(true)
                && name == format!("{}.{region}.amazonaws.com", endpoint.service());
            usable && (own || private)
        })?;
        let interfaces = || endpoint.network_interface_ids.iter().filter_map(|id| self.interface(id));
        let near = interfaces().find(|interface| interface.availability_zone == zone);
        near.or_else(|| interfaces().next())?.private_ip
    }

    /// The address of an instance's private or public DNS name, as its own VPC resolves it.
    fn host_address(&self, vpc: &Vpc, name: &str) -> Option<Ipv4Addr> {
        let mut interfaces = self.network.network_interfaces.shown().values();
        if let Some(address) = names::private_address(name, &self.network.region) {
            let known = |interface: &&NetworkInterface| {
                interface.vpc_id == vpc.vpc_id
                    && (interface.private_ip == Some(address) || interface.secondary_private_ips.contains(&address))
            };
            return interfaces.find(known).map(|_| address);
        }
        let address = names::public_address(name, &self.network.region)?;
        let inside =
            interfaces.find(|interface| interface.public_ip() == Some(address) && interface.vpc_id == vpc.vpc_id);
        match inside {
            // Inside the VPC, public names of instances mean their private addresses.
            Some(interface) if vpc.dns_hostnames == Some(true) => interface.private_ip,
            _ => Some(address),
        }
    }

    /// Where S3 lives in this region: what a gateway endpoint's route covers.
    fn s3_range(&self) -> Option<ipnet::Ipv4Net> {
        let list = self.network.prefix_lists.shown().values().find(|list| list.prefix_list_name.ends_with(".s3"))?;
        list.cidrs.iter().flatten().find_map(|range| match range {
            ipnet::IpNet::V4(range) => Some(*range),
            ipnet::IpNet::V6(_) => None,
        })
    }

    fn listens(&self, destination: IpAddr, port: u16, protocol: Protocol) -> Listener {
        let IpAddr::V4(address) = destination else {
            return if names::is_public_v6(destination) { internet(port, protocol) } else { Listener::Silent };
        };
        let of_ours = self.network.network_interfaces.shown().values().find(|interface| {
            interface.private_ip == Some(address)
                || interface.secondary_private_ips.contains(&address)
                || interface.public_ip() == Some(address)
        });
        if let Some(interface) = of_ours {
            return self.interface_listens(interface, port, protocol);
        }
        let in_a_vpc = |vpc: &Vpc| vpc.cidr_blocks.iter().any(|range| range.contains(&address));
        if address.is_link_local() || self.network.vpcs.shown().values().any(in_a_vpc) {
            // The walk delivered it, so it is one of AWS's own services: the resolver, the time service.
            return match (protocol, port) {
                (Protocol::Udp | Protocol::Tcp, 53) | (Protocol::Udp, 123) => Listener::Answers,
                _ => Listener::Silent,
            };
        }
        let mut down = self.internet.down.iter().chain(&self.internet.faulty);
        if down.any(|name| names::public(name, &self.network.region, None) == Some(address)) {
            return Listener::Silent;
        }
        if names::is_public(address) { internet(port, protocol) } else { Listener::Silent }
    }

    fn interface_listens(&self, interface: &NetworkInterface, port: u16, protocol: Protocol) -> Listener {
        let Some(instance_id) = interface.instance_id() else {
            // Interface endpoints speak HTTPS and answer no ping.
            return match (protocol, port) {
                (Protocol::Tcp, 443) => Listener::Answers,
                (Protocol::Tcp, _) => Listener::Refuses,
                _ => Listener::Silent,
            };
        };
        let ssh = self.machines.get(instance_id).is_none_or(|machine| machine.service_is_active("sshd"));
        match (protocol, port) {
            (Protocol::Icmp | Protocol::Icmpv6, _) => Listener::Answers,
            (Protocol::Tcp, 22) if ssh => Listener::Answers,
            _ => Listener::Refuses,
        }
    }
}

/// Whom a machine asks for names: the `nameserver` lines of its `/etc/resolv.conf`.
fn name_servers(machine: &Machine, vpc: &Vpc) -> Vec<IpAddr> {
    match machine.file("/etc/resolv.conf") {
        Some(text) => {
            let servers = text.lines().filter_map(|line| line.trim().strip_prefix("nameserver"));
            servers.filter_map(|server| server.trim().parse().ok()).collect()
        }
        None => vpc.cidr_blocks.first().map(|range| IpAddr::V4(names::nth(*range, 2))).into_iter().collect(),
    }
}

/// Whether a VPC's own resolver has this address. systemd-resolved's is taken to ask it.
fn is_resolver_of(vpc: &Vpc, server: IpAddr) -> bool {
    match server {
        IpAddr::V4(server) => {
            let base_plus_two = vpc.cidr_blocks.first().map(|range| names::nth(*range, 2));
            base_plus_two == Some(server) || server == Ipv4Addr::new(169, 254, 169, 253) || server.is_loopback()
        }
        IpAddr::V6(server) => server == Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x253),
    }
}

/// Public addresses answer pings, web requests and DNS queries; whatever else is sent to them is filtered.
fn internet(port: u16, protocol: Protocol) -> Listener {
    match (protocol, port) {
        (Protocol::Icmp | Protocol::Icmpv6, _)
        | (Protocol::Tcp, 22 | 53 | 80 | 443)
        | (Protocol::Udp, 53 | 123 | 443) => Listener::Answers,
        _ => Listener::Silent,
    }
}

/// A plausible round trip time that is the same each time: farther for the internet, a little more for each hop.
fn round_trip(trace: &Trace) -> Duration {
    let hops = u64::try_from(trace.hops.len()).unwrap_or(u64::MAX);
    let on_the_way = Duration::from_micros(40).saturating_mul(u32::try_from(hops).unwrap_or(u32::MAX));
    let far = trace.hops.iter().any(|hop| hop.component == Component::Internet);
    let distance = match trace.flow.destination {
        IpAddr::V4(address) if far => 4_000 + u64::from(address.to_bits().wrapping_mul(2_654_435_761) >> 19),
        IpAddr::V6(_) if far => 9_000,
        _ => 150,
    };
    Duration::from_micros(distance) + on_the_way
}
