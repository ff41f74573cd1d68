//! Looking names up that come in order, as all streams of a reading do: thousands of searches would take most of a poll's own time.

use std::iter::Peekable;

use super::Name;

/// Names in order with what stands under them, to be asked for names in order: each look goes on where the one before ended.
pub struct InOrder<I: Iterator>(Peekable<I>);

impl<'a, T, I: Iterator<Item = (&'a Name, T)>> InOrder<I> {
    /// To be asked from the first name on.
    pub fn new(names: impl IntoIterator<IntoIter = I>) -> Self {
        Self(names.into_iter().peekable())
    }

    /// What stands under this name, which is behind all that were asked for before.
    pub fn get(&mut self, name: &Name) -> Option<T> {
        loop {
            let (next, _) = self.0.peek()?;
            // Mostly it is the next, and known to be without being compared.
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
