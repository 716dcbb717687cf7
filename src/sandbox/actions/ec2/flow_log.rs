//! Flow logs, as far as they are made, looked at and deleted. Nothing is logged.

use super::describe::{PageSize, maybe, one};
use super::kept::{Kept, describe_kept};
use super::{Answer, iso8601, tag};
use crate::model::{NetworkInterface, Subnet, Vpc};
use crate::sandbox::wire::{ApiError, Body, Query, Xml};
use crate::sandbox::world::{FlowLog, World};

/// The fields of a log in AWS's default format.
const FORMAT: &str = "${version} ${account-id} ${interface-id} ${srcaddr} ${dstaddr} ${srcport} ${dstport} ${protocol} \
                      ${packets} ${bytes} ${start} ${end} ${action} ${log-status}";

fn xml(id: &str, log: &FlowLog) -> Xml {
    Xml::new()
        .text("creationTime", iso8601(log.created_at))
        .opt("deliverLogsPermissionArn", log.role_arn.as_ref())
        .text("deliverLogsStatus", "SUCCESS")
        .text("flowLogId", id)
        .text("flowLogStatus", "ACTIVE")
        .opt("logGroupName", log.log_group_name.as_ref())
        .text("resourceId", &log.resource_id)
        .opt("trafficType", log.traffic_type.as_ref())
        .text("logDestinationType", &log.destination_type)
        .opt("logDestination", log.destination.as_ref())
        .text("logFormat", &log.format)
        .items("tagSet", tag::xml(&log.tags))
        .text("maxAggregationInterval", log.interval_s)
}

/// CreateFlowLogs: one for each resource.
pub fn create(world: &mut World, query: &Query) -> Answer {
    let ids = query.list("ResourceId");
    if ids.is_empty() {
        return Err(ApiError::missing("ResourceId"));
    }
    let kind = query.require("ResourceType")?;
    let destination_type = query.get("LogDestinationType").unwrap_or("cloud-watch-logs").to_owned();
    let (destination, group) = (query.get("LogDestination"), query.get("LogGroupName"));
    if destination.is_none() && group.is_none() {
        return Err(ApiError::missing("LogDestination"));
    }
    let interval_s = match query.int("MaxAggregationInterval")?.unwrap_or(600) {
        60 => 60,
        600 => 600,
        other => {
            return Err(ApiError::invalid_value(format!("Invalid value '{other}' for MaxAggregationInterval.")));
        }
    };
    let tags = tag::specified(query, "vpc-flow-log")?;
    for id in &ids {
        match kind {
            "VPC" => world.find::<Vpc>(id).map(|_| ())?,
            "Subnet" => world.find::<Subnet>(id).map(|_| ())?,
            "NetworkInterface" => world.find::<NetworkInterface>(id).map(|_| ())?,
            other => return Err(ApiError::invalid_value(format!("Value ({other}) for ResourceType is invalid."))),
        }
    }
    // CloudWatch's groups have ARNs, and either names the other.
    let log_group_name = group.map(str::to_owned).or_else(|| {
        let (_, name) = destination?.split_once(":log-group:")?;
        Some(name.trim_end_matches(":*").to_owned())
    });
    let in_group = log_group_name.as_ref().filter(|_| destination_type == "cloud-watch-logs");
    let arn = in_group.map(|name| format!("arn:aws:logs:{}:{}:log-group:{name}", world.region, world.account_id));
    let mut made = Vec::new();
    for id in ids {
        let flow_log_id = world.new_id("fl-");
        let log = FlowLog {
            resource_id: id.to_owned(),
            traffic_type: query.get("TrafficType").map(str::to_owned),
            destination_type: destination_type.clone(),
            destination: destination.map(str::to_owned).or_else(|| arn.clone()),
            log_group_name: log_group_name.clone(),
            role_arn: query.get("DeliverLogsPermissionArn").map(str::to_owned),
            format: query.get("LogFormat").unwrap_or(FORMAT).to_owned(),
            interval_s,
            created_at: world.now,
            tags: tags.clone(),
        };
        world.records.flow_logs.insert(flow_log_id.clone(), log);
        made.push(flow_log_id);
    }
    let answer = Xml::new().opt("clientToken", query.get("ClientToken")).values("flowLogIdSet", made);
    Ok(Body::Xml(answer.items("unsuccessful", [])))
}

/// DescribeFlowLogs. Its filters are in a field of another name than everywhere else.
pub fn describe_flow_logs(world: &World, query: &Query) -> Answer {
    let values = |id: &str, log: &FlowLog, name: &str| match name {
        "flow-log-id" => one(id),
        "resource-id" => one(&log.resource_id),
        "log-destination-type" => one(&log.destination_type),
        "log-group-name" => maybe(log.log_group_name.as_ref()),
        "traffic-type" => maybe(log.traffic_type.as_ref()),
        "deliver-log-status" => one("SUCCESS"),
        _ => None,
    };
    describe_kept(world, query, ("FlowLogId", "flowLogSet"), PageSize { min: 1, max: 1000 }, values, xml)
}

/// DeleteFlowLogs
pub fn delete(world: &mut World, query: &Query) -> Answer {
    let mut unsuccessful = Vec::new();
    for id in query.list("FlowLogId") {
        if world.records.flow_logs.remove(id).is_none() {
            let error = FlowLog::KIND.not_found(id);
            let fault = Xml::new().text("code", error.code).text("message", error.message);
            unsuccessful.push(Xml::new().text("resourceId", id).node("error", fault));
        }
    }
    Ok(Body::Xml(Xml::new().items("unsuccessful", unsuccessful)))
}
