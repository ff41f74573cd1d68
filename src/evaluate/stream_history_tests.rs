//! What is kept of a stream, and when a group has only moved forward.

use super::*;
use crate::{
    evaluate::{
        Losses,
        test_readings::{NOW_MS, id, stream_at},
    },
    model::Counted,
};

/// A group as of an earlier poll.
fn group_then(delivered: u64, entries_read: Option<i64>) -> GroupHistory {
    GroupHistory { delivered: StreamId::new(delivered, 0), entries_read, ..GroupHistory::default() }
}

#[test]
fn a_group_has_moved_forward_if_its_position_and_its_count_have() {
    let now =
        |position, read| GroupState { entries_read: read, ..GroupState::at(StreamId::new(position, 0)) };
    for (read_then, position, read_now, went_on) in [
        (Some(5), 5, Some(5), true),
        (Some(5), 6, Some(6), true),
        // Its position was set, or it was recreated.
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
        assert_eq!(group_then(5, read_then).moved_forward_to(&now(position, read_now)), went_on, "{what}");
    }
}

#[test]
fn the_first_entry_after_a_group_stays_the_same_while_nothing_is_removed() {
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
fn two_readings_show_whether_anything_was_removed_and_who_makes_the_ids() {
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
            history.begin(&Ok(with(Some(20), length)), None, Change::default(), false);
            history.is_judged = is_judged;
        }
        assert_eq!(history.none_removed, none_removed, "{lengths:?} {is_judged}");
    }
    let mut history = StreamHistory::default();
    for _ in 0..2 {
        history.begin(&Ok(with(None, 10)), None, Change::default(), false);
        history.is_judged = true;
    }
    assert!(!history.none_removed, "the server does not count that");
    // An old ID is remembered forever.
    let mut history = StreamHistory::default();
    let at =
        |last| StreamState { last_generated_id: id(last), first_entry_id: None, ..StreamState::of_length(0) };
    let now = Some(ServerTime(NOW_MS));
    for (last, makes_own_ids) in [(NOW_MS - 60_000, false), (NOW_MS - 50_000, true), (NOW_MS, true)] {
        history.begin(&Ok(at(last)), now, Change::default(), false);
        assert_eq!((history.makes_own_ids, history.remembers), (makes_own_ids, !makes_own_ids), "{last}");
    }
}

#[test]
fn a_count_contradicts_a_bound_that_it_exceeds() {
    for (entries, recreations) in [(9, 0), (10, 1)] {
        let mut history = StreamHistory::default();
        let stream = stream_at(15);
        let counted = Counted { up_to: StreamId::new(20, 0), entries, lowest: None, is_complete: false };
        let answers = GroupAnswers { counted: Some(counted), ..GroupAnswers::default() };
        history.refute(&stream, None, |_| Some(answers));
        assert_eq!(history.recreations, recreations, "{entries} of a bound of 9");
    }
}

#[test]
fn counters_of_a_group_survive_a_recreation() {
    let lost = Losses { at_least: 1, at_most: 2, suspected: 3 };
    let before =
        GroupHistory { lost, rewinds: 4, asked_at: 5, first_after: id(11), ..group_then(9, Some(9)) };
    let mut history =
        StreamHistory { groups: NameMap::from([("g".into(), before)]), ..StreamHistory::default() };
    history.recreate(None, None);
    let after = history.groups.get(&"g".into()).unwrap();
    assert_eq!((after.lost, after.rewinds, after.asked_at), (lost, 4, 5));
    assert_eq!((after.delivered, after.first_after, history.recreations), (StreamId::ZERO, None, 1));
}
