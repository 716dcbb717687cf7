//! DescribeInstances and DescribeInstanceStatus.

use std::collections::BTreeMap;

use super::super::describe::{FilterValues, Filters, PAGES, many, maybe, one, page, select};
use super::super::images::find_image;
use super::super::network_interface::{of_instance_xml, private_dns_name, public_dns_name};
use super::super::{Answer, catalog, iso8601, volume};
use super::run::{groups, tag_set};
use super::types::instance_type;
use super::{state_code, state_xml};
use crate::model::{Instance, InstanceId, InstanceState, NetworkInterface, NetworkInterfaceId, StatusCheck};
use crate::sandbox::wire::{ApiError, Body, Query, Xml};
use crate::sandbox::world::World;

/// The attached interfaces, by device index.
fn interfaces<'a>(world: &'a World, instance: &Instance) -> Vec<&'a NetworkInterface> {
    // The answer to RunInstances shows what no describe shows yet.
    let (seen, known) = (world.seen().network_interfaces.shown(), world.network.network_interfaces.shown());
    let find = |id: &NetworkInterfaceId| seen.get(id.as_str()).or_else(|| known.get(id.as_str()));
    instance.network_interface_ids.iter().filter_map(find).collect()
}

/// An empty text of the records stands for the default.
fn or<'a>(text: &'a str, default: &'a str) -> &'a str {
    if text.is_empty() { default } else { text }
}

/// An instance as RunInstances and DescribeInstances show it.
pub fn instance_xml(world: &World, instance: &Instance) -> Xml {
    let record = world.records.instances.get(&instance.instance_id);
    let options = record.map(|record| record.options.clone()).unwrap_or_default();
    let image = find_image(world, instance.image_id.as_str()).ok();
    let metadata = record.map(|record| {
        Xml::new()
            .text("state", if instance.state == InstanceState::Pending { "pending" } else { "applied" })
            .opt("httpTokens", instance.http_tokens.as_ref())
            .text("httpPutResponseHopLimit", record.http_put_response_hop_limit)
            .text("httpEndpoint", &record.http_endpoint)
            .text("httpProtocolIpv6", "disabled")
            .text("instanceMetadataTags", &record.instance_metadata_tags)
    });
    let reason = instance.state_reason.as_ref().map(|message| {
        Xml::new().opt("code", record.and_then(|record| record.state_reason_code.as_ref())).text("message", message)
    });
    let profile = instance.instance_profile_arn.as_ref().map(|arn| {
        Xml::new()
            .text("arn", arn)
            .opt("id", record.and_then(|record| record.profile.as_ref()).map(|profile| &profile.profile_id))
    });
    let attached = interfaces(world, instance);
    let check = attached.first().map(|interface| interface.source_dest_check);
    let public_name = instance
        .public_ip
        .zip(instance.vpc_id.as_ref())
        .and_then(|(ip, vpc_id)| public_dns_name(world, vpc_id, ip))
        .unwrap_or_default();
    let placement = Xml::new()
        .text("availabilityZone", &instance.availability_zone)
        .text("availabilityZoneId", catalog::zone_id(&instance.availability_zone))
        .text("groupName", &options.placement_group)
        .text("tenancy", or(&options.tenancy, "default"));
    // Where nothing was chosen: a core of Graviton's has one thread, one of Intel's or AMD's two.
    let threads = if instance.architecture == "arm64" { 1 } else { 2 };
    let usual = instance_type(&instance.instance_type).map(|kind| match kind.vcpus {
        1 => (1, 1),
        vcpus => (vcpus / threads, threads),
    });
    let cores = options
        .cpu
        .or(usual)
        .map(|(cores, threads)| Xml::new().text("coreCount", cores).text("threadsPerCore", threads));
    let names = Xml::new()
        .text("hostnameType", or(&options.hostname_type, "ip-name"))
        .text("enableResourceNameDnsARecord", options.a_record)
        .text("enableResourceNameDnsAAAARecord", options.aaaa_record);
    let capacity = Xml::new().text("capacityReservationPreference", or(&options.capacity_preference, "open"));
    let named = instance.state != InstanceState::Terminated;
    let private_name = if options.hostname_type == "resource-name" && named {
        let suffix = private_dns_name(&world.region, std::net::Ipv4Addr::UNSPECIFIED);
        let domain = suffix.split_once('.').map_or("", |(_, domain)| domain);
        format!("{}.{domain}", instance.instance_id)
    } else {
        instance.private_ip.map(|ip| private_dns_name(&world.region, ip)).unwrap_or_default()
    };
    let ipv6 = attached.first().and_then(|interface| interface.ipv6_addresses.first());
    Xml::new()
        .text("instanceId", &instance.instance_id)
        .text("imageId", &instance.image_id)
        .node("instanceState", state_xml(&instance.state))
        .text("privateDnsName", private_name)
        .text("dnsName", public_name)
        .text("reason", record.map(|record| record.transition_reason.as_str()).unwrap_or_default())
        .opt("keyName", instance.key_name.as_ref())
        .text("amiLaunchIndex", record.map_or(0, |record| record.launch_index))
        .items("productCodes", [])
        .text("instanceType", &instance.instance_type)
        .opt("launchTime", instance.launch_time.map(iso8601))
        .node("placement", placement)
        .node(
            "monitoring",
            Xml::new().text("state", if record.is_some_and(|r| r.monitoring) { "enabled" } else { "disabled" }),
        )
        .opt("subnetId", instance.subnet_id.as_ref())
        .opt("vpcId", instance.vpc_id.as_ref())
        .opt("privateIpAddress", instance.private_ip)
        .opt("ipAddress", instance.public_ip)
        .opt("ipv6Address", ipv6)
        .opt("sourceDestCheck", check)
        .items("groupSet", groups(world, instance))
        .opt_node("stateReason", reason)
        .text("architecture", &instance.architecture)
        .text("rootDeviceType", "ebs")
        .opt("rootDeviceName", image.as_ref().map(|image| &image.root_device_name))
        .items("blockDeviceMapping", volume::device_mapping(world, instance))
        .text("virtualizationType", "hvm")
        .text("clientToken", record.map(|record| record.client_token.as_str()).unwrap_or_default())
        .items("tagSet", tag_set(&instance.tags))
        .text("hypervisor", "xen")
        .opt("instanceLifecycle", options.spot.then_some("spot"))
        .opt("spotInstanceRequestId", options.spot.then(|| spot_request_id(&instance.instance_id)))
        .items("networkInterfaceSet", attached.into_iter().map(|interface| of_instance_xml(world, interface)))
        .opt_node("iamInstanceProfile", profile)
        .text("ebsOptimized", record.is_some_and(|record| record.ebs_optimized))
        .text("enaSupport", true)
        .opt_node("cpuOptions", cores)
        .node("capacityReservationSpecification", capacity)
        .node("hibernationOptions", Xml::new().text("configured", options.hibernation))
        .opt_node("metadataOptions", metadata)
        .node("enclaveOptions", Xml::new().text("enabled", options.enclave))
        .opt("bootMode", image.as_ref().filter(|image| image.architecture == "arm64").map(|_| "uefi"))
        .text("platformDetails", "Linux/UNIX")
        .text("usageOperation", "RunInstances")
        .node("privateDnsNameOptions", names)
        .node("maintenanceOptions", Xml::new().text("autoRecovery", or(&options.auto_recovery, "default")))
}

/// The request behind an instance of the spot market: named after the instance, one for one.
pub(super) fn spot_request_id(id: &InstanceId) -> String {
    let digits: String = id.as_str().chars().rev().take(8).collect();
    format!("sir-{digits}")
}

fn values(world: &World, instance: &Instance, name: &str) -> FilterValues {
    let record = world.records.instances.get(&instance.instance_id);
    let attached = || interfaces(world, instance);
    match name {
        "instance-id" => one(&instance.instance_id),
        "instance-state-name" => one(&instance.state),
        "instance-state-code" => one(state_code(&instance.state)),
        "instance-type" => one(&instance.instance_type),
        "image-id" => one(&instance.image_id),
        "architecture" => one(&instance.architecture),
        "availability-zone" => one(&instance.availability_zone),
        "client-token" => maybe(record.map(|record| &record.client_token)),
        "reservation-id" => maybe(record.map(|record| &record.reservation_id)),
        "iam-instance-profile.arn" => maybe(instance.instance_profile_arn.as_ref()),
        "iam-instance-profile.id" => {
            maybe(record.and_then(|record| record.profile.as_ref()).map(|profile| &profile.profile_id))
        }
        "instance.group-id" | "group-id" => many(&instance.security_group_ids),
        "ip-address" => maybe(instance.public_ip),
        "key-name" => maybe(instance.key_name.as_ref()),
        "launch-time" => maybe(instance.launch_time.map(iso8601)),
        "metadata-options.http-tokens" => maybe(instance.http_tokens.as_ref()),
        "network-interface.network-interface-id" => many(&instance.network_interface_ids),
        "network-interface.addresses.private-ip-address" | "network-interface.private-ip-address" => {
            many(attached().into_iter().filter_map(|interface| interface.private_ip))
        }
        "network-interface.subnet-id" => many(attached().into_iter().map(|interface| &interface.subnet_id)),
        "network-interface.vpc-id" => many(attached().into_iter().map(|interface| &interface.vpc_id)),
        "network-interface.attachment.attachment-id" => {
            many(attached().into_iter().filter_map(|i| i.attachment.as_ref()).map(|a| &a.attachment_id))
        }
        "network-interface.group-id" => {
            many(attached().into_iter().flat_map(|interface| &interface.security_group_ids))
        }
        "owner-id" => one(&world.account_id),
        "private-dns-name" => maybe(instance.private_ip.map(|ip| private_dns_name(&world.region, ip))),
        "private-ip-address" => maybe(instance.private_ip),
        "root-device-type" => one("ebs"),
        "source-dest-check" => maybe(attached().first().map(|interface| interface.source_dest_check)),
        "state-reason-code" => maybe(record.and_then(|record| record.state_reason_code.as_ref())),
        "subnet-id" => maybe(instance.subnet_id.as_ref()),
        "tenancy" => one(record.map_or("default", |record| or(&record.options.tenancy, "default"))),
        "instance-lifecycle" => maybe(record.filter(|record| record.options.spot).map(|_| "spot")),
        "placement-group-name" => maybe(record.map(|record| &record.options.placement_group)),
        "dns-name" => maybe(
            instance
                .public_ip
                .zip(instance.vpc_id.as_ref())
                .and_then(|(ip, vpc_id)| public_dns_name(world, vpc_id, ip)),
        ),
        "block-device-mapping.volume-id" => {
            many(volume::of_instance(world, instance).into_iter().map(|volume| &volume.volume_id))
        }
        "block-device-mapping.device-name" => {
            many(volume::of_instance(world, instance).into_iter().map(|volume| &volume.device))
        }
        "monitoring-state" => one(if record.is_some_and(|r| r.monitoring) { "enabled" } else { "disabled" }),
        "hypervisor" => one("xen"),
        "platform" => maybe(None::<String>),
        "platform-details" => one("Linux/UNIX"),
        "instance.group-name" | "group-name" => many(
            instance
                .security_group_ids
                .iter()
                .filter_map(|id| world.get::<crate::model::SecurityGroup>(id).map(|group| group.group_name.clone())),
        ),
        "network-interface.association.public-ip" | "association.public-ip" => {
            many(attached().into_iter().filter_map(NetworkInterface::public_ip))
        }
        "virtualization-type" => one("hvm"),
        "vpc-id" | "vpcId" => maybe(instance.vpc_id.as_ref()),
        _ => None,
    }
}

/// DescribeInstances: by reservation.
pub fn describe_instances(world: &World, query: &Query) -> Answer {
    if query.has("InstanceId") && query.has("MaxResults") {
        return Err(ApiError::new(
            "InvalidParameterCombination",
            "The parameter instancesSet cannot be used with the parameter maxResults",
        ));
    }
    let chosen = select::<Instance>(world, query, "InstanceId", |instance, name| values(world, instance, name))?;
    let mut keyed: Vec<(String, &Instance)> = chosen
        .into_iter()
        .map(|instance| {
            let record = world.records.instances.get(&instance.instance_id);
            let reservation = record.map(|record| record.reservation_id.as_str()).unwrap_or_default();
            (format!("{reservation} {}", instance.instance_id), instance)
        })
        .collect();
    keyed.sort_by(|(a, _), (b, _)| a.cmp(b));
    let (page, token) = page(query, PAGES, keyed)?;
    let mut reservations: BTreeMap<String, Vec<&Instance>> = BTreeMap::new();
    for instance in page {
        let record = world.records.instances.get(&instance.instance_id);
        let reservation = record.map(|record| record.reservation_id.clone()).unwrap_or_default();
        reservations.entry(reservation).or_default().push(instance);
    }
    let sets = reservations.into_iter().map(|(reservation_id, instances)| {
        Xml::new()
            .text("reservationId", reservation_id)
            .text("ownerId", &world.account_id)
            .items("groupSet", [])
            .items("instancesSet", instances.into_iter().map(|instance| instance_xml(world, instance)))
    });
    Ok(Body::Xml(Xml::new().items("reservationSet", sets).opt("nextToken", token)))
}

/// DescribeInstanceStatus: running instances, or all when asked.
pub fn describe_status(world: &World, query: &Query) -> Answer {
    let filters = Filters::parse(query)?;
    let all = query.bool("IncludeAllInstances")?.unwrap_or(false);
    let bare: Query = query.pairs().filter(|(name, _)| name.starts_with("InstanceId.")).collect();
    let chosen = select::<Instance>(world, &bare, "InstanceId", |_, _| None)?;
    let mut rows = Vec::new();
    for instance in chosen {
        if !all && instance.state != InstanceState::Running {
            continue;
        }
        let check = |status: &Option<StatusCheck>| match status {
            Some(status) if instance.state == InstanceState::Running => status.clone(),
            _ => StatusCheck::NotApplicable,
        };
        let (system, own) = (check(&instance.system_status), check(&instance.instance_status));
        let accepted = filters.accept(&instance.tags, |name| match name {
            "availability-zone" => one(&instance.availability_zone),
            "instance-state-name" => one(&instance.state),
            "instance-state-code" => one(state_code(&instance.state)),
            "instance-status.status" => one(&own),
            "system-status.status" => one(&system),
            _ => None,
        })?;
        if !accepted {
            continue;
        }
        let summary = |status: &StatusCheck| {
            let detail = match status {
                StatusCheck::Ok => Some("passed"),
                StatusCheck::Impaired => Some("failed"),
                StatusCheck::Initializing => Some("initializing"),
                StatusCheck::InsufficientData => Some("insufficient-data"),
                StatusCheck::NotApplicable | StatusCheck::Other(_) => None,
            };
            let details = detail.map(|detail| Xml::new().text("name", "reachability").text("status", detail));
            Xml::new().text("status", status).items("details", details)
        };
        let row = Xml::new()
            .text("instanceId", &instance.instance_id)
            .text("availabilityZone", &instance.availability_zone)
            .text("availabilityZoneId", catalog::zone_id(&instance.availability_zone))
            .node("instanceState", state_xml(&instance.state))
            .node("systemStatus", summary(&system))
            .node("instanceStatus", summary(&own));
        rows.push((instance.instance_id.as_str().to_owned(), row));
    }
    let (page, token) = page(query, PAGES, rows)?;
    Ok(Body::Xml(Xml::new().items("instanceStatusSet", page).opt("nextToken", token)))
}
