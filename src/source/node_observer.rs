//! Reads streams of one server, in pipelines.
//!
//! First come the clock and the role, if they are due, and one or two commands for each stream. Then come the questions that the
//! replies left open. No stream costs a round trip of its own.
//!
//! If the connection is closed in between, the reading goes on over a new one if the server is surely the same. Otherwise it
//! restarts: a snapshot is from one server.

use super::{
    Command, Link, entries, lookup,
    names::Names,
    nodes::PerNode,
    pass::{Known, Pass},
    plausible::plausible,
    portions::{NextPortion, Portions},
    stream_reply::{ReadWith, stream_full},
};
use crate::{
    config::{Config, Watchlist},
    model::{Failure, Finding, Name, NameMap, Origin, Question, Reason, Snapshot, StreamState},
};

/// Reads streams of one server, with a connection of its own.
pub(super) struct NodeObserver {
    pub(super) link: Link,
    known: Known,
    pub(super) names: Names,
    /// Where the last reading came from.
    pub(super) origin: Origin,
    lookups: Portions,
}

impl PerNode for NodeObserver {
    fn new(link: Link) -> Self {
        let lookups = Portions::new(lookup::BATCH);
        Self { link, known: Known::default(), names: Names::default(), origin: Origin::default(), lookups }
    }

    fn link(&mut self) -> &mut Link {
        &mut self.link
    }
}

impl NodeObserver {
    /// Reads these streams. Not cancel-safe: a caller that gives up must disconnect the link.
    ///
    /// # Errors
    /// Where the connection failed or the server as a whole can't answer. What failed for one stream only is in
    /// the snapshot.
    pub(super) async fn observe(
        &mut self,
        config: &Config,
        watchlist: &Watchlist,
    ) -> Result<Snapshot, Failure> {
        self.names.turn();
        self.link.look_for_primary(&config.redis).await;
        self.known.begin();
        let result = self.read(config, watchlist).await;
        self.link.after(&result);
        result
    }

    async fn read(&mut self, config: &Config, watchlist: &Watchlist) -> Result<Snapshot, Failure> {
        let mut pass = Pass::new(config, &mut self.names, &mut self.known, watchlist);
        let session = loop {
            let (failure, goes_on) = match self.link.session(&config.redis).await {
                Ok(session) => match pass.go_on(session).await {
                    Ok(()) => break session,
                    Err(failure) => {
                        let goes_on = pass.recovers_from(&failure);
                        (failure, goes_on)
                    }
                },
                Err(failure) => {
                    let goes_on = pass.begins_again_after(&failure);
                    (failure, goes_on)
                }
            };
            self.link.after_failure(&failure);
            if !goes_on {
                pass.fail();
                return Err(failure);
            }
        };
        self.origin = pass.origin();
        let mut snapshot = pass.end(session);
        match entries::read(session, &config.entries, &mut snapshot).await {
            // A poll without the last entries is better than no poll.
            Err(failure) if failure.reason == Reason::Closed => {
                self.link.after_failure(&failure);
                Ok(snapshot)
            }
            result => result.map(|()| snapshot),
        }
    }

    /// Asks the questions that the reading left open. Not cancel-safe, like [`observe`](Self::observe).
    ///
    /// # Errors
    /// As [`observe`](Self::observe). Answers are missing for a group whose command fails, and for all
    /// groups once another server answers than the one of the reading.
    pub(super) async fn ask(
        &mut self,
        config: &Config,
        questions: &[Question],
    ) -> Result<Vec<(Name, Name, Finding)>, Failure> {
        let mut answers = Vec::with_capacity(questions.len());
        self.lookups.begin();
        let mut left = questions;
        while let Some(batch) = left.get(..self.lookups.size().min(left.len())).filter(|it| !it.is_empty()) {
            let session = self.link.session(&config.redis).await?;
            let replies = lookup::ask(session, batch).await;
            if !session.origin().is_same(&self.origin) {
                break;
            }
            let done = match replies {
                Ok(replies) => {
                    lookup::take(batch, replies, &mut answers)?;
                    self.lookups.answered();
                    batch.len()
                }
                Err(failure) if failure.reason == Reason::Closed => {
                    self.link.after_failure(&failure);
                    match self.lookups.closed(batch.len()) {
                        NextPortion::Again | NextPortion::Smaller => 0,
                        NextPortion::Less => 1,
                        NextPortion::Stop => break,
                    }
                }
                Err(failure) => {
                    self.link.after_failure(&failure);
                    return Err(failure);
                }
            };
            left = left.get(done..).unwrap_or_default();
        }
        Ok(answers)
    }

    /// Reads some streams between two polls. `None` if the server may be another one than that of the last reading. A stream
    /// that cannot be read is missing and not tried again. Not cancel-safe, like [`observe`](Self::observe).
    ///
    /// # Errors
    /// As [`observe`](Self::observe).
    pub(super) async fn reread(
        &mut self,
        config: &Config,
        watchlist: &Watchlist,
    ) -> Result<Option<NameMap<StreamState>>, Failure> {
        let result = self.reread_now(config, watchlist).await;
        self.link.after(&result);
        result
    }

    async fn reread_now(
        &mut self,
        config: &Config,
        watchlist: &Watchlist,
    ) -> Result<Option<NameMap<StreamState>>, Failure> {
        let session = self.link.session(&config.redis).await?;
        let mut states = Vec::with_capacity(watchlist.len());
        let whole: Vec<_> = watchlist.iter().filter(|it| !self.known.is_for_less(&it.name)).collect();
        for batch in whole.chunks(self.known.portion()) {
            let commands: Vec<_> = batch.iter().map(|watched| Command::StreamFull(&watched.name)).collect();
            let is_same = session.origin().is_same(&self.origin);
            let replies = if is_same { session.send(&commands).await? } else { Vec::new() };
            if !is_same || !session.origin().is_same(&self.origin) {
                return Ok(None);
            }
            for (watched, reply) in batch.iter().zip(replies) {
                let reading =
                    ReadWith { max_consumers: 0, ..ReadWith::of(watched, config, &self.names, None) };
                let state = reply.and_then(|reply| stream_full(&reply, reading)).and_then(plausible);
                states.extend(state.ok().map(|state| (watched.name.clone(), state)));
            }
        }
        Ok(Some(states.into_iter().collect()))
    }
}
