//! IAM: roles, their policies, and instance profiles. Enough to let an instance use SSM, with IAM's own rules.

mod document;
mod managed;
mod policies;
mod profiles;
mod roles;
mod service_linked;
mod simulate;
mod state;
mod users;

#[cfg(test)]
mod tests;

use crate::sandbox::wire::{ApiError, Body, Query, Request, Xml};
use crate::sandbox::world::World;
pub use document::trusts_account;
pub use state::{Iam, Policy, PolicyVersion, Profile, Role};

/// Answers one IAM request.
pub fn dispatch(world: &mut World, request: &Request) -> Result<Body, ApiError> {
    act(world, &request.action, &request.form()).map(Body::Xml)
}

super::operations! { fn act(world: &mut World, action: &str, form: &Query) -> Result<Xml, ApiError> {
    match action {
        "CreateRole" => roles::create(world, form),
        "GetRole" => roles::get(world, form),
        "DeleteRole" => roles::delete(world, form),
        "ListRoles" => roles::list(world, form),
        "UpdateAssumeRolePolicy" => roles::update_trust(world, form),
        "UpdateRole" => roles::update(world, form),
        "UpdateRoleDescription" => roles::update_description(world, form),
        "PutRolePermissionsBoundary" => roles::put_boundary(world, form),
        "DeleteRolePermissionsBoundary" => roles::delete_boundary(world, form),
        "CreateServiceLinkedRole" => service_linked::create(world, form),
        "DeleteServiceLinkedRole" => service_linked::delete(world, form),
        "GetServiceLinkedRoleDeletionStatus" => service_linked::deletion_status(form),
        "SimulatePrincipalPolicy" => simulate::principal(world, form),
        "TagRole" => roles::tag(world, form),
        "UntagRole" => roles::untag(world, form),
        "ListRoleTags" => roles::list_tags(world, form),
        "AttachRolePolicy" => roles::attach(world, form),
        "DetachRolePolicy" => roles::detach(world, form),
        "ListAttachedRolePolicies" => roles::list_attached(world, form),
        "PutRolePolicy" => roles::put_inline(world, form),
        "GetRolePolicy" => roles::get_inline(world, form),
        "DeleteRolePolicy" => roles::delete_inline(world, form),
        "ListRolePolicies" => roles::list_inline(world, form),
        "CreateInstanceProfile" => profiles::create(world, form),
        "GetInstanceProfile" => profiles::get(world, form),
        "DeleteInstanceProfile" => profiles::delete(world, form),
        "ListInstanceProfiles" => profiles::list(world, form),
        "ListInstanceProfilesForRole" => profiles::list_for_role(world, form),
        "AddRoleToInstanceProfile" => profiles::add_role(world, form),
        "RemoveRoleFromInstanceProfile" => profiles::remove_role(world, form),
        "TagInstanceProfile" => profiles::tag(world, form),
        "UntagInstanceProfile" => profiles::untag(world, form),
        "ListInstanceProfileTags" => profiles::list_tags(world, form),
        "CreatePolicy" => policies::create(world, form),
        "GetPolicy" => policies::get(world, form),
        "GetPolicyVersion" => policies::get_version(world, form),
        "ListPolicyVersions" => policies::list_versions(world, form),
        "DeletePolicy" => policies::delete(world, form),
        "ListPolicies" => policies::list(world, form),
        "CreatePolicyVersion" => policies::create_version(world, form),
        "DeletePolicyVersion" => policies::delete_version(world, form),
        "SetDefaultPolicyVersion" => policies::set_default_version(world, form),
        "TagPolicy" => policies::tag(world, form),
        "UntagPolicy" => policies::untag(world, form),
        "ListPolicyTags" => policies::list_tags(world, form),
        "ListEntitiesForPolicy" => policies::entities(world, form),
        "GetUser" => users::get(world, form),
        "ListUsers" => users::list(world, form),
        "ListGroupsForUser" => users::list_groups(form),
        "ListAttachedUserPolicies" => users::list_attached(form),
        "ListAccountAliases" => users::aliases(form),
        other => Err(super::no_such_operation(other, "2010-05-08")),
    }
} }

fn no_such_entity(message: impl Into<String>) -> ApiError {
    ApiError::new("NoSuchEntity", message).with_status(404)
}

fn already_exists(message: impl Into<String>) -> ApiError {
    ApiError::new("EntityAlreadyExists", message).with_status(409)
}

fn delete_conflict(message: impl Into<String>) -> ApiError {
    ApiError::new("DeleteConflict", message).with_status(409)
}

fn limit_exceeded(quota: &str, limit: usize) -> ApiError {
    ApiError::new("LimitExceeded", format!("Cannot exceed quota for {quota}: {limit}")).with_status(409)
}

fn validation(message: impl Into<String>) -> ApiError {
    ApiError::new("ValidationError", message)
}

/// A name that IAM takes: 1 to `max` of letters, digits and `+=,.@_-`.
fn name<'a>(form: &'a Query, field: &str, max: usize) -> Result<&'a str, ApiError> {
    let value = form.get(field).unwrap_or_default();
    let member = field.strip_suffix("Name").map_or(field.to_owned(), |stem| {
        let mut name = stem.to_owned() + "Name";
        if let Some(first) = name.get_mut(..1) {
            first.make_ascii_lowercase();
        }
        name
    });
    let wrong = |constraint: String| {
        validation(format!(
            "1 validation error detected: Value '{value}' at '{member}' failed to satisfy constraint: {constraint}"
        ))
    };
    if value.is_empty() {
        return Err(wrong("Member must not be null".to_owned()));
    }
    if value.len() > max {
        return Err(wrong(format!("Member must have length less than or equal to {max}")));
    }
    if !value.chars().all(|c| c.is_ascii_alphanumeric() || "+=,.@_-".contains(c)) {
        return Err(validation(format!(
            "The specified value for {member} is invalid. It must contain only alphanumeric characters and/or the \
             following: +=,.@_-"
        )));
    }
    Ok(value)
}

/// A path: `/`, or `/…/`.
fn path(form: &Query) -> Result<&str, ApiError> {
    let path = form.get("Path").unwrap_or("/");
    let printable = path.bytes().all(|b| (0x21..=0x7e).contains(&b));
    if path.len() <= 512 && path.starts_with('/') && path.ends_with('/') && printable {
        Ok(path)
    } else {
        Err(validation(
            "The specified value for path is invalid. It must begin and end with / and contain only alphanumeric \
             characters and/or / characters.",
        ))
    }
}

/// One page of a list, by IAM's `MaxItems` (100 unless told) and `Marker`.
fn page<T>(
    form: &Query,
    list: &str,
    entries: Vec<T>,
    write: impl Fn(Xml, &str, Vec<T>) -> Xml,
) -> Result<Xml, ApiError> {
    let max = form.int("MaxItems")?.unwrap_or(100);
    let max = usize::try_from(max)
        .ok()
        .filter(|max| (1..=1000).contains(max))
        .ok_or_else(|| validation(format!("Value '{max}' at 'maxItems' failed to satisfy constraint: 1 to 1000")))?;
    let start: usize = match form.get("Marker") {
        None => 0,
        Some(marker) => {
            let number = marker.strip_prefix("marker-").and_then(|number| number.parse().ok());
            number.ok_or_else(|| validation("Invalid Marker."))?
        }
    };
    let total = entries.len();
    let entries: Vec<T> = entries.into_iter().skip(start).take(max).collect();
    let end = start.saturating_add(entries.len());
    let truncated = end < total;
    let xml = write(Xml::new(), list, entries).text("IsTruncated", truncated);
    Ok(xml.opt("Marker", truncated.then(|| format!("marker-{end}"))))
}

/// A page of structures.
fn page_of_nodes(form: &Query, list: &str, entries: Vec<Xml>) -> Result<Xml, ApiError> {
    page(form, list, entries, |xml, list, entries| xml.list(list, "member", entries))
}

/// Percent-encoding of RFC 3986, in which IAM returns policy documents.
fn percent_encoded(text: &str) -> String {
    use std::fmt::Write;
    let mut encoded = String::with_capacity(text.len() * 2);
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _written = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

/// IAM's unique identifiers: a prefix that names the kind, and capitals and digits.
fn unique_id(world: &mut World, prefix: &str) -> String {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    world.random(|random| {
        let letters = (0..17).filter_map(|_| random.choice(ALPHABET).copied().map(char::from));
        prefix.chars().chain(letters).collect()
    })
}

/// The tags of a form, within IAM's limits.
fn tags(form: &Query) -> Result<Vec<(String, String)>, ApiError> {
    let mut tags: Vec<(String, String)> = Vec::new();
    for tag in form.structs("Tags.member") {
        let key = tag.get("Key").unwrap_or_default();
        let value = tag.get("Value").unwrap_or_default();
        if key.is_empty() || key.chars().count() > 128 || value.chars().count() > 256 {
            return Err(validation(format!(
                "The tag '{key}' is invalid: a key has 1 to 128 characters, a value at most 256."
            )));
        }
        if key.to_ascii_lowercase().starts_with("aws:") {
            return Err(ApiError::new("InvalidInput", "Tag keys starting with 'aws:' are reserved for system use."));
        }
        if tags.iter().any(|(other, _)| other.eq_ignore_ascii_case(key)) {
            return Err(ApiError::new(
                "InvalidInput",
                "Duplicate tag keys found. Please note that Tag keys are case insensitive.",
            ));
        }
        tags.push((key.to_owned(), value.to_owned()));
    }
    Ok(tags)
}

/// Adds tags to those of a resource.
fn merge_tags(of: &mut crate::model::Tags, new: Vec<(String, String)>) -> Result<(), ApiError> {
    let mut merged = of.clone();
    for (key, value) in new {
        merged.0.retain(|other, _| !other.eq_ignore_ascii_case(&key));
        merged.0.insert(key, value);
    }
    if merged.0.len() > 50 {
        return Err(limit_exceeded("TagsPerResource", 50));
    }
    *of = merged;
    Ok(())
}

fn tag_entries(tags: &crate::model::Tags) -> Vec<Xml> {
    tags.0.iter().map(|(key, value)| Xml::new().text("Key", key).text("Value", value)).collect()
}

/// `Tags`, left out when there are none.
fn with_tags(xml: Xml, tags: &crate::model::Tags) -> Xml {
    if tags.0.is_empty() { xml } else { xml.list("Tags", "member", tag_entries(tags)) }
}
