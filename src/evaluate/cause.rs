//! Why a group or a stream fares as it does: the numbers behind its sentence.

use std::time::Duration;

use super::Lag;
use crate::model::{Millis, Name, Reason, StreamId};

/// Entries that a group has still to deal with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backlog {
    /// Not delivered to it.
    pub lag: Lag,
    /// Delivered, not acknowledged, and still in the stream as far as is known.
    pub pending: u64,
}

/// Why a group has its status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GroupCause {
    /// The stream could not be read.
    Unread(Reason),
    /// The group is expected, and has not been there for so long.
    NotThere {
        /// So long, as far as is known.
        since: Duration,
    },
    /// Something waits, and it has been watched for too short a time to tell.
    TooEarly {
        /// What waits.
        backlog: Backlog,
        /// How long it was watched.
        watched: Duration,
        /// How long it takes.
        window: Duration,
    },
    /// Whether anything waits is not known.
    LagUnknown {
        /// What may wait.
        backlog: Backlog,
    },
    /// Entries were removed before it had them.
    Trimmed {
        /// So many.
        entries: u64,
        /// The last of them so long ago.
        ago: Duration,
    },
    /// Entries were removed of which it is not known whether it had them, and it was behind.
    Suspected {
        /// So many at most.
        entries: u64,
        /// The last of them so long ago.
        ago: Duration,
    },
    /// Its position went back.
    WentBack {
        /// From here.
        from: StreamId,
        /// To here.
        to: StreamId,
        /// So long ago.
        ago: Duration,
    },
    /// It has no consumer.
    NoConsumer {
        /// What waits.
        backlog: Backlog,
    },
    /// All of its consumers are silent.
    Silent {
        /// What waits.
        backlog: Backlog,
        /// How many consumers there are.
        consumers: u64,
        /// Since the last of them asked.
        silent: Duration,
    },
    /// Nothing was delivered or acknowledged.
    Still {
        /// What waits.
        backlog: Backlog,
        /// How many consumers there are.
        consumers: u64,
        /// Since the last of them asked.
        least_idle: Option<Millis>,
        /// For how long nothing moved.
        still: Duration,
        /// A consumer that is near the most that the server lets it have, which may be why; in a box, since that is seldom.
        near: Option<Box<NearLimit>>,
    },
    /// A number is over its threshold.
    Over(Over),
    /// It grows.
    Growing {
        /// What waits.
        backlog: Backlog,
        /// It grew from so many.
        from: u32,
        /// To so many.
        to: u32,
        /// In so long.
        within: Duration,
    },
    /// It was lagging until a while ago, and that is still said.
    Recovering {
        /// What waits.
        backlog: Backlog,
        /// How long it has not been so any more.
        since: Duration,
        /// How long that must last.
        until: Duration,
    },
    /// Nothing waits.
    Idle,
    /// What waits moves.
    Moving {
        /// What waits.
        backlog: Backlog,
    },
}

/// A number over its threshold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Over {
    /// Entries not delivered, and their threshold.
    Lag(u64, u64),
    /// The age of the oldest of them, and its threshold.
    LagAge(Duration, Duration),
    /// The same, over the default: no threshold is set.
    LagAgeByDefault(Duration),
    /// Entries not acknowledged.
    Pending(u64, u64),
    /// The age of the oldest of them, and its threshold.
    PendingAge(Duration, Duration),
    /// The same, over the default: no threshold is set.
    PendingAgeByDefault(Duration),
    /// Entries that were delivered so often or oftener.
    Poison(u64, u64),
    /// The pending entries of a consumer.
    Limit(NearLimit),
}

/// A consumer's pending entries, near the most that the server lets one have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NearLimit {
    /// So many.
    pub pending: u64,
    /// The most.
    pub limit: u64,
}

impl NearLimit {
    /// From four fifths of the limit on.
    #[must_use]
    pub fn of(pending: Option<u64>, limit: Option<u64>) -> Option<Self> {
        let near = Self { pending: pending?, limit: limit? };
        (near.pending >= near.limit - near.limit / 5).then_some(near)
    }
}

/// Why a stream has its health.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StreamCause {
    /// Nothing is known to be wrong, but so many groups are not watched.
    Unwatched {
        /// Those groups.
        groups: u64,
    },
    /// Nothing is wrong with it, nor with its groups.
    Fine {
        /// How many groups there are.
        groups: usize,
    },
    /// Of its groups, this one fares worst.
    Group {
        /// The group.
        name: Name,
        /// How many others fare as badly.
        others: usize,
    },
    /// It is not there, or of another type.
    Absent(Reason),
    /// It could not be read.
    Unreadable(Reason),
    /// It is over its limit, although there was time to trim it.
    TooLong {
        /// Its length.
        length: u64,
        /// Its limit.
        limit: u64,
        /// How long it has been so, at least.
        after: Duration,
    },
    /// Its oldest entry is over its limit, although there was time to trim it.
    TooOld {
        /// The entry's age.
        age: Duration,
        /// Its limit.
        limit: Duration,
        /// How long it has been so, at least.
        after: Duration,
    },
    /// Nothing was added, although something is expected.
    Silent {
        /// For so long.
        silent: Duration,
        /// Where so long is expected at most.
        threshold: Duration,
    },
    /// Its last ID is a time that the server's clock has not reached: no age is known until it has.
    ClockBehind {
        /// By so much.
        behind: Duration,
    },
}
