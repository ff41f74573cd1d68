//! Reads single pending entries, entries and consumers, for commands, rules and requests that act on them.
//!
//! Polls never send these. Each read is bounded by a count, and none writes. Entries come in small batches, since an entry may be large:
//! of a string over 64 KiB only the size is kept.

use redis::Cmd;

use super::{
    Command, Link, Next, Request, Router,
    failure::no_reply,
    fields::{Fields, Parsed, bytes, entry_id, list, unexpected},
    reply,
    resp::{Reply, Value},
    router::send_behind,
};
use crate::{
    config::Config,
    model::{
        Consumer, Content, Entry, Failure, GroupPending, Millis, Name, PendingEntry, Reason, ServerTime,
        StreamId, StuckLease, Text,
    },
};

/// Entries in one pipeline, since each may be large.
const BATCH: usize = 10;
/// Other questions in one pipeline.
const QUESTIONS: usize = 100;
/// Pending entries in a page: less than a millisecond of the server's time.
const PAGE: u64 = 1_000;
/// Pending entries that one search looks at, unless it wants fewer. A list of a million is never read whole.
const MOST_LOOKED_AT: u64 = 100_000;

/// Redirections that are followed for one command.
const MOST_REDIRECTIONS: usize = 3;

/// A command with its arguments. None writes.
#[derive(Debug, Clone, Copy)]
enum Detail<'a> {
    /// `XPENDING key group start + count [consumer]`. The option `IDLE` would make the server read the whole list.
    Pending(&'a Name, &'a Name, StreamId, u64, Option<&'a Name>),
    /// `XPENDING key group id id 1`.
    PendingId(&'a Name, &'a Name, StreamId),
    /// `XINFO CONSUMERS key group`.
    Consumers(&'a Name, &'a Name),
    /// `XRANGE key id id COUNT 1`.
    Entry(&'a Name, StreamId),
    /// `MEMORY USAGE key SAMPLES n`. `SAMPLES 0` would look at everything.
    Memory(&'a Name, u64),
    /// `XRANGE key start + COUNT n`.
    From(&'a Name, StreamId, u64),
}

impl Request for Detail<'_> {
    fn label(&self) -> &'static str {
        match self {
            Self::Pending(..) | Self::PendingId(..) => "xpending",
            Self::Consumers(..) => "xinfo_consumers",
            Self::Memory(..) => "memory_usage",
            Self::Entry(..) | Self::From(..) => "xrange",
        }
    }

    fn may_repeat(&self) -> bool {
        true
    }

    fn key(&self) -> Option<&[u8]> {
        match self {
            Self::Pending(stream, ..)
            | Self::PendingId(stream, ..)
            | Self::Consumers(stream, _)
            | Self::Memory(stream, _)
            | Self::Entry(stream, _)
            | Self::From(stream, ..) => Some(stream.as_bytes()),
        }
    }

    fn has_long_names(&self) -> bool {
        !matches!(self, Self::Entry(..) | Self::From(..))
    }

    fn encode(&self) -> Cmd {
        let mut cmd = Cmd::new();
        match self {
            Self::Pending(stream, group, from, count, consumer) => {
                let key = cmd.arg("XPENDING").arg(stream.as_bytes()).arg(group.as_bytes());
                key.arg(from.to_string()).arg("+").arg(*count).arg(consumer.map(Name::as_bytes));
            }
            Self::PendingId(stream, group, id) => {
                let key = cmd.arg("XPENDING").arg(stream.as_bytes()).arg(group.as_bytes());
                key.arg(id.to_string()).arg(id.to_string()).arg(1);
            }
            Self::Consumers(stream, group) => {
                cmd.arg("XINFO").arg("CONSUMERS").arg(stream.as_bytes()).arg(group.as_bytes());
            }
            Self::Memory(stream, samples) => {
                cmd.arg("MEMORY").arg("USAGE").arg(stream.as_bytes()).arg("SAMPLES").arg(*samples);
            }
            Self::From(stream, from, count) => {
                let key = cmd.arg("XRANGE").arg(stream.as_bytes());
                key.arg(from.to_string()).arg("+").arg("COUNT").arg(*count);
            }
            Self::Entry(stream, id) => {
                let key = cmd.arg("XRANGE").arg(stream.as_bytes());
                key.arg(id.to_string()).arg(id.to_string()).arg("COUNT").arg(1);
            }
        }
        cmd
    }
}

/// Which pending entries of a group are wanted.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// Only those of this consumer.
    pub consumer: Option<Name>,
    /// Delivered at least so often.
    pub deliveries: u64,
    /// Not delivered for at least so long.
    pub idle: Millis,
    /// Where to begin.
    pub from: StreamId,
    /// The most that are wanted.
    pub limit: usize,
    /// The most that are looked at, in pages of a thousand.
    pub look_at: u64,
}

impl Wanted {
    /// Any pending entries, at most so many.
    #[must_use]
    pub const fn all(limit: usize) -> Self {
        Self {
            consumer: None,
            deliveries: 0,
            idle: Millis::ZERO,
            from: StreamId::ZERO,
            limit,
            look_at: MOST_LOOKED_AT,
        }
    }
}

/// What a search found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Found {
    /// The entries, in the order of their IDs.
    pub entries: Vec<PendingEntry>,
    /// How many pending entries were looked at.
    pub looked_at: u64,
    /// Where to go on; `None`: no pending entry is left to look at.
    pub next: Option<StreamId>,
}

/// Reads details on its own connection.
pub struct Details {
    router: Router,
}

/// The reply to `PTTL` for a key without a time to live.
const NEVER: i64 = -1;

impl Details {
    /// The values of the `command` label that polls do not have.
    pub const LABELS: &'static [&'static str] = &["xinfo_consumers", "memory_usage"];

    /// It connects at its first question.
    #[must_use]
    pub fn new(link: Link) -> Self {
        Self { router: Router::new(link) }
    }

    /// Sends commands that read this stream, to the server that has it.
    async fn send<R: Request>(
        &mut self,
        config: &Config,
        stream: &Name,
        commands: &[R],
    ) -> Result<Vec<Result<Reply, Failure>>, Failure> {
        let (key, commands) = (stream.as_bytes(), commands.iter().collect::<Vec<_>>());
        self.router.begin();
        let mut redirections = 0;
        loop {
            let replies = match self.router.session(config, key).await {
                Ok((session, asking)) => send_behind(session, asking, &commands).await,
                Err(failure) => Err(failure),
            };
            // All are about one key, so the first one stands for all.
            let first = match &replies {
                Ok(replies) => {
                    replies.first().map_or(Ok(()), |reply| reply.as_ref().map(|_| ()).map_err(Clone::clone))
                }
                Err(failure) => Err(failure.clone()),
            };
            redirections += 1;
            if self.router.after(config, key, &first) == Next::Keep || redirections > MOST_REDIRECTIONS {
                return replies;
            }
        }
    }

    async fn one(&mut self, config: &Config, stream: &Name, command: impl Request) -> Result<Reply, Failure> {
        self.send(config, stream, &[command]).await?.pop().unwrap_or_else(|| Err(no_reply()))
    }

    /// The server's clock; `None` if it may not be asked for.
    ///
    /// # Errors
    /// Why there is no connection.
    pub async fn time(&mut self, config: &Config, stream: &Name) -> Result<Option<ServerTime>, Failure> {
        let time = self.send(config, stream, &[Command::Time]).await?.pop();
        Ok(time.and_then(|time| reply::server_time(&time.ok()?).ok()))
    }

    /// The sidecar that holds the lease; `None` if none does.
    ///
    /// # Errors
    /// Why it can't be read.
    pub async fn lease_holder(&mut self, config: &Config) -> Result<Option<Text>, Failure> {
        let key = config.retention.lease_key.as_str();
        reply::optional_text(&self.one(config, &Name::from(key), Command::Get(key)).await?)
    }

    /// Why no sidecar ever takes the lease; `None` also if the user may not ask.
    ///
    /// # Errors
    /// Why there is no answer.
    pub async fn stuck_lease(&mut self, config: &Config) -> Result<Option<StuckLease>, Failure> {
        let key = config.retention.lease_key.as_str();
        match self.lease_holder(config).await {
            Err(failure) if failure.reason == Reason::WrongType => return Ok(Some(StuckLease::IsNoLease)),
            Err(failure) if failure.reason != Reason::NoPermission => return Err(failure),
            _ => {}
        }
        match self.one(config, &Name::from(key), Command::TimeToLive(key)).await {
            Ok(reply) => Ok(matches!(reply.value()?, Value::Int(NEVER)).then_some(StuckLease::NeverExpires)),
            Err(failure) if failure.reason == Reason::NoPermission => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    /// The memory of a stream in bytes, as Redis answers after a look at so many nodes of entries; `None` if there is no such key.
    ///
    /// # Errors
    /// Why there is no answer.
    pub async fn memory(
        &mut self,
        config: &Config,
        stream: &Name,
        samples: u64,
    ) -> Result<Option<u64>, Failure> {
        match self.one(config, stream, Detail::Memory(stream, samples)).await?.value()? {
            Value::Nil => Ok(None),
            Value::Int(bytes) => u64::try_from(bytes).map(Some).map_err(|_negative| unexpected("memory")),
            Value::Text(_) | Value::List(_) => Err(unexpected("memory")),
        }
    }

    /// Drops the connections, so that the next question makes new ones.
    pub fn disconnect(&mut self) {
        self.router.disconnect();
    }

    /// The groups of a stream.
    ///
    /// # Errors
    /// Why they can't be read: there is no such stream, or another [`Failure`].
    pub async fn groups(&mut self, config: &Config, stream: &Name) -> Result<Vec<GroupPending>, Failure> {
        let reply = self.one(config, stream, Command::Groups(stream)).await?;
        let group = |value| {
            let mut fields = Fields::new(value)?;
            Ok(GroupPending { name: fields.name()?.into(), pending: fields.require_count("pending")? })
        };
        list(reply.value()?, "groups")?.into_iter().map(group).collect()
    }

    /// Searches the pending entries of a group, page by page.
    ///
    /// # Errors
    /// Why they can't be read.
    pub async fn find(
        &mut self,
        config: &Config,
        of: (&Name, &Name),
        wanted: &Wanted,
    ) -> Result<Found, Failure> {
        let mut found = Found { next: Some(wanted.from), ..Found::default() };
        while let Some(from) = found.next.filter(|_| found.looked_at < wanted.look_at) {
            let page = self.pending(config, of, wanted.consumer.as_ref(), from, PAGE).await?;
            let is_last = page.len() < usize::try_from(PAGE).unwrap_or(usize::MAX);
            found.next = page.last().filter(|_| !is_last).and_then(|last| last.id().next());
            for entry in page {
                if found.entries.len() == wanted.limit {
                    found.next = Some(entry.id());
                    return Ok(found);
                }
                found.looked_at += 1;
                found.entries.extend(Some(entry).filter(|it| it.is_at_least(wanted.deliveries, wanted.idle)));
            }
        }
        Ok(found)
    }

    /// At most `count` pending entries of a group, or of one of its consumers, from this ID on.
    async fn pending(
        &mut self,
        config: &Config,
        (stream, group): (&Name, &Name),
        consumer: Option<&Name>,
        from: StreamId,
        count: u64,
    ) -> Result<Vec<PendingEntry>, Failure> {
        pending_entries(
            &self.one(config, stream, Detail::Pending(stream, group, from, count, consumer)).await?,
        )
    }

    /// The pending entries with these IDs, in the same order; `None` for one that is not pending.
    ///
    /// # Errors
    /// Why they can't be read.
    pub async fn pending_of(
        &mut self,
        config: &Config,
        (stream, group): (&Name, &Name),
        ids: &[StreamId],
    ) -> Result<Vec<Option<PendingEntry>>, Failure> {
        let mut found = Vec::with_capacity(ids.len());
        for batch in ids.chunks(QUESTIONS) {
            let commands: Vec<_> = batch.iter().map(|id| Detail::PendingId(stream, group, *id)).collect();
            for reply in self.send(config, stream, &commands).await? {
                found.push(pending_entries(&reply?)?.pop());
            }
        }
        Ok(found)
    }

    /// The consumers of a group.
    ///
    /// # Errors
    /// Why they can't be read.
    pub async fn consumers(
        &mut self,
        config: &Config,
        (stream, group): (&Name, &Name),
    ) -> Result<Vec<Consumer>, Failure> {
        let reply = self.one(config, stream, Detail::Consumers(stream, group)).await?;
        let consumer = |value| {
            let mut fields = Fields::new(value)?;
            Ok(Consumer {
                name: fields.name()?.into(),
                pending: fields.require_count("pending")?,
                idle: Millis::new(fields.require_count("idle")?),
            })
        };
        list(reply.value()?, "consumers")?.into_iter().map(consumer).collect()
    }

    /// Whether the entries with these IDs exist, in the same order. No command answers this without their fields; these are not kept.
    ///
    /// # Errors
    /// Why they can't be read.
    pub async fn exist(
        &mut self,
        config: &Config,
        stream: &Name,
        ids: &[StreamId],
    ) -> Result<Vec<bool>, Failure> {
        let mut exist = Vec::with_capacity(ids.len());
        for batch in ids.chunks(BATCH) {
            let commands: Vec<_> = batch.iter().map(|id| Detail::Entry(stream, *id)).collect();
            for reply in self.send(config, stream, &commands).await? {
                exist.push(!reply::range_ids(&reply?)?.is_empty());
            }
        }
        Ok(exist)
    }

    /// The entries with these IDs, in the same order; `None` for one that no longer exists.
    ///
    /// # Errors
    /// Why they can't be read.
    pub async fn entries(
        &mut self,
        config: &Config,
        stream: &Name,
        ids: &[StreamId],
    ) -> Result<Vec<Option<Entry>>, Failure> {
        let mut found = Vec::with_capacity(ids.len());
        for batch in ids.chunks(BATCH) {
            let commands: Vec<_> = batch.iter().map(|id| Detail::Entry(stream, *id)).collect();
            for reply in self.send(config, stream, &commands).await? {
                found.push(entries(&reply?)?.pop());
            }
        }
        Ok(found)
    }

    /// At most `count` entries from this ID on.
    ///
    /// # Errors
    /// Why they can't be read.
    pub async fn entries_from(
        &mut self,
        config: &Config,
        stream: &Name,
        from: StreamId,
        count: u64,
    ) -> Result<Vec<Entry>, Failure> {
        entries(&self.one(config, stream, Detail::From(stream, from, count)).await?)
    }

    /// The number of entries of a stream; 0 for one that does not exist, and for a key of another type.
    ///
    /// # Errors
    /// Why it can't be read.
    pub async fn length(&mut self, config: &Config, stream: &Name) -> Result<u64, Failure> {
        let length = self.one(config, stream, Command::Length(stream)).await;
        match length.and_then(|length| reply::count(&length)) {
            Err(failure) if matches!(failure.reason, Reason::NoKey | Reason::WrongType) => Ok(0),
            length => length,
        }
    }

    /// At most `count` entries up to this ID, the newest first.
    ///
    /// # Errors
    /// Why they can't be read.
    pub async fn newest(
        &mut self,
        config: &Config,
        stream: &Name,
        up_to: StreamId,
        count: u64,
    ) -> Result<Vec<Entry>, Failure> {
        entries(&self.one(config, stream, Command::Newest(stream, up_to, StreamId::ZERO, count)).await?)
    }
}

/// The entries of a reply to `XPENDING` with a range, each with its consumer.
fn pending_entries(reply: &Reply) -> Parsed<Vec<PendingEntry>> {
    let entries = reply::pending_entries(reply)?;
    let consumers = list(reply.value()?, "pending entries")?.into_iter().map(|row| {
        let consumer = list(row, "pending entry")?.get(1).and_then(bytes).map(Name::from);
        consumer.ok_or_else(|| unexpected("consumer"))
    });
    let pair = |(entry, consumer): (_, Parsed<Name>)| Ok(PendingEntry { entry, consumer: consumer? });
    entries.into_iter().zip(consumers).map(pair).collect()
}

/// The entries of a reply to `XRANGE` or `XREVRANGE`.
fn entries(reply: &Reply) -> Parsed<Vec<Entry>> {
    list(reply.value()?, "entries")?.into_iter().map(entry).collect()
}

/// The first and the last entry in a reply to `XINFO STREAM`; none of an empty stream.
pub(crate) fn entries_at_the_ends(reply: &Reply) -> Parsed<Vec<Entry>> {
    let mut fields = Fields::new(reply.value()?)?;
    let ends = ["first-entry", "last-entry"].map(|name| fields.take(name));
    ends.into_iter().flatten().map(entry).collect()
}

fn entry(value: Value<'_>) -> Parsed<Entry> {
    let id = entry_id(&value)?;
    let fields = list(value, "entry")?.into_iter().nth(1).ok_or_else(|| unexpected("fields"))?;
    let pair = |pair: &[Value<'_>]| match pair {
        [name, value] => Ok((content(name)?, content(value)?)),
        _ => Err(unexpected("field")),
    };
    let fields = list(fields, "fields")?.chunks(2).map(pair).collect::<Parsed<_>>()?;
    Ok(Entry { id, fields })
}

fn content(value: &Value<'_>) -> Parsed<Content> {
    match value {
        Value::Text(bytes) => Ok(Content::Whole((*bytes).into())),
        Value::Int(size) => u64::try_from(*size).map(Content::Size).map_err(|_negative| unexpected("field")),
        Value::Nil | Value::List(_) => Err(unexpected("field")),
    }
}
