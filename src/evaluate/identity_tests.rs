//! Which readings are of one stream, and what was removed between them: what two readings prove, and what stays
//! unknown.

use std::sync::Arc;

use super::{
    GroupStatus, Lag, Report,
    hosted_tests::{Watched, claimed, stream},
    test_readings::{NOW_MS, config},
};
use crate::{
    config::Config,
    model::{Answers, Counted, Finding, Flavour, GroupState, Name, NameMap, StreamId, StreamState},
};

/// The ID of an entry that was added in this second.
fn id(second: u64) -> StreamId {
    StreamId::new(NOW_MS + 1_000 * second, 0)
}

/// Reads a stream just after its last entry was added, but later than before.
fn read(watched: &mut Watched, stream: StreamState) -> Arc<Report> {
    read_with(watched, stream, &Answers::default())
}

fn read_with(watched: &mut Watched, stream: StreamState, answers: &Answers) -> Arc<Report> {
    let last = stream.last_generated_id.map_or(0, |last| (last.ms - NOW_MS) / 1_000);
    watched.seconds = last.max(watched.seconds) + 1;
    watched.read_now(1, stream, answers)
}

/// A stream of entries from one number to another, with as many entries ever added, and groups at these positions.
fn entries(first: u64, last: u64, added: u64, length: u64, groups: &[(&str, u64)]) -> StreamState {
    let groups = groups.iter().map(|(name, at)| {
        let position = if *at == 0 { StreamId::ZERO } else { id(*at) };
        (Name::from(*name), GroupState::at(position))
    });
    StreamState {
        length,
        last_generated_id: Some(id(last)),
        entries_added: Some(added),
        first_entry_id: Some(id(first)),
        groups: groups.collect::<Vec<_>>().into_iter().collect(),
        ..stream()
    }
}

fn lag(report: &Report, group: &str) -> Lag {
    report.streams.get(&Name::from("s")).unwrap().group(&Name::from(group)).unwrap().lag
}

fn watched() -> Watched {
    Watched::on(Flavour::Redis)
}

/// A configuration that expects this group of the stream `s`.
fn expecting(group: &str) -> Config {
    config(&format!("streams: [{{match: s, groups: [{group}]}}]"))
}

/// A stream that was read without its entries, like one with a first entry of 64 KiB.
fn in_part(stream: StreamState) -> StreamState {
    StreamState {
        last_generated_id: None,
        max_deleted_entry_id: None,
        entries_added: None,
        first_entry_id: None,
        ..stream
    }
}

#[test]
fn a_value_that_was_not_read_contradicts_nothing_and_drops_nothing() {
    let mut watched = watched();
    read(&mut watched, entries(1, 10, 10, 10, &[("g", 4)]));
    let at_ten = entries(1, 20, 20, 20, &[("g", 10)]);
    assert_eq!(lag(&read(&mut watched, at_ten.clone()), "g"), Lag::Exactly(10));
    for _ in 0..3 {
        assert_eq!(claimed(&read(&mut watched, in_part(at_ten.clone()))), (0, 0, 0));
    }
    let report = read(&mut watched, entries(1, 30, 30, 30, &[("g", 10)]));
    assert_eq!((claimed(&report), lag(&report, "g")), ((0, 0, 0), Lag::Exactly(20)));
}

#[test]
fn old_losses_are_not_reported_again_after_a_partial_reading() {
    let mut watched = watched();
    read(&mut watched, entries(1, 20, 20, 20, &[("g", 1)]));
    let trimmed = entries(15, 20, 20, 6, &[("g", 1)]);
    assert_eq!(claimed(&read(&mut watched, trimmed.clone())), (0, 0, 13));
    // After the window, no loss is reported any longer.
    let status = |report: Arc<Report>| {
        let verdict = report.streams.get(&Name::from("s")).unwrap();
        verdict.groups.get(&Name::from("g")).unwrap().status
    };
    let statuses: Vec<GroupStatus> = (0..30).map(|_| status(watched.read(1, trimmed.clone()))).collect();
    assert_eq!(statuses.first(), Some(&GroupStatus::TrimmedPast));
    assert_ne!(statuses.last(), Some(&GroupStatus::TrimmedPast));
    read(&mut watched, in_part(trimmed.clone()));
    assert_ne!(status(read(&mut watched, trimmed)), GroupStatus::TrimmedPast);
}

#[test]
fn losses_across_a_partial_reading_are_bounded_by_the_readings_around_it() {
    let lost = |report: &Report, group: &str| {
        let stream = report.streams.get(&Name::from("s")).unwrap();
        let lost = stream.group(&Name::from(group)).unwrap().lost.unwrap();
        (lost.at_least, lost.at_most)
    };
    let mut one = watched();
    read(&mut one, entries(1, 20, 20, 20, &[("g", 1)]));
    let trimmed = entries(15, 20, 20, 6, &[("g", 1)]);
    read(&mut one, in_part(trimmed.clone()));
    assert_eq!(lost(&read(&mut one, trimmed), "g"), (13, 13));

    let mut other = watched();
    read(&mut other, entries(1, 10, 10, 10, &[("g", 10), ("h", 5)]));
    // Five were added, `g` read them all, and all were removed.
    let emptied = entries(0, 15, 15, 0, &[("g", 15), ("h", 5)]);
    let emptied = StreamState { first_entry_id: None, ..emptied };
    read(&mut other, in_part(emptied.clone()));
    let report = read(&mut other, emptied);
    assert_eq!(lost(&report, "g").0, 0);
    assert!(lost(&report, "h").1 >= 10, "{:?}", lost(&report, "h"));
}

#[test]
fn a_group_that_was_recreated_between_two_ticks_has_no_rate_from_the_earlier_one() {
    let rate = |report: &Report| {
        let verdict = report.streams.get(&Name::from("s")).unwrap();
        verdict.groups.get(&Name::from("g")).and_then(|group| group.rate_out).map(|rate| rate.entries)
    };
    let mut watched = watched();
    watched.config = expecting("g");
    let groups: [&[(&str, u64)]; 4] = [&[("g", 1)], &[("g", 1)], &[("h", 1)], &[("g", 20), ("h", 1)]];
    let rates = groups.map(|groups| rate(&read(&mut watched, entries(1, 20, 20, 20, groups))));
    // Readings a second apart: the second one is the second tick, and so are those that follow.
    assert_eq!(rates[..2], [None, Some(0)]);
    assert_eq!(rates[3], None, "it has just begun");
}

#[test]
fn losses_while_ids_prove_nothing_are_within_the_bound_when_they_prove_something_again() {
    let lost =
        |report: &Report| report.streams.get(&Name::from("s")).unwrap().group(&Name::from("g")).unwrap().lost;
    let mut watched = watched();
    // The application chose the ID of the first entry. Then three entries are added and four removed.
    let with_marker =
        StreamState { first_entry_id: Some(StreamId::new(1, 0)), ..entries(1, 10, 10, 10, &[("g", 0)]) };
    assert_eq!(lost(&read(&mut watched, with_marker)), None);
    let report = read(&mut watched, entries(5, 13, 13, 9, &[("g", 5)]));
    let actual = lost(&report).unwrap();
    assert_eq!((actual.at_least, actual.at_most, actual.suspected), (0, 4, 0));
    let report = read(&mut watched, entries(8, 13, 13, 6, &[("g", 5)]));
    let actual = lost(&report).unwrap();
    assert_eq!((actual.at_least, actual.at_most), (2, 6), "from here on IDs prove something");
}

#[test]
fn a_stream_with_more_entries_than_were_added_is_another_one() {
    let mut watched = watched();
    read(&mut watched, entries(1, 10, 10, 10, &[("g", 0)]));
    // At most 30 were added, and 39 exist although the earlier ten are gone.
    let report = read(&mut watched, entries(101, 140, 40, 39, &[("g", 105)]));
    assert_eq!((claimed(&report), lag(&report, "g")), ((1, 0, 0), Lag::AtMost(38)));
}

#[test]
fn an_empty_stream_with_an_older_entry_is_another_one() {
    let mut watched = watched();
    read(
        &mut watched,
        StreamState { first_entry_id: None, length: 0, ..entries(1, 10, 10, 0, &[("g", 10)]) },
    );
    assert_eq!(claimed(&read(&mut watched, entries(5, 20, 20, 3, &[("g", 10)]))), (1, 0, 0));
}

#[test]
fn a_stream_that_may_be_another_one_has_lost_nothing() {
    let mut watched = watched();
    read(&mut watched, entries(1, 3, 3, 3, &[("g", 0)]));
    let report = read(&mut watched, entries(61, 100, 100, 40, &[("g", 0)]));
    assert_eq!((claimed(&report), lag(&report, "g")), ((0, 0, 0), Lag::Exactly(40)));
}

#[test]
fn a_stream_that_is_certainly_the_same_has_lost_what_is_gone() {
    let another_group = [("g", 0), ("h", 2)];
    let pending = |stream: StreamState| {
        let head = crate::model::OldestPending { id: id(2), idle: None, deliveries: 1 };
        let with = |group: &GroupState| GroupState {
            pending: 1,
            oldest_pending: crate::model::Pending::Oldest(head),
            ..group.clone()
        };
        let groups: NameMap<GroupState> = stream
            .groups
            .iter()
            .map(|(name, group)| (name.clone(), with(group)))
            .collect::<Vec<_>>()
            .into_iter()
            .collect();
        StreamState { groups, ..stream }
    };
    let deleted = |stream| StreamState { max_deleted_entry_id: Some(id(2)), ..stream };
    let turned = || entries(61, 100, 100, 40, &[("g", 0)]);
    let cases = [
        ("a group stands at an old ID", entries(61, 100, 100, 40, &another_group), 60),
        ("an old entry is pending", pending(turned()), 60),
        ("an old entry is the last that was deleted", deleted(turned()), 60),
        ("an old entry is there", entries(3, 100, 100, 98, &[("g", 0)]), 2),
        ("nothing", turned(), 0),
    ];
    for (what, now, lost) in cases {
        let mut watched = watched();
        read(&mut watched, entries(1, 3, 3, 3, &another_group));
        assert_eq!(claimed(&read(&mut watched, now)), (0, 0, lost), "{what}");
    }
}

#[test]
fn a_count_that_exceeds_the_bound_refutes_it() {
    let mut watched = watched();
    read(&mut watched, entries(1, 40, 40, 40, &[("g", 40)]));
    // One was deleted, so at most ten follow the group's position, but twelve are counted.
    let now = || StreamState { max_deleted_entry_id: Some(id(45)), ..entries(1, 50, 50, 49, &[("g", 40)]) };
    let counted = Counted { up_to: id(50), entries: 12, lowest: Some(id(41)), is_complete: true };
    let answers = Answers::from_iter([("s".into(), "g".into(), Finding::Counted(counted))]);
    let report = read_with(&mut watched, now(), &answers);
    assert_eq!((claimed(&report), lag(&report, "g")), ((1, 0, 0), Lag::Exactly(12)));
    let report = read(&mut watched, now());
    assert_eq!((claimed(&report), lag(&report, "g")), ((1, 0, 0), Lag::Exactly(12)), "reported once");
}

/// A group at the fifth of ten entries, and another one; then entries were removed.
#[test]
fn a_checkpoint_holds_if_a_group_needed_the_entries_or_the_server_never_trims_the_middle() {
    let before = || entries(1, 10, 10, 10, &[("g", 5), ("h", 10)]);
    let cases = [
        ("it stays", &[("g", 5), ("h", 20)][..], true, true),
        ("another one is made behind all", &[("h", 20), ("new", 5)], true, false),
        ("it was set back", &[("g", 4), ("h", 20)], true, false),
        ("nothing went", &[("h", 20), ("new", 5)], false, true),
    ];
    for (what, groups, is_trimmed, is_known) in cases {
        for (flavour, version, trims_the_middle) in [
            (Flavour::Redis, None, true),
            (Flavour::Redis, Some((8, 2, 0)), true),
            (Flavour::Redis, Some((8, 0, 6)), false),
            (Flavour::Valkey, Some((9, 1, 2)), false),
            (Flavour::Valkey, None, true),
            (Flavour::Upstash, Some((8, 0, 0)), true),
        ] {
            let mut watched = Watched::on(flavour);
            watched.version = version;
            read(&mut watched, entries(1, 5, 5, 5, &[("g", 1), ("h", 5)]));
            read(&mut watched, before());
            let (first, length) = if is_trimmed { (3, 18) } else { (1, 20) };
            let report = read(&mut watched, entries(first, 20, 20, length, groups));
            let name = groups.iter().map(|(name, _)| *name).find(|name| *name != "h").unwrap();
            let position = groups.iter().find(|(group, _)| *group == name).unwrap().1;
            let expected = is_known || (!trims_the_middle && position == 5);
            assert_eq!(lag(&report, name).known().is_some(), expected, "{what}: {flavour:?} {version:?}");
        }
    }
}

#[test]
fn a_group_that_was_moved_in_between_has_protected_nothing() {
    let cases = [
        ((5, Some(5)), (5, Some(5)), true),
        ((4, Some(4)), (5, Some(5)), true),
        ((5, None), (5, None), true),
        ((4, None), (5, Some(5)), true),
        ((4, None), (5, None), true),
        ((5, Some(5)), (5, None), false),
        ((5, None), (5, Some(5)), false),
        ((5, Some(5)), (5, Some(9)), false),
        ((4, Some(4)), (5, Some(4)), false),
        ((5, Some(5)), (4, Some(4)), false),
        ((5, None), (4, None), false),
    ];
    for (then, now, has_held) in cases {
        let with = |stream: StreamState, (position, entries_read)| {
            let group = GroupState { entries_read, ..GroupState::at(id(position)) };
            let others = stream.groups.iter().map(|(name, group)| (name.clone(), group.clone()));
            let groups: Vec<_> = others.chain([("g".into(), group)]).collect();
            StreamState { groups: groups.into_iter().collect(), ..stream }
        };
        let mut watched = watched();
        read(&mut watched, with(entries(1, 5, 5, 5, &[("h", 5)]), then));
        let report = read(&mut watched, with(entries(3, 20, 20, 18, &[("h", 20), ("new", 5)]), now));
        let expected = if has_held { Lag::Exactly(15) } else { Lag::AtMost(15) };
        assert_eq!(lag(&report, "new"), expected, "{then:?} {now:?}");
    }
}

#[test]
fn a_clock_that_is_behind_the_ids_is_reported_and_leaves_ages_unknown() {
    let mut watched = watched();
    let report = watched.read(1, entries(3_600, 3_609, 10, 10, &[("g", 0)]));
    let stream = report.streams.get(&Name::from("s")).unwrap();
    let (read, group) = (stream.read.unwrap(), stream.group(&Name::from("g")).unwrap());
    assert_eq!((read.last_write_age, read.oldest_entry_age, group.lag_age), (None, None, None));
    let cause = stream.reason_of(&stream.cause);
    assert!(cause.starts_with("its last ID is 59m 54s ahead of the server's clock"), "{cause}");
}
