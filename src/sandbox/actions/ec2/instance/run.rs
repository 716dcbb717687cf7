//! RunInstances.

use super::super::launch_template;
use super::super::network_interface::{NewInterface, address_wishes, make};
use super::super::security_group::group_set;
use super::super::{Answer, tag, volume};
use super::describe::instance_xml;
use super::launch::{self, Launch};
use crate::model::{
    AttachmentId, ImageId, Instance, InstanceId, InstanceState, InterfaceAssociation, InterfaceAttachment,
    InterfaceStatus, NetworkInterface, NetworkInterfaceId, StatusCheck, Tags,
};
use crate::sandbox::wire::{ApiError, Body, Query, Xml};
use crate::sandbox::world::{Event, InstanceRecord, ProfileAssociation, World};

/// RunInstances: all interfaces and volumes at once, the boot a little later.
pub fn run(world: &mut World, query: &Query) -> Answer {
    let (query, template_tags) = launch_template::resolve(world, query)?;
    let mut launch = launch::parse(world, &query)?;
    launch.instance_tags.0.extend(template_tags.unwrap_or_default().0);
    let count = room(world, &launch)?;
    let reservation_id = world.new_id("r-");
    let client_token = query.get("ClientToken").unwrap_or_default().to_owned();
    let mut ids = Vec::new();
    for index in 0..count {
        match run_one(world, &launch, &reservation_id, &client_token, index) {
            Ok(id) => ids.push(id),
            Err(error) => {
                for id in &ids {
                    discard(world, id);
                }
                return Err(error);
            }
        }
    }
    for id in &ids {
        world.schedule(world.delays.run, Event::InstanceRunning(id.clone()));
    }
    let instances = ids.iter().filter_map(|id| world.get::<Instance>(id)).map(|i| instance_xml(world, i));
    let answer = Xml::new()
        .text("reservationId", &reservation_id)
        .text("ownerId", &world.account_id)
        .items("groupSet", [])
        .items("instancesSet", instances);
    Ok(Body::Xml(answer))
}

/// How many instances the subnets have addresses for, between what was asked for at least and at most.
fn room(world: &World, launch: &Launch) -> Result<usize, ApiError> {
    let mut count = launch.max_count;
    for spec in launch.interfaces.iter().filter(|spec| spec.existing.is_none()) {
        let same = launch.interfaces.iter().filter(|other| other.subnet.subnet_id == spec.subnet.subnet_id);
        let needed = same.filter(|other| other.existing.is_none()).count().max(1);
        let free = super::super::network_interface::free_addresses(world, &spec.subnet);
        count = count.min(usize::try_from(free).unwrap_or(usize::MAX) / needed);
    }
    if count < launch.min_count {
        return Err(ApiError::new(
            "InsufficientFreeAddressesInSubnet",
            "There are not enough free addresses in the subnet to satisfy the requested number of instances.",
        ));
    }
    Ok(count)
}

/// Takes back an instance of a request that failed half-way.
fn discard(world: &mut World, id: &InstanceId) {
    let Some(instance) = world.remove::<Instance>(id) else { return };
    for interface_id in &instance.network_interface_ids {
        world.drop_interface(interface_id);
    }
    world.records.instances.remove(id);
    world.records.volumes.retain(|_, volume| volume.attached_to.as_ref() != Some(id));
}

fn run_one(
    world: &mut World,
    launch: &Launch,
    reservation_id: &str,
    client_token: &str,
    index: usize,
) -> Result<InstanceId, ApiError> {
    let instance_id = InstanceId::new(world.new_id("i-"));
    let mut made: Vec<NetworkInterfaceId> = Vec::new();
    let mut attached: Vec<NetworkInterfaceId> = Vec::new();
    for spec in &launch.interfaces {
        let id = match &spec.existing {
            Some(id) => id.clone(),
            None => {
                let wishes = address_wishes(&spec.addresses)?;
                let new = NewInterface {
                    subnet: spec.subnet.clone(),
                    wishes,
                    groups: spec.groups.clone(),
                    description: spec.description.clone(),
                    interface_type: "interface",
                    requester_id: None,
                    tags: launch.interface_tags.clone(),
                };
                match make(world, new) {
                    Ok(id) => {
                        made.push(id.clone());
                        id
                    }
                    Err(error) => {
                        for id in &made {
                            world.drop_interface(id);
                        }
                        return Err(error);
                    }
                }
            }
        };
        attach(world, &id, &instance_id, spec);
        attached.push(id);
    }
    let root_volume_id = make_volumes(world, launch, &instance_id);
    let primary = attached.first().and_then(|id| world.get::<NetworkInterface>(id)).cloned();
    let instance = Instance {
        instance_id: instance_id.clone(),
        vpc_id: primary.as_ref().map(|interface| interface.vpc_id.clone()),
        subnet_id: primary.as_ref().map(|interface| interface.subnet_id.clone()),
        availability_zone: primary.as_ref().map(|interface| interface.availability_zone.clone()).unwrap_or_default(),
        state: InstanceState::Pending,
        instance_type: launch.kind.name.to_owned(),
        image_id: ImageId::new(launch.image.image_id.clone()),
        architecture: launch.image.architecture.clone(),
        private_ip: primary.as_ref().and_then(|interface| interface.private_ip),
        public_ip: primary.as_ref().and_then(NetworkInterface::public_ip),
        network_interface_ids: attached,
        security_group_ids: primary.map(|interface| interface.security_group_ids).unwrap_or_default(),
        instance_profile_arn: launch.profile.as_ref().map(|(arn, _)| arn.clone()),
        key_name: launch.key_name.clone(),
        http_tokens: Some(launch.http_tokens.clone()),
        http_endpoint: Some(launch.http_endpoint.clone()),
        launch_time: Some(world.now),
        system_status: Some(StatusCheck::Initializing),
        instance_status: Some(StatusCheck::Initializing),
        cpu_credits: None,
        state_reason: None,
        tags: launch.instance_tags.clone(),
    };
    let profile = launch.profile.as_ref().map(|(_, id)| ProfileAssociation {
        association_id: world.new_id("iip-assoc-"),
        profile_id: id.clone(),
        since: world.now,
    });
    let record = InstanceRecord {
        reservation_id: reservation_id.to_owned(),
        launch_index: u32::try_from(index).unwrap_or_default(),
        user_data: launch.user_data.clone(),
        client_token: client_token.to_owned(),
        profile,
        http_endpoint: launch.http_endpoint.clone(),
        http_put_response_hop_limit: launch.hop_limit,
        instance_metadata_tags: launch.metadata_tags.clone(),
        monitoring: launch.monitoring,
        ebs_optimized: launch.ebs_optimized,
        disable_api_termination: launch.disable_api_termination,
        disable_api_stop: launch.disable_api_stop,
        shutdown_behavior: launch.shutdown_behavior.clone(),
        cpu_credits: launch.cpu_credits.clone(),
        transition_reason: String::new(),
        state_reason_code: None,
        root_volume_id,
        options: launch.options.clone(),
        booted_at: None,
    };
    world.records.instances.insert(instance_id.clone(), record);
    world.insert(instance);
    Ok(instance_id)
}

fn attach(world: &mut World, id: &NetworkInterfaceId, instance_id: &InstanceId, spec: &launch::InterfaceSpec) {
    let attachment_id = AttachmentId::new(world.new_id("eni-attach-"));
    let public_ip = spec.public_ip.then(|| world.new_public_ip());
    let now = world.now;
    if let Some(record) = world.records.interfaces.get_mut(id) {
        record.attached_at = Some(now);
        record.auto_public_ip = spec.public_ip;
    }
    if let Some(interface) = world.get_mut::<NetworkInterface>(id) {
        interface.status = InterfaceStatus::InUse;
        interface.attachment = Some(InterfaceAttachment {
            attachment_id,
            instance_id: Some(instance_id.clone()),
            device_index: spec.device_index,
            status: "attaching".to_owned(),
            delete_on_termination: spec.delete_on_termination,
        });
        if let Some(public_ip) = public_ip {
            interface.association = Some(InterfaceAssociation { public_ip, allocation_id: None, association_id: None });
        }
    }
}

/// Makes and attaches the volumes. The identifier of the root volume.
fn make_volumes(world: &mut World, launch: &Launch, instance_id: &InstanceId) -> Option<String> {
    let zone = launch.interfaces.first().map(|spec| spec.subnet.availability_zone.clone()).unwrap_or_default();
    let mut root = None;
    for spec in &launch.volumes {
        let mut volume =
            volume::new(world, spec.shape.clone(), zone.clone(), spec.kms_key_id.clone(), launch.volume_tags.clone());
        volume.attached_to = Some(instance_id.clone());
        volume.attached_at = Some(world.now);
        volume.device.clone_from(&spec.device);
        volume.delete_on_termination = spec.delete_on_termination;
        volume.snapshot_id.clone_from(&spec.snapshot_id);
        if spec.device == launch.image.root_device_name {
            volume.snapshot_id = Some(launch.image.snapshot_id.clone());
            root = Some(volume.volume_id.clone());
        }
        world.records.volumes.insert(volume.volume_id.clone(), volume);
    }
    root
}

/// Tags of an instance, for answers.
pub(super) fn tag_set(tags: &Tags) -> Vec<Xml> {
    tag::xml(tags).collect()
}

/// Groups of an instance: those of its primary interface.
pub(super) fn groups(world: &World, instance: &Instance) -> Vec<Xml> {
    group_set(world, &instance.security_group_ids).collect()
}
