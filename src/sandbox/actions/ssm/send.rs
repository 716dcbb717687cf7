//! SendCommand and CancelCommand.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::state::{Ended, Outcome, Progress};
use super::{
    Command, Invocation, constraint, documents, invocations, number, required, structs, text, texts, validation,
};
use crate::model::{InstanceId, InstanceState};
use crate::sandbox::host::Output;
use crate::sandbox::wire::ApiError;
use crate::sandbox::world::World;

/// How many commands are remembered. AWS remembers them for thirty days.
const REMEMBERED: usize = 200;
const MAX_TARGETS: usize = 50;

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
    let script = documents::script(document_name, body.get("Parameters").unwrap_or(&Value::Null))?;
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

    let now = world.now;
    let until = now.saturating_add(world.delays.command).unwrap_or(Timestamp::MAX);
    let name_of = |id: &str| {
        let instance = world.network.instances.shown().get(id);
        instance.and_then(|instance| instance.tags.name()).unwrap_or_default().to_owned()
    };
    let invocations: BTreeMap<InstanceId, Invocation> = chosen
        .iter()
        .map(|id| {
            let invocation = Invocation { instance_name: name_of(id), progress: Progress::Waiting { until } };
            (InstanceId::new(id.as_str()), invocation)
        })
        .collect();
    let command = Command {
        command_id: world.uuid(),
        document_name: document_name.to_owned(),
        comment: comment.to_owned(),
        parameters: body.get("Parameters").cloned().unwrap_or_else(|| json!({})),
        instance_ids,
        targets: targets.to_vec().into(),
        requested_at: now,
        timeout_s,
        execution_timeout_s: script.execution_timeout_s,
        max_concurrency: text(body, "MaxConcurrency")?.unwrap_or("50").to_owned(),
        max_errors: text(body, "MaxErrors")?.unwrap_or("0").to_owned(),
        script: script.text,
        invocations,
    };
    let answer = json!({ "Command": invocations::describe_command(&command) });
    world.ssm.commands.insert(command.command_id.clone(), command);
    forget_oldest(world);
    Ok(answer)
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
        return Err(ApiError::new("DuplicateInstanceId", "You cannot specify an instance ID more than once."));
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

/// The registered instances that all targets name.
fn targeted(world: &World, targets: &[Value]) -> Result<Vec<String>, ApiError> {
    if targets.len() > 5 {
        return Err(constraint(&json!(targets), "targets", "Member must have length less than or equal to 5"));
    }
    let mut chosen: Vec<String> =
        world.ssm.agents.keys().map(|id| id.as_str().to_owned()).filter(|id| is_registered(world, id)).collect();
    for target in targets {
        let key = required(target, "Key")?;
        let values = texts(target, "Values")?;
        if values.len() > MAX_TARGETS {
            let bound = format!("Member must have length less than or equal to {MAX_TARGETS}");
            return Err(constraint(&json!(values), "targets.values", &bound));
        }
        let tag = key.strip_prefix("tag:");
        if tag.is_none() && !matches!(key, "InstanceIds" | "tag-key") {
            return Err(ApiError::new(
                "InvalidTarget",
                format!("The target key {key} is not one that the sandbox knows."),
            ));
        }
        chosen.retain(|id| {
            let tags = world.network.instances.shown().get(id).map(|instance| &instance.tags);
            match (tag, tags) {
                (Some(tag), Some(tags)) => tags.get(tag).is_some_and(|value| values.iter().any(|v| v == value)),
                (None, Some(tags)) if key == "tag-key" => values.iter().any(|v| tags.get(v).is_some()),
                (None, _) => values.contains(id),
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
        let output = Output { elapsed: Duration::ZERO, ..Output::default() };
        invocation.progress = Progress::Ended(Ended { outcome: Outcome::Cancelled, started_at, ended_at: now, output });
    }
    Ok(json!({}))
}
