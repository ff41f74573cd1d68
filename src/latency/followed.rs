//! Single entries that are followed until it is certain whether they met the objective for handling.
//!
//! The curve of acknowledgements says nothing certain of a single entry where entries are acknowledged out of order, as when they are
//! retried. So the entry that was delivered last is followed at each tick. Redis is asked whether it is still pending at the last tick
//! before its objective and, if it was, at the first one after. That is two or three commands for an entry however long it takes, and
//! one that takes long is followed as surely as any other. It is compared with what the curve says of the same entry.

use std::{collections::VecDeque, time::Duration};

use super::{Outcome, Wait};
use crate::model::{Millis, StreamId, TickTime};

/// Followed entries that are compared with the curve to tell whether entries are acknowledged in order.
const COMPARED: usize = 256;
/// An older comparison says nothing of the order now.
const COMPARED_FOR_MS: u64 = 3_600_000;
/// The curve may be wrong about this part of the error budget.
const PART_OF_BUDGET: f64 = 0.1;
/// Entries that a tick asks about at most, for each group.
const MOST_ASKED: usize = 4;
/// Entries that are followed at a time at most. With the default tick it is enough for objectives of four minutes; beyond that not every
/// tick has one.
const MOST_FOLLOWED: usize = 1_024;
/// An entry without an answer is given up so many ticks after its objective.
const PATIENCE: u64 = 20;

/// An entry that is followed.
#[derive(Debug, Clone, Copy)]
struct Entry {
    id: StreamId,
    /// Its place in the order of delivery.
    number: u64,
    /// It was not acknowledged before.
    not_before: u64,
    /// It was acknowledged by then.
    by: Option<u64>,
    /// What the curve says of it, once it has passed it.
    in_order: Option<Outcome>,
}

/// Followed entries by their outcome, and by what the order of acknowledgements says of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FollowedOutcomes([[u64; Outcome::ALL.len()]; Outcome::ALL.len()]);

impl FollowedOutcomes {
    /// Entries with this outcome, of which the curve says the second one.
    #[must_use]
    pub fn of(&self, outcome: Outcome, in_order: Outcome) -> u64 {
        self.0.get(outcome as usize).and_then(|row| row.get(in_order as usize)).copied().unwrap_or_default()
    }

    /// Entries with this outcome.
    #[must_use]
    pub fn all(&self, outcome: Outcome) -> u64 {
        Outcome::ALL.into_iter().map(|in_order| self.of(outcome, in_order)).sum()
    }

    fn add(&mut self, outcome: Outcome, in_order: Outcome) {
        if let Some(count) = self.0.get_mut(outcome as usize).and_then(|row| row.get_mut(in_order as usize)) {
            *count += 1;
        }
    }
}

/// The entries of a group that are followed.
#[derive(Debug, Clone, Default)]
pub(super) struct Followed {
    entries: VecDeque<Entry>,
    pub(super) outcomes: FollowedOutcomes,
    /// When they were compared, and whether the curve contradicted them, the latest last.
    contradicted: VecDeque<(u64, bool)>,
}

/// What a tick says of followed entries.
pub(super) struct Seen<'a> {
    pub(super) before: TickTime,
    pub(super) now: TickTime,
    /// Entries that the curve has passed.
    pub(super) handled: u64,
    /// Entries that are pending.
    pub(super) pending: u64,
    /// Whether those that were asked for are.
    pub(super) answers: &'a [(StreamId, bool)],
}

impl Followed {
    /// The entries to ask for at a tick, if this is about when it comes.
    pub(super) fn asked(&self, at: u64, tick: u64, objective: Duration) -> impl Iterator<Item = StreamId> {
        // So that the tick before the objective asks for it even if the next one is half a tick late.
        let due = (at + tick + tick / 2).saturating_sub(Millis::from(objective).get());
        let due = self.entries.iter().filter(move |entry| entry.by.is_none() && entry.id.ms <= due);
        due.take(MOST_ASKED).map(|entry| entry.id)
    }

    /// Follows an entry from the tick at which it was delivered.
    pub(super) fn follow(&mut self, id: StreamId, number: u64, before: TickTime) {
        if self.entries.len() >= MOST_FOLLOWED {
            return;
        }
        self.entries.push_back(Entry { id, number, not_before: before.from, by: None, in_order: None });
    }

    /// Nothing is known of those that are followed now: the group was set back, or could not be read.
    pub(super) fn lose(&mut self) {
        for _ in self.entries.drain(..) {
            self.outcomes.add(Outcome::Unknown, Outcome::Unknown);
        }
    }

    /// Takes what a tick says. Those whose outcome is certain now are followed no longer.
    pub(super) fn take(&mut self, seen: &Seen<'_>, tick: u64, objective: Duration) {
        let (mut outcomes, mut compared) = (self.outcomes, Vec::new());
        self.entries.retain_mut(|entry| {
            entry.see(seen, objective);
            let Some((outcome, in_order)) = entry.outcomes(seen.now, tick, objective) else { return true };
            outcomes.add(outcome, in_order);
            let are_opposite =
                matches!((outcome, in_order), (Outcome::Good, Outcome::Bad) | (Outcome::Bad, Outcome::Good));
            compared.push((seen.now.from, are_opposite));
            false
        });
        self.outcomes = outcomes;
        self.contradicted.extend(compared);
        let over = self.contradicted.len().saturating_sub(COMPARED);
        self.contradicted.drain(..over);
        self.contradicted.retain(|(at, _)| seen.now.from <= at.saturating_add(COMPARED_FOR_MS));
    }

    /// Whether the curve is right about single entries, but for a part of the error budget that does not matter. `target` is the share
    /// of entries that must meet the objective.
    pub(super) fn are_in_order(&self, target: f64) -> bool {
        let wrong = self.contradicted.iter().filter(|(_, is_opposite)| *is_opposite).count();
        let [wrong, all] = [wrong, self.contradicted.len()].map(|it| u32::try_from(it).unwrap_or(u32::MAX));
        f64::from(wrong) <= PART_OF_BUDGET * (1.0 - target) * f64::from(all)
    }
}

impl Entry {
    fn see(&mut self, seen: &Seen<'_>, objective: Duration) {
        if self.in_order.is_none() && seen.handled >= self.number {
            let wait = self.wait(seen.before.from.max(self.id.ms), seen.now.to);
            self.in_order = Some(Outcome::of(&wait, objective));
        }
        if self.by.is_some() {
            return;
        }
        let answer = seen.answers.iter().find(|(id, _)| *id == self.id).map(|(_, is_pending)| *is_pending);
        match answer.unwrap_or(true) && seen.pending > 0 {
            false => self.by = Some(seen.now.to),
            true if answer.is_some() => self.not_before = seen.now.from,
            true => {}
        }
    }

    const fn wait(&self, not_before: u64, by: u64) -> Wait {
        let least = not_before.saturating_sub(self.id.ms.saturating_add(1));
        let most = by.saturating_sub(self.id.ms);
        Wait { entries: 1, least, likely: most, most }
    }

    /// Its outcome, and what the curve says of it; `None` while either may change.
    fn outcomes(&self, now: TickTime, tick: u64, objective: Duration) -> Option<(Outcome, Outcome)> {
        let age = now.from.saturating_sub(self.id.ms.saturating_add(1));
        let is_over = age > Millis::from(objective).get();
        let in_order = self.in_order.or(is_over.then_some(Outcome::Bad))?;
        let outcome = Outcome::of(&self.wait(self.not_before, self.by.unwrap_or(u64::MAX)), objective);
        let is_given_up = age > Millis::from(objective).get() + PATIENCE * tick;
        (self.by.is_some() || outcome == Outcome::Bad || is_given_up).then_some((outcome, in_order))
    }
}
