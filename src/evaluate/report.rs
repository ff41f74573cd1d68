//! What a reading means and how it is judged: a value a stream, with a value a group.

use nonmax::{NonMaxU32, NonMaxU64};

use super::{
    Age, GroupStatus, Health, Lag, Losses, Rate, Ticks,
    cause::{GroupCause, StreamCause},
    series::Series,
};
use crate::model::{GroupState, Millis, Name, NameMap, Pending, Reason};

/// The meaning of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Report {
    /// By the name of each stream that was asked for.
    pub streams: NameMap<StreamVerdict>,
    /// When the samples of the series were taken.
    pub ticks: Ticks,
}

/// Of a stream, whether it could be read or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamVerdict {
    /// The worst of its groups' and its own.
    pub health: Health,
    /// Why.
    pub cause: StreamCause,
    /// What its state means; `None` where it could not be read.
    pub read: Option<StreamReport>,
    /// Entries added; `None` where the server does not count them, and before there are two readings.
    pub rate_in: Option<Rate>,
    /// Its length at the ticks.
    pub lengths: Series,
    /// Entries added between the ticks; the first is not known.
    pub added: Series,
    /// By their names: the groups that are there, and those that are expected.
    pub groups: NameMap<GroupVerdict>,
}

/// The meaning of a stream's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StreamReport {
    /// Age of the oldest entry; `None` in an empty stream, and where the ID is not a time.
    pub oldest_entry_age: Option<Age>,
    /// Since the stream last gave out an ID.
    pub last_write_age: Option<Age>,
    /// How far that ID is ahead of the server's clock, where it is a time that is not over: then there are no ages.
    pub clock_behind: Option<Millis>,
    /// How often the stream was seen to be another one under the same name, or to have gone back.
    pub recreations: u64,
}

/// Of a group that is there, or expected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupVerdict {
    /// How it fares.
    pub status: GroupStatus,
    /// Why.
    pub cause: GroupCause,
    /// What its state means; `None` where it is not there, or its stream could not be read.
    pub read: Option<GroupReport>,
    /// Entries delivered to it; `None` where its lag is not known, and before there are two readings.
    pub rate_out: Option<Rate>,
    /// Its lag at the ticks, where it was known.
    pub lags: Series,
}

/// The meaning of a group's state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupReport {
    /// Entries not delivered to the group.
    pub lag: Lag,
    /// Age of the oldest of them; zero where there is none.
    pub lag_age: Option<Age>,
    /// What stands in place of the pending list's head, where that is gone from the stream; in a box, since mostly it is there.
    pub first_alive: Option<Box<Pending>>,
    /// The age of the [oldest pending entry](Self::oldest_pending); zero where there is none.
    pub oldest_pending_age: Option<Age>,
    /// Pending entries that are not in the stream any more, of those sampled.
    pub dangling: Option<NonMaxU64>,
    /// Pending entries that were delivered too often, of those sampled.
    pub poison: Option<NonMaxU32>,
    /// Entries that were removed before the group was given them, since the sidecar watches it.
    pub lost: Option<Losses>,
    /// Pending entries that vanished with a consumer that had done nothing for an interval, at most; `None` where this poll and the
    /// last can't be compared.
    pub dropped: Option<NonMaxU64>,
    /// How often the group's position went back.
    pub rewinds: u32,
}

impl GroupReport {
    /// The oldest entry that was delivered and not acknowledged and is still in the stream. `group` is what was read.
    #[must_use]
    pub fn oldest_pending(&self, group: &GroupState) -> Pending {
        self.first_alive.as_deref().copied().unwrap_or(group.oldest_pending)
    }
}

impl StreamVerdict {
    /// What a group's state means; `None` where it was not read.
    #[must_use]
    pub fn group(&self, name: &Name) -> Option<&GroupReport> {
        self.groups.get(name)?.read.as_ref()
    }
}

impl GroupVerdict {
    /// Of a group whose stream could not be read.
    pub(super) fn unread(reason: Reason) -> Self {
        Self {
            status: GroupStatus::Unknown,
            cause: GroupCause::Unread(reason),
            read: None,
            rate_out: None,
            lags: Series::default(),
        }
    }
}
