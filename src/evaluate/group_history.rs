//! What is kept of a group between polls.

use std::cmp::Ordering;

use super::{
    baseline::{Baseline, Basis},
    losses::Losses,
    stillness::Sampled,
};
use crate::model::{GroupState, ServerTime, StreamId};

/// A group as of earlier polls.
#[derive(Debug, Clone, Default)]
pub(super) struct GroupHistory {
    pub(super) delivered: StreamId,
    /// Redis's own count of entries read.
    pub(super) entries_read: Option<i64>,
    /// The first entry after that ID, if it was known.
    pub(super) first_after: Option<StreamId>,
    /// The oldest pending entry.
    pub(super) pending: Option<StreamId>,
    pub(super) basis: Basis,
    /// Entries that were removed before they were delivered to the group.
    pub(super) lost: Losses,
    /// Pending entries that were dropped with their consumers.
    pub(super) dropped: u64,
    /// Number of times that the group's position went back.
    pub(super) rewinds: u32,
    /// When the last of them was noticed; `None` also if the clock was unknown then.
    pub(super) rewound_at: Option<ServerTime>,
    /// The last sample of its pending entries, if it can be checked whether it still holds.
    pub(super) sampled: Option<Sampled>,
    /// The poll that last asked a question about it. The group that has waited longest is next.
    pub(super) asked_at: usize,
}

impl GroupHistory {
    /// The state from which losses are counted.
    pub(super) fn baseline(&self) -> Option<Baseline> {
        let Self { delivered, entries_read, first_after, .. } = *self;
        match &self.basis {
            Basis::Nothing => None,
            Basis::Last(lag) => Some(Baseline { delivered, lag: *lag, entries_read, first_after }),
            Basis::Earlier(baseline) => Some(**baseline),
        }
    }

    /// Whether the group has only moved forward since then, as far as is known. A group whose position was set in
    /// between, or that was recreated, usually has no count of entries read, or a different one.
    pub(super) fn moved_forward_to(&self, group: &GroupState) -> bool {
        let positions = self.delivered.cmp(&group.last_delivered_id);
        let counts = match (self.entries_read, group.entries_read) {
            (Some(then), Some(now)) => then.cmp(&now),
            (None, None) => positions,
            // Counting may start at some entry.
            (None, Some(_)) => Ordering::Less,
            (Some(_), None) => Ordering::Greater,
        };
        positions.is_le() && counts == positions
    }
}
