//! One stream's reading, judged: by what it says itself, by what was asked, and by what earlier polls know.

use std::time::Duration;

use nonmax::{NonMaxU32, NonMaxU64};

use super::{
    age::{Age, clock_behind},
    baseline::{Baseline, Basis},
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

/// The largest first entry, in bytes, of a stream that is reread between two polls.
const MOST_ENTRY_BYTES: u64 = 4_096;

/// One stream's reading, with what it is judged by.
pub(super) struct Judge<'a> {
    pub(super) stream: &'a StreamState,
    /// The last reading of the same stream from the same server, where there was one.
    pub(super) before: Option<&'a StreamState>,
    /// What happened since the last reading; `None` where the server does not count additions.
    pub(super) between: Option<Between<'a>>,
    pub(super) now: Option<Now>,
    /// Of polls.
    pub(super) interval: Duration,
    pub(super) poison_from: u64,
    /// Which poll it was.
    pub(super) poll: usize,
}

impl Judge<'_> {
    /// What the stream's state means, and that of its groups, in their order.
    pub(super) fn judge(
        &self,
        history: &mut StreamHistory,
        answers: impl Fn(&Name) -> Option<GroupAnswers>,
    ) -> (StreamReport, Vec<GroupReport>) {
        let counts_losses = history.remembers && self.between.is_some();
        let mut groups = Vec::with_capacity(self.stream.groups.len());
        let mut kept = Vec::with_capacity(self.stream.groups.len());
        let mut found = Vec::new();
        history.is_near_loss = false;
        for (name, group) in &self.stream.groups {
            let answered = answers(name);
            let answers = &answered.unwrap_or_default();
            let known = history.known_from(self.stream, group);
            let lag = history.lag(self.stream, group).by_counting(group, known, answers.counted);
            found.extend(lag.known().map(|lag| (group.last_delivered_id, lag)));
            found.extend(part_way(known, answers));
            let first_after = self.first_after(group, lag, answers, history.first_after(name, group, known));
            let kept_sample = history.sampled(self.stream, name, group, self.now, self.poison_from);
            let sample = answers.pending_sample.or(kept_sample);
            let alive = answers.pending_from.or(sample.and_then(|sample| sample.alive));
            let sample = sample.map(|sample| PendingSample { alive, ..sample });
            let sampled = self.to_keep(group, sample);
            let baseline = history.groups.get(name).and_then(GroupHistory::baseline);
            let dropped = self.dropped(name, baseline.as_ref(), group, lag);
            let between = self.between.as_ref().filter(|_| counts_losses && !self.is_large());
            history.is_near_loss |=
                between.is_some_and(|between| between.is_near_loss(baseline.as_ref(), group, lag));
            let renewed = self.renew(history, name, baseline.as_ref(), group, lag);
            let after = GroupHistory {
                first_after,
                sampled,
                asked_at: if answered.is_some() { self.poll } else { renewed.asked_at },
                basis: self.basis(lag, baseline),
                dropped: renewed.dropped + dropped.unwrap_or_default(),
                ..renewed
            };
            let dropped = dropped.and_then(|_| NonMaxU64::new(after.dropped));
            let report = self.report(group, lag, sample, alive, &after);
            let lost = counts_losses.then_some(after.lost);
            groups.push(GroupReport { lost, dropped, ..report });
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
            // A stream that never had an entry says 0-0, which is no time.
            last_write_age: self.stream.last_generated_id.and_then(|id| self.age(id)),
            clock_behind: self.stream.last_generated_id.and_then(|id| clock_behind(id, self.now?.time)),
            recreations: history.recreations,
        };
        (report, groups)
    }

    /// Whether the stream is too large to read it more often than each interval.
    fn is_large(&self) -> bool {
        self.stream.first_entry_bytes > MOST_ENTRY_BYTES
            || self.stream.groups.values().any(|group| group.consumers_age.is_some())
    }

    fn age(&self, id: StreamId) -> Option<Age> {
        Age::of(id, self.now?.time)
    }

    /// A group's history after this reading.
    fn renew(
        &self,
        history: &StreamHistory,
        name: &Name,
        baseline: Option<&Baseline>,
        group: &GroupState,
        lag: Lag,
    ) -> GroupHistory {
        let before = history.groups.get(name);
        let mut after = before.cloned().unwrap_or_default();
        let mut proven = 0;
        (after.delivered, after.entries_read) = (group.last_delivered_id, group.entries_read);
        after.pending = group.oldest_pending.oldest().map(|head| head.id);
        match before {
            Some(before) if after.delivered < before.delivered => {
                after.rewinds += u32::from(!history.may_be_behind);
            }
            Some(_) => proven = self.lost(after.delivered, lag, &history.checkpoints).unwrap_or_default(),
            None => {}
        }
        if let Some(between) = &self.between {
            after.lost += between.lost(name, baseline, group, lag, proven);
        }
        after
    }

    /// What the next reading's losses are counted from. A reading in part is compared with nothing, and nothing with it.
    fn basis(&self, lag: Lag, baseline: Option<Baseline>) -> Basis {
        match (&self.between, baseline) {
            (Some(_), _) => Basis::Last(lag),
            (None, Some(baseline)) => Basis::Earlier(Box::new(baseline)),
            (None, None) => Basis::Nothing,
        }
    }

    /// Entries removed since the last poll that the group was not given: those that are missing behind an ID that
    /// the group had not passed by now. Exact where that is the group's own position, else no more than there were.
    fn lost(&self, delivered: StreamId, lag: Lag, checkpoints: &Checkpoints) -> Option<u64> {
        let checkpoint = checkpoints.first_from(delivered)?;
        let there = if checkpoint.id == delivered { lag.upper_bound() } else { self.stream.length };
        checkpoint.entries_missing(self.stream, there)
    }

    /// Pending entries that vanished with their consumers since the last reading; `None` where not all consumers were read at
    /// this poll and the last.
    fn dropped(&self, name: &Name, baseline: Option<&Baseline>, group: &GroupState, lag: Lag) -> Option<u64> {
        let Some(before) = self.before.and_then(|before| before.groups.get(name)) else {
            // Where the last reading may be of another server, nothing is compared and nothing is counted.
            return can_be_compared(group).then_some(0);
        };
        let delivered = baseline.zip(self.between.as_ref());
        let delivered = delivered.and_then(|(before, between)| between.no_more_undelivered(before, lag));
        dropped(before, group, delivered, self.interval)
    }

    /// The first entry that the group was not given, where it is known.
    fn first_after(
        &self,
        group: &GroupState,
        lag: Lag,
        answers: &GroupAnswers,
        cached: Option<StreamId>,
    ) -> Option<StreamId> {
        if lag == Lag::Exactly(0) {
            return None;
        }
        let first = self.stream.first_entry_id.filter(|first| *first > group.last_delivered_id);
        let complete =
            answers.counted.filter(|counted| counted.is_complete).and_then(|counted| counted.lowest);
        first.or_else(|| answers.first_after.flatten()).or(complete).or(cached)
    }

    fn report(
        &self,
        group: &GroupState,
        lag: Lag,
        sample: Option<PendingSample>,
        alive: Option<Option<OldestPending>>,
        after: &GroupHistory,
    ) -> GroupReport {
        let first_alive = self.first_alive(group, alive);
        GroupReport {
            lag,
            lag_age: match lag {
                Lag::Exactly(0) => Some(Age::ZERO),
                Lag::Exactly(_) | Lag::AtMost(_) => after.first_after.and_then(|id| self.age(id)),
            },
            oldest_pending_age: match first_alive.unwrap_or(group.oldest_pending) {
                Pending::None => Some(Age::ZERO),
                Pending::Oldest(oldest) => self.age(oldest.id),
                Pending::Unknown => None,
            },
            first_alive: first_alive.map(Box::new),
            dangling: self.dangling(group, sample).and_then(NonMaxU64::new),
            poison: if group.pending == 0 { Some(0) } else { sample.map(|sample| sample.poison) }
                .and_then(NonMaxU32::new),
            lost: Some(after.lost),
            dropped: None,
            rewinds: after.rewinds,
        }
    }

    /// The oldest pending entry that is still there, where the head is gone: its age would grow for ever.
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

    /// The sample with what will show whether it still holds.
    fn to_keep(&self, group: &GroupState, sample: Option<PendingSample>) -> Option<Sampled> {
        let stillness = Stillness::of(self.stream, group, self.now)?;
        let at = self.now?.time;
        Some(Sampled { stillness, poison_from: self.poison_from, sample: sample?, at })
    }
}

/// The lowest ID of a count that could not go all the way: another poll goes on from there.
fn part_way(known: Option<Known>, answers: &GroupAnswers) -> Option<(StreamId, u64)> {
    let (known, counted) = (known?, answers.counted?);
    let lowest = counted.lowest.filter(|_| counted.up_to == known.id)?;
    Some((lowest, known.entries_behind + counted.entries.checked_sub(1)?))
}
