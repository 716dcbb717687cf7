//! Snapshots of volumes, finished as soon as they are made.

use super::super::describe::{PageSize, one};
use super::super::kept::describe_kept;
use super::super::{Answer, iso8601, tag};
use crate::sandbox::wire::{ApiError, Body, Query, Xml};
use crate::sandbox::world::{Snapshot, Volume, World};

fn xml(world: &World, snapshot: &Snapshot) -> Xml {
    Xml::new()
        .text("snapshotId", &snapshot.snapshot_id)
        .text("volumeId", &snapshot.volume_id)
        .text("status", "completed")
        .text("startTime", iso8601(snapshot.started_at))
        .text("progress", "100%")
        .text("ownerId", &world.account_id)
        .text("volumeSize", snapshot.size_gib)
        .text("description", &snapshot.description)
        .text("encrypted", snapshot.encrypted)
        .opt("kmsKeyId", snapshot.kms_key_id.as_ref())
        .text("storageTier", "standard")
        .items("tagSet", tag::xml(&snapshot.tags))
}

/// CreateSnapshot
pub fn create(world: &mut World, query: &Query) -> Answer {
    let volume = world.kept::<Volume>(query.require("VolumeId")?)?.clone();
    let tags = tag::specified(query, "snapshot")?;
    let snapshot = Snapshot {
        snapshot_id: world.new_id("snap-"),
        volume_id: volume.volume_id,
        size_gib: volume.size_gib,
        description: query.get("Description").unwrap_or_default().to_owned(),
        encrypted: volume.encrypted,
        kms_key_id: volume.kms_key_id,
        started_at: world.now,
        tags,
    };
    let answer = xml(world, &snapshot);
    world.records.snapshots.insert(snapshot.snapshot_id.clone(), snapshot);
    Ok(Body::Xml(answer))
}

/// DescribeSnapshots: of this account. Those of public images are not listed.
pub fn describe_snapshots(world: &World, query: &Query) -> Answer {
    let values = |id: &str, snapshot: &Snapshot, name: &str| match name {
        "snapshot-id" => one(id),
        "volume-id" => one(&snapshot.volume_id),
        "volume-size" => one(snapshot.size_gib),
        "description" => one(&snapshot.description),
        "encrypted" => one(snapshot.encrypted),
        "owner-id" => one(&world.account_id),
        "status" => one("completed"),
        "progress" => one("100%"),
        "storage-tier" => one("standard"),
        "start-time" => one(iso8601(snapshot.started_at)),
        _ => None,
    };
    let owners = query.list("Owner");
    let foreign = !owners.is_empty() && !owners.iter().any(|o| *o == "self" || *o == world.account_id);
    if foreign {
        return Ok(Body::Xml(Xml::new().items("snapshotSet", [])));
    }
    let size = PageSize { min: 5, max: 1000 };
    describe_kept(world, query, ("SnapshotId", "snapshotSet"), size, values, |_, snapshot| xml(world, snapshot))
}

/// DeleteSnapshot: refused while an image stands on it.
pub fn delete(world: &mut World, query: &Query) -> Answer {
    let id = world.kept::<Snapshot>(query.require("SnapshotId")?)?.snapshot_id.clone();
    if let Some(image) = world.records.images.values().find(|image| image.snapshot_id == id) {
        return Err(ApiError::new(
            "InvalidSnapshot.InUse",
            format!("The snapshot {id} is currently in use by {}", image.image_id),
        ));
    }
    world.records.snapshots.remove(&id);
    super::super::done()
}
