//! Elastic IP addresses.

use super::describe::{PAGES, maybe, one, page, select};
use super::gateway::has_internet_gateway;
use super::{Answer, tag};
use crate::model::{
    Address, AllocationId, Instance, InstanceState, InterfaceAssociation, NatGateway, NatGatewayState, NetworkInterface,
};
use crate::sandbox::wire::{ApiError, Body, Query, Xml};
use crate::sandbox::world::World;

/// Elastic IPs of one account in one region, before the quota is raised.
const QUOTA: usize = 5;

/// AllocateAddress
pub fn allocate(world: &mut World, query: &Query) -> Answer {
    if let Some(domain) = query.get("Domain").filter(|domain| *domain != "vpc") {
        return Err(ApiError::invalid_value(format!("Value ({domain}) for parameter domain is invalid.")));
    }
    if world.all::<Address>().count() >= QUOTA {
        return Err(ApiError::new("AddressLimitExceeded", "The maximum number of addresses has been reached."));
    }
    let tags = tag::specified(query, "elastic-ip")?;
    let public_ip = world.new_public_ip();
    let allocation_id = AllocationId::new(world.new_id("eipalloc-"));
    let answer = Xml::new()
        .text("publicIp", public_ip)
        .text("allocationId", &allocation_id)
        .text("publicIpv4Pool", "amazon")
        .text("networkBorderGroup", &world.region)
        .text("domain", "vpc");
    world.insert(Address {
        allocation_id,
        public_ip,
        association_id: None,
        instance_id: None,
        network_interface_id: None,
        private_ip: None,
        tags,
    });
    Ok(Body::Xml(answer))
}

/// DescribeAddresses: always all in one answer.
pub fn describe_addresses(world: &World, query: &Query) -> Answer {
    let values = |address: &Address, name: &str| match name {
        "allocation-id" => one(&address.allocation_id),
        "association-id" => maybe(address.association_id.as_ref()),
        "domain" => one("vpc"),
        "instance-id" => maybe(address.instance_id.as_ref()),
        "network-border-group" => one(&world.region),
        "network-interface-id" => maybe(address.network_interface_id.as_ref()),
        "network-interface-owner-id" => maybe(address.network_interface_id.as_ref().map(|_| &world.account_id)),
        "private-ip-address" => maybe(address.private_ip),
        "public-ip" => one(address.public_ip),
        _ => None,
    };
    let chosen = select::<Address>(world, query, "AllocationId", values)?;
    let ips = query.list("PublicIp");
    for ip in &ips {
        if !chosen.iter().any(|address| address.public_ip.to_string() == *ip) {
            return Err(ApiError::new("InvalidAddress.NotFound", format!("Address '{ip}' not found.")));
        }
    }
    let shown = chosen
        .into_iter()
        .filter(|address| ips.is_empty() || ips.contains(&address.public_ip.to_string().as_str()))
        .map(|address| {
            Xml::new()
                .text("publicIp", address.public_ip)
                .text("allocationId", &address.allocation_id)
                .text("domain", "vpc")
                .opt("instanceId", address.instance_id.as_ref())
                .opt("associationId", address.association_id.as_ref())
                .opt("networkInterfaceId", address.network_interface_id.as_ref())
                .opt("networkInterfaceOwnerId", address.network_interface_id.as_ref().map(|_| &world.account_id))
                .opt("privateIpAddress", address.private_ip)
                .items("tagSet", tag::xml(&address.tags))
                .text("publicIpv4Pool", "amazon")
                .text("networkBorderGroup", &world.region)
        });
    Ok(Body::Xml(Xml::new().items("addressesSet", shown)))
}

fn find_address(world: &World, query: &Query) -> Result<Address, ApiError> {
    match (query.get("AllocationId"), query.get("PublicIp")) {
        (Some(id), _) => world.find::<Address>(id).cloned(),
        (None, Some(ip)) => {
            let found = world.all::<Address>().find(|address| address.public_ip.to_string() == ip);
            found.cloned().ok_or_else(|| ApiError::new("InvalidAddress.NotFound", format!("Address '{ip}' not found.")))
        }
        (None, None) => Err(ApiError::new("MissingParameter", "Either public IP or allocation id must be specified")),
    }
}

/// The interface that an address shall be put on.
fn target(world: &World, query: &Query) -> Result<NetworkInterface, ApiError> {
    if let Some(id) = query.get("NetworkInterfaceId") {
        return world.find::<NetworkInterface>(id).cloned();
    }
    let id = query.get("InstanceId").ok_or_else(|| {
        ApiError::new("MissingParameter", "Either instance ID or network interface id must be specified")
    })?;
    let instance = world.find::<Instance>(id)?;
    if !matches!(
        instance.state,
        InstanceState::Running | InstanceState::Stopped | InstanceState::Stopping | InstanceState::Pending
    ) {
        return Err(ApiError::new(
            "InvalidInstanceID",
            format!("The instance '{id}' is not in a valid state for this operation."),
        ));
    }
    if instance.state == InstanceState::Pending {
        return Err(ApiError::new(
            "InvalidInstanceID",
            format!("The pending instance '{id}' is not in a valid state for this operation."),
        ));
    }
    match instance.network_interface_ids.as_slice() {
        [only] => world.find::<NetworkInterface>(only.as_str()).cloned(),
        _ => Err(ApiError::new(
            "InvalidInstanceID",
            format!(
                "There are multiple interfaces attached to instance '{id}'. Please specify an interface ID for the \
                 operation instead."
            ),
        )),
    }
}

/// AssociateAddress: with the primary private address of an interface.
pub fn associate(world: &mut World, query: &Query) -> Answer {
    let address = find_address(world, query)?;
    let interface = target(world, query)?;
    let private_ip = match query.get("PrivateIpAddress").filter(|text| !text.is_empty()) {
        None => interface.private_ip,
        Some(text) => {
            let wanted = interface.private_ip.into_iter().chain(interface.secondary_private_ips.iter().copied());
            Some(wanted.into_iter().find(|ip| ip.to_string() == text).ok_or_else(|| {
                ApiError::invalid_value(format!(
                    "Invalid value for PrivateIpAddress: {text} is not an address of the interface."
                ))
            })?)
        }
    };
    if !has_internet_gateway(world, &interface.vpc_id) {
        return Err(ApiError::new(
            "Gateway.NotAttached",
            format!("Network {} is not attached to any internet gateway", interface.vpc_id),
        ));
    }
    let here = address.network_interface_id.as_ref() == Some(&interface.network_interface_id)
        && address.private_ip == private_ip;
    let of_primary = private_ip == interface.private_ip;
    // Who has an Elastic IP at that private address already. Without the interface's own one, given at launch.
    let holder = world.all::<Address>().find(|other| {
        other.network_interface_id.as_ref() == Some(&interface.network_interface_id) && other.private_ip == private_ip
    });
    let displaced = holder.map(|other| other.allocation_id.clone());
    let taken = holder.and_then(|other| other.association_id.clone());
    if let Some(association_id) = address.association_id.as_ref().filter(|_| here) {
        return Ok(Body::Xml(Xml::new().text("return", true).text("associationId", association_id)));
    }
    // Without the flag AWS refuses to take an address away from somebody or to replace one that is there.
    let reassociate = query.bool("AllowReassociation")?.unwrap_or(false);
    if address.association_id.is_some() && !reassociate {
        return Err(ApiError::new(
            "Resource.AlreadyAssociated",
            format!(
                "resource {} is already associated with associate-id {}",
                address.allocation_id,
                address.association_id.as_deref().unwrap_or_default()
            ),
        ));
    }
    if let Some(other) = taken.filter(|_| !reassociate) {
        return Err(ApiError::new(
            "Resource.AlreadyAssociated",
            format!("resource {} is already associated with associate-id {other}", interface.network_interface_id),
        ));
    }
    world.take_address_off(&address.allocation_id);
    if let Some(displaced) = displaced {
        world.take_address_off(&displaced);
    }
    let association_id = world.new_id("eipassoc-");
    let stored = world.find_mut::<Address>(address.allocation_id.as_str())?;
    stored.association_id = Some(association_id.clone());
    stored.network_interface_id = Some(interface.network_interface_id.clone());
    stored.instance_id = interface.attachment.as_ref().and_then(|attachment| attachment.instance_id.clone());
    stored.private_ip = private_ip;
    let association = InterfaceAssociation {
        public_ip: address.public_ip,
        allocation_id: Some(address.allocation_id),
        association_id: Some(association_id.clone()),
    };
    if of_primary {
        world.find_mut::<NetworkInterface>(interface.network_interface_id.as_str())?.association = Some(association);
    }
    Ok(Body::Xml(Xml::new().text("return", true).text("associationId", association_id)))
}

/// DisassociateAddress
pub fn disassociate(world: &mut World, query: &Query) -> Answer {
    let address = match query.get("AssociationId") {
        Some(id) => {
            let found = world.all::<Address>().find(|address| address.association_id.as_deref() == Some(id));
            found.cloned().ok_or_else(|| {
                ApiError::new("InvalidAssociationID.NotFound", format!("The association ID '{id}' does not exist"))
            })?
        }
        None => find_address(world, query)?,
    };
    if of_nat_gateway(world, &address).is_some() {
        return Err(ApiError::new(
            "OperationNotPermitted",
            "You do not have permission to disassociate the address of a NAT gateway.",
        ));
    }
    world.take_address_off(&address.allocation_id);
    super::done()
}

fn of_nat_gateway<'a>(world: &'a World, address: &Address) -> Option<&'a NatGateway> {
    world.all::<NatGateway>().find(|gateway| {
        gateway.allocation_id.as_ref() == Some(&address.allocation_id) && gateway.state != NatGatewayState::Deleted
    })
}

/// ReleaseAddress: refused while associated.
pub fn release(world: &mut World, query: &Query) -> Answer {
    let address = find_address(world, query)?;
    if address.association_id.is_some() || of_nat_gateway(world, &address).is_some() {
        return Err(ApiError::new("InvalidIPAddress.InUse", format!("Address {} is in use.", address.public_ip)));
    }
    world.remove::<Address>(&address.allocation_id);
    super::done()
}

/// DescribeAddressesAttribute: reverse DNS, which no address of the sandbox has.
pub fn describe_attribute(world: &World, query: &Query) -> Answer {
    let chosen = select::<Address>(world, query, "AllocationId", |_, _| None)?;
    let rows = chosen
        .into_iter()
        .map(|address| {
            let row = Xml::new().text("publicIp", address.public_ip).text("allocationId", &address.allocation_id);
            (address.allocation_id.as_str().to_owned(), row)
        })
        .collect();
    let (page, token) = page(query, PAGES, rows)?;
    Ok(Body::Xml(Xml::new().items("addressSet", page).opt("nextToken", token)))
}
