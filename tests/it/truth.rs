//! Every number beside the truth: random histories of a stream on a real server, and at each reading all that the
//! metrics and the API tell compared with what counting every entry tells. At the end of each history so is what
//! `status --json` says, the program itself.
//!
//! `STREAMWARDEN_TEST_CASES` and `STREAMWARDEN_TEST_SEED` make it longer and different by hand.

mod acts;
mod expected;
mod facts;
mod memory;
mod moving;
mod oracle;
mod story;
mod told;
mod truths;

use std::{
    cell::{Cell, RefCell},
    process::Command,
    sync::{Arc, Mutex},
    time::Duration,
};

use proptest::{
    strategy::{Just, Strategy},
    test_runner::{Config as Runs, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner},
};
use streamwarden::{
    app::self_stats,
    config::{Config, Sources, Watchlist},
    reader::Reader,
    reading::Reading,
    source::Link,
    views::{Encoding, Format, MetricsPages, Shown, api::View},
};
use tempfile::NamedTempFile;

use expected::{Listed, SETTINGS};
use oracle::{Oracle, Read};
use story::{Polls, Story, play, rare, stories};
use support::{Page, Redis};
use told::{Subject, Told};
use truths::Compared;

/// The stream of a story.
const STREAM: &str = "s";

/// How much was compared, and how often what was known.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// Numbers on all pages that were compared with the truth.
    numbers: u64,
    /// Numbers that might have been there, and were unknown.
    unknown: u64,
    lags: u64,
    known_lags: u64,
    losses: u64,
    exact_losses: u64,
    /// All losses since the last polls, for certain and at most.
    lost_at_least: u64,
    lost_at_most: u64,
    unknown_pending: u64,
    /// Streams that were reread.
    rereads: u64,
    stories: u64,
    /// Stories that ended because what happened can't be distinguished from ordinary life.
    untold: u64,
}

impl Tally {
    fn compared(&mut self, compared: &Compared) {
        self.numbers += compared.numbers;
        self.unknown += compared.unknown;
    }

    /// Notes what a page tells of these groups.
    fn note<'a>(&mut self, page: &Told, groups: impl Iterator<Item = &'a String>) {
        for group in groups {
            let is_known =
                |name: &str| page.contains_key(&(Subject::Group(group.clone()), format!("group_{name}")));
            self.lags += 1;
            self.known_lags += u64::from(is_known("lag"));
            self.unknown_pending += u64::from(!is_known("dangling_pending"));
        }
    }

    /// The share of lags that were known, in percent.
    fn known_share(&self) -> u64 {
        self.known_lags * 100 / self.lags.max(1)
    }
}

impl std::fmt::Display for Tally {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { numbers, unknown, lost_at_least, lost_at_most, rereads, .. } = self;
        write!(
            f,
            "{numbers} numbers compared, 0 wrong, {unknown} unknown; {} % of the lags known; ",
            self.known_share()
        )?;
        write!(f, "losses {lost_at_least} to {lost_at_most}, {rereads} rereads")
    }
}

#[expect(clippy::disallowed_methods, reason = "how long to look is the caller's choice")]
pub(crate) fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable).map_or(default, |text| text.parse().expect(variable))
}

/// What a run is made with.
struct Run {
    /// Entries to be counted a poll.
    entries: u64,
    /// Stories.
    cases: u64,
    /// More settings of `redis`.
    more: &'static str,
    polls: Polls,
    listed: Listed,
}

impl Run {
    const fn new(entries: u64, cases: u64, polls: Polls) -> Self {
        Self { entries, cases, more: "", polls, listed: Listed { streams: 1, consumers: 20, entries: 3 } }
    }

    /// The configuration, and the file that has it.
    fn config(&self, uri: &str, streams: &str) -> (Arc<Config>, NamedTempFile) {
        let file = NamedTempFile::new().unwrap();
        let settings = SETTINGS.replace("CONSUMERS", &self.listed.consumers.to_string());
        let settings =
            settings.replace("ENTRIES", &self.listed.entries.to_string()).replace("STREAMS", streams);
        // After a move a consumer that had stopped goes on to be idle, until it is active more than some seconds later.
        let stopped_after = if self.polls == Polls::Moving { "1h" } else { "20ms" };
        let settings = settings.replace("STOPPED", stopped_after);
        let redis = format!("redis: {{uri: '{uri}'{}}}\nlag_count: {{entries: {}}}", self.more, self.entries);
        std::fs::write(file.path(), redis + &settings).unwrap();
        let sources = Sources { file: Some(file.path().to_owned()), ..Sources::default() };
        (Arc::new(sources.load().unwrap()), file)
    }

    fn compare(&self) -> Tally {
        self.compare_in(stories())
    }

    /// Plays stories, and tells how often what was known.
    fn compare_in(&self, stories: impl Strategy<Value = Story>) -> Tally {
        let redis = Redis::start();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let ((config, file), tally) = (self.config(&redis.uri(), STREAM), Mutex::new(Tally::default()));
        let connection = Mutex::new(redis.connect());
        let watchlist = Watchlist::new(&config, [STREAM.into()]);
        let run = |story: Story| -> Result<(), TestCaseError> {
            let mut connection = connection.lock().unwrap();
            redis::cmd("FLUSHALL").query::<()>(&mut connection).unwrap();
            // It knows nothing of the story before, and its budget is full again.
            let reader = RefCell::new(Reader::new(Link::new(self_stats())).within_budget());
            let poll = || {
                let reading = runtime.block_on(reader.borrow_mut().read(&config, &watchlist));
                published(&config, reading.unwrap()).told(STREAM)
            };
            let rereads = Cell::new(0);
            let reread = || {
                let mut reader = reader.borrow_mut();
                let streams = reader.to_reread();
                let read = runtime.block_on(reader.reread(&config, &streams)).unwrap();
                rereads.set(rereads.get() + read as u64);
            };
            let mut tally = tally.lock().unwrap();
            tally.stories += 1;
            let mut oracle = Oracle::new(&mut *connection, STREAM, &mut tally, self.listed);
            play(&story, self.polls, &mut oracle, poll, reread)?;
            oracle.compare_first(|| status(&file))?;
            tally.rereads += rereads.get();
            Ok(())
        };
        let mut seed = [0; 32];
        seed[..8].copy_from_slice(&number("STREAMWARDEN_TEST_SEED", 7).to_le_bytes());
        let runs = Runs {
            cases: number("STREAMWARDEN_TEST_CASES", self.cases).try_into().unwrap(),
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
        eprintln!("counting {} entries a poll, polls {:?}{}: {tally}", self.entries, self.polls, self.more);
        tally
    }
}

/// A reading, and its pages.
struct Published {
    reading: Arc<Reading>,
    metrics: Page,
    document: serde_json::Value,
}

impl Published {
    /// What the pages tell of a stream.
    fn told(&self, stream: &str) -> Read {
        Read {
            metrics: told::metrics(&self.metrics, stream),
            document: told::document(&self.document, stream),
            reading: Arc::clone(&self.reading),
        }
    }
}

fn published(config: &Arc<Config>, reading: Reading) -> Published {
    let reading = Arc::new(reading);
    let pages = MetricsPages::publish(
        1,
        Arc::clone(config),
        Shown { name: None, reading: Some(Arc::clone(&reading)), has_failed: false },
        Arc::default(),
        |_| Vec::new(),
    );
    let metrics = pages.get(Format::Text, Encoding::Identity, || None);
    let mut document = Vec::new();
    let view = View::new(config, Some((&reading, Duration::ZERO)), None, true);
    view.write_streams(&mut |piece| document.extend(piece));
    Published {
        metrics: Page::parse(str::from_utf8(&metrics).unwrap()),
        document: serde_json::from_slice(&document).expect("a document"),
        reading,
    }
}

/// What the program says that has just begun to watch.
fn status(config: &NamedTempFile) -> Told {
    let mut command = Command::new(support::program());
    command.args(["status", "--json", "--every", "1ms", "--config"]).arg(config.path()).env_clear();
    let output = command.output().unwrap();
    assert!(!output.stdout.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    told::document(&serde_json::from_slice(&output.stdout).expect("a document"), STREAM)
}

#[test]
fn no_number_is_ever_wrong_with_enough_counting() {
    let tally = Run::new(20_000, 150, Polls::Around).compare();
    assert_eq!((tally.known_lags, tally.unknown_pending), (tally.lags, 0), "all can be known here");
    // Before Redis 7.0 nothing is known of what was added, and so nothing is said of losses.
    assert!(tally.exact_losses > 100 || tally.losses == 0, "{tally:?}");
}

#[test]
fn no_number_is_ever_wrong_with_little_counting() {
    let listed = Listed { streams: 1, consumers: 1, entries: 0 };
    let tally = Run { listed, ..Run::new(3, 150, Polls::Around) }.compare();
    assert!(tally.known_share() > 50, "{tally:?}");
}

#[test]
fn no_number_is_ever_wrong_without_counting() {
    let tally = Run::new(0, 150, Polls::Around).compare();
    assert!((50..100).contains(&tally.known_share()), "{tally:?}");
}

#[test]
fn no_number_is_ever_wrong_where_the_clock_is_asked_now_and_then() {
    let more = ", billed_by_command: true, lookups_a_month: 1000000000000";
    let tally = Run { more, ..Run::new(20_000, 100, Polls::Around) }.compare();
    assert_eq!((tally.known_lags, tally.unknown_pending), (tally.lags, 0), "all can be known here");
}

#[test]
fn no_number_is_ever_wrong_where_lookups_run_out() {
    let more = ", billed_by_command: true, lookups_a_month: 10";
    let tally = Run { more, ..Run::new(20_000, 100, Polls::Around) }.compare();
    assert!((50..100).contains(&tally.known_share()), "{tally:?}");
    // It takes a deep list of pending entries that are gone, which few stories have.
    assert!(tally.unknown_pending > 0 || tally.stories < 100, "{tally:?}");
}

#[test]
fn no_number_is_ever_wrong_whatever_happens_between_two_polls() {
    let shares = [(20_000, 95), (3, 50), (0, 50)];
    for (entries, least) in shares {
        let tally = Run::new(entries, 150, Polls::Between).compare();
        assert!(tally.untold * 5 < tally.stories && tally.known_share() > least, "{tally:?}");
    }
}

#[test]
fn no_number_is_wrong_in_stories_that_are_rare() {
    for (story, polls) in rare() {
        for entries in [0, 20_000] {
            let tally = Run::new(entries, 1, polls).compare_in(Just(story.clone()));
            assert_eq!(tally.untold, 0, "{story:?}");
        }
    }
}
