//! The metrics of the probe. Without a probe they have no series.

use std::time::Duration;

use prometheus::{HistogramVec, IntCounterVec, IntGaugeVec};

use super::maker::Maker;
use crate::model::{Failure, Reason};

/// Bounds of the buckets, in seconds: from a server on the same machine to the longest usual timeout.
const BUCKETS: [f64; 14] =
    [0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0];
/// The values of the `stage` label.
const STAGES: [&str; 3] = ["write", "wake_up", "round_trip"];

/// The metrics of the probe.
pub struct ProbeStats {
    seconds: HistogramVec,
    failures: IntCounterVec,
    up: IntGaugeVec,
}

impl ProbeStats {
    pub(super) fn new(maker: &Maker) -> Self {
        Self {
            seconds: maker.histograms("streamwarden_probe_seconds", "stage", &BUCKETS),
            failures: maker.counters("streamwarden_probe_failures_total", "reason", &[]),
            up: maker.integers("streamwarden_probe_up", "node"),
        }
    }

    /// Creates the series of all stages and reasons, since `rate()` misses the first step of a counter that appears with it.
    pub fn begins(&self) {
        for stage in STAGES {
            self.seconds.with_label_values(&[stage]);
        }
        for reason in Reason::ALL {
            self.failures.with_label_values(&[reason.as_str()]);
        }
    }

    /// Removes all series, since nothing is probed any more.
    pub fn ends(&self) {
        self.seconds.reset();
        self.failures.reset();
        self.up.reset();
    }

    /// A probe of this node succeeded: how long writing, waking up a reader, and all of it took.
    pub fn succeeded(&self, node: &str, took: [Duration; STAGES.len()]) {
        self.up.with_label_values(&[node]).set(1);
        for (stage, took) in STAGES.into_iter().zip(took) {
            self.seconds.with_label_values(&[stage]).observe(took.as_secs_f64());
        }
    }

    /// A probe of this node failed.
    pub fn failed(&self, node: &str, failure: &Failure) {
        self.up.with_label_values(&[node]).set(0);
        self.failures.with_label_values(&[failure.reason.as_str()]).inc();
    }

    /// The node is no longer probed.
    pub fn forget(&self, node: &str) {
        // It has no series if no probe of it ended.
        self.up.remove_label_values(&[node]).unwrap_or_default();
    }
}
