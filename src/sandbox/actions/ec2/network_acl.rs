//! Network ACLs.

use super::describe::{describe, many, one};
use super::subnet::acl_association;
use super::vpc::{default_entries, ipv4_block};
use super::{Answer, tag};
use crate::model::{AclAction, AclDirection, AclEntry, NetworkAcl, NetworkAclId, Protocol, Vpc};
use crate::sandbox::wire::{ApiError, Body, Query, Xml};
use crate::sandbox::world::World;

/// EC2 writes the protocols of ACL entries as numbers.
fn protocol_number(protocol: Protocol) -> String {
    match protocol {
        Protocol::All | Protocol::Unknown => "-1".to_owned(),
        Protocol::Tcp => "6".to_owned(),
        Protocol::Udp => "17".to_owned(),
        Protocol::Icmp => "1".to_owned(),
        Protocol::Icmpv6 => "58".to_owned(),
        Protocol::Number(number) => number.to_string(),
    }
}

fn action(action: AclAction) -> &'static str {
    match action {
        AclAction::Allow => "allow",
        AclAction::Deny => "deny",
    }
}

fn entry_xml(entry: &AclEntry) -> Xml {
    let icmp = entry.icmp_type_code.map(|(kind, code)| Xml::new().text("code", code).text("type", kind));
    let ports = entry.port_range.map(|(from, to)| Xml::new().text("from", from).text("to", to));
    Xml::new()
        .text("ruleNumber", entry.rule_number)
        .text("protocol", protocol_number(entry.protocol))
        .text("ruleAction", action(entry.action))
        .text("egress", entry.direction == AclDirection::Egress)
        .opt("cidrBlock", entry.cidr_block)
        .opt("ipv6CidrBlock", entry.ipv6_cidr_block)
        .opt_node("icmpTypeCode", icmp)
        .opt_node("portRange", ports)
}

fn xml(world: &World, acl: &NetworkAcl) -> Xml {
    Xml::new()
        .text("networkAclId", &acl.network_acl_id)
        .text("vpcId", &acl.vpc_id)
        .text("default", acl.is_default)
        .text("ownerId", &world.account_id)
        .items("entrySet", acl.entries.iter().map(entry_xml))
        .items("associationSet", acl.subnet_ids.iter().map(|id| acl_association(world, acl, id)))
        .items("tagSet", tag::xml(&acl.tags))
}

/// CreateNetworkAcl: denies everything until told otherwise.
pub fn create(world: &mut World, query: &Query) -> Answer {
    let vpc_id = world.find::<Vpc>(query.require("VpcId")?)?.vpc_id.clone();
    let tags = tag::specified(query, "network-acl")?;
    let acl = NetworkAcl {
        network_acl_id: NetworkAclId::new(world.new_id("acl-")),
        vpc_id,
        is_default: false,
        subnet_ids: Vec::new(),
        entries: default_entries(false),
        tags,
    };
    let answer = Xml::new().node("networkAcl", xml(world, &acl)).opt("clientToken", query.get("ClientToken"));
    world.insert(acl);
    Ok(Body::Xml(answer))
}

/// DescribeNetworkAcls
pub fn describe_network_acls(world: &World, query: &Query) -> Answer {
    let values = |acl: &NetworkAcl, name: &str| match name {
        "network-acl-id" => one(&acl.network_acl_id),
        "vpc-id" => one(&acl.vpc_id),
        "default" => one(acl.is_default),
        "owner-id" => one(&world.account_id),
        "association.subnet-id" => many(&acl.subnet_ids),
        "association.network-acl-id" => many(acl.subnet_ids.iter().map(|_| &acl.network_acl_id)),
        "association.association-id" => {
            many(acl.subnet_ids.iter().filter_map(|id| world.records.acl_associations.get(id)))
        }
        "entry.cidr" => many(acl.entries.iter().filter_map(|entry| entry.cidr_block)),
        "entry.ipv6-cidr" => many(acl.entries.iter().filter_map(|entry| entry.ipv6_cidr_block)),
        "entry.egress" => many(acl.entries.iter().map(|entry| entry.direction == AclDirection::Egress)),
        "entry.rule-number" => many(acl.entries.iter().map(|entry| entry.rule_number)),
        "entry.rule-action" => many(acl.entries.iter().map(|entry| action(entry.action))),
        "entry.protocol" => many(acl.entries.iter().map(|entry| protocol_number(entry.protocol))),
        _ => None,
    };
    describe(world, query, "NetworkAclId", "networkAclSet", values, |acl| xml(world, acl))
}

/// DeleteNetworkAcl: refused for the default one and while a subnet uses it.
pub fn delete(world: &mut World, query: &Query) -> Answer {
    let acl = world.find::<NetworkAcl>(query.require("NetworkAclId")?)?;
    let acl_id = acl.network_acl_id.clone();
    if acl.is_default {
        return Err(ApiError::invalid_value(format!("cannot delete default network ACL {acl_id}")));
    }
    if !acl.subnet_ids.is_empty() {
        return Err(ApiError::dependency(format!("The networkAcl '{acl_id}' has dependencies and cannot be deleted.")));
    }
    world.remove::<NetworkAcl>(&acl_id);
    super::done()
}

/// The number and direction that identify an entry.
fn place(query: &Query) -> Result<(u32, AclDirection), ApiError> {
    let number = query.int("RuleNumber")?.ok_or_else(|| ApiError::missing("ruleNumber"))?;
    let egress = query.bool("Egress")?.ok_or_else(|| ApiError::missing("egress"))?;
    let number = u32::try_from(number).ok().filter(|number| (1..=32766).contains(number)).ok_or_else(|| {
        ApiError::invalid_value(format!(
            "Value ({number}) for parameter ruleNumber is invalid. Rule numbers are between 1 and 32766."
        ))
    })?;
    Ok((number, if egress { AclDirection::Egress } else { AclDirection::Ingress }))
}

fn entry(query: &Query) -> Result<AclEntry, ApiError> {
    let (rule_number, direction) = place(query)?;
    let action = match query.require("RuleAction")? {
        "allow" => AclAction::Allow,
        "deny" => AclAction::Deny,
        other => {
            return Err(ApiError::invalid_value(format!("Value ({other}) for parameter ruleAction is invalid.")));
        }
    };
    let text = query.require("Protocol")?;
    let protocol = Protocol::parse(text);
    if protocol == Protocol::Unknown {
        return Err(ApiError::invalid_value(format!("Invalid value '{text}' for IP protocol. Unknown protocol.")));
    }
    let cidr_block = query.get("CidrBlock").map(|text| ipv4_block(text, "cidrBlock")).transpose()?;
    let ipv6_cidr_block = query
        .get("Ipv6CidrBlock")
        .map(|text| {
            text.parse::<ipnet::Ipv6Net>()
                .map(|net| net.trunc())
                .map_err(|_| ApiError::invalid_value(format!("Value ({text}) for parameter ipv6CidrBlock is invalid.")))
        })
        .transpose()?;
    if cidr_block.is_some() == ipv6_cidr_block.is_some() {
        return Err(ApiError::new(
            "MissingParameter",
            "The request must contain exactly one of cidrBlock and ipv6CidrBlock",
        ));
    }
    let mut port_range = None;
    if protocol.has_ports() {
        let port = |name: &str| -> Result<u16, ApiError> {
            let port = query.int(name)?.ok_or_else(|| {
                ApiError::invalid_value(
                    "Invalid value for portRange. Must specify both from and to ports with TCP/UDP.",
                )
            })?;
            u16::try_from(port).map_err(|_| ApiError::invalid_value(format!("Invalid value '{port}' for portRange.")))
        };
        let (from, to) = (port("PortRange.From")?, port("PortRange.To")?);
        if from > to {
            return Err(ApiError::invalid_value(format!("Invalid TCP/UDP port range ({from}:{to})")));
        }
        port_range = Some((from, to));
    }
    let mut icmp_type_code = None;
    if matches!(protocol, Protocol::Icmp | Protocol::Icmpv6) {
        let number = |name: &str| -> Result<i32, ApiError> {
            let number = query.int(name)?.unwrap_or(-1);
            i32::try_from(number).map_err(|_| ApiError::invalid_value(format!("Invalid value '{number}' for {name}.")))
        };
        icmp_type_code = Some((number("Icmp.Type")?, number("Icmp.Code")?));
    }
    Ok(AclEntry { rule_number, direction, action, protocol, cidr_block, ipv6_cidr_block, port_range, icmp_type_code })
}

fn is_at(entry: &AclEntry, (number, direction): (u32, AclDirection)) -> bool {
    entry.rule_number == number && entry.direction == direction
}

fn no_entry((number, direction): (u32, AclDirection), acl_id: &NetworkAclId) -> ApiError {
    let direction = if direction == AclDirection::Egress { "egress" } else { "ingress" };
    ApiError::new(
        "InvalidNetworkAclEntry.NotFound",
        format!("The {direction} entry {number} does not exist in network ACL {acl_id}"),
    )
}

fn sort(acl: &mut NetworkAcl) {
    acl.entries.sort_by_key(|entry| (entry.direction == AclDirection::Ingress, entry.rule_number));
}

/// CreateNetworkAclEntry
pub fn create_entry(world: &mut World, query: &Query) -> Answer {
    let entry = entry(query)?;
    let acl = world.find_mut::<NetworkAcl>(query.require("NetworkAclId")?)?;
    let place = (entry.rule_number, entry.direction);
    if acl.entries.iter().any(|other| is_at(other, place)) {
        return Err(ApiError::new(
            "NetworkAclEntryAlreadyExists",
            format!("The network acl entry identified by {} already exists.", entry.rule_number),
        ));
    }
    if acl.entries.iter().filter(|other| other.direction == entry.direction).count() > 20 {
        return Err(ApiError::new(
            "NetworkAclEntryLimitExceeded",
            "The maximum number of entries per network ACL has been reached.",
        ));
    }
    acl.entries.push(entry);
    sort(acl);
    super::done()
}

/// ReplaceNetworkAclEntry
pub fn replace_entry(world: &mut World, query: &Query) -> Answer {
    let entry = entry(query)?;
    let acl = world.find_mut::<NetworkAcl>(query.require("NetworkAclId")?)?;
    let place = (entry.rule_number, entry.direction);
    let missing = no_entry(place, &acl.network_acl_id);
    *acl.entries.iter_mut().find(|other| is_at(other, place)).ok_or(missing)? = entry;
    super::done()
}

/// DeleteNetworkAclEntry
pub fn delete_entry(world: &mut World, query: &Query) -> Answer {
    let place = place(query)?;
    let acl = world.find_mut::<NetworkAcl>(query.require("NetworkAclId")?)?;
    if !acl.entries.iter().any(|entry| is_at(entry, place)) {
        return Err(no_entry(place, &acl.network_acl_id));
    }
    acl.entries.retain(|entry| !is_at(entry, place));
    super::done()
}

/// ReplaceNetworkAclAssociation: every subnet has exactly one ACL, so it is only ever replaced.
pub fn replace_association(world: &mut World, query: &Query) -> Answer {
    let association = query.require("AssociationId")?;
    let found = world.records.acl_associations.iter().find(|(_, id)| *id == association);
    let subnet_id = found.map(|(subnet_id, _)| subnet_id.clone()).ok_or_else(|| {
        ApiError::new("InvalidAssociationID.NotFound", format!("The association ID '{association}' does not exist"))
    })?;
    let acl = world.find::<NetworkAcl>(query.require("NetworkAclId")?)?.clone();
    let in_same_vpc = world.get::<crate::model::Subnet>(&subnet_id).is_some_and(|subnet| subnet.vpc_id == acl.vpc_id);
    if !in_same_vpc {
        return Err(ApiError::invalid_value(format!(
            "network acl {} and subnet {subnet_id} belong to different networks",
            acl.network_acl_id
        )));
    }
    for other in world.network.network_acls.items_mut().values_mut() {
        other.subnet_ids.retain(|id| *id != subnet_id);
    }
    world.find_mut::<NetworkAcl>(acl.network_acl_id.as_str())?.subnet_ids.push(subnet_id.clone());
    let new = world.new_id("aclassoc-");
    world.records.acl_associations.insert(subnet_id, new.clone());
    Ok(Body::Xml(Xml::new().text("newAssociationId", new)))
}
