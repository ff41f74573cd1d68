//! How much memory streams take, how fast that grows, and when a limit is met at that rate.
//!
//! What Redis answers to `MEMORY USAGE` is used where it is right ([`Weight`]). Else the memory is estimated from what polls read anyway,
//! and says so. Growth is unknown until it has been watched for `memory.growth_after`: unknown is not zero.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use super::{
    growth::Growth,
    report::{NodeMemory, StreamMemory, StreamVerdict},
};
use crate::model::{
    Condition, Flavour, Name, Node, Origin, Server, Snapshot, StreamState, Text, Weight, Weights,
};

/// What a stream takes beside its entries.
const BASE_BYTES: u64 = 300;
/// Of a pending entry, in its group and its consumer: measured with Redis 6.0 and 7.0, and Valkey 9.1.
const PENDING_BYTES: u64 = 85;
/// The same since Redis 8.4, which also keeps them in the order of their delivery. Measured with 8.6.
const PENDING_BYTES_IN_ORDER: u64 = 223;
const IN_ORDER_SINCE: (u16, u16, u16) = (8, 4, 0);
/// The default sizes of a node of entries: `stream-node-max-bytes` and `stream-node-max-entries`.
const NODE_BYTES: u64 = 4_096;
const NODE_ENTRIES: u64 = 100;
const DAY_SECONDS: u64 = 86_400;
/// A limit that is further away is out of sight.
const FURTHEST: Duration = Duration::from_secs(10 * 365 * DAY_SECONDS);

/// The memory of streams and servers as of earlier polls.
#[derive(Debug, Clone, Default)]
pub(super) struct MemoryHistory {
    /// The last answers of Redis.
    pub(super) weights: Arc<Weights>,
    streams: BTreeMap<Name, StreamTrail>,
    /// By address.
    nodes: BTreeMap<Text, (Origin, Growth)>,
}

/// What was known of a stream. Sizes that were found in another way, or are of another stream, are not compared.
#[derive(Debug, Clone, Default)]
struct StreamTrail {
    is_estimate: bool,
    recreations: u64,
    growth: Growth,
}

impl MemoryHistory {
    /// Adds to each verdict what is known of the stream's memory, and returns that of the servers. `at` is the time on a monotonic clock.
    pub(super) fn note(
        &mut self,
        snapshot: &Snapshot,
        verdicts: &mut [(Name, StreamVerdict)],
        growth_after: Duration,
        at: Duration,
    ) -> Vec<NodeMemory> {
        let nodes = self.note_nodes(&snapshot.nodes, growth_after, at);
        let mut trails = std::mem::take(&mut self.streams);
        let states = snapshot.streams.values().zip(snapshot.nodes_of_streams());
        for ((name, verdict), (state, index)) in verdicts.iter_mut().zip(states) {
            let before = trails.remove(name);
            let Ok(state) = state else {
                // It may be read again soon, and be the same.
                self.streams.extend(before.map(|trail| (name.clone(), trail)));
                continue;
            };
            let node = snapshot.node(index);
            let server = node.map_or(&Server::UNKNOWN, |node| &node.server);
            let Some((bytes, is_estimate)) = size(state, server, self.weights.get(name)) else { continue };
            let recreations = verdict.read.map_or(0, |read| read.recreations);
            let is_same = |it: &StreamTrail| it.is_estimate == is_estimate && it.recreations == recreations;
            let mut trail = before.filter(is_same).unwrap_or_default();
            let growth_a_day = trail.growth.note(bytes, growth_after, at);
            let limit = server.terms().stream_bytes;
            let of_node = nodes.get(usize::from(index)).and_then(|node| node.maxmemory_after);
            verdict.memory = Some(Box::new(StreamMemory {
                bytes,
                is_estimate,
                growth_a_day,
                size_limit_after: limit.and_then(|limit| reached_after(bytes, limit, growth_a_day)),
                maxmemory_after: of_node.filter(|_| growth_a_day.is_some_and(|growth| growth > 0)),
            }));
            (trail.is_estimate, trail.recreations) = (is_estimate, recreations);
            self.streams.insert(name.clone(), trail);
        }
        nodes
    }

    /// In the order of the nodes.
    fn note_nodes(&mut self, nodes: &[Node], growth_after: Duration, at: Duration) -> Vec<NodeMemory> {
        let mut before = std::mem::take(&mut self.nodes);
        let memory = nodes.iter().map(|node| {
            let last = before.remove(&node.address);
            let last = last.filter(|(origin, _)| !origin.is_another_process(&node.origin));
            let mut growth = last.map(|(_, growth)| growth).unwrap_or_default();
            let used = node.condition.used_memory.filter(|_| node.failure.is_none());
            let growth_a_day = used.and_then(|used| growth.note(used, growth_after, at));
            self.nodes.insert(node.address.clone(), (node.origin.clone(), growth));
            let is_of_cluster = node.server.is_of_cluster();
            NodeMemory {
                node: if is_of_cluster { node.address.clone() } else { Text::from("") },
                growth_a_day,
                maxmemory_after: maxmemory_after(&node.condition, growth_a_day),
            }
        });
        memory.collect()
    }
}

/// The size of a stream, and whether it is estimated.
fn size(state: &StreamState, server: &Server, weight: Option<&Weight>) -> Option<(u64, bool)> {
    match weight {
        Some(Weight::Counted(bytes)) => Some((*bytes, false)),
        Some(Weight::Extrapolated(bytes)) => Some((*bytes, true)),
        None => Some((estimate(state, server)?, true)),
    }
}

/// An estimate from the number of entries and of their nodes, the size of the first entry, and the pending entries. Redis fills a node up to
/// its greatest size, and a node whose entries were deleted keeps its size, so full nodes say more than the length. `None` if any of these
/// is unknown.
fn estimate(state: &StreamState, server: &Server) -> Option<u64> {
    let is_redis = server.flavour == Flavour::Redis;
    let is_in_order = is_redis && server.version.is_some_and(|version| version >= IN_ORDER_SINCE);
    let a_pending = if is_in_order { PENDING_BYTES_IN_ORDER } else { PENDING_BYTES };
    let pending = state.pending()?.saturating_mul(a_pending);
    let entries = match (state.length, state.first_entry_bytes) {
        (0, _) => 0,
        (_, 0) => return None,
        (length, entry) => {
            let all_like_the_first = length.saturating_mul(entry);
            let node = entry.max(entry.saturating_mul(NODE_ENTRIES).min(NODE_BYTES));
            let full_nodes = state.radix_tree_keys?.saturating_sub(1).saturating_mul(node);
            all_like_the_first.max(full_nodes.saturating_add(node.min(all_like_the_first)))
        }
    };
    Some(BASE_BYTES.saturating_add(pending).saturating_add(entries))
}

/// When `maxmemory` is reached. A server that may evict any key lives close to it: what it evicts then is reported elsewhere.
fn maxmemory_after(condition: &Condition, growth_a_day: Option<i64>) -> Option<Duration> {
    let limit = condition.max_memory.filter(|limit| *limit > 0)?;
    let used = condition.used_memory.filter(|_| condition.evicts_streams().is_none())?;
    reached_after(used, limit, growth_a_day)
}

fn reached_after(bytes: u64, limit: u64, growth_a_day: Option<i64>) -> Option<Duration> {
    let growth = u64::try_from(growth_a_day?).ok().filter(|growth| *growth > 0)?;
    let seconds = u128::from(limit.saturating_sub(bytes)) * u128::from(DAY_SECONDS) / u128::from(growth);
    let after = Duration::from_secs(u64::try_from(seconds).ok()?);
    (after <= FURTHEST).then_some(after)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{GroupState, NameMap, StreamId};

    fn state(length: u64, keys: u64, entry: u64, pending: u64) -> StreamState {
        let group = GroupState { pending, ..GroupState::at(StreamId::new(1, 0)) };
        StreamState {
            radix_tree_keys: Some(keys),
            first_entry_bytes: entry,
            groups: NameMap::from([("g".into(), group)]),
            ..StreamState::of_length(length)
        }
    }

    #[test]
    fn an_estimate_is_close_to_what_redis_used() {
        // What the memory of Redis 6.0 grew by. The size of the first entry includes its ID, of 15 characters.
        for (what, state, truth) in [
            ("200 bytes each", state(100_000, 5_883, 247, 0), 24_282_528),
            ("a few bytes each", state(100_000, 1_000, 17, 0), 1_506_592),
            ("other fields each", state(100_000, 3_334, 128, 0), 13_773_120),
            ("20 kB each", state(2_000, 2_000, 20_047, 0), 41_015_464),
            ("ten entries", state(10, 1, 247, 0), 2_776),
            ("all pending", state(100_000, 5_883, 247, 100_000), 32_749_752),
            ("nine of ten deleted", state(10_000, 5_882, 246, 0), 24_309_216),
        ] {
            let estimate = estimate(&state, &Server::UNKNOWN).unwrap();
            let off = estimate.abs_diff(truth) * 100 / truth;
            assert!(off <= 15, "{what}: {estimate} for {truth}, {off} %");
        }
        let newest = Server { version: Some((8, 6, 3)), ..Server::UNKNOWN };
        let estimate = estimate(&state(100_000, 5_883, 247, 100_000), &newest).unwrap();
        assert!(estimate.abs_diff(46_638_656) * 100 / 46_638_656 <= 15, "{estimate}");
    }

    #[test]
    fn without_the_first_entry_the_nodes_or_all_groups_nothing_is_estimated() {
        let known = state(10, 1, 247, 0);
        for unknown in [
            StreamState { first_entry_bytes: 0, ..known.clone() },
            StreamState { radix_tree_keys: None, ..known.clone() },
            StreamState { unwatched_groups: 1, ..known.clone() },
        ] {
            assert_eq!(estimate(&unknown, &Server::UNKNOWN), None, "{unknown:?}");
        }
        assert_eq!(estimate(&state(0, 0, 0, 0), &Server::UNKNOWN), Some(BASE_BYTES));
    }

    #[test]
    fn the_answer_of_redis_is_preferred_to_an_estimate_and_says_which_it_is() {
        let state = state(10, 1, 247, 0);
        let size = |state, weight| size(state, &Server::UNKNOWN, weight);
        assert_eq!(size(&state, Some(&Weight::Counted(2_776))), Some((2_776, false)));
        assert_eq!(size(&state, Some(&Weight::Extrapolated(3_000))), Some((3_000, true)));
        assert_eq!(size(&state, None), Some((2_770, true)));
    }

    #[test]
    fn a_limit_is_reached_only_by_what_grows() {
        let days = |days: u64| Some(Duration::from_secs(days * DAY_SECONDS));
        for (bytes, limit, growth, expected) in [
            (40, 100, Some(20), days(3)),
            (100, 100, Some(20), days(0)),
            (140, 100, Some(1), days(0)),
            (40, 100, Some(0), None),
            (40, 100, Some(-20), None),
            (40, 100, None, None),
            (0, u64::MAX, Some(1), None),
        ] {
            assert_eq!(reached_after(bytes, limit, growth), expected, "{bytes} {limit} {growth:?}");
        }
    }

    #[test]
    fn a_server_without_a_limit_or_one_that_evicts_close_to_it_has_no_date() {
        let condition = |used, limit, policy: &str| Condition {
            used_memory: Some(used),
            max_memory: Some(limit),
            eviction: Some(policy.into()),
            ..Condition::default()
        };
        let after =
            |condition| maxmemory_after(&condition, Some(10)).map(|after| after.as_secs() / DAY_SECONDS);
        assert_eq!(after(condition(80, 100, "noeviction")), Some(2));
        assert_eq!(after(condition(99, 100, "noeviction")), Some(0));
        assert_eq!(after(condition(80, 100, "allkeys-lru")), Some(2));
        assert_eq!(after(condition(95, 100, "allkeys-lru")), None);
        assert_eq!(after(condition(80, 0, "noeviction")), None);
        assert_eq!(after(Condition::default()), None);
    }
}
