//! The last values of a number, at times that all series of a sidecar share. Compact, since there may be a hundred
//! thousand of them.

use std::time::Duration;

/// Number of samples in a series. [`Ticks`] spreads them over a little more than the status window.
pub const SLOTS: usize = 24;
/// The number of steps that cover a window. The remaining slots are for readings that come a little early.
const STEPS: u32 = 17;

/// The times of the samples on a monotonic clock. The last one is the latest reading.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ticks(Vec<Duration>);

/// The place of the latest reading in each series.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Slot {
    /// A new place.
    Next,
    /// The place of the previous reading, which came too soon after its predecessor to be kept.
    Last,
}

impl Ticks {
    /// Applies the time of a reading.
    pub(super) fn advance(&mut self, at: Duration, window: Duration) -> Slot {
        // Readings that come a little early are kept, so that jitter does not halve the samples.
        let least = window / STEPS * 3 / 4;
        if let [.., before, last] = self.0.as_mut_slice()
            && last.saturating_sub(*before) < least
        {
            *last = at;
            return Slot::Last;
        }
        if self.0.len() == SLOTS {
            self.0.remove(0);
        }
        self.0.push(at);
        Slot::Next
    }

    /// The ages of the samples relative to the last one, oldest first.
    pub fn ages(&self) -> impl DoubleEndedIterator<Item = Duration> + ExactSizeIterator + Clone {
        let last = self.0.last().copied().unwrap_or_default();
        self.0.iter().map(move |at| last.saturating_sub(*at))
    }

    /// A series' known values that are at most `window` old, oldest first, with their ages.
    pub(super) fn within(
        &self,
        series: &Series,
        window: Duration,
    ) -> impl DoubleEndedIterator<Item = (Duration, u32)> {
        let ages = self.ages();
        let values = series.iter();
        let young = ages.clone().rev().take_while(|age| *age <= window).count().min(values.len());
        let older = ages.len() - young;
        let earlier = values.len() - young;
        let within = ages.skip(older).zip(values.skip(earlier));
        within.filter_map(|(age, value)| Some((age, value?)))
    }
}

/// The values of a number at the last ticks; `None` if it was unknown. Counts beyond 32 bits are saturated.
#[derive(Debug, Clone, Default)]
pub struct Series {
    values: Values,
    known: u32,
    len: u8,
}

/// The known values. Other places are undefined.
#[derive(Debug, Clone)]
enum Values {
    /// The difference of each value from the smallest one, or from the first one of a counter that wrapped around.
    Near(u32, [u16; SLOTS]),
    /// Values that are too far apart for that.
    Far(Box<[u32; SLOTS]>),
}

impl Series {
    pub(super) fn put(&mut self, slot: Slot, value: Option<u32>) {
        let mut len = usize::from(self.len);
        match slot {
            Slot::Last if len > 0 => len -= 1,
            _ if len == SLOTS => {
                self.values.shift();
                self.known >>= 1;
                len -= 1;
            }
            Slot::Last | Slot::Next => {}
        }
        let bit = 1 << len;
        self.known &= !bit;
        if let Some(value) = value {
            self.known |= bit;
            self.values.set(len, value, self.known);
        }
        self.len = u8::try_from(len + 1).unwrap_or(u8::MAX);
    }

    /// The values, oldest first. A series may be younger than the ticks; its last value is that of the last tick.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = Option<u32>> + ExactSizeIterator + '_ {
        (0..usize::from(self.len))
            .map(|index| if self.known & (1 << index) == 0 { None } else { self.values.get(index) })
    }
}

impl PartialEq for Series {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for Series {}

impl Default for Values {
    fn default() -> Self {
        Self::Near(0, [0; SLOTS])
    }
}

impl Values {
    fn get(&self, index: usize) -> Option<u32> {
        match self {
            Self::Near(least, beyond) => beyond.get(index).map(|beyond| least.wrapping_add((*beyond).into())),
            Self::Far(values) => values.get(index).copied(),
        }
    }

    /// Makes room for one more value at the end.
    fn shift(&mut self) {
        match self {
            Self::Near(_, beyond) => beyond.rotate_left(1),
            Self::Far(values) => values.rotate_left(1),
        }
    }

    /// `known` has a bit for each known value, including this one.
    fn set(&mut self, index: usize, value: u32, known: u32) {
        if let Self::Near(least, beyond) = self
            && let Ok(near) = u16::try_from(value.wrapping_sub(*least))
            && let Some(place) = beyond.get_mut(index)
        {
            *place = near;
            return;
        }
        let before = |other| self.get(other).unwrap_or_default();
        *self =
            Self::of(std::array::from_fn(|other| if other == index { value } else { before(other) }), known);
    }

    fn of(values: [u32; SLOTS], known: u32) -> Self {
        let known = || values.iter().enumerate().filter(|(index, _)| known & (1 << index) != 0);
        let near = |value: u32, least: u32| u16::try_from(value.wrapping_sub(least)).ok();
        let is_least = |least: u32| known().all(|(_, value)| near(*value, least).is_some());
        match known().map(|(_, value)| *value).find(|least| is_least(*least)) {
            Some(least) => Self::Near(least, values.map(|value| near(value, least).unwrap_or_default())),
            None => Self::Far(Box::new(values)),
        }
    }
}

/// A count, as series store it.
pub(super) fn saturated(count: u64) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

/// The low part of a counter. Wrapping differences are correct as long as they fit.
pub(super) fn low_part(counter: u64) -> u32 {
    u32::try_from(counter & u64::from(u32::MAX)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const WINDOW: Duration = Duration::from_secs(300);

    fn ticks(interval: Duration, polls: u32) -> Ticks {
        let mut ticks = Ticks::default();
        for poll in 0..polls {
            ticks.advance(interval * poll, WINDOW);
        }
        ticks
    }

    #[test]
    fn samples_cover_the_window_however_often_it_is_polled() {
        for interval in [100, 1_000, 7_000, 10_000, 12_500, 15_000, 16_000, 60_000] {
            let interval = Duration::from_millis(interval);
            let ages: Vec<Duration> = ticks(interval, 5_000).ages().collect();
            assert!(ages[0] >= WINDOW, "{interval:?}: {ages:?}");
            assert!(ages.len() >= 6 && ages.is_sorted_by(|one, other| one > other), "{interval:?}: {ages:?}");
        }
    }

    #[test]
    fn each_of_the_default_polls_is_a_sample() {
        let ages: Vec<u64> = ticks(Duration::from_secs(15), 100).ages().map(|age| age.as_secs()).collect();
        assert_eq!(ages.len(), SLOTS);
        assert_eq!(ages[SLOTS - 4..], [45, 30, 15, 0]);
    }

    proptest! {
        #[test]
        fn a_series_holds_the_last_values(
            near in any::<u32>(),
            values in prop::collection::vec(prop::option::of(any::<u32>()), 0..100),
            wide in any::<bool>(),
        ) {
            // Values are usually close to each other, also when a counter wraps around.
            let value = |value: u32| if wide { value } else { near.wrapping_add(value % 70_000) };
            let values: Vec<Option<u32>> = values.into_iter().map(|it| it.map(value)).collect();
            let mut series = Series::default();
            values.iter().for_each(|value| series.put(Slot::Next, *value));
            let kept: Vec<Option<u32>> = series.iter().collect();
            prop_assert_eq!(&kept[..], &values[values.len().saturating_sub(SLOTS)..]);
            if let Some((last, before)) = kept.split_last() {
                series.put(Slot::Last, last.map(|last| last ^ 1));
                let replaced: Vec<Option<u32>> = series.iter().collect();
                prop_assert_eq!(&replaced[..before.len()], before);
                prop_assert_eq!(replaced[before.len()], last.map(|last| last ^ 1));
            }
        }
    }
}
