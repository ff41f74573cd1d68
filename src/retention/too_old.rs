//! What an age limit comes to, as far as a reading shows: of all entries only the oldest one has an age.

use std::time::Duration;

use super::{Plan, TrimBlocker};
use crate::{
    config::Policy,
    evaluate::StreamVerdict,
    model::{ServerTime, StreamId, StreamState},
};

/// Entries that are older than an age limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TooOld {
    /// So many at least.
    pub at_least: u64,
    /// So many at most.
    pub at_most: u64,
    /// Of these no group needs more.
    pub removable_at_most: u64,
    /// Age of the oldest entry; `None` if it is unknown: then all may be too old.
    pub oldest: Option<Duration>,
    /// What keeps some of them.
    pub blocked_by: Option<TrimBlocker>,
}

impl TooOld {
    /// `None` without an age limit. `now` is the server's clock at the reading, and `plan` what the policy comes to.
    #[must_use]
    pub fn of(
        policy: &Policy,
        now: Option<ServerTime>,
        (state, verdict): (&StreamState, &StreamVerdict),
        plan: &Plan,
    ) -> Option<Self> {
        let limit = policy.max_age?;
        let oldest = verdict.read.as_ref().and_then(|read| Some(read.oldest_entry_age?.0.duration()));
        let is_old = oldest.is_some_and(|oldest| oldest > limit) && state.length > 0;
        let at_most = if is_old || oldest.is_none() { state.length } else { 0 };
        // As many as no group needs, whatever their age.
        let removable = Plan::new(&Policy { max_length: Some(0), ..policy.clone() }, state, verdict);
        let cutoff = policy.cutoff(now);
        let needed = plan.unknown.clone().map(|blocker| (StreamId::ZERO, blocker)).or(plan.floor.clone());
        let needed = needed.filter(|(id, _)| is_old && cutoff.is_none_or(|cutoff| *id < cutoff));
        Some(Self {
            at_least: u64::from(is_old),
            at_most,
            removable_at_most: removable.at_most.min(at_most),
            oldest,
            blocked_by: needed.map(|(_, blocker)| blocker),
        })
    }
}
