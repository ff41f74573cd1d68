//! Every number beside the truth on a cluster whose slots move all the time and whose primaries fail. A stream that can't be
//! read may be unknown, and nothing else: never wrong, missing, recreated or rewound. `make cluster-chaos` does it for longer.

use std::{
    thread::sleep,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
    vec,
};

use proptest::{
    strategy::{Strategy as _, ValueTree as _},
    test_runner::{Config as Runs, RngAlgorithm, TestRng, TestRunner},
};
use streamwarden::{app::self_stats, config::Watchlist, reader::Reader, source::Link};
use support::{Cluster, KeyConnection};

use super::{
    Polls, Published, Run, Tally,
    acts::act,
    expected::Listed,
    facts::Facts,
    number,
    oracle::Oracle,
    published,
    story::{Op, stories},
};
use crate::cluster::chaos::{Chaos, Dice};

const STREAMS: usize = 12;
/// At most so much happens to a stream between two polls.
const MOST_OPS: u64 = 4;
/// Between two polls.
const PAUSE: Duration = Duration::from_millis(100);
/// A poll finds that a primary is gone, and the next one finds its successor; other nodes may name the dead one for one more, as
/// polls come faster here than nodes talk.
const MOST_MISSES: u64 = 2;
/// Of the polls of streams whose slots are served, so many have to read them, in percent.
const LEAST_KNOWN: u64 = 95;

/// A stream, and what is known of it.
struct Stream<'a> {
    name: &'a str,
    oracle: Oracle<'a>,
    story: vec::IntoIter<Op>,
    /// All of it, when it could last be asked.
    facts: Facts,
    /// Polls in a row that did not read it although it was served before and after.
    misses: u64,
}

/// How many polls of how many streams there were.
#[derive(Debug, Default)]
struct Seen {
    polls: u64,
    failed_polls: u64,
    /// Polls of a stream; of those, with its slot served before and after; and of those again, where it was read.
    stream_polls: u64,
    served: u64,
    read: u64,
    /// Read although nobody served its slot before or after.
    read_besides: u64,
}

impl Stream<'_> {
    /// Lets something happen, if its slot is served, and returns whether it is.
    fn live(&mut self, dice: &mut Dice, mut next_story: impl FnMut() -> Vec<Op>) -> bool {
        let Some(facts) = self.oracle.look() else { return false };
        self.oracle.take_over(&facts);
        self.facts = facts;
        for _ in 0..dice.roll(MOST_OPS + 1) {
            let op = self.story.find(Op::is_ordinary);
            match op {
                Some(op) => act(&op, &mut self.oracle),
                None => self.story = next_story().into_iter(),
            }
        }
        self.facts = self.oracle.facts().expect("nothing failed meanwhile");
        true
    }

    fn compare(&mut self, is_served: bool, times: (u64, u64), page: &Published, seen: &mut Seen) {
        let now = self.oracle.look();
        let is_served = is_served && now.is_some();
        let told = page.told(self.name);
        let now = match now {
            Some(now) => now,
            // Another server may have been read than was asked last, and Redis 7.0 does not pass `entries-read` on to replicas.
            None if told.is_read() => self.oracle.wait_for_facts(),
            None => self.facts.clone(),
        };
        let compared = self.oracle.compare_moving([&self.facts, &now], times, &told);
        let is_read = compared.unwrap_or_else(|error| {
            let read_from =
                page.reading.snapshot.node_of(&self.name.into()).map(|node| node.address.to_string());
            panic!(
                "{}, read from {read_from:?}: {error}\nbefore: {:?}\nafter: {now:?}",
                self.name, self.facts
            )
        });
        if is_served && !is_read {
            eprintln!(
                "{} is served and not read: {:?}",
                self.name,
                page.reading.snapshot.streams.get(&self.name.into())
            );
        }
        self.facts = now;
        self.count(is_served, is_read, seen);
    }

    fn count(&mut self, is_served: bool, is_read: bool, seen: &mut Seen) {
        seen.stream_polls += 1;
        seen.served += u64::from(is_served);
        seen.read += u64::from(is_served && is_read);
        seen.read_besides += u64::from(!is_served && is_read);
        self.misses = if is_served && !is_read { self.misses + 1 } else { 0 };
        assert!(
            self.misses <= MOST_MISSES,
            "{} is not seen again {MOST_MISSES} polls after its slot is served",
            self.name
        );
    }
}

#[expect(clippy::disallowed_methods, reason = "all servers have this machine's clock")]
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis().try_into().unwrap()
}

fn first_facts(oracle: &mut Oracle<'_>) -> Facts {
    oracle.run("XADD s * f v");
    ["g0", "g1", "g2"].iter().for_each(|group| oracle.run(&format!("XGROUP CREATE s {group} 0")));
    oracle.look().expect("all slots are served")
}

/// Makes the same stories from the same seed.
fn runner(seed: u64) -> TestRunner {
    let mut seeds = [0; 32];
    seeds[..8].copy_from_slice(&seed.to_le_bytes());
    TestRunner::new_with_rng(Runs::default(), TestRng::from_seed(RngAlgorithm::ChaCha, &seeds))
}

/// Compares for so long.
#[expect(clippy::disallowed_methods, reason = "chaos lasts for a time")]
fn compare(seconds: u64) {
    let cluster = Cluster::start();
    let names: Vec<String> = (0..STREAMS).map(|index| format!("m{index}")).collect();
    let listed = Listed { streams: STREAMS as u64, consumers: 20, entries: 3 };
    let run = Run { more: ", command_timeout: 1s", listed, ..Run::new(20_000, 0, Polls::Moving) };
    let (config, _file) = run.config(&cluster.node(0).uri(), "'*'");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut reader = Reader::new(Link::new(self_stats())).within_budget();
    let watchlist = Watchlist::new(&config, names.iter().map(|name| name.as_str().into()));
    let mut poll = || -> Option<Published> {
        let reading = runtime.block_on(reader.read(&config, &watchlist));
        let reading = reading.inspect_err(|failure| eprintln!("a poll failed: {failure}"));
        reading.ok().map(|reading| published(&config, reading))
    };

    let seed = number("STREAMWARDEN_TEST_SEED", 7);
    let (mut runner, stories) = (runner(seed), stories());
    let mut next_story = || stories.new_tree(&mut runner).expect("a story").current();

    let mut tallies: Vec<Tally> = names.iter().map(|_| Tally::default()).collect();
    let mut connections: Vec<KeyConnection> =
        names.iter().map(|name| cluster.client().to_key(name)).collect();
    let streams = names.iter().zip(&mut connections).zip(&mut tallies);
    let mut streams: Vec<Stream<'_>> = streams
        .map(|((name, connection), tally)| {
            let mut oracle = Oracle::new(connection, name, tally, run.listed);
            let facts = first_facts(&mut oracle);
            Stream { name, oracle, story: next_story().into_iter(), facts, misses: 0 }
        })
        .collect();

    let (mut seen, mut dice) = (Seen::default(), Dice::new(seed));
    let chaos = Chaos::new(&cluster, &names);
    chaos.during(seed, || {
        let started = Instant::now();
        while started.elapsed() < Duration::from_secs(seconds) {
            let quiet = chaos.quiet();
            let served: Vec<bool> =
                streams.iter_mut().map(|stream| stream.live(&mut dice, &mut next_story)).collect();
            drop(quiet);
            let began = now();
            let page = poll();
            let over = now();
            seen.polls += 1;
            seen.failed_polls += u64::from(page.is_none());
            let quiet = chaos.quiet();
            for (stream, is_served) in streams.iter_mut().zip(served) {
                match &page {
                    Some(page) => stream.compare(is_served, (began, over), page, &mut seen),
                    None => {
                        let is_served = is_served && stream.oracle.look().is_some();
                        stream.count(is_served, false, &mut seen);
                    }
                }
            }
            drop(quiet);
            sleep(PAUSE);
        }
    });
    drop(streams);
    report(&seen, &tallies, &chaos);
}

fn report(seen: &Seen, tallies: &[Tally], chaos: &Chaos<'_>) {
    let sum = |of: fn(&Tally) -> u64| tallies.iter().map(of).sum::<u64>();
    let Seen { polls, failed_polls, stream_polls, served, read, read_besides } = seen;
    eprintln!(
        "{polls} polls, {failed_polls} failed; {stream_polls} stream-polls, {served} with the slot served, {read} of them read, \
         {read_besides} others read; {} numbers compared, 0 wrong, {} unknown; {} of {} lags known; losses {} to {}; {}",
        sum(|it| it.numbers),
        sum(|it| it.unknown),
        sum(|it| it.known_lags),
        sum(|it| it.lags),
        sum(|it| it.lost_at_least),
        sum(|it| it.lost_at_most),
        chaos.counts()
    );
    assert!(read * 100 >= served * LEAST_KNOWN, "right by being unknown: {read} of {served} read");
    assert!(sum(|it| it.known_lags) * 100 >= sum(|it| it.lags) * LEAST_KNOWN, "too few lags are known");
}

#[test]
fn no_number_is_ever_wrong_while_slots_move_and_primaries_fail_for_a_while() {
    compare(number("STREAMWARDEN_TEST_SECONDS", 30));
}

#[test]
#[ignore = "minutes: make cluster-chaos"]
fn no_number_is_ever_wrong_while_slots_move_and_primaries_fail() {
    compare(number("STREAMWARDEN_TEST_SECONDS", 600));
}
