//! Attaching interfaces to instances, and taking them off again.

use super::super::instance::types::instance_type;
use super::super::{Answer, done};
use crate::model::{AttachmentId, Instance, InstanceState, InterfaceAttachment, InterfaceStatus, NetworkInterface};
use crate::sandbox::wire::{ApiError, Body, Query, Xml};
use crate::sandbox::world::{Event, World};

/// AttachNetworkInterface: same zone, a free device index, and as many as the instance type has room for.
pub fn attach(world: &mut World, query: &Query) -> Answer {
    let interface = world.find::<NetworkInterface>(query.require("NetworkInterfaceId")?)?.clone();
    let instance = world.find::<Instance>(query.require("InstanceId")?)?.clone();
    let (interface_id, instance_id) = (&interface.network_interface_id, &instance.instance_id);
    let device_index = query.int("DeviceIndex")?.ok_or_else(|| ApiError::missing("deviceIndex"))?;
    let device_index = u32::try_from(device_index)
        .map_err(|_| ApiError::invalid_value(format!("Invalid value '{device_index}' for deviceIndex.")))?;
    if interface.attachment.is_some() || interface.status != InterfaceStatus::Available {
        let holder = interface.instance_id().map(|id| format!(" by instance '{id}'")).unwrap_or_default();
        return Err(ApiError::new(
            "InvalidNetworkInterface.InUse",
            format!("Interface: '{interface_id}' in use{holder}."),
        ));
    }
    if !matches!(instance.state, InstanceState::Running | InstanceState::Stopped) {
        return Err(ApiError::new(
            "IncorrectState",
            format!("The instance '{instance_id}' is not in a valid state for this operation: {}.", instance.state),
        ));
    }
    if instance.vpc_id.as_ref() != Some(&interface.vpc_id) {
        return Err(ApiError::invalid_value(format!(
            "You may not attach a network interface to an instance if they are not in the same VPC: '{interface_id}' \
             and '{instance_id}'"
        )));
    }
    if instance.availability_zone != interface.availability_zone {
        return Err(ApiError::invalid_value(
            "You may not attach a network interface to an instance if they are not in the same availability zone",
        ));
    }
    let attached: Vec<u32> = world
        .all::<NetworkInterface>()
        .filter(|other| other.instance_id() == Some(instance_id))
        .filter_map(|other| other.attachment.as_ref().map(|attachment| attachment.device_index))
        .collect();
    if attached.contains(&device_index) {
        return Err(ApiError::invalid_value(format!(
            "Instance '{instance_id}' already has an interface attached at device index '{device_index}'."
        )));
    }
    let limit = instance_type(&instance.instance_type).map_or(2, |kind| kind.max_interfaces);
    if attached.len() >= limit {
        return Err(ApiError::new(
            "AttachmentLimitExceeded",
            format!("Interface count {} exceeds the limit for {}", attached.len() + 1, instance.instance_type),
        ));
    }
    let attachment_id = AttachmentId::new(world.new_id("eni-attach-"));
    let now = world.now;
    if let Some(record) = world.records.interfaces.get_mut(interface_id) {
        record.attached_at = Some(now);
    }
    let stored = world.find_mut::<NetworkInterface>(interface_id.as_str())?;
    stored.status = InterfaceStatus::Attaching;
    stored.attachment = Some(InterfaceAttachment {
        attachment_id: attachment_id.clone(),
        instance_id: Some(instance_id.clone()),
        device_index,
        status: "attaching".to_owned(),
        delete_on_termination: false,
    });
    world.schedule(world.delays.attach, Event::InterfaceAttached(interface_id.clone()));
    Ok(Body::Xml(Xml::new().text("attachmentId", attachment_id).text("networkCardIndex", 0)))
}

/// DetachNetworkInterface: never the primary one.
pub fn detach(world: &mut World, query: &Query) -> Answer {
    let id = query.require("AttachmentId")?;
    if id.parse::<AttachmentId>().is_err() {
        return Err(ApiError::new(
            "InvalidNetworkInterfaceAttachmentId.Malformed",
            format!("Invalid id: \"{id}\" (expecting \"eni-attach-...\")"),
        ));
    }
    let found = world.all::<NetworkInterface>().find_map(|interface| {
        let attachment = interface.attachment.as_ref().filter(|a| a.attachment_id.as_str() == id)?;
        Some((interface.network_interface_id.clone(), attachment.clone(), interface.requester_managed))
    });
    let missing = || ApiError::new("InvalidAttachmentID.NotFound", format!("The attachment ID '{id}' does not exist"));
    let (interface_id, attachment, managed) = found.ok_or_else(missing)?;
    if managed {
        return Err(ApiError::new(
            "OperationNotPermitted",
            format!("You are not allowed to manage '{id}': it belongs to an AWS service."),
        ));
    }
    if attachment.device_index == 0 {
        return Err(ApiError::new(
            "OperationNotPermitted",
            "The network interface at device index 0 cannot be detached.",
        ));
    }
    if attachment.status == "detaching" {
        return done();
    }
    let stored = world.find_mut::<NetworkInterface>(interface_id.as_str())?;
    stored.status = InterfaceStatus::Detaching;
    if let Some(attachment) = &mut stored.attachment {
        attachment.status = "detaching".to_owned();
    }
    world.schedule(world.delays.detach, Event::InterfaceDetached(interface_id));
    done()
}
