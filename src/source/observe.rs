//! One reading of all streams, in a fixed number of pipelined round trips.
//!
//! First the clock and a command or two for each stream, in batches; then, in batches again, what the first answers
//! showed to be needed. Never a round trip a stream.

use std::{collections::BTreeMap, vec};

use super::{
    Command, Link, entries,
    link::{Session, no_reply},
    lookup,
    reply::{self, Reading},
    resp::Reply,
};
use crate::{
    config::Config,
    model::{Answers, Failure, Name, Pending, Question, Reason, Snapshot, StreamId, StreamState},
};

/// Streams a pipeline, or a script: bounds the size of a reply, what a timeout covers and how long other clients wait
/// behind it.
const BATCH: usize = 100;
/// Streams a pipeline while the size of their replies is not known: entries may be megabytes.
const FIRST_BATCH: usize = 10;
/// A stream whose first entry is larger is asked without its entries from then on.
const FAT_ENTRY_BYTES: u64 = 64 * 1024;
/// A stream with more consumers in all its groups is asked without them from then on.
const MANY_CONSUMERS: u64 = 500;
/// After so many polls a stream that is asked for less is asked for everything once: it may have changed.
const POLLS_ASKED_FOR_LESS: u32 = 100;

type Replies = vec::IntoIter<Result<Reply, Failure>>;

/// How a stream is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Manner {
    /// `XINFO STREAM FULL COUNT 1`: everything, with the first entry and all consumers.
    Full,
    /// `XINFO STREAM` and `XINFO GROUPS`: everything but the consumers. For so many polls more.
    WithoutConsumers(u32),
    /// `XLEN` and `XINFO GROUPS`: nothing that carries an entry. For so many polls more.
    WithoutEntries(u32),
}

impl Manner {
    fn commands(self, stream: &Name) -> impl Iterator<Item = Command<'_>> {
        let (one, other) = match self {
            Self::Full => (Command::StreamFull(stream), None),
            Self::WithoutConsumers(_) => (Command::StreamSummary(stream), Some(Command::Groups(stream))),
            Self::WithoutEntries(_) => (Command::Length(stream), Some(Command::Groups(stream))),
        };
        [Some(one), other].into_iter().flatten()
    }

    /// Takes this stream's replies, and tells how to ask it next time.
    fn read(self, replies: &mut Replies, reading: Reading) -> (Result<StreamState, Failure>, Self) {
        let mut reply = || replies.next().unwrap_or_else(|| Err(no_reply()));
        match self {
            Self::Full => match reply().and_then(|reply| reply::stream_full(&reply, reading)) {
                Ok(state) => {
                    let next = Self::after_full(&state);
                    (Ok(state), next)
                }
                Err(failure) => (Err(failure), self),
            },
            Self::WithoutConsumers(polls) => {
                let (state, groups) = (reply(), reply());
                (
                    with_groups(state.and_then(|reply| reply::stream_summary(&reply)), groups),
                    self.again(polls),
                )
            }
            Self::WithoutEntries(polls) => {
                let (length, groups) = (reply(), reply());
                let state = length.and_then(|reply| reply::stream_length(&reply));
                (with_groups(state, groups), self.again(polls))
            }
        }
    }

    fn after_full(state: &StreamState) -> Self {
        let consumers: u64 = state.groups.values().map(|group| group.consumer_count).sum();
        if state.first_entry_bytes > FAT_ENTRY_BYTES {
            Self::WithoutEntries(POLLS_ASKED_FOR_LESS)
        } else if consumers > MANY_CONSUMERS {
            Self::WithoutConsumers(POLLS_ASKED_FOR_LESS)
        } else {
            Self::Full
        }
    }

    const fn again(self, polls: u32) -> Self {
        match (self, polls.checked_sub(1)) {
            (Self::WithoutConsumers(_), Some(left)) => Self::WithoutConsumers(left),
            (Self::WithoutEntries(_), Some(left)) => Self::WithoutEntries(left),
            _ => Self::Full,
        }
    }
}

/// Reads all streams, with a connection of its own.
pub struct Observer {
    link: Link,
    manners: BTreeMap<Name, Manner>,
}

impl Observer {
    /// An observer that connects at its first reading.
    #[must_use]
    pub const fn new(link: Link) -> Self {
        Self { link, manners: BTreeMap::new() }
    }

    /// Reads these streams. Not cancel-safe: a caller that gives up must [`reconnect`](Self::reconnect).
    ///
    /// # Errors
    /// Where the connection failed or the server as a whole can't answer. What failed for one stream only is in
    /// the snapshot.
    pub async fn observe(&mut self, config: &Config, streams: &[Name]) -> Result<Snapshot, Failure> {
        let result = match self.link.session(&config.redis).await {
            Ok(session) => read(session, config, streams, &mut self.manners).await,
            Err(failure) => Err(failure),
        };
        if let Err(failure) = &result {
            self.link.after(failure);
        }
        result
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
        if let Err(failure) = &result {
            self.link.after(failure);
        }
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
) -> Result<Snapshot, Failure> {
    let mut reading = Reading {
        time: None,
        max_consumers: if config.consumers.metrics { config.consumers.max_per_group } else { 0 },
        stuck_after: config.consumers.stuck_after,
    };
    let mut snapshot = Snapshot {
        server: session.server.clone(),
        connection: session.number,
        database: session.database,
        time: Err(no_reply()),
        streams: BTreeMap::new(),
        last_entries: BTreeMap::new(),
    };
    let (known, new): (Vec<&Name>, Vec<&Name>) =
        streams.iter().partition(|stream| manners.contains_key(*stream));
    let before = std::mem::take(manners);
    let none: &[&Name] = &[];
    let batches = known.chunks(BATCH).chain(new.chunks(FIRST_BATCH));
    for (number, batch) in batches.chain(streams.is_empty().then_some(none)).enumerate() {
        let manner = |stream: &Name| before.get(stream).copied().unwrap_or(Manner::Full);
        let clock = (number == 0).then_some(Command::Time);
        let of_streams = batch.iter().flat_map(|stream| manner(stream).commands(stream));
        let commands: Vec<Command<'_>> = clock.into_iter().chain(of_streams).collect();
        let mut replies = session.read(&commands).await?.into_iter();
        if clock.is_some() {
            let reply = replies.next().unwrap_or_else(|| Err(no_reply()));
            snapshot.time = reply.and_then(|reply| reply::server_time(&reply));
            reading.time = snapshot.time.as_ref().ok().copied();
        }
        for stream in batch {
            let (state, next) = manner(stream).read(&mut replies, reading);
            // One that is not there is no reason for a batch of its own at each poll.
            if state.as_ref().err().is_none_or(Failure::is_absence) {
                manners.insert((*stream).clone(), next);
            }
            keep(&mut snapshot, config, stream, state);
        }
    }
    read_pending(session, &mut snapshot).await?;
    entries::read(session, &config.entries, &mut snapshot).await?;
    Ok(snapshot)
}

/// A stream that is gone leaves no trace, unless it was named.
fn keep(snapshot: &mut Snapshot, config: &Config, stream: &Name, state: Result<StreamState, Failure>) {
    let is_gone = matches!(&state, Err(failure) if failure.reason == Reason::NoKey);
    if !is_gone || config.expects(stream) {
        snapshot.streams.insert(stream.clone(), state);
    }
}

/// The oldest pending entry of each group whose first answer did not have it.
async fn read_pending(session: &mut Session, snapshot: &mut Snapshot) -> Result<(), Failure> {
    let mut wanted = Vec::new();
    for (stream, state) in &snapshot.streams {
        let groups = state.iter().flat_map(|state| &state.groups);
        let unknown = groups.filter(|(_, group)| group.oldest_pending == Pending::Unknown);
        wanted.extend(unknown.map(|(group, _)| (stream.clone(), group.clone())));
    }
    for batch in wanted.chunks(BATCH) {
        let commands: Vec<Command<'_>> =
            batch.iter().map(|(stream, group)| Command::Pending(stream, group, StreamId::ZERO, 1)).collect();
        let replies = session.read(&commands).await?;
        for ((stream, name), reply) in batch.iter().zip(replies) {
            let Some(Ok(state)) = snapshot.streams.get_mut(stream) else { continue };
            match reply.and_then(|reply| reply::pending_entries(&reply)) {
                Ok(entries) => {
                    let head = entries.first().map_or(Pending::None, |head| Pending::Oldest(*head));
                    if let Some(group) = state.groups.get_mut(name) {
                        group.oldest_pending = head;
                    }
                }
                Err(failure) if failure.reason == Reason::NoGroup => {
                    state.groups.remove(name);
                }
                Err(_not_known) => {}
            }
        }
    }
    Ok(())
}

fn with_groups(
    state: Result<StreamState, Failure>,
    groups: Result<Reply, Failure>,
) -> Result<StreamState, Failure> {
    Ok(StreamState { groups: groups.and_then(|reply| reply::groups(&reply))?, ..state? })
}
