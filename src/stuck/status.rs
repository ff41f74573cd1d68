//! What the rules did with stuck work: of one run, and since the sidecar started.

use std::time::Duration;

use crate::model::{Failure, PendingEntry, Reason};

/// Why an entry is set aside; the `reason` label.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// It was delivered too often.
    Deliveries,
    /// A consumer has marked it as one that it can't handle (`XNACK ... FATAL`).
    Fatal,
}

impl Cause {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Deliveries, Self::Fatal];

    /// The value of the `reason` label.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Deliveries => "deliveries",
            Self::Fatal => "fatal",
        }
    }

    /// Why this entry is set aside.
    #[must_use]
    pub fn of(entry: &PendingEntry) -> Self {
        if entry.entry.counted_deliveries().is_some() { Self::Deliveries } else { Self::Fatal }
    }
}

/// Why entries that should be set aside stay pending.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// The dead letters are at their limit.
    Full,
    /// An entry has more fields than a script can copy.
    TooManyFields,
    /// The key of the dead letters is a stream that somebody uses for something else.
    LiveStream,
    /// Redis refused, or did not answer.
    Failed(Reason),
}

impl Stop {
    /// The value of the `reason` label.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::TooManyFields => "too_many_fields",
            Self::LiveStream => "live_stream",
            Self::Failed(reason) => reason.as_str(),
        }
    }
}

/// The result of one run of the rules of a stream.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RuleRun {
    /// Entries that were moved, in the order of [`Cause::ALL`].
    pub moved: [u64; Cause::ALL.len()],
    /// Consumers deleted.
    pub reaped: u64,
    /// Why dead letters stopped, before all that was looked at was moved.
    pub stop: Option<Stop>,
    /// The failure that ended the run.
    pub failure: Option<Failure>,
    /// Whether there is more to look at, or more to move than one run may.
    pub is_cut_short: bool,
}

impl RuleRun {
    /// Number of entries that were moved.
    #[must_use]
    pub fn moved(&self) -> u64 {
        self.moved.iter().sum()
    }
}

/// What the rules of a stream did since the sidecar started.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RuleStatus {
    /// Entries that were moved to the dead letters, in the order of [`Cause::ALL`].
    pub moved: [u64; Cause::ALL.len()],
    /// Consumers deleted.
    pub reaped: u64,
    /// Why entries of the last run stay pending, if some do.
    pub stop: Option<Stop>,
    /// End of the last run, in this machine's time since the Unix epoch.
    pub last_run: Option<Duration>,
    /// End of the last run that did not fail.
    pub last_success: Option<Duration>,
}

impl RuleStatus {
    /// Adds a run that ended at `at`, since the Unix epoch.
    pub fn note(&mut self, run: &RuleRun, at: Duration) {
        self.moved.iter_mut().zip(run.moved).for_each(|(all, more)| *all += more);
        self.reaped += run.reaped;
        self.stop = run.stop;
        self.last_run = Some(at);
        if run.failure.is_none() {
            self.last_success = Some(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_adds_up_what_was_done_and_has_the_last_stop() {
        let mut status = RuleStatus::default();
        let run = RuleRun { moved: [3, 1], reaped: 2, stop: Some(Stop::Full), ..RuleRun::default() };
        assert_eq!(run.moved(), 4);
        status.note(&run, Duration::from_secs(1));
        let failure = Some(Failure::new(Reason::NoPermission, ""));
        let stop = Some(Stop::Failed(Reason::NoPermission));
        status.note(&RuleRun { moved: [1, 0], stop, failure, ..RuleRun::default() }, Duration::from_secs(2));
        assert_eq!((status.moved, status.reaped), ([4, 1], 2));
        assert_eq!(status.stop.map(Stop::as_str), Some("noperm"));
        let [run, success] = [status.last_run, status.last_success].map(|at| at.map(|at| at.as_secs()));
        assert_eq!((run, success), (Some(2), Some(1)));
        status.note(&RuleRun::default(), Duration::from_secs(3));
        assert_eq!((status.stop, status.last_success), (None, Some(Duration::from_secs(3))));
    }
}
