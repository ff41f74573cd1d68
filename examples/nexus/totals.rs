//! Counters of what the program has done.

use std::{
    fmt,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

#[derive(Default)]
pub(crate) struct Totals {
    published: AtomicU64,
    acknowledged: AtomicU64,
    failed: AtomicU64,
}

impl Totals {
    pub(crate) fn published(&self) {
        self.published.fetch_add(1, Relaxed);
    }

    pub(crate) fn acknowledged(&self, entries: u64) {
        self.acknowledged.fetch_add(entries, Relaxed);
    }

    pub(crate) fn failed(&self) {
        self.failed.fetch_add(1, Relaxed);
    }
}

impl fmt::Display for Totals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [published, acknowledged, failed] =
            [&self.published, &self.acknowledged, &self.failed].map(|total| total.load(Relaxed));
        write!(f, "published {published}, acknowledged {acknowledged}, failed {failed}")
    }
}
