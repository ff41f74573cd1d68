//! Why a group or a stream fares as it does: the numbers, and the one sentence that tells them.

use std::{
    fmt::{self, Display},
    time::Duration,
};

use super::Lag;
use crate::model::{Name, Reason, StreamId};

/// Entries that a group has still to deal with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backlog {
    /// Not delivered to it.
    pub lag: Lag,
    /// Delivered, not acknowledged, and still in the stream as far as is known.
    pub pending: u64,
}

/// Why a group has its status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GroupWhy {
    /// The stream could not be read.
    Unread(Reason),
    /// The group is expected, and has not been there for so long.
    NotThere {
        /// So long, as far as is known.
        since: Duration,
    },
    /// Something waits, and it has been watched for too short a time to tell.
    TooEarly {
        /// What waits.
        backlog: Backlog,
        /// How long it was watched.
        watched: Duration,
        /// How long it takes.
        window: Duration,
    },
    /// Whether anything waits is not known.
    LagUnknown {
        /// What may wait.
        backlog: Backlog,
    },
    /// Entries were removed before it had them.
    Trimmed {
        /// So many.
        entries: u64,
        /// The last of them so long ago.
        ago: Duration,
    },
    /// Its position went back.
    WentBack {
        /// From here.
        from: StreamId,
        /// To here.
        to: StreamId,
        /// So long ago.
        ago: Duration,
    },
    /// It has no consumer.
    NoConsumer {
        /// What waits.
        backlog: Backlog,
    },
    /// All of its consumers are silent.
    Silent {
        /// What waits.
        backlog: Backlog,
        /// How many consumers there are.
        consumers: u64,
        /// Since the last of them asked.
        silent: Duration,
    },
    /// Nothing was delivered or acknowledged.
    Still {
        /// What waits.
        backlog: Backlog,
        /// How many consumers there are.
        consumers: u64,
        /// Since the last of them asked.
        least_idle: Option<Duration>,
        /// For how long nothing moved.
        still: Duration,
    },
    /// A number is over its threshold.
    Over(Over),
    /// It grows.
    Growing {
        /// What waits.
        backlog: Backlog,
        /// It grew from so many.
        from: u32,
        /// To so many.
        to: u32,
        /// In so long.
        within: Duration,
    },
    /// It was lagging until a while ago, and that is still said.
    Recovering {
        /// What waits.
        backlog: Backlog,
        /// How long it has not been so any more.
        since: Duration,
        /// How long that must last.
        until: Duration,
    },
    /// Nothing waits.
    Idle,
    /// What waits moves.
    Moving {
        /// What waits.
        backlog: Backlog,
    },
}

/// A number over its threshold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Over {
    /// Entries not delivered, and their threshold.
    Lag(u64, u64),
    /// The age of the oldest of them.
    LagAge(Duration, Duration),
    /// Entries not acknowledged.
    Pending(u64, u64),
    /// The age of the oldest of them.
    PendingAge(Duration, Duration),
    /// Entries that were delivered so often or oftener.
    Poison(u64, u64),
}

/// Why a stream has its health.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StreamWhy {
    /// Nothing is wrong with it, nor with its so many groups.
    Fine {
        /// How many groups there are.
        groups: usize,
    },
    /// Of its groups, this one fares worst.
    Group {
        /// The group.
        name: Name,
        /// How many others fare as badly.
        others: usize,
    },
    /// It is not there, or of another type.
    Absent(Reason),
    /// It could not be read.
    Unreadable(Reason),
    /// It is over its limit, although there was time to trim it.
    TooLong {
        /// Its length.
        length: u64,
        /// Its limit.
        limit: u64,
        /// How long it has been so, at least.
        after: Duration,
    },
    /// Its oldest entry is over its limit, although there was time to trim it.
    TooOld {
        /// The entry's age.
        age: Duration,
        /// Its limit.
        limit: Duration,
        /// How long it has been so, at least.
        after: Duration,
    },
    /// Nothing was added, although something is expected.
    Silent {
        /// For so long.
        silent: Duration,
        /// Where so long is expected at most.
        threshold: Duration,
    },
}

impl Display for Backlog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let waiting = match self.lag {
            Lag::Exactly(0) => None,
            Lag::Exactly(lag) => Some(entries(lag)),
            Lag::AtMost(lag) => Some(format!("up to {}", entries(lag))),
        };
        let verb = if self.lag == Lag::Exactly(1) { "waits" } else { "wait" };
        match (waiting, self.pending) {
            (Some(waiting), 0) => write!(f, "{waiting} {verb}"),
            (Some(waiting), pending) => write!(f, "{waiting} {verb} and {} pending", are(pending)),
            (None, 1) => f.write_str("1 entry is pending"),
            (None, pending) => write!(f, "{} entries are pending", grouped(pending)),
        }
    }
}

impl Display for GroupWhy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unread(reason) => write!(f, "the stream could not be read: {}", reason.as_str()),
            Self::NotThere { since } => {
                write!(f, "the configuration expects it, and it has not been there for {}", short(*since))
            }
            Self::TooEarly { backlog, watched, window } => {
                write!(f, "{backlog}; watched for only {} of {}", short(*watched), short(*window))
            }
            Self::LagUnknown { backlog } => write!(f, "{backlog}, or nothing: the lag is not known"),
            Self::Trimmed { entries: lost, ago } => {
                let (were, last) = if *lost == 1 { ("was", "") } else { ("were", "the last of them ") };
                write!(
                    f,
                    "{} {were} removed before the group was given them, {last}{} ago",
                    entries(*lost),
                    short(*ago)
                )
            }
            Self::WentBack { from, to, ago } => {
                write!(f, "its position went back from {from} to {to}, {} ago", short(*ago))
            }
            Self::NoConsumer { backlog } => write!(f, "{backlog}, and the group has no consumer"),
            Self::Silent { backlog, consumers: 1, silent } => {
                write!(f, "{backlog}, and its 1 consumer has not asked for {}", short(*silent))
            }
            Self::Silent { backlog, consumers, silent } => {
                write!(
                    f,
                    "{backlog}, and none of its {} consumers has asked for {}",
                    grouped(*consumers),
                    short(*silent)
                )
            }
            Self::Still { backlog, consumers, least_idle, still } => {
                let of = if *consumers == 1 {
                    "its consumer".to_owned()
                } else {
                    format!("one of its {} consumers", grouped(*consumers))
                };
                let alive =
                    least_idle.map(|idle| format!("{of} asked {} ago and ", short(idle))).unwrap_or_default();
                write!(f, "{backlog}; {alive}nothing was delivered or acknowledged for {}", short(*still))
            }
            Self::Over(over) => over.fmt(f),
            Self::Growing { backlog, from, to, within } => {
                write!(
                    f,
                    "{backlog}, grown from {} to {} within {}",
                    grouped((*from).into()),
                    grouped((*to).into()),
                    short(*within)
                )
            }
            Self::Recovering { backlog, since, until } => {
                write!(
                    f,
                    "{backlog}; better for {}, said until that has lasted {}",
                    short(*since),
                    short(*until)
                )
            }
            Self::Idle => f.write_str("nothing waits"),
            Self::Moving { backlog } => write!(f, "{backlog}, and it moves"),
        }
    }
}

impl Display for Over {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lag(lag, most) => {
                write!(f, "{} wait, over the threshold of {}", entries(*lag), grouped(*most))
            }
            Self::LagAge(age, most) => {
                write!(
                    f,
                    "the oldest entry that waits is {} old, over the threshold of {}",
                    short(*age),
                    short(*most)
                )
            }
            Self::Pending(pending, most) => {
                write!(f, "{} pending, over the threshold of {}", are(*pending), grouped(*most))
            }
            Self::PendingAge(age, most) => {
                write!(
                    f,
                    "the oldest pending entry is {} old, over the threshold of {}",
                    short(*age),
                    short(*most)
                )
            }
            Self::Poison(1, times) => write!(f, "1 pending entry was delivered {times} times or oftener"),
            Self::Poison(count, times) => {
                write!(f, "{} pending entries were delivered {times} times or oftener", grouped(*count))
            }
        }
    }
}

fn are(count: u64) -> String {
    if count == 1 { "1 is".to_owned() } else { format!("{} are", grouped(count)) }
}

fn entries(count: u64) -> String {
    if count == 1 { "1 entry".to_owned() } else { format!("{} entries", grouped(count)) }
}

/// A number with its thousands apart.
#[must_use]
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A duration as people say it: its two greatest units, and below a minute one.
#[must_use]
pub fn short(duration: Duration) -> String {
    if duration < Duration::from_secs(1) {
        return format!("{}ms", duration.as_millis());
    }
    let text = humantime::format_duration(Duration::from_secs(duration.as_secs())).to_string();
    text.split(' ').take(2).collect::<Vec<_>>().join(" ")
}
