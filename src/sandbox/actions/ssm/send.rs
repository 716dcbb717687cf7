//! SendCommand and CancelCommand.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::content::{self, Step};
use super::state::{Ended, Outcome, Progress};
use super::{
    Command, Invocation, constraint, documents, invocations, number, parameters, required, structs, text, texts,
    validation,
};
use crate::model::{InstanceId, InstanceState};
use crate::sandbox::wire::ApiError;
use crate::sandbox::world::World;

/// How many commands are remembered. AWS remembers them for thirty days.
const REMEMBERED: usize = 200;
const MAX_TARGETS: usize = 50;

/// A command before it has targets.
pub(super) struct Order {
    document_name: String,
    document_version: String,
    parameters: Value,
    steps: Vec<Step>,
    comment: String,
    timeout_s: u64,
    max_concurrency: String,
    max_errors: String,
    instance_ids: Vec<String>,
    targets: Value,
    association_id: Option<String>,
}

impl Order {
    /// A document with the values of its parameters. `{{ssm:name}}` in a value stands for a parameter of the store.
    pub(super) fn new(world: &World, document: &str, version: Option<&str>, given: &Value) -> Result<Self, ApiError> {
        let found = documents::find(world, document, version, None)?;
        let steps = content::bind(&found.read()?, &with_stored(world, given)?)?;
        Ok(Self {
            document_name: document.to_owned(),
            document_version: version.unwrap_or("$DEFAULT").to_owned(),
            parameters: if given.is_null() { json!({}) } else { given.clone() },
            steps,
            comment: String::new(),
            timeout_s: 3600,
            max_concurrency: "50".to_owned(),
            max_errors: "0".to_owned(),
            instance_ids: Vec::new(),
            targets: json!([]),
            association_id: None,
        })
    }

    /// The same, sent by an association: it is not listed, and one target's failure is not another's.
    pub(super) fn by_association(self, id: &str) -> Self {
        Self { association_id: Some(id.to_owned()), max_errors: "100%".to_owned(), ..self }
    }

    /// Sends it. The command's ID.
    pub(super) fn give(self, world: &mut World, chosen: &[InstanceId]) -> String {
        let now = world.now;
        let until = now.saturating_add(world.delays.command).unwrap_or(Timestamp::MAX);
        let name_of = |id: &InstanceId| {
            let instance = world.network.instances.shown().get(id.as_str());
            instance.and_then(|instance| instance.tags.name()).unwrap_or_default().to_owned()
        };
        let invocation =
            |id: &InstanceId| Invocation { instance_name: name_of(id), progress: Progress::Waiting { until } };
        let invocations = chosen.iter().map(|id| (id.clone(), invocation(id))).collect();
        let command = Command {
            command_id: world.uuid(),
            document_name: self.document_name,
            document_version: self.document_version,
            comment: self.comment,
            parameters: self.parameters,
            instance_ids: self.instance_ids,
            targets: self.targets,
            requested_at: now,
            timeout_s: self.timeout_s,
            max_concurrency: self.max_concurrency,
            max_errors: self.max_errors,
            steps: self.steps,
            association_id: self.association_id,
            invocations,
        };
        let id = command.command_id.clone();
        world.ssm.commands.insert(id.clone(), command);
        forget_oldest(world);
        id
    }
}

/// Puts parameters of the store in for `{{ssm:name}}`.
fn with_stored(world: &World, given: &Value) -> Result<Value, ApiError> {
    Ok(match given {
        Value::String(text) => {
            let (mut out, mut rest) = (String::new(), text.as_str());
            while let Some((before, after)) = rest.split_once("{{") {
                let Some((name, behind)) = after.split_once("}}") else { break };
                out.push_str(before);
                match name.trim().strip_prefix("ssm:") {
                    Some(stored) => out.push_str(&parameters::value_of(world, stored).ok_or_else(|| {
                        let message = format!("Parameters [{stored}] not found, or not of a type that may stand here");
                        ApiError::new("InvalidParameters", message)
                    })?),
                    None => {
                        out.push_str("{{");
                        out.push_str(name);
                        out.push_str("}}");
                    }
                }
                rest = behind;
            }
            out.push_str(rest);
            out.into()
        }
        Value::Array(list) => list.iter().map(|one| with_stored(world, one)).collect::<Result<_, _>>()?,
        Value::Object(map) => {
            let filled: Result<serde_json::Map<_, _>, ApiError> =
                map.iter().map(|(key, one)| Ok((key.clone(), with_stored(world, one)?))).collect();
            Value::Object(filled?)
        }
        other => other.clone(),
    })
}

/// `50` or `10%`, from 1 or 0 on.
fn portion(body: &Value, field: &str, default: &str, least: u32) -> Result<String, ApiError> {
    let given = text(body, field)?.unwrap_or(default);
    let number = given.strip_suffix('%').unwrap_or(given);
    let fits = number.parse::<u32>().is_ok_and(|n| n >= least && (n <= 100 || !given.ends_with('%')));
    if fits && given.len() <= 7 {
        return Ok(given.to_owned());
    }
    let bound = r"Member must satisfy regular expression pattern: ^([1-9][0-9]*|[0]|[1-9][0-9]%|[0-9]%|100%)$";
    Err(constraint(&given.into(), &super::camel(field), bound))
}

pub(super) fn send(world: &mut World, body: &Value) -> Result<Value, ApiError> {
    let document_name = required(body, "DocumentName")?;
    let instance_ids = instance_ids(body)?;
    let targets = structs(body, "Targets")?;
    if instance_ids.is_empty() && targets.is_empty() {
        return Err(validation("You must specify either InstanceIds or Targets."));
    }
    if !instance_ids.is_empty() && !targets.is_empty() {
        return Err(validation("You cannot specify both InstanceIds and Targets."));
    }
    let timeout_s = number(body, "TimeoutSeconds", 30, 2_592_000)?.unwrap_or(3600).unsigned_abs();
    let comment = text(body, "Comment")?.unwrap_or_default();
    if comment.chars().count() > 100 {
        return Err(constraint(&comment.into(), "comment", "Member must have length less than or equal to 100"));
    }
    let (max_concurrency, max_errors) =
        (portion(body, "MaxConcurrency", "50", 1)?, portion(body, "MaxErrors", "0", 0)?);
    let given = body.get("Parameters").unwrap_or(&Value::Null);
    let order = Order::new(world, document_name, text(body, "DocumentVersion")?, given)?;
    let chosen = if targets.is_empty() {
        let wrong: Vec<&str> = instance_ids.iter().map(String::as_str).filter(|id| !is_registered(world, id)).collect();
        if !wrong.is_empty() {
            let message =
                format!("Instances [[{}]] not in a valid state for account {}", wrong.join(", "), world.account_id);
            return Err(ApiError::new("InvalidInstanceId", message));
        }
        instance_ids.clone()
    } else {
        targeted(world, targets)?
    };
    let chosen: Vec<InstanceId> = chosen.into_iter().map(InstanceId::new).collect();
    let order = Order {
        comment: comment.to_owned(),
        timeout_s,
        max_concurrency,
        max_errors,
        instance_ids,
        targets: targets.to_vec().into(),
        ..order
    };
    let id = order.give(world, &chosen);
    let command = world.ssm.commands.get(&id).ok_or_else(|| invocations::invalid_command_id(&id))?;
    Ok(json!({ "Command": invocations::describe_command(command) }))
}

fn instance_ids(body: &Value) -> Result<Vec<String>, ApiError> {
    let ids = texts(body, "InstanceIds")?;
    if ids.len() > MAX_TARGETS {
        let bound = format!("Member must have length less than or equal to {MAX_TARGETS}");
        return Err(constraint(&json!(ids), "instanceIds", &bound));
    }
    if let Some(wrong) = ids.iter().find(|id| id.parse::<InstanceId>().is_err()) {
        let pattern = r"Member must satisfy regular expression pattern: (^i-(\w{8}|\w{17})$)|(^mi-\w{17}$)";
        return Err(constraint(&wrong.as_str().into(), "instanceIds", pattern));
    }
    let unique: BTreeSet<&String> = ids.iter().collect();
    if unique.len() < ids.len() {
        // Its shape has no message.
        return Err(ApiError::new("DuplicateInstanceId", ""));
    }
    Ok(ids)
}

/// Whether SSM takes commands for an instance: registered once, and not gone.
fn is_registered(world: &World, id: &str) -> bool {
    let id = InstanceId::new(id);
    let instance = world.network.instances.shown().get(id.as_str());
    let exists = instance
        .is_some_and(|instance| !matches!(instance.state, InstanceState::Terminated | InstanceState::ShuttingDown));
    exists && world.ssm.agents.get(&id).is_some_and(|agent| agent.registered_at.is_some())
}

/// Refuses targets that no call takes.
pub(super) fn check_targets(targets: &[Value]) -> Result<(), ApiError> {
    if targets.len() > 5 {
        return Err(constraint(&json!(targets), "targets", "Member must have length less than or equal to 5"));
    }
    for target in targets {
        let (key, values) = (required(target, "Key")?, texts(target, "Values")?);
        if values.len() > MAX_TARGETS {
            let bound = format!("Member must have length less than or equal to {MAX_TARGETS}");
            return Err(constraint(&json!(values), "targets.values", &bound));
        }
        if !key.starts_with("tag:")
            && !matches!(key, "InstanceIds" | "instanceids" | "tag-key" | "resource-groups:Name")
        {
            return Err(ApiError::new("InvalidTarget", format!("The target key {key} is not valid.")));
        }
    }
    Ok(())
}

/// The registered instances that all targets name. `InstanceIds` of `*` is every one; resource groups have no members.
pub(super) fn targeted(world: &World, targets: &[Value]) -> Result<Vec<String>, ApiError> {
    check_targets(targets)?;
    let mut chosen: Vec<String> =
        world.ssm.agents.keys().map(|id| id.as_str().to_owned()).filter(|id| is_registered(world, id)).collect();
    for target in targets {
        let key = required(target, "Key")?;
        let values = texts(target, "Values")?;
        let tag = key.strip_prefix("tag:");
        chosen.retain(|id| {
            let tags = world.network.instances.shown().get(id).map(|instance| &instance.tags);
            match (tag, tags) {
                (Some(tag), Some(tags)) => tags.get(tag).is_some_and(|value| values.iter().any(|v| v == value)),
                (None, Some(tags)) if key == "tag-key" => values.iter().any(|v| tags.get(v).is_some()),
                (None, _) => values.contains(id) || values.iter().any(|value| value == "*"),
                (Some(_), None) => false,
            }
        });
    }
    Ok(chosen)
}

fn forget_oldest(world: &mut World) {
    while world.ssm.commands.len() > REMEMBERED {
        let oldest = world.ssm.commands.values().min_by_key(|command| command.requested_at);
        let Some(id) = oldest.map(|command| command.command_id.clone()) else { return };
        world.ssm.commands.remove(&id);
    }
}

pub(super) fn cancel(world: &mut World, body: &Value) -> Result<Value, ApiError> {
    let command_id = required(body, "CommandId")?;
    let only = texts(body, "InstanceIds")?;
    let now = world.now;
    let command = world.ssm.commands.get_mut(command_id).ok_or_else(|| invocations::invalid_command_id(command_id))?;
    if let Some(wrong) = only.iter().find(|id| !command.invocations.contains_key(&InstanceId::new(id.as_str()))) {
        return Err(ApiError::new("InvalidInstanceId", format!("The command was not sent to {wrong}.")));
    }
    for (instance_id, invocation) in &mut command.invocations {
        if !only.is_empty() && !only.iter().any(|id| id == instance_id.as_str()) {
            continue;
        }
        let started_at = match &invocation.progress {
            Progress::Ended(_) => continue,
            Progress::Waiting { .. } => None,
            Progress::Running { started_at, .. } => Some(*started_at),
        };
        let ended = Ended { outcome: Outcome::Cancelled, started_at, ended_at: now, steps: Vec::new() };
        invocation.progress = Progress::Ended(ended);
    }
    Ok(json!({}))
}
