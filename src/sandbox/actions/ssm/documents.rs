//! Documents: AWS-RunShellScript, which commands name, and what it makes of its parameters. Pure.

use serde_json::{Value, json};

use super::{page, required, structs, texts};
use crate::sandbox::wire::ApiError;

/// The one document that runs here.
pub(super) const RUN_SHELL_SCRIPT: &str = "AWS-RunShellScript";
/// The name of its one step.
pub(super) const PLUGIN: &str = "aws:runShellScript";

/// What a host is told to do.
pub(super) struct Script {
    pub(super) text: String,
    pub(super) execution_timeout_s: u64,
}

/// What a document with these parameters runs.
pub(super) fn script(document: &str, parameters: &Value) -> Result<Script, ApiError> {
    // A document may be named by its ARN.
    let name = document.rsplit('/').next().unwrap_or(document);
    if name != RUN_SHELL_SCRIPT {
        return Err(unknown(document));
    }
    let invalid = |message: String| ApiError::new("InvalidParameters", message);
    let given = match parameters {
        Value::Null => None,
        Value::Object(map) => Some(map),
        _ => return Err(ApiError::new("SerializationException", "Parameters is not a map")),
    };
    for key in given.into_iter().flat_map(|map| map.keys()) {
        if !["commands", "workingDirectory", "executionTimeout"].contains(&key.as_str()) {
            return Err(invalid(format!("Parameter \"{key}\" is not defined in the document.")));
        }
    }
    let commands = texts(parameters, "commands")?;
    if commands.is_empty() {
        return Err(invalid("Parameter \"commands\" requires a value.".to_owned()));
    }
    let single = |key: &str| -> Result<Option<String>, ApiError> {
        let values = texts(parameters, key)?;
        if values.len() > 1 {
            return Err(invalid(format!("Parameter \"{key}\" takes one value.")));
        }
        Ok(values.into_iter().next().filter(|value| !value.is_empty()))
    };
    let execution_timeout_s = match single("executionTimeout")? {
        None => 3600,
        Some(text) => text.parse().ok().filter(|seconds| (1..=172_800).contains(seconds)).ok_or_else(|| {
            invalid(format!("Parameter \"executionTimeout\" is {text}: it must be between 1 and 172800 seconds."))
        })?,
    };
    let mut text = String::new();
    if let Some(directory) = single("workingDirectory")? {
        text.push_str(&format!("cd '{}' || exit 1\n", directory.replace('\'', r"'\''")));
    }
    text.push_str(&commands.join("\n"));
    text.push('\n');
    Ok(Script { text, execution_timeout_s })
}

fn unknown(document: &str) -> ApiError {
    ApiError::new("InvalidDocument", format!("Document with name {document} does not exist."))
}

fn identifier() -> Value {
    json!({
        "Name": RUN_SHELL_SCRIPT,
        "Owner": "Amazon",
        "PlatformTypes": ["Linux", "MacOS"],
        "DocumentVersion": "1",
        "DocumentType": "Command",
        "SchemaVersion": "1.2",
        "DocumentFormat": "JSON",
        "Tags": [],
    })
}

pub(super) fn list(body: &Value) -> Result<Value, ApiError> {
    let mut listed = true;
    for filter in structs(body, "Filters")? {
        let key = required(filter, "Key")?;
        let values = texts(filter, "Values")?;
        let has = |text: &str| values.iter().any(|value| value == text);
        listed &= match key {
            "Name" => values.iter().any(|prefix| RUN_SHELL_SCRIPT.starts_with(prefix.as_str())),
            "Owner" => has("Amazon") || has("Public") || has("All"),
            "DocumentType" => has("Command"),
            "PlatformTypes" => has("Linux") || has("MacOS"),
            other => {
                return Err(ApiError::new(
                    "InvalidFilterKey",
                    format!("The sandbox does not filter documents by {other}."),
                ));
            }
        };
    }
    page(body, "DocumentIdentifiers", listed.then(identifier).into_iter().collect(), 10, 1, 50)
}

pub(super) fn describe(body: &Value) -> Result<Value, ApiError> {
    let name = required(body, "Name")?;
    if name.rsplit('/').next() != Some(RUN_SHELL_SCRIPT) {
        return Err(unknown(name));
    }
    let parameter = |name: &str, kind: &str, default: Option<&str>, text: &str| {
        let mut parameter = json!({ "Name": name, "Type": kind, "Description": text });
        if let (Some(default), Some(map)) = (default, parameter.as_object_mut()) {
            map.insert("DefaultValue".to_owned(), default.into());
        }
        parameter
    };
    Ok(json!({ "Document": {
        "Name": RUN_SHELL_SCRIPT,
        "Owner": "Amazon",
        "Status": "Active",
        "DocumentVersion": "1",
        "LatestVersion": "1",
        "DefaultVersion": "1",
        "Description": "Run a shell script or specify the commands to run.",
        "Parameters": [
            parameter("commands", "StringList", None, "Specify a shell script or a command to run."),
            parameter("workingDirectory", "String", Some(""), "The path to the working directory on your instance."),
            parameter("executionTimeout", "String", Some("3600"), "The time in seconds for a command to complete."),
        ],
        "PlatformTypes": ["Linux", "MacOS"],
        "DocumentType": "Command",
        "SchemaVersion": "1.2",
        "DocumentFormat": "JSON",
        "Tags": [],
    } }))
}
