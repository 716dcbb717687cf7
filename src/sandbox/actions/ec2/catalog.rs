//! What a region offers: zones, regions, AWS's own prefix lists.

use ipnet::IpNet;

use super::Answer;
use super::describe::{Filters, PageSize, one, page};
use crate::model::{PrefixList, PrefixListId, Tags};
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

/// The prefix lists that AWS keeps in every region: what gateway endpoints route, with a part of their entries.
pub fn aws_prefix_lists(region: &str) -> Vec<PrefixList> {
    let list = |id: &str, service: &str, cidrs: &[&str]| PrefixList {
        prefix_list_id: PrefixListId::new(id),
        prefix_list_name: format!("com.amazonaws.{region}.{service}"),
        cidrs: Some(cidrs.iter().filter_map(|cidr| cidr.parse::<IpNet>().ok()).collect()),
    };
    vec![
        list("pl-6ea54007", "s3", &["3.5.134.0/23", "3.5.136.0/22", "52.219.44.0/22", "52.219.168.0/21"]),
        list("pl-66a5400f", "dynamodb", &["3.120.0.0/14", "52.94.16.0/21"]),
    ]
}

fn chosen_lists<'a>(world: &'a World, query: &Query) -> Result<Vec<(String, &'a PrefixList)>, ApiError> {
    let filters = Filters::parse(query)?;
    let asked = query.list("PrefixListId");
    let lists = world.network.prefix_lists.shown();
    for id in &asked {
        find_list(world, id)?;
    }
    let mut chosen = Vec::new();
    for (id, list) in lists {
        if !asked.is_empty() && !asked.contains(&id.as_str()) {
            continue;
        }
        let accepted = filters.accept(&Tags::default(), |name| match name {
            "prefix-list-id" => one(id),
            "prefix-list-name" => one(&list.prefix_list_name),
            "owner-id" => one("AWS"),
            _ => None,
        })?;
        if accepted {
            chosen.push((id.clone(), list));
        }
    }
    Ok(chosen)
}

fn find_list<'a>(world: &'a World, id: &str) -> Result<&'a PrefixList, ApiError> {
    if id.parse::<PrefixListId>().is_err() {
        return Err(ApiError::new(
            "InvalidPrefixListId.Malformed",
            format!("Invalid id: \"{id}\" (expecting \"pl-...\")"),
        ));
    }
    world.network.prefix_lists.shown().get(id).ok_or_else(|| {
        ApiError::new("InvalidPrefixListID.NotFound", format!("The prefix list ID '{id}' does not exist"))
    })
}

const LIST_PAGES: PageSize = PageSize { min: 1, max: 100 };

/// DescribeManagedPrefixLists
pub fn describe_managed_prefix_lists(world: &World, query: &Query) -> Answer {
    let (page, token) = page(query, LIST_PAGES, chosen_lists(world, query)?)?;
    let sets = page.into_iter().map(|list| {
        Xml::new()
            .text("prefixListId", &list.prefix_list_id)
            .text("addressFamily", "IPv4")
            .text("state", "create-complete")
            .text("prefixListArn", format!("arn:aws:ec2:{}:aws:prefix-list/{}", world.region, list.prefix_list_id))
            .text("prefixListName", &list.prefix_list_name)
            .text("ownerId", "AWS")
    });
    Ok(Body::Xml(Xml::new().items("prefixListSet", sets).opt("nextToken", token)))
}

/// GetManagedPrefixListEntries
pub fn get_managed_prefix_list_entries(world: &World, query: &Query) -> Answer {
    let list = find_list(world, query.require("PrefixListId")?)?;
    let entries = list.cidrs.iter().flatten().map(|cidr| (cidr.to_string(), cidr)).collect();
    let (page, token) = page(query, LIST_PAGES, entries)?;
    let entries = page.into_iter().map(|cidr| Xml::new().text("cidr", cidr));
    Ok(Body::Xml(Xml::new().items("entrySet", entries).opt("nextToken", token)))
}

/// DescribePrefixLists: the older action, for AWS's lists only.
pub fn describe_prefix_lists(world: &World, query: &Query) -> Answer {
    let (page, token) = page(query, PageSize { min: 5, max: 1000 }, chosen_lists(world, query)?)?;
    let sets = page.into_iter().map(|list| {
        Xml::new()
            .values("cidrSet", list.cidrs.iter().flatten())
            .text("prefixListId", &list.prefix_list_id)
            .text("prefixListName", &list.prefix_list_name)
    });
    Ok(Body::Xml(Xml::new().items("prefixListSet", sets).opt("nextToken", token)))
}

/// DescribeDhcpOptions: the region's default set, which every VPC of the sandbox has.
pub fn describe_dhcp_options(world: &World, query: &Query) -> Answer {
    let filters = Filters::parse(query)?;
    let asked = query.list("DhcpOptionsId");
    let known = world.records.dhcp_options_id.as_deref();
    if let Some(id) = asked.iter().find(|id| Some(**id) != known) {
        return Err(ApiError::new("InvalidDhcpOptionID.NotFound", format!("The dhcpOption ID '{id}' does not exist")));
    }
    let mut rows = Vec::new();
    if let Some(id) = known {
        let domain = match world.region.as_str() {
            "us-east-1" => "ec2.internal".to_owned(),
            region => format!("{region}.compute.internal"),
        };
        let accepted = filters.accept(&Tags::default(), |name| match name {
            "dhcp-options-id" => one(id),
            "key" => super::describe::many(["domain-name", "domain-name-servers"]),
            "value" => super::describe::many([domain.as_str(), "AmazonProvidedDNS"]),
            "owner-id" => one(&world.account_id),
            _ => None,
        })?;
        let setting =
            |key: &str, value: &str| Xml::new().text("key", key).items("valueSet", [Xml::new().text("value", value)]);
        if accepted {
            let settings = [setting("domain-name", &domain), setting("domain-name-servers", "AmazonProvidedDNS")];
            let row = Xml::new()
                .text("ownerId", &world.account_id)
                .text("dhcpOptionsId", id)
                .items("dhcpConfigurationSet", settings)
                .items("tagSet", []);
            rows.push((id.to_owned(), row));
        }
    }
    let (page, token) = page(query, PageSize { min: 5, max: 1000 }, rows)?;
    Ok(Body::Xml(Xml::new().items("dhcpOptionsSet", page).opt("nextToken", token)))
}
