//! One reading of Redis: reads the streams, asks what that left open, and evaluates both.

mod budget;

use std::sync::Arc;

use tokio::sync::watch;

use budget::Budget;
pub use budget::MONTH;

use crate::{
    clock::{self, Instant},
    config::{Config, Watchlist},
    evaluate::{History, MOST_QUESTIONS},
    latency::LatencyReport,
    model::{Failure, Name, Snapshot, Weights},
    reading::Reading,
    removals::RemovalReceiver,
    retention::RetentionStatuses,
    source::{Link, Observer},
};

/// Reads Redis and evaluates the result.
pub struct Reader {
    observer: Observer,
    history: History,
    /// The data set that the history is about.
    source: String,
    /// `None` asks without a limit, whatever the configuration allows a month.
    budget: Option<Budget>,
    /// What this sidecar itself removes, and the results of its retention.
    retention: Option<(RemovalReceiver, watch::Receiver<Arc<RetentionStatuses>>)>,
    /// How long entries take, if that is measured.
    latency: Option<watch::Receiver<Arc<LatencyReport>>>,
    /// What Redis answered about the memory of streams, if it is asked.
    weights: Option<watch::Receiver<Arc<Weights>>>,
    started: Instant,
    left_out: LeftOut,
}

/// Lookups that the last reading did not send.
#[derive(Debug, Clone, Copy, Default)]
pub struct LeftOut {
    /// There were too many.
    pub skipped: usize,
    /// The budget did not allow them.
    pub postponed: usize,
}

impl Reader {
    /// A reader that knows nothing yet and connects at its first reading.
    #[must_use]
    pub fn new(link: Link) -> Self {
        Self {
            observer: Observer::new(link),
            history: History::default(),
            source: String::new(),
            budget: None,
            retention: None,
            latency: None,
            weights: None,
            started: clock::now(),
            left_out: LeftOut::default(),
        }
    }

    /// The same for a reader of single streams: nodes of a cluster that have none of them are not asked.
    #[must_use]
    pub fn asking_owners_only(self) -> Self {
        Self { observer: self.observer.asking_owners_only(), ..self }
    }

    /// The same for a reader by whose readings nothing is removed: it reads replicas where `redis.read_from` prefers them.
    #[must_use]
    pub fn of_replicas(self) -> Self {
        Self { observer: self.observer.of_replicas(), ..self }
    }

    /// The same for a reader that polls: its lookups are limited by `redis.lookups_a_month`.
    #[must_use]
    pub fn within_budget(self) -> Self {
        Self { budget: Some(Budget::default()), ..self }
    }

    /// The same for a reader beside retention: it learns what retention removes, so that those losses are exact, and its results.
    #[must_use]
    pub fn beside_retention(
        self,
        removals: RemovalReceiver,
        retention_statuses: watch::Receiver<Arc<RetentionStatuses>>,
    ) -> Self {
        Self { retention: Some((removals, retention_statuses)), ..self }
    }

    /// The same for a reader beside the sampler: its readings have how long entries take.
    #[must_use]
    pub fn beside_sampler(self, latency: watch::Receiver<Arc<LatencyReport>>) -> Self {
        Self { latency: Some(latency), ..self }
    }

    /// The same for a reader beside the weigher: its readings have the memory of streams as Redis counted it.
    #[must_use]
    pub fn beside_weigher(self, weights: watch::Receiver<Arc<Weights>>) -> Self {
        Self { weights: Some(weights), ..self }
    }

    /// Reads these streams. Not cancel-safe: a caller that gives up must [`reconnect`](Self::reconnect).
    ///
    /// # Errors
    /// The connection failed, or the server as a whole cannot answer.
    pub async fn read(&mut self, config: &Config, watchlist: &Watchlist) -> Result<Reading, Failure> {
        let snapshot = self.observe(config, watchlist).await?;
        self.complete(config, watchlist, snapshot).await
    }

    /// The first half of a reading: reads the streams.
    pub(crate) async fn observe(
        &mut self,
        config: &Config,
        watchlist: &Watchlist,
    ) -> Result<Snapshot, Failure> {
        self.observer.observe(config, watchlist).await
    }

    /// The second half: asks what the first left open, and evaluates both.
    pub(crate) async fn complete(
        &mut self,
        config: &Config,
        watchlist: &Watchlist,
        snapshot: Snapshot,
    ) -> Result<Reading, Failure> {
        if self.source != snapshot.source {
            self.source.clone_from(&snapshot.source);
            self.history = History::default();
        }
        if let Some((removals, statuses)) = &mut self.retention {
            self.history.record_removals(removals.receive().await);
            let statuses = statuses.borrow();
            let moved = statuses.rules.iter().map(|(stream, rule)| (stream, rule.moved.iter().sum()));
            self.history.record_set_aside(moved);
        }
        if let Some(weights) = &self.weights {
            self.history.record_weights(Arc::clone(&weights.borrow()));
        }
        let most = self.most_lookups(config);
        let open = self.history.begin(snapshot, config, watchlist, most);
        let skipped = open.skipped();
        let (skipped, postponed) = if most < MOST_QUESTIONS { (0, skipped) } else { (skipped, 0) };
        self.left_out = LeftOut { skipped, postponed };
        if let Some(budget) = &mut self.budget {
            budget.spend(u64::try_from(open.asked().len()).unwrap_or(u64::MAX));
        }
        let answers = self.observer.ask(config, open.asked()).await?;
        let read_at = clock::moment();
        let (snapshot, report) = open.finish(&answers, read_at.at - self.started);
        let retention_statuses =
            self.retention.as_ref().map(|(_, retention_statuses)| Arc::clone(&retention_statuses.borrow()));
        let retention_statuses = retention_statuses.unwrap_or_default();
        let latency = self.latency.as_ref().map(|latency| Arc::clone(&latency.borrow())).unwrap_or_default();
        Ok(Reading::new(watchlist, &retention_statuses, snapshot, report, read_at).with_latency(latency))
    }

    /// What the last reading left out.
    #[must_use]
    pub const fn left_out(&self) -> LeftOut {
        self.left_out
    }

    /// How many lookups the budget allows now.
    fn most_lookups(&mut self, config: &Config) -> usize {
        let at = clock::now() - self.started;
        let budget = self.budget.as_mut().zip(config.redis.lookups_a_month);
        let left = budget.map(|(budget, a_month)| budget.left(a_month, config.poll.interval, at));
        left.map_or(MOST_QUESTIONS, |left| usize::try_from(left).unwrap_or(MOST_QUESTIONS))
    }

    /// The streams that are worth rereading before the next poll.
    #[must_use]
    pub fn to_reread(&self) -> Vec<Name> {
        self.history.to_reread()
    }

    /// Rereads these streams between two polls, and returns how many could be read. Not cancel-safe, like [`read`](Self::read).
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub async fn reread(&mut self, config: &Config, streams: &[Name]) -> Result<usize, Failure> {
        let watchlist = Watchlist::new(config, streams.iter().cloned());
        let read = self.observer.reread(config, &watchlist).await?;
        let streams = read.unwrap_or_default();
        self.history.reread(&streams);
        Ok(streams.len())
    }

    /// Returns once Sentinels name another primary, which the next reading is from. Never, if the address names no Sentinels.
    /// Cancel-safe.
    pub async fn primary_moves(&mut self, config: &Config) {
        self.observer.primary_moves(config).await;
    }

    /// Drops the connection, so that the next reading makes a new one.
    pub fn reconnect(&mut self) {
        self.observer.reconnect();
    }
}
