//! Commands that act are killed at any point, again and again, while consumers work: each entry is handled once or is among the dead
//! letters, and after a replay each one is handled once.

use std::{
    collections::BTreeMap,
    process::{Child, Command, Stdio},
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread::{scope, sleep},
    time::Duration,
};

use redis::{Connection, RedisResult, cmd};

use super::{
    races::{Read, fill},
    stories::numbers,
};
use crate::truth::number;
use support::{Redis, program, wait_at_most};

const DEAD: &str = "dead:{s}";
/// Of so many entries one is handled at once, and the others fail until the handlers are fixed.
const ONE_SUCCEEDS: u64 = 8;
const CONSUMERS: u8 = 3;
/// Commands are killed within so many milliseconds, doubled up to so many times: at any point of a run, on a fast machine and on a slow one.
const LEAST_WAIT: u64 = 16;
const DOUBLED: u64 = 9;

/// A server with consumers, and what these did.
struct Chaos<'a> {
    redis: &'a Redis,
    /// Numbers that were handled, and how often.
    handled: Mutex<BTreeMap<u64, u64>>,
    are_fixed: AtomicBool,
    is_over: AtomicBool,
}

impl Chaos<'_> {
    /// Reads new entries and its history, in turn, and acknowledges what it handles.
    fn consume(&self, consumer: u8) {
        let (mut connection, mut history) = (self.redis.connect(), "0".to_owned());
        let mut is_history = false;
        while !self.is_over.load(Relaxed) {
            let from = if is_history { history.as_str() } else { ">" };
            let entries = read(&mut connection, consumer, from);
            if is_history {
                history = entries.last().map_or_else(|| "0".to_owned(), |(id, _)| id.clone());
            }
            // Without a pause they would have the server and a core to themselves.
            sleep(Duration::from_millis(5));
            is_history = !is_history;
            for (id, number) in entries {
                if number % ONE_SUCCEEDS == 0 || self.are_fixed.load(Relaxed) {
                    self.handle(&mut connection, &id, number);
                }
            }
        }
    }

    /// Who acknowledges an entry has handled it: another one who did, or moved it, was first.
    fn handle(&self, connection: &mut Connection, id: &str, number: u64) {
        let done: u64 = cmd("XACK").arg("s").arg("g").arg(id).query(connection).unwrap();
        if done > 0 {
            *self.handled.lock().unwrap().entry(number).or_default() += 1;
        }
    }

    /// Runs these commands in turn, and kills each after another time, until it is done; how many were killed.
    fn kill(&self, seed: u64, commands: &[&[&str]], is_done: impl Fn() -> bool) -> u64 {
        let (mut random, mut turn, mut kills) = (seed, 0, 0);
        wait_at_most(Duration::from_secs(3_600), "all to be done", || {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let mut child = start(self.redis, commands[turn % commands.len()]);
            turn += 1;
            let wait = (random >> 33) % (LEAST_WAIT << ((random >> 24) % DOUBLED));
            let has_ended = |child: &mut Child| child.try_wait().unwrap().is_some();
            for _ in 0..wait.div_ceil(LEAST_WAIT) {
                if !has_ended(&mut child) {
                    sleep(Duration::from_millis(wait.min(LEAST_WAIT)));
                }
            }
            kills += u64::from(!has_ended(&mut child));
            drop(child.kill());
            child.wait().unwrap();
            is_done().then_some(())
        });
        kills
    }

    /// How many entries were handled. None twice.
    fn count(&self) -> u64 {
        let handled = self.handled.lock().unwrap();
        let twice: Vec<_> = handled.iter().filter(|(_, times)| **times != 1).take(5).collect();
        assert!(twice.is_empty(), "handled two or more times: {twice:?}");
        handled.len() as u64
    }
}

/// What a consumer gets: IDs and numbers.
fn read(connection: &mut Connection, consumer: u8, from: &str) -> Vec<(String, u64)> {
    let mut read = cmd("XREADGROUP");
    read.arg("GROUP").arg("g").arg(format!("c{consumer}")).arg("COUNT").arg(200);
    // Consumers are deleted while they hold nothing: the next entry creates them again.
    let streams: RedisResult<Read<Vec<String>>> = read.arg("STREAMS").arg("s").arg(from).query(connection);
    let entries = streams.unwrap().into_iter().flatten().flat_map(|(_, entries)| entries);
    entries.map(|(id, fields)| (id, fields[1].parse().unwrap())).collect()
}

fn start(redis: &Redis, arguments: &[&str]) -> Child {
    let mut command = Command::new(program());
    command.args(arguments).arg("--yes").env_clear().env("REDIS_URI", redis.uri());
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

/// Has the entries that fail moved, and then replayed, by commands that are killed.
fn move_and_replay(entries: u64) {
    let redis = &Redis::start();
    fill(redis, entries);
    let chaos = &Chaos {
        redis,
        handled: Mutex::default(),
        are_fixed: AtomicBool::new(false),
        is_over: AtomicBool::new(false),
    };
    let (moved, kills, replay_kills) = scope(|scope| {
        for consumer in 0..CONSUMERS {
            scope.spawn(move || chaos.consume(consumer));
        }
        let move_all = &[
            "dead-letter",
            "s",
            "g",
            "--deliveries",
            "2",
            "--idle",
            "0s",
            "--max",
            "10000",
            "--max-length",
            "1000000000",
        ];
        let others: [&[&str]; 2] = [
            &["claim", "s", "g", "--from", "c0", "--to", "c1", "--idle", "0s"],
            &["reap-consumers", "s", "g", "--idle", "0s", "--force"],
        ];
        let dead = || redis.run::<u64>(&format!("XLEN {DEAD}"));
        let commands: Vec<&[&str]> = [move_all, move_all, others[0], move_all, move_all, others[1]].into();
        let kills = chaos.kill(entries, &commands, || chaos.count() + dead() >= entries);
        let mut letters: Vec<u64> =
            numbers(&mut redis.connect(), DEAD).into_iter().map(|(_, number)| number).collect();
        letters.sort_unstable();
        let mut all: Vec<u64> =
            chaos.handled.lock().unwrap().keys().copied().chain(letters.iter().copied()).collect();
        all.sort_unstable();
        assert_eq!(all, (1..=entries).collect::<Vec<_>>(), "each entry is in one of both, once");
        chaos.are_fixed.store(true, Relaxed);
        let replay: &[&str] = &["replay", DEAD, "--max", "10000"];
        let replay_kills = chaos.kill(entries, &[replay, others[1]], || chaos.count() >= entries);
        chaos.is_over.store(true, Relaxed);
        (letters.len(), kills, replay_kills)
    });
    let pending: (u64, redis::Value, redis::Value, redis::Value) = redis.run("XPENDING s g");
    assert_eq!((chaos.count(), pending.0, redis.run::<u64>(&format!("XLEN {DEAD}"))), (entries, 0, 0));
    let words = "handled once, 0 lost, 0 doubled";
    eprintln!(
        "{entries} entries, {moved} moved and replayed, commands killed {kills} and {replay_kills} times: {words}"
    );
    assert!(
        moved as u64 > entries / 2 && kills + replay_kills > 3,
        "{moved} moved, {kills} and {replay_kills} kills"
    );
}

#[test]
fn commands_that_are_killed_lose_and_double_nothing() {
    move_and_replay(4_000);
}

#[test]
#[ignore = "minutes: make stuck-chaos"]
fn commands_that_are_killed_all_the_time_lose_and_double_nothing() {
    let moves = number("STREAMWARDEN_TEST_ENTRIES", 200_000);
    move_and_replay(moves * ONE_SUCCEEDS / (ONE_SUCCEEDS - 1) + ONE_SUCCEEDS);
}
