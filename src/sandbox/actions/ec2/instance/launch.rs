//! What a RunInstances request asks for, read and checked before anything is made.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::super::images::{self, find_image};
use super::super::network_interface::address_wishes;
use super::super::volume::{Shape, shape};
use super::super::{catalog, security_group, subnet, tag, volume};
use super::types::{InstanceType, instance_type};
use crate::model::{InterfaceStatus, NetworkInterface, NetworkInterfaceId, SecurityGroupId, Subnet, Tags, Vpc};
use crate::sandbox::wire::{ApiError, Query};
use crate::sandbox::world::{Image, InstanceOptions, Snapshot, World};

/// A checked request.
pub struct Launch {
    pub image: Image,
    pub kind: &'static InstanceType,
    pub min_count: usize,
    pub max_count: usize,
    /// By device index, lowest first. The first is the primary one.
    pub interfaces: Vec<InterfaceSpec>,
    /// ARN and identifier.
    pub profile: Option<(String, String)>,
    pub key_name: Option<String>,
    pub user_data: Option<String>,
    pub http_tokens: String,
    pub http_endpoint: String,
    pub hop_limit: u32,
    pub metadata_tags: String,
    /// The root volume first.
    pub volumes: Vec<VolumeSpec>,
    pub options: InstanceOptions,
    pub monitoring: bool,
    pub ebs_optimized: bool,
    pub disable_api_termination: bool,
    pub disable_api_stop: bool,
    pub shutdown_behavior: String,
    pub cpu_credits: String,
    pub instance_tags: Tags,
    pub interface_tags: Tags,
    pub volume_tags: Tags,
}

/// One interface of a launch.
#[derive(Clone)]
pub struct InterfaceSpec {
    pub device_index: u32,
    /// An interface that exists already.
    pub existing: Option<NetworkInterfaceId>,
    pub subnet: Subnet,
    pub groups: Vec<SecurityGroupId>,
    pub description: String,
    pub public_ip: bool,
    pub delete_on_termination: bool,
    /// The fields with addresses.
    pub addresses: Query,
}

/// One volume of a launch.
pub struct VolumeSpec {
    /// `/dev/xvda`
    pub device: String,
    pub(super) shape: Shape,
    /// `None`: not encrypted.
    pub kms_key_id: Option<String>,
    pub snapshot_id: Option<String>,
    pub delete_on_termination: bool,
}

fn counts(query: &Query) -> Result<(usize, usize), ApiError> {
    let count = |name: &str| -> Result<usize, ApiError> {
        let value = query.int(name)?.ok_or_else(|| ApiError::missing(name))?;
        usize::try_from(value)
            .ok()
            .filter(|count| *count >= 1)
            .ok_or_else(|| ApiError::invalid_value(format!("Value ({value}) for parameter {name} is invalid.")))
    };
    let (min, max) = (count("MinCount")?, count("MaxCount")?);
    if min > max {
        return Err(ApiError::invalid_value(format!(
            "Value ({max}) for parameter maxCount is invalid. maxCount must be equal to or greater than minCount."
        )));
    }
    if max > 100 {
        return Err(ApiError::new(
            "InstanceLimitExceeded",
            "You have requested more instances than your current instance limit allows.",
        ));
    }
    Ok((min, max))
}

/// Reads and checks a request.
pub fn parse(world: &World, query: &Query) -> Result<Launch, ApiError> {
    for unsupported in ["ElasticGpuSpecification", "SecondaryInterface"] {
        if query.has(unsupported) {
            return Err(ApiError::new("UnsupportedOperation", format!("The sandbox does not simulate {unsupported}.")));
        }
    }
    let (min_count, max_count) = counts(query)?;
    let image = find_image(world, query.require("ImageId")?)?;
    let type_name = query.get("InstanceType").unwrap_or("m1.small");
    let kind = instance_type(type_name)
        .ok_or_else(|| ApiError::invalid_value(format!("Invalid value '{type_name}' for InstanceType.")))?;
    if kind.architecture != image.architecture {
        return Err(ApiError::invalid_value(format!(
            "The architecture '{}' of the specified instance type does not match the architecture '{}' of the \
             specified AMI. Specify an instance type and an AMI that have matching architectures, and try again. You \
             can use 'describe-instance-types' or 'describe-images' to discover the architecture of the instance type \
             or AMI.",
            kind.architecture, image.architecture
        )));
    }
    let interfaces = interfaces(world, query, kind)?;
    if max_count > 1 && interfaces.iter().any(|spec| spec.existing.is_some()) {
        return Err(ApiError::new(
            "InvalidParameterCombination",
            "A network interface may not be specified for more than one instance",
        ));
    }
    let key_name = query.get("KeyName").filter(|name| !name.is_empty()).map(str::to_owned);
    if let Some(name) = key_name.as_ref().filter(|name| !world.records.key_pairs.contains_key(*name)) {
        return Err(ApiError::new("InvalidKeyPair.NotFound", format!("The key pair '{name}' does not exist")));
    }
    let user_data = query.get("UserData").filter(|data| !data.is_empty()).map(str::to_owned);
    if let Some(data) = &user_data {
        check_user_data(data)?;
    }
    let default_tokens = if image.imds_support.is_some() { "required" } else { "optional" };
    let http_tokens = choice(query, "MetadataOptions.HttpTokens", &["optional", "required"], default_tokens)?;
    let http_endpoint = choice(query, "MetadataOptions.HttpEndpoint", &["enabled", "disabled"], "enabled")?;
    let metadata_tags = choice(query, "MetadataOptions.InstanceMetadataTags", &["disabled", "enabled"], "disabled")?;
    let default_hops = if http_tokens == "required" { 2 } else { 1 };
    let hops = query.int("MetadataOptions.HttpPutResponseHopLimit")?.unwrap_or(default_hops);
    let hop_limit = u32::try_from(hops).ok().filter(|hops| (1..=64).contains(hops)).ok_or_else(|| {
        ApiError::invalid_value(format!("Value ({hops}) for parameter HttpPutResponseHopLimit is invalid."))
    })?;
    let default_credits = if kind.name.starts_with("t2.") { "standard" } else { "unlimited" };
    let kinds = ["instance", "volume", "network-interface", "spot-instances-request"];
    let options = launch_options(world, query, &interfaces)?;
    Ok(Launch {
        kind,
        min_count,
        max_count,
        interfaces,
        profile: profile(world, query)?,
        key_name,
        user_data,
        http_tokens,
        http_endpoint,
        hop_limit,
        metadata_tags,
        volumes: volumes(world, query, &image)?,
        options,
        image,
        monitoring: query.bool("Monitoring.Enabled")?.unwrap_or(false),
        ebs_optimized: query.bool("EbsOptimized")?.unwrap_or(false),
        disable_api_termination: query.bool("DisableApiTermination")?.unwrap_or(false),
        disable_api_stop: query.bool("DisableApiStop")?.unwrap_or(false),
        shutdown_behavior: choice(query, "InstanceInitiatedShutdownBehavior", &["stop", "terminate"], "stop")?,
        cpu_credits: choice(query, "CreditSpecification.CpuCredits", &["standard", "unlimited"], default_credits)?,
        instance_tags: tag::specified_among(query, "instance", &kinds)?,
        interface_tags: tag::specified_among(query, "network-interface", &kinds)?,
        volume_tags: tag::specified_among(query, "volume", &kinds)?,
    })
}

/// A field with a fixed set of values.
pub(super) fn choice(query: &Query, name: &str, allowed: &[&str], default: &str) -> Result<String, ApiError> {
    let value = query.get(name).filter(|value| !value.is_empty()).unwrap_or(default);
    if allowed.contains(&value) {
        return Ok(value.to_owned());
    }
    Err(ApiError::invalid_value(format!(
        "Value ({value}) for parameter {name} is invalid. Valid values are {}.",
        allowed.join(", ")
    )))
}

/// User data is base64 and at most 16 KB before encoding.
pub fn check_user_data(data: &str) -> Result<Vec<u8>, ApiError> {
    let decoded =
        STANDARD.decode(data.trim()).map_err(|_| ApiError::invalid_value("Invalid BASE64 encoding of user data."))?;
    if decoded.len() > 16 * 1024 {
        return Err(ApiError::invalid_value("User data is limited to 16384 bytes"));
    }
    Ok(decoded)
}

/// The instance profile that a request names: ARN and identifier.
pub(super) fn profile(world: &World, query: &Query) -> Result<Option<(String, String)>, ApiError> {
    let invalid = |what: &str, given: &str| {
        ApiError::invalid_value(format!(
            "Value ({given}) for parameter iamInstanceProfile.{what} is invalid. Invalid IAM Instance Profile {what}"
        ))
    };
    let visible = |profile: &&crate::sandbox::actions::iam::Profile| {
        world.consistency.is_zero()
            || profile.created_at.saturating_add(world.consistency).is_ok_and(|at| at <= world.now)
    };
    let found = match (query.get("IamInstanceProfile.Arn"), query.get("IamInstanceProfile.Name")) {
        (None, None) => return Ok(None),
        (Some(_), Some(_)) => {
            return Err(ApiError::new(
                "InvalidParameterCombination",
                "The parameter 'iamInstanceProfile.name' may not be used in combination with 'iamInstanceProfile.arn'",
            ));
        }
        (Some(arn), None) => world.iam.profile_by_arn(arn).filter(visible).ok_or_else(|| invalid("ARN", arn))?,
        (None, Some(name)) => world.iam.profiles.get(name).filter(visible).ok_or_else(|| invalid("name", name))?,
    };
    if found.role.is_none() {
        return Err(ApiError::invalid_value(format!(
            "IAM Instance Profile \"{}\" has no associated IAM Roles",
            found.arn
        )));
    }
    Ok(Some((found.arn.clone(), found.instance_profile_id.clone())))
}

/// The volumes of a launch: the root volume first.
fn volumes(world: &World, query: &Query, image: &Image) -> Result<Vec<VolumeSpec>, ApiError> {
    let of_image =
        Shape { size_gib: image.volume_size_gib, volume_type: image.volume_type.clone(), iops: None, throughput: None };
    let mut root = VolumeSpec {
        device: image.root_device_name.clone(),
        shape: shape(&Query::default(), "Ebs.VolumeSize", &of_image)?,
        kms_key_id: None,
        snapshot_id: None,
        delete_on_termination: true,
    };
    let mut others: Vec<VolumeSpec> = Vec::new();
    for mapping in query.structs("BlockDeviceMapping") {
        let device = mapping.require("DeviceName")?.to_owned();
        if mapping.has("NoDevice") || mapping.has("VirtualName") {
            // A device that the image does not have anyway, or an instance store, which these types do not have.
            continue;
        }
        let ebs = mapping.nested("Ebs");
        let is_root = device == image.root_device_name;
        if is_root && ebs.int("VolumeSize")?.is_some_and(|size| size < i64::from(image.volume_size_gib)) {
            return Err(ApiError::new(
                "InvalidBlockDeviceMapping",
                format!(
                    "Volume of size {}GB is smaller than snapshot '{}', expect size >= {}GB",
                    ebs.get("VolumeSize").unwrap_or_default(),
                    image.snapshot_id,
                    image.volume_size_gib
                ),
            ));
        }
        let snapshot = ebs.get("SnapshotId").filter(|id| !is_root && !id.is_empty());
        let snapshot = snapshot.map(|id| world.kept::<Snapshot>(id)).transpose()?;
        let default = if is_root {
            of_image.clone()
        } else {
            let size_gib = snapshot.map_or(0, |snapshot| snapshot.size_gib);
            Shape { size_gib, volume_type: "gp2".to_owned(), iops: None, throughput: None }
        };
        let encrypted = ebs.bool("Encrypted")?.unwrap_or(snapshot.is_some_and(|snapshot| snapshot.encrypted));
        let spec = VolumeSpec {
            shape: shape(&ebs, "VolumeSize", &default)?,
            kms_key_id: volume::key_of(world, &ebs, encrypted),
            snapshot_id: snapshot.map(|snapshot| snapshot.snapshot_id.clone()),
            delete_on_termination: ebs.bool("DeleteOnTermination")?.unwrap_or(true),
            device,
        };
        if is_root {
            root = spec;
        } else if others.iter().any(|other| other.device == spec.device) {
            return Err(ApiError::invalid_value(format!(
                "Invalid value '{}' for unixDevice. Attachment point is used twice",
                spec.device
            )));
        } else {
            others.push(spec);
        }
    }
    others.insert(0, root);
    Ok(others)
}

/// What only the descriptions of the instance will show.
fn launch_options(world: &World, query: &Query, interfaces: &[InterfaceSpec]) -> Result<InstanceOptions, ApiError> {
    let subnet = interfaces.first().map(|spec| subnet::record(world, &spec.subnet)).unwrap_or_default();
    let number = |name: &str| -> Result<Option<u32>, ApiError> {
        let Some(value) = query.int(name)? else { return Ok(None) };
        let valid = u32::try_from(value).ok().filter(|value| (1..=192).contains(value));
        valid.map(Some).ok_or_else(|| ApiError::invalid_value(format!("Invalid value '{value}' for {name}.")))
    };
    let group = query.get("Placement.GroupName").unwrap_or_default().to_owned();
    if !group.is_empty() && !world.records.placement_groups.contains_key(&group) {
        return Err(ApiError::new(
            "InvalidPlacementGroup.Unknown",
            format!("The Placement Group '{group}' is unknown."),
        ));
    }
    let names = "PrivateDnsNameOptions.HostnameType";
    Ok(InstanceOptions {
        auto_recovery: choice(query, "MaintenanceOptions.AutoRecovery", &["default", "disabled"], "default")?,
        tenancy: choice(query, "Placement.Tenancy", &["default", "dedicated", "host"], "default")?,
        placement_group: group,
        cpu: number("CpuOptions.CoreCount")?.zip(number("CpuOptions.ThreadsPerCore")?),
        spot: query.get("InstanceMarketOptions.MarketType") == Some("spot"),
        hostname_type: choice(query, names, &["ip-name", "resource-name"], subnet.hostname_type())?,
        a_record: query.bool("PrivateDnsNameOptions.EnableResourceNameDnsARecord")?.unwrap_or(subnet.a_record),
        aaaa_record: query.bool("PrivateDnsNameOptions.EnableResourceNameDnsAAAARecord")?.unwrap_or(subnet.aaaa_record),
        capacity_preference: choice(
            query,
            "CapacityReservationSpecification.CapacityReservationPreference",
            &["open", "none", "capacity-reservations-only"],
            "open",
        )?,
        hibernation: query.bool("HibernationOptions.Configured")?.unwrap_or(false),
        enclave: query.bool("EnclaveOptions.Enabled")?.unwrap_or(false),
    })
}

fn interfaces(world: &World, query: &Query, kind: &InstanceType) -> Result<Vec<InterfaceSpec>, ApiError> {
    let specs = query.structs("NetworkInterface");
    if specs.is_empty() {
        return Ok(vec![primary_of_request(world, query)?]);
    }
    for outside in ["SubnetId", "SecurityGroupId", "SecurityGroup", "PrivateIpAddress"] {
        if query.has(outside) {
            return Err(ApiError::new(
                "InvalidParameterCombination",
                "Network interfaces and an instance-level subnet ID, security groups or private address may not be \
                 specified on the same request",
            ));
        }
    }
    let several = specs.len() > 1;
    let mut interfaces = Vec::new();
    for spec in &specs {
        interfaces.push(interface(world, query, spec, several)?);
    }
    interfaces.sort_by_key(|spec| spec.device_index);
    let duplicate = interfaces.windows(2).any(|pair| match pair {
        [a, b] => a.device_index == b.device_index,
        _ => false,
    });
    if duplicate {
        return Err(ApiError::invalid_value("Each network interface requires a unique device index."));
    }
    if interfaces.first().is_none_or(|spec| spec.device_index != 0) {
        return Err(ApiError::invalid_value("A network interface with device index 0 is required."));
    }
    if interfaces.len() > kind.max_interfaces {
        return Err(ApiError::new(
            "AttachmentLimitExceeded",
            format!("Interface count {} exceeds the limit for {}", interfaces.len(), kind.name),
        ));
    }
    let zones: Vec<&str> = interfaces.iter().map(|spec| spec.subnet.availability_zone.as_str()).collect();
    let vpcs: Vec<&str> = interfaces.iter().map(|spec| spec.subnet.vpc_id.as_str()).collect();
    if zones.windows(2).any(|pair| pair.first() != pair.last()) {
        return Err(ApiError::invalid_value("All network interfaces must be in the same availability zone"));
    }
    if vpcs.windows(2).any(|pair| pair.first() != pair.last()) {
        return Err(ApiError::invalid_value("All network interfaces must be in the same VPC"));
    }
    Ok(interfaces)
}

fn check_zone(query: &Query, subnet: &Subnet) -> Result<(), ApiError> {
    match query.get("Placement.AvailabilityZone").filter(|zone| !zone.is_empty()) {
        Some(zone) if zone != subnet.availability_zone => Err(ApiError::invalid_value(format!(
            "The availability zone '{zone}' does not match that of subnet '{}', which is in '{}'.",
            subnet.subnet_id, subnet.availability_zone
        ))),
        _ => Ok(()),
    }
}

fn primary_of_request(world: &World, query: &Query) -> Result<InterfaceSpec, ApiError> {
    let Some(subnet_id) = query.get("SubnetId").filter(|id| !id.is_empty()) else {
        return default_interface(world, query);
    };
    let subnet = world.find::<Subnet>(subnet_id)?.clone();
    check_zone(query, &subnet)?;
    primary_in(world, query, subnet)
}

/// Without a subnet: the default one of the zone, or of the first zone that has one.
fn default_interface(world: &World, query: &Query) -> Result<InterfaceSpec, ApiError> {
    let zone = query.get("Placement.AvailabilityZone").filter(|zone| !zone.is_empty());
    if let Some(zone) = zone {
        catalog::check_zone(world, zone)?;
    }
    let fits = |subnet: &&Subnet| {
        subnet::record(world, subnet).default_for_zone && zone.is_none_or(|zone| subnet.availability_zone == zone)
    };
    let mut found: Vec<&Subnet> = world.all::<Subnet>().filter(fits).collect();
    found.sort_by_key(|subnet| &subnet.availability_zone);
    let subnet = found.first().copied().cloned().ok_or_else(|| no_default_vpc(world))?;
    primary_in(world, query, subnet)
}

fn primary_in(world: &World, query: &Query, subnet: Subnet) -> Result<InterfaceSpec, ApiError> {
    if query.has("SecurityGroup") {
        return Err(ApiError::new(
            "InvalidParameterCombination",
            "The parameter groupName cannot be used with the parameter subnet",
        ));
    }
    let groups = security_group::chosen(world, &query.list("SecurityGroupId"), &subnet.vpc_id)?;
    let addresses: Query =
        query.pairs().filter(|(name, _)| *name == "PrivateIpAddress" || name.starts_with("Ipv6Address")).collect();
    address_wishes(&addresses)?;
    Ok(InterfaceSpec {
        device_index: 0,
        existing: None,
        public_ip: subnet.map_public_ip_on_launch,
        subnet,
        groups,
        description: String::new(),
        delete_on_termination: true,
        addresses,
    })
}

/// Without a subnet AWS looks for the default VPC, which the sandbox does not have unless a scenario makes one.
fn no_default_vpc(world: &World) -> ApiError {
    if world.all::<Vpc>().any(|vpc| vpc.is_default) {
        ApiError::new("MissingInput", "No subnets found for the default VPC. Please specify a subnet.")
    } else {
        ApiError::new("VPCIdNotSpecified", "No default VPC for this user")
    }
}

fn interface(world: &World, query: &Query, spec: &Query, several: bool) -> Result<InterfaceSpec, ApiError> {
    let index = spec
        .int("DeviceIndex")?
        .ok_or_else(|| ApiError::invalid_value("Each network interface requires a device index."))?;
    let device_index = u32::try_from(index)
        .map_err(|_| ApiError::invalid_value(format!("Invalid value '{index}' for deviceIndex.")))?;
    let wants_public = spec.bool("AssociatePublicIpAddress")?;
    if wants_public == Some(true) && several {
        return Err(ApiError::new(
            "InvalidParameterCombination",
            "The associatePublicIPAddress parameter cannot be specified when launching with multiple network interfaces.",
        ));
    }
    if let Some(id) = spec.get("NetworkInterfaceId") {
        for beside in ["SubnetId", "SecurityGroupId", "AssociatePublicIpAddress", "PrivateIpAddress"] {
            if spec.has(beside) {
                return Err(ApiError::new(
                    "InvalidParameterCombination",
                    format!("A network interface ID and {beside} may not be specified together"),
                ));
            }
        }
        let existing = world.find::<NetworkInterface>(id)?;
        if existing.attachment.is_some() || existing.status != InterfaceStatus::Available {
            return Err(ApiError::new("InvalidNetworkInterface.InUse", format!("Interface: [{id}] in use.")));
        }
        let subnet = world.find::<Subnet>(existing.subnet_id.as_str())?.clone();
        check_zone(query, &subnet)?;
        return Ok(InterfaceSpec {
            device_index,
            existing: Some(existing.network_interface_id.clone()),
            subnet,
            groups: existing.security_group_ids.clone(),
            description: existing.description.clone(),
            public_ip: false,
            delete_on_termination: spec.bool("DeleteOnTermination")?.unwrap_or(false),
            addresses: Query::default(),
        });
    }
    let subnet_id = spec.get("SubnetId").ok_or_else(|| no_default_vpc(world))?;
    let subnet = world.find::<Subnet>(subnet_id)?.clone();
    check_zone(query, &subnet)?;
    let groups = security_group::chosen(world, &spec.list("SecurityGroupId"), &subnet.vpc_id)?;
    address_wishes(spec)?;
    Ok(InterfaceSpec {
        device_index,
        existing: None,
        // With several interfaces nobody gets a public address by itself (EC2 user guide, "Public IPv4 addresses").
        public_ip: !several && device_index == 0 && wants_public.unwrap_or(subnet.map_public_ip_on_launch),
        subnet,
        groups,
        description: spec.get("Description").unwrap_or_default().to_owned(),
        delete_on_termination: spec.bool("DeleteOnTermination")?.unwrap_or(true),
        addresses: spec.clone(),
    })
}

/// The system on the image, for the simulated disk.
pub fn family_of(image_id: &str) -> images::Family {
    images::IMAGES
        .iter()
        .find(|image| image.image_id == image_id)
        .map_or(images::Family::AmazonLinux2023, |image| image.family)
}
