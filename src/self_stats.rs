//! The sidecar's own metrics, in a registry of the prometheus crate. Their names and help texts are in the table of
//! families.

mod maker;
mod probe;
mod process;

use std::{
    collections::BTreeSet,
    sync::{Mutex, PoisonError},
};

use prometheus::{
    Gauge, Histogram, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Registry, proto::MetricFamily,
};

use crate::{
    clock,
    config::Thresholds,
    model::{Failure, Reason},
};
use maker::{Maker, VALID, options};
pub use probe::ProbeStats;
use process::ProcessStats;

/// Bounds of the buckets of the poll duration, in seconds: from a small local Redis to the longest timeouts.
const POLL_BUCKETS: [f64; 12] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 15.0];

/// The sidecar's own metrics.
pub struct SelfStats {
    registry: Registry,
    /// Those of the probe.
    pub probe: ProbeStats,
    /// Connections opened.
    pub connections: IntCounter,
    /// Pipelines sent.
    pub round_trips: IntCounter,
    /// Commands that a node of a cluster redirected, by kind.
    pub redirects: IntCounterVec,
    /// Streams that each poll reads.
    pub watched_streams: IntGauge,
    /// Streams beyond the limit.
    pub unwatched_streams: IntGauge,
    /// Groups beyond the limit.
    pub unwatched_groups: IntGauge,
    /// Streams that the last search found.
    pub found_streams: IntGauge,
    /// Streams that the user may not read.
    pub forbidden_streams: IntGauge,
    /// Streams with an objective that are not measured.
    pub unsampled_streams: IntGauge,
    /// Series on the page.
    pub series: IntGauge,
    /// Series dropped because of the limit.
    pub dropped_series: IntGauge,
    /// The configured interval, in seconds.
    pub poll_interval: Gauge,
    /// Lookups that the last poll left out because of the limit.
    pub skipped_lookups: IntGauge,
    /// Lookups that the last poll left out because of the budget.
    pub postponed_lookups: IntGauge,
    /// Streams read again between two polls.
    pub rereads: IntCounter,
    /// Whether the last load of the configuration succeeded.
    pub config_reload_successful: IntGauge,
    /// Whether this sidecar holds the retention lease.
    pub retention_leader: IntGauge,
    /// The configured time between two runs, in seconds.
    pub retention_interval: Gauge,
    /// Connections rejected because of the limit.
    pub rejected_connections: IntCounter,
    /// Trim requests without a valid token.
    pub unauthorized_trims: IntCounter,
    /// Requests to act on stuck work without a valid token.
    pub unauthorized_writes: IntCounter,
    acted: IntCounterVec,
    /// Changes that wait to be sent to the webhook.
    pub waiting_notifications: IntGauge,
    notifications: IntCounterVec,
    metrics_exports: IntCounterVec,
    redis_up: IntGauge,
    polls: IntCounter,
    poll_duration: Histogram,
    poll_last_success: Gauge,
    poll_failures: IntCounterVec,
    stream_failures: IntCounterVec,
    discovery_last_success: Gauge,
    discovery_failures: IntCounterVec,
    retention_failures: IntCounterVec,
    ticks: IntCounter,
    tick_failures: IntCounterVec,
    commands: IntCounterVec,
    refused: Mutex<BTreeSet<&'static str>>,
}

/// Metrics that need no further change: those of the process, the version, and the defaults of thresholds.
fn constants(maker: &Maker) {
    if let Some(process) = ProcessStats::own() {
        maker.0.register(Box::new(process)).expect(VALID);
    }
    maker
        .register(IntGaugeVec::new(options("streamwarden_build_info"), &["version"]).expect(VALID))
        .with_label_values(&[env!("CARGO_PKG_VERSION")])
        .set(1);
    for (name, default) in [
        ("streamwarden_lag_default_threshold_seconds", Thresholds::LAG_AGE),
        ("streamwarden_pending_age_default_threshold_seconds", Thresholds::PENDING_AGE),
    ] {
        maker.gauge(name).set(default.as_secs_f64());
    }
}

impl SelfStats {
    /// Creates all metrics. Each label value exists from the start, since `rate()` misses the first step of a counter
    /// that appears with it. `commands` are the labels of all commands that may be sent.
    #[must_use]
    pub fn new(commands: &[&str]) -> Self {
        let maker = Maker(Registry::new());
        constants(&maker);
        let reasons: Vec<&str> = Reason::ALL.iter().map(|reason| reason.as_str()).collect();
        let stats = Self {
            probe: ProbeStats::new(&maker),
            connections: maker.counter("streamwarden_redis_connections_total"),
            round_trips: maker.counter("streamwarden_redis_round_trips_total"),
            redirects: maker.counters("streamwarden_cluster_redirects_total", "kind", &["moved", "ask"]),
            watched_streams: maker.integer("streamwarden_watched_streams"),
            unwatched_streams: maker.integer("streamwarden_unwatched_streams"),
            unwatched_groups: maker.integer("streamwarden_unwatched_groups"),
            found_streams: maker.integer("streamwarden_found_streams"),
            forbidden_streams: maker.integer("streamwarden_forbidden_streams"),
            unsampled_streams: maker.integer("streamwarden_latency_unsampled_streams"),
            series: maker.integer("streamwarden_series"),
            dropped_series: maker.integer("streamwarden_dropped_series"),
            poll_interval: maker.gauge("streamwarden_poll_interval_seconds"),
            skipped_lookups: maker.integer("streamwarden_skipped_lookups"),
            postponed_lookups: maker.integer("streamwarden_postponed_lookups"),
            rereads: maker.counter("streamwarden_rereads_total"),
            config_reload_successful: maker.integer("streamwarden_config_last_reload_successful"),
            retention_leader: maker.integer("streamwarden_retention_leader"),
            retention_interval: maker.gauge("streamwarden_retention_interval_seconds"),
            rejected_connections: maker.counter("streamwarden_http_rejected_connections_total"),
            unauthorized_trims: maker.counter("streamwarden_http_unauthorized_trims_total"),
            unauthorized_writes: maker.counter("streamwarden_http_unauthorized_writes_total"),
            acted: maker.counters(
                "streamwarden_http_acted_items_total",
                "act",
                &["dead_letter", "replay", "reap", "claim"],
            ),
            waiting_notifications: maker.integer("streamwarden_waiting_notifications"),
            notifications: maker.counters(
                "streamwarden_notifications_total",
                "outcome",
                &[Self::SENT, Self::REFUSED, Self::DROPPED],
            ),
            metrics_exports: maker.counters(
                "streamwarden_metrics_exports_total",
                "outcome",
                &[Self::SENT, Self::REFUSED, Self::FAILED],
            ),
            redis_up: maker.integer("streamwarden_redis_up"),
            polls: maker.counter("streamwarden_polls_total"),
            poll_duration: maker.histogram("streamwarden_poll_duration_seconds", &POLL_BUCKETS),
            poll_last_success: maker.gauge("streamwarden_poll_last_success_timestamp_seconds"),
            poll_failures: maker.counters("streamwarden_poll_failures_total", "reason", &reasons),
            stream_failures: maker.counters("streamwarden_stream_read_failures_total", "reason", &reasons),
            discovery_last_success: maker.gauge("streamwarden_discovery_last_success_timestamp_seconds"),
            discovery_failures: maker.counters("streamwarden_discovery_failures_total", "reason", &reasons),
            retention_failures: maker.counters("streamwarden_retention_failures_total", "reason", &reasons),
            ticks: maker.counter("streamwarden_latency_ticks_total"),
            tick_failures: maker.counters("streamwarden_latency_tick_failures_total", "reason", &reasons),
            commands: maker.counters("streamwarden_redis_commands_total", "command", commands),
            refused: Mutex::default(),
            registry: maker.0,
        };
        stats.config_reload_successful.set(1);
        stats
    }

    /// The receiver of the webhook took the change, or the collector all metrics.
    pub const SENT: &str = "sent";
    /// The receiver says that the change is invalid, so it is not sent again; or the collector did not take some of the metrics.
    pub const REFUSED: &str = "refused";
    /// The change was never sent, or its attempts were given up.
    pub const DROPPED: &str = "dropped";

    /// Counts changes for the webhook, by what came of them.
    pub fn notified(&self, outcome: &str, changes: usize) {
        let changes = u64::try_from(changes).unwrap_or(u64::MAX);
        self.notifications.with_label_values(&[outcome]).inc_by(changes);
    }

    /// The export did not arrive whole, as far as is known.
    pub const FAILED: &str = "failed";

    /// Counts an export of metrics, by what came of it.
    pub fn metrics_exported(&self, outcome: &str) {
        self.metrics_exports.with_label_values(&[outcome]).inc();
    }

    /// The current values of all metrics.
    #[must_use]
    pub fn gather(&self) -> Vec<MetricFamily> {
        self.registry.gather()
    }

    /// Counts commands that are sent. Equal labels usually come in a row.
    pub fn commands(&self, labels: &[&str]) {
        for alike in labels.chunk_by(|one, other| one == other) {
            let count = u64::try_from(alike.len()).unwrap_or(u64::MAX);
            if let Some(label) = alike.first() {
                self.commands.with_label_values(&[label]).inc_by(count);
            }
        }
    }

    /// How many of these commands were sent.
    #[must_use]
    pub fn commands_sent(&self, labels: &[&str]) -> u64 {
        labels.iter().map(|label| self.commands.with_label_values(&[label]).get()).sum()
    }

    /// Records that Redis refuses this command. Returns whether it is the first time.
    pub fn is_first_refusal(&self, label: &'static str) -> bool {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner).insert(label)
    }

    /// A poll begins.
    pub fn poll_begins(&self) {
        self.polls.inc();
    }

    /// A poll has ended, after this many seconds.
    pub fn poll_ends(&self, seconds: f64, failure: Option<&Failure>) {
        self.poll_duration.observe(seconds);
        self.redis_up.set(i64::from(failure.is_none()));
        match failure {
            Some(failure) => self.poll_failures.with_label_values(&[failure.reason.as_str()]).inc(),
            None => self.poll_last_success.set(clock::unix_seconds()),
        }
    }

    /// A poll succeeded, but could not read this stream.
    pub fn stream_failed(&self, failure: &Failure) {
        self.stream_failures.with_label_values(&[failure.reason.as_str()]).inc();
    }

    /// A tick of the sampler has ended.
    pub fn tick_ends(&self, failure: Option<&Failure>) {
        self.ticks.inc();
        if let Some(failure) = failure {
            self.tick_failures.with_label_values(&[failure.reason.as_str()]).inc();
        }
    }

    /// A search for streams has ended.
    pub fn discovery_ends(&self, failure: Option<&Failure>) {
        match failure {
            Some(failure) => self.discovery_failures.with_label_values(&[failure.reason.as_str()]).inc(),
            None => self.discovery_last_success.set(clock::unix_seconds()),
        }
    }

    /// A request over HTTP changed so many items.
    pub fn acted(&self, act: &str, items: u64) {
        self.acted.with_label_values(&[act]).inc_by(items);
    }

    /// Redis refused or did not answer a request of retention.
    pub fn retention_failed(&self, failure: &Failure) {
        self.retention_failures.with_label_values(&[failure.reason.as_str()]).inc();
    }
}
