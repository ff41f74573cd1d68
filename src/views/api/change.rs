//! A change of a status, as the receiver of the webhook gets it. Names and values are those of the other documents.

use std::{borrow::Cow, time::Duration};

use serde::Serialize;

use super::{
    cause::{GroupCauseDocument, StreamCauseDocument},
    stream::Stream,
    values::{key, milliseconds, sentence, text},
    view::last_read,
    word::Word,
};
use crate::{
    config::Config,
    evaluate::{GroupStatus, Health},
    model::{Failure, Reason},
    reading::{GroupReading, Reading, StreamReading},
};

/// Groups that one change lists. A receiver limits the size of what it takes.
const MOST_GROUPS: usize = 100;

/// The first fields, which may differ between two attempts.
#[derive(Debug, Serialize)]
pub struct ChangeHead<'a> {
    /// Increases when a field is removed or changes its meaning; fields may be added at any time.
    pub schema_version: u32,
    /// Of this change and no other: the same at each attempt.
    pub id: &'a str,
    /// 1, and more if it is sent again, since the attempt before may not have arrived.
    pub attempt: u64,
    /// Changes before this one that were never sent, since too many waited.
    pub dropped: u64,
}

/// The other fields.
#[derive(Debug, Serialize)]
pub struct ChangeDocument<'a> {
    /// The host name of the sidecar; in Kubernetes the Pod's name.
    pub sidecar: &'a str,
    /// When it was found.
    pub time_unix_ms: u64,
    /// Which Redis it is, for people: the configuration's `name`, else host, port and database; `null` where unknown.
    pub redis: Option<String>,
    /// The database, as the metrics' `db` label has it; `null` before the first reading.
    pub database: Option<String>,
    /// The page about it; `null` without `http.external_url`.
    pub page_url: Option<String>,
    /// What has changed.
    #[serde(flatten)]
    pub change: Change<'a>,
}

/// What has changed.
#[derive(Debug, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Change<'a> {
    /// The health of a stream, or statuses of its groups.
    Stream {
        /// The stream's name, for people.
        stream: Cow<'a, str>,
        /// The name's bytes, percent-encoded.
        stream_key: Cow<'a, str>,
        /// The health in the last change, or at the first reading; `null` before either.
        from: Option<Word<Health>>,
        /// The health.
        to: Word<Health>,
        /// Why it has this health, in a sentence with its numbers.
        reason: String,
        /// The same as a kind with its numbers.
        cause: StreamCauseDocument<'a>,
        /// The groups whose status has changed, the worst first.
        groups: Vec<GroupChange<'a>>,
        /// Groups that have changed and are not listed.
        unlisted_groups: usize,
    },
    /// Whether Redis can be read.
    Redis {
        /// `null` for the first change since the sidecar's start.
        from: Option<RedisState>,
        /// `down` once the last reading is older than `poll.stale_after`.
        to: RedisState,
        /// Why, in a sentence.
        reason: String,
        /// Why the last poll failed: a value of the metrics' `reason` label; `null` if it has not failed.
        failure: Option<Word<Reason>>,
    },
}

/// Whether Redis can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RedisState {
    /// The last reading is recent enough.
    Up,
    /// It is not, or Redis was never read.
    Down,
}

/// A group whose status has changed.
#[derive(Debug, Serialize)]
pub struct GroupChange<'a> {
    /// The name, for people.
    pub name: Cow<'a, str>,
    /// The name's bytes, percent-encoded.
    pub key: Cow<'a, str>,
    /// The last known status; `null` before any is known.
    pub from: Option<Word<GroupStatus>>,
    /// The status.
    pub to: Word<GroupStatus>,
    /// Why it has this status, in a sentence with its numbers.
    pub reason: String,
    /// The same as a kind with its numbers.
    pub cause: GroupCauseDocument,
}

/// A stream whose health has changed, or statuses of its groups, with what they were before.
pub struct StreamChange<'a> {
    /// The stream as it is now.
    pub stream: StreamReading<'a>,
    /// Its last known health.
    pub from: Option<Health>,
    /// The groups that have changed, each with its last known status.
    pub groups: Vec<(Option<GroupStatus>, GroupReading<'a>)>,
}

impl<'a> ChangeDocument<'a> {
    /// A change of a stream.
    #[must_use]
    pub fn of_stream(
        sidecar: &'a str,
        config: &Config,
        reading: &Reading,
        changed: StreamChange<'a>,
    ) -> Self {
        let StreamChange { stream, from, mut groups } = changed;
        groups.sort_by_key(|(_, group)| std::cmp::Reverse(group.verdict.status.health()));
        let unlisted_groups = groups.len().saturating_sub(MOST_GROUPS);
        groups.truncate(MOST_GROUPS);
        let stream_key = key(stream.name);
        let url = |base: &String| format!("{base}/#stream={stream_key}");
        Self {
            sidecar,
            time_unix_ms: milliseconds(reading.read_at.unix),
            redis: config.redis_name(Some(&reading.snapshot)),
            database: Some(database(reading)),
            page_url: config.http.external_url.as_ref().map(url),
            change: Change::Stream {
                stream: text(stream.name),
                from: from.map(Word::Known),
                to: stream.health().into(),
                reason: Stream { of: stream, ages: &[], stale: None }.reason(),
                cause: stream.cause().into(),
                groups: groups.into_iter().map(group_change).collect(),
                unlisted_groups,
                stream_key,
            },
        }
    }

    /// A change of Redis. `read` is the last reading with its age, if there is any.
    #[must_use]
    pub fn of_redis(
        sidecar: &'a str,
        config: &Config,
        (from, to): (Option<RedisState>, RedisState),
        (time, read): (Duration, Option<(&Reading, Duration)>),
        failure: Option<&Failure>,
    ) -> Self {
        let reading = read.map(|(reading, _)| reading);
        let reason = match (to, read) {
            (RedisState::Up, _) => "polls work again".to_owned(),
            (RedisState::Down, Some((_, age))) => last_read(age, failure),
            (RedisState::Down, None) => {
                let cause = failure.map_or("no poll has ended", |failure| failure.reason.as_str());
                format!("not read yet: {cause}")
            }
        };
        let failure = failure.map(|failure| Word::Known(failure.reason));
        Self {
            sidecar,
            time_unix_ms: milliseconds(time),
            redis: config.redis_name(reading.map(|reading| &*reading.snapshot)),
            database: reading.map(database),
            page_url: config.http.external_url.as_ref().map(|base| format!("{base}/")),
            change: Change::Redis { from, to, reason, failure },
        }
    }
}

fn database(reading: &Reading) -> String {
    format!("db{}", reading.snapshot.database)
}

fn group_change((from, group): (Option<GroupStatus>, GroupReading<'_>)) -> GroupChange<'_> {
    let GroupReading { name, verdict, .. } = group;
    GroupChange {
        name: text(name),
        key: key(name),
        from: from.map(Word::Known),
        to: verdict.status.into(),
        reason: sentence(&verdict.cause),
        cause: (&verdict.cause).into(),
    }
}
