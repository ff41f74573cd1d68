//! Consumers that are not read at each poll, in streams with many consumers or large entries. Until they are read again,
//! those of the last reading are used, with their age.

use std::collections::BTreeMap;

use crate::{
    clock::Instant,
    model::{GroupState, Millis, Name, NameMap, Origin, Snapshot},
};

/// The last readings of consumers.
#[derive(Default)]
pub(super) struct Seldom {
    /// The server that they come from. Another server has other consumers.
    origin: Origin,
    streams: BTreeMap<Name, Kept>,
}

/// The last reading of a stream's groups with their consumers.
struct Kept {
    at: Instant,
    groups: NameMap<GroupState>,
}

impl Seldom {
    /// Fills in the last reading of consumers where this snapshot has none. Keeps the consumers of the streams for which
    /// `is_seldom` is true, since the next polls may not read them.
    pub(super) fn complete(
        &mut self,
        snapshot: &mut Snapshot,
        origin: &Origin,
        mut is_seldom: impl FnMut(&Name) -> bool,
        now: Instant,
    ) {
        if !origin.is_same(&self.origin) {
            self.streams.clear();
        }
        self.origin.clone_from(origin);
        self.streams.retain(|stream, _| snapshot.streams.contains_key(stream));
        for (stream, state) in snapshot.streams.iter_mut() {
            let Ok(state) = state else { continue };
            if state.groups.values().any(|group| group.unlisted_pending.is_none()) {
                let Some(kept) = self.streams.get(stream) else { continue };
                let age = (now - kept.at).into();
                for (name, group) in state.groups.iter_mut() {
                    kept.groups.get(name).into_iter().for_each(|before| stand_in(group, before, age));
                }
            } else if is_seldom(stream) {
                self.streams.insert(stream.clone(), Kept { at: now, groups: state.groups.clone() });
                state.groups.values_mut().for_each(|group| group.consumers_age = Some(Millis::ZERO));
            } else {
                self.streams.remove(stream);
            }
        }
    }
}

/// Copies what is known of the consumers from the reading `before`, which has this age.
fn stand_in(group: &mut GroupState, before: &GroupState, age: Millis) {
    // The group was recreated, or its position was set back.
    if group.last_delivered_id < before.last_delivered_id {
        return;
    }
    // A consumer that received or acknowledged entries was not idle.
    let is_untouched = group.last_delivered_id == before.last_delivered_id && group.pending == before.pending;
    group.least_idle = before.least_idle.filter(|_| is_untouched);
    group.consumers.clone_from(&before.consumers);
    group.stuck_consumers = before.stuck_consumers;
    group.unlisted_pending = before.unlisted_pending;
    group.most_pending = before.most_pending;
    group.consumers_age = Some(age);
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use nonmax::NonMaxU64;

    use super::*;
    use crate::{
        clock,
        model::{ConsumerState, Node, StreamId, StreamState, test_snapshot},
    };

    fn group(position: u64, pending: u64) -> GroupState {
        GroupState { pending, consumer_count: 600, ..GroupState::at(StreamId::new(position, 0)) }
    }

    /// The group in a reading with consumers.
    fn with_consumers(group: GroupState) -> GroupState {
        let consumer = ConsumerState {
            name: "c".into(),
            pending: group.pending,
            idle: Some(Millis::new(5)),
            inactive: None,
        };
        GroupState {
            consumers: Box::new([consumer]),
            least_idle: Some(Millis::new(5)),
            stuck_consumers: NonMaxU64::new(3),
            unlisted_pending: NonMaxU64::new(0),
            most_pending: NonMaxU64::new(group.pending),
            ..group
        }
    }

    fn snapshot(connection: u64, group: Option<GroupState>) -> Snapshot {
        let stream =
            |group| StreamState { groups: NameMap::from([("g".into(), group)]), ..StreamState::of_length(9) };
        Snapshot {
            nodes: vec![Node { origin: Origin { connection, ..Origin::default() }, ..test_snapshot::node() }],
            ..test_snapshot::snapshot(group.map(|group| ("s".into(), Ok(stream(group)))))
        }
    }

    /// Takes these readings, a second apart, and returns the group in the last one.
    fn last(readings: &[(u64, Option<GroupState>)]) -> GroupState {
        let (mut seldom, mut now, mut last) = (Seldom::default(), clock::now(), None);
        for (connection, group) in readings {
            let mut snapshot = snapshot(*connection, group.clone());
            now += Duration::from_secs(1);
            let origin = snapshot.nodes[0].origin.clone();
            seldom.complete(&mut snapshot, &origin, |_| true, now);
            let stream = snapshot.streams.get(&"s".into()).and_then(|state| state.as_ref().ok());
            last = stream.and_then(|stream| stream.groups.get(&"g".into()).cloned());
        }
        last.unwrap()
    }

    #[test]
    fn consumers_of_the_last_reading_are_used_with_their_age_until_they_are_read_again() {
        let whole = with_consumers(group(5, 4));
        let read = GroupState { consumers_age: Some(Millis::ZERO), ..whole.clone() };
        assert_eq!(last(&[(1, Some(whole.clone()))]), read);
        let aged = GroupState { consumers_age: Some(Millis::new(2_000)), ..whole.clone() };
        assert_eq!(last(&[(1, Some(whole.clone())), (1, Some(group(5, 4))), (1, Some(group(5, 4)))]), aged);
        // A consumer was active since then, so idle times are unknown.
        for touched in [group(6, 4), group(5, 3), group(6, 5)] {
            let after = last(&[(1, Some(whole.clone())), (1, Some(touched.clone()))]);
            assert_eq!(
                (after.least_idle, after.stuck_consumers, after.pending),
                (None, NonMaxU64::new(3), touched.pending)
            );
        }
        assert_eq!(last(&[(1, Some(whole.clone())), (1, Some(group(5, 4))), (1, Some(whole))]), read);
    }

    #[test]
    fn consumers_are_not_used_for_another_group_another_stream_or_another_server() {
        let whole = Some(with_consumers(group(5, 4)));
        for others in [
            [(1, whole.clone()), (1, Some(group(4, 4)))],
            [(1, whole.clone()), (2, Some(group(5, 4)))],
            [(1, None), (1, Some(group(5, 4)))],
        ] {
            let group = last(&others);
            assert_eq!((group.unlisted_pending, group.consumers_age), (None, None), "{others:?}");
        }
        let again = [(1, whole), (1, None), (1, Some(group(5, 4)))];
        assert_eq!(last(&again).consumers_age, None);
    }
}
