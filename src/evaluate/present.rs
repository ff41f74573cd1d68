//! A group that exists, in one reading.

use std::time::Duration;

use super::{
    age::Age,
    cause::{Backlog, GroupCause, NearLimit, Over, StuckConsumer},
    lag::Lag,
    moment::Moment,
    report::GroupReport,
};
use crate::{
    config::Thresholds,
    model::{ConsumerState, GroupState, Millis, PENDING_SAMPLE, Pending},
};

/// A group that exists.
pub(super) struct Present<'a> {
    pub(super) state: &'a GroupState,
    /// Its last reading, if it existed then.
    pub(super) last_state: Option<&'a GroupState>,
    /// How long its consumers have been silent, if that was known before another server took the stream over and they have shown no
    /// activity since.
    pub(super) silence: Option<Duration>,
    /// Whether this reading may lack what happened before the last one.
    pub(super) may_be_behind: bool,
    /// Whether this reading is of a replica, which lacks consumers that were never given an entry.
    pub(super) is_of_replica: bool,
    /// Upper bound of the pending entries that the sidecar itself has acknowledged since the last reading.
    pub(super) set_aside: u64,
    pub(super) report: GroupReport,
    pub(super) thresholds: Option<&'a Thresholds>,
}

impl Present<'_> {
    /// Whether entries were delivered or acknowledged. More pending entries alone are not progress, and neither is an
    /// earlier position on a server that lacks the last deliveries.
    pub(super) fn has_moved_since(&self, before: &GroupState) -> bool {
        let now = self.state;
        if self.may_be_behind && now.last_delivered_id < before.last_delivered_id {
            return false;
        }
        now.last_delivered_id != before.last_delivered_id || self.has_acknowledged_since(before)
    }

    /// Whether pending entries are gone that the sidecar itself has not acknowledged: what it sets aside was not handled.
    fn has_acknowledged_since(&self, before: &GroupState) -> bool {
        let now = self.state;
        let is_older = match (before.oldest_pending, now.oldest_pending) {
            (Pending::Oldest(then), Pending::Oldest(now)) => now.id > then.id,
            _ => false,
        };
        now.pending.saturating_add(self.set_aside) < before.pending || (is_older && self.set_aside == 0)
    }

    /// Whether consumers have certainly received or acknowledged entries. A position alone proves nothing: it can be set by hand
    /// (`XGROUP SETID`), and pending entries disappear with a deleted consumer.
    pub(super) fn has_progressed_since(&self, before: &GroupState) -> bool {
        let now = self.state;
        let is_seen = now.least_idle.zip(before.least_idle).is_some_and(|(now, then)| now < then);
        let are_counted = match (before.entries_read, now.entries_read) {
            (Some(then), Some(now)) => now > then,
            // A delivery lets the server count again.
            (None, Some(_)) => true,
            (_, None) => is_seen,
        };
        let has_received =
            now.last_delivered_id > before.last_delivered_id && (are_counted || now.pending > before.pending);
        has_received || (self.has_acknowledged_since(before) && now.consumer_count >= before.consumer_count)
    }

    /// The consumers that hold entries and do nothing, if there are any.
    pub(super) fn stuck(&self, moment: &Moment<'_>) -> Option<GroupCause> {
        let consumers = self.state.stuck_consumers?.get();
        let after = moment.config.consumers.stuck_after;
        let silent = |consumer: &ConsumerState| {
            let silent = consumer.idle?.max(consumer.inactive.unwrap_or(Millis::ZERO)).duration();
            (consumer.pending > 0 && silent > after).then_some(silent)
        };
        let worst = self.state.consumers.iter().find_map(|consumer| {
            let (name, pending, silent) = (consumer.name.clone(), consumer.pending, silent(consumer)?);
            Some(Box::new(StuckConsumer { name, pending, silent }))
        });
        (consumers > 0).then_some(GroupCause::Stuck { worst, consumers, after })
    }

    /// The entries that the group has not finished. Pending entries that are gone from the stream do not count.
    pub(super) fn backlog(&self) -> Backlog {
        let pending = match self.report.oldest_pending(self.state) {
            Pending::None => 0,
            Pending::Oldest(_) | Pending::Unknown => {
                self.state.pending.saturating_sub(self.report.dangling.map_or(0, u64::from))
            }
        };
        Backlog { lag: self.report.lag, pending }
    }

    /// Whether entries wait to be delivered; `None` if that is unknown.
    pub(super) fn has_lag(&self) -> Option<bool> {
        match self.report.lag {
            Lag::Exactly(lag) => Some(lag > 0),
            Lag::AtMost(_) => self.report.lag_age.map(|_| true),
        }
    }

    /// Whether the group has anything to do; `None` if that is unknown.
    pub(super) fn waits(&self) -> Option<bool> {
        if self.backlog().pending > 0 { Some(true) } else { self.has_lag() }
    }

    /// How long all consumers have been silent, if that is long enough for them to count as stopped.
    pub(super) fn silent(&self, moment: &Moment<'_>) -> Option<Duration> {
        let silent = self.silence.or(self.state.least_idle.map(Millis::duration));
        silent.filter(|silent| *silent > moment.config.status.stopped_after)
    }

    /// Whether the group has no consumer, as far as is known.
    pub(super) const fn has_no_consumer(&self) -> bool {
        self.state.consumer_count == 0 && !self.is_of_replica
    }

    /// A consumer that is close to the server's limit on pending entries.
    pub(super) fn near_limit(&self, moment: &Moment<'_>) -> Option<NearLimit> {
        NearLimit::of(self.state.most_pending.map(u64::from), moment.consumer_pending_limit)
    }

    /// The first number that exceeds its threshold. The server's own limit comes first.
    pub(super) fn over(&self, moment: &Moment<'_>) -> Option<Over> {
        let none = Thresholds::default();
        let report = &self.report;
        let set = self.thresholds.unwrap_or(&none);
        let over =
            |number: Option<u64>, most: Option<u64>| number.zip(most).filter(|(number, most)| number > most);
        let older = |age: Option<Duration>, most: Duration| age.filter(|age| *age > most);
        let age = |age: Option<Age>| age.map(|Age(age)| age.duration());
        let lag_age = age(report.lag_age);
        let pending_age = age(report.oldest_pending_age);
        let times = set.deliveries.unwrap_or(Thresholds::DELIVERIES);
        (self.near_limit(moment).map(Over::Limit))
            .or_else(|| over(report.lag.known(), set.lag).map(|(lag, most)| Over::Lag(lag, most)))
            .or_else(|| match set.lag_age {
                Some(most) => older(lag_age, most).map(|age| Over::LagAge(age, most)),
                None => older(lag_age, Thresholds::LAG_AGE).map(Over::LagAgeByDefault),
            })
            .or_else(|| {
                over(Some(self.state.pending), set.pending)
                    .map(|(pending, most)| Over::Pending(pending, most))
            })
            .or_else(|| match set.pending_age {
                Some(most) => older(pending_age, most).map(|age| Over::PendingAge(age, most)),
                None => older(pending_age, Thresholds::PENDING_AGE).map(Over::PendingAgeByDefault),
            })
            .or_else(|| {
                let is_lower_bound = self.state.pending > PENDING_SAMPLE;
                over(report.poison.map(|poison| poison.get().into()), Some(0))
                    .map(|(entries, _)| Over::Poison { entries, is_lower_bound, deliveries: times })
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{OldestPending, StreamId};

    /// A group to which everything was delivered, with so many pending entries, the oldest of which has this ID.
    fn state(pending: u64, oldest: u64) -> GroupState {
        let id = StreamId::new(oldest, 0);
        let oldest_pending = Pending::Oldest(OldestPending { id, idle: None, deliveries: 1 });
        GroupState { pending, oldest_pending, ..GroupState::at(StreamId::new(100, 0)) }
    }

    #[test]
    fn what_the_sidecar_acknowledges_is_no_progress_of_consumers() {
        for (set_aside, pending, oldest, is_progress) in [
            (0, 10, 1, false),
            (0, 9, 1, true),
            (0, 10, 2, true),
            (1, 9, 2, false),
            (1, 8, 2, true),
            (3, 8, 2, false),
            (u64::MAX, 8, 2, false),
        ] {
            let state_now = state(pending, oldest);
            let report = GroupReport {
                lag: Lag::Exactly(0),
                lag_age: None,
                first_alive: None,
                oldest_pending_age: None,
                dangling: None,
                poison: None,
                lost: None,
                dropped: None,
                rewinds: 0,
                rewound_at: None,
            };
            let present = Present {
                state: &state_now,
                last_state: None,
                silence: None,
                may_be_behind: false,
                is_of_replica: false,
                set_aside,
                report,
                thresholds: None,
            };
            let before = state(10, 1);
            let actual = (present.has_progressed_since(&before), present.has_moved_since(&before));
            assert_eq!(actual, (is_progress, is_progress), "{set_aside}: {pending} from {oldest}");
        }
    }
}
