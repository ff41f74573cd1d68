//! The state of a group from which its losses are counted.

use super::lag::Lag;
use crate::model::{GroupState, StreamId};

/// A group as of the last reading that had the stream's number of entries ever added.
#[derive(Debug, Clone, Copy)]
pub(super) struct Baseline {
    pub(super) delivered: StreamId,
    pub(super) lag: Lag,
    /// The server's count of delivered entries.
    pub(super) entries_read: Option<i64>,
    /// The first undelivered entry, if it was known.
    pub(super) first_after: Option<StreamId>,
}

/// The change of a group from its baseline to a reading.
#[derive(Debug, Clone, Copy)]
pub(super) struct Step<'a> {
    pub(super) before: Baseline,
    pub(super) now: &'a GroupState,
    pub(super) lag: Lag,
}

/// The reading from which a group's losses are counted.
#[derive(Debug, Clone, Default)]
pub(super) enum Basis {
    /// No reading so far.
    #[default]
    Nothing,
    /// The last reading, with this lag. The other values of that reading are kept anyway.
    Last(Lag),
    /// An earlier reading, since the last one lacked the number of entries ever added.
    Earlier(Box<Baseline>),
}
