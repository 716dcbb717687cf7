//! What was seen, when, and what could not be seen.

use std::sync::{Arc, OnceLock};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Items, Lookup};

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
#[derive(Debug, Serialize, Deserialize)]
#[serde(bound(serialize = "V: Serialize", deserialize = "V: Deserialize<'de>"))]
pub struct Part<V, L = ()> {
    /// Shared between copies of a snapshot until one of them is edited: a diagnosis edits a part or two of its copy.
    items: Items<V>,
    unknown: Option<Unknown>,
    observed_at: Option<Timestamp>,
    /// Built from `items` when it is first asked for.
    #[serde(skip, default = "OnceLock::new")]
    lookup: OnceLock<Arc<L>>,
}

impl<V, L> Part<V, L> {
    /// What a complete answer held. Keys are AWS's identifiers.
    pub fn observed(at: Timestamp, items: impl IntoIterator<Item = (String, V)>) -> Self {
        Self { items: items.into_iter().collect(), unknown: None, observed_at: Some(at), lookup: OnceLock::new() }
    }

    /// Nothing is known, and why.
    pub fn unknown(unknown: Unknown) -> Self {
        Self { unknown: Some(unknown), ..Self::default() }
    }

    /// This part failed: keep showing what `earlier` saw.
    #[must_use]
    pub fn or_stale(self, earlier: Self) -> Self {
        if self.unknown.is_some() { Self { unknown: self.unknown, ..earlier } } else { self }
    }

    /// The resources, or why they are not known. Decisions use this.
    pub fn known(&self) -> Result<&Items<V>, &Unknown> {
        match &self.unknown {
            None => Ok(&self.items),
            Some(unknown) => Err(unknown),
        }
    }

    /// The resources to draw: the last that were seen, possibly stale. Decisions use [`Part::known`].
    pub fn shown(&self) -> &Items<V> {
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

    /// What [`Part::known`] holds, by something else than its identifier.
    pub fn lookup(&self) -> Result<&L, &Unknown>
    where
        L: Lookup<V>,
    {
        self.known().map(|_| self.lookup_shown())
    }

    /// What [`Part::shown`] holds, by something else than its identifier.
    pub fn lookup_shown(&self) -> &L
    where
        L: Lookup<V>,
    {
        self.lookup.get_or_init(|| Arc::new(L::build(&self.items)))
    }

    /// For a world that edits its own state: the sandbox, tests, and a diagnosis that walks on past what it found.
    pub fn items_mut(&mut self) -> &mut Items<V> {
        self.lookup = OnceLock::new();
        &mut self.items
    }
}

impl<V, L> Default for Part<V, L> {
    /// Known to be empty. For building worlds; an observation never starts from this.
    fn default() -> Self {
        Self { items: Items::default(), unknown: None, observed_at: None, lookup: OnceLock::new() }
    }
}

impl<V, L> Clone for Part<V, L> {
    /// Copies no resource.
    fn clone(&self) -> Self {
        Self {
            items: self.items.clone(),
            unknown: self.unknown.clone(),
            observed_at: self.observed_at,
            lookup: self.lookup.clone(),
        }
    }
}

impl<V: PartialEq, L> PartialEq for Part<V, L> {
    fn eq(&self, other: &Self) -> bool {
        self.items == other.items && self.unknown == other.unknown && self.observed_at == other.observed_at
    }
}

impl<V: Eq, L> Eq for Part<V, L> {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_part_shows_what_was_seen_but_knows_nothing() {
        let seen: Part<i32> = Part::observed(Timestamp::UNIX_EPOCH, [("vpc-1".to_owned(), 1)]);
        let failed = Part::unknown(Unknown::new("DescribeVpcs", "UnauthorizedOperation")).or_stale(seen);
        assert_eq!(failed.shown().len(), 1);
        assert!(failed.known().is_err());
        assert!(failed.get("vpc-1").is_err());
        assert_eq!(failed.observed_at(), Some(Timestamp::UNIX_EPOCH));
    }
    #[test]
    fn an_edit_is_found_by_the_lookup() {
        struct Largest(Option<i32>);
        impl Lookup<i32> for Largest {
            fn build(items: &Items<i32>) -> Self {
                Self(items.values().copied().max())
            }
        }
        let mut part: Part<i32, Largest> = Part::observed(Timestamp::UNIX_EPOCH, [("a".to_owned(), 1)]);
        assert_eq!(part.lookup().unwrap().0, Some(1));
        let before = part.clone();
        part.items_mut().insert("b", 2);
        assert_eq!((before.lookup().unwrap().0, part.lookup().unwrap().0), (Some(1), Some(2)));
        let failed = Part::unknown(Unknown::new("DescribeVpcs", "UnauthorizedOperation")).or_stale(part);
        assert!(failed.lookup().is_err(), "what is not known is not looked up");
        assert_eq!(failed.lookup_shown().0, Some(2));
    }
}
