//! What `doctor` reads of a server beyond what a poll reads.

use std::{collections::BTreeMap, time::Duration};

use super::{Failure, Info, Method, Name, NodeAddress, Server, SlotRanges, Text, Tried};

/// What a server reports about itself. A fact that it refuses to report is a failure, with the reason.
#[derive(Debug, Clone)]
pub struct Facts {
    /// Flavour, version and role.
    pub server: Server,
    /// Whether it speaks RESP3, or only RESP2.
    pub is_resp3: bool,
    /// Round trips of several `TIME` commands.
    pub round_trips: Vec<Duration>,
    /// How far its clock is ahead of this machine's.
    pub clock: Result<ClockSkew, Failure>,
    /// Whether the connection can read keys without updating their last access time (`CLIENT NO-TOUCH`).
    pub no_touch: Result<(), Failure>,
    /// Sections of `INFO`.
    pub info: BTreeMap<Section, Result<Info, Failure>>,
    /// Settings, as `CONFIG GET` reports them.
    pub settings: BTreeMap<Setting, Result<Text, Failure>>,
}

impl Facts {
    /// A section of `INFO`.
    ///
    /// # Errors
    /// The reason why it is unknown.
    pub fn info(&self, section: Section) -> Result<&Info, Failure> {
        known(self.info.get(&section))
    }

    /// A setting.
    ///
    /// # Errors
    /// The reason why it is unknown.
    pub fn setting(&self, setting: Setting) -> Result<&str, Failure> {
        known(self.settings.get(&setting)).map(Text::as_str)
    }

    /// A numeric setting.
    ///
    /// # Errors
    /// The reason why it is unknown.
    pub fn number(&self, setting: Setting) -> Result<u64, Failure> {
        let unexpected = |_not_a_number| Failure::new(super::Reason::UnexpectedReply, "not a number");
        self.setting(setting)?.parse().map_err(unexpected)
    }
}

/// Why no sidecar ever takes the retention lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StuckLease {
    /// Its key has no time to live, which a sidecar sets with it.
    NeverExpires,
    /// Its key holds something else, perhaps a stream.
    IsNoLease,
}

fn known<T>(fact: Option<&Result<T, Failure>>) -> Result<&T, Failure> {
    match fact {
        Some(Ok(value)) => Ok(value),
        Some(Err(failure)) => Err(failure.clone()),
        None => Err(Failure::new(super::Reason::Other, "not read")),
    }
}

/// How far one clock is ahead of another: positive where the server's is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClockSkew {
    /// In milliseconds.
    pub ms: i64,
    /// The maximum error: half the round trip.
    pub error: Duration,
}

/// The sections of `INFO` that are read. Each takes a command of its own, since old servers accept one section a
/// command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Section {
    /// `maxmemory`, and how much of it is used.
    Memory,
    /// RDB snapshots and the append-only file.
    Persistence,
    /// The role, and the link to the primary or to the replicas.
    Replication,
    /// Calls by command.
    CommandStats,
    /// Totals, such as the number of commands processed.
    Stats,
}

impl Section {
    /// The sections that `doctor` reads.
    pub const ALL: [Self; 3] = [Self::Memory, Self::Persistence, Self::Replication];

    /// The name, as an argument of `INFO`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Persistence => "persistence",
            Self::Replication => "replication",
            Self::CommandStats => "commandstats",
            Self::Stats => "stats",
        }
    }
}

/// The settings that `doctor` reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Setting {
    /// When RDB snapshots are taken; empty for never.
    Save,
    /// When the append-only file is synced to disk.
    AppendFsync,
    /// Whether a failed RDB snapshot stops all writes.
    StopWrites,
    /// Maximum entries in a node of a stream; 0 for no limit.
    NodeMaxEntries,
    /// Maximum bytes in a node of a stream; 0 for no limit.
    NodeMaxBytes,
    /// Connected replicas without which the server accepts no writes.
    MinReplicas,
    /// Maximum output buffer of a client, by class of client. Beyond it the client is disconnected.
    OutputLimit,
    /// Maximum memory of all clients together. Beyond it the largest are disconnected.
    ClientMemory,
}

impl Setting {
    /// Every setting.
    pub const ALL: [Self; 8] = [
        Self::Save,
        Self::AppendFsync,
        Self::StopWrites,
        Self::NodeMaxEntries,
        Self::NodeMaxBytes,
        Self::MinReplicas,
        Self::OutputLimit,
        Self::ClientMemory,
    ];

    /// The name, as an argument of `CONFIG GET`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Save => "save",
            Self::AppendFsync => "appendfsync",
            Self::StopWrites => "stop-writes-on-bgsave-error",
            Self::NodeMaxEntries => "stream-node-max-entries",
            Self::NodeMaxBytes => "stream-node-max-bytes",
            Self::MinReplicas => "min-replicas-to-write",
            Self::OutputLimit => "client-output-buffer-limit",
            Self::ClientMemory => "maxmemory-clients",
        }
    }
}

/// What `doctor` finds out about a cluster.
#[derive(Debug, Clone)]
pub struct ClusterFacts {
    /// Slots without a primary, or whose primary has failed.
    pub unserved: SlotRanges,
    /// The primaries that own slots.
    pub primaries: Vec<PrimaryFacts>,
    /// The nodes of `redis.nodes`.
    pub seeds: Vec<(NodeAddress, SeedFacts)>,
}

/// A primary of a cluster.
#[derive(Debug, Clone)]
pub struct PrimaryFacts {
    /// Where it is reached.
    pub address: NodeAddress,
    /// Its replicas that are online.
    pub replicas: usize,
    /// What the user may do there, or why there is no connection.
    pub rights: Result<Rights, Failure>,
}

/// What a node of `redis.nodes` is.
#[derive(Debug, Clone)]
pub enum SeedFacts {
    /// A node of the same cluster.
    Same,
    /// A node of another cluster.
    OtherCluster,
    /// A server that is not in cluster mode.
    NoCluster,
    /// It does not answer.
    Failed(Failure),
}

/// What the user may do, and which streams expire. Read once the streams are known.
#[derive(Debug, Clone)]
pub struct Rights {
    /// The permissions that the configuration needs, and whether the user has them.
    pub tried: Result<Vec<Tried>, Failure>,
    /// How the permissions were tested.
    pub method: Method,
    /// The streams that have a time to live, and how much of it is left.
    pub expiring: Result<BTreeMap<Name, Duration>, Failure>,
}
