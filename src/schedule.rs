//! When the next attempt is due: for polls, searches for streams, runs of retention and its lease. Time and random
//! numbers are arguments, so a test can simulate years of outages.
//!
//! Regular attempts are at the ticks of a grid, one interval apart and at a random phase. Neither a failure nor an
//! attempt that takes longer than an interval moves the grid. After any sequence of events the next attempt is
//!
//! - not later than one interval after the last that was due, or the end of the running one and its back-off,
//!   whichever is later;
//! - not sooner than the back-off after a failure, which is never longer than the interval;
//! - never before the running one has ended;
//! - after a success independent of how many failures there were before.
//!
//! Only a wait that the caller asks for may be longer: the caller knows which failures persist.

use std::time::Duration;

use crate::{clock::Instant, model::Reason};

/// Maximum back-off after the first failure. The minimum of every back-off is half of it.
const FIRST_BACK_OFF: Duration = Duration::from_millis(100);
/// Maximum back-off. A recovered server must be read within 10 s, and connecting may take the rest of that.
const LONGEST_BACK_OFF: Duration = Duration::from_secs(5);

/// When the next of endlessly repeated attempts is due.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Schedule {
    /// The grid's ticks are at this time plus the phase, and every interval from there.
    origin: Instant,
    /// Share of an interval, from 0 to below 1.
    phase: f64,
    interval: Duration,
    /// Maximum of the next back-off.
    ceiling: Duration,
    /// End of the last attempt.
    ended: Instant,
    /// Minimum time from there to the next attempt; zero except after a failure.
    back_off: Duration,
    next: Next,
}

#[derive(Debug, Clone, PartialEq)]
enum Next {
    /// At the first tick after this time.
    TickAfter(Instant),
    /// At this time.
    At(Instant),
}

impl Schedule {
    /// The first attempt is at `first`, the second `phase` times the interval later. The phase is from 0 to below 1
    /// and should be random, so that sidecars that start together do not poll together.
    #[must_use]
    pub(crate) const fn new(first: Instant, interval: Duration, phase: f64) -> Self {
        Self {
            origin: first,
            phase,
            interval,
            ceiling: FIRST_BACK_OFF,
            ended: first,
            back_off: Duration::ZERO,
            next: Next::At(first),
        }
    }

    /// When the next attempt is due; in the past if it is late.
    #[must_use]
    pub(crate) fn due(&self) -> Instant {
        let due = match self.next {
            Next::TickAfter(moment) => self.tick_after(moment),
            Next::At(moment) => moment,
        };
        due.max(self.ended + self.back_off)
    }

    /// Records a success. The next attempt is at the first tick after this one began, or at its end if that is later.
    /// Other ticks that passed meanwhile are skipped.
    pub(crate) fn succeeded(&mut self, began: Instant, ended: Instant) {
        // An attempt that began early counts for the tick that it was due at.
        self.next = Next::TickAfter(began.max(self.due()));
        self.ended = ended;
        self.back_off = Duration::ZERO;
        self.ceiling = FIRST_BACK_OFF;
    }

    /// Records a failure. The next attempt is after a back-off, whose maximum doubles with each failure. `jitter` is
    /// the share of it to wait, from 0 to below 1. It should be random, so that sidecars do not return to a
    /// recovering server all at once.
    pub(crate) fn failed(&mut self, ended: Instant, jitter: f64) {
        self.back_off = self.ceiling.mul_f64(jitter).max(FIRST_BACK_OFF / 2).min(self.interval);
        self.ceiling = (self.ceiling * 2).min(LONGEST_BACK_OFF);
        self.ended = ended;
        self.next = Next::At(ended);
    }

    /// Records a failure for this reason. If the reason requires a wait, `jitter` makes it up to twice as long. Else
    /// the next attempt is after a back-off.
    pub(crate) fn failed_by(&mut self, reason: Reason, ended: Instant, jitter: f64) {
        match reason.least_wait() {
            Some(wait) => self.retry_in(ended, wait.mul_f64(1.0 + jitter)),
            None => self.failed(ended, jitter),
        }
    }

    /// Records the end of an attempt after which the caller asks for a wait, which may be longer than the interval.
    pub(crate) fn retry_in(&mut self, ended: Instant, wait: Duration) {
        self.ended = ended;
        self.back_off = Duration::ZERO;
        self.next = Next::At(ended + wait);
    }

    /// Changes the interval. A shorter one shortens a wait in progress.
    pub(crate) fn every(&mut self, interval: Duration) {
        if let Next::At(moment) = self.next
            && interval < self.interval
        {
            self.next = Next::At(moment.min(self.ended + interval));
        }
        self.back_off = self.back_off.min(interval);
        self.interval = interval;
    }

    /// Records that what is attempted has changed, and perhaps the interval. The next attempt is at once, or after
    /// the current back-off. A wait that the caller asked for is cancelled: it concerned the previous target.
    pub(crate) fn restart(&mut self, now: Instant, interval: Duration) {
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

/// Maximum pause after the first failed delivery, and after many.
const DELIVERY_BACK_OFFS: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// The pause before a failed delivery is repeated. It is longer than between polls, since a receiver that is down or overloaded
/// belongs to others, and what waits is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DeliveryBackOff(Duration);

impl Default for DeliveryBackOff {
    fn default() -> Self {
        Self(DELIVERY_BACK_OFFS.0)
    }
}

impl DeliveryBackOff {
    /// The pause after one more failure: from half of the maximum to the whole, as `jitter` says, from 0 to below 1. The maximum
    /// doubles with each failure.
    pub(crate) fn failed(&mut self, jitter: f64) -> Duration {
        let pause = self.0.mul_f64(f64::midpoint(1.0, jitter));
        self.0 = (self.0 * 2).min(DELIVERY_BACK_OFFS.1);
        pause
    }
}

#[cfg(test)]
#[path = "schedule_tests.rs"]
mod tests;
