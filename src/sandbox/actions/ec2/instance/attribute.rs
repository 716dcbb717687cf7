//! Single attributes of an instance.

use super::super::route::several_interfaces;
use super::super::volume;
use super::super::{Answer, done, security_group};
use super::launch::check_user_data;
use super::run::groups;
use super::types::instance_type;
use crate::model::{Instance, InstanceState, NetworkInterface};
use crate::sandbox::wire::{ApiError, Body, Query, Xml};
use crate::sandbox::world::World;

/// DescribeInstanceAttribute
pub fn describe_attribute(world: &World, query: &Query) -> Answer {
    let id = query.require("InstanceId")?;
    let instance = world.find::<Instance>(id)?;
    let record = world.records.instances.get(&instance.instance_id);
    let answer = Xml::new().text("instanceId", id);
    let value = |value: &dyn std::fmt::Display| Xml::new().text("value", value);
    let attribute = query.require("Attribute")?;
    let answer = match attribute {
        "instanceType" => answer.node("instanceType", value(&instance.instance_type)),
        "userData" => {
            let data = record.and_then(|record| record.user_data.as_ref());
            answer.node("userData", Xml::new().opt("value", data))
        }
        "disableApiTermination" => {
            answer.node("disableApiTermination", value(&record.is_some_and(|record| record.disable_api_termination)))
        }
        "disableApiStop" => answer.node("disableApiStop", value(&record.is_some_and(|record| record.disable_api_stop))),
        "instanceInitiatedShutdownBehavior" => {
            let behavior = record.map_or("stop", |record| record.shutdown_behavior.as_str());
            answer.node("instanceInitiatedShutdownBehavior", value(&behavior))
        }
        "ebsOptimized" => answer.node("ebsOptimized", value(&record.is_some_and(|record| record.ebs_optimized))),
        "enaSupport" => answer.node("enaSupport", value(&true)),
        "rootDeviceName" => answer.node("rootDeviceName", value(&"/dev/xvda")),
        "enclaveOptions" => {
            let enclave = record.is_some_and(|record| record.options.enclave);
            answer.node("enclaveOptions", Xml::new().text("enabled", enclave))
        }
        "groupSet" => answer.items("groupSet", groups(world, instance)),
        "productCodes" => answer.items("productCodes", []),
        "sourceDestCheck" => match instance.network_interface_ids.as_slice() {
            [only] => {
                let check = world.get::<NetworkInterface>(only).is_some_and(|interface| interface.source_dest_check);
                answer.node("sourceDestCheck", value(&check))
            }
            _ => return Err(several_interfaces(id)),
        },
        "blockDeviceMapping" => answer.items("blockDeviceMapping", volume::device_mapping(world, instance)),
        "kernel" | "ramdisk" | "sriovNetSupport" => answer.node(attribute, Xml::new()),
        other => {
            return Err(ApiError::invalid_value(format!(
                "Value ({other}) for parameter attribute is invalid. Unknown attribute."
            )));
        }
    };
    Ok(Body::Xml(answer))
}

/// ModifyInstanceAttribute: one attribute per request, in either of its two spellings.
pub fn modify(world: &mut World, query: &Query) -> Answer {
    let instance = world.find::<Instance>(query.require("InstanceId")?)?.clone();
    let id = instance.instance_id.clone();
    if matches!(instance.state, InstanceState::ShuttingDown | InstanceState::Terminated) {
        return Err(ApiError::new(
            "IncorrectInstanceState",
            format!("The instance '{id}' is in state '{}' and cannot be modified.", instance.state),
        ));
    }
    // The older spelling names the attribute and gives its value apart.
    let older = query.get("Attribute").map(|name| {
        let mut letters = name.chars();
        let upper = letters.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(letters);
        let key = format!("{}.Value", upper.collect::<String>());
        [(key, query.get("Value").unwrap_or_default().to_owned())].into_iter().collect::<Query>()
    });
    let query = older.as_ref().unwrap_or(query);
    let stopped = |what: &str| {
        if instance.state == InstanceState::Stopped {
            return Ok(());
        }
        Err(ApiError::new(
            "IncorrectInstanceState",
            format!("The instance '{id}' is not in the 'stopped' state, which changing its {what} needs."),
        ))
    };
    if let Some(check) = query.bool("SourceDestCheck.Value")? {
        let [only] = instance.network_interface_ids.as_slice() else {
            return Err(several_interfaces(id.as_str()));
        };
        if let Some(interface) = world.get_mut::<NetworkInterface>(only) {
            interface.source_dest_check = check;
        }
        return done();
    }
    let groups = query.list("GroupId");
    if !groups.is_empty() {
        let [only] = instance.network_interface_ids.as_slice() else {
            return Err(several_interfaces(id.as_str()));
        };
        let Some(vpc_id) = &instance.vpc_id else { return Err(ApiError::invalid_value("The instance has no VPC")) };
        let groups = security_group::chosen(world, &groups, vpc_id)?;
        if let Some(interface) = world.get_mut::<NetworkInterface>(only) {
            interface.security_group_ids = groups;
        }
        return done();
    }
    let mappings = query.structs("BlockDeviceMapping");
    if !mappings.is_empty() {
        for mapping in mappings {
            let device = mapping.require("DeviceName")?;
            let volumes = world.records.volumes.values_mut();
            let here = volumes.into_iter().find(|v| v.attached_to.as_ref() == Some(&id) && v.device == device);
            let volume = here.ok_or_else(|| {
                ApiError::new("InvalidInstanceAttributeValue", format!("No device is currently mapped at {device}"))
            })?;
            if let Some(delete) = mapping.bool("Ebs.DeleteOnTermination")? {
                volume.delete_on_termination = delete;
            }
        }
        return done();
    }
    if let Some(name) = query.get("InstanceType.Value").or_else(|| query.get("InstanceType")) {
        stopped("instance type")?;
        let kind = instance_type(name)
            .ok_or_else(|| ApiError::invalid_value(format!("Invalid value '{name}' for InstanceType.")))?;
        if kind.architecture != instance.architecture {
            return Err(ApiError::invalid_value(format!(
                "The instance type '{name}' is not of the architecture '{}' of the instance.",
                instance.architecture
            )));
        }
        world.find_mut::<Instance>(id.as_str())?.instance_type = name.to_owned();
        return done();
    }
    let user_data = query.get("UserData.Value").map(str::to_owned);
    if let Some(data) = &user_data {
        stopped("user data")?;
        check_user_data(data)?;
    }
    let Some(record) = world.records.instances.get_mut(&id) else { return done() };
    if let Some(data) = user_data {
        record.user_data = Some(data);
    } else if let Some(value) = query.bool("DisableApiTermination.Value")? {
        record.disable_api_termination = value;
    } else if let Some(value) = query.bool("DisableApiStop.Value")? {
        record.disable_api_stop = value;
    } else if let Some(value) = query.bool("EbsOptimized.Value")? {
        record.ebs_optimized = value;
    } else if let Some(value) = query.get("InstanceInitiatedShutdownBehavior.Value") {
        if !matches!(value, "stop" | "terminate") {
            return Err(ApiError::invalid_value(format!(
                "Value ({value}) for parameter instanceInitiatedShutdownBehavior is invalid."
            )));
        }
        record.shutdown_behavior = value.to_owned();
    } else {
        return Err(ApiError::new(
            "InvalidParameterCombination",
            "No attributes specified, or one that the sandbox does not simulate.",
        ));
    }
    done()
}
