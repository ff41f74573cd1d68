//! Whether a group's pending entries can have changed since an earlier poll, judging by data that each poll reads
//! anyway.
//!
//! Stuck entries stay for a long time, and reading them again at each poll would cost a command per group.

use crate::model::{
    GroupState, Millis, Now, OldestPending, PendingSample, ServerTime, StreamId, StreamState,
};

/// Values that stay the same only while nobody touches a group's pending entries.
///
/// Only consumers receive deliveries, and Redis records when each was last seen. An acknowledgement is not recorded,
/// but reduces the pending entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stillness {
    last_seen_ms: u64,
    pending: u64,
    consumers: u64,
    gone_before: StreamId,
}

impl Stillness {
    /// `None` if it can't be determined. The first entry must be known, and every consumer must have been read and
    /// last seen before the poll began, even with the maximum clock error. Together they must own all pending
    /// entries.
    pub(super) fn of(stream: &StreamState, group: &GroupState, now: Option<Now>) -> Option<Self> {
        let now = now?;
        let held: u64 = group.consumers.iter().map(|consumer| consumer.pending).sum();
        let idle = group.consumers.iter().map(|consumer| consumer.idle).min()??;
        let is_certain = group.has_all_consumers() && held == group.pending && idle.duration() > now.error;
        let last_seen_ms = now.time.0.checked_sub(idle.get())?;
        let gone_before = stream.gone_before()?;
        let (pending, consumers) = (group.pending, group.consumer_count);
        is_certain.then_some(Self { last_seen_ms, pending, consumers, gone_before })
    }
}

/// A sample, with what shows whether it still holds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sampled {
    pub(super) stillness: Stillness,
    /// The number of deliveries from which entries counted as poison.
    pub(super) poison_from: u64,
    pub(super) sample: PendingSample,
    /// The time of the sample.
    pub(super) at: ServerTime,
}

impl Sampled {
    /// The sample as of now: entries have been idle for longer.
    pub(super) fn now(&self, now: Now) -> PendingSample {
        let passed = now.time.since(self.at.0).get();
        let longer = |idle: Millis| Millis::new(idle.get().saturating_add(passed));
        let later = |entry: OldestPending| OldestPending { idle: entry.idle.map(longer), ..entry };
        PendingSample { alive: self.sample.alive.map(|alive| alive.map(later)), ..self.sample }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::model::ConsumerState;

    #[test]
    fn a_consumer_that_may_have_been_seen_after_the_reading_proves_nothing() {
        let consumer = |idle| ConsumerState {
            name: "c".into(),
            pending: 1,
            idle: Some(Millis::new(idle)),
            inactive: None,
        };
        let group = |idle| GroupState {
            pending: 1,
            consumer_count: 1,
            consumers: Box::new([consumer(idle)]),
            ..GroupState::at(StreamId::new(5, 0))
        };
        let stream =
            StreamState { length: 1, first_entry_id: Some(StreamId::new(5, 0)), ..StreamState::of_length(0) };
        for (idle, error, is_certain) in [(0, 0, false), (1, 0, true), (40, 40, false), (41, 40, true)] {
            let now = Now { time: ServerTime(1_000_000), error: Duration::from_millis(error) };
            let actual = Stillness::of(&stream, &group(idle), Some(now));
            assert_eq!(
                actual.is_some(),
                is_certain,
                "idle for {idle} ms, by a clock that may be off by {error}"
            );
            let kept = GroupState { consumers_age: Some(Millis::new(1)), ..group(idle) };
            assert_eq!(Stillness::of(&stream, &kept, Some(now)), None, "they were read at an earlier poll");
        }
    }
}
