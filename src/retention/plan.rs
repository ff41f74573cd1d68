//! Which entries may be removed and what blocks the others, computed from a reading.
//!
//! The script that removes entries computes this again, from the state at that moment. The plan is for views, for
//! observing, and for servers that refuse scripts.

use crate::{
    config::{Mode, Policy},
    evaluate::StreamVerdict,
    model::{Name, Pending, StreamId, StreamState},
};

/// Why entries can't be removed; also the `reason` label of `streamwarden_retention_blocked`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum BlockReason {
    /// They are not yet delivered to the group.
    Unread,
    /// They were delivered to the group and are not acknowledged.
    Pending,
    /// The configuration expects a group that does not exist.
    MissingGroup,
    /// A single node of the stream holds more entries than a step may remove.
    NodeSize,
    /// The age limit can't apply: the stream's IDs are not times.
    NotTimes,
    /// The server lacks the command: safe trimming needs Redis 6.2.7.
    Unsupported,
    /// Some groups are not watched, and the server refuses the script that would check all of them.
    UnwatchedGroups,
}

impl BlockReason {
    /// All reasons.
    pub const ALL: [Self; 7] = [
        Self::Unread,
        Self::Pending,
        Self::MissingGroup,
        Self::NodeSize,
        Self::NotTimes,
        Self::Unsupported,
        Self::UnwatchedGroups,
    ];

    /// The value of the `reason` label.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unread => "unread",
            Self::Pending => "pending",
            Self::MissingGroup => "missing_group",
            Self::NodeSize => "node_size",
            Self::NotTimes => "not_times",
            Self::Unsupported => "unsupported",
            Self::UnwatchedGroups => "unwatched_groups",
        }
    }
}

/// What blocks a trim: a group, or something about the stream or the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrimBlocker {
    /// The group, if a group blocks it.
    pub group: Option<Name>,
    /// The reason.
    pub reason: BlockReason,
}

impl std::fmt::Display for TrimBlocker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let group = self.group.as_ref().map(|group| format!("group {group}")).unwrap_or_default();
        match self.reason {
            BlockReason::Unread => write!(f, "{group} has not read the oldest entries"),
            BlockReason::Pending => write!(f, "{group} has not acknowledged the oldest entries"),
            BlockReason::MissingGroup => write!(f, "{group} is expected but missing"),
            BlockReason::NodeSize => f.write_str("a node of the stream holds more entries than a step may remove"),
            BlockReason::NotTimes => f.write_str("the stream's IDs are not times, so its age limit can't apply"),
            BlockReason::Unsupported => f.write_str("safe trimming needs Redis 6.2.7 or later, or Valkey"),
            BlockReason::UnwatchedGroups => f.write_str(
                "the stream has more groups than limits.groups_per_stream, and without scripts only those are checked",
            ),
        }
    }
}

/// The result to expect of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// Entries beyond `max_length`.
    pub excess: u64,
    /// All entries from this ID on must stay, including future ones; `None` where no group needs protection.
    pub guard: Option<StreamId>,
    /// The first existing entry that must stay, and who needs it; `None` where no existing entry is needed.
    pub floor: Option<(StreamId, TrimBlocker)>,
    /// A group whose pending entries are unknown, or groups that are not watched. They may need any entry, so nothing
    /// may be removed for sure.
    pub unknown: Option<TrimBlocker>,
    /// Upper bound of the excess entries that may be removed.
    pub at_most: u64,
    /// Whether `at_most` is exact.
    pub is_exact: bool,
}

impl Plan {
    /// Plans for a stream as it was read.
    #[must_use]
    pub fn new(policy: &Policy, stream: &StreamState, verdict: &StreamVerdict) -> Self {
        let excess = policy.excess(stream.length);
        let is_safe = policy.mode != Mode::Strict;
        let needed = if is_safe { needed(policy, stream, verdict) } else { None };
        let unknown = if is_safe { unknown(policy, stream, verdict) } else { None };
        let guard = unknown.as_ref().map(|_| StreamId::ZERO).or(needed.as_ref().map(|(id, _)| *id));
        // A group to which everything was delivered needs no existing entry.
        let floor = needed.filter(|(id, _)| stream.last_generated_id.is_none_or(|last| *id <= last));
        let (below, is_exact) = match &floor {
            None => (stream.length, true),
            // If the first entry is unknown, only an ID before all entries is certainly before it.
            Some((id, _)) if *id <= stream.first_entry_id.unwrap_or(StreamId::ZERO) => (0, true),
            Some((id, TrimBlocker { group: Some(group), reason })) => {
                below(*id, (*reason, group), stream, verdict)
            }
            Some(_) => (stream.length, false),
        };
        let forced = policy.ceiling.map_or(0, |ceiling| stream.length.saturating_sub(ceiling));
        // If something is unknown, `at_most` is only an upper bound, and the limit may still be reached.
        let is_exact = is_exact && unknown.is_none();
        Self { excess, guard, floor, unknown, at_most: below.max(forced).min(excess), is_exact }
    }

    /// What certainly prevents the limit from being reached.
    #[must_use]
    pub fn blocked_by(&self) -> Option<&TrimBlocker> {
        let (_, blocker) = self.floor.as_ref()?;
        (self.at_most < self.excess).then_some(blocker)
    }

    /// Whether all excess entries can certainly be removed.
    #[must_use]
    pub fn reaches_the_limit(&self) -> bool {
        self.at_most == self.excess && self.unknown.is_none() && (self.is_exact || self.floor.is_none())
    }

    /// The number of excess entries that may be removed, if it is known.
    #[must_use]
    pub fn removable(&self) -> Option<u64> {
        self.is_exact.then_some(self.at_most)
    }
}

/// The number of entries before the first that a group needs, and whether it is exact. These entries were delivered
/// to the group and acknowledged.
fn below(
    first: StreamId,
    (reason, group): (BlockReason, &Name),
    stream: &StreamState,
    verdict: &StreamVerdict,
) -> (u64, bool) {
    let lag = verdict.group(group).and_then(|group| group.lag.known());
    let delivered = stream.length - lag.unwrap_or(0).min(stream.length);
    if reason == BlockReason::Unread {
        (delivered, lag.is_some())
    } else {
        // The oldest pending entry itself stays as well, and so do all others. They may be behind the group's position, if it was
        // set back, and some may have been removed.
        let pending = stream.groups.get(group).filter(|_| is_whole_from(stream, first));
        let pending = pending.map_or(0, |group| group.pending);
        (delivered.saturating_sub(1).min(stream.length.saturating_sub(pending)), false)
    }
}

/// Whether no entry from this ID on was removed: trims begin at the first entry, or take only what is acknowledged.
fn is_whole_from(stream: &StreamState, id: StreamId) -> bool {
    stream.first_entry_id.is_some_and(|first| first <= id)
        && stream.max_deleted_entry_id.is_some_and(|deleted| deleted < id)
}

fn blocker(group: &Name, reason: BlockReason) -> TrimBlocker {
    TrimBlocker { group: Some(group.clone()), reason }
}

/// The head of a group's pending list, as far as it is known.
fn pending(stream: &StreamState, verdict: &StreamVerdict, group: &Name) -> Pending {
    match (stream.groups.get(group), verdict.group(group)) {
        (Some(state), Some(report)) => report.oldest_pending(state),
        _ => Pending::Unknown,
    }
}

/// The first group whose pending entries are unknown.
fn unknown(policy: &Policy, stream: &StreamState, verdict: &StreamVerdict) -> Option<TrimBlocker> {
    if stream.unwatched_groups > 0 {
        return Some(TrimBlocker { group: None, reason: BlockReason::UnwatchedGroups });
    }
    let mut groups = stream.groups.keys().filter(|group| !policy.ignore_groups.contains(group));
    groups
        .find(|group| pending(stream, verdict, group) == Pending::Unknown)
        .map(|group| blocker(group, BlockReason::Pending))
}

/// The first ID that a group is known to need, whether its entry exists yet or not.
fn needed(policy: &Policy, stream: &StreamState, verdict: &StreamVerdict) -> Option<(StreamId, TrimBlocker)> {
    let is_ignored = |group: &Name| policy.ignore_groups.contains(group);
    let missing = policy.groups.iter().filter(|group| !stream.groups.contains_key(group));
    // A missing group needs all entries that exist, from the first on.
    let first = stream.first_entry_id.unwrap_or(StreamId::ZERO);
    let missing = missing
        .filter(|group| !is_ignored(group))
        .map(|group| (first, blocker(group, BlockReason::MissingGroup)));
    let needs = stream.groups.iter().filter(|(group, _)| !is_ignored(group)).flat_map(|(group, state)| {
        let unread = state.last_delivered_id.next().map(|id| (id, blocker(group, BlockReason::Unread)));
        let pending = pending(stream, verdict, group).oldest();
        unread.into_iter().chain(pending.map(|oldest| (oldest.id, blocker(group, BlockReason::Pending))))
    });
    // Of several the first, in the order of the script, so that a plan and a run name the same one.
    needs.chain(missing).min_by_key(|(id, _)| *id)
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
