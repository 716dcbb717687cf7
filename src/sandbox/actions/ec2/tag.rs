//! Tags: CreateTags, DeleteTags, DescribeTags, and the TagSpecification of everything that is created.

use super::Answer;
use super::describe::{Filters, PAGES, maybe, one, page};
use super::kept;
use super::noun::{Kind, Noun};
use crate::model::{
    Address, EgressOnlyInternetGateway, Instance, InternetGateway, NatGateway, Network, NetworkAcl, NetworkInterface,
    RouteTable, SecurityGroup, Subnet, Tags, Vpc, VpcEndpoint,
};
use crate::sandbox::wire::{ApiError, Body, Query, Xml};
use crate::sandbox::world::World;

/// `tagSet` of an answer.
pub fn xml(tags: &Tags) -> impl Iterator<Item = Xml> + '_ {
    tags.0.iter().map(|(key, value)| Xml::new().text("key", key).text("value", value))
}

/// The tags for the one kind of resource that an action makes.
pub fn specified(query: &Query, tag_type: &str) -> Result<Tags, ApiError> {
    specified_among(query, tag_type, &[tag_type])
}

/// The tags for one kind of resource, where the action makes several.
pub fn specified_among(query: &Query, tag_type: &str, allowed: &[&str]) -> Result<Tags, ApiError> {
    let mut tags = Tags::default();
    for specification in query.structs("TagSpecification") {
        let kind = specification
            .require("ResourceType")
            .map_err(|_| ApiError::invalid_value("Tag specification resource type must have a value"))?;
        if !allowed.contains(&kind) {
            return Err(ApiError::invalid_value(format!(
                "'{kind}' is not a valid taggable resource type for this operation."
            )));
        }
        let given = parse(&specification)?;
        if kind == tag_type {
            tags.0.extend(given.0);
        }
    }
    check_count(&tags)?;
    Ok(tags)
}

fn parse(query: &Query) -> Result<Tags, ApiError> {
    let mut tags = Tags::default();
    for tag in query.structs("Tag") {
        let key = tag.get("Key").filter(|key| !key.is_empty()).ok_or_else(|| ApiError::missing("key"))?;
        let value = tag.get("Value").unwrap_or_default();
        check(key, value)?;
        if tags.0.insert(key.to_owned(), value.to_owned()).is_some() {
            return Err(ApiError::invalid_value(format!("Duplicate tag key '{key}' specified.")));
        }
    }
    Ok(tags)
}

fn check(key: &str, value: &str) -> Result<(), ApiError> {
    if key.starts_with("aws:") {
        return Err(ApiError::invalid_value(format!(
            "Value ( {key} ) for parameter key is invalid. Tag keys starting with 'aws:' are reserved for internal use"
        )));
    }
    if key.chars().count() > 128 {
        return Err(ApiError::invalid_value("Tag key exceeds the maximum length of 128 characters"));
    }
    if value.chars().count() > 256 {
        return Err(ApiError::invalid_value("Tag value exceeds the maximum length of 256 characters"));
    }
    Ok(())
}

fn check_count(tags: &Tags) -> Result<(), ApiError> {
    if tags.0.len() > 50 {
        return Err(ApiError::new("TagLimitExceeded", "The maximum number of tags for a resource is 50"));
    }
    Ok(())
}

/// Calls `$body` with `$noun` being each kind of resource that the network holds.
macro_rules! for_each_noun {
    ($noun:ident => $body:expr) => {{
        {
            type $noun = Vpc;
            $body
        }
        {
            type $noun = Subnet;
            $body
        }
        {
            type $noun = RouteTable;
            $body
        }
        {
            type $noun = InternetGateway;
            $body
        }
        {
            type $noun = EgressOnlyInternetGateway;
            $body
        }
        {
            type $noun = NatGateway;
            $body
        }
        {
            type $noun = NetworkInterface;
            $body
        }
        {
            type $noun = Instance;
            $body
        }
        {
            type $noun = SecurityGroup;
            $body
        }
        {
            type $noun = NetworkAcl;
            $body
        }
        {
            type $noun = Address;
            $body
        }
        {
            type $noun = VpcEndpoint;
            $body
        }
    }};
}

/// The tags of any resource, to be changed.
fn tags_mut<'a>(world: &'a mut World, id: &str) -> Result<&'a mut Tags, ApiError> {
    let mut kind: Option<Kind> = None;
    for_each_noun!(T => if id.strip_prefix(T::KIND.prefix).is_some_and(|rest| !rest.contains('-')) {
        kind = Some(T::KIND);
        if world.find::<T>(id).is_ok() {
            return world.find_mut::<T>(id).map(Noun::tags_mut);
        }
    });
    if let Some(kind) = kind {
        kind.check(id)?;
        return Err(kind.not_found(id));
    }
    let records = &mut world.records;
    if id.starts_with("sgr-") {
        let exists = world.network.security_groups.shown().values().flat_map(|group| &group.rules);
        if exists.into_iter().any(|rule| rule.rule_id.as_ref().is_some_and(|rule| rule.as_str() == id)) {
            return Ok(records.rule_tags.entry(id.to_owned()).or_default());
        }
        return Err(ApiError::new(
            "InvalidSecurityGroupRuleId.NotFound",
            format!("The security group rule ID '{id}' does not exist"),
        ));
    }
    if id.starts_with("key-") {
        let missing = || ApiError::new("InvalidKeyPair.NotFound", format!("The key pair ID '{id}' does not exist"));
        return records
            .key_pairs
            .values_mut()
            .find(|pair| pair.key_pair_id == id)
            .map(|pair| &mut pair.tags)
            .ok_or_else(missing);
    }
    if id.starts_with("pg-") {
        let missing = || ApiError::new("InvalidPlacementGroupId.Malformed", format!("Invalid id: \"{id}\""));
        let group = records.placement_groups.values_mut().find(|group| group.group_id == id);
        return group.map(|group| &mut group.tags).ok_or_else(missing);
    }
    if records.images.contains_key(id) {
        let missing = || ApiError::new("InvalidAMIID.NotFound", format!("The image id '[{id}]' does not exist"));
        return records.images.get_mut(id).map(|image| &mut image.tags).ok_or_else(missing);
    }
    let invalid = || ApiError::new("InvalidID", format!("The ID '{id}' is not valid"));
    kept::tags_mut(records, id).unwrap_or_else(|| Err(invalid()))
}

/// CreateTags
pub fn create_tags(world: &mut World, query: &Query) -> Answer {
    let resources = query.list("ResourceId");
    if resources.is_empty() {
        return Err(ApiError::missing("resourceIdSet"));
    }
    let given = parse(query)?;
    if given.0.is_empty() {
        return Err(ApiError::missing("tagSet"));
    }
    for id in &resources {
        let mut together = tags_mut(world, id)?.clone();
        together.0.extend(given.0.clone());
        check_count(&together)?;
    }
    for id in resources {
        tags_mut(world, id)?.0.extend(given.0.clone());
    }
    super::done()
}

/// DeleteTags: a tag with a value is removed only if the value is the same; without tags, all are.
pub fn delete_tags(world: &mut World, query: &Query) -> Answer {
    let resources = query.list("ResourceId");
    if resources.is_empty() {
        return Err(ApiError::missing("resourceIdSet"));
    }
    let given = query.structs("Tag");
    for id in &resources {
        tags_mut(world, id)?;
    }
    for id in resources {
        let tags = tags_mut(world, id)?;
        if given.is_empty() {
            tags.0.retain(|key, _| key.starts_with("aws:"));
        }
        for tag in &given {
            let key = tag.get("Key").unwrap_or_default();
            if tag.get("Value").is_none_or(|value| tags.get(key) == Some(value)) {
                tags.0.remove(key);
            }
        }
    }
    super::done()
}

/// DescribeTags
pub fn describe_tags(world: &World, query: &Query) -> Answer {
    let filters = Filters::parse(query)?;
    let mut all: Vec<(String, &'static str, &Tags)> = Vec::new();
    let network: &Network = world.seen();
    for_each_noun!(T => all.extend(T::items(network).values().map(|r| (r.id().to_owned(), T::KIND.tag_type, r.tags()))));
    let records = &world.records;
    all.extend(records.rule_tags.iter().map(|(id, tags)| (id.clone(), "security-group-rule", tags)));
    all.extend(kept::tagged(records));
    all.extend(records.placement_groups.values().map(|group| (group.group_id.clone(), "placement-group", &group.tags)));
    all.extend(records.images.iter().map(|(id, image)| (id.clone(), "image", &image.tags)));
    all.extend(records.key_pairs.values().map(|pair| (pair.key_pair_id.clone(), "key-pair", &pair.tags)));
    let mut rows = Vec::new();
    for (id, kind, tags) in all {
        for (key, value) in &tags.0 {
            let only: Tags = [(key.clone(), value.clone())].into_iter().collect();
            let accepted = filters.accept(&only, |name| match name {
                "key" => one(key),
                "value" => one(value),
                "resource-id" => one(&id),
                "resource-type" => one(kind),
                "tag" => maybe(Some(value)),
                _ => None,
            })?;
            if accepted {
                let row =
                    Xml::new().text("key", key).text("resourceId", &id).text("resourceType", kind).text("value", value);
                rows.push((format!("{id} {key}"), row));
            }
        }
    }
    rows.sort_by(|(a, _), (b, _)| a.cmp(b));
    let (page, token) = page(query, PAGES, rows)?;
    Ok(Body::Xml(Xml::new().items("tagSet", page).opt("nextToken", token)))
}
