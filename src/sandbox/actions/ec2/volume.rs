//! Root volumes, as far as they are looked at.

use super::describe::{Filters, PAGES, maybe, one, page};
use super::{Answer, iso8601, tag};
use crate::sandbox::wire::{ApiError, Body, Query, Xml};
use crate::sandbox::world::{Volume, World};

fn xml(volume: &Volume) -> Xml {
    let attachment = volume.attached_to.as_ref().map(|instance_id| {
        Xml::new()
            .text("volumeId", &volume.volume_id)
            .text("instanceId", instance_id)
            .text("device", &volume.device)
            .text("status", "attached")
            .text("attachTime", iso8601(volume.created_at))
            .text("deleteOnTermination", volume.delete_on_termination)
    });
    Xml::new()
        .text("volumeId", &volume.volume_id)
        .text("size", volume.size_gib)
        .opt("snapshotId", volume.snapshot_id.as_ref())
        .text("availabilityZone", &volume.availability_zone)
        .text("status", volume.state().as_str())
        .text("createTime", iso8601(volume.created_at))
        .items("attachmentSet", attachment)
        .items("tagSet", tag::xml(&volume.tags))
        .text("volumeType", &volume.volume_type)
        .opt("iops", (volume.volume_type == "gp3").then_some(3000))
        .opt("throughput", (volume.volume_type == "gp3").then_some(125))
        .text("encrypted", volume.encrypted)
        .text("multiAttachEnabled", false)
}

/// DescribeVolumes
pub fn describe_volumes(world: &World, query: &Query) -> Answer {
    let filters = Filters::parse(query)?;
    let asked = query.list("VolumeId");
    for id in &asked {
        if !world.records.volumes.contains_key(*id) {
            return Err(ApiError::new("InvalidVolume.NotFound", format!("The volume '{id}' does not exist.")));
        }
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
            rows.push((id.clone(), xml(volume)));
        }
    }
    let (page, token) = page(query, PAGES, rows)?;
    Ok(Body::Xml(Xml::new().items("volumeSet", page).opt("nextToken", token)))
}
