//! Whether entries met an objective.

use std::time::Duration;

use super::Wait;
use crate::model::Millis;

/// Whether an entry met an objective.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It certainly did.
    Good,
    /// It certainly did not.
    Bad,
    /// Its interval has the objective in it.
    Unknown,
}

impl Outcome {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Good, Self::Bad, Self::Unknown];

    /// The metrics' label.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Bad => "bad",
            Self::Unknown => "unknown",
        }
    }

    pub(super) fn of(wait: &Wait, objective: Duration) -> Self {
        let objective = Millis::from(objective).get();
        match (wait.least > objective, wait.most > objective) {
            (true, _) => Self::Bad,
            (false, true) => Self::Unknown,
            (false, false) => Self::Good,
        }
    }
}

/// Numbers of entries by outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Outcomes([u64; Outcome::ALL.len()]);

impl Outcomes {
    /// Entries with this outcome.
    #[must_use]
    pub fn of(&self, outcome: Outcome) -> u64 {
        self.0.get(outcome as usize).copied().unwrap_or_default()
    }

    pub(super) fn add_all(&mut self, entries: u64, outcome: Outcome) {
        if let Some(count) = self.0.get_mut(outcome as usize) {
            *count = count.saturating_add(entries);
        }
    }

    pub(super) fn add(&mut self, wait: &Wait, objective: Duration) {
        self.add_all(wait.entries, Outcome::of(wait, objective));
    }
}
