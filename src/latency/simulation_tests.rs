//! A simulated stream with one group, whose true waits are known.

use std::time::Duration;

use proptest::prelude::*;

use super::{
    GroupLatency, Histogram, Outcome, Quantile, Stage,
    group::{Aims, Tracker},
};
use crate::{
    config::Percent,
    model::{GroupPosition, StreamId, TickTime},
};

const START: u64 = 1_800_000_000_000;
const TICK: u64 = 250;
const OBJECTIVES: [u64; 2] = [500, 2_000];

fn aims() -> Aims {
    let tick = Duration::from_millis(TICK);
    Aims {
        tick,
        bounds: Histogram::bounds(tick),
        window: Duration::from_secs(3_600),
        objectives: OBJECTIVES.map(|ms| Some(Duration::from_millis(ms))),
        target: Percent::new(99),
    }
}

/// How a group reads.
#[derive(Debug, Clone, Copy)]
struct Reader {
    /// Entries read at once.
    count: usize,
    /// Time between two reads.
    every: u64,
    /// Time to handle an entry, in microseconds.
    work_us: u64,
    /// It pauses so long ...
    pause: u64,
    /// ... after so many reads; 0: never.
    pause_each: u64,
}

const FAST: Reader = Reader { count: 100, every: 1, work_us: 0, pause: 0, pause_each: 0 };

/// What Redis and the consumers know.
struct World {
    now: u64,
    rate: u64,
    reader: Reader,
    owed: u64,
    ids: Vec<u64>,
    delivered: Vec<u64>,
    handled: Vec<u64>,
    free_at: u64,
    reads: u64,
}

impl World {
    fn new(rate: u64, reader: Reader) -> Self {
        let (ids, delivered, handled) = (Vec::new(), Vec::new(), Vec::new());
        Self { now: START, rate, reader, owed: 0, ids, delivered, handled, free_at: START, reads: 0 }
    }

    /// A millisecond.
    fn pass(&mut self) {
        self.now += 1;
        self.owed += self.rate;
        while self.owed >= 1_000 {
            self.owed -= 1_000;
            self.ids.push(self.now);
        }
        if self.now < self.free_at {
            return;
        }
        while self.handled.len() < self.delivered.len() {
            self.handled.push(self.now);
        }
        let waiting = self.ids.len() - self.delivered.len();
        if waiting == 0 {
            return;
        }
        let (taken, reader) = (waiting.min(self.reader.count), self.reader);
        self.delivered.extend(std::iter::repeat_n(self.now, taken));
        self.reads += 1;
        let is_pause = reader.pause_each > 0 && self.reads.is_multiple_of(reader.pause_each);
        let pause = if is_pause { reader.pause } else { 0 };
        self.free_at = self.now + reader.every.max(taken as u64 * reader.work_us / 1_000).max(pause).max(1);
    }

    fn position(&self) -> GroupPosition {
        let delivered = self.delivered.len();
        // Several entries have one millisecond, as at high rates.
        let id = |number: usize| StreamId::new(self.ids[number - 1], number as u64);
        GroupPosition {
            last_delivered_id: if delivered == 0 { StreamId::ZERO } else { id(delivered) },
            entries_read: Some(delivered as u64),
            lag: Some((self.ids.len() - delivered) as u64),
            pending: (delivered - self.handled.len()) as u64,
            consumers: 1,
        }
    }

    fn time(&self) -> TickTime {
        TickTime { from: self.now, to: self.now + 1 }
    }
}

/// The true waits of a stage between the first tick and the last one.
fn truth(world: &World, ends: &[u64], first: usize) -> Vec<u64> {
    let waits = world.ids.iter().zip(ends).skip(first).map(|(from, to)| to - from);
    let mut waits: Vec<u64> = waits.collect();
    waits.sort_unstable();
    waits
}

fn of(truth: &[u64], percent: usize) -> u64 {
    truth[(truth.len() * percent).div_ceil(100).max(1) - 1]
}

fn left_out(stage: &Stage) -> u64 {
    stage.left_out.iter().sum()
}

/// What must hold whatever the consumers do.
fn check(stage: &Stage, truth: &[u64], overdue: u64, objective: u64) -> Result<(), TestCaseError> {
    let all = truth.len() as u64;
    prop_assert_eq!(stage.histogram.count() + left_out(stage), all, "each entry is counted once");
    let outcomes = stage.outcomes.unwrap();
    let [good, bad, unknown] = Outcome::ALL.map(|outcome| outcomes.of(outcome));
    let counted = good + bad + unknown;
    prop_assert!(counted >= all && counted <= all + overdue, "{counted} of {all}, and {overdue} are overdue");
    let truly_good = truth.iter().filter(|wait| **wait <= objective).count() as u64;
    prop_assert!(good <= truly_good && truly_good <= good + unknown, "{good} {unknown} {truly_good}");
    if let Some(quantiles) = stage.quantiles().filter(|_| left_out(stage) == 0) {
        for (percent, quantile) in [(50, quantiles.p50), (95, quantiles.p95), (99, quantiles.p99)] {
            let Quantile { least, likely, most } = quantile;
            let truly = of(truth, percent);
            prop_assert!(least <= truly && truly <= most, "p{percent} {truly}: {least} to {most}");
            prop_assert!(least <= likely + likely / 16 && likely <= most, "{least} {likely} {most}");
        }
    }
    Ok(())
}

struct Run {
    world: World,
    latency: GroupLatency,
    first: usize,
}

/// Runs the world for this long, with a tick at each of these intervals in turn.
fn run(mut world: World, before: u64, span: u64, ticks: &[u64]) -> Run {
    (0..before).for_each(|_| world.pass());
    let (mut tracker, aims) = (Tracker::new(&aims()), aims());
    tracker.tick(world.time(), world.position(), &[], &aims);
    let (first, end) = (world.delivered.len(), world.now + span);
    for tick in ticks.iter().cycle() {
        let asked = tracker.asked(Duration::from_millis(*tick), &aims);
        (0..*tick).for_each(|_| world.pass());
        let answers: Vec<_> = asked.into_iter().map(|id| (id, id.seq > world.handled.len() as u64)).collect();
        tracker.tick(world.time(), world.position(), &answers, &aims);
        if world.now >= end {
            break;
        }
    }
    Run { world, latency: tracker.summary(), first }
}

fn reader() -> impl Strategy<Value = Reader> {
    (1_usize..500, 1_u64..1_500, 0_u64..20_000, 0_u64..4_000, 0_u64..20).prop_map(
        |(count, every, work_us, pause, pause_each)| Reader { count, every, work_us, pause, pause_each },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Also with ticks that are early or late, and whatever waits at the first one.
    #[test]
    fn every_entry_is_within_its_bounds_or_left_out(
        rate in 1_u64..5_000, reader in reader(), before in 0_u64..5_000,
        ticks in prop::collection::vec(prop_oneof![9 => 200_u64..300, 1 => 1_u64..3_000], 1..20),
    ) {
        let Run { world, latency, first } = run(World::new(rate, reader), before, 20_000, &ticks);
        let waiting = world.ids.iter().skip(world.delivered.len());
        let overdue = waiting.filter(|id| world.now - **id > OBJECTIVES[0]).count() as u64;
        check(&latency.delivery, &truth(&world, &world.delivered, first), overdue, OBJECTIVES[0])?;
        // Those that were pending at the first tick are among the handled ones.
        let handled = world.handled.len() as u64;
        prop_assert!(latency.handling.histogram.count() + left_out(&latency.handling) <= handled);
        prop_assert!(latency.handling.is_in_order, "they are acknowledged in order");
    }
}

#[test]
fn quantiles_are_those_of_the_consumer_within_half_a_tick_or_a_tenth() {
    let batch = |every| Reader { count: 10_000, every, ..FAST };
    let cases = [
        ("fast", 10, FAST),
        ("fast", 100, FAST),
        ("fast", 5_000, FAST),
        ("each 20 ms", 5_000, batch(20)),
        ("each 300 ms", 10, batch(300)),
        ("each 300 ms", 200, batch(300)),
        ("each second", 10, batch(1_000)),
        ("each second", 50, batch(1_000)),
        ("each second", 1_000, batch(1_000)),
        ("pauses", 200, Reader { pause: 2_500, pause_each: 7, ..FAST }),
        ("handles for 5 ms", 100, Reader { work_us: 5_000, count: 10, ..FAST }),
        ("falls behind", 300, Reader { work_us: 5_000, count: 10, ..FAST }),
    ];
    for (what, rate, reader) in cases {
        let Run { world, latency, first } =
            run(World::new(rate, reader), 3_000, 120_000, &[250, 251, 249, 253]);
        for (stage, truth) in [
            (&latency.delivery, truth(&world, &world.delivered, first)),
            (&latency.handling, truth(&world, &world.handled, first)),
        ] {
            let quantiles = stage.quantiles().unwrap();
            for (percent, quantile) in [(50, quantiles.p50), (95, quantiles.p95), (99, quantiles.p99)] {
                let (truly, likely) = (of(&truth, percent), quantile.likely);
                let is_close = truly.abs_diff(likely) <= TICK / 2 + truly / 10;
                assert!(is_close, "{what} {rate}/s p{percent}: {likely}, and it is {truly}");
            }
            let (out, all) = (left_out(stage), truth.len() as u64);
            assert!(out * 50 <= all, "{what} {rate}/s: {out} of {all} left out");
            let (mean, truly) =
                (stage.histogram.sum_ms / stage.histogram.count(), truth.iter().sum::<u64>() / all);
            assert!(mean.abs_diff(truly) <= TICK / 4 + truly / 10, "{what} {rate}/s: mean {mean}, {truly}");
        }
    }
}

#[test]
fn entries_that_wait_for_too_long_count_before_they_are_delivered_and_only_once() {
    // It stops for a minute after the first read, and then takes all at once.
    let reader = Reader { count: 100_000, pause: 60_000, pause_each: 1, ..FAST };
    let outcomes = |span| {
        let Run { latency, .. } = run(World::new(100, reader), 1_000, span, &[TICK]);
        Outcome::ALL.map(|outcome| latency.delivery.outcomes.unwrap().of(outcome))
    };
    let [_, bad, _] = outcomes(30_000);
    assert!((2_950..=3_060).contains(&bad), "those of 31 s but the last half second: {bad}");
    let [good, bad, unknown] = outcomes(61_000);
    assert!((5_950..=6_200).contains(&(good + bad + unknown)) && bad > 5_800, "{good} {bad} {unknown}");
}
