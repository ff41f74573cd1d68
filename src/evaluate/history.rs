//! What is kept between polls. It is bounded, and dropped when it may no longer hold.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use super::{
    judge::Judge,
    losses::Until,
    memory::MemoryHistory,
    moment::Moment,
    questions::{Questions, questions},
    report::{GroupReport, Report, StreamReport},
    rereads::{Rereads, Trail},
    second_look::look_again,
    series::Ticks,
    sources::{Source, Sources},
    stream_history::{Gone, StreamHistory},
    stream_tracker::Subject,
    takeover::without_old_counts,
};
use crate::{
    config::{Config, Thresholds, Watched, Watchlist},
    model::{
        Answers, InOrder, Name, NameMap, Node, NodeIndex, Question, Removal, Role, Snapshot, StreamState,
        Weights,
    },
};

/// Number of removed streams that are remembered, the latest ones.
const MOST_GONE: usize = 1_000;

/// The streams as of earlier polls.
#[derive(Debug, Clone, Default)]
pub struct History {
    /// The sources of the last reading.
    sources: Vec<Source>,
    // Boxed, since a growing map reserves nearly twice as much room.
    streams: BTreeMap<Name, Box<StreamHistory>>,
    /// The last judged reading and its report. They take no extra memory, since they are shown until the next ones
    /// exist.
    pub(super) last: Option<(Arc<Snapshot>, Arc<Report>)>,
    /// Removed streams that the configuration does not name. If such a name appears again, it may be another stream.
    gone: VecDeque<(Name, Gone)>,
    polls: usize,
    ticks: Ticks,
    rereads: Rereads,
    memory: MemoryHistory,
}

/// A reading and its open questions. Only the answers turn it into a report.
///
/// A reading that is dropped, because the questions could not be asked, was compared with earlier ones but not
/// judged. The next reading is judged against the last one that was finished.
pub struct OpenReading<'a> {
    history: &'a mut History,
    snapshot: Snapshot,
    config: &'a Config,
    watchlist: Watchlist,
    questions: Questions,
}

impl OpenReading<'_> {
    /// The questions. Each takes one command.
    #[must_use]
    pub fn asked(&self) -> &[Question] {
        &self.questions.asked
    }

    /// The approximate number of questions beyond the limit.
    #[must_use]
    pub const fn skipped(&self) -> usize {
        self.questions.skipped
    }

    /// The complete reading and its report. `at` is its time on a monotonic clock.
    #[must_use]
    pub fn finish(self, answers: &Answers, at: Duration) -> (Arc<Snapshot>, Arc<Report>) {
        let Self { history, mut snapshot, config, watchlist, questions } = self;
        // Frees memory before more is allocated.
        drop(questions);
        snapshot.add_pending_heads(answers);
        history.judge(snapshot, answers, config, &watchlist, at)
    }
}

impl History {
    /// The streams to read again before the next poll: those from which others may soon remove undelivered entries.
    #[must_use]
    pub fn to_reread(&self) -> Vec<Name> {
        self.rereads.streams().cloned().collect()
    }

    /// Applies readings of these streams between two polls. They must be from the same server as the last poll.
    pub fn reread(&mut self, streams: &NameMap<StreamState>) {
        self.rereads.take(streams);
    }

    /// Records removals by the sidecar itself.
    pub fn record_removals(&mut self, removals: impl IntoIterator<Item = (Name, Removal)>) {
        for (stream, removal) in removals {
            if let Some(history) = self.streams.get_mut(&stream) {
                history.removals.record(removal);
            }
        }
    }

    /// Records what Redis last answered about the memory of streams.
    pub fn record_weights(&mut self, weights: Arc<Weights>) {
        self.memory.weights = weights;
    }

    /// Records how many pending entries of each stream the sidecar itself has acknowledged so far, to set them aside.
    pub fn record_set_aside<'a>(&mut self, all: impl IntoIterator<Item = (&'a Name, u64)>) {
        for (stream, total) in all {
            if let Some(history) = self.streams.get_mut(stream) {
                history.tracker.set_aside.record(total);
            }
        }
    }

    /// Begins to evaluate a reading. Determines the open questions, limited by the configuration and by `most`.
    pub fn begin<'a>(
        &'a mut self,
        mut snapshot: Snapshot,
        config: &'a Config,
        watchlist: &Watchlist,
        most: usize,
    ) -> OpenReading<'a> {
        if snapshot.cluster.is_some() {
            look_again(&mut self.streams, &mut snapshot, watchlist);
        }
        self.compare(&snapshot);
        let questions = questions(&self.streams, &snapshot, config, watchlist, self.polls, most);
        OpenReading { history: self, snapshot, config, watchlist: watchlist.clone(), questions }
    }

    /// Drops what the reading contradicts.
    fn compare(&mut self, snapshot: &Snapshot) {
        let sources = snapshot.nodes.iter().map(Source::new).collect();
        let before = std::mem::replace(&mut self.sources, sources);
        // Copies are made asynchronously: by a service that answers from any copy, and by a cluster.
        let reads_may_lag = snapshot.server().terms().reads_may_lag;
        let sources = Sources::new(&self.sources, &before, reads_may_lag || snapshot.cluster.is_some());
        let mut read = InOrder::new(&snapshot.streams);
        let gone = self.streams.extract_if(.., |name, _| read.get(name).is_none());
        self.gone.extend(gone.map(|(name, history)| (name, history.gone())));
        self.gone.drain(..self.gone.len().saturating_sub(MOST_GONE));
        if reads_may_lag && sources.any_is_new() {
            self.gone.clear();
        }
        let mut known = InOrder::new(&self.streams);
        let new: Vec<Name> =
            snapshot.streams.keys().filter(|name| known.get(name).is_none()).cloned().collect();
        for name in new {
            let index = self.gone.iter().position(|(gone, _)| *gone == name);
            let history = match index.and_then(|index| self.gone.remove(index)) {
                Some((_, gone)) => Box::new(StreamHistory::back(gone)),
                None => Box::default(),
            };
            self.streams.insert(name, history);
        }
        // From here on both have the same streams in the same order.
        let states = snapshot.streams.values().zip(snapshot.nodes_of_streams());
        for ((state, index), history) in states.zip(self.streams.values_mut()) {
            let (index, change) = sources.of(index, history.node);
            history.node = Some(index);
            let node = snapshot.node(index);
            let time = node.and_then(|node| node.time.as_ref().ok()).map(|now| now.time);
            let trims_the_middle = node.is_none_or(|node| node.server.may_trim_the_middle());
            history.begin(state, time, change, trims_the_middle);
        }
        for (_, gone) in &mut self.gone {
            gone.follow(&sources);
        }
        self.polls = self.polls.wrapping_add(1);
    }

    /// Computes the report from a reading and the answers, and keeps what the next poll needs.
    fn judge(
        &mut self,
        mut snapshot: Snapshot,
        answers: &Answers,
        config: &Config,
        watchlist: &Watchlist,
        at: Duration,
    ) -> (Arc<Snapshot>, Arc<Report>) {
        let slot = self.ticks.advance(at, config.status.window);
        let consumer_pending_limit = snapshot.server().terms().consumer_pending;
        let missing_after = config.status.settle;
        let moment =
            Moment { config, at: at.into(), ticks: &self.ticks, slot, missing_after, consumer_pending_limit };
        let evidence = Evidence { answers, config, poll: self.polls };
        let last = self.last.take();
        let mut last_states = InOrder::new(last.iter().flat_map(|(last, _)| &last.streams));
        let mut last_verdicts = InOrder::new(last.iter().flat_map(|(_, last)| &last.streams));
        let mut watchlist = watchlist.in_order();
        let mut streams = Vec::with_capacity(snapshot.streams.len());
        let places: Vec<NodeIndex> = snapshot.nodes_of_streams().collect();
        let Snapshot { streams: states, nodes, .. } = &mut snapshot;
        for (((name, state), place), history) in states.iter_mut().zip(places).zip(self.streams.values_mut())
        {
            let last_state = last_states.get(name).and_then(|state| state.as_ref().ok());
            let unread = if state.is_ok() { history.unread.take() } else { None };
            let last_state = last_state.or(unread.as_deref());
            let watched = watchlist.get(name);
            let (report, reports) = match state.as_ref().ok().zip(nodes.get(usize::from(place))) {
                Some((stream, node)) => {
                    let trail = self.rereads.remove(name);
                    let poison_from = watched.map_or(Thresholds::DELIVERIES, Watched::poison_from);
                    let state = Read { name, stream, node, last_state, trail, poison_from };
                    let (report, reports) = evidence.report(state, history);
                    (Some(report), reports)
                }
                None => {
                    history.unread = last_state.cloned().map(Box::new).or(history.unread.take());
                    (None, Vec::new())
                }
            };
            history.is_near_loss &= state.is_ok();
            let node = nodes.get(usize::from(place));
            let is_of_replica = node.and_then(|node| node.server.role).is_some_and(Role::is_replica);
            if let Ok(stream) = state {
                let time = node.and_then(|node| Some(node.time.as_ref().ok()?.time));
                history.tracker.correct(stream, last_state, time, is_of_replica, &moment);
                without_old_counts(stream, node);
            }
            let subject = Subject {
                state,
                report,
                rule: watched.and_then(|watched| watched.rule.as_deref()),
                is_expected: state.is_err() && watched.is_some_and(|watched| watched.is_expected),
                last_state,
                may_be_behind: history.may_be_behind,
                is_of_replica,
                last_verdict: last_verdicts.get(name),
            };
            streams.push((name.clone(), history.tracker.judge(&subject, reports, &moment)));
        }
        let near = self.streams.iter().filter(|(_, history)| history.is_near_loss).map(|(name, _)| name);
        self.rereads.begin(near, &snapshot);
        let nodes = self.memory.note(&snapshot, &mut streams, config.memory.growth_after, at);
        let snapshot = Arc::new(snapshot);
        let ticks = self.ticks.clone();
        let report = Arc::new(Report { streams: streams.into_iter().collect(), ticks, nodes });
        self.last = Some((Arc::clone(&snapshot), Arc::clone(&report)));
        (snapshot, report)
    }
}

/// A stream that could be read.
struct Read<'a> {
    name: &'a Name,
    stream: &'a StreamState,
    /// The server that it was read from.
    node: &'a Node,
    last_state: Option<&'a StreamState>,
    /// Observations since the last poll.
    trail: Option<Trail>,
    poison_from: u64,
}

/// The input for all streams of a reading.
struct Evidence<'a> {
    answers: &'a Answers,
    config: &'a Config,
    poll: usize,
}

impl Evidence<'_> {
    /// The report of a stream, and those of its groups, in their order.
    fn report(&self, read: Read<'_>, history: &mut StreamHistory) -> (StreamReport, Vec<GroupReport>) {
        let Read { name, stream, node, last_state, trail, poison_from } = read;
        let answers = |group: &Name| self.answers.group(name, group);
        let now = node.time.as_ref().ok().copied();
        history.refute(stream, now.map(|now| now.time), answers);
        let is_new =
            std::mem::take(&mut history.is_new) || !history.tracker.has_settled(self.config.poll.interval);
        let ids_prove = history.remembers;
        let interval = self.config.poll.interval;
        let between = history.removals.until(Until {
            stream,
            time: now.map(|now| now.time),
            server: &node.server,
            ids_prove,
            trail,
            interval,
        });
        let judge = Judge {
            stream,
            before: last_state.filter(|_| !is_new),
            counts_losses: ids_prove && between.is_some(),
            between,
            now,
            interval,
            poison_from,
            poll: self.poll,
        };
        judge.judge(history, answers)
    }
}

#[cfg(test)]
#[path = "history_tests.rs"]
mod tests;
