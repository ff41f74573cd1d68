//! When a reading was made, and what it is judged by.

use std::time::Duration;

use super::series::{Slot, Ticks};
use crate::{config::Config, model::Millis};

/// When a reading was made, and what it is judged by.
pub(super) struct Moment<'a> {
    pub(super) config: &'a Config,
    /// On a clock that only goes forward.
    pub(super) at: Millis,
    pub(super) ticks: &'a Ticks,
    pub(super) slot: Slot,
    /// Pending entries that the server lets one consumer have, where it has a limit.
    pub(super) consumer_pending_limit: Option<u64>,
}

impl Moment<'_> {
    /// How long ago this was.
    pub(super) fn since(&self, earlier: Millis) -> Duration {
        self.at.since(earlier)
    }

    /// How far back a rate is taken: not only from the last reading, which batches would let jump.
    pub(super) fn rate_window(&self) -> Duration {
        self.config.status.window / 4
    }
}
