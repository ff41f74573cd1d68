//! Streams that are removed and recreated, and the basis on which two readings are compared.

use super::*;
use crate::{
    evaluate::test_readings::{self, begin, config, stream_at},
    model::{ConsumerState, Failure, Flavour, GroupState, Millis, Origin, Reason, Server, StreamId},
};

/// A reading of the stream `s`, if it exists.
fn snapshot(
    connection: u64,
    flavour: Flavour,
    state: impl Into<Option<Result<StreamState, Failure>>>,
) -> Snapshot {
    Snapshot {
        nodes: vec![Node {
            server: Server { flavour, ..Server::UNKNOWN },
            origin: Origin { connection, ..Origin::default() },
            ..test_readings::node()
        }],
        ..test_readings::snapshot(state.into().map(|state| ("s".into(), state)))
    }
}

#[test]
fn a_stream_that_was_missing_comes_back_as_another_one() {
    let (mut history, config) = (History::default(), config(""));
    let failed = |reason| Err(Failure::new(reason, ""));
    for (connection, flavour, state, recreations) in [
        (1, Flavour::Redis, Ok(stream_at(15)), 0),
        // A stream that can't be read still exists.
        (1, Flavour::Redis, failed(Reason::NoPermission), 0),
        (1, Flavour::Redis, failed(Reason::NoKey), 1),
        // It is still missing.
        (1, Flavour::Redis, failed(Reason::NoKey), 1),
        (1, Flavour::Redis, Ok(stream_at(15)), 1),
        (2, Flavour::Redis, failed(Reason::NoKey), 2),
        (2, Flavour::Upstash, Ok(stream_at(15)), 2),
        // It may only seem to be missing if a replica that is behind answers.
        (3, Flavour::Upstash, failed(Reason::NoKey), 2),
        (3, Flavour::Upstash, Ok(stream_at(15)), 2),
        (3, Flavour::Upstash, failed(Reason::NoKey), 3),
    ] {
        let what = format!("{state:?} on connection {connection}");
        drop(begin(&mut history, snapshot(connection, flavour, state), &config, 0));
        assert_eq!(history.streams[&Name::from("s")].recreations, recreations, "{what}");
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
        let (mut history, config) = (History::default(), config(""));
        let mut report = Arc::default();
        for (seconds, (connection, state)) in (0..).zip(polls) {
            let snapshot = snapshot(connection, Flavour::Redis, state);
            let at = Duration::from_secs(seconds);
            report = begin(&mut history, snapshot, &config, 0).finish(&Answers::default(), at).1;
        }
        let stream = report.streams.get(&"s".into()).unwrap();
        let actual = stream.group(&"g".into()).unwrap().dropped.map(u64::from);
        assert_eq!(actual, dropped, "{what}");
    }
}

#[test]
fn an_unnamed_stream_was_recreated_if_the_one_that_comes_back_can_t_be_the_same() {
    let config = config("");
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
            drop(begin(&mut history, snapshot(connection, flavour, stream.map(Ok)), &config, 0));
        }
        assert_eq!(history.streams[&Name::from("s")].recreations, recreations, "{flavour:?} {connection}");
        assert!(history.gone.is_empty());
    }
    let mut history = History::default();
    for name in 0..2_000 {
        let mut snapshot = snapshot(1, Flavour::Redis, None);
        snapshot.streams = NameMap::from([(Name::from(name.to_string().as_str()), Ok(stream_at(15)))]);
        drop(begin(&mut history, snapshot, &config, 0));
    }
    assert_eq!((history.gone.len(), history.gone.back().unwrap().0.clone()), (MOST_GONE, "1998".into()));
}
