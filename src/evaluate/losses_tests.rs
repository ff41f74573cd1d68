//! Simulated streams whose losses are all known, and what is reported of them: bounds that hold at each poll, and no
//! suspicion if a stream is only short.

use std::time::Duration;

use proptest::prelude::*;

use super::{
    GroupStatus, History, Losses,
    test_readings::{begin, config, node, snapshot},
};
use crate::{
    config::Config,
    model::{
        Answers, Counted, Failure, Finding, Flavour, GroupState, Lookup, Name, NameMap, Node, Now, Origin,
        Reason, Removal, Server, ServerTime, Snapshot, StreamId, StreamState,
    },
};

const START_MS: u64 = 1_700_000_000_000;
const INTERVAL_MS: u64 = 5_000;

/// A stream with a group, and the history of both.
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
    /// Whether the server knows that count.
    counts: bool,
    /// The greatest deleted ID.
    deleted: u64,
    /// Removals by the sidecar.
    connection: u64,
    /// Entries that were removed before they were delivered.
    lost: u64,
    polls: u64,
    /// The last ID at the last poll.
    last_then: u64,
    /// The group's position at the last poll.
    status: Option<GroupStatus>,
}

impl World {
    fn on(version: (u16, u16, u16)) -> Self {
        Self {
            history: History::default(),
            config: config("poll: {interval: 5s}"),
            server: Server { flavour: Flavour::Redis, version: Some(version), ..Server::UNKNOWN },
            now: START_MS,
            entries: Vec::new(),
            added: 0,
            last: 0,
            position: 0,
            entries_read: 0,
            counts: true,
            deleted: 0,
            connection: 0,
            lost: 0,
            polls: 0,
            last_then: 0,
            status: None,
        }
    }

    /// Whether it is certainly the stream of the last poll: something of then still exists.
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
            self.history.record_removals([(Name::from("s"), removal)]);
        }
    }

    /// Deletes one entry. If that was ahead of the group, the server no longer knows how many it has delivered.
    fn delete(&mut self, share: u8) {
        if self.entries.is_empty() {
            return;
        }
        let entry = self.entries.remove(self.entries.len() * usize::from(share) / 256);
        self.deleted = self.deleted.max(entry);
        self.lost += u64::from(entry > self.position);
        self.counts &= entry <= self.position;
    }

    fn snapshot(&self) -> Snapshot {
        let at = |ms: &u64| StreamId::new(*ms, 0);
        let read = self.counts.then(|| self.entries_read.cast_signed());
        let group = GroupState { entries_read: read, ..GroupState::at(at(&self.position)) };
        let stream = StreamState {
            last_generated_id: Some(at(&self.last)),
            max_deleted_entry_id: Some(at(&self.deleted)),
            entries_added: Some(self.added),
            first_entry_id: self.entries.first().map(at),
            first_entry_bytes: 10,
            groups: NameMap::from([("g".into(), group)]),
            ..StreamState::of_length(self.entries.len() as u64)
        };
        Snapshot {
            nodes: vec![Node {
                server: self.server.clone(),
                origin: Origin { connection: self.connection, ..Origin::default() },
                time: Ok(Now::exactly(ServerTime(self.now))),
                ..node()
            }],
            ..snapshot([("s".into(), Ok(stream))])
        }
    }

    /// Between two polls.
    fn reread(&mut self) {
        let streams = self.snapshot().streams;
        let is_chosen = |name: &Name| self.history.to_reread().contains(name);
        let read = streams.iter().filter(|(name, _)| is_chosen(name));
        let read = read.map(|(name, state)| (name.clone(), state.clone().unwrap())).collect();
        self.history.reread(&read);
    }

    /// A poll that can't read the stream for this reason.
    fn poll_without(&mut self, reason: Reason) {
        let mut snapshot = self.snapshot();
        *snapshot.streams.iter_mut().next().unwrap().1 = Err(Failure::new(reason, ""));
        self.polls += 1;
        let at = Duration::from_millis(self.polls * INTERVAL_MS);
        drop(begin(&mut self.history, snapshot, &self.config, 1_000).finish(&Answers::default(), at));
    }

    /// A poll with at most this many lookups answered.
    fn poll(&mut self, most: usize) -> Losses {
        let snapshot = self.snapshot();
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
        let open = begin(&mut self.history, snapshot, &self.config, most);
        let asked = open.asked().iter();
        let answers = asked.map(|it| (it.stream.clone(), it.group.clone(), answer(it.lookup))).collect();
        self.polls += 1;
        self.last_then = self.last;
        let at = Duration::from_millis(self.polls * INTERVAL_MS);
        let (_, report) = open.finish(&answers, at);
        self.status = report.streams.get(&"s".into()).unwrap().groups.get(&"g".into()).map(|it| it.status);
        report.streams.get(&"s".into()).unwrap().group(&"g".into()).unwrap().lost.unwrap()
    }
}

#[derive(Debug, Clone)]
enum Op {
    Add(u64),
    Read(usize),
    Trim(usize),
    TrimByUs(usize),
    /// After a share of 256 of the stream.
    Delete(u8),
    Poll(bool),
    Reread,
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let op = prop_oneof![
        3 => (1_u64..30).prop_map(Op::Add),
        3 => (1_usize..20).prop_map(Op::Read),
        1 => (0_usize..40).prop_map(Op::Trim),
        1 => (0_usize..40).prop_map(Op::TrimByUs),
        1 => any::<u8>().prop_map(Op::Delete),
        2 => prop::bool::weighted(0.9).prop_map(Op::Poll),
        2 => Just(Op::Reread),
    ];
    prop::collection::vec(op, 1..60)
}

proptest! {
    #[test]
    fn reported_bounds_include_the_losses(
        ops in ops(), only_ours: bool,
        version in prop_oneof![Just((7, 0, 15)), Just((8, 0, 2)), Just((8, 6, 3))],
        counts: bool,
    ) {
        let counts = counts || version.0 == 7;
        let mut world = World { counts, ..World::on(version) };
        world.add(10);
        let (mut actual, mut lost) = (world.poll(1_000), 0);
        let (mut is_known, mut is_exact) = (true, true);
        for op in ops {
            match op {
                Op::Add(entries) => world.add(entries),
                Op::Read(entries) => world.read(entries),
                Op::Trim(keep) if !only_ours => world.trim(keep, false),
                Op::Trim(keep) | Op::TrimByUs(keep) => world.trim(keep, true),
                Op::Delete(share) if !only_ours => world.delete(share),
                Op::Delete(_) => {}
                Op::Reread => world.reread(),
                Op::Poll(is_asked) => {
                    let lives_on = world.lives_on();
                    let now = world.poll(if is_asked { 1_000 } else { 0 });
                    let (truth, at_least) = (world.lost - lost, now.at_least - actual.at_least);
                    let at_most = now.at_most - actual.at_most;
                    prop_assert!(at_least <= truth && truth <= at_most, "{at_least} {truth} {at_most}");
                    // Unknown lags leave a difference between the bounds.
                    is_exact &= at_least == at_most;
                    let has_to_be = only_ours || (version.0 == 7 && world.deleted == 0 && is_known && is_asked && lives_on);
                    prop_assert!(!has_to_be || at_least == at_most, "{at_least} to {at_most}");
                    (actual, lost, is_known) = (now, world.lost, is_asked);
                }
            }
        }
        prop_assert!(!only_ours || (is_exact && actual.at_least == lost));
    }
}

#[test]
fn an_hour_of_a_stream_shorter_than_an_interval_raises_no_suspicion() {
    for version in [(7, 0, 15), (8, 6, 3)] {
        let mut world = World::on(version);
        for step in 0..36_000 {
            // 100 entries a second, each read 0.2 s later, and trimmed by each XADD.
            world.add(10);
            world.now += 90;
            world.read(if step % 97 == 0 { 0 } else { 20 });
            world.trim(250, false);
            if step % 50 == 0 {
                let actual = world.poll(1_000);
                assert_eq!((actual.at_least, actual.suspected), (0, 0), "{version:?} {step}");
            }
        }
        assert_eq!(world.lost, 0);
    }
}

#[test]
fn a_trim_past_a_group_that_reads_is_reported_or_suspected() {
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
        let actual = world.poll(1_000);
        assert_eq!(world.lost, 2_290);
        if is_certain {
            assert_eq!(actual, Losses { at_least: 2_290, at_most: 2_290, suspected: 0 });
        } else {
            // It may include what was delivered between the last poll and the trim.
            assert_eq!(actual, Losses { at_least: 0, at_most: 2_490, suspected: 2_490 });
        }
    }
}

#[test]
fn a_step_that_a_reading_does_not_include_yet_counts_at_the_next() {
    let mut world = World::on((8, 6, 3));
    world.add(100);
    world.poll(1_000);
    let lost = Box::new([(Name::from("g"), 40)]);
    world.history.record_removals([(Name::from("s"), Removal { ever_before: 0, entries: 40, lost })]);
    assert_eq!(world.poll(1_000), Losses::default());
    world.trim(60, false);
    world.read(10);
    let actual = Losses { at_least: 40, at_most: 40, suspected: 0 };
    assert_eq!((world.poll(1_000), world.poll(1_000)), (actual, actual), "exact, and once");
}

#[test]
fn a_doubt_outlives_a_reading_whose_lookups_fail() {
    let mut world = World::on((7, 0, 15));
    world.add(100);
    world.poll(1_000);
    // It may be another stream, and that reading is not completed.
    world.trim(0, false);
    world.add(50);
    let snapshot = world.snapshot();
    drop(begin(&mut world.history, snapshot, &world.config, 1_000));
    let actual = world.poll(1_000);
    assert_eq!((actual.at_least, actual.at_most), (0, 100));
}

#[test]
fn rereads_show_what_was_delivered_before_it_was_removed() {
    // A hundred entries a second are added, read and trimmed. The trim is 150 entries behind the group.
    let at_most = |rereads: bool, counts: bool| {
        let mut world = World { counts, ..World::on((8, 0, 2)) };
        world.add(4_000);
        world.read(150);
        for step in 0..300 {
            world.add(10);
            world.read(10);
            world.now += 90;
            world.trim(4_000, false);
            if step % 50 == 0 {
                world.poll(1_000);
            } else if rereads && step % 10 == 0 {
                world.reread();
            }
        }
        assert_eq!(world.lost, 0);
        world.poll(1_000).at_most
    };
    // The first interval shows that trims are close.
    let (with, without) = (at_most(true, true), at_most(false, true));
    assert!(with < 500 && without > 1_500, "{with} with, {without} without");
    assert_eq!(at_most(true, false), with, "nothing behind the position went");
}

#[test]
fn a_loss_between_two_polls_is_bounded_by_what_was_seen_delivered_before() {
    for (rereads, at_most) in [(false, 2_490), (true, 2_340)] {
        let mut world = World::on((8, 0, 2));
        world.add(5_000);
        world.now += 60_000;
        for step in 0..200 {
            world.read(10);
            world.now += 100;
            if step == 118 {
                world.trim(1_500, false);
            }
            if step % 50 == 0 {
                world.poll(1_000);
            } else if rereads && step % 10 == 5 {
                world.reread();
            }
        }
        let actual = world.poll(1_000);
        assert_eq!((world.lost, actual.at_least, actual.at_most), (2_310, 0, at_most));
    }
}

#[test]
fn a_reread_proves_nothing_if_the_poll_may_be_of_another_server() {
    for (connection, at_most) in [(0, 0), (1, 50)] {
        let mut world = World::on((8, 0, 2));
        world.add(1_000);
        for _ in 0..2 {
            world.read(100);
            world.poll(1_000);
        }
        world.read(50);
        world.reread();
        world.trim(750, false);
        world.connection = connection;
        assert_eq!((world.poll(1_000).at_most, world.lost), (at_most, 0));
    }
}

#[test]
fn only_streams_whose_trims_come_close_to_a_reading_group_are_reread() {
    let near_on = |version: (u16, u16, u16), keep: usize, is_own: bool, reads: [usize; 2]| {
        let mut world = World::on(version);
        world.add(1_000);
        world.read(reads[0]);
        world.poll(1_000);
        world.trim(keep, is_own);
        world.read(reads[1]);
        world.poll(1_000);
        world.history.to_reread().len()
    };
    let near = |keep, is_own, reads| near_on((8, 0, 2), keep, is_own, reads);
    assert_eq!(near(750, false, [650, 10]), 1, "it is 410 entries ahead of the trim, and 250 went");
    assert_eq!(near(750, true, [650, 10]), 0, "what the sidecar removes it counts itself");
    assert_eq!(near(950, false, [650, 10]), 0, "it is far from the trim");
    assert_eq!(near(1_000, false, [100, 10]), 1, "it is in the older half");
    assert_eq!(near(950, false, [100, 0]), 0, "it stands still");
    assert_eq!(near_on((7, 0, 15), 950, false, [100, 10]), 0, "the server counts what is delivered");
    assert_eq!(
        near_on((8, 6, 3), 950, false, [100, 10]),
        1,
        "entries removed from the middle were delivered to all"
    );
    assert_eq!(near_on((9, 9, 9), 950, false, [100, 10]), 0, "nobody knows what goes from the middle there");
}

#[test]
fn streams_take_turns_if_too_many_should_be_reread() {
    let mut world = World::on((8, 0, 2));
    world.add(1_000);
    let mut chosen = std::collections::BTreeSet::new();
    for _ in 0..4 {
        world.read(10);
        let mut snapshot = world.snapshot();
        let stream = snapshot.streams.get(&"s".into()).unwrap().clone();
        snapshot.streams =
            (0..50).map(|it| (Name::from(format!("s{it}").as_str()), stream.clone())).collect();
        let open = begin(&mut world.history, snapshot, &world.config, 1_000);
        drop(open.finish(&Answers::default(), Duration::ZERO));
        let streams = world.history.to_reread();
        assert!(streams.len() == 20 || chosen.is_empty(), "{}", streams.len());
        chosen.extend(streams);
    }
    assert_eq!(chosen.len(), 50);
}

#[test]
fn a_loss_while_the_stream_is_unreadable_is_reported_as_after_failed_polls() {
    for missed in [None, Some(Reason::Closed), Some(Reason::NoPermission), Some(Reason::TooLarge)] {
        let mut world = World::on((7, 0, 15));
        world.add(1_000);
        world.poll(1_000);
        world.trim(990, false);
        world.poll(1_000);
        missed.into_iter().for_each(|reason| world.poll_without(reason));
        world.trim(900, false);
        assert_eq!((world.poll(1_000).at_least, world.status), (100, Some(GroupStatus::TrimmedPast)));
        world.poll(1_000);
        assert_eq!(world.status, Some(GroupStatus::TrimmedPast), "{missed:?}");
    }
}

#[test]
fn a_stream_that_comes_back_after_a_key_of_another_type_is_another_one() {
    let mut world = World::on((7, 0, 15));
    world.add(1_000);
    world.poll(1_000);
    world.poll_without(Reason::WrongType);
    world.trim(900, false);
    assert_eq!(world.poll(1_000), Losses::default());
}
