//! What the parameter store tells of its parameters beside their values: lists, histories, labels.

use super::{
    ApiError, Map, Parameter, ParameterVersion, USER_NAME, Value, World, arn, constraint, describe_version, epoch,
    flag, json, not_found, number, page, plain_name, required, structs, text, texts, validation,
};

/// How a filter compares.
#[derive(Clone, Copy, PartialEq, Eq)]
enum How {
    Equals,
    BeginsWith,
    Contains,
    Recursive,
    OneLevel,
}

/// One of a request's filters: all must match.
pub(super) struct Filter {
    key: String,
    how: How,
    values: Vec<String>,
}

/// The filters of a request, either of the new form or of the old.
pub(super) fn filters(body: &Value, field: &str, allowed: &[&str]) -> Result<Vec<Filter>, ApiError> {
    let mut filters = Vec::new();
    for filter in structs(body, field)? {
        let key = required(filter, "Key")?;
        let by_tag = key.starts_with("tag:") && allowed.contains(&"tag");
        if !by_tag && !allowed.contains(&key) {
            return Err(ApiError::new("InvalidFilterKey", ""));
        }
        let how = match (text(filter, "Option")?, key) {
            (None, "Path") => How::OneLevel,
            (None | Some("Equals"), _) => How::Equals,
            (Some("BeginsWith"), _) => How::BeginsWith,
            (Some("Contains"), "Name") => How::Contains,
            (Some("Recursive"), "Path") => How::Recursive,
            (Some("OneLevel"), "Path") => How::OneLevel,
            (Some(other), _) => {
                let message = format!(
                    "The following filter option is not valid: {other}. Valid options include: [BeginsWith, Equals]."
                );
                return Err(ApiError::new("InvalidFilterOption", message));
            }
        };
        let values = texts(filter, "Values")?;
        if values.is_empty() && !key.starts_with("tag:") {
            return Err(ApiError::new("InvalidFilterValue", "The following filter values are missing."));
        }
        filters.push(Filter { key: key.to_owned(), how, values });
    }
    Ok(filters)
}

fn compares(how: How, text: &str, value: &str) -> bool {
    let below = || text.strip_prefix(value.trim_end_matches('/')).and_then(|rest| rest.strip_prefix('/'));
    match how {
        How::Equals => text == value,
        How::BeginsWith => text.starts_with(value),
        How::Contains => text.contains(value),
        How::Recursive => below().is_some(),
        How::OneLevel => below().is_some_and(|rest| !rest.contains('/')),
    }
}

/// Whether all filters match a parameter.
pub(super) fn matches(parameter: &Parameter, filters: &[Filter]) -> bool {
    let Some(newest) = parameter.newest() else { return false };
    filters.iter().all(|filter| {
        let any = |text: &str| filter.values.iter().any(|value| compares(filter.how, text, value));
        match filter.key.as_str() {
            // A name is found with or without the slash it begins with.
            "Name" => any(&parameter.name) || parameter.name.strip_prefix('/').is_some_and(any),
            "Path" => any(&parameter.name),
            "Type" => any(&newest.kind),
            "Tier" => any(&newest.tier),
            "DataType" => any(&newest.data_type),
            "KeyId" => newest.key_id.as_deref().is_some_and(any),
            "Label" => newest.labels.iter().any(|label| any(label)),
            key => {
                let value = key.strip_prefix("tag:").and_then(|key| parameter.tags.get(key));
                value.is_some_and(|value| filter.values.is_empty() || any(value))
            }
        }
    })
}

/// What is common to a parameter in a list and a version in a history.
fn metadata(world: &World, name: &str, version: &ParameterVersion) -> Map<String, Value> {
    let mut entry = Map::new();
    let mut put = |key: &str, value: Value| {
        entry.insert(key.to_owned(), value);
    };
    put("Name", name.into());
    put("Type", version.kind.as_str().into());
    if let Some(key_id) = &version.key_id {
        put("KeyId", key_id.as_str().into());
    }
    put("LastModifiedDate", epoch(version.modified_at));
    put("LastModifiedUser", format!("arn:aws:iam::{}:user/{USER_NAME}", world.account_id).into());
    if let Some(description) = &version.description {
        put("Description", description.as_str().into());
    }
    if let Some(pattern) = &version.allowed_pattern {
        put("AllowedPattern", pattern.as_str().into());
    }
    put("Version", version.version.into());
    put("Tier", version.tier.as_str().into());
    put("Policies", json!([]));
    put("DataType", version.data_type.as_str().into());
    entry
}

/// DescribeParameters. AWS's public parameters are not among them.
pub(crate) fn describe(world: &World, body: &Value) -> Result<Value, ApiError> {
    let keys = ["Name", "Type", "KeyId", "Path", "Label", "Tier", "DataType", "tag"];
    let mut wanted = filters(body, "ParameterFilters", &keys)?;
    let mut old = filters(body, "Filters", &["Name", "Type", "KeyId"])?;
    if !wanted.is_empty() && !old.is_empty() {
        return Err(validation("You can use either Filters or ParameterFilters in a single request."));
    }
    // The old form looks for the beginning of a name.
    old.iter_mut().filter(|filter| filter.key == "Name").for_each(|filter| filter.how = How::BeginsWith);
    wanted.extend(old);
    let chosen = world.ssm.parameters.values().filter(|parameter| matches(parameter, &wanted));
    let entries = chosen.filter_map(|parameter| {
        let mut entry = metadata(world, &parameter.name, parameter.newest()?);
        entry.insert("ARN".to_owned(), arn(world, &parameter.name).into());
        Some(Value::Object(entry))
    });
    page(body, "Parameters", entries.collect(), 10, 1, 50)
}

pub(crate) fn history(world: &World, body: &Value) -> Result<Value, ApiError> {
    let name = plain_name(world, required(body, "Name")?);
    let parameter = world.ssm.parameters.get(name).ok_or_else(not_found)?;
    let decrypted = flag(body, "WithDecryption");
    let entries = parameter.versions.iter().map(|version| {
        let mut entry = metadata(world, name, version);
        let value = describe_version(world, name, version, decrypted).get("Value").cloned();
        entry.insert("Value".to_owned(), value.unwrap_or_default());
        entry.insert("Labels".to_owned(), json!(version.labels));
        Value::Object(entry)
    });
    page(body, "Parameters", entries.collect(), 50, 1, 50)
}

/// The version that a request about labels means.
fn version_number(parameter: &Parameter, body: &Value) -> Result<i64, ApiError> {
    let newest = parameter.newest().map_or(1, |newest| newest.version);
    let wanted = number(body, "ParameterVersion", 1, i64::MAX)?.unwrap_or(newest);
    if parameter.versions.iter().any(|version| version.version == wanted) {
        return Ok(wanted);
    }
    Err(ApiError::new(
        "ParameterVersionNotFound",
        format!(
            "Systems Manager could not find version {wanted} of {}. Verify the version and try again.",
            parameter.name
        ),
    ))
}

/// LabelParameterVersion: a label names one version; given to another, it moves.
pub(crate) fn label(world: &mut World, body: &Value) -> Result<Value, ApiError> {
    let name = plain_name(world, required(body, "Name")?).to_owned();
    let labels = texts(body, "Labels")?;
    if labels.is_empty() || labels.len() > 10 {
        return Err(constraint(&json!(labels), "labels", "Member must have length between 1 and 10"));
    }
    let parameter = world.ssm.parameters.get_mut(&name).ok_or_else(not_found)?;
    let wanted = version_number(parameter, body)?;
    let letters = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
    let valid = |label: &str| {
        let first = label.chars().next();
        let lower = label.to_ascii_lowercase();
        first.is_some_and(|c| !c.is_ascii_digit())
            && label.len() <= 100
            && label.chars().all(letters)
            && !lower.starts_with("aws")
            && !lower.starts_with("ssm")
    };
    let (good, bad): (Vec<String>, Vec<String>) = labels.into_iter().partition(|label| valid(label));
    for version in &mut parameter.versions {
        version.labels.retain(|label| !good.contains(label));
        if version.version == wanted {
            if version.labels.len() + good.len() > 10 {
                return Err(ApiError::new(
                    "ParameterVersionLabelLimitExceeded",
                    "A parameter version can have a maximum of 10 labels.",
                ));
            }
            version.labels.extend(good.iter().cloned());
        }
    }
    Ok(json!({ "InvalidLabels": bad, "ParameterVersion": wanted }))
}

pub(crate) fn unlabel(world: &mut World, body: &Value) -> Result<Value, ApiError> {
    let name = plain_name(world, required(body, "Name")?).to_owned();
    let labels = texts(body, "Labels")?;
    let parameter = world.ssm.parameters.get_mut(&name).ok_or_else(not_found)?;
    let wanted = version_number(parameter, body)?;
    let version = parameter.versions.iter_mut().find(|version| version.version == wanted).ok_or_else(not_found)?;
    let (removed, invalid): (Vec<String>, Vec<String>) =
        labels.into_iter().partition(|label| version.labels.contains(label));
    version.labels.retain(|label| !removed.contains(label));
    Ok(json!({ "RemovedLabels": removed, "InvalidLabels": invalid }))
}
