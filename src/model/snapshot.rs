//! The result of one poll: what Redis reported.

use std::{collections::BTreeMap, time::Duration};

use nonmax::NonMaxU64;

use super::{Answers, Condition, Failure, Finding, Millis, Name, NameMap, Pending, Role, StreamId, Text};

/// Everything that one poll read.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// The servers that were read: one, or each primary of a cluster. Never empty.
    pub nodes: Vec<Node>,
    /// For each of [`Self::streams`], in their order, which of the nodes has it; beyond them if none has. Empty if there
    /// is only one node.
    pub placement: Box<[NodeIndex]>,
    /// The cluster, if the server is part of one that is read as a whole.
    pub cluster: Option<Box<ClusterState>>,
    /// The address that was read, without credentials.
    pub place: Text,
    /// The data set that was requested: its address or service, and database. Another one has other streams.
    pub source: String,
    /// The number of the database.
    pub database: i64,
    /// Each stream that exists, by name, or why it could not be read.
    ///
    /// A stream that does not exist is missing here. If the configuration names it, it is present with
    /// [`Reason::NoKey`](super::Reason::NoKey).
    pub streams: NameMap<Result<StreamState, Failure>>,
    /// Number of streams that match a pattern but whose keys the user may not read. [`Self::streams`] lacks them.
    pub forbidden: usize,
    /// Lengths of streams that could not be read in full, where the length is known.
    pub lengths: BTreeMap<Name, u64>,
    /// Last entries, newest first, of those streams whose last entries are read.
    pub last_entries: BTreeMap<Name, Vec<EntryHead>>,
}

/// A server that was read: the only one, or a primary of a cluster.
#[derive(Debug, Clone)]
pub struct Node {
    /// Its address, without credentials.
    pub address: Text,
    /// What it says of itself; unknown if it has never answered.
    pub server: Server,
    /// The source of its part of the reading, as far as it is known. If it did not answer, that of its last answer.
    pub origin: Origin,
    /// Whether it accepts writes, as of the last check of its role. Unknown to users without permission for `INFO`.
    pub condition: Condition,
    /// Its clock at the start of the poll. Without permission for `TIME` no age is known.
    pub time: Result<Now, Failure>,
    /// How long its part of the poll took.
    pub took: Duration,
    /// Why it did not answer. Its streams are then [`Reason::Unreachable`](super::Reason::Unreachable).
    pub failure: Option<Failure>,
}

/// The place of a node in [`Snapshot::nodes`].
pub type NodeIndex = u16;

/// A cluster, as one of its nodes describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterState {
    /// Slots without a node that serves them.
    pub unserved_slots: usize,
    /// How long ago a node described it.
    pub topology_age: Duration,
    /// For each of [`Snapshot::nodes`], the number of slots that it owns.
    pub slots: Box<[usize]>,
}

/// The source of a reading.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Origin {
    /// Number of the sidecar's connection, unique in the process. A different number may mean a different server.
    pub connection: u64,
    /// The server's process, a comma, its role and the database; `None` where the server does not report all of them.
    pub process: Option<String>,
}

impl Origin {
    /// Whether both certainly hold the same data: one connection, or one process in one role.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        self.connection == other.connection || (self.process.is_some() && self.process == other.process)
    }

    /// Whether they are certainly two processes.
    #[must_use]
    pub fn is_another_process(&self, other: &Self) -> bool {
        let run_id = |origin: &Self| origin.process.as_deref()?.split(',').next().map(str::to_owned);
        run_id(self).zip(run_id(other)).is_some_and(|(one, other)| one != other)
    }

    /// Whether they are certainly two processes, or one in two roles.
    #[must_use]
    pub fn is_another(&self, other: &Self) -> bool {
        !self.is_same(other) && self.process.is_some() && other.process.is_some()
    }
}

/// What is kept of an entry: its ID and type, never its contents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntryHead {
    /// The entry's ID.
    pub id: StreamId,
    /// The value of the field that the configuration names as the type; `None` where the entry has no such field.
    pub kind: Option<Name>,
}

/// The server that answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// Redis, Valkey or Upstash. Others are taken for the Redis that they imitate.
    pub flavour: Flavour,
    /// `major.minor.patch` of the flavour; `None` where the server does not report it or the user may not ask.
    pub version: Option<(u16, u16, u16)>,
    /// The role in replication; `None` where the server does not report it or the user may not ask.
    pub role: Option<Role>,
    /// `standalone`, `cluster` or `sentinel`, as the server reports it.
    pub mode: Option<Text>,
}

impl Server {
    /// A server of which nothing is known.
    pub const UNKNOWN: Self = Self { flavour: Flavour::Redis, version: None, role: None, mode: None };

    /// Whether it is a node of a cluster.
    #[must_use]
    pub fn is_of_cluster(&self) -> bool {
        self.mode.as_deref() == Some("cluster")
    }

    /// The version as text, if it is known.
    #[must_use]
    pub fn version_text(&self) -> Option<String> {
        self.version.map(|(major, minor, patch)| format!("{major}.{minor}.{patch}"))
    }
}

/// Families of servers whose streams behave differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flavour {
    /// Redis, or a server that claims to be Redis.
    Redis,
    /// Valkey.
    Valkey,
    /// Upstash, which is not built on Redis but reports a version of Redis.
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

/// A point in time on the server's clock, in milliseconds since the Unix epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ServerTime(pub u64);

impl ServerTime {
    /// Time elapsed since `ms`; zero where `ms` is in the future, as after a failover to a server with another
    /// clock.
    #[must_use]
    pub const fn since(self, ms: u64) -> Millis {
        Millis::new(self.0.saturating_sub(ms))
    }
}

/// The time on the server's clock, read or estimated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// The time.
    pub time: ServerTime,
    /// Maximum error, in either direction; zero where the clock was read.
    pub error: Duration,
}

impl Now {
    /// A time that was read from the server.
    #[must_use]
    pub const fn exactly(time: ServerTime) -> Self {
        Self { time, error: Duration::ZERO }
    }
}

/// A stream, as `XINFO STREAM key FULL` reports it. `None` marks what this server or this read strategy does not
/// report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamState {
    /// Number of entries.
    pub length: u64,
    /// Keys of the radix tree that holds the entries; each key is a node of entries.
    pub radix_tree_keys: Option<u64>,
    /// Nodes of the radix tree.
    pub radix_tree_nodes: Option<u64>,
    /// The greatest ID that was ever added, even if that entry is deleted.
    pub last_generated_id: Option<StreamId>,
    /// The greatest ID that `XDEL` removed; `0-0` if there was no deletion. Redis 7.0 and later.
    pub max_deleted_entry_id: Option<StreamId>,
    /// Entries ever added. Redis 7.0 and later.
    pub entries_added: Option<u64>,
    /// The oldest entry that still exists; also `None` for an empty stream.
    pub first_entry_id: Option<StreamId>,
    /// Size of that entry in bytes. It is used to estimate the size of a range of entries.
    pub first_entry_bytes: u64,
    /// The watched consumer groups, by name: those that the configuration names, and others up to its limit.
    pub groups: NameMap<GroupState>,
    /// Number of groups beyond the limit, which are not watched.
    pub unwatched_groups: u64,
    /// What the stream remembers of its producers, to add no entry twice. Redis 8.6 and later. Boxed, since few
    /// streams have it.
    pub idempotence: Option<Box<Idempotence>>,
}

/// What a stream remembers of idempotent producers (`XADD ... IDMP`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Idempotence {
    /// How long a producer's ID is remembered.
    pub duration: Duration,
    /// Maximum remembered IDs of one producer.
    pub max_ids: u64,
    /// Remembered producers.
    pub producers: u64,
    /// Remembered IDs of all producers.
    pub ids: u64,
    /// IDs ever added.
    pub ids_added: u64,
    /// Entries that were refused because their ID was remembered.
    pub duplicates: u64,
}

impl StreamState {
    /// A stream of this length, of which nothing else is known.
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

    /// Number of its consumer groups, watched or not.
    #[must_use]
    pub fn group_count(&self) -> u64 {
        u64::try_from(self.groups.len()).unwrap_or(u64::MAX).saturating_add(self.unwatched_groups)
    }

    /// Pending entries of all groups; `None` if some groups are not watched.
    #[must_use]
    pub fn pending(&self) -> Option<u64> {
        let pending = self.groups.values().map(|group| group.pending);
        (self.unwatched_groups == 0).then(|| pending.fold(0, u64::saturating_add))
    }

    /// Entries ever removed, by anyone and in any way; `None` where the server does not count additions.
    #[must_use]
    pub const fn entries_removed(&self) -> Option<u64> {
        match self.entries_added {
            Some(added) => added.checked_sub(self.length),
            None => None,
        }
    }

    /// No entry before this ID exists; `None` where that is unknown. Gaps in the middle are not covered.
    pub(crate) fn gone_before(&self) -> Option<StreamId> {
        if self.length == 0 { Some(StreamId::MAX) } else { self.first_entry_id }
    }

    /// Whether the entry with this ID certainly no longer exists.
    pub(crate) fn is_gone(&self, id: StreamId) -> bool {
        self.gone_before().is_some_and(|first| id < first)
    }
}

impl Snapshot {
    /// The server that was read. Of a cluster, the first node that answered: all have the same flavour, and usually the same version.
    #[must_use]
    pub fn server(&self) -> &Server {
        let answered = self.nodes.iter().find(|node| node.failure.is_none());
        answered.or(self.nodes.first()).map_or(&Server::UNKNOWN, |node| &node.server)
    }

    /// For each stream, in their order, the node that has it.
    pub fn nodes_of_streams(&self) -> impl Iterator<Item = NodeIndex> {
        let elsewhere = self.placement.iter().copied();
        elsewhere.chain(std::iter::repeat(0)).take(self.streams.len())
    }

    /// The node that has the stream.
    #[must_use]
    pub fn node_of(&self, stream: &Name) -> Option<&Node> {
        let index = self.streams.position(stream)?;
        self.node(self.placement.get(index).copied().unwrap_or_default())
    }

    /// This node.
    #[must_use]
    pub fn node(&self, index: NodeIndex) -> Option<&Node> {
        self.nodes.get(usize::from(index))
    }

    /// The greatest error of the nodes' clocks; `None` if no clock is known.
    #[must_use]
    pub fn clock_error(&self) -> Option<Duration> {
        self.nodes.iter().filter_map(|node| Some(node.time.as_ref().ok()?.error)).max()
    }

    /// The length of a stream, if it is known.
    #[must_use]
    pub fn length(&self, stream: &Name) -> Option<u64> {
        match self.streams.get(stream) {
            Some(Ok(state)) => Some(state.length),
            _ => self.lengths.get(stream).copied(),
        }
    }

    /// Adds streams that were not found, at no node.
    pub(crate) fn add_unread(&mut self, unread: impl Iterator<Item = (Name, Failure)>) {
        let nodes: Vec<NodeIndex> = self.nodes_of_streams().collect();
        let read = std::mem::take(&mut self.streams).into_iter().zip(nodes);
        let unread = unread.map(|(name, failure)| ((name, Err(failure)), NodeIndex::MAX));
        let mut all: Vec<_> = read.chain(unread).collect();
        all.sort_by(|((one, _), _), ((other, _), _)| one.cmp(other));
        self.placement = all.iter().map(|(_, node)| *node).collect();
        self.streams = all.into_iter().map(|(stream, _)| stream).collect();
    }

    /// Takes over the heads of pending lists that the first reading lacks.
    pub(crate) fn add_pending_heads(&mut self, answers: &Answers) {
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
    /// Redis's own count of entries read; `None` for groups that were created in mid-stream. Redis 7.0 and later.
    pub entries_read: Option<i64>,
    /// Entries that were delivered but not acknowledged.
    pub pending: u64,
    /// Those of them that a consumer has released (`XNACK`) and that no consumer owns. Redis 8.8 and later.
    pub nacked: Option<u64>,
    /// The first pending entry by ID.
    pub oldest_pending: Pending,
    /// Number of consumers.
    pub consumer_count: u64,
    /// Consumers with the most pending entries first, then by name; up to the configured limit.
    ///
    /// Empty where the consumers were not read. [`Self::unlisted_pending`] is `None` then.
    pub consumers: Box<[ConsumerState]>,
    /// Age of the data about consumers, where it is not read at each poll. `None` where it is, or where it was
    /// never read.
    ///
    /// Everything about consumers except their number is that old. A value that later activity contradicts is `None`.
    pub consumers_age: Option<Millis>,
    /// Time since any consumer last tried to read, claim or acknowledge; also `None` without consumers.
    pub least_idle: Option<Millis>,
    /// Consumers, listed or not, that own pending entries and have been idle or inactive for too long.
    pub stuck_consumers: Option<NonMaxU64>,
    /// Sum of the pending entries of all consumers that are not listed.
    pub unlisted_pending: Option<NonMaxU64>,
    /// The most pending entries that any consumer owns, listed or not; zero without consumers.
    pub most_pending: Option<NonMaxU64>,
}

impl GroupState {
    /// Whether this poll read all consumers and lists all of them.
    #[must_use]
    pub(crate) fn has_all_consumers(&self) -> bool {
        // Consumers as of an earlier poll reveal nothing about what happened since.
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
    /// Entries that were delivered to it and that it has not acknowledged.
    pub pending: u64,
    /// Time since it last tried to read, claim or acknowledge; `None` where the server's time is unknown.
    pub idle: Option<Millis>,
    /// Time since it last received an entry; `None` before Redis 7.2, and where it never received one.
    pub inactive: Option<Millis>,
}
