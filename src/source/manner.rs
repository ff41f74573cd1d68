//! How a stream is asked: for all that it has, or for less where that would be large.

use std::vec;

use super::{
    Command,
    link::no_reply,
    plausible::plausible,
    reply::{self, Reading},
    resp::Reply,
};
use crate::model::{Failure, Name, StreamState};

/// A stream whose first entry is larger is asked without its entries from then on.
const FAT_ENTRY_BYTES: u64 = 64 * 1024;
/// A stream with more consumers in all its groups is asked without them from then on.
const MANY_CONSUMERS: u64 = 500;
/// After so many polls a stream that is asked for less is asked for everything once: it may have changed.
const POLLS_ASKED_FOR_LESS: u32 = 100;

/// Replies to the commands of several streams.
pub(super) type Replies = vec::IntoIter<Result<Reply, Failure>>;

/// One of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Manner {
    /// `XINFO STREAM FULL COUNT 1`: everything, with the first entry and all consumers.
    Full,
    /// `XINFO STREAM` and `XINFO GROUPS`: everything but the consumers. For so many polls more.
    WithoutConsumers(u32),
    /// `XLEN` and `XINFO GROUPS`: nothing that carries an entry. For so many polls more.
    WithoutEntries(u32),
}

impl Manner {
    pub(super) fn commands(self, stream: &Name) -> impl Iterator<Item = Command<'_>> {
        let (one, other) = match self {
            Self::Full => (Command::StreamFull(stream), None),
            Self::WithoutConsumers(_) => (Command::StreamSummary(stream), Some(Command::Groups(stream))),
            Self::WithoutEntries(_) => (Command::Length(stream), Some(Command::Groups(stream))),
        };
        [Some(one), other].into_iter().flatten()
    }

    /// Takes this stream's replies, and tells how to ask it next time.
    pub(super) fn read(
        self,
        replies: &mut Replies,
        reading: Reading<'_>,
    ) -> (Result<StreamState, Failure>, Self) {
        let mut reply = || replies.next().unwrap_or_else(|| Err(no_reply()));
        match self {
            Self::Full => {
                match reply().and_then(|reply| reply::stream_full(&reply, reading)).and_then(plausible) {
                    Ok(state) => {
                        let next = Self::after_full(&state);
                        (Ok(state), next)
                    }
                    Err(failure) => (Err(failure), self),
                }
            }
            Self::WithoutConsumers(polls) => {
                let (state, groups) = (reply(), reply());
                (
                    with_groups(state.and_then(|reply| reply::stream_summary(&reply)), groups, reading),
                    self.again(polls),
                )
            }
            Self::WithoutEntries(polls) => {
                let (length, groups) = (reply(), reply());
                let state = length.and_then(|reply| reply::stream_length(&reply));
                (with_groups(state, groups, reading), self.again(polls))
            }
        }
    }

    fn after_full(state: &StreamState) -> Self {
        let consumers: u64 = state.groups.values().map(|group| group.consumer_count).sum();
        if state.first_entry_bytes > FAT_ENTRY_BYTES {
            Self::WithoutEntries(POLLS_ASKED_FOR_LESS)
        } else if consumers > MANY_CONSUMERS {
            Self::WithoutConsumers(POLLS_ASKED_FOR_LESS)
        } else {
            Self::Full
        }
    }

    const fn again(self, polls: u32) -> Self {
        match (self, polls.checked_sub(1)) {
            (Self::WithoutConsumers(_), Some(left)) => Self::WithoutConsumers(left),
            (Self::WithoutEntries(_), Some(left)) => Self::WithoutEntries(left),
            _ => Self::Full,
        }
    }
}

fn with_groups(
    state: Result<StreamState, Failure>,
    groups: Result<Reply, Failure>,
    reading: Reading<'_>,
) -> Result<StreamState, Failure> {
    plausible(StreamState {
        groups: groups.and_then(|reply| reply::groups(&reply, reading.names))?,
        ..state?
    })
}
