//! What a snapshot means, stream by stream.

use std::collections::BTreeMap;

use super::{Age, Lag};
use crate::model::{GroupState, Name, Pending, Server, ServerTime, Snapshot, StreamState};

/// The meaning of a snapshot: for each stream that could be read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Report {
    /// By the stream's name; a stream that could not be read is not here.
    pub streams: BTreeMap<Name, StreamReport>,
}

/// The meaning of a stream's state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamReport {
    /// Age of the oldest entry; `None` in an empty stream, and where the ID is not a time.
    pub oldest_entry_age: Option<Age>,
    /// Since the stream last gave out an ID.
    pub last_write_age: Option<Age>,
    /// By the group's name.
    pub groups: BTreeMap<Name, GroupReport>,
}

/// The meaning of a group's state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupReport {
    /// Entries not delivered to the group.
    pub lag: Lag,
    /// Age of the oldest entry that was delivered and not acknowledged; zero where there is none.
    pub oldest_pending_age: Option<Age>,
}

/// Draws from a snapshot what it means.
#[must_use]
pub fn evaluate(snapshot: &Snapshot) -> Report {
    let now = snapshot.time.as_ref().ok().copied();
    let report = |state: &StreamState| stream(state, &snapshot.server, now);
    let read = snapshot
        .streams
        .iter()
        .filter_map(|(name, state)| Some((name.clone(), report(state.as_ref().ok()?))));
    Report { streams: read.collect() }
}

fn stream(state: &StreamState, server: &Server, now: Option<ServerTime>) -> StreamReport {
    let age = |id| Age::of(id, now?);
    let group = |group: &GroupState| GroupReport {
        lag: Lag::of(state, group, server),
        oldest_pending_age: match group.oldest_pending {
            Pending::None => Some(Age::ZERO),
            Pending::Oldest(oldest) => age(oldest.id),
            Pending::Unknown => None,
        },
    };
    StreamReport {
        oldest_entry_age: state.first_entry_id.and_then(age),
        // A stream that never had an entry says 0-0, which is no time.
        last_write_age: state.last_generated_id.and_then(age),
        groups: state.groups.iter().map(|(name, state)| (name.clone(), group(state))).collect(),
    }
}
