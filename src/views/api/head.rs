//! What every document of the API begins with.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::values::Word;
use crate::{
    evaluate::Health,
    model::{Flavour, PrimaryLink, Reason, Role},
};

/// Goes up when a field is taken away or changes its meaning; new fields may come at any time.
pub const SCHEMA_VERSION: u32 = 1;

/// What every answer begins with: who answers, and how fresh what it says is.
#[derive(Debug, Serialize, Deserialize)]
pub struct Head<'a> {
    /// [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// Who answers.
    pub sidecar: SidecarDocument<'a>,
    /// Which Redis it is, for people: the configuration's `name`, else host, port and database; `null` where that is not known.
    pub name: Option<Cow<'a, str>>,
    /// The server that was read; `null` before the first reading.
    pub server: Option<ServerDocument<'a>>,
    /// The database, as the metrics' `db` label has it; `null` before the first reading.
    pub database: Option<Cow<'a, str>>,
    /// Where the polls stand.
    pub poll: PollDocument<'a>,
    /// The worst health of all streams, and how many there are of each.
    pub summary: Summary,
    /// How far back a judgement looks.
    pub window_seconds: f64,
    /// How long before the reading the samples of all histories were taken, the oldest first.
    pub history_ages_seconds: Vec<f64>,
}

/// The sidecar itself.
#[derive(Debug, Serialize, Deserialize)]
pub struct SidecarDocument<'a> {
    /// Its version.
    pub version: Cow<'a, str>,
    /// `false` where it is switched off and touches no Redis.
    pub enabled: bool,
}

/// The server that was read.
#[derive(Debug, Serialize, Deserialize)]
pub struct ServerDocument<'a> {
    /// `redis` or `valkey`.
    pub flavour: Word<Flavour>,
    /// Its version.
    pub version: Option<Cow<'a, str>>,
    /// `master` or `replica`.
    pub role: Option<Word<Role>>,
    /// A replica's link to its primary: `up`, or `unknown` where the user may not ask; `None` for a primary. Numbers of a
    /// replica whose link is down are not shown: the poll fails.
    pub primary_link: Option<Word<PrimaryLink>>,
    /// `standalone`, `cluster` or `sentinel`.
    pub mode: Option<Cow<'a, str>>,
}

/// Where the polls stand.
#[derive(Debug, Serialize, Deserialize)]
pub struct PollDocument<'a> {
    /// Whether the last poll succeeded; `null` before the first has ended.
    pub up: Option<bool>,
    /// Between two polls.
    pub interval_seconds: f64,
    /// The age past which a reading is stale.
    pub stale_after_seconds: f64,
    /// When the reading was made, by the sidecar's clock.
    pub last_success_unix_ms: Option<u64>,
    /// Its age when this was answered.
    pub age_seconds: Option<f64>,
    /// Whether it is too old to be relied upon. All healths and statuses are `unknown` then, and the numbers are
    /// those of the reading.
    pub stale: bool,
    /// Since when.
    pub stale_since_unix_ms: Option<u64>,
    /// Why the last poll failed, if it did: a reason of the closed set that the metrics use.
    pub last_failure: Option<Word<Reason>>,
    /// Since when it is so, by the sidecar's clock, where the server says: when a replica's link went down.
    pub last_failure_since_unix_ms: Option<u64>,
    /// How far the reading's ages may be off, since the server's clock is not asked at each poll; `None` without a clock.
    pub clock_error_seconds: Option<f64>,
    /// The server's own words, where they tell more than the reason: which quota is used up.
    pub last_failure_words: Option<Cow<'a, str>>,
}

/// All streams in short.
#[derive(Debug, Serialize, Deserialize)]
pub struct Summary {
    /// The worst; `unknown` where nothing was read.
    pub health: Word<Health>,
    /// Streams that are healthy.
    pub healthy: u64,
    /// Streams that someone should look at.
    pub warning: u64,
    /// Streams that someone should look at now.
    pub critical: u64,
    /// Streams of which it is not known.
    pub unknown: u64,
}
