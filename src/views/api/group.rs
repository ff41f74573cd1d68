//! A group and its consumers in the API.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::{
    cause::GroupCauseDocument,
    help::{HelpDocument, help},
    latency::LatencyDocument,
    values::{age, key, per_second, sentence, span, text},
    word::Word,
};
use crate::{
    evaluate::{GroupStatus, Health, Series},
    model::{ConsumerState, StreamId},
    reading::{GroupReading, StreamReading},
};

/// A group that exists, or that the configuration expects.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "Group"))]
pub struct GroupDocument<'a> {
    /// The name, for people.
    pub name: Cow<'a, str>,
    /// The name's bytes, percent-encoded.
    pub key: Cow<'a, str>,
    /// The status: the first of these that applies, in this order.
    pub status: Word<GroupStatus>,
    /// What the status means for the stream's health.
    pub health: Word<Health>,
    /// Why it has this status, in a sentence with its numbers.
    pub reason: Cow<'a, str>,
    /// The same as a kind with its numbers; `null` where the reading is stale.
    #[serde(skip_deserializing)]
    pub cause: Option<GroupCauseDocument>,
    /// Whether the configuration expects it.
    pub expected: bool,
    /// Whether it exists; `null` where the stream could not be read.
    pub present: Option<bool>,
    /// Entries not yet delivered to it; `null` where the exact number is unknown.
    pub lag: Option<u64>,
    /// Whether the exact lag is known; `null` where the group was not read.
    pub lag_known: Option<bool>,
    /// The lag is at most this.
    pub lag_upper_bound: Option<u64>,
    /// Age of the oldest entry not yet delivered; 0 if all are delivered.
    pub lag_seconds: Option<f64>,
    /// Entries delivered per second.
    pub rate_out_per_second: Option<f64>,
    /// Entries delivered and not yet acknowledged.
    pub pending: Option<u64>,
    /// Pending entries that were released with `XNACK`. Redis 8.8 and later.
    pub nacked_entries: Option<u64>,
    /// The oldest pending entry that is still in the stream.
    pub oldest_pending_id: Option<StreamId>,
    /// Age of the oldest pending entry; 0 if nothing is pending.
    pub oldest_pending_age_seconds: Option<f64>,
    /// Time since the oldest pending entry was last delivered; also `null` where it was released since.
    pub oldest_pending_idle_seconds: Option<f64>,
    /// Times the oldest pending entry was delivered; also `null` where a consumer declared it fatal.
    pub oldest_pending_deliveries: Option<u64>,
    /// Pending entries that are no longer in the stream, among the 100 oldest: at least so many.
    pub dangling_pending: Option<u64>,
    /// Pending entries that were delivered too many times, among the 100 oldest: at least so many, if more than 100 are pending.
    pub poison_entries: Option<u64>,
    /// At most so many pending entries were dropped with a deleted consumer that had been inactive for a poll's interval; `null`
    /// where the consumers were not read.
    pub pending_dropped: Option<u64>,
    /// At least so many entries were removed before they were delivered to the group, since the sidecar watches it.
    pub entries_lost: Option<u64>,
    /// At most so many entries were removed before they were delivered to the group.
    pub entries_lost_upper_bound: Option<u64>,
    /// Of the entries between both bounds, those removed while the group was behind by more than a poll's interval.
    pub entries_suspected_lost: Option<u64>,
    /// Times its position went back.
    pub rewinds: Option<u64>,
    /// When a poll noticed the last of these, by the server's clock; `null` without one, and where that clock was unknown.
    #[serde(default)]
    pub last_rewind_unix_ms: Option<u64>,
    /// The last ID delivered to it.
    pub last_delivered_id: Option<StreamId>,
    /// Redis's own count of the entries that it has read.
    pub entries_read: Option<u64>,
    /// Its consumers, active or not; `null` where a replica was read, which lacks those that were never given an entry.
    pub consumer_count: Option<u64>,
    /// Time since any consumer last tried to read, claim or acknowledge; `null` where a replica was read.
    pub least_idle_seconds: Option<f64>,
    /// Consumers that hold pending entries and have been inactive for too long.
    pub stuck_consumers: Option<u64>,
    /// Age of everything about the consumers, where not every poll reads them.
    pub consumers_age_seconds: Option<f64>,
    /// Pending entries of the consumers that are not listed.
    pub unlisted_pending: Option<u64>,
    /// The consumers with the most pending entries, at most `consumers.max_per_group`; `null` where they were not read.
    pub consumers: Option<Vec<ConsumerDocument<'a>>>,
    /// Commands that may help, where something is stuck.
    #[serde(default)]
    pub commands: Vec<HelpDocument<'a>>,
    /// How long its entries take; `null` if that is not measured, as for a stream without objectives (`slo`).
    pub latency: Option<LatencyDocument>,
    /// Recent values.
    pub history: GroupHistory,
}

/// A group with its stream.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "GroupOfStream"))]
pub struct GroupOfStream<'a> {
    /// The stream's name.
    pub stream: Cow<'a, str>,
    /// The stream's key.
    pub stream_key: Cow<'a, str>,
    /// The group.
    #[serde(flatten)]
    pub group: GroupDocument<'a>,
}

/// A consumer.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "Consumer"))]
pub struct ConsumerDocument<'a> {
    /// The name, for people.
    pub name: Cow<'a, str>,
    /// The name's bytes, percent-encoded.
    pub key: Cow<'a, str>,
    /// Entries delivered to it and not yet acknowledged.
    pub pending: u64,
    /// Time since it last tried to read, claim or acknowledge.
    pub idle_seconds: Option<f64>,
    /// Time since an entry was last delivered to it. Redis 7.2 and later.
    pub inactive_seconds: Option<f64>,
}

/// A group's recent values, one for each of the last `history_ages_seconds`; `null` where unknown.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "GroupHistory"))]
pub struct GroupHistory {
    /// The lag.
    pub lag: Vec<Option<u32>>,
}

/// A group of the reading, to be written.
pub(super) struct Group<'a> {
    pub(super) stream: StreamReading<'a>,
    pub(super) of: GroupReading<'a>,
    pub(super) stale: Option<&'a str>,
}

impl<'a> Group<'a> {
    pub(super) fn document(&self) -> GroupDocument<'a> {
        let (state, report) = (self.of.state, self.of.report);
        let lost = report.and_then(|report| report.lost);
        let oldest = report.zip(state).and_then(|(report, state)| report.oldest_pending(state).oldest());
        let (status, reason) = match self.stale {
            Some(stale) => (GroupStatus::Unknown, stale.into()),
            None => (self.of.verdict.status, sentence(&self.of.verdict.cause).into()),
        };
        GroupDocument {
            name: text(self.of.name),
            key: key(self.of.name),
            status: status.into(),
            health: status.health().into(),
            reason,
            cause: self.stale.is_none().then(|| (&self.of.verdict.cause).into()),
            expected: self.of.is_expected,
            present: self.of.present(),
            lag: report.and_then(|report| report.lag.known()),
            lag_known: report.map(|report| report.lag.known().is_some()),
            lag_upper_bound: report.map(|report| report.lag.upper_bound()),
            lag_seconds: report.and_then(|report| age(report.lag_age)),
            rate_out_per_second: self.of.verdict.rate_out.map(per_second),
            pending: state.map(|state| state.pending),
            nacked_entries: state.and_then(|state| state.nacked),
            oldest_pending_id: oldest.map(|oldest| oldest.id),
            oldest_pending_age_seconds: report.and_then(|report| age(report.oldest_pending_age)),
            oldest_pending_idle_seconds: oldest.and_then(|oldest| oldest.idle.map(span)),
            oldest_pending_deliveries: oldest.and_then(|oldest| oldest.counted_deliveries()),
            dangling_pending: report.and_then(|report| Some(report.dangling?.get())),
            poison_entries: report.and_then(|report| Some(report.poison?.get().into())),
            pending_dropped: report.and_then(|report| Some(report.dropped?.get())),
            entries_lost: lost.map(|lost| lost.at_least),
            entries_lost_upper_bound: lost.map(|lost| lost.at_most),
            entries_suspected_lost: lost.map(|lost| lost.suspected),
            rewinds: report.map(|report| report.rewinds.into()),
            last_rewind_unix_ms: report.and_then(|report| Some(report.rewound_at?.0)),
            last_delivered_id: state.map(|state| state.last_delivered_id),
            entries_read: state.and_then(|state| state.entries_read?.try_into().ok()),
            consumer_count: self.of.consumer_count(),
            least_idle_seconds: state.and_then(|state| state.least_idle.map(span)),
            stuck_consumers: state.and_then(|state| Some(state.stuck_consumers?.get())),
            consumers_age_seconds: state.and_then(|state| state.consumers_age.map(span)),
            unlisted_pending: state.and_then(|state| Some(state.unlisted_pending?.get())),
            consumers: state
                .filter(|state| state.unlisted_pending.is_some())
                .map(|state| state.consumers.iter().map(consumer).collect()),
            commands: if self.stale.is_some() { Vec::new() } else { help(&self.stream, &self.of) },
            latency: self.of.latency.map(|latency| LatencyDocument::new(latency, self.of.target())),
            history: GroupHistory { lag: values(&self.of.verdict.lags) },
        }
    }
}

fn consumer(consumer: &ConsumerState) -> ConsumerDocument<'_> {
    ConsumerDocument {
        name: text(&consumer.name),
        key: key(&consumer.name),
        pending: consumer.pending,
        idle_seconds: consumer.idle.map(span),
        inactive_seconds: consumer.inactive.map(span),
    }
}

pub(super) fn values(series: &Series) -> Vec<Option<u32>> {
    series.iter().collect()
}
