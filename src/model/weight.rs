//! How much memory streams take, as Redis answers to `MEMORY USAGE`.

use std::collections::BTreeMap;

use super::{Flavour, Name, Server, StreamState};

/// What Redis adds flatly for each node of a stream's radix tree (`streamRadixTreeMemoryUsage`). A node takes a few of these bytes.
const FLAT_BYTES_A_NODE: u64 = 240;
/// How far the answer may be off for each pending entry: some 480 bytes too high with Redis 6.0 and 7.0, some 90 too low with 8.6.
const OFF_BYTES_A_PENDING: u64 = 600;
/// Since this version Valkey counts what it allocated, pending entries too. Earlier ones were not measured.
const VALKEY_COUNTS_SINCE: (u16, u16, u16) = (9, 1, 0);
/// An answer is taken for true if both together are at most this part of it.
const GREATEST_PART: u64 = 10;

/// An answer that is close to the truth: within a fifth, and mostly within a tenth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weight {
    /// Redis looked at each node of entries.
    Counted(u64),
    /// Redis looked at the first nodes of entries, and took the others for equally large.
    Extrapolated(u64),
}

/// The last answers that are not too old.
pub type Weights = BTreeMap<Name, Weight>;

impl Weight {
    /// The answer to `MEMORY USAGE key SAMPLES samples` for a stream in this state; `None` if more than a tenth of it may be wrong for
    /// known reasons, or if the state does not show that.
    #[must_use]
    pub fn new(bytes: u64, state: &StreamState, server: &Server, samples: u64) -> Option<Self> {
        let (keys, nodes) = (state.radix_tree_keys?, state.radix_tree_nodes?);
        let off = nodes.saturating_mul(FLAT_BYTES_A_NODE);
        let off = off.saturating_add(state.pending()?.saturating_mul(OFF_BYTES_A_PENDING));
        let counts_all =
            server.flavour == Flavour::Valkey && server.version.is_some_and(|it| it >= VALKEY_COUNTS_SINCE);
        let is_true = counts_all || off.saturating_mul(GREATEST_PART) <= bytes;
        let weight = if keys <= samples { Self::Counted(bytes) } else { Self::Extrapolated(bytes) };
        is_true.then_some(weight)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{GroupState, NameMap, StreamId};

    fn state(keys: u64, nodes: u64, pending: u64) -> StreamState {
        let group = GroupState { pending, ..GroupState::at(StreamId::new(1, 0)) };
        StreamState {
            radix_tree_keys: Some(keys),
            radix_tree_nodes: Some(nodes),
            groups: NameMap::from([("g".into(), group)]),
            ..StreamState::of_length(100_000)
        }
    }

    #[test]
    fn an_answer_counts_only_where_pending_entries_and_nodes_are_a_small_part_of_it() {
        // Answers of Redis 6.0 and 7.0 to streams of 100,000 entries, beside what its memory grew by.
        for (bytes, state, expected) in [
            (26_000_000, state(5_883, 7_149, 0), Some(Weight::Counted(26_000_000))),
            (26_000_000, state(10_001, 10_800, 0), Some(Weight::Extrapolated(26_000_000))),
            (26_000_000, state(10_001, 10_900, 0), None),
            // 32.7 MB in truth.
            (80_000_000, state(5_883, 7_445, 100_000), None),
            (26_500_000, state(5_883, 7_149, 1_500), Some(Weight::Counted(26_500_000))),
            // 1.5 MB in truth.
            (1_940_000, state(1_000, 1_880, 0), None),
            (41_000_000, StreamState::of_length(100_000), None),
            (26_000_000, StreamState { unwatched_groups: 1, ..state(5_883, 7_149, 0) }, None),
        ] {
            assert_eq!(Weight::new(bytes, &state, &Server::UNKNOWN, 10_000), expected, "{bytes} {state:?}");
        }
        let valkey = |version| Server { flavour: Flavour::Valkey, version: Some(version), ..Server::UNKNOWN };
        let all_pending = state(5_883, 7_227, 100_000);
        let answer = |version| Weight::new(32_000_000, &all_pending, &valkey(version), 10_000);
        assert_eq!(answer((9, 1, 2)), Some(Weight::Counted(32_000_000)));
        assert_eq!(answer((8, 1, 0)), None);
    }
}
