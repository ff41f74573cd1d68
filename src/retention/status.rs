//! What retention has done to each stream since the sidecar started, for metrics and the API.

use std::{collections::BTreeMap, time::Duration};

use super::{Outcome, Run, TrimBlocker};
use crate::{
    model::{Name, Text},
    stuck::RuleStatus,
};

/// What retention has done.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct RetentionStatuses {
    /// By stream. Streams without a run by this sidecar are missing.
    pub streams: BTreeMap<Name, RetentionStatus>,
    /// What the rules did with stuck work, by stream in the same way.
    pub rules: BTreeMap<Name, RuleStatus>,
    /// Another sidecar that holds the lease, and therefore trims in place of this one; `None` if this one holds it, or
    /// no holder is known.
    pub other_holder: Option<Text>,
}

/// What retention has done to a stream since the sidecar started.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct RetentionStatus {
    /// Number of runs by outcome, in the order of [`Outcome::ALL`].
    pub runs: [u64; Outcome::ALL.len()],
    /// Entries removed.
    pub trimmed: u64,
    /// Outcome of the last run.
    pub last: Option<Outcome>,
    /// What blocked the last successful run with the configured limits.
    pub blocked_by: Option<TrimBlocker>,
    /// Whether there was such a run.
    pub has_enforced: bool,
    /// End of the last run, in this machine's time since the Unix epoch.
    pub last_run: Option<Duration>,
    /// End of the last run that did not fail: it reached the limit, found what blocks it, or ran out of time.
    pub last_success: Option<Duration>,
}

impl RetentionStatus {
    /// Adds a run with the configured limits that ended at `at`, since the Unix epoch.
    pub fn note(&mut self, run: &Run, at: Duration) {
        self.note_order(run, at);
        if run.outcome() != Outcome::Failed {
            self.blocked_by.clone_from(&run.blocked_by);
            self.has_enforced = true;
        }
    }

    /// Adds a run that someone asked for. What blocks another limit says nothing of the configured one.
    pub fn note_order(&mut self, run: &Run, at: Duration) {
        let outcome = run.outcome();
        if let Some(count) = self.runs.get_mut(outcome as usize) {
            *count += 1;
        }
        self.trimmed += run.removed;
        self.last = Some(outcome);
        self.last_run = Some(at);
        if outcome != Outcome::Failed {
            self.last_success = Some(at);
        }
    }
}
