//! Numbers and IDs at the ends of what Redis takes: `XADD s 18446744073709551615-…`, `XSETID` and `XGROUP CREATE` with counts of the
//! caller's. None of them may stop the watch over the other streams. Arithmetic is checked in tests.

use std::time::Duration;

use proptest::prelude::*;

use super::{
    History, MOST_QUESTIONS,
    test_readings::{NOW_MS, begin, config, node, snapshot},
};
use crate::model::{
    Answers, Counted, Finding, GroupState, Lookup, Millis, NameMap, Node, Now, OldestPending, Pending,
    ServerTime, StreamId, StreamState,
};

const ENDS: u64 = i64::MAX.unsigned_abs();

fn number() -> impl Strategy<Value = u64> {
    prop_oneof![3 => 0_u64..20, 1 => Just(ENDS), 1 => Just(ENDS - 1), 1 => Just(ENDS / 2)]
}

fn ms() -> impl Strategy<Value = u64> {
    let now = NOW_MS - 5_000..NOW_MS + 5_000;
    prop_oneof![1 => Just(0), 1 => 0_u64..3, 3 => now, 1 => ENDS - 1..ENDS + 2, 1 => u64::MAX - 3..=u64::MAX]
}

fn id() -> impl Strategy<Value = StreamId> {
    (ms(), prop_oneof![Just(0), Just(1), Just(u64::MAX)]).prop_map(|(ms, seq)| StreamId::new(ms, seq))
}

fn oldest() -> impl Strategy<Value = OldestPending> {
    (id(), number(), number()).prop_map(|(id, idle, deliveries)| OldestPending {
        id,
        idle: Some(Millis::new(idle)),
        deliveries,
    })
}

prop_compose! {
    fn group()(
        at in id(),
        read in proptest::option::of(number()),
        pending in number(),
        oldest in proptest::option::of(oldest()),
        consumers in number(),
        idle in proptest::option::of(number()),
    ) -> GroupState {
        GroupState {
            entries_read: read.map(u64::cast_signed),
            pending,
            oldest_pending: oldest.map_or(Pending::None, Pending::Oldest),
            consumer_count: consumers,
            least_idle: idle.map(Millis::new),
            ..GroupState::at(at)
        }
    }
}

prop_compose! {
    fn stream()(
        length in number(),
        last in proptest::option::of(id()),
        deleted in proptest::option::of(id()),
        first in proptest::option::of(id()),
        added in proptest::option::of(number()),
        group in proptest::option::of(group()),
    ) -> StreamState {
        StreamState {
            last_generated_id: last,
            max_deleted_entry_id: deleted,
            first_entry_id: first,
            entries_added: added,
            groups: group.into_iter().map(|group| ("g".into(), group)).collect::<Vec<_>>().into_iter().collect::<NameMap<_>>(),
            ..StreamState::of_length(length)
        }
    }
}

proptest! {
    #[test]
    fn no_number_or_id_stops_an_evaluation(
        polls in proptest::collection::vec((stream(), number(), id(), oldest(), ms()), 2..8),
    ) {
        let config = config("streams: [{match: s, groups: [g], retention: {max_length: 10}, thresholds: {lag: 5, lag_age: 1h}}]");
        let mut history = History::default();
        for (index, (stream, entries, found, oldest, time)) in (0_u64..).zip(polls) {
            let time = Now::exactly(ServerTime(time));
            let read = crate::model::Snapshot {
                nodes: vec![Node { time: Ok(time), ..node() }],
                ..snapshot([("s".into(), Ok(stream))])
            };
            let open = begin(&mut history, read, &config, MOST_QUESTIONS);
            let answer = |lookup: Lookup| match lookup {
                Lookup::Count { up_to, .. } => {
                    Finding::Counted(Counted { up_to, entries, lowest: Some(found), is_complete: true })
                }
                Lookup::FirstAfter(_) => Finding::FirstAfter(Some(found)),
                Lookup::PendingFrom(_) => Finding::PendingFrom(Some(oldest)),
                Lookup::PendingSample { .. } => Finding::Nothing,
            };
            let answers: Answers = open
                .asked()
                .iter()
                .map(|question| (question.stream.clone(), question.group.clone(), answer(question.lookup)))
                .collect();
            let (_, report) = open.finish(&answers, Duration::from_secs(15 * index));
            let stream = report.streams.get(&"s".into()).unwrap();
            for (_, group) in stream.groups.iter() {
                let lag = group.read.as_ref().and_then(|read| read.lag.known());
                prop_assert!(lag.unwrap_or(0) <= 2 * ENDS, "{lag:?}: Redis can't count so far");
            }
        }
    }
}
