//! Associations: a document that SSM runs on every target once, as soon as the target is there. Schedules are kept and
//! shown, and do not make it run again: nobody waits half an hour in the sandbox.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::state::Progress;
use super::{documents, epoch, page, required, send, structs, tags, text, texts, validation};
use crate::model::{InstanceId, Tags};
use crate::sandbox::wire::ApiError;
use crate::sandbox::world::World;

/// An association.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Association {
    pub association_id: String,
    pub document: String,
    /// What the client said of it, as its descriptions show it.
    pub given: Map<String, Value>,
    pub version: u32,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    /// The command that ran it, by target. Targets that come later are added.
    pub ran: BTreeMap<InstanceId, String>,
    pub tags: Tags,
}

/// Members of the requests that the descriptions repeat.
const REPEATED: [&str; 17] = [
    "ApplyOnlyAtCronInterval",
    "AssociationName",
    "AutomationTargetParameterName",
    "CalendarNames",
    "ComplianceSeverity",
    "DocumentVersion",
    "Duration",
    "InstanceId",
    "MaxConcurrency",
    "MaxErrors",
    "OutputLocation",
    "Parameters",
    "ScheduleExpression",
    "ScheduleOffset",
    "SyncCompliance",
    "TargetMaps",
    "Targets",
];

fn unknown() -> ApiError {
    ApiError::new("AssociationDoesNotExist", "The specified association doesn't exist.")
}

fn repeated(body: &Value) -> Map<String, Value> {
    let members = REPEATED.iter().filter_map(|key| Some(((*key).to_owned(), body.get(*key)?.clone())));
    members.filter(|(_, value)| !value.is_null()).collect()
}

pub(super) fn create(world: &mut World, body: &Value) -> Result<Value, ApiError> {
    let name = required(body, "Name")?;
    let found = documents::find(world, name, text(body, "DocumentVersion")?, None)?;
    let (document, content) = (found.name.to_owned(), found.read()?);
    super::content::bind(&content, &parameters(body))?;
    let targets = structs(body, "Targets")?;
    let instance_id = text(body, "InstanceId")?;
    if targets.is_empty() == instance_id.is_none() {
        return Err(validation("You must specify either InstanceId or Targets."));
    }
    if let Some(id) = instance_id.filter(|id| !world.network.instances.shown().contains_key(id)) {
        return Err(ApiError::new("InvalidInstanceId", format!("The instance {id} is not managed by this account.")));
    }
    send::check_targets(targets)?;
    let own_tags = tags::given(body)?;
    let same = |a: &&Association| {
        a.document == document
            && instance_id.is_some()
            && a.given.get("InstanceId").and_then(Value::as_str) == instance_id
    };
    if world.ssm.associations.values().find(same).is_some() {
        return Err(ApiError::new("AssociationAlreadyExists", ""));
    }
    let association = Association {
        association_id: world.uuid(),
        document,
        given: repeated(body),
        version: 1,
        created_at: world.now,
        updated_at: world.now,
        ran: BTreeMap::new(),
        tags: own_tags,
    };
    let id = association.association_id.clone();
    world.ssm.associations.insert(id.clone(), association);
    start(world);
    let made = world.ssm.associations.get(&id).ok_or_else(unknown)?;
    Ok(json!({ "AssociationDescription": describe_one(world, made) }))
}

/// The parameters of an association, which may be absent.
fn parameters(body: &Value) -> Value {
    body.get("Parameters").cloned().unwrap_or(Value::Null)
}

/// Runs associations on targets that are online and have not had them yet.
pub(super) fn start(world: &mut World) {
    let mut open: Vec<(String, Vec<InstanceId>)> = Vec::new();
    for association in world.ssm.associations.values() {
        if association.given.get("ApplyOnlyAtCronInterval") == Some(&Value::Bool(true)) {
            continue;
        }
        let fresh: Vec<InstanceId> =
            targets(world, association).into_iter().filter(|id| !association.ran.contains_key(id)).collect();
        if !fresh.is_empty() {
            open.push((association.association_id.clone(), fresh));
        }
    }
    for (id, fresh) in open {
        let Some(association) = world.ssm.associations.get(&id).cloned() else { continue };
        let version = association.given.get("DocumentVersion").and_then(Value::as_str).map(str::to_owned);
        let given = association.given.get("Parameters").cloned().unwrap_or(Value::Null);
        // A document that no longer fits was changed after the association was made: it stays pending.
        let Ok(order) = send::Order::new(world, &association.document, version.as_deref(), &given) else { continue };
        let command = order.by_association(&id).give(world, &fresh);
        if let Some(association) = world.ssm.associations.get_mut(&id) {
            association.ran.extend(fresh.into_iter().map(|target| (target, command.clone())));
        }
    }
}

/// The targets that are online now.
fn targets(world: &World, association: &Association) -> Vec<InstanceId> {
    let online = |id: &InstanceId| world.ssm.agents.get(id).is_some_and(|agent| agent.online);
    let chosen = match association.given.get("InstanceId").and_then(Value::as_str) {
        Some(id) => vec![id.to_owned()],
        None => {
            let targets = association.given.get("Targets").and_then(Value::as_array);
            targets.and_then(|targets| send::targeted(world, targets).ok()).unwrap_or_default()
        }
    };
    chosen.into_iter().map(InstanceId::new).filter(online).collect()
}

/// How an association fares: status, counts by status, when it last ran.
fn overview(
    world: &World,
    association: &Association,
) -> (&'static str, BTreeMap<&'static str, usize>, Option<Timestamp>) {
    let mut counts: BTreeMap<&'static str, usize> = BTreeMap::new();
    let mut last = None;
    for (id, command) in &association.ran {
        let command = world.ssm.commands.get(command);
        let invocation = command.and_then(|command| command.invocations.get(id));
        let status = match invocation.map(|invocation| &invocation.progress) {
            Some(Progress::Ended(ended)) => {
                last = last.max(Some(ended.ended_at));
                if ended.outcome.status() == "Success" { "Success" } else { "Failed" }
            }
            Some(Progress::Waiting { .. } | Progress::Running { .. }) => "Pending",
            // So long ago that the command is forgotten.
            None => "Success",
        };
        *counts.entry(status).or_default() += 1;
    }
    let status = ["Failed", "Pending", "Success"].into_iter().find(|status| counts.contains_key(status));
    (status.unwrap_or("Pending"), counts, last)
}

fn describe_one(world: &World, association: &Association) -> Value {
    let (status, counts, last) = overview(world, association);
    let mut entry = association.given.clone();
    let mut put = |key: &str, value: Value| {
        entry.insert(key.to_owned(), value);
    };
    put("Name", association.document.as_str().into());
    put("AssociationId", association.association_id.as_str().into());
    put("AssociationVersion", association.version.to_string().into());
    put("Date", epoch(association.created_at));
    put("LastUpdateAssociationDate", epoch(association.updated_at));
    put("Overview", json!({ "Status": status, "DetailedStatus": status, "AssociationStatusAggregatedCount": counts }));
    if let Some(last) = last {
        put("LastExecutionDate", epoch(last));
        if status == "Success" {
            put("LastSuccessfulExecutionDate", epoch(last));
        }
    }
    if !association.given.contains_key("DocumentVersion") {
        put("DocumentVersion", "$DEFAULT".into());
    }
    if let Some(id) = association.given.get("InstanceId") {
        put("Targets", json!([{ "Key": "InstanceIds", "Values": [id] }]));
    }
    Value::Object(entry)
}

/// The association that a request names: by its ID, or by document and instance.
fn named<'a>(world: &'a World, body: &Value) -> Result<&'a Association, ApiError> {
    if let Some(id) = text(body, "AssociationId")? {
        return world.ssm.associations.get(id).ok_or_else(unknown);
    }
    let (name, instance_id) = (required(body, "Name")?, required(body, "InstanceId")?);
    let mut all = world.ssm.associations.values();
    all.find(|a| a.document == name && a.given.get("InstanceId").is_some_and(|id| id == instance_id))
        .ok_or_else(unknown)
}

pub(super) fn describe(world: &World, body: &Value) -> Result<Value, ApiError> {
    Ok(json!({ "AssociationDescription": describe_one(world, named(world, body)?) }))
}

/// UpdateAssociation: what is not said again is forgotten, as with AWS, and the document runs again.
pub(super) fn update(world: &mut World, body: &Value) -> Result<Value, ApiError> {
    let id = named(world, body)?.association_id.clone();
    let name = text(body, "Name")?.map(str::to_owned);
    send::check_targets(structs(body, "Targets")?)?;
    let document = match &name {
        Some(name) => documents::find(world, name, text(body, "DocumentVersion")?, None)?.name.to_owned(),
        None => named(world, body)?.document.clone(),
    };
    let content = documents::find(world, &document, text(body, "DocumentVersion")?, None)?.read()?;
    super::content::bind(&content, &parameters(body))?;
    let now = world.now;
    let association = world.ssm.associations.get_mut(&id).ok_or_else(unknown)?;
    let mut given = repeated(body);
    for kept in ["Targets", "InstanceId"] {
        if let (false, Some(before)) = (given.contains_key(kept), association.given.get(kept)) {
            given.insert(kept.to_owned(), before.clone());
        }
    }
    association.given = given;
    association.document = document;
    association.version = association.version.saturating_add(1);
    association.updated_at = now;
    association.ran.clear();
    start(world);
    let changed = world.ssm.associations.get(&id).ok_or_else(unknown)?;
    Ok(json!({ "AssociationDescription": describe_one(world, changed) }))
}

pub(super) fn delete(world: &mut World, body: &Value) -> Result<Value, ApiError> {
    let id = named(world, body)?.association_id.clone();
    world.ssm.associations.remove(&id);
    Ok(json!({}))
}

pub(super) fn start_once(world: &mut World, body: &Value) -> Result<Value, ApiError> {
    for id in texts(body, "AssociationIds")? {
        world.ssm.associations.get_mut(&id).ok_or_else(unknown)?.ran.clear();
    }
    start(world);
    Ok(json!({}))
}

pub(super) fn list(world: &World, body: &Value) -> Result<Value, ApiError> {
    let mut chosen: Vec<(&Association, Value)> =
        world.ssm.associations.values().map(|association| (association, describe_one(world, association))).collect();
    for filter in structs(body, "AssociationFilterList")? {
        let (key, value) = (required(filter, "key")?, required(filter, "value")?);
        let field = match key {
            "InstanceId" => {
                chosen.retain(|(association, _)| {
                    association.ran.contains_key(&InstanceId::new(value))
                        || association.given.get("InstanceId").is_some_and(|id| id == value)
                });
                continue;
            }
            "AssociationStatusName" => {
                chosen.retain(|(_, entry)| entry.pointer("/Overview/Status").is_some_and(|status| status == value));
                continue;
            }
            "Name" | "AssociationId" | "AssociationName" => key,
            // Times of the last execution and resource groups: nobody asks the sandbox for them.
            _ => continue,
        };
        chosen.retain(|(_, entry)| entry.get(field).is_some_and(|text| text == value));
    }
    const LISTED: [&str; 13] = [
        "AssociationId",
        "AssociationName",
        "AssociationVersion",
        "DocumentVersion",
        "Duration",
        "InstanceId",
        "LastExecutionDate",
        "Name",
        "Overview",
        "ScheduleExpression",
        "ScheduleOffset",
        "TargetMaps",
        "Targets",
    ];
    let entries = chosen.into_iter().map(|(_, entry)| {
        let members = LISTED.iter().filter_map(|key| Some(((*key).to_owned(), entry.get(*key)?.clone())));
        Value::Object(members.collect())
    });
    page(body, "Associations", entries.collect(), 50, 1, 50)
}

/// DescribeAssociationExecutions: one, since the last change.
pub(super) fn executions(world: &World, body: &Value) -> Result<Value, ApiError> {
    let association = named(world, &json!({ "AssociationId": required(body, "AssociationId")? }))?;
    let (status, counts, last) = overview(world, association);
    let counts: Vec<String> = counts.iter().map(|(status, count)| format!("{status}={count}")).collect();
    let mut entry = json!({
        "AssociationId": association.association_id,
        "AssociationVersion": association.version.to_string(),
        // A run has no identifier of its own here: the first command's serves.
        "ExecutionId": association.ran.values().next().unwrap_or(&association.association_id),
        "Status": status,
        "DetailedStatus": status,
        "CreatedTime": epoch(association.updated_at),
        "ResourceCountByStatus": format!("{{{}}}", counts.join(", ")),
    });
    if let (Some(last), Some(map)) = (last, entry.as_object_mut()) {
        map.insert("LastExecutionDate".to_owned(), epoch(last));
    }
    page(body, "AssociationExecutions", vec![entry], 50, 1, 50)
}
