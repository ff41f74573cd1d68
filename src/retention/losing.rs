//! The groups that would lose entries to a trim.

use crate::{
    config::{Mode, Policy},
    evaluate::StreamVerdict,
    model::{Name, Pending, StreamState},
};

/// A group that would lose entries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Losing {
    /// The group.
    pub group: Name,
    /// Upper bound of the undelivered entries that it would lose.
    pub undelivered: u64,
    /// Upper bound of the entries that it would lose while they are pending.
    pub pending: u64,
}

/// The groups that would lose entries if so many were removed, with upper bounds. In safe mode only ignored groups can lose any.
#[must_use]
pub fn losing(removed: u64, policy: &Policy, stream: &StreamState, verdict: &StreamVerdict) -> Vec<Losing> {
    let is_protected = |group: &Name| policy.mode != Mode::Strict && !policy.ignore_groups.contains(group);
    let unprotected = stream.groups.iter().filter(|(group, _)| !is_protected(group));
    let losing = unprotected.filter_map(|(group, state)| {
        let report = verdict.group(group)?;
        // A trim removes the oldest entries, and the undelivered ones are the newest.
        let delivered = stream.length - report.lag.upper_bound().min(stream.length);
        let undelivered = removed.saturating_sub(delivered);
        let delivered_at_most = stream.length - report.lag.known().unwrap_or(0).min(stream.length);
        let pending = match report.oldest_pending(state) {
            Pending::None => 0,
            Pending::Oldest(_) | Pending::Unknown => {
                let existing = state.pending.saturating_sub(report.dangling.map_or(0, u64::from));
                existing.min(removed).min(delivered_at_most)
            }
        };
        Some(Losing { group: group.clone(), undelivered, pending })
    });
    losing.filter(|losing| losing.undelivered + losing.pending > 0).collect()
}
