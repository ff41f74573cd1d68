//! How many entries lie behind certain IDs of a stream, known without counting them.
//!
//! At each poll the last ID that the stream gave out has no entry behind it, and the server says how many were ever
//! added. So at any later poll the entries behind that ID are those added since, if none of them was removed. Few
//! such IDs are kept: those that some group has not passed yet. This is what proves a lag of millions with no
//! command at all, where the server's own number can't be believed.

use crate::model::{GroupState, StreamId, StreamState};

/// As many are kept of a stream; beyond it the closest neighbours make room.
const MOST: usize = 64;

/// An ID with a known number of entries behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Checkpoint {
    pub(super) id: StreamId,
    /// The entries behind the ID are those ever added, less these.
    base: u64,
    /// The entries ever removed when this was last known to hold.
    removed: u64,
    /// Whether some group has needed every entry behind it since then: trims take no such entry from the middle.
    is_held: bool,
    /// Whether an entry behind it may have gone: from then on the number is a bound only.
    is_bound: bool,
}

impl Checkpoint {
    /// An ID with so many entries behind it, by this reading.
    fn new(id: StreamId, behind: u64, stream: &StreamState) -> Option<Self> {
        let (added, removed) = (stream.entries_added?, stream.entries_removed()?);
        Some(Self { id, base: added.checked_sub(behind)?, removed, is_held: true, is_bound: false })
    }

    /// The entries behind the ID, by a reading in which this holds; else no fewer than there are.
    pub(super) fn entries_behind(&self, stream: &StreamState) -> Option<u64> {
        stream.entries_added?.checked_sub(self.base)
    }

    /// Entries ever added behind the ID that are not there any more, given a number of those that are at most there.
    pub(super) fn entries_missing(&self, stream: &StreamState, there: u64) -> Option<u64> {
        Some(self.entries_behind(stream)?.saturating_sub(there))
    }

    /// Takes over what a reading says of removals; `held_from` as in [`Checkpoints::check`].
    ///
    /// Trims remove the first entries, so they have not come so far while an entry at or before the ID is there; but
    /// those of acknowledged entries (`ACKED`) leave out what is still needed, and no field tells of them. Of deleted
    /// entries the server tells the greatest ID. Where that is greater, nothing may have been removed.
    fn check(&mut self, stream: &StreamState, held_from: Option<StreamId>) {
        self.is_held &= held_from.is_some_and(|held| held <= self.id);
        // What was not read says nothing, now or of the time since the last reading that did.
        let Some(removed) = stream.entries_removed() else { return };
        if stream.first_entry_id.is_none() && stream.length > 0 {
            return;
        }
        let is_untouched = removed == self.removed;
        let none_deleted_behind = stream.max_deleted_entry_id.is_some_and(|deleted| deleted <= self.id);
        let is_trimmed_past = stream.first_entry_id.is_none_or(|first| first > self.id);
        self.is_bound |= is_trimmed_past || !(is_untouched || (none_deleted_behind && self.is_held));
        if !self.is_bound {
            (self.removed, self.is_held) = (removed, true);
        }
    }

    /// Whether more is there than was ever added behind the ID, though everything up to it is gone.
    fn is_refuted_by(&self, stream: &StreamState) -> bool {
        stream.first_entry_id.is_some_and(|first| first > self.id)
            && self.entries_behind(stream).is_some_and(|behind| stream.length > behind)
    }
}

/// The checkpoints of a stream, by ID.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Checkpoints(Vec<Checkpoint>);

impl Checkpoints {
    /// The first checkpoint at or behind `id`, whether or not it still holds.
    pub(super) fn first_from(&self, id: StreamId) -> Option<&Checkpoint> {
        self.0.iter().find(|checkpoint| checkpoint.id >= id)
    }

    /// Takes over what a reading says of removals, before anything is drawn from it.
    ///
    /// Since the last reading some group has needed every entry behind `held_from`, so that none of them was trimmed
    /// from the middle; `None` where no group is known to have.
    pub(super) fn check(&mut self, stream: &StreamState, held_from: Option<StreamId>) {
        self.0.iter_mut().for_each(|checkpoint| checkpoint.check(stream, held_from));
    }

    /// Whether a reading can't be of the stream that these are of.
    pub(super) fn are_refuted_by(&self, stream: &StreamState) -> bool {
        self.0.iter().any(|checkpoint| checkpoint.is_refuted_by(stream))
    }

    /// The first checkpoint at or behind `id` that holds by this reading; at least the end of the stream, where the
    /// server counts additions.
    pub(super) fn first_holding(&self, id: StreamId, stream: &StreamState) -> Option<Checkpoint> {
        let holds = |checkpoint: &&Checkpoint| {
            checkpoint.id >= id && !checkpoint.is_bound && stream.first_entry_id.is_some()
        };
        let kept = self.0.iter().find(holds);
        kept.copied().or_else(|| Checkpoint::new(stream.last_generated_id?, 0, stream))
    }

    /// As many entries at most are behind `id`: removals make it fewer, never more.
    pub(super) fn most_behind(&self, id: StreamId, stream: &StreamState) -> Option<u64> {
        self.0.iter().rev().find(|checkpoint| checkpoint.id <= id)?.entries_behind(stream)
    }

    /// Takes over a reading: forgets what does not hold any more and what every group has passed, and notes the
    /// stream's end and the IDs whose number of entries `found` tells.
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
