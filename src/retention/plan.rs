//! What may go and who holds the rest, drawn from a reading alone.
//!
//! The script that removes draws the same anew, from what is there at that moment; this is for what is shown, for
//! observing, and for servers that run no scripts.

use crate::{
    config::{Mode, Policy},
    evaluate::StreamVerdict,
    model::{Name, Pending, StreamId, StreamState},
};

/// Why entries can't go; the `reason` label of what is blocked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum BlockReason {
    /// The group was not given them.
    Unread,
    /// The group was given them and has not acknowledged them.
    Pending,
    /// The configuration expects a group that is not there.
    MissingGroup,
    /// A single node of the stream holds more entries than a step may remove.
    NodeSize,
    /// The age limit can't apply: the stream's IDs are not times.
    NotTimes,
    /// The server can't do it: safe trimming needs Redis 6.2.7.
    Unsupported,
    /// There are more groups than are watched, and the server runs no script that would look at all of them.
    UnwatchedGroups,
}

impl BlockReason {
    /// Every reason.
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

/// Who holds entries, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrimBlocker {
    /// The group, where one does.
    pub group: Option<Name>,
    /// Why.
    pub reason: BlockReason,
}

impl std::fmt::Display for TrimBlocker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let group = self.group.as_ref().map(|group| format!("group {group}")).unwrap_or_default();
        match self.reason {
            BlockReason::Unread => write!(f, "{group} was not given the oldest entries"),
            BlockReason::Pending => write!(f, "{group} has not acknowledged the oldest entries"),
            BlockReason::MissingGroup => write!(f, "{group} is expected and not there"),
            BlockReason::NodeSize => f.write_str("a node of the stream holds more entries than a step may remove"),
            BlockReason::NotTimes => f.write_str("the stream's IDs are not times, so its age limit can't apply"),
            BlockReason::Unsupported => f.write_str("safe trimming needs Redis 6.2.7 or later, or Valkey"),
            BlockReason::UnwatchedGroups => f.write_str(
                "the stream has more groups than limits.groups_per_stream, and without scripts only those are looked at",
            ),
        }
    }
}

/// What a run would find.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// Entries beyond `max_length`.
    pub excess: u64,
    /// Entries from this ID on must stay, those too that are yet to come; `None` where there is no group to protect.
    pub guard: Option<StreamId>,
    /// The first entry of those there are that must stay, with who needs it; `None` where nobody needs any.
    pub floor: Option<(StreamId, TrimBlocker)>,
    /// A group whose pending entries are unknown, or groups that are not watched: they may need any, so the guard is before all of them.
    pub unknown: Option<TrimBlocker>,
    /// Of the excess, the most that may go.
    pub at_most: u64,
    /// Whether exactly so many may go.
    pub is_exact: bool,
}

impl Plan {
    /// Plans for a stream as it was read.
    #[must_use]
    pub fn new(policy: &Policy, stream: &StreamState, verdict: &StreamVerdict) -> Self {
        let excess = policy.excess(stream.length);
        let is_safe = policy.mode != Mode::Strict;
        let needed = is_safe.then(|| needed(policy, stream, verdict)).flatten();
        let unknown = if is_safe { unknown(policy, stream, verdict) } else { None };
        let guard = unknown.as_ref().map(|_| StreamId::ZERO).or(needed.as_ref().map(|(id, _)| *id));
        // A group that was given everything holds nothing that is there now.
        let floor = needed.filter(|(id, _)| stream.last_generated_id.is_none_or(|last| *id <= last));
        let (below, is_exact) = match &floor {
            None => (stream.length, true),
            // Where the first entry is not known, only what is before every entry surely is before it.
            Some((id, _)) if *id <= stream.first_entry_id.unwrap_or(StreamId::ZERO) => (0, true),
            Some((_, TrimBlocker { group: Some(group), reason })) => below(*reason, group, stream, verdict),
            Some(_) => (stream.length, false),
        };
        let forced = policy.ceiling.map_or(0, |ceiling| stream.length.saturating_sub(ceiling));
        // The limit may be reached whatever the bound is, where it is above.
        let is_exact = is_exact && unknown.is_none();
        Self { excess, guard, floor, unknown, at_most: below.max(forced).min(excess), is_exact }
    }

    /// Who keeps the limit from being reached, where that is certain.
    #[must_use]
    pub fn blocked_by(&self) -> Option<&TrimBlocker> {
        let (_, blocker) = self.floor.as_ref()?;
        (self.at_most < self.excess).then_some(blocker)
    }

    /// Whether all of the excess may surely go.
    #[must_use]
    pub fn reaches_the_limit(&self) -> bool {
        self.at_most == self.excess && self.unknown.is_none() && (self.is_exact || self.floor.is_none())
    }

    /// How many entries of the excess may go, where that is known.
    #[must_use]
    pub fn removable(&self) -> Option<u64> {
        self.is_exact.then_some(self.at_most)
    }
}

/// How many entries are below what a group needs: those it was given and has acknowledged.
fn below(reason: BlockReason, group: &Name, stream: &StreamState, verdict: &StreamVerdict) -> (u64, bool) {
    let known = verdict.group(group).and_then(|group| group.lag.known());
    let unread = known.unwrap_or(0).min(stream.length);
    if reason == BlockReason::Unread {
        (stream.length - unread, known.is_some())
    } else {
        // At least the oldest pending entry itself stays, too.
        ((stream.length - unread).saturating_sub(1), false)
    }
}

fn blocker(group: &Name, reason: BlockReason) -> TrimBlocker {
    TrimBlocker { group: Some(group.clone()), reason }
}

/// What a group has pending, as far as it is known.
fn pending(stream: &StreamState, verdict: &StreamVerdict, group: &Name) -> Pending {
    let both = stream.groups.get(group).zip(verdict.group(group));
    both.map_or(Pending::Unknown, |(state, report)| report.oldest_pending(state))
}

/// The first group of which it is not known what it has pending.
fn unknown(policy: &Policy, stream: &StreamState, verdict: &StreamVerdict) -> Option<TrimBlocker> {
    if stream.unwatched_groups > 0 {
        return Some(TrimBlocker { group: None, reason: BlockReason::UnwatchedGroups });
    }
    let mut groups = stream.groups.keys().filter(|group| !policy.ignore_groups.contains(group));
    groups
        .find(|group| pending(stream, verdict, group) == Pending::Unknown)
        .map(|group| blocker(group, BlockReason::Pending))
}

/// The first ID that some group is known to need, whether there is such an entry yet or not.
fn needed(policy: &Policy, stream: &StreamState, verdict: &StreamVerdict) -> Option<(StreamId, TrimBlocker)> {
    let is_ignored = |group: &Name| policy.ignore_groups.contains(group);
    let missing = policy.groups.iter().filter(|group| !stream.groups.contains_key(group));
    let missing = missing
        .filter(|group| !is_ignored(group))
        .map(|group| (StreamId::ZERO, blocker(group, BlockReason::MissingGroup)));
    let needs = stream.groups.iter().filter(|(group, _)| !is_ignored(group)).flat_map(|(group, state)| {
        let unread = state.last_delivered_id.next().map(|id| (id, blocker(group, BlockReason::Unread)));
        let pending = pending(stream, verdict, group).oldest();
        unread.into_iter().chain(pending.map(|oldest| (oldest.id, blocker(group, BlockReason::Pending))))
    });
    missing.chain(needs).min_by_key(|(id, _)| *id)
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
