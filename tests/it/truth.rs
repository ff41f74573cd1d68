//! Every number beside the truth: random histories of a stream on a real server, each reading compared with what
//! counting every entry tells.
//!
//! `STREAMWARDEN_TEST_CASES` and `STREAMWARDEN_TEST_SEED` make it longer and different by hand.

mod acts;
mod oracle;
mod story;

use std::sync::{Arc, Mutex};

use proptest::{
    strategy::{Just, Strategy},
    test_runner::{Config as Runs, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner},
};
use streamwarden::{
    config::{Config, Sources},
    poll::Reader,
    self_stats::SelfStats,
};

use oracle::Oracle;
use story::{Op, Place, Polls, Rare, Story, play, stories};
use support::Redis;

/// How often what was known.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) lags: u64,
    pub(crate) known_lags: u64,
    pub(crate) lag_ages: u64,
    pub(crate) losses: u64,
    pub(crate) exact_losses: u64,
    /// How often both bounds of what was lost since the last poll were equal.
    pub(crate) tight_losses: u64,
    pub(crate) counted_additions: u64,
    pub(crate) unknown_pending: u64,
    /// Stories that ended where what happened can't be told from ordinary life.
    pub(crate) untold: u64,
}

#[expect(clippy::disallowed_methods, reason = "how long to look is the caller's choice")]
pub(crate) fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable).map_or(default, |text| text.parse().expect(variable))
}

fn config(redis: &Redis, entries: u64, more: &str) -> Config {
    let file = tempfile::NamedTempFile::new().unwrap();
    let yaml = format!(
        "redis: {{uri: '{}'{more}}}\nlag_count: {{entries: {entries}}}\nstreams: [{{match: s, thresholds: {{deliveries: 2}}}}]",
        redis.uri()
    );
    std::fs::write(file.path(), yaml).unwrap();
    Sources { file: Some(file.path().to_owned()), ..Sources::default() }.load().unwrap()
}

fn compare(entries: u64, cases: u64, more: &str, polls: Polls) -> Tally {
    compare_in(stories(), entries, cases, more, polls)
}

/// Plays stories with so many entries to be counted a poll and more settings of `redis`, and tells how often what was known.
fn compare_in(
    stories: impl Strategy<Value = Story>,
    entries: u64,
    cases: u64,
    more: &str,
    polls: Polls,
) -> Tally {
    let redis = Redis::start();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (config, tally) = (config(&redis, entries, more), Mutex::new(Tally::default()));
    let new_reader = || Reader::new(Arc::new(SelfStats::new())).within_budget();
    let reader = Mutex::new(new_reader());
    let connection = Mutex::new(redis.connect());
    let run = |story: Story| -> Result<(), TestCaseError> {
        let (mut reader, mut connection) = (reader.lock().unwrap(), connection.lock().unwrap());
        redis::cmd("FLUSHALL").query::<()>(&mut connection).unwrap();
        if config.redis.lookups_a_month.is_some() {
            // Its budget is full again.
            *reader = new_reader();
        }
        // Reading the empty server makes the reader forget the story before.
        runtime.block_on(reader.read(&config, &[])).unwrap();
        let poll = || runtime.block_on(reader.read(&config, &["s".into()])).unwrap();
        play(&story, polls, &mut Oracle::new(&mut connection, &mut tally.lock().unwrap()), poll)
    };
    let mut seed = [0; 32];
    seed[..8].copy_from_slice(&number("STREAMWARDEN_TEST_SEED", 7).to_le_bytes());
    let runs = Runs {
        cases: number("STREAMWARDEN_TEST_CASES", cases).try_into().unwrap(),
        failure_persistence: None,
        ..Runs::default()
    };
    let mut runner = TestRunner::new_with_rng(runs, TestRng::from_seed(RngAlgorithm::ChaCha, &seed));
    match runner.run(&stories, run) {
        Ok(()) => {}
        Err(TestError::Fail(reason, story)) => panic!("{reason}\nin the story: {story:#?}"),
        Err(TestError::Abort(reason)) => panic!("{reason}"),
    }
    let tally = tally.into_inner().unwrap();
    eprintln!("counting {entries} entries a poll, polls {polls:?}: {tally:?}");
    tally
}

#[test]
fn no_number_is_ever_wrong_with_enough_counting() {
    let tally = compare(20_000, 700, "", Polls::Around);
    assert_eq!((tally.known_lags, tally.unknown_pending), (tally.lags, 0), "all can be known here");
    // Before Redis 7.0 nothing is known of what was added, and so nothing is said of losses.
    assert!(tally.exact_losses > 100 || (tally.losses, tally.counted_additions) == (0, 0), "{tally:?}");
}

#[test]
fn no_number_is_ever_wrong_with_little_counting() {
    let tally = compare(3, 700, "", Polls::Around);
    assert!(tally.known_lags > tally.lags / 2, "{tally:?}");
}

#[test]
fn no_number_is_ever_wrong_without_counting() {
    let tally = compare(0, 700, "", Polls::Around);
    assert!(tally.known_lags > tally.lags / 2 && tally.known_lags < tally.lags, "{tally:?}");
}

#[test]
fn no_number_is_ever_wrong_where_the_clock_is_asked_now_and_then() {
    let tally =
        compare(20_000, 300, ", billed_by_command: true, lookups_a_month: 1000000000000", Polls::Around);
    assert_eq!((tally.known_lags, tally.unknown_pending), (tally.lags, 0), "all can be known here");
}

#[test]
fn no_number_is_ever_wrong_where_lookups_run_out() {
    let tally = compare(20_000, 300, ", billed_by_command: true, lookups_a_month: 10", Polls::Around);
    assert!(tally.known_lags > tally.lags / 2 && tally.known_lags < tally.lags, "{tally:?}");
    assert!(tally.unknown_pending > 0, "{tally:?}");
}

#[test]
fn no_number_is_ever_wrong_whatever_happens_between_two_polls() {
    let known = |entries| {
        let tally = compare(entries, 500, "", Polls::Between);
        assert!(tally.untold < 100, "{tally:?}");
        tally.known_lags * 100 / tally.lags
    };
    let shares = [20_000, 3, 0].map(known);
    assert!(shares[0] > 95 && shares[1] > 50 && shares[2] > 50, "{shares:?} % of the lags are known");
}

/// What random stories seldom come to.
#[test]
fn what_two_polls_can_not_tell_is_not_believed() {
    let create = |group, place| Op::Create { group, place, entries_read: None };
    let read = |count| Op::Read { group: 0, consumer: 0, count, no_ack: false };
    let ack = |count| Op::Ack { group: 0, count, newest: true };
    // Ten are stuck; those behind them are trimmed when the group is past them, and another group is made in front.
    let holes = vec![
        Op::Add(20),
        create(0, Place::Beginning),
        read(14),
        ack(4),
        Op::Poll,
        read(6),
        ack(6),
        Op::Rare(Rare::TrimAcked { keep: 12, adds: false }),
        create(1, Place::Entry(200)),
    ];
    // Ten entries become forty others, of which one is trimmed: more than the thirty that seem to have been added.
    let another = vec![
        Op::Add(10),
        create(0, Place::Beginning),
        Op::Poll,
        Op::Rare(Rare::Recreate(40, 39)),
        create(2, Place::Entry(7)),
    ];
    for story in [holes, another] {
        for entries in [0, 20_000] {
            let tally = compare_in(Just(story.clone()), entries, 1, "", Polls::Between);
            assert_eq!(tally.untold, 0, "{story:?}");
        }
    }
}
