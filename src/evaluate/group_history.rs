//! What is kept of a group from one poll to the next.

use std::cmp::Ordering;

use super::{
    baseline::{Baseline, Basis},
    losses::Losses,
    stillness::Sampled,
};
use crate::model::{GroupState, StreamId};

/// What earlier polls know of a group.
#[derive(Debug, Clone, Default)]
pub(super) struct GroupHistory {
    pub(super) delivered: StreamId,
    /// Redis's own count of entries read.
    pub(super) entries_read: Option<i64>,
    /// The first entry behind that ID, if it was known.
    pub(super) first_after: Option<StreamId>,
    /// The oldest pending entry.
    pub(super) pending: Option<StreamId>,
    pub(super) basis: Basis,
    /// Entries that were removed before the group had them.
    pub(super) lost: Losses,
    /// Pending entries that vanished with their consumers.
    pub(super) dropped: u64,
    /// How often the group's position went back.
    pub(super) rewinds: u32,
    /// What the last sample of its pending entries told, if it can be known whether it still holds.
    pub(super) sampled: Option<Sampled>,
    /// The poll in which something was last asked about it: the group that waits longest is next.
    pub(super) asked_at: usize,
}

impl GroupHistory {
    /// What losses are counted from.
    pub(super) fn baseline(&self) -> Option<Baseline> {
        let Self { delivered, entries_read, first_after, .. } = *self;
        match &self.basis {
            Basis::Nothing => None,
            Basis::Last(lag) => Some(Baseline { delivered, lag: *lag, entries_read, first_after }),
            Basis::Earlier(baseline) => Some(**baseline),
        }
    }

    /// Whether, by all that is known, the group has gone forward to where it is. One that was set elsewhere in between, or
    /// created again, mostly has no count of entries read, or another one.
    pub(super) fn went_on_to(&self, group: &GroupState) -> bool {
        let positions = self.delivered.cmp(&group.last_delivered_id);
        let counts = match (self.entries_read, group.entries_read) {
            (Some(then), Some(now)) => then.cmp(&now),
            (None, None) => positions,
            // It may be counted from some entry on.
            (None, Some(_)) => Ordering::Less,
            (Some(_), None) => Ordering::Greater,
        };
        positions.is_le() && counts == positions
    }
}
