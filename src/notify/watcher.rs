//! Looks at each reading for changes, and at the time for a reading that becomes stale.

use std::sync::Arc;

use tokio::{sync::watch, time::sleep_until};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::{changes::Changes, outbox::Outbox};
use crate::{
    clock::{self, Instant},
    config::Config,
    files,
    model::Text,
    reading::{Latest, Reading},
    views::api::{ChangeDocument, RedisState},
};

/// The task that finds changes.
pub(crate) struct Watcher {
    /// The current configuration.
    pub config: watch::Receiver<Arc<Config>>,
    /// The latest reading.
    pub latest: watch::Receiver<Latest>,
    /// Where changes go.
    pub outbox: Arc<Outbox>,
}

/// What was seen since the webhook is configured.
struct Seen {
    since: Instant,
    changes: Changes,
    /// The last reading.
    reading: Option<Arc<Reading>>,
    /// Whether the last change did not fit.
    is_full: bool,
}

impl Watcher {
    /// Finds changes until `stop`. Without a webhook it looks at nothing, and remembers nothing.
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        let host = files::host_name();
        let mut seen: Option<Seen> = None;
        loop {
            let config = Arc::clone(&self.config.borrow_and_update());
            let latest = self.latest.borrow_and_update().clone();
            seen = config.notify.webhook_file.is_some().then(|| seen.unwrap_or_else(Seen::nothing));
            let stale_at = seen.as_mut().and_then(|seen| self.look(seen, &host, &config, latest));
            tokio::select! {
                () = stop.cancelled() => return,
                changed = self.latest.changed() => if changed.is_err() { return },
                changed = self.config.changed() => if changed.is_err() { return },
                () = async { sleep_until(stale_at.unwrap_or_else(clock::now)).await }, if stale_at.is_some() => {}
            }
        }
    }

    /// Puts what has changed into the outbox. Returns when the last reading becomes stale, unless it is.
    fn look(&self, seen: &mut Seen, host: &Text, config: &Config, latest: Latest) -> Option<Instant> {
        let new = seen.is_new(latest.reading);
        let stale_after = config.poll.stale_after;
        let stale_at = seen.reading.as_ref().map_or(seen.since, |reading| reading.read_at.at) + stale_after;
        let now = clock::moment();
        let (state, time) = match &new {
            Some(reading) => (RedisState::Up, reading.read_at.unix),
            None if now.at >= stale_at => (RedisState::Down, now.unix),
            None => return Some(stale_at),
        };
        if let Some(change) = seen.changes.of_redis(state) {
            let read = seen.reading.as_deref().map(|reading| (reading, now.at - reading.read_at.at));
            let failure = latest.failure.as_ref();
            let document = ChangeDocument::of_redis(host, config, change, (time, read), failure);
            self.push(&mut seen.is_full, &document);
        }
        let reading = new?;
        for change in seen.changes.of_streams(&reading, stale_after) {
            self.push(&mut seen.is_full, &ChangeDocument::of_stream(host, config, &reading, change));
        }
        Some(stale_at)
    }

    fn push(&self, is_full: &mut bool, change: &ChangeDocument<'_>) {
        let text = match serde_json::to_string(change) {
            Ok(text) => text,
            Err(error) => return warn!(%error, "cannot write a change for the webhook"),
        };
        let dropped = self.outbox.push(text);
        if !std::mem::replace(is_full, dropped > 0) && dropped > 0 {
            warn!(dropped, "too many changes wait for the webhook's receiver; the oldest are dropped");
        }
    }
}

impl Seen {
    fn nothing() -> Self {
        Self { since: clock::now(), changes: Changes::default(), reading: None, is_full: false }
    }

    /// The latest reading, if it was not seen before, and is not from before the webhook was configured.
    fn is_new(&mut self, latest: Option<Arc<Reading>>) -> Option<Arc<Reading>> {
        let newest = self.reading.as_ref().map_or(self.since, |reading| reading.read_at.at);
        let new = latest.filter(|latest| latest.read_at.at > newest)?;
        self.reading = Some(Arc::clone(&new));
        Some(new)
    }
}
