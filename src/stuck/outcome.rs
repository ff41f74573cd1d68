//! What came of each item: the words of the scripts.

use std::collections::BTreeMap;

macro_rules! outcomes {
    ($($(#[$doc:meta])* $variant:ident $word:literal $meaning:literal,)*) => {
        /// What came of an item.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Outcome { $($(#[$doc])* $variant,)* }

        impl Outcome {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The word of the script.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }

            /// What it means, for people.
            #[must_use]
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$variant => $meaning,)* }
            }
        }
    };
}

outcomes! {
    /// Copied to the dead letters and acknowledged.
    Moved "moved" "moved to the dead letters",
    /// It no longer exists, and was acknowledged.
    Acknowledged "acknowledged" "no longer existed, and acknowledged",
    /// Added again, and removed from the dead letters.
    Replayed "replayed" "replayed",
    /// Removed from the dead letters.
    Purged "purged" "removed",
    /// The consumer was deleted.
    Deleted "deleted" "deleted",
    /// It has another holder now.
    Claimed "claimed" "handed over",
    /// The script ended before it.
    Left "left" "not reached",
    /// It does not exist.
    Gone "gone" "no longer there",
    /// It still exists, and only those that do not were meant.
    Exists "exists" "still in the stream: not acknowledged",
    /// It was acknowledged meanwhile.
    NotPending "not_pending" "not pending (any longer)",
    /// It was delivered again, or not as often as asked for.
    Changed "changed" "not delivered so often, or delivered since",
    /// It is a dead letter itself.
    DeadLetter "dead_letter" "a dead letter itself",
    /// A script can't copy it.
    TooManyFields "too_many_fields" "with more fields than a script can copy (3,500)",
    /// The dead letters are at their limit.
    Full "full" "not moved: the dead letters are full",
    /// The key of the dead letters is a stream that somebody uses.
    LiveStream "live_stream" "not moved: the key of the dead letters is a live stream",
    /// It was replayed too often.
    Looped "looped" "replayed too often already",
    /// It is beyond the most items of one run, and was not looked at.
    NotLookedAt "not_looked_at" "not looked at, beyond the most items of one run",
    /// It is an entry of another kind.
    NotADeadLetter "not_a_dead_letter" "not a dead letter",
    /// It is from another stream.
    OtherOrigin "other_origin" "from another stream",
    /// The consumer holds pending entries.
    HoldsPending "holds_pending" "holding pending entries now",
    /// The consumer was active.
    Active "active" "not idle for so long: its consumer was active",
    /// Another consumer holds it.
    OtherConsumer "other_consumer" "held by another consumer now",
    /// The consumer that should get it does not exist.
    NoConsumer "no_consumer" "not handed over: the other consumer does not exist",
}

impl Outcome {
    /// The outcome of this word.
    #[must_use]
    pub fn of(word: &[u8]) -> Option<Self> {
        Self::ALL.iter().copied().find(|outcome| outcome.as_str().as_bytes() == word)
    }

    /// Whether the other items would end the same way, until somebody changes something.
    #[must_use]
    pub const fn ends_run(self) -> bool {
        matches!(self, Self::Full | Self::LiveStream)
    }

    /// Whether what was asked for was done.
    #[must_use]
    pub const fn is_done(self) -> bool {
        matches!(
            self,
            Self::Moved | Self::Acknowledged | Self::Replayed | Self::Purged | Self::Deleted | Self::Claimed
        )
    }
}

/// How many items had which outcome.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outcomes(BTreeMap<Outcome, u64>);

impl Outcomes {
    /// So many items with this outcome.
    #[must_use]
    pub fn of(outcome: Outcome, count: u64) -> Self {
        Self((count > 0).then_some((outcome, count)).into_iter().collect())
    }

    /// Counts an outcome.
    pub fn add(&mut self, outcome: Outcome) {
        *self.0.entry(outcome).or_default() += 1;
    }

    /// Counts those of another run too.
    pub fn join(&mut self, others: &Self) {
        others.iter().for_each(|(outcome, count)| *self.0.entry(outcome).or_default() += count);
    }

    /// How many had this outcome.
    #[must_use]
    pub fn count(&self, outcome: Outcome) -> u64 {
        self.0.get(&outcome).copied().unwrap_or(0)
    }

    /// How many were done.
    #[must_use]
    pub fn done(&self) -> u64 {
        self.iter().filter(|(outcome, _)| outcome.is_done()).map(|(_, count)| count).sum()
    }

    /// Each outcome that occurred, and how often; those that were done first.
    pub fn iter(&self) -> impl Iterator<Item = (Outcome, u64)> {
        self.0.iter().map(|(outcome, count)| (*outcome, *count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn each_outcome_has_a_word_of_its_own() {
        let words: BTreeSet<&str> = Outcome::ALL.iter().map(|outcome| outcome.as_str()).collect();
        assert_eq!(words.len(), Outcome::ALL.len());
        for outcome in Outcome::ALL {
            assert_eq!(Outcome::of(outcome.as_str().as_bytes()), Some(*outcome));
        }
        assert_eq!(Outcome::of(b"other"), None);
    }

    #[test]
    fn outcomes_are_counted_and_those_that_are_done_come_first() {
        let mut outcomes = Outcomes::default();
        [Outcome::Gone, Outcome::Moved, Outcome::Moved].into_iter().for_each(|outcome| outcomes.add(outcome));
        assert_eq!(outcomes.iter().collect::<Vec<_>>(), [(Outcome::Moved, 2), (Outcome::Gone, 1)]);
        assert_eq!(
            (outcomes.done(), outcomes.count(Outcome::Gone), outcomes.count(Outcome::Full)),
            (2, 1, 0)
        );
    }
}
