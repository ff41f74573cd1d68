//! Finds what has changed since the last change or the first reading. Pure.

use std::{collections::BTreeMap, time::Duration};

use crate::{
    evaluate::{GroupStatus, Health, StreamCause},
    model::{Name, Reason},
    reading::{Reading, StreamReading},
    views::api::{RedisState, StreamChange},
};

/// What is known of Redis and its streams. Forgotten only with the process, since what is unknown for a while has not changed.
#[derive(Default)]
pub(super) struct Changes {
    redis: Option<RedisState>,
    /// The data set that has the streams.
    source: String,
    streams: BTreeMap<Name, Known>,
}

/// The last known health of a stream and statuses of its groups.
#[derive(Default)]
struct Known {
    health: Option<Health>,
    groups: BTreeMap<Name, GroupStatus>,
}

impl Changes {
    /// Whether this is a change of Redis, with the state before. At first only that it is down is a change.
    pub(super) fn of_redis(&mut self, now: RedisState) -> Option<(Option<RedisState>, RedisState)> {
        let before = self.redis.replace(now);
        let is_changed = before.map_or(now == RedisState::Down, |before| before != now);
        is_changed.then_some((before, now))
    }

    /// The streams that have changed with this reading. What is fine when it is first seen has not changed. Streams and
    /// groups that are gone are forgotten: one that should be there is reported as missing.
    pub(super) fn of_streams<'a>(
        &mut self,
        reading: &'a Reading,
        stale_after: Duration,
    ) -> Vec<StreamChange<'a>> {
        let mut before = std::mem::take(&mut self.streams);
        if self.source != reading.snapshot.source {
            self.source.clone_from(&reading.snapshot.source);
            before.clear();
        }
        let mut changes = Vec::new();
        for stream in reading.streams() {
            let known = before.remove(stream.name).unwrap_or_default();
            let (known, change) = compare(known, stream, reading.read_at.unix, stale_after);
            self.streams.insert(stream.name.clone(), known);
            changes.extend(change);
        }
        changes
    }
}

fn compare(
    mut known: Known,
    stream: StreamReading<'_>,
    now: Duration,
    stale_after: Duration,
) -> (Known, Option<StreamChange<'_>>) {
    let mut before = std::mem::take(&mut known.groups);
    let mut groups = Vec::new();
    for group in stream.groups() {
        let (from, to) = (before.remove(group.name), group.verdict.status);
        let is_known = to != GroupStatus::Unknown;
        if is_known && from.map_or(to.health() != Health::Healthy, |from| from != to) {
            groups.push((from, group));
        }
        if let Some(status) = Some(to).filter(|_| is_known).or(from) {
            known.groups.insert(group.name.clone(), status);
        }
    }
    let (from, to) = (known.health, stream.health());
    let is_changed = match from {
        None => to > Health::Unknown,
        Some(from) => from != to && (to != Health::Unknown || is_certain(stream, now, stale_after)),
    };
    if is_changed || !groups.is_empty() || (from.is_none() && to == Health::Healthy) {
        known.health = Some(to);
    }
    let change = (is_changed || !groups.is_empty()).then_some(StreamChange { stream, from, groups });
    (known, change)
}

/// Whether an unknown health is news, and not only unknown for now. A node that does not answer is news after the time
/// after which a server's last reading is.
fn is_certain(stream: StreamReading<'_>, now: Duration, stale_after: Duration) -> bool {
    match stream.cause() {
        StreamCause::Unreadable(_) => {
            stream.unreadable_since().is_none_or(|since| now.saturating_sub(since) >= stale_after)
        }
        StreamCause::Unwatched { .. } | StreamCause::Absent(Reason::WrongType) => true,
        StreamCause::Fine { .. }
        | StreamCause::Group { .. }
        | StreamCause::Absent(_)
        | StreamCause::Recreated(_)
        | StreamCause::TooLong { .. }
        | StreamCause::TooOld { .. }
        | StreamCause::Silent { .. }
        | StreamCause::ClockBehind { .. } => false,
    }
}

#[cfg(test)]
#[path = "changes_tests.rs"]
mod tests;
