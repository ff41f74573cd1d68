//! One run on one stream: step after step until the limit is reached, something holds it, or its time is over.

use std::{collections::BTreeMap, time::Duration};

use tokio::time::sleep;
use tracing::Instrument;

use super::{Enforcer, Holder, Policy, enforce::Step};
use crate::{
    clock,
    config::Config,
    model::{Failure, Name, StreamId},
    spans,
};

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
    pub blocked_by: Option<Holder>,
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

    fn add(&mut self, step: Step) {
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

/// Trims a stream for as long as `budget` and until `is_over`, and tells after each step. Between two steps the server
/// rests.
///
/// Harmless to interrupt between steps and to repeat: each step is whole by itself.
pub async fn trim(
    enforcer: &mut Enforcer,
    config: &Config,
    stream: &Name,
    policy: &Policy,
    budget: Duration,
    is_over: impl Fn() -> bool,
    mut told: impl FnMut(&Run),
) -> Run {
    let mut run = Run::default();
    let until = clock::now() + budget;
    let now = match enforcer.check(config).await {
        // Without a limit by age the clock may be refused.
        Ok(Err(_refused)) if policy.max_age.is_none() => None,
        Ok(Ok(now)) => Some(now),
        Ok(Err(failure)) | Err(failure) => return Run { failure: Some(failure), ..run },
    };
    let cutoff = policy.cutoff(now);
    while !run.is_complete && clock::now() < until && !is_over() {
        let span = spans::retention_step(stream);
        let result = enforcer.step(config, stream, policy, cutoff).instrument(span.clone()).await;
        spans::ended(&span, &result);
        match result {
            Ok(step) => {
                span.record("streamwarden.retention.removed", spans::int(step.removed));
                run.add(step);
            }
            Err(failure) => {
                run.failure = Some(failure);
                return run;
            }
        }
        // It ends here and not after the pause.
        drop(span);
        told(&run);
        if !run.is_complete {
            sleep(config.retention.pause).await;
        }
    }
    run
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        model::{Reason, Removal},
        retention::Hold,
    };

    #[test]
    fn a_run_adds_its_steps_up() {
        let lost = |lost: &[(&str, u64)]| {
            let lost = lost.iter().map(|(group, lost)| (Name::from(*group), *lost)).collect();
            Some(Removal { ever_before: 0, entries: 10, lost })
        };
        let holder = Holder { group: None, hold: Hold::Unread };
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
        run.add(Step { length: Some(85), blocked_by: Some(holder), ..Step::default() });
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
