//! Which fields of two values differ, by name. Pure.

use serde::Serialize;
use serde_json::Value;

/// The top-level fields that differ, in the order of their declaration, except those in `told`. Names are for people:
/// `dns support`.
pub fn differing<V: Serialize>(old: &V, new: &V, told: &[&str]) -> Vec<String> {
    // What does not serialise has no fields to name.
    let fields = |value: &V| serde_json::to_value(value).unwrap_or(Value::Null);
    let (Value::Object(old), Value::Object(new)) = (fields(old), fields(new)) else { return Vec::new() };
    let differs = |(name, value): &(&String, &Value)| old.get(name.as_str()) != Some(*value);
    let names = new.iter().filter(differs).map(|(name, _)| name.as_str());
    names.filter(|name| !told.contains(name)).map(|name| name.replace('_', " ")).collect()
}
