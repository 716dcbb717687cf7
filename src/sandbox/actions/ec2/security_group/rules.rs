//! The rules of security groups: authorize, revoke, describe.

use super::super::describe::{Filters, PAGES, one, page};
use super::super::{Answer, tag};
use super::{permission, tags_of};
use crate::model::{Peer, Protocol, RuleDirection, SecurityGroup, SecurityGroupRule, SecurityGroupRuleId};
use crate::sandbox::wire::{ApiError, Body, Query, Xml};
use crate::sandbox::world::World;

/// More rules than this in one direction need a raised quota.
const RULES_PER_DIRECTION: usize = 60;

fn peer_xml(rule: &SecurityGroupRule) -> Xml {
    match &rule.peer {
        Peer::Ipv4(net) => Xml::new().text("cidrIpv4", net),
        Peer::Ipv6(net) => Xml::new().text("cidrIpv6", net),
        Peer::PrefixList(id) => Xml::new().text("prefixListId", id),
        Peer::Group(_) | Peer::Other(_) => Xml::new(),
    }
}

fn head(group: &SecurityGroup, rule: &SecurityGroupRule) -> Xml {
    Xml::new()
        .opt("securityGroupRuleId", rule.rule_id.as_ref())
        .text("groupId", &group.group_id)
        .text("isEgress", rule.direction == RuleDirection::Egress)
        .text("ipProtocol", rule.protocol)
        .text("fromPort", rule.from_port.unwrap_or(-1))
        .text("toPort", rule.to_port.unwrap_or(-1))
        .append(peer_xml(rule))
        .opt("description", rule.description.as_ref())
}

fn rule_xml(world: &World, group: &SecurityGroup, rule: &SecurityGroupRule) -> Xml {
    let referenced = match &rule.peer {
        Peer::Group(id) => {
            Some(Xml::new().text("groupId", id).text("userId", &world.account_id).text("vpcId", &group.vpc_id))
        }
        _ => None,
    };
    let arn = rule
        .rule_id
        .as_ref()
        .map(|id| format!("arn:aws:ec2:{}:{}:security-group-rule/{id}", world.region, world.account_id));
    head(group, rule)
        .text("groupOwnerId", &world.account_id)
        .opt_node("referencedGroupInfo", referenced)
        .opt("securityGroupRuleArn", arn)
        .items("tagSet", tag::xml(&tags_of(world, rule)).collect::<Vec<_>>())
}

fn group_of(world: &World, query: &Query) -> Result<SecurityGroup, ApiError> {
    let id = query.get("GroupId").ok_or_else(|| {
        ApiError::new("MissingParameter", "The request must contain the parameter groupName or groupId")
    })?;
    world.find::<SecurityGroup>(id).cloned()
}

/// How AWS spells a rule in errors.
fn spelled(rule: &SecurityGroupRule) -> String {
    let protocol = match rule.protocol {
        Protocol::All => "ALL".to_owned(),
        protocol => protocol.to_string().to_uppercase(),
    };
    let ports = match (rule.from_port, rule.to_port) {
        (Some(from), Some(to)) if rule.protocol.has_ports() => format!("from port: {from}, to port: {to}, "),
        _ => String::new(),
    };
    format!("\"peer: {}, {protocol}, {ports}ALLOW\"", rule.peer)
}

fn authorize(world: &mut World, query: &Query, direction: RuleDirection) -> Answer {
    let group = group_of(world, query)?;
    let tags = tag::specified(query, "security-group-rule")?;
    let mut rules = permission::parse(world, &group, query, direction)?;
    let mut taken: Vec<&SecurityGroupRule> = group.rules.iter().collect();
    for rule in &rules {
        if taken.iter().any(|other| permission::same(other, rule)) {
            return Err(ApiError::new(
                "InvalidPermission.Duplicate",
                format!("the specified rule {} already exists", spelled(rule)),
            ));
        }
        taken.push(rule);
    }
    if taken.iter().filter(|rule| rule.direction == direction).count() > RULES_PER_DIRECTION {
        return Err(ApiError::new(
            "RulesPerSecurityGroupLimitExceeded",
            "The maximum number of rules per security group has been reached.",
        ));
    }
    for rule in &mut rules {
        let id = world.new_id("sgr-");
        if !tags.0.is_empty() {
            world.records.rule_tags.insert(id.clone(), tags.clone());
        }
        rule.rule_id = Some(SecurityGroupRuleId::new(id));
    }
    let set: Vec<Xml> = rules.iter().map(|rule| rule_xml(world, &group, rule)).collect();
    world.find_mut::<SecurityGroup>(group.group_id.as_str())?.rules.extend(rules);
    Ok(Body::Xml(Xml::new().text("return", true).items("securityGroupRuleSet", set)))
}

/// AuthorizeSecurityGroupIngress
pub fn authorize_ingress(world: &mut World, query: &Query) -> Answer {
    authorize(world, query, RuleDirection::Ingress)
}

/// AuthorizeSecurityGroupEgress
pub fn authorize_egress(world: &mut World, query: &Query) -> Answer {
    authorize(world, query, RuleDirection::Egress)
}

fn revoke(world: &mut World, query: &Query, direction: RuleDirection) -> Answer {
    let group = group_of(world, query)?;
    let ids = query.list("SecurityGroupRuleId");
    let mut gone = Vec::new();
    if ids.is_empty() {
        for rule in permission::parse(world, &group, query, direction)? {
            let found = group.rules.iter().find(|other| permission::same(other, &rule));
            gone.push(found.cloned().ok_or_else(|| {
                ApiError::new("InvalidPermission.NotFound", "The specified rule does not exist in this security group.")
            })?);
        }
    } else {
        for id in ids {
            let is_it = |rule: &&SecurityGroupRule| {
                rule.direction == direction && rule.rule_id.as_ref().is_some_and(|rule_id| rule_id.as_str() == id)
            };
            gone.push(group.rules.iter().find(is_it).cloned().ok_or_else(|| {
                ApiError::new(
                    "InvalidSecurityGroupRuleId.NotFound",
                    format!("The security group rule ID '{id}' does not exist"),
                )
            })?);
        }
    }
    let set: Vec<Xml> = gone
        .iter()
        .map(|rule| {
            let referenced = match &rule.peer {
                Peer::Group(id) => Some(id),
                _ => None,
            };
            head(&group, rule).opt("referencedGroupId", referenced)
        })
        .collect();
    for id in gone.iter().filter_map(|rule| rule.rule_id.as_ref()) {
        world.records.rule_tags.remove(id.as_str());
    }
    let group = world.find_mut::<SecurityGroup>(group.group_id.as_str())?;
    group.rules.retain(|rule| !gone.iter().any(|other| other.rule_id == rule.rule_id));
    Ok(Body::Xml(Xml::new().text("return", true).items("revokedSecurityGroupRuleSet", set)))
}

/// RevokeSecurityGroupIngress
pub fn revoke_ingress(world: &mut World, query: &Query) -> Answer {
    revoke(world, query, RuleDirection::Ingress)
}

/// RevokeSecurityGroupEgress
pub fn revoke_egress(world: &mut World, query: &Query) -> Answer {
    revoke(world, query, RuleDirection::Egress)
}

/// DescribeSecurityGroupRules
pub fn describe_rules(world: &World, query: &Query) -> Answer {
    let filters = Filters::parse(query)?;
    let asked = query.list("SecurityGroupRuleId");
    let mut rows = Vec::new();
    for group in world.seen().security_groups.shown().values() {
        for rule in &group.rules {
            let id = rule.rule_id.as_ref().map(ToString::to_string).unwrap_or_default();
            if !asked.is_empty() && !asked.contains(&id.as_str()) {
                continue;
            }
            let accepted = filters.accept(&tags_of(world, rule), |name| match name {
                "group-id" => one(&group.group_id),
                "security-group-rule-id" => one(&id),
                _ => None,
            })?;
            if accepted {
                rows.push((id, rule_xml(world, group, rule)));
            }
        }
    }
    if let Some(missing) = asked.iter().find(|id| !rows.iter().any(|(found, _)| found == *id)) {
        return Err(ApiError::new(
            "InvalidSecurityGroupRuleId.NotFound",
            format!("The security group rule ID '{missing}' does not exist"),
        ));
    }
    rows.sort_by(|(a, _), (b, _)| a.cmp(b));
    let (page, token) = page(query, PAGES, rows)?;
    Ok(Body::Xml(Xml::new().items("securityGroupRuleSet", page).opt("nextToken", token)))
}
