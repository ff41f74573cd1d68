//! What a server can't know about consumers after it has taken over a stream.
//!
//! Reads that return nothing are not replicated, so a new primary reports a consumer as idle for longer than it is, and
//! lacks consumers that were never given an entry. A migration of a slot on Valkey restarts all idle times instead, and
//! forgets when consumers last received an entry, so that dead consumers seem to be alive.
//!
//! So an idle time that reaches back past the change is not believed. Only activity that is newer than all that the server
//! reported at its first reading is certainly activity on this server. What was known before goes on if the server
//! reports nothing newer: a consumer that was inactive already still is. Of any other nothing is known, until it shows
//! activity, or until it could have been inactive for long enough since.

use std::{collections::BTreeMap, time::Duration};

use nonmax::NonMaxU64;

use crate::model::{ConsumerState, GroupState, Millis, Name, Node, ServerTime, StreamState};

/// A poll reads the server's time first. Activity up to this long after the change may be that of the change itself.
pub(super) const SLACK: Duration = Duration::from_secs(5);
/// Two estimates of the same time on a server's clock differ by less.
const JITTER: Duration = Duration::from_secs(1);

/// A reading of a stream whose server has changed at some time.
#[derive(Debug, Clone, Copy)]
pub(super) struct Takeover {
    /// When the reading was made, on a monotonic clock.
    pub(super) at: Millis,
    /// The server's clock, if it is known.
    pub(super) time: Option<ServerTime>,
    /// Time since the change; zero where activity may be older.
    pub(super) since: Duration,
    /// Time since the last reading.
    pub(super) passed: Duration,
    /// Idle consumers are inactive from then on.
    pub(super) stopped_after: Duration,
    /// Inactive consumers with pending entries are stuck from then on.
    pub(super) stuck_after: Duration,
}

/// What the new server reported about a group when its consumers were first read there.
#[derive(Debug, Clone, Default)]
pub(super) struct FirstReading {
    /// Whether it is of the present server, and not of one before it.
    is_made: bool,
    /// Before it: since when no consumer was active, if that was too long already. On a monotonic clock.
    silent_since: Option<Millis>,
    /// The last activity of any consumer.
    seen: Activity,
    /// Those that are listed.
    consumers: BTreeMap<Name, FirstOfConsumer>,
    /// If all are: consumers that are not there came after this time of the server.
    all_until: Activity,
}

#[derive(Debug, Clone, Copy)]
struct FirstOfConsumer {
    seen: Activity,
    received: Activity,
    /// Whether it had ever received an entry, also if this server does not know that.
    has_received: bool,
}

/// The latest time on the server's clock that the activity may have had; `None` where that is unknown.
type Activity = Option<u64>;

/// A time since something happened: what is known of it, which may be a lower bound, and an upper bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Idle {
    known: Option<Millis>,
    at_most: Option<Millis>,
}

/// Drops what a replica never knows about a group's consumers: when they were last active.
pub(super) fn without_activity(group: &mut GroupState) {
    group.least_idle = None;
    for consumer in &mut group.consumers {
        (consumer.idle, consumer.inactive) = (None, None);
    }
    group.stuck_consumers = if group.pending == 0 { NonMaxU64::new(0) } else { None };
}

/// Drops the counts of entries read where this node does not have those of its primary.
pub(super) fn without_old_counts(stream: &mut StreamState, node: Option<&Node>) {
    if node.is_some_and(|node| !node.server.knows_entries_read()) {
        stream.groups.values_mut().for_each(|group| group.entries_read = None);
    }
}

impl FirstReading {
    /// How long all consumers have been silent, if they were silent for too long before and have shown no activity since.
    pub(super) fn silence(&self, at: Millis) -> Option<Duration> {
        self.silent_since.map(|since| at.since(since))
    }

    /// Another server has taken the stream over.
    pub(super) fn take_over(&mut self) {
        let Self { silent_since, consumers, .. } = std::mem::take(self);
        let unknown = |it| FirstOfConsumer { seen: None, received: None, ..it };
        let consumers = consumers.into_iter().map(|(name, it)| (name, unknown(it))).collect();
        *self = Self { silent_since, consumers, ..Self::default() };
    }

    fn consumer(&self, name: &Name) -> Option<FirstOfConsumer> {
        let new = FirstOfConsumer { seen: self.all_until, received: self.all_until, has_received: false };
        self.consumers.get(name).copied().or(self.all_until.map(|_| new))
    }
}

impl Takeover {
    /// Whether everything that servers report is right again: a consumer that has shown no activity since is inactive.
    pub(super) fn is_over(&self) -> bool {
        self.since > self.stopped_after.max(self.stuck_after)
    }

    /// Corrects what the server reports about a group's consumers. `before` is the group in the last reading. Returns
    /// whether that was necessary.
    pub(super) fn correct(
        &self,
        group: &mut GroupState,
        before: Option<&GroupState>,
        first: &mut FirstReading,
    ) -> bool {
        let this = self.as_of(group.consumers_age, before.and_then(|before| before.consumers_age));
        let is_read_since =
            group.consumers_age.is_none_or(|age| age == Millis::ZERO) || !this.since.is_zero();
        if !first.is_made && is_read_since {
            *first = this.first_reading(group, before, first);
        }
        let idle = this.idle(group.least_idle, before.and_then(|before| before.least_idle), first.seen);
        let has_acted = group.least_idle.is_some_and(|reported| this.is_since(reported, first.seen));
        // Consumers that do not exist here may still come back.
        let is_gone = group.consumer_count == 0 && this.since > this.stopped_after;
        first.silent_since.take_if(|_| has_acted || is_gone);
        let least_idle = idle.known.filter(|_| group.least_idle.is_some());
        let mut is_corrected = std::mem::replace(&mut group.least_idle, least_idle) != least_idle;
        let before: BTreeMap<&Name, &ConsumerState> =
            before.iter().flat_map(|before| &before.consumers).map(|it| (&it.name, it)).collect();
        let mut stuck = Some(0_u64);
        for consumer in &mut group.consumers {
            let reported = (consumer.idle, consumer.inactive);
            let then = first.consumer(&consumer.name);
            let is_stuck = this.correct_consumer(consumer, before.get(&consumer.name).copied(), then);
            is_corrected |= reported != (consumer.idle, consumer.inactive);
            stuck = stuck.zip(is_stuck).map(|(stuck, is_stuck)| stuck + u64::from(is_stuck));
        }
        // Later the server's own count is right, unless it has forgotten when a consumer received an entry.
        if this.since <= this.stuck_after || group.has_all_consumers() {
            group.stuck_consumers = stuck.filter(|_| group.has_all_consumers()).and_then(NonMaxU64::new);
        }
        is_corrected
    }

    /// The same for consumers that were read that long ago, and that long before the last reading.
    fn as_of(self, age: Option<Millis>, age_then: Option<Millis>) -> Self {
        let [age, age_then] = [age, age_then].map(|age| age.unwrap_or_default().duration());
        let passed = (self.passed + age_then).saturating_sub(age);
        let time = self.time.map(|time| ServerTime(time.0.saturating_sub(as_ms(age))));
        Self { since: self.since.saturating_sub(age), passed, time, ..self }
    }

    /// `earlier`: that of the server before.
    fn first_reading(
        &self,
        group: &GroupState,
        before: Option<&GroupState>,
        earlier: &FirstReading,
    ) -> FirstReading {
        let silent = before.and_then(|before| before.least_idle).map(|idle| idle.duration() + self.passed);
        let silent = silent.filter(|silent| *silent > self.stopped_after + self.passed);
        let had_received = |name: &Name| {
            let mut then = before.iter().flat_map(|before| &before.consumers);
            then.any(|then| then.name == *name && then.inactive.is_some())
                || earlier.consumers.get(name).is_some_and(|it| it.has_received)
        };
        let first = |consumer: &ConsumerState| FirstOfConsumer {
            seen: self.activity(consumer.idle),
            // If it has received none here, any that it receives later is newer.
            received: self.activity(consumer.inactive).or(self.time.map(|_| 0)),
            has_received: consumer.inactive.is_some() || had_received(&consumer.name),
        };
        let all_until = self.activity(Some(Millis::ZERO)).filter(|_| group.has_all_consumers());
        let since = |silent| Millis::new(self.at.get().saturating_sub(as_ms(silent)));
        FirstReading {
            is_made: true,
            silent_since: silent.map(since).or(earlier.silent_since),
            seen: self.activity(group.least_idle).or(all_until),
            consumers: group.consumers.iter().map(|it| (it.name.clone(), first(it))).collect(),
            all_until,
        }
    }

    /// The latest time of an activity that the server reports as so long ago.
    fn activity(&self, reported: Option<Millis>) -> Activity {
        let (time, ago) = (self.time?.0, reported?.get());
        // It may have been after the clock was read, and the change itself.
        if ago == 0 { Some(time + as_ms(SLACK)) } else { time.checked_sub(ago) }
    }

    /// Whether the activity that the server reports is certainly newer than that of the first reading, or than the change.
    fn is_since(&self, reported: Millis, first: Activity) -> bool {
        let acted_at = self.time.and_then(|time| time.0.checked_sub(reported.get()));
        let is_newer = acted_at.zip(first).is_some_and(|(now, then)| now > then + as_ms(JITTER));
        is_newer || reported.duration() < self.since
    }

    /// Returns whether the consumer is stuck, if that is known.
    fn correct_consumer(
        &self,
        consumer: &mut ConsumerState,
        before: Option<&ConsumerState>,
        first: Option<FirstOfConsumer>,
    ) -> Option<bool> {
        let idle =
            self.idle(consumer.idle, before.and_then(|before| before.idle), first.and_then(|it| it.seen));
        let was_inactive = before.and_then(|before| before.inactive);
        let has_received = was_inactive.is_some() || first.is_some_and(|it| it.has_received);
        let inactive = match consumer.inactive {
            // It never received an entry, as far as is known.
            None if !has_received => Idle { known: None, at_most: Some(Millis::ZERO) },
            // The migration has forgotten when it did. It has received none since.
            None => Idle { known: self.least(), at_most: None },
            inactive => self.idle(inactive, was_inactive, first.and_then(|it| it.received)),
        };
        (consumer.idle, consumer.inactive) = (idle.known, inactive.known);
        let is_over = |idle: Millis| idle.duration() > self.stuck_after;
        let is_stuck = [idle, inactive].iter().any(|it| it.known.is_some_and(is_over));
        let may_be = [idle, inactive].iter().any(|it| it.at_most.is_none_or(is_over));
        let is_known = is_stuck || !may_be || consumer.pending == 0;
        is_known.then_some(is_stuck && consumer.pending > 0)
    }

    fn idle(&self, reported: Option<Millis>, before: Option<Millis>, first: Activity) -> Idle {
        if reported.is_some_and(|reported| self.is_since(reported, first)) {
            return Idle { known: reported, at_most: reported };
        }
        let longer = self.longer(before);
        let was_stopped = before.is_some_and(|before| before.duration() > self.stopped_after);
        // A longer one may be a lower bound.
        let at_most = longer.filter(|_| !was_stopped);
        // Newer than what the other server knew: activity about the time of the change, or the change itself.
        let is_newer =
            |reported: Millis| longer.is_some_and(|longer| reported.duration() + SLACK < longer.duration());
        match reported {
            Some(reported) if was_stopped && !is_newer(reported) => Idle { known: longer, at_most: None },
            Some(_) => Idle { known: self.least(), at_most },
            None => Idle { known: None, at_most },
        }
    }

    /// What it was before, and the time since.
    fn longer(&self, before: Option<Millis>) -> Option<Millis> {
        before.map(|before| Millis::from(before.duration() + self.passed))
    }

    /// How long it has been at least, once that is long enough to be of interest.
    fn least(&self) -> Option<Millis> {
        Some(Millis::from(self.since)).filter(|least| least.duration() > self.stopped_after)
    }
}

fn as_ms(duration: Duration) -> u64 {
    Millis::from(duration).get()
}
