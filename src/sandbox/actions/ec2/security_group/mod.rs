//! Security groups.

pub mod modify;
mod permission;
pub mod rules;

use super::describe::{FilterValues, describe, many, one, select};
use super::{Answer, tag};
use crate::model::{
    NetworkInterface, Peer, Protocol, RuleDirection, SecurityGroup, SecurityGroupId, SecurityGroupRule,
    SecurityGroupRuleId, Tags, Vpc, VpcEndpoint,
};
use crate::sandbox::wire::{ApiError, Body, Query, Xml};
use crate::sandbox::world::World;

fn arn(world: &World, id: &SecurityGroupId) -> String {
    format!("arn:aws:ec2:{}:{}:security-group/{id}", world.region, world.account_id)
}

fn xml(world: &World, group: &SecurityGroup) -> Xml {
    Xml::new()
        .text("ownerId", &world.account_id)
        .text("groupId", &group.group_id)
        .text("groupName", &group.group_name)
        .text("groupDescription", &group.description)
        .text("vpcId", &group.vpc_id)
        .text("securityGroupArn", arn(world, &group.group_id))
        .items("ipPermissions", permission::grouped(world, group.ingress()))
        .items("ipPermissionsEgress", permission::grouped(world, group.egress()))
        .items("tagSet", tag::xml(&group.tags))
}

/// The characters that AWS takes in names and descriptions of groups in a VPC.
fn plain(text: &str) -> bool {
    text.chars().all(|c| c.is_ascii_alphanumeric() || " ._-:/()#,@[]+=&;{}!$*".contains(c))
}

/// CreateSecurityGroup: allows everything out, nothing in.
pub fn create(world: &mut World, query: &Query) -> Answer {
    let name = query.require("GroupName")?.trim().to_owned();
    let description = query.require("GroupDescription")?.to_owned();
    let vpc_id = match query.get("VpcId").filter(|id| !id.is_empty()) {
        Some(id) => world.find::<Vpc>(id)?.vpc_id.clone(),
        None => super::vpc::default_vpc(world).map(|vpc| vpc.vpc_id.clone()).ok_or_else(|| {
            ApiError::new(
                "VPCIdNotSpecified",
                "No default VPC for this user. GroupName is only supported for EC2-Classic and default VPC.",
            )
        })?,
    };
    if name.len() > 255 || !plain(&name) {
        return Err(ApiError::invalid_value(format!(
            "Value ({name}) for parameter groupName is invalid. Character sets beyond ASCII are not supported."
        )));
    }
    if name.starts_with("sg-") {
        return Err(ApiError::invalid_value(format!(
            "Invalid value '{name}' for groupName. Group names may not be in the format sg-*."
        )));
    }
    if name == "default" {
        return Err(ApiError::invalid_value("Cannot use reserved security group name: default"));
    }
    if description.len() > 255 || !plain(&description) {
        return Err(ApiError::invalid_value(format!(
            "Value ({description}) for parameter GroupDescription is invalid. Character sets beyond ASCII are not supported."
        )));
    }
    if world.all::<SecurityGroup>().any(|group| group.vpc_id == vpc_id && group.group_name == name) {
        return Err(ApiError::new(
            "InvalidGroup.Duplicate",
            format!("The security group '{name}' already exists for VPC '{vpc_id}'"),
        ));
    }
    let tags = tag::specified(query, "security-group")?;
    let group_id = SecurityGroupId::new(world.new_id("sg-"));
    let egress = SecurityGroupRule {
        rule_id: Some(SecurityGroupRuleId::new(world.new_id("sgr-"))),
        direction: RuleDirection::Egress,
        protocol: Protocol::All,
        from_port: None,
        to_port: None,
        peer: Peer::Ipv4(ipnet::Ipv4Net::default()),
        description: None,
    };
    let answer = Xml::new()
        .text("groupId", &group_id)
        .items("tagSet", tag::xml(&tags))
        .text("securityGroupArn", arn(world, &group_id));
    world.insert(SecurityGroup { group_id, group_name: name, description, vpc_id, rules: vec![egress], tags });
    Ok(Body::Xml(answer))
}

fn rule_values(rules: &[&SecurityGroupRule], name: &str) -> FilterValues {
    let port = |port: Option<i32>| port.unwrap_or(-1);
    match name {
        "cidr" => many(rules.iter().filter_map(|rule| match &rule.peer {
            Peer::Ipv4(net) => Some(net),
            _ => None,
        })),
        "ipv6-cidr" => many(rules.iter().filter_map(|rule| match &rule.peer {
            Peer::Ipv6(net) => Some(net),
            _ => None,
        })),
        "group-id" => many(rules.iter().filter_map(|rule| match &rule.peer {
            Peer::Group(id) => Some(id),
            _ => None,
        })),
        "prefix-list-id" => many(rules.iter().filter_map(|rule| match &rule.peer {
            Peer::PrefixList(id) => Some(id),
            _ => None,
        })),
        "protocol" => many(rules.iter().map(|rule| rule.protocol)),
        "from-port" => many(rules.iter().map(|rule| port(rule.from_port))),
        "to-port" => many(rules.iter().map(|rule| port(rule.to_port))),
        _ => None,
    }
}

fn values(world: &World, group: &SecurityGroup, name: &str) -> FilterValues {
    match name {
        "group-id" => one(&group.group_id),
        "group-name" => one(&group.group_name),
        "description" => one(&group.description),
        "vpc-id" => one(&group.vpc_id),
        "owner-id" => one(&world.account_id),
        _ => match (name.strip_prefix("ip-permission."), name.strip_prefix("egress.ip-permission.")) {
            (Some(name), _) => rule_values(&group.ingress().collect::<Vec<_>>(), name),
            (_, Some(name)) => rule_values(&group.egress().collect::<Vec<_>>(), name),
            (None, None) => None,
        },
    }
}

/// DescribeSecurityGroups
pub fn describe_security_groups(world: &World, query: &Query) -> Answer {
    let names = query.list("GroupName");
    if names.is_empty() {
        let values = |group: &SecurityGroup, name: &str| values(world, group, name);
        return describe(world, query, "GroupId", "securityGroupInfo", values, |group| xml(world, group));
    }
    // Names mean groups of the default VPC only.
    let chosen = select::<SecurityGroup>(world, query, "GroupId", |group, name| values(world, group, name))?;
    let in_default = |group: &SecurityGroup| world.get::<Vpc>(&group.vpc_id).is_some_and(|vpc| vpc.is_default);
    for name in &names {
        if !chosen.iter().any(|group| group.group_name == *name && in_default(group)) {
            return Err(ApiError::new(
                "InvalidGroup.NotFound",
                format!("The security group '{name}' does not exist in default VPC"),
            ));
        }
    }
    let named = chosen.into_iter().filter(|group| names.contains(&group.group_name.as_str()) && in_default(group));
    Ok(Body::Xml(Xml::new().items("securityGroupInfo", named.map(|group| xml(world, group)))))
}

/// DeleteSecurityGroup: refused while an interface uses it or another group's rule names it.
pub fn delete(world: &mut World, query: &Query) -> Answer {
    let group = world.find::<SecurityGroup>(query.require("GroupId")?)?.clone();
    let group_id = &group.group_id;
    if group.group_name == "default" {
        return Err(ApiError::new(
            "CannotDelete",
            format!("the specified group: \"{group_id}\" name: \"default\" cannot be deleted by a user"),
        ));
    }
    let referenced = |other: &SecurityGroup| {
        other.group_id != *group_id
            && other.rules.iter().any(|rule| matches!(&rule.peer, Peer::Group(id) if id == group_id))
    };
    let in_use = world.all::<NetworkInterface>().any(|r| r.security_group_ids.contains(group_id))
        || world.all::<VpcEndpoint>().any(|r| r.security_group_ids.contains(group_id))
        || world.all::<SecurityGroup>().any(referenced);
    if in_use {
        return Err(ApiError::dependency(format!("resource {group_id} has a dependent object")));
    }
    for id in group.rules.iter().filter_map(|rule| rule.rule_id.as_ref()) {
        world.records.rule_tags.remove(id.as_str());
    }
    world.remove::<SecurityGroup>(group_id);
    Ok(Body::Xml(Xml::new().text("return", true).text("groupId", group_id)))
}

/// `groupSet` of interfaces, instances and endpoints.
pub(super) fn group_set<'a>(world: &'a World, ids: &'a [SecurityGroupId]) -> impl Iterator<Item = Xml> + 'a {
    ids.iter().map(|id| {
        let name = world.get::<SecurityGroup>(id).map(|group| group.group_name.clone());
        Xml::new().text("groupId", id).opt("groupName", name)
    })
}

/// The groups that a request names for an interface in a VPC: the VPC's default group when it names none.
pub(super) fn chosen(
    world: &World,
    ids: &[&str],
    vpc_id: &crate::model::VpcId,
) -> Result<Vec<SecurityGroupId>, ApiError> {
    if ids.is_empty() {
        let default = |group: &&SecurityGroup| group.vpc_id == *vpc_id && group.group_name == "default";
        return Ok(world.all::<SecurityGroup>().filter(default).map(|group| group.group_id.clone()).collect());
    }
    let mut groups: Vec<SecurityGroupId> = Vec::new();
    for id in ids {
        let group = world.find::<SecurityGroup>(id).map_err(|error| {
            if error.code == "InvalidGroup.NotFound" {
                ApiError::new("InvalidGroup.NotFound", format!("The security group ID '{id}' does not exist"))
            } else {
                error
            }
        })?;
        if group.vpc_id != *vpc_id {
            return Err(ApiError::new(
                "InvalidGroup.NotFound",
                format!("You have specified two resources that belong to different networks: {id} is not in {vpc_id}."),
            ));
        }
        if !groups.contains(&group.group_id) {
            groups.push(group.group_id.clone());
        }
    }
    if groups.len() > 5 {
        return Err(ApiError::new(
            "SecurityGroupsPerInterfaceLimitExceeded",
            "The maximum number of security groups per interface has been reached.",
        ));
    }
    Ok(groups)
}

/// The tags of a rule.
fn tags_of(world: &World, rule: &SecurityGroupRule) -> Tags {
    let id = rule.rule_id.as_ref().map(SecurityGroupRuleId::as_str).unwrap_or_default();
    world.records.rule_tags.get(id).cloned().unwrap_or_default()
}
