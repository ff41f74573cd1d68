//! When a loop goes on: at its next attempt, or because the configuration has changed.

use std::{sync::Arc, time::Duration};

use tokio::{sync::watch, time::sleep_until};
use tokio_util::sync::CancellationToken;

use crate::{clock, config::Config, schedule::Schedule};

/// Why a loop goes on.
pub(super) enum Turn {
    /// An attempt is due, with this configuration.
    Attempt(Arc<Config>),
    /// The configuration has changed: connections may be to the wrong server.
    Reload,
}

/// The turns of a loop.
pub(super) struct Turns {
    /// Is told how each attempt ends.
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

    /// Waits for the next turn; `None` when the loop is to stop. Cancel-safe.
    pub(super) async fn next(&mut self, stop: &CancellationToken) -> Option<Turn> {
        tokio::select! {
            // A changed configuration first: an attempt would use it with the old connection.
            biased;
            () = stop.cancelled() => None,
            changed = self.config.changed() => {
                changed.ok()?;
                self.schedule.restart(clock::now(), (self.interval)(&self.config.borrow()));
                Some(Turn::Reload)
            }
            () = sleep_until(self.schedule.due()) => Some(Turn::Attempt(Arc::clone(&self.config.borrow()))),
        }
    }
}
