//! Observations of streams that are read again between two polls: which entries were delivered before they were
//! removed.
//!
//! If entries were delivered to a group and then removed by others within one interval, two polls can't distinguish
//! them from lost ones. A reread can: while the stream's first entry is not past the position that a group had a
//! moment ago, all entries that the group has passed since were delivered. This is evidence for the next poll only. A
//! reread changes no history.

use std::collections::BTreeMap;

use super::{baseline::Step, counters::Counters};
use crate::model::{GroupState, Name, NameMap, Snapshot, StreamId, StreamState};

/// Maximum number of streams that are reread.
const MOST: usize = 20;

/// The streams that are reread until the next poll.
#[derive(Debug, Clone, Default)]
pub(super) struct Rereads {
    trails: BTreeMap<Name, Trail>,
    /// The last stream that was chosen. If there are too many, the next ones have their turn.
    last: Option<Name>,
}

/// Observations of a stream since the last poll.
#[derive(Debug, Clone)]
pub(super) struct Trail {
    counters: Counters,
    groups: Vec<(Name, Steps)>,
}

/// How a group moved forward.
#[derive(Debug, Clone, Copy)]
struct Steps {
    /// At the last poll.
    from: Position,
    at: Position,
    seen: Seen,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Position {
    delivered: StreamId,
    entries_read: Option<i64>,
}

/// What is certain about a group between two polls.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Seen {
    /// Lower bound of the delivered entries.
    pub(super) delivered: u64,
    /// Lower bound of those of them that were removed since.
    pub(super) delivered_and_gone: u64,
    /// Whether nothing was ever removed after its position.
    pub(super) is_intact: bool,
}

impl Rereads {
    /// Chooses from these streams of a poll's reading, in order.
    pub(super) fn begin<'a>(&mut self, near: impl Iterator<Item = &'a Name>, snapshot: &Snapshot) {
        let (passed, mut chosen): (Vec<_>, Vec<_>) =
            near.partition(|name| self.last.as_ref().is_some_and(|last| *name <= last));
        chosen.extend(passed);
        chosen.truncate(MOST);
        self.last = chosen.last().map(|name| (*name).clone());
        let trail = |name: &Name| Some(Trail::new(snapshot.streams.get(name)?.as_ref().ok()?));
        self.trails = chosen.into_iter().filter_map(|name| Some((name.clone(), trail(name)?))).collect();
    }

    pub(super) fn streams(&self) -> impl Iterator<Item = &Name> {
        self.trails.keys()
    }

    /// Applies readings of the streams. A stream that was not read is left out until the next poll.
    pub(super) fn take(&mut self, streams: &NameMap<StreamState>) {
        self.trails.retain(|name, trail| streams.get(name).is_some_and(|stream| trail.goes_on(stream)));
    }

    /// Takes the observations of a stream.
    pub(super) fn remove(&mut self, stream: &Name) -> Option<Trail> {
        self.trails.remove(stream)
    }
}

impl Trail {
    fn new(stream: &StreamState) -> Self {
        let steps = |group| {
            let at = Position::of(group);
            Steps { from: at, at, seen: Seen { is_intact: true, ..Seen::default() } }
        };
        let groups = stream.groups.iter().map(|(name, group)| (name.clone(), steps(group))).collect();
        Self { counters: Counters::of(stream, None), groups }
    }

    /// Applies a later reading. Returns whether it can be of the same stream.
    fn goes_on(&mut self, stream: &StreamState) -> bool {
        let now = Counters::of(stream, None);
        let before = std::mem::replace(&mut self.counters, now);
        let none_removed = before.has_as_many_removed(&now);
        self.groups.retain_mut(|(name, steps)| {
            stream.groups.get(name).is_some_and(|group| steps.go_on(stream, group, none_removed))
        });
        before.can_become(&now)
    }

    /// What is certain about a group up to a poll's reading.
    pub(super) fn until(&self, stream: &StreamState, name: &Name, step: &Step<'_>) -> Option<Seen> {
        let Step { before, now: group, .. } = step;
        let now = Counters::of(stream, None);
        let mut steps = self.groups.iter().find(|(its, _)| its == name)?.1;
        let is_from_there =
            steps.from == Position { delivered: before.delivered, entries_read: before.entries_read };
        let goes_on = self.counters.can_become(&now)
            && steps.go_on(stream, group, self.counters.has_as_many_removed(&now));
        (is_from_there && goes_on).then_some(steps.seen)
    }
}

impl Position {
    fn of(group: &GroupState) -> Self {
        Self { delivered: group.last_delivered_id, entries_read: group.entries_read }
    }
}

impl Steps {
    /// Applies a later reading. Returns whether the group only moved forward.
    fn go_on(&mut self, stream: &StreamState, group: &GroupState, none_removed: bool) -> bool {
        let before = std::mem::replace(&mut self.at, Position::of(group));
        // Until then nothing after the position was removed, neither by a trim nor by a deletion.
        let is_there = stream.first_entry_id.is_some_and(|first| first <= before.delivered)
            && stream.max_deleted_entry_id.is_some_and(|deleted| deleted <= before.delivered);
        self.seen.is_intact &= none_removed || is_there;
        if stream.first_entry_id.is_none_or(|first| first > before.delivered) {
            self.seen.delivered_and_gone = self.seen.delivered;
        }
        // The server counts exactly one per delivery then. After a trim past the position it would include removed
        // entries.
        let counts = before.entries_read.zip(self.at.entries_read).filter(|_| is_there);
        let delivered = counts.and_then(|(then, now)| u64::try_from(now.checked_sub(then)?).ok());
        self.seen.delivered += delivered.unwrap_or_default();
        self.at.delivered >= before.delivered
    }
}
