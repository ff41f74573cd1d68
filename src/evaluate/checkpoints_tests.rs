//! Compares checkpoints with the truth, for simulated streams whose entries are all known.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::model::NameMap;

fn id(number: u64) -> StreamId {
    StreamId::new(number, 0)
}

#[derive(Debug, Clone)]
enum Op {
    Add(u64),
    /// Removes the first entries.
    Trim(usize),
    /// `XDEL` of an entry, by its index.
    Delete(usize),
    /// A trim of acknowledged entries: it removes from the middle, up to the group's position, and no field reports
    /// it.
    TrimAcked(usize),
    /// The same for any entry; the group did not exist for the whole time.
    TrimAny(usize),
    Read(u64),
    Poll,
    /// A poll that does not read the stream's first and last ID.
    PollInPart,
    /// A poll that counts the entries after one, by its index.
    Count(usize),
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let op = prop_oneof![
        3 => (1_u64..4).prop_map(Op::Add),
        1 => (0_usize..4).prop_map(Op::Trim),
        1 => any::<usize>().prop_map(Op::Delete),
        1 => any::<usize>().prop_map(Op::TrimAcked),
        1 => any::<usize>().prop_map(Op::TrimAny),
        2 => (0_u64..4).prop_map(Op::Read),
        4 => Just(Op::Poll),
        1 => Just(Op::PollInPart),
        1 => any::<usize>().prop_map(Op::Count),
    ];
    prop::collection::vec(op, 1..60)
}

#[derive(Default)]
struct World {
    entries: BTreeSet<u64>,
    last: u64,
    deleted: u64,
    position: u64,
    checkpoints: Checkpoints,
    /// Whether the group needed everything after its position since the last poll.
    was_held: bool,
}

impl World {
    fn state(&self) -> StreamState {
        StreamState {
            last_generated_id: Some(id(self.last)),
            max_deleted_entry_id: Some(id(self.deleted)),
            entries_added: Some(self.last),
            first_entry_id: self.entries.first().copied().map(id),
            groups: [("g".into(), GroupState::at(id(self.position)))].into_iter().collect(),
            ..StreamState::of_length(self.entries.len() as u64)
        }
    }

    fn behind(&self, number: u64) -> u64 {
        self.entries.range(number + 1..).count() as u64
    }

    fn remove(&mut self, place: usize, up_to: u64) -> Option<u64> {
        let below: Vec<u64> = self.entries.range(..=up_to).copied().collect();
        let number = *below.get(place % below.len().max(1))?;
        self.entries.remove(&number);
        Some(number)
    }

    fn act(&mut self, op: &Op) {
        match *op {
            Op::Add(count) => (0..count).for_each(|_| {
                self.last += 1;
                self.entries.insert(self.last);
            }),
            Op::Trim(count) => self.entries = self.entries.iter().copied().skip(count).collect(),
            Op::Delete(place) => {
                let gone = self.remove(place, self.last).unwrap_or_default();
                self.deleted = self.deleted.max(gone);
            }
            Op::TrimAcked(place) => drop(self.remove(place, self.position)),
            Op::TrimAny(place) => {
                self.remove(place, self.last);
                self.was_held = false;
            }
            Op::Read(count) => self.position = (self.position + count).min(self.last),
            Op::Poll => self.poll([]),
            Op::PollInPart => {
                let state = StreamState { first_entry_id: None, ..self.state() };
                let held_from = self.held_from();
                self.checkpoints.check(&state, held_from);
            }
            Op::Count(place) => {
                let numbers: Vec<u64> = self.entries.iter().copied().collect();
                let number = numbers.get(place % numbers.len().max(1));
                let found: Vec<_> =
                    number.map(|number| (id(*number), self.behind(*number))).into_iter().collect();
                self.poll(found);
            }
        }
    }

    fn held_from(&mut self) -> Option<StreamId> {
        std::mem::replace(&mut self.was_held, true).then_some(id(self.position))
    }

    /// A complete reading. Everything that checkpoints claim must be true.
    fn poll(&mut self, found: impl IntoIterator<Item = (StreamId, u64)>) {
        let state = self.state();
        assert!(!self.checkpoints.are_refuted_by(&state), "{:?}: {:?}", self.entries, self.checkpoints);
        let held_from = self.held_from();
        self.checkpoints.check(&state, held_from);
        for number in self.position.max(self.last.saturating_sub(200))..=self.last {
            let first = self.checkpoints.first_holding(id(number), &state).unwrap();
            let most = self.checkpoints.most_behind(id(number), &state);
            let is_true = first.id >= id(number)
                && first.entries_behind(&state) == Some(self.behind(first.id.ms))
                && most.is_none_or(|most| most >= self.behind(number));
            assert!(is_true, "behind {number} of {:?}: {:?}", self.entries, self.checkpoints);
        }
        self.checkpoints.renew(&state, found);
        let kept = &self.checkpoints.0;
        assert!(
            kept.is_sorted_by(|one, next| one.id < next.id) && kept.len() <= MOST,
            "{:?}",
            self.checkpoints
        );
        let passed = kept.iter().filter(|kept| kept.id < id(self.position)).count();
        assert!(passed <= 1, "more than one is kept that the group has passed: {kept:?}");
    }
}

proptest! {
    #[test]
    fn claims_of_checkpoints_are_true(ops in ops()) {
        let mut world = World::default();
        ops.iter().for_each(|op| world.act(op));
    }
}

/// Ten entries, `1-0` to `10-0`, and a checkpoint at the fifth. The change is applied to the stream afterwards.
fn after(change: impl Fn(&mut World)) -> (Checkpoints, StreamState) {
    let mut world = World { was_held: true, ..World::default() };
    world.act(&Op::Add(5));
    world.act(&Op::Poll);
    world.act(&Op::Add(5));
    world.act(&Op::Poll);
    change(&mut world);
    let (state, held_from) = (world.state(), world.held_from());
    world.checkpoints.check(&state, held_from);
    (world.checkpoints, state)
}

#[test]
fn a_checkpoint_holds_while_nothing_after_it_can_have_been_removed() {
    let delete = |number: u64| {
        move |world: &mut World| {
            world.entries.remove(&number);
            world.deleted = number;
        }
    };
    let trim_middle = |number: u64, position: u64, was_held: bool| {
        move |world: &mut World| {
            world.entries.remove(&number);
            (world.position, world.was_held) = (position, was_held);
        }
    };
    let trim = |count: usize| move |world: &mut World| world.act(&Op::Trim(count));
    type Change = Box<dyn Fn(&mut World)>;
    let cases: [(&str, Change, bool); 13] = [
        ("nothing", Box::new(|_| ()), true),
        ("a reading of less", Box::new(|world| world.act(&Op::PollInPart)), true),
        ("a deletion at it", Box::new(delete(5)), true),
        ("a deletion before it", Box::new(delete(4)), true),
        ("a deletion behind it", Box::new(delete(6)), false),
        ("a trim up to it", Box::new(trim(4)), true),
        ("a trim of it", Box::new(trim(5)), false),
        ("a trim of all", Box::new(trim(10)), false),
        ("a trim of the middle that a group held", Box::new(trim_middle(3, 5, true)), true),
        (
            "a trim up to it after a time when it was not held and nothing went",
            Box::new(|world| {
                world.was_held = false;
                [Op::Poll, Op::Trim(2)].iter().for_each(|op| world.act(op));
            }),
            true,
        ),
        (
            "a trim up to it before such a time",
            Box::new(|world| {
                [Op::Trim(2), Op::Poll].iter().for_each(|op| world.act(op));
                world.was_held = false;
            }),
            true,
        ),
        ("a trim of the middle that a group might have not held", Box::new(trim_middle(3, 5, false)), false),
        ("... or held not as far", Box::new(trim_middle(6, 6, true)), false),
    ];
    for (what, change, holds) in cases {
        let (checkpoints, state) = after(change);
        let first = checkpoints.first_holding(id(5), &state).unwrap();
        assert_eq!(first.id == id(5), holds, "{what}");
        // It is still a bound.
        let most = checkpoints.most_behind(id(5), &state);
        assert_eq!(most, Some(5), "{what}");
        assert_eq!(checkpoints.first_from(id(5)).map(|it| it.id), Some(id(5)), "{what}");
        let missing = checkpoints.first_from(id(5)).and_then(|it| it.entries_missing(&state, 3));
        assert_eq!(missing, Some(2), "{what}");
    }
}

#[test]
fn a_checkpoint_that_no_longer_holds_is_dropped_and_never_holds_again() {
    let (mut checkpoints, state) = after(|world| world.act(&Op::Trim(5)));
    checkpoints.check(&state, Some(StreamId::ZERO));
    assert_eq!(checkpoints.first_holding(id(5), &state).map(|it| it.id), Some(id(10)));
    let slow = StreamState { groups: [("g".into(), GroupState::at(id(2)))].into_iter().collect(), ..state };
    checkpoints.renew(&slow, []);
    assert_eq!(checkpoints.first_from(id(5)).map(|it| it.id), Some(id(10)));
}

#[test]
fn more_entries_than_possible_are_of_another_stream() {
    // The last ID before others were added: 5 entries follow it.
    let (checkpoints, state) = after(|_| ());
    for (first, length, is_refuted) in [(1, 10, false), (5, 6, false), (6, 5, false), (6, 6, true)] {
        let state = StreamState { first_entry_id: Some(id(first)), length, ..state.clone() };
        assert_eq!(checkpoints.are_refuted_by(&state), is_refuted, "{first} {length}");
    }
}

#[test]
fn a_value_that_was_not_read_neither_contradicts_nor_proves_anything() {
    let (checkpoints, state) = after(|_| ());
    let more = StreamState { first_entry_id: Some(id(6)), length: 6, ..state };
    assert!(!checkpoints.are_refuted_by(&StreamState { first_entry_id: None, ..more.clone() }));
    assert!(!checkpoints.are_refuted_by(&StreamState { entries_added: None, ..more }));
    // It is unknown whether an entry after it was deleted, and something was removed.
    let (mut checkpoints, state) = after(|_| ());
    let trimmed = StreamState { first_entry_id: Some(id(2)), length: 9, max_deleted_entry_id: None, ..state };
    checkpoints.check(&trimmed, Some(StreamId::ZERO));
    assert_eq!(checkpoints.first_holding(id(5), &trimmed).map(|it| it.id), Some(id(10)));
}

#[test]
fn the_slowest_group_keeps_its_checkpoints() {
    let (mut checkpoints, state) = after(|_| ());
    let groups = [("slow", 3), ("fast", 9)].map(|(name, at)| (name.into(), GroupState::at(id(at))));
    checkpoints.renew(&StreamState { groups: NameMap::from(groups), ..state }, [(id(7), 3)]);
    assert_eq!(
        [4, 6, 8].map(|from| checkpoints.first_from(id(from)).map(|it| it.id.ms)),
        [5, 7, 10].map(Some)
    );
}

#[test]
fn beyond_the_maximum_the_closest_checkpoints_are_dropped() {
    let mut world = World { was_held: true, ..World::default() };
    for round in 0..MOST as u64 + 10 {
        // Two that are close to each other, each time.
        world.act(&Op::Add(if round % 2 == 0 { 1 } else { 100 }));
        world.act(&Op::Poll);
    }
    let kept: Vec<u64> = world.checkpoints.0.iter().map(|kept| kept.id.ms).collect();
    assert_eq!(kept.len(), MOST);
    let widest = kept.windows(2).map(|two| two[1] - two[0]).max();
    assert!(widest <= Some(101), "{kept:?}");
    assert_eq!((kept.first(), kept.last()), (Some(&1), Some(&world.last)));
}

#[test]
fn the_last_checkpoint_that_all_groups_have_passed_is_kept_as_a_bound() {
    for (position, kept) in [(4, 5), (5, 5), (7, 5), (10, 10)] {
        let (mut checkpoints, state) = after(move |world| world.position = position);
        checkpoints.renew(&state, []);
        let first = checkpoints.first_from(StreamId::ZERO).map(|it| it.id);
        let bound = checkpoints.most_behind(id(position), &state);
        assert_eq!(bound, (position >= 5).then_some(10 - kept), "{position}");
        assert_eq!(first, Some(id(5)), "{position}");
    }
}

#[test]
fn without_groups_nothing_is_kept() {
    let (mut checkpoints, state) = after(|_| ());
    checkpoints.renew(&StreamState { groups: Default::default(), ..state }, []);
    assert_eq!(checkpoints, Checkpoints::default());
}
