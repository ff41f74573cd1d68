//! The counters of a stream, and whether two readings of them can be of the same stream.

use std::cmp::Ordering;

use super::age::{Age, POLL_SLACK_MS, is_of_another_clock};
use crate::model::{GroupState, Name, ServerTime, StreamId, StreamState};

/// A stream's counters. They never decrease while the stream exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Counters {
    length: u64,
    added: Option<u64>,
    removed: Option<u64>,
    last_id: Option<StreamId>,
    first_id: Option<StreamId>,
    deleted_id: Option<StreamId>,
    time: Option<ServerTime>,
}

/// Compares two numbers, if both were read.
fn order<T: Ord>(then: Option<T>, now: Option<T>) -> Option<Ordering> {
    Some(then?.cmp(&now?))
}

impl Counters {
    pub(super) fn of(stream: &StreamState, time: Option<ServerTime>) -> Self {
        Self {
            time,
            length: stream.length,
            added: stream.entries_added,
            removed: stream.entries_removed(),
            last_id: stream.last_generated_id,
            first_id: stream.first_entry_id,
            deleted_id: stream.max_deleted_entry_id,
        }
    }

    /// Whether the reading has the stream's first and last ID. Streams with large entries or many consumers are
    /// usually read with less data.
    pub(super) const fn are_whole(&self) -> bool {
        self.last_id.is_some() && (self.first_id.is_some() || self.length == 0)
    }

    /// Whether the stream with the counters `self` can later have the counters `now`. If the stream was deleted and
    /// recreated, or was read from a replica that was behind, that is usually impossible. A value that was not read
    /// contradicts nothing.
    pub(super) fn can_become(&self, now: &Self) -> bool {
        let firsts = order(self.first_id, now.first_id);
        let added = order(self.added, now.added);
        let removed = order(self.removed, now.removed);
        let last_ids = order(self.last_id, now.last_id);
        let deleted = order(self.deleted_id, now.deleted_id);
        let went_back = [added, removed, last_ids, firsts, deleted].contains(&Some(Ordering::Greater));
        let adds_without_ids = added.zip(last_ids).is_some_and(|(added, ids)| added != ids);
        let goes_without_removal = firsts == Some(Ordering::Less) && removed == Some(Ordering::Equal);
        // Only new entries come after the last ID.
        let was_empty = self.length == 0 && order(self.last_id, now.first_id).is_some_and(Ordering::is_ge);
        !(went_back || adds_without_ids || goes_without_removal || was_empty)
    }

    /// The number of entries, none of which is left at `now`; `None` where some may be.
    pub(super) fn entries_gone(&self, now: &Self) -> Option<u64> {
        let are_all_later = order(self.last_id, now.first_id) == Some(Ordering::Less);
        (self.length == 0 || now.length == 0 || are_all_later).then_some(self.length)
    }

    /// The number of entries, none of which is left once the stream is.
    pub(super) const fn length(&self) -> u64 {
        self.length
    }

    /// Whether nothing was removed in between, as far as the server counts removals.
    pub(super) fn has_as_many_removed(&self, now: &Self) -> bool {
        order(self.removed, now.removed) == Some(Ordering::Equal)
    }

    /// Whether something of the last reading still exists, so that this is certainly the same stream. A stream that
    /// was deleted and recreated, or replaced by renaming another one, has only later IDs. `position_then` is the
    /// earlier position of a group.
    pub(super) fn lives_on_in(
        &self,
        stream: &StreamState,
        position_then: impl Fn(&Name) -> Option<StreamId>,
    ) -> bool {
        let Some(last) = self.last_id else { return false };
        let is_of_then = |id: StreamId| id != StreamId::ZERO && id <= last;
        let is_older = |name: &Name, group: &GroupState| {
            let position = group.last_delivered_id;
            is_of_then(position) && position_then(name).is_some_and(|then| then <= position)
        };
        (last != StreamId::ZERO && stream.last_generated_id == Some(last))
            || stream.first_entry_id.is_some_and(is_of_then)
            || stream.max_deleted_entry_id.is_some_and(is_of_then)
            || stream.groups.iter().any(|(name, group)| {
                is_older(name, group) || group.oldest_pending.oldest().is_some_and(|head| is_of_then(head.id))
            })
    }

    /// Whether the first and the last ID, if any, are times in the past, or times of another clock.
    pub(super) fn has_ids_of_the_server(&self) -> bool {
        let is_over = |id: StreamId| {
            id == StreamId::ZERO
                || self.time.is_some_and(|now| Age::of(id, now).is_some() || is_of_another_clock(id, now))
        };
        self.last_id.is_some_and(is_over) && self.first_id.is_none_or(is_over)
    }

    /// Whether entries were added since with IDs that were in the past then. A server never makes such IDs.
    pub(super) fn was_added_to_with_old_ids(&self, now: &Self) -> bool {
        let newest = now.last_id.filter(|id| self.last_id.is_some_and(|last| *id > last));
        newest.zip(self.time).is_some_and(|(newest, then)| newest.ms.saturating_add(POLL_SLACK_MS) < then.0)
    }
}

#[cfg(test)]
#[path = "counters_tests.rs"]
mod tests;
