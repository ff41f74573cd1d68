//! When a loop makes its next attempt: on schedule, or at once after the configuration has changed.

use std::{sync::Arc, time::Duration};

use tokio::{sync::watch, time::sleep_until};
use tokio_util::sync::CancellationToken;

use crate::{clock, config::Config, schedule::Schedule};

/// The turns of a loop.
pub(super) struct Turns {
    /// Takes the result of each attempt.
    pub(super) schedule: Schedule,
    config: watch::Receiver<Arc<Config>>,
    interval: fn(&Config) -> Duration,
}

impl Turns {
    /// The first attempt is due now.
    pub(super) fn new(config: watch::Receiver<Arc<Config>>, interval: fn(&Config) -> Duration) -> Self {
        let schedule = Schedule::new(clock::now(), interval(&config.borrow()), fastrand::f64());
        Self { schedule, config, interval }
    }

    /// Waits until an attempt is due, and returns the configuration to make it with; `None` when the loop is to stop.
    /// Cancel-safe.
    pub(super) async fn next(&mut self, stop: &CancellationToken) -> Option<Arc<Config>> {
        loop {
            tokio::select! {
                // The configuration comes first, so that an attempt uses the new one.
                biased;
                () = stop.cancelled() => return None,
                changed = self.config.changed() => {
                    changed.ok()?;
                    self.schedule.restart(clock::now(), (self.interval)(&self.config.borrow()));
                }
                () = sleep_until(self.schedule.due()) => return Some(Arc::clone(&self.config.borrow())),
            }
        }
    }
}
