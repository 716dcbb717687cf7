//! ListDocuments and ListDocumentVersions.

use serde_json::{Value, json};

use super::super::owned;
use super::{ApiError, Found, Map, World, find, identity, own, required, text, texts};
use crate::sandbox::actions::ssm::{epoch, page, structs};

/// Filters of both forms as key and values.
fn filters(body: &Value) -> Result<Vec<(String, Vec<String>)>, ApiError> {
    let mut filters = Vec::new();
    for filter in structs(body, "Filters")? {
        filters.push((required(filter, "Key")?.to_owned(), texts(filter, "Values")?));
    }
    for filter in structs(body, "DocumentFilterList")? {
        filters.push((required(filter, "key")?.to_owned(), vec![required(filter, "value")?.to_owned()]));
    }
    for (key, _) in &filters {
        let known = ["Name", "Owner", "PlatformTypes", "DocumentType", "TargetType", "SearchKeyword"];
        if !known.contains(&key.as_str()) && !key.starts_with("tag:") {
            return Err(ApiError::new("InvalidFilterKey", ""));
        }
    }
    Ok(filters)
}

fn passes(entry: &Map<String, Value>, found: &Found<'_>, key: &str, values: &[String]) -> bool {
    let has = |text: &str| values.iter().any(|value| value == text);
    let of = |key: &str| entry.get(key).and_then(Value::as_str).unwrap_or_default();
    match key {
        "Name" => values.iter().any(|prefix| found.name.starts_with(prefix.as_str())),
        "SearchKeyword" => values.iter().any(|word| found.name.contains(word.as_str())),
        "DocumentType" => has(of("DocumentType")),
        "TargetType" => has(of("TargetType")),
        "PlatformTypes" => {
            let platforms = entry.get("PlatformTypes").and_then(Value::as_array);
            platforms.is_some_and(|platforms| platforms.iter().filter_map(Value::as_str).any(has))
        }
        "Owner" if found.own.is_some() => has("Self") || has("Private") || has("All"),
        "Owner" => has("Amazon") || has("Public") || has("All"),
        _ => key.strip_prefix("tag:").is_some_and(|key| {
            let value = found.own.and_then(|(document, _)| document.tags.get(key));
            value.is_some_and(|value| values.is_empty() || has(value))
        }),
    }
}

pub(crate) fn list(world: &World, body: &Value) -> Result<Value, ApiError> {
    let filters = filters(body)?;
    let names = owned::ALL.iter().map(|document| document.name);
    let names = names.chain(world.ssm.documents.keys().map(String::as_str));
    let mut entries = Vec::new();
    for name in names {
        let found = find(world, name, None, None)?;
        let entry = identity(world, &found);
        if filters.iter().all(|(key, values)| passes(&entry, &found, key, values)) {
            entries.push(Value::Object(entry));
        }
    }
    page(body, "DocumentIdentifiers", entries, 10, 1, 50)
}

pub(crate) fn versions(world: &mut World, body: &Value) -> Result<Value, ApiError> {
    if let Some(document) = owned::find(required(body, "Name")?) {
        let only = json!({
            "Name": document.name,
            "DocumentVersion": "1",
            "IsDefaultVersion": true,
            "DocumentFormat": "JSON",
            "Status": "Active",
        });
        return page(body, "DocumentVersions", vec![only], 50, 1, 50);
    }
    text(body, "NextToken")?;
    let document = own(world, body)?;
    let entries = document.versions.iter().rev().map(|version| {
        let mut entry = json!({
            "Name": document.name,
            "DocumentVersion": version.version.to_string(),
            "CreatedDate": epoch(version.created_at),
            "IsDefaultVersion": version.version == document.default_version,
            "DocumentFormat": version.format,
            "Status": "Active",
        });
        if let (Some(name), Some(map)) = (&version.version_name, entry.as_object_mut()) {
            map.insert("VersionName".to_owned(), name.as_str().into());
        }
        entry
    });
    page(body, "DocumentVersions", entries.collect(), 50, 1, 50)
}
