//! How old an entry is, by its ID and the server's clock.

use crate::model::{Millis, ServerTime, StreamId};

/// 2001-09-09 as milliseconds since the Unix epoch: no Redis with streams ran before, so a smaller number in an ID
/// is the application's own.
const EARLIEST_MS: u64 = 1_000_000_000_000;
/// How far ahead of the server's clock an ID may be and still be a time: IDs outlive a failover to a node whose
/// clock is behind.
const CLOCK_SKEW_MS: u64 = 24 * 60 * 60 * 1_000;

/// The time since an entry was added; `None` where its ID is not a time.
///
/// An ID a little ahead of the clock is of age zero. `1-1`, counters, and IDs more than a day ahead are no times.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Age(pub Millis);

impl Age {
    /// Nothing waits.
    pub const ZERO: Self = Self(Millis::ZERO);

    /// The age of the entry with this ID.
    #[must_use]
    pub const fn of(id: StreamId, now: ServerTime) -> Option<Self> {
        if id.ms < EARLIEST_MS || id.ms > now.0.saturating_add(CLOCK_SKEW_MS) {
            return None;
        }
        Some(Self(now.since(id.ms)))
    }
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
        assert_eq!(Age::of(StreamId::new(NOW.0 + 5_000, 0), NOW), Some(Age(Millis::ZERO)));
    }

    #[test]
    fn an_id_that_is_not_a_time_has_no_age() {
        for id in [StreamId::new(1, 1), StreamId::new(0, 5), StreamId::new(u64::MAX, u64::MAX)] {
            assert_eq!(Age::of(id, NOW), None, "{id}");
        }
    }
}
