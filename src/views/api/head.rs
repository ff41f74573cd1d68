//! What every document of the API begins with.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::{FaultDocument, word::Word};
use crate::{
    evaluate::Health,
    model::{Flavour, PrimaryLink, Reason, Role},
};

/// Increases when a field is removed or changes its meaning; fields may be added at any time.
pub const SCHEMA_VERSION: u32 = 1;

/// The common part of all documents: which sidecar answers, and how fresh its reading is.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "Head"))]
pub struct Head<'a> {
    /// Increases when a field is removed or changes its meaning; fields may be added at any time.
    #[cfg_attr(feature = "schema", schemars(extend("const" = SCHEMA_VERSION)))]
    pub schema_version: u32,
    /// The sidecar that answers.
    pub sidecar: SidecarDocument<'a>,
    /// Which Redis it is, for people: the configuration's `name`, else host, port and database; `null` where unknown.
    pub name: Option<Cow<'a, str>>,
    /// The server that was read; `null` before the first reading.
    pub server: Option<ServerDocument<'a>>,
    /// The database, as the metrics' `db` label has it; `null` before the first reading.
    pub database: Option<Cow<'a, str>>,
    /// The cluster; `null` for a server that is not in cluster mode, and before the first reading.
    pub cluster: Option<ClusterDocument<'a>>,
    /// Faults of the server, or of primaries of the cluster, that nothing in the streams shows. Empty without any, where the reading is
    /// stale, and where the user may not run `INFO`.
    #[serde(default)]
    pub faults: Vec<FaultDocument<'a>>,
    /// The state of the polls.
    pub poll: PollDocument<'a>,
    /// The worst health of all streams and faults, and how many streams have each health.
    pub summary: Summary,
    /// How far back statuses look.
    pub window_seconds: f64,
    /// How far back rates look: each is an average over this time, or since the first reading where that is later.
    #[serde(default)]
    pub rate_window_seconds: f64,
    /// Ages of the samples of all histories at the time of the reading, the oldest first. A shorter history has the last of them.
    pub history_ages_seconds: Vec<f64>,
}

/// The sidecar that answers.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "Sidecar"))]
pub struct SidecarDocument<'a> {
    /// The sidecar's version.
    pub version: Cow<'a, str>,
    /// `false` where it is switched off and does not connect to Redis.
    pub enabled: bool,
}

/// The server that was read.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "Server"))]
pub struct ServerDocument<'a> {
    /// The family of servers.
    pub flavour: Word<Flavour>,
    /// The server's version, `major.minor.patch`.
    pub version: Option<Cow<'a, str>>,
    /// Its role in replication.
    pub role: Option<Word<Role>>,
    /// A replica's link to its primary; `unknown` where the user may run neither `INFO` nor `ROLE`; `null` for a primary. The
    /// poll of a replica whose link is down fails.
    pub primary_link: Option<Word<PrimaryLink>>,
    /// `standalone`, `cluster` or `sentinel`.
    pub mode: Option<Cow<'a, str>>,
}

/// A cluster, of which all primaries are read.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "Cluster"))]
pub struct ClusterDocument<'a> {
    /// Slots without a primary, or whose primary the cluster considers failed; `null` while the last poll failed or the reading is
    /// stale.
    pub slots_unserved: Option<u64>,
    /// Age of the topology at the time of the reading: which primary owns which slots.
    pub topology_age_seconds: f64,
    /// The primaries, by address.
    pub nodes: Vec<NodeDocument<'a>>,
}

/// A primary of the cluster.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "Node"))]
pub struct NodeDocument<'a> {
    /// Its address, as the cluster announces it or as `redis.cluster_address_map` replaces it: the metrics' `node` label.
    pub address: Cow<'a, str>,
    /// Whether it answered the last poll; `null` while the last poll failed as a whole or the reading is stale.
    pub up: Option<bool>,
    /// Why it did not answer: a value of the metrics' `reason` label.
    pub failure: Option<Word<Reason>>,
    /// Since when it has not answered, by the sidecar's clock.
    pub failure_since_unix_ms: Option<u64>,
    /// Its version, `major.minor.patch`.
    pub version: Option<Cow<'a, str>>,
    /// Its role in replication.
    pub role: Option<Word<Role>>,
    /// How long its part of the poll took; `null` if it did not answer.
    pub poll_duration_seconds: Option<f64>,
    /// Slots that it owns.
    pub slots: u64,
    /// Watched streams in its slots, whether they could be read or not.
    pub streams: u64,
}

/// The state of the polls.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "Poll"))]
pub struct PollDocument<'a> {
    /// Whether the last poll succeeded; `null` before the first has ended.
    pub up: Option<bool>,
    /// Time between two polls.
    pub interval_seconds: f64,
    /// The age from which a reading is stale.
    pub stale_after_seconds: f64,
    /// When the reading was made, by the sidecar's clock.
    pub last_success_unix_ms: Option<u64>,
    /// The reading's age at the time of this answer.
    pub age_seconds: Option<f64>,
    /// Whether the reading is too old to rely on. Then all healths and statuses are `unknown`, and the numbers are still those
    /// of the reading.
    pub stale: bool,
    /// When the reading became stale.
    pub stale_since_unix_ms: Option<u64>,
    /// Why the last poll failed, if it did: a value of the metrics' `reason` label.
    pub last_failure: Option<Word<Reason>>,
    /// When the cause of the failure began, by the sidecar's clock, where the server reports it: when a replica's link went down.
    pub last_failure_since_unix_ms: Option<u64>,
    /// The greatest error of all ages: more than 0 where `redis.billed_by_command` estimates the server's clock from an earlier
    /// answer; `null` where its clock is unknown.
    pub clock_error_seconds: Option<f64>,
    /// The server's own error message, where it has more than the reason: which quota is used up.
    pub last_failure_words: Option<Cow<'a, str>>,
}

/// How many streams have each health.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "Summary"))]
pub struct Summary {
    /// The worst health of all streams and of the server's `faults`; `unknown` where nothing was read.
    pub health: Word<Health>,
    /// Healthy streams. Streams stay healthy while the server refuses writes; `health` and `faults` have that.
    pub healthy: u64,
    /// Streams that someone should look at.
    pub warning: u64,
    /// Streams that someone should look at now.
    pub critical: u64,
    /// Streams whose health is unknown.
    pub unknown: u64,
}
