//! What a trim would do, or did.

use serde::{Deserialize, Serialize};

use super::SCHEMA_VERSION;
use crate::{
    model::Name,
    retention::{Losing, Plan, Run, TrimBlocker},
};

/// What keeps entries.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlockedBy {
    /// The group's name, for people; `null` where it is no group.
    pub group: Option<String>,
    /// Why: a value of the metrics' `reason` label.
    pub reason: String,
    /// The same in a sentence.
    pub detail: String,
}

/// The answer to a trim.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrimDocument {
    /// [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// The stream's name, for people.
    pub stream: String,
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
    pub outcome: Option<String>,
    /// What keeps the limit from being reached.
    pub blocked_by: Option<BlockedBy>,
    /// The groups that lose entries: in a dry run so many at most.
    pub losing: Vec<LosingGroup>,
}

/// A group that a trim takes entries from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LosingGroup {
    /// Its name, for people.
    pub group: String,
    /// Entries that it was not given.
    pub undelivered: u64,
    /// Entries that it was given and has not acknowledged; `null` after a trim, which does not count them.
    pub pending: Option<u64>,
}

impl TrimDocument {
    /// What would be done to a stream of this length.
    #[must_use]
    pub fn planned(stream: &Name, length: u64, plan: &Plan, losing: &[Losing]) -> Self {
        Self {
            schema_version: SCHEMA_VERSION,
            stream: stream.to_string(),
            dry_run: true,
            length: Some(length),
            excess: plan.excess,
            removable_at_most: plan.at_most,
            removed: 0,
            outcome: None,
            blocked_by: plan.blocked_by().map(blocked_by),
            losing: losing.iter().map(losing_group).collect(),
        }
    }

    /// What was done.
    #[must_use]
    pub fn done(stream: &Name, plan: &Plan, run: &Run) -> Self {
        Self {
            dry_run: false,
            length: run.length,
            removed: run.removed,
            outcome: Some(run.outcome().as_str().to_owned()),
            blocked_by: run.blocked_by.as_ref().map(blocked_by),
            losing: run
                .lost
                .iter()
                .map(|(group, lost)| LosingGroup {
                    group: group.to_string(),
                    undelivered: *lost,
                    pending: None,
                })
                .collect(),
            ..Self::planned(stream, 0, plan, &[])
        }
    }
}

fn losing_group(losing: &Losing) -> LosingGroup {
    let Losing { group, undelivered, pending } = losing;
    LosingGroup { group: group.to_string(), undelivered: *undelivered, pending: Some(*pending) }
}

pub(super) fn blocked_by(blocker: &TrimBlocker) -> BlockedBy {
    BlockedBy {
        group: blocker.group.as_ref().map(ToString::to_string),
        reason: blocker.reason.as_str().to_owned(),
        detail: blocker.to_string(),
    }
}
