//! What the sampler reads at a tick: where each group of a stream is.

use super::{Name, Origin, StreamId};

/// The time of a tick on the server's clock, in milliseconds since the Unix epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TickTime {
    /// The reply to `TIME`. The groups were read at this time or later.
    pub from: u64,
    /// The groups were read at this time or earlier: that reply, and as long as all replies took to arrive.
    pub to: u64,
}

/// A group in the reply to `XINFO GROUPS`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GroupPosition {
    /// The ID that was last delivered to it.
    pub last_delivered_id: StreamId,
    /// Entries that were delivered to it; `None` if Redis does not know the number, and before Redis 7.0.
    pub entries_read: Option<u64>,
    /// Entries not yet delivered, by Redis's own count. Redis before 8.0 and Valkey count entries that were trimmed too.
    pub lag: Option<u64>,
    /// Entries delivered and not acknowledged.
    pub pending: u64,
    /// Its consumers.
    pub consumers: u64,
}

/// What a tick asks of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TickQuestion {
    /// Its name. Where its groups are is asked in any case.
    pub stream: Name,
    /// Single entries of groups: whether they are pending.
    pub entries: Vec<(Name, StreamId)>,
}

/// The groups of a stream at a tick.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupsAt {
    /// Which server answers.
    pub origin: Origin,
    /// When.
    pub time: TickTime,
    /// Where the groups are.
    pub groups: Vec<(Name, GroupPosition)>,
    /// Whether the entries that were asked for are pending. Without those that could not be read.
    pub pending: Vec<(Name, StreamId, bool)>,
}
