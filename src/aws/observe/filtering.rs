//! Security groups and network ACLs from the SDK's types to the model's. Pure.

use aws_sdk_ec2::types as sdk;

use super::convert::{Missing, id, need, parsed, tags};
use crate::model::{
    AclAction, AclDirection, AclEntry, NetworkAcl, NetworkAclId, Peer, PrefixListId, Protocol, RuleDirection,
    SecurityGroup, SecurityGroupId, SecurityGroupRule, SubnetId, VpcId,
};

pub(super) fn security_group(group: sdk::SecurityGroup) -> Result<(String, SecurityGroup), Missing> {
    let id = id(group.group_id, "GroupId")?;
    let mut rules = Vec::new();
    for (direction, permissions) in
        [(RuleDirection::Ingress, group.ip_permissions), (RuleDirection::Egress, group.ip_permissions_egress)]
    {
        for permission in permissions.unwrap_or_default() {
            rules_of(direction, permission, &id, &mut rules)?;
        }
    }
    let model = SecurityGroup {
        group_id: SecurityGroupId::new(&id),
        group_name: group.group_name.unwrap_or_default(),
        description: group.description.unwrap_or_default(),
        vpc_id: VpcId::new(need(group.vpc_id, &id, "VpcId")?),
        rules,
        tags: tags(group.tags),
    };
    Ok((id, model))
}

/// One rule a peer.
fn rules_of(
    direction: RuleDirection,
    permission: sdk::IpPermission,
    id: &str,
    rules: &mut Vec<SecurityGroupRule>,
) -> Result<(), Missing> {
    let protocol = Protocol::parse(&need(permission.ip_protocol, id, "IpPermissions.IpProtocol")?);
    // EC2 gives -1 for "all types" and "all codes" of ICMP; for ports -1 stands beside protocol -1.
    let port = |port: Option<i32>| port.filter(|port| *port != -1);
    let rule = |peer: Peer, description: Option<String>| SecurityGroupRule {
        rule_id: None,
        direction,
        protocol,
        from_port: port(permission.from_port),
        to_port: port(permission.to_port),
        peer,
        description: description.filter(|text| !text.is_empty()),
    };
    for range in permission.ip_ranges.unwrap_or_default() {
        let cidr = need(range.cidr_ip, id, "IpRanges.CidrIp")?;
        rules.push(rule(cidr.parse().map_or(Peer::Other(cidr), Peer::Ipv4), range.description));
    }
    for range in permission.ipv6_ranges.unwrap_or_default() {
        let cidr = need(range.cidr_ipv6, id, "Ipv6Ranges.CidrIpv6")?;
        rules.push(rule(cidr.parse().map_or(Peer::Other(cidr), Peer::Ipv6), range.description));
    }
    for list in permission.prefix_list_ids.unwrap_or_default() {
        let list_id = need(list.prefix_list_id, id, "PrefixListIds.PrefixListId")?;
        rules.push(rule(Peer::PrefixList(PrefixListId::new(list_id)), list.description));
    }
    for pair in permission.user_id_group_pairs.unwrap_or_default() {
        let group = need(pair.group_id, id, "UserIdGroupPairs.GroupId")?;
        rules.push(rule(Peer::Group(SecurityGroupId::new(group)), pair.description));
    }
    Ok(())
}

pub(super) fn network_acl(acl: sdk::NetworkAcl) -> Result<(String, NetworkAcl), Missing> {
    let id = id(acl.network_acl_id, "NetworkAclId")?;
    let associations = acl.associations.unwrap_or_default();
    let entries = acl.entries.unwrap_or_default().into_iter().map(|e| entry(e, &id));
    let model = NetworkAcl {
        network_acl_id: NetworkAclId::new(&id),
        vpc_id: VpcId::new(need(acl.vpc_id, &id, "VpcId")?),
        is_default: acl.is_default.unwrap_or(false),
        subnet_ids: associations.into_iter().filter_map(|a| a.subnet_id).map(SubnetId::new).collect(),
        entries: entries.collect::<Result<_, _>>()?,
        tags: tags(acl.tags),
    };
    Ok((id, model))
}

fn entry(entry: sdk::NetworkAclEntry, id: &str) -> Result<AclEntry, Missing> {
    let action = need(entry.rule_action, id, "Entries.RuleAction")?;
    let action = match action.as_str() {
        "allow" => AclAction::Allow,
        "deny" => AclAction::Deny,
        other => {
            return Err(Missing { id: id.to_owned(), field: "Entries.RuleAction", value: Some(other.to_owned()) });
        }
    };
    let port = |port: Option<i32>, all: u16| port.and_then(|port| u16::try_from(port).ok()).unwrap_or(all);
    Ok(AclEntry {
        rule_number: need(entry.rule_number, id, "Entries.RuleNumber")?.unsigned_abs(),
        direction: match need(entry.egress, id, "Entries.Egress")? {
            true => AclDirection::Egress,
            false => AclDirection::Ingress,
        },
        action,
        protocol: Protocol::parse(&need(entry.protocol, id, "Entries.Protocol")?),
        cidr_block: parsed(entry.cidr_block, id, "Entries.CidrBlock")?,
        ipv6_cidr_block: parsed(entry.ipv6_cidr_block, id, "Entries.Ipv6CidrBlock")?,
        port_range: entry.port_range.map(|range| (port(range.from, 0), port(range.to, u16::MAX))),
        icmp_type_code: entry.icmp_type_code.map(|icmp| (icmp.r#type.unwrap_or(-1), icmp.code.unwrap_or(-1))),
    })
}
