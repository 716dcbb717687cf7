//! Placement groups: made, looked at and deleted. Where instances run makes no difference here.

use super::describe::{Filters, one};
use super::{Answer, tag};
use crate::model::Instance;
use crate::sandbox::wire::{ApiError, Body, Query, Xml};
use crate::sandbox::world::{PlacementGroup, World};

fn xml(world: &World, name: &str, group: &PlacementGroup) -> Xml {
    let arn = format!("arn:aws:ec2:{}:{}:placement-group/{name}", world.region, world.account_id);
    Xml::new()
        .text("groupName", name)
        .text("state", "available")
        .text("strategy", &group.strategy)
        .opt("partitionCount", group.partitions)
        .text("groupId", &group.group_id)
        .items("tagSet", tag::xml(&group.tags))
        .text("groupArn", arn)
        .opt("spreadLevel", group.spread_level.as_ref())
}

fn unknown(name: &str) -> ApiError {
    ApiError::new("InvalidPlacementGroup.Unknown", format!("The Placement Group '{name}' is unknown."))
}

/// CreatePlacementGroup
pub fn create(world: &mut World, query: &Query) -> Answer {
    let name = query.require("GroupName")?.to_owned();
    if world.records.placement_groups.contains_key(&name) {
        return Err(ApiError::new(
            "InvalidPlacementGroup.Duplicate",
            format!("The Placement Group '{name}' already exists."),
        ));
    }
    let strategy = query.get("Strategy").unwrap_or("cluster").to_owned();
    let partitions = match (strategy.as_str(), query.int("PartitionCount")?) {
        ("partition", asked) => Some(u32::try_from(asked.unwrap_or(2)).unwrap_or(2)),
        ("cluster" | "spread", None) => None,
        (other, _) => return Err(ApiError::invalid_value(format!("Invalid value '{other}' for strategy."))),
    };
    let spread_level = (strategy == "spread").then(|| query.get("SpreadLevel").unwrap_or("rack").to_owned());
    let tags = tag::specified(query, "placement-group")?;
    let group = PlacementGroup { group_id: world.new_id("pg-"), strategy, partitions, spread_level, tags };
    let answer = Xml::new().text("return", true).node("placementGroup", xml(world, &name, &group));
    world.records.placement_groups.insert(name, group);
    Ok(Body::Xml(answer))
}

/// DescribePlacementGroups: always all in one answer.
pub fn describe_placement_groups(world: &World, query: &Query) -> Answer {
    let filters = Filters::parse(query)?;
    let (names, ids) = (query.list("GroupName"), query.list("GroupId"));
    let groups = &world.records.placement_groups;
    if let Some(name) = names.iter().find(|name| !groups.contains_key(**name)) {
        return Err(unknown(name));
    }
    let mut rows = Vec::new();
    for (name, group) in groups {
        let named = (names.is_empty() || names.contains(&name.as_str()))
            && (ids.is_empty() || ids.contains(&group.group_id.as_str()));
        let accepted = filters.accept(&group.tags, |filter| match filter {
            "group-name" => one(name),
            "state" => one("available"),
            "strategy" => one(&group.strategy),
            _ => None,
        })?;
        if named && accepted {
            rows.push(xml(world, name, group));
        }
    }
    Ok(Body::Xml(Xml::new().items("placementGroupSet", rows)))
}

/// DeletePlacementGroup: refused while instances are in it.
pub fn delete(world: &mut World, query: &Query) -> Answer {
    let name = query.require("GroupName")?;
    if !world.records.placement_groups.contains_key(name) {
        return Err(unknown(name));
    }
    let in_it = |id| world.records.instances.get(id).is_some_and(|record| record.options.placement_group == name);
    let listed = |instance: &&Instance| instance.state != crate::model::InstanceState::Terminated;
    if world.all::<Instance>().filter(listed).any(|instance| in_it(&instance.instance_id)) {
        return Err(ApiError::new(
            "InvalidPlacementGroup.InUse",
            format!("The Placement Group '{name}' is in use and may not be deleted."),
        ));
    }
    world.records.placement_groups.remove(name);
    super::done()
}
