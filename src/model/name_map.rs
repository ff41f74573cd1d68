//! A map from names that is built once: the few groups of a stream, or all streams of a reading.
//!
//! A `BTreeMap` allocates room for eleven entries, where most maps here have three. With three maps for each of
//! thousands of streams, that was most of the sidecar's memory.

use super::Name;

/// A map from names, sorted by name, without spare capacity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NameMap<T>(Box<[(Name, T)]>);

impl<T> NameMap<T> {
    /// The number of names.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether the map has no names.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The value of the name.
    #[must_use]
    pub fn get(&self, name: &Name) -> Option<&T> {
        self.0.get(self.position(name)?).map(|(_, value)| value)
    }

    /// The value of the name, mutably.
    pub fn get_mut(&mut self, name: &Name) -> Option<&mut T> {
        let index = self.position(name)?;
        self.0.get_mut(index).map(|(_, value)| value)
    }

    /// Whether the map has the name.
    #[must_use]
    pub fn contains_key(&self, name: &Name) -> bool {
        self.position(name).is_some()
    }

    /// Removes the name. Copies all others.
    pub fn remove(&mut self, name: &Name) {
        let left = std::mem::take(self).0.into_iter().filter(|(other, _)| other != name);
        self.0 = left.collect();
    }

    /// All names and their values, in order of the names.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (&Name, &T)> + ExactSizeIterator {
        self.0.iter().map(|(name, value)| (name, value))
    }

    /// The names, in order.
    pub fn keys(&self) -> impl Iterator<Item = &Name> {
        self.0.iter().map(|(name, _)| name)
    }

    /// The values, in order of their names.
    pub fn values(&self) -> impl Iterator<Item = &T> {
        self.0.iter().map(|(_, value)| value)
    }

    /// All names and their values, mutably, in order of the names.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (&Name, &mut T)> {
        self.0.iter_mut().map(|(name, value)| (&*name, value))
    }

    /// The values, mutably.
    pub fn values_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.0.iter_mut().map(|(_, value)| value)
    }

    /// The place of the name among all names.
    #[must_use]
    pub fn position(&self, name: &Name) -> Option<usize> {
        self.0.binary_search_by(|(other, _)| other.cmp(name)).ok()
    }
}

impl<T> Default for NameMap<T> {
    fn default() -> Self {
        Self(Box::default())
    }
}

/// Of several values for one name the last is kept, as in other maps.
impl<T> FromIterator<(Name, T)> for NameMap<T> {
    fn from_iter<I: IntoIterator<Item = (Name, T)>>(entries: I) -> Self {
        let mut entries: Vec<(Name, T)> = entries.into_iter().collect();
        // Usually they are sorted already, and sorting would allocate as much memory again.
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

impl<T> IntoIterator for NameMap<T> {
    type Item = (Name, T);
    type IntoIter = std::vec::IntoIter<(Name, T)>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_vec().into_iter()
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
