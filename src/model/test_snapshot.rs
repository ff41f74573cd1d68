//! Snapshots for the tests of all modules.

use std::{collections::BTreeMap, time::Duration};

use super::{Condition, Failure, Name, Node, Now, Origin, Server, ServerTime, Snapshot, StreamState};

/// The server's clock in them, in milliseconds since the Unix epoch.
pub(crate) const NOW_MS: u64 = 1_800_000_000_000;

/// An unknown server.
pub(crate) fn node() -> Node {
    Node {
        address: "h:6379".into(),
        server: Server::UNKNOWN,
        origin: Origin::default(),
        condition: Condition::default(),
        time: Ok(Now::exactly(ServerTime(NOW_MS))),
        took: Duration::ZERO,
        failure: None,
    }
}

/// A snapshot of these streams from an unknown server.
pub(crate) fn snapshot(streams: impl IntoIterator<Item = (Name, Result<StreamState, Failure>)>) -> Snapshot {
    Snapshot {
        nodes: vec![node()],
        placement: Box::default(),
        cluster: None,
        place: "h:6379".into(),
        source: String::new(),
        database: 0,
        streams: streams.into_iter().collect(),
        forbidden: 0,
        lengths: BTreeMap::new(),
        last_entries: BTreeMap::new(),
    }
}
