//! Special rules for hosted services: readings across a reconnect, and consumers close to a limit.

use std::{sync::Arc, time::Duration};

use nonmax::NonMaxU64;

use super::{
    GroupStatus, History, MOST_QUESTIONS, Report,
    test_readings::{NOW_MS, begin, config, node, snapshot},
};
use crate::{
    config::Config,
    model::{
        Answers, Flavour, GroupState, Name, NameMap, Node, Now, OldestPending, Origin, Pending, Server,
        ServerTime, Snapshot, StreamId, StreamState,
    },
};

/// A stream of ten entries that were all delivered to the group, before and after what each test changes.
pub(super) fn stream() -> StreamState {
    StreamState {
        length: 10,
        last_generated_id: Some(StreamId::new(NOW_MS + 10, 0)),
        max_deleted_entry_id: Some(StreamId::ZERO),
        entries_added: Some(10),
        first_entry_id: Some(StreamId::new(NOW_MS + 1, 0)),
        groups: NameMap::from([("g".into(), GroupState::at(StreamId::new(NOW_MS + 10, 0)))]),
        ..StreamState::of_length(0)
    }
}

/// An older reading of it: two entries fewer, and an earlier position of the group.
fn older() -> StreamState {
    let last = StreamId::new(NOW_MS + 8, 0);
    StreamState {
        length: 8,
        last_generated_id: Some(last),
        entries_added: Some(8),
        groups: NameMap::from([("g".into(), GroupState::at(last))]),
        ..stream()
    }
}

pub(super) struct Watched {
    history: History,
    pub(super) config: Config,
    flavour: Flavour,
    pub(super) version: Option<(u16, u16, u16)>,
    pub(super) seconds: u64,
}

impl Watched {
    pub(super) fn on(flavour: Flavour) -> Self {
        Self { history: History::default(), config: config(""), flavour, version: None, seconds: 0 }
    }

    pub(super) fn read(&mut self, connection: u64, stream: StreamState) -> Arc<Report> {
        self.seconds += 15;
        self.read_now(connection, stream, &Answers::default())
    }

    pub(super) fn read_now(
        &mut self,
        connection: u64,
        stream: StreamState,
        answers: &Answers,
    ) -> Arc<Report> {
        let snapshot = Snapshot {
            nodes: vec![Node {
                server: Server { flavour: self.flavour, version: self.version, ..Server::UNKNOWN },
                origin: Origin { connection, ..Origin::default() },
                time: Ok(Now::exactly(ServerTime(NOW_MS + 1_000 * self.seconds))),
                ..node()
            }],
            ..snapshot([("s".into(), Ok(stream))])
        };
        let at = Duration::from_secs(self.seconds);
        begin(&mut self.history, snapshot, &self.config, MOST_QUESTIONS).finish(answers, at).1
    }
}

/// Recreations, rewinds and losses.
pub(super) fn claimed(report: &Report) -> (u64, u64, u64) {
    let stream = report.streams.get(&Name::from("s")).unwrap();
    let group = stream.group(&Name::from("g")).unwrap();
    (stream.read.unwrap().recreations, group.rewinds.into(), group.lost.unwrap_or_default().at_least)
}

#[test]
fn a_replica_that_is_behind_after_a_reconnect_counts_neither_as_recreation_nor_as_rewind() {
    for (flavour, connection, expected) in
        [(Flavour::Redis, 2, (1, 0, 0)), (Flavour::Upstash, 2, (0, 0, 0)), (Flavour::Upstash, 1, (1, 0, 0))]
    {
        let mut watched = Watched::on(flavour);
        watched.read(1, stream());
        assert_eq!(claimed(&watched.read(connection, older())), expected, "{flavour:?} {connection}");
        // It catches up, which is not reported either.
        assert_eq!(claimed(&watched.read(connection, stream())), expected, "{flavour:?} {connection}");
    }
}

#[test]
fn a_group_that_is_behind_after_a_reconnect_was_not_set_back() {
    let behind = || StreamState { groups: older().groups, ..stream() };
    for (flavour, connection, rewinds) in
        [(Flavour::Redis, 2, 1), (Flavour::Upstash, 2, 0), (Flavour::Upstash, 1, 1)]
    {
        let mut watched = Watched::on(flavour);
        watched.read(1, stream());
        let report = watched.read(connection, behind());
        assert_eq!(claimed(&report), (0, rewinds, 0), "{flavour:?} {connection}");
        let verdict = report.streams.get(&Name::from("s")).unwrap();
        let status = verdict.groups.get(&Name::from("g")).unwrap().status;
        assert_eq!(status == GroupStatus::Rewound, rewinds == 1, "{flavour:?} {connection}");
        // A second reading on the same connection is trusted, and counted from there on.
        watched.read(connection, stream());
        assert_eq!(claimed(&watched.read(connection, behind())), (0, rewinds + 1, 0));
    }
}

#[test]
fn a_consumer_close_to_the_servers_limit_is_a_warning_before_any_threshold() {
    let pending = |most_pending| {
        let oldest = OldestPending { id: StreamId::new(NOW_MS + 1, 0), idle: None, deliveries: 1 };
        let group = stream().groups.get(&Name::from("g")).unwrap().clone();
        let group = GroupState {
            pending: most_pending,
            most_pending: NonMaxU64::new(most_pending),
            oldest_pending: Pending::Oldest(oldest),
            consumer_count: 1,
            ..group
        };
        StreamState { groups: NameMap::from([("g".into(), group)]), ..stream() }
    };
    let near = "a consumer has 812 pending entries; at 1,000 this server delivers nothing more to it";
    for (flavour, most_pending, says_so) in
        [(Flavour::Upstash, 812, true), (Flavour::Upstash, 799, false), (Flavour::Redis, 812, false)]
    {
        let mut watched = Watched::on(flavour);
        // Long enough to be reported, and then long enough for the group to count as stalled: both report it.
        for (polls, status) in [(7, GroupStatus::Lagging), (40, GroupStatus::Stalled)] {
            let reports = (0..polls).map(|_| watched.read(1, pending(most_pending)));
            let report = reports.last().unwrap();
            let verdict = report.streams.get(&Name::from("s")).unwrap();
            let group = verdict.groups.get(&Name::from("g")).unwrap();
            let cause = group.cause.to_string();
            assert_eq!(cause.contains(near), says_so, "{flavour:?} {most_pending} {polls}: {cause}");
            assert!(!says_so || group.status == status, "{flavour:?} {polls}: {:?} {cause}", group.status);
        }
    }
}
