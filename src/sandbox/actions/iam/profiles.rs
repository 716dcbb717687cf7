//! Instance profiles: how a role comes to an instance.

use super::state::visible;
use super::{
    Profile, already_exists, delete_conflict, limit_exceeded, merge_tags, name, no_such_entity, page_of_nodes, path,
    roles, tag_entries, tags, unique_id, with_tags,
};
use crate::model::Tags;
use crate::sandbox::wire::{ApiError, Query, Xml};
use crate::sandbox::world::World;

const MAX_NAME: usize = 128;

fn not_found(name: &str) -> ApiError {
    no_such_entity(format!("Instance Profile {name} cannot be found."))
}

fn seen<'a>(world: &'a World, form: &Query) -> Result<&'a Profile, ApiError> {
    let name = name(form, "InstanceProfileName", MAX_NAME)?;
    world
        .iam
        .profiles
        .get(name)
        .filter(|profile| visible(profile.created_at, world.now, world.consistency))
        .ok_or_else(|| not_found(name))
}

fn present<'a>(world: &'a mut World, form: &Query) -> Result<&'a mut Profile, ApiError> {
    let name = name(form, "InstanceProfileName", MAX_NAME)?;
    world.iam.profiles.get_mut(name).ok_or_else(|| not_found(name))
}

fn describe(world: &World, profile: &Profile) -> Xml {
    let role = profile.role.as_ref().and_then(|role| world.iam.roles.get(role));
    let xml = Xml::new()
        .text("Path", &profile.path)
        .text("InstanceProfileName", &profile.instance_profile_name)
        .text("InstanceProfileId", &profile.instance_profile_id)
        .text("Arn", &profile.arn)
        .text("CreateDate", format_args!("{:.0}", profile.created_at))
        .list("Roles", "member", role.map(roles::describe));
    with_tags(xml, &profile.tags)
}

pub(super) fn create(world: &mut World, form: &Query) -> Result<Xml, ApiError> {
    let name = name(form, "InstanceProfileName", MAX_NAME)?;
    let path = path(form)?;
    let mut own_tags = Tags::default();
    merge_tags(&mut own_tags, tags(form)?)?;
    if world.iam.profiles.keys().any(|other| other.eq_ignore_ascii_case(name)) {
        return Err(already_exists(format!("Instance Profile {name} already exists.")));
    }
    let profile = Profile {
        instance_profile_name: name.to_owned(),
        instance_profile_id: unique_id(world, "AIPA"),
        arn: format!("arn:aws:iam::{}:instance-profile{path}{name}", world.account_id),
        path: path.to_owned(),
        created_at: world.now,
        role: None,
        tags: own_tags,
    };
    let xml = Xml::new().node("InstanceProfile", describe(world, &profile));
    world.iam.profiles.insert(name.to_owned(), profile);
    Ok(xml)
}

pub(super) fn get(world: &World, form: &Query) -> Result<Xml, ApiError> {
    Ok(Xml::new().node("InstanceProfile", describe(world, seen(world, form)?)))
}

pub(super) fn delete(world: &mut World, form: &Query) -> Result<Xml, ApiError> {
    let profile = present(world, form)?;
    if profile.role.is_some() {
        return Err(delete_conflict("Cannot delete entity, must remove roles from instance profile first."));
    }
    let name = profile.instance_profile_name.clone();
    world.iam.profiles.remove(&name);
    Ok(Xml::new())
}

pub(super) fn list(world: &World, form: &Query) -> Result<Xml, ApiError> {
    let prefix = form.get("PathPrefix").unwrap_or("/");
    let profiles = world.iam.profiles.values().filter(|profile| {
        profile.path.starts_with(prefix) && visible(profile.created_at, world.now, world.consistency)
    });
    page_of_nodes(form, "InstanceProfiles", profiles.map(|profile| describe(world, profile)).collect())
}

pub(super) fn list_for_role(world: &World, form: &Query) -> Result<Xml, ApiError> {
    let role = name(form, "RoleName", 64)?;
    if !world.iam.roles.contains_key(role) {
        return Err(no_such_entity(format!("The role with name {role} cannot be found.")));
    }
    let profiles = world.iam.profiles.values().filter(|profile| profile.role.as_deref() == Some(role));
    page_of_nodes(form, "InstanceProfiles", profiles.map(|profile| describe(world, profile)).collect())
}

pub(super) fn add_role(world: &mut World, form: &Query) -> Result<Xml, ApiError> {
    let role = name(form, "RoleName", 64)?;
    present(world, form)?;
    if !world.iam.roles.contains_key(role) {
        return Err(no_such_entity(format!("The role with name {role} cannot be found.")));
    }
    let profile = present(world, form)?;
    // Also when it is the same role again.
    if profile.role.is_some() {
        return Err(limit_exceeded("InstanceSessionsPerInstanceProfile", 1));
    }
    profile.role = Some(role.to_owned());
    Ok(Xml::new())
}

pub(super) fn remove_role(world: &mut World, form: &Query) -> Result<Xml, ApiError> {
    let role = name(form, "RoleName", 64)?;
    let profile = present(world, form)?;
    if profile.role.as_deref() != Some(role) {
        return Err(no_such_entity(format!(
            "Role {role} in Instance Profile {} cannot be found.",
            profile.instance_profile_name
        )));
    }
    profile.role = None;
    Ok(Xml::new())
}

pub(super) fn tag(world: &mut World, form: &Query) -> Result<Xml, ApiError> {
    let new = tags(form)?;
    merge_tags(&mut present(world, form)?.tags, new)?;
    Ok(Xml::new())
}

pub(super) fn untag(world: &mut World, form: &Query) -> Result<Xml, ApiError> {
    let profile = present(world, form)?;
    for key in form.list("TagKeys.member") {
        profile.tags.0.retain(|other, _| !other.eq_ignore_ascii_case(key));
    }
    Ok(Xml::new())
}

pub(super) fn list_tags(world: &World, form: &Query) -> Result<Xml, ApiError> {
    page_of_nodes(form, "Tags", tag_entries(&seen(world, form)?.tags))
}
