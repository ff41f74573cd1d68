//! Pending entries that vanish with their consumer: `XGROUP DELCONSUMER` takes them off the group's list, and then nobody
//! is given them any more.
//!
//! No server tells an acknowledged entry from one that was dropped so. What two readings show is that a consumer which
//! held entries is gone, and by how much the group's pending entries fell. A consumer that works acknowledges its
//! last entries and then leaves, which is in order; and one that is restarted comes back under its name and acknowledges what it had.
//! Neither can be told from a loss. So only those count that had not tried anything for an interval and stay away.

use std::time::Duration;

use crate::model::{ConsumerState, GroupState};

/// How many entries the group dropped between two readings, at most. `delivered` bounds what was delivered in between. `None`
/// where they can't be compared: a consumer that is not listed may be there, and one whose idle time is unknown may work.
pub(super) fn dropped(
    before: &GroupState,
    now: &GroupState,
    delivered: Option<u64>,
    interval: Duration,
) -> Option<u64> {
    if !(can_be_compared(before) && can_be_compared(now)) {
        return None;
    }
    let was_idle = |it: &ConsumerState| it.idle.is_some_and(|idle| idle.duration() > interval);
    let is_there = |it: &ConsumerState| now.consumers.iter().any(|other| other.name == it.name);
    // Few consumers are idle and hold entries, and names take longest to compare.
    let gone = before.consumers.iter().filter(|it| it.pending > 0 && was_idle(it) && !is_there(it));
    let with_them: u64 = gone.map(|it| it.pending).sum();
    // What another consumer claimed before is pending still.
    let fell = delivered
        .map_or(u64::MAX, |delivered| before.pending.saturating_add(delivered).saturating_sub(now.pending));
    Some(with_them.min(fell))
}

/// Whether all consumers of a group were read, with how long those are idle that hold entries.
pub(super) fn can_be_compared(group: &GroupState) -> bool {
    group.has_all_consumers() && group.consumers.iter().all(|it| it.pending == 0 || it.idle.is_some())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Millis, Name, StreamId};

    const INTERVAL: Duration = Duration::from_secs(5);

    /// A group with consumers of so many pending entries, idle for so many seconds.
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

    /// What two readings tell, with so many deliveries in between.
    fn actual(then: &GroupState, now: &GroupState, delivered: Option<u64>) -> u64 {
        assert_eq!(dropped(now, now, Some(0), INTERVAL), Some(0), "once");
        dropped(then, now, delivered, INTERVAL).unwrap()
    }

    #[test]
    fn what_an_idle_consumer_held_is_dropped_with_it() {
        let then = group(&[("a", 100, 60), ("b", 7, 0)]);
        assert_eq!(actual(&then, &group(&[("b", 7, 0)]), Some(0)), 100);
        assert_eq!(actual(&then, &group(&[("b", 12, 0)]), Some(5)), 100, "another consumer goes on");
        assert_eq!(actual(&then, &group(&[("b", 12, 0)]), None), 100);
        assert_eq!(actual(&then, &then, Some(0)), 0);
        assert_eq!(actual(&then, &group(&[("a", 0, 0), ("b", 7, 0)]), Some(0)), 0, "it acknowledged them");
    }

    #[test]
    fn what_others_claimed_before_is_not_dropped() {
        let then = group(&[("a", 100, 60), ("b", 7, 0)]);
        assert_eq!(actual(&then, &group(&[("b", 107, 0)]), Some(0)), 0);
        assert_eq!(actual(&then, &group(&[("b", 47, 0)]), Some(0)), 60);
    }

    #[test]
    fn a_consumer_that_worked_and_leaves_drops_nothing() {
        let then = group(&[("a", 10, 1), ("b", 7, 0)]);
        assert_eq!(actual(&then, &group(&[("b", 7, 0)]), Some(0)), 0);
    }

    #[test]
    fn where_not_all_is_read_of_the_consumers_nothing_is_known_of_the_time_before_and_after() {
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
