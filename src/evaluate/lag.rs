//! How many entries a group has not been given yet: proven, bounded, or not known.
//!
//! Redis's own `lag` is nil in ordinary cases (a deleted entry, a group made in mid-stream), counts trimmed entries
//! before 8.0 and on Valkey, and does not exist before 7.0. So it is used only where the server is known to count
//! right and the number is possible.

use crate::model::{Flavour, GroupState, Server, StreamState};

/// The entries that a group has not been given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lag {
    /// Exactly so many.
    Exactly(u64),
    /// Not known, but no more than this.
    AtMost(u64),
}

impl Lag {
    /// The lag that this reading proves.
    #[must_use]
    pub fn of(stream: &StreamState, group: &GroupState, server: &Server) -> Self {
        let delivered = group.last_delivered_id;
        if stream.length == 0 || stream.last_generated_id.is_some_and(|last| delivered >= last) {
            return Self::Exactly(0);
        }
        let bound = match stream.first_entry_id {
            Some(first) if delivered < first => return Self::Exactly(stream.length),
            Some(first) if delivered == first => return Self::Exactly(stream.length - 1),
            // The group has read the first entry at least.
            Some(_) => stream.length - 1,
            None => stream.length,
        };
        let reported = group.reported_lag.and_then(|lag| u64::try_from(lag).ok());
        match reported.filter(|lag| *lag <= bound && counts_right(server)) {
            Some(lag) => Self::Exactly(lag),
            None => Self::AtMost(bound),
        }
    }

    /// The lag, where it is known.
    #[must_use]
    pub const fn known(self) -> Option<u64> {
        match self {
            Self::Exactly(lag) => Some(lag),
            Self::AtMost(_) => None,
        }
    }

    /// A number that the lag does not exceed.
    #[must_use]
    pub const fn upper_bound(self) -> u64 {
        match self {
            Self::Exactly(lag) | Self::AtMost(lag) => lag,
        }
    }
}

/// Whether a group that has read into the stream is told a lag that is right, if it is possible at all.
///
/// Redis before 8.0 goes on counting entries that were trimmed or deleted before the group had them, by a number
/// that may well be possible. Redis 8.0 does not, nor does Valkey 8.1 once the group has read past them.
fn counts_right(server: &Server) -> bool {
    let since = match server.flavour {
        Flavour::Redis => (8, 0, 0),
        Flavour::Valkey => (8, 1, 0),
    };
    server.version.is_some_and(|version| version >= since)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::model::{Pending, StreamId};

    const REDIS_7: Server = Server { version: Some((7, 0, 15)), ..Server::UNKNOWN };
    const REDIS_8: Server = Server { version: Some((8, 0, 6)), ..Server::UNKNOWN };

    /// A stream of ten entries, `11-0` to `20-0`, of twenty ever added.
    fn lag(delivered: u64, reported: Option<i64>, server: &Server) -> Lag {
        let stream = StreamState {
            length: 10,
            radix_tree_keys: None,
            radix_tree_nodes: None,
            last_generated_id: Some(StreamId::new(20, 0)),
            max_deleted_entry_id: None,
            entries_added: Some(20),
            first_entry_id: Some(StreamId::new(11, 0)),
            groups: BTreeMap::new(),
        };
        let group = GroupState {
            last_delivered_id: StreamId::new(delivered, 0),
            entries_read: None,
            reported_lag: reported,
            pending: 0,
            oldest_pending: Pending::None,
            consumer_count: 0,
            consumers: Vec::new(),
            unlisted_pending: None,
        };
        Lag::of(&stream, &group, server)
    }

    #[test]
    fn the_ends_of_the_stream_prove_the_lag_whatever_redis_reports() {
        for (delivered, exactly) in [(0, 10), (10, 10), (11, 9), (20, 0), (25, 0)] {
            for reported in [None, Some(-3), Some(4), Some(999)] {
                assert_eq!(
                    lag(delivered, reported, &REDIS_7),
                    Lag::Exactly(exactly),
                    "{delivered} {reported:?}"
                );
            }
        }
    }

    #[test]
    fn inside_the_stream_only_a_server_that_counts_right_is_believed() {
        assert_eq!(lag(15, Some(5), &REDIS_8), Lag::Exactly(5));
        assert_eq!(lag(15, Some(5), &REDIS_7), Lag::AtMost(9));
        assert_eq!(lag(15, Some(5), &Server::UNKNOWN), Lag::AtMost(9));
    }

    #[test]
    fn an_impossible_or_missing_number_is_not_believed() {
        for reported in [None, Some(-989), Some(10), Some(i64::MAX)] {
            assert_eq!(lag(15, reported, &REDIS_8), Lag::AtMost(9), "{reported:?}");
        }
    }
}
