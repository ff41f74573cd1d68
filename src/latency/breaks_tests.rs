//! Curves that break: nothing that is measured is far from the truth, and what is not is counted.

use std::time::Duration;

use proptest::prelude::*;

use super::{
    Histogram, LeftOut, Outcome, Stage,
    group::{Aims, Tracker},
};
use crate::{
    config::Percent,
    model::{GroupPosition, StreamId, TickTime},
};

const START: u64 = 1_800_000_000_000;
const TICK: u64 = 250;

fn aims() -> Aims {
    let tick = Duration::from_millis(TICK);
    let objectives = [Some(tick * 2); 2];
    Aims {
        tick,
        bounds: Histogram::bounds(tick),
        window: Duration::from_secs(3_600),
        objectives,
        target: Percent::new(99),
    }
}

fn time(ms: u64) -> TickTime {
    TickTime { from: START + ms, to: START + ms + 1 }
}

fn at(ms: u64, read: u64, lag: u64, pending: u64) -> GroupPosition {
    let last_delivered_id = StreamId::new(START + ms, 0);
    GroupPosition { last_delivered_id, entries_read: Some(read), lag: Some(lag), pending, consumers: 1 }
}

/// The stages after these ticks: the times and the positions.
fn after(ticks: &[(u64, GroupPosition)]) -> (Stage, Stage) {
    let (mut tracker, aims) = (Tracker::new(&aims()), aims());
    ticks.iter().for_each(|(ms, position)| tracker.tick(time(*ms), *position, &[], &aims));
    let summary = tracker.summary();
    (summary.delivery, summary.handling)
}

/// What was measured, and what was left out.
fn counts(stage: &Stage) -> (u64, Vec<(&'static str, u64)>) {
    let left_out = LeftOut::ALL.iter().zip(stage.left_out).filter(|(_, count)| *count > 0);
    (stage.histogram.count(), left_out.map(|(reason, count)| (reason.as_str(), count)).collect())
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table of cases")]
fn each_break_restarts_the_curve_and_counts_what_it_leaves_out() {
    let (one, two) = ((0, at(0, 10, 0, 0)), (250, at(240, 20, 0, 0)));
    let next = (500, at(490, 26, 0, 0));
    let id = |id, position| GroupPosition { last_delivered_id: id, ..position };
    for (what, ticks, measured, left_out) in [
        ("none", vec![one, two, next], 16, vec![]),
        (
            "set back, and all delivered again",
            vec![one, two, (500, at(0, 10, 10, 0)), (750, at(740, 24, 0, 0)), (1_000, at(900, 25, 0, 0))],
            11,
            vec![("rewound", 14)],
        ),
        (
            "set back while the count is unknown",
            vec![
                one,
                two,
                (500, GroupPosition { entries_read: None, ..next.1 }),
                (750, at(240, 20, 6, 0)),
                (1_000, at(490, 26, 0, 0)),
                (1_250, at(1_100, 27, 0, 0)),
            ],
            11,
            vec![("rewound", 6)],
        ),
        (
            "counted again",
            vec![one, two, (500, at(240, 90, 0, 0)), (750, at(700, 91, 0, 0))],
            11,
            vec![("rewound", 70)],
        ),
        (
            "recreated, without consumers",
            vec![one, two, (500, GroupPosition { consumers: 0, ..at(490, 26, 0, 0) })],
            10,
            vec![("rewound", 6)],
        ),
        (
            "fewer added than before",
            vec![one, (250, at(240, 20, 9, 0)), (500, at(490, 22, 3, 0))],
            10,
            vec![("trimmed", 2)],
        ),
        (
            "delivered later than counted",
            vec![one, (250, at(240, 20, 9, 0)), (500, at(490, 22, 9, 0))],
            10,
            vec![("trimmed", 2)],
        ),
        (
            "no count of reads",
            vec![one, (250, GroupPosition { entries_read: None, ..two.1 }), next],
            0,
            vec![("lag_unknown", 16)],
        ),
        ("no lag", vec![one, two, (500, GroupPosition { lag: None, ..next.1 })], 16, vec![]),
        (
            "no lag after a long time",
            vec![one, (90_000, GroupPosition { lag: None, ..at(90_000, 12, 0, 0) })],
            1,
            vec![("late_tick", 1)],
        ),
        (
            "IDs of the application",
            vec![(0, id(StreamId::new(7, 1), one.1)), (250, id(StreamId::new(8, 1), two.1))],
            0,
            vec![("ids_not_times", 10)],
        ),
        ("IDs ahead of the clock", vec![one, (250, at(9_000, 20, 0, 0))], 0, vec![("ids_not_times", 10)]),
        (
            "older than its number",
            vec![one, (250, at(0, 10, 0, 0)), (90_000, at(100, 11, 0, 0))],
            0,
            vec![("ids_not_times", 1)],
        ),
        (
            "the clock set back",
            vec![(9_000, at(0, 10, 0, 0)), (9_250, at(9_100, 11, 0, 0)), (100, at(9_200, 13, 0, 0))],
            1,
            vec![("clock", 2)],
        ),
        ("a late tick", vec![one, two, (9_000, at(8_990, 26, 0, 0))], 11, vec![("late_tick", 5)]),
        (
            "what waited before the first tick",
            vec![(0, id(StreamId::ZERO, at(0, 0, 5, 0))), (250, at(100, 6, 0, 0))],
            1,
            vec![("start", 5)],
        ),
        (
            "the first entry after an idle time",
            vec![one, (600_000, at(0, 10, 0, 0)), (600_250, at(600_100, 12, 0, 0))],
            2,
            vec![],
        ),
    ] {
        assert_eq!(counts(&after(&ticks).0), (measured, left_out), "{what}");
    }
}

#[test]
fn entries_are_handled_when_they_are_acknowledged_or_where_nobody_acknowledges_delivered() {
    let handled = |ticks: &[(u64, GroupPosition)]| counts(&after(ticks).1);
    let one = (0, at(0, 10, 0, 0));
    assert_eq!(handled(&[one, (250, at(240, 20, 0, 6)), (500, at(490, 26, 0, 2))]), (14, vec![]));
    assert_eq!(handled(&[one, (250, at(240, 20, 0, 0))]), (10, vec![]), "NOACK");
    let deleted = GroupPosition { consumers: 0, ..at(240, 20, 0, 0) };
    assert_eq!(handled(&[one, (250, at(240, 20, 0, 6)), (500, deleted)]), (4, vec![("consumer_deleted", 6)]));
    assert_eq!(
        handled(&[one, (250, at(240, 20, 0, 6)), (500, at(240, 20, 0, 9)), (750, at(240, 20, 0, 0))]),
        (13, vec![]),
        "claimed again"
    );
    assert_eq!(
        handled(&[one, (250, at(240, 20, 0, 99)), (500, at(490, 26, 0, 0))]),
        (0, vec![]),
        "more pending than read"
    );
}

/// A hung consumer, while a tick of each objective's half is unread: its entries wait, and none is forgotten.
#[test]
fn entries_of_a_consumer_that_hangs_stay_bad_although_ticks_are_unread() {
    let (mut tracker, aims) = (Tracker::new(&aims()), aims());
    for tick in 0..400 {
        let (ms, lag) = (tick * TICK, tick * 10);
        if tick > 1 && tick % 2 == 0 {
            tracker.lose(false, &aims);
        } else {
            tracker.tick(time(ms), at(0, 10, lag, 0), &[], &aims);
        }
    }
    let outcomes = tracker.summary().delivery.outcomes.unwrap();
    let [good, bad, unknown] = Outcome::ALL.map(|outcome| outcomes.of(outcome));
    assert_eq!((good, unknown), (0, 0));
    assert!((3_900..=3_990).contains(&bad), "all but those of the last ticks, once: {bad}");
}

/// Whether the entries that wait are those that have been counted, nobody knows.
#[test]
fn entries_that_wait_while_their_numbers_change_are_unknown() {
    let ticks: Vec<_> = (0..10).map(|tick| (tick * TICK, at(0, 10, tick * 10, 0))).collect();
    let outcomes = |ticks: &[_]| Outcome::ALL.map(|outcome| after(ticks).0.outcomes.unwrap().of(outcome));
    let [good, bad, unknown] = outcomes(&ticks);
    assert_eq!((good, unknown), (0, 0));
    // Counted again, with other numbers, and then all delivered.
    let again = [(2_500, at(0, 110, 90, 0)), (2_750, at(2_740, 200, 0, 0))];
    assert_eq!(outcomes(&[ticks, again.to_vec()].concat()), [0, bad, 90 - bad]);
}

/// Something that breaks a curve, at a tick.
#[derive(Debug, Clone, Copy)]
enum Fault {
    Back(usize),
    Forward(usize),
    Uncounted,
    Unlagged,
    Lost,
    Clock(u64),
    /// Entries are trimmed before they are delivered. Redis 7.0 counts them as waiting for ever, later ones as delivered.
    Trim(usize, bool),
    Late(u64),
}

fn fault() -> impl Strategy<Value = Fault> {
    prop_oneof![
        (1_usize..500).prop_map(Fault::Back),
        (1_usize..500).prop_map(Fault::Forward),
        Just(Fault::Uncounted),
        Just(Fault::Unlagged),
        Just(Fault::Lost),
        (1_u64..5_000).prop_map(Fault::Clock),
        (1_usize..500, any::<bool>()).prop_map(|(entries, is_old)| Fault::Trim(entries, is_old)),
        (250_u64..5_000).prop_map(Fault::Late),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// The reader reads all that waits at each interval, so no first delivery takes longer than that, or the tick that was late.
    #[test]
    fn no_wait_is_wild_whatever_breaks(
        rate in 1_u64..2_000, every in 1_u64..2_000,
        faults in prop::collection::vec((1_usize..20, fault()), 1..12),
    ) {
        let (mut tracker, aims) = (Tracker::new(&aims()), aims());
        let (mut now, mut back, mut owed, mut longest) = (START, 0, 0, 0);
        // The next entry to deliver; how many Redis counts as read beyond that, and as waiting beyond the truth.
        let (mut ids, mut next, mut new_from) = (Vec::<u64>::new(), 0_usize, 0_usize);
        let (mut shift, mut inflated) = (100_000_u64, 0_u64);
        // While a clock is behind, Redis goes on from the last ID, so an entry is older than its ID says.
        let mut added = Vec::<u64>::new();
        let mut late = 0;
        for (calm, fault) in faults {
            late = late.max(if let Fault::Late(ms) = fault { ms } else { 0 });
            let mut ticks = vec![TICK; calm];
            ticks.push(if let Fault::Late(ms) = fault { ms } else { TICK });
            for (tick, span) in ticks.iter().enumerate() {
                for _ in 0..*span {
                    now += 1;
                    owed += rate;
                    while owed >= 1_000 {
                        owed -= 1_000;
                        let at = ids.last().copied().unwrap_or(0).max(now - back);
                        ids.push(at);
                        added.push(now);
                    }
                    if now % every == 0 {
                        for (id, added) in ids.iter().zip(&added).skip(next.max(new_from)) {
                            longest = longest.max((now - back).saturating_sub(*id)).max(now - added);
                        }
                        next = ids.len();
                    }
                }
                let (mut read, mut lag) = (Some(next as u64 + shift), Some((ids.len() - next) as u64 + inflated));
                if tick == calm {
                    let first = next;
                    match fault {
                        Fault::Back(by) => next = next.saturating_sub(by),
                        Fault::Forward(by) => next = (next + by).min(ids.len()),
                        Fault::Uncounted => (read, lag) = (None, None),
                        Fault::Unlagged => lag = None,
                        Fault::Lost => tracker.lose(false, &aims),
                        Fault::Clock(by) => back += by,
                        Fault::Trim(entries, is_old) => {
                            let gone = entries.min(ids.len() - next);
                            next += gone;
                            // Redis 7.0 does not count them as read.
                            if is_old && shift >= gone as u64 { shift -= gone as u64; inflated += gone as u64; }
                        }
                        Fault::Late(_) => {}
                    }
                    // Nothing tells entries that are skipped from delivered ones.
                    for (id, added) in ids.iter().zip(&added).take(next).skip(first) {
                        longest = longest.max((now - back).saturating_sub(*id)).max(now - added);
                    }
                    if read.is_some() { read = Some(next as u64 + shift); }
                    if lag.is_some() { lag = Some((ids.len() - next) as u64 + inflated); }
                }
                let last_delivered_id = next.checked_sub(1).map_or(StreamId::ZERO, |last| StreamId::new(ids[last], last as u64));
                let position = GroupPosition { last_delivered_id, entries_read: read, lag, pending: 0, consumers: 1 };
                tracker.tick(TickTime { from: now - back, to: now - back + 1 }, position, &[], &aims);
                // What is delivered and taken back between two ticks is as new as before.
                new_from = new_from.max(next);
            }
        }
        if let Some(quantiles) = tracker.summary().delivery.quantiles() {
            let likely = quantiles.p99.likely;
            prop_assert!(likely <= longest + longest / 8 + 3 * TICK + late, "{likely}, and none waited longer than {longest}");
        }
    }
}

#[test]
fn entries_that_no_server_adds_so_fast_are_no_backlog() {
    // XSETID s ID ENTRIESADDED 1000010, and a stream to which as many were added in a second.
    for (lag, bad) in
        [([0, 1_000_000, 1_000_000, 1_000_000, 1_000_000, 1_000_000], 0), ([0, 250, 500, 500, 500, 500], 500)]
    {
        let ticks: Vec<_> = (0..).step_by(250).zip(lag.map(|lag| at(0, 10, lag, 0))).collect();
        let (delivery, _) = after(&ticks);
        assert_eq!(delivery.outcomes.unwrap().of(Outcome::Bad), bad, "{lag:?}");
    }
}

fn number() -> impl Strategy<Value = u64> {
    let end = i64::MAX.unsigned_abs();
    prop_oneof![3 => 0_u64..20, 1 => Just(end), 1 => Just(end - 1), 1 => Just(end / 2)]
}

fn id() -> impl Strategy<Value = StreamId> {
    prop_oneof![1 => Just(0), 4 => START..START + 5_000, 1 => u64::MAX - 3..=u64::MAX]
        .prop_map(|ms| StreamId::new(ms, 0))
}

prop_compose! {
    fn any_position()(
        last_delivered_id in id(),
        entries_read in proptest::option::of(number()),
        lag in proptest::option::of(number()),
        pending in 0_u64..20,
        consumers in 0_u64..3,
    ) -> GroupPosition {
        GroupPosition { last_delivered_id, entries_read, lag, pending, consumers }
    }
}

proptest! {
    /// Those of `XGROUP SETID` and `XSETID` may be at the ends of what Redis takes. Arithmetic is checked in tests.
    #[test]
    fn no_position_stops_the_sampler(positions in proptest::collection::vec((any_position(), any::<bool>()), 2..12)) {
        let (mut tracker, aims) = (Tracker::new(&aims()), aims());
        for (tick, (position, is_pending)) in (0..).zip(&positions) {
            let asked = tracker.asked(aims.tick, &aims);
            let answers: Vec<_> = asked.into_iter().map(|id| (id, *is_pending)).collect();
            tracker.tick(time(TICK * tick), *position, &answers, &aims);
        }
        let entries = positions.iter().filter_map(|(position, _)| position.entries_read).max();
        let summary = tracker.summary();
        prop_assert!(summary.delivery.histogram.count() <= entries.unwrap_or(0).saturating_mul(positions.len() as u64));
    }
}
