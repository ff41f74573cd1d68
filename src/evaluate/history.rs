//! What is kept from one poll to the next: bounded, and forgotten wherever it might not hold any more.

use std::{
    cmp::Ordering,
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use super::{
    age::{Age, POLL_SLACK_MS, clock_behind},
    checkpoints::Checkpoints,
    judge::Judge,
    lag::{Known, Lag},
    losses::{Baseline, Basis, Losses, Removals},
    questions::{Questions, questions},
    report::Report,
    rereads::Rereads,
    series::Ticks,
    stillness::{Sampled, Stillness},
    watch::{Moment, StreamWatch, Subject},
};
use crate::{
    config::Config,
    model::{
        Answers, Failure, GroupAnswers, GroupState, Name, NameMap, Now, Origin, PendingSample, Removal,
        ServerTime, Snapshot, StreamId, StreamState,
    },
};

/// So many streams that went away are remembered, the last ones.
const MOST_GONE: usize = 1_000;

/// What earlier polls know of the streams.
#[derive(Debug, Clone, Default)]
pub struct History {
    /// Where the last reading came from.
    origin: Origin,
    // In boxes, since a map that grows has room for nearly twice as many.
    streams: BTreeMap<Name, Box<StreamHistory>>,
    /// The last reading that was judged, and what it means. They take no room: they are shown until the next ones are there.
    last: Option<(Arc<Snapshot>, Arc<Report>)>,
    /// Streams that went away and that no configuration names: one that comes back may be another one.
    gone: VecDeque<(Name, Gone)>,
    polls: usize,
    ticks: Ticks,
    rereads: Rereads,
}

/// What earlier polls know of a stream.
#[derive(Debug, Clone, Default)]
pub(super) struct StreamHistory {
    /// The last reading, without its groups; `None` while the stream is away.
    last: Option<Counters>,
    /// Whether the application was seen to make its own IDs.
    makes_own_ids: bool,
    /// Whether what is known of an ID now may be relied upon at a later poll, and losses counted by it.
    ///
    /// Where the server makes the IDs, a stream that was deleted and created again never repeats an old one. Where the
    /// application does, it may, and then an ID proves nothing about an earlier poll.
    pub(super) remembers: bool,
    pub(super) checkpoints: Checkpoints,
    pub(super) groups: NameMap<GroupHistory>,
    pub(super) recreations: u64,
    pub(super) removals: Removals,
    /// Whether nothing was removed between the last reading and the last one before it that was judged, as far as the server
    /// counts that.
    none_removed: bool,
    /// Whether the last reading was judged: a lookup may fail between its beginning and that.
    pub(super) is_judged: bool,
    /// The last reading of a stream that could not be read since.
    unread: Option<Box<StreamState>>,
    /// What became of the connection while it could not be read.
    connection: Connection,
    /// Whether consumers are not to be compared with those of the last reading: it may be of another stream, or server.
    is_new: bool,
    /// Whether the last reading may be older than the one before it, so that nothing that went back is claimed.
    pub(super) may_be_behind: bool,
    /// Whether it is worth rereading it until the next poll.
    pub(super) is_near_loss: bool,
    watch: StreamWatch,
}

/// What is kept of a stream that went away.
#[derive(Debug, Clone, Copy)]
struct Gone {
    last: Option<Counters>,
    makes_own_ids: bool,
    recreations: u64,
}

/// How the connection of a reading relates to that of the reading before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
enum Connection {
    /// It is the same.
    #[default]
    Same,
    /// It is another one.
    New,
    /// It is another one, of a service where a new connection may be answered by a replica that is behind.
    NewAndBehind,
}

/// A stream's counters, which only go forward while the stream lives.
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
    /// The poll in which something was last asked about it: whoever waits longest is next.
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
    fn went_on_to(&self, group: &GroupState) -> bool {
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

/// How two numbers compare, where both were read.
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

    /// Whether it says where the stream begins and ends. Streams of large entries or many consumers are mostly asked for
    /// less.
    const fn are_whole(&self) -> bool {
        self.last_id.is_some() && (self.first_id.is_some() || self.length == 0)
    }

    /// Whether a stream that read `self` can have become one that reads `now`. One that was deleted and created again,
    /// or that comes from a replica that was behind, mostly can't. What was not read contradicts nothing.
    pub(super) fn can_become(&self, now: &Self) -> bool {
        let firsts = order(self.first_id, now.first_id);
        let (added, removed) = (order(self.added, now.added), order(self.removed, now.removed));
        let (last_ids, deleted) = (order(self.last_id, now.last_id), order(self.deleted_id, now.deleted_id));
        let went_back = [added, removed, last_ids, firsts, deleted].contains(&Some(Ordering::Greater));
        let adds_without_ids = added.zip(last_ids).is_some_and(|(added, ids)| added != ids);
        let goes_without_removal = firsts == Some(Ordering::Less) && removed == Some(Ordering::Equal);
        // Only what is added is behind the last ID.
        let was_empty = self.length == 0 && order(self.last_id, now.first_id).is_some_and(Ordering::is_ge);
        !(went_back || adds_without_ids || goes_without_removal || was_empty)
    }

    /// Whether nothing was removed until then, as far as the server counts that.
    pub(super) fn has_as_many_removed(&self, now: &Self) -> bool {
        order(self.removed, now.removed) == Some(Ordering::Equal)
    }

    /// Whether something of the last reading is there still, so that this is surely the same stream: one that was
    /// deleted and created again, or that another one was renamed to, has only later IDs. `position_then` is a group's.
    fn lives_on_in(&self, stream: &StreamState, position_then: impl Fn(&Name) -> Option<StreamId>) -> bool {
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

    /// Whether the first and the last ID, if there are any yet, are times that are over, or times of another clock.
    fn has_ids_of_the_server(&self) -> bool {
        let is_over = |id: StreamId| {
            id == StreamId::ZERO
                || self.time.is_some_and(|now| Age::of(id, now).is_some() || clock_behind(id, now).is_some())
        };
        self.last_id.is_some_and(is_over) && self.first_id.is_none_or(is_over)
    }

    /// Whether entries were added since under IDs that were over then: no server makes such IDs.
    fn was_added_to_with_old_ids(&self, now: &Self) -> bool {
        let newest = now.last_id.filter(|id| self.last_id.is_some_and(|last| *id > last));
        newest.zip(self.time).is_some_and(|(newest, then)| newest.ms + POLL_SLACK_MS < then.0)
    }
}

impl StreamHistory {
    /// A reading begins, which may be of another server: forgets what it contradicts.
    fn begin(
        &mut self,
        state: &Result<StreamState, Failure>,
        time: Option<ServerTime>,
        connection: Connection,
        trims_the_middle: bool,
    ) {
        match state {
            Ok(stream) => self.compare(stream, time, connection, trims_the_middle),
            // It was there and will be another one when it comes back.
            Err(failure) if failure.is_absence() && self.last.is_some() => {
                let connection = self.connection.max(connection);
                self.restart();
                self.recreations += u64::from(connection != Connection::NewAndBehind);
            }
            Err(_unread) => self.connection = self.connection.max(connection),
        }
    }

    fn compare(
        &mut self,
        stream: &StreamState,
        time: Option<ServerTime>,
        connection: Connection,
        trims_the_middle: bool,
    ) {
        let now = Counters::of(stream, time);
        let connection = std::mem::take(&mut self.connection).max(connection);
        self.may_be_behind = connection == Connection::NewAndBehind;
        self.removals.begin(connection == Connection::Same);
        // Another server's stream had other entries under the same IDs.
        if connection != Connection::Same {
            self.checkpoints.clear();
            self.is_new = true;
            self.groups.values_mut().for_each(|group| group.sampled = None);
        }
        let is_refuted = self.last.is_some_and(|last| !last.can_become(&now));
        if is_refuted || self.checkpoints.are_refuted_by(stream) {
            self.recreate();
        }
        let is_whole = now.are_whole();
        let position_then = |group: &Name| Some(self.groups.get(group)?.delivered);
        if is_whole && self.last.is_some_and(|last| !last.lives_on_in(stream, position_then)) {
            self.checkpoints.clear();
            self.removals.doubt();
        }
        let held_from = if trims_the_middle { self.held_from(stream) } else { Some(StreamId::ZERO) };
        self.checkpoints.check(stream, held_from);
        self.makes_own_ids |= self.last.is_some_and(|last| last.was_added_to_with_old_ids(&now));
        let is_next = std::mem::take(&mut self.is_judged) || self.none_removed;
        self.none_removed = is_next && self.last.is_some_and(|last| last.has_as_many_removed(&now));
        let known = *self.last.get_or_insert(now);
        let known = if is_whole { now } else { known };
        self.last = Some(known);
        self.remembers = !self.makes_own_ids && known.has_ids_of_the_server();
        if !self.remembers {
            self.checkpoints.clear();
        }
    }

    /// What is kept of it once it went away.
    fn gone(&self) -> Gone {
        Gone { last: self.last, makes_own_ids: self.makes_own_ids, recreations: self.recreations }
    }

    /// It, or another one under its name, is there again: the reading shows which, if it can't be the same.
    fn back(Gone { last, makes_own_ids, recreations }: Gone) -> Self {
        Self { last, makes_own_ids, recreations, ..Self::default() }
    }

    /// The nearest position of a group that has been before everything behind it since the last reading.
    fn held_from(&self, stream: &StreamState) -> Option<StreamId> {
        let stayed = |name, group: &GroupState| self.groups.get(name).is_some_and(|it| it.went_on_to(group));
        let groups = stream.groups.iter().filter(|(name, group)| stayed(name, group));
        groups.map(|(_, group)| group.last_delivered_id).min()
    }

    /// Forgets all but what is counted: it is another stream.
    fn recreate(&mut self) {
        self.restart();
        self.recreations += u64::from(!self.may_be_behind);
    }

    /// Forgets what the counts of a reading refute: where more entries are behind a group than may be, it is not the
    /// stream that earlier polls saw.
    fn refute(&mut self, stream: &StreamState, answers: impl Fn(&Name) -> Option<GroupAnswers>) {
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
            self.recreate();
            self.last = last;
        }
    }

    fn restart(&mut self) {
        self.watch.restart();
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
                asked_at: group.asked_at,
                ..GroupHistory::default()
            };
        }
    }

    /// The nearest ID at or behind the group's position with a known number of entries behind it.
    pub(super) fn known_from(&self, stream: &StreamState, group: &GroupState) -> Option<Known> {
        let kept = self.checkpoints.first_holding(group.last_delivered_id, stream).and_then(|checkpoint| {
            Some(Known { id: checkpoint.id, entries_behind: checkpoint.entries_behind(stream)? })
        });
        kept.or(Some(Known { id: stream.last_generated_id?, entries_behind: 0 }))
    }

    /// What the group's position and earlier polls prove of its lag.
    pub(super) fn lag(&self, stream: &StreamState, group: &GroupState) -> Lag {
        match Lag::by_position(stream, group) {
            Lag::AtMost(bound) => {
                let most = self.checkpoints.most_behind(group.last_delivered_id, stream);
                Lag::AtMost(most.map_or(bound, |most| most.min(bound)))
            }
            exact @ Lag::Exactly(_) => exact,
        }
    }

    /// What the last sample of the group's pending entries told, where they are the same ones still.
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

    /// The first entry behind the group's position, where it is the one of the last poll and was not removed since.
    pub(super) fn first_after(
        &self,
        name: &Name,
        group: &GroupState,
        known: Option<Known>,
    ) -> Option<StreamId> {
        let delivered = group.last_delivered_id;
        let before = self.groups.get(name).filter(|before| before.delivered == delivered)?;
        // Nothing behind the position was removed if the number of entries behind it is still known, or if nothing was removed.
        let is_counted = known.is_some_and(|known| known.id == delivered);
        before.first_after.filter(|_| is_counted || (self.remembers && self.none_removed))
    }
}

impl History {
    /// The streams that it is worth to reread until the next poll: those of which others may soon remove entries that a group
    /// was not given.
    #[must_use]
    pub fn to_reread(&self) -> Vec<Name> {
        self.rereads.streams().cloned().collect()
    }

    /// Takes over what was read of them between two polls, from where the last poll was read.
    pub fn reread(&mut self, streams: &NameMap<StreamState>) {
        self.rereads.take(streams);
    }

    /// The sidecar itself removed this.
    pub fn hear(&mut self, removals: impl IntoIterator<Item = (Name, Removal)>) {
        for (stream, removal) in removals {
            if let Some(history) = self.streams.get_mut(&stream) {
                history.removals.hear(removal);
            }
        }
    }

    /// What is still to be asked to judge this reading, bounded by the configuration and by `most`. Begins the evaluation
    /// of the reading: it is to be called once, and before [`Self::evaluate`].
    #[must_use]
    pub fn questions(&mut self, snapshot: &Snapshot, config: &Config, most: usize) -> Questions {
        let is_same_server = snapshot.origin.is_same(&self.origin);
        self.origin.clone_from(&snapshot.origin);
        let connection = match snapshot.server.terms().reads_may_lag {
            _ if is_same_server => Connection::Same,
            true => Connection::NewAndBehind,
            false => Connection::New,
        };
        let time = snapshot.time.as_ref().ok().map(|now| now.time);
        let trims_the_middle = snapshot.server.may_trim_the_middle();
        let gone = self.streams.extract_if(.., |name, _| !snapshot.streams.contains_key(name));
        self.gone.extend(gone.map(|(name, history)| (name, history.gone())));
        self.gone.drain(..self.gone.len().saturating_sub(MOST_GONE));
        if connection == Connection::NewAndBehind {
            self.gone.clear();
        }
        for (name, state) in &snapshot.streams {
            let history = self.streams.entry(name.clone()).or_insert_with(|| {
                let back = self.gone.iter().position(|(gone, _)| gone == name);
                let back = back.and_then(|index| self.gone.remove(index));
                back.map(|(_, gone)| Box::new(StreamHistory::back(gone))).unwrap_or_default()
            });
            history.begin(state, time, connection, trims_the_middle);
        }
        self.polls = self.polls.wrapping_add(1);
        questions(&self.streams, snapshot, config, self.polls, most)
    }

    /// Draws from a reading and the answers what it means, and keeps what the next poll needs. `at` is when it was
    /// read, on a clock that only goes forward.
    #[must_use]
    pub fn evaluate(
        &mut self,
        snapshot: &Arc<Snapshot>,
        answers: &Answers,
        config: &Config,
        at: Duration,
    ) -> Arc<Report> {
        let window = config.status.window;
        let slot = self.ticks.advance(at, window);
        let consumer_pending_limit = snapshot.server.terms().consumer_pending;
        let moment = Moment { config, at: at.into(), ticks: &self.ticks, slot, consumer_pending_limit };
        let now = snapshot.time.as_ref().ok().copied();
        let last = self.last.take();
        let all = snapshot.streams.len();
        let (mut streams, mut verdicts) = (Vec::with_capacity(all), Vec::with_capacity(all));
        for (name, state) in &snapshot.streams {
            let history = self.streams.entry(name.clone()).or_default();
            let last_state = last.as_ref().and_then(|(last, _)| last.streams.get(name)?.as_ref().ok());
            let unread = if state.is_ok() { history.unread.take() } else { None };
            let last_state = last_state.or(unread.as_deref());
            let last_verdict = last.as_ref().and_then(|(_, last)| last.verdicts.get(name));
            let stream = match state {
                Ok(stream) => {
                    history.refute(stream, |group| answers.group(name, group));
                    let is_new = std::mem::take(&mut history.is_new);
                    let before = last_state.filter(|_| !is_new);
                    let seen = (&snapshot.server, self.rereads.remove(name));
                    let since = (now.map(|now| now.time), config.poll.interval);
                    let between = history.removals.until(stream, since, history.remembers, seen);
                    let poison_from = config.poison_from(name);
                    let (interval, poll) = (config.poll.interval, self.polls);
                    let judge = Judge { stream, before, between, now, interval, poison_from, poll };
                    Some(judge.judge(history, |group| answers.group(name, group)))
                }
                Err(_unread) => {
                    history.unread = last_state.cloned().map(Box::new).or(history.unread.take());
                    None
                }
            };
            history.is_near_loss &= state.is_ok();
            let is_expected = state.is_err() && config.expects(name);
            let (report, rule) = (stream.as_ref(), config.rule(name));
            let subject = Subject { state, report, rule, is_expected, last_state, last_verdict };
            verdicts.push((name.clone(), history.watch.judge(&subject, &moment)));
            streams.extend(stream.map(|stream| (name.clone(), stream)));
        }
        let near = self.streams.iter().filter(|(_, history)| history.is_near_loss).map(|(name, _)| name);
        self.rereads.begin(near, snapshot);
        let (streams, verdicts) = (streams.into_iter().collect(), verdicts.into_iter().collect());
        let report = Arc::new(Report { streams, verdicts, ticks: self.ticks.clone() });
        self.last = Some((Arc::clone(snapshot), Arc::clone(&report)));
        report
    }
}

#[cfg(test)]
#[path = "history_tests.rs"]
mod tests;
