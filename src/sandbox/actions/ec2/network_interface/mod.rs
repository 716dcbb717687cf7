//! Network interfaces.

pub mod addresses;
pub mod attachment;
pub mod attribute;
mod create;

pub(super) use create::{NewInterface, Wishes, address_wishes, make};

use std::time::Duration;

use super::describe::{describe, many, maybe, one};
use super::security_group::{self, group_set};
use super::{Answer, catalog, iso8601, tag};
use crate::model::{Address, InterfaceAssociation, InterfaceStatus, NetworkInterface, Subnet, SubnetId, Vpc, VpcId};
use crate::sandbox::wire::{ApiError, Body, Query, Xml};
use crate::sandbox::world::World;

/// `ip-10-8-1-5.eu-central-1.compute.internal`
pub(crate) fn private_dns_name(region: &str, ip: std::net::Ipv4Addr) -> String {
    let dashed = ip.to_string().replace('.', "-");
    match region {
        "us-east-1" => format!("ip-{dashed}.ec2.internal"),
        _ => format!("ip-{dashed}.{region}.compute.internal"),
    }
}

/// `ec2-3-64-0-9.eu-central-1.compute.amazonaws.com`, where the VPC gives such names.
pub(super) fn public_dns_name(world: &World, vpc_id: &VpcId, ip: std::net::Ipv4Addr) -> Option<String> {
    let dashed = ip.to_string().replace('.', "-");
    has_names(world, vpc_id).then(|| match world.region.as_str() {
        "us-east-1" => format!("ec2-{dashed}.compute-1.amazonaws.com"),
        region => format!("ec2-{dashed}.{region}.compute.amazonaws.com"),
    })
}

/// Whether the association was made by AllocateAddress and AssociateAddress, and with what.
fn association_xml(world: &World, vpc_id: &VpcId, association: &InterfaceAssociation, ids: bool) -> Xml {
    let owner = if association.allocation_id.is_some() { world.account_id.as_str() } else { "amazon" };
    let xml = Xml::new();
    let xml = if ids {
        xml.opt("allocationId", association.allocation_id.as_ref())
            .opt("associationId", association.association_id.as_ref())
    } else {
        xml
    };
    xml.text("ipOwnerId", owner)
        .text("publicDnsName", public_dns_name(world, vpc_id, association.public_ip).unwrap_or_default())
        .text("publicIp", association.public_ip)
}

/// The Elastic IP of a secondary address.
fn of_secondary(world: &World, interface: &NetworkInterface, ip: std::net::Ipv4Addr) -> Option<InterfaceAssociation> {
    let here = |address: &&Address| {
        address.private_ip == Some(ip) && address.network_interface_id.as_ref() == Some(&interface.network_interface_id)
    };
    world.all::<Address>().find(here).map(|address| InterfaceAssociation {
        public_ip: address.public_ip,
        allocation_id: Some(address.allocation_id.clone()),
        association_id: address.association_id.clone(),
    })
}

/// `privateIpAddressesSet`: the primary address first.
fn addresses_xml(world: &World, interface: &NetworkInterface, ids: bool) -> Vec<Xml> {
    let primary = interface.private_ip.into_iter().map(|ip| (ip, true));
    let secondary = interface.secondary_private_ips.iter().map(|ip| (*ip, false));
    primary
        .chain(secondary)
        .map(|(ip, is_primary)| {
            let association =
                if is_primary { interface.association.clone() } else { of_secondary(world, interface, ip) };
            let association = association.as_ref();
            Xml::new()
                .opt_node("association", association.map(|a| association_xml(world, &interface.vpc_id, a, ids)))
                .text("primary", is_primary)
                .opt("privateDnsName", has_names(world, &interface.vpc_id).then(|| private_dns_name(&world.region, ip)))
                .text("privateIpAddress", ip)
        })
        .collect()
}

/// Whether a VPC gives its interfaces names.
fn has_names(world: &World, vpc_id: &VpcId) -> bool {
    world.get::<Vpc>(vpc_id).is_some_and(|vpc| (vpc.dns_support, vpc.dns_hostnames) == (Some(true), Some(true)))
}

fn attachment_xml(world: &World, interface: &NetworkInterface) -> Option<Xml> {
    let attachment = interface.attachment.as_ref()?;
    let record = world.records.interfaces.get(&interface.network_interface_id);
    let held_by_aws = record.and_then(|record| record.attachment_owner_id.as_deref());
    Some(
        Xml::new()
            .opt("attachTime", record.and_then(|record| record.attached_at).map(iso8601))
            .text("attachmentId", &attachment.attachment_id)
            .text("deleteOnTermination", attachment.delete_on_termination)
            .text("deviceIndex", attachment.device_index)
            .text("networkCardIndex", 0)
            .opt("instanceId", attachment.instance_id.as_ref())
            .text("instanceOwnerId", held_by_aws.unwrap_or(&world.account_id))
            .text("status", &attachment.status),
    )
}

/// The interface as DescribeNetworkInterfaces shows it.
pub(super) fn xml(world: &World, interface: &NetworkInterface) -> Xml {
    let record = world.records.interfaces.get(&interface.network_interface_id);
    let association = interface.association.as_ref();
    let ipv6 =
        interface.ipv6_addresses.iter().map(|ip| Xml::new().text("ipv6Address", ip).text("isPrimaryIpv6", false));
    let name = interface.private_ip.filter(|_| has_names(world, &interface.vpc_id));
    Xml::new()
        .opt_node("association", association.map(|a| association_xml(world, &interface.vpc_id, a, true)))
        .opt_node("attachment", attachment_xml(world, interface))
        .text("availabilityZone", &interface.availability_zone)
        .text("availabilityZoneId", catalog::zone_id(&interface.availability_zone))
        .text("description", &interface.description)
        .items("groupSet", group_set(world, &interface.security_group_ids))
        .text("interfaceType", &interface.interface_type)
        .items("ipv6AddressesSet", ipv6)
        .text("macAddress", &interface.mac_address)
        .text("networkInterfaceId", &interface.network_interface_id)
        .text("ownerId", &world.account_id)
        .opt("privateDnsName", name.map(|ip| private_dns_name(&world.region, ip)))
        .opt("privateIpAddress", interface.private_ip)
        .items("privateIpAddressesSet", addresses_xml(world, interface, true))
        .opt("requesterId", record.and_then(|record| record.requester_id.as_ref()))
        .text("requesterManaged", interface.requester_managed)
        .text("sourceDestCheck", interface.source_dest_check)
        .text("status", &interface.status)
        .text("subnetId", &interface.subnet_id)
        .items("tagSet", tag::xml(&interface.tags))
        .text("vpcId", &interface.vpc_id)
}

/// The interface as DescribeInstances shows it, which leaves some out.
pub(super) fn of_instance_xml(world: &World, interface: &NetworkInterface) -> Xml {
    let record = world.records.interfaces.get(&interface.network_interface_id);
    let association = interface.association.as_ref();
    let attachment = interface.attachment.as_ref().map(|attachment| {
        Xml::new()
            .opt("attachTime", record.and_then(|record| record.attached_at).map(iso8601))
            .text("attachmentId", &attachment.attachment_id)
            .text("deleteOnTermination", attachment.delete_on_termination)
            .text("deviceIndex", attachment.device_index)
            .text("status", &attachment.status)
            .text("networkCardIndex", 0)
    });
    let ipv6 =
        interface.ipv6_addresses.iter().map(|ip| Xml::new().text("ipv6Address", ip).text("isPrimaryIpv6", false));
    let name = interface.private_ip.filter(|_| has_names(world, &interface.vpc_id));
    Xml::new()
        .opt_node("association", association.map(|a| association_xml(world, &interface.vpc_id, a, false)))
        .opt_node("attachment", attachment)
        .text("description", &interface.description)
        .items("groupSet", group_set(world, &interface.security_group_ids))
        .items("ipv6AddressesSet", ipv6)
        .text("macAddress", &interface.mac_address)
        .text("networkInterfaceId", &interface.network_interface_id)
        .text("ownerId", &world.account_id)
        .opt("privateDnsName", name.map(|ip| private_dns_name(&world.region, ip)))
        .opt("privateIpAddress", interface.private_ip)
        .items("privateIpAddressesSet", addresses_xml(world, interface, false))
        .text("sourceDestCheck", interface.source_dest_check)
        .text("status", &interface.status)
        .text("subnetId", &interface.subnet_id)
        .text("vpcId", &interface.vpc_id)
        .text("interfaceType", &interface.interface_type)
}

/// CreateNetworkInterface
pub fn create(world: &mut World, query: &Query) -> Answer {
    let subnet = world.find::<Subnet>(query.require("SubnetId")?)?.clone();
    if let Some(kind) = query.get("InterfaceType").filter(|kind| *kind != "interface") {
        return Err(ApiError::new(
            "UnsupportedOperation",
            format!("The sandbox does not simulate interfaces of type {kind}."),
        ));
    }
    let groups = security_group::chosen(world, &query.list("SecurityGroupId"), &subnet.vpc_id)?;
    let tags = tag::specified(query, "network-interface")?;
    let wishes = address_wishes(query)?;
    let id = make(
        world,
        NewInterface {
            subnet,
            wishes,
            groups,
            description: query.get("Description").unwrap_or_default().to_owned(),
            interface_type: "interface",
            requester_id: None,
            tags,
        },
    )?;
    let answer = world.get::<NetworkInterface>(&id).map(|interface| xml(world, interface)).unwrap_or_default();
    // AWS answers before the interface is there.
    let answer = Xml::new().node("networkInterface", answer).opt("clientToken", query.get("ClientToken"));
    Ok(Body::Xml(answer))
}

/// How long an attachment that has ended is still found by its identifier.
const AFTERGLOW: Duration = Duration::from_secs(60);

/// The answer to who waits for an attachment to end and asks for it by its identifier: `detached`, and not nothing.
/// Everybody else sees an interface that is free.
fn just_detached(world: &World, query: &Query) -> Option<Answer> {
    let filters = query.structs("Filter");
    let [filter] = filters.as_slice() else { return None };
    let values = filter.list("Value");
    let [wanted] = values.as_slice() else { return None };
    if filter.get("Name") != Some("attachment.attachment-id") {
        return None;
    }
    let (id, attachment) = world.records.interfaces.iter().find_map(|(id, record)| {
        let (attachment, at) = record.detached.as_ref()?;
        let fresh = at.saturating_add(AFTERGLOW).is_ok_and(|until| until > world.now);
        (fresh && attachment.attachment_id.as_str() == *wanted).then_some((id, attachment))
    })?;
    let interface = world.seen().network_interfaces.shown().get(id.as_str())?;
    if interface.attachment.is_some() {
        return None;
    }
    let mut shown = interface.clone();
    shown.attachment = Some(attachment.clone());
    Some(Ok(Body::Xml(Xml::new().items("networkInterfaceSet", [xml(world, &shown)]))))
}

/// DescribeNetworkInterfaces
pub fn describe_network_interfaces(world: &World, query: &Query) -> Answer {
    if let Some(answer) = just_detached(world, query) {
        return answer;
    }
    let values =
        |interface: &NetworkInterface, name: &str| {
            let attachment = interface.attachment.as_ref();
            let association = interface.association.as_ref();
            let record = world.records.interfaces.get(&interface.network_interface_id);
            let addresses = interface.private_ip.iter().chain(&interface.secondary_private_ips);
            match name {
                "network-interface-id" => one(&interface.network_interface_id),
                "vpc-id" => one(&interface.vpc_id),
                "subnet-id" => one(&interface.subnet_id),
                "availability-zone" => one(&interface.availability_zone),
                "availability-zone-id" => one(catalog::zone_id(&interface.availability_zone)),
                "status" => one(&interface.status),
                "description" => one(&interface.description),
                "group-id" => many(&interface.security_group_ids),
                "group-name" => many(interface.security_group_ids.iter().filter_map(|id| {
                    world.get::<crate::model::SecurityGroup>(id).map(|group| group.group_name.clone())
                })),
                "interface-type" => one(&interface.interface_type),
                "mac-address" => one(&interface.mac_address),
                "owner-id" => one(&world.account_id),
                "private-ip-address" => maybe(interface.private_ip),
                "addresses.private-ip-address" => many(addresses),
                "addresses.primary" => many(addresses.map(|ip| Some(ip) == interface.private_ip.as_ref())),
                "addresses.association.public-ip" | "association.public-ip" => maybe(association.map(|a| a.public_ip)),
                "association.allocation-id" => maybe(association.and_then(|a| a.allocation_id.as_ref())),
                "association.association-id" => maybe(association.and_then(|a| a.association_id.as_ref())),
                "association.ip-owner-id" => maybe(association.map(|a| match a.allocation_id {
                    Some(_) => world.account_id.as_str(),
                    None => "amazon",
                })),
                "attachment.attachment-id" => maybe(attachment.map(|a| &a.attachment_id)),
                "attachment.delete-on-termination" => maybe(attachment.map(|a| a.delete_on_termination)),
                "attachment.device-index" => maybe(attachment.map(|a| a.device_index)),
                "attachment.instance-id" => maybe(attachment.and_then(|a| a.instance_id.as_ref())),
                "attachment.instance-owner-id" => maybe(attachment.map(|_| {
                    record.and_then(|record| record.attachment_owner_id.as_deref()).unwrap_or(&world.account_id)
                })),
                "attachment.status" => maybe(attachment.map(|a| &a.status)),
                "ipv6-addresses.ipv6-address" => many(&interface.ipv6_addresses),
                "private-dns-name" => maybe(interface.private_ip.map(|ip| private_dns_name(&world.region, ip))),
                "requester-id" => maybe(record.and_then(|record| record.requester_id.as_ref())),
                "requester-managed" => one(interface.requester_managed),
                "source-dest-check" => one(interface.source_dest_check),
                _ => None,
            }
        };
    describe(world, query, "NetworkInterfaceId", "networkInterfaceSet", values, |interface| xml(world, interface))
}

/// DeleteNetworkInterface: refused while attached, and for those that AWS manages.
pub fn delete(world: &mut World, query: &Query) -> Answer {
    let interface = world.find::<NetworkInterface>(query.require("NetworkInterfaceId")?)?;
    let id = interface.network_interface_id.clone();
    if interface.requester_managed {
        return Err(ApiError::new(
            "OperationNotPermitted",
            format!("You are not allowed to manage '{id}': it belongs to an AWS service."),
        ));
    }
    if interface.attachment.is_some() || interface.status != InterfaceStatus::Available {
        return Err(ApiError::invalid_value(format!("Network interface '{id}' is currently in use.")));
    }
    world.drop_interface(&id);
    super::done()
}

/// How many addresses a subnet has left.
pub(crate) fn free_addresses(world: &World, subnet: &Subnet) -> u32 {
    let total = subnet.cidr_block.map_or(0, |net| super::subnet::usable(net.prefix_len()));
    let used = world.used_ips(&subnet.subnet_id).len();
    total.saturating_sub(u32::try_from(used).unwrap_or(u32::MAX))
}

/// The subnet of an interface.
pub(super) fn subnet_of<'a>(world: &'a World, id: &SubnetId) -> Result<&'a Subnet, ApiError> {
    world
        .get::<Subnet>(id)
        .ok_or_else(|| ApiError::new("InvalidSubnetID.NotFound", format!("The subnet ID '{id}' does not exist")))
}
