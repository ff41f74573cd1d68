//! Which node of a cluster has which slot. Pure.

use nonmax::NonMaxU16;

use super::fields::{Parsed, unexpected};
use crate::model::{NodeAddress, Slot, SlotRanges, Text};

/// The primaries of a cluster that own slots. Two are equal if a client would do the same with them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Topology {
    primaries: Vec<Primary>,
    /// For each slot the primary that owns it.
    owners: Box<[Option<NonMaxU16>]>,
}

/// A node that owns slots.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Primary {
    /// The node's ID, which stays the same while its address may change. Redis before 4.0 has its address here.
    pub(crate) id: Text,
    pub(crate) address: NodeAddress,
    /// Its replicas that are online, in order.
    pub(crate) replicas: Vec<NodeAddress>,
    /// Whether the node that was asked believes that this one has failed. `CLUSTER SLOTS` does not tell.
    pub(crate) is_failing: bool,
    /// The number of its slots.
    pub(crate) slots: usize,
}

impl Topology {
    /// The primaries, in the order of their first slots.
    pub(crate) fn primaries(&self) -> &[Primary] {
        &self.primaries
    }

    /// The index of the primary that owns the slot; `None` if none does.
    pub(crate) fn owner(&self, slot: Slot) -> Option<usize> {
        self.owners.get(usize::from(slot.number())).copied().flatten().map(index)
    }

    /// Slots that no node owns.
    pub(crate) fn unowned(&self) -> SlotRanges {
        Slot::all().filter(|slot| self.owner(*slot).is_none()).collect()
    }

    /// Whether the slot has an owner that has not failed.
    pub(crate) fn is_served(&self, slot: Slot) -> bool {
        let owner = self.owner(slot).and_then(|owner| self.primaries.get(owner));
        owner.is_some_and(|owner| !owner.is_failing)
    }

    /// The same with the owners of `slots` where this has none. They have failed: if all primaries of a shard have, `CLUSTER
    /// SHARDS` of Redis 8.6 lists the shard without its slots, while `CLUSTER SLOTS` and `MOVED` still name the owner.
    ///
    /// # Errors
    /// There are more primaries than slots.
    pub(crate) fn completed_by(self, slots: &Self) -> Parsed<Self> {
        let mut draft = Draft { primaries: self.primaries, owners: self.owners };
        for (index, primary) in slots.primaries.iter().enumerate() {
            let is_it = |slot: &Slot| draft.has_none(*slot) && slots.owner(*slot) == Some(index);
            let missing: SlotRanges = Slot::all().filter(is_it).collect();
            if missing.is_empty() {
                continue;
            }
            let known = draft.primaries.iter().position(|known| known.id == primary.id);
            let owner = match known.and_then(place_of) {
                Some(owner) => owner,
                None => draft.add(Primary { is_failing: true, ..primary.clone() })?,
            };
            missing.ranges().iter().for_each(|range| draft.assign(owner, *range));
        }
        Ok(draft.finish())
    }
}

/// A topology of which parts were read.
pub(super) struct Draft {
    primaries: Vec<Primary>,
    owners: Box<[Option<NonMaxU16>]>,
}

impl Draft {
    pub(super) fn new() -> Self {
        Self { primaries: Vec::new(), owners: vec![None; usize::from(Slot::COUNT)].into() }
    }

    /// Adds a primary and returns its place.
    ///
    /// # Errors
    /// There are more primaries than slots.
    pub(super) fn add(&mut self, primary: Primary) -> Parsed<NonMaxU16> {
        let place = place_of(self.primaries.len()).ok_or_else(|| unexpected("number of primaries"))?;
        self.primaries.push(primary);
        Ok(place)
    }

    /// Gives it these slots, both ends included. If another one has them already, the last one that has not failed gets them.
    pub(super) fn assign(&mut self, to: NonMaxU16, (first, last): (Slot, Slot)) {
        let is_failing =
            |place| self.primaries.get(index(place)).is_some_and(|primary: &Primary| primary.is_failing);
        let range = usize::from(first.number())..=usize::from(last.number());
        for owner in self.owners.get_mut(range).unwrap_or_default() {
            match *owner {
                Some(present) if is_failing(to) && !is_failing(present) => {}
                _ => *owner = Some(to),
            }
        }
    }

    fn has_none(&self, slot: Slot) -> bool {
        self.owners.get(usize::from(slot.number())).is_none_or(Option::is_none)
    }

    /// Leaves out the primaries without slots. The others are sorted by their first slot.
    pub(super) fn finish(self) -> Topology {
        let Self { primaries: drafted, mut owners } = self;
        let mut drafted: Vec<_> = drafted.into_iter().map(|primary| (Some(primary), None)).collect();
        let mut primaries: Vec<Primary> = Vec::new();
        for owner in &mut owners {
            let Some((primary, place)) = owner.and_then(|old| drafted.get_mut(index(old))) else { continue };
            if let Some(primary) = primary.take() {
                *place = place_of(primaries.len());
                primaries.push(Primary { slots: 0, ..primary });
            }
            *owner = *place;
            if let Some(primary) = place.and_then(|new| primaries.get_mut(index(new))) {
                primary.slots += 1;
            }
        }
        Topology { primaries, owners }
    }
}

fn index(place: NonMaxU16) -> usize {
    place.get().into()
}

/// `None` if a cluster can't have so many: each has a slot.
fn place_of(index: usize) -> Option<NonMaxU16> {
    u16::try_from(index).ok().filter(|index| *index < Slot::COUNT).and_then(NonMaxU16::new)
}

/// A topology in which the node 10.0.0.N at port N owns all slots; of port 0 nobody owns any.
#[cfg(test)]
pub(super) fn test_topology(port: u16) -> Topology {
    let mut draft = Draft::new();
    if port > 0 {
        let address = NodeAddress::new(&format!("10.0.0.{port}"), port).unwrap();
        let replicas = Vec::new();
        let place =
            draft.add(Primary { id: "a".into(), address, replicas, is_failing: false, slots: 0 }).unwrap();
        draft.assign(place, (Slot::new(0).unwrap(), Slot::new(16_383).unwrap()));
    }
    draft.finish()
}
