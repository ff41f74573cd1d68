//! Keeps each name once in memory: thousands of groups have consumers with the same few names, in this poll and the next.

use std::{cell::RefCell, collections::HashSet};

use crate::model::Name;

/// The names of the last poll and of the current one.
#[derive(Debug, Default)]
pub(super) struct Names {
    last: HashSet<Name>,
    now: RefCell<HashSet<Name>>,
}

impl Names {
    /// Starts a poll. Names that it does not use are dropped at the next one.
    pub(super) fn turn(&mut self) {
        self.last = self.now.take();
    }

    /// The name with these bytes, the same allocation as before if there is one.
    pub(super) fn get(&self, bytes: &[u8]) -> Name {
        let mut now = self.now.borrow_mut();
        if let Some(name) = now.get(bytes) {
            return name.clone();
        }
        let name = self.last.get(bytes).cloned().unwrap_or_else(|| bytes.into());
        now.insert(name.clone());
        name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_stored_once_and_dropped_when_it_is_not_used() {
        let mut names = Names::default();
        let first = names.get(b"alice").as_bytes().as_ptr();
        assert_eq!(names.get(b"alice").as_bytes().as_ptr(), first);
        names.turn();
        let again = names.get(b"alice");
        assert_eq!((again.as_bytes().as_ptr(), &again), (first, &Name::from("alice")));
        names.turn();
        names.turn();
        assert!(names.last.is_empty() && names.now.borrow().is_empty());
    }
}
