//! What was seen, when, and what could not be seen.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Why something could not be observed: denied, throttled, timed out, never asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{what} unknown: {reason}")]
pub struct Unknown {
    /// What is not known, in AWS's words: `DescribeRouteTables`, `facts of host i-…`.
    pub what: String,
    /// Why, for a person: AWS's code and message, or `no answer within 10 s`.
    pub reason: String,
}

impl Unknown {
    pub fn new(what: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { what: what.into(), reason: reason.into() }
    }
}

/// One value that may not be known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fact<T> {
    Known(T),
    Unknown(Unknown),
}

impl<T> Fact<T> {
    /// The value, or why there is none.
    pub fn known(&self) -> Result<&T, &Unknown> {
        match self {
            Self::Known(value) => Ok(value),
            Self::Unknown(unknown) => Err(unknown),
        }
    }
}

/// All resources of one kind, from one describe call.
///
/// When the call failed, `shown` still holds what an earlier observation saw (with its age), so that a screen does
/// not go blank, and `known` refuses, so that no decision rests on it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(bound(serialize = "V: Serialize", deserialize = "V: Deserialize<'de>"))]
pub struct Part<V> {
    /// Shared between copies of a snapshot until one of them is edited: a diagnosis edits a part or two of its copy.
    #[serde(with = "shared")]
    items: Arc<BTreeMap<String, V>>,
    unknown: Option<Unknown>,
    observed_at: Option<Timestamp>,
}

impl<V> Part<V> {
    /// What a complete answer held. Keys are AWS's identifiers.
    pub fn observed(at: Timestamp, items: impl IntoIterator<Item = (String, V)>) -> Self {
        Self { items: Arc::new(items.into_iter().collect()), unknown: None, observed_at: Some(at) }
    }

    /// Nothing is known, and why.
    pub fn unknown(unknown: Unknown) -> Self {
        Self { items: Arc::default(), unknown: Some(unknown), observed_at: None }
    }

    /// This part failed: keep showing what `earlier` saw.
    #[must_use]
    pub fn or_stale(self, earlier: Self) -> Self {
        if self.unknown.is_some() {
            Self { items: earlier.items, unknown: self.unknown, observed_at: earlier.observed_at }
        } else {
            self
        }
    }

    /// The resources, or why they are not known. Decisions use this.
    pub fn known(&self) -> Result<&BTreeMap<String, V>, &Unknown> {
        match &self.unknown {
            None => Ok(&self.items),
            Some(unknown) => Err(unknown),
        }
    }

    /// The resources to draw: the last that were seen, possibly stale. Decisions use [`Part::known`].
    pub fn shown(&self) -> &BTreeMap<String, V> {
        &self.items
    }

    /// One resource: `Ok(None)` when AWS said that there is none.
    pub fn get(&self, id: impl AsRef<str>) -> Result<Option<&V>, &Unknown> {
        self.known().map(|items| items.get(id.as_ref()))
    }

    /// Why the newest call failed, if it did.
    pub fn gap(&self) -> Option<&Unknown> {
        self.unknown.as_ref()
    }

    /// When what is shown was seen. `None`: never.
    pub fn observed_at(&self) -> Option<Timestamp> {
        self.observed_at
    }

    /// For a world that edits its own state: the sandbox, tests, and a diagnosis that walks on past what it found.
    pub fn items_mut(&mut self) -> &mut BTreeMap<String, V>
    where
        V: Clone,
    {
        Arc::make_mut(&mut self.items)
    }
}

impl<V> Default for Part<V> {
    /// Known to be empty. For building worlds; an observation never starts from this.
    fn default() -> Self {
        Self { items: Arc::default(), unknown: None, observed_at: None }
    }
}

/// The items as if they were not shared.
mod shared {
    use super::{Arc, BTreeMap, Deserialize, Serialize};
    use serde::{Deserializer, Serializer};

    pub(super) fn serialize<V: Serialize, S: Serializer>(
        items: &Arc<BTreeMap<String, V>>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        items.as_ref().serialize(serializer)
    }

    pub(super) fn deserialize<'de, V: Deserialize<'de>, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Arc<BTreeMap<String, V>>, D::Error> {
        BTreeMap::deserialize(deserializer).map(Arc::new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_part_shows_what_was_seen_but_knows_nothing() {
        let seen = Part::observed(Timestamp::UNIX_EPOCH, [("vpc-1".to_owned(), 1)]);
        let failed = Part::unknown(Unknown::new("DescribeVpcs", "UnauthorizedOperation")).or_stale(seen);
        assert_eq!(failed.shown().len(), 1);
        assert!(failed.known().is_err());
        assert!(failed.get("vpc-1").is_err());
        assert_eq!(failed.observed_at(), Some(Timestamp::UNIX_EPOCH));
    }
}
