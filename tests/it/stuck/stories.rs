//! Each entry is acknowledged by its group or among the dead letters, never both by us and never neither: with random operations.
//!
//! `STREAMWARDEN_TEST_CASES` makes it longer by hand.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use proptest::{
    prelude::*,
    test_runner::{Config, TestCaseError, TestRunner},
};
use redis::{Connection, Value, cmd};

use super::scripts::script;
use crate::truth::number;
use support::Redis;

/// Runs a script.
pub(super) fn eval(
    connection: &mut Connection,
    name: &str,
    keys: &[&str],
    arguments: &[String],
) -> Vec<String> {
    let mut eval = cmd("EVAL");
    eval.arg(script(name)).arg(keys.len()).arg(keys).arg(arguments);
    eval.query(connection).unwrap_or_else(|error| panic!("{name}: {error}"))
}

pub(super) fn words(text: &str, items: &[String]) -> Vec<String> {
    text.split(' ').map(|word| word.trim_matches('_').to_owned()).chain(items.iter().cloned()).collect()
}

/// Pending entries.
type Rows = Vec<(String, String, u64, u64)>;

pub(super) fn pending(connection: &mut Connection, count: u64) -> Rows {
    cmd("XPENDING").arg("s").arg("g").arg("-").arg("+").arg(count).query(connection).unwrap()
}

/// The IDs, and the value of the field `n` of each.
pub(super) fn numbers(connection: &mut Connection, key: &str) -> Vec<(String, u64)> {
    let entries: Vec<(String, Vec<String>)> =
        cmd("XRANGE").arg(key).arg("-").arg("+").query(connection).unwrap();
    entries.into_iter().map(|(id, fields)| (id, fields[1].parse().unwrap())).collect()
}

#[derive(Debug, Clone)]
enum Op {
    Add(u8),
    Read(u8, u8),
    /// A restart: all that a consumer holds is delivered to it again.
    History(u8),
    Acknowledge(u8, u8),
    Claim(u8, u8),
    /// The script that moves what was delivered so often.
    Move(u8, u8),
    Replay(u8),
    HandOver(u8, u8),
    Reap,
}

fn op() -> impl Strategy<Value = Op> {
    let (few, one) = (1_u8..6, 0_u8..3);
    prop_oneof![
        few.clone().prop_map(Op::Add),
        (one.clone(), few.clone()).prop_map(|(consumer, count)| Op::Read(consumer, count)),
        one.clone().prop_map(Op::History),
        (one.clone(), few.clone()).prop_map(|(consumer, count)| Op::Acknowledge(consumer, count)),
        (one.clone(), few.clone()).prop_map(|(consumer, count)| Op::Claim(consumer, count)),
        (1_u8..4, few.clone()).prop_map(|(deliveries, count)| Op::Move(deliveries, count)),
        few.prop_map(Op::Replay),
        (one.clone(), one).prop_map(|(from, to)| Op::HandOver(from, to)),
        Just(Op::Reap),
    ]
}

/// What a story has so far.
#[derive(Default)]
struct Story {
    added: u64,
    /// Numbers that consumers handled, and how often.
    handled: BTreeMap<u64, u64>,
    moves: u64,
}

impl Story {
    fn run(&mut self, connection: &mut Connection, op: &Op) {
        let held_by = |connection: &mut Connection, consumer: u8, count: u8| -> Vec<String> {
            let rows = pending(connection, 1_000).into_iter().filter(|row| row.1 == format!("c{consumer}"));
            rows.take(count.into()).map(|row| row.0).collect()
        };
        match *op {
            Op::Add(count) => {
                for _ in 0..count {
                    self.added += 1;
                    cmd("XADD").arg("s").arg("*").arg("n").arg(self.added).query::<()>(connection).unwrap();
                }
            }
            Op::Read(consumer, count) => read(connection, consumer, &count.to_string(), ">"),
            Op::History(consumer) => read(connection, consumer, "1000", "0"),
            Op::Acknowledge(consumer, count) => {
                let numbers: BTreeMap<String, u64> = numbers(connection, "s").into_iter().collect();
                for id in held_by(connection, consumer, count) {
                    let acknowledged: u64 = cmd("XACK").arg("s").arg("g").arg(&id).query(connection).unwrap();
                    assert_eq!(acknowledged, 1);
                    *self.handled.entry(numbers[&id]).or_default() += 1;
                }
            }
            Op::Claim(consumer, count) => {
                for row in pending(connection, count.into()) {
                    let mut claim = cmd("XCLAIM");
                    claim.arg("s").arg("g").arg(format!("c{consumer}")).arg(0).arg(row.0);
                    claim.query::<Value>(connection).unwrap();
                }
            }
            Op::Move(deliveries, count) => {
                let ids: Vec<String> =
                    pending(connection, count.into()).into_iter().map(|row| row.0).collect();
                let arguments = words(&format!("g {deliveries} 0 30 dlq: me _"), &ids);
                let outcome = eval(connection, "dead_letter", &["s", "dead"], &arguments);
                self.moves += outcome.iter().filter(|word| *word == "moved").count() as u64;
            }
            Op::Replay(count) => {
                let ids: Vec<String> =
                    numbers(connection, "dead").into_iter().take(count.into()).map(|(id, _)| id).collect();
                eval(connection, "replay", &["dead", "s"], &words("dlq: s 2", &ids));
            }
            Op::HandOver(from, to) => {
                let ids = held_by(connection, from, 10);
                eval(connection, "claim", &["s"], &words(&format!("g c{from} c{to} 0"), &ids));
            }
            Op::Reap => {
                let names: Vec<String> = (0..3).map(|number| format!("c{number}")).collect();
                eval(connection, "reap", &["s"], &words("g 0", &names));
            }
        }
    }

    /// Each number is in one place, and only in one.
    fn check(&self, connection: &mut Connection) -> Result<(), TestCaseError> {
        let groups: Vec<BTreeMap<String, Value>> =
            cmd("XINFO").arg(&["GROUPS", "s"]).query(connection).unwrap();
        let delivered: String = redis::from_redis_value(groups[0]["last-delivered-id"].clone()).unwrap();
        let delivered: streamwarden::model::StreamId = delivered.parse().unwrap();
        let pending: BTreeSet<String> = pending(connection, 10_000).into_iter().map(|row| row.0).collect();
        let mut places: BTreeMap<u64, u64> = self.handled.clone();
        for (id, number) in numbers(connection, "s") {
            let waits = id.parse::<streamwarden::model::StreamId>().unwrap() > delivered;
            *places.entry(number).or_default() += u64::from(waits || pending.contains(&id));
        }
        for (_, number) in numbers(connection, "dead") {
            *places.entry(number).or_default() += 1;
        }
        for number in 1..=self.added {
            let count = places.get(&number).copied().unwrap_or(0);
            prop_assert_eq!(count, 1, "entry {} is in {} places", number, count);
        }
        Ok(())
    }
}

fn read(connection: &mut Connection, consumer: u8, count: &str, from: &str) {
    let mut read = cmd("XREADGROUP");
    read.arg("GROUP").arg("g").arg(format!("c{consumer}")).arg("COUNT").arg(count);
    read.arg("STREAMS").arg("s").arg(from).query::<Value>(connection).unwrap();
}

#[test]
fn each_entry_is_in_one_place_whatever_happens() {
    let redis = Redis::start();
    let connection = Mutex::new(redis.connect());
    let moves = AtomicU64::new(0);
    let cases = u32::try_from(number("STREAMWARDEN_TEST_CASES", 300)).unwrap();
    let mut runner = TestRunner::new(Config { cases, failure_persistence: None, ..Config::default() });
    let told = runner.run(&prop::collection::vec(op(), 5..40), |ops| {
        let mut connection = connection.lock().unwrap();
        let connection = &mut *connection;
        cmd("FLUSHALL").query::<()>(connection).unwrap();
        cmd("XGROUP").arg(&["CREATE", "s", "g", "0", "MKSTREAM"]).query::<()>(connection).unwrap();
        let mut story = Story::default();
        for op in &ops {
            story.run(connection, op);
            story.check(connection)?;
        }
        moves.fetch_add(story.moves, Relaxed);
        Ok(())
    });
    told.unwrap_or_else(|fault| panic!("{fault}"));
    eprintln!("{cases} stories, {} moves", moves.load(Relaxed));
    assert!(moves.load(Relaxed) > u64::from(cases) / 2, "the stories move next to nothing");
}
