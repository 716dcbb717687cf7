//! What decides about an instance's packets, so that two instances with the same of it share their fate. Pure.
//!
//! Everything outside the instance that a walk asks about is either named here by identifier (subnet, groups: the table,
//! the ACL and the way out follow from them) or is a range. Of all the ranges that the snapshot and the hosts name, the
//! narrowest one that holds an address tells which others hold it too: ranges of prefixes lie inside one another.

use std::collections::{BTreeSet, HashSet};
use std::net::{IpAddr, Ipv4Addr};

use ipnet::{IpNet, Ipv4Net};

use super::Asked;
use crate::model::host::{Host, Match, Target};
use crate::model::{
    Instance, InstanceId, InstanceState, InterfaceStatus, Network, NetworkInterface, NetworkInterfaceId, Peer,
    RouteDestination, RouteTarget, SecurityGroupId, SubnetId, VpcId,
};
use crate::reach::candidate::is_called_nat;

/// Everything that the diagnosis of an instance can depend on beside what was asked of the instance itself. Two instances
/// with equal fates differ only in their names and addresses.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Fate<'a> {
    /// Of an instance that shares its fate with no other: one with a public address, a NAT, and what could be one.
    alone: Option<&'a InstanceId>,
    state: Option<&'a InstanceState>,
    zone: Option<&'a str>,
    vpc_id: Option<&'a VpcId>,
    subnet_id: Option<&'a SubnetId>,
    cards: Vec<Card<'a>>,
    /// Tags by which an Elastic IP is its own.
    stack: Option<&'a str>,
    name: Option<&'a str>,
}

/// A network interface without its name.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Card<'a> {
    subnet_id: &'a SubnetId,
    group_ids: &'a [SecurityGroupId],
    status: &'a InterfaceStatus,
    managed: bool,
    source_dest_check: bool,
    /// `None`: it has no IPv4 address.
    address: Option<Option<Ipv4Net>>,
}

/// What fates are made of, gathered once for all instances.
pub(super) struct Fates<'a> {
    network: &'a Network,
    asked: &'a Asked,
    ranges: Ranges,
    /// What routes name.
    routed: HashSet<&'a NetworkInterfaceId>,
    routed_instances: HashSet<&'a InstanceId>,
    /// Stacks and names of Elastic IPs.
    stacks: BTreeSet<&'a str>,
    names: BTreeSet<&'a str>,
}

impl<'a> Fates<'a> {
    pub(super) fn new(network: &'a Network, asked: &'a Asked) -> Self {
        let targets =
            || network.route_tables.shown().values().flat_map(|table| &table.routes).map(|route| &route.target);
        let routed = targets().filter_map(|target| match target {
            RouteTarget::NetworkInterface { network_interface_id, .. } => Some(network_interface_id),
            _ => None,
        });
        let routed_instances = targets().filter_map(|target| match target {
            RouteTarget::Instance(id) => Some(id),
            _ => None,
        });
        let addresses = || network.addresses.shown().values();
        Self {
            network,
            asked,
            ranges: Ranges::of(network, asked),
            routed: routed.collect(),
            routed_instances: routed_instances.collect(),
            stacks: addresses().filter_map(|address| address.tags.stack()).collect(),
            names: addresses().filter_map(|address| address.tags.name()).collect(),
        }
    }

    pub(super) fn of(&self, id: &'a InstanceId) -> Fate<'a> {
        let instance = self.network.instances.shown().get(id.as_str());
        let lookup = self.network.network_interfaces.lookup_shown();
        let cards: Vec<&NetworkInterface> = lookup.of_instance(id).collect();
        Fate {
            alone: self.is_alone(id, instance, &cards).then_some(id),
            state: instance.map(|instance| &instance.state),
            zone: instance.map(|instance| instance.availability_zone.as_str()),
            vpc_id: instance.and_then(|instance| instance.vpc_id.as_ref()),
            subnet_id: instance.and_then(|instance| instance.subnet_id.as_ref()),
            stack: instance.and_then(|instance| instance.tags.stack()).filter(|stack| self.stacks.contains(stack)),
            name: instance.and_then(|instance| instance.tags.name()).filter(|name| self.names.contains(name)),
            cards: cards
                .into_iter()
                .map(|card| Card {
                    subnet_id: &card.subnet_id,
                    group_ids: &card.security_group_ids,
                    status: &card.status,
                    managed: card.requester_managed,
                    source_dest_check: card.source_dest_check,
                    address: card.private_ip.map(|address| self.ranges.narrowest(address)),
                })
                .collect(),
        }
    }

    fn is_alone(&self, id: &InstanceId, instance: Option<&Instance>, cards: &[&NetworkInterface]) -> bool {
        let nat = |card: &&NetworkInterface| {
            card.public_ip().is_some() || !card.source_dest_check || self.routed.contains(&card.network_interface_id)
        };
        cards.iter().any(nat)
            || self.routed_instances.contains(id)
            || self.asked.hosts.get(id).is_some_and(|host| host.known().is_ok())
            || instance.is_some_and(is_called_nat)
    }
}

/// All the IPv4 ranges that anything names.
#[derive(Debug, Default)]
struct Ranges {
    nets: HashSet<Ipv4Net>,
    /// Prefix lengths that occur, longest first.
    lengths: Vec<u8>,
}

impl Ranges {
    fn of(network: &Network, asked: &Asked) -> Self {
        let mut nets: HashSet<Ipv4Net> = HashSet::new();
        for route in network.route_tables.shown().values().flat_map(|table| &table.routes) {
            if let RouteDestination::Ipv4(net) = &route.destination {
                nets.insert(net.trunc());
            }
        }
        for rule in network.security_groups.shown().values().flat_map(|group| &group.rules) {
            if let Peer::Ipv4(net) = &rule.peer {
                nets.insert(net.trunc());
            }
        }
        let entries = network.network_acls.shown().values().flat_map(|acl| &acl.entries);
        nets.extend(entries.filter_map(|entry| entry.cidr_block).map(|net| net.trunc()));
        let lists = network.prefix_lists.shown().values().flat_map(|list| list.cidrs.iter().flatten());
        nets.extend(lists.filter_map(ipv4));
        for host in asked.hosts.values().filter_map(|host| host.known().ok()) {
            of_host(host, &mut nets);
        }
        let lengths: BTreeSet<u8> = nets.iter().map(Ipv4Net::prefix_len).collect();
        Self { nets, lengths: lengths.into_iter().rev().collect() }
    }

    fn narrowest(&self, address: Ipv4Addr) -> Option<Ipv4Net> {
        let nets = self.lengths.iter().filter_map(|length| Ipv4Net::new(address, *length).ok());
        nets.map(|net| net.trunc()).find(|net| self.nets.contains(net))
    }
}

/// What a kernel's routes and rules name, and its own addresses.
fn of_host(host: &Host, nets: &mut HashSet<Ipv4Net>) {
    nets.extend(host.routes.iter().filter_map(|route| ipv4(&route.destination)));
    nets.extend(host.policy_rules.iter().flat_map(|rule| rule.from.iter().chain(&rule.to)).filter_map(ipv4));
    let addresses = host.interfaces.iter().flat_map(|device| &device.addresses);
    nets.extend(addresses.filter_map(|net| ipv4(&IpNet::from(net.addr()))));
    let chains = host.ruleset.tables.iter().flat_map(|table| &table.chains);
    for rule in chains.flat_map(|chain| &chain.rules) {
        for condition in &rule.matches {
            if let Match::Source { net, .. } | Match::Destination { net, .. } = condition {
                nets.extend(ipv4(net));
            }
        }
        if let Target::Snat { to } | Target::Dnat { to, .. } = rule.target {
            nets.extend(ipv4(&IpNet::from(IpAddr::V4(to))));
        }
    }
}

fn ipv4(net: &IpNet) -> Option<Ipv4Net> {
    match net {
        IpNet::V4(net) => Some(net.trunc()),
        IpNet::V6(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_narrowest_range_tells_which_others_hold_an_address() {
        let nets: HashSet<Ipv4Net> =
            ["0.0.0.0/0", "10.8.0.0/16", "10.8.2.0/24", "10.8.2.7/32"].map(|net| net.parse().unwrap()).into();
        let ranges = Ranges { nets, lengths: vec![32, 24, 16, 0] };
        let narrowest = |address: &str| ranges.narrowest(address.parse().unwrap()).map(|net| net.to_string());
        assert_eq!(narrowest("10.8.2.7").as_deref(), Some("10.8.2.7/32"));
        assert_eq!(narrowest("10.8.2.8").as_deref(), Some("10.8.2.0/24"));
        assert_eq!(narrowest("10.8.3.8").as_deref(), Some("10.8.0.0/16"));
        assert_eq!(narrowest("192.0.2.1").as_deref(), Some("0.0.0.0/0"));
    }
}
