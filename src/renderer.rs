//! Turns the latest reading into pages: when there is a new one, and when the last one has become stale.

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
    views::{Demand, MetricsPages},
};

/// What the renderer needs.
pub struct Renderer {
    /// The configuration, which may change.
    pub config: watch::Receiver<Arc<Config>>,
    /// What was read last.
    pub latest: watch::Receiver<Latest>,
    /// Where the pages go.
    pub pages: watch::Sender<Arc<MetricsPages>>,
    /// The sidecar's own metrics.
    pub stats: Arc<SelfStats>,
}

impl Renderer {
    /// Publishes until told to stop.
    pub async fn run(mut self, stop: CancellationToken) {
        let demand = Arc::new(Demand::default());
        let mut was_shown = false;
        for number in 1.. {
            let config = Arc::clone(&self.config.borrow_and_update());
            let Latest { reading, failure, .. } = self.latest.borrow_and_update().clone();
            // For minutes no poll ends then, and what searches and retention count is shown all the same.
            let waits = failure.is_some_and(|failure| failure.reason.least_wait().is_some());
            // Also while it is away: then it matters most which one it is.
            let name = config.redis_name(reading.as_deref().map(|reading| &*reading.snapshot));
            let (fresh, stale_at) = fresh(reading, &config, clock::now());
            if was_shown && fresh.is_none() {
                warn!(stale_after = ?config.poll.stale_after, "what was read last is stale and is shown no more");
            }
            was_shown = fresh.is_some();
            self.pages.send_replace(Arc::new(page(
                number,
                Arc::clone(&config),
                name,
                fresh,
                &demand,
                &self.stats,
            )));
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

/// The first pages, before anything was read.
#[must_use]
pub fn first_page(config: Arc<Config>, stats: &SelfStats) -> MetricsPages {
    let name = config.redis_name(None);
    page(0, config, name, None, &Arc::default(), stats)
}

fn page(
    number: u64,
    config: Arc<Config>,
    name: Option<String>,
    reading: Option<Arc<Reading>>,
    demand: &Arc<Demand>,
    stats: &SelfStats,
) -> MetricsPages {
    stats.poll_interval.set(config.poll.interval.as_secs_f64());
    MetricsPages::publish(number, config, name, reading, Arc::clone(demand), |series| {
        stats.series.set(i64::try_from(series.shown).unwrap_or(i64::MAX));
        stats.dropped_series.set(i64::try_from(series.dropped).unwrap_or(i64::MAX));
        stats.gather()
    })
}

/// The reading, while it is fresh, and when it will not be.
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
