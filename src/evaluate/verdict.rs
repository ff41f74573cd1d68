//! What the judgement of a reading says of each stream and group, beside what can be read off a single one.

use std::{collections::BTreeMap, time::Duration};

use super::{
    GroupStatus, Health,
    series::Series,
    why::{GroupWhy, StreamWhy, grouped, short},
};
use crate::model::{Name, Reason};

/// Of a stream, whether it could be read or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamVerdict {
    /// The worst of its groups' and its own.
    pub health: Health,
    /// Why.
    pub why: StreamWhy,
    /// Entries added; `None` where the server does not count them, and before there are two readings.
    pub rate_in: Option<Rate>,
    /// Its length at the ticks.
    pub lengths: Series,
    /// Entries added between the ticks; the first is not known.
    pub added: Series,
    /// By the group's name: those that are there, and those that are expected.
    pub groups: BTreeMap<Name, GroupVerdict>,
}

/// Of a group that is there, or expected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupVerdict {
    /// How it fares.
    pub status: GroupStatus,
    /// Why.
    pub why: GroupWhy,
    /// Entries delivered to it; `None` where its lag is not known, and before there are two readings.
    pub rate_out: Option<Rate>,
    /// Its lag at the ticks, where it was known.
    pub lags: Series,
}

/// Entries over a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// The entries.
    pub entries: u64,
    /// The time, which is not zero.
    pub over: Duration,
}

impl Rate {
    /// Entries a second.
    #[must_use]
    pub fn per_second(self) -> f64 {
        // Entries of one window: nowhere near where a float gets coarse.
        let entries = u32::try_from(self.entries).unwrap_or(u32::MAX);
        f64::from(entries) / self.over.as_secs_f64().max(f64::MIN_POSITIVE)
    }
}

impl GroupVerdict {
    /// Of a group whose stream could not be read.
    pub(super) fn unread(reason: Reason) -> Self {
        Self {
            status: GroupStatus::Unknown,
            why: GroupWhy::Unread(reason),
            rate_out: None,
            lags: Series::default(),
        }
    }
}

impl StreamVerdict {
    /// Why, in a sentence.
    #[must_use]
    pub fn reason(&self) -> String {
        match &self.why {
            StreamWhy::Fine { groups: 0 } => "it has no group".to_owned(),
            StreamWhy::Fine { groups: 1 } => "its group is ok".to_owned(),
            StreamWhy::Fine { groups } => format!("its {groups} groups are ok"),
            StreamWhy::Group { name, others } => match (self.groups.get(name), others) {
                (Some(group), 0) => format!("{name} is {}: {}", group.status.as_str(), group.why),
                (Some(group), others) => {
                    let status = group.status.as_str();
                    format!("{name} is {status}: {} (and {others} more)", group.why)
                }
                (None, _) => name.to_string(),
            },
            StreamWhy::Absent(Reason::WrongType) => "the key holds another type".to_owned(),
            StreamWhy::Absent(_) => "the configuration names it, and it is not there".to_owned(),
            StreamWhy::Unreadable(reason) => format!("it could not be read: {}", reason.as_str()),
            StreamWhy::TooLong { length, limit, after } => {
                let (length, limit) = (grouped(*length), grouped(*limit));
                format!("its length is {length}, over its limit of {limit} for more than {}", short(*after))
            }
            StreamWhy::TooOld { age, limit, after } => format!(
                "its oldest entry is {} old, over its limit of {} for more than {}",
                short(*age),
                short(*limit),
                short(*after)
            ),
            StreamWhy::Silent { silent, threshold } => format!(
                "nothing was added for {}, where something is expected every {}",
                short(*silent),
                short(*threshold)
            ),
        }
    }
}
