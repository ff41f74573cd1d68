//! Counts of waits in fixed buckets, for Prometheus.

use std::{sync::Arc, time::Duration};

use super::Wait;
use crate::model::Millis;

/// Upper bounds of buckets, in milliseconds. The tick is the first one: what is below it is not distinguished.
const BOUNDS_MS: [u64; 15] = [
    100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000, 60_000, 120_000, 300_000, 600_000, 1_200_000,
    1_800_000, 3_600_000,
];

/// A histogram since the curve was first seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Histogram {
    /// Upper bounds of the buckets, in milliseconds, ascending. The bucket without a bound is not among them.
    pub bounds: Arc<[u64]>,
    /// Entries in each bucket, not in those below it. The last one has no bound.
    pub buckets: Box<[u64]>,
    /// The sum of all waits, in milliseconds.
    pub sum_ms: u64,
}

impl Histogram {
    /// The bounds for ticks of this length.
    #[must_use]
    pub fn bounds(tick: Duration) -> Arc<[u64]> {
        let tick = Millis::from(tick).get();
        std::iter::once(tick).chain(BOUNDS_MS.into_iter().filter(|bound| *bound > tick)).collect()
    }

    /// An empty one.
    #[must_use]
    pub fn new(bounds: Arc<[u64]>) -> Self {
        let buckets = vec![0; bounds.len() + 1].into();
        Self { bounds, buckets, sum_ms: 0 }
    }

    /// Number of entries.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }

    pub(super) fn add(&mut self, wait: &Wait) {
        let place = self.bounds.partition_point(|bound| *bound < wait.likely);
        if let Some(bucket) = self.buckets.get_mut(place) {
            *bucket += wait.entries;
        }
        self.sum_ms = self.sum_ms.saturating_add(wait.likely.saturating_mul(wait.entries));
    }
}
