//! A group and its consumers in the API.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::values::{Word, age, key, per_second, span, text};
use crate::{
    evaluate::{GroupStatus, Health, Series},
    model::{ConsumerState, StreamId},
    reading::GroupReading,
};

/// A group that is there, or expected.
#[derive(Debug, Serialize, Deserialize)]
pub struct GroupDocument<'a> {
    /// Its name, for people.
    pub name: Cow<'a, str>,
    /// Its bytes, percent-encoded.
    pub key: Cow<'a, str>,
    /// How it fares.
    pub status: Word<GroupStatus>,
    /// What that means for the stream.
    pub health: Word<Health>,
    /// Why, in a sentence with its numbers.
    pub reason: Cow<'a, str>,
    /// Whether the configuration expects it.
    pub expected: bool,
    /// Whether it is there; `null` where the stream could not be read.
    pub present: Option<bool>,
    /// Entries not delivered to it, where that is known.
    pub lag: Option<u64>,
    /// Whether it is.
    pub lag_known: Option<bool>,
    /// A number that the lag does not exceed.
    pub lag_upper_bound: Option<u64>,
    /// Age of the oldest of these entries; 0 where there is none.
    pub lag_seconds: Option<f64>,
    /// Entries delivered a second.
    pub rate_out_per_second: Option<f64>,
    /// Entries delivered and not acknowledged.
    pub pending: Option<u64>,
    /// Of those, entries that were given back (`XNACK`). Redis 8.8 and later.
    pub nacked_entries: Option<u64>,
    /// The oldest of them that is still in the stream.
    pub oldest_pending_id: Option<StreamId>,
    /// Its age; 0 where there is none.
    pub oldest_pending_age_seconds: Option<f64>,
    /// Since it was last delivered; `null` too where it was given back since.
    pub oldest_pending_idle_seconds: Option<f64>,
    /// How often it was delivered; `null` too where a consumer declared it fatal.
    pub oldest_pending_deliveries: Option<u64>,
    /// Pending entries that are gone from the stream, of the 100 oldest.
    pub dangling_pending: Option<u64>,
    /// Pending entries that were delivered too often, of the 100 oldest.
    pub poison_entries: Option<u64>,
    /// Pending entries that vanished with a consumer that had done nothing for a poll's interval, at most; `null` where the
    /// consumers were not read.
    pub pending_dropped: Option<u64>,
    /// Entries removed before they were delivered to the group, since the sidecar watches it: certainly so many.
    pub entries_lost: Option<u64>,
    /// No more than this.
    pub entries_lost_upper_bound: Option<u64>,
    /// Of those between both, the ones that went while the group was behind by more than a poll's interval.
    pub entries_suspected_lost: Option<u64>,
    /// How often its position went back.
    pub rewinds: Option<u64>,
    /// The last ID delivered to it.
    pub last_delivered_id: Option<StreamId>,
    /// Redis's own count of the entries that it has read.
    pub entries_read: Option<u64>,
    /// Its consumers, alive or not.
    pub consumer_count: Option<u64>,
    /// Since any of them last tried to read, claim or acknowledge.
    pub least_idle_seconds: Option<f64>,
    /// Those that hold entries and have done nothing for too long.
    pub stuck_consumers: Option<u64>,
    /// Since the consumers were read, where not each poll does that: all that is said of them is of then.
    pub consumers_age_seconds: Option<f64>,
    /// Pending entries of the consumers that are not listed.
    pub unlisted_pending: Option<u64>,
    /// Consumers, those with the most pending entries first, as many as `consumers.max_per_group`; `null` where they
    /// were not read.
    pub consumers: Option<Vec<ConsumerDocument<'a>>>,
    /// For small lines.
    pub history: GroupHistory,
}

/// A group with its stream.
#[derive(Debug, Serialize, Deserialize)]
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
pub struct ConsumerDocument<'a> {
    /// Its name, for people.
    pub name: Cow<'a, str>,
    /// Its bytes, percent-encoded.
    pub key: Cow<'a, str>,
    /// Entries delivered to it and not acknowledged.
    pub pending: u64,
    /// Since it last tried to read, claim or acknowledge.
    pub idle_seconds: Option<f64>,
    /// Since it was last given an entry. Redis 7.2 and later.
    pub inactive_seconds: Option<f64>,
}

/// A group's past, one value for each of the last `history_ages_seconds`; `null` where it was not known.
#[derive(Debug, Serialize, Deserialize)]
pub struct GroupHistory {
    /// Its lag.
    pub lag: Vec<Option<u32>>,
}

/// A group, from all that is known of it.
pub(super) struct Group<'a> {
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
            None => (self.of.verdict.status, self.of.verdict.cause.to_string().into()),
        };
        GroupDocument {
            name: text(self.of.name),
            key: key(self.of.name),
            status: status.into(),
            health: status.health().into(),
            reason,
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
            last_delivered_id: state.map(|state| state.last_delivered_id),
            entries_read: state.and_then(|state| state.entries_read?.try_into().ok()),
            consumer_count: state.map(|state| state.consumer_count),
            least_idle_seconds: state.and_then(|state| state.least_idle.map(span)),
            stuck_consumers: state.and_then(|state| Some(state.stuck_consumers?.get())),
            consumers_age_seconds: state.and_then(|state| state.consumers_age.map(span)),
            unlisted_pending: state.and_then(|state| Some(state.unlisted_pending?.get())),
            consumers: state
                .filter(|state| state.unlisted_pending.is_some())
                .map(|state| state.consumers.iter().map(consumer).collect()),
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
