//! Managed policies: AWS's, which are read only, and the account's own, which have one version.

use jiff::Timestamp;

use super::document::{self, Kind};
use super::state::visible;
use super::{
    Policy, already_exists, delete_conflict, managed, merge_tags, name, no_such_entity, page_of_nodes, path,
    percent_encoded, tags, unique_id, validation, with_tags,
};
use crate::model::Tags;
use crate::sandbox::wire::{ApiError, Query, Xml};
use crate::sandbox::world::World;

/// The version of every policy that was made here.
const VERSION: &str = "v1";
/// IAM's quota for the characters of one managed policy, white space not counted.
const MAX_SIZE: usize = 6144;

/// Either kind of managed policy.
enum Found<'a> {
    Own(&'a Policy),
    Aws(&'static managed::Managed),
}

impl Found<'_> {
    fn arn(&self) -> &str {
        match self {
            Self::Own(policy) => &policy.arn,
            Self::Aws(policy) => policy.arn,
        }
    }

    fn path(&self) -> &str {
        match self {
            Self::Own(policy) => &policy.path,
            Self::Aws(policy) => policy.path,
        }
    }

    fn version(&self) -> &str {
        match self {
            Self::Own(_) => VERSION,
            Self::Aws(policy) => policy.version,
        }
    }

    fn document(&self) -> &str {
        match self {
            Self::Own(policy) => &policy.document,
            Self::Aws(policy) => policy.document,
        }
    }

    fn created_at(&self) -> Timestamp {
        match self {
            Self::Own(policy) => policy.created_at,
            Self::Aws(policy) => policy.created_at.parse().unwrap_or(Timestamp::UNIX_EPOCH),
        }
    }

    /// As the answers hold it. Lists leave out description and tags.
    fn describe(&self, world: &World, in_full: bool) -> Xml {
        let (name, id, description) = match self {
            Self::Own(policy) => {
                (policy.policy_name.as_str(), policy.policy_id.as_str(), policy.description.as_deref())
            }
            Self::Aws(policy) => (policy.name, policy.id, Some(policy.description)),
        };
        let xml = Xml::new()
            .text("PolicyName", name)
            .text("PolicyId", id)
            .text("Arn", self.arn())
            .text("Path", self.path())
            .text("DefaultVersionId", self.version())
            .text("AttachmentCount", world.iam.attachments(self.arn()))
            .text("PermissionsBoundaryUsageCount", 0)
            .text("IsAttachable", true)
            .opt("Description", description.filter(|_| in_full))
            .text("CreateDate", format_args!("{:.0}", self.created_at()))
            .text("UpdateDate", format_args!("{:.0}", self.created_at()));
        match self {
            Self::Own(policy) if in_full => with_tags(xml, &policy.tags),
            Self::Own(_) | Self::Aws(_) => xml,
        }
    }

    fn describe_version(&self, with_document: bool) -> Xml {
        let document = with_document.then(|| percent_encoded(self.document()));
        Xml::new()
            .opt("Document", document)
            .text("VersionId", self.version())
            .text("IsDefaultVersion", true)
            .text("CreateDate", format_args!("{:.0}", self.created_at()))
    }
}

fn find<'a>(world: &'a World, form: &Query) -> Result<Found<'a>, ApiError> {
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
        .ok_or_else(|| no_such_entity(format!("Policy {arn} was not found.")))
}

pub(super) fn create(world: &mut World, form: &Query) -> Result<Xml, ApiError> {
    let name = name(form, "PolicyName", 128)?;
    let path = path(form)?;
    let text = form.require("PolicyDocument")?;
    document::validate(text, Kind::Permissions)?;
    if text.chars().filter(|c| !c.is_whitespace()).count() > MAX_SIZE {
        return Err(super::limit_exceeded("PolicySize", MAX_SIZE));
    }
    let mut own_tags = Tags::default();
    merge_tags(&mut own_tags, tags(form)?)?;
    if world.iam.policies.values().any(|policy| policy.policy_name.eq_ignore_ascii_case(name)) {
        return Err(already_exists(format!("A policy called {name} already exists. Duplicate names are not allowed.")));
    }
    let policy = Policy {
        policy_name: name.to_owned(),
        policy_id: unique_id(world, "ANPA"),
        arn: format!("arn:aws:iam::{}:policy{path}{name}", world.account_id),
        path: path.to_owned(),
        created_at: world.now,
        description: form.get("Description").map(str::to_owned),
        document: text.to_owned(),
        tags: own_tags,
    };
    let xml = Xml::new().node("Policy", Found::Own(&policy).describe(world, true));
    world.iam.policies.insert(policy.arn.clone(), policy);
    Ok(xml)
}

pub(super) fn get(world: &World, form: &Query) -> Result<Xml, ApiError> {
    Ok(Xml::new().node("Policy", find(world, form)?.describe(world, true)))
}

pub(super) fn get_version(world: &World, form: &Query) -> Result<Xml, ApiError> {
    let policy = find(world, form)?;
    let version = form.require("VersionId")?;
    if version != policy.version() {
        return Err(no_such_entity(format!("Policy {} version {version} does not exist.", policy.arn())));
    }
    Ok(Xml::new().node("PolicyVersion", policy.describe_version(true)))
}

pub(super) fn list_versions(world: &World, form: &Query) -> Result<Xml, ApiError> {
    page_of_nodes(form, "Versions", vec![find(world, form)?.describe_version(false)])
}

pub(super) fn delete(world: &mut World, form: &Query) -> Result<Xml, ApiError> {
    let arn = form.require("PolicyArn")?;
    if managed::by_arn(arn).is_some() {
        return Err(ApiError::new("AccessDenied", format!("The policy {arn} is AWS's own.")).with_status(403));
    }
    if !world.iam.policies.contains_key(arn) {
        return Err(no_such_entity(format!("Policy {arn} was not found.")));
    }
    if world.iam.attachments(arn) > 0 {
        return Err(delete_conflict("Cannot delete a policy attached to entities."));
    }
    world.iam.policies.remove(arn);
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
    let prefix = form.get("PathPrefix").unwrap_or("/");
    let own = world
        .iam
        .policies
        .values()
        .filter(|policy| scope != "AWS" && visible(policy.created_at, world.now, world.consistency));
    let aws = managed::ALL.iter().filter(|_| scope != "Local");
    let all = own.map(Found::Own).chain(aws.map(Found::Aws));
    let wanted = all.filter(|policy| {
        policy.path().starts_with(prefix) && (!only_attached || world.iam.attachments(policy.arn()) > 0)
    });
    page_of_nodes(form, "Policies", wanted.map(|policy| policy.describe(world, false)).collect())
}
