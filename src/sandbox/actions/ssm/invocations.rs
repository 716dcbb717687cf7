//! What became of commands: ListCommands, ListCommandInvocations, GetCommandInvocation.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::execute::cut;
use super::state::{Outcome, Progress, StepResult};
use super::{Command, Invocation, constraint, epoch, page, required, structs, text};
use crate::model::InstanceId;
use crate::sandbox::wire::ApiError;
use crate::sandbox::world::World;

/// Characters of output in the list call.
const MAX_LISTED_OUTPUT: usize = 2_500;

pub(super) fn invalid_command_id(id: &str) -> ApiError {
    tracing::debug!(id, "no such command");
    // Its shape has no message.
    ApiError::new("InvalidCommandId", "")
}

/// Whether reads show a command yet.
fn visible(world: &World, command: &Command) -> bool {
    let visible_at = command.requested_at.saturating_add(world.consistency);
    world.consistency.is_zero() || visible_at.is_ok_and(|visible_at| visible_at <= world.now)
}

/// The commands that a list call asks for, newest first, with the instance that it asks for.
fn listed<'a>(world: &'a World, body: &'a Value) -> Result<(Vec<&'a Command>, Option<InstanceId>), ApiError> {
    let id = text(body, "CommandId")?;
    if let Some(id) = id.filter(|id| id.len() != 36) {
        return Err(constraint(&id.into(), "commandId", "Member must have length equal to 36"));
    }
    let instance_id = text(body, "InstanceId")?.map(InstanceId::new);
    let mut commands: Vec<&Command> = world
        .ssm
        .commands
        .values()
        .filter(|command| visible(world, command) && command.association_id.is_none())
        .filter(|command| id.is_none_or(|id| id == command.command_id))
        .filter(|command| instance_id.as_ref().is_none_or(|id| command.invocations.contains_key(id)))
        .collect();
    for filter in structs(body, "Filters")? {
        let (key, value) = (required(filter, "key")?, required(filter, "value")?);
        let time = || {
            value
                .parse::<Timestamp>()
                .map_err(|_| constraint(&value.into(), "filters", "a time like 2026-01-01T00:00:00Z"))
        };
        match key {
            "DocumentName" => commands.retain(|command| command.document_name == value),
            "InvokedAfter" => {
                let time = time()?;
                commands.retain(|command| command.requested_at > time);
            }
            "InvokedBefore" => {
                let time = time()?;
                commands.retain(|command| command.requested_at < time);
            }
            "Status" | "ExecutionStage" => {}
            _ => return Err(ApiError::new("InvalidFilterKey", "")),
        }
    }
    commands.sort_by(|a, b| b.requested_at.cmp(&a.requested_at).then_with(|| a.command_id.cmp(&b.command_id)));
    Ok((commands, instance_id))
}

/// Whether a status passes the filters by status.
fn status_wanted(body: &Value, status: &str) -> Result<bool, ApiError> {
    for filter in structs(body, "Filters")? {
        let value = required(filter, "value")?;
        let done = !matches!(status, "Pending" | "InProgress");
        let wanted = match required(filter, "key")? {
            "Status" => value == status,
            "ExecutionStage" => (value == "Complete") == done,
            _ => true,
        };
        if !wanted {
            return Ok(false);
        }
    }
    Ok(true)
}

pub(super) fn list_commands(world: &World, body: &Value) -> Result<Value, ApiError> {
    let (commands, _) = listed(world, body)?;
    let mut entries = Vec::new();
    for command in commands {
        if status_wanted(body, command.status().0)? {
            entries.push(describe_command(command));
        }
    }
    page(body, "Commands", entries, 50, 1, 50)
}

/// A command as the API shows it.
pub(super) fn describe_command(command: &Command) -> Value {
    let (status, details) = command.status();
    let count = |wanted: &dyn Fn(&Invocation) -> bool| command.invocations.values().filter(|i| wanted(i)).count();
    let timeout = Duration::from_secs(command.timeout_s.saturating_add(command.execution_timeout_s()));
    json!({
        "CommandId": command.command_id,
        "DocumentName": command.document_name,
        "DocumentVersion": command.document_version,
        "Comment": command.comment,
        "ExpiresAfter": epoch(command.requested_at.saturating_add(timeout).unwrap_or(Timestamp::MAX)),
        "Parameters": command.parameters,
        "InstanceIds": command.instance_ids,
        "Targets": command.targets,
        "RequestedDateTime": epoch(command.requested_at),
        "Status": status,
        "StatusDetails": details,
        "OutputS3BucketName": "",
        "OutputS3KeyPrefix": "",
        "MaxConcurrency": command.max_concurrency,
        "MaxErrors": command.max_errors,
        "TargetCount": command.invocations.len(),
        "CompletedCount": count(&|i| matches!(i.progress, Progress::Ended(_))),
        "ErrorCount": count(&|i| i.status() == "Failed"),
        "DeliveryTimedOutCount": count(&|i| i.details() == "Delivery Timed Out"),
        "ServiceRole": "",
        "NotificationConfig": { "NotificationArn": "", "NotificationEvents": [], "NotificationType": "" },
        "CloudWatchOutputConfig": { "CloudWatchLogGroupName": "", "CloudWatchOutputEnabled": false },
        "TimeoutSeconds": command.timeout_s,
    })
}

pub(super) fn list(world: &World, body: &Value) -> Result<Value, ApiError> {
    let (commands, only) = listed(world, body)?;
    let details = body.get("Details").and_then(Value::as_bool).unwrap_or(false);
    let mut entries = Vec::new();
    for command in commands {
        for (instance_id, invocation) in &command.invocations {
            let asked = only.as_ref().is_none_or(|only| only == instance_id);
            if asked && status_wanted(body, invocation.status())? {
                entries.push(describe_invocation(command, instance_id, invocation, details));
            }
        }
    }
    page(body, "CommandInvocations", entries, 50, 1, 50)
}

fn describe_invocation(command: &Command, instance_id: &InstanceId, invocation: &Invocation, details: bool) -> Value {
    let steps = command.steps.iter().filter(|_| details);
    let plugins: Vec<Value> = steps.map(|step| plugin(invocation, &step.name)).collect();
    json!({
        "CommandId": command.command_id,
        "InstanceId": instance_id.as_str(),
        "InstanceName": invocation.instance_name,
        "Comment": command.comment,
        "DocumentName": command.document_name,
        "DocumentVersion": command.document_version,
        "RequestedDateTime": epoch(command.requested_at),
        "Status": invocation.status(),
        "StatusDetails": invocation.details(),
        "StandardOutputUrl": "",
        "StandardErrorUrl": "",
        "CommandPlugins": plugins,
        "ServiceRole": "",
        "NotificationConfig": { "NotificationArn": "", "NotificationEvents": [], "NotificationType": "" },
        "CloudWatchOutputConfig": { "CloudWatchLogGroupName": "", "CloudWatchOutputEnabled": false },
    })
}

/// What is said of a step: its status with details and its code. A step that was never begun says what became of the
/// whole.
fn standing(invocation: &Invocation, result: Option<&StepResult>) -> (&'static str, &'static str, i32) {
    match (result, &invocation.progress) {
        (Some(result), _) => (result.outcome.status(), result.outcome.details(), result.response_code()),
        // An earlier step ended the command.
        (None, Progress::Ended(ended)) if matches!(ended.outcome, Outcome::Success | Outcome::Failed) => {
            ("Cancelled", "Cancelled", -1)
        }
        (None, _) => (invocation.status(), invocation.details(), invocation.response_code()),
    }
}

/// When a step began and ended.
fn times(invocation: &Invocation, result: Option<&StepResult>) -> (Option<Timestamp>, Option<Timestamp>) {
    match (&invocation.progress, result) {
        (Progress::Waiting { .. }, _) => (None, None),
        (Progress::Running { started_at, .. }, _) => (Some(*started_at), None),
        // The times that really passed: what the script itself saw is in its elapsed time.
        (Progress::Ended(ended), _) => (ended.started_at, Some(ended.ended_at)),
    }
}

fn plugin(invocation: &Invocation, name: &str) -> Value {
    let result = invocation.results().iter().find(|result| result.name == name);
    let (status, details, code) = standing(invocation, result);
    let mut output = result.map(|result| result.output.stdout.clone()).unwrap_or_default();
    if let Some(stderr) = result.map(|result| &result.output.stderr).filter(|stderr| !stderr.is_empty()) {
        output.push_str("\n----------ERROR-------\n");
        output.push_str(stderr);
    }
    let mut plugin = json!({
        "Name": name,
        "Status": status,
        "StatusDetails": details,
        "ResponseCode": code,
        "Output": cut(output, MAX_LISTED_OUTPUT),
        "StandardOutputUrl": "",
        "StandardErrorUrl": "",
        "OutputS3Region": "",
        "OutputS3BucketName": "",
        "OutputS3KeyPrefix": "",
    });
    if let Some(map) = plugin.as_object_mut() {
        let (started_at, ended_at) = times(invocation, result);
        if let (Some(started_at), Some(_)) = (started_at, ended_at) {
            map.insert("ResponseStartDateTime".to_owned(), epoch(started_at));
        }
        if let Some(ended_at) = ended_at {
            map.insert("ResponseFinishDateTime".to_owned(), epoch(ended_at));
        }
    }
    plugin
}

/// The step that a request means. `None`: the command has several and the request names none.
fn asked<'a>(command: &'a Command, name: Option<&str>) -> Result<Option<&'a str>, ApiError> {
    let Some(name) = name else {
        return Ok(match command.steps.as_slice() {
            [only] => Some(&only.name),
            _ => None,
        });
    };
    // In schema 1.2 a plugin is known under either of its names.
    let found = command.steps.iter().find(|step| step.name == name || step.name.strip_prefix("aws:") == Some(name));
    found.map(|step| Some(step.name.as_str())).ok_or_else(|| ApiError::new("InvalidPluginName", ""))
}

pub(super) fn get(world: &World, body: &Value) -> Result<Value, ApiError> {
    let (command_id, instance_id) = (required(body, "CommandId")?, required(body, "InstanceId")?);
    if command_id.len() != 36 {
        return Err(constraint(&command_id.into(), "commandId", "Member must have length equal to 36"));
    }
    let command = world.ssm.commands.get(command_id).filter(|command| visible(world, command));
    let invocation = command.and_then(|command| command.invocations.get(&InstanceId::new(instance_id)));
    let (Some(command), Some(invocation)) = (command, invocation) else {
        return Err(ApiError::new("InvocationDoesNotExist", ""));
    };
    let step = asked(command, text(body, "PluginName")?)?;
    let result = step.and_then(|step| invocation.results().iter().find(|result| result.name == step));
    let (status, details, code) = match step {
        Some(_) => standing(invocation, result),
        None => (invocation.status(), invocation.details(), invocation.response_code()),
    };
    let (started_at, ended_at) = times(invocation, result);
    let iso =
        |at: Option<Timestamp>| at.map_or_else(String::new, |at| at.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string());
    // The time that the script itself saw, which is more than really passed.
    let elapsed = |result: &StepResult| format!("PT{:.3}S", result.output.elapsed.as_secs_f64());
    let mut answer = json!({
        "CommandId": command.command_id,
        "InstanceId": instance_id,
        "Comment": command.comment,
        "DocumentName": command.document_name,
        "DocumentVersion": command.document_version,
        "ResponseCode": code,
        "ExecutionStartDateTime": iso(started_at),
        "ExecutionElapsedTime": result.map_or_else(String::new, elapsed),
        "ExecutionEndDateTime": iso(started_at.and(ended_at)),
        "Status": status,
        "StatusDetails": details,
        "StandardOutputContent": result.map_or("", |result| result.output.stdout.as_str()),
        "StandardOutputUrl": "",
        "StandardErrorContent": result.map_or("", |result| result.output.stderr.as_str()),
        "StandardErrorUrl": "",
        "CloudWatchOutputConfig": { "CloudWatchLogGroupName": "", "CloudWatchOutputEnabled": false },
    });
    if let (Some(step), Some(map)) = (step, answer.as_object_mut()) {
        map.insert("PluginName".to_owned(), step.into());
    }
    Ok(answer)
}
