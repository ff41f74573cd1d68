//! The loop that samples: reads where groups are several times a second, for the streams that have objectives.
//!
//! It has connections of its own, so that it neither delays a poll nor waits for one. A tick that is due while the last one still waits
//! for Redis is left out, so nothing piles up.

use std::sync::Arc;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::{changes::OutageLog, turns::Turns};
use crate::{
    clock::{self, Instant},
    config::{Config, Slo, Watchlist},
    latency::{LatencyHistory, LatencyReport, StreamTick},
    model::{Failure, Name},
    self_stats::SelfStats,
    source::{TickReader, Watching},
};

/// How often what was measured is passed on. Pages are made at each poll.
const REPORTED_EVERY: std::time::Duration = std::time::Duration::from_secs(1);

/// What the loop needs.
pub struct Sampler {
    /// Reads Redis.
    pub reader: TickReader,
    /// The configuration, which may change.
    pub config: watch::Receiver<Arc<Config>>,
    /// The watched streams.
    pub streams: Watching,
    /// Where results go.
    pub report: watch::Sender<Arc<LatencyReport>>,
    /// The sidecar's own metrics.
    pub stats: Arc<SelfStats>,
}

impl Sampler {
    /// Samples until it is stopped.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut outage = OutageLog::new("measuring how long entries take");
        let mut turns = Turns::new(self.config.clone(), |config| config.latency.tick);
        let (mut history, mut reported_at, mut asked_at, mut was_unsampled) =
            (LatencyHistory::default(), None::<Instant>, None::<Instant>, 0);
        let mut loaded = Arc::clone(&self.config.borrow());
        while let Some(config) = turns.next(&stop).await {
            let started = clock::now();
            if !Arc::ptr_eq(&loaded, &config) {
                self.reader.ask_all_again();
                loaded = Arc::clone(&config);
            }
            let (streams, unsampled) = with_objectives(&config, &self.streams.under(&config));
            self.stats.unsampled_streams.set(i64::try_from(unsampled).unwrap_or(i64::MAX));
            if unsampled > 0 && was_unsampled == 0 {
                warn!(
                    unsampled,
                    "more streams with objectives than latency.streams; the last by name are not measured"
                );
            }
            was_unsampled = unsampled;
            if streams.is_empty() {
                history = LatencyHistory::default();
                self.report.send_replace(Arc::default());
                self.reader.reconnect();
                tokio::select! {
                    () = stop.cancelled() => return,
                    goes_on = self.streams.changed() => if !goes_on { return stop.cancelled().await },
                    changed = self.config.changed() => if changed.is_err() { return },
                }
                turns.schedule.retry_in(clock::now(), std::time::Duration::ZERO);
                continue;
            }
            let passed = asked_at.replace(started).map(|before| started - before).unwrap_or_default();
            let questions = history.questions(streams.iter().map(|(name, _)| name.clone()), passed);
            let result = tokio::select! {
                result = self.reader.read(&config, &questions) => result,
                () = stop.cancelled() => return,
            };
            let ended = clock::now();
            self.stats.tick_ends(result.as_ref().err());
            outage.note(result.as_ref().err());
            match &result {
                Ok(_) => turns.schedule.succeeded(started, ended),
                Err(Failure { reason, .. }) => turns.schedule.failed_by(*reason, ended, fastrand::f64()),
            }
            let read = result.unwrap_or_else(|_noted| questions.iter().map(|_| None).collect());
            let ticks = streams.into_iter().zip(read);
            history
                .tick(&config, ticks.map(|((stream, slo), read)| StreamTick { stream, slo, read }).collect());
            if reported_at.is_none_or(|at| ended - at >= REPORTED_EVERY) {
                reported_at = Some(ended);
                self.report.send_replace(Arc::new(history.report()));
            }
        }
    }
}

/// The streams that are measured, and how many others have objectives.
fn with_objectives(config: &Config, watchlist: &Watchlist) -> (Vec<(Name, Slo)>, usize) {
    if !config.latency.enabled {
        return (Vec::new(), 0);
    }
    let all =
        watchlist.iter().filter_map(|watched| Some((watched.name.clone(), watched.rule.as_ref()?.slo?)));
    let mut all: Vec<_> = all.collect();
    let unsampled = all.len().saturating_sub(config.latency.streams);
    all.truncate(config.latency.streams);
    (all, unsampled)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::test_config::config;

    #[test]
    fn streams_with_an_objective_are_measured_the_first_by_name() {
        let of = |more: &str| {
            let rules = "streams: [{match: 'a*', slo: {delivery: 1s}}, {match: '*'}]";
            let config = config(&format!("{rules}\n{more}"));
            let watchlist = Watchlist::new(&config, ["b", "a2", "a1", "a3"].map(Name::from));
            let (streams, unsampled) = with_objectives(&config, &watchlist);
            (streams.into_iter().map(|(name, _)| name.to_string()).collect::<Vec<_>>(), unsampled)
        };
        assert_eq!(of(""), (["a1", "a2", "a3"].map(str::to_owned).to_vec(), 0));
        assert_eq!(of("latency: {streams: 2}"), (["a1", "a2"].map(str::to_owned).to_vec(), 1));
        assert_eq!(of("latency: {enabled: false}"), (vec![], 0));
    }
}
