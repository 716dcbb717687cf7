//! Options of an instance that have actions of their own: metadata service, CPU credits, console output.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::super::describe::{PageSize, page, select};
use super::super::{Answer, iso8601};
use super::launch::choice;
use super::types::instance_type;
use crate::model::{Instance, InstanceState};
use crate::sandbox::host::Machine;
use crate::sandbox::wire::{ApiError, Body, Query, Xml};
use crate::sandbox::world::World;

/// ModifyInstanceMetadataOptions
pub fn modify_metadata(world: &mut World, query: &Query) -> Answer {
    let instance = world.find::<Instance>(query.require("InstanceId")?)?.clone();
    let id = instance.instance_id.clone();
    if !matches!(instance.state, InstanceState::Running | InstanceState::Stopped | InstanceState::Pending) {
        return Err(ApiError::new(
            "IncorrectInstanceState",
            format!("The instance '{id}' is in state '{}' and cannot be modified.", instance.state),
        ));
    }
    let Some(record) = world.records.instances.get(&id) else {
        return Err(ApiError::new("InternalError", format!("The instance '{id}' has no record")).with_status(500));
    };
    let current = instance.http_tokens.as_deref().unwrap_or("optional");
    let tokens = choice(query, "HttpTokens", &["optional", "required"], current)?;
    let endpoint = choice(query, "HttpEndpoint", &["enabled", "disabled"], &record.http_endpoint)?;
    let tags = choice(query, "InstanceMetadataTags", &["enabled", "disabled"], &record.instance_metadata_tags)?;
    let hops = query.int("HttpPutResponseHopLimit")?.unwrap_or(i64::from(record.http_put_response_hop_limit));
    let hops = u32::try_from(hops).ok().filter(|hops| (1..=64).contains(hops)).ok_or_else(|| {
        ApiError::invalid_value(format!("Value ({hops}) for parameter HttpPutResponseHopLimit is invalid."))
    })?;
    let options = Xml::new()
        .text("state", "pending")
        .text("httpTokens", &tokens)
        .text("httpPutResponseHopLimit", hops)
        .text("httpEndpoint", &endpoint)
        .text("httpProtocolIpv6", "disabled")
        .text("instanceMetadataTags", &tags);
    if let Some(record) = world.records.instances.get_mut(&id) {
        record.http_endpoint = endpoint;
        record.instance_metadata_tags = tags;
        record.http_put_response_hop_limit = hops;
    }
    world.find_mut::<Instance>(id.as_str())?.http_tokens = Some(tokens);
    Ok(Body::Xml(Xml::new().text("instanceId", id).node("instanceMetadataOptions", options)))
}

fn burstable(instance: &Instance) -> bool {
    instance_type(&instance.instance_type).is_some_and(|kind| kind.burstable)
}

/// DescribeInstanceCreditSpecifications: of burstable instances.
pub fn describe_credits(world: &World, query: &Query) -> Answer {
    let chosen = select::<Instance>(world, query, "InstanceId", |_, _| None)?;
    let named = query.has("InstanceId");
    let mut rows = Vec::new();
    for instance in chosen {
        let id = instance.instance_id.as_str();
        if !burstable(instance) {
            if named {
                return Err(ApiError::new(
                    "InvalidParameterCombination",
                    format!("The instance type of '{id}' does not support CPU credits."),
                ));
            }
            continue;
        }
        let record = world.records.instances.get(&instance.instance_id);
        // Without identifiers, AWS lists only those that are unlimited.
        if let Some(record) = record.filter(|record| named || record.cpu_credits == "unlimited") {
            let row = Xml::new().text("instanceId", id).text("cpuCredits", &record.cpu_credits);
            rows.push((id.to_owned(), row));
        }
    }
    let (page, token) = page(query, PageSize { min: 5, max: 1000 }, rows)?;
    Ok(Body::Xml(Xml::new().items("instanceCreditSpecificationSet", page).opt("nextToken", token)))
}

/// ModifyInstanceCreditSpecification
pub fn modify_credits(world: &mut World, query: &Query) -> Answer {
    let (mut successful, mut unsuccessful) = (Vec::new(), Vec::new());
    for specification in query.structs("InstanceCreditSpecification") {
        let id = specification.require("InstanceId")?;
        let wanted = choice(&specification, "CpuCredits", &["standard", "unlimited"], "standard")?;
        match world.find::<Instance>(id).cloned() {
            Ok(instance) if burstable(&instance) => {
                if let Some(record) = world.records.instances.get_mut(&instance.instance_id) {
                    record.cpu_credits = wanted;
                }
                successful.push(Xml::new().text("instanceId", id));
            }
            other => {
                let (code, message) = match other {
                    Ok(_) => (
                        "InstanceCreditSpecification.NotSupported".to_owned(),
                        format!("The instance type of '{id}' does not support CPU credits."),
                    ),
                    Err(error) => (error.code, error.message),
                };
                let fault = Xml::new().text("code", code).text("message", message);
                unsuccessful.push(Xml::new().text("instanceId", id).node("error", fault));
            }
        }
    }
    let answer = Xml::new()
        .items("successfulInstanceCreditSpecificationSet", successful)
        .items("unsuccessfulInstanceCreditSpecificationSet", unsuccessful);
    Ok(Body::Xml(answer))
}

/// GetConsoleOutput: what the boot printed, in base64.
pub fn console_output(world: &World, query: &Query) -> Answer {
    let instance = world.find::<Instance>(query.require("InstanceId")?)?;
    let output = world.machines.get(&instance.instance_id).map(Machine::console_log).unwrap_or_default();
    let answer = Xml::new()
        .text("instanceId", &instance.instance_id)
        .text("timestamp", iso8601(world.now))
        .text("output", STANDARD.encode(output));
    Ok(Body::Xml(answer))
}
