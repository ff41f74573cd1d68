//! What is asked of a server once, before it is trusted: beyond what a poll reads.

use std::{collections::BTreeMap, time::Duration};

use super::{Failure, Method, Name, Server, Text, Tried};

/// What a server said of itself. What it refused to say is a failure, with the reason.
#[derive(Debug, Clone)]
pub struct Facts {
    /// Who answered.
    pub server: Server,
    /// Whether it speaks RESP3, or only RESP2.
    pub is_resp3: bool,
    /// How long it took to answer `TIME`, several times.
    pub round_trips: Vec<Duration>,
    /// How far its clock is ahead of this machine's.
    pub clock: Result<ClockSkew, Failure>,
    /// Whether reading can be kept from making keys look used.
    pub no_touch: Result<(), Failure>,
    /// Parts of `INFO`.
    pub info: BTreeMap<Section, Result<Info, Failure>>,
    /// Settings, as `CONFIG GET` tells them.
    pub settings: BTreeMap<Setting, Result<Text, Failure>>,
}

impl Facts {
    /// A part of `INFO`.
    ///
    /// # Errors
    /// Why it is not known.
    pub fn info(&self, section: Section) -> Result<&Info, Failure> {
        self.info.get(&section).map_or_else(|| Err(not_asked()), |info| info.as_ref().map_err(Clone::clone))
    }

    /// A setting.
    ///
    /// # Errors
    /// Why it is not known.
    pub fn setting(&self, setting: Setting) -> Result<&str, Failure> {
        self.settings
            .get(&setting)
            .map_or_else(|| Err(not_asked()), |value| value.as_ref().map(Text::as_str).map_err(Clone::clone))
    }

    /// A setting that is a number.
    ///
    /// # Errors
    /// Why it is not known.
    pub fn number(&self, setting: Setting) -> Result<u64, Failure> {
        let unexpected = |_not_a_number| Failure::new(super::Reason::UnexpectedReply, "not a number");
        self.setting(setting)?.parse().map_err(unexpected)
    }
}

fn not_asked() -> Failure {
    Failure::new(super::Reason::Other, "it was not asked")
}

/// How far one clock is ahead of another: positive where the server's is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClockSkew {
    /// In milliseconds.
    pub ms: i64,
    /// Half the round trip: it may be off by so much.
    pub error: Duration,
}

/// A part of `INFO`, its fields by name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Info(pub BTreeMap<String, Text>);

impl Info {
    /// A field.
    #[must_use]
    pub fn get(&self, field: &str) -> Option<&str> {
        self.0.get(field).map(Text::as_str)
    }

    /// A field that is a number.
    #[must_use]
    pub fn number(&self, field: &str) -> Option<u64> {
        self.get(field)?.parse().ok()
    }
}

/// The parts of `INFO` that are asked for, one by one: old servers refuse several.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Section {
    /// `maxmemory` and what is used of it.
    Memory,
    /// Snapshots and the log of writes.
    Persistence,
    /// The role, and who replicates whom.
    Replication,
    /// Calls by command.
    CommandStats,
    /// Among others, how many commands there were.
    Stats,
}

impl Section {
    /// Those that `doctor` asks for.
    pub const ALL: [Self; 3] = [Self::Memory, Self::Persistence, Self::Replication];

    /// Its name, as `INFO` takes it.
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

/// The settings that are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Setting {
    /// When snapshots are taken; empty for never.
    Save,
    /// When the log of writes reaches the disk.
    AppendFsync,
    /// Whether a snapshot that failed stops all writes.
    StopWrites,
    /// Entries that a node of a stream may hold; 0 for no bound.
    NodeMaxEntries,
    /// Bytes that a node of a stream may hold; 0 for no bound.
    NodeMaxBytes,
    /// Replicas without which nothing is written.
    MinReplicas,
    /// How much may wait to be sent to a client before it is closed, by the class of client.
    OutputLimit,
    /// How much all clients may take before the largest are closed.
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

    /// Its name, as `CONFIG GET` takes it.
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

/// What the user may do, and which streams go away by themselves: asked once the streams are known.
#[derive(Debug, Clone)]
pub struct Rights {
    /// What the configuration needs, and whether it is permitted.
    pub tried: Result<Vec<Tried>, Failure>,
    /// How that was found out.
    pub method: Method,
    /// The streams that expire, with the time that they have left.
    pub expiring: Result<BTreeMap<Name, Duration>, Failure>,
}
