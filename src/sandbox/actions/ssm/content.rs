//! The content of a command document: parameters and steps, read from JSON or YAML, and what they become with the
//! values that a command gives. Pure. Schema versions 1.2 (`runtimeConfig`), 2.0 and 2.2 (`mainSteps`).

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

mod bind;

pub(super) use bind::bind;

use crate::sandbox::wire::ApiError;

/// A document that was understood.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Content {
    pub(super) schema_version: String,
    pub(super) description: Option<String>,
    pub(super) parameters: Vec<Parameter>,
    pub(super) steps: Vec<Template>,
}

/// A parameter as a document declares it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Parameter {
    pub(super) name: String,
    /// `String`, `StringList`, `Boolean`, `Integer`, `MapList`, `StringMap`.
    pub(super) kind: String,
    pub(super) description: Option<String>,
    pub(super) default: Option<Value>,
    allowed_values: Vec<String>,
    allowed_pattern: Option<String>,
    /// The fewest and the most items of a list.
    items: (Option<u64>, Option<u64>),
    /// The fewest and the most characters.
    chars: (Option<u64>, Option<u64>),
}

/// A step before values are put in.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Template {
    name: String,
    action: String,
    inputs: Value,
    /// `{"StringEquals": ["platformType", "Linux"]}`
    precondition: Option<Value>,
}

/// A step of a command, ready to run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// What GetCommandInvocation calls the plugin: the step's name, or in schema 1.2 the action.
    pub name: String,
    pub work: Work,
    /// Bounds the run, in seconds.
    pub timeout_s: u64,
    /// No further step after this one when it fails, or when it succeeds.
    pub ends_on_failure: bool,
    pub ends_on_success: bool,
    /// It runs whatever happened before.
    pub is_finally: bool,
}

/// What a step does on the host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Work {
    /// A script for the host's shell.
    Script(String),
    /// Nothing on the host: the agent says this and succeeds.
    Say(String),
    /// Nothing on the host: the agent says this on standard error and fails.
    Refuse(String),
}

fn invalid(message: impl Into<String>) -> ApiError {
    ApiError::new("InvalidDocumentContent", message)
}

/// The text of a document as JSON, by its format: `JSON`, `YAML` or `TEXT`.
fn parsed(text: &str, format: &str) -> Result<Map<String, Value>, ApiError> {
    let value: Value = if format == "YAML" {
        serde_saphyr::from_str(text).map_err(|error| {
            let line = error.to_string();
            invalid(format!("YAML not well-formed. {}", line.lines().next().unwrap_or_default()))
        })?
    } else {
        serde_json::from_str(text).map_err(|error| invalid(format!("JSON not well-formed. {error}")))?
    };
    match value {
        Value::Object(map) => Ok(map),
        _ => Err(invalid("The document must be an object.")),
    }
}

/// The schema version of a document of any type, which must have one.
pub(super) fn schema_version(text: &str, format: &str) -> Result<String, ApiError> {
    match parsed(text, format)?.get("schemaVersion") {
        Some(Value::String(version)) => Ok(version.clone()),
        // YAML without quotes.
        Some(Value::Number(version)) => Ok(version.to_string()),
        _ => Err(ApiError::new("InvalidDocumentSchemaVersion", "The document has no schemaVersion.")),
    }
}

/// Reads a command document.
pub(super) fn read(text: &str, format: &str) -> Result<Content, ApiError> {
    let schema_version = schema_version(text, format)?;
    let document = parsed(text, format)?;
    let mut parameters = Vec::new();
    if let Some(declared) = document.get("parameters") {
        let declared = declared.as_object().ok_or_else(|| invalid("parameters is not a map."))?;
        for (name, declaration) in declared {
            parameters.push(parameter(name, declaration)?);
        }
    }
    let steps = match schema_version.as_str() {
        "1.2" | "1.0" => runtime_config(&document)?,
        "2.0" | "2.2" => main_steps(&document)?,
        other => {
            return Err(ApiError::new(
                "InvalidDocumentSchemaVersion",
                format!("Document schema version, {other}, is not supported by the current document type."),
            ));
        }
    };
    let description = document.get("description").and_then(Value::as_str).map(str::to_owned);
    Ok(Content { schema_version, description, parameters, steps })
}

fn parameter(name: &str, declaration: &Value) -> Result<Parameter, ApiError> {
    let text = |key: &str| declaration.get(key).and_then(Value::as_str);
    let count = |key: &str| declaration.get(key).and_then(Value::as_u64);
    let kind = text("type").ok_or_else(|| invalid(format!("Parameter {name} has no type.")))?;
    if !["String", "StringList", "Boolean", "Integer", "MapList", "StringMap"].contains(&kind) {
        return Err(invalid(format!("Parameter {name} is of type {kind}, which there is not.")));
    }
    let allowed = declaration.get("allowedValues").and_then(Value::as_array);
    let allowed_pattern = text("allowedPattern").map(str::to_owned);
    if allowed_pattern.as_ref().is_some_and(|pattern| regex::Regex::new(pattern).is_err()) {
        return Err(invalid(format!("The allowedPattern of parameter {name} is no regular expression.")));
    }
    Ok(Parameter {
        name: name.to_owned(),
        kind: kind.to_owned(),
        description: text("description").map(str::to_owned),
        default: declaration.get("default").filter(|default| !default.is_null()).cloned(),
        allowed_values: allowed.map(|list| list.iter().map(bind::as_text).collect()).unwrap_or_default(),
        allowed_pattern,
        items: (count("minItems"), count("maxItems")),
        chars: (count("minChars"), count("maxChars")),
    })
}

/// Schema 1.2: one plugin of each kind, each with a list of properties.
fn runtime_config(document: &Map<String, Value>) -> Result<Vec<Template>, ApiError> {
    let config = document.get("runtimeConfig").and_then(Value::as_object);
    let config = config.filter(|config| !config.is_empty()).ok_or_else(|| invalid("runtimeConfig is missing."))?;
    let mut steps = Vec::new();
    for (action, plugin) in config {
        known(action)?;
        let properties = match plugin.get("properties") {
            Some(Value::Array(list)) => list.clone(),
            Some(one) => vec![one.clone()],
            None => return Err(invalid(format!("{action} has no properties."))),
        };
        let several = properties.len() > 1;
        for (number, inputs) in properties.into_iter().enumerate() {
            let id = inputs.get("id").and_then(Value::as_str).map(str::to_owned);
            let name = if several { id.unwrap_or_else(|| format!("{number}.{action}")) } else { action.clone() };
            steps.push(Template { name, action: action.clone(), inputs, precondition: None });
        }
    }
    Ok(steps)
}

fn main_steps(document: &Map<String, Value>) -> Result<Vec<Template>, ApiError> {
    let steps = document.get("mainSteps").and_then(Value::as_array);
    let steps = steps.filter(|steps| !steps.is_empty()).ok_or_else(|| invalid("mainSteps is missing."))?;
    let mut templates: Vec<Template> = Vec::new();
    for step in steps {
        let text = |key: &str| step.get(key).and_then(Value::as_str);
        let action = text("action").ok_or_else(|| invalid("A step has no action."))?;
        let name = text("name").ok_or_else(|| invalid("A step has no name."))?;
        known(action)?;
        if !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-') || name.is_empty() {
            return Err(invalid(format!("The step name {name} may have letters, digits, _ and - only.")));
        }
        if templates.iter().any(|other| other.name == name) {
            return Err(invalid(format!("There are two steps of the name {name}.")));
        }
        templates.push(Template {
            name: name.to_owned(),
            action: action.to_owned(),
            inputs: step.get("inputs").cloned().unwrap_or_else(|| Value::Object(Map::new())),
            precondition: step.get("precondition").cloned(),
        });
    }
    Ok(templates)
}

/// The agent's actions.
fn known(action: &str) -> Result<(), ApiError> {
    const KNOWN: [&str; 12] = [
        "aws:applications",
        "aws:cloudWatch",
        "aws:configureDocker",
        "aws:configurePackage",
        "aws:domainJoin",
        "aws:downloadContent",
        "aws:refreshAssociation",
        "aws:runDocument",
        "aws:runPowerShellScript",
        "aws:runShellScript",
        "aws:softwareInventory",
        "aws:updateSsmAgent",
    ];
    if KNOWN.contains(&action) { Ok(()) } else { Err(invalid(format!("The action {action} is not supported."))) }
}

impl Content {
    /// The platforms on which any of the steps can run.
    pub(super) fn platforms(&self) -> Vec<&'static str> {
        let mut platforms = Vec::new();
        for step in &self.steps {
            let of_step: &[&str] = match step.action.as_str() {
                "aws:runShellScript" => &["Linux", "MacOS"],
                "aws:runPowerShellScript" if self.schema_version != "1.2" => &["Windows", "Linux", "MacOS"],
                "aws:runPowerShellScript" | "aws:applications" | "aws:domainJoin" | "aws:cloudWatch" => &["Windows"],
                _ => &["Windows", "Linux", "MacOS"],
            };
            platforms.extend(of_step);
        }
        let order = ["Windows", "Linux", "MacOS"];
        order.into_iter().filter(|platform| platforms.contains(platform)).collect()
    }
}
