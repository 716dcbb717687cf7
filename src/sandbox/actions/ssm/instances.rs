//! DescribeInstanceInformation, and why there are no sessions here.

use serde_json::{Value, json};

use super::agent::last_ping;
use super::{Agent, epoch, page, required, structs, texts, validation};
use crate::model::{Instance, InstanceState};
use crate::sandbox::host::Flavour;
use crate::sandbox::wire::ApiError;
use crate::sandbox::world::World;

/// What the agent on a simulated host reports of itself.
const AGENT_VERSION: &str = "3.3.987.0";

pub(super) fn describe(world: &World, body: &Value) -> Result<Value, ApiError> {
    let filters = filters(body)?;
    let mut entries = Vec::new();
    for (id, agent) in &world.ssm.agents {
        let Some(instance) = world.network.instances.shown().get(id.as_str()) else { continue };
        // Stopped instances are registered and not listed.
        let listed =
            agent.registered_at.is_some() && matches!(instance.state, InstanceState::Running | InstanceState::Pending);
        if listed && filters.iter().all(|(key, values)| matches(world, instance, agent, key, values)) {
            entries.push(entry(world, instance, agent));
        }
    }
    page(body, "InstanceInformationList", entries, 10, 5, 50)
}

/// Both lists of filters that the API has, which must not be mixed.
fn filters(body: &Value) -> Result<Vec<(String, Vec<String>)>, ApiError> {
    let (new, old) = (structs(body, "Filters")?, structs(body, "InstanceInformationFilterList")?);
    if !new.is_empty() && !old.is_empty() {
        return Err(validation("You cannot use Filters and InstanceInformationFilterList in one request."));
    }
    let mut filters = Vec::new();
    for (filter, key, values) in
        new.iter().map(|f| (f, "Key", "Values")).chain(old.iter().map(|f| (f, "key", "valueSet")))
    {
        let (key, values) = (required(filter, key)?, texts(filter, values)?);
        let known = [
            "InstanceIds",
            "AgentVersion",
            "PingStatus",
            "PlatformTypes",
            "ActivationIds",
            "IamRole",
            "ResourceType",
            "AssociationStatus",
            "tag-key",
        ];
        if !known.contains(&key) && !key.starts_with("tag:") {
            return Err(ApiError::new("InvalidFilterKey", ""));
        }
        let wrong = |allowed: &[&str]| values.iter().any(|value| !allowed.contains(&value.as_str()));
        if (key == "PingStatus" && wrong(&["Online", "ConnectionLost", "Inactive"]))
            || (key == "PlatformTypes" && wrong(&["Linux", "Windows", "MacOS"]))
        {
            return Err(ApiError::new(
                "InvalidInstanceInformationFilterValue",
                format!("The specified filter value for {key} is not valid."),
            ));
        }
        filters.push((key.to_owned(), values));
    }
    Ok(filters)
}

fn matches(world: &World, instance: &Instance, agent: &Agent, key: &str, values: &[String]) -> bool {
    let has = |text: &str| values.iter().any(|value| value == text);
    match key {
        "InstanceIds" => has(instance.instance_id.as_str()),
        "PingStatus" => has(ping_status(agent)),
        "PlatformTypes" => has("Linux"),
        "ResourceType" => has("EC2Instance"),
        "AgentVersion" => has(AGENT_VERSION),
        "IamRole" => role_of(world, instance).is_some_and(has),
        "tag-key" => values.iter().any(|key| instance.tags.get(key).is_some()),
        _ => match key.strip_prefix("tag:") {
            Some(tag) => instance.tags.get(tag).is_some_and(has),
            // No activations and no associations here.
            None => false,
        },
    }
}

fn ping_status(agent: &Agent) -> &'static str {
    if agent.online { "Online" } else { "ConnectionLost" }
}

fn role_of<'a>(world: &'a World, instance: &Instance) -> Option<&'a str> {
    let profile = world.iam.profile_by_arn(instance.instance_profile_arn.as_deref()?)?;
    profile.role.as_deref()
}

fn entry(world: &World, instance: &Instance, agent: &Agent) -> Value {
    let machine = world.machines.get(&instance.instance_id);
    let version = match machine.map(|machine| machine.launch().flavour) {
        Some(Flavour::AmazonLinux2) => "2",
        Some(Flavour::AmazonLinux2023) | None => "2023",
    };
    let mut entry = json!({
        "InstanceId": instance.instance_id.as_str(),
        "PingStatus": ping_status(agent),
        "LastPingDateTime": epoch(last_ping(agent, world.now)),
        "AgentVersion": AGENT_VERSION,
        "IsLatestVersion": true,
        "PlatformType": "Linux",
        "PlatformName": "Amazon Linux",
        "PlatformVersion": version,
        "ResourceType": "EC2Instance",
        "SourceId": instance.instance_id.as_str(),
        "SourceType": "AWS::EC2::Instance",
    });
    if let Some(map) = entry.as_object_mut() {
        if let Some(address) = instance.private_ip {
            map.insert("IPAddress".to_owned(), address.to_string().into());
        }
        if let Some(machine) = machine {
            map.insert("ComputerName".to_owned(), machine.hostname().into());
        }
    }
    entry
}

/// Sessions need a data channel, a web socket, which the sandbox does not have: whoever wants a shell is told where
/// there is one.
pub(super) fn start_session(body: &Value) -> Result<Value, ApiError> {
    let target = required(body, "Target")?;
    Err(ApiError::new(
        "TargetNotConnected",
        format!(
            "{target} is not connected: the sandbox has no session channel. For a shell on it run: natdeck sandbox \
             shell {target}"
        ),
    ))
}

/// GetConnectionStatus: whether a session could be opened, which on AWS is whether the agent is online.
pub(super) fn connection_status(world: &World, body: &Value) -> Result<Value, ApiError> {
    let target = required(body, "Target")?;
    let online = world.ssm.agents.iter().any(|(id, agent)| id.as_str() == target && agent.online);
    Ok(json!({ "Target": target, "Status": if online { "connected" } else { "notconnected" } }))
}
