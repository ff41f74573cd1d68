//! Faults of a server as a whole.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::{
    values::{milliseconds, seconds},
    word::Word,
};
use crate::{
    evaluate::{Health, SeenFault, ServerFault},
    model::Snapshot,
    reading::Reading,
};

/// A fault of a server whose streams can be read: it refuses writes, may delete streams, or has lost them. Or fewer streams are found than before.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "Fault"))]
pub struct FaultDocument<'a> {
    /// The primary of the cluster; `null` for a server that is not in cluster mode, and for a fault of no single one.
    pub node: Option<Cow<'a, str>>,
    /// `critical` if writes are certainly refused, else `warning`.
    pub health: Word<Health>,
    /// When the sidecar first saw it, by its own clock: at the first of the readings in a row that show it. The fault may be older
    /// than that, above all if the sidecar started later. `null` where Redis is read once, as by `streamwarden status`.
    #[serde(default)]
    pub seen_since_unix_ms: Option<u64>,
    /// The fault, in a sentence with its numbers.
    pub reason: String,
    /// The same as a kind with its numbers.
    #[serde(skip_deserializing)]
    pub cause: Option<FaultCauseDocument<'a>>,
}

/// The kind of a fault.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "FaultCause"))]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum FaultCauseDocument<'a> {
    /// Writes are refused (`OOM`): memory is above `maxmemory`, and nothing may be evicted. Trims still work.
    OutOfMemory {
        /// The memory in use that counts against `maxmemory`.
        used_bytes: u64,
        /// `maxmemory`.
        limit_bytes: u64,
    },
    /// Writes are refused (`MISCONF`): the last write to the append-only file failed.
    AppendOnlyFileFails,
    /// The last RDB snapshot failed. Writes are refused (`MISCONF`) unless `stop-writes-on-bgsave-error` is `no` or no snapshots are
    /// configured; `INFO` does not say.
    SnapshotFails,
    /// Writes are refused (`NOREPLICAS`): `min-replicas-to-write` is set, and no replica is connected.
    NoReplicas,
    /// Memory is nearly full, and the server may evict any key then, a whole stream too.
    Eviction {
        /// `maxmemory-policy`.
        policy: Cow<'a, str>,
        /// The memory in use that counts against `maxmemory`.
        used_bytes: u64,
        /// `maxmemory`.
        limit_bytes: u64,
    },
    /// At least half of its streams, and more than one, were recreated or rolled back within `status.window`.
    StreamsRecreated {
        /// Number of these streams.
        recreated: u64,
        /// Number of its streams that could be read.
        streams: u64,
        /// How long ago another process was noticed at its address, if that was within the hour; else `null`, and where Redis does not
        /// say.
        restarted_seconds: Option<f64>,
    },
    /// The last search for streams found less than half of what one found within the last hours. The numbers are without the streams
    /// that the configuration names.
    StreamsVanished {
        /// Number of streams that it found.
        found: u64,
        /// The most that a search found within that time.
        before: u64,
        /// That time.
        within_seconds: f64,
    },
}

/// The faults of this reading.
pub(super) fn faults(reading: &Reading) -> impl Iterator<Item = FaultDocument<'_>> {
    let Snapshot { nodes, cluster, .. } = &*reading.snapshot;
    reading.faults.iter().map(move |SeenFault { fault, node, seen_since }| FaultDocument {
        node: node
            .and_then(|node| nodes.get(node))
            .filter(|_| cluster.is_some())
            .map(|node| node.address.as_str().into()),
        health: fault.health().into(),
        seen_since_unix_ms: seen_since.map(milliseconds),
        reason: fault.to_string(),
        cause: Some(fault.clone().into()),
    })
}

impl From<ServerFault> for FaultCauseDocument<'_> {
    fn from(fault: ServerFault) -> Self {
        match fault {
            ServerFault::OutOfMemory { used, limit } => {
                Self::OutOfMemory { used_bytes: used, limit_bytes: limit }
            }
            ServerFault::LogFails => Self::AppendOnlyFileFails,
            ServerFault::SnapshotFails => Self::SnapshotFails,
            ServerFault::NoReplicas => Self::NoReplicas,
            ServerFault::Eviction { policy, used, limit } => Self::Eviction {
                policy: policy.as_str().to_owned().into(),
                used_bytes: used,
                limit_bytes: limit,
            },
            ServerFault::Recreated { recreated, streams, restarted } => {
                Self::StreamsRecreated { recreated, streams, restarted_seconds: restarted.map(seconds) }
            }
            ServerFault::Vanished { found, before, within } => {
                Self::StreamsVanished { found, before, within_seconds: seconds(within) }
            }
        }
    }
}
