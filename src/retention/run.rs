//! What one run on one stream did, step after step.

use std::collections::BTreeMap;

use super::{BlockReason, TrimBlocker};
use crate::model::{Failure, Name, Removal, StreamId};

/// How a run ended; the `outcome` label.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The stream is within its limits, but for what shares a node with entries that stay.
    Reached,
    /// Something holds entries that the limits want gone.
    Blocked,
    /// The time was over before the limits were reached; the next run goes on.
    Incomplete,
    /// Redis refused, or did not answer.
    Failed,
}

impl Outcome {
    /// Every outcome.
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

/// What one step did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Step {
    /// Entries removed.
    pub removed: u64,
    /// The stream's length afterwards; `None` where it was not looked at.
    pub length: Option<u64>,
    /// The first entry that a group needs, where there is one.
    pub floor: Option<StreamId>,
    /// Who holds what is left of the excess; known when nothing was removed.
    pub blocked_by: Option<TrimBlocker>,
    /// Whether entries went that a group needs, past the ceiling.
    pub is_forced: bool,
    /// The same with what each group lost; `None` where nothing was removed, or what was lost is not known.
    pub removal: Option<Removal>,
}

impl Step {
    /// A step that removed nothing, and could not, for this reason.
    #[must_use]
    pub fn blocked(reason: BlockReason) -> Self {
        Self { blocked_by: Some(TrimBlocker { group: None, reason }), ..Self::default() }
    }
}

/// What a run has done so far.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Run {
    /// Entries removed. A step whose answer was lost may have removed more.
    pub removed: u64,
    /// Of those, how many went past the ceiling, needed or not.
    pub forced: u64,
    /// The groups that lost entries that were not delivered to them, and how many, of the steps of which that is known.
    pub lost: BTreeMap<Name, u64>,
    /// The stream's length after the last step; `None` where it was not looked at.
    pub length: Option<u64>,
    /// The first entry that a group still needs, at the last step.
    pub floor: Option<StreamId>,
    /// Who holds what is left.
    pub blocked_by: Option<TrimBlocker>,
    /// Why it could not go on.
    pub failure: Option<Failure>,
    /// Whether the last step found nothing more that may go.
    pub is_complete: bool,
}

impl Run {
    /// How it ended.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        match self {
            Self { failure: Some(_), .. } => Outcome::Failed,
            Self { is_complete: false, .. } => Outcome::Incomplete,
            Self { blocked_by: Some(_), .. } => Outcome::Blocked,
            _ => Outcome::Reached,
        }
    }

    /// Takes in what its next step did.
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
