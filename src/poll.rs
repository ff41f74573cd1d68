//! The loops that read Redis: poll (observe, evaluate, publish), search for streams, sample, and weigh, each on its schedule.

mod changes;
mod finds;
mod lost;
mod sampler;
mod turns;
mod weigher;

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::{Notify, watch},
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, Span, debug, info, warn};

use crate::{
    clock::{self, Instant},
    config::{Config, Discovered},
    model::{Class, Failure, Reason},
    reader::{LeftOut, Reader},
    reading::{Latest, Reading},
    self_stats::SelfStats,
    source::{Discovery, Watching},
    spans,
};
use changes::{OutageLog, StreamFailures};
use finds::Finds;
use lost::Lost;
pub use sampler::Sampler;
use turns::Turns;
pub use weigher::Weigher;

/// The pause after a search that the server refuses: long, since each attempt may be billed, and short enough for the alert.
const REFUSED: Duration = Duration::from_secs(180);

/// Before the first stream, searches follow each other as polls do, so that it shows up soon. The pause is at least so many
/// times as long as the search, which bounds its load on Redis to a hundredth, but never longer than `discovery_interval`.
const PAUSE_PER_SEARCH: u32 = 100;

/// A poll that takes longer is slow, and its trace is kept: Redis answers from memory.
const SLOW: Duration = Duration::from_secs(1);

/// The pause between rereads of streams that may soon lose undelivered entries to others' trims. The shorter it is, the more
/// certain it is what was delivered before it was removed.
const UNTIL_REREAD: Duration = Duration::from_secs(1);

/// How long a reading that lacks most streams waits for the search that says so.
const FOR_A_SEARCH: Duration = Duration::from_secs(1);

/// The start of the loop's last turn, for the liveness probe.
pub type Heartbeat = watch::Sender<Instant>;

/// What the poll loop needs.
pub struct Poller {
    /// Reads Redis.
    pub reader: Reader,
    /// The configuration, which may change.
    pub config: watch::Receiver<Arc<Config>>,
    /// The streams to watch.
    pub streams: Watching,
    /// Where results go.
    pub latest: watch::Sender<Latest>,
    /// Updated at each turn.
    pub heartbeat: Heartbeat,
    /// Told when most of the streams are gone, so that a search says what is left.
    pub search_now: Arc<Notify>,
    /// The sidecar's own metrics.
    pub stats: Arc<SelfStats>,
}

impl Poller {
    /// Polls until it is stopped.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut outage = OutageLog::new("polling Redis");
        let mut stream_failures = StreamFailures::default();
        self.first_search(&stop).await;
        let mut turns = Turns::new(self.config.clone(), |config| config.poll.interval);
        let mut before: Option<Arc<Config>> = None;
        let mut lost = Lost::default();
        while let Some(config) = self.next(&mut turns, &stop).await {
            let started = clock::now();
            self.heartbeat.send_replace(started);
            let last = before.replace(Arc::clone(&config));
            if last.is_some_and(|last| !last.redis.access.is_same_place(&config.redis.access)) {
                // Another server's reading must not be exposed, whether or not this one answers.
                self.latest.send_modify(|latest| latest.reading = None);
                lost = Lost::default();
            }
            let span = spans::poll();
            let result = tokio::select! {
                result = self.poll(&config, &mut lost).instrument(span.clone()) => result,
                () = stop.cancelled() => return,
            };
            let ended = clock::now();
            let took = ended - started;
            match &result {
                Ok(_) => turns.schedule.succeeded(started, ended),
                Err(failure) => turns.schedule.failed_by(failure.reason, ended, fastrand::f64()),
            }
            span.in_scope(|| {
                outage.note(result.as_ref().err());
                if let Ok(reading) = &result {
                    stream_failures.note(&reading.snapshot, &self.stats);
                    changes::note_recreated(reading);
                }
            });
            spans::record_result(span.record("streamwarden.slow", took >= SLOW), &result);
            // The span ends here, not after the pause.
            drop(span);
            self.stats.poll_ends(took.as_secs_f64(), result.as_ref().err());
            self.hand_on(result);
        }
    }

    /// Waits for the next turn. After a successful reading it rereads some streams in the meantime.
    async fn next(&mut self, turns: &mut Turns, stop: &CancellationToken) -> Option<Arc<Config>> {
        let config = Arc::clone(&self.config.borrow());
        let is_last_read = self.latest.borrow().failure.is_none();
        let mut goes_on = is_last_read && !config.redis.billed_by_command;
        let mut took = Duration::ZERO;
        while goes_on {
            let (streams, due) = (self.reader.to_reread(), turns.schedule.due());
            // A reread must fit in before the poll: cancelling it would cost the connection.
            if streams.is_empty() || due.saturating_duration_since(clock::now()) <= UNTIL_REREAD + 2 * took {
                break;
            }
            tokio::select! {
                biased;
                turn = turns.next(stop) => return turn,
                () = self.reader.primary_moves(&config) => {
                    turns.schedule.retry_in(clock::now(), Duration::ZERO);
                    break;
                }
                () = sleep(UNTIL_REREAD) => {}
            }
            let span = spans::reread(streams.len());
            let reread = self.reader.reread(&config, &streams).instrument(span.clone());
            let started = clock::now();
            let result = tokio::select! {
                result = reread => result,
                () = stop.cancelled() => return None,
            };
            took = clock::now() - started;
            spans::record_result(&span, &result);
            let read = result.unwrap_or_else(|failure| {
                debug!(%failure, "rereading streams failed");
                0
            });
            self.stats.rereads.inc_by(u64::try_from(read).unwrap_or(u64::MAX));
            goes_on = read > 0;
        }
        loop {
            tokio::select! {
                biased;
                turn = turns.next(stop) => return turn,
                () = self.reader.primary_moves(&config) => turns.schedule.retry_in(clock::now(), Duration::ZERO),
            }
        }
    }

    /// Waits for the first search for streams, but not longer than one interval.
    async fn first_search(&mut self, stop: &CancellationToken) {
        let longest = self.config.borrow().poll.interval;
        tokio::select! {
            _ended_or_late = timeout(longest, self.streams.first_search()) => {}
            () = stop.cancelled() => {}
        }
    }

    async fn poll(&mut self, config: &Arc<Config>, lost: &mut Lost) -> Result<Reading, Failure> {
        self.stats.poll_begins();
        let watchlist = lost.beside(self.streams.under(config), config);
        Span::current().record("streamwarden.streams", spans::int(watchlist.len()));
        // A reading that takes longer than this would be stale when it arrives.
        let longest = config.poll.stale_after;
        match timeout(longest, self.reader.read(config, &watchlist)).await {
            Ok(result) => {
                let LeftOut { skipped, postponed } = self.reader.left_out();
                self.stats.skipped_lookups.set(i64::try_from(skipped).unwrap_or(i64::MAX));
                self.stats.postponed_lookups.set(i64::try_from(postponed).unwrap_or(i64::MAX));
                let reading = result?;
                lost.note(&reading.snapshot);
                if !config.redis.billed_by_command && lost.asks_to_search(&reading.snapshot) {
                    self.search_now.notify_one();
                    // No page is without these streams and without a word about them.
                    let _ended_or_late = timeout(FOR_A_SEARCH, self.streams.changed()).await;
                }
                Ok(reading.with_search(self.streams.fewer()))
            }
            Err(_elapsed) => {
                self.reader.reconnect();
                Err(Failure::new(Reason::Timeout, format!("the poll took longer than {longest:?}")))
            }
        }
    }

    fn hand_on(&self, result: Result<Reading, Failure>) {
        self.latest.send_modify(|latest| {
            latest.polls += 1;
            match result {
                Ok(reading) => {
                    let longest = self.config.borrow().poll.stale_after;
                    let reading = reading.after(latest.reading.as_deref(), longest);
                    latest.reading = Some(Arc::new(reading));
                    latest.failure = None;
                }
                Err(failure) => latest.failure = Some(failure),
            }
        });
    }
}

/// What the search loop needs.
pub struct Searcher {
    /// Looks for streams.
    pub discovery: Discovery,
    /// The configuration, which may change.
    pub config: watch::Receiver<Arc<Config>>,
    /// Where the streams go. A failed search leaves them as they were.
    pub streams: watch::Sender<Option<Discovered>>,
    /// Asks for a search before its time.
    pub search_now: Arc<Notify>,
    /// The sidecar's own metrics.
    pub stats: Arc<SelfStats>,
}

impl Searcher {
    /// Searches until it is stopped.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut outage = OutageLog::new("the search for streams");
        let (mut finds, mut before) = (Finds::default(), None::<Arc<Config>>);
        let mut turns = Turns::new(self.config.clone(), |config| config.poll.discovery_interval);
        while let Some(config) = self.next(&mut turns, &stop).await {
            let started = clock::now();
            if before.replace(Arc::clone(&config)).is_some_and(|before| !Arc::ptr_eq(&before, &config)) {
                // Other patterns or another server find other streams.
                finds = Finds::default();
                self.streams
                    .send_if_modified(|last| last.as_mut().is_some_and(|it| it.fewer.take().is_some()));
            }
            // If all streams are named, there is nothing to ask.
            let span = if config.needs_discovery() { spans::discovery() } else { Span::none() };
            let result = tokio::select! {
                result = self.discovery.search(&config).instrument(span.clone()) => result,
                () = stop.cancelled() => return,
            };
            spans::record_result(&span, &result);
            let entered = span.entered();
            self.stats.discovery_ends(result.as_ref().err());
            outage.note(result.as_ref().err());
            let ended = clock::now();
            match result {
                Ok(mut discovered) => {
                    turns.schedule.succeeded(started, ended);
                    if discovered.streams.is_empty() && !config.redis.billed_by_command {
                        let wait = config.poll.interval.max((ended - started) * PAUSE_PER_SEARCH);
                        turns.schedule.retry_in(ended, wait.min(config.poll.discovery_interval));
                    }
                    discovered.fewer = finds.note(discovered.found, ended);
                    self.found(discovered);
                }
                Err(failure) => {
                    self.streams.send_if_modified(|streams| {
                        let is_first = streams.is_none();
                        streams.get_or_insert_with(|| Discovered::named(&config));
                        is_first
                    });
                    match failure.class() {
                        Class::Object => {
                            turns.schedule.retry_in(ended, REFUSED.min(config.poll.discovery_interval))
                        }
                        Class::Reconnect | Class::Server => {
                            turns.schedule.failed_by(failure.reason, ended, fastrand::f64())
                        }
                    }
                }
            }
            drop(entered);
        }
    }

    async fn next(&self, turns: &mut Turns, stop: &CancellationToken) -> Option<Arc<Config>> {
        loop {
            tokio::select! {
                biased;
                turn = turns.next(stop) => return turn,
                () = self.search_now.notified() => turns.schedule.retry_in(clock::now(), Duration::ZERO),
            }
        }
    }

    fn found(&self, discovered: Discovered) {
        let (watched, unwatched) = (discovered.streams.len(), discovered.dropped);
        Span::current().record("streamwarden.streams", spans::int(watched));
        self.stats.watched_streams.set(i64::try_from(watched).unwrap_or(i64::MAX));
        self.stats.found_streams.set(i64::try_from(discovered.found).unwrap_or(i64::MAX));
        let before = self.stats.unwatched_streams.get();
        self.stats.unwatched_streams.set(i64::try_from(unwatched).unwrap_or(i64::MAX));
        if unwatched > 0 && before == 0 {
            warn!(watched, unwatched, "more streams than limits.streams; the last by name are not watched");
        }
        self.streams.send_if_modified(|last| {
            if last.as_ref().is_none_or(|last| last.streams != discovered.streams) {
                let plural = if watched == 1 { "" } else { "s" };
                info!("watching {watched} stream{plural}");
            }
            let changed = last.as_ref() != Some(&discovered);
            *last = Some(discovered);
            changed
        });
    }
}
