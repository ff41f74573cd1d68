//! A fixed reading with an example of everything, and golden files of what views make of it.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use nonmax::NonMaxU64;

use crate::{
    clock,
    config::{Config, Watchlist, test_config},
    evaluate::{History, MOST_QUESTIONS},
    latency::{LatencyHistory, LatencyReport, StreamTick},
    model::{
        Answers, ClusterState, Condition, ConsumerState, Failure, Flavour, GroupPosition, GroupState,
        GroupsAt, Idempotence, Millis, Name, NameMap, Node, OldestPending, Origin, Pending, Reason, Role,
        Server, Snapshot, StreamId, StreamState, TickTime, test_snapshot,
    },
    reading::Reading,
    retention::{BlockReason, RetentionStatus, RetentionStatuses, Run, TrimBlocker},
    stuck::{RuleStatus, Stop},
};

pub(super) use crate::model::test_snapshot::NOW_MS as NOW;

pub(super) fn config() -> Config {
    let yaml = "streams:\n  - match: events:session\n    groups: [readers, missing]\n    \
                retention: {max_length: 100000, max_age: 30d}\n    thresholds: {lag: 10000, lag_age: 1m, pending: 10000, \
                 pending_age: 5m, deliveries: 5, silence: 1h}\n    dead_letter: {after_deliveries: 8, idle: 10m}\n    \
                 reap_consumers: {idle: 7d}\n    slo: {delivery: 500ms, handled: 2s}\n  - match: events:absent\n  - match: '*'\n";
    test_config::config(yaml)
}

fn group() -> GroupState {
    let alice = ConsumerState {
        name: "alice".into(),
        pending: 3,
        idle: Some(Millis::new(1_500)),
        inactive: Some(Millis::new(2_000)),
    };
    GroupState {
        last_delivered_id: StreamId::new(NOW - 5_000, 0),
        entries_read: Some(40),
        pending: 4,
        nacked: Some(1),
        oldest_pending: Pending::Oldest(OldestPending {
            id: StreamId::new(NOW - 60_000, 1),
            idle: Some(Millis::new(30_000)),
            deliveries: 2,
        }),
        consumer_count: 2,
        consumers: [alice].into(),
        consumers_age: Some(Millis::new(45_000)),
        least_idle: Some(Millis::new(1_500)),
        stuck_consumers: NonMaxU64::new(0),
        unlisted_pending: NonMaxU64::new(1),
        most_pending: NonMaxU64::new(3),
    }
}

/// A server that accepts writes.
fn without_faults() -> Condition {
    Condition {
        used_memory: Some(1 << 20),
        max_memory: Some(0),
        log_fails: Some(false),
        snapshot_fails: Some(false),
        ..Condition::default()
    }
}

pub(super) fn snapshot() -> Snapshot {
    let session = StreamState {
        length: 12,
        radix_tree_keys: Some(1),
        radix_tree_nodes: Some(2),
        last_generated_id: Some(StreamId::new(NOW - 1_250, 0)),
        max_deleted_entry_id: Some(StreamId::ZERO),
        entries_added: Some(9_007_199_254_740_993),
        first_entry_id: Some(StreamId::new(NOW - 3_600_000, 0)),
        first_entry_bytes: 100,
        groups: NameMap::from([("readers".into(), group())]),
        idempotence: Some(Box::new(Idempotence {
            duration: Duration::from_secs(100),
            max_ids: 200,
            producers: 2,
            ids: 30,
            ids_added: 400,
            duplicates: 5,
        })),
        ..StreamState::of_length(0)
    };
    let counter = StreamState {
        length: 0,
        entries_added: None,
        max_deleted_entry_id: None,
        last_generated_id: Some(StreamId::new(1, 1)),
        first_entry_id: None,
        groups: NameMap::default(),
        idempotence: None,
        ..session.clone()
    };
    let dead_letters = StreamState {
        length: 3,
        first_entry_id: Some(StreamId::new(NOW - 7_200_000, 0)),
        groups: NameMap::default(),
        idempotence: None,
        ..session.clone()
    };
    let failed = |reason| Err(Failure::new(reason, "words"));
    Snapshot {
        nodes: vec![Node {
            server: Server {
                flavour: Flavour::Redis,
                version: Some((8, 0, 6)),
                role: Some(Role::Primary),
                mode: Some("standalone".into()),
            },
            condition: without_faults(),
            ..test_snapshot::node()
        }],
        place: "redis.example:6379".into(),
        ..test_snapshot::snapshot([
            ("dead:{events:session}".into(), Ok(dead_letters)),
            ("events:session".into(), Ok(session)),
            ("events:absent".into(), failed(Reason::NoKey)),
            ("forbidden".into(), failed(Reason::NoPermission)),
            (Name::from(&b"quote\"\\ \xff"[..]), Ok(counter)),
        ])
    }
}

/// The same from a cluster of three primaries, of which one does not answer and another has no stream.
pub(super) fn cluster_snapshot() -> Snapshot {
    let snapshot = snapshot();
    let of_cluster = Server { mode: Some("cluster".into()), ..snapshot.server().clone() };
    let node = |port: u16, took| Node {
        address: format!("redis-{port}.example:{port}").into(),
        server: of_cluster.clone(),
        took: Duration::from_millis(took),
        ..test_snapshot::node()
    };
    let failure = Failure {
        since: Some(Duration::from_millis(NOW - 90_000)),
        ..Failure::new(Reason::Refused, "words")
    };
    let full = Condition {
        used_memory: Some(2_000 << 20),
        max_memory: Some(1_900 << 20),
        eviction: Some("noeviction".into()),
        snapshot_fails: Some(true),
        ..Condition::default()
    };
    let full = Node { condition: full, ..node(7_002, 2) };
    let down = Node { server: Server::UNKNOWN, failure: Some(failure.clone()), ..node(7_003, 0) };
    let unreachable = Failure { reason: Reason::Unreachable, ..failure };
    let states = snapshot.streams.iter().map(|(name, state)| (name.clone(), state.clone()));
    let streams = states.chain([("other".into(), Err(unreachable))]).collect();
    Snapshot {
        nodes: vec![node(7_001, 3), full, down],
        // In the order of the names: the last stream is on the node that does not answer.
        placement: [0, 0, 0, 1, 2, 0].into(),
        cluster: Some(Box::new(ClusterState {
            unserved_slots: 5_461,
            topology_age: Duration::from_secs(12),
            slots: [5_462, 5_461, 5_461].into(),
        })),
        streams,
        ..snapshot
    }
}

pub(super) fn reading(snapshot: Snapshot, config: &Config) -> Reading {
    next_reading(&mut History::default(), snapshot, config, Duration::ZERO)
}

/// The next reading of a history, so long after the first.
pub(super) fn next_reading(
    history: &mut History,
    snapshot: Snapshot,
    config: &Config,
    at: Duration,
) -> Reading {
    let watchlist = Watchlist::new(config, snapshot.streams.keys().cloned());
    let open = history.begin(snapshot, config, &watchlist, MOST_QUESTIONS);
    let (snapshot, report) = open.finish(&Answers::default(), at);
    let blocked_by = Some(TrimBlocker { group: Some("readers".into()), reason: BlockReason::Pending });
    let run = Run { removed: 7, is_complete: true, blocked_by, ..Run::default() };
    let mut retention_status = RetentionStatus::default();
    retention_status.note(&run, Duration::ZERO);
    retention_status.last_success = Some(Duration::from_millis(1_767_225_600_500));
    let streams = BTreeMap::from([("events:session".into(), retention_status)]);
    let rule_status = RuleStatus {
        moved: [3, 1],
        reaped: 2,
        stop: Some(Stop::Full),
        last_run: Some(Duration::from_millis(1_767_225_600_500)),
        last_success: Some(Duration::from_millis(1_767_225_600_500)),
    };
    let rules = BTreeMap::from([("events:session".into(), rule_status)]);
    let retention_statuses = RetentionStatuses { streams, rules, other_holder: None };
    let read_at = clock::Moment { unix: Duration::from_millis(NOW), ..clock::moment() };
    let reading = Reading::new(&watchlist, &retention_statuses, snapshot, report, read_at);
    reading.with_latency(Arc::new(latency(config)))
}

/// Two ticks of the group, after the first one.
fn latency(config: &Config) -> LatencyReport {
    let stream = Name::from("events:session");
    let slo = config.rule(&stream).and_then(|rule| rule.slo);
    let mut history = LatencyHistory::default();
    for (ms, entries_read, pending) in [(0, 36, 0), (250, 38, 1), (500, 40, 4)] {
        let from = NOW - 5_500 + ms;
        let position = GroupPosition {
            last_delivered_id: StreamId::new(from - 10, 0),
            entries_read: Some(entries_read),
            lag: Some(0),
            pending,
            consumers: 2,
        };
        let origin = Origin { connection: 1, process: None };
        let (time, groups) = (TickTime { from, to: from + 1 }, vec![("readers".into(), position)]);
        let read = Some(GroupsAt { origin, time, groups, pending: Vec::new() });
        let tick = slo.map(|slo| StreamTick { stream: stream.clone(), slo, read });
        history.tick(config, tick.into_iter().collect());
    }
    history.report()
}

/// Compares with the file in `tests/golden`. To accept a change: `INSTA_UPDATE=always cargo test --lib views`.
pub(super) fn assert_golden(name: &str, text: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("../../tests/golden");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(name, text));
}
