//! When entries arrived, as a curve over their numbers.
//!
//! Two kinds of points are known: how many entries had been added at a tick, and the ID of the entry that was delivered last, whose number
//! is known too. Either says that entries up to a number arrived by a time, and later ones not before a time.

use std::collections::VecDeque;

use super::LeftOut;
use crate::model::{StreamId, TickTime};

/// 2001-09-09 in milliseconds since the Unix epoch. Redis had no streams then, so a smaller number in an ID was chosen by the application.
const EARLIEST_MS: u64 = 1_000_000_000_000;
/// Times of one server that should be in order may differ by this: commands have the time at which they, or their script, began.
pub(super) const SLACK_MS: u64 = 5;
/// Points that are kept. Beyond that every second one goes, which widens intervals. This is 8 minutes of a backlog at four ticks a second.
const MOST_POINTS: usize = 2_048;

/// A point of the curve.
#[derive(Debug, Clone, Copy)]
struct Point {
    /// Entries up to this number ...
    number: u64,
    /// ... arrived at this time at the latest.
    not_after: u64,
    /// Later entries arrived at this time at the earliest.
    not_before: u64,
    /// When the entry with this number arrived, if its ID is known.
    exact: Option<u64>,
}

/// Entries that arrived in the same interval.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) entries: u64,
    /// Others that arrived in it before them.
    pub(super) earlier: u64,
    /// All that arrived in it.
    pub(super) all: u64,
    /// Start of the interval; 0 if it is unknown.
    pub(super) from: u64,
    pub(super) to: u64,
}

/// The curve. Numbers and times of its points never decrease.
#[derive(Debug, Clone, Default)]
pub(super) struct Arrivals {
    points: VecDeque<Point>,
}

impl Arrivals {
    /// Restarts with the entry that was delivered last.
    pub(super) fn restart(&mut self, number: u64, id: StreamId) {
        self.points.clear();
        self.points.push_back(Point {
            number,
            not_after: id.ms.saturating_add(1),
            not_before: id.ms,
            exact: None,
        });
    }

    /// This many entries had been added at a tick.
    ///
    /// # Errors
    /// It is fewer than before.
    pub(super) fn added(&mut self, number: u64, TickTime { from, to }: TickTime) -> Result<(), LeftOut> {
        match self.points.back_mut() {
            Some(last) if number < last.number => return Err(LeftOut::Trimmed),
            Some(last) if number == last.number => last.not_before = last.not_before.max(from),
            _ => self.points.push_back(Point { number, not_after: to, not_before: from, exact: None }),
        }
        self.tighten_before(self.points.len(), to);
        if self.points.len() > MOST_POINTS {
            let last = self.points.len() - 1;
            let mut index = 0;
            self.points.retain(|_| {
                index += 1;
                index % 2 == 1 || index > last
            });
        }
        Ok(())
    }

    /// The entry with this number has this ID.
    ///
    /// # Errors
    /// The ID is not a time, or contradicts what was counted.
    pub(super) fn entry(&mut self, number: u64, id: StreamId, now: TickTime) -> Result<(), LeftOut> {
        let ms = id.ms;
        if ms < EARLIEST_MS || ms > now.to + SLACK_MS {
            return Err(LeftOut::IdsNotTimes);
        }
        let place = self.points.partition_point(|point| point.number < number);
        let before = place.checked_sub(1).and_then(|before| self.points.get(before));
        if before.is_some_and(|point| ms + SLACK_MS < point.not_before) {
            return Err(LeftOut::IdsNotTimes);
        }
        match self.points.get_mut(place) {
            // It was counted as added already, so fewer were added than were counted.
            Some(next) if ms > next.not_after + SLACK_MS => return Err(LeftOut::Trimmed),
            Some(next) if next.number == number => {
                next.exact = Some(ms);
                next.not_after = next.not_after.min(ms + 1);
            }
            _ => self
                .points
                .insert(place, Point { number, not_after: ms + 1, not_before: ms, exact: Some(ms) }),
        }
        self.tighten_before(place, ms + 1);
        for point in self.points.iter_mut().skip(place) {
            if point.not_before >= ms {
                break;
            }
            point.not_before = ms;
        }
        Ok(())
    }

    /// Earlier entries arrived no later than a later one.
    fn tighten_before(&mut self, place: usize, not_after: u64) {
        for point in self.points.iter_mut().take(place).rev() {
            if point.not_after <= not_after {
                break;
            }
            point.not_after = not_after;
        }
    }

    /// The number of the last entry that is known to have arrived.
    pub(super) fn last_number(&self) -> u64 {
        self.points.back().map_or(0, |point| point.number)
    }

    /// Drops points that say nothing about entries after this number.
    pub(super) fn forget(&mut self, number: u64) {
        while self.points.get(1).is_some_and(|next| next.number <= number) {
            self.points.pop_front();
        }
    }

    /// Entries up to this number had certainly arrived by then.
    pub(super) fn arrived_by(&self, time: u64) -> u64 {
        let points = self.points.partition_point(|point| point.not_after <= time);
        points.checked_sub(1).and_then(|last| self.points.get(last)).map_or(0, |point| point.number)
    }

    /// When the entries with these numbers arrived, in order: those after the first one, up to the second one.
    pub(super) fn parts(&self, after: u64, up_to: u64, now: TickTime) -> Vec<Part> {
        let first = self.points.partition_point(|point| point.number <= after);
        let mut before = first.checked_sub(1).and_then(|before| self.points.get(before)).copied();
        let (mut parts, mut done) = (Vec::new(), after);
        let end = Point { number: up_to, not_after: now.to, not_before: now.from, exact: None };
        for point in self.points.iter().skip(first).chain([&end]) {
            let (start, from) = before.map_or((done, 0), |before| (before.number, before.not_before));
            let exact = point.exact.filter(|_| point.number <= up_to);
            let last = point.number.min(up_to).saturating_sub(u64::from(exact.is_some()));
            if last > done {
                let all = point.number.saturating_sub(start);
                let to = point.not_after.max(from);
                parts.push(Part { entries: last - done, earlier: done - start, all, from, to });
            }
            if let Some(at) = exact.filter(|_| point.number > done) {
                parts.push(Part { entries: 1, earlier: 0, all: 1, from: at, to: at + 1 });
            }
            (done, before) = (done.max(point.number.min(up_to)), Some(*point));
            if done >= up_to {
                break;
            }
        }
        parts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: u64 = 1_800_000_000_000;

    fn tick(from: u64, to: u64) -> TickTime {
        TickTime { from: NOON + from, to: NOON + to }
    }

    fn id(ms: u64) -> StreamId {
        StreamId::new(NOON + ms, 0)
    }

    fn parts(arrivals: &Arrivals, after: u64, up_to: u64, now: TickTime) -> Vec<(u64, u64, u64)> {
        let parts = arrivals.parts(after, up_to, now).into_iter();
        parts.map(|part| (part.entries, part.from - NOON, part.to - NOON)).collect()
    }

    #[test]
    fn entries_arrived_between_the_points_around_them_and_the_last_one_by_its_id() {
        let mut arrivals = Arrivals::default();
        arrivals.restart(10, id(0));
        arrivals.added(10, tick(100, 101)).unwrap();
        arrivals.added(14, tick(200, 201)).unwrap();
        arrivals.added(17, tick(300, 301)).unwrap();
        arrivals.entry(15, id(230), tick(300, 301)).unwrap();
        let now = tick(300, 301);
        assert_eq!(parts(&arrivals, 10, 15, now), [(4, 100, 201), (1, 230, 231)]);
        assert_eq!(parts(&arrivals, 12, 14, now), [(2, 100, 201)]);
        assert_eq!(parts(&arrivals, 15, 17, now), [(2, 230, 301)]);
        arrivals.forget(15);
        assert_eq!(arrivals.points.len(), 2);
        assert_eq!(parts(&arrivals, 15, 17, now), [(2, 230, 301)]);
    }

    #[test]
    fn what_contradicts_the_count_is_not_believed() {
        let mut arrivals = Arrivals::default();
        arrivals.restart(10, id(0));
        arrivals.added(12, tick(100, 101)).unwrap();
        assert_eq!(arrivals.added(11, tick(200, 201)), Err(LeftOut::Trimmed), "fewer than before");
        assert_eq!(
            arrivals.entry(11, id(150), tick(200, 201)),
            Err(LeftOut::Trimmed),
            "added later than counted"
        );
        assert_eq!(
            arrivals.entry(13, id(50), tick(200, 201)),
            Err(LeftOut::IdsNotTimes),
            "older than its number"
        );
        assert_eq!(
            arrivals.entry(13, id(900), tick(200, 201)),
            Err(LeftOut::IdsNotTimes),
            "ahead of the clock"
        );
        let small = StreamId::new(7, 1);
        assert_eq!(arrivals.entry(13, small, tick(200, 201)), Err(LeftOut::IdsNotTimes));
    }

    #[test]
    fn a_long_backlog_keeps_a_bounded_number_of_points() {
        let mut arrivals = Arrivals::default();
        arrivals.restart(0, id(0));
        for number in 1..=20_000 {
            arrivals.added(number, tick(number * 250, number * 250 + 1)).unwrap();
        }
        assert!(arrivals.points.len() <= MOST_POINTS, "{}", arrivals.points.len());
        let all = arrivals.parts(0, 20_000, tick(5_000_000, 5_000_001));
        assert_eq!(all.iter().map(|part| part.entries).sum::<u64>(), 20_000);
        assert!(all.is_sorted_by_key(|part| part.from) && all.iter().all(|part| part.from <= part.to));
    }
}
