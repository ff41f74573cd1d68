//! What a group's losses are counted from.

use super::lag::Lag;
use crate::model::{GroupState, StreamId};

/// What was known of a group at the last reading that told how many entries there are.
#[derive(Debug, Clone, Copy)]
pub(super) struct Baseline {
    pub(super) delivered: StreamId,
    pub(super) lag: Lag,
    /// What the server counted as delivered.
    pub(super) entries_read: Option<i64>,
    /// The first entry that was not delivered, if it was known.
    pub(super) first_after: Option<StreamId>,
}

/// A group from its baseline to a reading.
#[derive(Debug, Clone, Copy)]
pub(super) struct Step<'a> {
    pub(super) before: Baseline,
    pub(super) now: &'a GroupState,
    pub(super) lag: Lag,
}

/// Which reading a group's losses are counted from.
#[derive(Debug, Clone, Default)]
pub(super) enum Basis {
    /// None so far.
    #[default]
    Nothing,
    /// The last one, with this lag; the rest is known of it anyway.
    Last(Lag),
    /// An earlier one, since the last did not tell how many entries there are.
    Earlier(Box<Baseline>),
}
