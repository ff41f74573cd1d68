//! The number of entries not yet delivered to a group: proven, or bounded.
//!
//! Redis's own `lag` is not used. It is nil in ordinary cases (a deleted entry, a group created in mid-stream),
//! includes trimmed entries before 8.0 and on Valkey, does not exist before 7.0, and on any version is whatever
//! someone passed as `ENTRIESREAD`. A wrong value can't be recognised.

use crate::model::{Counted, GroupState, StreamId, StreamState};

/// The entries not yet delivered to a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lag {
    /// Exactly this many.
    Exactly(u64),
    /// Unknown, but at most this many.
    AtMost(u64),
}

/// An ID of the stream with a known number of entries after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Known {
    pub(super) id: StreamId,
    pub(super) entries_behind: u64,
}

impl Lag {
    /// What the stream's first and last ID prove.
    pub(super) fn by_position(stream: &StreamState, group: &GroupState) -> Self {
        let delivered = group.last_delivered_id;
        if stream.length == 0 || stream.last_generated_id.is_some_and(|last| delivered >= last) {
            return Self::Exactly(0);
        }
        match stream.first_entry_id {
            Some(first) if delivered < first => Self::Exactly(stream.length),
            Some(first) if delivered == first => Self::Exactly(stream.length - 1),
            // At least the first entry was delivered.
            Some(_) => Self::AtMost(stream.length - 1),
            None => Self::AtMost(stream.length),
        }
    }

    /// What is proven by an ID at or after the group's position, and by a count of the entries up to it.
    pub(super) fn by_counting(
        self,
        group: &GroupState,
        known: Option<Known>,
        counted: Option<Counted>,
    ) -> Self {
        let (Self::AtMost(_), Some(known)) = (self, known) else { return self };
        let between = match counted {
            _ if known.id == group.last_delivered_id => 0,
            Some(counted) if counted.is_complete && counted.up_to == known.id => counted.entries,
            _ => return self,
        };
        Self::Exactly(known.entries_behind + between)
    }

    /// The lag, if it is known.
    #[must_use]
    pub const fn known(self) -> Option<u64> {
        match self {
            Self::Exactly(lag) => Some(lag),
            Self::AtMost(_) => None,
        }
    }

    /// An upper bound of the lag.
    #[must_use]
    pub const fn upper_bound(self) -> u64 {
        match self {
            Self::Exactly(lag) | Self::AtMost(lag) => lag,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A stream of ten entries, `11-0` to `20-0`, and a group with the entries up to `delivered` delivered.
    fn states(delivered: u64) -> (StreamState, GroupState) {
        let stream = StreamState {
            length: 10,
            last_generated_id: Some(StreamId::new(20, 0)),
            entries_added: Some(20),
            first_entry_id: Some(StreamId::new(11, 0)),
            ..StreamState::of_length(0)
        };
        let group = GroupState::at(StreamId::new(delivered, 0));
        (stream, group)
    }

    #[test]
    fn the_ends_of_the_stream_prove_the_lag() {
        for (delivered, lag) in [
            (0, Lag::Exactly(10)),
            (10, Lag::Exactly(10)),
            (11, Lag::Exactly(9)),
            (15, Lag::AtMost(9)),
            (20, Lag::Exactly(0)),
            (25, Lag::Exactly(0)),
        ] {
            let (stream, group) = states(delivered);
            assert_eq!(Lag::by_position(&stream, &group), lag, "{delivered}");
        }
    }

    #[test]
    fn without_the_ids_only_an_empty_stream_proves_it() {
        let (mut stream, group) = states(15);
        (stream.first_entry_id, stream.last_generated_id) = (None, None);
        assert_eq!(Lag::by_position(&stream, &group), Lag::AtMost(10));
        stream.length = 0;
        assert_eq!(Lag::by_position(&stream, &group), Lag::Exactly(0));
    }

    #[test]
    fn a_known_id_and_a_complete_count_prove_it() {
        let (stream, group) = states(15);
        let bound = Lag::by_position(&stream, &group);
        let known = |ms, entries_behind| Some(Known { id: StreamId::new(ms, 0), entries_behind });
        let counted = |ms, is_complete| {
            let up_to = StreamId::new(ms, 0);
            Some(Counted { up_to, entries: 2, lowest: Some(StreamId::new(16, 0)), is_complete })
        };
        assert_eq!(bound.by_counting(&group, known(15, 5), None), Lag::Exactly(5));
        assert_eq!(bound.by_counting(&group, known(17, 3), counted(17, true)), Lag::Exactly(5));
        assert_eq!(bound.by_counting(&group, known(17, 3), counted(17, false)), bound);
        assert_eq!(
            bound.by_counting(&group, known(18, 2), counted(17, true)),
            bound,
            "counted up to another ID"
        );
        assert_eq!(bound.by_counting(&group, known(17, 3), None), bound);
        assert_eq!(bound.by_counting(&group, None, counted(17, true)), bound);
    }
}
