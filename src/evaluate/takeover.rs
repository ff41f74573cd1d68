//! What a server can't know about consumers after it has taken over a stream.
//!
//! Reads that return nothing are not replicated, so a new primary reports a consumer as idle for longer than it is, and
//! lacks consumers that were never given an entry. A migration of a slot on Valkey restarts all idle times instead, so
//! that dead consumers seem to be alive. So an idle time that reaches back past the change is not believed. What was
//! known before goes on: a consumer that was inactive already still is, until it shows activity. Of any other nothing
//! is known, until it does, or until it could have been inactive for long enough since.

use std::{collections::BTreeMap, time::Duration};

use nonmax::NonMaxU64;

use crate::model::{ConsumerState, GroupState, Millis, Name};

/// A poll reads the server's time first. Activity up to this long after the change may be that of the change itself.
pub(super) const SLACK: Duration = Duration::from_secs(5);

/// A reading of a stream whose server has changed at some time.
#[derive(Debug, Clone, Copy)]
pub(super) struct Takeover {
    /// Time since the change; zero where activity may be older.
    pub(super) since: Duration,
    /// Time since the last reading.
    pub(super) passed: Duration,
    /// Idle consumers are inactive from then on.
    pub(super) stopped_after: Duration,
    /// Inactive consumers with pending entries are stuck from then on.
    pub(super) stuck_after: Duration,
}

/// A time since something happened: what is known of it, which may be a lower bound, and an upper bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Idle {
    known: Option<Millis>,
    at_most: Option<Millis>,
}

impl Takeover {
    /// Whether everything that servers report is right again: a consumer that has shown no activity since is inactive.
    pub(super) fn is_over(&self) -> bool {
        self.since > self.stopped_after.max(self.stuck_after)
    }

    /// Corrects what the server reports about a group's consumers. `before` is the group in the last reading. Returns
    /// whether that was necessary.
    pub(super) fn correct(&self, group: &mut GroupState, before: Option<&GroupState>) -> bool {
        let this = self.as_of(group.consumers_age, before.and_then(|before| before.consumers_age));
        let least_idle = this.idle(group.least_idle, before.and_then(|before| before.least_idle)).known;
        // Without consumers it goes on for as long as they may not have come back.
        let least_idle = match (group.least_idle, group.consumer_count) {
            (Some(_), _) => least_idle,
            (None, 0) if this.since <= this.stopped_after => least_idle,
            (None, _) => None,
        };
        let mut is_corrected = std::mem::replace(&mut group.least_idle, least_idle) != least_idle;
        let before: BTreeMap<&Name, &ConsumerState> =
            before.iter().flat_map(|before| &before.consumers).map(|it| (&it.name, it)).collect();
        let mut stuck = Some(0_u64);
        for consumer in &mut group.consumers {
            let reported = (consumer.idle, consumer.inactive);
            let is_stuck = this.correct_consumer(consumer, before.get(&consumer.name).copied());
            is_corrected |= reported != (consumer.idle, consumer.inactive);
            stuck = stuck.zip(is_stuck).map(|(stuck, is_stuck)| stuck + u64::from(is_stuck));
        }
        if this.since <= this.stuck_after {
            group.stuck_consumers = stuck.filter(|_| group.has_all_consumers()).and_then(NonMaxU64::new);
        }
        is_corrected
    }

    /// The same for consumers that were read that long ago, and that long before the last reading.
    fn as_of(self, age: Option<Millis>, age_then: Option<Millis>) -> Self {
        let [age, age_then] = [age, age_then].map(|age| age.unwrap_or_default().duration());
        let passed = (self.passed + age_then).saturating_sub(age);
        Self { since: self.since.saturating_sub(age), passed, ..self }
    }

    /// Returns whether the consumer is stuck, if that is known.
    fn correct_consumer(&self, consumer: &mut ConsumerState, before: Option<&ConsumerState>) -> Option<bool> {
        let idle = self.idle(consumer.idle, before.and_then(|before| before.idle));
        let inactive = match (consumer.inactive, before.and_then(|before| before.inactive)) {
            // It never received an entry, as far as is known.
            (None, None) => Idle { known: None, at_most: Some(Millis::ZERO) },
            (inactive, before) => self.idle(inactive, before),
        };
        (consumer.idle, consumer.inactive) = (idle.known, inactive.known);
        let is_over = |idle: Millis| idle.duration() > self.stuck_after;
        let is_stuck = [idle, inactive].iter().any(|it| it.known.is_some_and(is_over));
        let may_be = [idle, inactive].iter().any(|it| it.at_most.is_none_or(is_over));
        let is_known = is_stuck || !may_be || consumer.pending == 0;
        is_known.then_some(is_stuck && consumer.pending > 0)
    }

    fn idle(&self, reported: Option<Millis>, before: Option<Millis>) -> Idle {
        if reported.is_some_and(|idle| idle.duration() < self.since) {
            return Idle { known: reported, at_most: reported };
        }
        let longer = before.map(|before| Millis::from(before.duration() + self.passed));
        let is_stopped = |idle: Duration| idle > self.stopped_after;
        if before.is_some_and(|before| is_stopped(before.duration())) {
            return Idle { known: longer, at_most: None };
        }
        let least = Some(Millis::from(self.since));
        Idle { known: least.filter(|_| reported.is_some() && is_stopped(self.since)), at_most: longer }
    }
}
