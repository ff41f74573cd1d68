//! What is kept of a stream between polls. It is dropped when it may no longer hold.

use super::{
    checkpoints::Checkpoints,
    counters::Counters,
    group_history::GroupHistory,
    lag::{Known, Lag},
    losses::Removals,
    sources::{Change, Sources},
    stillness::Stillness,
    stream_tracker::StreamTracker,
};
use crate::model::{
    Failure, GroupAnswers, GroupState, Name, NameMap, NodeIndex, Now, PendingSample, ServerTime, StreamId,
    StreamState,
};

/// A stream as of earlier polls.
#[derive(Debug, Clone, Default)]
pub(super) struct StreamHistory {
    /// The last reading, without its groups; `None` while the stream does not exist.
    last: Option<Counters>,
    /// Whether the application was noticed to make its own IDs.
    makes_own_ids: bool,
    /// Whether what is known about an ID now will still hold at a later poll, so that losses can be counted by it.
    ///
    /// If the server makes the IDs, a recreated stream never repeats an old one. If the application makes them, it
    /// may, and then an ID proves nothing about an earlier poll.
    pub(super) remembers: bool,
    pub(super) checkpoints: Checkpoints,
    pub(super) groups: NameMap<GroupHistory>,
    pub(super) recreations: u64,
    /// When the last of them was noticed; `None` also if the clock was unknown then.
    pub(super) recreated_at: Option<ServerTime>,
    /// Entries of the last reading before it, which are gone; `None` where some of them may be there.
    pub(super) entries_gone: Option<u64>,
    pub(super) removals: Removals,
    /// Whether nothing was removed between the last reading and the judged reading before it, as far as the server
    /// counts removals.
    none_removed: bool,
    /// Whether the last reading was judged. A failed lookup prevents that.
    pub(super) is_judged: bool,
    /// The last reading of a stream that has been unreadable since.
    pub(super) unread: Option<Box<StreamState>>,
    /// What happened to its server while the stream could not be read.
    change: Change,
    /// Whether consumers must not be compared with the last reading, which may be of another stream or server.
    pub(super) is_new: bool,
    /// Whether the last reading may be older than the last judged one before it, so that nothing counts as having gone
    /// back.
    pub(super) may_be_behind: bool,
    /// Whether to read it again before the next poll.
    pub(super) is_near_loss: bool,
    pub(super) tracker: StreamTracker,
    /// Whether it was not found by the last reading, after others had found it.
    is_missed: bool,
    /// Its node in the last reading; `None` before the first.
    pub(super) node: Option<NodeIndex>,
}

/// What is kept of a stream that was removed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Gone {
    last: Option<Counters>,
    makes_own_ids: bool,
    recreations: u64,
    recreated_at: Option<ServerTime>,
    /// Its node in the last reading, as far as that is one of the same servers.
    node: Option<NodeIndex>,
}

impl Gone {
    /// Applies a reading without the stream.
    pub(super) fn follow(&mut self, sources: &Sources<'_>) {
        self.node = self.node.map(|was| sources.still(was).unwrap_or(NodeIndex::MAX));
    }
}

impl StreamHistory {
    /// Begins a reading, perhaps from another server: drops what it contradicts.
    pub(super) fn begin(
        &mut self,
        state: &Result<StreamState, Failure>,
        time: Option<ServerTime>,
        change: Change,
        trims_the_middle: bool,
    ) {
        self.change |= change;
        match state {
            Ok(stream) => self.compare(stream, time, trims_the_middle),
            // The stream existed, and will be another one when it exists again.
            Err(failure) if failure.is_absence() && self.last.is_some() => {
                let gone = self.last.map(|last| last.length());
                self.restart();
                self.tracker.restart();
                if !self.change.may_be_behind {
                    self.count_recreation(time, gone);
                }
            }
            Err(_unread) => {}
        }
    }

    fn compare(&mut self, stream: &StreamState, time: Option<ServerTime>, trims_the_middle: bool) {
        self.is_missed = false;
        let now = Counters::of(stream, time);
        let Change { may_be_new, may_be_behind, is_another } = std::mem::take(&mut self.change);
        if is_another && self.last.is_some() {
            self.tracker.take_over();
        }
        self.may_be_behind = may_be_behind || (self.may_be_behind && !self.is_judged);
        self.removals.begin(!may_be_new);
        // Another server's stream had other entries under the same IDs.
        if may_be_new {
            self.checkpoints.clear();
            self.is_new = true;
            self.groups.values_mut().for_each(|group| group.sampled = None);
        }
        let is_refuted = self.last.is_some_and(|last| !last.can_become(&now));
        if is_refuted || self.checkpoints.are_refuted_by(stream) {
            let gone = self.last.and_then(|last| last.entries_gone(&now));
            self.recreate(time, gone);
        }
        let is_whole = now.are_whole();
        let position_then = |group: &Name| Some(self.groups.get(group)?.delivered);
        if is_whole && self.last.is_some_and(|last| !last.lives_on_in(stream, position_then)) {
            self.checkpoints.clear();
            self.removals.doubt();
        }
        let held_from = if trims_the_middle { self.held_from(stream) } else { Some(StreamId::ZERO) };
        self.checkpoints.check(stream, held_from);
        // Another server's clock, and its count of removals, say nothing about those of the last reading.
        self.makes_own_ids |=
            !may_be_new && self.last.is_some_and(|last| last.was_added_to_with_old_ids(&now));
        let is_next = std::mem::take(&mut self.is_judged) || self.none_removed;
        self.none_removed =
            is_next && !may_be_new && self.last.is_some_and(|last| last.has_as_many_removed(&now));
        let known = *self.last.get_or_insert(now);
        let known = if is_whole { now } else { known };
        self.last = Some(known);
        self.remembers = !self.makes_own_ids && known.has_ids_of_the_server();
        if !self.remembers {
            self.checkpoints.clear();
        }
    }

    /// Records that a reading did not find the stream. Returns whether that is new.
    pub(super) const fn miss(&mut self) -> bool {
        self.last.is_some() && !std::mem::replace(&mut self.is_missed, true)
    }

    /// What is kept of a stream that was removed.
    pub(super) const fn gone(&self) -> Gone {
        let Self { last, makes_own_ids, recreations, recreated_at, node, .. } = *self;
        Gone { last, makes_own_ids, recreations, recreated_at, node }
    }

    /// A stream of this name exists again. The reading may show that it is another one.
    pub(super) fn back(gone: Gone) -> Self {
        let Gone { last, makes_own_ids, recreations, recreated_at, node } = gone;
        let tracker = StreamTracker::after(recreations);
        Self { last, makes_own_ids, recreations, recreated_at, node, tracker, ..Self::default() }
    }

    /// The smallest position of the groups that have only moved forward since the last reading: such a group has needed
    /// everything after it.
    fn held_from(&self, stream: &StreamState) -> Option<StreamId> {
        let stayed = |name, group: &GroupState| {
            self.groups.get(name).is_some_and(|before| before.moved_forward_to(group))
        };
        let groups = stream.groups.iter().filter(|(name, group)| stayed(name, group));
        groups.map(|(_, group)| group.last_delivered_id).min()
    }

    /// Drops everything but counters: it is another stream, or lacks what the last reading had. In that case the status
    /// of its groups goes on.
    fn recreate(&mut self, time: Option<ServerTime>, gone: Option<u64>) {
        self.restart();
        if self.may_be_behind {
            self.tracker.set_back();
        } else {
            self.tracker.restart();
            self.count_recreation(time, gone);
        }
    }

    const fn count_recreation(&mut self, time: Option<ServerTime>, gone: Option<u64>) {
        self.recreations += 1;
        self.recreated_at = time;
        self.entries_gone = gone;
    }

    /// Drops what the counts of a reading contradict: if more entries follow a group's position than possible, it is
    /// another stream than earlier polls saw.
    pub(super) fn refute(
        &mut self,
        stream: &StreamState,
        time: Option<ServerTime>,
        answers: impl Fn(&Name) -> Option<GroupAnswers>,
    ) {
        let is_refuted = stream.groups.iter().any(|(name, group)| {
            let counted = answers(name).and_then(|answers| answers.counted);
            let known = self.known_from(stream, group);
            let least = counted.zip(known).filter(|(counted, known)| counted.up_to == known.id);
            least.is_some_and(|(counted, known)| {
                known.entries_behind + counted.entries > self.lag(stream, group).upper_bound()
            })
        });
        if is_refuted {
            let last = self.last;
            self.recreate(time, None);
            self.last = last;
        }
    }

    fn restart(&mut self) {
        self.checkpoints.clear();
        for (name, lost) in self.removals.restart() {
            if let Some(group) = self.groups.get_mut(&name) {
                group.lost += lost;
            }
        }
        self.last = None;
        self.is_new = true;
        for group in self.groups.values_mut() {
            *group = GroupHistory {
                lost: group.lost,
                dropped: group.dropped,
                rewinds: group.rewinds,
                rewound_at: group.rewound_at,
                asked_at: group.asked_at,
                ..GroupHistory::default()
            };
        }
    }

    /// The nearest ID at or after the group's position with a known number of entries after it.
    pub(super) fn known_from(&self, stream: &StreamState, group: &GroupState) -> Option<Known> {
        let kept = self.checkpoints.first_holding(group.last_delivered_id, stream).and_then(|checkpoint| {
            Some(Known { id: checkpoint.id, entries_behind: checkpoint.entries_behind(stream)? })
        });
        kept.or(Some(Known { id: stream.last_generated_id?, entries_behind: 0 }))
    }

    /// What the group's position and earlier polls prove about its lag.
    pub(super) fn lag(&self, stream: &StreamState, group: &GroupState) -> Lag {
        match Lag::by_position(stream, group) {
            Lag::AtMost(bound) => {
                let most = self.checkpoints.most_behind(group.last_delivered_id, stream);
                Lag::AtMost(most.map_or(bound, |most| most.min(bound)))
            }
            exact @ Lag::Exactly(_) => exact,
        }
    }

    /// The last sample of the group's pending entries, if they are still the same.
    pub(super) fn sampled(
        &self,
        stream: &StreamState,
        name: &Name,
        group: &GroupState,
        now: Option<Now>,
        poison_from: u64,
    ) -> Option<PendingSample> {
        let stillness = Stillness::of(stream, group, now)?;
        let sampled = self.groups.get(name)?.sampled?;
        let is_same = sampled.stillness == stillness && sampled.poison_from == poison_from;
        Some(sampled.now(now?)).filter(|_| is_same)
    }

    /// The first entry after the group's position, if it is the same as in the last poll and was not removed since.
    pub(super) fn first_after(
        &self,
        name: &Name,
        group: &GroupState,
        known: Option<Known>,
    ) -> Option<StreamId> {
        let delivered = group.last_delivered_id;
        let before = self.groups.get(name).filter(|before| before.delivered == delivered)?;
        // Nothing after the position was removed if the number of entries after it is still known, or if nothing was
        // removed at all.
        let is_counted = known.is_some_and(|known| known.id == delivered);
        before.first_after.filter(|_| is_counted || (self.remembers && self.none_removed))
    }
}

#[cfg(test)]
#[path = "stream_history_tests.rs"]
mod tests;
