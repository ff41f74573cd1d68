//! What has to be asked beyond the first reading, for the groups that need it, and what was answered.

use std::collections::BTreeMap;

use super::{Name, OldestPending, StreamId};

/// One question about a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// The group's stream.
    pub stream: Name,
    /// The group.
    pub group: Name,
    /// What is asked.
    pub lookup: Lookup,
}

/// What can be asked. Each is one command with a bounded reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lookup {
    /// Count the entries behind `after`, up to `up_to` and with it, from the newest, `limit` at most.
    Count {
        /// The group's last delivered ID.
        after: StreamId,
        /// An ID behind which the number of entries is known.
        up_to: StreamId,
        /// As many entries at most.
        limit: u64,
    },
    /// The first entry behind this ID.
    FirstAfter(StreamId),
    /// The first pending entry from this ID on.
    PendingFrom(StreamId),
    /// The first pending entries, as many as this.
    PendingSample(u64),
}

/// What was answered, by stream and group. What could not be answered is missing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Answers(
    // Not a map in a map, whose nodes have room for many more than the few groups of a stream.
    BTreeMap<Name, Vec<(Name, GroupAnswers)>>,
);

impl Answers {
    /// What was answered about this group.
    #[must_use]
    pub fn group(&self, stream: &Name, group: &Name) -> Option<&GroupAnswers> {
        self.0.get(stream)?.iter().find(|(name, _)| name == group).map(|(_, answers)| answers)
    }

    /// Everything that was answered, by stream and group.
    pub fn iter(&self) -> impl Iterator<Item = (&Name, &Name, &GroupAnswers)> {
        self.0
            .iter()
            .flat_map(|(stream, groups)| groups.iter().map(move |(group, answers)| (stream, group, answers)))
    }

    /// The same, to add to it.
    pub fn group_mut(&mut self, stream: &Name, group: &Name) -> &mut GroupAnswers {
        let groups = self.0.entry(stream.clone()).or_default();
        let index = groups.iter().position(|(name, _)| name == group).unwrap_or_else(|| {
            groups.push((group.clone(), GroupAnswers::default()));
            groups.len() - 1
        });
        groups.get_mut(index).map(|(_, answers)| answers).expect("it was found or added")
    }
}

/// What was answered about a group.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct GroupAnswers {
    /// To [`Lookup::Count`].
    pub counted: Option<Counted>,
    /// To [`Lookup::FirstAfter`]; the inner `None` is that there is no entry.
    pub first_after: Option<Option<StreamId>>,
    /// To [`Lookup::PendingFrom`]; the inner `None` is that nothing is pending from there on.
    pub pending_from: Option<Option<OldestPending>>,
    /// To [`Lookup::PendingSample`].
    pub pending_sample: Option<Vec<OldestPending>>,
}

/// The entries that were counted, from the newest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counted {
    /// The ID that was counted from.
    pub up_to: StreamId,
    /// How many entries there were.
    pub entries: u64,
    /// The smallest ID among them.
    pub lowest: Option<StreamId>,
    /// Whether these are all, or only as many as were to be counted.
    pub is_complete: bool,
}
