//! Machine images: public ones as constants (Amazon Linux, and fck-nat's, which NAT modules use), and DescribeImages.

use std::time::Duration;

use jiff::Timestamp;

use super::describe::{Filters, PAGES, maybe, one, page};
use super::{Answer, iso8601};
use crate::model::Tags;
use crate::sandbox::wire::{ApiError, Body, Query, Xml};
use crate::sandbox::world::{Image, World};

/// The account that owns Amazon Linux.
const AMAZON: &str = "137112412989";

/// The account that publishes fck-nat.
const FCK_NAT: &str = "568608671756";

/// Which system an image holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    AmazonLinux2023,
    AmazonLinux2,
    /// fck-nat: Amazon Linux 2023 with a service that makes it a NAT at each boot. Not Amazon's.
    FckNat,
}

/// One of the public images.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PublicImage {
    pub image_id: &'static str,
    pub name: &'static str,
    pub description: &'static str,
    pub architecture: &'static str,
    pub family: Family,
    pub creation_date: &'static str,
    /// When DescribeImages stops showing it to others. `None`: the newest of its line, which is never outdated.
    pub deprecation_time: Option<&'static str>,
    /// The last parts of the public SSM parameters below `/aws/service/ami-amazon-linux-latest/` that resolve to it.
    pub parameters: &'static [&'static str],
}

/// The images, with identifiers of the sandbox's own. SSM's public parameters resolve to Amazon's.
pub const IMAGES: &[PublicImage] = &[
    PublicImage {
        image_id: "ami-0a23d5f1c8e94b701",
        name: "al2023-ami-2023.9.20251027.0-kernel-6.1-arm64",
        description: "Amazon Linux 2023 AMI 2023.9.20251027.0 arm64 HVM kernel-6.1",
        architecture: "arm64",
        family: Family::AmazonLinux2023,
        creation_date: "2025-10-24T22:14:35.000Z",
        deprecation_time: None,
        parameters: &["al2023-ami-kernel-default-arm64", "al2023-ami-kernel-6.1-arm64"],
    },
    PublicImage {
        image_id: "ami-0a23d5f1c8e94b786",
        name: "al2023-ami-2023.9.20251027.0-kernel-6.1-x86_64",
        description: "Amazon Linux 2023 AMI 2023.9.20251027.0 x86_64 HVM kernel-6.1",
        architecture: "x86_64",
        family: Family::AmazonLinux2023,
        creation_date: "2025-10-24T22:14:41.000Z",
        deprecation_time: None,
        parameters: &["al2023-ami-kernel-default-x86_64", "al2023-ami-kernel-6.1-x86_64"],
    },
    PublicImage {
        image_id: "ami-0a2c6e0d94b17f301",
        name: "amzn2-ami-hvm-2.0.20230628.0-arm64-gp2",
        description: "Amazon Linux 2 AMI 2.0.20230628.0 arm64 HVM gp2",
        architecture: "arm64",
        family: Family::AmazonLinux2,
        creation_date: "2023-06-29T20:03:12.000Z",
        deprecation_time: Some("2025-06-29T20:03:12.000Z"),
        parameters: &[],
    },
    PublicImage {
        image_id: "ami-0a2c6e0d94b17f386",
        name: "amzn2-ami-hvm-2.0.20230628.0-x86_64-gp2",
        description: "Amazon Linux 2 AMI 2.0.20230628.0 x86_64 HVM gp2",
        architecture: "x86_64",
        family: Family::AmazonLinux2,
        creation_date: "2023-06-29T20:03:18.000Z",
        deprecation_time: Some("2025-06-29T20:03:18.000Z"),
        parameters: &[],
    },
    PublicImage {
        image_id: "ami-0a2c6e0d94b260601",
        name: "amzn2-ami-hvm-2.0.20260601.0-arm64-gp2",
        description: "Amazon Linux 2 AMI 2.0.20260601.0 arm64 HVM gp2",
        architecture: "arm64",
        family: Family::AmazonLinux2,
        creation_date: "2026-06-02T19:40:05.000Z",
        deprecation_time: Some("2028-06-02T19:40:05.000Z"),
        parameters: &["amzn2-ami-hvm-arm64-gp2"],
    },
    PublicImage {
        image_id: "ami-0a2c6e0d94b260686",
        name: "amzn2-ami-hvm-2.0.20260601.0-x86_64-gp2",
        description: "Amazon Linux 2 AMI 2.0.20260601.0 x86_64 HVM gp2",
        architecture: "x86_64",
        family: Family::AmazonLinux2,
        creation_date: "2026-06-02T19:40:11.000Z",
        deprecation_time: Some("2028-06-02T19:40:11.000Z"),
        parameters: &["amzn2-ami-hvm-x86_64-gp2"],
    },
    PublicImage {
        image_id: "ami-0f2c64a7b31d95e01",
        name: "fck-nat-al2023-hvm-1.4.0-20251020-arm64-ebs",
        description: "",
        architecture: "arm64",
        family: Family::FckNat,
        creation_date: "2025-10-20T14:02:11.000Z",
        deprecation_time: None,
        parameters: &[],
    },
    PublicImage {
        image_id: "ami-0f2c64a7b31d95e86",
        name: "fck-nat-al2023-hvm-1.4.0-20251020-x86_64-ebs",
        description: "",
        architecture: "x86_64",
        family: Family::FckNat,
        creation_date: "2025-10-20T14:02:17.000Z",
        deprecation_time: None,
        parameters: &[],
    },
];

fn public(image: &PublicImage, now: Timestamp) -> Image {
    // The newest of a line is replaced every few weeks; AWS gives it about three months to live.
    let later = now.saturating_add(Duration::from_secs(90 * 24 * 3600)).unwrap_or(Timestamp::MAX);
    let of_amazon = image.family != Family::FckNat;
    let modern = image.family != Family::AmazonLinux2;
    Image {
        image_id: image.image_id.to_owned(),
        name: image.name.to_owned(),
        description: image.description.to_owned(),
        architecture: image.architecture.to_owned(),
        owner_id: if of_amazon { AMAZON } else { FCK_NAT }.to_owned(),
        owner_alias: of_amazon.then(|| "amazon".to_owned()),
        creation_date: image.creation_date.to_owned(),
        deprecation_time: image.deprecation_time.map_or_else(|| iso8601(later), str::to_owned),
        public: true,
        root_device_name: "/dev/xvda".to_owned(),
        snapshot_id: image.image_id.replace("ami-", "snap-"),
        volume_size_gib: if of_amazon { 8 } else { 2 },
        volume_type: if modern { "gp3" } else { "gp2" }.to_owned(),
        imds_support: modern.then(|| "v2.0".to_owned()),
        tags: Tags::default(),
    }
}

fn all(world: &World) -> impl Iterator<Item = Image> + '_ {
    let own = world.records.images.values().cloned();
    IMAGES
        .iter()
        .map(|image| public(image, world.now))
        .filter(|i| !world.records.images.contains_key(&i.image_id))
        .chain(own)
}

/// Where AWS publishes the newest Amazon Linux images.
pub const IMAGES_PATH: &str = "/aws/service/ami-amazon-linux-latest";

/// The image behind one of AWS's public SSM parameters.
pub fn by_parameter(name: &str) -> Option<&'static PublicImage> {
    let last = name.strip_prefix(IMAGES_PATH)?.strip_prefix('/')?;
    IMAGES.iter().find(|image| image.parameters.contains(&last))
}

/// An image that can be launched: deprecated ones can.
pub(super) fn find_image(world: &World, id: &str) -> Result<Image, ApiError> {
    if let Some(name) = id.strip_prefix("resolve:ssm:") {
        let found = by_parameter(name).ok_or_else(|| {
            ApiError::new("InvalidParameterValue", format!("Parameter {name} could not be resolved to an image."))
        })?;
        return find_image(world, found.image_id);
    }
    if id.parse::<crate::model::ImageId>().is_err() {
        return Err(ApiError::new("InvalidAMIID.Malformed", format!("Invalid id: \"{id}\" (expecting \"ami-...\")")));
    }
    all(world)
        .find(|image| image.image_id == id)
        .ok_or_else(|| ApiError::new("InvalidAMIID.NotFound", format!("The image id '[{id}]' does not exist")))
}

fn xml(image: &Image) -> Xml {
    let ebs = Xml::new()
        .text("deleteOnTermination", true)
        .text("snapshotId", &image.snapshot_id)
        .text("volumeSize", image.volume_size_gib)
        .text("volumeType", &image.volume_type)
        .text("encrypted", false);
    Xml::new()
        .text("imageId", &image.image_id)
        .text("imageLocation", format!("{}/{}", image.owner_alias.as_ref().unwrap_or(&image.owner_id), image.name))
        .text("imageState", "available")
        .text("imageOwnerId", &image.owner_id)
        .text("creationDate", &image.creation_date)
        .text("deprecationTime", &image.deprecation_time)
        .text("isPublic", image.public)
        .text("architecture", &image.architecture)
        .text("imageType", "machine")
        .opt("imageOwnerAlias", image.owner_alias.as_ref())
        .text("name", &image.name)
        .text("description", &image.description)
        .text("rootDeviceType", "ebs")
        .text("rootDeviceName", &image.root_device_name)
        .items("blockDeviceMapping", [Xml::new().text("deviceName", &image.root_device_name).node("ebs", ebs)])
        .text("virtualizationType", "hvm")
        .text("hypervisor", "xen")
        .text("enaSupport", true)
        .text("sriovNetSupport", "simple")
        .text("platformDetails", "Linux/UNIX")
        .text("usageOperation", "RunInstances")
        .opt("bootMode", (image.architecture == "arm64").then_some("uefi"))
        .opt("imdsSupport", image.imds_support.as_ref())
}

/// DescribeImages: deprecated images of others are shown only by identifier or when asked for.
pub fn describe_images(world: &World, query: &Query) -> Answer {
    let filters = Filters::parse(query)?;
    let asked = query.list("ImageId");
    for id in &asked {
        find_image(world, id)?;
    }
    let owners = query.list("Owner");
    let deprecated = query.bool("IncludeDeprecated")?.unwrap_or(false);
    let mut rows = Vec::new();
    for image in all(world) {
        if !asked.is_empty() && !asked.contains(&image.image_id.as_str()) {
            continue;
        }
        let owner = |owner: &&str| match *owner {
            "self" => image.owner_id == world.account_id,
            other => image.owner_id == other || image.owner_alias.as_deref() == Some(other),
        };
        if !owners.is_empty() && !owners.iter().any(owner) {
            continue;
        }
        let outdated = image.deprecation_time.parse::<Timestamp>().is_ok_and(|at| at <= world.now);
        if outdated && asked.is_empty() && !deprecated && image.owner_id != world.account_id {
            continue;
        }
        let accepted = filters.accept(&image.tags, |name| match name {
            "image-id" => one(&image.image_id),
            "name" => one(&image.name),
            "description" => one(&image.description),
            "architecture" => one(&image.architecture),
            "owner-id" => one(&image.owner_id),
            "owner-alias" => maybe(image.owner_alias.as_ref()),
            "state" => one("available"),
            "image-type" => one("machine"),
            "is-public" => one(image.public),
            "virtualization-type" => one("hvm"),
            "hypervisor" => one("xen"),
            "root-device-type" => one("ebs"),
            "root-device-name" => one(&image.root_device_name),
            "creation-date" => one(&image.creation_date),
            "ena-support" => one(true),
            "platform-details" => one("Linux/UNIX"),
            "platform" => maybe(None::<String>),
            "block-device-mapping.volume-type" => one(&image.volume_type),
            _ => None,
        })?;
        if accepted {
            rows.push((image.image_id.clone(), xml(&image)));
        }
    }
    rows.sort_by(|(a, _), (b, _)| a.cmp(b));
    let (page, token) = page(query, PAGES, rows)?;
    Ok(Body::Xml(Xml::new().items("imagesSet", page).opt("nextToken", token)))
}
