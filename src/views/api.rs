//! The JSON API's documents. The sidecar writes them from the last reading, the terminal reads them, and
//! `openapi.json` describes them.
//!
//! A number that is not known is `null`, never 0. Durations are in seconds, times in milliseconds since the Unix
//! epoch, IDs of entries are text. A `name` is for people to read; a `key` is the name's bytes, percent-encoded, and
//! stands for the object in paths.

mod group;
mod head;
mod held;
mod pieces;
mod stream;
mod trim;
mod values;
mod view;

#[cfg(test)]
mod golden_tests;

use serde::{Deserialize, Serialize};

pub use group::{ConsumerDocument, GroupDocument, GroupHistory, GroupOfStream};
pub use head::{Head, PollDocument, SCHEMA_VERSION, ServerDocument, SidecarDocument, Summary};
pub use pieces::Take;
pub use stream::{EntryDocument, RetentionDocument, StreamDocument, StreamHistory, ThresholdsDocument};
pub use trim::{BlockedBy, LosingGroup, TrimDocument};
pub use values::{Word, Words};
pub use view::View;

/// Answers `/api/v1/streams`. The streams are made while they are written, and a list when they are read.
#[derive(Debug, Serialize, Deserialize)]
pub struct StreamsDocument<'a, Streams = Vec<StreamDocument<'a>>> {
    /// Who answers, and how fresh it is.
    #[serde(flatten)]
    pub head: Head<'a>,
    /// The streams, by name.
    pub streams: Streams,
}

/// Answers `/api/v1/streams/{key}`.
#[derive(Debug, Serialize, Deserialize)]
pub struct OneStreamDocument<'a> {
    /// Who answers, and how fresh it is.
    #[serde(flatten)]
    pub head: Head<'a>,
    /// The stream.
    pub stream: StreamDocument<'a>,
}

/// Answers `/api/v1/groups`.
#[derive(Debug, Serialize, Deserialize)]
pub struct GroupsDocument<'a, Groups = Vec<GroupOfStream<'a>>> {
    /// Who answers, and how fresh it is.
    #[serde(flatten)]
    pub head: Head<'a>,
    /// The groups, by stream and name.
    pub groups: Groups,
}

/// An error, as RFC 9457 has it.
#[derive(Debug, Serialize, Deserialize)]
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
