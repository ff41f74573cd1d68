//! The simulated lives: those without a problem, and those with one for half an hour.

use super::{HOUR, IDLE, MINUTE, Second, Trace, World};
use crate::evaluate::GroupStatus;

fn wave(second: u64, period: u64) -> f64 {
    let angle =
        f64::from(u32::try_from(second % period).unwrap()) / f64::from(u32::try_from(period).unwrap());
    (angle * std::f64::consts::TAU).sin()
}

/// A random number of events with this expectation.
fn poisson(random: &mut fastrand::Rng, expected: f64) -> f64 {
    let (limit, mut product, mut events) = ((-expected).exp(), 1.0, -1.0);
    while product > limit {
        product *= random.f64();
        events += 1.0;
    }
    events
}

const WRONG_FROM: u64 = HOUR;
const WRONG_TO: u64 = HOUR + 30 * MINUTE;

fn is_wrong(world: &World) -> bool {
    (WRONG_FROM..WRONG_TO).contains(&world.second)
}

const STEADY: Second = Second { adds: 100.0, takes: 3_000.0, asks: true, acknowledges: true };

pub(super) const TRACES: &[Trace] = &[
    Trace { name: "steady, 100 a second", hours: 6, wrong: None, live: |_| STEADY },
    Trace {
        name: "bursts of 5,000 each 10 minutes, drained in 1",
        hours: 12,
        wrong: None,
        live: |world| Second {
            adds: if world.second % 600 < 10 { 500.0 } else { 20.0 },
            takes: 120.0,
            ..IDLE
        },
    },
    Trace {
        name: "bursts of 3 minutes each half hour, drained in 3",
        hours: 12,
        wrong: None,
        live: |world| Second {
            adds: if world.second % 1_800 < 180 { 200.0 } else { 20.0 },
            takes: 120.0,
            ..IDLE
        },
    },
    Trace {
        name: "a day, 5 to 95 a second, 2 seconds behind",
        hours: 48,
        wrong: None,
        live: |world| {
            let adds = 50.0 + 45.0 * wave(world.second, 24 * HOUR);
            let lag = world.entries.len() - world.delivered;
            let lag = f64::from(u32::try_from(lag).unwrap());
            Second { adds, takes: (lag - adds).max(0.0), ..IDLE }
        },
    },
    Trace {
        name: "random, 90 % of capacity",
        hours: 48,
        wrong: None,
        live: |world| Second {
            adds: poisson(&mut world.random, 9.0),
            takes: poisson(&mut world.random, 10.0),
            ..IDLE
        },
    },
    Trace {
        name: "random, 4 a minute",
        hours: 48,
        wrong: None,
        live: |world| Second {
            adds: poisson(&mut world.random, 4.0 / 60.0),
            takes: poisson(&mut world.random, 6.0 / 60.0),
            ..IDLE
        },
    },
    Trace {
        name: "quiet, 1 in 20 minutes; consumers block without a limit",
        hours: 24,
        wrong: None,
        live: |world| {
            let comes = world.second % 1_200 == 7;
            Second { adds: f64::from(u8::from(comes)), takes: 1.0, asks: comes, ..IDLE }
        },
    },
    Trace {
        name: "nothing at all; consumers block without a limit",
        hours: 6,
        wrong: None,
        live: |_| Second { asks: false, ..IDLE },
    },
    Trace {
        name: "one slow consumer, 100 seconds an entry, always busy",
        hours: 12,
        wrong: None,
        live: |world| {
            let turn = world.second % 100 == 0;
            let adds = f64::from(u8::from(turn));
            Second { adds, takes: 1.0, asks: turn, acknowledges: turn }
        },
    },
    Trace {
        name: "batches of 6,000 each minute",
        hours: 6,
        wrong: None,
        live: |world| Second {
            adds: 100.0,
            takes: if world.second.is_multiple_of(60) { 10_000.0 } else { 0.0 },
            ..IDLE
        },
    },
    Trace {
        name: "at its threshold, over and under each half minute",
        hours: 6,
        wrong: None,
        live: |world| {
            let target = if world.second % 60 < 30 { 49_900 } else { 50_100 };
            let lag = world.entries.len() + 100 - world.delivered;
            let takes = f64::from(u32::try_from(lag.saturating_sub(target)).unwrap());
            Second { adds: if world.second < 60 { 1_000.0 } else { 100.0 }, takes, ..IDLE }
        },
    },
    Trace {
        name: "grows by 2 % of 100 a second",
        hours: 4,
        wrong: Some((GroupStatus::Lagging, WRONG_FROM, WRONG_TO)),
        live: |world| if is_wrong(world) { Second { takes: 98.0, ..STEADY } } else { STEADY },
    },
    Trace {
        name: "grows by 5 a second, a dip of a third each 2 minutes",
        hours: 4,
        wrong: Some((GroupStatus::Lagging, WRONG_FROM, WRONG_TO)),
        live: |world| match (is_wrong(world), world.second % 120) {
            (false, _) => STEADY,
            (true, 0..10) => Second { takes: 120.0, ..STEADY },
            (true, _) => Second { takes: 94.0, ..STEADY },
        },
    },
    Trace {
        name: "grows at random, 15 % more than it takes",
        hours: 4,
        wrong: Some((GroupStatus::Lagging, WRONG_FROM, WRONG_TO)),
        live: |world| {
            let adds = if is_wrong(world) { 11.5 } else { 7.0 };
            Second { adds: poisson(&mut world.random, adds), takes: poisson(&mut world.random, 10.0), ..IDLE }
        },
    },
    Trace {
        name: "over its threshold, and steady",
        hours: 4,
        wrong: Some((GroupStatus::Lagging, WRONG_FROM, WRONG_TO)),
        live: |world| match world.second {
            WRONG_FROM => Second { adds: 60_000.0, ..STEADY },
            WRONG_TO => Second { takes: 100_000.0, ..STEADY },
            _ if is_wrong(world) => Second { takes: 100.0, ..STEADY },
            _ => STEADY,
        },
    },
    Trace {
        name: "alive, and nothing moves",
        hours: 4,
        wrong: Some((GroupStatus::Stalled, WRONG_FROM, WRONG_TO)),
        live: |world| {
            if is_wrong(world) { Second { takes: 0.0, acknowledges: false, ..STEADY } } else { STEADY }
        },
    },
    Trace {
        name: "reads, and acknowledges nothing",
        hours: 4,
        wrong: Some((GroupStatus::Lagging, WRONG_FROM, WRONG_TO)),
        live: |world| if is_wrong(world) { Second { acknowledges: false, ..STEADY } } else { STEADY },
    },
    Trace {
        name: "its consumers hang",
        hours: 4,
        wrong: Some((GroupStatus::Stopped, WRONG_FROM, WRONG_TO)),
        live: |world| {
            if is_wrong(world) { Second { asks: false, acknowledges: false, ..STEADY } } else { STEADY }
        },
    },
    Trace {
        name: "its consumers are deleted",
        hours: 4,
        wrong: Some((GroupStatus::NoConsumers, WRONG_FROM, WRONG_TO)),
        live: |world| {
            world.consumers = if is_wrong(world) { 0 } else { 3 };
            if is_wrong(world) {
                world.acknowledged = world.delivered;
            }
            STEADY
        },
    },
    Trace {
        name: "the group is deleted",
        hours: 4,
        wrong: Some((GroupStatus::Missing, WRONG_FROM, WRONG_TO)),
        live: |world| {
            world.group_is_there = !is_wrong(world);
            STEADY
        },
    },
    Trace {
        name: "set back by 30,000 entries",
        hours: 4,
        wrong: Some((GroupStatus::Rewound, WRONG_FROM, WRONG_FROM)),
        live: |world| {
            if world.second == WRONG_FROM {
                world.delivered -= 30_000;
                world.acknowledged = world.delivered;
            }
            Second { takes: 400.0, ..STEADY }
        },
    },
    Trace {
        name: "trimmed past while it hangs",
        hours: 4,
        wrong: Some((GroupStatus::TrimmedPast, WRONG_FROM, WRONG_TO)),
        live: |world| {
            if world.second == WRONG_TO - 15 * MINUTE {
                world.trimmed = world.entries.len() - 1_000;
            }
            if world.second == WRONG_TO {
                world.delivered = world.delivered.max(world.trimmed);
                world.acknowledged = world.delivered;
            }
            if is_wrong(world) { Second { takes: 0.0, acknowledges: false, ..STEADY } } else { STEADY }
        },
    },
];
