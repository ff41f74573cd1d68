//! What has to be asked beyond the first reading, for the groups that need it, and what was answered.

use super::{Name, OldestPending, Pending, PendingSample, StreamId};

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
    /// What the first pending entries tell.
    PendingSample {
        /// As many entries at most.
        limit: u64,
        /// No entry before this one is in the stream; `None` where that is not known, and then only the head is told.
        gone_before: Option<StreamId>,
        /// From so many deliveries on an entry is poison.
        poison_from: u64,
    },
}

/// What one question was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finding {
    /// Nothing: the command failed.
    Nothing,
    /// To [`Lookup::Count`].
    Counted(Counted),
    /// To [`Lookup::FirstAfter`]; `None` where there is no entry.
    FirstAfter(Option<StreamId>),
    /// To [`Lookup::PendingFrom`]; `None` where nothing is pending from there on.
    PendingFrom(Option<OldestPending>),
    /// To [`Lookup::PendingSample`]: the very first pending entry, and what all of them tell.
    PendingSample(Pending, Option<PendingSample>),
}

/// What was answered, sorted by stream and group: a poll may ask about thousands, and so each takes least room.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Answers(Vec<(Name, Name, Finding)>);

/// Of streams, groups and what was answered about them, in any order.
impl FromIterator<(Name, Name, Finding)> for Answers {
    fn from_iter<T: IntoIterator<Item = (Name, Name, Finding)>>(answers: T) -> Self {
        let mut answers: Vec<_> = answers.into_iter().collect();
        answers.sort_unstable_by(|one, other| (&one.0, &one.1).cmp(&(&other.0, &other.1)));
        Self(answers)
    }
}

impl Answers {
    /// What was answered about this group; `None` where nothing was asked.
    #[must_use]
    pub fn group(&self, stream: &Name, group: &Name) -> Option<GroupAnswers> {
        let first = self.0.partition_point(|(its, name, _)| (its, name) < (stream, group));
        let from_first = self.0.get(first..).unwrap_or_default().iter();
        let its = from_first.take_while(|(its, name, _)| (its, name) == (stream, group));
        its.fold(None, |answers, (_, _, answer)| Some(answers.unwrap_or_default().with(*answer)))
    }

    /// Everything that was answered, by stream and group.
    pub fn iter(&self) -> impl Iterator<Item = &(Name, Name, Finding)> {
        self.0.iter()
    }
}

/// What was answered about a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct GroupAnswers {
    /// As [`Finding::Counted`].
    pub counted: Option<Counted>,
    /// As [`Finding::FirstAfter`].
    pub first_after: Option<Option<StreamId>>,
    /// As [`Finding::PendingFrom`].
    pub pending_from: Option<Option<OldestPending>>,
    /// As [`Finding::PendingSample`].
    pub pending_sample: Option<PendingSample>,
}

impl GroupAnswers {
    fn with(mut self, answer: Finding) -> Self {
        match answer {
            Finding::Nothing => {}
            Finding::Counted(counted) => self.counted = Some(counted),
            Finding::FirstAfter(first) => self.first_after = Some(first),
            Finding::PendingFrom(first) => self.pending_from = Some(first),
            Finding::PendingSample(_, sample) => self.pending_sample = sample,
        }
        self
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_has_all_that_was_answered_about_it_and_nothing_else() {
        let first = |ms| Finding::FirstAfter(Some(StreamId::new(ms, 0)));
        let pending = Finding::PendingFrom(None);
        let asked =
            [("b", "g", first(1)), ("a", "h", Finding::Nothing), ("a", "g", first(2)), ("a", "g", pending)];
        let answers: Answers =
            asked.map(|(stream, group, it)| (stream.into(), group.into(), it)).into_iter().collect();
        let actual = |stream: &str, group: &str| {
            answers
                .group(&stream.into(), &group.into())
                .map(|actual| (actual.first_after, actual.pending_from))
        };
        assert_eq!(actual("a", "g"), Some((Some(Some(StreamId::new(2, 0))), Some(None))));
        assert_eq!(actual("a", "h"), Some((None, None)));
        assert_eq!(actual("b", "g"), Some((Some(Some(StreamId::new(1, 0))), None)));
        assert_eq!((actual("a", "f"), actual("b", "h"), actual("c", "g")), (None, None, None));
    }
}
