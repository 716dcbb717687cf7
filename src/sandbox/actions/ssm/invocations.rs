//! What became of commands: ListCommands, ListCommandInvocations, GetCommandInvocation.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::documents::PLUGIN;
use super::execute::cut;
use super::state::{Ended, Progress};
use super::{Command, Invocation, constraint, epoch, page, required, structs, text};
use crate::model::InstanceId;
use crate::sandbox::wire::ApiError;
use crate::sandbox::world::World;

/// Characters of output in the list call.
const MAX_LISTED_OUTPUT: usize = 2_500;

pub(super) fn invalid_command_id(id: &str) -> ApiError {
    ApiError::new("InvalidCommandId", format!("The command ID {id} is not valid."))
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
        .filter(|command| visible(world, command))
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
            other => return Err(ApiError::new("InvalidFilterKey", format!("The filter key {other} is not valid."))),
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
    let timeout = Duration::from_secs(command.timeout_s.saturating_add(command.execution_timeout_s));
    json!({
        "CommandId": command.command_id,
        "DocumentName": command.document_name,
        "DocumentVersion": "$DEFAULT",
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
    let plugins: Vec<Value> = details.then(|| plugin(invocation)).into_iter().collect();
    json!({
        "CommandId": command.command_id,
        "InstanceId": instance_id.as_str(),
        "InstanceName": invocation.instance_name,
        "Comment": command.comment,
        "DocumentName": command.document_name,
        "DocumentVersion": "$DEFAULT",
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

fn plugin(invocation: &Invocation) -> Value {
    let mut plugin = json!({
        "Name": PLUGIN,
        "Status": invocation.status(),
        "StatusDetails": invocation.details(),
        "ResponseCode": invocation.response_code(),
        "Output": "",
        "StandardOutputUrl": "",
        "StandardErrorUrl": "",
        "OutputS3Region": "",
        "OutputS3BucketName": "",
        "OutputS3KeyPrefix": "",
    });
    if let (Progress::Ended(ended), Some(map)) = (&invocation.progress, plugin.as_object_mut()) {
        let mut output = ended.output.stdout.clone();
        if !ended.output.stderr.is_empty() {
            output.push_str("\n----------ERROR-------\n");
            output.push_str(&ended.output.stderr);
        }
        map.insert("Output".to_owned(), cut(output, MAX_LISTED_OUTPUT).into());
        if let Some(started_at) = ended.started_at {
            map.insert("ResponseStartDateTime".to_owned(), epoch(started_at));
        }
        map.insert("ResponseFinishDateTime".to_owned(), epoch(ended.ended_at));
    }
    plugin
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
    // A document with one step may be asked for that step, under either of its names.
    if let Some(name) = text(body, "PluginName")?.filter(|name| ![PLUGIN, "runShellScript"].contains(name)) {
        return Err(ApiError::new("InvalidPluginName", format!("The plugin name {name} is not valid.")));
    }
    let ended = match &invocation.progress {
        Progress::Ended(ended) => Some(ended),
        Progress::Waiting { .. } | Progress::Running { .. } => None,
    };
    let started_at = match &invocation.progress {
        Progress::Waiting { .. } => None,
        Progress::Running { started_at, .. } => Some(*started_at),
        Progress::Ended(ended) => ended.started_at,
    };
    let iso =
        |at: Option<Timestamp>| at.map_or_else(String::new, |at| at.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string());
    // The time that the script itself saw, which is more than really passed.
    let elapsed = |ended: &Ended| format!("PT{:.3}S", ended.output.elapsed.as_secs_f64());
    let ran = ended.filter(|ended| ended.started_at.is_some());
    Ok(json!({
        "CommandId": command.command_id,
        "InstanceId": instance_id,
        "Comment": command.comment,
        "DocumentName": command.document_name,
        "DocumentVersion": "$DEFAULT",
        "PluginName": PLUGIN,
        "ResponseCode": invocation.response_code(),
        "ExecutionStartDateTime": iso(started_at),
        "ExecutionElapsedTime": ran.map_or_else(String::new, elapsed),
        "ExecutionEndDateTime": iso(ran.map(|ended| ended.ended_at)),
        "Status": invocation.status(),
        "StatusDetails": invocation.details(),
        "StandardOutputContent": ended.map_or("", |ended| ended.output.stdout.as_str()),
        "StandardOutputUrl": "",
        "StandardErrorContent": ended.map_or("", |ended| ended.output.stderr.as_str()),
        "StandardErrorUrl": "",
        "CloudWatchOutputConfig": { "CloudWatchLogGroupName": "", "CloudWatchOutputEnabled": false },
    }))
}
