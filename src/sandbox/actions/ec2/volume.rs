//! EBS volumes: those that instances begin with, and those that are made and attached later.

pub mod snapshot;

use super::describe::{Filters, PAGES, maybe, one, page};
use super::{Answer, catalog, iso8601, tag};
use crate::model::{Instance, InstanceState, Tags};
use crate::sandbox::wire::{ApiError, Body, Query, Xml};
use crate::sandbox::world::{Snapshot, Volume, VolumeModification, World};

/// The types, with the least and the greatest size in GiB and what a volume without wishes gets (EBS guide, "volume
/// types").
const TYPES: [(&str, u32, u32); 7] = [
    ("gp3", 1, 65_536),
    ("gp2", 1, 16_384),
    ("io1", 4, 16_384),
    ("io2", 4, 65_536),
    ("st1", 125, 16_384),
    ("sc1", 125, 16_384),
    ("standard", 1, 1024),
];

/// Size, type and speed of a volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Shape {
    pub(super) size_gib: u32,
    pub(super) volume_type: String,
    pub(super) iops: Option<u32>,
    pub(super) throughput: Option<u32>,
}

/// Reads a shape from the fields `VolumeSize` or `Size`, `VolumeType`, `Iops` and `Throughput`.
pub(super) fn shape(query: &Query, size: &str, default: &Shape) -> Result<Shape, ApiError> {
    let volume_type = query.get("VolumeType").filter(|kind| !kind.is_empty()).unwrap_or(&default.volume_type);
    let Some((_, least, most)) = TYPES.iter().find(|(name, ..)| *name == volume_type) else {
        return Err(ApiError::invalid_value(format!("Value ({volume_type}) for parameter volumeType is invalid.")));
    };
    let number = |name: &str| -> Result<Option<u32>, ApiError> {
        query
            .int(name)?
            .map(|n| {
                u32::try_from(n)
                    .map_err(|_| ApiError::invalid_value(format!("Value ({n}) for parameter {name} is invalid.")))
            })
            .transpose()
    };
    let size_gib = number(size)?.unwrap_or(default.size_gib);
    if !(*least..=*most).contains(&size_gib) {
        return Err(ApiError::invalid_value(format!(
            "Volume of {size_gib}GiB is invalid for volume type {volume_type}; it must be between {least} and {most}GiB."
        )));
    }
    let same = volume_type == default.volume_type;
    let iops = match volume_type {
        "gp3" => number("Iops")?.or(default.iops.filter(|_| same)).or(Some(3000)),
        "io1" | "io2" => Some(number("Iops")?.or(default.iops.filter(|_| same)).ok_or_else(|| {
            ApiError::new("MissingParameter", "The parameter iops must be specified for io1 and io2 volumes.")
        })?),
        "gp2" => Some((size_gib * 3).clamp(100, 16_000)),
        _ => None,
    };
    let throughput = match volume_type {
        "gp3" => number("Throughput")?.or(default.throughput.filter(|_| same)).or(Some(125)),
        _ => None,
    };
    Ok(Shape { size_gib, volume_type: volume_type.to_owned(), iops, throughput })
}

fn not_found(id: &str) -> ApiError {
    ApiError::new("InvalidVolume.NotFound", format!("The volume '{id}' does not exist."))
}

fn find<'a>(world: &'a World, id: &str) -> Result<&'a Volume, ApiError> {
    world.records.volumes.get(id).ok_or_else(|| not_found(id))
}

/// The volumes of an instance: its root volume first, then by device.
pub(super) fn of_instance<'a>(world: &'a World, instance: &Instance) -> Vec<&'a Volume> {
    let root = world.records.instances.get(&instance.instance_id).and_then(|record| record.root_volume_id.as_deref());
    let mut volumes: Vec<&Volume> = world
        .records
        .volumes
        .values()
        .filter(|volume| volume.attached_to.as_ref() == Some(&instance.instance_id))
        .collect();
    volumes.sort_by_key(|volume| (Some(volume.volume_id.as_str()) != root, volume.device.clone()));
    volumes
}

/// `blockDeviceMapping` of an instance.
pub(super) fn device_mapping(world: &World, instance: &Instance) -> Vec<Xml> {
    let mapping = |volume: &Volume| {
        let ebs = Xml::new()
            .text("volumeId", &volume.volume_id)
            .text("status", "attached")
            .text("attachTime", iso8601(volume.attached_at.unwrap_or(volume.created_at)))
            .text("deleteOnTermination", volume.delete_on_termination);
        Xml::new().text("deviceName", &volume.device).node("ebs", ebs)
    };
    of_instance(world, instance).into_iter().map(mapping).collect()
}

fn attachment(volume: &Volume, status: &str) -> Option<Xml> {
    volume.attached_to.as_ref().map(|instance_id| {
        Xml::new()
            .text("volumeId", &volume.volume_id)
            .text("instanceId", instance_id)
            .text("device", &volume.device)
            .text("status", status)
            .text("attachTime", iso8601(volume.attached_at.unwrap_or(volume.created_at)))
            .text("deleteOnTermination", volume.delete_on_termination)
    })
}

fn xml(volume: &Volume, status: &str) -> Xml {
    Xml::new()
        .text("volumeId", &volume.volume_id)
        .text("size", volume.size_gib)
        .text("snapshotId", volume.snapshot_id.as_deref().unwrap_or_default())
        .text("availabilityZone", &volume.availability_zone)
        .text("availabilityZoneId", catalog::zone_id(&volume.availability_zone))
        .text("status", status)
        .text("createTime", iso8601(volume.created_at))
        .items("attachmentSet", attachment(volume, "attached"))
        .items("tagSet", tag::xml(&volume.tags))
        .text("volumeType", &volume.volume_type)
        .opt("iops", volume.iops)
        .opt("throughput", volume.throughput)
        .text("encrypted", volume.encrypted)
        .opt("kmsKeyId", volume.kms_key_id.as_ref())
        .text("multiAttachEnabled", false)
}

/// The key that EBS encrypts with when none is named.
fn default_key(world: &World) -> String {
    format!("arn:aws:kms:{}:{}:key/7d0c7c39-6d3e-4b0f-9b0b-5a4d9c1e2f30", world.region, world.account_id)
}

/// The key of a request (an ARN, an alias or an identifier) as an ARN. `None`: not encrypted.
pub(super) fn key_of(world: &World, query: &Query, encrypted: bool) -> Option<String> {
    encrypted.then(|| match query.get("KmsKeyId").filter(|key| !key.is_empty()) {
        Some(arn) if arn.starts_with("arn:") => arn.to_owned(),
        None => default_key(world),
        Some(alias) if alias.starts_with("alias/") => default_key(world),
        Some(id) => format!("arn:aws:kms:{}:{}:key/{id}", world.region, world.account_id),
    })
}

/// CreateVolume: empty, or from a snapshot.
pub fn create(world: &mut World, query: &Query) -> Answer {
    if !query.has("AvailabilityZone") && !query.has("AvailabilityZoneId") {
        return Err(ApiError::missing("availabilityZone"));
    }
    let availability_zone = catalog::chosen_zone(world, query)?;
    let snapshot = query.get("SnapshotId").filter(|id| !id.is_empty());
    let snapshot = snapshot.map(|id| world.kept::<Snapshot>(id).cloned()).transpose()?;
    if query.int("Size")?.is_none() && snapshot.is_none() {
        return Err(ApiError::new("MissingParameter", "The request must contain the parameter size/snapshot"));
    }
    let size_gib = snapshot.as_ref().map_or(0, |snapshot| snapshot.size_gib);
    let default = Shape { size_gib, volume_type: "gp2".to_owned(), iops: None, throughput: None };
    let shape = shape(query, "Size", &default)?;
    if shape.size_gib < size_gib {
        return Err(ApiError::invalid_value(format!(
            "The volume must not be smaller than its snapshot, {size_gib}GiB."
        )));
    }
    let encrypted = query.bool("Encrypted")?.unwrap_or(false) || snapshot.as_ref().is_some_and(|s| s.encrypted);
    let key = key_of(world, query, encrypted);
    let tags = tag::specified(query, "volume")?;
    let mut volume = new(world, shape, availability_zone, key, tags);
    volume.snapshot_id = snapshot.map(|snapshot| snapshot.snapshot_id);
    let answer = xml(&volume, "creating");
    world.records.volumes.insert(volume.volume_id.clone(), volume);
    Ok(Body::Xml(answer))
}

/// A volume that is attached to nothing.
pub(super) fn new(
    world: &mut World,
    shape: Shape,
    availability_zone: String,
    kms_key_id: Option<String>,
    tags: Tags,
) -> Volume {
    Volume {
        volume_id: world.new_id("vol-"),
        size_gib: shape.size_gib,
        volume_type: shape.volume_type,
        iops: shape.iops,
        throughput: shape.throughput,
        encrypted: kms_key_id.is_some(),
        kms_key_id,
        availability_zone,
        created_at: world.now,
        attached_to: None,
        attached_at: None,
        device: String::new(),
        delete_on_termination: false,
        snapshot_id: None,
        modification: None,
        tags,
    }
}

/// AttachVolume
pub fn attach(world: &mut World, query: &Query) -> Answer {
    let device = query.require("Device")?.to_owned();
    let instance = world.find::<Instance>(query.require("InstanceId")?)?.clone();
    let id = query.require("VolumeId")?.to_owned();
    let volume = find(world, &id)?;
    if volume.attached_to.is_some() {
        return Err(ApiError::new("VolumeInUse", format!("{id} is already attached to an instance")));
    }
    if volume.availability_zone != instance.availability_zone {
        return Err(ApiError::new(
            "InvalidVolume.ZoneMismatch",
            format!("The volume '{id}' is not in the same availability zone as instance '{}'", instance.instance_id),
        ));
    }
    if !matches!(instance.state, InstanceState::Running | InstanceState::Stopped | InstanceState::Pending) {
        return Err(ApiError::new(
            "IncorrectState",
            format!("Instance '{}' is not 'running' or 'stopped'.", instance.instance_id),
        ));
    }
    if of_instance(world, &instance).iter().any(|other| other.device == device) {
        return Err(ApiError::invalid_value(format!(
            "Invalid value '{device}' for unixDevice. Attachment point {device} is already in use"
        )));
    }
    let now = world.now;
    let volume = world.records.volumes.get_mut(&id).ok_or_else(|| not_found(&id))?;
    volume.attached_to = Some(instance.instance_id);
    volume.attached_at = Some(now);
    volume.device = device;
    volume.delete_on_termination = false;
    Ok(Body::Xml(attachment(volume, "attaching").unwrap_or_default()))
}

/// DetachVolume: the root volume only of a stopped instance.
pub fn detach(world: &mut World, query: &Query) -> Answer {
    let id = query.require("VolumeId")?.to_owned();
    let volume = find(world, &id)?;
    let Some(instance_id) = volume.attached_to.clone() else {
        return Err(ApiError::new("IncorrectState", format!("Volume '{id}' is in the 'available' state.")));
    };
    if query.get("InstanceId").is_some_and(|asked| asked != instance_id.as_str()) {
        return Err(ApiError::new("InvalidAttachment.NotFound", format!("The volume '{id}' is not attached to it.")));
    }
    let is_root =
        world.records.instances.get(&instance_id).is_some_and(|record| record.root_volume_id.as_ref() == Some(&id));
    let stopped = world.get::<Instance>(&instance_id).is_some_and(|instance| instance.state == InstanceState::Stopped);
    if is_root && !stopped {
        return Err(ApiError::new(
            "OperationNotPermitted",
            format!("Unable to detach root volume '{id}' from instance '{instance_id}'"),
        ));
    }
    let volume = world.records.volumes.get_mut(&id).ok_or_else(|| not_found(&id))?;
    let answer = attachment(volume, "detaching").unwrap_or_default();
    volume.attached_to = None;
    volume.attached_at = None;
    volume.device = String::new();
    Ok(Body::Xml(answer))
}

/// DeleteVolume
pub fn delete(world: &mut World, query: &Query) -> Answer {
    let id = query.require("VolumeId")?;
    if let Some(instance_id) = &find(world, id)?.attached_to {
        return Err(ApiError::new("VolumeInUse", format!("Volume {id} is currently attached to {instance_id}")));
    }
    world.records.volumes.remove(id);
    super::done()
}

fn modification_xml(volume: &Volume, before: &VolumeModification, state: &str, progress: u32) -> Xml {
    Xml::new()
        .text("volumeId", &volume.volume_id)
        .text("modificationState", state)
        .text("targetSize", volume.size_gib)
        .opt("targetIops", volume.iops)
        .text("targetVolumeType", &volume.volume_type)
        .opt("targetThroughput", volume.throughput)
        .text("originalSize", before.size_gib)
        .opt("originalIops", before.iops)
        .text("originalVolumeType", &before.volume_type)
        .opt("originalThroughput", before.throughput)
        .text("progress", progress)
        .text("startTime", iso8601(before.at))
}

/// ModifyVolume: a volume grows and never shrinks.
pub fn modify(world: &mut World, query: &Query) -> Answer {
    let now = world.now;
    let id = query.require("VolumeId")?;
    let volume = world.records.volumes.get_mut(id).ok_or_else(|| not_found(id))?;
    let default = Shape {
        size_gib: volume.size_gib,
        volume_type: volume.volume_type.clone(),
        iops: volume.iops,
        throughput: volume.throughput,
    };
    let wanted = shape(query, "Size", &default)?;
    if wanted.size_gib < volume.size_gib {
        return Err(ApiError::invalid_value(format!(
            "New size cannot be smaller than existing size, which is {}GiB.",
            volume.size_gib
        )));
    }
    let before = VolumeModification {
        size_gib: default.size_gib,
        volume_type: default.volume_type,
        iops: default.iops,
        throughput: default.throughput,
        at: now,
    };
    volume.size_gib = wanted.size_gib;
    volume.volume_type = wanted.volume_type;
    volume.iops = wanted.iops;
    volume.throughput = wanted.throughput;
    let answer = modification_xml(volume, &before, "modifying", 0);
    volume.modification = Some(before);
    Ok(Body::Xml(Xml::new().node("volumeModification", answer)))
}

/// DescribeVolumesModifications: the latest of each volume, completed.
pub fn describe_modifications(world: &World, query: &Query) -> Answer {
    let filters = Filters::parse(query)?;
    let asked = query.list("VolumeId");
    for id in &asked {
        if find(world, id)?.modification.is_none() {
            return Err(ApiError::new(
                "InvalidVolumeModification.NotFound",
                format!("Modification for volume '{id}' does not exist."),
            ));
        }
    }
    let mut rows = Vec::new();
    for (id, volume) in &world.records.volumes {
        let Some(before) = &volume.modification else { continue };
        if !asked.is_empty() && !asked.contains(&id.as_str()) {
            continue;
        }
        let accepted = filters.accept(&Tags::default(), |name| match name {
            "volume-id" => one(id),
            "modification-state" => one("completed"),
            "target-size" => one(volume.size_gib),
            "original-size" => one(before.size_gib),
            _ => None,
        })?;
        if accepted {
            let row = modification_xml(volume, before, "completed", 100).text("endTime", iso8601(before.at));
            rows.push((id.clone(), row));
        }
    }
    let (page, token) = page(query, PAGES, rows)?;
    Ok(Body::Xml(Xml::new().items("volumeModificationSet", page).opt("nextToken", token)))
}

/// DescribeVolumes
pub fn describe_volumes(world: &World, query: &Query) -> Answer {
    let filters = Filters::parse(query)?;
    let asked = query.list("VolumeId");
    for id in &asked {
        find(world, id)?;
    }
    let mut rows = Vec::new();
    for (id, volume) in &world.records.volumes {
        if !asked.is_empty() && !asked.contains(&id.as_str()) {
            continue;
        }
        let accepted = filters.accept(&volume.tags, |name| match name {
            "volume-id" => one(id),
            "attachment.instance-id" => maybe(volume.attached_to.as_ref()),
            "attachment.device" => maybe(volume.attached_to.as_ref().map(|_| &volume.device)),
            "attachment.delete-on-termination" => one(volume.delete_on_termination),
            "availability-zone" => one(&volume.availability_zone),
            "encrypted" => one(volume.encrypted),
            "size" => one(volume.size_gib),
            "status" => one(volume.state().as_str()),
            "volume-type" => one(&volume.volume_type),
            "snapshot-id" => maybe(volume.snapshot_id.as_ref()),
            _ => None,
        })?;
        if accepted {
            rows.push((id.clone(), xml(volume, volume.state().as_str())));
        }
    }
    let (page, token) = page(query, PAGES, rows)?;
    Ok(Body::Xml(Xml::new().items("volumeSet", page).opt("nextToken", token)))
}

/// GetEbsEncryptionByDefault: off, as in a new account.
pub fn encryption_by_default() -> Answer {
    Ok(Body::Xml(Xml::new().text("ebsEncryptionByDefault", false).text("sseType", "none")))
}

/// GetEbsDefaultKmsKeyId
pub fn default_kms_key() -> Answer {
    Ok(Body::Xml(Xml::new().text("kmsKeyId", "alias/aws/ebs")))
}
