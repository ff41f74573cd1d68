//! Pending entries of a group, one by one. Never their contents.

use std::borrow::Cow;

use serde::Serialize;

use super::{
    SCHEMA_VERSION,
    values::{age, key, span, text},
};
use crate::{
    evaluate::Age,
    model::{GroupPending, Name, PendingEntry, ServerTime, StreamId},
};

/// Pending entries of a group, the oldest first.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "PendingEntries"))]
pub struct PendingDocument<'a> {
    /// Increases when a field is removed or changes its meaning; fields may be added at any time.
    #[cfg_attr(feature = "schema", schemars(extend("const" = SCHEMA_VERSION)))]
    pub schema_version: u32,
    /// The stream's name, for people.
    pub stream: Cow<'a, str>,
    /// The group's name, for people.
    pub group: Cow<'a, str>,
    /// All pending entries of the group.
    pub pending: u64,
    /// Pending entries that were looked at.
    pub looked_at: u64,
    /// Where to go on (`from`); `null`: no pending entry is left to look at.
    pub next: Option<String>,
    /// Those that were asked for.
    pub entries: Vec<PendingEntryDocument<'a>>,
}

/// A pending entry.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "PendingEntry"))]
pub struct PendingEntryDocument<'a> {
    /// Its ID.
    pub id: String,
    /// Time since it was added, by its ID; `null` where the ID is not a time or is ahead of the server's clock, or where that clock is
    /// unknown.
    pub age_seconds: Option<f64>,
    /// Time since it was last delivered; `null` if a consumer gave it back.
    pub idle_seconds: Option<f64>,
    /// How often it was delivered; `null` if a consumer declared it fatal.
    pub deliveries: Option<u64>,
    /// The name of the consumer that it was last delivered to, for people.
    pub consumer: Cow<'a, str>,
    /// The bytes of that name, percent-encoded.
    pub consumer_key: Cow<'a, str>,
    /// Whether the stream still has the entry.
    pub exists: bool,
}

impl<'a> PendingDocument<'a> {
    /// The document of these entries, each with whether it exists. `looked_at` is how many were looked at, and where to go on.
    #[must_use]
    pub fn new(
        (stream, group): (&'a Name, &'a GroupPending),
        (looked_at, next): (u64, Option<StreamId>),
        entries: impl Iterator<Item = (&'a PendingEntry, bool)>,
        now: Option<ServerTime>,
    ) -> Self {
        Self {
            schema_version: SCHEMA_VERSION,
            stream: text(stream),
            group: text(&group.name),
            pending: group.pending,
            looked_at,
            next: next.map(|next| next.to_string()),
            entries: entries.map(|(it, exists)| PendingEntryDocument::new(it, exists, now)).collect(),
        }
    }
}

impl<'a> PendingEntryDocument<'a> {
    /// The document of an entry.
    #[must_use]
    pub fn new(
        PendingEntry { entry, consumer }: &'a PendingEntry,
        exists: bool,
        now: Option<ServerTime>,
    ) -> Self {
        Self {
            id: entry.id.to_string(),
            age_seconds: age(now.and_then(|now| Age::of(entry.id, now))),
            idle_seconds: entry.idle.map(span),
            deliveries: entry.counted_deliveries(),
            consumer: text(consumer),
            consumer_key: key(consumer),
            exists,
        }
    }
}
