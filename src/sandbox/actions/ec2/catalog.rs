//! What a region offers and an account may: zones, regions, instance types by place, attributes.

use super::Answer;
use super::describe::{Filters, PageSize, one, page};
use super::instance::types::TYPES;
use crate::model::Tags;
use crate::sandbox::wire::{ApiError, Body, Query, Xml};
use crate::sandbox::world::World;

/// The regions that are enabled by default in every account.
const REGIONS: [&str; 17] = [
    "ap-northeast-1",
    "ap-northeast-2",
    "ap-northeast-3",
    "ap-south-1",
    "ap-southeast-1",
    "ap-southeast-2",
    "ca-central-1",
    "eu-central-1",
    "eu-north-1",
    "eu-west-1",
    "eu-west-2",
    "eu-west-3",
    "sa-east-1",
    "us-east-1",
    "us-east-2",
    "us-west-1",
    "us-west-2",
];

/// The zones of a region.
pub fn zones(region: &str) -> [String; 3] {
    ["a", "b", "c"].map(|letter| format!("{region}{letter}"))
}

/// `euc1-az2` for `eu-central-1b`. AWS shuffles the numbers in each account; the sandbox keeps them in order.
pub(super) fn zone_id(zone: &str) -> String {
    let (region, letter) = zone.split_at(zone.len().saturating_sub(1));
    let mut parts = region.split('-');
    let area = parts.next().unwrap_or_default();
    let direction = match parts.next().unwrap_or_default() {
        "northeast" => "ne",
        "northwest" => "nw",
        "southeast" => "se",
        "southwest" => "sw",
        "north" => "n",
        "south" => "s",
        "east" => "e",
        "west" => "w",
        _ => "c",
    };
    let number = parts.next().unwrap_or("1");
    let index = letter.bytes().next().map_or(1, |letter| letter.saturating_sub(b'a') + 1);
    format!("{area}{direction}{number}-az{index}")
}

/// Whether the region has a zone.
pub(super) fn check_zone(world: &World, zone: &str) -> Result<(), ApiError> {
    let zones = zones(&world.region);
    if zones.iter().any(|known| known == zone) {
        return Ok(());
    }
    Err(ApiError::invalid_value(format!(
        "Value ({zone}) for parameter availabilityZone is invalid. Subnets can currently only be created in the \
         following availability zones: {}.",
        zones.join(", ")
    )))
}

/// The zone that a request names, or the region's first.
pub(super) fn chosen_zone(world: &World, query: &Query) -> Result<String, ApiError> {
    let zones = zones(&world.region);
    if let Some(id) = query.get("AvailabilityZoneId") {
        return zones.into_iter().find(|zone| zone_id(zone) == id).ok_or_else(|| {
            ApiError::invalid_value(format!("Value ({id}) for parameter availabilityZoneId is invalid."))
        });
    }
    let [first, ..] = zones;
    match query.get("AvailabilityZone").filter(|zone| !zone.is_empty()) {
        None => Ok(first),
        Some(zone) => check_zone(world, zone).map(|()| zone.to_owned()),
    }
}

/// DescribeAvailabilityZones
pub fn describe_availability_zones(world: &World, query: &Query) -> Answer {
    let filters = Filters::parse(query)?;
    let (names, ids) = (query.list("ZoneName"), query.list("ZoneId"));
    let zones = zones(&world.region);
    if let Some(unknown) = names.iter().find(|name| !zones.iter().any(|zone| zone == *name)) {
        return Err(ApiError::invalid_value(format!("Invalid availability zone: [{unknown}]")));
    }
    let mut rows = Vec::new();
    for zone in &zones {
        let id = zone_id(zone);
        if !names.is_empty() && !names.contains(&zone.as_str()) || !ids.is_empty() && !ids.contains(&id.as_str()) {
            continue;
        }
        let accepted = filters.accept(&Tags::default(), |name| match name {
            "zone-name" => one(zone),
            "zone-id" => one(&id),
            "region-name" | "network-border-group" | "group-name" => one(&world.region),
            "state" | "zone-state" => one("available"),
            "zone-type" => one("availability-zone"),
            "opt-in-status" => one("opt-in-not-required"),
            _ => None,
        })?;
        if accepted {
            rows.push(
                Xml::new()
                    .text("optInStatus", "opt-in-not-required")
                    .items("messageSet", [])
                    .text("regionName", &world.region)
                    .text("zoneName", zone)
                    .text("zoneId", id)
                    .text("groupName", format!("{}-zg-1", world.region))
                    .text("networkBorderGroup", &world.region)
                    .text("zoneType", "availability-zone")
                    .text("zoneState", "available"),
            );
        }
    }
    Ok(Body::Xml(Xml::new().items("availabilityZoneInfo", rows)))
}

/// DescribeRegions
pub fn describe_regions(world: &World, query: &Query) -> Answer {
    let filters = Filters::parse(query)?;
    let names = query.list("RegionName");
    let mut regions = REGIONS.to_vec();
    if !regions.contains(&world.region.as_str()) {
        regions.push(&world.region);
        regions.sort_unstable();
    }
    if let Some(unknown) = names.iter().find(|name| !regions.contains(*name)) {
        return Err(ApiError::invalid_value(format!("Invalid region name: [{unknown}]")));
    }
    let mut rows = Vec::new();
    for region in regions {
        if !names.is_empty() && !names.contains(&region) {
            continue;
        }
        let endpoint = format!("ec2.{region}.amazonaws.com");
        let accepted = filters.accept(&Tags::default(), |name| match name {
            "region-name" => one(region),
            "endpoint" => one(&endpoint),
            "opt-in-status" => one("opt-in-not-required"),
            _ => None,
        })?;
        if accepted {
            rows.push(
                Xml::new()
                    .text("optInStatus", "opt-in-not-required")
                    .text("regionName", region)
                    .text("regionEndpoint", endpoint),
            );
        }
    }
    Ok(Body::Xml(Xml::new().items("regionInfo", rows)))
}

/// DescribeInstanceTypeOfferings: every type of the sandbox is offered everywhere in its region.
pub fn describe_instance_type_offerings(world: &World, query: &Query) -> Answer {
    let filters = Filters::parse(query)?;
    let location_type = query.get("LocationType").filter(|kind| !kind.is_empty()).unwrap_or("region");
    let zones = zones(&world.region);
    let locations: Vec<String> = match location_type {
        "region" => vec![world.region.clone()],
        "availability-zone" => zones.to_vec(),
        "availability-zone-id" => zones.iter().map(|zone| zone_id(zone)).collect(),
        "outpost" => Vec::new(),
        other => {
            return Err(ApiError::invalid_value(format!("Value ({other}) for parameter locationType is invalid.")));
        }
    };
    let mut rows = Vec::new();
    for kind in TYPES {
        for location in &locations {
            let accepted = filters.accept(&Tags::default(), |name| match name {
                "instance-type" => one(kind.name),
                "location" => one(location),
                _ => None,
            })?;
            if accepted {
                let row = Xml::new()
                    .text("instanceType", kind.name)
                    .text("locationType", location_type)
                    .text("location", location);
                rows.push((format!("{} {location}", kind.name), row));
            }
        }
    }
    let (page, token) = page(query, PageSize { min: 5, max: 1000 }, rows)?;
    Ok(Body::Xml(Xml::new().items("instanceTypeOfferingSet", page).opt("nextToken", token)))
}

/// DescribeAccountAttributes: the quotas of a new account, which has no EC2-Classic and here no default VPC.
pub fn describe_account_attributes(_world: &World, query: &Query) -> Answer {
    const ATTRIBUTES: [(&str, &str); 6] = [
        ("supported-platforms", "VPC"),
        ("vpc-max-security-groups-per-interface", "5"),
        ("max-elastic-ips", "5"),
        ("max-instances", "20"),
        ("vpc-max-elastic-ips", "5"),
        ("default-vpc", "none"),
    ];
    let asked = query.list("AttributeName");
    if let Some(unknown) = asked.iter().find(|name| ATTRIBUTES.iter().all(|(known, _)| known != *name)) {
        return Err(ApiError::invalid_value(format!("Value ({unknown}) for parameter attributeName is invalid.")));
    }
    let rows = ATTRIBUTES.iter().filter(|(name, _)| asked.is_empty() || asked.contains(name)).map(|(name, value)| {
        Xml::new().text("attributeName", name).items("attributeValueSet", [Xml::new().text("attributeValue", value)])
    });
    Ok(Body::Xml(Xml::new().items("accountAttributeSet", rows)))
}
