//! Pending entries that are dropped with their consumer: `XGROUP DELCONSUMER` removes them from the group's pending
//! list, and no consumer receives them again.
//!
//! No server distinguishes an acknowledged entry from one that was dropped. Two readings show only that a consumer
//! with pending entries is gone, and by how much the group's pending entries decreased. An active consumer
//! acknowledges its last entries and then leaves, which is fine. A restarted consumer is recreated under its name and
//! acknowledges its entries. Neither can be distinguished from a loss. So only consumers count that had been idle for
//! an interval and are not recreated.

use std::time::Duration;

use crate::model::{ConsumerState, GroupState};

/// Upper bound of the entries that the group dropped between two readings. `delivered` bounds the entries delivered
/// in between. `None` if the readings can't be compared: a consumer that is not listed may exist, and one with an
/// unknown idle time may be active.
pub(super) fn dropped(
    before: &GroupState,
    now: &GroupState,
    delivered: Option<u64>,
    interval: Duration,
) -> Option<u64> {
    if !(can_be_compared(before) && can_be_compared(now)) {
        return None;
    }
    let was_idle = |consumer: &ConsumerState| consumer.idle.is_some_and(|idle| idle.duration() > interval);
    let exists = |consumer: &ConsumerState| now.consumers.iter().any(|other| other.name == consumer.name);
    // Checked in this order because comparing names is slow, and few consumers are idle and have pending entries.
    let is_deleted =
        |consumer: &&ConsumerState| consumer.pending > 0 && was_idle(consumer) && !exists(consumer);
    let of_deleted: u64 = before.consumers.iter().filter(is_deleted).map(|consumer| consumer.pending).sum();
    // Entries that another consumer claimed before are still pending.
    let decrease = match delivered {
        Some(delivered) => before.pending.saturating_add(delivered).saturating_sub(now.pending),
        None => u64::MAX,
    };
    Some(of_deleted.min(decrease))
}

/// Whether all consumers of a group were read, with the idle time of each that has pending entries.
pub(super) fn can_be_compared(group: &GroupState) -> bool {
    group.has_all_consumers()
        && group.consumers.iter().all(|consumer| consumer.pending == 0 || consumer.idle.is_some())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Millis, Name, StreamId};

    const INTERVAL: Duration = Duration::from_secs(5);

    /// A group with these consumers: name, pending entries, idle seconds.
    fn group(consumers: &[(&str, u64, u64)]) -> GroupState {
        let consumer = |(name, pending, idle): &(&str, u64, u64)| ConsumerState {
            name: Name::from(*name),
            pending: *pending,
            idle: Some(Millis::new(idle * 1_000)),
            inactive: None,
        };
        GroupState {
            pending: consumers.iter().map(|(_, pending, _)| pending).sum(),
            consumer_count: consumers.len() as u64,
            consumers: consumers.iter().map(consumer).collect(),
            ..GroupState::at(StreamId::ZERO)
        }
    }

    /// The result for two readings, with this many deliveries in between.
    fn actual(then: &GroupState, now: &GroupState, delivered: Option<u64>) -> u64 {
        assert_eq!(dropped(now, now, Some(0), INTERVAL), Some(0), "once");
        dropped(then, now, delivered, INTERVAL).unwrap()
    }

    #[test]
    fn entries_of_an_idle_consumer_are_dropped_with_it() {
        let then = group(&[("a", 100, 60), ("b", 7, 0)]);
        assert_eq!(actual(&then, &group(&[("b", 7, 0)]), Some(0)), 100);
        assert_eq!(actual(&then, &group(&[("b", 12, 0)]), Some(5)), 100, "another consumer continues");
        assert_eq!(actual(&then, &group(&[("b", 12, 0)]), None), 100);
        assert_eq!(actual(&then, &then, Some(0)), 0);
        assert_eq!(actual(&then, &group(&[("a", 0, 0), ("b", 7, 0)]), Some(0)), 0, "it acknowledged them");
    }

    #[test]
    fn entries_that_others_claimed_before_are_not_dropped() {
        let then = group(&[("a", 100, 60), ("b", 7, 0)]);
        assert_eq!(actual(&then, &group(&[("b", 107, 0)]), Some(0)), 0);
        assert_eq!(actual(&then, &group(&[("b", 47, 0)]), Some(0)), 60);
    }

    #[test]
    fn an_active_consumer_that_leaves_drops_nothing() {
        let then = group(&[("a", 10, 1), ("b", 7, 0)]);
        assert_eq!(actual(&then, &group(&[("b", 7, 0)]), Some(0)), 0);
    }

    #[test]
    fn readings_without_all_consumers_can_not_be_compared() {
        let then = group(&[("a", 100, 60), ("b", 100, 60)]);
        let truncated = GroupState { consumer_count: 2, ..group(&[("b", 100, 60)]) };
        let old = GroupState { consumers_age: Some(Millis::new(1)), ..then.clone() };
        let mut timeless = then.clone();
        timeless.consumers.iter_mut().for_each(|it| it.idle = None);
        for passed_over in [truncated, old, timeless] {
            assert_eq!(dropped(&then, &passed_over, Some(0), INTERVAL), None);
            assert_eq!(dropped(&passed_over, &then, Some(0), INTERVAL), None);
        }
    }
}
