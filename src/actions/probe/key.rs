//! The names of the probe's streams and the IDs of its entries. Each process has its own, so no two sidecars read each other's.

use std::collections::BTreeMap;

use crate::{
    clock,
    config::PROBE_PREFIX,
    model::{Millis, StreamId},
};

/// The keys of a process.
pub(super) struct Keys {
    process: u32,
    /// How many were abandoned on each server, by its hash tag.
    abandoned: BTreeMap<Option<u32>, u32>,
    last: StreamId,
}

impl Keys {
    pub(super) fn new() -> Self {
        Self { process: fastrand::u32(..), abandoned: BTreeMap::new(), last: StreamId::ZERO }
    }

    /// The key for a server; with a hash tag for a node of a cluster.
    pub(super) fn key(&self, tag: Option<u32>) -> String {
        let number = self.abandoned.get(&tag).copied().unwrap_or_default();
        let tag = tag.map(|tag| format!(":{{{tag}}}")).unwrap_or_default();
        format!("{PROBE_PREFIX}{:08x}:{number}{tag}", self.process)
    }

    /// Uses another key from now on, and lets this one expire: what a failed probe left in it, such as an entry that can't be
    /// acknowledged, does not add up.
    pub(super) fn abandon(&mut self, tag: Option<u32>) {
        *self.abandoned.entry(tag).or_default() += 1;
    }

    /// The ID of the next entry. It is made here, since one pipeline writes the entry and acknowledges it. It grows even if the
    /// clock is set back.
    pub(super) fn next_id(&mut self) -> StreamId {
        let now = StreamId::new(Millis::from(clock::unix_time()).get(), 1);
        self.last = if now > self.last { now } else { self.last.next().unwrap_or(now) };
        self.last
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_grow_even_if_the_clock_does_not() {
        let mut keys = Keys::new();
        let first = keys.next_id();
        assert!(keys.next_id() > first);
        keys.last = StreamId::new(u64::MAX - 1, 3);
        assert_eq!(keys.next_id(), StreamId::new(u64::MAX - 1, 4));
    }

    #[test]
    fn keys_are_of_this_process_and_of_one_node() {
        let mut keys = Keys { process: 0xab, ..Keys::new() };
        assert_eq!(keys.key(None), "streamwarden:probe:000000ab:0");
        keys.abandon(Some(7));
        assert_eq!(keys.key(Some(7)), "streamwarden:probe:000000ab:1:{7}");
        assert_eq!(keys.key(Some(8)), "streamwarden:probe:000000ab:0:{8}");
    }
}
