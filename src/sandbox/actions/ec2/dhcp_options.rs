//! DHCP options sets, and which of them a VPC has. Every region has a default set; a VPC may also have none.

use std::collections::BTreeMap;

use super::describe::{Filters, PageSize, many, one, page};
use super::{Answer, tag};
use crate::model::{Instance, InstanceId, Tags, Vpc, VpcId};
use crate::sandbox::wire::{ApiError, Body, Query, Xml};
use crate::sandbox::world::{DhcpOptions, World};

/// What a request may set (VPC guide, "DHCP option set concepts").
const KEYS: [&str; 6] = [
    "domain-name-servers",
    "domain-name",
    "ntp-servers",
    "netbios-name-servers",
    "netbios-node-type",
    "ipv6-address-preferred-lease-time",
];

/// The set of a VPC, as DescribeVpcs names it: `default` when it has none.
pub(super) fn of_vpc(world: &World, vpc_id: &VpcId) -> Option<String> {
    world.records.vpc_dhcp_options.get(vpc_id.as_str()).cloned().or_else(|| world.records.dhcp_options_id.clone())
}

fn not_found(id: &str) -> ApiError {
    ApiError::new("InvalidDhcpOptionID.NotFound", format!("The dhcpOption ID '{id}' does not exist"))
}

/// The region's default set.
fn default_set(world: &World) -> DhcpOptions {
    let domain = match world.region.as_str() {
        "us-east-1" => "ec2.internal".to_owned(),
        region => format!("{region}.compute.internal"),
    };
    let configurations = vec![
        ("domain-name".to_owned(), vec![domain]),
        ("domain-name-servers".to_owned(), vec!["AmazonProvidedDNS".to_owned()]),
    ];
    DhcpOptions { configurations, tags: Tags::default() }
}

/// Every set by identifier, the default one too.
fn all(world: &World) -> BTreeMap<String, DhcpOptions> {
    let mut sets = world.records.dhcp_options.clone();
    if let Some(id) = &world.records.dhcp_options_id {
        sets.entry(id.clone()).or_insert_with(|| default_set(world));
    }
    sets
}

fn values(set: &DhcpOptions, key: &str) -> Vec<String> {
    let configurations = set.configurations.iter().filter(|(known, _)| known == key);
    configurations.flat_map(|(_, values)| values.clone()).collect()
}

/// A set as an observation shows it. `default` is no set.
pub(super) fn model(world: &World, id: &str) -> Option<crate::model::DhcpOptions> {
    let servers = all(world).get(id).map(|set| values(set, "domain-name-servers"));
    Some(crate::model::DhcpOptions { dhcp_options_id: id.to_owned(), domain_name_servers: servers })
}

fn xml(world: &World, id: &str, set: &DhcpOptions) -> Xml {
    let configurations = set.configurations.iter().map(|(key, values)| {
        Xml::new().text("key", key).items("valueSet", values.iter().map(|value| Xml::new().text("value", value)))
    });
    Xml::new()
        .text("ownerId", &world.account_id)
        .text("dhcpOptionsId", id)
        .items("dhcpConfigurationSet", configurations)
        .items("tagSet", tag::xml(&set.tags))
}

/// CreateDhcpOptions
pub fn create(world: &mut World, query: &Query) -> Answer {
    let mut configurations = Vec::new();
    for configuration in query.structs("DhcpConfiguration") {
        let key = configuration.require("Key")?;
        if !KEYS.contains(&key) {
            return Err(ApiError::invalid_value(format!("Value ({key}) for parameter key is invalid.")));
        }
        let values: Vec<String> = configuration.list("Value").into_iter().map(str::to_owned).collect();
        if values.is_empty() {
            return Err(ApiError::missing("value"));
        }
        configurations.push((key.to_owned(), values));
    }
    if configurations.is_empty() {
        return Err(ApiError::missing("dhcpConfiguration"));
    }
    let set = DhcpOptions { configurations, tags: tag::specified(query, "dhcp-options")? };
    let id = world.new_id("dopt-");
    let answer = xml(world, &id, &set);
    world.records.dhcp_options.insert(id, set);
    Ok(Body::Xml(Xml::new().node("dhcpOptions", answer)))
}

/// AssociateDhcpOptions: `default` takes the VPC's set away.
pub fn associate(world: &mut World, query: &Query) -> Answer {
    let id = query.require("DhcpOptionsId")?;
    let vpc_id = world.find::<Vpc>(query.require("VpcId")?)?.vpc_id.clone();
    if id != "default" && !all(world).contains_key(id) {
        return Err(not_found(id));
    }
    world.records.vpc_dhcp_options.insert(vpc_id.as_str().to_owned(), id.to_owned());
    let set = model(world, id);
    world.find_mut::<Vpc>(vpc_id.as_str())?.dhcp_options = set;
    let instances = world.all::<Instance>().filter(|instance| instance.vpc_id.as_ref() == Some(&vpc_id));
    let instances: Vec<InstanceId> = instances.map(|instance| instance.instance_id.clone()).collect();
    for instance in instances {
        renew_lease(world, &instance);
    }
    world.touch();
    super::done()
}

/// An instance takes on what its VPC's set says of names. Real ones do when half of their lease is over; here nobody
/// waits for it.
pub fn renew_lease(world: &mut World, instance: &InstanceId) {
    let vpc_id = world.get::<Instance>(instance).and_then(|instance| instance.vpc_id.clone());
    let Some(set) = vpc_id.and_then(|vpc_id| world.records.vpc_dhcp_options.get(vpc_id.as_str())) else { return };
    let Some(set) = all(world).remove(set) else { return };
    if let Some(machine) = world.machines.get_mut(instance) {
        machine.take_lease(&values(&set, "domain-name"), &values(&set, "domain-name-servers"));
    }
}

/// DeleteDhcpOptions: not while a VPC has the set.
pub fn delete(world: &mut World, query: &Query) -> Answer {
    let id = query.require("DhcpOptionsId")?;
    if !all(world).contains_key(id) {
        return Err(not_found(id));
    }
    if world.all::<Vpc>().any(|vpc| of_vpc(world, &vpc.vpc_id).as_deref() == Some(id)) {
        return Err(ApiError::dependency(format!("The dhcpOptions '{id}' has dependencies and cannot be deleted.")));
    }
    world.records.dhcp_options.remove(id);
    super::done()
}

/// DescribeDhcpOptions
pub fn describe_dhcp_options(world: &World, query: &Query) -> Answer {
    let filters = Filters::parse(query)?;
    let asked = query.list("DhcpOptionsId");
    let sets = all(world);
    if let Some(id) = asked.iter().find(|id| !sets.contains_key(**id)) {
        return Err(not_found(id));
    }
    let mut rows = Vec::new();
    for (id, set) in &sets {
        if !asked.is_empty() && !asked.contains(&id.as_str()) {
            continue;
        }
        let accepted = filters.accept(&set.tags, |name| match name {
            "dhcp-options-id" => one(id),
            "key" => many(set.configurations.iter().map(|(key, _)| key)),
            "value" => many(set.configurations.iter().flat_map(|(_, values)| values)),
            "owner-id" => one(&world.account_id),
            _ => None,
        })?;
        if accepted {
            rows.push((id.clone(), xml(world, id, set)));
        }
    }
    let (page, token) = page(query, PageSize { min: 5, max: 1000 }, rows)?;
    Ok(Body::Xml(Xml::new().items("dhcpOptionsSet", page).opt("nextToken", token)))
}
