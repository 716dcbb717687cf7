//! Managed prefix lists: AWS's own and the account's.

use ipnet::IpNet;

use super::describe::{Filters, PageSize, one, page};
use super::{Answer, tag};
use crate::model::{Peer, PrefixList, PrefixListId, RouteDestination, RouteTable, SecurityGroup, Tags};
use crate::sandbox::wire::{ApiError, Body, Query, Xml};
use crate::sandbox::world::{PrefixListRecord, World};

const PAGES: PageSize = PageSize { min: 1, max: 100 };

/// How many entries a list of the account may have room for.
const ENTRIES_AT_MOST: i64 = 1000;

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
        PrefixList {
            prefix_list_name: "com.amazonaws.global.cloudfront.origin-facing".to_owned(),
            ..list("pl-a3a144ca", "", &["120.52.22.96/27", "205.251.249.0/24", "180.163.57.128/26"])
        },
    ]
}

fn not_found(id: &str) -> ApiError {
    ApiError::new("InvalidPrefixListID.NotFound", format!("The prefix list ID '{id}' does not exist"))
}

fn find<'a>(world: &'a World, id: &str) -> Result<&'a PrefixList, ApiError> {
    if id.parse::<PrefixListId>().is_err() {
        return Err(ApiError::new(
            "InvalidPrefixListId.Malformed",
            format!("Invalid id: \"{id}\" (expecting \"pl-...\")"),
        ));
    }
    world.network.prefix_lists.shown().get(id).ok_or_else(|| not_found(id))
}

/// The record of a list that the account may change.
fn own<'a>(world: &'a mut World, id: &str) -> Result<&'a mut PrefixListRecord, ApiError> {
    find(world, id)?;
    world.records.prefix_lists.get_mut(id).ok_or_else(|| {
        ApiError::new("UnauthorizedOperation", format!("The prefix list {id} belongs to AWS and cannot be changed."))
            .with_status(403)
    })
}

fn chosen<'a>(world: &'a World, query: &Query) -> Result<Vec<(String, &'a PrefixList)>, ApiError> {
    let filters = Filters::parse(query)?;
    let asked = query.list("PrefixListId");
    for id in &asked {
        find(world, id)?;
    }
    let mut chosen = Vec::new();
    let none = Tags::default();
    for (id, list) in world.network.prefix_lists.shown() {
        if !asked.is_empty() && !asked.contains(&id) {
            continue;
        }
        let record = world.records.prefix_lists.get(id);
        let accepted = filters.accept(record.map_or(&none, |record| &record.tags), |name| match name {
            "prefix-list-id" => one(id),
            "prefix-list-name" => one(&list.prefix_list_name),
            "owner-id" => one(record.map_or("AWS", |_| world.account_id.as_str())),
            _ => None,
        })?;
        if accepted {
            chosen.push((id.to_owned(), list));
        }
    }
    Ok(chosen)
}

fn xml(world: &World, list: &PrefixList, state: &str) -> Xml {
    let record = world.records.prefix_lists.get(list.prefix_list_id.as_str());
    let owner = record.map_or("aws", |_| world.account_id.as_str());
    Xml::new()
        .text("prefixListId", &list.prefix_list_id)
        .text("addressFamily", record.map_or("IPv4", |record| record.address_family.as_str()))
        .text("state", state)
        .text("prefixListArn", format!("arn:aws:ec2:{}:{owner}:prefix-list/{}", world.region, list.prefix_list_id))
        .text("prefixListName", &list.prefix_list_name)
        .opt("maxEntries", record.map(|record| record.max_entries))
        .opt("version", record.map(|record| record.version))
        .items("tagSet", record.map(|record| &record.tags).into_iter().flat_map(tag::xml))
        .text("ownerId", record.map_or("AWS", |_| world.account_id.as_str()))
}

/// DescribeManagedPrefixLists
pub fn describe_managed_prefix_lists(world: &World, query: &Query) -> Answer {
    let (page, token) = page(query, PAGES, chosen(world, query)?)?;
    let state = |list: &PrefixList| match world.records.prefix_lists.get(list.prefix_list_id.as_str()) {
        Some(record) if record.version > 1 => "modify-complete",
        _ => "create-complete",
    };
    let sets = page.into_iter().map(|list| xml(world, list, state(list)));
    Ok(Body::Xml(Xml::new().items("prefixListSet", sets).opt("nextToken", token)))
}

/// GetManagedPrefixListEntries: of the present version, or of an earlier one.
pub fn get_entries(world: &World, query: &Query) -> Answer {
    let list = find(world, query.require("PrefixListId")?)?;
    let record = world.records.prefix_lists.get(list.prefix_list_id.as_str());
    let entries: Vec<(IpNet, Option<&String>)> = match (record, query.int("TargetVersion")?) {
        (None, _) => list.cidrs.iter().flatten().map(|cidr| (*cidr, None)).collect(),
        (Some(record), version) => {
            let version = version.unwrap_or(record.version);
            let entries = record.versions.get(&version).ok_or_else(|| {
                ApiError::invalid_value(format!("The prefix list {} has no version {version}.", list.prefix_list_id))
            })?;
            entries.iter().map(|(cidr, description)| (*cidr, description.as_ref())).collect()
        }
    };
    let rows = entries
        .into_iter()
        .map(|(cidr, description)| (cidr.to_string(), Xml::new().text("cidr", cidr).opt("description", description)))
        .collect();
    let (page, token) = page(query, PAGES, sorted(rows))?;
    Ok(Body::Xml(Xml::new().items("entrySet", page).opt("nextToken", token)))
}

fn sorted<T>(mut rows: Vec<(String, T)>) -> Vec<(String, T)> {
    rows.sort_by(|(a, _), (b, _)| a.cmp(b));
    rows
}

/// GetManagedPrefixListAssociations: the route tables and groups that name a list.
pub fn get_associations(world: &World, query: &Query) -> Answer {
    let id = find(world, query.require("PrefixListId")?)?.prefix_list_id.clone();
    let rows = users(world, &id).into_iter().map(|user| {
        let row = Xml::new().text("resourceId", &user).text("resourceOwner", &world.account_id);
        (user, row)
    });
    let (page, token) = page(query, PAGES, sorted(rows.collect()))?;
    Ok(Body::Xml(Xml::new().items("prefixListAssociationSet", page).opt("nextToken", token)))
}

fn users(world: &World, id: &PrefixListId) -> Vec<String> {
    let tables = world
        .all::<RouteTable>()
        .filter(|table| table.routes.iter().any(|r| r.destination == RouteDestination::PrefixList(id.clone())))
        .map(|table| table.route_table_id.to_string());
    let groups = world
        .all::<SecurityGroup>()
        .filter(|group| group.rules.iter().any(|rule| matches!(&rule.peer, Peer::PrefixList(list) if list == id)))
        .map(|group| group.group_id.to_string());
    tables.chain(groups).collect()
}

/// DescribePrefixLists: the older action.
pub fn describe_prefix_lists(world: &World, query: &Query) -> Answer {
    let (page, token) = page(query, PageSize { min: 5, max: 1000 }, chosen(world, query)?)?;
    let sets = page.into_iter().map(|list| {
        Xml::new()
            .values("cidrSet", list.cidrs.iter().flatten())
            .text("prefixListId", &list.prefix_list_id)
            .text("prefixListName", &list.prefix_list_name)
    });
    Ok(Body::Xml(Xml::new().items("prefixListSet", sets).opt("nextToken", token)))
}

fn cidr(entry: &Query, address_family: &str) -> Result<IpNet, ApiError> {
    let text = entry.require("Cidr")?;
    let of_family = |net: &IpNet| (address_family == "IPv4") == matches!(net, IpNet::V4(_));
    text.parse::<IpNet>()
        .ok()
        .filter(of_family)
        .map(|net| net.trunc())
        .ok_or_else(|| ApiError::invalid_value(format!("The CIDR {text} is not a valid {address_family} CIDR block.")))
}

fn room(value: i64) -> Result<u32, ApiError> {
    u32::try_from(value)
        .ok()
        .filter(|max| (1..=ENTRIES_AT_MOST).contains(&i64::from(*max)))
        .ok_or_else(|| ApiError::invalid_value(format!("MaxEntries must be between 1 and {ENTRIES_AT_MOST}: {value}")))
}

fn check_room(record: &PrefixListRecord, entries: usize) -> Result<(), ApiError> {
    if entries > usize::try_from(record.max_entries).unwrap_or(usize::MAX) {
        return Err(ApiError::new(
            "PrefixListMaxEntriesExceeded",
            format!("The number of entries would exceed the prefix list's maximum of {}.", record.max_entries),
        ));
    }
    Ok(())
}

/// CreateManagedPrefixList
pub fn create(world: &mut World, query: &Query) -> Answer {
    let name = query.require("PrefixListName")?.to_owned();
    if name.starts_with("com.amazonaws") {
        return Err(ApiError::invalid_value("A prefix list name cannot begin with com.amazonaws."));
    }
    let address_family = query.require("AddressFamily")?.to_owned();
    if !matches!(address_family.as_str(), "IPv4" | "IPv6") {
        return Err(ApiError::invalid_value(format!("Invalid address family: {address_family}")));
    }
    let max_entries = room(query.int("MaxEntries")?.ok_or_else(|| ApiError::missing("MaxEntries"))?)?;
    let tags = tag::specified(query, "prefix-list")?;
    let mut entries = std::collections::BTreeMap::new();
    for entry in query.structs("Entry") {
        let net = cidr(&entry, &address_family)?;
        if entries.insert(net, entry.get("Description").map(str::to_owned)).is_some() {
            return Err(ApiError::invalid_value(format!("The CIDR {net} is in the request twice.")));
        }
    }
    let prefix_list_id = PrefixListId::new(world.new_id("pl-"));
    let list = PrefixList {
        prefix_list_id: prefix_list_id.clone(),
        prefix_list_name: name,
        cidrs: Some(entries.keys().copied().collect()),
    };
    let count = entries.len();
    let record = PrefixListRecord { address_family, max_entries, version: 1, versions: [(1, entries)].into(), tags };
    check_room(&record, count)?;
    let id = prefix_list_id.as_str().to_owned();
    world.records.prefix_lists.insert(id.clone(), record);
    let answer = xml(world, &list, "create-in-progress");
    world.network.prefix_lists.items_mut().insert(id, list);
    Ok(Body::Xml(Xml::new().node("prefixList", answer)))
}

/// ModifyManagedPrefixList: a change of entries makes a new version.
pub fn modify(world: &mut World, query: &Query) -> Answer {
    let id = query.require("PrefixListId")?;
    let record = own(world, id)?;
    let (add, remove) = (query.structs("AddEntry"), query.structs("RemoveEntry"));
    if !(add.is_empty() && remove.is_empty()) {
        let current = query.int("CurrentVersion")?.ok_or_else(|| ApiError::missing("CurrentVersion"))?;
        if current != record.version {
            return Err(ApiError::new(
                "PrefixListVersionMismatch",
                format!("The prefix list has the version {}, not {current}.", record.version),
            ));
        }
    }
    let max_entries = query.int("MaxEntries")?.map(room).transpose()?;
    let mut entries = record.versions.get(&record.version).cloned().unwrap_or_default();
    for entry in &remove {
        let net = cidr(entry, &record.address_family)?;
        if entries.remove(&net).is_none() {
            return Err(ApiError::invalid_value(format!("The CIDR {net} is not in the prefix list {id}.")));
        }
    }
    for entry in &add {
        let net = cidr(entry, &record.address_family)?;
        if entries.insert(net, entry.get("Description").map(str::to_owned)).is_some() {
            return Err(ApiError::invalid_value(format!("The CIDR {net} is in the prefix list {id} already.")));
        }
    }
    let wanted = PrefixListRecord { max_entries: max_entries.unwrap_or(record.max_entries), ..record.clone() };
    check_room(&wanted, entries.len())?;
    record.max_entries = wanted.max_entries;
    let cidrs: Vec<IpNet> = entries.keys().copied().collect();
    if !(add.is_empty() && remove.is_empty()) {
        record.version += 1;
        record.versions.insert(record.version, entries);
    }
    if let Some(list) = world.network.prefix_lists.items_mut().get_mut(id) {
        list.cidrs = Some(cidrs);
        if let Some(name) = query.get("PrefixListName") {
            name.clone_into(&mut list.prefix_list_name);
        }
    }
    let answer = xml(world, find(world, id)?, "modify-in-progress");
    Ok(Body::Xml(Xml::new().node("prefixList", answer)))
}

/// DeleteManagedPrefixList: not while a route or a rule names it.
pub fn delete(world: &mut World, query: &Query) -> Answer {
    let id = query.require("PrefixListId")?;
    own(world, id)?;
    let list = find(world, id)?.clone();
    if let Some(user) = users(world, &list.prefix_list_id).first() {
        return Err(ApiError::dependency(format!("The prefix list {id} is in use by {user} and cannot be deleted.")));
    }
    let answer = xml(world, &list, "delete-in-progress");
    world.records.prefix_lists.remove(id);
    world.network.prefix_lists.items_mut().remove(id);
    Ok(Body::Xml(Xml::new().node("prefixList", answer)))
}
