//! Whether a group's pending entries can be other ones than at an earlier poll, told by what each poll reads anyway.
//!
//! Entries that are stuck stay so for long, and asking for them anew at each poll would cost a command a group.

use crate::model::{
    GroupState, Millis, Now, OldestPending, PendingSample, ServerTime, StreamId, StreamState,
};

/// What stays the same only while nobody touches a group's pending entries.
///
/// Whoever delivers an entry, again or for the first time, is a consumer, and Redis notes when it was seen doing so.
/// Acknowledging notes nothing, but leaves fewer pending entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stillness {
    last_seen_ms: u64,
    pending: u64,
    consumers: u64,
    gone_before: StreamId,
}

impl Stillness {
    /// `None` where it can't be told: unless the first entry is known, every consumer was read, was last seen before the
    /// poll began, whatever the clock may be off, and together they hold every pending entry.
    pub(super) fn of(stream: &StreamState, group: &GroupState, now: Option<Now>) -> Option<Self> {
        let now = now?;
        let held: u64 = group.consumers.iter().map(|consumer| consumer.pending).sum();
        let idle = group.consumers.iter().map(|consumer| consumer.idle).min()??;
        let is_told = group.has_all_consumers() && held == group.pending && idle.duration() > now.error;
        let last_seen_ms = now.time.0.checked_sub(idle.get())?;
        let gone_before = stream.gone_before()?;
        let (pending, consumers) = (group.pending, group.consumer_count);
        is_told.then_some(Self { last_seen_ms, pending, consumers, gone_before })
    }
}

/// A sample with what shows that it still holds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sampled {
    pub(super) stillness: Stillness,
    /// From how many deliveries on entries were counted as poison.
    pub(super) poison_from: u64,
    pub(super) sample: PendingSample,
    /// When the sample was taken.
    pub(super) at: ServerTime,
}

impl Sampled {
    /// What it tells at this moment: what was idle then is so for longer.
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
    fn who_may_have_been_seen_after_the_reading_is_not_still() {
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
        for (idle, error, is_told) in [(0, 0, false), (1, 0, true), (40, 40, false), (41, 40, true)] {
            let now = Now { time: ServerTime(1_000_000), error: Duration::from_millis(error) };
            let actual = Stillness::of(&stream, &group(idle), Some(now));
            assert_eq!(
                actual.is_some(),
                is_told,
                "idle for {idle} ms, by a clock that may be off by {error}"
            );
            let kept = GroupState { consumers_age: Some(Millis::new(1)), ..group(idle) };
            assert_eq!(Stillness::of(&stream, &kept, Some(now)), None, "they were read at an earlier poll");
        }
    }
}
