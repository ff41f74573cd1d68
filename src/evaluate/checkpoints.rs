//! The number of entries after certain IDs of a stream, without counting them.
//!
//! At each poll no entry follows the last ID of the stream, and the server reports how many entries were ever added.
//! At any later poll the entries after that ID are those added since, if none of them was removed. Only IDs that some
//! group has not passed yet are kept. This proves a lag of millions without a command, where the server's own number
//! is unreliable.

use crate::model::{GroupState, StreamId, StreamState};

/// Maximum number of checkpoints per stream. Beyond it, those closest to their neighbours are dropped.
const MOST: usize = 64;

/// An ID with a known number of entries after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Checkpoint {
    pub(super) id: StreamId,
    /// The number of entries after the ID is the number ever added, minus this.
    base: u64,
    /// The number of entries ever removed when the checkpoint was last known to hold.
    removed: u64,
    /// Whether since then some group has needed every entry after it: a trim removes no such entry from the middle.
    is_held: bool,
    /// Whether an entry after it may have been removed. From then on the number is only an upper bound.
    is_bound: bool,
}

impl Checkpoint {
    /// A checkpoint with this many entries after it, as of this reading.
    fn new(id: StreamId, behind: u64, stream: &StreamState) -> Option<Self> {
        let base = stream.entries_added?.checked_sub(behind)?;
        let removed = stream.entries_removed()?;
        Some(Self { id, base, removed, is_held: true, is_bound: false })
    }

    /// The number of entries after the ID, if the checkpoint holds in this reading; otherwise an upper bound.
    pub(super) fn entries_behind(&self, stream: &StreamState) -> Option<u64> {
        stream.entries_added?.checked_sub(self.base)
    }

    /// The number of entries ever added after the ID that no longer exist, given an upper bound of those that exist.
    pub(super) fn entries_missing(&self, stream: &StreamState, there: u64) -> Option<u64> {
        Some(self.entries_behind(stream)?.saturating_sub(there))
    }

    /// Applies a reading's information about removals; `held_from` as in [`Checkpoints::check`].
    ///
    /// The question is whether entries after the checkpoint were removed. A trim removes from the front, so it did not
    /// reach them while the first entry is at or before the checkpoint's ID. There are two exceptions. A trim of
    /// acknowledged entries (`ACKED`) leaves older entries that are still needed, and `XINFO` does not show that it ran.
    /// And `XDEL` removes anywhere, but the server reports the greatest ID that it removed. If that ID is after the
    /// checkpoint, the checkpoint holds only if the number of removed entries has not changed.
    fn check(&mut self, stream: &StreamState, held_from: Option<StreamId>) {
        self.is_held &= held_from.is_some_and(|held| held <= self.id);
        // A value that was not read proves nothing, neither now nor about the time since the last reading that had
        // it.
        let Some(removed) = stream.entries_removed() else { return };
        if stream.first_entry_id.is_none() && stream.length > 0 {
            return;
        }
        let is_untouched = removed == self.removed;
        let none_deleted_behind = stream.max_deleted_entry_id.is_some_and(|deleted| deleted <= self.id);
        let is_trimmed_past = stream.first_entry_id.is_none_or(|first| first > self.id);
        self.is_bound |= is_trimmed_past || !(is_untouched || (none_deleted_behind && self.is_held));
        if !self.is_bound {
            self.removed = removed;
            self.is_held = true;
        }
    }

    /// Whether the stream has more entries than were ever added after the ID, although everything up to the ID is
    /// gone.
    fn is_refuted_by(&self, stream: &StreamState) -> bool {
        stream.first_entry_id.is_some_and(|first| first > self.id)
            && self.entries_behind(stream).is_some_and(|behind| stream.length > behind)
    }
}

/// The checkpoints of a stream, by ID.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Checkpoints(Vec<Checkpoint>);

impl Checkpoints {
    /// The first checkpoint at or after `id`, whether it still holds or not.
    pub(super) fn first_from(&self, id: StreamId) -> Option<&Checkpoint> {
        self.0.iter().find(|checkpoint| checkpoint.id >= id)
    }

    /// Applies a reading's information about removals. Must be called before anything is concluded from the reading.
    ///
    /// Since the last reading some group has needed every entry after `held_from`, so none of them was trimmed from
    /// the middle. `None` if no group is known to have.
    pub(super) fn check(&mut self, stream: &StreamState, held_from: Option<StreamId>) {
        self.0.iter_mut().for_each(|checkpoint| checkpoint.check(stream, held_from));
    }

    /// Whether a reading can't be of the stream that these checkpoints belong to.
    pub(super) fn are_refuted_by(&self, stream: &StreamState) -> bool {
        self.0.iter().any(|checkpoint| checkpoint.is_refuted_by(stream))
    }

    /// The first checkpoint at or after `id` that holds in this reading; at least the end of the stream, if the
    /// server counts additions.
    pub(super) fn first_holding(&self, id: StreamId, stream: &StreamState) -> Option<Checkpoint> {
        let holds = |checkpoint: &&Checkpoint| {
            checkpoint.id >= id && !checkpoint.is_bound && stream.first_entry_id.is_some()
        };
        let kept = self.0.iter().find(holds);
        kept.copied().or_else(|| Checkpoint::new(stream.last_generated_id?, 0, stream))
    }

    /// Upper bound of the entries after `id`: removals only reduce the number.
    pub(super) fn most_behind(&self, id: StreamId, stream: &StreamState) -> Option<u64> {
        self.0.iter().rev().find(|checkpoint| checkpoint.id <= id)?.entries_behind(stream)
    }

    /// Applies a reading: drops checkpoints that no longer hold or that every group has passed, and adds the stream's
    /// end and the IDs in `found`, with their number of entries after them.
    pub(super) fn renew(&mut self, stream: &StreamState, found: impl IntoIterator<Item = (StreamId, u64)>) {
        let Some(slowest) = stream.groups.values().map(|group: &GroupState| group.last_delivered_id).min()
        else {
            self.0.clear();
            return;
        };
        let passed = self.0.iter().rev().find(|checkpoint| checkpoint.id < slowest).copied();
        self.0.retain(|checkpoint| checkpoint.id >= slowest && !checkpoint.is_bound);
        self.0.splice(..0, passed);
        let end = stream.last_generated_id.map(|id| (id, 0));
        for (id, behind) in found.into_iter().chain(end).filter(|(id, _)| *id >= slowest) {
            if let Some(checkpoint) = Checkpoint::new(id, behind, stream) {
                self.insert(checkpoint);
            }
        }
        self.thin();
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    fn insert(&mut self, checkpoint: Checkpoint) {
        match self.0.binary_search_by_key(&checkpoint.id, |kept| kept.id) {
            Ok(index) => {
                if let Some(kept) = self.0.get_mut(index) {
                    *kept = checkpoint;
                }
            }
            Err(index) => self.0.insert(index, checkpoint),
        }
    }

    fn thin(&mut self) {
        while self.0.len() > MOST {
            let closest = self.0.windows(3).enumerate().min_by_key(|(_, three)| match three {
                [before, _, after] => after.base.saturating_sub(before.base),
                _ => u64::MAX,
            });
            let Some((before, _)) = closest else { return };
            self.0.remove(before + 1);
        }
    }
}

#[cfg(test)]
#[path = "checkpoints_tests.rs"]
mod tests;
