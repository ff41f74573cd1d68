//! Readings for the tests of several files.

use std::collections::BTreeMap;

use super::{History, OpenReading};
use crate::{
    config::{Config, Sources, Watchlist},
    model::{
        Failure, GroupState, Name, NameMap, Now, Origin, Server, ServerTime, Snapshot, StreamId, StreamState,
    },
};

pub(super) const NOW_MS: u64 = 1_800_000_000_000;

pub(super) fn id(number: u64) -> Option<StreamId> {
    Some(StreamId::new(number, 0))
}

/// The default configuration with this YAML.
pub(super) fn config(more: &str) -> Config {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), format!("redis: {{uri: 'redis://h'}}\n{more}")).unwrap();
    Sources { file: Some(file.path().to_owned()), ..Sources::default() }.load().unwrap()
}

/// A reading of these streams from an unknown server.
pub(super) fn snapshot(streams: impl IntoIterator<Item = (Name, Result<StreamState, Failure>)>) -> Snapshot {
    Snapshot {
        server: Server::UNKNOWN,
        origin: Origin::default(),
        place: "h:6379".into(),
        database: 0,
        time: Ok(Now::exactly(ServerTime(NOW_MS))),
        streams: streams.into_iter().collect(),
        forbidden: 0,
        lengths: BTreeMap::new(),
        last_entries: BTreeMap::new(),
    }
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
