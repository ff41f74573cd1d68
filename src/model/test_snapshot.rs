//! Snapshots for the tests of all modules.

use std::collections::BTreeMap;

use super::{Failure, Name, Now, Origin, Server, ServerTime, Snapshot, StreamState};

/// The server's clock in them, in milliseconds since the Unix epoch.
pub(crate) const NOW_MS: u64 = 1_800_000_000_000;

/// A snapshot of these streams from an unknown server.
pub(crate) fn snapshot(streams: impl IntoIterator<Item = (Name, Result<StreamState, Failure>)>) -> Snapshot {
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
