//! How fast a size grows, from a few samples of the last day.

use std::time::Duration;

/// Samples that are kept. When there are more, every second one is dropped, until they reach back for a day.
const MOST_SAMPLES: usize = 13;
/// Samples in the time for which a size must be known before its growth is.
const AT_FIRST: u32 = 8;
const DAY: Duration = Duration::from_secs(86_400);

/// A size over time.
#[derive(Debug, Clone, Default)]
pub(super) struct Growth {
    samples: Vec<(Duration, u64)>,
    /// The least time between two samples.
    spacing: Duration,
}

impl Growth {
    /// Takes the size at this time of a monotonic clock. Returns by how many bytes it grows in a day: the slope of the straight line that is
    /// closest to all samples. `None` until it is known for `least`.
    pub(super) fn note(&mut self, bytes: u64, least: Duration, at: Duration) -> Option<i64> {
        if self.samples.last().is_some_and(|(_, before)| bytes < before / 2) {
            // It was trimmed or deleted at once: what comes next has nothing to do with what was before.
            self.samples.clear();
        }
        if self.samples.is_empty() {
            self.spacing = Duration::ZERO;
        }
        self.spacing = self.spacing.max(least / AT_FIRST);
        if self.samples.last().is_none_or(|(last, _)| at.saturating_sub(*last) >= self.spacing) {
            self.samples.push((at, bytes));
            self.thin_out();
        }
        let (first, _) = self.samples.first()?;
        let is_known = at.saturating_sub(*first) >= least;
        is_known.then(|| slope(&self.samples, (at, bytes))).flatten()
    }

    fn thin_out(&mut self) {
        if self.samples.len() <= MOST_SAMPLES {
            return;
        }
        let reach = self.spacing.saturating_mul(u32::try_from(MOST_SAMPLES).unwrap_or(u32::MAX));
        if reach < DAY {
            self.spacing *= 2;
            let mut index = 0_usize;
            self.samples.retain(|_| {
                index += 1;
                index % 2 == 1
            });
        } else {
            self.samples.remove(0);
        }
    }
}

/// In bytes a day, by least squares; `None` if all samples are of one time.
fn slope(samples: &[(Duration, u64)], last: (Duration, u64)) -> Option<i64> {
    let (first, least) = samples.first()?;
    let points = samples.iter().copied().filter(|(at, _)| *at < last.0).chain([last]);
    let points = points.map(|(at, bytes)| {
        let milliseconds = i128::try_from(at.saturating_sub(*first).as_millis()).unwrap_or(0);
        (milliseconds, i128::from(bytes) - i128::from(*least))
    });
    let (mut n, mut x, mut y, mut xx, mut xy) = (0, 0, 0, 0, 0);
    for (at, bytes) in points {
        (n, x, y, xx, xy) = (n + 1, x + at, y + bytes, xx + at * at, xy + at * bytes);
    }
    let day = i128::try_from(DAY.as_millis()).unwrap_or(i128::MAX);
    let (rise, run): (i128, i128) = (n * xy - x * y, n * xx - x * x);
    i64::try_from(rise.checked_mul(day)?.checked_div(run)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3_600);
    const MIB: u64 = 1 << 20;

    /// The last growth of a size that is noted each minute, in MiB a day, and the samples that are kept.
    fn growth(minutes: u32, size: impl Fn(u64) -> u64) -> (Option<i64>, usize) {
        let (mut growth, mut last) = (Growth::default(), None);
        for minute in 0..=minutes {
            last = growth.note(size(minute.into()), HOUR, minute * Duration::from_secs(60));
        }
        (last.map(|last| last / (1 << 20)), growth.samples.len())
    }

    #[test]
    fn growth_is_unknown_until_it_was_watched_for_long_enough() {
        let grows = |minute| MIB * (1_000 + minute);
        assert_eq!(growth(0, grows).0, None);
        assert_eq!(growth(59, grows).0, None);
        assert_eq!(growth(60, grows).0, Some(1_440));
        assert_eq!(growth(60, |_| 5).0, Some(0));
        assert_eq!(growth(60, |minute| MIB * (1_000 - minute)).0, Some(-1_440));
    }

    #[test]
    fn a_few_samples_reach_back_for_a_day_and_no_further() {
        for minutes in [60, 600, 1_440, 5_000, 20_000] {
            let (last, samples) = growth(minutes, |minute| MIB * (1_000 + minute));
            assert!(last == Some(1_440) && samples <= MOST_SAMPLES, "{minutes}: {last:?} {samples}");
        }
        // It stopped growing more than a day ago.
        let (last, _) = growth(6_000, |minute| MIB * minute.min(3_000));
        assert_eq!(last, Some(0));
    }

    #[test]
    fn trims_that_leave_the_size_as_it_is_are_no_growth() {
        let saw = |minute: u64| MIB * (1_000 + minute % 10);
        let (last, _) = growth(1_440, saw);
        assert!(last.is_some_and(|last| last.abs() < 30), "{last:?}");
    }

    #[test]
    fn after_half_was_removed_at_once_growth_restarts() {
        let trimmed =
            |minute: u64| if minute < 600 { MIB * (1_000 + minute) } else { MIB * (100 + minute - 600) };
        assert_eq!(growth(630, trimmed).0, None);
        assert_eq!(growth(660, trimmed).0, Some(1_440));
    }
}
