//! Changing rules in place: by their identifiers, or their descriptions only.

use super::super::Answer;
use super::permission;
use crate::model::{RuleDirection, SecurityGroup, SecurityGroupRule};
use crate::sandbox::wire::{ApiError, Query};
use crate::sandbox::world::World;

fn no_rule(id: &str) -> ApiError {
    ApiError::new("InvalidSecurityGroupRuleId.NotFound", format!("The security group rule ID '{id}' does not exist"))
}

/// One rule of ModifySecurityGroupRules as the permission that authorizing it would have been.
fn as_permission(rule: &Query) -> Query {
    let peers = [
        ("CidrIpv4", "IpRanges.1", "CidrIp"),
        ("CidrIpv6", "Ipv6Ranges.1", "CidrIpv6"),
        ("PrefixListId", "PrefixListIds.1", "PrefixListId"),
        ("ReferencedGroupId", "Groups.1", "GroupId"),
    ];
    let mut pairs: Vec<(String, String)> = Vec::new();
    for name in ["IpProtocol", "FromPort", "ToPort"] {
        pairs.extend(rule.get(name).map(|value| (format!("IpPermissions.1.{name}"), value.to_owned())));
    }
    for (name, list, member) in peers {
        let Some(value) = rule.get(name).filter(|value| !value.is_empty()) else { continue };
        pairs.push((format!("IpPermissions.1.{list}.{member}"), value.to_owned()));
        let description = rule.get("Description").map(str::to_owned);
        pairs.extend(description.map(|text| (format!("IpPermissions.1.{list}.Description"), text)));
    }
    pairs.into_iter().collect()
}

/// ModifySecurityGroupRules: all of them or none. A rule keeps its identifier, tags and direction.
pub fn modify_rules(world: &mut World, query: &Query) -> Answer {
    let group = world.find::<SecurityGroup>(query.require("GroupId")?)?.clone();
    let updates = query.structs("SecurityGroupRule");
    if updates.is_empty() {
        return Err(ApiError::missing("SecurityGroupRules"));
    }
    let mut rules = group.rules.clone();
    for update in &updates {
        let id = update.require("SecurityGroupRuleId")?;
        let is_it = |rule: &SecurityGroupRule| rule.rule_id.as_ref().is_some_and(|rule_id| rule_id.as_str() == id);
        let index = rules.iter().position(is_it).ok_or_else(|| no_rule(id))?;
        let Some(old) = rules.get(index).cloned() else { return Err(no_rule(id)) };
        let given = as_permission(&update.nested("SecurityGroupRule"));
        let parsed = permission::parse(world, &group, &given, old.direction)?;
        let [new] = parsed.as_slice() else {
            return Err(ApiError::invalid_value("A security group rule has exactly one source or destination."));
        };
        if rules.iter().enumerate().any(|(n, other)| n != index && permission::same(other, new)) {
            return Err(ApiError::new(
                "InvalidPermission.Duplicate",
                "The specified rule already exists in this security group.",
            ));
        }
        if let Some(place) = rules.get_mut(index) {
            *place = SecurityGroupRule { rule_id: old.rule_id, ..new.clone() };
        }
    }
    world.find_mut::<SecurityGroup>(group.group_id.as_str())?.rules = rules;
    super::super::done()
}

fn update_descriptions(world: &mut World, query: &Query, direction: RuleDirection) -> Answer {
    let group = world.find::<SecurityGroup>(query.require("GroupId")?)?.clone();
    let mut rules = group.rules.clone();
    let by_id = query.structs("SecurityGroupRuleDescription");
    if by_id.is_empty() {
        for wanted in permission::parse(world, &group, query, direction)? {
            let rule = rules.iter_mut().find(|rule| permission::same(rule, &wanted)).ok_or_else(|| {
                ApiError::new("InvalidPermission.NotFound", "The specified rule does not exist in this security group.")
            })?;
            rule.description = wanted.description;
        }
    }
    for entry in &by_id {
        let id = entry.require("SecurityGroupRuleId")?;
        let is_it = |rule: &&mut SecurityGroupRule| rule.rule_id.as_ref().is_some_and(|rule_id| rule_id.as_str() == id);
        let rule = rules.iter_mut().find(is_it).ok_or_else(|| no_rule(id))?;
        rule.description = entry.get("Description").filter(|text| !text.is_empty()).map(str::to_owned);
    }
    world.find_mut::<SecurityGroup>(group.group_id.as_str())?.rules = rules;
    super::super::done()
}

/// UpdateSecurityGroupRuleDescriptionsIngress
pub fn update_ingress_descriptions(world: &mut World, query: &Query) -> Answer {
    update_descriptions(world, query, RuleDirection::Ingress)
}

/// UpdateSecurityGroupRuleDescriptionsEgress
pub fn update_egress_descriptions(world: &mut World, query: &Query) -> Answer {
    update_descriptions(world, query, RuleDirection::Egress)
}
