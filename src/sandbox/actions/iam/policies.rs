//! Managed policies: AWS's, which are read only and have one version here, and the account's own.

use jiff::Timestamp;

use super::document::{self, Kind};
use super::state::{PolicyVersion, visible};
use super::{
    Policy, already_exists, delete_conflict, limit_exceeded, managed, merge_tags, name, no_such_entity, page_of_nodes,
    path, percent_encoded, tag_entries, tags, unique_id, validation, with_tags,
};
use crate::model::Tags;
use crate::sandbox::wire::{ApiError, Query, Xml};
use crate::sandbox::world::World;

/// IAM's quota for the characters of one managed policy, white space not counted.
const MAX_SIZE: usize = 6144;
/// IAM's quota of versions of one policy.
const MAX_VERSIONS: usize = 5;

/// Either kind of managed policy.
pub(super) enum Found<'a> {
    Own(&'a Policy),
    Aws(&'static managed::Managed),
}

impl Found<'_> {
    pub(super) fn arn(&self) -> &str {
        match self {
            Self::Own(policy) => &policy.arn,
            Self::Aws(policy) => &policy.arn,
        }
    }

    fn path(&self) -> &str {
        match self {
            Self::Own(policy) => &policy.path,
            Self::Aws(policy) => &policy.path,
        }
    }

    /// As the answers hold it. Lists leave out description and tags.
    fn describe(&self, world: &World, in_full: bool) -> Xml {
        let (name, id, version, description, created_at, updated_at) = match self {
            Self::Own(p) => {
                (&p.policy_name, &p.policy_id, &p.default_version_id, &p.description, p.created_at, p.updated_at)
            }
            Self::Aws(p) => (&p.name, &p.id, &p.version, &p.description, p.created_at, p.updated_at),
        };
        let xml = Xml::new()
            .text("PolicyName", name)
            .text("PolicyId", id)
            .text("Arn", self.arn())
            .text("Path", self.path())
            .text("DefaultVersionId", version)
            .text("AttachmentCount", world.iam.attachments(self.arn()))
            .text("PermissionsBoundaryUsageCount", world.iam.boundaries(self.arn()))
            .text("IsAttachable", true)
            .opt("Description", description.as_ref().filter(|_| in_full))
            .text("CreateDate", format_args!("{created_at:.0}"))
            .text("UpdateDate", format_args!("{updated_at:.0}"));
        match self {
            Self::Own(policy) if in_full => with_tags(xml, &policy.tags),
            Self::Own(_) | Self::Aws(_) => xml,
        }
    }

    /// The versions: identifier, document, whether it is the default, when it was made. Newest first.
    fn versions(&self) -> Vec<(&str, &str, bool, Timestamp)> {
        match self {
            Self::Own(policy) => policy
                .versions
                .iter()
                .rev()
                .map(|v| {
                    let default = v.version_id == policy.default_version_id;
                    (v.version_id.as_str(), v.document.as_str(), default, v.created_at)
                })
                .collect(),
            Self::Aws(policy) => vec![(&policy.version, &policy.document, true, policy.updated_at)],
        }
    }
}

fn describe_version((id, document, default, created_at): (&str, &str, bool, Timestamp), with_document: bool) -> Xml {
    Xml::new()
        .opt("Document", with_document.then(|| percent_encoded(document)))
        .text("VersionId", id)
        .text("IsDefaultVersion", default)
        .text("CreateDate", format_args!("{created_at:.0}"))
}

fn not_found(arn: &str) -> ApiError {
    no_such_entity(format!("Policy {arn} was not found."))
}

fn no_such_version(arn: &str, version: &str) -> ApiError {
    no_such_entity(format!("Policy {arn} version {version} does not exist or is not attachable."))
}

pub(super) fn find<'a>(world: &'a World, form: &Query) -> Result<Found<'a>, ApiError> {
    let arn = form.require("PolicyArn")?;
    if let Some(policy) = managed::by_arn(arn) {
        return Ok(Found::Aws(policy));
    }
    world
        .iam
        .policies
        .get(arn)
        .filter(|policy| visible(policy.created_at, world.now, world.consistency))
        .map(Found::Own)
        .ok_or_else(|| not_found(arn))
}

/// One of the account's own policies, for a change.
fn own<'a>(world: &'a mut World, form: &Query) -> Result<&'a mut Policy, ApiError> {
    let arn = form.require("PolicyArn")?;
    if managed::by_arn(arn).is_some() {
        return Err(ApiError::new("AccessDenied", format!("The policy {arn} is AWS's own.")).with_status(403));
    }
    world.iam.policies.get_mut(arn).ok_or_else(|| not_found(arn))
}

/// A document that may be one of a managed policy's versions.
fn checked_document(form: &Query) -> Result<&str, ApiError> {
    let text = form.require("PolicyDocument")?;
    document::validate(text, Kind::Permissions)?;
    if text.chars().filter(|c| !c.is_whitespace()).count() > MAX_SIZE {
        return Err(limit_exceeded("PolicySize", MAX_SIZE));
    }
    Ok(text)
}

pub(super) fn create(world: &mut World, form: &Query) -> Result<Xml, ApiError> {
    let name = name(form, "PolicyName", 128)?;
    let path = path(form)?;
    let text = checked_document(form)?;
    let mut own_tags = Tags::default();
    merge_tags(&mut own_tags, tags(form)?)?;
    if world.iam.policies.values().any(|policy| policy.policy_name.eq_ignore_ascii_case(name)) {
        return Err(already_exists(format!("A policy called {name} already exists. Duplicate names are not allowed.")));
    }
    let first = PolicyVersion { version_id: "v1".to_owned(), document: text.to_owned(), created_at: world.now };
    let policy = Policy {
        policy_name: name.to_owned(),
        policy_id: unique_id(world, "ANPA"),
        arn: format!("arn:aws:iam::{}:policy{path}{name}", world.account_id),
        path: path.to_owned(),
        created_at: world.now,
        updated_at: world.now,
        description: form.get("Description").map(str::to_owned),
        default_version_id: first.version_id.clone(),
        versions: vec![first],
        versions_made: 1,
        tags: own_tags,
    };
    let xml = Xml::new().node("Policy", Found::Own(&policy).describe(world, true));
    world.iam.policies.insert(policy.arn.clone(), policy);
    Ok(xml)
}

pub(super) fn get(world: &World, form: &Query) -> Result<Xml, ApiError> {
    Ok(Xml::new().node("Policy", find(world, form)?.describe(world, true)))
}

pub(super) fn delete(world: &mut World, form: &Query) -> Result<Xml, ApiError> {
    let policy = own(world, form)?;
    let arn = policy.arn.clone();
    if policy.versions.len() > 1 {
        return Err(delete_conflict(
            "This policy has more than one version. Before you delete a policy, you must delete the policy's versions. \
             The default version is deleted with the policy.",
        ));
    }
    if world.iam.attachments(&arn) + world.iam.boundaries(&arn) > 0 {
        return Err(delete_conflict("Cannot delete a policy attached to entities."));
    }
    world.iam.policies.remove(&arn);
    Ok(Xml::new())
}

pub(super) fn list(world: &World, form: &Query) -> Result<Xml, ApiError> {
    let scope = form.get("Scope").unwrap_or("All");
    if !["All", "AWS", "Local"].contains(&scope) {
        return Err(validation(format!(
            "1 validation error detected: Value '{scope}' at 'scope' failed to satisfy constraint: Member must satisfy \
             enum value set: [All, AWS, Local]"
        )));
    }
    let only_attached = form.bool("OnlyAttached")?.unwrap_or(false);
    let as_boundary = form.get("PolicyUsageFilter") == Some("PermissionsBoundary");
    let prefix = form.get("PathPrefix").unwrap_or("/");
    let own = world
        .iam
        .policies
        .values()
        .filter(|policy| scope != "AWS" && visible(policy.created_at, world.now, world.consistency));
    let aws = managed::all().filter(|_| scope != "Local");
    let all = own.map(Found::Own).chain(aws.map(Found::Aws));
    let wanted = all.filter(|policy| {
        policy.path().starts_with(prefix)
            && (!only_attached || world.iam.attachments(policy.arn()) > 0)
            && (!as_boundary || world.iam.boundaries(policy.arn()) > 0)
    });
    page_of_nodes(form, "Policies", wanted.map(|policy| policy.describe(world, false)).collect())
}

pub(super) fn create_version(world: &mut World, form: &Query) -> Result<Xml, ApiError> {
    let text = checked_document(form)?;
    let make_default = form.bool("SetAsDefault")?.unwrap_or(false);
    let now = world.now;
    let policy = own(world, form)?;
    if policy.versions.len() >= MAX_VERSIONS {
        return Err(ApiError::new(
            "LimitExceeded",
            "A managed policy can have up to 5 versions. Before you create a new version, you must delete an existing \
             version.",
        )
        .with_status(409));
    }
    // A number is never given twice, not even after its version is gone.
    policy.versions_made += 1;
    let version_id = format!("v{}", policy.versions_made);
    policy.versions.push(PolicyVersion { version_id: version_id.clone(), document: text.to_owned(), created_at: now });
    if make_default {
        policy.default_version_id.clone_from(&version_id);
    }
    policy.updated_at = now;
    let described = describe_version((&version_id, text, make_default, now), false);
    Ok(Xml::new().node("PolicyVersion", described))
}

pub(super) fn get_version(world: &World, form: &Query) -> Result<Xml, ApiError> {
    let policy = find(world, form)?;
    let wanted = form.require("VersionId")?;
    let found = policy.versions().into_iter().find(|(id, ..)| *id == wanted);
    let version = found.ok_or_else(|| no_such_version(policy.arn(), wanted))?;
    Ok(Xml::new().node("PolicyVersion", describe_version(version, true)))
}

pub(super) fn list_versions(world: &World, form: &Query) -> Result<Xml, ApiError> {
    let policy = find(world, form)?;
    let versions = policy.versions().into_iter().map(|version| describe_version(version, false)).collect();
    page_of_nodes(form, "Versions", versions)
}

pub(super) fn delete_version(world: &mut World, form: &Query) -> Result<Xml, ApiError> {
    let wanted = form.require("VersionId")?;
    let now = world.now;
    let policy = own(world, form)?;
    let at = policy.versions.iter().position(|version| version.version_id == wanted);
    let at = at.ok_or_else(|| no_such_version(&policy.arn, wanted))?;
    if policy.default_version_id == wanted {
        return Err(delete_conflict("Cannot delete the default version of a policy."));
    }
    policy.versions.remove(at);
    policy.updated_at = now;
    Ok(Xml::new())
}

pub(super) fn set_default_version(world: &mut World, form: &Query) -> Result<Xml, ApiError> {
    let wanted = form.require("VersionId")?;
    let now = world.now;
    let policy = own(world, form)?;
    if !policy.versions.iter().any(|version| version.version_id == wanted) {
        return Err(no_such_version(&policy.arn, wanted));
    }
    policy.default_version_id = wanted.to_owned();
    policy.updated_at = now;
    Ok(Xml::new())
}

pub(super) fn tag(world: &mut World, form: &Query) -> Result<Xml, ApiError> {
    let new = tags(form)?;
    merge_tags(&mut own(world, form)?.tags, new)?;
    Ok(Xml::new())
}

pub(super) fn untag(world: &mut World, form: &Query) -> Result<Xml, ApiError> {
    let policy = own(world, form)?;
    for key in form.list("TagKeys.member") {
        policy.tags.0.retain(|other, _| !other.eq_ignore_ascii_case(key));
    }
    Ok(Xml::new())
}

pub(super) fn list_tags(world: &World, form: &Query) -> Result<Xml, ApiError> {
    let tags = match find(world, form)? {
        Found::Own(policy) => tag_entries(&policy.tags),
        Found::Aws(_) => Vec::new(),
    };
    page_of_nodes(form, "Tags", tags)
}

/// ListEntitiesForPolicy: only roles can have policies here.
pub(super) fn entities(world: &World, form: &Query) -> Result<Xml, ApiError> {
    let policy = find(world, form)?;
    let (prefix, filter) = (form.get("PathPrefix").unwrap_or("/"), form.get("EntityFilter").unwrap_or("Role"));
    let arn = policy.arn();
    let as_boundary = form.get("PolicyUsageFilter") == Some("PermissionsBoundary");
    let wanted = world.iam.roles.values().filter(|role| {
        let uses = if as_boundary {
            role.permissions_boundary.as_deref() == Some(arn)
        } else {
            role.attached_policies.iter().any(|attached| attached == arn)
        };
        uses && filter == "Role" && role.path.starts_with(prefix)
    });
    let roles = wanted.map(|role| Xml::new().text("RoleName", &role.role_name).text("RoleId", &role.role_id)).collect();
    let xml = Xml::new().list("PolicyGroups", "member", []).list("PolicyUsers", "member", []);
    Ok(xml.append(page_of_nodes(form, "PolicyRoles", roles)?))
}
