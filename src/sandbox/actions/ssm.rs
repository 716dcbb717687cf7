//! SSM: which instances answer, Run Command, documents, associations and parameters. The agent is online only where
//! instance, profile and a path to SSM allow it; commands run on the simulated hosts.

mod agent;
mod associations;
mod content;
mod documents;
mod execute;
mod instances;
mod invocations;
mod owned;
mod parameters;
mod public_parameters;
mod send;
mod state;
mod tags;
#[cfg(test)]
mod tests;

use jiff::Timestamp;
use serde_json::Value;

pub use agent::{Obstacle, is_read, obstacle};
pub use state::{Agent, Command, Invocation, Progress, Ssm};

use crate::sandbox::wire::{ApiError, Body, Request};
use crate::sandbox::world::World;

/// Answers one SSM request.
pub fn dispatch(world: &mut World, request: &Request) -> Result<Body, ApiError> {
    advance(world);
    act(world, &request.action, request.body()).map(Body::Json)
}

super::operations! { fn act(world: &mut World, action: &str, body: &Value) -> Result<Value, ApiError> {
    match action {
        "DescribeInstanceInformation" => instances::describe(world, body),
        "SendCommand" => send::send(world, body),
        "CancelCommand" => send::cancel(world, body),
        "ListCommands" => invocations::list_commands(world, body),
        "ListCommandInvocations" => invocations::list(world, body),
        "GetCommandInvocation" => invocations::get(world, body),
        "GetParameter" => parameters::get(world, body),
        "GetParameters" => parameters::get_many(world, body),
        "GetParametersByPath" => parameters::get_by_path(world, body),
        "PutParameter" => parameters::put(world, body),
        "DeleteParameter" => parameters::delete(world, body),
        "DeleteParameters" => parameters::delete_many(world, body),
        "DescribeParameters" => parameters::describe(world, body),
        "GetParameterHistory" => parameters::history(world, body),
        "LabelParameterVersion" => parameters::label(world, body),
        "UnlabelParameterVersion" => parameters::unlabel(world, body),
        "ListDocuments" => documents::list(world, body),
        "DescribeDocument" => documents::describe(world, body),
        "GetDocument" => documents::get(world, body),
        "CreateDocument" => documents::create(world, body),
        "UpdateDocument" => documents::update(world, body),
        "UpdateDocumentDefaultVersion" => documents::update_default(world, body),
        "DeleteDocument" => documents::delete(world, body),
        "ListDocumentVersions" => documents::versions(world, body),
        "DescribeDocumentPermission" => documents::describe_permission(world, body),
        "ModifyDocumentPermission" => documents::modify_permission(world, body),
        "CreateAssociation" => associations::create(world, body),
        "DescribeAssociation" => associations::describe(world, body),
        "UpdateAssociation" => associations::update(world, body),
        "DeleteAssociation" => associations::delete(world, body),
        "ListAssociations" => associations::list(world, body),
        "StartAssociationsOnce" => associations::start_once(world, body),
        "DescribeAssociationExecutions" => associations::executions(world, body),
        "ListTagsForResource" => tags::list(world, body),
        "AddTagsToResource" => tags::add(world, body),
        "RemoveTagsFromResource" => tags::remove(world, body),
        "StartSession" => instances::start_session(body),
        "GetConnectionStatus" => instances::connection_status(world, body),
        other => Err(ApiError::new("UnknownOperationException", format!("The sandbox has no SSM action {other}."))),
    }
} }

/// Lets agents connect or fall silent, and commands start and end, as of the world's time.
pub fn advance(world: &mut World) {
    agent::observe(world);
    associations::start(world);
    execute::advance(world);
}

/// A refusal of a value that breaks the API's own constraints.
fn validation(message: impl Into<String>) -> ApiError {
    ApiError::new("ValidationException", message)
}

fn constraint(value: &Value, member: &str, constraint: &str) -> ApiError {
    validation(format!(
        "1 validation error detected: Value '{value}' at '{member}' failed to satisfy constraint: {constraint}"
    ))
}

/// A text that must be there.
fn required<'a>(body: &'a Value, field: &str) -> Result<&'a str, ApiError> {
    text(body, field)?.ok_or_else(|| constraint(&Value::Null, &camel(field), "Member must not be null"))
}

fn text<'a>(body: &'a Value, field: &str) -> Result<Option<&'a str>, ApiError> {
    match body.get(field) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(ApiError::new("SerializationException", format!("{field} is not a string"))),
    }
}

/// A list of texts; an absent one is empty.
fn texts(body: &Value, field: &str) -> Result<Vec<String>, ApiError> {
    let wrong = || ApiError::new("SerializationException", format!("{field} is not a list of strings"));
    match body.get(field) {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::Array(list)) => list.iter().map(|one| one.as_str().map(str::to_owned).ok_or_else(wrong)).collect(),
        Some(_) => Err(wrong()),
    }
}

/// A list of structures; an absent one is empty.
fn structs<'a>(body: &'a Value, field: &str) -> Result<&'a [Value], ApiError> {
    match body.get(field) {
        None | Some(Value::Null) => Ok(&[]),
        Some(Value::Array(list)) => Ok(list),
        Some(_) => Err(ApiError::new("SerializationException", format!("{field} is not a list"))),
    }
}

/// A whole number within bounds.
fn number(body: &Value, field: &str, low: i64, high: i64) -> Result<Option<i64>, ApiError> {
    match body.get(field) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => match value.as_i64() {
            Some(number) if number < low => {
                let bound = format!("Member must have value greater than or equal to {low}");
                Err(constraint(value, &camel(field), &bound))
            }
            Some(number) if number > high => {
                let bound = format!("Member must have value less than or equal to {high}");
                Err(constraint(value, &camel(field), &bound))
            }
            Some(number) => Ok(Some(number)),
            None => Err(ApiError::new("SerializationException", format!("{field} is not an integer"))),
        },
    }
}

/// `MaxResults` as the messages spell it: `maxResults`.
fn camel(field: &str) -> String {
    let mut name = field.to_owned();
    if let Some(first) = name.get_mut(..1) {
        first.make_ascii_lowercase();
    }
    name
}

/// One page of a list, with `NextToken` when there is more.
fn page(
    body: &Value,
    list: &str,
    entries: Vec<Value>,
    default: usize,
    least: i64,
    most: i64,
) -> Result<Value, ApiError> {
    let size = number(body, "MaxResults", least, most)?.and_then(|n| usize::try_from(n).ok()).unwrap_or(default);
    let start: usize = match text(body, "NextToken")? {
        None => 0,
        Some(token) => {
            let number = token.strip_prefix("page-").and_then(|number| number.parse().ok());
            number.ok_or_else(|| ApiError::new("InvalidNextToken", "The specified token is not valid."))?
        }
    };
    let end = start.saturating_add(size);
    let more = entries.len() > end;
    let entries: Vec<Value> = entries.into_iter().skip(start).take(size).collect();
    let mut answer = serde_json::Map::new();
    answer.insert(list.to_owned(), Value::Array(entries));
    if more {
        answer.insert("NextToken".to_owned(), format!("page-{end}").into());
    }
    Ok(Value::Object(answer))
}

/// A time as JSON 1.1 writes it: seconds since 1970, with milliseconds.
fn epoch(at: Timestamp) -> Value {
    let (seconds, milliseconds) = (at.as_second(), at.subsec_millisecond());
    serde_json::from_str(&format!("{seconds}.{milliseconds:03}")).unwrap_or_else(|_| seconds.into())
}
