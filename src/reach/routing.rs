//! Which route of a VPC's table takes a packet: longest prefix, over CIDR blocks and prefix lists. Pure.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::model::{
    Network, NetworkInterface, PrefixListId, Route, RouteDestination, RouteOrigin, RouteState, RouteTable, RouteTarget,
    SubnetId, Unknown, VpcId,
};

/// The route that takes a packet.
#[derive(Debug, Clone, Copy)]
pub(super) struct Chosen<'a> {
    pub(super) route: &'a Route,
    /// The default route that would have taken the packet if there were no longer prefix. `None` when the default
    /// route itself was chosen, or there is none.
    pub(super) passed_over: Option<&'a Route>,
}

/// The route of `table` that takes packets to `destination`; `Ok(None)` when none matches.
///
/// The longest prefix wins, whatever its origin. Between equal prefixes: a static route by CIDR block, then one by
/// prefix list, then a propagated one (VPC user guide, "Route priority").
pub(super) fn choose<'a>(
    network: &Network,
    table: &'a RouteTable,
    destination: IpAddr,
) -> Result<Option<Chosen<'a>>, Unknown> {
    let mut best: Option<(&Route, u8, u8)> = None;
    let mut undecided: Option<(&Route, Unknown)> = None;
    for route in &table.routes {
        let length = match prefix(network, &route.destination, destination) {
            Ok(None) => continue,
            Ok(Some(length)) => length,
            Err(unknown) => {
                undecided.get_or_insert((route, unknown));
                continue;
            }
        };
        let rank = match (&route.origin, &route.destination) {
            (RouteOrigin::EnableVgwRoutePropagation, _) => 0,
            (_, RouteDestination::PrefixList(_)) => 1,
            _ => 2,
        };
        if best.is_none_or(|(_, l, r)| (length, rank) > (l, r)) {
            best = Some((route, length, rank));
        }
    }
    if let Some((route, unknown)) = undecided
        && best.is_none_or(|(chosen, ..)| chosen.target != route.target || chosen.state != route.state)
    {
        return Err(unknown);
    }
    Ok(best.map(|(route, length, _)| Chosen {
        route,
        passed_over: if length == 0 {
            None
        } else {
            table.routes.iter().find(|r| is_default(r, destination) && r.state == RouteState::Active)
        },
    }))
}

/// Whether `route` is the default route of the address family of `destination`.
fn is_default(route: &Route, destination: IpAddr) -> bool {
    match (&route.destination, destination) {
        (RouteDestination::Ipv4(net), IpAddr::V4(_)) => net.prefix_len() == 0,
        (RouteDestination::Ipv6(net), IpAddr::V6(_)) => net.prefix_len() == 0,
        _ => false,
    }
}

/// The length of the prefix by which `destination` matches, if it does.
fn prefix(network: &Network, route: &RouteDestination, destination: IpAddr) -> Result<Option<u8>, Unknown> {
    Ok(match (route, destination) {
        (RouteDestination::Ipv4(net), IpAddr::V4(address)) => net.contains(&address).then(|| net.prefix_len()),
        (RouteDestination::Ipv6(net), IpAddr::V6(address)) => net.contains(&address).then(|| net.prefix_len()),
        (RouteDestination::Ipv4(_), IpAddr::V6(_)) | (RouteDestination::Ipv6(_), IpAddr::V4(_)) => None,
        (RouteDestination::PrefixList(id), address) => {
            prefix_list(network, id)?.iter().filter(|net| net.contains(&address)).map(IpNet::prefix_len).max()
        }
        (RouteDestination::Other(text), _) => {
            return Err(Unknown::new(format!("route to {text}"), "natdeck does not know this kind of destination"));
        }
    })
}

/// The entries of a prefix list, or why they are not known.
pub(super) fn prefix_list<'a>(network: &'a Network, id: &PrefixListId) -> Result<&'a [IpNet], Unknown> {
    let list = network.prefix_lists.get(id).map_err(Clone::clone)?;
    list.and_then(|list| list.cidrs.as_deref())
        .ok_or_else(|| Unknown::new(format!("entries of prefix list {id}"), "they could not be read"))
}

/// A table of the same VPC that leads to a NAT and does not apply to `subnet_id`, which has no association of its own
/// and so gets the main table: what an operator edited without associating it. One that applies to no subnet at all
/// comes before those that serve others, and among these one that bears the subnet's name. Where no table leads to a
/// NAT, see [`meant_for_it`].
pub(super) fn edited_but_not_applied<'a>(
    network: &'a Network,
    subnet_id: &SubnetId,
    vpc_id: &VpcId,
) -> Option<&'a RouteTable> {
    let tables = network.route_tables.known().ok()?;
    if network.route_tables.lookup().is_ok_and(|tables| tables.of_subnet(subnet_id).is_some()) {
        return None;
    }
    let name = network.subnets.shown().get(subnet_id.as_str()).and_then(|subnet| subnet.tags.name());
    let (main, others): (Vec<_>, Vec<_>) =
        tables.values().filter(|table| &table.vpc_id == vpc_id).partition(|table| table.is_main());
    let edited = others.iter().filter_map(|table| {
        let serves = table.subnet_ids().next().is_some();
        // A NAT that is stopped makes it a blackhole, and it is the table that was meant all the same.
        let nat = match table.default_route()?.target {
            RouteTarget::NetworkInterface { .. } | RouteTarget::Instance(_) | RouteTarget::NatGateway(_) => true,
            // Led elsewhere as well; a public table is nobody's for want of an association.
            RouteTarget::InternetGateway(_) => return None,
            _ if serves => return None,
            _ => false,
        };
        let namesake = name.is_some() && table.tags.name() == name;
        Some(((serves, !namesake, !nat), *table))
    });
    let edited = edited.min_by_key(|(rank, _)| *rank).map(|(_, table)| table);
    edited.or_else(|| meant_for_it(&main, &others, name))
}

/// The table that a subnet without association must have been meant to have, although it has no default route either:
/// somebody made it and it applies to nothing, while nobody ever put a route into the main table. None where several
/// could be meant.
fn meant_for_it<'a>(main: &[&RouteTable], others: &[&'a RouteTable], name: Option<&str>) -> Option<&'a RouteTable> {
    let as_made = |table: &RouteTable| table.routes.iter().all(|route| route.target == RouteTarget::Local);
    if !main.iter().all(|table| as_made(table)) {
        return None;
    }
    let idle = others.iter().filter(|table| table.associations.is_empty() && table.default_route().is_none());
    let idle: Vec<&RouteTable> = idle.copied().collect();
    let only = |tables: Vec<&'a RouteTable>| <[_; 1]>::try_from(tables).ok().map(|[table]| table);
    only(idle.iter().copied().filter(|table| name.is_some() && table.tags.name() == name).collect())
        .or_else(|| only(idle.iter().copied().filter(|table| !as_made(table)).collect()))
        .or_else(|| only(idle))
}

/// The interface that leads out: it has a public address, or its subnet routes to an internet gateway, or it is the
/// first.
pub(super) fn outer<'a>(
    network: &Network,
    own: impl IntoIterator<Item = &'a NetworkInterface, IntoIter: Clone>,
) -> Option<&'a NetworkInterface> {
    let own = own.into_iter();
    let public = |interface: &&NetworkInterface| {
        let table = network.route_table_of(&interface.subnet_id, &interface.vpc_id).ok().flatten();
        table.is_some_and(RouteTable::is_public)
    };
    own.clone()
        .find(|interface| interface.public_ip().is_some())
        .or_else(|| own.clone().find(public))
        .or_else(|| own.clone().next())
}

/// The interface of a VPC that has a private address.
pub(super) fn interface_with_address<'a>(
    network: &'a Network,
    vpc_id: &VpcId,
    address: IpAddr,
) -> Result<Option<&'a NetworkInterface>, Unknown> {
    let interfaces = network.network_interfaces.lookup().map_err(Clone::clone)?;
    Ok(interfaces.with_address(vpc_id, address))
}

/// Whether a private (or IPv6) address belongs to an interface.
pub(super) fn has_address(interface: &NetworkInterface, address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => {
            interface.private_ip == Some(address) || interface.secondary_private_ips.contains(&address)
        }
        IpAddr::V6(address) => interface.ipv6_addresses.contains(&address),
    }
}
