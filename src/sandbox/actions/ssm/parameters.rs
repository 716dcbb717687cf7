//! The parameter store: the account's own parameters with their versions, and AWS's public ones for images.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use regex::Regex;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use jiff::Timestamp;

use super::{constraint, epoch, number, page, public_parameters, required, structs, tags, text, texts, validation};
use crate::model::Tags;
use crate::sandbox::actions::sts::USER_NAME;
use crate::sandbox::wire::ApiError;
use crate::sandbox::world::World;

mod list;

pub(super) use list::{describe, history, label, unlabel};

/// The quota of versions of one parameter; the oldest makes room, unless it has a label.
const MAX_VERSIONS: usize = 100;
/// The quota of levels in a name.
const MAX_LEVELS: usize = 15;
const NOT_FOUND: &str = "ParameterNotFound";

/// One of the account's parameters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parameter {
    pub name: String,
    /// Oldest first; never empty.
    pub versions: Vec<ParameterVersion>,
    pub tags: Tags,
}

/// A version of a parameter: everything that PutParameter can change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ParameterVersion {
    pub version: i64,
    /// `String`, `StringList` or `SecureString`.
    pub kind: String,
    pub value: String,
    /// What a reader without decryption sees of a `SecureString`.
    pub ciphertext: Option<String>,
    pub key_id: Option<String>,
    pub description: Option<String>,
    pub allowed_pattern: Option<String>,
    pub tier: String,
    pub data_type: String,
    pub modified_at: Timestamp,
    pub labels: Vec<String>,
}

impl Parameter {
    fn newest(&self) -> Option<&ParameterVersion> {
        self.versions.last()
    }
}

fn not_found() -> ApiError {
    // AWS gives no message.
    ApiError::new(NOT_FOUND, "")
}

fn arn(world: &World, name: &str) -> String {
    let slash = if name.starts_with('/') { "" } else { "/" };
    format!("arn:aws:ssm:{}:{}:parameter{slash}{name}", world.region, world.account_id)
}

/// A parameter's name where an ARN may stand for it.
pub(super) fn plain_name<'a>(world: &World, name: &'a str) -> &'a str {
    let Some((_, rest)) = name.strip_prefix("arn:").and_then(|arn| arn.split_once(":parameter")) else { return name };
    if world.ssm.parameters.contains_key(rest) { rest } else { rest.strip_prefix('/').unwrap_or(rest) }
}

fn describe_version(world: &World, name: &str, version: &ParameterVersion, decrypted: bool) -> Value {
    let shown = version.ciphertext.as_ref().filter(|_| !decrypted).unwrap_or(&version.value);
    json!({
        "Name": name,
        "Type": version.kind,
        "Value": shown,
        "Version": version.version,
        "LastModifiedDate": epoch(version.modified_at),
        "ARN": arn(world, name),
        "DataType": version.data_type,
    })
}

/// One parameter by name, `name:version`, `name:label` or ARN.
fn find(world: &World, wanted: &str, decrypted: bool) -> Result<Value, ApiError> {
    if let Some(found) = public_parameters::find(world, wanted) {
        return Ok(found);
    }
    let wanted = plain_name(world, wanted);
    let (name, selector) = wanted.split_once(':').map_or((wanted, None), |(name, selector)| (name, Some(selector)));
    let name = plain_name(world, name);
    let parameter = world.ssm.parameters.get(name).ok_or_else(not_found)?;
    let Some(selector) = selector else {
        let newest = parameter.newest().ok_or_else(not_found)?;
        return Ok(describe_version(world, name, newest, decrypted));
    };
    let version = parameter.versions.iter().find(|version| {
        version.version.to_string() == selector || version.labels.iter().any(|label| label == selector)
    });
    let version = version.ok_or_else(|| {
        ApiError::new(
            "ParameterVersionNotFound",
            format!("Systems Manager could not find version {selector} of {name}. Verify the version and try again."),
        )
    })?;
    let mut found = describe_version(world, name, version, decrypted);
    if let Some(map) = found.as_object_mut() {
        map.insert("Selector".to_owned(), format!(":{selector}").into());
    }
    Ok(found)
}

/// The value behind `{{ssm:name}}` in what a command or association is given.
pub(super) fn value_of(world: &World, name: &str) -> Option<String> {
    let found = find(world, name, false).ok()?;
    // A secret is not put into a command's text.
    let plain = found.get("Type").is_some_and(|kind| kind != "SecureString");
    found.get("Value").and_then(Value::as_str).filter(|_| plain).map(str::to_owned)
}

fn flag(body: &Value, field: &str) -> bool {
    body.get(field).and_then(Value::as_bool).unwrap_or(false)
}

pub(super) fn get(world: &World, body: &Value) -> Result<Value, ApiError> {
    let name = required(body, "Name")?;
    Ok(json!({ "Parameter": find(world, name, flag(body, "WithDecryption"))? }))
}

pub(super) fn get_many(world: &World, body: &Value) -> Result<Value, ApiError> {
    let names = texts(body, "Names")?;
    if names.is_empty() || names.len() > 10 {
        return Err(constraint(&json!(names), "names", "Member must have length between 1 and 10"));
    }
    let unique: std::collections::BTreeSet<&String> = names.iter().collect();
    let (mut found, mut missing) = (Vec::new(), Vec::new());
    for name in unique {
        match find(world, name, flag(body, "WithDecryption")) {
            Ok(parameter) => found.push(parameter),
            Err(_) => missing.push(name.clone()),
        }
    }
    Ok(json!({ "Parameters": found, "InvalidParameters": missing }))
}

pub(super) fn get_by_path(world: &World, body: &Value) -> Result<Value, ApiError> {
    let path = required(body, "Path")?;
    if !path.starts_with('/') {
        return Err(validation(
            "The parameter doesn't meet the parameter name requirements. The parameter name must begin with a forward \
             slash \"/\". It can't be prefixed with \"aws\" or \"ssm\" (case-insensitive).",
        ));
    }
    let path = path.trim_end_matches('/');
    let (recursive, decrypted) = (flag(body, "Recursive"), flag(body, "WithDecryption"));
    let below = |name: &str| {
        let rest = name.strip_prefix(path).and_then(|rest| rest.strip_prefix('/'));
        rest.is_some_and(|rest| !rest.is_empty() && (recursive || !rest.contains('/')))
    };
    let filters = list::filters(body, "ParameterFilters", &["Type", "KeyId", "Label"])?;
    let own = world.ssm.parameters.values().filter(|p| below(&p.name) && list::matches(p, &filters));
    let mut entries: Vec<Value> =
        own.filter_map(|p| p.newest().map(|newest| describe_version(world, &p.name, newest, decrypted))).collect();
    if filters.is_empty() {
        let public = public_parameters::names().filter(|name| below(name));
        entries.extend(public.filter_map(|name| public_parameters::find(world, &name)));
    }
    page(body, "Parameters", entries, 10, 1, 10)
}

/// Refuses a name that is not for the account to give.
fn check_name(name: &str) -> Result<(), ApiError> {
    let letters = |c: char| c.is_ascii_alphanumeric() || "_.-/".contains(c);
    if name.len() > 1011 || !name.chars().all(letters) || name.ends_with('/') || name.contains("//") {
        return Err(validation(format!(
            "Parameter name: can't be prefixed with \"ssm\" (case-insensitive). If formed as a path, it can consist of \
             sub-paths divided by slash symbol; each sub-path can be formed as a mix of letters, numbers and the \
             following 3 symbols .-_ ({name})"
        )));
    }
    let levels: Vec<&str> = name.split('/').filter(|level| !level.is_empty()).collect();
    if name.contains('/') && !name.starts_with('/') {
        return Err(validation("Parameter name must be a fully qualified name."));
    }
    let first = levels.first().map(|level| level.to_ascii_lowercase()).unwrap_or_default();
    if name.starts_with('/') && first == "aws" {
        return Err(ApiError::new("AccessDeniedException", format!("No access to reserved parameter name: {name}.")));
    }
    if first.starts_with("aws") || first.starts_with("ssm") {
        return Err(validation(
            "Parameter name: can't be prefixed with \"aws\" or \"ssm\" (case-insensitive). If formed as a path, it can \
             consist of sub-paths divided by slash symbol; each sub-path can be formed as a mix of letters, numbers \
             and the following 3 symbols .-_",
        ));
    }
    if levels.len() > MAX_LEVELS {
        return Err(ApiError::new(
            "HierarchyLevelLimitExceededException",
            format!("A hierarchy can have a maximum of {MAX_LEVELS} levels."),
        ));
    }
    Ok(())
}

fn check_value(value: &str, pattern: Option<&str>, tier: &str) -> Result<(), ApiError> {
    let most = if tier == "Standard" { 4096 } else { 8192 };
    if value.is_empty() || value.len() > most {
        return Err(validation(format!(
            "Standard tier parameters support a maximum parameter value of 4096 characters, advanced ones 8192; a \
             value cannot be empty. This one has {} characters.",
            value.len()
        )));
    }
    let Some(pattern) = pattern else { return Ok(()) };
    let regex = Regex::new(&format!("^(?:{pattern})$")).map_err(|_| {
        ApiError::new(
            "InvalidAllowedPatternException",
            format!("The request does not meet the regular expression requirement: {pattern}"),
        )
    })?;
    if regex.is_match(value) {
        return Ok(());
    }
    Err(ApiError::new(
        "ParameterPatternMismatchException",
        format!("Parameter value, cannot be validated against allowedPattern: {pattern}"),
    ))
}

pub(super) fn put(world: &mut World, body: &Value) -> Result<Value, ApiError> {
    let (name, value) = (required(body, "Name")?, required(body, "Value")?);
    let name = plain_name(world, name);
    check_name(name)?;
    let overwrite = flag(body, "Overwrite");
    let earlier = world.ssm.parameters.get(name).and_then(Parameter::newest).cloned();
    if earlier.is_some() && !overwrite {
        return Err(ApiError::new(
            "ParameterAlreadyExists",
            "The parameter already exists. To overwrite this value, set the overwrite option in the request to true.",
        ));
    }
    let new_tags = tags::given(body)?;
    if overwrite && !new_tags.0.is_empty() {
        return Err(validation(
            "Invalid request: tags and overwrite can't be used together. To create a parameter with tags, please \
             remove overwrite flag. To update tags for an existing parameter, please use AddTagsToResource or \
             RemoveTagsFromResource.",
        ));
    }
    let given = |field: &str, before: fn(&ParameterVersion) -> Option<&String>| -> Result<Option<String>, ApiError> {
        Ok(text(body, field)?.map(str::to_owned).or_else(|| earlier.as_ref().and_then(before).cloned()))
    };
    let kind = given("Type", |earlier| Some(&earlier.kind))?
        .ok_or_else(|| validation("A parameter type is required when you create a parameter."))?;
    if !["String", "StringList", "SecureString"].contains(&kind.as_str()) {
        let bound = "Member must satisfy enum value set: [SecureString, StringList, String]";
        return Err(constraint(&kind.into(), "type", bound));
    }
    let allowed_pattern = given("AllowedPattern", |earlier| earlier.allowed_pattern.as_ref())?;
    let description = given("Description", |earlier| earlier.description.as_ref())?;
    let tier = match text(body, "Tier")? {
        None | Some("Standard" | "Intelligent-Tiering") if value.len() <= 4096 => {
            earlier.as_ref().map_or("Standard", |earlier| earlier.tier.as_str()).to_owned()
        }
        Some("Standard") | None => "Standard".to_owned(),
        Some("Advanced" | "Intelligent-Tiering") => "Advanced".to_owned(),
        Some(other) => {
            let bound = "Member must satisfy enum value set: [Intelligent-Tiering, Advanced, Standard]";
            return Err(constraint(&other.into(), "tier", bound));
        }
    };
    check_value(value, allowed_pattern.as_deref(), &tier)?;
    let ciphertext = (kind == "SecureString").then(|| {
        let bytes: Vec<u8> = world.random(|random| (0..value.len() + 120).map(|_| random.u8(..)).collect());
        format!("AQICAH{}", STANDARD.encode(bytes))
    });
    let key_id =
        (kind == "SecureString").then(|| text(body, "KeyId").ok().flatten().unwrap_or("alias/aws/ssm").to_owned());
    let version = ParameterVersion {
        version: earlier.as_ref().map_or(1, |earlier| earlier.version.saturating_add(1)),
        kind,
        value: value.to_owned(),
        ciphertext,
        key_id,
        description,
        allowed_pattern,
        tier: tier.clone(),
        data_type: text(body, "DataType")?.unwrap_or("text").to_owned(),
        modified_at: world.now,
        labels: Vec::new(),
    };
    let number = version.version;
    let fresh = || Parameter { name: name.to_owned(), versions: Vec::new(), tags: new_tags };
    let parameter = world.ssm.parameters.entry(name.to_owned()).or_insert_with(fresh);
    if parameter.versions.len() >= MAX_VERSIONS {
        if parameter.versions.first().is_some_and(|oldest| !oldest.labels.is_empty()) {
            return Err(ApiError::new(
                "ParameterMaxVersionLimitExceeded",
                "You attempted to create a new version by calling the PutParameter API with the overwrite flag. The \
                 oldest version can't be deleted because it has a label associated with it.",
            ));
        }
        parameter.versions.remove(0);
    }
    parameter.versions.push(version);
    Ok(json!({ "Version": number, "Tier": tier }))
}

pub(super) fn delete(world: &mut World, body: &Value) -> Result<Value, ApiError> {
    let name = plain_name(world, required(body, "Name")?);
    world.ssm.parameters.remove(name).map(|_| json!({})).ok_or_else(not_found)
}

pub(super) fn delete_many(world: &mut World, body: &Value) -> Result<Value, ApiError> {
    let names = texts(body, "Names")?;
    if names.is_empty() || names.len() > 10 {
        return Err(constraint(&json!(names), "names", "Member must have length between 1 and 10"));
    }
    let (deleted, invalid): (Vec<String>, Vec<String>) =
        names.into_iter().partition(|name| world.ssm.parameters.remove(name).is_some());
    Ok(json!({ "DeletedParameters": deleted, "InvalidParameters": invalid }))
}
