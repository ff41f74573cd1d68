//! How to ask for a stream: for all of it, or for less if that would be large.

use std::vec;

use super::{
    Command,
    failure::no_reply,
    plausible::plausible,
    reply,
    resp::Reply,
    stream_reply::{ReadWith, groups, stream_full, stream_length, stream_summary},
};
use crate::model::{Failure, Name, Reason, StreamState};

/// A stream with a larger first entry is read without its entries from then on.
const FAT_ENTRY_BYTES: u64 = 64 * 1024;
/// A stream with more consumers in all its groups is read without them at most polls, so that a poll reads this many on average.
const MANY_CONSUMERS: u64 = 500;
/// Polls after which everything is asked for once again: the stream may have changed.
const POLLS_ASKED_FOR_LESS: u32 = 100;
/// The same after a first closed connection, which may have been a fault of the network.
const POLLS_AFTER_A_CLOSE: u32 = 4;

/// Replies to the commands of several streams.
pub(super) type Replies = vec::IntoIter<Result<Reply, Failure>>;

/// What to ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ReadStrategy {
    /// `XINFO STREAM FULL COUNT 1`: everything, with the first entry and all consumers.
    Full,
    /// `XINFO STREAM` and `XINFO GROUPS`: everything but the consumers. For so many polls more.
    WithoutConsumers(u32),
    /// `XLEN` and `XINFO GROUPS`: nothing with an entry. For so many polls more.
    WithoutEntries(u32),
    /// Nothing: the server did not send even that. For so many polls more.
    Nothing(u32),
    /// `XINFO STREAM FULL COUNT 1`, which was refused last time, and `XLEN`, which is usually permitted.
    OrLength,
}

/// What a stream's replies say.
pub(super) struct Read {
    pub(super) state: Result<StreamState, Failure>,
    /// The length of a stream that could not be read, if known.
    pub(super) length: Option<u64>,
    /// How to ask at the next poll.
    pub(super) next: ReadStrategy,
}

impl ReadStrategy {
    pub(super) fn commands(self, stream: &Name) -> impl Iterator<Item = Command<'_>> {
        let (one, other) = match self {
            Self::Full => (Some(Command::StreamFull(stream)), None),
            Self::WithoutConsumers(_) => {
                (Some(Command::StreamSummary(stream)), Some(Command::Groups(stream)))
            }
            Self::WithoutEntries(_) => (Some(Command::Length(stream)), Some(Command::Groups(stream))),
            Self::Nothing(_) => (None, None),
            Self::OrLength => (Some(Command::StreamFull(stream)), Some(Command::Length(stream))),
        };
        [one, other].into_iter().flatten()
    }

    /// Takes this stream's replies.
    pub(super) fn read(self, replies: &mut Replies, reading: ReadWith<'_>) -> Read {
        let mut reply = || replies.next().unwrap_or_else(|| Err(no_reply()));
        let mut length = None;
        let (state, next) = match self {
            Self::Full => Self::whole(reply(), reading),
            Self::OrLength => {
                let whole = Self::whole(reply(), reading);
                // `XLEN` gives 0 for a missing key.
                let known = reply().ok().and_then(|reply| reply::count(&reply).ok());
                length = known.filter(|length| *length > 0 && whole.0.is_err());
                whole
            }
            Self::WithoutConsumers(polls) => {
                let (state, of_groups) = (reply(), reply());
                let state = state.and_then(|reply| stream_summary(&reply));
                (with_groups(state, of_groups, reading), self.again(polls))
            }
            Self::WithoutEntries(polls) => {
                let (length, of_groups) = (reply(), reply());
                let state = length.and_then(|reply| stream_length(&reply));
                (with_groups(state, of_groups, reading), self.again(polls))
            }
            Self::Nothing(polls) => (Err(Self::too_large()), self.again(polls)),
        };
        Read { state, length, next }
    }

    /// Takes the reply to `XINFO STREAM FULL`.
    fn whole(reply: Result<Reply, Failure>, reading: ReadWith<'_>) -> (Result<StreamState, Failure>, Self) {
        match reply.and_then(|reply| stream_full(&reply, reading)).and_then(plausible) {
            Ok(state) => {
                let next = Self::after_full(&state);
                (Ok(state), next)
            }
            Err(failure) if failure.reason == Reason::NoPermission => (Err(failure), Self::OrLength),
            Err(failure) if failure.detail.to_ascii_lowercase().contains("unknown command") => {
                let what =
                    format!("XINFO is renamed or forbidden; only the length can be read: {}", failure.detail);
                (Err(Failure::new(Reason::NoXinfo, what)), Self::OrLength)
            }
            Err(failure) => (Err(failure), Self::Full),
        }
    }

    /// Whether it asks for less than everything.
    pub(super) const fn is_for_less(self) -> bool {
        !matches!(self, Self::Full | Self::OrLength)
    }

    /// The next one that asks for less.
    pub(super) const fn less(self) -> Self {
        match self {
            Self::Full | Self::OrLength => Self::WithoutConsumers(POLLS_AFTER_A_CLOSE),
            Self::WithoutConsumers(_) => Self::WithoutEntries(POLLS_AFTER_A_CLOSE),
            Self::WithoutEntries(_) | Self::Nothing(_) => Self::Nothing(POLLS_AFTER_A_CLOSE),
        }
    }

    /// The same for twice as many polls, after everything was asked for in vain.
    pub(super) fn longer(self) -> Self {
        let longer = |polls: u32| (2 * polls).min(POLLS_ASKED_FOR_LESS);
        match self {
            Self::Full | Self::OrLength => self,
            Self::WithoutConsumers(polls) => Self::WithoutConsumers(longer(polls)),
            Self::WithoutEntries(polls) => Self::WithoutEntries(longer(polls)),
            Self::Nothing(polls) => Self::Nothing(longer(polls)),
        }
    }

    /// The failure of a stream that the server does not send.
    pub(super) fn too_large() -> Failure {
        let what = "the connection is closed each time it is asked for: see the server's client-output-buffer-limit and maxmemory-clients, and proxies in between";
        Failure::new(Reason::TooLarge, what)
    }

    fn after_full(state: &StreamState) -> Self {
        let consumers: u64 = state.groups.values().map(|group| group.consumer_count).sum();
        if state.first_entry_bytes > FAT_ENTRY_BYTES {
            Self::WithoutEntries(POLLS_ASKED_FOR_LESS)
        } else if consumers > MANY_CONSUMERS {
            Self::WithoutConsumers(polls_without(consumers))
        } else {
            Self::Full
        }
    }

    const fn again(self, polls: u32) -> Self {
        match (self, polls.checked_sub(1)) {
            (Self::WithoutConsumers(_), Some(left)) => Self::WithoutConsumers(left),
            (Self::WithoutEntries(_), Some(left)) => Self::WithoutEntries(left),
            (Self::Nothing(_), Some(left)) => Self::Nothing(left),
            _ => Self::Full,
        }
    }
}

/// The number of polls without consumers, for so many consumers: 100 at most.
fn polls_without(consumers: u64) -> u32 {
    u32::try_from(consumers / MANY_CONSUMERS).unwrap_or(u32::MAX).clamp(1, POLLS_ASKED_FOR_LESS) - 1
}

fn with_groups(
    state: Result<StreamState, Failure>,
    of_groups: Result<Reply, Failure>,
    reading: ReadWith<'_>,
) -> Result<StreamState, Failure> {
    let (groups, unwatched_groups) = of_groups.and_then(|reply| groups(&reply, reading))?;
    plausible(StreamState { groups, unwatched_groups, ..state? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stays_too_large_is_tried_more_and_more_seldom() {
        let mut strategy = ReadStrategy::Full.less().less();
        let mut pauses = Vec::new();
        for _ in 0..7 {
            let ReadStrategy::WithoutEntries(polls) = strategy else { panic!("{strategy:?}") };
            pauses.push(polls);
            strategy = strategy.longer();
        }
        assert_eq!(pauses, [4, 8, 16, 32, 64, 100, 100]);
        assert_eq!(strategy.less(), ReadStrategy::Nothing(4));
    }
}
