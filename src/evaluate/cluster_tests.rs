//! Hours of a stream in a cluster whose servers copy it late, fail over, and move its slot, in milliseconds: nothing false
//! is reported, and what became unknown is soon known again.

use std::time::Duration;

use nonmax::NonMaxU64;

use super::{
    GroupStatus, History, MOST_QUESTIONS,
    test_readings::{NOW_MS, begin, config, node, snapshot},
};
use crate::{
    config::Config,
    model::{
        Answers, ClusterState, ConsumerState, Counted, Failure, Finding, Flavour, GroupState, Lookup, Millis,
        Name, NameMap, Node, NodeIndex, Now, OldestPending, Origin, Pending, Question, Reason, Server,
        ServerTime, Snapshot, StreamId, StreamState,
    },
};

const NODES: usize = 3;
const INTERVAL: u64 = 15;
const STOPPED_AFTER: u64 = 120;
const STUCK_AFTER: u64 = 300;
const WINDOW: u64 = 300;
/// How far an idle time may be off: the seconds that a poll takes.
const SECONDS_OFF: u64 = 3;
const SEEDS: u64 = 30;
/// Two polls, and what they take.
const SOON: u64 = 3 * INTERVAL;

/// A server's copy of the stream. IDs are milliseconds.
#[derive(Clone, Default)]
struct Data {
    entries: Vec<u64>,
    last: u64,
    added: u64,
    position: u64,
    /// IDs.
    pending: Vec<u64>,
    worker: Option<Consumer>,
    /// A consumer that is never given an entry.
    other: Option<Consumer>,
}

#[derive(Clone, Copy)]
struct Consumer {
    seen: u64,
    active: Option<u64>,
    /// When it was last seen to do something that is replicated.
    replicated: Option<u64>,
}

/// What the consumers do.
#[derive(Clone, Copy, PartialEq)]
enum Mode {
    Fast,
    Slow,
    Dead,
}

struct World {
    random: fastrand::Rng,
    history: History,
    config: Config,
    second: u64,
    mode: Mode,
    mode_since: u64,
    /// The owner's copy, and what each of the last forty seconds left on its replica, the latest one last.
    copy: Data,
    replica: Vec<Data>,
    owner: usize,
    /// Entries that were ever removed before they were delivered.
    lost: u64,
    /// When the group last made progress or had nothing to do.
    moved_at: u64,
    /// When a reading last was of another server than the one before.
    changed_at: u64,
    /// The server of the last poll, and whether that has changed since the last reading.
    asked: usize,
    has_changed: bool,
    was_read: bool,
    last_status: GroupStatus,
    last_idle: Option<u64>,
    /// One in this many polls finds the stream on another server.
    rest: u64,
    seed: u64,
    counts: Counts,
}

#[derive(Debug, Default, Clone, Copy, PartialEq)]
struct Counts {
    polls: u64,
    read: u64,
    migrations: u64,
    failovers: u64,
    rolled_back: u64,
    missed: u64,
    dead_polls: u64,
    stopped_polls: u64,
}

fn id(ms: u64) -> StreamId {
    StreamId::new(ms, 0)
}

impl Data {
    fn behind(&self, id: u64) -> usize {
        self.entries.partition_point(|entry| *entry <= id)
    }

    fn lag(&self) -> u64 {
        (self.entries.len() - self.behind(self.position)) as u64
    }

    /// What is replicated: no read that returned nothing, and no consumer that was never given an entry.
    fn replicated(&self) -> Self {
        let worker = self.worker.and_then(|it| Some(Consumer { seen: it.replicated?, ..it }));
        Self { worker, other: None, ..self.clone() }
    }

    fn state(&self, time: u64) -> StreamState {
        let at = |ms: u64| Millis::new(time.saturating_sub(ms));
        let consumer = |name: &str, it: Option<Consumer>, pending: usize| {
            it.map(|it| ConsumerState {
                name: name.into(),
                pending: pending as u64,
                idle: Some(at(it.seen)),
                inactive: it.active.map(at),
            })
        };
        let consumers =
            [consumer("worker", self.worker, self.pending.len()), consumer("other", self.other, 0)];
        let consumers: Vec<ConsumerState> = consumers.into_iter().flatten().collect();
        let silent = |it: &ConsumerState| it.idle.max(it.inactive).unwrap_or_default().get();
        let stuck = consumers.iter().filter(|it| it.pending > 0 && silent(it) > 1_000 * STUCK_AFTER).count();
        let head =
            self.pending.first().map(|head| OldestPending { id: id(*head), idle: None, deliveries: 1 });
        let group = GroupState {
            pending: self.pending.len() as u64,
            oldest_pending: head.map_or(Pending::None, Pending::Oldest),
            consumer_count: consumers.len() as u64,
            least_idle: consumers.iter().filter_map(|it| it.idle).min(),
            stuck_consumers: NonMaxU64::new(stuck as u64),
            unlisted_pending: NonMaxU64::new(0),
            most_pending: NonMaxU64::new(self.pending.len() as u64),
            consumers: consumers.into(),
            ..GroupState::at(id(self.position))
        };
        StreamState {
            last_generated_id: Some(id(self.last)),
            max_deleted_entry_id: Some(StreamId::ZERO),
            entries_added: Some(self.added),
            first_entry_id: self.entries.first().map(|first| id(*first)),
            groups: NameMap::from([("g".into(), group)]),
            ..StreamState::of_length(self.entries.len() as u64)
        }
    }
}

impl World {
    fn new(seed: u64) -> Self {
        let mut world = Self {
            random: fastrand::Rng::with_seed(seed),
            history: History::default(),
            config: config("streams: [{match: s, groups: [g]}]"),
            second: 0,
            mode: Mode::Fast,
            mode_since: 0,
            copy: Data::default(),
            replica: Vec::new(),
            owner: 0,
            lost: 0,
            moved_at: 0,
            changed_at: 0,
            asked: 0,
            has_changed: false,
            was_read: false,
            last_status: GroupStatus::Unknown,
            last_idle: None,
            rest: [4, 12, 40][usize::try_from(seed % 3).unwrap()],
            seed,
            counts: Counts::default(),
        };
        for _ in 0..30 {
            world.pass();
        }
        world
    }

    const fn now(&self) -> u64 {
        NOW_MS + 1_000 * self.second
    }

    /// A second of the application's life.
    fn pass(&mut self) {
        self.second += 1;
        let now = self.now();
        for more in 0..self.random.u64(0..6) {
            self.copy.entries.push(now + more);
            self.copy.last = now + more;
            self.copy.added += 1;
        }
        if self.random.u64(0..400) == 0 {
            let mode = [Mode::Fast, Mode::Slow, Mode::Dead, Mode::Dead][self.random.usize(0..4)];
            if (mode == Mode::Dead) != (self.mode == Mode::Dead) {
                self.mode_since = self.second;
            }
            self.mode = mode;
        }
        let takes = match self.mode {
            Mode::Fast => 50,
            Mode::Slow => self.random.usize(0..4),
            Mode::Dead => 0,
        };
        if self.mode != Mode::Dead {
            self.consume(takes);
        }
        if self.seed.is_multiple_of(2) && self.random.u64(0..60) == 0 {
            let keep = self.random.usize(200..2_000);
            let gone = self.copy.entries.len().saturating_sub(keep);
            let position = self.copy.position;
            self.lost += self.copy.entries.drain(..gone).filter(|entry| *entry > position).count() as u64;
        }
        if self.copy.lag() == 0 && self.copy.pending.is_empty() {
            self.moved_at = self.second;
        }
        self.replica.push(self.copy.replicated());
        if self.replica.len() > 40 {
            self.replica.remove(0);
        }
    }

    fn consume(&mut self, takes: usize) {
        let now = self.now();
        let from = self.copy.behind(self.copy.position);
        let until = (from + takes).min(self.copy.entries.len());
        let copy = &mut self.copy;
        // What was delivered a second ago is acknowledged now.
        let was_active = !copy.pending.is_empty() || until > from;
        copy.pending = copy.entries[from..until].to_vec();
        copy.position = copy.pending.last().copied().unwrap_or(copy.position);
        let idle = Consumer { seen: now, active: None, replicated: None };
        let worker = Consumer { seen: now, ..copy.worker.unwrap_or(idle) };
        let active = Consumer { active: Some(now), replicated: Some(now), ..idle };
        copy.worker = Some(if was_active { active } else { worker });
        copy.other = Some(idle);
        if was_active {
            self.moved_at = self.second;
        }
    }

    /// The slot moves, as it does on Redis or on Valkey, or its primary fails.
    fn change(&mut self) {
        // Of what was before the first reading nothing is known.
        if self.counts.read == 0 {
            return;
        }
        // There and back again between two polls leaves no trace.
        let others = (0..NODES).filter(|node| *node != self.owner && *node != self.asked);
        let others: Vec<usize> = others.collect();
        self.owner = others[self.random.usize(0..others.len())];
        match self.random.usize(0..4) {
            0 => {
                self.counts.migrations += 1;
            }
            1 => {
                self.counts.migrations += 1;
                let now = self.now();
                for consumer in [&mut self.copy.worker, &mut self.copy.other].into_iter().flatten() {
                    let replicated = consumer.replicated.map(|_| now);
                    *consumer = Consumer { seen: now, active: None, replicated };
                }
            }
            _ => {
                self.counts.failovers += 1;
                let kept = self.random.usize(0..self.replica.len());
                self.counts.rolled_back += u64::from(self.replica[kept].added < self.copy.added);
                self.copy = self.replica[kept].clone();
                self.replica.truncate(kept + 1);
            }
        }
    }

    /// The reading of a poll, and the owner that it found.
    fn snapshot(&mut self) -> (Snapshot, bool) {
        let time = self.now();
        // Some time passes between the clock and the stream, and its owner may change in it.
        if self.random.bool() {
            self.pass();
            if self.random.u64(0..self.rest) == 0 {
                self.change();
            }
        }
        let mut order: Vec<usize> = (0..NODES).collect();
        self.random.shuffle(&mut order);
        let of = |name: &usize| Node {
            address: name.to_string().as_str().into(),
            server: Server { flavour: Flavour::Valkey, version: Some((9, 1, 2)), ..Server::UNKNOWN },
            origin: Origin { connection: 1 + *name as u64, process: Some(name.to_string()) },
            time: Ok(Now::exactly(ServerTime(time))),
            ..node()
        };
        let failed = |reason| Err(Failure::new(reason, ""));
        let at =
            order.iter().position(|name| *name == self.owner).and_then(|at| NodeIndex::try_from(at).ok());
        let (state, place) = match self.random.u64(0..20) {
            0 => (failed(Reason::ClusterDown), None),
            1 => (failed(Reason::Unreachable), at),
            2 if self.was_read => (failed(Reason::NoKey), at),
            _ => (Ok(self.copy.state(time)), at),
        };
        if place.is_some() {
            self.has_changed |= std::mem::replace(&mut self.asked, self.owner) != self.owner;
        }
        let is_read = state.is_ok();
        let cluster = ClusterState { unserved_slots: 0, topology_age: Duration::ZERO, slots: Box::default() };
        let snapshot = Snapshot {
            nodes: order.iter().map(of).collect(),
            placement: Box::new([place.unwrap_or(NodeIndex::MAX)]),
            cluster: Some(Box::new(cluster)),
            ..snapshot([("s".into(), state)])
        };
        (snapshot, is_read)
    }

    fn answer(&self, question: &Question) -> (Name, Name, Finding) {
        let there = &self.copy.entries;
        let finding = match question.lookup {
            Lookup::Count { after, up_to, .. } => {
                let counted = &there[self.copy.behind(after.ms)..self.copy.behind(up_to.ms)];
                let lowest = counted.first().map(|first| id(*first));
                let entries = counted.len() as u64;
                Finding::Counted(Counted { up_to, entries, lowest, is_complete: true })
            }
            Lookup::FirstAfter(after) => {
                Finding::FirstAfter(there.get(self.copy.behind(after.ms)).map(|first| id(*first)))
            }
            Lookup::PendingFrom(_) | Lookup::PendingSample { .. } => Finding::Nothing,
        };
        (question.stream.clone(), question.group.clone(), finding)
    }

    fn poll(&mut self) {
        let (snapshot, is_read) = self.snapshot();
        self.was_read = is_read;
        self.counts.polls += 1;
        let config = self.config.clone();
        let mut history = std::mem::take(&mut self.history);
        let open = begin(&mut history, snapshot, &config, MOST_QUESTIONS);
        let answers: Answers = open.asked().iter().map(|question| self.answer(question)).collect();
        let (snapshot, report) = open.finish(&answers, Duration::from_secs(self.second));
        self.history = history;
        let verdict = report.streams.get(&"s".into()).unwrap();
        let group = verdict.groups.get(&"g".into()).unwrap();
        assert_ne!(group.status, GroupStatus::Missing, "{}", self.story());
        if !is_read {
            self.counts.missed += 1;
            assert_eq!(group.status, GroupStatus::Unknown, "{}", self.story());
            return;
        }
        self.counts.read += 1;
        if std::mem::take(&mut self.has_changed) {
            self.changed_at = self.second;
        }
        let read = group.read.as_ref().unwrap();
        let claimed = (verdict.read.unwrap().recreations, read.rewinds, read.dropped.map_or(0, u64::from));
        assert_eq!(claimed, (0, 0, 0), "{}", self.story());
        assert_eq!(read.lag.known(), Some(self.copy.lag()), "{}", self.story());
        let losses = read.lost.unwrap();
        assert!(losses.at_least <= self.lost, "{losses:?}, {}: {}", self.lost, self.story());
        let Some(Ok(state)) = snapshot.streams.get(&"s".into()) else { panic!("{}", self.story()) };
        self.check(group.status, state.groups.get(&"g".into()).unwrap());
    }

    /// Compares the numbers of the consumers with what they do.
    fn check(&mut self, status: GroupStatus, group: &GroupState) {
        let (mode_for, changed_for) = (self.second - self.mode_since, self.second - self.changed_at);
        let is_unusual =
            matches!(status, GroupStatus::Stopped | GroupStatus::NoConsumers | GroupStatus::TrimmedPast);
        let lag = self.copy.lag();
        let idle = group.least_idle.map(|idle| idle.duration().as_secs());
        let stuck = group.stuck_consumers.map(u64::from);
        let is_dead = self.mode == Mode::Dead;
        self.counts.dead_polls += u64::from(is_dead);
        self.counts.stopped_polls += u64::from(is_dead && status == GroupStatus::Stopped);
        let what = || {
            let said = format!("{status:?}, idle for {idle:?}, {stuck:?} stuck");
            format!(
                "{said}, {mode_for} s after life or death, {changed_for} s after a change: {}",
                self.story()
            )
        };
        if is_dead {
            let waited = self.second - self.moved_at.max(self.mode_since);
            let is_waiting = lag > 0 || group.pending > 0;
            assert!(!is_waiting || waited < WINDOW + SOON || status != GroupStatus::Ok, "{}", what());
            let was_stopped = matches!(self.last_status, GroupStatus::Stopped | GroupStatus::NoConsumers);
            assert!(is_unusual || !was_stopped || mode_for < SOON || lag == 0, "{}", what());
            let must = mode_for.min(changed_for) > STOPPED_AFTER + 2 * SOON && mode_for > 2 * STOPPED_AFTER;
            assert!(is_unusual || !must || lag == 0, "{}", what());
            // A dead consumer never seems to be alive.
            assert!(idle.is_none_or(|idle| idle + SECONDS_OFF >= mode_for.min(STOPPED_AFTER)), "{}", what());
            let is_stuck = group.pending > 0 && mode_for > STUCK_AFTER + SOON;
            assert!(!is_stuck || stuck != Some(0), "{}", what());
        } else if mode_for > SOON
            && (changed_for > SOON || self.last_idle.is_none_or(|idle| idle <= SECONDS_OFF))
        {
            assert!(!matches!(status, GroupStatus::Stopped | GroupStatus::NoConsumers), "{}", what());
            assert_ne!(status, GroupStatus::Stalled, "{}", what());
            assert!(stuck.is_none_or(|stuck| stuck == 0), "{}", what());
            assert!(idle.is_none_or(|idle| idle <= SECONDS_OFF), "{}", what());
            assert!(changed_for <= SOON || (idle.is_some() && stuck.is_some()), "{}", what());
        }
        (self.last_status, self.last_idle) = (status, idle);
    }

    fn story(&self) -> String {
        let Data { position, last, worker, other, .. } = &self.copy;
        let ago = |ms: u64| self.now().saturating_sub(ms) / 1_000;
        let seen = [worker, other].map(|it| it.map(|it| (ago(it.seen), it.active.map(ago))));
        let Self { seed, second, counts, .. } = self;
        let lag = self.copy.lag();
        let (position, last) = (ago(*position), ago(*last));
        format!("seed {seed}, second {second}, lag {lag}, {position}, {last}, {seen:?}, {counts:?}")
    }
}

#[test]
fn nothing_false_is_said_of_a_stream_that_moves_and_what_is_unknown_is_soon_known_again() {
    let mut all = Counts::default();
    for seed in 0..SEEDS {
        let mut world = World::new(seed);
        for _ in 0..400 {
            for _ in 0..INTERVAL {
                world.pass();
            }
            if world.random.u64(0..world.rest) == 0 {
                world.change();
            }
            world.poll();
        }
        all += world.counts;
    }
    println!("{all:?}");
    let Counts { polls, read, dead_polls, stopped_polls, rolled_back, .. } = all;
    assert!(read * 10 > polls * 8 && stopped_polls * 5 > dead_polls && rolled_back > 500, "{all:?}");
}

impl std::ops::AddAssign for Counts {
    fn add_assign(&mut self, more: Self) {
        self.polls += more.polls;
        self.read += more.read;
        self.migrations += more.migrations;
        self.failovers += more.failovers;
        self.rolled_back += more.rolled_back;
        self.missed += more.missed;
        self.dead_polls += more.dead_polls;
        self.stopped_polls += more.stopped_polls;
    }
}
