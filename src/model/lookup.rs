//! Questions that the first reading of a poll leaves open for some groups, and their answers.

use super::{Name, OldestPending, Pending, PendingSample, StreamId};

/// A question about a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// The stream of the group.
    pub stream: Name,
    /// The group.
    pub group: Name,
    /// The command to answer it.
    pub lookup: Lookup,
}

/// The commands that answer questions. Each has a bounded reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lookup {
    /// Counts the entries after `after`, up to and including `up_to`, from the newest down.
    Count {
        /// The group's last delivered ID.
        after: StreamId,
        /// An ID after which the number of entries is known.
        up_to: StreamId,
        /// Maximum number of entries to read.
        limit: u64,
    },
    /// The first entry after this ID.
    FirstAfter(StreamId),
    /// The first pending entry at or after this ID.
    PendingFrom(StreamId),
    /// A sample of the first pending entries.
    PendingSample {
        /// Maximum number of entries to read.
        limit: u64,
        /// No entry before this ID is in the stream. `None` where that is unknown: then only the head of the list
        /// is read.
        gone_before: Option<StreamId>,
        /// An entry with at least this many deliveries is poison.
        poison_from: u64,
    },
}

/// The answer to one question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finding {
    /// No answer: the command failed.
    Nothing,
    /// Answer to [`Lookup::Count`].
    Counted(Counted),
    /// Answer to [`Lookup::FirstAfter`]; `None` where there is no entry.
    FirstAfter(Option<StreamId>),
    /// Answer to [`Lookup::PendingFrom`]; `None` where no such entry is pending.
    PendingFrom(Option<OldestPending>),
    /// Answer to [`Lookup::PendingSample`]: the head of the pending list, and the summary of the sample.
    PendingSample(Pending, Option<PendingSample>),
}

/// The answers of a poll, sorted by stream and group. A sorted list takes the least memory for thousands of
/// answers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Answers(Vec<(Name, Name, Finding)>);

/// Collects stream, group and answer, in any order.
impl FromIterator<(Name, Name, Finding)> for Answers {
    fn from_iter<T: IntoIterator<Item = (Name, Name, Finding)>>(answers: T) -> Self {
        let mut answers: Vec<_> = answers.into_iter().collect();
        answers.sort_unstable_by(|one, other| (&one.0, &one.1).cmp(&(&other.0, &other.1)));
        Self(answers)
    }
}

impl Answers {
    /// All answers about this group; `None` where nothing was asked.
    #[must_use]
    pub fn group(&self, stream: &Name, group: &Name) -> Option<GroupAnswers> {
        let first =
            self.0.partition_point(|(its_stream, its_group, _)| (its_stream, its_group) < (stream, group));
        let mut answers: Option<GroupAnswers> = None;
        for (its_stream, its_group, answer) in self.0.iter().skip(first) {
            if (its_stream, its_group) != (stream, group) {
                break;
            }
            answers.get_or_insert_default().add(*answer);
        }
        answers
    }

    /// All answers, by stream and group.
    pub fn iter(&self) -> impl Iterator<Item = &(Name, Name, Finding)> {
        self.0.iter()
    }
}

/// All answers about one group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct GroupAnswers {
    /// See [`Finding::Counted`].
    pub counted: Option<Counted>,
    /// See [`Finding::FirstAfter`].
    pub first_after: Option<Option<StreamId>>,
    /// See [`Finding::PendingFrom`].
    pub pending_from: Option<Option<OldestPending>>,
    /// See [`Finding::PendingSample`].
    pub pending_sample: Option<PendingSample>,
}

impl GroupAnswers {
    fn add(&mut self, answer: Finding) {
        match answer {
            Finding::Nothing => {}
            Finding::Counted(counted) => self.counted = Some(counted),
            Finding::FirstAfter(first) => self.first_after = Some(first),
            Finding::PendingFrom(first) => self.pending_from = Some(first),
            Finding::PendingSample(_, sample) => self.pending_sample = sample,
        }
    }
}

/// Result of a count of entries, from the newest down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counted {
    /// The ID that the count began at.
    pub up_to: StreamId,
    /// Number of entries.
    pub entries: u64,
    /// The smallest ID among them.
    pub lowest: Option<StreamId>,
    /// Whether all entries were counted. Otherwise the limit was reached.
    pub is_complete: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_has_all_answers_about_it_and_no_others() {
        let first = |ms| Finding::FirstAfter(Some(StreamId::new(ms, 0)));
        let pending = Finding::PendingFrom(None);
        let all =
            [("b", "g", first(1)), ("a", "h", Finding::Nothing), ("a", "g", first(2)), ("a", "g", pending)];
        let answers: Answers =
            all.map(|(stream, group, answer)| (stream.into(), group.into(), answer)).into_iter().collect();
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
