//! Which groups have their turn, and which questions are left out.

use std::{collections::VecDeque, time::Duration};

use proptest::prelude::*;

use super::{super::test_readings::begin, *};
use crate::{
    evaluate::{
        History,
        test_readings::{self, config},
    },
    model::{Finding, NameMap, Node, OldestPending, ServerTime},
};

/// One stream each, in mid-stream, with at least one question about its group at each poll.
fn snapshot(names: &[usize], is_pending: impl Fn(usize) -> bool) -> Snapshot {
    let stream = |name: usize| {
        let head = OldestPending { id: StreamId::new(12, 0), idle: None, deliveries: 2 };
        let (pending, oldest_pending) =
            if is_pending(name) { (1, Pending::Oldest(head)) } else { (0, Pending::None) };
        let group = GroupState { pending, oldest_pending, ..GroupState::at(StreamId::new(15, 0)) };
        StreamState {
            length: 10,
            last_generated_id: Some(StreamId::new(20, 0)),
            first_entry_id: Some(StreamId::new(11, 0)),
            groups: NameMap::from([("g".into(), group)]),
            ..StreamState::of_length(0)
        }
    };
    let streams = names.iter().map(|name| (Name::from(format!("s{name:02}").as_str()), Ok(stream(*name))));
    Snapshot {
        nodes: vec![Node { time: Ok(Now::exactly(ServerTime(1_000))), ..test_readings::node() }],
        ..test_readings::snapshot(streams)
    }
}

/// Polls once, and returns the streams with questions.
fn poll(history: &mut History, snapshot: &Snapshot, config: &Config, most: usize) -> (Vec<Name>, usize) {
    let open = begin(history, snapshot.clone(), config, most);
    let (asked, skipped) = (open.asked().to_vec(), open.skipped());
    assert!(asked.len() <= most, "{} of {most}", asked.len());
    let unanswered = |it: &Question| (it.stream.clone(), it.group.clone(), Finding::Nothing);
    let answers = asked.iter().map(unanswered).collect();
    drop(open.finish(&answers, Duration::ZERO));
    let mut streams: Vec<Name> = asked.into_iter().map(|question| question.stream).collect();
    streams.sort();
    streams.dedup();
    (streams, skipped)
}

proptest! {
    /// Also if some are removed and recreated, and if some have more questions than others.
    #[test]
    fn no_group_waits_longer_than_it_takes_to_ask_about_the_others(
        groups in 1_usize..12, most in 4_usize..20, pending: u16, comings in prop::collection::vec(0_usize..12, 40),
    ) {
        let (mut history, config) = (History::default(), config(""));
        let steady: Vec<usize> = (0..groups).collect();
        let mut last = VecDeque::new();
        // Each has at most four questions: a count, a first entry, a sample and one after it.
        let longest = (groups + 1).div_ceil(most / 4);
        for coming in comings {
            let names: Vec<usize> = steady.iter().copied().chain((coming == 0).then_some(99)).collect();
            let snapshot = snapshot(&names, |name| pending >> (name % 16) & 1 == 1);
            let (asked, _) = poll(&mut history, &snapshot, &config, most);
            last.push_back(asked);
            if last.len() > 2 * longest {
                last.pop_front();
                for name in &steady {
                    let name = Name::from(format!("s{name:02}").as_str());
                    prop_assert!(last.iter().flatten().any(|asked| *asked == name), "{name} starves");
                }
            }
        }
    }
}

#[test]
fn a_count_without_entries_left_takes_no_place_and_other_positions_come_first() {
    let mut snapshot = snapshot(&[1, 2, 3], |_| false);
    for (_, state) in snapshot.streams.iter_mut() {
        let groups = ["g", "h"].map(|name| (name.into(), GroupState::at(StreamId::new(15, 0))));
        state.as_mut().unwrap().groups = groups.into();
    }
    // At most ten entries are counted for each group.
    for (entries, counted, places) in [(25, 3, 3), (35, 4, 3), (0, 0, 0)] {
        let config = config(&format!("lag_count: {{entries: {entries}}}"));
        let mut history = History::default();
        let open = begin(&mut history, snapshot.clone(), &config, MOST_QUESTIONS);
        let (asked, skipped) = (open.asked(), open.skipped());
        let of = |is_it: fn(&Lookup) -> bool| asked.iter().filter(move |question| is_it(&question.lookup));
        let counts: Vec<&Name> =
            of(|it| matches!(it, Lookup::Count { .. })).map(|question| &question.stream).collect();
        let distinct: BTreeSet<&&Name> = counts.iter().collect();
        assert_eq!((counts.len(), distinct.len(), skipped), (counted, places, 0), "{entries}");
        assert!(of(|it| matches!(it, Lookup::FirstAfter(_))).count() >= 3, "they are asked all the same");
    }
}

#[test]
fn questions_beyond_the_limit_are_counted_and_a_limit_of_zero_asks_nothing() {
    let (mut history, config) = (History::default(), config(""));
    let snapshot = snapshot(&[1, 2, 3], |_| false);
    assert_eq!(poll(&mut history, &snapshot, &config, MOST_QUESTIONS).1, 0);
    assert_eq!(poll(&mut history, &snapshot, &config, 0), (vec![], 6));
    assert_eq!(poll(&mut history, &snapshot, &config, 5), (["s01", "s02"].map(Name::from).to_vec(), 2));
    assert_eq!(poll(&mut history, &snapshot, &config, 2), (["s03".into()].to_vec(), 4));
}
