//! What the judgement of a reading says of each stream and group, beside what can be read off a single one.

use std::time::Duration;

use super::{
    GroupStatus, Health,
    series::Series,
    why::{GroupWhy, StreamWhy},
};
use crate::model::{NameMap, Reason};

/// Of a stream, whether it could be read or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamVerdict {
    /// The worst of its groups' and its own.
    pub health: Health,
    /// Why.
    pub why: StreamWhy,
    /// Entries added; `None` where the server does not count them, and before there are two readings.
    pub rate_in: Option<Rate>,
    /// Its length at the ticks.
    pub lengths: Series,
    /// Entries added between the ticks; the first is not known.
    pub added: Series,
    /// By their names: the groups that are there, and those that are expected.
    pub groups: NameMap<GroupVerdict>,
}

/// Of a group that is there, or expected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupVerdict {
    /// How it fares.
    pub status: GroupStatus,
    /// Why.
    pub why: GroupWhy,
    /// Entries delivered to it; `None` where its lag is not known, and before there are two readings.
    pub rate_out: Option<Rate>,
    /// Its lag at the ticks, where it was known.
    pub lags: Series,
}

/// Entries over a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// The entries.
    pub entries: u64,
    /// The time, which is not zero.
    pub over: Duration,
}

impl Rate {
    /// Entries a second.
    #[must_use]
    pub fn per_second(self) -> f64 {
        // Entries of one window: nowhere near where a float gets coarse.
        let entries = u32::try_from(self.entries).unwrap_or(u32::MAX);
        f64::from(entries) / self.over.as_secs_f64().max(f64::MIN_POSITIVE)
    }
}

impl GroupVerdict {
    /// Of a group whose stream could not be read.
    pub(super) fn unread(reason: Reason) -> Self {
        Self {
            status: GroupStatus::Unknown,
            why: GroupWhy::Unread(reason),
            rate_out: None,
            lags: Series::default(),
        }
    }
}
