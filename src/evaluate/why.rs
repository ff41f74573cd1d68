//! Why a group or a stream fares as it does: the numbers, and the one sentence that tells them.

use std::{
    fmt::{self, Display},
    time::Duration,
};

use crate::model::{Name, Reason};

/// Why a group has its status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GroupWhy {
    /// It has been watched for too short a time to tell.
    TooEarly {
        /// How long it was watched.
        watched: Duration,
        /// How long it takes.
        window: Duration,
    },
}

/// Why a stream has its health.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StreamWhy {
    /// Nothing is wrong.
    Fine,
    /// Of its groups, this one fares worst.
    Group {
        /// The group.
        name: Name,
        /// How many others fare as badly.
        others: usize,
    },
    /// The configuration names it, and it is not there.
    Absent,
    /// It could not be read.
    Unreadable(Reason),
}

impl Display for GroupWhy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooEarly { watched, window } => {
                write!(f, "watched for {} of {}", short(*watched), short(*window))
            }
        }
    }
}

/// A duration as people say it: the two greatest units.
fn short(duration: Duration) -> String {
    let text = humantime::format_duration(Duration::from_secs(duration.as_secs())).to_string();
    text.split(' ').take(2).collect::<Vec<_>>().join(" ")
}
