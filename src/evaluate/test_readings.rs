//! Readings for the tests of several files.

use super::{History, OpenReading};
pub(super) use crate::{
    config::test_config::config,
    model::test_snapshot::{NOW_MS, node, snapshot},
};
use crate::{
    config::{Config, Watchlist},
    model::{GroupState, NameMap, Snapshot, StreamId, StreamState},
};

pub(super) fn id(number: u64) -> Option<StreamId> {
    Some(StreamId::new(number, 0))
}

/// A stream with a group at this position.
pub(super) fn stream_at(position: u64) -> StreamState {
    StreamState {
        last_generated_id: id(20),
        first_entry_id: id(11),
        entries_added: Some(20),
        max_deleted_entry_id: id(0),
        groups: NameMap::from([("g".into(), GroupState::at(StreamId::new(position, 0)))]),
        ..StreamState::of_length(10)
    }
}

/// Begins a reading of streams that are all watched.
pub(super) fn begin<'a>(
    history: &'a mut History,
    snapshot: Snapshot,
    config: &'a Config,
    most: usize,
) -> OpenReading<'a> {
    let watchlist = Watchlist::new(config, snapshot.streams.keys().cloned());
    history.begin(snapshot, config, &watchlist, most)
}
