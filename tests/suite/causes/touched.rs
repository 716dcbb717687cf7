//! Which parts of a world are not as they were: what tells a repair from a demolition.

use std::collections::{BTreeMap, BTreeSet};

use natdeck::model::{InstanceId, Resource};
use natdeck::sandbox::world::World;
use serde_json::Value;

/// Parts of a world by name: each resource by its identifier, each host by what it is made of. What time alone changes,
/// and what is named anew each time that it is made, is left out.
pub type Parts = BTreeMap<String, Value>;

pub fn parts(world: &World) -> Parts {
    let mut parts: Parts = world.network.resources().map(|one| (one.id().to_owned(), resource(one))).collect();
    // Which table a subnet has is the subnet's affair.
    for table in world.network.route_tables.shown().values() {
        if let Some(part) = parts.get_mut(table.route_table_id.as_str()).and_then(Value::as_object_mut) {
            part.remove("associations");
        }
        let own = table.subnet_ids().map(|subnet| (format!("table of {subnet}"), table.route_table_id.as_str().into()));
        parts.extend(own.collect::<Vec<_>>());
    }
    for (id, machine) in &world.machines {
        let mut machine = serde_json::to_value(machine).unwrap();
        scrub(&mut machine);
        let mut kernel = machine["kernel"].take();
        let conntrack = machines_conntrack(world, id);
        parts.insert(format!("{id} conntrack"), conntrack);
        if let Some(ruleset) = kernel["ruleset"].as_object_mut() {
            ruleset.remove("conntrack");
        }
        // Which of two routes to different places was made first is nothing to a packet.
        if let Some(routes) = kernel["routes"].as_array_mut() {
            routes.sort_by_key(ToString::to_string);
        }
        for part in ["interfaces", "routes", "policy_rules", "ruleset"] {
            parts.insert(format!("{id} {part}"), kernel[part].take());
        }
        parts.insert(format!("{id} sysctls"), kernel);
        for part in ["packages", "units", "cloud_init", "power"] {
            parts.insert(format!("{id} {part}"), machine[part].take());
        }
        parts.insert(format!("{id} settings"), machine["settings"].take());
        if let Some(files) = machine.pointer("/files/nodes").and_then(Value::as_object) {
            let lasting = files.iter().filter(|(path, _)| !path.starts_with("/run/") && !path.starts_with("/var/log"));
            parts.extend(lasting.map(|(path, node)| (format!("{id} {path}"), node["kind"].clone())));
        }
    }
    let denied = world.denied.iter().map(|action| (format!("permission {action}"), Value::Null));
    parts.extend(denied);
    parts
}

fn machines_conntrack(world: &World, id: &InstanceId) -> Value {
    serde_json::to_value(world.machines.get(id).and_then(|machine| machine.kernel().ruleset.conntrack)).unwrap()
}

/// The names of the parts in which two worlds differ.
pub fn touched(before: &Parts, after: &Parts) -> BTreeSet<String> {
    let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    names.into_iter().filter(|name| before.get(*name) != after.get(*name)).cloned().collect()
}

fn resource(one: Resource<'_>) -> Value {
    let mut value = super::super::world::value_of(one);
    scrub(&mut value);
    value
}

/// Leaves out counters, times and the names that AWS gives anew.
fn scrub(value: &mut Value) {
    const VOLATILE: [&str; 14] = [
        "packets",
        "bytes",
        "count",
        "modified",
        "since",
        "association_id",
        "attachment_id",
        "rule_id",
        "launch_time",
        "state_reason",
        "available_ip_address_count",
        "description",
        "journal",
        "uptime",
    ];
    match value {
        Value::Array(items) => items.iter_mut().for_each(scrub),
        Value::Object(object) => {
            object.retain(|key, _| !VOLATILE.contains(&key.as_str()));
            object.values_mut().for_each(scrub);
        }
        _ => {}
    }
}
