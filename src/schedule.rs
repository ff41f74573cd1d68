//! When to try next: polls, searches for streams, runs of retention and its lease all go by it. It reads no clock and
//! draws no random numbers: both are arguments, so that years of outages can be lived through in a test.
//!
//! Regular attempts are at the ticks of a grid, one interval apart and at a random phase. Neither a failure nor an
//! attempt that takes longer than an interval moves the grid. After any sequence of events the next attempt is
//!
//! - not later than one interval after the last that was due, or the end of the running one and its back-off, whichever
//!   is later;
//! - not sooner than the back-off after a failure, which is never longer than the interval;
//! - never before the running one has ended;
//! - after a success the same, however many failures there were before.
//!
//! Only a wait that the caller asks for may be longer: it knows which failures do not pass by themselves.

use std::time::Duration;

use crate::{clock::Instant, model::Reason};

/// The longest back-off after the first failure. The shortest of all is half of it.
const FIRST_BACK_OFF: Duration = Duration::from_millis(100);
/// The longest back-off of all. A server that is back must be read within 10 s; connecting may take the rest.
const LONGEST_BACK_OFF: Duration = Duration::from_secs(5);

/// When an attempt is due that is repeated for ever.
#[derive(Debug, Clone, PartialEq)]
pub struct Schedule {
    /// The grid's ticks are at this moment plus the phase, and every interval from there.
    origin: Instant,
    /// The part of an interval, from 0 to below 1.
    phase: f64,
    interval: Duration,
    /// The most that the next back-off may be.
    ceiling: Duration,
    /// When the last attempt ended.
    ended: Instant,
    /// The least time from there to the next one; zero but after a failure.
    back_off: Duration,
    next: Next,
}

#[derive(Debug, Clone, PartialEq)]
enum Next {
    /// At the first tick after this moment.
    TickAfter(Instant),
    /// At this moment.
    At(Instant),
}

impl Schedule {
    /// The first attempt is at `first`, and the second a part of the interval later. That part, the `phase`, is from 0
    /// to below 1, and random, so that sidecars that start together do not go on together.
    #[must_use]
    pub const fn new(first: Instant, interval: Duration, phase: f64) -> Self {
        let (ceiling, back_off) = (FIRST_BACK_OFF, Duration::ZERO);
        Self { origin: first, phase, interval, ceiling, ended: first, back_off, next: Next::At(first) }
    }

    /// When the next attempt is due; in the past for one that is late.
    #[must_use]
    pub fn due(&self) -> Instant {
        let due = match self.next {
            Next::TickAfter(moment) => self.tick_after(moment),
            Next::At(moment) => moment,
        };
        due.max(self.ended + self.back_off)
    }

    /// An attempt succeeded: the next is at the first tick after it began, or at its end where that is later. Other
    /// ticks that passed meanwhile are skipped.
    pub fn succeeded(&mut self, began: Instant, ended: Instant) {
        // One that began early stands for the tick that it was due at.
        self.next = Next::TickAfter(began.max(self.due()));
        (self.ended, self.back_off, self.ceiling) = (ended, Duration::ZERO, FIRST_BACK_OFF);
    }

    /// An attempt failed: the next is after a back-off. Its longest doubles with each failure, and `jitter` is the part
    /// of it that is waited: from 0 to below 1, and random, so that many sidecars do not come back to a recovering
    /// server all at once.
    pub fn failed(&mut self, ended: Instant, jitter: f64) {
        self.back_off = self.ceiling.mul_f64(jitter).max(FIRST_BACK_OFF / 2).min(self.interval);
        self.ceiling = (self.ceiling * 2).min(LONGEST_BACK_OFF);
        (self.ended, self.next) = (ended, Next::At(ended));
    }

    /// An attempt failed for this reason: the next is after the wait that the reason asks for, which `jitter` makes up to
    /// twice as long, else after a back-off.
    pub fn failed_by(&mut self, reason: Reason, ended: Instant, jitter: f64) {
        match reason.least_wait() {
            Some(wait) => self.retry_in(ended, wait.mul_f64(1.0 + jitter)),
            None => self.failed(ended, jitter),
        }
    }

    /// An attempt ended and the next is after a wait that the caller asks for, which may be longer than the interval.
    pub fn retry_in(&mut self, ended: Instant, wait: Duration) {
        (self.ended, self.back_off) = (ended, Duration::ZERO);
        self.next = Next::At(ended + wait);
    }

    /// The interval is this from now on. A shorter one shortens a wait that goes on.
    pub fn every(&mut self, interval: Duration) {
        if let Next::At(moment) = self.next
            && interval < self.interval
        {
            self.next = Next::At(moment.min(self.ended + interval));
        }
        self.back_off = self.back_off.min(interval);
        self.interval = interval;
    }

    /// What is tried has changed, and perhaps its interval: the next attempt is at once, but for a back-off that goes
    /// on. A wait that the caller asked for is over: it was about what was tried before.
    pub fn restart(&mut self, now: Instant, interval: Duration) {
        self.every(interval);
        self.next = Next::At(now);
    }

    fn tick_after(&self, moment: Instant) -> Instant {
        let first = self.origin + self.interval.mul_f64(self.phase);
        let Some(since) = moment.checked_duration_since(first) else { return first };
        let since_tick = since.as_nanos().checked_rem(self.interval.as_nanos()).unwrap_or_default();
        moment + self.interval.saturating_sub(Duration::from_nanos_u128(since_tick))
    }
}

#[cfg(test)]
#[path = "schedule_tests.rs"]
mod tests;
