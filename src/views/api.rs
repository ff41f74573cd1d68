//! The JSON API's documents. The sidecar writes them from the last reading, the terminal reads them, and
//! `openapi.json` describes them.
//!
//! A number that is not known is `null`, never 0. Durations are in seconds, times in milliseconds since the Unix
//! epoch, IDs of entries are text. A `name` is for people to read; a `key` is the name's bytes, percent-encoded, and
//! stands for the object in paths.

mod group;
mod head;
mod held;
mod stream;
mod trim;
mod values;
mod view;

#[cfg(test)]
mod golden_tests;

use serde::{Deserialize, Serialize};

pub use group::{ConsumerDocument, GroupDocument, GroupHistory};
pub use head::{Head, PollDocument, SCHEMA_VERSION, ServerDocument, SidecarDocument, Summary};
pub use stream::{EntryDocument, RetentionDocument, StreamDocument, StreamHistory, ThresholdsDocument};
pub use trim::{BlockedBy, LosingGroup, TrimDocument};
pub use view::View;

/// Answers `/api/v1/streams`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StreamsDocument {
    /// Who answers, and how fresh it is.
    #[serde(flatten)]
    pub head: Head,
    /// The streams, by name.
    pub streams: Vec<StreamDocument>,
}

/// Answers `/api/v1/streams/{key}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OneStreamDocument {
    /// Who answers, and how fresh it is.
    #[serde(flatten)]
    pub head: Head,
    /// The stream.
    pub stream: StreamDocument,
}

/// Answers `/api/v1/groups`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GroupsDocument {
    /// Who answers, and how fresh it is.
    #[serde(flatten)]
    pub head: Head,
    /// The groups, by stream and name.
    pub groups: Vec<GroupOfStream>,
}

/// A group with its stream.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GroupOfStream {
    /// The stream's name.
    pub stream: String,
    /// The stream's key.
    pub stream_key: String,
    /// The group.
    #[serde(flatten)]
    pub group: GroupDocument,
}

/// An error, as RFC 9457 has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// Always `about:blank`: the status says it.
    pub r#type: String,
    /// The status in words.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What is wrong with this request.
    pub detail: String,
}
