//! The cause of a status or a health as a kind with its numbers. `reason` is the English sentence made of them; a
//! program, or a page in another language, makes its own.

use std::borrow::Cow;

use serde::Serialize;

use super::{
    values::{seconds, text},
    word::Word,
};
use crate::{
    config::Thresholds,
    evaluate::{
        Backlog, GroupCause, GroupStatus, Lag, NearLimit, Over, Recreation, StreamCause, StuckConsumer,
        Unread,
    },
    model::{Reason, StreamId},
};

/// The cause of a stream's health.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "StreamCause"))]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum StreamCauseDocument<'a> {
    /// Neither the stream nor its groups have a problem.
    Fine {
        /// Number of groups.
        groups: u64,
    },
    /// No problem is known, but the stream has more groups than `limits.groups_per_stream`.
    UnwatchedGroups {
        /// Number of groups that are not watched.
        groups: u64,
    },
    /// This group has the worst status. The group has the cause.
    Group {
        /// Its name, for people.
        group: Cow<'a, str>,
        /// Number of other groups with an equally bad status.
        others: u64,
    },
    /// The key holds another type.
    WrongType,
    /// The configuration names the stream, but it does not exist.
    Absent,
    /// It could not be read.
    Unreadable {
        /// A value of the metrics' `reason` label.
        reason: Word<Reason>,
        /// The command that the user may not run; `null` for other reasons, and where the server does not name it.
        refused_command: Option<Cow<'a, str>>,
    },
    /// It was deleted and recreated, or rolled back, within `status.window`.
    Recreated {
        /// The entries that it had in the last reading before, if all of them are gone; `null` where some of them may be there.
        entries: Option<u64>,
        /// Time since that was noticed.
        ago_seconds: f64,
    },
    /// It exceeds `max_length`, although retention had time to trim it, or retention is blocked. What blocks retention is in `retention`.
    TooLong {
        /// Its length.
        length: u64,
        /// The limit.
        limit: u64,
        /// It has exceeded the limit for at least so long; 0 if retention had no time yet, but is blocked.
        exceeded_seconds: f64,
    },
    /// Its oldest entry exceeds `max_age`, although retention had time to remove it, or retention is blocked. What blocks retention is in `retention`.
    TooOld {
        /// Age of the oldest entry.
        age_seconds: f64,
        /// The limit.
        limit_seconds: f64,
        /// It has exceeded the limit for at least so long; 0 if retention had no time yet, but is blocked.
        exceeded_seconds: f64,
    },
    /// No entry is added, although some are expected.
    Silent {
        /// Time since the last entry.
        silent_seconds: f64,
        /// The threshold.
        threshold_seconds: f64,
    },
    /// Its last ID is a time in the future of the server's clock. Ages are unknown until the clock has caught up.
    ClockBehind {
        /// How far.
        ahead_seconds: f64,
    },
}

/// The cause of a group's status.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "GroupCause"))]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum GroupCauseDocument {
    /// The stream could not be read.
    Unread {
        /// A value of the metrics' `reason` label.
        reason: Word<Reason>,
        /// The command that the user may not run; `null` for other reasons, and where the server does not name it.
        refused_command: Option<String>,
    },
    /// The configuration expects the group, but it does not exist.
    Missing {
        /// At least so long.
        missing_seconds: f64,
    },
    /// Entries wait, but the group has not been watched long enough for a verdict.
    TooEarly {
        /// The waiting entries.
        backlog: BacklogDocument,
        /// How long it has been watched.
        watched_seconds: f64,
        /// How long it must be watched.
        window_seconds: f64,
    },
    /// It is unknown whether entries wait.
    LagUnknown {
        /// The entries that may wait.
        backlog: BacklogDocument,
    },
    /// Entries were removed before they were delivered to the group.
    Lost {
        /// Number of entries.
        entries: u64,
        /// Time since the last of them was removed.
        ago_seconds: f64,
    },
    /// Entries were removed that may not have been delivered to the group.
    PossiblyLost {
        /// At most so many entries.
        entries: u64,
        /// Time since the last of them was removed.
        ago_seconds: f64,
    },
    /// Pending entries were dropped with a deleted consumer.
    Dropped {
        /// At most so many entries.
        entries: u64,
        /// Time since the last of them was dropped.
        ago_seconds: f64,
    },
    /// The group's position went back.
    Rewound {
        /// The earlier position.
        from: StreamId,
        /// The later position.
        to: StreamId,
        /// Time since then.
        ago_seconds: f64,
    },
    /// Entries wait, and the group has no consumer.
    NoConsumers {
        /// The waiting entries.
        backlog: BacklogDocument,
    },
    /// Entries wait, and all consumers are idle.
    IdleConsumers {
        /// The waiting entries.
        backlog: BacklogDocument,
        /// Number of consumers.
        consumers: u64,
        /// Time since any of them last sent a request.
        idle_seconds: f64,
    },
    /// Entries wait, and nothing was delivered or acknowledged.
    NoProgress {
        /// The waiting entries.
        backlog: BacklogDocument,
        /// Number of consumers.
        consumers: u64,
        /// Time since any of them last sent a request; `null` where unknown.
        idle_seconds: Option<f64>,
        /// Time without progress.
        still_seconds: f64,
        /// A consumer close to the server's limit, which may be why; else `null`.
        consumer_limit: Option<ConsumerLimitDocument>,
    },
    /// The lag exceeds its threshold.
    Lag {
        /// Entries not yet delivered.
        entries: u64,
        /// The threshold.
        threshold: u64,
    },
    /// The age of the oldest undelivered entry exceeds its threshold.
    LagAge {
        /// The age.
        age_seconds: f64,
        /// The threshold.
        threshold_seconds: f64,
    },
    /// The same without a configured threshold: the default is exceeded.
    DefaultLagAge {
        /// The age.
        age_seconds: f64,
        /// The default.
        threshold_seconds: f64,
    },
    /// The number of pending entries exceeds its threshold.
    Pending {
        /// Pending entries.
        entries: u64,
        /// The threshold.
        threshold: u64,
    },
    /// The age of the oldest pending entry exceeds its threshold.
    PendingAge {
        /// The age.
        age_seconds: f64,
        /// The threshold.
        threshold_seconds: f64,
    },
    /// The same without a configured threshold: the default is exceeded.
    DefaultPendingAge {
        /// The age.
        age_seconds: f64,
        /// The default.
        threshold_seconds: f64,
    },
    /// Pending entries were delivered too many times.
    Poison {
        /// Number of entries, among the 100 oldest pending ones.
        entries: u64,
        /// Whether there may be more: more than 100 entries are pending.
        is_lower_bound: bool,
        /// Each was delivered at least so many times.
        deliveries: u64,
    },
    /// A consumer is close to the server's limit on pending entries.
    ConsumerLimit {
        /// The consumer's pending entries.
        entries: u64,
        /// At this number the server delivers nothing more to it.
        limit: u64,
    },
    /// The backlog grows.
    Growing {
        /// The waiting entries.
        backlog: BacklogDocument,
        /// Median backlog of the first third of the time.
        from: u32,
        /// Median backlog of the last third.
        to: u32,
        /// The whole time.
        within_seconds: f64,
    },
    /// The group was lagging until recently.
    Recovering {
        /// The waiting entries.
        backlog: BacklogDocument,
        /// Time since nothing says that it is lagging. That its entries were handled is not said: they may be gone.
        recovering_seconds: f64,
        /// The status holds until that has lasted for so long.
        until_seconds: f64,
    },
    /// No entries wait.
    NothingWaits,
    /// Entries wait, and consumers make progress: a delivery or an acknowledgement was proven just now.
    Progress {
        /// The waiting entries.
        backlog: BacklogDocument,
    },
    /// Entries wait, and it is not proven that consumers make progress now.
    Standing {
        /// The waiting entries.
        backlog: BacklogDocument,
        /// Time since a delivery or an acknowledgement was last proven; `null` if none was within `watched_seconds`.
        ago_seconds: Option<f64>,
        /// How long the group has been watched, up to `status.window`.
        watched_seconds: f64,
    },
    /// Consumers hold pending entries and have made no progress for longer than `consumers.stuck_after`. Others may go on.
    StuckConsumers {
        /// The one of them with the most entries; `null` if it is not listed.
        worst: Option<StuckConsumerDocument>,
        /// Number of such consumers.
        consumers: u64,
        /// `consumers.stuck_after`.
        after_seconds: f64,
    },
    /// It is one of `retention.ignore_groups`. Its status is `ok` in place of this one.
    Ignored {
        /// The status that it has otherwise.
        status: Word<GroupStatus>,
    },
}

/// A consumer that holds pending entries and does nothing.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "StuckConsumer"))]
pub struct StuckConsumerDocument {
    /// Its name, for people.
    name: String,
    /// Its pending entries.
    entries: u64,
    /// How long it has sent no request, or received nothing.
    silent_seconds: f64,
}

/// The entries that a group has not finished.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "Backlog"))]
pub struct BacklogDocument {
    /// Entries not yet delivered to it, or an upper bound.
    lag: u64,
    /// Whether `lag` is exact.
    lag_known: bool,
    /// Pending entries that are still in the stream, as far as known.
    pending: u64,
}

/// A consumer close to the server's limit on pending entries.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "ConsumerLimit"))]
pub struct ConsumerLimitDocument {
    /// Its pending entries.
    entries: u64,
    /// At this number the server delivers nothing more to it.
    limit: u64,
}

impl<'a> From<&'a StreamCause> for StreamCauseDocument<'a> {
    fn from(cause: &'a StreamCause) -> Self {
        match cause {
            StreamCause::Fine { groups } => Self::Fine { groups: number(*groups) },
            StreamCause::Unwatched { groups } => Self::UnwatchedGroups { groups: *groups },
            StreamCause::Group { name, others } => Self::Group { group: text(name), others: number(*others) },
            StreamCause::Absent(Reason::WrongType) => Self::WrongType,
            StreamCause::Absent(_) => Self::Absent,
            StreamCause::Unreadable(Unread { reason, refused }) => Self::Unreadable {
                reason: (*reason).into(),
                refused_command: refused.as_deref().map(Cow::Borrowed),
            },
            StreamCause::Recreated(Recreation { gone, ago }) => {
                Self::Recreated { entries: *gone, ago_seconds: seconds(*ago) }
            }
            StreamCause::TooLong { length, limit, after } => {
                Self::TooLong { length: *length, limit: *limit, exceeded_seconds: seconds(*after) }
            }
            StreamCause::TooOld { age, limit, after } => Self::TooOld {
                age_seconds: seconds(*age),
                limit_seconds: seconds(*limit),
                exceeded_seconds: seconds(*after),
            },
            StreamCause::Silent { silent, threshold } => {
                Self::Silent { silent_seconds: seconds(*silent), threshold_seconds: seconds(*threshold) }
            }
            StreamCause::ClockBehind { behind } => Self::ClockBehind { ahead_seconds: seconds(*behind) },
        }
    }
}

fn unread(Unread { reason, refused }: &Unread) -> GroupCauseDocument {
    GroupCauseDocument::Unread { reason: (*reason).into(), refused_command: refused.clone() }
}

impl From<&GroupCause> for GroupCauseDocument {
    fn from(cause: &GroupCause) -> Self {
        match cause {
            GroupCause::Unread(why) => unread(why),
            GroupCause::NotThere { since } => Self::Missing { missing_seconds: seconds(*since) },
            GroupCause::TooEarly { backlog, watched, window } => Self::TooEarly {
                backlog: backlog.into(),
                watched_seconds: seconds(*watched),
                window_seconds: seconds(*window),
            },
            GroupCause::LagUnknown { backlog } => Self::LagUnknown { backlog: backlog.into() },
            GroupCause::Trimmed { entries, ago } => {
                Self::Lost { entries: *entries, ago_seconds: seconds(*ago) }
            }
            GroupCause::Suspected { entries, ago } => {
                Self::PossiblyLost { entries: *entries, ago_seconds: seconds(*ago) }
            }
            GroupCause::Dropped { entries, ago } => {
                Self::Dropped { entries: *entries, ago_seconds: seconds(*ago) }
            }
            GroupCause::WentBack { from, to, ago } => {
                Self::Rewound { from: *from, to: *to, ago_seconds: seconds(*ago) }
            }
            GroupCause::NoConsumer { backlog } => Self::NoConsumers { backlog: backlog.into() },
            GroupCause::Silent { backlog, consumers, silent } => Self::IdleConsumers {
                backlog: backlog.into(),
                consumers: *consumers,
                idle_seconds: seconds(*silent),
            },
            GroupCause::Still { backlog, consumers, least_idle, still, near } => Self::NoProgress {
                backlog: backlog.into(),
                consumers: *consumers,
                idle_seconds: least_idle.map(|idle| seconds(idle.duration())),
                still_seconds: seconds(*still),
                consumer_limit: near.as_deref().map(Into::into),
            },
            GroupCause::Over(over) => over.into(),
            GroupCause::Growing { backlog, from, to, within } => Self::Growing {
                backlog: backlog.into(),
                from: *from,
                to: *to,
                within_seconds: seconds(*within),
            },
            GroupCause::Recovering { backlog, since, until } => Self::Recovering {
                backlog: backlog.into(),
                recovering_seconds: seconds(*since),
                until_seconds: seconds(*until),
            },
            GroupCause::Idle => Self::NothingWaits,
            GroupCause::Moving { backlog } => Self::Progress { backlog: backlog.into() },
            GroupCause::Standing { backlog, last, watched } => Self::Standing {
                backlog: backlog.into(),
                ago_seconds: last.map(seconds),
                watched_seconds: seconds(*watched),
            },
            GroupCause::Stuck { worst, consumers, after } => Self::StuckConsumers {
                worst: worst.as_deref().map(Into::into),
                consumers: *consumers,
                after_seconds: seconds(*after),
            },
            GroupCause::Ignored(status) => Self::Ignored { status: (*status).into() },
        }
    }
}

impl From<&Over> for GroupCauseDocument {
    fn from(over: &Over) -> Self {
        match over {
            Over::Lag(entries, threshold) => Self::Lag { entries: *entries, threshold: *threshold },
            Over::LagAge(age, threshold) => {
                Self::LagAge { age_seconds: seconds(*age), threshold_seconds: seconds(*threshold) }
            }
            Over::LagAgeByDefault(age) => Self::DefaultLagAge {
                age_seconds: seconds(*age),
                threshold_seconds: seconds(Thresholds::LAG_AGE),
            },
            Over::Pending(entries, threshold) => Self::Pending { entries: *entries, threshold: *threshold },
            Over::PendingAge(age, threshold) => {
                Self::PendingAge { age_seconds: seconds(*age), threshold_seconds: seconds(*threshold) }
            }
            Over::PendingAgeByDefault(age) => Self::DefaultPendingAge {
                age_seconds: seconds(*age),
                threshold_seconds: seconds(Thresholds::PENDING_AGE),
            },
            Over::Poison { entries, is_lower_bound, deliveries } => {
                Self::Poison { entries: *entries, is_lower_bound: *is_lower_bound, deliveries: *deliveries }
            }
            Over::Limit(near) => Self::ConsumerLimit { entries: near.pending, limit: near.limit },
        }
    }
}

impl From<&StuckConsumer> for StuckConsumerDocument {
    fn from(StuckConsumer { name, pending, silent }: &StuckConsumer) -> Self {
        Self { name: text(name).into_owned(), entries: *pending, silent_seconds: seconds(*silent) }
    }
}

impl From<&Backlog> for BacklogDocument {
    fn from(Backlog { lag, pending }: &Backlog) -> Self {
        Self { lag: lag.upper_bound(), lag_known: matches!(lag, Lag::Exactly(_)), pending: *pending }
    }
}

impl From<&NearLimit> for ConsumerLimitDocument {
    fn from(near: &NearLimit) -> Self {
        Self { entries: near.pending, limit: near.limit }
    }
}

fn number(count: usize) -> u64 {
    count.try_into().unwrap_or(u64::MAX)
}

#[cfg(test)]
#[path = "cause_tests.rs"]
mod tests;
