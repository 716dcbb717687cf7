//! A report that may leave the house: account numbers, addresses and who asked become stand-ins. Pure, but for the key.
//!
//! All of the data is rewritten before anything is rendered from it, so that nothing else can reach the file. One
//! mapping holds for the whole report, and it keeps what the walk decides by: the answer stays the same.

mod addresses;
mod text;

use std::collections::BTreeSet;
use std::hash::{BuildHasher, RandomState};

use serde_json::Value;

use super::Incident;
use crate::model::{NAME, Network, STACK, STEP};
use addresses::Addresses;
use text::Scrubber;

/// What stands where a value was taken out.
const REDACTED: &str = "(redacted)";
/// So many keys are tried for one by which no stand-in is somebody else's address.
const KEYS: u64 = 32;
/// Members that look like addresses and are none.
const VERSIONS: [&str; 3] = ["agent_version", "platform_version", "natdeck"];

/// Decides which stand-in stands for what. It is kept nowhere, so that nobody finds the way back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Key([u64; 2]);

impl Key {
    /// Another one each time, from the operating system's randomness.
    pub fn random() -> Self {
        Self([RandomState::new().hash_one(0), RandomState::new().hash_one(1)])
    }

    /// Always the same, for tests.
    pub fn fixed(number: u64) -> Self {
        Self([number, 0])
    }

    fn next(self, number: u64) -> Self {
        Self([self.0[0], self.0[1].wrapping_add(number)])
    }
}

/// Redaction failed: nothing may be written.
#[derive(Debug, thiserror::Error)]
#[error("the report cannot be redacted, and is not written")]
pub struct RedactError(#[from] serde_json::Error);

/// The same incident with stand-ins.
pub fn redact(incident: &Incident, key: Key) -> Result<Incident, RedactError> {
    let value = serde_json::to_value(incident)?;
    let mut seen = BTreeSet::new();
    each_text(&value, None, &mut |text| text::addresses(text, &mut seen));
    let networks = || std::iter::once(&incident.network).chain(incident.after.iter().map(|after| &after.network));
    let addresses = |key: Key| networks().fold(Addresses::new(key), add_ranges);
    // Of the keys, the first by which no stand-in is an address that somebody else has; where ranges are full there is
    // none, and then the one with the fewest.
    let mut best = (usize::MAX, key);
    for number in 0..KEYS {
        let key = key.next(number);
        let clashes = addresses(key).clashes(&seen);
        if clashes < best.0 {
            best = (clashes, key);
        }
        if clashes == 0 {
            break;
        }
    }
    let mut scrubber = Scrubber::new(addresses(best.1));
    let mut redacted: Incident = serde_json::from_value(rewrite(value, None, &mut scrubber))?;
    redacted.redacted = true;
    Ok(redacted)
}

/// Ranges whose base is theirs in the report too: AWS keeps the addresses after it for the router and the resolver.
fn add_ranges(mut addresses: Addresses, network: &Network) -> Addresses {
    for vpc in network.vpcs.shown().values() {
        vpc.cidr_blocks.iter().for_each(|net| addresses.keep_base((*net).into()));
        vpc.ipv6_cidr_blocks.iter().for_each(|net| addresses.keep_base((*net).into()));
    }
    for subnet in network.subnets.shown().values() {
        subnet.cidr_block.iter().for_each(|net| addresses.keep_base((*net).into()));
        subnet.ipv6_cidr_blocks.iter().for_each(|net| addresses.keep_base((*net).into()));
    }
    addresses
}

/// Every text of a document, names of members included, unless it is a version.
fn each_text(value: &Value, name: Option<&str>, see: &mut impl FnMut(&str)) {
    match value {
        Value::String(text) if !is_version(name) => see(text),
        Value::Array(items) => items.iter().for_each(|item| each_text(item, name, see)),
        Value::Object(members) => {
            for (name, member) in members {
                see(name);
                each_text(member, Some(name), see);
            }
        }
        _ => {}
    }
}

fn is_version(name: Option<&str>) -> bool {
    name.is_some_and(|name| VERSIONS.contains(&name))
}

fn rewrite(value: Value, name: Option<&str>, scrubber: &mut Scrubber) -> Value {
    match value {
        Value::String(text) if !is_version(name) => Value::String(match name {
            Some("key_name" | "profile") => REDACTED.to_owned(),
            _ => scrubber.text(&text),
        }),
        Value::Array(items) => items.into_iter().map(|item| rewrite(item, name, scrubber)).collect(),
        Value::Object(members) => {
            let are_tags = name == Some("tags");
            let members = members.into_iter().map(|(name, member)| {
                let member = if are_tags && !is_shown(&name) {
                    Value::String(REDACTED.to_owned())
                } else {
                    rewrite(member, Some(&name), scrubber)
                };
                (scrubber.text(&name), member)
            });
            Value::Object(members.collect())
        }
        other => other,
    }
}

/// Tags without which nobody can read the report.
fn is_shown(tag: &str) -> bool {
    matches!(tag, NAME | STACK | STEP)
}
