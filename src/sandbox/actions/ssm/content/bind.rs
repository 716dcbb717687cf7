//! Values for a document's parameters: checked, put in for `{{ name }}`, and the steps that come of it.

use regex::Regex;
use serde_json::{Map, Value};

use super::{Content, Parameter, Step, Template, Work};
use crate::sandbox::actions::ssm::texts;
use crate::sandbox::wire::ApiError;

/// What steps may last when their document does not say.
const DEFAULT_TIMEOUT_S: u64 = 3600;
/// What AWS's documents call the version of the agent.
const AGENT: &str = "amazon-ssm-agent";

fn invalid(message: String) -> ApiError {
    ApiError::new("InvalidParameters", message)
}

/// A value as it stands in a text: a string without quotes, everything else as JSON.
pub(super) fn as_text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// The steps of a document with the values of a command, each of which is a list of texts.
pub(in crate::sandbox::actions::ssm) fn bind(content: &Content, given: &Value) -> Result<Vec<Step>, ApiError> {
    let none = Map::new();
    let given_map = match given {
        Value::Null => &none,
        Value::Object(map) => map,
        _ => return Err(ApiError::new("SerializationException", "Parameters is not a map")),
    };
    for key in given_map.keys() {
        if !content.parameters.iter().any(|parameter| parameter.name == *key) {
            return Err(invalid(format!("Parameter \"{key}\" is not defined in the document.")));
        }
    }
    let mut values = Map::new();
    for parameter in &content.parameters {
        let sent = given_map.contains_key(&parameter.name);
        let texts = if sent { Some(texts(given, &parameter.name)?) } else { None };
        values.insert(parameter.name.clone(), value(parameter, texts)?);
    }
    content.steps.iter().map(|template| step(template, &values)).collect()
}

/// The value of one parameter.
fn value(parameter: &Parameter, sent: Option<Vec<String>>) -> Result<Value, ApiError> {
    let name = &parameter.name;
    let missing = || invalid(format!("Parameter \"{name}\" requires a value."));
    let Some(sent) = sent.filter(|texts| !texts.is_empty()) else {
        return parameter.default.clone().ok_or_else(missing);
    };
    let value = match parameter.kind.as_str() {
        "StringList" => Value::from(sent.clone()),
        kind => {
            let (Some(text), 1) = (sent.first(), sent.len()) else {
                return Err(invalid(format!("Parameter \"{name}\" takes one value.")));
            };
            match kind {
                "String" => Value::from(text.as_str()),
                "Boolean" => match text.as_str() {
                    "true" | "True" => Value::Bool(true),
                    "false" | "False" => Value::Bool(false),
                    _ => return Err(invalid(format!("Parameter \"{name}\" is {text}: it must be true or false."))),
                },
                "Integer" => Value::from(
                    text.parse::<i64>()
                        .map_err(|_| invalid(format!("Parameter \"{name}\" is {text}: not an integer.")))?,
                ),
                _ => serde_json::from_str(text)
                    .map_err(|_| invalid(format!("Parameter \"{name}\" is not well-formed JSON.")))?,
            }
        }
    };
    let outside = |(low, high): (Option<u64>, Option<u64>), count: usize| {
        let count = u64::try_from(count).unwrap_or(u64::MAX);
        low.is_some_and(|low| count < low) || high.is_some_and(|high| count > high)
    };
    if parameter.kind == "StringList" && outside(parameter.items, sent.len()) {
        return Err(invalid(format!("Parameter \"{name}\" has {} items, which is not what it takes.", sent.len())));
    }
    let pattern = parameter.allowed_pattern.as_ref().and_then(|p| Regex::new(&format!("^(?:{p})$")).ok());
    for text in &sent {
        if !parameter.allowed_values.is_empty() && !parameter.allowed_values.contains(text) {
            return Err(invalid(format!(
                "Parameter \"{name}\" is {text}: it must be one of {}.",
                parameter.allowed_values.join(", ")
            )));
        }
        if pattern.as_ref().is_some_and(|pattern| !pattern.is_match(text)) {
            let pattern = parameter.allowed_pattern.as_deref().unwrap_or_default();
            return Err(invalid(format!("Parameter \"{name}\" is {text}, which does not match {pattern}.")));
        }
        if outside(parameter.chars, text.chars().count()) {
            return Err(invalid(format!("Parameter \"{name}\" is too short or too long.")));
        }
    }
    Ok(value)
}

/// Puts values in for `{{ name }}`. What is nothing but one name becomes its value, of whatever type.
fn filled(template: &Value, values: &Map<String, Value>) -> Value {
    match template {
        Value::String(text) => filled_text(text, values),
        Value::Array(list) => {
            let mut all = Vec::new();
            for entry in list {
                match filled(entry, values) {
                    // A list in a list of commands is so many commands.
                    Value::Array(inner) if entry.is_string() => all.extend(inner),
                    other => all.push(other),
                }
            }
            Value::Array(all)
        }
        Value::Object(map) => map.iter().map(|(key, inner)| (key.clone(), filled(inner, values))).collect(),
        other => other.clone(),
    }
}

fn filled_text(text: &str, values: &Map<String, Value>) -> Value {
    let mut rest = text;
    let mut out = String::new();
    while let Some((before, after)) = rest.split_once("{{") {
        let Some((name, behind)) = after.split_once("}}") else { break };
        match values.get(name.trim()) {
            Some(value) if before.is_empty() && behind.is_empty() && out.is_empty() => return value.clone(),
            Some(value) => {
                out.push_str(before);
                out.push_str(&as_text(value));
            }
            // Not one of the document's: `{{ global:DATE }}` and what only looks like a parameter stay.
            None => {
                out.push_str(before);
                out.push_str("{{");
                out.push_str(name);
                out.push_str("}}");
            }
        }
        rest = behind;
    }
    out.push_str(rest);
    Value::String(out)
}

fn step(template: &Template, values: &Map<String, Value>) -> Result<Step, ApiError> {
    let inputs = filled(&template.inputs, values);
    let text = |key: &str| inputs.get(key).map(as_text).filter(|text| !text.is_empty());
    let timeout_s =
        match text("timeoutSeconds") {
            None => DEFAULT_TIMEOUT_S,
            Some(text) => text.parse().ok().filter(|seconds| (1..=172_800).contains(seconds)).ok_or_else(|| {
                invalid(format!("timeoutSeconds is {text}: it must be between 1 and 172800 seconds."))
            })?,
        };
    let work = match template.precondition.as_ref().and_then(|condition| unmet(condition, values)) {
        Some(unmet) => Work::Say(format!(
            "Step execution skipped due to unsatisfied preconditions: '{unmet}'. Step name: {}",
            template.name
        )),
        None => work(&template.action, &template.name, &inputs)?,
    };
    Ok(Step {
        name: template.name.clone(),
        work,
        timeout_s,
        ends_on_failure: text("onFailure").is_some_and(|then| then == "exit" || then == "successAndExit"),
        ends_on_success: text("onSuccess").is_some_and(|then| then == "exit"),
        is_finally: inputs.get("finallyStep").is_some_and(|value| as_text(value) == "true"),
    })
}

/// The precondition that does not hold, in words. The hosts here are Linux.
fn unmet(condition: &Value, values: &Map<String, Value>) -> Option<String> {
    for (operator, operands) in condition.as_object()? {
        let operands: Vec<String> =
            operands.as_array()?.iter().map(|operand| as_text(&filled(operand, values))).collect();
        let actual: Vec<&str> =
            operands.iter().map(|o| if o == "platformType" { "Linux" } else { o.as_str() }).collect();
        if operator == "StringEquals" && actual.windows(2).any(|pair| matches!(pair, [a, b] if a != b)) {
            return Some(format!("{operator}: [{}]", operands.join(", ")));
        }
    }
    None
}

/// What an action does on a host.
fn work(action: &str, name: &str, inputs: &Value) -> Result<Work, ApiError> {
    let skipped = |why: &str| Work::Say(format!("Step execution skipped due to {why}. Step name: {name}"));
    Ok(match action {
        "aws:runShellScript" => Work::Script(script(inputs)?),
        "aws:runPowerShellScript" | "aws:applications" | "aws:domainJoin" | "aws:cloudWatch" => {
            skipped("incompatible platform")
        }
        "aws:updateSsmAgent" => Work::Say(format!("{AGENT} has already been installed, update skipped\n")),
        "aws:softwareInventory" | "aws:refreshAssociation" => Work::Say(String::new()),
        other => Work::Refuse(format!("The sandbox's agent has no plugin {other}.")),
    })
}

fn script(inputs: &Value) -> Result<String, ApiError> {
    let lines = match inputs.get("runCommand") {
        Some(Value::Array(list)) => list.iter().map(as_text).collect(),
        Some(Value::Null) | None => Vec::new(),
        Some(one) => vec![as_text(one)],
    };
    if lines.is_empty() {
        return Err(invalid("runCommand is empty.".to_owned()));
    }
    let mut text = String::new();
    if let Some(directory) = inputs.get("workingDirectory").map(as_text).filter(|directory| !directory.is_empty()) {
        text.push_str(&format!("cd '{}' || exit 1\n", directory.replace('\'', r"'\''")));
    }
    text.push_str(&lines.join("\n"));
    text.push('\n');
    Ok(text)
}
