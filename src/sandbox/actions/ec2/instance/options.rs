//! Options of an instance that have actions of their own: metadata service, CPU credits, console output.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::super::describe::{PageSize, page, select};
use super::super::{Answer, iso8601};
use super::describe::spot_request_id;
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
    if let Some(machine) = world.machines.get_mut(&id) {
        machine.set_metadata(endpoint == "enabled", tokens == "required");
    }
    if let Some(record) = world.records.instances.get_mut(&id) {
        record.http_endpoint.clone_from(&endpoint);
        record.instance_metadata_tags = tags;
        record.http_put_response_hop_limit = hops;
    }
    let instance = world.find_mut::<Instance>(id.as_str())?;
    (instance.http_tokens, instance.http_endpoint) = (Some(tokens), Some(endpoint));
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

/// ModifyPrivateDnsNameOptions: the kind of name only while it is stopped.
pub fn modify_names(world: &mut World, query: &Query) -> Answer {
    let instance = world.find::<Instance>(query.require("InstanceId")?)?.clone();
    let kind = query.get("PrivateDnsHostnameType").map(str::to_owned);
    let (a, aaaa) = (query.bool("EnableResourceNameDnsARecord")?, query.bool("EnableResourceNameDnsAAAARecord")?);
    if kind.is_some() && instance.state != InstanceState::Stopped {
        return Err(ApiError::new(
            "IncorrectInstanceState",
            format!("The instance '{}' is not in the 'stopped' state.", instance.instance_id),
        ));
    }
    if let Some(record) = world.records.instances.get_mut(&instance.instance_id) {
        let options = &mut record.options;
        options.hostname_type = kind.unwrap_or_else(|| options.hostname_type.clone());
        options.a_record = a.unwrap_or(options.a_record);
        options.aaaa_record = aaaa.unwrap_or(options.aaaa_record);
    }
    super::super::done()
}

/// ModifyInstanceMaintenanceOptions
pub fn modify_maintenance(world: &mut World, query: &Query) -> Answer {
    let id = world.find::<Instance>(query.require("InstanceId")?)?.instance_id.clone();
    let wanted = choice(query, "AutoRecovery", &["default", "disabled"], "default")?;
    if let Some(record) = world.records.instances.get_mut(&id) {
        record.options.auto_recovery.clone_from(&wanted);
    }
    Ok(Body::Xml(Xml::new().text("instanceId", id).text("autoRecovery", wanted)))
}

/// ModifyInstanceCapacityReservationAttributes
pub fn modify_capacity(world: &mut World, query: &Query) -> Answer {
    let id = world.find::<Instance>(query.require("InstanceId")?)?.instance_id.clone();
    let name = "CapacityReservationSpecification.CapacityReservationPreference";
    let wanted = choice(query, name, &["open", "none", "capacity-reservations-only"], "open")?;
    if let Some(record) = world.records.instances.get_mut(&id) {
        record.options.capacity_preference = wanted;
    }
    super::super::done()
}

/// ModifyInstancePlacement: tenancy and placement group of a stopped instance.
pub fn modify_placement(world: &mut World, query: &Query) -> Answer {
    let instance = world.find::<Instance>(query.require("InstanceId")?)?.clone();
    if instance.state != InstanceState::Stopped {
        return Err(ApiError::new(
            "IncorrectInstanceState",
            format!("The instance '{}' is not in the 'stopped' state.", instance.instance_id),
        ));
    }
    let group = query.get("GroupName").map(str::to_owned);
    let known = |name: &String| name.is_empty() || world.records.placement_groups.contains_key(name);
    if let Some(name) = group.as_ref().filter(|name| !known(name)) {
        return Err(ApiError::new(
            "InvalidPlacementGroup.Unknown",
            format!("The Placement Group '{name}' is unknown."),
        ));
    }
    let tenancy = query.get("Tenancy").map(|_| choice(query, "Tenancy", &["default", "dedicated", "host"], "default"));
    let tenancy = tenancy.transpose()?;
    if let Some(record) = world.records.instances.get_mut(&instance.instance_id) {
        record.options.placement_group = group.unwrap_or_else(|| record.options.placement_group.clone());
        record.options.tenancy = tenancy.unwrap_or_else(|| record.options.tenancy.clone());
    }
    super::super::done()
}

fn monitor(world: &mut World, query: &Query, on: bool) -> Answer {
    let instances = super::named(world, query)?;
    for instance in &instances {
        if let Some(record) = world.records.instances.get_mut(&instance.instance_id) {
            record.monitoring = on;
        }
    }
    let state = if on { "pending" } else { "disabling" };
    let rows = instances.into_iter().map(|instance| {
        Xml::new().text("instanceId", instance.instance_id).node("monitoring", Xml::new().text("state", state))
    });
    Ok(Body::Xml(Xml::new().items("instancesSet", rows)))
}

/// MonitorInstances
pub fn monitor_instances(world: &mut World, query: &Query) -> Answer {
    monitor(world, query, true)
}

/// UnmonitorInstances
pub fn unmonitor_instances(world: &mut World, query: &Query) -> Answer {
    monitor(world, query, false)
}

/// DescribeSpotInstanceRequests: the requests behind the instances that were launched on the spot market.
pub fn describe_spot_requests(world: &World, query: &Query) -> Answer {
    let asked = query.list("SpotInstanceRequestId");
    let mut rows = Vec::new();
    for instance in world.all::<Instance>() {
        let record = world.records.instances.get(&instance.instance_id);
        if !record.is_some_and(|record| record.options.spot) {
            continue;
        }
        let id = spot_request_id(&instance.instance_id);
        if !asked.is_empty() && !asked.contains(&id.as_str()) {
            continue;
        }
        let ended = instance.state == InstanceState::Terminated;
        let status = if ended { "instance-terminated-by-user" } else { "fulfilled" };
        rows.push((
            id.clone(),
            Xml::new()
                .opt("createTime", instance.launch_time.map(iso8601))
                .text("instanceId", &instance.instance_id)
                .text("launchedAvailabilityZone", &instance.availability_zone)
                .text("productDescription", "Linux/UNIX")
                .text("spotInstanceRequestId", id)
                .text("spotPrice", "0.050000")
                .text("state", if ended { "closed" } else { "active" })
                .node("status", Xml::new().text("code", status).text("message", status))
                .items("tagSet", [])
                .text("type", "one-time")
                .text("instanceInterruptionBehavior", "terminate"),
        ));
    }
    if let Some(missing) = asked.iter().find(|id| !rows.iter().any(|(found, _)| found == *id)) {
        return Err(ApiError::new(
            "InvalidSpotInstanceRequestID.NotFound",
            format!("The spot instance request ID '{missing}' does not exist"),
        ));
    }
    rows.sort_by(|(a, _), (b, _)| a.cmp(b));
    let (page, token) = page(query, PageSize { min: 5, max: 1000 }, rows)?;
    Ok(Body::Xml(Xml::new().items("spotInstanceRequestSet", page).opt("nextToken", token)))
}

/// CancelSpotInstanceRequests: the instances go on.
pub fn cancel_spot_requests(world: &World, query: &Query) -> Answer {
    let asked = query.list("SpotInstanceRequestId");
    let known = |id: &str| world.all::<Instance>().any(|instance| spot_request_id(&instance.instance_id) == id);
    if let Some(missing) = asked.iter().find(|id| !known(id)) {
        return Err(ApiError::new(
            "InvalidSpotInstanceRequestID.NotFound",
            format!("The spot instance request ID '{missing}' does not exist"),
        ));
    }
    let rows = asked.into_iter().map(|id| Xml::new().text("spotInstanceRequestId", id).text("state", "cancelled"));
    Ok(Body::Xml(Xml::new().items("spotInstanceRequestSet", rows)))
}
