//! Lives of a stream whose every loss is known, and what is told of them: bounds that hold at each poll, and no suspicion
//! where a stream is only short.

use std::{collections::BTreeMap, time::Duration};

use proptest::prelude::*;

use super::{History, Losses, Questions};
use crate::{
    config::{Config, Sources},
    model::{
        Answers, Counted, Finding, Flavour, GroupState, Lookup, Name, NameMap, Now, Origin, Removal, Server,
        ServerTime, Snapshot, StreamId, StreamState,
    },
};

const START_MS: u64 = 1_700_000_000_000;
const INTERVAL_MS: u64 = 5_000;

fn config() -> Config {
    let yaml = "redis: {uri: 'redis://h'}\npoll: {interval: 5s}";
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), yaml).unwrap();
    Sources { file: Some(file.path().to_owned()), ..Sources::default() }.load().unwrap()
}

/// A stream with a group, and what has happened to both.
struct World {
    history: History,
    config: Config,
    server: Server,
    now: u64,
    /// As times.
    entries: Vec<u64>,
    added: u64,
    last: u64,
    position: u64,
    /// The server's own count.
    entries_read: u64,
    /// Entries that went before they were delivered.
    lost: u64,
    polls: u64,
    /// The last ID at the last poll.
    last_then: u64,
}

impl World {
    fn on(version: (u16, u16, u16)) -> Self {
        Self {
            history: History::default(),
            config: config(),
            server: Server { flavour: Flavour::Redis, version: Some(version), ..Server::UNKNOWN },
            now: START_MS,
            entries: Vec::new(),
            added: 0,
            last: 0,
            position: 0,
            entries_read: 0,
            lost: 0,
            polls: 0,
            last_then: 0,
        }
    }

    /// Whether it is surely the stream of the last poll: something of then is there still.
    fn lives_on(&self) -> bool {
        let is_of_then = |id: u64| id > 0 && id <= self.last_then;
        is_of_then(self.last)
            || is_of_then(self.position)
            || self.entries.first().copied().is_some_and(is_of_then)
    }

    fn add(&mut self, entries: u64) {
        for _ in 0..entries {
            self.now += 1;
            self.entries.push(self.now);
            self.last = self.now;
            self.added += 1;
        }
    }

    fn read(&mut self, entries: usize) {
        let from = self.entries.partition_point(|entry| *entry <= self.position);
        let read = &self.entries[from..(from + entries).min(self.entries.len())];
        let Some(last) = read.last() else { return };
        let gone = self.added - self.entries.len() as u64;
        self.entries_read = match self.server.version {
            Some((7, ..)) => self.entries_read + read.len() as u64,
            _ => gone + (from + read.len()) as u64,
        };
        self.position = *last;
    }

    /// Trims by hand, or as the sidecar does.
    fn trim(&mut self, keep: usize, is_own: bool) {
        let gone = self.entries.len().saturating_sub(keep);
        let ever_before = self.added - self.entries.len() as u64;
        let lost = self.entries[..gone].iter().filter(|entry| **entry > self.position).count() as u64;
        self.entries.drain(..gone);
        self.lost += lost;
        if is_own && gone > 0 {
            let lost = [(Name::from("g"), lost)].into_iter().filter(|(_, lost)| *lost > 0).collect();
            let removal = Removal { ever_before, entries: gone as u64, lost };
            self.history.hear([(Name::from("s"), removal)]);
        }
    }

    fn snapshot(&self) -> Snapshot {
        let at = |ms: &u64| StreamId::new(*ms, 0);
        let read = Some(self.entries_read.cast_signed());
        let group = GroupState { entries_read: read, ..GroupState::at(at(&self.position)) };
        let stream = StreamState {
            last_generated_id: Some(at(&self.last)),
            max_deleted_entry_id: Some(StreamId::ZERO),
            entries_added: Some(self.added),
            first_entry_id: self.entries.first().map(at),
            first_entry_bytes: 10,
            groups: NameMap::from([("g".into(), group)]),
            ..StreamState::of_length(self.entries.len() as u64)
        };
        Snapshot {
            forbidden: 0,
            server: self.server.clone(),
            origin: Origin::default(),
            database: 0,
            time: Ok(Now::exactly(ServerTime(self.now))),
            streams: NameMap::from([("s".into(), Ok(stream))]),
            lengths: BTreeMap::new(),
            last_entries: BTreeMap::new(),
        }
    }

    /// One poll, with as many lookups answered as there may be.
    fn poll(&mut self, most: usize) -> Losses {
        let snapshot = self.snapshot();
        let questions = self.history.questions(&snapshot, &self.config, most);
        let answers = self.answers(questions);
        self.polls += 1;
        let at = Duration::from_millis(self.polls * INTERVAL_MS);
        let report = self.history.evaluate(&snapshot, &answers, &self.config, at);
        report.streams.get(&"s".into()).unwrap().groups.get(&"g".into()).unwrap().lost.unwrap()
    }

    /// A look between two polls.
    fn look(&mut self, most: usize) {
        let snapshot = self.snapshot();
        let questions = self.history.questions_of_some(&snapshot, &self.config, most);
        let answers = self.answers(questions);
        self.history.look(&snapshot, &answers, &self.config);
    }

    fn answers(&mut self, questions: Questions) -> Answers {
        self.last_then = self.last;
        let answer = |lookup| {
            let behind = |id: StreamId| self.entries.partition_point(|entry| *entry <= id.ms);
            match lookup {
                Lookup::Count { after, up_to, .. } => {
                    let counted = &self.entries[behind(after)..behind(up_to)];
                    let lowest = counted.first().map(|ms| StreamId::new(*ms, 0));
                    let entries = counted.len() as u64;
                    Finding::Counted(Counted { up_to, entries, lowest, is_complete: true })
                }
                Lookup::FirstAfter(after) => {
                    let first = self.entries.get(behind(after));
                    Finding::FirstAfter(first.map(|ms| StreamId::new(*ms, 0)))
                }
                Lookup::PendingFrom(_) | Lookup::PendingSample { .. } => Finding::Nothing,
            }
        };
        questions.asked.into_iter().map(|it| (it.stream, it.group, answer(it.lookup))).collect()
    }
}

#[derive(Debug, Clone)]
enum Op {
    Add(u64),
    Read(usize),
    Trim(usize),
    TrimByUs(usize),
    Poll(bool),
    Look(bool),
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let op = prop_oneof![
        3 => (1_u64..30).prop_map(Op::Add),
        3 => (1_usize..20).prop_map(Op::Read),
        1 => (0_usize..40).prop_map(Op::Trim),
        1 => (0_usize..40).prop_map(Op::TrimByUs),
        2 => prop::bool::weighted(0.9).prop_map(Op::Poll),
        1 => prop::bool::weighted(0.9).prop_map(Op::Look),
    ];
    prop::collection::vec(op, 1..60)
}

proptest! {
    #[test]
    fn what_is_told_bounds_what_was_lost(
        ops in ops(), only_ours: bool,
        version in prop_oneof![Just((7, 0, 15)), Just((8, 0, 2)), Just((8, 6, 3))],
    ) {
        let mut world = World::on(version);
        world.add(10);
        let (mut told, mut lost) = (world.poll(1_000), 0);
        // Since the last poll, that reading included.
        let (mut is_known, mut lives_on, mut is_exact) = (true, true, true);
        for op in ops {
            match op {
                Op::Add(entries) => world.add(entries),
                Op::Read(entries) => world.read(entries),
                Op::Trim(keep) if !only_ours => world.trim(keep, false),
                Op::Trim(keep) | Op::TrimByUs(keep) => world.trim(keep, true),
                Op::Look(is_asked) => {
                    lives_on &= world.lives_on();
                    world.look(if is_asked { 1_000 } else { 0 });
                    is_known &= is_asked;
                }
                Op::Poll(is_asked) => {
                    lives_on &= world.lives_on();
                    let now = world.poll(if is_asked { 1_000 } else { 0 });
                    let (truth, at_least) = (world.lost - lost, now.at_least - told.at_least);
                    let at_most = now.at_most - told.at_most;
                    prop_assert!(at_least <= truth && truth <= at_most, "{at_least} {truth} {at_most}");
                    // Lags that are not known leave room between both.
                    is_exact &= at_least == at_most;
                    let has_to_be = only_ours || (version.0 == 7 && is_known && is_asked && lives_on);
                    prop_assert!(!has_to_be || at_least == at_most, "{at_least} to {at_most}");
                    (told, lost, is_known, lives_on) = (now, world.lost, is_asked, true);
                }
            }
        }
        prop_assert!(!only_ours || (is_exact && told.at_least == lost));
    }
}

#[test]
fn an_hour_of_a_stream_that_holds_half_of_an_interval_raises_no_suspicion() {
    for version in [(7, 0, 15), (8, 6, 3)] {
        let mut world = World::on(version);
        for step in 0..36_000 {
            // 100 entries a second, each read 0.2 s later, and trimmed by each XADD.
            world.add(10);
            world.now += 90;
            world.read(if step % 97 == 0 { 0 } else { 20 });
            world.trim(250, false);
            if step % 50 == 0 {
                let told = world.poll(1_000);
                assert_eq!((told.at_least, told.suspected), (0, 0), "{version:?} {step}");
            }
        }
        assert_eq!(world.lost, 0);
    }
}

#[test]
fn a_trim_past_a_group_that_reads_on_is_told_or_suspected() {
    for (version, is_certain) in [((7, 0, 15), true), ((8, 6, 3), false)] {
        let mut world = World::on(version);
        world.add(5_000);
        world.now += 60_000;
        for step in 0..200 {
            world.read(10);
            world.now += 100;
            if step == 120 {
                world.trim(1_500, false);
            }
            if step % 50 == 0 {
                world.poll(1_000);
            }
        }
        let told = world.poll(1_000);
        assert_eq!(world.lost, 2_290);
        if is_certain {
            assert_eq!(told, Losses { at_least: 2_290, at_most: 2_290, suspected: 0 });
        } else {
            // What was delivered from the last poll to the trim may be among it.
            assert_eq!(told, Losses { at_least: 0, at_most: 2_490, suspected: 2_490 });
        }
    }
}

#[test]
fn a_step_that_a_reading_does_not_show_yet_counts_at_the_next() {
    let mut world = World::on((8, 6, 3));
    world.add(100);
    world.poll(1_000);
    let lost = Box::new([(Name::from("g"), 40)]);
    world.history.hear([(Name::from("s"), Removal { ever_before: 0, entries: 40, lost })]);
    assert_eq!(world.poll(1_000), Losses::default());
    world.trim(60, false);
    world.read(10);
    let told = Losses { at_least: 40, at_most: 40, suspected: 0 };
    assert_eq!((world.poll(1_000), world.poll(1_000)), (told, told), "exact, and once");
}

#[test]
fn looks_between_polls_tell_what_was_delivered_before_it_went() {
    // A hundred entries a second are added, read and trimmed, and the trim is 150 entries behind the group.
    let at_most = |looks: bool| {
        let mut world = World::on((8, 0, 2));
        world.add(4_000);
        world.read(150);
        for step in 0..300 {
            world.add(10);
            world.read(10);
            world.now += 90;
            world.trim(4_000, false);
            if step % 50 == 0 {
                world.poll(1_000);
            } else if looks && step % 10 == 0 && !world.history.near_losses(20).is_empty() {
                world.look(1_000);
            }
        }
        assert_eq!(world.lost, 0);
        world.poll(1_000).at_most
    };
    let (with, without) = (at_most(true), at_most(false));
    assert!(with < 500 && without > 1_500, "{with} with, {without} without");
}

#[test]
fn only_a_group_that_trims_of_others_may_reach_is_near_a_loss() {
    let near_on = |version: (u16, u16, u16), keep: usize, is_own: bool, read: usize| {
        let mut world = World::on(version);
        world.add(1_000);
        world.read(read);
        world.poll(1_000);
        world.trim(keep, is_own);
        world.poll(1_000);
        world.history.near_losses(20).len()
    };
    let near = |keep, is_own, read| near_on((8, 0, 2), keep, is_own, read);
    assert_eq!(near(950, false, 100), 1, "fifty are left, and fifty went");
    assert_eq!(near(950, false, 500), 0, "it is far");
    assert_eq!(near(950, false, 1_000), 0, "nothing waits");
    assert_eq!(near(1_000, false, 10), 0, "nothing went");
    assert_eq!(near(950, true, 100), 0, "what the sidecar removes it counts itself");
    assert_eq!(near_on((7, 0, 15), 950, false, 100), 0, "the server counts what is delivered");
    assert_eq!(near_on((8, 6, 3), 950, false, 100), 0, "entries may go from the middle");
}

#[test]
fn each_of_many_streams_near_a_loss_has_its_turn() {
    let mut world = World::on((8, 0, 2));
    world.add(100);
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..4 {
        let mut snapshot = world.snapshot();
        let stream = snapshot.streams.get(&"s".into()).unwrap().clone();
        snapshot.streams = (0..5).map(|it| (Name::from(format!("s{it}").as_str()), stream.clone())).collect();
        drop(world.history.questions(&snapshot, &world.config, 1_000));
        drop(world.history.evaluate(&snapshot, &Answers::default(), &world.config, Duration::ZERO));
        let near = world.history.near_losses(2);
        assert!(near.len() <= 2);
        seen.extend(near);
        world.trim(world.entries.len() - 1, false);
    }
    assert_eq!(seen.len(), 5);
}
