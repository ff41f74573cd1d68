//! The meaning of a reading and its verdicts: a value per stream, with a value per group.

use std::time::Duration;

use nonmax::{NonMaxU32, NonMaxU64};

use super::{
    Age, GroupStatus, Health, Lag, Losses, Rate, Ticks,
    cause::{GroupCause, Recreation, StreamCause},
    series::Series,
};
use crate::model::{Failure, GroupState, Millis, Name, NameMap, Pending, ServerTime, Text};

/// The meaning of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Report {
    /// By name, for each stream that the poll covered.
    pub streams: NameMap<StreamVerdict>,
    /// The times of the series' samples.
    pub ticks: Ticks,
    /// The memory of each server, in the order of the snapshot.
    pub nodes: Vec<NodeMemory>,
}

/// The verdict on a stream, whether it could be read or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamVerdict {
    /// The worst of its own health and that of its groups.
    pub health: Health,
    /// The cause.
    pub cause: StreamCause,
    /// The meaning of its state; `None` if it could not be read.
    pub read: Option<StreamReport>,
    /// The limit that it exceeds now, if it is enforced: the cause of its health once retention is known to be blocked. Boxed, since
    /// that is rare.
    pub over_limit: Option<Box<StreamCause>>,
    /// Its last recreation within the window.
    pub recreated: Option<Recreation>,
    /// Rate of entries added; `None` if the server does not count them, and before there are two readings.
    pub rate_in: Option<Rate>,
    /// Its length at each tick.
    pub lengths: Series,
    /// Entries added between ticks; the first value is unknown.
    pub added: Series,
    /// Its memory; `None` if it could not be read, or if too little is known. Boxed, since it is large.
    pub memory: Option<Box<StreamMemory>>,
    /// Existing and expected groups, by name.
    pub groups: NameMap<GroupVerdict>,
}

/// The memory of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamMemory {
    /// Its size in bytes.
    pub bytes: u64,
    /// Whether the size is estimated, and not Redis's own count.
    pub is_estimate: bool,
    /// By how many bytes it grows in a day; `None` until it has been watched for long enough.
    pub growth_a_day: Option<i64>,
    /// When the greatest size of a stream on this server is reached at that rate; `None` without such a limit, and if it does not grow.
    pub size_limit_after: Option<Duration>,
    /// When `maxmemory` of its server is reached at the server's rate; `None` also if the stream itself does not grow.
    pub maxmemory_after: Option<Duration>,
}

/// The memory of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeMemory {
    /// The address of a node of a cluster; empty for another server.
    pub node: Text,
    /// By how many bytes its memory grows in a day; `None` until it has been watched for long enough.
    pub growth_a_day: Option<i64>,
    /// When `maxmemory` is reached at that rate; `None` without a limit, and if memory does not grow.
    pub maxmemory_after: Option<Duration>,
}

/// The meaning of a stream's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StreamReport {
    /// Age of the oldest entry; `None` for an empty stream, and if the ID is not a time.
    pub oldest_entry_age: Option<Age>,
    /// Time since the last entry was added.
    pub last_write_age: Option<Age>,
    /// How far the last ID is ahead of the server's clock, if it is a time in the future; ages are unknown then.
    pub clock_behind: Option<Millis>,
    /// Number of times that the stream was noticed to be another one under the same name, or to have been rolled
    /// back.
    pub recreations: u64,
    /// When the last of these was noticed, by the server's clock; `None` also if that clock was unknown then.
    pub recreated_at: Option<ServerTime>,
    /// Entries of the last reading before it, which are gone; `None` where some of them may be there.
    pub entries_gone: Option<u64>,
}

/// The verdict on a group that exists or is expected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupVerdict {
    /// The status.
    pub status: GroupStatus,
    /// The cause.
    pub cause: GroupCause,
    /// The meaning of its state; `None` if it does not exist, or its stream could not be read.
    pub read: Option<GroupReport>,
    /// Rate of entries delivered to it; `None` if its lag is unknown, and before there are two readings.
    pub rate_out: Option<Rate>,
    /// Its lag at each tick, where it was known.
    pub lags: Series,
}

/// The meaning of a group's state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupReport {
    /// Entries not yet delivered to the group.
    pub lag: Lag,
    /// Age of the oldest of them; zero if nothing waits.
    pub lag_age: Option<Age>,
    /// The pending entry that replaces the head of the list, if the head is gone from the stream. Boxed, since that
    /// is rare.
    pub first_alive: Option<Box<Pending>>,
    /// Age of the [oldest pending entry](Self::oldest_pending); zero if nothing is pending.
    pub oldest_pending_age: Option<Age>,
    /// Pending entries in the sample that are no longer in the stream.
    pub dangling: Option<NonMaxU64>,
    /// Pending entries in the sample that were delivered too often.
    pub poison: Option<NonMaxU32>,
    /// Entries that were removed before they were delivered to the group, since the sidecar started to watch it.
    pub lost: Option<Losses>,
    /// Upper bound of the pending entries that were dropped with an idle consumer; `None` if this poll and the last
    /// can't be compared.
    pub dropped: Option<NonMaxU64>,
    /// Number of times that the group's position went back.
    pub rewinds: u32,
    /// When the last of these was noticed, by the server's clock; `None` also if that clock was unknown then.
    pub rewound_at: Option<ServerTime>,
}

impl GroupReport {
    /// The oldest entry that was delivered but not acknowledged and is still in the stream. `group` is its state in
    /// the snapshot.
    #[must_use]
    pub fn oldest_pending(&self, group: &GroupState) -> Pending {
        self.first_alive.as_deref().copied().unwrap_or(group.oldest_pending)
    }
}

impl StreamVerdict {
    /// The meaning of a group's state; `None` if it was not read.
    #[must_use]
    pub fn group(&self, name: &Name) -> Option<&GroupReport> {
        self.groups.get(name)?.read.as_ref()
    }
}

impl GroupVerdict {
    /// Reports no problem of a group that retention ignores: what it misses is removed although it needs it. What is unknown stays so.
    pub(super) fn ignore(&mut self) {
        if !matches!(self.status, GroupStatus::Ok | GroupStatus::Unknown) {
            let status = std::mem::replace(&mut self.status, GroupStatus::Ok);
            self.cause = GroupCause::Ignored(status);
        }
    }

    /// The verdict on a group whose stream could not be read.
    pub(super) fn unread(failure: &Failure) -> Self {
        Self {
            status: GroupStatus::Unknown,
            cause: GroupCause::Unread(failure.into()),
            read: None,
            rate_out: None,
            lags: Series::default(),
        }
    }
}
