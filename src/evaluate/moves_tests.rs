//! Streams that another server takes over: what was known of them, what the new one lacks, and what it can't know.

use std::{sync::Arc, time::Duration};

use nonmax::NonMaxU64;

use super::{
    GroupStatus, GroupVerdict, History, Lag, MOST_QUESTIONS, Report, StreamCause,
    hosted_tests::claimed,
    test_readings::{NOW_MS, begin, config, node, snapshot},
};
use crate::{
    config::{Config, Watchlist},
    model::{
        Answers, ClusterState, ConsumerState, Failure, Finding, GroupState, Millis, Name, NameMap, Node,
        NodeIndex, Now, OldestPending, Origin, Pending, PendingSample, Reason, ServerTime, Snapshot,
        StreamId, StreamState,
    },
};

/// The ID of an entry that was added in this second.
fn id(second: u64) -> StreamId {
    if second == 0 { StreamId::ZERO } else { StreamId::new(NOW_MS + 1_000 * second, 0) }
}

/// A stream of the entries from one second to another, one a second, and a group at this position.
fn entries(first: u64, last: u64, position: u64) -> StreamState {
    StreamState {
        last_generated_id: Some(id(last)),
        max_deleted_entry_id: Some(StreamId::ZERO),
        entries_added: Some(last),
        first_entry_id: Some(id(first)),
        groups: NameMap::from([("g".into(), GroupState::at(id(position)))]),
        ..StreamState::of_length(last + 1 - first)
    }
}

/// The stream with a consumer.
fn consumed(stream: StreamState) -> StreamState {
    with(stream, |group| group.consumer_count = 1)
}

/// The stream with a changed group.
fn with(mut stream: StreamState, change: impl FnMut(&mut GroupState)) -> StreamState {
    stream.groups.get_mut(&"g".into()).into_iter().for_each(change);
    stream
}

/// The servers, by their names. The last one is `a` after a restart.
const SERVERS: [&str; 3] = ["a", "b", "a, restarted"];

/// The stream `s` on one of several servers, and its history.
struct Moving {
    history: History,
    config: Config,
    polls: u64,
    /// The servers' clock.
    second: u64,
    is_cluster: bool,
    answers: Answers,
}

impl Moving {
    fn in_a_cluster() -> Self {
        Self::with(config("streams: [{match: s, groups: [g]}]"), true)
    }

    fn with(config: Config, is_cluster: bool) -> Self {
        Self {
            history: History::default(),
            config,
            polls: 0,
            second: 0,
            is_cluster,
            answers: Answers::default(),
        }
    }

    /// A reading from this server, if the stream exists there or its failure is known.
    fn snapshot(&self, server: &str, state: Option<Result<StreamState, Failure>>) -> Snapshot {
        let time = Ok(Now::exactly(ServerTime(NOW_MS + 1_000 * self.second)));
        let of = |(connection, name): (u64, &&str)| Node {
            address: (&name[..1]).into(),
            origin: Origin { connection, process: Some((*name).to_owned()) },
            time: time.clone(),
            ..node()
        };
        let all = (1..).zip(&SERVERS).filter(|(_, name)| self.is_cluster || **name == server).map(of);
        let place = SERVERS.iter().position(|name| *name == server);
        let index = place.and_then(|place| NodeIndex::try_from(place).ok()).unwrap_or(NodeIndex::MAX);
        let cluster = ClusterState { unserved_slots: 0, topology_age: Duration::ZERO, slots: Box::default() };
        Snapshot {
            nodes: all.collect(),
            placement: state.iter().filter(|_| self.is_cluster).map(|_| index).collect(),
            cluster: self.is_cluster.then(|| Box::new(cluster)),
            ..snapshot(state.map(|state| ("s".into(), state)))
        }
    }

    /// Reads the stream just after its last entry was added.
    fn read(&mut self, server: &str, stream: StreamState) -> Arc<Report> {
        let last = stream.last_generated_id.map_or(0, |last| (last.ms - NOW_MS) / 1_000);
        self.second = self.second.max(last) + 1;
        self.poll(server, Some(Ok(stream)))
    }

    fn fail(&mut self, server: &str, reason: Reason) -> Arc<Report> {
        self.poll(server, Some(Err(Failure::new(reason, ""))))
    }

    fn poll(&mut self, server: &str, state: Option<Result<StreamState, Failure>>) -> Arc<Report> {
        self.polls += 1;
        let at = Duration::from_secs(15 * self.polls);
        let (snapshot, watchlist) =
            (self.snapshot(server, state), Watchlist::new(&self.config, ["s".into()]));
        let open = self.history.begin(snapshot, &self.config, &watchlist, MOST_QUESTIONS);
        open.finish(&self.answers, at).1
    }

    /// A reading whose questions could not be asked.
    fn drop_reading(&mut self, server: &str, stream: StreamState) {
        let snapshot = self.snapshot(server, Some(Ok(stream)));
        drop(begin(&mut self.history, snapshot, &self.config, MOST_QUESTIONS));
    }
}

fn group(report: &Report) -> &GroupVerdict {
    report.streams.get(&"s".into()).unwrap().groups.get(&"g".into()).unwrap()
}

fn lag(report: &Report) -> Lag {
    group(report).read.as_ref().unwrap().lag
}

#[test]
fn what_a_new_primary_lacks_is_no_rewind_no_recreation_and_no_loss() {
    let cases = [
        ("the last entries and deliveries", entries(1, 17, 13)),
        ("deliveries only", entries(1, 20, 13)),
        ("a trim", entries(1, 20, 15)),
        ("a trim, and it has new entries", entries(1, 24, 15)),
        ("all entries of the last reading", StreamState { entries_added: Some(2), ..entries(2, 2, 0) }),
    ];
    for (lacks, behind) in cases {
        type Between = fn(&mut Moving);
        let between: [(&str, Between); 4] = [
            ("at once", |_| ()),
            ("unreadable in between", |it| drop(it.fail("a", Reason::Unreachable))),
            ("nobody served the slot", |it| drop(it.fail("nowhere", Reason::ClusterDown))),
            ("not judged at first", |it| it.drop_reading("b", entries(1, 17, 13))),
        ];
        for (how, between) in between {
            let mut moving = Moving::in_a_cluster();
            moving.read("a", entries(4, 20, 15));
            between(&mut moving);
            let report = moving.read("b", behind.clone());
            assert_eq!(claimed(&report), (0, 0, 0), "{lacks}, {how}");
            assert_ne!(group(&report).status, GroupStatus::Rewound, "{lacks}, {how}");
            // From there on the same server is believed.
            moving.read("b", entries(4, 40, 30));
            assert_eq!(claimed(&moving.read("b", entries(4, 40, 25))), (0, 1, 0), "{lacks}, {how}");
            assert_eq!(claimed(&moving.read("b", entries(4, 35, 20))), (1, 1, 0), "{lacks}, {how}");
        }
    }
}

#[test]
fn only_another_address_or_a_cluster_explains_that_something_is_missing() {
    let restarted = SERVERS[2];
    for (is_cluster, to, recreations) in [
        (true, "b", 0),
        (true, restarted, 0),
        (true, "a", 1),
        (false, "b", 0),
        (false, restarted, 1),
        (false, "a", 1),
    ] {
        let mut moving = Moving::with(config(""), is_cluster);
        moving.read("a", entries(4, 20, 15));
        let actual = claimed(&moving.read(to, entries(4, 17, 13)));
        assert_eq!(actual, (recreations, 0, 0), "{is_cluster} {to}");
    }
}

#[test]
fn a_stream_whose_slot_was_not_served_is_still_where_it_was_or_somewhere_else() {
    for (then, is_known) in [("a", true), ("b", false)] {
        let mut moving = Moving::in_a_cluster();
        moving.read("a", entries(1, 20, 20));
        for _ in 0..2 {
            moving.fail("nowhere", Reason::ClusterDown);
        }
        // The end of the first reading is a checkpoint on the same server only.
        let actual = lag(&moving.read(then, entries(1, 40, 20)));
        assert_eq!(actual == Lag::Exactly(20), is_known, "{then}: {actual:?}");
    }
}

#[test]
fn the_clock_of_a_new_primary_does_not_show_that_the_application_makes_the_ids() {
    let mut moving = Moving::in_a_cluster();
    moving.second = 100;
    moving.read("a", entries(1, 20, 0));
    // Its clock is a minute behind, so that the IDs that it makes are in the past of the other one.
    moving.second = 30;
    moving.read("b", entries(1, 40, 0));
    assert_eq!(claimed(&moving.read("b", entries(31, 40, 0))), (0, 0, 30), "losses are counted");
}

#[test]
fn the_first_entry_after_a_group_is_not_known_from_another_server() {
    for (then, is_known) in [("a", true), ("b", false)] {
        let mut moving = Moving::in_a_cluster();
        let answer = Finding::FirstAfter(Some(id(16)));
        moving.answers = Answers::from_iter([("s".into(), "g".into(), answer)]);
        moving.read("a", entries(1, 20, 15));
        moving.answers = Answers::default();
        let report = moving.read(then, entries(1, 20, 15));
        assert_eq!(group(&report).read.as_ref().unwrap().lag_age.is_some(), is_known, "{then}");
    }
}

#[test]
fn a_position_that_goes_back_with_the_server_is_no_progress_and_has_no_rate() {
    let mut moving = Moving::in_a_cluster();
    let mut reports = Vec::new();
    for (server, stream) in [("a", entries(51, 100, 50)), ("b", entries(51, 95, 45))] {
        for _ in 0..12 {
            reports.push(moving.read(server, consumed(stream.clone())));
        }
    }
    let rates = |report: &Report| {
        let verdict = report.streams.get(&Name::from("s")).unwrap();
        [verdict.rate_in, group(report).rate_out].map(|rate| rate.map(|rate| rate.entries))
    };
    assert_eq!((rates(&reports[11]), rates(&reports[12])), ([Some(0); 2], [None; 2]));
    assert_eq!((rates(&reports[23]), group(&reports[23]).status), ([Some(0); 2], GroupStatus::Stalled));
}

#[test]
fn a_stream_that_is_not_read_has_no_rate() {
    let mut moving = Moving::in_a_cluster();
    for _ in 0..3 {
        moving.read("a", entries(51, 100, 50));
    }
    let report = moving.fail("a", Reason::Unreachable);
    assert_eq!(report.streams.get(&Name::from("s")).unwrap().rate_in, None);
}

#[test]
fn a_stream_of_a_cluster_is_missing_only_if_a_second_reading_does_not_find_it_either() {
    let health = |report: &Report| report.streams.get(&"s".into()).map(|stream| stream.cause.clone());
    let looks_again = Some(StreamCause::Unreadable(Reason::TryAgain.into()));
    let missing = Some(StreamCause::Absent(Reason::NoKey));
    let nokey = || Some(Err(Failure::new(Reason::NoKey, "")));
    for (rules, unseen, then) in [("s", nokey(), missing), ("'*'", None, None)] {
        for back_on in ["a", "b"] {
            let mut moving = Moving::with(config(&format!("streams: [{{match: {rules}}}]")), true);
            moving.read("a", entries(4, 20, 20));
            assert_eq!(health(&moving.poll("a", unseen.clone())), looks_again, "{rules}");
            let report = moving.read(back_on, entries(4, 40, 20));
            let expected = if back_on == "a" { Lag::Exactly(20) } else { Lag::AtMost(36) };
            assert_eq!((claimed(&report), lag(&report)), ((0, 0, 0), expected), "nothing was forgotten");
            assert_eq!(health(&moving.poll("b", unseen.clone())), looks_again, "{rules}");
            assert_eq!(health(&moving.poll("b", unseen.clone())), then, "{rules}");
            assert_eq!(health(&moving.poll("b", unseen.clone())), then, "{rules}");
        }
    }
}

#[test]
fn an_unnamed_stream_that_comes_back_on_another_server_may_be_behind() {
    for (then, recreations) in [("a", 1), ("b", 0), (SERVERS[2], 0)] {
        let mut moving = Moving::with(config("streams: [{match: '*'}]"), true);
        moving.read("a", entries(4, 20, 20));
        for _ in 0..3 {
            moving.poll("a", None);
        }
        let report = moving.read(then, entries(4, 17, 17));
        assert_eq!(claimed(&report).0, recreations, "{then}");
    }
}

/// A group behind by five entries whose only consumer has been idle for this many seconds, and holds this many entries.
fn idle(seconds: u64, pending: u64) -> StreamState {
    with(entries(16, 20, 15), |group| {
        let idle = Some(Millis::new(1_000 * seconds));
        let consumer = ConsumerState { name: "c".into(), pending, idle, inactive: idle };
        group.consumers = Box::new([consumer]);
        (group.consumer_count, group.pending, group.least_idle) = (1, pending, idle);
        group.unlisted_pending = NonMaxU64::new(0);
        group.stuck_consumers = NonMaxU64::new(u64::from(pending > 0 && seconds > 300));
    })
}

/// What the last of these readings reports, one each fifteen seconds: the group's idle time, and its stuck consumers.
fn reported(readings: &[(&str, StreamState)]) -> (Option<u64>, Option<u64>) {
    let mut moving = Moving::with(config(""), false);
    for (server, stream) in readings {
        moving.second += 14;
        moving.read(server, stream.clone());
    }
    let (snapshot, _) = moving.history.last.as_ref().unwrap();
    let stream = snapshot.streams.get(&"s".into()).unwrap().as_ref().unwrap();
    let group = stream.groups.get(&"g".into()).unwrap();
    let consumer = group.consumers.first().map(|consumer| consumer.idle);
    assert!(consumer.is_none_or(|idle| idle == group.least_idle));
    (group.least_idle.map(|idle| idle.get() / 1_000), group.stuck_consumers.map(u64::from))
}

#[test]
fn an_idle_time_from_before_a_change_of_the_server_is_not_believed() {
    let restarted = SERVERS[2];
    let cases = [
        ("it has been stuck, and still is", [idle(400, 3), idle(415, 3)], Some(415), Some(1)),
        ("it has been stuck, and still is", [idle(400, 3), idle(700, 3)], Some(415), Some(1)),
        ("it has been inactive, and still is", [idle(130, 3), idle(145, 3)], Some(145), None),
        (
            "it was active about the time of the change, or the migration is",
            [idle(400, 3), idle(7, 3)],
            None,
            None,
        ),
        ("the same with less to hold", [idle(400, 0), idle(7, 0)], None, Some(0)),
        ("it was active, and may still be", [idle(1, 3), idle(7, 3)], None, Some(0)),
        ("it holds nothing", [idle(1, 0), idle(700, 0)], None, Some(0)),
        ("it was not there", [entries(16, 20, 15), idle(7, 3)], None, None),
    ];
    for (what, [before, after], least_idle, stuck) in cases {
        for to in ["b", restarted] {
            let actual = reported(&[("a", before.clone()), (to, after.clone())]);
            assert_eq!(actual, (least_idle, stuck), "{what}: {to}");
        }
        let same = reported(&[("a", before.clone()), ("a", after.clone())]);
        assert_eq!(same.0, reported(&[("a", after.clone())]).0, "the same process: {what}");
    }
}

#[test]
fn activity_after_the_change_and_long_inactivity_since_are_known() {
    let then = |polls: usize, last: StreamState| {
        let still = (1..=polls as u64).map(|poll| ("b", idle(7 + 15 * poll, 3)));
        let readings = [("a", idle(1, 3)), ("b", idle(7, 3))].into_iter().chain(still).chain([("b", last)]);
        reported(&readings.collect::<Vec<_>>())
    };
    // The readings are at seconds 15, 30, 45 and so on. The server was first read at second 30, where the last activity was at 23.
    assert_eq!(then(0, idle(22, 3)), (None, None));
    assert_eq!(then(0, idle(20, 3)), (Some(20), Some(0)));
    assert_eq!(then(0, idle(9, 3)), (Some(9), Some(0)));
    assert_eq!(then(6, idle(112, 3)).0, None);
    assert_eq!(then(8, idle(142, 3)).0, Some(130));
    // After five minutes, all is as the server says.
    assert_eq!(then(20, idle(322, 3)), (Some(310), Some(1)));
}

#[test]
fn activity_just_after_the_first_reading_on_a_new_server_ends_the_silence_of_before() {
    let then = |last| reported(&[("a", idle(400, 3)), ("b", idle(415, 3)), ("b", last)]);
    assert_eq!(then(idle(430, 3)), (Some(430), Some(1)));
    assert_eq!(then(idle(13, 3)), (Some(13), Some(0)), "two seconds after it");
}

#[test]
fn a_consumer_whose_server_has_forgotten_that_it_received_entries_is_stuck_or_may_be() {
    let forgotten = |seconds, pending| {
        with(idle(seconds, pending), |group| group.consumers.iter_mut().for_each(|it| it.inactive = None))
    };
    let stuck = |polls: usize, pending| {
        let later = (0..polls).map(|_| ("b", forgotten(2, pending)));
        let moved = [("a", idle(1, pending)), ("b", forgotten(7, pending))].into_iter().chain(later);
        reported(&moved.collect::<Vec<_>>()).1
    };
    assert_eq!(
        (stuck(0, 3), stuck(1, 3), stuck(19, 3)),
        (None, None, None),
        "it asks, and may have received none for long"
    );
    assert_eq!(stuck(22, 3), Some(1), "it has received none for five minutes");
    assert_eq!((stuck(1, 0), stuck(22, 0)), (Some(0), Some(0)));
    let again = [("a", idle(1, 3)), ("b", forgotten(7, 3)), ("a", forgotten(7, 3)), ("a", forgotten(2, 3))];
    assert_eq!(reported(&again).1, None, "the slot has moved twice");
    let received = [("a", idle(1, 3)), ("b", forgotten(7, 3)), ("b", idle(2, 3))];
    assert_eq!(reported(&received), (Some(2), Some(0)));
}

#[test]
fn a_group_whose_consumers_do_not_exist_on_a_new_primary_is_given_the_time_to_come_back() {
    let changes = |before: StreamState, after: StreamState| {
        let mut moving = Moving::in_a_cluster();
        (0..8).for_each(|_| drop(moving.read("a", before.clone())));
        let statuses = (0..18).map(|poll| (poll, group(&moving.read("b", after.clone())).status));
        let mut statuses: Vec<(u64, GroupStatus)> = statuses.collect();
        statuses.dedup_by_key(|(_, status)| *status);
        statuses
    };
    let none = entries(16, 20, 15);
    let lost = StreamState { groups: NameMap::default(), ..none.clone() };
    // The time is two minutes, and begins five seconds after the change.
    let fine = changes(idle(1, 0), none.clone());
    assert_eq!(fine, [(0, GroupStatus::Unknown), (9, GroupStatus::NoConsumers)]);
    let stopped = changes(idle(200, 0), none.clone());
    assert_eq!(stopped, [(0, GroupStatus::Stopped), (9, GroupStatus::NoConsumers)]);
    let restarted = changes(idle(200, 3), idle(2, 3));
    assert_eq!(restarted[0], (0, GroupStatus::Stopped), "a migration may have restarted the idle times");
    assert_eq!(
        changes(none.clone(), none.clone()),
        [(0, GroupStatus::NoConsumers)],
        "there were none before"
    );
    assert_eq!(changes(none, lost), [(0, GroupStatus::Unknown), (9, GroupStatus::Missing)]);
}

#[test]
fn entries_of_a_consumer_that_may_have_been_active_before_a_change_are_not_dropped_with_it() {
    let dropped = |report: &Report| group(report).read.as_ref().unwrap().dropped.map(u64::from);
    for (polls, expected) in [(1, 0), (2, 0), (3, 3)] {
        let mut moving = Moving::in_a_cluster();
        moving.read("a", idle(200, 3));
        (0..polls).for_each(|poll| drop(moving.read("b", idle(215 + 15 * poll, 3))));
        assert_eq!(
            dropped(&moving.read(
                "b",
                with(entries(16, 20, 15), |group| {
                    group.unlisted_pending = NonMaxU64::new(0);
                })
            )),
            Some(expected),
            "{polls}"
        );
    }
}

#[test]
fn a_sample_that_lacks_a_head_that_is_gone_is_of_another_list() {
    let entry = |second| OldestPending { id: id(second), idle: None, deliveries: 1 };
    let stream = || {
        with(entries(11, 20, 15), |group| {
            (group.pending, group.oldest_pending) = (4, Pending::Oldest(entry(3)));
        })
    };
    let dangling = |sampled: &[u64]| {
        let mut moving = Moving::in_a_cluster();
        let sampled: Vec<_> = sampled.iter().map(|second| entry(*second)).collect();
        let sample = PendingSample::of(&sampled, true, id(11), 10);
        let finding = Finding::PendingSample(Pending::Unknown, Some(sample));
        moving.answers = [("s".into(), "g".into(), finding)].into_iter().collect();
        let report = moving.read("a", stream());
        let group = group(&report).read.as_ref().unwrap();
        (group.dangling.map(u64::from), group.oldest_pending_age)
    };
    let (two, age) = dangling(&[3, 4, 12]);
    assert_eq!(two, Some(2));
    assert!(age.is_some());
    for other in [&[][..], &[12]] {
        assert_eq!(dangling(other), (None, None), "{other:?}");
    }
}
