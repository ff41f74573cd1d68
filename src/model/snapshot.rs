//! One poll's reading of Redis.

use std::{collections::BTreeMap, time::Duration};

use nonmax::NonMaxU64;

use super::{Answers, Failure, Finding, Millis, Name, NameMap, Pending, Role, StreamId, Text};

/// Everything that one poll read, taken between one tick and the next.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// The server that answered.
    pub server: Server,
    /// Which server it was read from, as far as that is known.
    pub origin: Origin,
    /// The address that it was read from, without a login.
    pub place: Text,
    /// The number of the database.
    pub database: i64,
    /// The server's clock when the poll began; where `TIME` is not allowed there are no ages.
    pub time: Result<Now, Failure>,
    /// Each stream that was asked for and is there, by name, or why it could not be read.
    ///
    /// A stream that does not exist has no entry here, unless the configuration names it: then it is there with
    /// [`Reason::NoKey`](super::Reason::NoKey).
    pub streams: NameMap<Result<StreamState, Failure>>,
    /// Streams that were found under a pattern and whose keys the user may not read: those have no entry in [`Self::streams`].
    pub forbidden: usize,
    /// Of streams that could not be read their lengths, where those are known all the same.
    pub lengths: BTreeMap<Name, u64>,
    /// Of streams whose last entries were to be read and could be: those, the newest first.
    pub last_entries: BTreeMap<Name, Vec<EntryHead>>,
}

/// Where a reading comes from.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Origin {
    /// Which of the sidecar's connections: another number may mean another server.
    pub connection: u64,
    /// The server's process, its role and the database, where the server says all of them.
    pub process: Option<String>,
    /// The address and the database that were asked for: another one has streams of its own.
    pub place: String,
}

impl Origin {
    /// Whether both are surely the same data: on one connection, or of one process in one role.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        self.connection == other.connection || (self.process.is_some() && self.process == other.process)
    }
}

/// What is kept of an entry: never its contents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntryHead {
    /// Its ID.
    pub id: StreamId,
    /// The field that the configuration says tells its type; `None` where it has none.
    pub kind: Option<Name>,
}

/// Who answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// Redis or Valkey; others answer as the Redis that they imitate.
    pub flavour: Flavour,
    /// `major.minor.patch` of the flavour; `None` where the server does not say or may not be asked.
    pub version: Option<(u16, u16, u16)>,
    /// Its place in replication; `None` where the server does not say or may not be asked.
    pub role: Option<Role>,
    /// `standalone`, `cluster` or `sentinel`, in the server's words.
    pub mode: Option<Text>,
}

impl Server {
    /// A server of which nothing is known.
    pub const UNKNOWN: Self = Self { flavour: Flavour::Redis, version: None, role: None, mode: None };

    /// The version as text, where it is known.
    #[must_use]
    pub fn version_text(&self) -> Option<String> {
        self.version.map(|(major, minor, patch)| format!("{major}.{minor}.{patch}"))
    }
}

/// The family of servers that streams differ between.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flavour {
    /// Redis, or something that says it is.
    Redis,
    /// Valkey.
    Valkey,
    /// Upstash, which is not built on Redis and says that it is some version of it.
    Upstash,
}

impl Flavour {
    /// The flavour's name, as the server spells it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Redis => "redis",
            Self::Valkey => "valkey",
            Self::Upstash => "upstash",
        }
    }
}

/// A moment on the server's clock, in milliseconds since the Unix epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ServerTime(pub u64);

impl ServerTime {
    /// The time that has passed since `ms`; zero where `ms` is ahead, as after a failover to another clock.
    #[must_use]
    pub const fn since(self, ms: u64) -> Millis {
        Millis::new(self.0.saturating_sub(ms))
    }
}

/// What a server's clock says, or what it is estimated to say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// The time.
    pub time: ServerTime,
    /// The clock may say so much more or less; zero where it was asked.
    pub error: Duration,
}

impl Now {
    /// A clock that was asked.
    #[must_use]
    pub const fn exactly(time: ServerTime) -> Self {
        Self { time, error: Duration::ZERO }
    }
}

/// A stream, as `XINFO STREAM key FULL` tells it. `None` is what this server, or this way of asking, does not say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamState {
    /// Entries in the stream.
    pub length: u64,
    /// Keys of the radix tree that holds the entries (one a node of entries).
    pub radix_tree_keys: Option<u64>,
    /// Nodes of that tree.
    pub radix_tree_nodes: Option<u64>,
    /// The greatest ID that the stream ever gave out, even if that entry is gone.
    pub last_generated_id: Option<StreamId>,
    /// The greatest ID that `XDEL` removed; `0-0` for none. Redis 7.0 and later.
    pub max_deleted_entry_id: Option<StreamId>,
    /// Entries ever added. Redis 7.0 and later.
    pub entries_added: Option<u64>,
    /// The oldest entry that is still there; `None` in an empty stream too.
    pub first_entry_id: Option<StreamId>,
    /// Bytes of that entry, which tell how much a range of entries may hold.
    pub first_entry_bytes: u64,
    /// The consumer groups, by name; of many the first ones, and those that the configuration names.
    pub groups: NameMap<GroupState>,
    /// How many groups more there are, since the stream has more than are watched.
    pub unwatched_groups: u64,
    /// What the server remembers of its producers, so that it adds no entry twice. Redis 8.6 and later; a box, since few have it.
    pub idempotence: Option<Box<Idempotence>>,
}

/// What a stream remembers of idempotent producers (`XADD ... IDMP`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Idempotence {
    /// How long an ID of a producer's is remembered.
    pub duration: Duration,
    /// How many IDs of a producer are.
    pub max_ids: u64,
    /// Producers that are remembered.
    pub producers: u64,
    /// Their IDs that are remembered.
    pub ids: u64,
    /// IDs that were ever added.
    pub ids_added: u64,
    /// Entries that were not added, since their ID was remembered.
    pub duplicates: u64,
}

impl StreamState {
    /// A stream of so many entries, of which nothing else is known.
    #[must_use]
    pub(crate) fn of_length(length: u64) -> Self {
        Self {
            length,
            radix_tree_keys: None,
            radix_tree_nodes: None,
            last_generated_id: None,
            max_deleted_entry_id: None,
            entries_added: None,
            first_entry_id: None,
            first_entry_bytes: 0,
            groups: NameMap::default(),
            unwatched_groups: 0,
            idempotence: None,
        }
    }

    /// Its consumer groups, watched or not.
    #[must_use]
    pub fn group_count(&self) -> u64 {
        u64::try_from(self.groups.len()).unwrap_or(u64::MAX).saturating_add(self.unwatched_groups)
    }

    /// Entries that were ever removed, by whoever and however; `None` where the server does not count additions.
    #[must_use]
    pub const fn entries_removed(&self) -> Option<u64> {
        match self.entries_added {
            Some(added) => added.checked_sub(self.length),
            None => None,
        }
    }

    /// No entry before this one can be in the stream; `None` where that is not known. One that was deleted in the middle is not
    /// recognised.
    pub(crate) fn gone_before(&self) -> Option<StreamId> {
        if self.length == 0 { Some(StreamId::MAX) } else { self.first_entry_id }
    }

    /// Whether no entry of this ID can be in the stream.
    pub(crate) fn is_gone(&self, id: StreamId) -> bool {
        self.gone_before().is_some_and(|first| id < first)
    }
}

impl Snapshot {
    /// How many entries the stream has, where that is known.
    #[must_use]
    pub fn length(&self, stream: &Name) -> Option<u64> {
        let state = self.streams.get(stream).and_then(|state| state.as_ref().ok());
        state.map(|state| state.length).or_else(|| self.lengths.get(stream).copied())
    }

    /// Takes over the heads of pending lists that the first reading did not have.
    pub(crate) fn learn(&mut self, answers: &Answers) {
        for (stream, group, answer) in answers.iter() {
            let Finding::PendingSample(head, _) = answer else { continue };
            let Some(Ok(state)) = self.streams.get_mut(stream) else { continue };
            if let Some(group) = state.groups.get_mut(group)
                && group.oldest_pending == Pending::Unknown
            {
                group.oldest_pending = *head;
            }
        }
    }
}

/// A consumer group of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupState {
    /// The last entry that was delivered to any of its consumers.
    pub last_delivered_id: StreamId,
    /// Redis's own count of entries read; nil for groups that began in mid-stream. Redis 7.0 and later.
    pub entries_read: Option<i64>,
    /// Entries that were delivered and not acknowledged.
    pub pending: u64,
    /// Of those, entries that were given back (`XNACK`) and that no consumer holds. Redis 8.8 and later.
    pub nacked: Option<u64>,
    /// The first of them by ID.
    pub oldest_pending: Pending,
    /// How many consumers there are.
    pub consumer_count: u64,
    /// Consumers by their pending entries, most first, then by name; as many as the configuration lists.
    ///
    /// Empty where the consumers were not read, and then [`Self::unlisted_pending`] is `None`.
    pub consumers: Box<[ConsumerState]>,
    /// How long ago the consumers were read, where that is not done at each poll; `None` where it is, and where it never was.
    ///
    /// All that is said of consumers but their number is of that moment. What somebody's activity since then has refuted is
    /// unknown.
    pub consumers_age: Option<Millis>,
    /// Since the consumer that was active last tried to read, claim or acknowledge; `None` where there is none too.
    pub least_idle: Option<Millis>,
    /// Consumers, listed or not, that hold pending entries and have been idle or inactive for too long.
    pub stuck_consumers: Option<NonMaxU64>,
    /// The pending entries of all consumers that are not listed, added up.
    pub unlisted_pending: Option<NonMaxU64>,
    /// The pending entries of the consumer, listed or not, that has the most; zero without consumers.
    pub most_pending: Option<NonMaxU64>,
}

impl GroupState {
    /// Whether every consumer was read at this poll, and is listed.
    #[must_use]
    pub(crate) fn has_all_consumers(&self) -> bool {
        // As they were at an earlier poll they say nothing of what happened since.
        self.consumers_age.is_none_or(|age| age == Millis::ZERO)
            && u64::try_from(self.consumers.len()) == Ok(self.consumer_count)
    }

    /// A group with this position, of which nothing else is known and nothing is pending.
    #[must_use]
    pub(crate) fn at(last_delivered_id: StreamId) -> Self {
        Self {
            last_delivered_id,
            entries_read: None,
            pending: 0,
            nacked: None,
            oldest_pending: Pending::None,
            consumer_count: 0,
            consumers: Box::default(),
            consumers_age: None,
            least_idle: None,
            stuck_consumers: None,
            unlisted_pending: None,
            most_pending: None,
        }
    }
}

/// A consumer of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsumerState {
    /// The consumer's name.
    pub name: Name,
    /// Entries that were delivered to it and that it did not acknowledge.
    pub pending: u64,
    /// Since it last tried to read, claim or acknowledge; `None` without the server's time.
    pub idle: Option<Millis>,
    /// Since it last was given an entry; `None` before Redis 7.2 and where it never was given any.
    pub inactive: Option<Millis>,
}
