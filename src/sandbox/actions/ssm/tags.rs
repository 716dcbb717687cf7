//! Tags on what SSM stores: parameters, documents, associations.

use serde_json::{Value, json};

use super::{parameters, required, structs, texts, validation};
use crate::model::Tags;
use crate::sandbox::wire::ApiError;
use crate::sandbox::world::World;

/// Tags on one resource.
const MOST: usize = 50;

/// The tags that a request gives.
pub(super) fn given(body: &Value) -> Result<Tags, ApiError> {
    let mut tags = Tags::default();
    for tag in structs(body, "Tags")? {
        let (key, value) = (required(tag, "Key")?, super::text(tag, "Value")?.unwrap_or_default());
        if key.is_empty() || key.chars().count() > 128 || value.chars().count() > 256 {
            return Err(validation(format!("The tag {key} is too long: a key has 1 to 128 characters, a value 256.")));
        }
        if key.to_ascii_lowercase().starts_with("aws:") {
            return Err(validation("Tag keys can't start with aws:, which is reserved for AWS use."));
        }
        tags.0.insert(key.to_owned(), value.to_owned());
    }
    if tags.0.len() > MOST { Err(too_many()) } else { Ok(tags) }
}

fn too_many() -> ApiError {
    // Its shape has no message.
    ApiError::new("TooManyTagsError", "")
}

/// Tags as SSM's answers hold them.
pub(super) fn list_of(tags: &Tags) -> Value {
    tags.0.iter().map(|(key, value)| json!({ "Key": key, "Value": value })).collect()
}

/// The tags of the resource that a request names.
fn of<'a>(world: &'a mut World, body: &Value) -> Result<&'a mut Tags, ApiError> {
    let (kind, id) = (required(body, "ResourceType")?, required(body, "ResourceId")?);
    let found = match kind {
        "Parameter" => {
            let name = parameters::plain_name(world, id).to_owned();
            world.ssm.parameters.get_mut(&name).map(|parameter| &mut parameter.tags)
        }
        "Document" => {
            let name = id.rsplit('/').next().unwrap_or(id);
            world.ssm.documents.get_mut(name).map(|document| &mut document.tags)
        }
        "Association" => world.ssm.associations.get_mut(id).map(|association| &mut association.tags),
        "ManagedInstance" | "MaintenanceWindow" | "PatchBaseline" | "OpsItem" | "OpsMetadata" | "Automation" => None,
        _ => return Err(ApiError::new("InvalidResourceType", "")),
    };
    found.ok_or_else(|| ApiError::new("InvalidResourceId", ""))
}

pub(super) fn list(world: &mut World, body: &Value) -> Result<Value, ApiError> {
    // AWS's own documents have no tags, and may be asked for them.
    let aws_document = body.get("ResourceType").is_some_and(|kind| kind == "Document")
        && body.get("ResourceId").and_then(Value::as_str).is_some_and(|id| super::owned::find(id).is_some());
    if aws_document {
        return Ok(json!({ "TagList": [] }));
    }
    Ok(json!({ "TagList": list_of(of(world, body)?) }))
}

pub(super) fn add(world: &mut World, body: &Value) -> Result<Value, ApiError> {
    let new = given(body)?;
    let tags = of(world, body)?;
    let mut merged = tags.clone();
    merged.0.extend(new.0);
    if merged.0.len() > MOST {
        return Err(too_many());
    }
    *tags = merged;
    Ok(json!({}))
}

pub(super) fn remove(world: &mut World, body: &Value) -> Result<Value, ApiError> {
    let keys = texts(body, "TagKeys")?;
    of(world, body)?.0.retain(|key, _| !keys.contains(key));
    Ok(json!({}))
}
