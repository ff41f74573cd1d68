//! A trim that is asked for, and its answer.

use std::{borrow::Cow, time::Duration};

use serde::{Deserialize, Serialize};

use super::{
    SCHEMA_VERSION,
    acts::{any, is_a_span, request},
    values::{seconds, text},
    word::Word,
};
use crate::{
    model::Name,
    retention::{BlockReason, Losing, Outcome, Plan, Run, TooOld, TrimBlocker},
};

request! {
    /// A trim that is asked for: to a length, to an age, or to both.
    TrimRequest {
        /// The most entries that the stream should hold.
        max_length: Option<u64>, "a number from 0 on", any;
        /// The age that an entry may have, in seconds.
        max_age_seconds: Option<f64>, "a number of seconds from 0 on", is_a_span;
        /// What may be removed (`safe`).
        mode: Option<TrimMode>, "safe or strict", any;
        /// Whether to remove single entries too (false). By default only whole nodes of the stream are removed.
        exact: Option<bool>, "true or false", any;
        /// Whether to only report what would be removed (true).
        dry_run: Option<bool>, "true or false", any;
    }
}

/// What a trim may remove.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(Serialize, schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum TrimMode {
    /// Only entries that no group still needs.
    #[default]
    Safe,
    /// All entries beyond the limit.
    Strict,
}

/// What keeps entries from being removed.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "BlockedBy"))]
pub struct BlockedBy<'a> {
    /// The group's name, for people; `null` where it is not a group.
    pub group: Option<Cow<'a, str>>,
    /// Why: a value of the metrics' `reason` label.
    pub reason: Word<BlockReason>,
    /// The same in a sentence.
    pub detail: Cow<'a, str>,
}

/// What a trim would remove, or removed.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "Trim"))]
pub struct TrimDocument<'a> {
    /// Increases when a field is removed or changes its meaning; fields may be added at any time.
    #[cfg_attr(feature = "schema", schemars(extend("const" = SCHEMA_VERSION)))]
    pub schema_version: u32,
    /// The stream's name, for people.
    pub stream: Cow<'a, str>,
    /// Whether nothing was removed: the numbers are what a trim would do by the last reading.
    pub dry_run: bool,
    /// The stream's length, after the trim if there was one; `null` where it was not read.
    pub length: Option<u64>,
    /// Age of the reading that a dry run's numbers are from; `null` after a trim.
    #[serde(skip_deserializing)]
    pub age_seconds: Option<f64>,
    /// Entries beyond `max_length`, by the last poll's reading.
    pub excess: u64,
    /// Entries older than `max_age_seconds`: at least so many, by the last poll's reading, in which only the oldest entry has an age, or
    /// none: then all may be too old. `null` if no age was asked for.
    pub too_old_at_least: Option<u64>,
    /// The same: at most so many.
    pub too_old_at_most: Option<u64>,
    /// The most entries that may be removed.
    pub removable_at_most: u64,
    /// Entries that were removed.
    pub removed: u64,
    /// How it ended: a value of the metrics' `outcome` label; `null` for a dry run.
    pub outcome: Option<Word<Outcome>>,
    /// What keeps the limit from being reached.
    pub blocked_by: Option<BlockedBy<'a>>,
    /// The watched groups that lose entries (`limits.groups_per_stream`).
    pub losing: Vec<LosingGroup<'a>>,
}

/// A group that loses entries by a trim.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "LosingGroup"))]
pub struct LosingGroup<'a> {
    /// Its name, for people.
    pub group: Cow<'a, str>,
    /// Entries not yet delivered to it; in a dry run at most so many.
    pub undelivered: u64,
    /// At most so many entries delivered to it and not yet acknowledged; `null` after a trim, which does not count them.
    pub pending: Option<u64>,
}

impl<'a> TrimDocument<'a> {
    /// What a trim would do to a stream of this length, by a reading of this age.
    #[must_use]
    pub fn planned(
        stream: &'a Name,
        length: u64,
        age: Duration,
        (plan, too_old): (&'a Plan, Option<&'a TooOld>),
        losing: &'a [Losing],
    ) -> Self {
        let group = |losing: &'a Losing| LosingGroup {
            group: text(&losing.group),
            undelivered: losing.undelivered,
            pending: Some(losing.pending),
        };
        Self {
            schema_version: SCHEMA_VERSION,
            stream: text(stream),
            dry_run: true,
            length: Some(length),
            age_seconds: Some(seconds(age)),
            excess: plan.excess,
            too_old_at_least: too_old.map(|too_old| too_old.at_least),
            too_old_at_most: too_old.map(|too_old| too_old.at_most),
            removable_at_most: plan.at_most.max(too_old.map_or(0, |too_old| too_old.removable_at_most)),
            removed: 0,
            outcome: None,
            blocked_by: plan.blocked_by().or(too_old.and_then(|it| it.blocked_by.as_ref())).map(blocked_by),
            losing: losing.iter().map(group).collect(),
        }
    }

    /// What a trim did.
    #[must_use]
    pub fn done(stream: &'a Name, (plan, too_old): (&'a Plan, Option<&'a TooOld>), run: &'a Run) -> Self {
        let group = |(group, lost): (&'a Name, &u64)| LosingGroup {
            group: text(group),
            undelivered: *lost,
            pending: None,
        };
        Self {
            dry_run: false,
            length: run.length,
            age_seconds: None,
            removed: run.removed,
            outcome: Some(run.outcome().into()),
            blocked_by: run.blocked_by.as_ref().map(blocked_by),
            losing: run.lost.iter().map(group).collect(),
            ..Self::planned(stream, 0, Duration::ZERO, (plan, too_old), &[])
        }
    }
}

pub(super) fn blocked_by(blocker: &TrimBlocker) -> BlockedBy<'_> {
    BlockedBy {
        group: blocker.group.as_ref().map(text),
        reason: blocker.reason.into(),
        detail: blocker.to_string().into(),
    }
}
