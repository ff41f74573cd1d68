//! Each entry is acknowledged by its group or among the dead letters, never both by us and never neither: with random operations.

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
use streamwarden::model::StreamId;

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
    /// Somebody deletes an entry, or what is older than it.
    Delete(u8),
    Trim(u8),
    /// Another group is created or reads, and is destroyed.
    Other(u8),
    EndOther,
    Ours(Act),
}

/// What we do.
#[derive(Debug, Clone, Copy)]
enum Act {
    /// Moves what was delivered so often, and acknowledges what is gone if it may.
    Move(u8, u8, bool),
    Replay(u8),
    Purge(u8),
    HandOver(u8, u8),
    Reap,
}

fn op() -> impl Strategy<Value = Op> {
    let (few, one) = (1_u8..6, 0_u8..3);
    prop_oneof![
        3 => few.clone().prop_map(Op::Add),
        3 => (one.clone(), few.clone()).prop_map(|(consumer, count)| Op::Read(consumer, count)),
        1 => one.clone().prop_map(Op::History),
        1 => (one.clone(), few.clone()).prop_map(|(consumer, count)| Op::Acknowledge(consumer, count)),
        1 => (one.clone(), few.clone()).prop_map(|(consumer, count)| Op::Claim(consumer, count)),
        1 => (0_u8..30).prop_map(Op::Delete),
        1 => (0_u8..6).prop_map(Op::Trim),
        1 => few.clone().prop_map(Op::Other),
        1 => Just(Op::EndOther),
        9 => act().prop_map(Op::Ours),
    ]
}

fn act() -> impl Strategy<Value = Act> {
    let (few, one) = (1_u8..6, 0_u8..3);
    prop_oneof![
        4 => (1_u8..3, 1_u8..12, any::<bool>())
            .prop_map(|(deliveries, count, drops_gone)| Act::Move(deliveries, count, drops_gone)),
        2 => few.prop_map(Act::Replay),
        1 => (1_u8..3).prop_map(Act::Purge),
        1 => (one.clone(), one).prop_map(|(from, to)| Act::HandOver(from, to)),
        1 => Just(Act::Reap),
    ]
}

/// What a story has so far.
#[derive(Default)]
struct Story {
    added: u64,
    /// Numbers that consumers handled, and how often.
    handled: BTreeMap<u64, u64>,
    /// Numbers that somebody else deleted before they were handled or moved.
    deleted: BTreeSet<u64>,
    purged: BTreeSet<u64>,
    moves: u64,
}

impl Story {
    fn run(&mut self, connection: &mut Connection, op: &Op) -> Result<(), TestCaseError> {
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
            Op::Read(consumer, count) => read(connection, "g", consumer, &count.to_string(), ">"),
            Op::History(consumer) => read(connection, "g", consumer, "1000", "0"),
            Op::Acknowledge(consumer, count) => {
                let numbers: BTreeMap<String, u64> = numbers(connection, "s").into_iter().collect();
                for id in held_by(connection, consumer, count) {
                    let acknowledged: u64 = cmd("XACK").arg("s").arg("g").arg(&id).query(connection).unwrap();
                    assert_eq!(acknowledged, 1);
                    if let Some(number) = numbers.get(&id) {
                        *self.handled.entry(*number).or_default() += 1;
                    }
                }
            }
            Op::Claim(consumer, count) => {
                for row in pending(connection, count.into()) {
                    let mut claim = cmd("XCLAIM");
                    claim.arg("s").arg("g").arg(format!("c{consumer}")).arg(0).arg(row.0);
                    // Before Redis 7.0 the reply has a nil for an entry that is gone.
                    claim.query::<Value>(connection).unwrap();
                }
            }
            Op::Delete(at) => {
                let ids = numbers(connection, "s");
                if let Some((id, _)) = ids.get(usize::from(at)) {
                    self.delete(connection, std::slice::from_ref(id));
                }
            }
            Op::Trim(count) => {
                let ids = numbers(connection, "s").into_iter().take(count.into()).map(|(id, _)| id);
                self.delete(connection, &ids.collect::<Vec<_>>());
            }
            Op::Other(count) => {
                drop(cmd("XGROUP").arg(&["CREATE", "s", "o", "0"]).query::<()>(connection));
                read(connection, "o", 0, &count.to_string(), ">");
            }
            Op::EndOther => cmd("XGROUP").arg(&["DESTROY", "s", "o"]).query::<()>(connection).unwrap(),
            Op::Ours(act) => {
                let before = other_group(connection);
                self.act(connection, act, held_by);
                prop_assert_eq!(other_group(connection), before, "another group is not touched");
                self.check(connection)?;
            }
        }
        Ok(())
    }

    /// Runs one of our scripts.
    fn act(
        &mut self,
        connection: &mut Connection,
        act: Act,
        held_by: impl Fn(&mut Connection, u8, u8) -> Vec<String>,
    ) {
        let dead = |connection: &mut Connection, count: u8| {
            numbers(connection, "dead").into_iter().take(count.into())
        };
        match act {
            Act::Move(deliveries, count, drops_gone) => {
                let ids: Vec<String> =
                    pending(connection, count.into()).into_iter().map(|row| row.0).collect();
                let drops_gone = if drops_gone { "1" } else { "_" };
                let arguments = words(&format!("g {deliveries} 0 30 dlq: me {drops_gone}"), &ids);
                let outcome = eval(connection, "dead_letter", &["s", "dead"], &arguments);
                self.moves += outcome.iter().filter(|word| *word == "moved").count() as u64;
            }
            Act::Replay(count) => {
                let ids: Vec<String> = dead(connection, count).map(|(id, _)| id).collect();
                eval(connection, "replay", &["dead", "s"], &words("dlq: s 2", &ids));
            }
            Act::Purge(count) => {
                let (ids, numbers): (Vec<String>, Vec<u64>) = dead(connection, count).unzip();
                let outcome = eval(connection, "replay", &["dead"], &words("dlq: _ 0", &ids));
                assert!(outcome.iter().all(|word| word == "purged"), "{outcome:?}");
                self.purged.extend(numbers);
            }
            Act::HandOver(from, to) => {
                let ids = held_by(connection, from, 10);
                eval(connection, "claim", &["s"], &words(&format!("g c{from} c{to} 0"), &ids));
            }
            Act::Reap => {
                let names: Vec<String> = (0..3).map(|number| format!("c{number}")).collect();
                eval(connection, "reap", &["s"], &words("g 0", &names));
            }
        }
    }

    /// Deletes entries, and remembers those that wait or are pending: of the others a copy is elsewhere, or they were handled.
    fn delete(&mut self, connection: &mut Connection, ids: &[String]) {
        let needed = needed(connection);
        self.deleted.extend(ids.iter().filter_map(|id| needed.get(id)));
        if !ids.is_empty() {
            cmd("XDEL").arg("s").arg(ids).query::<()>(connection).unwrap();
        }
    }

    /// Each number is in one place, and only in one.
    fn check(&self, connection: &mut Connection) -> Result<(), TestCaseError> {
        let mut places: BTreeMap<u64, u64> = self.handled.clone();
        let dead = numbers(connection, "dead").into_iter().map(|(_, number)| number);
        let elsewhere = self.deleted.iter().chain(&self.purged).copied();
        for number in needed(connection).into_values().chain(dead).chain(elsewhere) {
            *places.entry(number).or_default() += 1;
        }
        for number in 1..=self.added {
            let count = places.get(&number).copied().unwrap_or(0);
            prop_assert_eq!(count, 1, "entry {} is in {} places", number, count);
        }
        Ok(())
    }
}

/// The entries that wait for the group or are pending in it: their IDs and numbers.
fn needed(connection: &mut Connection) -> BTreeMap<String, u64> {
    let delivered = position(connection, "g").expect("the group exists");
    let pending: BTreeSet<String> = pending(connection, 10_000).into_iter().map(|row| row.0).collect();
    let waits = |id: &str| id.parse::<StreamId>().unwrap() > delivered;
    numbers(connection, "s").into_iter().filter(|(id, _)| waits(id) || pending.contains(id)).collect()
}

/// The ID up to which a group was delivered the stream.
fn position(connection: &mut Connection, group: &str) -> Option<StreamId> {
    let groups: Vec<BTreeMap<String, Value>> = cmd("XINFO").arg(&["GROUPS", "s"]).query(connection).unwrap();
    let text = |value: &Value| redis::from_redis_value::<String>(value.clone()).unwrap();
    let group = groups.iter().find(|fields| text(&fields["name"]) == group)?;
    Some(text(&group["last-delivered-id"]).parse().unwrap())
}

/// A group's position, and its pending entries with consumer and deliveries.
type GroupState = (StreamId, Vec<(String, String, u64)>);

/// All that belongs to the other group, if it exists.
fn other_group(connection: &mut Connection) -> Option<GroupState> {
    let position = position(connection, "o")?;
    let rows: Rows =
        cmd("XPENDING").arg("s").arg("o").arg("-").arg("+").arg(1_000).query(connection).unwrap();
    Some((
        position,
        rows.into_iter().map(|(id, consumer, _, deliveries)| (id, consumer, deliveries)).collect(),
    ))
}

fn read(connection: &mut Connection, group: &str, consumer: u8, count: &str, from: &str) {
    let mut read = cmd("XREADGROUP");
    read.arg("GROUP").arg(group).arg(format!("c{consumer}")).arg("COUNT").arg(count);
    read.arg("STREAMS").arg("s").arg(from).query::<Value>(connection).unwrap();
}

/// So many stories; the number of moves in them.
fn tell(cases: u32) -> u64 {
    let redis = Redis::start();
    let connection = Mutex::new(redis.connect());
    let moves = AtomicU64::new(0);
    let mut runner = TestRunner::new(Config { cases, failure_persistence: None, ..Config::default() });
    let told = runner.run(&prop::collection::vec(op(), 5..60), |ops| {
        let mut connection = connection.lock().unwrap();
        let connection = &mut *connection;
        cmd("FLUSHALL").query::<()>(connection).unwrap();
        cmd("XGROUP").arg(&["CREATE", "s", "g", "0", "MKSTREAM"]).query::<()>(connection).unwrap();
        let mut story = Story::default();
        for op in [Op::Add(5), Op::Read(0, 5)].iter().chain(&ops) {
            story.run(connection, op)?;
        }
        story.check(connection)?;
        moves.fetch_add(story.moves, Relaxed);
        Ok(())
    });
    told.unwrap_or_else(|fault| panic!("{fault}"));
    moves.into_inner()
}

#[test]
fn each_entry_is_in_one_place_whatever_happens() {
    let cases = 150;
    let moves = tell(cases);
    eprintln!("{cases} stories, {moves} moves");
    assert!(moves > u64::from(cases), "the stories move next to nothing: {moves}");
}

#[test]
#[ignore = "minutes: make stuck-chaos"]
fn each_entry_is_in_one_place_in_many_stories() {
    let (least, cases) = (number("STREAMWARDEN_TEST_ENTRIES", 200_000) / 10, 1_000);
    let (mut stories, mut moves) = (0, 0);
    while moves < least {
        moves += tell(cases);
        stories += u64::from(cases);
    }
    eprintln!("{stories} stories, {moves} moves");
}
