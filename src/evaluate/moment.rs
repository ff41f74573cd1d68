//! The time of a reading, and the configuration to judge it by.

use std::time::Duration;

use super::series::{Slot, Ticks};
use crate::{config::Config, model::Millis};

/// The range of a rate, under this `status.window`. The last reading alone would make it jump with batches.
#[must_use]
pub fn rate_window(status_window: Duration) -> Duration {
    status_window / 4
}

/// The time of a reading, and the configuration to judge it by.
pub(super) struct Moment<'a> {
    pub(super) config: &'a Config,
    /// On a monotonic clock.
    pub(super) at: Millis,
    pub(super) ticks: &'a Ticks,
    pub(super) slot: Slot,
    /// How long a group, or each of its consumers, must be missing to be reported.
    pub(super) missing_after: Duration,
    /// The server's limit on the pending entries of one consumer, if it has one.
    pub(super) consumer_pending_limit: Option<u64>,
}

impl Moment<'_> {
    /// Time elapsed since `earlier`.
    pub(super) fn since(&self, earlier: Millis) -> Duration {
        self.at.since(earlier)
    }

    /// The range of a rate.
    pub(super) fn rate_window(&self) -> Duration {
        rate_window(self.config.status.window)
    }
}
