//! How long entries waited, as an interval.

/// How long some entries waited, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wait {
    /// Number of entries.
    pub entries: u64,
    /// None of them waited less.
    pub least: u64,
    /// About how long they waited, between the two bounds.
    pub likely: u64,
    /// None of them waited longer.
    pub most: u64,
}

impl Wait {
    /// Whether the interval is narrow enough to be a measurement: at most 20 ticks, and an eighth of the wait. A server that is busy for
    /// seconds delays ticks, and what is slow then is what matters.
    pub(super) const fn is_close(&self, tick: u64) -> bool {
        self.most - self.least <= 20 * tick + self.least / 8
    }
}
