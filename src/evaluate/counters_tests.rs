//! Which reading can follow which.

use super::*;
use crate::{
    evaluate::test_readings::{NOW_MS, id},
    model::NameMap,
};

/// A reading with nothing but this.
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
        // A value that was not read contradicts nothing.
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
        ("an ID without an added entry", |it| it.last_id = id(11), false),
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
    // A stream that was empty has only entries that were added since, which come after the last ID of then.
    for (length, first, can) in [(0, 9, false), (0, 10, false), (0, 11, true), (1, 9, true), (1, 10, true)] {
        let then = read(|it| (it.length, it.last_id) = (length, id(10)));
        assert_eq!(then.can_become(&read(|it| it.first_id = id(first))), can, "{length} {first}");
        assert!(then.can_become(&read(|_| ())), "it is empty still, or was not read");
    }
}

#[test]
fn a_reading_with_first_and_last_id_is_whole() {
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
fn a_stream_is_certainly_the_same_if_something_of_it_still_exists() {
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
    let known = |delivered| NameMap::from([("g".into(), StreamId::new(delivered, 0))]);
    let none = NameMap::default;
    let cases: [(&str, Counters, StreamState, NameMap<StreamId>, bool); 16] = [
        ("all is later", then(id(10)), stream(|_| ()), none(), false),
        ("nothing was known", then(None), stream(|it| it.first_entry_id = id(5)), none(), false),
        ("the last ID", then(id(20)), stream(|it| it.first_entry_id = None), none(), true),
        ("no ID was ever added", then(id(0)), stream(|it| it.last_generated_id = id(0)), none(), false),
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
        let position_then = |name: &Name| groups.get(name).copied();
        assert_eq!(then.lives_on_in(&stream, position_then), lives, "{what}");
    }
}

#[test]
fn ids_are_of_the_server_if_both_ends_are_times_or_missing() {
    let now = Some(ServerTime(NOW_MS));
    for (first, last, time, are) in [
        (id(NOW_MS - 10), id(NOW_MS), now, true),
        (None, id(0), now, true),
        (None, id(NOW_MS), now, true),
        // A clock that is behind.
        (id(NOW_MS - 10), id(NOW_MS + 60_000), now, true),
        // Numbers that are not times.
        (id(1), id(NOW_MS), now, false),
        (id(1), id(7), now, false),
        (id(NOW_MS - 10), id(u64::MAX), now, false),
        // One of them is unknown.
        (id(NOW_MS - 10), None, now, false),
        (id(NOW_MS - 10), id(NOW_MS), None, false),
        (None, id(0), None, true),
    ] {
        let counters = read(|it| (it.first_id, it.last_id, it.time) = (first, last, time));
        assert_eq!(counters.has_ids_of_the_server(), are, "{counters:?}");
    }
}

#[test]
fn an_id_that_was_in_the_past_when_it_was_added_is_the_applications() {
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
