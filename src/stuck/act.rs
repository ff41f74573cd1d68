//! Orders: a script, its keys and its arguments.

use crate::{
    clock::Instant,
    model::{Millis, Name, StreamId},
};

/// The prefix of the fields that a dead letter has beside those of its entry.
pub const DEFAULT_PREFIX: &str = "dlq:";
/// How often an entry is replayed at most: one that comes back each time fails for ever.
pub const MOST_REPLAYS: u64 = 3;
/// The place of the idle time among the arguments for dead letters.
const IDLE: usize = 2;
/// Consumers of a group that a script lists: two milliseconds of the server's time. Ten thousand take it sixteen or more.
const MOST_LISTED: usize = 1_000;

/// The script of an act.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Script {
    /// Copies pending entries to the dead letters, and acknowledges them.
    DeadLetter,
    /// Adds dead letters to a stream again, or only removes them.
    Replay,
    /// Deletes consumers that hold nothing.
    Reap,
    /// Hands pending entries over to another consumer.
    Claim,
}

impl Script {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::DeadLetter, Self::Replay, Self::Reap, Self::Claim];

    /// Its name, in logs and traces.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::DeadLetter => "dead_letter",
            Self::Replay => "replay",
            Self::Reap => "reap",
            Self::Claim => "claim",
        }
    }
}

/// An order to act on items of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Act {
    /// What to do.
    pub script: Script,
    /// The keys of the script. All are in one slot, or a cluster refuses the act. The first one is the stream to route by.
    pub keys: Vec<Name>,
    /// The arguments of the script that come before the items.
    pub arguments: Vec<Box<[u8]>>,
}

/// An act with its items.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Planned {
    /// What to do.
    pub act: Act,
    /// IDs of entries, or names of consumers.
    pub items: Vec<Box<[u8]>>,
    /// When the entries were as idle as the act asks for, if that is their own idle time: each must have become as much more idle since, or it
    /// was delivered.
    pub idle_at: Option<Instant>,
}

impl Planned {
    /// An act on entries.
    #[must_use]
    pub fn of_ids(act: Act, ids: impl IntoIterator<Item = StreamId>) -> Self {
        let items = ids.into_iter().map(|id| id.to_string().into_bytes().into()).collect();
        Self { act, items, idle_at: None }
    }

    /// What to do now.
    #[must_use]
    pub fn act_at(&self, now: Instant) -> Act {
        let mut act = self.act.clone();
        if let (Some(idle_at), Some(idle)) = (self.idle_at, act.arguments.get_mut(IDLE)) {
            let passed = now.saturating_duration_since(idle_at);
            // The server's clock may be a little slower than this one.
            let passed = (passed - passed / 1_000).as_millis();
            let then: u64 = std::str::from_utf8(idle).ok().and_then(|idle| idle.parse().ok()).unwrap_or(0);
            *idle = number(then.saturating_add(u64::try_from(passed).unwrap_or(u64::MAX)));
        }
        act
    }

    /// An act on consumers.
    #[must_use]
    pub fn of_names<'a>(act: Act, names: impl IntoIterator<Item = &'a Name>) -> Self {
        let items = names.into_iter().map(|name| name.as_bytes().into()).collect();
        Self { act, items, idle_at: None }
    }
}

fn number(number: u64) -> Box<[u8]> {
    number.to_string().into_bytes().into()
}

/// A condition, as scripts read it.
fn flag(holds: bool) -> Box<[u8]> {
    if holds { b"1".as_slice() } else { b"" }.into()
}

impl Act {
    /// Sets pending entries of a group aside: those that were delivered at least so often, and not for at least so long.
    ///
    /// At `max_length` dead letters no more are added. With `drops_gone`, entries that no longer exist are acknowledged. A key that
    /// `is_known` as one of dead letters may have groups while it is empty: another one would be somebody's stream then.
    #[must_use]
    pub fn dead_letter(
        (stream, group, dead_letters): (&Name, &Name, &Name),
        (deliveries, idle): (u64, Millis),
        max_length: u64,
        (prefix, by): (&str, &str),
        (drops_gone, is_known): (bool, bool),
    ) -> Self {
        let arguments = [
            group.as_bytes().into(),
            number(deliveries),
            number(idle.get()),
            number(max_length),
            prefix.as_bytes().into(),
            by.as_bytes().into(),
            flag(drops_gone),
            flag(is_known),
        ];
        Self {
            script: Script::DeadLetter,
            keys: vec![stream.clone(), dead_letters.clone()],
            arguments: arguments.into(),
        }
    }

    /// Acknowledges pending entries that no longer exist.
    #[must_use]
    pub fn acknowledge_gone(stream: &Name, group: &Name, by: &str) -> Self {
        let act = Self::dead_letter((stream, group, stream), (0, Millis::ZERO), 0, ("", by), (true, false));
        Self { keys: vec![stream.clone()], ..act }
    }

    /// Adds dead letters to a stream again. With `origin`, only those that are from it.
    #[must_use]
    pub fn replay(
        dead_letters: &Name,
        to: &Name,
        prefix: &str,
        origin: Option<&Name>,
        most_replays: u64,
    ) -> Self {
        let origin = origin.map(Name::as_bytes).unwrap_or_default();
        Self {
            script: Script::Replay,
            keys: vec![dead_letters.clone(), to.clone()],
            arguments: vec![prefix.as_bytes().into(), origin.into(), number(most_replays)],
        }
    }

    /// Removes dead letters.
    #[must_use]
    pub fn purge(dead_letters: &Name, prefix: &str) -> Self {
        Self {
            script: Script::Replay,
            keys: vec![dead_letters.clone()],
            arguments: vec![prefix.as_bytes().into(), Box::default(), number(0)],
        }
    }

    /// Deletes consumers that hold nothing and were idle for at least so long. The group has `all` consumers: of a large one the script does
    /// not compare idle times again, only what they hold. One that was active since loses nothing, since its next command creates it again.
    #[must_use]
    pub fn reap(stream: &Name, group: &Name, idle: Millis, all: usize) -> Self {
        let idle = if all > MOST_LISTED { Box::default() } else { number(idle.get()) };
        Self {
            script: Script::Reap,
            keys: vec![stream.clone()],
            arguments: vec![group.as_bytes().into(), idle],
        }
    }

    /// Hands pending entries over. The holder must have been idle for at least so long.
    #[must_use]
    pub fn claim((stream, group): (&Name, &Name), (from, to): (&Name, &Name), idle: Millis) -> Self {
        let names = [group, from, to].map(|name| name.as_bytes().into());
        Self {
            script: Script::Claim,
            keys: vec![stream.clone()],
            arguments: names.into_iter().chain([number(idle.get())]).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::clock;

    #[test]
    fn an_entry_must_be_as_much_more_idle_as_time_has_passed() {
        let [stream, dead] = ["s", "dead"].map(Name::from);
        let act =
            Act::dead_letter((&stream, &stream, &dead), (0, Millis::new(500)), 1, ("p", "me"), (false, true));
        let fixed = Planned::of_ids(act.clone(), [StreamId::new(1, 0)]);
        let (then, minute) = (clock::now(), Duration::from_secs(60));
        assert_eq!(fixed.act_at(then + minute), act, "the order named an idle time");
        let own = Planned { idle_at: Some(then), ..fixed };
        assert_eq!(own.act_at(then), act);
        // An entry that was delivered just after the plan is 60,000 ms idle at most.
        assert_eq!(&*own.act_at(then + minute).arguments[IDLE], b"60440");
        assert_eq!(own.act_at(then + minute).arguments[IDLE + 1..], act.arguments[IDLE + 1..]);
    }
}
