//! Reads single pending entries, entries and consumers, for commands that people run.
//!
//! Polls never send these. Each read is bounded by a count, and none writes. Entries come in small batches, since an entry may be large:
//! of a string over 64 KiB only the size is kept.

use redis::Cmd;

use super::{
    Command, Link, Request,
    fields::{Fields, Parsed, bytes, entry_id, list, unexpected},
    reply,
    resp::{Reply, Value},
};
use crate::{
    config,
    model::{Content, Entry, Failure, GroupPending, Millis, Name, PendingEntry, ServerTime, StreamId},
};

/// Entries in one pipeline, since each may be large.
const BATCH: usize = 10;
/// Pending entries in a page: less than a millisecond of the server's time.
const PAGE: u64 = 1_000;
/// Pending entries that one search looks at. A list of a million is never read whole.
const MOST_LOOKED_AT: u64 = 100_000;

/// A command with its arguments. None writes.
#[derive(Debug, Clone, Copy)]
enum Detail<'a> {
    /// `XPENDING key group start + count [consumer]`. The option `IDLE` would make the server read the whole list.
    Pending(&'a Name, &'a Name, StreamId, u64, Option<&'a Name>),
    /// `XRANGE key id id COUNT 1`.
    Entry(&'a Name, StreamId),
}

impl Request for Detail<'_> {
    fn label(&self) -> &'static str {
        match self {
            Self::Pending(..) => "xpending",
            Self::Entry(..) => "xrange",
        }
    }

    fn may_repeat(&self) -> bool {
        true
    }

    fn key(&self) -> Option<&[u8]> {
        match self {
            Self::Pending(stream, ..) | Self::Entry(stream, _) => Some(stream.as_bytes()),
        }
    }

    fn has_long_names(&self) -> bool {
        matches!(self, Self::Pending(..))
    }

    fn encode(&self) -> Cmd {
        let mut cmd = Cmd::new();
        match self {
            Self::Pending(stream, group, from, count, consumer) => {
                let key = cmd.arg("XPENDING").arg(stream.as_bytes()).arg(group.as_bytes());
                key.arg(from.to_string()).arg("+").arg(*count).arg(consumer.map(Name::as_bytes));
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
    link: Link,
}

impl Details {
    /// It connects at its first question.
    #[must_use]
    pub const fn new(link: Link) -> Self {
        Self { link }
    }

    /// Sends commands that read this stream.
    async fn send<R: Request>(
        &mut self,
        redis: &config::Redis,
        commands: &[R],
    ) -> Result<Vec<Result<Reply, Failure>>, Failure> {
        let replies = async { self.link.session(redis).await?.send(commands).await }.await;
        self.link.after(&replies);
        replies
    }

    async fn one(&mut self, redis: &config::Redis, command: impl Request) -> Result<Reply, Failure> {
        self.send(redis, &[command]).await?.pop().unwrap_or_else(|| Err(super::no_reply()))
    }

    /// The server's clock; `None` if it may not be asked for.
    ///
    /// # Errors
    /// Why there is no connection.
    pub async fn time(&mut self, redis: &config::Redis) -> Result<Option<ServerTime>, Failure> {
        let time = self.send(redis, &[Command::Time]).await?.pop();
        Ok(time.and_then(|time| reply::server_time(&time.ok()?).ok()))
    }

    /// The groups of a stream.
    ///
    /// # Errors
    /// Why they can't be read: there is no such stream, or another [`Failure`].
    pub async fn groups(
        &mut self,
        redis: &config::Redis,
        stream: &Name,
    ) -> Result<Vec<GroupPending>, Failure> {
        let reply = self.one(redis, Command::Groups(stream)).await?;
        let group = |value| {
            let mut fields = Fields::new(value)?;
            Ok(GroupPending { name: fields.name()?.into(), pending: fields.require_count("pending")? })
        };
        list(reply.value()?, "groups")?.into_iter().map(group).collect()
    }

    /// Searches the pending entries of a group, page by page, at most 100,000 of them.
    ///
    /// # Errors
    /// Why they can't be read.
    pub async fn find(
        &mut self,
        redis: &config::Redis,
        of: (&Name, &Name),
        wanted: &Wanted,
    ) -> Result<Found, Failure> {
        let mut found = Found { next: Some(wanted.from), ..Found::default() };
        while let Some(from) = found.next.filter(|_| found.looked_at < MOST_LOOKED_AT) {
            let page = self.pending(redis, of, wanted.consumer.as_ref(), from, PAGE).await?;
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
        redis: &config::Redis,
        (stream, group): (&Name, &Name),
        consumer: Option<&Name>,
        from: StreamId,
        count: u64,
    ) -> Result<Vec<PendingEntry>, Failure> {
        let reply = self.one(redis, Detail::Pending(stream, group, from, count, consumer)).await?;
        let entries = reply::pending_entries(&reply)?;
        let consumers = list(reply.value()?, "pending entries")?.into_iter().map(|row| {
            let consumer = list(row, "pending entry")?.get(1).and_then(bytes).map(Name::from);
            consumer.ok_or_else(|| unexpected("consumer"))
        });
        let pair = |(entry, consumer): (_, Parsed<Name>)| Ok(PendingEntry { entry, consumer: consumer? });
        entries.into_iter().zip(consumers).map(pair).collect()
    }

    /// The entries with these IDs, in the same order; `None` for one that no longer exists.
    ///
    /// # Errors
    /// Why they can't be read.
    pub async fn entries(
        &mut self,
        redis: &config::Redis,
        stream: &Name,
        ids: &[StreamId],
    ) -> Result<Vec<Option<Entry>>, Failure> {
        let mut found = Vec::with_capacity(ids.len());
        for batch in ids.chunks(BATCH) {
            let commands: Vec<_> = batch.iter().map(|id| Detail::Entry(stream, *id)).collect();
            for reply in self.send(redis, &commands).await? {
                found.push(entries(&reply?)?.pop());
            }
        }
        Ok(found)
    }

    /// At most `count` entries up to this ID, the newest first.
    ///
    /// # Errors
    /// Why they can't be read.
    pub async fn newest(
        &mut self,
        redis: &config::Redis,
        stream: &Name,
        up_to: StreamId,
        count: u64,
    ) -> Result<Vec<Entry>, Failure> {
        entries(&self.one(redis, Command::Newest(stream, up_to, StreamId::ZERO, count)).await?)
    }
}

/// The entries of a reply to `XRANGE` or `XREVRANGE`.
fn entries(reply: &Reply) -> Parsed<Vec<Entry>> {
    let entry = |value: Value<'_>| {
        let id = entry_id(&value)?;
        let fields = list(value, "entry")?.into_iter().nth(1).ok_or_else(|| unexpected("fields"))?;
        let pair = |pair: &[Value<'_>]| match pair {
            [name, value] => Ok((content(name)?, content(value)?)),
            _ => Err(unexpected("field")),
        };
        let fields = list(fields, "fields")?.chunks(2).map(pair).collect::<Parsed<_>>()?;
        Ok(Entry { id, fields })
    };
    list(reply.value()?, "entries")?.into_iter().map(entry).collect()
}

fn content(value: &Value<'_>) -> Parsed<Content> {
    match value {
        Value::Text(bytes) => Ok(Content::Whole((*bytes).into())),
        Value::Int(size) => u64::try_from(*size).map(Content::Size).map_err(|_negative| unexpected("field")),
        Value::Nil | Value::List(_) => Err(unexpected("field")),
    }
}
