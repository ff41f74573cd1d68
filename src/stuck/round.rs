//! How far a rule has looked at the pending entries of a stream's groups. A long list is looked at in parts, one a run.

use crate::model::{GroupPending, Name, StreamId};

/// A round over all groups of a stream, in the order of their names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Round {
    /// The group that was looked at last, and from which ID to go on there; `None` in it if it is done.
    at: Option<(Name, Option<StreamId>)>,
}

impl Round {
    /// The next group with pending entries, and from which ID to look at them; `None` at the end of the round.
    #[must_use]
    pub fn next<'a>(&self, groups: &'a [GroupPending]) -> Option<(&'a Name, StreamId)> {
        let start = |group: &Name| match &self.at {
            Some((at, from)) if group == at => *from,
            Some((at, _)) if group < at => None,
            _ => Some(StreamId::ZERO),
        };
        let pending = groups.iter().filter(|group| group.pending > 0);
        let left = pending.filter_map(|group| Some((&group.name, start(&group.name)?)));
        left.min_by_key(|(name, _)| *name)
    }

    /// Goes on behind what was looked at of a group: at this ID, or with the next group.
    pub fn looked_at(&mut self, group: &Name, next: Option<StreamId>) {
        self.at = Some((group.clone(), next));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_group_is_looked_at_to_its_end_in_the_order_of_names() {
        let group = |name: &str, pending| GroupPending { name: name.into(), pending };
        let groups = [group("c", 5), group("a", 1), group("b", 0)];
        let mut round = Round::default();
        let next = |round: &Round| round.next(&groups).map(|(name, from)| (name.to_string(), from.ms));
        assert_eq!(next(&round), Some(("a".to_owned(), 0)));
        round.looked_at(&"a".into(), Some(StreamId::new(7, 0)));
        assert_eq!(next(&round), Some(("a".to_owned(), 7)));
        round.looked_at(&"a".into(), None);
        assert_eq!(next(&round), Some(("c".to_owned(), 0)));
        // A group that was deleted in between is behind.
        round.looked_at(&"b".into(), Some(StreamId::new(7, 0)));
        assert_eq!(next(&round), Some(("c".to_owned(), 0)));
        round.looked_at(&"c".into(), None);
        assert_eq!(next(&round), None);
    }
}
