//! Quantiles of the waits of late, with their bounds.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use super::Wait;
use crate::model::Millis;

/// Parts of the window. The oldest one is dropped at a time.
const SLICES: u64 = 10;
/// Buckets of each power of two: numbers differ by a 64th at most within one.
const PER_DOUBLING: u64 = 64;

/// A quantile, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quantile {
    /// It is not less.
    pub least: u64,
    /// About what it is.
    pub likely: u64,
    /// It is not more.
    pub most: u64,
}

/// The quantiles that are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quantiles {
    /// Number of entries that were measured.
    pub entries: u64,
    /// The median.
    pub p50: Quantile,
    /// 95 of 100 entries waited no longer.
    pub p95: Quantile,
    /// 99 of 100 entries waited no longer.
    pub p99: Quantile,
}

/// Numbers of entries by bucket.
type Counts = BTreeMap<u64, u64>;

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Slice {
    number: u64,
    /// By the lower bound, the likely value and the upper bound of the wait.
    counts: [Counts; 3],
}

/// The waits of late. A copy shares all slices but the one that is being filled.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Window(VecDeque<Arc<Slice>>);

impl Window {
    /// Drops what was longer ago than the window at this time. Returns the number of the present slice.
    pub(super) fn follow(&mut self, now_ms: u64, window: Duration) -> u64 {
        let number = now_ms / (Millis::from(window).get() / SLICES).max(1);
        self.0.retain(|slice| slice.number + SLICES > number && slice.number <= number);
        number
    }

    /// Adds waits that ended at this time.
    pub(super) fn add(&mut self, waits: &[Wait], now_ms: u64, window: Duration) {
        let number = self.follow(now_ms, window);
        if waits.is_empty() {
            return;
        }
        if self.0.back().is_none_or(|last| last.number != number) {
            self.0.push_back(Arc::new(Slice { number, ..Slice::default() }));
        }
        let Some(slice) = self.0.back_mut().map(Arc::make_mut) else { return };
        for wait in waits {
            for (counts, ms) in slice.counts.iter_mut().zip([wait.least, wait.likely, wait.most]) {
                *counts.entry(bucket(ms)).or_default() += wait.entries;
            }
        }
    }

    /// The quantiles; `None` if nothing was measured.
    ///
    /// A quantile of all lower bounds is a lower bound of the quantile, and so for upper bounds.
    pub(super) fn quantiles(&self) -> Option<Quantiles> {
        let mut all = [(); 3].map(|()| Counts::new());
        for slice in &self.0 {
            for (sum, counts) in all.iter_mut().zip(&slice.counts) {
                counts.iter().for_each(|(bucket, entries)| *sum.entry(*bucket).or_default() += entries);
            }
        }
        let [least, likely, most] = all;
        let entries = likely.values().sum();
        let quantile = |percent| Quantile {
            least: start(of(&least, entries, percent)),
            likely: middle(of(&likely, entries, percent)),
            most: start(of(&most, entries, percent) + 1),
        };
        (entries > 0).then(|| Quantiles { entries, p50: quantile(50), p95: quantile(95), p99: quantile(99) })
    }
}

/// The bucket with this share of the entries in it and those below.
fn of(counts: &Counts, entries: u64, percent: u64) -> u64 {
    let rank = (entries * percent).div_ceil(100);
    let mut sum = 0;
    let found = counts.iter().find(|(_, entries)| {
        sum += **entries;
        sum >= rank
    });
    found.map_or(0, |(bucket, _)| *bucket)
}

/// The bucket of a number. Small ones have one each.
fn bucket(ms: u64) -> u64 {
    let doublings = u64::from(ms.max(PER_DOUBLING).ilog2() - PER_DOUBLING.ilog2());
    doublings * PER_DOUBLING + (ms >> doublings)
}

/// The first number in a bucket.
fn start(bucket: u64) -> u64 {
    if bucket < 2 * PER_DOUBLING {
        return bucket;
    }
    let doublings = bucket / PER_DOUBLING - 1;
    (bucket - doublings * PER_DOUBLING) << doublings
}

fn middle(bucket: u64) -> u64 {
    start(bucket) + (start(bucket + 1) - start(bucket)) / 2
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
            fn a_bucket_has_its_number_between_its_start_and_the_next_one(ms in 0_u64..10_000_000_000) {
            let bucket = bucket(ms);
            prop_assert!(start(bucket) <= ms && ms < start(bucket + 1), "{ms} {bucket}");
            prop_assert!(start(bucket + 1) - start(bucket) <= ms / PER_DOUBLING + 1);
        }
    }

    #[test]
    fn quantiles_are_of_the_window_only_and_have_bounds() {
        let (mut window, minute) = (Window::default(), Duration::from_secs(60));
        let wait = |entries, likely| Wait { entries, least: likely / 2, likely, most: likely * 2 };
        assert_eq!(window.quantiles(), None);
        window.add(&[wait(90, 10), wait(10, 1_000)], 0, minute);
        let quantiles = window.quantiles().unwrap();
        assert_eq!((quantiles.entries, quantiles.p50), (100, Quantile { least: 5, likely: 10, most: 21 }));
        assert!((490..=510).contains(&quantiles.p99.least) && (2_000..2_050).contains(&quantiles.p99.most));
        assert_eq!(quantiles.p95.likely, quantiles.p99.likely);
        window.add(&[wait(1, 10)], 59_000, minute);
        assert_eq!(window.quantiles().unwrap().entries, 101);
        window.add(&[], 60_000, minute);
        assert_eq!(window.quantiles().unwrap().entries, 1);
        window.add(&[], 200_000, minute);
        assert_eq!(window.quantiles(), None);
    }
}
