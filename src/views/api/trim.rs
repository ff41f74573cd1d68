//! What a trim would do, or did.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::{
    SCHEMA_VERSION,
    values::{Word, text},
};
use crate::{
    model::Name,
    retention::{BlockReason, Losing, Outcome, Plan, Run, TrimBlocker},
};

/// What keeps entries.
#[derive(Debug, Serialize, Deserialize)]
pub struct BlockedBy<'a> {
    /// The group's name, for people; `null` where it is no group.
    pub group: Option<Cow<'a, str>>,
    /// Why: a value of the metrics' `reason` label.
    pub reason: Word<BlockReason>,
    /// The same in a sentence.
    pub detail: Cow<'a, str>,
}

/// The answer to a trim.
#[derive(Debug, Serialize, Deserialize)]
pub struct TrimDocument<'a> {
    /// [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// The stream's name, for people.
    pub stream: Cow<'a, str>,
    /// Whether this is only what would be done, by the last poll's reading.
    pub dry_run: bool,
    /// The stream's length, afterwards if it was trimmed; `null` where it was not looked at.
    pub length: Option<u64>,
    /// Entries beyond the limit, by the last poll's reading.
    pub excess: u64,
    /// Of those, the most that may go.
    pub removable_at_most: u64,
    /// Entries that were removed.
    pub removed: u64,
    /// How it ended: a value of the metrics' `outcome` label; `null` for a dry run.
    pub outcome: Option<Word<Outcome>>,
    /// What keeps the limit from being reached.
    pub blocked_by: Option<BlockedBy<'a>>,
    /// The groups that lose entries: in a dry run so many at most.
    pub losing: Vec<LosingGroup<'a>>,
}

/// A group that a trim takes entries from.
#[derive(Debug, Serialize, Deserialize)]
pub struct LosingGroup<'a> {
    /// Its name, for people.
    pub group: Cow<'a, str>,
    /// Entries that it was not given.
    pub undelivered: u64,
    /// Entries that it was given and has not acknowledged; `null` after a trim, which does not count them.
    pub pending: Option<u64>,
}

impl<'a> TrimDocument<'a> {
    /// What would be done to a stream of this length.
    #[must_use]
    pub fn planned(stream: &'a Name, length: u64, plan: &'a Plan, losing: &'a [Losing]) -> Self {
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
            excess: plan.excess,
            removable_at_most: plan.at_most,
            removed: 0,
            outcome: None,
            blocked_by: plan.blocked_by().map(blocked_by),
            losing: losing.iter().map(group).collect(),
        }
    }

    /// What was done.
    #[must_use]
    pub fn done(stream: &'a Name, plan: &'a Plan, run: &'a Run) -> Self {
        let group = |(group, lost): (&'a Name, &u64)| LosingGroup {
            group: text(group),
            undelivered: *lost,
            pending: None,
        };
        Self {
            dry_run: false,
            length: run.length,
            removed: run.removed,
            outcome: Some(run.outcome().into()),
            blocked_by: run.blocked_by.as_ref().map(blocked_by),
            losing: run.lost.iter().map(group).collect(),
            ..Self::planned(stream, 0, plan, &[])
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
