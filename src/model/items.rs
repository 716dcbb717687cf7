//! The resources of one kind, by AWS's identifier. Pure.
//!
//! A snapshot is copied often: for a diagnosis that walks on past what it found, for a console that freezes. A copy of
//! 2,000 interfaces shares every one of them until it is edited.

use std::collections::{BTreeMap, btree_map};
use std::iter::Map;
use std::ops::Index;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Resources in the order of their identifiers.
#[derive(Debug)]
pub struct Items<V>(Arc<Shared<V>>);

type Shared<V> = BTreeMap<Arc<str>, Arc<V>>;

/// See [`Items::keys`].
pub type Keys<'a, V> = Map<btree_map::Keys<'a, Arc<str>, Arc<V>>, fn(&'a Arc<str>) -> &'a str>;

/// See [`Items::values`].
pub type Values<'a, V> = Map<btree_map::Values<'a, Arc<str>, Arc<V>>, fn(&'a Arc<V>) -> &'a V>;

impl<V> Items<V> {
    pub fn get(&self, id: &str) -> Option<&V> {
        self.0.get(id).map(Arc::as_ref)
    }

    /// With the identifier as it is kept here, which lives as long as the items.
    pub fn get_key_value(&self, id: &str) -> Option<(&str, &V)> {
        self.0.get_key_value(id).map(|(id, item)| (id.as_ref(), item.as_ref()))
    }

    pub fn contains_key(&self, id: &str) -> bool {
        self.0.contains_key(id)
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn keys(&self) -> Keys<'_, V> {
        self.0.keys().map(AsRef::as_ref)
    }

    pub fn values(&self) -> Values<'_, V> {
        self.0.values().map(AsRef::as_ref)
    }

    pub fn iter(&self) -> Iter<'_, V> {
        Iter(self.0.iter())
    }

    /// The resources as they are shared: for a [`super::Lookup`].
    pub fn shared(&self) -> impl Iterator<Item = &Arc<V>> {
        self.0.values()
    }

    /// Puts a resource in; what was there before is returned.
    pub fn insert(&mut self, id: impl Into<Arc<str>>, item: V) -> Option<V>
    where
        V: Clone,
    {
        Arc::make_mut(&mut self.0).insert(id.into(), Arc::new(item)).map(Arc::unwrap_or_clone)
    }

    pub fn remove(&mut self, id: &str) -> Option<V>
    where
        V: Clone,
    {
        Arc::make_mut(&mut self.0).remove(id).map(Arc::unwrap_or_clone)
    }

    pub fn retain(&mut self, mut keep: impl FnMut(&str, &V) -> bool) {
        Arc::make_mut(&mut self.0).retain(|id, item| keep(id, item));
    }

    pub fn clear(&mut self) {
        self.0 = Arc::default();
    }

    /// One resource to edit: it alone is copied if it is shared.
    pub fn get_mut(&mut self, id: &str) -> Option<&mut V>
    where
        V: Clone,
    {
        Arc::make_mut(&mut self.0).get_mut(id).map(Arc::make_mut)
    }

    /// All of them to edit, for a world that owns them: what is shared is copied.
    pub fn values_mut(&mut self) -> impl Iterator<Item = &mut V>
    where
        V: Clone,
    {
        Arc::make_mut(&mut self.0).values_mut().map(Arc::make_mut)
    }
}

impl<V> Clone for Items<V> {
    /// Copies no resource.
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<V: PartialEq> PartialEq for Items<V> {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.0 == other.0
    }
}

impl<V: Eq> Eq for Items<V> {}

impl<V> Default for Items<V> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<V, K: Into<Arc<str>>> FromIterator<(K, V)> for Items<V> {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(items: I) -> Self {
        Self(Arc::new(items.into_iter().map(|(id, item)| (id.into(), Arc::new(item))).collect()))
    }
}

impl<V> Index<&str> for Items<V> {
    type Output = V;

    /// For tests. Like that of a map it is no answer to whether something exists.
    fn index(&self, id: &str) -> &V {
        &self.0[id]
    }
}

/// See [`Items::iter`].
#[derive(Debug, Clone)]
pub struct Iter<'a, V>(btree_map::Iter<'a, Arc<str>, Arc<V>>);

impl<'a, V> Iterator for Iter<'a, V> {
    type Item = (&'a str, &'a V);

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next().map(|(id, item)| (id.as_ref(), item.as_ref()))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.0.size_hint()
    }
}

impl<'a, V> IntoIterator for &'a Items<V> {
    type Item = (&'a str, &'a V);
    type IntoIter = Iter<'a, V>;

    fn into_iter(self) -> Iter<'a, V> {
        self.iter()
    }
}

impl<V: Serialize> Serialize for Items<V> {
    /// As a map.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self)
    }
}

impl<'de, V: Deserialize<'de>> Deserialize<'de> for Items<V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        BTreeMap::<String, V>::deserialize(deserializer).map(Self::from_iter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_shares_what_it_does_not_edit() {
        let original: Items<Vec<u8>> = [("a", vec![1]), ("b", vec![2])].into_iter().collect();
        let mut copy = original.clone();
        copy.get_mut("b").unwrap().push(3);
        assert!(std::ptr::eq(&original["a"], &copy["a"]));
        assert_eq!((&original["b"], &copy["b"]), (&vec![2], &vec![2, 3]));
    }

    #[test]
    fn items_are_written_as_a_map() {
        let items: Items<u8> = [("b", 2), ("a", 1)].into_iter().collect();
        let text = serde_json::to_string(&items).unwrap();
        assert_eq!(text, r#"{"a":1,"b":2}"#);
        assert_eq!(serde_json::from_str::<Items<u8>>(&text).unwrap(), items);
    }
}
