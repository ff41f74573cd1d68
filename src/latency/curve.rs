//! One curve of a group beside that of the arrivals: entries delivered, or entries handled.

use super::{
    Wait,
    arrivals::{Arrivals, Part},
};
use crate::model::TickTime;

/// Entries that arrived in the same interval are spread over so many steps.
const STEPS: u64 = 16;
/// How much of the average of earlier ticks is kept at each tick, in eighths.
const KEPT: u64 = 7;
/// A wait of more ticks is long.
const LONG: u64 = 2;

/// The curve at a tick.
#[derive(Debug, Clone, Copy)]
pub(super) struct At {
    pub(super) time: TickTime,
    /// Entries that have reached it.
    pub(super) number: u64,
    /// Entries that have arrived and not reached it; `None` if the number is unknown.
    pub(super) behind: Option<u64>,
    /// When the entry arrived that was delivered last.
    pub(super) last: u64,
}

/// The curve since its last restart.
#[derive(Debug, Clone, Default)]
pub(super) struct Curve {
    before: Option<At>,
    /// Whether entries waited at the last tick, and none had moved since the one before.
    was_still: bool,
    /// Entries times milliseconds of waiting, and entries, both decaying. By Little's law their ratio is the mean wait.
    waiting: u64,
    moved: u64,
}

impl Curve {
    /// Restarts at this point.
    pub(super) fn restart(&mut self, at: Option<At>) {
        *self = Self { before: at, ..Self::default() };
    }

    /// The number of entries at the last tick.
    pub(super) fn number(&self) -> Option<u64> {
        self.before.map(|before| before.number)
    }

    /// How long the entries waited that have reached the curve since the last tick.
    pub(super) fn step(&mut self, now: At, arrivals: &Arrivals) -> Vec<Wait> {
        let Some(before) = self.before.replace(now) else { return Vec::new() };
        let entries = now.number.saturating_sub(before.number);
        let passed = now.time.from.saturating_sub(before.time.from);
        let behind = before.behind.zip(now.behind).map_or(0, |(one, other)| one.saturating_add(other));
        self.waiting =
            (self.waiting / 8 * KEPT).saturating_add((behind.saturating_mul(passed) / 2).saturating_mul(8));
        self.moved = (self.moved / 8 * KEPT).saturating_add(entries.saturating_mul(8));
        let parts = arrivals.parts(before.number, now.number, now.time);
        let step = Step {
            before,
            now,
            is_one_batch: self.was_still && now.last > before.time.from,
            mean: self.waiting / self.moved.max(1),
        };
        self.was_still = entries == 0 && now.behind != Some(0);
        let mut waits = Vec::with_capacity(parts.len());
        let mut done = 0;
        for part in parts {
            step.add(part, done, entries, &mut waits);
            done += part.entries;
        }
        // The mean of entries that waited long says nothing about those that come after them.
        if waits.iter().any(|wait| wait.likely > LONG * passed) {
            (self.waiting, self.moved) = (0, 0);
        }
        waits
    }
}

/// From one tick to the next.
struct Step {
    before: At,
    now: At,
    /// Whether a consumer that reads more rarely than the ticks took all that waited, at once. It did when the last of them
    /// arrived, and acknowledged those that it had taken before.
    is_one_batch: bool,
    /// The mean wait of late.
    mean: u64,
}

impl Step {
    /// Adds the waits of a part of the entries. `done` of `all` are before it.
    fn add(&self, part: Part, done: u64, all: u64, waits: &mut Vec<Wait>) {
        let steps = part.entries.min(STEPS);
        let least = self.before.time.from.saturating_sub(part.to);
        let most = self.now.time.to.saturating_sub(part.from).max(least);
        for step in 0..steps {
            let (first, end) = (share(part.entries, step, steps), share(part.entries, step + 1, steps));
            let middle = first + (end - first) / 2;
            let arrived = part.from + share(part.to - part.from, part.earlier + middle, part.all);
            let likely = self.likely(arrived, done + middle, all).clamp(least, most);
            waits.push(Wait { entries: end - first, least, likely, most });
        }
    }

    /// About how long the entry at this place waited.
    fn likely(&self, arrived: u64, place: u64, all: u64) -> u64 {
        let (start, end) = (self.before.time.from, self.now.time.from);
        if self.before.behind == Some(0) {
            // It arrived and was delivered between two ticks. Waits from none to twice the mean, spread evenly.
            let spread = share(self.mean.saturating_mul(2), place % 1_000 * 618 % 1_000, 1_000);
            return spread.min(end.saturating_sub(arrived));
        }
        let moved = if self.is_one_batch && self.now.behind == Some(0) {
            start + (self.now.last - start) / 2
        } else if self.is_one_batch {
            self.now.last
        } else {
            // Entries waited all the time, so they moved evenly.
            start + share(end.saturating_sub(start), place, all)
        };
        moved.saturating_sub(arrived)
    }
}

/// This part of a number.
fn share(of: u64, part: u64, whole: u64) -> u64 {
    let share = u128::from(of) * u128::from(part) / u128::from(whole.max(1));
    u64::try_from(share).unwrap_or(u64::MAX)
}
