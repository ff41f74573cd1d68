//! A stream in the API.

use std::{borrow::Cow, time::Duration};

use serde::{Deserialize, Serialize};

use super::{
    cause::StreamCauseDocument,
    group::{Group, GroupDocument, GroupOfStream, values},
    trim::{BlockedBy, blocked_by},
    values::{age, key, milliseconds, per_second, rounded, seconds, text},
    word::Word,
};
use crate::{
    config::{Mode, StreamRule, Thresholds},
    evaluate::{Health, StreamCause, StreamMemory},
    model::{EntryHead, Idempotence, Reason, StreamId},
    reading::{RetentionReading, StreamReading},
    retention::Outcome,
};

/// A watched stream, read or not.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "Stream"))]
pub struct StreamDocument<'a> {
    /// The name, for people: bytes that are not plain text are escaped, and long names end in a hash.
    pub name: Cow<'a, str>,
    /// The name's bytes, percent-encoded, as in `/api/v1/streams/{key}`.
    pub key: Cow<'a, str>,
    /// The health.
    pub health: Word<Health>,
    /// Why it has this health, in a sentence with its numbers.
    pub reason: Cow<'a, str>,
    /// The same as a kind with its numbers; `null` where the reading is stale.
    #[serde(skip_deserializing)]
    pub cause: Option<StreamCauseDocument<'a>>,
    /// Whether the reading is stale; see `poll`.
    pub stale: bool,
    /// Whether it exists; `null` where it could not be read for another reason.
    pub present: Option<bool>,
    /// Why it could not be read: a value of the metrics' `reason` label; also `null` for one that does not exist.
    pub unreadable: Option<Word<Reason>>,
    /// Since when it can't be read, by the sidecar's clock, where that is known: since its node does not answer.
    pub unreadable_since_unix_ms: Option<u64>,
    /// The primary of the cluster that has it, as in `cluster.nodes`; `null` on other servers, and if no primary serves its slot.
    pub node: Option<Cow<'a, str>>,
    /// Entries in the stream.
    pub length: Option<u64>,
    /// The configured limit on its entries.
    pub max_length: Option<u64>,
    /// The configured limit on their age.
    pub max_age_seconds: Option<f64>,
    /// What retention may remove; `null` where no limit is set.
    pub mode: Option<Word<Mode>>,
    /// Entries ever added. Redis 7.0 and later.
    pub entries_added: Option<u64>,
    /// Entries added per second.
    pub rate_in_per_second: Option<f64>,
    /// Age of the oldest entry.
    pub oldest_entry_age_seconds: Option<f64>,
    /// Time since an ID was last generated.
    pub last_write_age_seconds: Option<f64>,
    /// The last generated ID.
    pub last_generated_id: Option<StreamId>,
    /// The ID of the oldest entry.
    pub first_entry_id: Option<StreamId>,
    /// Its last entries, the newest first; `null` where they were not read, which is the default.
    pub last_entries: Option<Vec<EntryDocument<'a>>>,
    /// Groups that are not watched because it has more than `limits.groups_per_stream`.
    pub unwatched_groups: Option<u64>,
    /// Times the stream was recreated, as far as polls could see it.
    pub recreations: Option<u64>,
    /// When a poll noticed the last of these, by the server's clock; `null` without one, and where that clock was unknown.
    #[serde(default)]
    pub last_recreation_unix_ms: Option<u64>,
    /// Its memory; `null` where too little is known.
    #[serde(default)]
    pub memory: Option<MemoryDocument>,
    /// Its state of idempotent producers; `null` where it never had one, and before Redis 8.6.
    pub idempotence: Option<IdempotenceDocument>,
    /// The configured thresholds.
    pub thresholds: ThresholdsDocument,
    /// Its groups, by name: those that exist, and those that the configuration expects.
    pub groups: Vec<GroupDocument<'a>>,
    /// Recent values.
    pub history: StreamHistory,
    /// What retention has done, and what blocks it; `null` where no limit is set.
    pub retention: Option<RetentionDocument<'a>>,
    /// Whether it holds the dead letters of another stream.
    #[serde(default)]
    pub holds_dead_letters: bool,
    /// Its dead letters, and what its rule `dead_letter` has done; `null` without that rule.
    pub dead_letter: Option<DeadLetterDocument<'a>>,
    /// What its rule `reap_consumers` has done; `null` without that rule.
    pub reap_consumers: Option<ReapDocument>,
}

/// An entry without its contents.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "Entry"))]
pub struct EntryDocument<'a> {
    /// The ID.
    pub id: StreamId,
    /// The value of the field that `entries.type_field` names; `null` where it has none.
    pub r#type: Option<Cow<'a, str>>,
}

/// Thresholds: `null` where none is set. Defaults: `null` where a threshold is set.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "Thresholds"))]
pub struct ThresholdsDocument {
    /// Entries not yet delivered to a group.
    pub lag: Option<u64>,
    /// Age of the oldest entry not yet delivered.
    pub lag_age_seconds: Option<f64>,
    /// The default where `lag_age_seconds` is `null`. It only warns.
    pub default_lag_age_seconds: Option<f64>,
    /// Entries delivered and not yet acknowledged.
    pub pending: Option<u64>,
    /// Age of the oldest pending entry.
    pub pending_age_seconds: Option<f64>,
    /// The default where `pending_age_seconds` is `null`. It only warns.
    pub default_pending_age_seconds: Option<f64>,
    /// Deliveries of one entry.
    pub deliveries: Option<u64>,
    /// Time without a new entry.
    pub silence_seconds: Option<f64>,
}

/// A stream's recent values, one for each of the last `history_ages_seconds`; `null` where unknown.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "StreamHistory"))]
pub struct StreamHistory {
    /// The length.
    pub length: Vec<Option<u32>>,
    /// Entries added per second since the sample before.
    pub rate_in_per_second: Vec<Option<f64>>,
    /// The greatest lag among its groups.
    pub worst_lag: Vec<Option<u32>>,
}

/// The memory of a stream.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "Memory"))]
pub struct MemoryDocument {
    /// Its size in bytes.
    pub bytes: u64,
    /// Whether the size is estimated. Else Redis counted it (`MEMORY USAGE`) in the last round of `memory.interval`.
    pub is_estimate: bool,
    /// Growth in a day, at the rate of the last day or less; `null` until it is known for `memory.growth_after`.
    pub growth_bytes_per_day: Option<i64>,
    /// Time until it has the greatest size that its server allows; `null` without such a limit, and if it does not grow.
    pub size_limit_reached_seconds: Option<f64>,
    /// Time until its server's memory reaches `maxmemory` at the rate of all keys; `null` also if this stream does not grow.
    pub maxmemory_reached_seconds: Option<f64>,
}

/// A stream's state of idempotent producers.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "Idempotence"))]
pub struct IdempotenceDocument {
    /// How long an ID is remembered.
    pub window_seconds: f64,
    /// The most IDs that are remembered of a producer.
    pub max_ids: u64,
    /// Producers that are remembered.
    pub producers: u64,
    /// IDs that are remembered.
    pub ids: u64,
    /// Entries added with an ID.
    pub ids_added: u64,
    /// Entries not added because they had been sent before.
    pub duplicates: u64,
}

/// What retention has done to a stream, and what blocks it.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "Retention"))]
pub struct RetentionDocument<'a> {
    /// When the last run ended; `null` before the first run since the sidecar started.
    pub last_run_unix_ms: Option<u64>,
    /// How the last run ended: a value of the metrics' `outcome` label.
    pub outcome: Option<Word<Outcome>>,
    /// Entries removed since the sidecar started.
    pub trimmed_entries: u64,
    /// Entries beyond `max_length`.
    pub excess: Option<u64>,
    /// Another sidecar that holds the lease and therefore trims the stream; `null` if this one does, or none is known.
    pub lease_holder: Option<Cow<'a, str>>,
    /// What keeps the limit from being reached: empty, or one cause.
    pub blocked_by: Vec<BlockedBy<'a>>,
}

/// The dead letters of a stream, and what its rule has done since the sidecar started.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "DeadLetter"))]
pub struct DeadLetterDocument<'a> {
    /// The name of their stream; `null` if the rule must name one and does not.
    pub name: Option<Cow<'a, str>>,
    /// The name's bytes, percent-encoded, as in `/api/v1/streams/{key}`.
    pub key: Option<Cow<'a, str>>,
    /// How many there are; `null` where their stream could not be read.
    pub length: Option<u64>,
    /// The number at which moving stops.
    pub max_length: u64,
    /// Time since the oldest one was set aside; `null` without one.
    pub oldest_age_seconds: Option<f64>,
    /// Deliveries that an entry must have.
    pub after_deliveries: u64,
    /// The time since its last delivery that it must have.
    pub idle_seconds: f64,
    /// Entries that this sidecar moved.
    pub moved_entries: u64,
    /// Why the last run left entries pending that should be moved: a value of the metrics' `reason` label; `null` if it left none.
    pub stopped: Option<Cow<'a, str>>,
    /// When the last run ended; `null` before the first run since the sidecar started.
    pub last_run_unix_ms: Option<u64>,
}

/// What the rule that deletes consumers has done since the sidecar started.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "ReapConsumers"))]
pub struct ReapDocument {
    /// The idle time that a consumer without pending entries must have.
    pub idle_seconds: f64,
    /// Consumers that this sidecar deleted.
    pub deleted: u64,
}

/// A stream of the reading, to be written.
#[derive(Clone, Copy)]
pub(super) struct Stream<'a> {
    pub(super) of: StreamReading<'a>,
    /// How long before the reading each sample was taken.
    pub(super) ages: &'a [Duration],
    pub(super) stale: Option<&'a str>,
}

impl<'a> Stream<'a> {
    fn health(&self) -> Health {
        if self.stale.is_some() { Health::Unknown } else { self.of.health() }
    }

    /// Why the stream has its health; of one over its limit also who keeps it there, and who trims.
    pub(super) fn reason(&self) -> String {
        let cause = self.of.cause();
        let mut reason = self.of.verdict.reason_of(cause);
        if matches!(cause, StreamCause::TooLong { .. } | StreamCause::TooOld { .. }) {
            reason.extend(self.of.blocked_by().map(|blocker| format!(": {blocker}")));
            reason.extend(self.of.other_holder().map(|holder| format!("; {}", holds_the_lease(holder))));
        }
        if let Some(since) = self.of.unreadable_since() {
            let since = humantime::format_rfc3339_seconds(std::time::UNIX_EPOCH + since);
            reason.push_str(&format!(" since {since}"));
        }
        reason
    }

    pub(super) fn document(&self) -> StreamDocument<'a> {
        let state = self.of.read();
        let policy = self.of.retention.map(|it| &it.policy);
        let groups: Vec<_> = self.groups().map(|group| group.document()).collect();
        StreamDocument {
            name: text(self.of.name),
            key: key(self.of.name),
            health: self.health().into(),
            reason: self.stale.map_or_else(|| self.reason().into(), Cow::Borrowed),
            cause: self.stale.is_none().then(|| self.of.cause().into()),
            stale: self.stale.is_some(),
            present: self.of.present(),
            unreadable: self.of.unreadable().map(Word::Known),
            unreadable_since_unix_ms: self.of.unreadable_since().map(milliseconds),
            node: self.of.node_of_cluster().map(|node| node.address.as_str().into()),
            length: self.of.length(),
            max_length: policy.and_then(|it| it.max_length),
            max_age_seconds: policy.and_then(|it| it.max_age.map(seconds)),
            mode: policy.map(|it| it.mode.into()),
            entries_added: state.and_then(|state| state.entries_added),
            rate_in_per_second: self.of.verdict.rate_in.map(per_second),
            oldest_entry_age_seconds: self.of.report.and_then(|it| age(it.oldest_entry_age)),
            last_write_age_seconds: self.of.report.and_then(|it| age(it.last_write_age)),
            last_generated_id: state.and_then(|state| state.last_generated_id),
            first_entry_id: state.and_then(|state| state.first_entry_id),
            last_entries: self.of.last_entries().map(last_entries),
            unwatched_groups: state.map(|state| state.unwatched_groups),
            recreations: self.of.report.map(|report| report.recreations),
            last_recreation_unix_ms: self.of.report.and_then(|report| Some(report.recreated_at?.0)),
            memory: self.of.verdict.memory.as_deref().filter(|_| self.stale.is_none()).map(memory),
            idempotence: state.and_then(|state| idempotence(state.idempotence.as_deref()?)),
            thresholds: thresholds(self.of.rule()),
            history: self.history(&groups),
            groups,
            retention: self.of.retention.map(|retention| retention_document(self.of, retention)),
            holds_dead_letters: self.of.watched.holds_dead_letters,
            dead_letter: dead_letter(self.of),
            reap_consumers: self.of.watched.reap_consumers().zip(self.of.rules).map(|(rule, rules)| {
                ReapDocument { idle_seconds: seconds(rule.idle), deleted: rules.status.reaped }
            }),
        }
    }

    pub(super) fn groups(self) -> impl Iterator<Item = Group<'a>> {
        self.of.groups().map(move |of| Group { stream: self.of, of, stale: self.stale })
    }

    pub(super) fn groups_with_stream(self) -> impl Iterator<Item = GroupOfStream<'a>> {
        let (stream, stream_key) = (text(self.of.name), key(self.of.name));
        self.groups().map(move |group| GroupOfStream {
            stream: stream.clone(),
            stream_key: stream_key.clone(),
            group: group.document(),
        })
    }

    fn history(&self, groups: &[GroupDocument<'_>]) -> StreamHistory {
        let lags = || groups.iter().map(|group| &group.history.lag);
        let worst =
            |from_end: usize| lags().filter_map(|lags| *lags.get(lags.len().checked_sub(from_end)?)?).max();
        let longest = lags().map(Vec::len).max().unwrap_or_default();
        StreamHistory {
            length: values(&self.of.verdict.lengths),
            rate_in_per_second: self.rates(),
            worst_lag: (1..=longest).rev().map(worst).collect(),
        }
    }

    fn rates(&self) -> Vec<Option<f64>> {
        let added = values(&self.of.verdict.added);
        let ages = self.ages.get(self.ages.len().saturating_sub(added.len())..).unwrap_or_default();
        let steps = added.windows(2).zip(ages.windows(2)).map(|(added, ages)| match (added, ages) {
            ([Some(before), Some(after)], [older, newer]) => {
                let over = older.checked_sub(*newer).filter(|over| !over.is_zero())?;
                Some(f64::from(after.wrapping_sub(*before)) / over.as_secs_f64())
            }
            _ => None,
        });
        added.first().map(|_| None).into_iter().chain(steps).map(|rate| rate.map(rounded)).collect()
    }
}

/// That another sidecar trims.
pub(crate) fn holds_the_lease(holder: &str) -> String {
    format!("another sidecar ({holder}) holds the lease")
}

fn retention_document<'a>(of: StreamReading<'a>, retention: &'a RetentionReading) -> RetentionDocument<'a> {
    let blocked_by = of.blocked_by().into_iter().map(blocked_by);
    let status = retention.retention_status.as_ref();
    let last_run = status.and_then(|status| status.last_run);
    let outcome = status.and_then(|status| status.last);
    RetentionDocument {
        last_run_unix_ms: last_run.map(milliseconds),
        outcome: outcome.map(Word::Known),
        trimmed_entries: status.map_or(0, |status| status.trimmed),
        excess: retention
            .plan
            .as_ref()
            .filter(|_| retention.policy.max_length.is_some())
            .map(|plan| plan.excess),
        lease_holder: of.other_holder().map(|holder| (**holder).into()),
        blocked_by: blocked_by.collect(),
    }
}

fn dead_letter(of: StreamReading<'_>) -> Option<DeadLetterDocument<'_>> {
    let (rule, rules) = of.dead_letter()?;
    Some(DeadLetterDocument {
        name: rules.dead_letters.as_ref().map(text),
        key: rules.dead_letters.as_ref().map(key),
        length: rules.length,
        max_length: rule.max_length,
        oldest_age_seconds: age(rules.oldest_age),
        after_deliveries: rule.after_deliveries,
        idle_seconds: seconds(rule.idle),
        moved_entries: rules.status.moved.iter().sum(),
        stopped: of.dead_letters_stopped().map(|stop| stop.as_str().into()),
        last_run_unix_ms: rules.status.last_run.map(milliseconds),
    })
}

fn idempotence(of: &Idempotence) -> Option<IdempotenceDocument> {
    let Idempotence { duration, max_ids, producers, ids, ids_added, duplicates } = *of;
    let window_seconds = seconds(duration);
    let document = IdempotenceDocument { window_seconds, max_ids, producers, ids, ids_added, duplicates };
    (ids_added > 0).then_some(document)
}

fn memory(of: &StreamMemory) -> MemoryDocument {
    MemoryDocument {
        bytes: of.bytes,
        is_estimate: of.is_estimate,
        growth_bytes_per_day: of.growth_a_day,
        size_limit_reached_seconds: of.size_limit_after.map(seconds),
        maxmemory_reached_seconds: of.maxmemory_after.map(seconds),
    }
}

fn last_entries(entries: &[EntryHead]) -> Vec<EntryDocument<'_>> {
    let heads = entries.iter();
    heads.map(|entry| EntryDocument { id: entry.id, r#type: entry.kind.as_ref().map(text) }).collect()
}

fn thresholds(rule: Option<&StreamRule>) -> ThresholdsDocument {
    let set = rule.map(|rule| rule.thresholds.clone()).unwrap_or_default();
    let default = |set: Option<Duration>, default| set.is_none().then(|| seconds(default));
    ThresholdsDocument {
        lag: set.lag,
        lag_age_seconds: set.lag_age.map(seconds),
        default_lag_age_seconds: default(set.lag_age, Thresholds::LAG_AGE),
        pending: set.pending,
        pending_age_seconds: set.pending_age.map(seconds),
        default_pending_age_seconds: default(set.pending_age, Thresholds::PENDING_AGE),
        deliveries: set.deliveries,
        silence_seconds: set.silence.map(seconds),
    }
}
