//! Resource tags.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The tag that names a resource for people.
pub const NAME: &str = "Name";
/// The tag that says which stack a resource belongs to. Teardown deletes only what carries its own.
pub const STACK: &str = "natdeck:stack";
/// The tag that says which step made a resource: how a lost answer is found again.
pub const STEP: &str = "natdeck:step";

/// Tags of one resource: key to value.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Tags(pub BTreeMap<String, String>);

impl Tags {
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }

    /// The `Name` tag, unless it is empty.
    pub fn name(&self) -> Option<&str> {
        self.get(NAME).filter(|name| !name.is_empty())
    }

    /// The stack that made the resource.
    pub fn stack(&self) -> Option<&str> {
        self.get(STACK)
    }

    /// The step that made the resource.
    pub fn step(&self) -> Option<&str> {
        self.get(STEP)
    }
}

impl<K: Into<String>, V: Into<String>> FromIterator<(K, V)> for Tags {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(pairs: I) -> Self {
        Self(pairs.into_iter().map(|(k, v)| (k.into(), v.into())).collect())
    }
}
