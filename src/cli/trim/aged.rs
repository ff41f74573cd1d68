//! What an age limit comes to: how many entries are too old, and how many of them may be removed.

use std::time::Duration;

use super::super::details::details;
use crate::{
    config::{Config, Policy},
    evaluate::{NoAge, StreamVerdict, short},
    model::{Name, ServerTime, StreamId, StreamState},
    planner::{Looker, Older},
    retention::{Plan, TooOld},
};

/// A number of entries. Its digits are not grouped: scripts read them.
pub(super) fn entries(count: u64) -> String {
    if count == 1 { "1 entry".to_owned() } else { format!("{count} entries") }
}

/// What an age limit comes to.
pub(super) enum Aged {
    /// There is no such limit.
    NoLimit,
    /// The age of the oldest entry is unknown, for this reason. At most so many may be removed.
    Unknown(String, u64),
    /// The oldest entry is younger.
    Young,
    /// Entries are too old. The first entry that a group needs may be one of them.
    Old { oldest: Duration, limit: Duration, counts: Option<Counts>, too_old: TooOld },
}

impl Aged {
    pub(super) fn of(
        policy: &Policy,
        now: Option<ServerTime>,
        (state, verdict): (&StreamState, &StreamVerdict),
        plan: &Plan,
    ) -> Self {
        let too_old = TooOld::of(policy, now, (state, verdict), plan);
        let Some((limit, too_old)) = policy.max_age.zip(too_old) else { return Self::NoLimit };
        match too_old.oldest {
            None => Self::Unknown(no_age(state, now), too_old.removable_at_most),
            Some(_) if too_old.at_most == 0 => Self::Young,
            Some(oldest) => Self::Old { oldest, limit, counts: None, too_old },
        }
    }

    pub(super) const fn has_nothing_to_do(&self) -> bool {
        matches!(self, Self::NoLimit | Self::Young)
    }

    pub(super) const fn reaches_the_limit(&self) -> bool {
        match self {
            Self::NoLimit | Self::Young => true,
            Self::Unknown(..) => false,
            Self::Old { too_old, .. } => too_old.blocked_by.is_none(),
        }
    }

    /// The most that may be removed since it is too old.
    pub(super) const fn removable_at_most(&self) -> u64 {
        match self {
            Self::NoLimit | Self::Young => 0,
            Self::Unknown(_, at_most) => *at_most,
            Self::Old { counts: None, too_old, .. } => too_old.removable_at_most,
            Self::Old { counts: Some(counts), .. } => counts.removable.at_most,
        }
    }

    /// Counts what is too old, and what of it no group needs. Where that fails, the numbers stay unknown.
    pub(super) async fn count(
        &mut self,
        config: &Config,
        stream: &Name,
        cutoff: Option<StreamId>,
        plan: &Plan,
    ) {
        let (Self::Old { counts, .. }, Some(cutoff)) = (self, cutoff) else { return };
        let floor = plan.floor.as_ref().map_or(StreamId::MAX, |(id, _)| *id);
        let mut details = details();
        let mut looker = Looker { config, stream, details: &mut details };
        if let Ok((old, mut removable)) = looker.count_before(cutoff, floor).await {
            if plan.unknown.is_some() {
                removable.at_least = 0;
            }
            *counts = Some(Counts { old, removable });
        }
    }

    pub(super) fn describe(&self, policy: &Policy) -> String {
        match self {
            Self::NoLimit => String::new(),
            Self::Unknown(reason, _) => format!("too old       unknown: {reason}\n"),
            Self::Young => "too old       nothing\n".to_owned(),
            Self::Old { oldest, limit, counts, too_old } => {
                let (oldest, limit) = (short(*oldest), short(*limit));
                let count = counts.map_or_else(|| "entries".to_owned(), |counts| number(counts.old));
                let mut text =
                    format!("too old       {count} older than {limit}; the oldest is {oldest} old\n");
                text.extend(counts.map(|counts| counts.would_remove(policy)));
                if let Some(blocker) = &too_old.blocked_by {
                    let is_none = counts.is_some_and(|counts| counts.removable.at_most == 0);
                    let which = if is_none { "none of them" } else { "not all of them" };
                    text += &format!("blocked       {which}: {blocker}\n");
                }
                text
            }
        }
    }
}

/// How many entries are too old.
#[derive(Clone, Copy)]
pub(super) struct Counts {
    old: Older,
    /// Those of them that no group needs.
    removable: Older,
}

impl Counts {
    fn would_remove(self, policy: &Policy) -> String {
        // A limit on the length has this line too.
        let label = if policy.max_length.is_some() { "of these      " } else { "would remove  " };
        let at_most = self.removable.at_most;
        let what = match (at_most, policy.exact) {
            (0, _) => "nothing".to_owned(),
            (_, true) => number(self.removable),
            // What is in one node with an entry that stays is kept too.
            (_, false) => {
                format!("at most {}, in whole nodes (100 entries each by default)", entries(at_most))
            }
        };
        format!("{label}{what}\n")
    }
}

/// A number between bounds. Its digits are not grouped: scripts read them.
fn number(Older { at_least, at_most }: Older) -> String {
    if at_least == at_most {
        entries(at_most)
    } else {
        format!("at least {at_least} and at most {}", entries(at_most))
    }
}

/// Why the age of the oldest entry is unknown.
fn no_age(state: &StreamState, now: Option<ServerTime>) -> String {
    match (state.length, now, state.first_entry_id) {
        (0, _, _) => "the stream is empty".to_owned(),
        (_, None, _) => "the server's clock is unknown".to_owned(),
        (_, _, None) => "the oldest entry was not read".to_owned(),
        (_, _, Some(first)) => format!("of the oldest entry, {first}, {}", NoAge::of(first)),
    }
}
