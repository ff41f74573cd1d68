//! What the watched streams carry while the bench runs: the entries that were added to them, by the server's own count.

use std::time::Duration;

use crate::{
    app::self_stats,
    clock::{self, Instant},
    config::{Config, Watchlist},
    model::{Failure, NameMap, Reason, StreamState},
    source::{Discovery, Link, Observer},
};

type Streams = NameMap<Result<StreamState, Failure>>;

/// Reads the watched streams before and after.
pub(super) struct Watching {
    observer: Observer,
    before: Result<Before, Failure>,
}

struct Before {
    watchlist: Watchlist,
    streams: Streams,
    /// Streams that are not read.
    unread: usize,
    at: Instant,
}

/// What the watched streams carried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Carried {
    /// Streams whose added entries are known.
    pub(super) streams: usize,
    /// Watched streams of which they are unknown.
    pub(super) unknown: usize,
    /// Entries that were added to the former.
    pub(super) entries: u64,
    pub(super) time: Duration,
}

impl Watching {
    pub(super) fn new() -> Self {
        let before = Err(Failure::new(Reason::Other, "not read"));
        Self { observer: Observer::new(Link::new(self_stats())), before }
    }

    pub(super) async fn begin(&mut self, config: &Config) {
        self.before = self.look(config).await;
    }

    async fn look(&mut self, config: &Config) -> Result<Before, Failure> {
        let found = Discovery::new(Link::new(self_stats())).search(config).await?;
        let watchlist = found.watchlist(config);
        let snapshot = self.observer.observe(config, &watchlist).await?;
        let unread = found.dropped + snapshot.forbidden;
        Ok(Before { watchlist, streams: snapshot.streams, unread, at: clock::now() })
    }

    /// # Errors
    /// Why they could not be read.
    pub(super) async fn end(mut self, config: &Config) -> Result<Carried, Failure> {
        let before = self.before?;
        let after = self.observer.observe(config, &before.watchlist).await?;
        let (streams, unknown, entries) = added(&before.streams, &after.streams);
        let time = clock::now() - before.at;
        Ok(Carried { streams, unknown: unknown + before.unread, entries, time })
    }
}

/// Streams whose added entries are known, others, and the number of those entries. One that never existed is neither.
fn added(before: &Streams, after: &Streams) -> (usize, usize, u64) {
    let (mut known, mut unknown, mut entries) = (0, 0, 0);
    for (name, before) in before {
        let is_absent = |stream: Option<&Result<StreamState, Failure>>| match stream {
            None => true,
            Some(Err(failure)) => failure.reason == Reason::NoKey,
            Some(Ok(_)) => false,
        };
        let after = after.get(name);
        if is_absent(Some(before)) && is_absent(after) {
            continue;
        }
        let total = |stream: &Result<StreamState, Failure>| stream.as_ref().ok()?.entries_added;
        // A stream with fewer than before was deleted and made again.
        let more =
            total(before).zip(after.and_then(total)).and_then(|(before, after)| after.checked_sub(before));
        match more {
            Some(more) => {
                known += 1;
                entries += more;
            }
            None => unknown += 1,
        }
    }
    (known, unknown, entries)
}
