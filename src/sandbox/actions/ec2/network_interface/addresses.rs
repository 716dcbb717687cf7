//! Private addresses given to an interface, and taken off it, after it was made.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::super::{Answer, done};
use super::create::ipv6_of;
use crate::model::{NetworkInterface, NetworkInterfaceId, Subnet};
use crate::sandbox::wire::{ApiError, Body, Query, Xml};
use crate::sandbox::world::World;

/// Gives an interface further private addresses: those wanted, and some more. Nothing is changed when one is missing.
pub(in super::super) fn add_private_ips(
    world: &mut World,
    id: &NetworkInterfaceId,
    wanted: Vec<Ipv4Addr>,
    count: usize,
) -> Result<Vec<Ipv4Addr>, ApiError> {
    let subnet_id = world.find::<NetworkInterface>(id.as_str())?.subnet_id.clone();
    let subnet = world.find::<Subnet>(subnet_id.as_str())?.clone();
    let mut used = world.used_ips(&subnet_id);
    let mut added = Vec::new();
    for wish in wanted.into_iter().map(Some).chain(std::iter::repeat_n(None, count)) {
        let ip = world.free_ip(&subnet, &used, wish)?;
        used.insert(ip);
        added.push(ip);
    }
    world.find_mut::<NetworkInterface>(id.as_str())?.secondary_private_ips.extend(&added);
    Ok(added)
}

fn own(world: &World, query: &Query) -> Result<NetworkInterface, ApiError> {
    let interface = world.find::<NetworkInterface>(query.require("NetworkInterfaceId")?)?;
    if interface.requester_managed {
        return Err(ApiError::new(
            "OperationNotPermitted",
            format!(
                "You are not allowed to manage '{}': it belongs to an AWS service.",
                interface.network_interface_id
            ),
        ));
    }
    Ok(interface.clone())
}

fn parsed<T: std::str::FromStr>(query: &Query, name: &str) -> Result<Vec<T>, ApiError> {
    let parse = |text: &str| {
        text.parse().map_err(|_| ApiError::invalid_value(format!("invalid value for parameter address: {text}")))
    };
    query.list(name).into_iter().map(parse).collect()
}

fn count(query: &Query, name: &str) -> Result<usize, ApiError> {
    let count = query.int(name)?.unwrap_or(0);
    let valid = usize::try_from(count).ok().filter(|count| *count <= 250);
    valid.ok_or_else(|| ApiError::invalid_value(format!("Invalid value '{count}' for {name}.")))
}

/// AssignPrivateIpAddresses: secondary IPv4 addresses.
pub fn assign_ipv4(world: &mut World, query: &Query) -> Answer {
    let id = own(world, query)?.network_interface_id;
    if query.has("Ipv4Prefix") || query.has("Ipv4PrefixCount") {
        return Err(ApiError::new("UnsupportedOperation", "The sandbox does not simulate prefixes of interfaces."));
    }
    let (wanted, more) = (parsed(query, "PrivateIpAddress")?, count(query, "SecondaryPrivateIpAddressCount")?);
    if wanted.is_empty() && more == 0 {
        return Err(ApiError::missing("PrivateIpAddress"));
    }
    let reassign = query.bool("AllowReassignment")?.unwrap_or(false);
    if reassign {
        // An address may be taken from another interface of the subnet, if it is a secondary one there.
        for other in world.network.network_interfaces.items_mut().values_mut() {
            if other.network_interface_id != id {
                other.secondary_private_ips.retain(|ip| !wanted.contains(ip));
            }
        }
    }
    let added = add_private_ips(world, &id, wanted, more)?;
    let rows = added.into_iter().map(|ip| Xml::new().text("privateIpAddress", ip));
    let answer = Xml::new().text("networkInterfaceId", id).items("assignedPrivateIpAddressesSet", rows);
    Ok(Body::Xml(answer.items("assignedIpv4PrefixSet", []).text("return", true)))
}

/// UnassignPrivateIpAddresses: never the primary one.
pub fn unassign_ipv4(world: &mut World, query: &Query) -> Answer {
    let interface = own(world, query)?;
    let gone: Vec<Ipv4Addr> = parsed(query, "PrivateIpAddress")?;
    if let Some(ip) = gone.iter().find(|ip| !interface.secondary_private_ips.contains(ip)) {
        return Err(ApiError::invalid_value(format!(
            "Some of the specified addresses are not assigned to interface {}: {ip}",
            interface.network_interface_id
        )));
    }
    let on_them: Vec<_> = world
        .all::<crate::model::Address>()
        .filter(|address| address.network_interface_id.as_ref() == Some(&interface.network_interface_id))
        .filter(|address| address.private_ip.is_some_and(|ip| gone.contains(&ip)))
        .map(|address| address.allocation_id.clone())
        .collect();
    for allocation_id in on_them {
        world.take_address_off(&allocation_id);
    }
    let stored = world.find_mut::<NetworkInterface>(interface.network_interface_id.as_str())?;
    stored.secondary_private_ips.retain(|ip| !gone.contains(ip));
    done()
}

/// AssignIpv6Addresses
pub fn assign_ipv6(world: &mut World, query: &Query) -> Answer {
    let interface = own(world, query)?;
    let subnet = world.find::<Subnet>(interface.subnet_id.as_str())?.clone();
    let wanted: Vec<Ipv6Addr> = parsed(query, "Ipv6Addresses")?;
    let more = count(query, "Ipv6AddressCount")?;
    let mut added = Vec::new();
    for wish in wanted.into_iter().map(Some).chain(std::iter::repeat_n(None, more)) {
        added.push(ipv6_of(world, &subnet, wish)?);
    }
    let stored = world.find_mut::<NetworkInterface>(interface.network_interface_id.as_str())?;
    stored.ipv6_addresses.extend(&added);
    let answer = Xml::new().values("assignedIpv6Addresses", added).items("assignedIpv6PrefixSet", []);
    Ok(Body::Xml(answer.text("networkInterfaceId", interface.network_interface_id)))
}

/// UnassignIpv6Addresses
pub fn unassign_ipv6(world: &mut World, query: &Query) -> Answer {
    let interface = own(world, query)?;
    let gone: Vec<Ipv6Addr> = parsed(query, "Ipv6Addresses")?;
    let stored = world.find_mut::<NetworkInterface>(interface.network_interface_id.as_str())?;
    stored.ipv6_addresses.retain(|ip| !gone.contains(ip));
    let answer = Xml::new().text("networkInterfaceId", interface.network_interface_id);
    Ok(Body::Xml(answer.values("unassignedIpv6Addresses", gone).items("unassignedIpv6PrefixSet", [])))
}
