//! The further addresses of a NAT gateway, which give it more ports towards one destination.

use std::net::Ipv4Addr;

use super::super::network_interface::Wishes;
use super::super::network_interface::addresses::add_private_ips;
use super::{Answer, xml};
use crate::model::{Address, AllocationId, NatGateway, NetworkInterface, NetworkInterfaceId};
use crate::sandbox::wire::{ApiError, Body, Query, Xml};
use crate::sandbox::world::{NatSecondary, World};

fn private_ips(query: &Query, name: &str) -> Result<Vec<Ipv4Addr>, ApiError> {
    let parse = |text: &str| {
        text.parse().map_err(|_| ApiError::invalid_value(format!("invalid value for parameter address: {text}")))
    };
    query.list(name).into_iter().map(parse).collect()
}

/// What CreateNatGateway asks for beside the primary address.
pub(super) fn wishes(query: &Query, connectivity_type: &str, wishes: &mut Wishes) -> Result<(), ApiError> {
    wishes.secondary = private_ips(query, "SecondaryPrivateIpAddress")?;
    let allocations = query.list("SecondaryAllocationId").len();
    if connectivity_type == "public" {
        wishes.secondary_count = allocations.saturating_sub(wishes.secondary.len());
    } else if allocations > 0 {
        return Err(ApiError::new(
            "InvalidParameterCombination",
            "A private NAT gateway cannot have an allocation id.",
        ));
    }
    Ok(())
}

/// The further addresses of a new gateway: those of its interface, with the Elastic IPs of the request.
pub(super) fn first(
    world: &mut World,
    query: &Query,
    interface_id: &NetworkInterfaceId,
) -> Result<Vec<NatSecondary>, ApiError> {
    let ips = world.get::<NetworkInterface>(interface_id).map(|i| i.secondary_private_ips.clone()).unwrap_or_default();
    let allocations = query.list("SecondaryAllocationId").into_iter().map(Some).chain(std::iter::repeat(None));
    let mut secondary = Vec::new();
    for (private_ip, allocation) in ips.into_iter().zip(allocations) {
        let allocation_id = allocation.map(|id| put_on(world, id, interface_id, private_ip)).transpose()?;
        secondary.push(NatSecondary { private_ip, allocation_id });
    }
    Ok(secondary)
}

fn put_on(
    world: &mut World,
    allocation: &str,
    interface_id: &NetworkInterfaceId,
    private_ip: Ipv4Addr,
) -> Result<AllocationId, ApiError> {
    let association_id = world.new_id("eipassoc-");
    let address = world.find_mut::<Address>(allocation)?;
    if let Some(other) = &address.association_id {
        return Err(ApiError::new(
            "Resource.AlreadyAssociated",
            format!("resource {allocation} is already associated with associate-id {other}"),
        ));
    }
    address.association_id = Some(association_id);
    address.network_interface_id = Some(interface_id.clone());
    address.private_ip = Some(private_ip);
    Ok(address.allocation_id.clone())
}

/// The gateway that a request names, with its interface.
fn gateway(
    world: &World,
    query: &Query,
    connectivity_type: &str,
) -> Result<(NatGateway, NetworkInterfaceId), ApiError> {
    let gateway = world.find::<NatGateway>(query.require("NatGatewayId")?)?.clone();
    if gateway.connectivity_type != connectivity_type {
        return Err(ApiError::invalid_value(format!(
            "The operation is not for NAT gateways of connectivity type {}.",
            gateway.connectivity_type
        )));
    }
    let missing = || ApiError::new("IncorrectState", format!("{} has no interface.", gateway.nat_gateway_id));
    let interface_id = gateway.network_interface_id.clone().ok_or_else(missing)?;
    Ok((gateway, interface_id))
}

fn answer(world: &World, gateway: &NatGateway) -> Answer {
    let shown = xml(world, gateway);
    let addresses = shown.entries("natGatewayAddressSet").into_iter().cloned().collect::<Vec<_>>();
    let answer = Xml::new().text("natGatewayId", &gateway.nat_gateway_id).items("natGatewayAddressSet", addresses);
    Ok(Body::Xml(answer))
}

fn secondary_mut<'a>(world: &'a mut World, gateway: &NatGateway) -> Option<&'a mut Vec<NatSecondary>> {
    world.records.nat_gateways.get_mut(gateway.nat_gateway_id.as_str()).map(|record| &mut record.secondary)
}

/// AssignPrivateNatGatewayAddress
pub fn assign(world: &mut World, query: &Query) -> Answer {
    let (gateway, interface_id) = gateway(world, query, "private")?;
    let count = usize::try_from(query.int("PrivateIpAddressCount")?.unwrap_or(0)).unwrap_or_default();
    let added = add_private_ips(world, &interface_id, private_ips(query, "PrivateIpAddress")?, count)?;
    if let Some(secondary) = secondary_mut(world, &gateway) {
        secondary.extend(added.into_iter().map(|private_ip| NatSecondary { private_ip, allocation_id: None }));
    }
    answer(world, &gateway)
}

/// UnassignPrivateNatGatewayAddress
pub fn unassign(world: &mut World, query: &Query) -> Answer {
    let (gateway, interface_id) = gateway(world, query, "private")?;
    let gone = private_ips(query, "PrivateIpAddress")?;
    if let Some(interface) = world.get_mut::<NetworkInterface>(&interface_id) {
        interface.secondary_private_ips.retain(|ip| !gone.contains(ip));
    }
    if let Some(secondary) = secondary_mut(world, &gateway) {
        secondary.retain(|other| !gone.contains(&other.private_ip));
    }
    answer(world, &gateway)
}

/// AssociateNatGatewayAddress
pub fn associate(world: &mut World, query: &Query) -> Answer {
    let (gateway, interface_id) = gateway(world, query, "public")?;
    let allocations: Vec<String> = query.list("AllocationId").into_iter().map(str::to_owned).collect();
    let wanted = private_ips(query, "PrivateIpAddress")?;
    let count = allocations.len().saturating_sub(wanted.len());
    let added = add_private_ips(world, &interface_id, wanted, count)?;
    for (private_ip, allocation) in added.into_iter().zip(&allocations) {
        let allocation_id = Some(put_on(world, allocation, &interface_id, private_ip)?);
        if let Some(secondary) = secondary_mut(world, &gateway) {
            secondary.push(NatSecondary { private_ip, allocation_id });
        }
    }
    answer(world, &gateway)
}

/// DisassociateNatGatewayAddress: with the private addresses that they were on.
pub fn disassociate(world: &mut World, query: &Query) -> Answer {
    let (gateway, interface_id) = gateway(world, query, "public")?;
    for association_id in query.list("AssociationId") {
        let found = world.all::<Address>().find(|address| address.association_id.as_deref() == Some(association_id));
        let Some(address) = found.filter(|a| Some(&a.allocation_id) != gateway.allocation_id.as_ref()).cloned() else {
            return Err(ApiError::new(
                "InvalidAssociationID.NotFound",
                format!("The association ID '{association_id}' does not exist"),
            ));
        };
        world.take_address_off(&address.allocation_id);
        if let Some(secondary) = secondary_mut(world, &gateway) {
            secondary.retain(|other| other.allocation_id.as_ref() != Some(&address.allocation_id));
        }
        if let Some(interface) = world.get_mut::<NetworkInterface>(&interface_id) {
            interface.secondary_private_ips.retain(|ip| Some(*ip) != address.private_ip);
        }
    }
    answer(world, &gateway)
}
