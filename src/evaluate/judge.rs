//! Judges one stream by its reading, the answers to questions, and earlier polls.

use std::time::Duration;

use nonmax::{NonMaxU32, NonMaxU64};

use super::{
    age::{Age, clock_behind},
    baseline::{Baseline, Basis, Step},
    checkpoints::Checkpoints,
    dropped::{can_be_compared, dropped},
    group_history::GroupHistory,
    lag::{Known, Lag},
    losses::Between,
    report::{GroupReport, StreamReport},
    stillness::{Sampled, Stillness},
    stream_history::StreamHistory,
};
use crate::model::{
    GroupAnswers, GroupState, Name, Now, OldestPending, Pending, PendingSample, StreamId, StreamState,
};

/// Maximum size of the first entry, in bytes, for a stream to be read between two polls.
const MOST_ENTRY_BYTES: u64 = 4_096;

/// One stream's reading, and the input for judging it.
pub(super) struct Judge<'a> {
    pub(super) stream: &'a StreamState,
    /// The last reading of the same stream from the same server, if any.
    pub(super) before: Option<&'a StreamState>,
    /// What happened since the last reading; `None` if the server does not count additions.
    pub(super) between: Option<Between<'a>>,
    /// Whether losses can be counted.
    pub(super) counts_losses: bool,
    pub(super) now: Option<Now>,
    /// The poll interval.
    pub(super) interval: Duration,
    pub(super) poison_from: u64,
    /// The number of the poll.
    pub(super) poll: usize,
}

/// One group's reading, the answers about it, and what earlier polls prove.
struct Group<'a> {
    name: &'a Name,
    state: &'a GroupState,
    /// `None` if nothing was asked.
    answers: Option<GroupAnswers>,
    known: Option<Known>,
    lag: Lag,
    /// `None` if there is no baseline for losses.
    step: Option<Step<'a>>,
    /// The sample of the first pending entries.
    sample: Option<PendingSample>,
    /// The first pending entry that still exists, as in a sample.
    alive: Option<Option<OldestPending>>,
    /// Pending entries that were dropped with their consumers since the last reading.
    dropped: Option<u64>,
}

impl Judge<'_> {
    /// The report of the stream, and those of its groups, in their order.
    pub(super) fn judge(
        &self,
        history: &mut StreamHistory,
        answers: impl Fn(&Name) -> Option<GroupAnswers>,
    ) -> (StreamReport, Vec<GroupReport>) {
        let mut groups = Vec::with_capacity(self.stream.groups.len());
        let mut kept = Vec::with_capacity(self.stream.groups.len());
        let mut found = Vec::new();
        let rereadable = self.between.as_ref().filter(|_| self.counts_losses && !self.is_large());
        history.is_near_loss = false;
        for (name, state) in &self.stream.groups {
            let group = self.group(history, name, state, answers(name));
            found.extend(group.lag.known().map(|lag| (state.last_delivered_id, lag)));
            found.extend(group.part_way());
            history.is_near_loss |=
                rereadable.zip(group.step).is_some_and(|(between, step)| between.is_near_loss(&step));
            let after = self.after(history, &group);
            groups.push(self.report(&group, &after));
            kept.push((name.clone(), after));
        }
        history.groups = kept.into_iter().collect();
        history.is_judged = true;
        if history.remembers {
            history.checkpoints.renew(self.stream, found);
        } else {
            history.checkpoints.clear();
        }
        let report = StreamReport {
            oldest_entry_age: self.stream.first_entry_id.and_then(|id| self.age(id)),
            // A stream that never had an entry reports 0-0, which is not a time.
            last_write_age: self.stream.last_generated_id.and_then(|id| self.age(id)),
            clock_behind: self.stream.last_generated_id.and_then(|id| clock_behind(id, self.now?.time)),
            recreations: history.recreations,
            recreated_at: history.recreated_at,
            entries_gone: history.entries_gone,
        };
        (report, groups)
    }

    fn group<'b>(
        &self,
        history: &StreamHistory,
        name: &'b Name,
        state: &'b GroupState,
        answered: Option<GroupAnswers>,
    ) -> Group<'b> {
        let answers = answered.unwrap_or_default();
        let known = history.known_from(self.stream, state);
        let lag = history.lag(self.stream, state).by_counting(state, known, answers.counted);
        let baseline = history.groups.get(name).and_then(GroupHistory::baseline);
        let step = baseline.map(|before| Step { before, now: state, lag });
        let kept = history.sampled(self.stream, name, state, self.now, self.poison_from);
        // A head that is gone is in the sample, unless the list was another one by then: Valkey forgets such entries where it moves a
        // slot at once.
        let has_gone = state.oldest_pending.oldest().is_some_and(|head| self.stream.is_gone(head.id));
        let sample = answers.pending_sample.or(kept).filter(|sample| !has_gone || sample.gone > 0);
        let alive = answers.pending_from.or(sample.and_then(|sample| sample.alive));
        let sample = sample.map(|sample| PendingSample { alive, ..sample });
        let dropped = self.dropped(name, state, step.as_ref());
        Group { name, state, answers: answered, known, lag, step, sample, alive, dropped }
    }

    /// Whether the stream is too large to be read between polls.
    fn is_large(&self) -> bool {
        self.stream.first_entry_bytes > MOST_ENTRY_BYTES
            || self.stream.groups.values().any(|group| group.consumers_age.is_some())
    }

    fn age(&self, id: StreamId) -> Option<Age> {
        Age::of(id, self.now?.time)
    }

    /// What is kept of the group for the next reading.
    fn after(&self, history: &StreamHistory, group: &Group<'_>) -> GroupHistory {
        let state = group.state;
        let delivered = state.last_delivered_id;
        let unknown = GroupHistory::default();
        let known = history.groups.get(group.name);
        let before = known.unwrap_or(&unknown);
        let went_back = delivered < before.delivered;
        let is_rewound = went_back && !history.may_be_behind;
        let proven = known.filter(|_| !went_back).and_then(|_| self.lost(group, &history.checkpoints));
        let mut lost = before.lost;
        if let Some(between) = &self.between {
            lost += between.lost(group.name, group.step.as_ref(), proven.unwrap_or_default());
        }
        GroupHistory {
            delivered,
            entries_read: state.entries_read,
            first_after: self.first_after(group, history.first_after(group.name, state, group.known)),
            pending: state.oldest_pending.oldest().map(|head| head.id),
            basis: self.basis(group.lag, group.step.map(|step| step.before)),
            lost,
            dropped: before.dropped + group.dropped.unwrap_or_default(),
            rewinds: before.rewinds + u32::from(is_rewound),
            rewound_at: if is_rewound { self.now.map(|now| now.time) } else { before.rewound_at },
            sampled: self.to_keep(group),
            asked_at: if group.answers.is_some() { self.poll } else { before.asked_at },
        }
    }

    /// The baseline for the next reading's losses. A partial reading is not compared with anything.
    fn basis(&self, lag: Lag, baseline: Option<Baseline>) -> Basis {
        match (&self.between, baseline) {
            (Some(_), _) => Basis::Last(lag),
            (None, Some(baseline)) => Basis::Earlier(Box::new(baseline)),
            (None, None) => Basis::Nothing,
        }
    }

    /// Entries that were removed since the last poll before they were delivered to the group: those missing after an
    /// ID that the group has not passed yet. Exact if that ID is the group's own position, else a lower bound.
    fn lost(&self, group: &Group<'_>, checkpoints: &Checkpoints) -> Option<u64> {
        let delivered = group.state.last_delivered_id;
        let checkpoint = checkpoints.first_from(delivered)?;
        let there = if checkpoint.id == delivered { group.lag.upper_bound() } else { self.stream.length };
        checkpoint.entries_missing(self.stream, there)
    }

    /// Pending entries that were dropped with their consumers since the last reading; `None` unless this poll and the
    /// last read all consumers.
    fn dropped(&self, name: &Name, group: &GroupState, step: Option<&Step<'_>>) -> Option<u64> {
        let Some(before) = self.before.and_then(|before| before.groups.get(name)) else {
            // If the last reading may be from another server, nothing is compared or counted.
            return can_be_compared(group).then_some(0);
        };
        let delivered = step.zip(self.between.as_ref());
        let delivered = delivered.and_then(|(step, between)| between.no_more_undelivered(step));
        dropped(before, group, delivered, self.interval)
    }

    /// The first undelivered entry, if it is known.
    fn first_after(&self, group: &Group<'_>, cached: Option<StreamId>) -> Option<StreamId> {
        if group.lag == Lag::Exactly(0) {
            return None;
        }
        let answers = group.answers.unwrap_or_default();
        let first = self.stream.first_entry_id.filter(|first| *first > group.state.last_delivered_id);
        let complete =
            answers.counted.filter(|counted| counted.is_complete).and_then(|counted| counted.lowest);
        first.or_else(|| answers.first_after.flatten()).or(complete).or(cached)
    }

    fn report(&self, group: &Group<'_>, after: &GroupHistory) -> GroupReport {
        let Group { state, lag, sample, .. } = *group;
        let first_alive = self.first_alive(state, group.alive);
        GroupReport {
            lag,
            lag_age: match lag {
                Lag::Exactly(0) => Some(Age::ZERO),
                Lag::Exactly(_) | Lag::AtMost(_) => after.first_after.and_then(|id| self.age(id)),
            },
            oldest_pending_age: match first_alive.unwrap_or(state.oldest_pending) {
                Pending::None => Some(Age::ZERO),
                Pending::Oldest(oldest) => self.age(oldest.id),
                Pending::Unknown => None,
            },
            first_alive: first_alive.map(Box::new),
            dangling: self.dangling(state, sample).and_then(NonMaxU64::new),
            poison: if state.pending == 0 { Some(0) } else { sample.map(|sample| sample.poison) }
                .and_then(NonMaxU32::new),
            lost: self.counts_losses.then_some(after.lost),
            dropped: group.dropped.and_then(|_| NonMaxU64::new(after.dropped)),
            rewinds: after.rewinds,
            rewound_at: after.rewound_at,
        }
    }

    /// The oldest pending entry that still exists, if the head of the list does not: its age would grow forever.
    fn first_alive(&self, group: &GroupState, alive: Option<Option<OldestPending>>) -> Option<Pending> {
        let head = group.oldest_pending.oldest()?;
        match alive {
            _ if self.stream.length == 0 => Some(Pending::None),
            _ if !self.stream.is_gone(head.id) => None,
            Some(Some(alive)) => Some(Pending::Oldest(alive)),
            Some(None) => Some(Pending::None),
            None => Some(Pending::Unknown),
        }
    }

    fn dangling(&self, group: &GroupState, sample: Option<PendingSample>) -> Option<u64> {
        match group.oldest_pending {
            Pending::None => Some(0),
            Pending::Unknown => None,
            Pending::Oldest(_) if self.stream.length == 0 => Some(group.pending),
            Pending::Oldest(_) if self.stream.first_entry_id.is_none() => None,
            Pending::Oldest(head) if !self.stream.is_gone(head.id) => Some(0),
            Pending::Oldest(_) => sample.map(|sample| sample.gone.into()),
        }
    }

    /// The sample, with what shows whether it still holds.
    fn to_keep(&self, group: &Group<'_>) -> Option<Sampled> {
        let stillness = Stillness::of(self.stream, group.state, self.now)?;
        let at = self.now?.time;
        Some(Sampled { stillness, poison_from: self.poison_from, sample: group.sample?, at })
    }
}

impl Group<'_> {
    /// The lowest ID of an incomplete count. The next poll continues from there.
    fn part_way(&self) -> Option<(StreamId, u64)> {
        let known = self.known?;
        let counted = self.answers?.counted?;
        let lowest = counted.lowest.filter(|_| counted.up_to == known.id)?;
        Some((lowest, known.entries_behind + counted.entries.checked_sub(1)?))
    }
}
