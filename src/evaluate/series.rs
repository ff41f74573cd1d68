//! The last few values of a number, at times that all series of a sidecar share: compact, since there may be a hundred
//! thousand of them.

use std::time::Duration;

/// Samples a series holds. [`Ticks`] spreads them over a little more than the window of judgement.
pub const SLOTS: usize = 24;
/// A window is covered by so many steps; the rest of the slots is for those that come a little early.
const STEPS: u32 = 17;

/// When the samples were taken, on a clock that only goes forward; the last one is the latest reading.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ticks(Vec<Duration>);

/// Where the latest reading goes in each series.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Slot {
    /// A new one.
    Next,
    /// That of the reading before, which came too soon after its predecessor to be kept.
    Last,
}

impl Ticks {
    /// Takes over the time of a reading.
    pub(super) fn advance(&mut self, at: Duration, window: Duration) -> Slot {
        // Readings a little early are kept, so that jitter does not halve the samples.
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

    /// How long before the last one each sample was taken, the oldest first.
    pub fn ages(&self) -> impl DoubleEndedIterator<Item = Duration> + ExactSizeIterator + Clone {
        let last = self.0.last().copied().unwrap_or_default();
        self.0.iter().map(move |at| last.saturating_sub(*at))
    }

    /// A series' known values that are no older than `window`, the oldest first, with their ages.
    pub(super) fn within(
        &self,
        series: &Series,
        window: Duration,
    ) -> impl DoubleEndedIterator<Item = (Duration, u32)> {
        let (ages, values) = (self.ages(), series.iter());
        let young = ages.clone().rev().take_while(|age| *age <= window).count().min(values.len());
        let (older, earlier) = (ages.len() - young, values.len() - young);
        let within = ages.skip(older).zip(values.skip(earlier));
        within.filter_map(|(age, value)| Some((age, value?)))
    }
}

/// The values of a number at the last ticks; `None` where it was not known. Counts beyond 32 bits are cut there.
#[derive(Debug, Clone, Default)]
pub struct Series {
    values: Values,
    known: u32,
    len: u8,
}

/// The values that are known; what stands elsewhere means nothing.
#[derive(Debug, Clone)]
enum Values {
    /// What each is beyond the least of them, or the first of a counter that went round.
    Near(u32, [u16; SLOTS]),
    /// Too far apart for that.
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

    /// The values, the oldest first. A series may be younger than the ticks: its last value is that of the last tick.
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

    /// Makes room for one more at the end.
    fn shift(&mut self) {
        match self {
            Self::Near(_, beyond) => beyond.rotate_left(1),
            Self::Far(values) => values.rotate_left(1),
        }
    }

    /// `known` has a bit for each value that counts, this one too.
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

/// A count as a series holds it.
pub(super) fn saturated(count: u64) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

/// The low part of a counter: differences of it, made wrapping, are right as long as they fit.
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
            // Mostly they are near each other, also where a counter goes round.
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
