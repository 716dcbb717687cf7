//! Which instance profile an instance has, changed after launch.

use super::super::describe::{Filters, PageSize, one, page};
use super::super::{Answer, iso8601};
use super::launch;
use crate::model::{Instance, InstanceId, InstanceState};
use crate::sandbox::wire::{ApiError, Body, Query, Xml};
use crate::sandbox::world::{ProfileAssociation, World};

fn xml(instance: &Instance, association: &ProfileAssociation, state: &str) -> Xml {
    let profile = Xml::new().opt("arn", instance.instance_profile_arn.as_ref()).text("id", &association.profile_id);
    Xml::new()
        .text("associationId", &association.association_id)
        .text("instanceId", &instance.instance_id)
        .node("iamInstanceProfile", profile)
        .text("state", state)
        .text("timestamp", iso8601(association.since))
}

fn association<'a>(world: &'a World, id: &InstanceId) -> Option<&'a ProfileAssociation> {
    world.records.instances.get(id)?.profile.as_ref()
}

/// The instance that holds an association.
fn holder(world: &World, association_id: &str) -> Result<(Instance, ProfileAssociation), ApiError> {
    let found = world.all::<Instance>().find_map(|instance| {
        let association = association(world, &instance.instance_id)?;
        (association.association_id == association_id).then(|| (instance.clone(), association.clone()))
    });
    found.ok_or_else(|| {
        ApiError::new(
            "InvalidAssociationID.NotFound",
            format!("An invalid association-id of '{association_id}' was given"),
        )
    })
}

fn put(world: &mut World, id: &InstanceId, arn: String, profile_id: String) -> Answer {
    let association = ProfileAssociation { association_id: world.new_id("iip-assoc-"), profile_id, since: world.now };
    if let Some(record) = world.records.instances.get_mut(id) {
        record.profile = Some(association.clone());
    }
    let instance = world.find_mut::<Instance>(id.as_str())?;
    instance.instance_profile_arn = Some(arn);
    Ok(Body::Xml(Xml::new().node("iamInstanceProfileAssociation", xml(instance, &association, "associating"))))
}

/// AssociateIamInstanceProfile: an instance has at most one.
pub fn associate(world: &mut World, query: &Query) -> Answer {
    let instance = world.find::<Instance>(query.require("InstanceId")?)?.clone();
    let (arn, profile_id) = launch::profile(world, query)?.ok_or_else(|| ApiError::missing("IamInstanceProfile"))?;
    if association(world, &instance.instance_id).is_some() {
        return Err(ApiError::new(
            "IncorrectState",
            format!("There is an existing association for instance {}", instance.instance_id),
        ));
    }
    if matches!(instance.state, InstanceState::ShuttingDown | InstanceState::Terminated) {
        return Err(ApiError::new(
            "IncorrectInstanceState",
            format!("The instance '{}' is in state '{}'.", instance.instance_id, instance.state),
        ));
    }
    put(world, &instance.instance_id, arn, profile_id)
}

/// ReplaceIamInstanceProfileAssociation
pub fn replace(world: &mut World, query: &Query) -> Answer {
    let (instance, _) = holder(world, query.require("AssociationId")?)?;
    let (arn, profile_id) = launch::profile(world, query)?.ok_or_else(|| ApiError::missing("IamInstanceProfile"))?;
    put(world, &instance.instance_id, arn, profile_id)
}

/// DisassociateIamInstanceProfile
pub fn disassociate(world: &mut World, query: &Query) -> Answer {
    let (instance, association) = holder(world, query.require("AssociationId")?)?;
    let answer = xml(&instance, &association, "disassociating");
    if let Some(record) = world.records.instances.get_mut(&instance.instance_id) {
        record.profile = None;
    }
    world.find_mut::<Instance>(instance.instance_id.as_str())?.instance_profile_arn = None;
    Ok(Body::Xml(Xml::new().node("iamInstanceProfileAssociation", answer)))
}

/// DescribeIamInstanceProfileAssociations
pub fn describe_associations(world: &World, query: &Query) -> Answer {
    let filters = Filters::parse(query)?;
    let asked = query.list("AssociationId");
    for id in &asked {
        holder(world, id)?;
    }
    let mut rows = Vec::new();
    for instance in world.seen().instances.shown().values() {
        let Some(association) = association(world, &instance.instance_id) else { continue };
        let id = &association.association_id;
        if !asked.is_empty() && !asked.contains(&id.as_str()) {
            continue;
        }
        let accepted = filters.accept(&instance.tags, |name| match name {
            "instance-id" => one(&instance.instance_id),
            "state" => one("associated"),
            _ => None,
        })?;
        if accepted && instance.instance_profile_arn.is_some() {
            rows.push((id.clone(), xml(instance, association, "associated")));
        }
    }
    rows.sort_by(|(a, _), (b, _)| a.cmp(b));
    let (page, token) = page(query, PageSize { min: 5, max: 1000 }, rows)?;
    Ok(Body::Xml(Xml::new().items("iamInstanceProfileAssociationSet", page).opt("nextToken", token)))
}
