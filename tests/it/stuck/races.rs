//! Each entry is acknowledged by its group or among the dead letters, never both by us and never neither: with random operations, and while
//! consumers race.
//!
//! `STREAMWARDEN_TEST_CASES` makes it longer by hand.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    thread,
};

use proptest::{
    prelude::*,
    test_runner::{Config, TestCaseError, TestRunner},
};
use redis::{Connection, Value, cmd};

use super::scripts::script;
use crate::truth::number;
use support::Redis;

/// The number of entries, or of moves, of a race.
fn entries() -> u64 {
    number("STREAMWARDEN_TEST_CASES", 6_000)
}

/// Runs a script.
fn eval(connection: &mut Connection, name: &str, keys: &[&str], arguments: &[String]) -> Vec<String> {
    let mut eval = cmd("EVAL");
    eval.arg(script(name)).arg(keys.len()).arg(keys).arg(arguments);
    eval.query(connection).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn words(text: &str, items: &[String]) -> Vec<String> {
    text.split(' ').map(|word| word.trim_matches('_').to_owned()).chain(items.iter().cloned()).collect()
}

/// What a consumer read, by stream: IDs with their fields. `None`: nothing came.
type Read<Fields> = Option<Vec<(String, Vec<(String, Fields)>)>>;
/// Pending entries.
type Rows = Vec<(String, String, u64, u64)>;

fn pending(connection: &mut Connection, count: u64) -> Rows {
    cmd("XPENDING").arg("s").arg("g").arg("-").arg("+").arg(count).query(connection).unwrap()
}

/// The IDs, and the value of the field `n` of each.
fn numbers(connection: &mut Connection, key: &str) -> Vec<(String, u64)> {
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

fn fill(redis: &Redis, count: u64) {
    redis.run::<()>("XGROUP CREATE s g 0 MKSTREAM");
    let mut connection = redis.connect();
    for from in (1..=count).step_by(1_000) {
        let mut pipeline = redis::pipe();
        for number in from..(from + 1_000).min(count + 1) {
            pipeline.cmd("XADD").arg("s").arg("*").arg("n").arg(number).ignore();
        }
        pipeline.query::<()>(&mut connection).unwrap();
    }
}

/// Four consumers read new entries and their history, and acknowledge half of what they see, while what is pending is moved.
#[test]
fn of_racing_consumers_and_the_mover_one_gets_each_entry() {
    let (redis, count) = (Redis::start(), entries());
    fill(&redis, count);
    let (acknowledged, is_over) = (AtomicU64::new(0), AtomicBool::new(false));
    let consume = |consumer: u8| {
        let mut connection = redis.connect();
        for turn in 0_u64.. {
            if is_over.load(Relaxed) {
                break;
            }
            let from = if turn % 2 == 0 { ">" } else { "0" };
            let mut read = cmd("XREADGROUP");
            read.arg("GROUP")
                .arg("g")
                .arg(format!("c{consumer}"))
                .arg("COUNT")
                .arg(20)
                .arg("STREAMS")
                .arg("s")
                .arg(from);
            let seen: Read<Value> = read.query(&mut connection).unwrap();
            for (id, _) in seen.into_iter().flatten().flat_map(|(_, entries)| entries).step_by(2) {
                let done: u64 = cmd("XACK").arg("s").arg("g").arg(id).query(&mut connection).unwrap();
                acknowledged.fetch_add(done, Relaxed);
            }
        }
    };
    let moved = thread::scope(|scope| {
        for consumer in 0..4 {
            scope.spawn(move || consume(consumer));
        }
        let (mut connection, mut moved) = (redis.connect(), 0);
        while acknowledged.load(Relaxed) + moved < count {
            let rows = pending(&mut connection, 100);
            let ids: Vec<String> = rows.into_iter().filter(|row| row.3 >= 2).map(|row| row.0).collect();
            let arguments = words("g 2 0 1000000 dlq: me _", &ids);
            let outcome = eval(&mut connection, "dead_letter", &["s", "dead"], &arguments);
            moved += outcome.iter().filter(|word| *word == "moved").count() as u64;
        }
        is_over.store(true, Relaxed);
        moved
    });
    let mut connection = redis.connect();
    let dead = numbers(&mut connection, "dead");
    let distinct: BTreeSet<u64> = dead.iter().map(|(_, number)| *number).collect();
    let acknowledged = acknowledged.load(Relaxed);
    eprintln!("{count} entries: {acknowledged} acknowledged by consumers, {moved} moved");
    assert_eq!(
        (dead.len() as u64, distinct.len() as u64),
        (moved, moved),
        "each dead letter is another entry"
    );
    assert_eq!(acknowledged + moved, count, "by both 0, by neither 0");
    assert_eq!(pending(&mut connection, 10), []);
    assert!(moved > count / 50 && acknowledged > count / 50, "a race has two sides");
}

/// Consumers wait in blocking reads while they are deleted again and again.
#[test]
fn no_entry_is_lost_while_consumers_that_wait_are_deleted() {
    let (redis, count) = (Redis::start(), entries() / 3);
    redis.run::<()>("XGROUP CREATE s g 0 MKSTREAM");
    let handled = Mutex::new(Vec::new());
    let (is_over, deleted) = (AtomicBool::new(false), AtomicU64::new(0));
    let consume = |consumer: u8| {
        let mut connection = redis.connect();
        while !is_over.load(Relaxed) {
            let mut read = cmd("XREADGROUP");
            read.arg("GROUP").arg("g").arg(format!("c{consumer}")).arg("COUNT").arg(3).arg("BLOCK").arg(50);
            read.arg("STREAMS").arg("s").arg(">");
            let seen: Read<Vec<String>> = read.query(&mut connection).unwrap();
            for (id, fields) in seen.into_iter().flatten().flat_map(|(_, entries)| entries) {
                let done: u64 = cmd("XACK").arg("s").arg("g").arg(&id).query(&mut connection).unwrap();
                assert_eq!(done, 1, "{id} was delivered and is not pending");
                handled.lock().unwrap().push(fields[1].parse::<u64>().unwrap());
            }
        }
    };
    thread::scope(|scope| {
        for consumer in 0..4 {
            scope.spawn(move || consume(consumer));
        }
        scope.spawn(|| {
            let mut connection = redis.connect();
            let names: Vec<String> = (0..4).map(|number| format!("c{number}")).collect();
            while !is_over.load(Relaxed) {
                let outcome = eval(&mut connection, "reap", &["s"], &words("g 0", &names));
                deleted.fetch_add(outcome.iter().filter(|word| *word == "deleted").count() as u64, Relaxed);
            }
        });
        let mut connection = redis.connect();
        for number in 1..=count {
            cmd("XADD").arg("s").arg("*").arg("n").arg(number).query::<()>(&mut connection).unwrap();
        }
        support::wait_for("all to be handled", || {
            (handled.lock().unwrap().len() as u64 >= count).then_some(())
        });
        is_over.store(true, Relaxed);
    });
    let mut handled = handled.into_inner().unwrap();
    handled.sort_unstable();
    eprintln!("{count} entries, consumers deleted {} times", deleted.load(Relaxed));
    assert_eq!(handled, (1..=count).collect::<Vec<_>>(), "each one once");
    assert!(deleted.load(Relaxed) > count / 100, "next to nothing was deleted");
}
