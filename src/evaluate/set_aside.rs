//! What the sidecar itself acknowledges in place of consumers.

/// Pending entries that the sidecar itself acknowledged, since it made dead letters of them.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct SetAside {
    /// How many they were when the sidecar last said so.
    total: u64,
    since_last: u64,
    before: u64,
}

impl SetAside {
    /// Applies how many they are by now.
    pub(super) const fn record(&mut self, total: u64) {
        self.since_last += total.saturating_sub(self.total);
        self.total = total;
    }

    /// Upper bound of those that the reading to judge is the first to show. It may have been made just before the sidecar
    /// acknowledged some, so those of the reading before count too.
    pub(super) const fn take(&mut self) -> u64 {
        let before = std::mem::replace(&mut self.before, self.since_last);
        before + std::mem::replace(&mut self.since_last, 0)
    }
}
