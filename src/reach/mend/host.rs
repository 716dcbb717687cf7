//! Mends on a host, and what a healthy NAT would look like. Pure.

use std::net::{IpAddr, Ipv4Addr};

use ipnet::{IpNet, Ipv4Net};

use super::Mended;
use crate::model::host::{
    Backend, BaseChain, Chain, ChainKind, ConntrackUse, Family, FilterTable, Hook, Host, HostInterface, HostRoute,
    HostRouteKind, MAIN_TABLE, Match, Policy, Rule, Target,
};
use crate::model::{InstanceId, Network, NetworkInterface, NetworkInterfaceId};
use crate::reach::routing::{has_address, outer};
use crate::reach::{Cause, Subject};

/// What interfaces in a VPC carry, in bytes (EC2 user guide, "Network MTU").
const JUMBO: u32 = 9001;

impl Mended<'_> {
    /// A copy of a host that may be edited.
    fn host_mut(&mut self, id: &InstanceId) -> Option<&mut Host> {
        if !self.hosts.contains_key(id) {
            let host = self.base.host(id).ok()?.clone();
            self.hosts.insert(id.clone(), host);
        }
        self.hosts.get_mut(id)
    }

    pub(super) fn mend_host(&mut self, cause: Cause, subject: &mut Subject) -> bool {
        let Some(id) = subject.instance_id.clone() else { return false };
        let own = self.network.interfaces_of(&id).unwrap_or_default();
        let own: Vec<NetworkInterface> = own.into_iter().cloned().collect();
        let Some(outer) = outer(&self.network, &own).cloned() else { return false };
        let inner =
            own.iter().find(|i| Some(&i.network_interface_id) == subject.network_interface_id.as_ref()).cloned();
        let client = self.client(subject);
        let network = self.network.clone();
        let Some(host) = self.host_mut(&id) else { return false };
        match cause {
            Cause::HostIpForwardOff => {
                host.ip_forward = true;
                host.ipv6_forward = true;
            }
            Cause::HostNoMasquerade | Cause::HostMasqueradeWrongInterface => {
                let Some(device) = subject.out_device.clone().or_else(|| device_name(host, &outer)) else {
                    return false;
                };
                host.ruleset.tables.push(masquerade(&device));
                subject.out_device = Some(device);
            }
            Cause::HostForwardDenied | Cause::HostForwardReplyDenied | Cause::ClientProxyOrFirewall => {
                if cause != Cause::ClientProxyOrFirewall {
                    let facing = own.iter().find(|i| i.network_interface_id != outer.network_interface_id);
                    subject.device = device_name(host, facing.unwrap_or(&outer));
                    subject.out_device = device_name(host, &outer);
                }
                // A host that may not forward is given both rules: one without the other is of no use.
                return accept(host, subject, cause == Cause::HostForwardDenied);
            }
            Cause::HostRpFilter => {
                let Some(device) = subject.device.clone() else { return false };
                host.rp_filter_all = 0;
                let Some(interface) = host.interfaces.iter_mut().find(|i| i.name == device) else { return false };
                interface.rp_filter = 0;
            }
            Cause::HostInterfaceDown => {
                let lame = own.iter().find(|interface| is_lame(host, interface)).or(inner.as_ref());
                let Some(interface) = lame.cloned() else { return false };
                subject.network_interface_id = Some(interface.network_interface_id.clone());
                bring_up(&network, host, &interface);
                subject.device = device_name(host, &interface);
                subject.subnet_id = None;
                // The kernel forgot the routes by it with the link.
                let inner = interface.network_interface_id != outer.network_interface_id;
                let client = client.filter(|client| inner && client.subnet_id != interface.subnet_id);
                if let Some((device, client)) = subject.device.clone().zip(client)
                    && let Some(cidr) = subnet_cidr(&network, &client)
                    && !has_way_back(host, &client)
                {
                    host.routes.push(route(IpNet::V4(cidr), gateway(&network, &interface), &device));
                    subject.subnet_id = Some(client.subnet_id.clone());
                }
            }
            Cause::HostDefaultRouteWrong => {
                let Some(gateway) = gateway(&network, &outer) else { return false };
                let Some(device) = device_name(host, &outer) else { return false };
                host.routes.retain(|route| route.table != MAIN_TABLE || route.destination.prefix_len() != 0);
                host.routes.push(route(IpNet::V4(Ipv4Net::default()), Some(gateway), &device));
                subject.network_interface_id = Some(outer.network_interface_id.clone());
                subject.out_device = Some(device);
            }
            Cause::HostNoReturnRoute => {
                let inner = own.iter().find(|i| i.network_interface_id != outer.network_interface_id);
                let (Some(inner), Some(client)) = (inner, client) else { return false };
                let Some(gateway) = gateway(&network, inner) else { return false };
                let (Some(device), Some(cidr)) = (device_name(host, inner), subnet_cidr(&network, &client)) else {
                    return false;
                };
                let gateway = (client.subnet_id != inner.subnet_id).then_some(gateway);
                host.routes.push(route(IpNet::V4(cidr), gateway, &device));
                subject.subnet_id = Some(client.subnet_id.clone());
                subject.network_interface_id = Some(inner.network_interface_id.clone());
                subject.device = Some(device);
            }
            Cause::HostPathMtu => {
                subject.out_device = device_name(host, &outer);
                for device in &mut host.interfaces {
                    device.mtu = device.mtu.max(JUMBO);
                }
            }
            Cause::HostConntrackFull => {
                let count = host.ruleset.conntrack.map_or(0, |entries| entries.count);
                host.ruleset.conntrack = Some(ConntrackUse { count, max: count.saturating_mul(2).max(1) });
            }
            Cause::HostPortsExhausted => host.ports_held = None,
            _ => return false,
        }
        true
    }

    fn client(&self, subject: &Subject) -> Option<NetworkInterface> {
        let flow = subject.flow.as_ref()?;
        self.network.interfaces_of(&flow.instance_id).ok()?.first().map(|interface| (*interface).clone())
    }

    /// The kernel of an instance shows an interface that was just attached.
    pub(super) fn show_device(&mut self, id: &InstanceId, eni: &NetworkInterfaceId) {
        let Some(interface) = self.network.network_interfaces.shown().get(eni.as_str()).cloned() else { return };
        let network = self.network.clone();
        if let Some(host) = self.host_mut(id) {
            bring_up(&network, host, &interface);
        }
    }
}

/// The name by which the kernel knows a network interface.
fn device_name(host: &Host, interface: &NetworkInterface) -> Option<String> {
    let by_address =
        || host.interfaces.iter().find(|d| d.addresses.iter().any(|net| has_address(interface, net.addr())));
    host.interface_by_mac(&interface.mac_address).or_else(by_address).map(|device| device.name.clone())
}

/// The range of an interface's subnet.
fn subnet_cidr(network: &Network, interface: &NetworkInterface) -> Option<Ipv4Net> {
    network.subnets.shown().get(interface.subnet_id.as_str())?.cidr_block
}

/// The router of an interface's subnet: the range's base plus one (VPC user guide, "Subnet CIDR blocks").
fn gateway(network: &Network, interface: &NetworkInterface) -> Option<IpAddr> {
    let base = u32::from(subnet_cidr(network, interface)?.network());
    Some(IpAddr::V4(Ipv4Addr::from(base.checked_add(1)?)))
}

/// Whether the main table leads to a client by another than its default route.
fn has_way_back(host: &Host, client: &NetworkInterface) -> bool {
    let Some(address) = client.private_ip.map(IpAddr::V4) else { return false };
    let routes = host.routes.iter().filter(|route| route.table == MAIN_TABLE && route.destination.prefix_len() > 0);
    routes
        .filter(|route| host.interface(&route.device).is_some_and(|device| device.up))
        .any(|route| route.destination.contains(&address))
}

fn is_lame(host: &Host, interface: &NetworkInterface) -> bool {
    let device = host.interface_by_mac(&interface.mac_address);
    device.is_none_or(|device| !device.up || !device.addresses.iter().any(|net| net.addr().is_ipv4()))
        && device_name(host, interface)
            .is_none_or(|name| host.interface(&name).is_none_or(|d| !d.up || d.addresses.is_empty()))
}

/// What the kernel will call a card that it does not have: `ens6` or `eth1` beside the first one's `ens5` or `eth0`. Where
/// its siblings tell nothing, the alternative name that Amazon Linux 2023 gives it.
fn sibling_name(host: &Host, index: u32) -> String {
    let numbered = |name: &str| {
        let digits = name.len() - name.trim_end_matches(|c: char| c.is_ascii_digit()).len();
        let (stem, number) = name.split_at(name.len() - digits);
        Some((stem.to_owned(), number.parse::<u32>().ok()?))
    };
    let first = host.interfaces.iter().filter(|device| device.name != "lo").filter_map(|d| numbered(&d.name)).min();
    match first {
        Some((stem, number)) => format!("{stem}{}", number + index),
        None => format!("device-number-{index}"),
    }
}

fn bring_up(network: &Network, host: &mut Host, interface: &NetworkInterface) {
    let length = subnet_cidr(network, interface).map_or(32, |net| net.prefix_len());
    let address = interface.private_ip.and_then(|ip| Ipv4Net::new(ip, length).ok()).map(IpNet::V4);
    let index = interface.attachment.as_ref().map_or(0, |a| a.device_index);
    let name = device_name(host, interface).unwrap_or_else(|| sibling_name(host, index));
    match host.interfaces.iter_mut().find(|device| device.name == name) {
        Some(device) => {
            device.up = true;
            if !device.addresses.iter().any(|net| net.addr().is_ipv4()) {
                device.addresses.extend(address);
            }
        }
        None => host.interfaces.push(HostInterface {
            name: name.clone(),
            altnames: Vec::new(),
            mac_address: Some(interface.mac_address.to_ascii_lowercase()),
            up: true,
            mtu: JUMBO,
            addresses: address.into_iter().collect(),
            rp_filter: 0,
        }),
    }
    if let Some(connected) = address.map(|net| net.trunc())
        && !host.routes.iter().any(|route| route.destination == connected && route.device == name)
    {
        host.routes.push(route(connected, None, &name));
    }
}

fn route(destination: IpNet, gateway: Option<IpAddr>, device: &str) -> HostRoute {
    HostRoute {
        table: MAIN_TABLE,
        destination,
        gateway,
        device: device.to_owned(),
        metric: 0,
        preferred_source: None,
        kind: HostRouteKind::Unicast,
    }
}

/// A table of its own that masquerades what leaves by `device`, before any other translates.
fn masquerade(device: &str) -> FilterTable {
    let rule = Rule {
        matches: vec![Match::Out { name: device.to_owned(), prefix: false, negated: false }],
        target: Target::Masquerade,
        text: format!("-A POSTROUTING -o {device} -j MASQUERADE"),
        packets: 0,
        bytes: 0,
    };
    let base = BaseChain { hook: Hook::Postrouting, kind: ChainKind::Nat, priority: 99, policy: Policy::Accept };
    let chain = Chain { name: "postrouting".to_owned(), base: Some(base), rules: vec![rule] };
    FilterTable { family: Family::Ip, name: "mended".to_owned(), chains: vec![chain], backend: Backend::Nft }
}

/// Every chain that could refuse the subject's packet first accepts it. Translated addresses are not known here, so
/// the other end decides.
fn accept(host: &mut Host, subject: &Subject, both_ways: bool) -> bool {
    let Some(packet) = subject.packet else { return false };
    let one = |address: IpAddr| IpNet::from(address);
    let rule = |matches: Vec<Match>| Rule {
        matches,
        target: Target::Accept,
        text: "-j ACCEPT".to_owned(),
        packets: 0,
        bytes: 0,
    };
    let from = |address| Match::Source { net: one(address), negated: false };
    let to = |address| Match::Destination { net: one(address), negated: false };
    let mut accepted = vec![from(packet.source), to(packet.destination)];
    if both_ways {
        accepted.extend([from(packet.destination), to(packet.source)]);
    }
    let mut touched = false;
    for table in &mut host.ruleset.tables {
        for chain in &mut table.chains {
            if chain.base.is_some_and(|base| base.kind != ChainKind::Nat) {
                chain.rules.splice(0..0, accepted.iter().map(|condition| rule(vec![condition.clone()])));
                touched = true;
            }
        }
    }
    touched
}

/// What a NAT instance's kernel should be, as far as its interfaces tell: it forwards, and masquerades by the
/// interface that leads out. `None`: its interfaces are not known.
pub(super) fn healthy(network: &Network, id: &InstanceId) -> Option<Host> {
    let own: Vec<NetworkInterface> = network.interfaces_of(id).ok()?.into_iter().cloned().collect();
    let outer = outer(network, &own)?;
    let mut host = Host { ip_forward: true, ipv6_forward: true, ..Host::default() };
    for interface in &own {
        bring_up(network, &mut host, interface);
    }
    let device = device_name(&host, outer)?;
    host.routes.push(route(IpNet::V4(Ipv4Net::default()), gateway(network, outer), &device));
    if let Some(inner) = own.iter().find(|i| i.network_interface_id != outer.network_interface_id) {
        let name = device_name(&host, inner)?;
        let vpc = network.vpcs.shown().get(inner.vpc_id.as_str());
        for cidr in vpc.map(|vpc| vpc.cidr_blocks.clone()).unwrap_or_default() {
            host.routes.push(route(IpNet::V4(cidr), gateway(network, inner), &name));
        }
    }
    host.ruleset.tables.push(masquerade(&device));
    Some(host)
}
