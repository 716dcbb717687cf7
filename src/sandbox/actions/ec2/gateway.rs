//! Internet gateways and egress-only internet gateways.

use super::describe::{describe, many, one};
use super::{Answer, tag};
use crate::model::{
    AttachmentState, EgressOnlyInternetGateway, EgressOnlyInternetGatewayId, GatewayAttachment, InternetGateway,
    InternetGatewayId, NetworkInterface, Vpc, VpcId,
};
use crate::sandbox::wire::{ApiError, Body, Query, Xml};
use crate::sandbox::world::World;

fn attachments(attachments: &[GatewayAttachment]) -> impl Iterator<Item = Xml> + '_ {
    attachments.iter().map(|a| Xml::new().text("vpcId", &a.vpc_id).text("state", &a.state))
}

fn xml(world: &World, gateway: &InternetGateway) -> Xml {
    Xml::new()
        .text("internetGatewayId", &gateway.internet_gateway_id)
        .text("ownerId", &world.account_id)
        .items("attachmentSet", attachments(&gateway.attachments))
        .items("tagSet", tag::xml(&gateway.tags))
}

/// CreateInternetGateway
pub fn create(world: &mut World, query: &Query) -> Answer {
    let tags = tag::specified(query, "internet-gateway")?;
    let internet_gateway_id = InternetGatewayId::new(world.new_id("igw-"));
    let gateway = InternetGateway { internet_gateway_id, attachments: Vec::new(), tags };
    let answer = xml(world, &gateway);
    world.insert(gateway);
    Ok(Body::Xml(Xml::new().node("internetGateway", answer)))
}

/// DescribeInternetGateways
pub fn describe_internet_gateways(world: &World, query: &Query) -> Answer {
    let values = |gateway: &InternetGateway, name: &str| match name {
        "internet-gateway-id" => one(&gateway.internet_gateway_id),
        "attachment.vpc-id" => many(gateway.attachments.iter().map(|a| &a.vpc_id)),
        "attachment.state" => many(gateway.attachments.iter().map(|a| &a.state)),
        "owner-id" => one(&world.account_id),
        _ => None,
    };
    describe(world, query, "InternetGatewayId", "internetGatewaySet", values, |gateway| xml(world, gateway))
}

/// AttachInternetGateway: one gateway per VPC, one VPC per gateway.
pub fn attach(world: &mut World, query: &Query) -> Answer {
    let vpc_id = world.find::<Vpc>(query.require("VpcId")?)?.vpc_id.clone();
    let gateway = world.find::<InternetGateway>(query.require("InternetGatewayId")?)?;
    let gateway_id = gateway.internet_gateway_id.clone();
    if let Some(attachment) = gateway.attachments.first() {
        return Err(ApiError::new(
            "Resource.AlreadyAssociated",
            format!("resource {gateway_id} is already attached to network {}", attachment.vpc_id),
        ));
    }
    if world.all::<InternetGateway>().any(|other| other.attachments.iter().any(|a| a.vpc_id == vpc_id)) {
        return Err(ApiError::invalid_value(format!("Network {vpc_id} already has an internet gateway attached")));
    }
    let gateway = world.find_mut::<InternetGateway>(gateway_id.as_str())?;
    gateway.attachments.push(GatewayAttachment { vpc_id, state: AttachmentState::Available });
    super::done()
}

/// DetachInternetGateway: refused while public addresses in the VPC depend on it.
pub fn detach(world: &mut World, query: &Query) -> Answer {
    let vpc_id = world.find::<Vpc>(query.require("VpcId")?)?.vpc_id.clone();
    let gateway = world.find::<InternetGateway>(query.require("InternetGatewayId")?)?;
    let gateway_id = gateway.internet_gateway_id.clone();
    if !gateway.attachments.iter().any(|a| a.vpc_id == vpc_id) {
        return Err(ApiError::new(
            "Gateway.NotAttached",
            format!("resource {gateway_id} is not attached to network {vpc_id}"),
        ));
    }
    if world.all::<NetworkInterface>().any(|r| r.vpc_id == vpc_id && r.association.is_some()) {
        return Err(ApiError::dependency(format!(
            "Network {vpc_id} has some mapped public address(es). Please unmap those public address(es) before \
             detaching the gateway."
        )));
    }
    world.find_mut::<InternetGateway>(gateway_id.as_str())?.attachments.clear();
    super::done()
}

/// DeleteInternetGateway: refused while attached.
pub fn delete(world: &mut World, query: &Query) -> Answer {
    let gateway = world.find::<InternetGateway>(query.require("InternetGatewayId")?)?;
    let gateway_id = gateway.internet_gateway_id.clone();
    if !gateway.attachments.is_empty() {
        return Err(ApiError::dependency(format!(
            "The internetGateway '{gateway_id}' has dependencies and cannot be deleted."
        )));
    }
    world.remove::<InternetGateway>(&gateway_id);
    super::done()
}

/// Whether an internet gateway is attached to the VPC.
pub(super) fn has_internet_gateway(world: &World, vpc_id: &VpcId) -> bool {
    world.all::<InternetGateway>().any(|gateway| gateway.is_attached_to(vpc_id))
}

fn egress_only_xml(gateway: &EgressOnlyInternetGateway) -> Xml {
    Xml::new()
        .items("attachmentSet", attachments(&gateway.attachments))
        .text("egressOnlyInternetGatewayId", &gateway.egress_only_internet_gateway_id)
        .items("tagSet", tag::xml(&gateway.tags))
}

/// CreateEgressOnlyInternetGateway: attached from birth.
pub fn create_egress_only(world: &mut World, query: &Query) -> Answer {
    let vpc_id = world.find::<Vpc>(query.require("VpcId")?)?.vpc_id.clone();
    let tags = tag::specified(query, "egress-only-internet-gateway")?;
    let gateway = EgressOnlyInternetGateway {
        egress_only_internet_gateway_id: EgressOnlyInternetGatewayId::new(world.new_id("eigw-")),
        attachments: vec![GatewayAttachment { vpc_id, state: AttachmentState::Attached }],
        tags,
    };
    let answer = Xml::new()
        .opt("clientToken", query.get("ClientToken"))
        .node("egressOnlyInternetGateway", egress_only_xml(&gateway));
    world.insert(gateway);
    Ok(Body::Xml(answer))
}

/// DescribeEgressOnlyInternetGateways
pub fn describe_egress_only(world: &World, query: &Query) -> Answer {
    let values = |gateway: &EgressOnlyInternetGateway, name: &str| match name {
        "egress-only-internet-gateway-id" => one(&gateway.egress_only_internet_gateway_id),
        "attachment.vpc-id" => many(gateway.attachments.iter().map(|a| &a.vpc_id)),
        "attachment.state" => many(gateway.attachments.iter().map(|a| &a.state)),
        _ => None,
    };
    describe(world, query, "EgressOnlyInternetGatewayId", "egressOnlyInternetGatewaySet", values, egress_only_xml)
}

/// DeleteEgressOnlyInternetGateway
pub fn delete_egress_only(world: &mut World, query: &Query) -> Answer {
    let id = query.require("EgressOnlyInternetGatewayId")?;
    world.find::<EgressOnlyInternetGateway>(id)?;
    world.remove::<EgressOnlyInternetGateway>(id);
    Ok(Body::Xml(Xml::new().text("returnCode", true)))
}
