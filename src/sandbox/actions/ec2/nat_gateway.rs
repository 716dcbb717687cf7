//! Managed NAT gateways, as far as a NAT instance's operator meets them.

use std::net::Ipv4Addr;

mod secondary;

pub use secondary::{assign, associate, disassociate, unassign};

use super::describe::{describe, one};
use super::gateway::has_internet_gateway;
use super::network_interface::{NewInterface, address_wishes, make};
use super::{Answer, iso8601, tag};
use crate::model::{
    Address, AttachmentId, InterfaceAssociation, InterfaceAttachment, InterfaceStatus, NatGateway, NatGatewayId,
    NatGatewayState, NetworkInterface, Subnet,
};
use crate::sandbox::wire::{ApiError, Body, Query, Xml};
use crate::sandbox::world::{Event, NatGatewayRecord, World};

fn xml(world: &World, gateway: &NatGateway) -> Xml {
    let record = world.records.nat_gateways.get(gateway.nat_gateway_id.as_str());
    let associated = gateway.state == NatGatewayState::Available;
    let association = gateway
        .allocation_id
        .as_ref()
        .and_then(|id| world.get::<Address>(id))
        .and_then(|address| address.association_id.as_ref());
    let address = Xml::new()
        .opt("allocationId", gateway.allocation_id.as_ref())
        .opt("networkInterfaceId", gateway.network_interface_id.as_ref())
        .opt("privateIp", gateway.private_ip)
        .opt("publicIp", gateway.public_ip)
        .opt("associationId", association)
        .text("isPrimary", true)
        .text("status", if associated { "succeeded" } else { "associating" });
    let secondary = record.into_iter().flat_map(|record| &record.secondary).map(|other| {
        let stored = other.allocation_id.as_ref().and_then(|id| world.get::<Address>(id));
        Xml::new()
            .opt("allocationId", other.allocation_id.as_ref())
            .opt("networkInterfaceId", gateway.network_interface_id.as_ref())
            .text("privateIp", other.private_ip)
            .opt("publicIp", stored.map(|address| address.public_ip))
            .opt("associationId", stored.and_then(|address| address.association_id.as_ref()))
            .text("isPrimary", false)
            .text("status", if associated { "succeeded" } else { "assigning" })
    });
    Xml::new()
        .opt("createTime", record.map(|record| iso8601(record.created_at)))
        .opt("deleteTime", record.and_then(|record| record.deleted_at).map(iso8601))
        .opt("failureCode", gateway.failure_code.as_ref())
        .opt("failureMessage", gateway.failure_message.as_ref())
        .items("natGatewayAddressSet", std::iter::once(address).chain(secondary))
        .text("natGatewayId", &gateway.nat_gateway_id)
        .text("state", &gateway.state)
        .text("subnetId", &gateway.subnet_id)
        .text("vpcId", &gateway.vpc_id)
        .items("tagSet", tag::xml(&gateway.tags))
        .text("connectivityType", &gateway.connectivity_type)
        .text("availabilityMode", "zonal")
}

/// CreateNatGateway
pub fn create(world: &mut World, query: &Query) -> Answer {
    let subnet = world.find::<Subnet>(query.require("SubnetId")?)?.clone();
    let connectivity_type = query.get("ConnectivityType").unwrap_or("public").to_owned();
    let tags = tag::specified(query, "natgateway")?;
    let mut wishes = address_wishes(query)?;
    secondary::wishes(query, &connectivity_type, &mut wishes)?;
    let address = match (connectivity_type.as_str(), query.get("AllocationId")) {
        ("public", None) => return Err(ApiError::missing("AllocationId")),
        ("public", Some(id)) => {
            let address = world.find::<Address>(id)?.clone();
            if address.association_id.is_some() {
                return Err(ApiError::new(
                    "Resource.AlreadyAssociated",
                    format!(
                        "resource {id} is already associated with associate-id {}",
                        address.association_id.as_deref().unwrap_or_default()
                    ),
                ));
            }
            if !has_internet_gateway(world, &subnet.vpc_id) {
                return Err(ApiError::new(
                    "Gateway.NotAttached",
                    format!("Network {} has no Internet gateway attached", subnet.vpc_id),
                ));
            }
            Some(address)
        }
        ("private", Some(_)) => {
            return Err(ApiError::new(
                "InvalidParameterCombination",
                "A private NAT gateway cannot have an allocation id.",
            ));
        }
        ("private", None) => None,
        (other, _) => {
            return Err(ApiError::invalid_value(format!("Value ({other}) for parameter connectivityType is invalid.")));
        }
    };
    let nat_gateway_id = NatGatewayId::new(world.new_id("nat-"));
    let interface_id = make(
        world,
        NewInterface {
            subnet: subnet.clone(),
            wishes,
            groups: Vec::new(),
            description: format!("Interface for NAT Gateway {nat_gateway_id}"),
            interface_type: "nat_gateway",
            requester_id: Some("AMAZON:NAT".to_owned()),
            tags: crate::model::Tags::default(),
        },
    )?;
    let attachment_id = AttachmentId::new(world.new_id("eni-attach-"));
    let now = world.now;
    if let Some(record) = world.records.interfaces.get_mut(&interface_id) {
        record.attached_at = Some(now);
        record.attachment_owner_id = Some("amazon-aws".to_owned());
    }
    let mut private_ip: Option<Ipv4Addr> = None;
    let association_id = address.as_ref().map(|_| world.new_id("eipassoc-"));
    if let Some(interface) = world.get_mut::<NetworkInterface>(&interface_id) {
        private_ip = interface.private_ip;
        interface.association = address.as_ref().map(|address| InterfaceAssociation {
            public_ip: address.public_ip,
            allocation_id: Some(address.allocation_id.clone()),
            association_id: association_id.clone(),
        });
        interface.status = InterfaceStatus::InUse;
        interface.attachment = Some(InterfaceAttachment {
            attachment_id,
            instance_id: None,
            device_index: 1,
            status: "attached".to_owned(),
            delete_on_termination: false,
        });
    }
    if let Some(stored) = address.as_ref().and_then(|address| world.get_mut::<Address>(&address.allocation_id)) {
        stored.association_id = association_id;
        stored.network_interface_id = Some(interface_id.clone());
        stored.private_ip = private_ip;
    }
    let gateway = NatGateway {
        nat_gateway_id: nat_gateway_id.clone(),
        vpc_id: subnet.vpc_id,
        subnet_id: subnet.subnet_id,
        state: NatGatewayState::Pending,
        connectivity_type,
        public_ip: None,
        private_ip,
        allocation_id: address.as_ref().map(|address| address.allocation_id.clone()),
        network_interface_id: Some(interface_id.clone()),
        failure_code: None,
        failure_message: None,
        tags,
    };
    let secondary = secondary::first(world, query, &interface_id)?;
    let public_ip = address.map(|address| address.public_ip);
    let record = NatGatewayRecord { created_at: now, deleted_at: None, public_ip, secondary };
    world.records.nat_gateways.insert(nat_gateway_id.as_str().to_owned(), record);
    let answer = Xml::new().opt("clientToken", query.get("ClientToken")).node("natGateway", xml(world, &gateway));
    world.insert(gateway);
    world.schedule(world.delays.nat_gateway_create, Event::NatGatewayAvailable(nat_gateway_id));
    Ok(Body::Xml(answer))
}

/// DescribeNatGateways
pub fn describe_nat_gateways(world: &World, query: &Query) -> Answer {
    let values = |gateway: &NatGateway, name: &str| match name {
        "nat-gateway-id" => one(&gateway.nat_gateway_id),
        "state" => one(&gateway.state),
        "subnet-id" => one(&gateway.subnet_id),
        "vpc-id" => one(&gateway.vpc_id),
        "connectivity-type" => one(&gateway.connectivity_type),
        _ => None,
    };
    describe(world, query, "NatGatewayId", "natGatewaySet", values, |gateway| xml(world, gateway))
}

/// DeleteNatGateway
pub fn delete(world: &mut World, query: &Query) -> Answer {
    let now = world.now;
    let gateway = world.find_mut::<NatGateway>(query.require("NatGatewayId")?)?;
    let id = gateway.nat_gateway_id.clone();
    if gateway.state == NatGatewayState::Deleted {
        return Err(ApiError::new("NatGatewayNotFound", format!("NatGateway {id} was not found")));
    }
    if gateway.state != NatGatewayState::Deleting {
        gateway.state = NatGatewayState::Deleting;
        if let Some(record) = world.records.nat_gateways.get_mut(id.as_str()) {
            record.deleted_at = Some(now);
        }
        world.schedule(world.delays.nat_gateway_delete, Event::NatGatewayDeleted(id.clone()));
    }
    Ok(Body::Xml(Xml::new().text("natGatewayId", id)))
}
