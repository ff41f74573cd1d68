//! What a reading means, stream by stream.

use nonmax::{NonMaxU32, NonMaxU64};

use super::{Age, Lag, Losses, StreamVerdict, Ticks};
use crate::model::{GroupState, Millis, NameMap, Pending};

/// The meaning of a snapshot: of each stream that could be read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Report {
    /// By the stream's name; a stream that could not be read is not here.
    pub streams: NameMap<StreamReport>,
    /// The judgement, by the name of each stream that was asked for.
    pub verdicts: NameMap<StreamVerdict>,
    /// When the samples of the verdicts' series were taken.
    pub ticks: Ticks,
}

/// The meaning of a stream's state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamReport {
    /// Age of the oldest entry; `None` in an empty stream, and where the ID is not a time.
    pub oldest_entry_age: Option<Age>,
    /// Since the stream last gave out an ID.
    pub last_write_age: Option<Age>,
    /// How far that ID is ahead of the server's clock, where it is a time that is not over: then there are no ages.
    pub clock_behind: Option<Millis>,
    /// How often the stream was seen to be another one under the same name, or to have gone back.
    pub recreations: u64,
    /// By the group's name.
    pub groups: NameMap<GroupReport>,
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
