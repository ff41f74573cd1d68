//! A map from names, made of all at once: the few groups of a stream, or all streams of a reading.
//!
//! A `BTreeMap` has room for eleven entries where there are three, and there are three maps for each of thousands of
//! streams: it took most of the sidecar's memory.

use super::Name;

/// A map from names, in their order, as small as what it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NameMap<T>(Box<[(Name, T)]>);

impl<T> NameMap<T> {
    /// How many names.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What stands under the name.
    #[must_use]
    pub fn get(&self, name: &Name) -> Option<&T> {
        self.0.get(self.index(name)?).map(|(_, value)| value)
    }

    /// What stands under the name, to change it.
    pub fn get_mut(&mut self, name: &Name) -> Option<&mut T> {
        let index = self.index(name)?;
        self.0.get_mut(index).map(|(_, value)| value)
    }

    /// Whether something stands under the name.
    #[must_use]
    pub fn contains_key(&self, name: &Name) -> bool {
        self.index(name).is_some()
    }

    /// Takes the name out.
    pub fn remove(&mut self, name: &Name) {
        let left = std::mem::take(self).0.into_iter().filter(|(other, _)| other != name);
        self.0 = left.collect();
    }

    /// All names with what stands under them, in the names' order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (&Name, &T)> + ExactSizeIterator {
        self.0.iter().map(|(name, value)| (name, value))
    }

    /// The names, in order.
    pub fn keys(&self) -> impl Iterator<Item = &Name> {
        self.0.iter().map(|(name, _)| name)
    }

    /// What stands under the names, in their order.
    pub fn values(&self) -> impl Iterator<Item = &T> {
        self.0.iter().map(|(_, value)| value)
    }

    /// All names with what stands under them, to change it, in the names' order.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (&Name, &mut T)> {
        self.0.iter_mut().map(|(name, value)| (&*name, value))
    }

    /// What stands under the names, to change it.
    pub fn values_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.0.iter_mut().map(|(_, value)| value)
    }

    fn index(&self, name: &Name) -> Option<usize> {
        self.0.binary_search_by(|(other, _)| other.cmp(name)).ok()
    }
}

impl<T> Default for NameMap<T> {
    fn default() -> Self {
        Self(Box::default())
    }
}

/// Of several under one name the last counts, as in other maps.
impl<T> FromIterator<(Name, T)> for NameMap<T> {
    fn from_iter<I: IntoIterator<Item = (Name, T)>>(entries: I) -> Self {
        let mut entries: Vec<(Name, T)> = entries.into_iter().collect();
        // Mostly they come in order, and to sort them would take as much room again.
        if !entries.is_sorted_by(|(one, _), (other, _)| one < other) {
            entries.reverse();
            entries.sort_by(|(one, _), (other, _)| one.cmp(other));
            entries.dedup_by(|(later, _), (kept, _)| later == kept);
        }
        Self(entries.into_boxed_slice())
    }
}

impl<T, const N: usize> From<[(Name, T); N]> for NameMap<T> {
    fn from(entries: [(Name, T); N]) -> Self {
        entries.into_iter().collect()
    }
}

impl<'a, T> IntoIterator for &'a NameMap<T> {
    type Item = (&'a Name, &'a T);
    type IntoIter = std::iter::Map<std::slice::Iter<'a, (Name, T)>, fn(&'a (Name, T)) -> (&'a Name, &'a T)>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter().map(|(name, value)| (name, value))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_is_as_other_maps(entries: Vec<(u8, u8)>, asked: u8) {
            let name = |number: u8| Name::from(number.to_string().as_str());
            let entries: Vec<(Name, u8)> = entries.iter().map(|(key, value)| (name(*key), *value)).collect();
            let (mut small, mut other): (NameMap<u8>, BTreeMap<Name, u8>) =
                (entries.iter().cloned().collect(), entries.into_iter().collect());
            prop_assert_eq!(small.get(&name(asked)), other.get(&name(asked)));
            prop_assert!(small.iter().eq(other.iter()));
            small.remove(&name(asked));
            other.remove(&name(asked));
            prop_assert!(small.iter().eq(other.iter()));
        }
    }
}
