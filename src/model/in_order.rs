//! Lookups of sorted names in a sorted sequence, in one pass over both.
//!
//! A binary search for each of thousands of streams would take most of a poll's own time.

use std::iter::Peekable;

use super::Name;

/// Sorted names and their values, for lookups in the same order. Each lookup continues where the one before ended.
pub struct InOrder<I: Iterator>(Peekable<I>);

impl<'a, T, I: Iterator<Item = (&'a Name, T)>> InOrder<I> {
    /// Starts before the first name.
    pub fn new(names: impl IntoIterator<IntoIter = I>) -> Self {
        Self(names.into_iter().peekable())
    }

    /// The value of this name, which must follow all names that were looked up before.
    pub fn get(&mut self, name: &Name) -> Option<T> {
        loop {
            let (next, _) = self.0.peek()?;
            // This is the usual case. Names that are one allocation are equal without comparing their bytes.
            if *next == name {
                return self.0.next().map(|(_, value)| value);
            }
            if *next > name {
                return None;
            }
            self.0.next();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_finds_what_a_search_would(there: Vec<u8>, asked: Vec<u8>) {
            let name = |number: &u8| Name::from(number.to_string().as_str());
            let there: BTreeMap<Name, u8> = there.iter().map(|number| (name(number), *number)).collect();
            let asked: BTreeMap<Name, ()> = asked.iter().map(|number| (name(number), ())).collect();
            let mut in_order = InOrder::new(&there);
            for name in asked.keys() {
                prop_assert_eq!(in_order.get(name), there.get(name));
            }
        }
    }
}
