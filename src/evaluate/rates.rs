//! The rates at which entries are added, and delivered to a group.

use std::time::Duration;

use super::{moment::Moment, series::Series};

/// Entries per time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// Number of entries.
    pub entries: u64,
    /// The time, never zero.
    pub over: Duration,
}

impl Rate {
    /// Entries per second.
    #[must_use]
    pub fn per_second(self) -> f64 {
        // The entries of one window are far below the precision limit of a float.
        let entries = u32::try_from(self.entries).unwrap_or(u32::MAX);
        f64::from(entries) / self.over.as_secs_f64().max(f64::MIN_POSITIVE)
    }
}

/// The rate of a counter, from the low parts of the first and the last of these values.
pub(super) fn rate(mut values: impl DoubleEndedIterator<Item = (Duration, u32)>) -> Option<Rate> {
    rate_between(values.next()?, values.next_back()?)
}

fn rate_between((first_age, first): (Duration, u32), (last_age, last): (Duration, u32)) -> Option<Rate> {
    let over = first_age.checked_sub(last_age).filter(|over| !over.is_zero())?;
    Some(Rate { entries: last.wrapping_sub(first).into(), over })
}

/// The rate at which entries were delivered to a group that has existed for this long: those ever added, minus its lag and
/// its losses.
pub(super) fn passed_rate(
    added: &Series,
    lags: &Series,
    lost: Option<&Series>,
    there_for: Duration,
    moment: &Moment<'_>,
) -> Option<Rate> {
    let (mut lags, mut lost) = (lags.iter().rev(), lost.into_iter().flat_map(|lost| lost.iter().rev()));
    // As far back as the lag is known without a gap. Before that it may have been another group of this name, also if the
    // group did not exist between two ticks.
    let longest = there_for.min(moment.rate_window());
    let young = moment.ticks.ages().rev().take_while(|age| *age <= longest);
    let mut passed = (young.zip(added.iter().rev()))
        .map(|(age, added)| (age, added, lags.next().flatten(), lost.next().flatten().unwrap_or(0)))
        .filter_map(|(age, added, lag, lost)| Some((age, added?, lag, lost)))
        .map_while(|(age, added, lag, lost)| Some((age, added.wrapping_sub(lag?).wrapping_sub(lost))));
    let newest = passed.next()?;
    let oldest = passed.last()?;
    // The difference wraps for a group that was set back, and means nothing.
    rate_between(oldest, newest).filter(|rate| rate.entries < u64::from(u32::MAX / 2))
}
