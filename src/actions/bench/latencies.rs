//! How long requests took: counts in buckets, so that any number of requests takes the same memory. Pure.

use std::time::Duration;

/// Buckets to each doubling are two to the power of this: a quantile is at most 1.6 % above the truth.
const FINE: u32 = 6;

/// How long requests took.
#[derive(Debug, Clone, Default)]
pub struct Latencies {
    /// By bucket. It ends with the last bucket that is not empty.
    counts: Vec<u64>,
    total: u64,
    longest: Duration,
}

impl Latencies {
    /// Adds a request.
    pub(super) fn add(&mut self, took: Duration) {
        let bucket = bucket(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX));
        if self.counts.len() <= bucket {
            self.counts.resize(bucket + 1, 0);
        }
        if let Some(count) = self.counts.get_mut(bucket) {
            *count += 1;
        }
        self.total += 1;
        self.longest = self.longest.max(took);
    }

    /// Adds the requests of another connection.
    pub(super) fn join(&mut self, other: &Self) {
        if self.counts.len() < other.counts.len() {
            self.counts.resize(other.counts.len(), 0);
        }
        for (count, more) in self.counts.iter_mut().zip(&other.counts) {
            *count += more;
        }
        self.total += other.total;
        self.longest = self.longest.max(other.longest);
    }

    /// Number of requests.
    #[must_use]
    pub const fn count(&self) -> u64 {
        self.total
    }

    /// The longest one.
    #[must_use]
    pub const fn longest(&self) -> Duration {
        self.longest
    }

    /// The time within which so many percent of the requests were answered; `None` without requests.
    #[must_use]
    pub fn percentile(&self, percent: u64) -> Option<Duration> {
        let rank = self.total.saturating_mul(percent).div_ceil(100).max(1);
        let mut passed = 0;
        let at = self.counts.iter().position(|count| {
            passed += count;
            passed >= rank
        })?;
        Some(Duration::from_nanos(highest(at)).min(self.longest))
    }
}

/// The bucket of a number: below 128 each number has its own.
fn bucket(number: u64) -> usize {
    let shift = number.checked_ilog2().unwrap_or(0).saturating_sub(FINE);
    let index = (u64::from(shift) << FINE) + (number >> shift);
    usize::try_from(index).unwrap_or(usize::MAX)
}

/// The highest number in a bucket.
fn highest(bucket: usize) -> u64 {
    let bucket = u64::try_from(bucket).unwrap_or(u64::MAX);
    let shift = (bucket >> FINE).saturating_sub(1);
    let lowest = bucket - (shift << FINE);
    u64::try_from((u128::from(lowest + 1) << shift) - 1).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_at_most_1_6_percent_above_the_truth() {
        let mut latencies = Latencies::default();
        assert_eq!(latencies.percentile(50), None);
        let (mut some, mut others) = (Latencies::default(), Latencies::default());
        for micros in 1..=100_000 {
            let half = if micros % 2 == 0 { &mut some } else { &mut others };
            half.add(Duration::from_micros(micros));
        }
        latencies.join(&some);
        latencies.join(&others);
        assert_eq!(latencies.count(), 100_000);
        for (percent, truth) in [(1, 1_000), (50, 50_000), (95, 95_000), (99, 99_000), (100, 100_000)] {
            let (found, truth) = (latencies.percentile(percent).unwrap(), Duration::from_micros(truth));
            assert!(found >= truth && found <= truth.mul_f64(1.017), "{percent}: {found:?}");
        }
        assert_eq!(latencies.longest(), Duration::from_millis(100));
    }

    #[test]
    fn buckets_follow_each_other_and_hold_any_number() {
        for number in (0..10_000).chain([u64::MAX / 2, u64::MAX - 1, u64::MAX]) {
            let at = bucket(number);
            assert!(highest(at) >= number, "{number}");
            assert!(at == 0 || highest(at - 1) < number, "{number}");
        }
    }
}
