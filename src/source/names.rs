//! Each name once in memory: thousands of groups have consumers of the same few names, and the next poll has them too.

use std::{cell::RefCell, collections::HashSet};

use crate::model::Name;

/// The names of the last poll and of the one under way.
#[derive(Debug, Default)]
pub(super) struct Names {
    last: HashSet<Name>,
    now: RefCell<HashSet<Name>>,
}

impl Names {
    /// The names of the poll before are those to look in; what is not used again is forgotten.
    pub(super) fn turn(&mut self) {
        self.last = self.now.take();
    }

    /// The name of these bytes, the one that is there already if there is one.
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
    fn a_name_is_held_once_and_forgotten_when_it_is_not_used() {
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
