//! A group's pending entries: the head of their list, and a sample of the first ones.

use super::{Millis, StreamId};

/// The head of a group's list of pending entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pending {
    /// Nothing is pending.
    None,
    /// The oldest pending entry.
    Oldest(OldestPending),
    /// There may be pending entries, but they could not be read.
    Unknown,
}

impl Pending {
    /// The oldest pending entry, if it is known.
    #[must_use]
    pub const fn oldest(self) -> Option<OldestPending> {
        match self {
            Self::Oldest(oldest) => Some(oldest),
            Self::None | Self::Unknown => None,
        }
    }
}

/// The pending entry with the smallest ID.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OldestPending {
    /// The entry's ID. The entry itself may be deleted already.
    pub id: StreamId,
    /// Time since it was last delivered; `None` where the server's time is unknown, or where a consumer has
    /// released it (`XNACK`).
    pub idle: Option<Millis>,
    /// Number of deliveries, or a marker: see [`Self::counted_deliveries`].
    pub deliveries: u64,
}

impl OldestPending {
    /// Replaces the number of deliveries where a consumer reported that it can't process the entry (`XNACK ...
    /// FATAL`, Redis 8.8).
    const FATAL: u64 = i64::MAX.cast_unsigned();

    /// Whether it was delivered at least so often, and was not delivered for so long. One that was released was not delivered since.
    #[must_use]
    pub fn is_at_least(&self, deliveries: u64, idle: Millis) -> bool {
        self.deliveries >= deliveries && self.idle.is_none_or(|its_own| its_own >= idle)
    }

    /// Number of deliveries; `None` where the server no longer knows it.
    #[must_use]
    pub fn counted_deliveries(&self) -> Option<u64> {
        (self.deliveries < Self::FATAL).then_some(self.deliveries)
    }
}

/// Pending entries in a sample. Stuck entries gather at the head of the list, since others are acknowledged.
pub const PENDING_SAMPLE: u64 = 100;

/// Summary of a group's first pending entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PendingSample {
    /// Entries that were delivered too often and still exist.
    pub poison: u32,
    /// Entries that no longer exist.
    pub gone: u32,
    /// The first entry that still exists. `Some(None)`: none exists. `None`: the sample ended before one.
    pub alive: Option<Option<OldestPending>>,
}

impl PendingSample {
    /// Summarises these entries, where no entry before `gone_before` exists. An entry that was deleted from the
    /// middle counts as existing.
    #[must_use]
    pub fn of(entries: &[OldestPending], is_whole: bool, gone_before: StreamId, poison_from: u64) -> Self {
        let alive = entries.iter().filter(|entry| entry.id >= gone_before);
        let poison = alive.clone().filter(|entry| entry.deliveries >= poison_from).count();
        let gone = entries.len() - alive.clone().count();
        let first_alive = alive.copied().next();
        Self {
            poison: u32::try_from(poison).unwrap_or(u32::MAX),
            gone: u32::try_from(gone).unwrap_or(u32::MAX),
            alive: (first_alive.is_some() || is_whole).then_some(first_alive),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_counts_gone_and_poison_entries_and_has_the_first_alive() {
        let entry = |ms, deliveries| OldestPending { id: StreamId::new(ms, 0), idle: None, deliveries };
        let entries = [entry(1, 9), entry(2, 1), entry(3, 9), entry(4, 8), entry(5, 10)];
        let actual = |gone_before, is_whole| {
            let actual = PendingSample::of(&entries, is_whole, StreamId::new(gone_before, 0), 9);
            (actual.gone, actual.poison, actual.alive.map(|alive| alive.map(|alive| alive.id.ms)))
        };
        assert_eq!(actual(0, false), (0, 3, Some(Some(1))));
        assert_eq!(actual(3, false), (2, 2, Some(Some(3))));
        assert_eq!(actual(6, true), (5, 0, Some(None)));
        assert_eq!(actual(6, false), (5, 0, None), "one that was not read may be there");
    }
}
