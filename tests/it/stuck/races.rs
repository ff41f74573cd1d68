//! Each entry is acknowledged by its group or among the dead letters, never both by us and never neither: while consumers race.

use std::{
    collections::BTreeSet,
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    thread,
};

use redis::{Value, cmd};

use super::stories::{eval, numbers, pending, words};
use crate::truth::number;
use support::Redis;

/// What a consumer read, by stream: IDs with their fields. `None`: nothing came.
pub(super) type Read<Fields> = Option<Vec<(String, Vec<(String, Fields)>)>>;

pub(super) fn fill(redis: &Redis, count: u64) {
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
fn race(count: u64) {
    let redis = Redis::start();
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
fn reap(count: u64) {
    let redis = Redis::start();
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

#[test]
fn of_racing_consumers_and_the_mover_one_gets_each_entry() {
    race(6_000);
}

#[test]
fn no_entry_is_lost_while_consumers_that_wait_are_deleted() {
    reap(2_000);
}

#[test]
#[ignore = "minutes: make stuck-chaos"]
fn of_many_racing_consumers_and_the_mover_one_gets_each_entry() {
    let entries = number("STREAMWARDEN_TEST_ENTRIES", 200_000) / 2;
    race(entries);
    reap(entries);
}
