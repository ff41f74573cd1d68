//! The result of one run on one stream.

use std::collections::BTreeMap;

use super::{BlockReason, TrimBlocker};
use crate::model::{Failure, Name, Removal, StreamId};

/// How a run ended; the `outcome` label.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The stream is within its limits, except for entries that share a node with needed ones.
    Reached,
    /// Something blocks the removal of entries beyond the limits.
    Blocked,
    /// The time budget was exhausted. The next run continues.
    Incomplete,
    /// Redis refused or did not answer.
    Failed,
}

impl Outcome {
    /// All outcomes.
    pub const ALL: [Self; 4] = [Self::Reached, Self::Blocked, Self::Incomplete, Self::Failed];

    /// The value of the `outcome` label.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Reached => "reached",
            Self::Blocked => "blocked",
            Self::Incomplete => "incomplete",
            Self::Failed => "failed",
        }
    }
}

/// The result of one step.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Step {
    /// Entries removed.
    pub removed: u64,
    /// The stream's length afterwards; `None` where it was not read.
    pub length: Option<u64>,
    /// The first entry that a group needs, where there is one.
    pub floor: Option<StreamId>,
    /// What blocks the rest of the excess; known only if nothing was removed.
    pub blocked_by: Option<TrimBlocker>,
    /// Whether the ceiling forced the removal of needed entries.
    pub is_forced: bool,
    /// The removal with the losses of each group; `None` where nothing was removed or the losses are unknown.
    pub removal: Option<Removal>,
}

impl Step {
    /// A step that could remove nothing, for this reason.
    #[must_use]
    pub fn blocked(reason: BlockReason) -> Self {
        Self { blocked_by: Some(TrimBlocker { group: None, reason }), ..Self::default() }
    }
}

/// The result of a run so far.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Run {
    /// Entries removed. A step whose answer was lost may have removed more.
    pub removed: u64,
    /// Those of them that the ceiling forced, needed or not.
    pub forced: u64,
    /// The groups that lost undelivered entries, and how many. Steps with unknown losses are not included.
    pub lost: BTreeMap<Name, u64>,
    /// The stream's length after the last step; `None` where it was not read.
    pub length: Option<u64>,
    /// The first entry that a group needs, as of the last step.
    pub floor: Option<StreamId>,
    /// What blocks the rest.
    pub blocked_by: Option<TrimBlocker>,
    /// The failure that ended the run.
    pub failure: Option<Failure>,
    /// Whether the last step found nothing more to remove.
    pub is_complete: bool,
}

impl Run {
    /// The outcome.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        match self {
            Self { failure: Some(_), .. } => Outcome::Failed,
            Self { is_complete: false, .. } => Outcome::Incomplete,
            Self { blocked_by: Some(_), .. } => Outcome::Blocked,
            _ => Outcome::Reached,
        }
    }

    /// Adds the result of the next step.
    pub fn add(&mut self, step: Step) {
        for (group, lost) in step.removal.into_iter().flat_map(|removal| removal.lost) {
            *self.lost.entry(group).or_default() += lost;
        }
        self.removed += step.removed;
        self.forced += if step.is_forced { step.removed } else { 0 };
        self.length = step.length;
        self.floor = step.floor;
        self.blocked_by = step.blocked_by;
        self.is_complete = step.removed == 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Reason, Removal};

    #[test]
    fn a_run_adds_its_steps_up() {
        let lost = |lost: &[(&str, u64)]| {
            let lost = lost.iter().map(|(group, lost)| (Name::from(*group), *lost)).collect();
            Some(Removal { ever_before: 0, entries: 10, lost })
        };
        let blocker = TrimBlocker { group: None, reason: BlockReason::Unread };
        let mut run = Run::default();
        run.add(Step { removed: 10, length: Some(90), removal: lost(&[("a", 3)]), ..Step::default() });
        assert_eq!(
            (run.removed, run.forced, run.is_complete, run.outcome()),
            (10, 0, false, Outcome::Incomplete)
        );
        run.add(Step {
            removed: 5,
            is_forced: true,
            removal: lost(&[("a", 4), ("b", 1)]),
            floor: Some(StreamId::new(7, 0)),
            ..Step::default()
        });
        assert_eq!(
            (run.removed, run.forced, run.length, run.floor),
            (15, 5, None, Some(StreamId::new(7, 0)))
        );
        run.add(Step { length: Some(85), blocked_by: Some(blocker), ..Step::default() });
        assert_eq!((run.removed, run.length, run.outcome()), (15, Some(85), Outcome::Blocked));
        assert_eq!(run.lost, BTreeMap::from([("a".into(), 7), ("b".into(), 1)]));
        run.add(Step::default());
        assert_eq!((run.is_complete, run.outcome()), (true, Outcome::Reached));
        run.failure = Some(Failure::new(Reason::Timeout, ""));
        assert_eq!(run.outcome(), Outcome::Failed);
    }

    #[test]
    fn each_outcome_has_its_label() {
        let labels = Outcome::ALL.map(Outcome::as_str);
        assert_eq!(labels, ["reached", "blocked", "incomplete", "failed"]);
    }
}
