//! Roles and what is attached to them.

use super::document::{self, Kind};
use super::state::visible;
use super::{
    Role, already_exists, delete_conflict, limit_exceeded, managed, merge_tags, name, no_such_entity, page,
    page_of_nodes, path, percent_encoded, service_linked, tag_entries, tags, unique_id, validation, with_tags,
};
use crate::model::Tags;
use crate::sandbox::wire::{ApiError, Query, Xml};
use crate::sandbox::world::World;

const MAX_NAME: usize = 64;
/// IAM's default quota of managed policies on one role.
const MAX_ATTACHED: usize = 10;
/// IAM's quota for the characters of all inline policies of one role, white space not counted.
const MAX_INLINE_SIZE: usize = 10_240;

fn not_found(name: &str) -> ApiError {
    no_such_entity(format!("The role with name {name} cannot be found."))
}

/// The role that a form names, for a read: what was just made may not be visible yet.
fn seen<'a>(world: &'a World, form: &Query) -> Result<&'a Role, ApiError> {
    let name = name(form, "RoleName", MAX_NAME)?;
    world
        .iam
        .roles
        .get(name)
        .filter(|role| visible(role.created_at, world.now, world.consistency))
        .ok_or_else(|| not_found(name))
}

/// The role that a form names, for a change.
fn present<'a>(world: &'a mut World, form: &Query) -> Result<&'a mut Role, ApiError> {
    let name = name(form, "RoleName", MAX_NAME)?;
    world.iam.roles.get_mut(name).ok_or_else(|| not_found(name))
}

/// The same, unless it is a service's own, which only that service changes.
fn changeable<'a>(world: &'a mut World, form: &Query) -> Result<&'a mut Role, ApiError> {
    let role = present(world, form)?;
    if role.path.starts_with(service_linked::PATH) {
        return Err(service_linked::protected(&role.role_name));
    }
    Ok(role)
}

/// A role as IAM's answers hold it.
pub(super) fn describe(role: &Role) -> Xml {
    Xml::new()
        .text("Path", &role.path)
        .text("RoleName", &role.role_name)
        .text("RoleId", &role.role_id)
        .text("Arn", &role.arn)
        .text("CreateDate", format_args!("{:.0}", role.created_at))
        .text("AssumeRolePolicyDocument", percent_encoded(&role.assume_role_policy_document))
        .opt("Description", role.description.as_ref())
        .text("MaxSessionDuration", role.max_session_duration)
}

/// With what only the answers about one role hold.
fn describe_in_full(role: &Role) -> Xml {
    let boundary = role
        .permissions_boundary
        .as_ref()
        .map(|arn| Xml::new().text("PermissionsBoundaryType", "Policy").text("PermissionsBoundaryArn", arn));
    with_tags(describe(role).opt_node("PermissionsBoundary", boundary), &role.tags)
}

/// The longest session that a role is to allow, in seconds.
fn max_session_duration(form: &Query) -> Result<Option<i64>, ApiError> {
    let seconds = form.int("MaxSessionDuration")?;
    if let Some(seconds) = seconds.filter(|seconds| !(3600..=43_200).contains(seconds)) {
        return Err(validation(format!(
            "1 validation error detected: Value '{seconds}' at 'maxSessionDuration' failed to satisfy constraint: \
             Member must have value between 3600 and 43200"
        )));
    }
    Ok(seconds)
}

/// The policy that a role is to be bounded by.
fn boundary(world: &World, form: &Query) -> Result<Option<String>, ApiError> {
    let Some(arn) = form.get("PermissionsBoundary") else { return Ok(None) };
    if world.iam.managed_document(arn).is_none() {
        return Err(no_such_entity(format!("Scope ARN: {arn} does not exist or is not attachable.")));
    }
    Ok(Some(arn.to_owned()))
}

pub(super) fn create(world: &mut World, form: &Query) -> Result<Xml, ApiError> {
    let name = name(form, "RoleName", MAX_NAME)?;
    let path = path(form)?;
    let trust = form.require("AssumeRolePolicyDocument")?;
    document::validate(trust, Kind::Trust)?;
    let max_session_duration = max_session_duration(form)?.unwrap_or(3600);
    let permissions_boundary = boundary(world, form)?;
    let mut own_tags = Tags::default();
    merge_tags(&mut own_tags, tags(form)?)?;
    if world.iam.roles.keys().any(|other| other.eq_ignore_ascii_case(name)) {
        return Err(already_exists(format!("Role with name {name} already exists.")));
    }
    let role = Role {
        role_name: name.to_owned(),
        role_id: unique_id(world, "AROA"),
        arn: format!("arn:aws:iam::{}:role{path}{name}", world.account_id),
        path: path.to_owned(),
        created_at: world.now,
        assume_role_policy_document: trust.to_owned(),
        description: form.get("Description").map(str::to_owned),
        max_session_duration,
        attached_policies: Vec::new(),
        inline_policies: std::collections::BTreeMap::new(),
        permissions_boundary,
        tags: own_tags,
    };
    let xml = Xml::new().node("Role", describe_in_full(&role));
    world.iam.roles.insert(name.to_owned(), role);
    Ok(xml)
}

pub(super) fn get(world: &World, form: &Query) -> Result<Xml, ApiError> {
    let role = seen(world, form)?;
    Ok(Xml::new().node("Role", describe_in_full(role).node("RoleLastUsed", Xml::new())))
}

pub(super) fn delete(world: &mut World, form: &Query) -> Result<Xml, ApiError> {
    let role = changeable(world, form)?;
    let name = role.role_name.clone();
    if !role.attached_policies.is_empty() {
        return Err(delete_conflict("Cannot delete entity, must detach all policies first."));
    }
    if !role.inline_policies.is_empty() {
        return Err(delete_conflict("Cannot delete entity, must delete policies first."));
    }
    if world.iam.profiles.values().any(|profile| profile.role.as_ref() == Some(&name)) {
        return Err(delete_conflict("Cannot delete entity, must remove roles from instance profile first."));
    }
    world.iam.roles.remove(&name);
    Ok(Xml::new())
}

pub(super) fn list(world: &World, form: &Query) -> Result<Xml, ApiError> {
    let prefix = form.get("PathPrefix").unwrap_or("/");
    let roles = world
        .iam
        .roles
        .values()
        .filter(|role| role.path.starts_with(prefix) && visible(role.created_at, world.now, world.consistency));
    page_of_nodes(form, "Roles", roles.map(describe).collect())
}

pub(super) fn update(world: &mut World, form: &Query) -> Result<Xml, ApiError> {
    let seconds = max_session_duration(form)?;
    let description = form.get("Description");
    let role = changeable(world, form)?;
    if let Some(seconds) = seconds {
        role.max_session_duration = seconds;
    }
    if let Some(description) = description {
        role.description = Some(description.to_owned()).filter(|text| !text.is_empty());
    }
    Ok(Xml::new())
}

/// UpdateRoleDescription: the older of two ways to do the same.
pub(super) fn update_description(world: &mut World, form: &Query) -> Result<Xml, ApiError> {
    let description = form.get("Description").unwrap_or_default();
    let role = changeable(world, form)?;
    role.description = Some(description.to_owned()).filter(|text| !text.is_empty());
    Ok(Xml::new().node("Role", describe_in_full(role)))
}

pub(super) fn put_boundary(world: &mut World, form: &Query) -> Result<Xml, ApiError> {
    present(world, form)?;
    form.require("PermissionsBoundary")?;
    let bound = boundary(world, form)?;
    changeable(world, form)?.permissions_boundary = bound;
    Ok(Xml::new())
}

/// DeleteRolePermissionsBoundary: also when there is none.
pub(super) fn delete_boundary(world: &mut World, form: &Query) -> Result<Xml, ApiError> {
    changeable(world, form)?.permissions_boundary = None;
    Ok(Xml::new())
}

pub(super) fn update_trust(world: &mut World, form: &Query) -> Result<Xml, ApiError> {
    let trust = form.require("PolicyDocument")?;
    document::validate(trust, Kind::Trust)?;
    changeable(world, form)?.assume_role_policy_document = trust.to_owned();
    Ok(Xml::new())
}

pub(super) fn tag(world: &mut World, form: &Query) -> Result<Xml, ApiError> {
    let new = tags(form)?;
    merge_tags(&mut present(world, form)?.tags, new)?;
    Ok(Xml::new())
}

pub(super) fn untag(world: &mut World, form: &Query) -> Result<Xml, ApiError> {
    let role = present(world, form)?;
    for key in form.list("TagKeys.member") {
        role.tags.0.retain(|other, _| !other.eq_ignore_ascii_case(key));
    }
    Ok(Xml::new())
}

pub(super) fn list_tags(world: &World, form: &Query) -> Result<Xml, ApiError> {
    page_of_nodes(form, "Tags", tag_entries(&seen(world, form)?.tags))
}

pub(super) fn attach(world: &mut World, form: &Query) -> Result<Xml, ApiError> {
    let arn = form.require("PolicyArn")?;
    if !arn.starts_with("arn:") {
        return Err(ApiError::new("InvalidInput", format!("ARN {arn} is not valid.")));
    }
    present(world, form)?;
    if world.iam.managed_document(arn).is_none() {
        return Err(no_such_entity(format!("Policy {arn} does not exist or is not attachable.")));
    }
    let role = changeable(world, form)?;
    if role.attached_policies.iter().any(|attached| attached == arn) {
        // Attaching again changes nothing, and IAM says so by saying nothing.
        return Ok(Xml::new());
    }
    if role.attached_policies.len() >= MAX_ATTACHED {
        return Err(limit_exceeded("PoliciesPerRole", MAX_ATTACHED));
    }
    role.attached_policies.push(arn.to_owned());
    Ok(Xml::new())
}

pub(super) fn detach(world: &mut World, form: &Query) -> Result<Xml, ApiError> {
    let arn = form.require("PolicyArn")?;
    let role = changeable(world, form)?;
    let before = role.attached_policies.len();
    role.attached_policies.retain(|attached| attached != arn);
    if role.attached_policies.len() == before {
        return Err(no_such_entity(format!("Policy {arn} was not found.")));
    }
    Ok(Xml::new())
}

pub(super) fn list_attached(world: &World, form: &Query) -> Result<Xml, ApiError> {
    let name_of = |arn: &str| match managed::by_arn(arn) {
        Some(policy) => policy.name.clone(),
        None => world.iam.policies.get(arn).map_or_else(|| arn.to_owned(), |policy| policy.policy_name.clone()),
    };
    let entries = seen(world, form)?.attached_policies.iter();
    let entries = entries.map(|arn| Xml::new().text("PolicyName", name_of(arn)).text("PolicyArn", arn));
    page_of_nodes(form, "AttachedPolicies", entries.collect())
}

pub(super) fn put_inline(world: &mut World, form: &Query) -> Result<Xml, ApiError> {
    let policy = name(form, "PolicyName", 128)?;
    let text = form.require("PolicyDocument")?;
    present(world, form)?;
    document::validate(text, Kind::Permissions)?;
    let role = changeable(world, form)?;
    let size = |text: &str| text.chars().filter(|c| !c.is_whitespace()).count();
    let others: usize =
        role.inline_policies.iter().filter(|(other, _)| *other != policy).map(|(_, text)| size(text)).sum();
    if others + size(text) > MAX_INLINE_SIZE {
        return Err(ApiError::new(
            "LimitExceeded",
            format!("Maximum policy size of {MAX_INLINE_SIZE} bytes exceeded for role {}", role.role_name),
        )
        .with_status(409));
    }
    role.inline_policies.insert(policy.to_owned(), text.to_owned());
    Ok(Xml::new())
}

pub(super) fn get_inline(world: &World, form: &Query) -> Result<Xml, ApiError> {
    let role = seen(world, form)?;
    let policy = name(form, "PolicyName", 128)?;
    let text = role.inline_policies.get(policy).ok_or_else(|| inline_not_found(policy))?;
    Ok(Xml::new()
        .text("RoleName", &role.role_name)
        .text("PolicyName", policy)
        .text("PolicyDocument", percent_encoded(text)))
}

pub(super) fn delete_inline(world: &mut World, form: &Query) -> Result<Xml, ApiError> {
    let policy = name(form, "PolicyName", 128)?;
    present(world, form)?.inline_policies.remove(policy).map(|_| Xml::new()).ok_or_else(|| inline_not_found(policy))
}

fn inline_not_found(policy: &str) -> ApiError {
    no_such_entity(format!("The role policy with name {policy} cannot be found."))
}

pub(super) fn list_inline(world: &World, form: &Query) -> Result<Xml, ApiError> {
    let names: Vec<String> = seen(world, form)?.inline_policies.keys().cloned().collect();
    page(form, "PolicyNames", names, |xml, list, names| {
        let members = names.iter().fold(Xml::new(), |members, name| members.text("member", name));
        xml.node(list, members)
    })
}
