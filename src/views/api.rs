//! The JSON API's documents. The sidecar writes them from the last reading, the terminal reads them, and
//! `openapi.json` describes them.
//!
//! A number that is not known is `null`, never 0. Durations are in seconds, times in milliseconds since the Unix
//! epoch, IDs of entries are text. A `name` is for people to read; a `key` is the name's bytes, percent-encoded, and
//! stands for the object in paths.

mod acts;
mod cause;
mod change;
mod fault;
mod group;
mod head;
mod held;
mod help;
mod latency;
mod number;
mod pending;
mod pieces;
mod stream;
mod trim;
mod values;
mod view;
mod word;

#[cfg(test)]
mod golden_tests;

use serde::{Deserialize, Serialize};

pub use acts::{
    ActDocument, ActsDocument, ClaimRequest, DeadLetterRequest, MOST_ITEMS, ReapRequest, ReplayRequest,
};
pub use cause::{BacklogDocument, ConsumerLimitDocument, GroupCauseDocument, StreamCauseDocument};
pub use change::{ChangeDocument, ChangeHead, GroupChange, RedisState, StreamChange};
pub use fault::{FaultCauseDocument, FaultDocument};
pub use group::{ConsumerDocument, GroupDocument, GroupHistory, GroupOfStream};
pub use head::{
    ClusterDocument, Head, NodeDocument, PollDocument, SCHEMA_VERSION, ServerDocument, SidecarDocument,
    Summary,
};
pub use help::{HelpDocument, HelpKind};
pub use latency::{LatencyDocument, QuantileDocument, StageDocument};
pub use number::{GroupLagDocument, GroupLagSecondsDocument, NoNumber};
pub use pending::{PendingDocument, PendingEntryDocument};
pub use pieces::Take;
pub(crate) use stream::holds_the_lease;
pub use stream::{
    DeadLetterDocument, EntryDocument, MemoryDocument, ReapDocument, RetentionDocument, StreamDocument,
    StreamHistory, ThresholdsDocument,
};
pub use trim::{BlockedBy, LosingGroup, TrimDocument, TrimMode, TrimRequest};
pub use view::View;
pub use word::{Word, Words};

// `Streams` and `Groups` are made while they are written; a list of all of them would take many times the memory.

/// All streams with their groups and consumers.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "Streams"))]
pub struct StreamsDocument<'a, Streams = Vec<StreamDocument<'a>>> {
    /// The common part of all documents.
    #[serde(flatten)]
    pub head: Head<'a>,
    /// The streams, by name.
    pub streams: Streams,
}

/// One stream with its groups and consumers.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "OneStream"))]
pub struct OneStreamDocument<'a> {
    /// The common part of all documents.
    #[serde(flatten)]
    pub head: Head<'a>,
    /// The stream.
    pub stream: StreamDocument<'a>,
}

/// All groups.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "Groups"))]
pub struct GroupsDocument<'a, Groups = Vec<GroupOfStream<'a>>> {
    /// The common part of all documents.
    #[serde(flatten)]
    pub head: Head<'a>,
    /// The groups, by stream and name.
    pub groups: Groups,
}

/// The configuration in force, without secrets.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "Config"))]
pub struct ConfigDocument {
    /// Increases when a field is removed or changes its meaning; fields may be added at any time.
    #[cfg_attr(feature = "schema", schemars(extend("const" = SCHEMA_VERSION)))]
    pub schema_version: u32,
    /// The keys of the configuration file.
    #[cfg_attr(feature = "schema", schemars(extend("type" = "object")))]
    pub config: serde_json::Value,
}

/// An error, as in RFC 9457.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Problem {
    /// Always `about:blank`: `status` identifies the problem.
    pub r#type: String,
    /// The HTTP status in words.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What is wrong with this request.
    pub detail: String,
}
