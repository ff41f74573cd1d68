//! Which reading can come after which, and when a group has just gone on.

use super::*;
use crate::model::{ConsumerState, Counted, Failure, Flavour, Millis, Reason, Server};

fn id(number: u64) -> Option<StreamId> {
    Some(StreamId::new(number, 0))
}

/// Nothing was read but this.
fn read(change: impl FnOnce(&mut Counters)) -> Counters {
    let mut counters = Counters {
        length: 5,
        added: None,
        removed: None,
        last_id: None,
        first_id: None,
        deleted_id: None,
        time: None,
    };
    change(&mut counters);
    counters
}

/// What was known of a group.
fn group_then(delivered: u64, entries_read: Option<i64>) -> GroupHistory {
    GroupHistory { delivered: StreamId::new(delivered, 0), entries_read, ..GroupHistory::default() }
}

#[test]
fn each_counter_only_goes_forward() {
    type Set = fn(&mut Counters, u64);
    let counters: [(&str, Set); 5] = [
        ("added", |it, number| it.added = Some(number)),
        ("removed", |it, number| it.removed = Some(number)),
        ("last", |it, number| it.last_id = id(number)),
        ("first", |it, number| it.first_id = id(number)),
        ("deleted", |it, number| it.deleted_id = id(number)),
    ];
    for (name, set) in counters {
        for (then, now, can) in [(7, 7, true), (7, 8, true), (7, 6, false)] {
            let (then, now) = (read(|it| set(it, then)), read(|it| set(it, now)));
            assert_eq!(then.can_become(&now), can, "{name}: {then:?} {now:?}");
        }
        // What was not read contradicts nothing.
        let (some, none) = (read(|it| set(it, 7)), read(|_| ()));
        assert!(some.can_become(&none) && none.can_become(&some), "{name}");
    }
}

#[test]
fn counters_go_forward_together() {
    type Set = fn(&mut Counters);
    let then = read(|it| {
        (it.added, it.removed, it.first_id, it.last_id) = (Some(10), Some(5), id(6), id(10));
    });
    let cases: [(&str, Set, bool); 8] = [
        ("nothing", |_| (), true),
        ("one was added", |it| (it.added, it.last_id) = (Some(11), id(11)), true),
        ("one was added without an ID", |it| it.added = Some(11), false),
        ("an ID was given out and nothing added", |it| it.last_id = id(11), false),
        ("the first one went", |it| (it.removed, it.first_id) = (Some(6), id(7)), true),
        ("the first one went and nothing was removed", |it| it.first_id = id(7), false),
        ("another one went", |it| it.removed = Some(6), true),
        ("all went", |it| (it.removed, it.first_id, it.length) = (Some(10), None, 0), true),
    ];
    for (what, change, can) in cases {
        let mut now = then;
        change(&mut now);
        assert_eq!(then.can_become(&now), can, "{what}");
    }
    // What was empty holds only what was added since, and that is behind the last ID of then.
    for (length, first, can) in [(0, 9, false), (0, 10, false), (0, 11, true), (1, 9, true), (1, 10, true)] {
        let then = read(|it| (it.length, it.last_id) = (length, id(10)));
        assert_eq!(then.can_become(&read(|it| it.first_id = id(first))), can, "{length} {first}");
        assert!(then.can_become(&read(|_| ())), "it is empty still, or was not read");
    }
}

#[test]
fn a_reading_is_whole_where_it_says_where_the_stream_begins_and_ends() {
    for (length, first, last, is_whole) in [
        (5, id(1), id(9), true),
        (5, None, id(9), false),
        (5, id(1), None, false),
        (0, None, id(9), true),
        (0, None, None, false),
    ] {
        let counters = read(|it| (it.length, it.first_id, it.last_id) = (length, first, last));
        assert_eq!(counters.are_whole(), is_whole, "{counters:?}");
    }
}

#[test]
fn a_stream_is_surely_the_same_where_something_of_then_is_there_still() {
    let then = |last| read(|it| it.last_id = last);
    let stream = |change: fn(&mut StreamState)| {
        let mut stream =
            StreamState { last_generated_id: id(20), first_entry_id: id(11), ..StreamState::of_length(5) };
        change(&mut stream);
        stream
    };
    let at = |name: &str, position| {
        let group = GroupState::at(StreamId::new(position, 0));
        StreamState { groups: NameMap::from([(name.into(), group)]), ..stream(|_| ()) }
    };
    let known = |delivered| NameMap::from([("g".into(), group_then(delivered, None))]);
    let none = NameMap::default;
    let cases: [(&str, Counters, StreamState, NameMap<GroupHistory>, bool); 16] = [
        ("all is later", then(id(10)), stream(|_| ()), none(), false),
        ("nothing was known", then(None), stream(|it| it.first_entry_id = id(5)), none(), false),
        ("the last ID", then(id(20)), stream(|it| it.first_entry_id = None), none(), true),
        ("no ID was ever given out", then(id(0)), stream(|it| it.last_generated_id = id(0)), none(), false),
        ("the first entry", then(id(11)), stream(|_| ()), none(), true),
        ("the first entry is the next", then(id(10)), stream(|it| it.first_entry_id = id(11)), none(), false),
        ("a deleted entry", then(id(10)), stream(|it| it.max_deleted_entry_id = id(10)), none(), true),
        ("the beginning was not read", then(id(10)), stream(|it| it.first_entry_id = None), none(), false),
        ("a later deleted entry", then(id(10)), stream(|it| it.max_deleted_entry_id = id(11)), none(), false),
        ("no deleted entry", then(id(10)), stream(|it| it.max_deleted_entry_id = id(0)), none(), false),
        ("a group", then(id(10)), at("g", 10), known(9), true),
        ("a group that stood still", then(id(10)), at("g", 9), known(9), true),
        ("a group that went back", then(id(10)), at("g", 8), known(9), false),
        ("a group at the beginning", then(id(10)), at("g", 0), known(0), false),
        ("a group that is later", then(id(10)), at("g", 11), known(9), false),
        ("another group", then(id(10)), at("h", 10), known(9), false),
    ];
    for (what, then, stream, groups, lives) in cases {
        let position_then = |name: &Name| Some(groups.get(name)?.delivered);
        assert_eq!(then.lives_on_in(&stream, position_then), lives, "{what}");
    }
}

#[test]
fn a_group_has_gone_on_where_its_position_and_its_count_have() {
    let now =
        |position, read| GroupState { entries_read: read, ..GroupState::at(StreamId::new(position, 0)) };
    for (read_then, position, read_now, went_on) in [
        (Some(5), 5, Some(5), true),
        (Some(5), 6, Some(6), true),
        // It was set elsewhere, or created again.
        (Some(5), 6, Some(5), false),
        (Some(5), 5, Some(6), false),
        (Some(5), 4, Some(4), false),
        (Some(5), 6, None, false),
        (Some(5), 5, None, false),
        // It is counted from some entry on.
        (None, 6, Some(6), true),
        (None, 5, Some(5), false),
        // It is not counted.
        (None, 5, None, true),
        (None, 6, None, true),
        (None, 4, None, false),
    ] {
        let what = format!("{read_then:?} {position} {read_now:?}");
        assert_eq!(group_then(5, read_then).went_on_to(&now(position, read_now)), went_on, "{what}");
    }
}

const NOW_MS: u64 = 1_800_000_000_000;

#[test]
fn ids_are_of_the_server_where_both_ends_are_times_or_nothing_was_given_out() {
    let now = Some(ServerTime(NOW_MS));
    for (first, last, time, are) in [
        (id(NOW_MS - 10), id(NOW_MS), now, true),
        (None, id(0), now, true),
        (None, id(NOW_MS), now, true),
        // A clock that is behind.
        (id(NOW_MS - 10), id(NOW_MS + 60_000), now, true),
        // Numbers that are no times.
        (id(1), id(NOW_MS), now, false),
        (id(1), id(7), now, false),
        (id(NOW_MS - 10), id(u64::MAX), now, false),
        // Where one of them is not known.
        (id(NOW_MS - 10), None, now, false),
        (id(NOW_MS - 10), id(NOW_MS), None, false),
        (None, id(0), None, true),
    ] {
        let counters = read(|it| (it.first_id, it.last_id, it.time) = (first, last, time));
        assert_eq!(counters.has_ids_of_the_server(), are, "{counters:?}");
    }
}

#[test]
fn an_id_that_was_over_when_it_was_given_out_is_the_applications() {
    let then = |last| read(|it| (it.last_id, it.time) = (id(last), Some(ServerTime(NOW_MS))));
    for (last_then, last_now, is_old) in [
        (5, 6, true),
        (5, 5, false),
        (6, 5, false),
        (5, NOW_MS - POLL_SLACK_MS - 1, true),
        (5, NOW_MS - POLL_SLACK_MS, false),
        (5, NOW_MS + 1, false),
    ] {
        let now = read(|it| it.last_id = id(last_now));
        assert_eq!(then(last_then).was_added_to_with_old_ids(&now), is_old, "{last_then} {last_now}");
    }
    let timeless = read(|it| it.last_id = id(5));
    assert!(!timeless.was_added_to_with_old_ids(&read(|it| it.last_id = id(6))));
    assert!(!then(5).was_added_to_with_old_ids(&read(|_| ())));
}

/// A stream with a group at this position.
fn stream_at(position: u64) -> StreamState {
    StreamState {
        last_generated_id: id(20),
        first_entry_id: id(11),
        entries_added: Some(20),
        max_deleted_entry_id: id(0),
        groups: NameMap::from([("g".into(), GroupState::at(StreamId::new(position, 0)))]),
        ..StreamState::of_length(10)
    }
}

#[test]
fn the_first_entry_behind_a_group_stays_it_while_nothing_went() {
    let known = |number| Some(Known { id: StreamId::new(number, 0), entries_behind: 0 });
    for (position, known, remembers, none_removed, stays) in [
        (5, known(5), false, false, true),
        (5, known(6), true, true, true),
        (5, None, true, true, true),
        (5, known(6), true, false, false),
        (5, known(6), false, true, false),
        (6, known(6), true, true, false),
    ] {
        let before = GroupHistory { first_after: id(11), ..group_then(5, None) };
        let groups = NameMap::from([("g".into(), before)]);
        let history = StreamHistory { remembers, none_removed, groups, ..StreamHistory::default() };
        let group = GroupState::at(StreamId::new(position, 0));
        let first = history.first_after(&"g".into(), &group, known);
        assert_eq!(first, id(11).filter(|_| stays), "{position} {remembers} {none_removed}");
        assert_eq!(history.first_after(&"h".into(), &group, known), None);
    }
}

#[test]
fn two_readings_say_whether_anything_was_removed_and_who_makes_the_ids() {
    let with =
        |added, length| StreamState { entries_added: added, ..StreamState { length, ..stream_at(15) } };
    // The lookups of the second reading may fail, so that it is not judged.
    for (lengths, is_judged, none_removed) in [
        ([10, 10, 10], true, true),
        ([10, 10, 9], true, false),
        ([10, 9, 9], true, true),
        ([10, 9, 9], false, false),
        ([10, 10, 10], false, true),
    ] {
        let mut history = StreamHistory::default();
        for (length, is_judged) in lengths.into_iter().zip([true, is_judged, true]) {
            history.begin(&Ok(with(Some(20), length)), None, Connection::Same, false);
            history.is_judged = is_judged;
        }
        assert_eq!(history.none_removed, none_removed, "{lengths:?} {is_judged}");
    }
    let mut history = StreamHistory::default();
    for _ in 0..2 {
        history.begin(&Ok(with(None, 10)), None, Connection::Same, false);
        history.is_judged = true;
    }
    assert!(!history.none_removed, "the server does not count that");
    // An old ID is never forgotten.
    let mut history = StreamHistory::default();
    let at =
        |last| StreamState { last_generated_id: id(last), first_entry_id: None, ..StreamState::of_length(0) };
    let now = Some(ServerTime(NOW_MS));
    for (last, makes_own_ids) in [(NOW_MS - 60_000, false), (NOW_MS - 50_000, true), (NOW_MS, true)] {
        history.begin(&Ok(at(last)), now, Connection::Same, false);
        assert_eq!((history.makes_own_ids, history.remembers), (makes_own_ids, !makes_own_ids), "{last}");
    }
}

#[test]
fn a_count_refutes_a_bound_that_it_exceeds() {
    for (entries, recreations) in [(9, 0), (10, 1)] {
        let mut history = StreamHistory::default();
        let stream = stream_at(15);
        let counted = Counted { up_to: StreamId::new(20, 0), entries, lowest: None, is_complete: false };
        let answers = GroupAnswers { counted: Some(counted), ..GroupAnswers::default() };
        history.refute(&stream, |_| Some(answers));
        assert_eq!(history.recreations, recreations, "{entries} of a bound of 9");
    }
}

#[test]
fn what_is_counted_of_a_group_outlives_a_recreation() {
    let lost = Losses { at_least: 1, at_most: 2, suspected: 3 };
    let before =
        GroupHistory { lost, rewinds: 4, asked_at: 5, first_after: id(11), ..group_then(9, Some(9)) };
    let mut history =
        StreamHistory { groups: NameMap::from([("g".into(), before)]), ..StreamHistory::default() };
    history.recreate();
    let after = history.groups.get(&"g".into()).unwrap();
    assert_eq!((after.lost, after.rewinds, after.asked_at), (lost, 4, 5));
    assert_eq!((after.delivered, after.first_after, history.recreations), (StreamId::ZERO, None, 1));
}

fn config() -> Config {
    let mut sources = crate::config::Sources::default();
    sources.overrides.set("--uri", "redis.uri", Some("redis://h".to_owned()));
    sources.load().unwrap()
}

fn snapshot(connection: u64, flavour: Flavour, state: Result<StreamState, Failure>) -> Snapshot {
    Snapshot {
        server: Server { flavour, ..Server::UNKNOWN },
        origin: Origin { connection, ..Origin::default() },
        place: "h:6379".into(),
        database: 0,
        time: Ok(Now::exactly(ServerTime(NOW_MS))),
        streams: NameMap::from([("s".into(), state)]),
        forbidden: 0,
        lengths: BTreeMap::new(),
        last_entries: BTreeMap::new(),
    }
}

#[test]
fn a_stream_that_is_away_comes_back_as_another_one() {
    let (mut history, config) = (History::default(), config());
    let failed = |reason| Err(Failure::new(reason, ""));
    for (connection, flavour, state, recreations) in [
        (1, Flavour::Redis, Ok(stream_at(15)), 0),
        // What can't be read is not away.
        (1, Flavour::Redis, failed(Reason::NoPermission), 0),
        (1, Flavour::Redis, failed(Reason::NoKey), 1),
        // It is away still.
        (1, Flavour::Redis, failed(Reason::NoKey), 1),
        (1, Flavour::Redis, Ok(stream_at(15)), 1),
        (2, Flavour::Redis, failed(Reason::NoKey), 2),
        (2, Flavour::Upstash, Ok(stream_at(15)), 2),
        // It may be away only where a replica that is behind answers.
        (3, Flavour::Upstash, failed(Reason::NoKey), 2),
        (3, Flavour::Upstash, Ok(stream_at(15)), 2),
        (3, Flavour::Upstash, failed(Reason::NoKey), 3),
    ] {
        let snapshot = snapshot(connection, flavour, state);
        drop(history.questions(&snapshot, &config, 0));
        let now = history.streams[&Name::from("s")].recreations;
        assert_eq!(now, recreations, "{:?} on connection {connection}", snapshot.streams);
    }
}

#[test]
fn consumers_are_compared_with_the_last_reading_of_the_same_stream() {
    let group = |consumers: &[&str]| GroupState {
        pending: 7 * consumers.len() as u64,
        consumer_count: consumers.len() as u64,
        consumers: consumers
            .iter()
            .map(|name| ConsumerState {
                name: (*name).into(),
                pending: 7,
                idle: Some(Millis::new(60_000)),
                inactive: None,
            })
            .collect(),
        ..GroupState::at(StreamId::new(15, 0))
    };
    let with = |group| StreamState { groups: NameMap::from([("g".into(), group)]), ..stream_at(15) };
    let unread = || Err(Failure::new(Reason::NoPermission, ""));
    let away = || Err(Failure::new(Reason::NoKey, ""));
    let idle = || Ok(with(group(&["a"])));
    let gone = || Ok(with(group(&[])));
    for (what, polls, dropped) in [
        ("at the next poll", vec![(1, idle()), (1, gone())], Some(7)),
        ("only once", vec![(1, idle()), (1, gone()), (1, gone())], Some(7)),
        ("could not be read", vec![(1, idle()), (1, unread()), (1, unread()), (1, gone())], Some(7)),
        ("another server", vec![(1, idle()), (2, gone())], Some(0)),
        ("another server in between", vec![(1, idle()), (2, unread()), (2, gone())], Some(0)),
        ("another stream", vec![(1, idle()), (1, away()), (1, gone())], Some(0)),
    ] {
        let (mut history, config) = (History::default(), config());
        let mut report = Arc::default();
        for (seconds, (connection, state)) in (0..).zip(polls) {
            let snapshot = snapshot(connection, Flavour::Redis, state);
            drop(history.questions(&snapshot, &config, 0));
            let at = Duration::from_secs(seconds);
            report = history.evaluate(&snapshot.into(), &Answers::default(), &config, at);
        }
        let stream = report.streams.get(&"s".into()).unwrap();
        let told = stream.groups.get(&"g".into()).unwrap().dropped.map(u64::from);
        assert_eq!(told, dropped, "{what}");
    }
}

#[test]
fn a_stream_that_no_configuration_names_was_recreated_if_what_comes_back_can_t_be_it() {
    let mut sources = crate::config::Sources::default();
    sources.overrides.set("--uri", "redis.uri", Some("redis://h".to_owned()));
    let config = sources.load().unwrap();
    let snapshot = |connection, flavour, stream: Option<StreamState>| Snapshot {
        server: Server { flavour, ..Server::UNKNOWN },
        origin: Origin { connection, ..Origin::default() },
        place: "h:6379".into(),
        database: 0,
        time: Ok(Now::exactly(ServerTime(NOW_MS))),
        streams: stream.into_iter().map(|stream| ("s".into(), Ok(stream))).collect(),
        forbidden: 0,
        lengths: BTreeMap::new(),
        last_entries: BTreeMap::new(),
    };
    let fewer = StreamState { entries_added: Some(3), length: 3, ..stream_at(15) };
    for (connection, flavour, back, recreations) in [
        (1, Flavour::Redis, stream_at(15), 0),
        (1, Flavour::Redis, fewer.clone(), 1),
        (2, Flavour::Redis, fewer.clone(), 1),
        (2, Flavour::Upstash, fewer, 0),
    ] {
        let mut history = History::default();
        let polls = [(1, Some(stream_at(15))), (1, None), (connection, None), (connection, Some(back))];
        for (connection, stream) in polls {
            drop(history.questions(&snapshot(connection, flavour, stream), &config, 0));
        }
        assert_eq!(history.streams[&Name::from("s")].recreations, recreations, "{flavour:?} {connection}");
        assert!(history.gone.is_empty());
    }
    let mut history = History::default();
    for name in 0..2_000 {
        let mut snapshot = snapshot(1, Flavour::Redis, None);
        snapshot.streams = NameMap::from([(Name::from(name.to_string().as_str()), Ok(stream_at(15)))]);
        drop(history.questions(&snapshot, &config, 0));
    }
    assert_eq!((history.gone.len(), history.gone.back().unwrap().0.clone()), (MOST_GONE, "1998".into()));
}
