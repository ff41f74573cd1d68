//! The cause of a group's status or a stream's health: the numbers behind its sentence.

use std::time::Duration;

use super::{GroupStatus, Lag};
use crate::model::{Failure, Millis, Name, Reason, StreamId};

/// Entries that a group has not finished.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backlog {
    /// Not yet delivered to it.
    pub lag: Lag,
    /// Delivered but not acknowledged, without those that are known to be gone from the stream.
    pub pending: u64,
}

/// Why a stream could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unread {
    /// The reason, from the closed set.
    pub reason: Reason,
    /// The command that the user may not run; `None` for any other reason, and where the server does not name it.
    pub refused: Option<String>,
}

impl From<&Failure> for Unread {
    fn from(failure: &Failure) -> Self {
        Self { reason: failure.reason, refused: failure.refused_command() }
    }
}

impl From<Reason> for Unread {
    fn from(reason: Reason) -> Self {
        Self { reason, refused: None }
    }
}

/// The cause of a group's status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GroupCause {
    /// The stream could not be read.
    Unread(Unread),
    /// The group is expected but has been missing for this long.
    NotThere {
        /// At least this long.
        since: Duration,
    },
    /// Entries wait, but the group has not been watched long enough for a verdict.
    TooEarly {
        /// The waiting entries.
        backlog: Backlog,
        /// How long the group has been watched.
        watched: Duration,
        /// How long it must be watched.
        window: Duration,
    },
    /// It is unknown whether any entries wait.
    LagUnknown {
        /// The entries that may wait.
        backlog: Backlog,
    },
    /// Entries were removed before they were delivered to it.
    Trimmed {
        /// Number of entries.
        entries: u64,
        /// Time since the last removal.
        ago: Duration,
    },
    /// The group was behind, and removed entries may not have been delivered to it.
    Suspected {
        /// Upper bound of the number of entries.
        entries: u64,
        /// Time since the last removal.
        ago: Duration,
    },
    /// Pending entries were dropped with a deleted consumer.
    Dropped {
        /// Upper bound of the number of entries.
        entries: u64,
        /// Time since the last of them.
        ago: Duration,
    },
    /// Its position went back.
    WentBack {
        /// The earlier position.
        from: StreamId,
        /// The later position.
        to: StreamId,
        /// Time since then.
        ago: Duration,
    },
    /// It has no consumer.
    NoConsumer {
        /// The waiting entries.
        backlog: Backlog,
    },
    /// All of its consumers are inactive.
    Silent {
        /// The waiting entries.
        backlog: Backlog,
        /// Number of consumers.
        consumers: u64,
        /// Time since any consumer last tried to read.
        silent: Duration,
    },
    /// Nothing was delivered or acknowledged.
    Still {
        /// The waiting entries.
        backlog: Backlog,
        /// Number of consumers.
        consumers: u64,
        /// Time since any consumer last tried to read.
        least_idle: Option<Millis>,
        /// Time without progress.
        still: Duration,
        /// A consumer that is close to the server's limit on pending entries, which may be the reason. Boxed, since
        /// that is rare.
        near: Option<Box<NearLimit>>,
    },
    /// A number exceeds its threshold.
    Over(Over),
    /// The backlog grows.
    Growing {
        /// The waiting entries.
        backlog: Backlog,
        /// Median backlog of the first third of the time.
        from: u32,
        /// Median backlog of the last third.
        to: u32,
        /// The whole time.
        within: Duration,
    },
    /// It was lagging until recently. That is reported until it has recovered for long enough.
    Recovering {
        /// The waiting entries.
        backlog: Backlog,
        /// Time since nothing says that it is lagging. That its entries are handled is not said: they may be gone.
        since: Duration,
        /// How long that must last.
        until: Duration,
    },
    /// No entries wait.
    Idle,
    /// Entries wait, and consumers make progress: a delivery or an acknowledgement was proven just now.
    Moving {
        /// The waiting entries.
        backlog: Backlog,
    },
    /// Entries wait, and it is not proven that consumers make progress now.
    Standing {
        /// The waiting entries.
        backlog: Backlog,
        /// Time since a delivery or an acknowledgement was last proven; `None` if none was within `watched`.
        last: Option<Duration>,
        /// How long the group has been watched, up to the window.
        watched: Duration,
    },
    /// Consumers hold pending entries and do nothing, while others may go on.
    Stuck {
        /// The one of them with the most entries, if it is among the listed ones. Boxed, since that is rare.
        worst: Option<Box<StuckConsumer>>,
        /// Number of such consumers.
        consumers: u64,
        /// They have done nothing for longer than this.
        after: Duration,
    },
    /// The group is one of `ignore_groups`, and has this status otherwise.
    Ignored(GroupStatus),
}

impl GroupCause {
    /// Whether stuck consumers explain it: their entries grow old, and others may follow.
    pub(super) const fn follows_from_stuck(&self) -> bool {
        matches!(
            self,
            Self::Over(Over::Pending(..) | Over::PendingAge(..) | Over::PendingAgeByDefault(_))
                | Self::Recovering { .. }
        )
    }
}

/// A consumer that holds pending entries and does nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StuckConsumer {
    /// The consumer.
    pub name: Name,
    /// Its pending entries.
    pub pending: u64,
    /// How long it has sent no request, or received nothing.
    pub silent: Duration,
}

/// A number that exceeds its threshold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Over {
    /// Undelivered entries, and the threshold.
    Lag(u64, u64),
    /// Age of the oldest undelivered entry, and the threshold.
    LagAge(Duration, Duration),
    /// Age of the oldest undelivered entry, beyond the default threshold. None is configured.
    LagAgeByDefault(Duration),
    /// Pending entries, and the threshold.
    Pending(u64, u64),
    /// Age of the oldest pending entry, and the threshold.
    PendingAge(Duration, Duration),
    /// Age of the oldest pending entry, beyond the default threshold. None is configured.
    PendingAgeByDefault(Duration),
    /// Entries that were delivered too many times.
    Poison {
        /// How many, among the oldest pending ones.
        entries: u64,
        /// Whether there may be more, since not all pending entries are looked at.
        is_lower_bound: bool,
        /// Each was delivered at least this many times.
        deliveries: u64,
    },
    /// Pending entries of a consumer.
    Limit(NearLimit),
}

/// A consumer whose pending entries are close to the server's limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NearLimit {
    /// Its pending entries.
    pub pending: u64,
    /// The limit.
    pub limit: u64,
}

impl NearLimit {
    /// `None` below four fifths of the limit.
    #[must_use]
    pub fn of(pending: Option<u64>, limit: Option<u64>) -> Option<Self> {
        let near = Self { pending: pending?, limit: limit? };
        (near.pending >= near.limit - near.limit / 5).then_some(near)
    }
}

/// A stream that was recreated, or rolled back, within the window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recreation {
    /// Entries of the last reading before it, which are gone; `None` where some of them may be there.
    pub gone: Option<u64>,
    /// Time since a reading first showed the stream after it.
    pub ago: Duration,
}

/// The cause of a stream's health.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StreamCause {
    /// No problem is known, but some groups are not watched.
    Unwatched {
        /// Number of groups that are not watched.
        groups: u64,
    },
    /// The stream and its groups have no problem.
    Fine {
        /// Number of groups.
        groups: usize,
    },
    /// This group has the worst status.
    Group {
        /// The group.
        name: Name,
        /// Number of other groups with an equally bad status.
        others: usize,
    },
    /// The stream does not exist, or the key has another type.
    Absent(Reason),
    /// It could not be read.
    Unreadable(Unread),
    /// It was recreated or rolled back.
    Recreated(Recreation),
    /// The stream exceeds its maximum length, although retention had time to trim it, or retention is blocked.
    TooLong {
        /// Its length.
        length: u64,
        /// Its limit.
        limit: u64,
        /// How long it has exceeded it, at least; zero if retention had no time yet, but is blocked.
        after: Duration,
    },
    /// Its oldest entry exceeds the maximum age, although retention had time to remove it, or retention is blocked.
    TooOld {
        /// Age of the entry.
        age: Duration,
        /// Its limit.
        limit: Duration,
        /// How long it has exceeded it, at least; zero as above.
        after: Duration,
    },
    /// No entries are added, although some are expected.
    Silent {
        /// Time since the last entry.
        silent: Duration,
        /// The configured threshold.
        threshold: Duration,
    },
    /// Its last ID is a time in the future of the server's clock. Ages are unknown until the clock has caught up.
    ClockBehind {
        /// The difference.
        behind: Duration,
    },
}
