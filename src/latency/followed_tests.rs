//! Entries that are acknowledged in any order: those that are followed have the right outcome, and the others none.

use std::{collections::BTreeSet, time::Duration};

use proptest::prelude::*;

use super::{
    Histogram, Outcome, Stage,
    group::{Aims, Tracker},
};
use crate::{
    config::Percent,
    model::{GroupPosition, StreamId, TickTime},
};

const START: u64 = 1_800_000_000_000;
const TICK: u64 = 250;
const OBJECTIVE: u64 = 2_000;

fn aims(target: u32) -> Aims {
    let tick = Duration::from_millis(TICK);
    let objectives = [None, Some(Duration::from_millis(OBJECTIVE))];
    let (bounds, window) = (Histogram::bounds(tick), Duration::from_secs(3_600));
    Aims { tick, bounds, window, objectives, target: Percent::new(target) }
}

/// What came of a group that is given an entry each so many milliseconds, which is acknowledged after the time that `takes` says of its
/// number.
struct Run {
    tracker: Tracker,
    /// The last tick, and the position then.
    last: (u64, GroupPosition),
    stage: Stage,
    /// The waits of the entries that were last at a tick, and whose outcome has been certain for long.
    last_at_ticks: Vec<u64>,
    /// The most entries that were asked for at a tick, and at all ticks.
    asked: (usize, usize),
    ticks: usize,
}

fn run(target: u32, every: u64, ticks: &[u64], span: u64, takes: impl Fn(u64) -> u64) -> Run {
    let (aims, mut now) = (aims(target), START);
    let mut tracker = Tracker::new(&aims);
    let mut last_at_ticks = BTreeSet::new();
    let mut latest = None;
    let (mut asked_of, mut count) = ((0, 0), 0);
    let added = |number: u64| START + number * every;
    let is_pending = |number: u64, now: u64| added(number) + takes(number) > now;
    for tick in [1].iter().chain(ticks.iter().cycle()) {
        let asked = tracker.asked(Duration::from_millis(*tick), &aims);
        asked_of = (asked_of.0.max(asked.len()), asked_of.1 + asked.len());
        now += *tick;
        let last = (now - START) / every;
        let pending = (0..=last).filter(|number| is_pending(*number, now)).count() as u64;
        let answers: Vec<_> = asked.into_iter().map(|id| (id, is_pending(id.seq, now))).collect();
        let position = GroupPosition {
            last_delivered_id: StreamId::new(added(last), last),
            entries_read: Some(last + 1),
            lag: Some(0),
            pending,
            consumers: 3,
        };
        tracker.tick(TickTime { from: now, to: now + 1 }, position, &answers, &aims);
        if count > 0 && last > 0 {
            last_at_ticks.insert(last);
        }
        latest = Some((now, position));
        count += 1;
        if now > START + span {
            break;
        }
    }
    let certain = last_at_ticks.into_iter().filter(|number| added(*number) + OBJECTIVE + 40 * TICK < now);
    let last_at_ticks = certain.map(&takes).collect();
    let (stage, last) = (tracker.summary().handling, latest.unwrap());
    Run { tracker, last, stage, last_at_ticks, asked: asked_of, ticks: count }
}

/// One entry of so many takes long, the others as long as a batch.
fn retried(each: u64, long: u64) -> impl Fn(u64) -> u64 {
    // Not in step with the ticks.
    let scattered = |number: u64| number.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32;
    move |number| if each > 0 && scattered(number).is_multiple_of(each) { long } else { number * 13 % 100 }
}

fn outcomes(stage: &Stage) -> [u64; 3] {
    let followed = stage.followed.unwrap();
    Outcome::ALL.map(|outcome| followed.all(outcome))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    /// In any order, at any rate, with ticks that are early or late, and objectives that entries miss or meet.
    #[test]
    fn the_outcome_of_an_entry_that_is_followed_is_right(
        every in 1_u64..700, each in 0_u64..40, long in 100_u64..12_000,
        ticks in prop::collection::vec(prop_oneof![9 => 200_u64..300, 1 => 1_u64..2_000], 1..20),
    ) {
        let run = run(99, every, &ticks, 40_000, retried(each, long));
        let [good, bad, unknown] = outcomes(&run.stage);
        let all = run.last_at_ticks.len() as u64;
        // Those of the last seconds may be certain too.
        let latest = good + bad + unknown - all.min(good + bad + unknown);
        let truly_good = run.last_at_ticks.iter().filter(|wait| **wait <= OBJECTIVE).count() as u64;
        prop_assert!(good + unknown + latest >= truly_good && truly_good + latest >= good, "{good} {unknown} {truly_good}");
        prop_assert!(bad <= all - truly_good + latest, "{bad} of {}", all - truly_good);
        prop_assert!(good + bad + unknown >= all, "each is counted");
        prop_assert!(run.asked.0 <= 4 && run.asked.1 <= 3 * run.ticks, "{:?} in {}", run.asked, run.ticks);
    }
}

#[test]
fn entries_that_are_retried_leave_the_others_unknown_and_show_in_those_that_are_followed() {
    let Run { stage, .. } = run(99, 10, &[TICK], 300_000, retried(20, 10_000));
    let [good, bad, unknown] = outcomes(&stage);
    assert!((30..=90).contains(&(bad * 1_000 / (good + bad))), "one in 20 is bad: {good} {bad}");
    assert!(unknown * 50 < good + bad, "{unknown}");
    let followed = stage.followed.unwrap();
    assert_eq!(followed.of(Outcome::Bad, Outcome::Good), bad, "by their order all are good");
    assert!(!stage.is_in_order && stage.quantiles().is_none());
    let by_curve = stage.outcomes.unwrap();
    // At first, nothing contradicts the order.
    assert!(by_curve.of(Outcome::Good) < 3_000 && by_curve.of(Outcome::Unknown) > 25_000, "{by_curve:?}");
    assert!(stage.histogram.sum_ms / stage.histogram.count() > 400, "the mean holds");
}

#[test]
fn what_the_order_says_is_believed_while_followed_entries_agree_but_for_a_part_of_the_budget() {
    let good = |target, each| {
        let Run { stage, .. } = run(target, 10, &[TICK], 120_000, retried(each, 10_000));
        (stage.is_in_order, stage.outcomes.unwrap().of(Outcome::Good) > 10_000)
    };
    assert_eq!(good(99, 0), (true, true));
    // One of a hundred is a tenth of this budget.
    assert_eq!(good(80, 101), (true, true));
    assert!(!good(99, 101).0);
}

/// What comes of the group if nothing is delivered for so many ticks, while ten entries arrive at each.
fn stalled(run: Run, ticks: u64, tick: u64) -> Stage {
    let Run { mut tracker, last: (now, position), .. } = run;
    for count in 1..=ticks {
        let now = now + count * tick;
        let position = GroupPosition { lag: Some(count * 10), ..position };
        tracker.tick(TickTime { from: now, to: now + 1 }, position, &[], &aims(99));
    }
    tracker.summary().handling
}

#[test]
fn entries_that_wait_too_long_are_bad_in_order_and_unknown_while_the_order_is_contradicted() {
    for (each, grows, stays) in [(0, Outcome::Bad, Outcome::Unknown), (20, Outcome::Unknown, Outcome::Bad)] {
        let run = run(99, 10, &[TICK], 60_000, retried(each, 10_000));
        let before = run.stage.outcomes.unwrap();
        let stage = stalled(run, 100, TICK);
        let after = stage.outcomes.unwrap();
        assert_eq!(stage.is_in_order, each == 0);
        assert_eq!(after.of(stays), before.of(stays), "one in {each}: {before:?} {after:?}");
        assert!(after.of(grows) >= before.of(grows) + 900, "one in {each}: {before:?} {after:?}");
    }
}

#[test]
fn a_contradiction_is_forgotten_after_an_hour() {
    let run = || run(99, 10, &[TICK], 60_000, retried(20, 10_000));
    assert!(!stalled(run(), 50, 60_000).is_in_order);
    assert!(stalled(run(), 70, 60_000).is_in_order);
}
