//! One reading of all streams, in a fixed number of pipelined round trips.
//!
//! First the clock and the role, if they are due, and a command or two for each stream, in batches; then, in batches again, what the first answers
//! showed to be needed. Never a round trip a stream.

use std::collections::BTreeMap;

use super::{
    Command, Link, entries,
    link::{Session, no_reply},
    lookup,
    manner::{Manner, Replies},
    names::Names,
    reply::Reading,
};
use crate::{
    clock,
    config::Config,
    model::{Answers, Failure, Name, Now, Question, Reason, Snapshot, StreamState},
};

/// Streams a pipeline: bounds the size of a reply, what a timeout covers and how long other clients wait behind it,
/// which is some 20 microseconds a stream.
const BATCH: usize = 24;
/// Streams a pipeline while the size of their replies is not known: entries may be megabytes.
const FIRST_BATCH: usize = 5;
/// A stream with how it is asked; `None` for one that is new.
type Asking<'a> = (&'a Name, Option<Manner>);

/// Reads all streams, with a connection of its own.
pub struct Observer {
    link: Link,
    manners: BTreeMap<Name, Manner>,
    names: Names,
}

impl Observer {
    /// An observer that connects at its first reading.
    #[must_use]
    pub fn new(link: Link) -> Self {
        Self { link, manners: BTreeMap::new(), names: Names::default() }
    }

    /// Reads these streams. Not cancel-safe: a caller that gives up must [`reconnect`](Self::reconnect).
    ///
    /// # Errors
    /// Where the connection failed or the server as a whole can't answer. What failed for one stream only is in
    /// the snapshot.
    pub async fn observe(&mut self, config: &Config, streams: &[Name]) -> Result<Snapshot, Failure> {
        self.names.turn();
        self.link.look_for_primary();
        let mut result = self.read(config, streams).await;
        if self.link.after(&result) {
            result = self.read(config, streams).await;
            self.link.after(&result);
        }
        result
    }

    async fn read(&mut self, config: &Config, streams: &[Name]) -> Result<Snapshot, Failure> {
        let session = self.link.session(&config.redis).await?;
        read(session, config, streams, &mut self.manners, &mut self.names).await
    }

    /// Asks what the reading left open. Not cancel-safe, like [`observe`](Self::observe).
    ///
    /// # Errors
    /// As [`observe`](Self::observe). What could not be answered for one group only is missing from the answers.
    pub async fn ask(&mut self, config: &Config, questions: &[Question]) -> Result<Answers, Failure> {
        let result = match self.link.session(&config.redis).await {
            Ok(session) => lookup::ask(session, questions).await,
            Err(failure) => Err(failure),
        };
        self.link.after(&result);
        result
    }

    /// Lets the connection go, so that the next reading makes a new one.
    pub fn reconnect(&mut self) {
        self.link.disconnect();
    }
}

async fn read(
    session: &mut Session,
    config: &Config,
    streams: &[Name],
    manners: &mut BTreeMap<Name, Manner>,
    names: &mut Names,
) -> Result<Snapshot, Failure> {
    let mut taken = Taken::new(config, names, streams.len());
    let of = |stream: &Name| manners.get(stream).copied();
    let (known, new): (Vec<_>, Vec<_>) =
        streams.iter().map(|stream| (stream, of(stream))).partition(|(_, manner)| manner.is_some());
    let none: &[Asking<'_>] = &[];
    let batches = known.chunks(BATCH).chain(new.chunks(FIRST_BATCH));
    let mut answered: Option<(&[Asking<'_>], Replies)> = None;
    // A poll without streams asks for the clock and the role, so that it asks for something.
    let now = if streams.is_empty() { None } else { session.clock.without_asking(clock::now()) };
    let mut questions = if now.is_some() { Vec::new() } else { session.questions() };
    taken.time = now.unwrap_or_else(|| Err(no_reply()));
    for batch in batches.chain(streams.is_empty().then_some(none)) {
        let of_streams =
            batch.iter().flat_map(|(stream, manner)| manner.unwrap_or(Manner::Full).commands(stream));
        let commands: Vec<Command<'_>> = questions.iter().copied().chain(of_streams).collect();
        let sent = clock::now();
        let asked = session.ask(&commands).await?;
        // The server works on this batch while the one before is read.
        if let Some((batch, replies)) = answered.take() {
            taken.add(batch, replies);
        }
        let mut replies = session.answers(&commands, asked).await?.into_iter();
        if !std::mem::take(&mut questions).is_empty() {
            taken.time = session.note(&mut replies, sent)?;
            session.may_be_read(&config.redis)?;
        }
        answered = Some((batch, replies));
    }
    if let Some((batch, replies)) = answered {
        taken.add(batch, replies);
    }
    *manners = taken.manners.into_iter().collect();
    let mut snapshot = Snapshot {
        server: session.server.clone(),
        connection: session.number,
        database: session.database,
        time: taken.time,
        streams: taken.streams.into_iter().collect(),
        last_entries: BTreeMap::new(),
    };
    entries::read(session, &config.entries, &mut snapshot).await?;
    Ok(snapshot)
}

/// What was read until now. Lists, since maps made of all at once are half the size of those that grow.
struct Taken<'a> {
    config: &'a Config,
    names: &'a mut Names,
    time: Result<Now, Failure>,
    streams: Vec<(Name, Result<StreamState, Failure>)>,
    /// How to ask them next time.
    manners: Vec<(Name, Manner)>,
}

impl<'a> Taken<'a> {
    /// `most` is how many streams there are to be read.
    fn new(config: &'a Config, names: &'a mut Names, most: usize) -> Self {
        Self {
            config,
            names,
            time: Err(no_reply()),
            streams: Vec::with_capacity(most),
            manners: Vec::with_capacity(most),
        }
    }

    fn add(&mut self, batch: &[Asking<'_>], mut replies: Replies) {
        let consumers = &self.config.consumers;
        let reading = Reading {
            names: self.names,
            time: self.time.as_ref().ok().map(|now| now.time),
            max_consumers: if consumers.metrics { consumers.max_per_group } else { 0 },
            stuck_after: consumers.stuck_after,
        };
        for (stream, manner) in batch {
            let (state, next) = manner.unwrap_or(Manner::Full).read(&mut replies, reading);
            // Asked for less until now, so its size will not be known.
            let is_to_be_tried = manner.is_some_and(|manner| manner != Manner::Full) && next == Manner::Full;
            // One that is not there is no reason for a small batch at each poll.
            if !is_to_be_tried && state.as_ref().err().is_none_or(Failure::is_absence) {
                self.manners.push(((*stream).clone(), next));
            }
            // A stream that is gone leaves no trace, unless it was named.
            let is_gone = matches!(&state, Err(failure) if failure.reason == Reason::NoKey);
            if !is_gone || self.config.expects(stream) {
                self.streams.push(((*stream).clone(), state));
            }
        }
    }
}
