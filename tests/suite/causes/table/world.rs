//! What two worlds are compared by: everything that AWS and the hosts keep, a line a fact.

use std::collections::BTreeSet;

use natdeck::sandbox::world::World;
use regex::Regex;
use serde_json::Value;

/// A world's facts. Identifiers of associations, times and counters are left out: they change when nothing does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts(BTreeSet<String>);

/// Below these paths a host keeps what comes and goes by itself.
const FLEETING: [&str; 6] = ["/var/log", "/var/lib/amazon", "/var/cache", "/tmp", "/run", "/proc"];

impl Facts {
    pub fn of(world: &World) -> Self {
        let mut facts = BTreeSet::new();
        let network = serde_json::to_value(&world.network).unwrap();
        lines("", &network, &mut facts);
        lines("iam", &serde_json::to_value(&world.iam).unwrap(), &mut facts);
        lines("denied", &serde_json::to_value(&world.denied).unwrap(), &mut facts);
        lines("internet", &serde_json::to_value(&world.internet).unwrap(), &mut facts);
        for (id, machine) in &world.machines {
            let machine = serde_json::to_value(machine).unwrap();
            for field in ["packages", "settings", "strain"] {
                lines(&format!("{id} {field}"), &machine[field], &mut facts);
            }
            for (field, value) in machine["kernel"].as_object().into_iter().flatten().filter(|(f, _)| *f != "ruleset") {
                lines(&format!("{id} {field}"), value, &mut facts);
            }
            lines(&format!("{id} conntrack"), &machine["kernel"]["ruleset"]["conntrack"], &mut facts);
            for table in machine["kernel"]["ruleset"]["tables"].as_array().into_iter().flatten() {
                rules(id.as_str(), table, &mut facts);
            }
            for (name, unit) in machine["units"].as_object().into_iter().flatten() {
                for is in ["enabled", "masked"].iter().filter(|is| unit[**is] == true) {
                    facts.insert(format!("{id} unit {name} {is}"));
                }
                if unit["state"] == "active" {
                    facts.insert(format!("{id} unit {name} runs"));
                }
            }
            for (path, node) in machine["files"]["nodes"].as_object().into_iter().flatten() {
                if !FLEETING.iter().any(|fleeting| path.starts_with(fleeting)) {
                    facts.insert(format!("{id} file {path} {} {}", node["mode"], node["kind"]));
                }
            }
        }
        let volatile = Regex::new(
            r#""?(observed_at|last_ping_at|launch_time|packets|bytes|started_at|pid|since)"?( = |:)("[^"]*"|\d+|null)"#,
        )
        .unwrap();
        let named = Regex::new(r"\b(sgr|rtbassoc|aclassoc|eni-attach|eipassoc|iip-assoc)-[0-9a-f]+").unwrap();
        let kept = facts.into_iter().map(|fact| {
            let fact = volatile.replace_all(&fact, "$1");
            named.replace_all(&fact, "$1").into_owned()
        });
        Self(kept.collect())
    }

    /// What is in one and not in the other: `- ` was there before, `+ ` is there after.
    pub fn changes(&self, after: &Self) -> Vec<String> {
        let gone = self.0.difference(&after.0).map(|fact| format!("- {fact}"));
        gone.chain(after.0.difference(&self.0).map(|fact| format!("+ {fact}"))).collect()
    }
}

/// A line a rule, and one for each policy that is not to accept.
fn rules(id: &str, table: &Value, facts: &mut BTreeSet<String>) {
    for chain in table["chains"].as_array().into_iter().flatten() {
        let place = format!("{id} {} {} {}", table["family"], table["name"], chain["name"]).replace('"', "");
        let policy = &chain["base"]["policy"];
        if policy.is_string() && policy != "accept" {
            facts.insert(format!("{place} policy {policy}"));
        }
        for rule in chain["rules"].as_array().into_iter().flatten() {
            facts.insert(format!("{place} {}", rule["text"]));
        }
    }
}

/// Objects are gone into; an element of a list is one line, so that its place does not matter.
fn lines(path: &str, value: &Value, facts: &mut BTreeSet<String>) {
    match value {
        Value::Object(object) => object.iter().for_each(|(name, value)| lines(&format!("{path}/{name}"), value, facts)),
        Value::Array(items) => items.iter().for_each(|item| {
            facts.insert(format!("{path}[] = {item}"));
        }),
        value => {
            facts.insert(format!("{path} = {value}"));
        }
    }
}
