//! Which changes each reading brings.

use std::sync::Arc;

use super::*;
use crate::{
    clock,
    config::{Watchlist, test_config::config},
    evaluate::{GroupCause, GroupVerdict, Report, Series, StreamVerdict},
    model::{Failure, Reason, StreamState, test_snapshot},
    retention::RetentionStatuses,
    views::api::ChangeDocument,
};

use GroupStatus::{Lagging, Ok as Fine, Stalled, Unknown};

const STALE_AFTER: Duration = Duration::from_secs(60);
/// The time of each reading.
const NOW: Duration = Duration::from_secs(1_000_000);

/// A stream's groups, or since when its node does not answer.
type Stream<'a> = Result<&'a [(&'a str, GroupStatus)], Option<Duration>>;

fn verdict(stream: Stream<'_>) -> StreamVerdict {
    let groups = stream.unwrap_or_default().iter().map(|(name, status)| {
        let cause = GroupCause::Idle;
        let lags = Series::default();
        (Name::from(*name), GroupVerdict { status: *status, cause, read: None, rate_out: None, lags })
    });
    let groups: crate::model::NameMap<GroupVerdict> = groups.collect();
    let worst = groups.values().map(|group| group.status.health()).max().unwrap_or(Health::Healthy);
    let (health, cause) = match stream {
        Err(_) => (Health::Unknown, StreamCause::Unreadable(Reason::Unreachable.into())),
        Ok(_) if worst == Health::Healthy => (worst, StreamCause::Fine { groups: groups.len() }),
        Ok(_) => (worst, StreamCause::Group { name: "a".into(), others: 0 }),
    };
    let (lengths, added) = (Series::default(), Series::default());
    StreamVerdict {
        health,
        cause,
        read: None,
        over_limit: None,
        recreated: None,
        rate_in: None,
        lengths,
        added,
        memory: None,
        groups,
    }
}

fn reading(source: &str, streams: &[(&str, Stream<'_>)]) -> Reading {
    let states = streams.iter().map(|(name, stream)| {
        let failure = |since| Failure { since, ..Failure::new(Reason::Unreachable, "") };
        (Name::from(*name), stream.map(|_| StreamState::of_length(0)).map_err(failure))
    });
    let mut snapshot = test_snapshot::snapshot(states);
    source.clone_into(&mut snapshot.source);
    let verdicts = streams.iter().map(|(name, stream)| (Name::from(*name), verdict(*stream)));
    let report = Report { streams: verdicts.collect(), ..Report::default() };
    let watchlist = Watchlist::new(&config(""), snapshot.streams.keys().cloned());
    let read_at = clock::Moment { unix: NOW, ..clock::moment() };
    Reading::new(&watchlist, &RetentionStatuses::default(), snapshot.into(), Arc::new(report), read_at)
}

/// The changes that a reading brings: `stream: from>to group:from>to`.
fn said(changes: &mut Changes, reading: &Reading) -> Vec<String> {
    let word = |word: Option<&'static str>| word.unwrap_or("-");
    let said = changes.of_streams(reading, STALE_AFTER).into_iter().map(|change| {
        let StreamChange { stream, from, groups } = change;
        let to = stream.health().as_str();
        let mut line = format!("{}: {}>{to}", stream.name, word(from.map(Health::as_str)));
        for (from, group) in groups {
            let (from, to) = (word(from.map(GroupStatus::as_str)), group.verdict.status.as_str());
            line.push_str(&format!(" {}:{from}>{to}", group.name));
        }
        line
    });
    said.collect()
}

#[test]
fn each_change_is_said_once_and_what_is_unknown_for_a_while_has_not_changed() {
    let mut changes = Changes::default();
    for (a, b, expected) in [
        (Unknown, Unknown, ""),
        (Fine, Unknown, ""),
        (Fine, Fine, ""),
        (Stalled, Fine, "s: healthy>critical a:ok>stalled"),
        (Stalled, Fine, ""),
        (Unknown, Fine, ""),
        (Stalled, Fine, ""),
        (Stalled, Lagging, "s: critical>critical b:ok>lagging"),
        (Unknown, Lagging, "s: critical>warning"),
        (Unknown, Unknown, ""),
        (Unknown, Fine, "s: warning>unknown b:lagging>ok"),
        (Fine, Fine, "s: unknown>healthy a:stalled>ok"),
        (Fine, Fine, ""),
    ] {
        let said = said(&mut changes, &reading("", &[("s", Ok(&[("a", a), ("b", b)]))]));
        assert_eq!(said.concat(), expected, "{a:?} {b:?}");
    }
}

#[test]
fn at_first_sight_only_what_is_wrong_is_said() {
    let streams: &[(&str, Stream<'_>)] = &[
        ("fine", Ok(&[("a", Fine)])),
        ("unknown", Ok(&[("a", Unknown)])),
        ("unreadable", Err(None)),
        ("wrong", Ok(&[("a", Lagging), ("b", Fine)])),
    ];
    let mut changes = Changes::default();
    assert_eq!(said(&mut changes, &reading("one", streams)), ["wrong: ->warning a:->lagging"]);
    assert!(said(&mut changes, &reading("one", streams)).is_empty());
    assert_eq!(said(&mut changes, &reading("another", streams)).len(), 1, "these are other streams");
    assert!(said(&mut changes, &reading("another", &[])).is_empty(), "what is gone is forgotten");
    assert_eq!(said(&mut changes, &reading("another", streams)).len(), 1);
}

#[test]
fn a_stream_that_cannot_be_read_is_news_at_once_and_that_of_a_silent_node_once_the_reading_is_stale() {
    let mut changes = Changes::default();
    let mut say = |stream| said(&mut changes, &reading("", &[("s", stream)])).concat();
    assert_eq!(say(Ok(&[("a", Fine)])), "");
    let silent_for = |time| Err(Some(NOW - time));
    assert_eq!(say(silent_for(STALE_AFTER - Duration::from_secs(1))), "");
    assert_eq!(say(silent_for(STALE_AFTER)), "s: healthy>unknown");
    assert_eq!(say(Ok(&[("a", Fine)])), "s: unknown>healthy");
    assert_eq!(say(Err(None)), "s: healthy>unknown");
}

#[test]
fn redis_is_said_to_be_down_and_up_again_but_never_up_at_first() {
    let of = |states: &[RedisState]| {
        let mut changes = Changes::default();
        states.iter().map(|state| changes.of_redis(*state)).collect::<Vec<_>>()
    };
    use RedisState::{Down, Up};
    assert_eq!(
        of(&[Up, Up, Down, Down, Up]),
        [None, None, Some((Some(Up), Down)), None, Some((Some(Down), Up))]
    );
    assert_eq!(of(&[Down, Up]), [Some((None, Down)), Some((Some(Down), Up))]);
}

#[test]
fn of_many_groups_the_worst_are_listed_and_the_others_counted() {
    let names: Vec<String> = (0..150).map(|number| format!("group{number:03}")).collect();
    let status = |name: &str| if name == "group149" { Stalled } else { Lagging };
    let groups: Vec<_> = names.iter().map(|name| (name.as_str(), status(name))).collect();
    let reading = reading("", &[("s", Ok(&groups))]);
    let [change] = Changes::default().of_streams(&reading, STALE_AFTER).try_into().ok().unwrap();
    let document = ChangeDocument::of_stream("host", &config(""), &reading, change);
    let document = serde_json::to_value(&document).unwrap();
    let listed = document["groups"].as_array().unwrap();
    assert_eq!((listed.len(), &document["unlisted_groups"]), (100, &50.into()));
    assert_eq!((&listed[0]["name"], &listed[1]["name"]), (&"group149".into(), &"group000".into()));
    assert_eq!((&document["page_url"], &document["database"]), (&serde_json::Value::Null, &"db0".into()));
}
