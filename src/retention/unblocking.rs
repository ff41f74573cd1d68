//! What may help where an entry that a group has not acknowledged blocks retention: words for people.

use crate::{
    evaluate::{counted, short},
    model::{Name, PendingEntry, StreamId},
    stuck::{command_line, seems_to_fail},
};

/// What may help where retention waits for a group to acknowledge this entry: the command that plans to set it aside if it seems to fail
/// each time. Any other waits for its consumer; `None` for an entry of which nothing more is known.
#[must_use]
pub fn unblocking(
    names: (&Name, &Name),
    id: StreamId,
    entry: Option<&PendingEntry>,
    poison_from: u64,
) -> String {
    let id = id.to_string();
    let Some(PendingEntry { entry, consumer }) = entry else {
        return format!(
            "entry {id} was delivered and not acknowledged: consumers must XACK what they have handled"
        );
    };
    if seems_to_fail(entry, poison_from) {
        return command_line("dead-letter", names, &[("--id", id.as_bytes())]);
    }
    let times = entry.counted_deliveries().map(|times| format!(" {}", counted(times, "time")));
    let ago = entry.idle.map(|idle| format!(", last {} ago", short(idle.duration())));
    let (times, ago) = (times.unwrap_or_default(), ago.unwrap_or_default());
    format!(
        "entry {id} was delivered{times}{ago}, and consumer {consumer} has not acknowledged it: consumers must XACK what they have handled"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Millis, OldestPending};

    #[test]
    fn an_entry_is_set_aside_only_if_it_was_delivered_often_and_not_for_long() {
        let (stream, group, id) = (Name::from("s"), Name::from("g"), StreamId::new(5, 0));
        let text = |deliveries, idle: Option<u64>| {
            let entry = OldestPending { id, idle: idle.map(Millis::new), deliveries };
            let entry = PendingEntry { entry, consumer: "c".into() };
            unblocking((&stream, &group), id, Some(&entry), 5)
        };
        let waits = ", and consumer c has not acknowledged it: consumers must XACK what they have handled";
        assert_eq!(text(1, Some(33_000)), format!("entry 5-0 was delivered 1 time, last 33s ago{waits}"));
        assert_eq!(text(9, Some(2_000)), format!("entry 5-0 was delivered 9 times, last 2s ago{waits}"));
        assert_eq!(text(4, Some(3_600_000)), format!("entry 5-0 was delivered 4 times, last 1h ago{waits}"));
        assert_eq!(text(4, None), format!("entry 5-0 was delivered 4 times{waits}"));
        assert_eq!(text(5, Some(600_000)), "streamwarden dead-letter --id 5-0 --dry-run s g");
        let unknown = unblocking((&stream, &group), id, None, 5);
        assert_eq!(
            unknown,
            "entry 5-0 was delivered and not acknowledged: consumers must XACK what they have handled"
        );
    }
}
