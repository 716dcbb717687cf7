//! What security groups and network ACLs say about a packet. Pure.

use std::net::IpAddr;

use ipnet::IpNet;

use super::flow::Packet;
use super::routing::{interface_with_address, prefix_list};
use crate::model::{
    AclAction, AclDirection, AclEntry, Network, NetworkAcl, NetworkInterface, Peer, Protocol, RuleDirection,
    SecurityGroup, SecurityGroupId, SecurityGroupRule, Unknown,
};

/// What the groups of an interface say about the first packet of a connection.
pub(super) enum Groups<'a> {
    /// This rule lets it pass.
    Allowed(&'a SecurityGroup, &'a SecurityGroupRule),
    /// No rule of any group does.
    Denied(Vec<&'a SecurityGroup>),
    /// No rule surely does, and one might.
    Unknown(Unknown),
}

/// Asks all groups of an interface. Rules only allow, so that one that matches suffices, whatever else is unknown.
pub(super) fn security_groups<'a>(
    network: &'a Network,
    interface: &NetworkInterface,
    direction: RuleDirection,
    packet: &Packet,
) -> Groups<'a> {
    let known = match network.security_groups.known() {
        Ok(known) => known,
        Err(unknown) => return Groups::Unknown(unknown.clone()),
    };
    let mut groups = Vec::new();
    let mut undecided = None;
    for id in &interface.security_group_ids {
        match known.get(id.as_str()) {
            Some(group) => groups.push(group),
            None => {
                undecided =
                    Some(Unknown::new(format!("security group {id}"), "DescribeSecurityGroups does not show it"));
            }
        }
    }
    if interface.security_group_ids.is_empty() {
        undecided = Some(Unknown::new(
            format!("security groups of {}", interface.network_interface_id),
            "DescribeNetworkInterfaces names none",
        ));
    }
    let peer = if direction == RuleDirection::Ingress { packet.source } else { packet.destination };
    for group in &groups {
        for rule in group.rules.iter().filter(|rule| rule.direction == direction && carries(rule, packet)) {
            match peer_matches(network, interface, &rule.peer, peer) {
                Ok(true) => return Groups::Allowed(group, rule),
                Ok(false) => {}
                Err(unknown) => undecided = Some(unknown),
            }
        }
    }
    undecided.map_or(Groups::Denied(groups), Groups::Unknown)
}

/// The code of an ICMP message; one that is not known is taken for 0.
fn code_of(packet: &Packet) -> i32 {
    i32::from(packet.icmp_code.unwrap_or(0))
}

/// Whether a rule's protocol and ports cover a packet.
fn carries(rule: &SecurityGroupRule, packet: &Packet) -> bool {
    if rule.protocol == Protocol::All {
        return true;
    }
    if rule.protocol != packet.protocol {
        return false;
    }
    let any = |bound: Option<i32>| bound.is_none_or(|port| port == -1);
    match packet.protocol {
        Protocol::Icmp | Protocol::Icmpv6 => {
            let kind = rule.from_port.unwrap_or(-1);
            (kind == -1 || kind == i32::from(packet.icmp_type))
                && (any(rule.to_port) || rule.to_port == Some(code_of(packet)))
        }
        Protocol::Tcp | Protocol::Udp => {
            let port = i32::from(packet.destination_port);
            (any(rule.from_port) || rule.from_port.is_some_and(|first| first <= port))
                && (any(rule.to_port) || rule.to_port.is_some_and(|last| port <= last))
        }
        _ => true,
    }
}

/// Whether an address is a peer of a rule. A group stands for the private addresses of the interfaces that are in it,
/// so that a NAT which forwards a client's packet sees the client's group.
fn peer_matches(
    network: &Network,
    interface: &NetworkInterface,
    peer: &Peer,
    address: IpAddr,
) -> Result<bool, Unknown> {
    match peer {
        Peer::Ipv4(net) => Ok(IpNet::V4(*net).contains(&address)),
        Peer::Ipv6(net) => Ok(IpNet::V6(*net).contains(&address)),
        Peer::PrefixList(id) => Ok(prefix_list(network, id)?.iter().any(|net| net.contains(&address))),
        Peer::Group(id) => in_group(network, interface, id, address),
        Peer::Other(text) => Err(Unknown::new(
            format!("peer {text} of a security group rule"),
            "natdeck does not know this kind of peer",
        )),
    }
}

fn in_group(
    network: &Network,
    interface: &NetworkInterface,
    group: &SecurityGroupId,
    address: IpAddr,
) -> Result<bool, Unknown> {
    let other = interface_with_address(network, &interface.vpc_id, address)?;
    Ok(other.is_some_and(|other| other.security_group_ids.contains(group)))
}

/// What a network ACL says about a packet: the entry that decides. `None`: no entry matches, which denies.
pub(super) fn deciding_entry<'a>(
    acl: &'a NetworkAcl,
    direction: AclDirection,
    packet: &Packet,
) -> Option<&'a AclEntry> {
    let peer = if direction == AclDirection::Ingress { packet.source } else { packet.destination };
    acl.entries
        .iter()
        .filter(|entry| entry.direction == direction && entry_matches(entry, packet, peer))
        .min_by_key(|entry| entry.rule_number)
}

/// Whether an entry lets packets pass.
pub(super) fn allows(entry: Option<&AclEntry>) -> bool {
    entry.is_some_and(|entry| entry.action == AclAction::Allow)
}

fn entry_matches(entry: &AclEntry, packet: &Packet, peer: IpAddr) -> bool {
    let address = match peer {
        IpAddr::V4(address) => entry.cidr_block.is_some_and(|net| net.contains(&address)),
        IpAddr::V6(address) => entry.ipv6_cidr_block.is_some_and(|net| net.contains(&address)),
    };
    if !address {
        return false;
    }
    match (entry.protocol, packet.protocol) {
        (Protocol::All, _) => true,
        (Protocol::Tcp, Protocol::Tcp) | (Protocol::Udp, Protocol::Udp) => {
            entry.port_range.is_none_or(|(first, last)| (first..=last).contains(&packet.destination_port))
        }
        (Protocol::Icmp, Protocol::Icmp) | (Protocol::Icmpv6, Protocol::Icmpv6) => {
            entry.icmp_type_code.is_none_or(|(kind, code)| {
                (kind == -1 || kind == i32::from(packet.icmp_type)) && (code == -1 || code == code_of(packet))
            })
        }
        (a, b) => a == b,
    }
}
