//! Single attributes of a network interface: the source/destination check above all.

use super::super::security_group::{self, group_set};
use super::super::{Answer, done};
use super::attachment_xml;
use crate::model::NetworkInterface;
use crate::sandbox::wire::{ApiError, Body, Query, Xml};
use crate::sandbox::world::World;

/// ModifyNetworkInterfaceAttribute: one attribute per request.
pub fn modify(world: &mut World, query: &Query) -> Answer {
    let interface = world.find::<NetworkInterface>(query.require("NetworkInterfaceId")?)?.clone();
    let id = interface.network_interface_id.as_str();
    let check = query.bool("SourceDestCheck.Value")?;
    let description = query.get("Description.Value");
    let groups = query.list("SecurityGroupId");
    let attachment = query.nested("Attachment");
    let count = [check.is_some(), description.is_some(), !groups.is_empty(), !attachment.is_empty()];
    match count.into_iter().filter(|given| *given).count() {
        1 => {}
        0 => return Err(ApiError::new("MissingParameter", "The request must contain one attribute to modify")),
        _ => {
            return Err(ApiError::new("InvalidParameterCombination", "Fields for multiple attribute types specified"));
        }
    }
    if interface.requester_managed {
        return Err(ApiError::new(
            "OperationNotPermitted",
            format!("You are not allowed to manage '{id}': it belongs to an AWS service."),
        ));
    }
    if let Some(value) = check {
        world.find_mut::<NetworkInterface>(id)?.source_dest_check = value;
    }
    if let Some(text) = description {
        world.find_mut::<NetworkInterface>(id)?.description = text.to_owned();
    }
    if !groups.is_empty() {
        let groups = security_group::chosen(world, &groups, &interface.vpc_id)?;
        world.find_mut::<NetworkInterface>(id)?.security_group_ids = groups;
    }
    if !attachment.is_empty() {
        let wanted = attachment.require("AttachmentId")?;
        let delete = attachment.bool("DeleteOnTermination")?.ok_or_else(|| ApiError::missing("deleteOnTermination"))?;
        let stored = world.find_mut::<NetworkInterface>(id)?.attachment.as_mut();
        let stored = stored.filter(|attachment| attachment.attachment_id.as_str() == wanted).ok_or_else(|| {
            ApiError::new(
                "InvalidAttachmentID.NotFound",
                format!("The attachment ID '{wanted}' does not belong to interface '{id}'"),
            )
        })?;
        stored.delete_on_termination = delete;
    }
    done()
}

/// DescribeNetworkInterfaceAttribute
pub fn describe_attribute(world: &World, query: &Query) -> Answer {
    let id = query.require("NetworkInterfaceId")?;
    world.find::<NetworkInterface>(id)?;
    let answer = Xml::new().text("networkInterfaceId", id);
    let Some(interface) = world.seen().network_interfaces.shown().get(id) else { return Ok(Body::Xml(answer)) };
    let answer = match query.require("Attribute")? {
        "description" => answer.node("description", Xml::new().text("value", &interface.description)),
        "groupSet" => answer.items("groupSet", group_set(world, &interface.security_group_ids)),
        "sourceDestCheck" => answer.node("sourceDestCheck", Xml::new().text("value", interface.source_dest_check)),
        "attachment" => answer.opt_node("attachment", attachment_xml(world, interface)),
        other => {
            return Err(ApiError::invalid_value(format!("Value ({other}) for parameter attribute is invalid.")));
        }
    };
    Ok(Body::Xml(answer))
}
