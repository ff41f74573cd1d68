//! The age of an entry, by its ID and the server's clock.

use std::fmt;

use crate::model::{Millis, ServerTime, StreamId};

/// 2001-09-09 in milliseconds since the Unix epoch. Redis had no streams then, so a smaller number in an ID was
/// chosen by the application.
const EARLIEST_MS: u64 = 1_000_000_000_000;
/// How far a server's own ID may seem to be ahead of its clock: a poll reads the time first, and then takes a while.
pub(super) const POLL_SLACK_MS: u64 = 5_000;
/// An ID up to this far ahead may be of a server: IDs survive a failover to a node whose clock is behind.
const CLOCK_SKEW: Millis = Millis::new(24 * 60 * 60 * 1_000);
/// November 2286, the end of the times of 13 digits. Up to here an ID that is ahead is a time: of another clock, since IDs survive a
/// failover to a node whose clock is behind, or of a producer that makes IDs of its own. Greater numbers are of other units:
/// microseconds, snowflakes.
const LATEST_MS: u64 = 9_999_999_999_999;

/// Time since an entry was added; `None` if its ID is not a time, or is in the future.
///
/// An ID that may have been made during the poll has age zero. `1-1`, counters, and IDs in microseconds are not
/// times.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Age(pub Millis);

impl Age {
    /// No time: nothing waits.
    pub const ZERO: Self = Self(Millis::ZERO);

    /// The age of the entry with this ID.
    #[must_use]
    pub const fn of(id: StreamId, now: ServerTime) -> Option<Self> {
        if id.ms < EARLIEST_MS || id.ms > now.0.saturating_add(POLL_SLACK_MS) {
            return None;
        }
        Some(Self(now.since(id.ms)))
    }
}

/// Why the ID of an entry gives no age although the server's clock is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoAge {
    /// The ID is not a time.
    NotATime,
    /// The ID is a time that the server's clock has not reached yet.
    Ahead,
}

impl NoAge {
    /// The reason for this ID, which has no [`Age`]; `web/values.js` decides the same.
    #[must_use]
    pub const fn of(id: StreamId) -> Self {
        if id.ms < EARLIEST_MS || id.ms > LATEST_MS { Self::NotATime } else { Self::Ahead }
    }
}

impl fmt::Display for NoAge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotATime => "the ID is not a time",
            Self::Ahead => "the ID is ahead of the server's clock",
        })
    }
}

/// How far the server's clock is behind an ID that is a time; `None` unless it is so far behind that the age is
/// unknown.
#[must_use]
pub fn clock_behind(id: StreamId, now: ServerTime) -> Option<Millis> {
    let ahead = id.ms.saturating_sub(now.0);
    (ahead > POLL_SLACK_MS && id.ms <= LATEST_MS).then_some(Millis::new(ahead))
}

/// Whether a server whose clock was ahead may have made this ID.
pub(super) fn is_of_another_clock(id: StreamId, now: ServerTime) -> bool {
    clock_behind(id, now).is_some_and(|behind| behind <= CLOCK_SKEW)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: ServerTime = ServerTime(1_800_000_000_000);

    #[test]
    fn an_automatic_id_has_the_age_of_its_entry() {
        assert_eq!(Age::of(StreamId::new(NOW.0 - 1_500, 7), NOW), Some(Age(Millis::new(1_500))));
    }

    #[test]
    fn an_id_just_ahead_of_the_clock_is_new() {
        let id = StreamId::new(NOW.0 + 5_000, 0);
        assert_eq!((Age::of(id, NOW), clock_behind(id, NOW)), (Some(Age(Millis::ZERO)), None));
    }

    #[test]
    fn an_id_of_a_clock_that_is_ahead_has_no_age_but_a_difference() {
        let (hour, latest) = (3_600_000, LATEST_MS - NOW.0);
        for (by, actual) in
            [(5_001, Some(5_001)), (hour, Some(hour)), (latest, Some(latest)), (latest + 1, None)]
        {
            let id = StreamId::new(NOW.0 + by, 0);
            assert_eq!((Age::of(id, NOW), clock_behind(id, NOW)), (None, actual.map(Millis::new)), "{by}");
        }
    }

    #[test]
    fn an_id_without_an_age_has_one_reason() {
        for (ms, reason) in [
            (1, NoAge::NotATime),
            (EARLIEST_MS - 1, NoAge::NotATime),
            (NOW.0 + POLL_SLACK_MS + 1, NoAge::Ahead),
            (LATEST_MS, NoAge::Ahead),
            (LATEST_MS + 1, NoAge::NotATime),
        ] {
            let id = StreamId::new(ms, 0);
            assert_eq!((Age::of(id, NOW), NoAge::of(id)), (None, reason), "{ms}");
            assert_eq!(clock_behind(id, NOW).is_some(), reason == NoAge::Ahead, "{ms}");
        }
    }

    #[test]
    fn an_id_is_of_another_server_only_up_to_a_day_ahead() {
        let day = 86_400_000;
        let is_so = |by| is_of_another_clock(StreamId::new(NOW.0 + by, 0), NOW);
        assert_eq!([0, 5_001, day, day + 1].map(is_so), [false, true, true, false]);
    }

    #[test]
    fn an_id_that_is_not_a_time_has_no_age() {
        for id in [StreamId::new(1, 1), StreamId::new(0, 5), StreamId::new(u64::MAX, u64::MAX)] {
            assert_eq!(Age::of(id, NOW), None, "{id}");
        }
    }
}
