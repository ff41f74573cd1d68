//! What retention has done to each stream so far: what is published of it.

use std::{collections::BTreeMap, time::Duration};

use super::{Outcome, Run, TrimBlocker};
use crate::model::Name;

/// By the stream's name; streams that this sidecar never ran on are not there.
pub type RetentionStatuses = BTreeMap<Name, RetentionStatus>;

/// What retention has done to a stream since the sidecar started.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct RetentionStatus {
    /// Runs by how they ended, in the order of [`Outcome::ALL`].
    pub runs: [u64; Outcome::ALL.len()],
    /// Entries removed.
    pub trimmed: u64,
    /// How the last run ended.
    pub last: Option<Outcome>,
    /// Who kept it from reaching the limit.
    pub blocked_by: Option<TrimBlocker>,
    /// When it ended, since the Unix epoch, by this machine's clock.
    pub last_run: Option<Duration>,
    /// When one last went through: reached the limit, or found who blocks it.
    pub last_success: Option<Duration>,
}

impl RetentionStatus {
    /// Takes in a run that ended at `at`, since the Unix epoch.
    pub fn note(&mut self, run: &Run, at: Duration) {
        let outcome = run.outcome();
        if let Some(count) = self.runs.get_mut(outcome as usize) {
            *count += 1;
        }
        self.trimmed += run.removed;
        self.last = Some(outcome);
        self.last_run = Some(at);
        if outcome != Outcome::Failed {
            self.blocked_by.clone_from(&run.blocked_by);
            self.last_success = Some(at);
        }
    }
}
