//! How soon a stream is looked at for the first time, and again after something was left.

use std::time::Duration;

use crate::{
    clock,
    config::Config,
    model::{Class, Failure},
    schedule::Schedule,
};

/// Maximum time until a blocked or failed stream is tried again: the blocking group may have moved on.
pub(super) const RETRY: Duration = Duration::from_secs(60);
/// The same, where each command is billed.
const BILLED_RETRY: Duration = Duration::from_secs(3600);
/// Maximum time from the start to a stream's first run, so that restarts do not postpone it again and again.
const LONGEST_FIRST_WAIT: Duration = Duration::from_secs(60);

/// The time until a stream with this interval is tried again.
pub(super) fn retry_after(config: &Config, interval: Duration) -> Duration {
    interval.min(if config.redis.billed_by_command { BILLED_RETRY } else { RETRY })
}

/// The schedule of a stream that is new.
pub(super) fn first_schedule(interval: Duration) -> Schedule {
    let wait = LONGEST_FIRST_WAIT.min(interval).mul_f64(fastrand::f64());
    Schedule::new(clock::now() + wait, interval, fastrand::f64())
}

/// The longest that a run on one stream takes. The lease is renewed between runs, so one must not outlast it.
pub(super) fn run_budget(config: &Config) -> Duration {
    config.retention.budget.min(config.retention.lease_ttl / 2)
}

/// The failure of a run, if it is the server's and not only this stream's.
pub(super) fn unanswered(failure: Option<&Failure>) -> Option<&Failure> {
    failure.filter(|failure| failure.class() != Class::Object)
}
