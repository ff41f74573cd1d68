//! Renders the latest reading as pages: after each new reading, and when the last one becomes stale.

use std::sync::Arc;

use tokio::{
    sync::watch,
    time::{sleep, sleep_until},
};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::{
    clock::{self, Instant},
    config::Config,
    reading::{Latest, Reading},
    self_stats::SelfStats,
    views::{Demand, MetricsPages, Shown},
};

/// The task that renders pages.
pub(crate) struct Renderer {
    /// The current configuration.
    pub config: watch::Receiver<Arc<Config>>,
    /// The latest reading.
    pub latest: watch::Receiver<Latest>,
    /// The pages, for HTTP to serve.
    pub pages: watch::Sender<Arc<MetricsPages>>,
    /// The sidecar's own metrics.
    pub stats: Arc<SelfStats>,
}

impl Renderer {
    /// Renders until `stop`.
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        let demand = Arc::new(Demand::default());
        let mut was_shown = false;
        for number in 1.. {
            let config = Arc::clone(&self.config.borrow_and_update());
            let Latest { reading, failure, .. } = self.latest.borrow_and_update().clone();
            // A long back-off means minutes without a poll. Metrics of searches and retention must not freeze for
            // that time.
            let waits = failure.as_ref().is_some_and(|failure| failure.reason.least_wait().is_some());
            // Known also while Redis is unreachable, when it matters most which Redis it is.
            let name = config.redis_name(reading.as_deref().map(|reading| &*reading.snapshot));
            let (fresh, stale_at) = fresh(reading, &config, clock::now());
            if was_shown && fresh.is_none() {
                warn!(stale_after = ?config.poll.stale_after, "the last reading is stale and no longer exposed");
            }
            was_shown = fresh.is_some();
            let shown = Shown { name, reading: fresh, has_failed: failure.is_some() };
            self.pages.send_replace(Arc::new(page(number, Arc::clone(&config), shown, &demand, &self.stats)));
            tokio::select! {
                () = stop.cancelled() => return,
                changed = self.latest.changed() => if changed.is_err() { return },
                changed = self.config.changed() => if changed.is_err() { return },
                () = sleep(config.poll.interval), if waits => {}
                () = async { sleep_until(stale_at.unwrap_or_else(clock::now)).await }, if stale_at.is_some() => {}
            }
        }
    }
}

/// The first pages, before the first poll.
#[must_use]
pub(crate) fn first_page(config: Arc<Config>, stats: &SelfStats) -> MetricsPages {
    let shown = Shown { name: config.redis_name(None), reading: None, has_failed: false };
    page(0, config, shown, &Arc::default(), stats)
}

fn page(
    number: u64,
    config: Arc<Config>,
    shown: Shown,
    demand: &Arc<Demand>,
    stats: &SelfStats,
) -> MetricsPages {
    stats.poll_interval.set(config.poll.interval.as_secs_f64());
    MetricsPages::publish(number, config, shown, Arc::clone(demand), |series| {
        stats.series.set(i64::try_from(series.shown).unwrap_or(i64::MAX));
        stats.dropped_series.set(i64::try_from(series.dropped).unwrap_or(i64::MAX));
        stats.gather()
    })
}

/// The reading and the time at which it becomes stale; both `None` if it is stale already.
fn fresh(
    reading: Option<Arc<Reading>>,
    config: &Config,
    now: Instant,
) -> (Option<Arc<Reading>>, Option<Instant>) {
    let stale_at = reading.as_ref().map(|reading| reading.read_at.at + config.poll.stale_after);
    match stale_at {
        Some(stale_at) if stale_at > now => (reading, Some(stale_at)),
        _ => (None, None),
    }
}
