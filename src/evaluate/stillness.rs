//! Whether a group's pending entries can be other ones than at an earlier poll, told by what each poll reads anyway.
//!
//! Entries that are stuck stay so for long, and asking for them anew at each poll would cost a command a group.

use crate::model::{GroupState, Millis, ServerTime, StreamId, StreamState};

/// What stays the same only while nobody touches a group's pending entries.
///
/// Whoever delivers an entry, again or for the first time, is a consumer, and Redis notes when it was seen doing so.
/// Acknowledging notes nothing, but leaves fewer pending entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stillness {
    last_seen_ms: u64,
    pending: u64,
    consumers: u64,
    first_entry: Option<StreamId>,
}

impl Stillness {
    /// `None` where it can't be told: unless every consumer was read, was last seen before the poll began, and
    /// together they hold every pending entry.
    pub(super) fn of(stream: &StreamState, group: &GroupState, now: Option<ServerTime>) -> Option<Self> {
        let consumers = u64::try_from(group.consumers.len()).ok()?;
        let held: u64 = group.consumers.iter().map(|consumer| consumer.pending).sum();
        let idle = group.consumers.iter().map(|consumer| consumer.idle).min()??;
        let is_told = consumers == group.consumer_count && held == group.pending && idle > Millis::ZERO;
        let last_seen_ms = now?.0.checked_sub(idle.get())?;
        let first_entry = stream.first_entry_id;
        is_told.then_some(Self { last_seen_ms, pending: group.pending, consumers, first_entry })
    }
}

/// What a sample of a group's pending entries told.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sample {
    /// Entries that were delivered too often and are still there.
    pub(super) poison: u64,
    /// Entries that can't be there any more.
    pub(super) gone: u64,
}

/// A sample with what shows that it still holds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sampled {
    pub(super) stillness: Stillness,
    /// From how many deliveries on entries were counted as poison.
    pub(super) poison_from: u64,
    pub(super) sample: Sample,
}
