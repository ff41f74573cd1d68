//! Rejects replies with impossible numbers.
//!
//! Servers that imitate Redis have sent counters that went below zero, written as the greatest numbers, and groups
//! of other streams. What a real server can be made to send is accepted, however odd: a position ahead of the stream
//! (`XGROUP SETID`), any count of entries read (`ENTRIESREAD`) or added (`XSETID`), pending entries that are long gone.

use crate::model::{Failure, GroupState, Pending, Reason, StreamState};

/// More than any server can hold: each takes memory, and these would take terabytes.
const TOO_MANY: u64 = 1 << 40;

/// The stream, if its numbers are possible.
///
/// # Errors
/// [`Reason::UnexpectedReply`], with the impossible number.
pub(super) fn plausible(state: StreamState) -> Result<StreamState, Failure> {
    let StreamState { length, entries_added, first_entry_id, last_generated_id, .. } = &state;
    few("length", *length)?;
    if let Some(added) = entries_added.filter(|added| added < length) {
        return Err(impossible(format!("a length of {length}, but only {added} entries ever added")));
    }
    if let (Some(first), Some(last)) = (first_entry_id, last_generated_id)
        && first > last
    {
        return Err(impossible(format!("an entry {first} after the last ID {last}")));
    }
    for (name, group) in &state.groups {
        check(&state, group).map_err(|what| impossible(format!("group {name} with {what}")))?;
    }
    Ok(state)
}

/// Checks a group. The error describes what is impossible about it.
fn check(stream: &StreamState, group: &GroupState) -> Result<(), String> {
    let pending = group.pending;
    if pending >= TOO_MANY || group.consumer_count >= TOO_MANY {
        return Err(format!("{pending} pending entries and {} consumers", group.consumer_count));
    }
    // The group's pending entries include those of its consumers.
    let listed: u64 = group.consumers.iter().map(|consumer| consumer.pending).fold(0, u64::saturating_add);
    let of_consumers = listed.saturating_add(group.unlisted_pending.map_or(0, u64::from));
    if of_consumers > pending {
        return Err(format!("{pending} pending entries, but its consumers have {of_consumers}"));
    }
    match stream.entries_added {
        Some(added) if pending > added && !may_be_gone(stream, group) => {
            Err(format!("{pending} pending entries, but only {added} entries ever added"))
        }
        _ => Ok(()),
    }
}

/// Whether pending entries may be gone from the stream. The count of entries ever added may have left those out: it is set by
/// `XSETID`, and begins with the length where a stream comes from a server before 7.0.
fn may_be_gone(stream: &StreamState, group: &GroupState) -> bool {
    let Pending::Oldest(oldest) = group.oldest_pending else { return true };
    let is_in_front = stream.first_entry_id.is_none_or(|first| oldest.id < first);
    let is_deleted = stream.max_deleted_entry_id.is_none_or(|deleted| deleted >= oldest.id);
    is_in_front || is_deleted
}

fn few(what: &str, number: u64) -> Result<(), Failure> {
    if number < TOO_MANY { Ok(()) } else { Err(impossible(format!("a {what} of {number}"))) }
}

fn impossible(what: String) -> Failure {
    Failure::new(Reason::UnexpectedReply, format!("the reply has impossible numbers: {what}"))
}

#[cfg(test)]
mod tests {
    use nonmax::NonMaxU64;

    use super::*;
    use crate::model::{ConsumerState, Name, NameMap, OldestPending, StreamId};

    /// Ten entries, `1-0` to `10-0`, and a group for which the first four are pending.
    fn state(change: impl FnOnce(&mut StreamState, &mut GroupState)) -> StreamState {
        let oldest = OldestPending { id: StreamId::new(1, 0), idle: None, deliveries: 1 };
        let consumer = ConsumerState { name: "c".into(), pending: 4, idle: None, inactive: None };
        let mut group = GroupState {
            pending: 4,
            oldest_pending: Pending::Oldest(oldest),
            consumer_count: 1,
            consumers: [consumer].into(),
            unlisted_pending: NonMaxU64::new(0),
            ..GroupState::at(StreamId::new(4, 0))
        };
        let mut stream = StreamState {
            length: 10,
            last_generated_id: Some(StreamId::new(10, 0)),
            max_deleted_entry_id: Some(StreamId::ZERO),
            entries_added: Some(10),
            first_entry_id: Some(StreamId::new(1, 0)),
            ..StreamState::of_length(0)
        };
        change(&mut stream, &mut group);
        StreamState { groups: NameMap::from([(Name::from("g"), group)]), ..stream }
    }

    type Change = fn(&mut StreamState, &mut GroupState);

    #[test]
    fn impossible_numbers_are_rejected_and_reported() {
        let cases: [(Change, &str); 7] = [
            (|stream, _| stream.length = u64::MAX - 1, "a length of 18446744073709551614"),
            (|stream, _| stream.entries_added = Some(9), "a length of 10, but only 9 entries ever added"),
            (
                |stream, _| stream.first_entry_id = Some(StreamId::new(11, 0)),
                "an entry 11-0 after the last ID 10-0",
            ),
            (|_, group| group.pending = u64::MAX >> 1, "group g with 9223372036854775807 pending entries"),
            (|_, group| group.consumer_count = u64::MAX >> 1, "and 9223372036854775807 consumers"),
            (|_, group| group.pending = 3, "3 pending entries, but its consumers have 4"),
            (|_, group| group.pending = 11, "11 pending entries, but only 10 entries ever added"),
        ];
        for (change, words) in cases {
            let failure = plausible(state(change)).unwrap_err();
            assert!(failure.reason == Reason::UnexpectedReply && failure.detail.contains(words), "{failure}");
        }
    }

    #[test]
    fn numbers_that_a_real_server_can_report_are_accepted() {
        let cases: [Change; 10] = [
            |_, _| {},
            // XGROUP SETID with a position ahead of the stream, and with any count of entries read.
            |_, group| group.last_delivered_id = StreamId::new(u64::MAX, 0),
            |_, group| group.entries_read = Some(i64::MAX),
            // XSETID with a higher count of entries added, and with a later last ID.
            |stream, _| stream.entries_added = Some(u64::MAX >> 1),
            |stream, _| stream.last_generated_id = Some(StreamId::new(u64::MAX, u64::MAX)),
            // More pending entries than were counted as added: some trimmed, some deleted, or the oldest is unknown.
            |stream, group| (stream.first_entry_id, group.pending) = (Some(StreamId::new(5, 0)), 11),
            |stream, group| (stream.max_deleted_entry_id, group.pending) = (Some(StreamId::new(7, 0)), 11),
            |_, group| (group.oldest_pending, group.pending) = (Pending::Unknown, 11),
            // A server before 7.0 has no count of entries added. A smaller request has no consumers.
            |stream, group| (stream.entries_added, group.pending) = (None, 11),
            |_, group| (group.consumers, group.unlisted_pending, group.pending) = (Box::default(), None, 0),
        ];
        for (number, change) in cases.into_iter().enumerate() {
            assert_eq!(plausible(state(change)), Ok(state(change)), "case {number}");
        }
    }
}
