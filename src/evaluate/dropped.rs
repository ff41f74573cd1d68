//! Pending entries that vanish with their consumer: `XGROUP DELCONSUMER` takes them off the group's list, and then nobody
//! is given them any more.
//!
//! No server tells an acknowledged entry from one that was dropped so. What two readings show is that a consumer which
//! held entries is gone, and by how much the group's pending entries fell. A consumer that works acknowledges its
//! last entries and then leaves, which is in order. So only those count that had not tried anything for an interval.

use std::time::Duration;

use crate::model::{GroupState, Millis, Name};

/// What is remembered of a group; mostly nothing, and then it takes no room.
#[derive(Debug, Clone, Default)]
pub(super) struct Dropped(Option<Box<Held>>);

#[derive(Debug, Clone, Default)]
struct Held {
    /// Entries that were dropped until now.
    total: u64,
    /// The group's pending entries at the last reading.
    pending: u64,
    /// Its consumers that hold entries and do nothing, with how many.
    idle: Box<[(Name, u64)]>,
    /// Whether not all consumers were read at the last poll.
    is_passed_over: bool,
}

impl Dropped {
    /// Nothing of the last reading may be compared with the next.
    pub(super) fn restart(&mut self) {
        self.0.iter_mut().for_each(|held| held.idle = Box::default());
    }

    /// How many entries the group has dropped until this reading, at most. `delivered` bounds what was delivered since the last
    /// one. `None` where not all consumers were read, at this reading and the last: one that is not listed may be there.
    pub(super) fn judge(
        &mut self,
        group: &GroupState,
        delivered: Option<u64>,
        interval: Duration,
    ) -> Option<u64> {
        let is_old = group.consumers_age.is_some_and(|age| age > Millis::ZERO);
        let is_whole = !is_old && u64::try_from(group.consumers.len()) == Ok(group.consumer_count);
        if !is_whole {
            let held = self.0.get_or_insert_default();
            (held.idle, held.is_passed_over) = (Box::default(), true);
            return None;
        }
        let held = self.0.take().unwrap_or_default();
        let is_there = |consumer: &Name| group.consumers.iter().any(|it| it.name == *consumer);
        let with_them: u64 =
            held.idle.iter().filter(|(it, _)| !is_there(it)).map(|(_, pending)| pending).sum();
        // What another consumer claimed before is pending still.
        let fell = delivered.map_or(u64::MAX, |delivered| {
            held.pending.saturating_add(delivered).saturating_sub(group.pending)
        });
        let total = held.total + with_them.min(fell);
        let is_idle = |idle: Option<Millis>| idle.is_some_and(|idle| idle.duration() > interval);
        let idle = group.consumers.iter().filter(|it| it.pending > 0 && is_idle(it.idle));
        let idle: Box<[_]> = idle.map(|it| (it.name.clone(), it.pending)).collect();
        if total > 0 || !idle.is_empty() {
            let now = Held { total, pending: group.pending, idle, is_passed_over: false };
            self.0 = Some(Box::new(now));
        }
        (!held.is_passed_over).then_some(total)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{ConsumerState, StreamId};

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
    fn told(then: &GroupState, now: &GroupState, delivered: Option<u64>) -> u64 {
        let mut dropped = Dropped::default();
        assert_eq!(dropped.judge(then, Some(0), INTERVAL), Some(0));
        let told = dropped.judge(now, delivered, INTERVAL);
        assert_eq!(dropped.judge(now, Some(0), INTERVAL), told, "once");
        told.unwrap()
    }

    #[test]
    fn what_an_idle_consumer_held_is_dropped_with_it() {
        let then = group(&[("a", 100, 60), ("b", 7, 0)]);
        assert_eq!(told(&then, &group(&[("b", 7, 0)]), Some(0)), 100);
        assert_eq!(told(&then, &group(&[("b", 12, 0)]), Some(5)), 100, "another consumer goes on");
        assert_eq!(told(&then, &group(&[("b", 12, 0)]), None), 100);
        assert_eq!(told(&then, &then, Some(0)), 0);
        assert_eq!(told(&then, &group(&[("a", 0, 0), ("b", 7, 0)]), Some(0)), 0, "it acknowledged them");
    }

    #[test]
    fn what_others_claimed_before_is_not_dropped() {
        let then = group(&[("a", 100, 60), ("b", 7, 0)]);
        assert_eq!(told(&then, &group(&[("b", 107, 0)]), Some(0)), 0);
        assert_eq!(told(&then, &group(&[("b", 47, 0)]), Some(0)), 60);
    }

    #[test]
    fn a_consumer_that_worked_and_leaves_drops_nothing() {
        let then = group(&[("a", 10, 1), ("b", 7, 0)]);
        assert_eq!(told(&then, &group(&[("b", 7, 0)]), Some(0)), 0);
    }

    #[test]
    fn where_not_all_consumers_are_read_nothing_is_known_of_the_polls_before_and_after() {
        let then = group(&[("a", 100, 60), ("b", 100, 60)]);
        let cut = GroupState { consumer_count: 2, ..group(&[("b", 100, 60)]) };
        let old = GroupState { consumers_age: Some(Millis::new(1)), ..then.clone() };
        for passed_over in [cut, old] {
            let mut dropped = Dropped::default();
            let mut judge = |group: &GroupState| dropped.judge(group, Some(0), INTERVAL);
            assert_eq!([&then, &passed_over, &then, &then].map(&mut judge), [Some(0), None, None, Some(0)]);
            assert_eq!(judge(&group(&[("b", 100, 60)])), Some(100));
        }
    }
}
