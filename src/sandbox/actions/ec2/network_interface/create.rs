//! How a network interface comes into the world: with a free address of its subnet.

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::model::{InterfaceStatus, NetworkInterface, NetworkInterfaceId, SecurityGroupId, Subnet, Tags};
use crate::sandbox::wire::{ApiError, Query};
use crate::sandbox::world::{InterfaceRecord, World};

/// The addresses that a request asks for.
#[derive(Debug, Clone, Default)]
pub struct Wishes {
    pub primary: Option<Ipv4Addr>,
    pub secondary: Vec<Ipv4Addr>,
    /// How many more secondary addresses, any.
    pub secondary_count: usize,
    pub ipv6: Vec<Ipv6Addr>,
    pub ipv6_count: usize,
}

/// An interface to be made.
pub struct NewInterface {
    pub subnet: Subnet,
    pub wishes: Wishes,
    pub groups: Vec<SecurityGroupId>,
    pub description: String,
    pub interface_type: &'static str,
    /// Set for the interfaces of AWS services.
    pub requester_id: Option<String>,
    pub tags: Tags,
}

fn ipv4(text: &str) -> Result<Ipv4Addr, ApiError> {
    text.parse().map_err(|_| ApiError::invalid_value(format!("invalid value for parameter address: {text}")))
}

/// Reads the address fields, which RunInstances and CreateNetworkInterface have in common.
pub fn address_wishes(query: &Query) -> Result<Wishes, ApiError> {
    let mut wishes = Wishes { primary: query.get("PrivateIpAddress").map(ipv4).transpose()?, ..Wishes::default() };
    for entry in query.structs("PrivateIpAddresses") {
        let ip = ipv4(entry.require("PrivateIpAddress")?)?;
        if !entry.bool("Primary")?.unwrap_or(false) {
            wishes.secondary.push(ip);
        } else if wishes.primary.replace(ip).is_some_and(|other| other != ip) {
            return Err(ApiError::new(
                "InvalidParameterCombination",
                "Only one primary private IP address can be specified.",
            ));
        }
    }
    let count = |name: &str| -> Result<usize, ApiError> {
        let count = query.int(name)?.unwrap_or(0);
        usize::try_from(count)
            .ok()
            .filter(|count| *count <= 250)
            .ok_or_else(|| ApiError::invalid_value(format!("Invalid value '{count}' for {name}.")))
    };
    wishes.secondary_count = count("SecondaryPrivateIpAddressCount")?;
    wishes.ipv6_count = count("Ipv6AddressCount")?;
    for entry in query.structs("Ipv6Addresses") {
        let text = entry.require("Ipv6Address")?;
        let ip = text.parse().map_err(|_| ApiError::invalid_value(format!("Invalid IPv6 address: {text}")))?;
        wishes.ipv6.push(ip);
    }
    Ok(wishes)
}

/// An IPv6 address of the subnet: the wanted one, or any.
pub(super) fn ipv6_of(world: &mut World, subnet: &Subnet, wish: Option<Ipv6Addr>) -> Result<Ipv6Addr, ApiError> {
    let Some(net) = subnet.ipv6_cidr_blocks.first() else {
        return Err(ApiError::invalid_value(format!("Subnet {} has no IPv6 CIDR block", subnet.subnet_id)));
    };
    match wish {
        Some(ip) if net.contains(&ip) => Ok(ip),
        Some(_) => Err(ApiError::invalid_value("Address does not fall within the subnet's address range")),
        None => Ok(Ipv6Addr::from_bits(net.network().to_bits() | u128::from(world.random(|rng| rng.u64(16..))))),
    }
}

/// Makes an interface. Nothing is changed when it cannot be made.
pub fn make(world: &mut World, new: NewInterface) -> Result<NetworkInterfaceId, ApiError> {
    let NewInterface { subnet, wishes, groups, description, interface_type, requester_id, tags } = new;
    let mut used = world.used_ips(&subnet.subnet_id);
    // An IPv6-only subnet has no other addresses to give.
    let private_ip = match subnet.cidr_block {
        Some(_) => Some(world.free_ip(&subnet, &used, wishes.primary)?),
        None => None,
    };
    used.extend(private_ip);
    let mut secondary_private_ips = Vec::new();
    let wanted = wishes.secondary.into_iter().map(Some).chain(std::iter::repeat_n(None, wishes.secondary_count));
    for wish in wanted {
        let ip = world.free_ip(&subnet, &used, wish)?;
        used.insert(ip);
        secondary_private_ips.push(ip);
    }
    let mut ipv6_addresses = Vec::new();
    // Where nothing is asked for, the subnet may give one by itself.
    let by_itself =
        wishes.ipv6.is_empty() && wishes.ipv6_count == 0 && super::super::subnet::record(world, &subnet).assign_ipv6;
    let ipv6_count = if by_itself { 1 } else { wishes.ipv6_count };
    let wanted = wishes.ipv6.into_iter().map(Some).chain(std::iter::repeat_n(None, ipv6_count));
    for wish in wanted {
        let ip = ipv6_of(world, &subnet, wish)?;
        ipv6_addresses.push(ip);
    }
    let network_interface_id = NetworkInterfaceId::new(world.new_id("eni-"));
    let record = InterfaceRecord {
        attached_at: None,
        auto_public_ip: false,
        requester_id: requester_id.clone(),
        attachment_owner_id: None,
        detached: None,
    };
    world.records.interfaces.insert(network_interface_id.clone(), record);
    let interface = NetworkInterface {
        network_interface_id: network_interface_id.clone(),
        vpc_id: subnet.vpc_id,
        subnet_id: subnet.subnet_id,
        availability_zone: subnet.availability_zone,
        status: InterfaceStatus::Available,
        interface_type: interface_type.to_owned(),
        description,
        mac_address: world.new_mac(),
        private_ip,
        secondary_private_ips,
        ipv6_addresses,
        security_group_ids: groups,
        source_dest_check: interface_type != "nat_gateway",
        attachment: None,
        association: None,
        requester_managed: requester_id.is_some(),
        tags,
    };
    world.insert(interface);
    Ok(network_interface_id)
}
