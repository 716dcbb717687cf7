//! The fields of a query-protocol form, and how structures and lists are read from their dotted names.

use serde::{Deserialize, Serialize};

use super::ApiError;

/// A form's fields in the order in which they came. `Filter.1.Value.2` is the second value of the first filter.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Query(Vec<(String, String)>);

impl<K: Into<String>, V: Into<String>> FromIterator<(K, V)> for Query {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(pairs: I) -> Self {
        Self(pairs.into_iter().map(|(k, v)| (k.into(), v.into())).collect())
    }
}

impl Query {
    /// All fields, in order.
    pub fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// A field by its full name.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// A field that must be there and not be empty.
    pub fn require(&self, name: &str) -> Result<&str, ApiError> {
        self.get(name).filter(|value| !value.is_empty()).ok_or_else(|| ApiError::missing(name))
    }

    /// A boolean field. `None` when absent.
    pub fn bool(&self, name: &str) -> Result<Option<bool>, ApiError> {
        self.get(name)
            .map(|text| match text.to_ascii_lowercase().as_str() {
                "true" | "1" => Ok(true),
                "false" | "0" => Ok(false),
                _ => Err(ApiError::invalid_value(format!("Invalid value '{text}' for {name}. Expected: 'boolean'."))),
            })
            .transpose()
    }

    /// An integer field. `None` when absent.
    pub fn int(&self, name: &str) -> Result<Option<i64>, ApiError> {
        self.get(name)
            .map(|text| {
                text.parse().map_err(|_| {
                    ApiError::invalid_value(format!("Invalid value '{text}' for {name}. Expected: 'integer'."))
                })
            })
            .transpose()
    }

    /// A list of plain values: `SubnetId.1`, `SubnetId.2`. By number, as AWS reads it.
    pub fn list(&self, name: &str) -> Vec<&str> {
        let mut values: Vec<(u32, &str)> = self
            .0
            .iter()
            .filter_map(|(key, value)| {
                let index = key.strip_prefix(name)?.strip_prefix('.')?.parse().ok()?;
                Some((index, value.as_str()))
            })
            .collect();
        values.sort_by_key(|(index, _)| *index);
        values.into_iter().map(|(_, value)| value).collect()
    }

    /// A structure: the fields below `name`, with the prefix removed.
    pub fn nested(&self, name: &str) -> Self {
        let below = |(key, value): &(String, String)| {
            let rest = key.strip_prefix(name)?.strip_prefix('.')?;
            Some((rest.to_owned(), value.clone()))
        };
        Self(self.0.iter().filter_map(below).collect())
    }

    /// A list of structures: `Filter.1.…`, `Filter.2.…`. For IAM's lists, `structs("Tags.member")`.
    pub fn structs(&self, name: &str) -> Vec<Self> {
        let below = self.nested(name);
        let mut indices: Vec<u32> = below.0.iter().filter_map(|(key, _)| key.split('.').next()?.parse().ok()).collect();
        indices.sort_unstable();
        indices.dedup();
        indices.into_iter().map(|index| below.nested(&index.to_string())).collect()
    }

    /// Whether a field of this name, or any below it, was sent.
    pub fn has(&self, name: &str) -> bool {
        self.0
            .iter()
            .any(|(key, _)| key.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('.')))
    }

    /// The same fields without those of these names.
    #[must_use]
    pub fn without(&self, names: &[&str]) -> Self {
        Self(self.0.iter().filter(|(key, _)| !names.contains(&key.as_str())).cloned().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_read_by_number_not_by_text() {
        let pairs: Vec<_> = (1..=11).rev().map(|n| (format!("VpcId.{n}"), format!("v{n}"))).collect();
        let query: Query = pairs.into_iter().collect();
        let list = query.list("VpcId");
        assert_eq!((list[1], list[9], list[10]), ("v2", "v10", "v11"));
    }

    #[test]
    fn structures_nest() {
        let query: Query =
            [("Filter.1.Name", "a"), ("Filter.1.Value.1", "x"), ("Filter.2.Name", "b")].into_iter().collect();
        let filters = query.structs("Filter");
        assert_eq!(filters.len(), 2);
        assert_eq!(filters[0].list("Value"), ["x"]);
        assert_eq!(filters[1].get("Name"), Some("b"));
        assert!(query.has("Filter") && !query.has("Filt"));
    }
}
