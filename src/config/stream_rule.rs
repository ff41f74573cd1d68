//! What the configuration says of the streams that a pattern matches.

use std::time::Duration;

use super::Pattern;
use crate::model::Name;

/// What to expect of the streams that a pattern matches.
#[derive(Debug, Clone)]
pub struct StreamRule {
    /// A name or a glob.
    pub pattern: Pattern,
    /// Groups that must be there.
    pub groups: Vec<Name>,
    /// The stream's limits; `None` keeps everything.
    pub retention: Option<StreamRetention>,
    /// Where something is worth attention.
    pub thresholds: Thresholds,
}

/// A stream's limits and how they are kept.
#[derive(Debug, Clone)]
pub struct StreamRetention {
    /// The most entries that the stream should hold.
    pub max_length: Option<u64>,
    /// The greatest age that an entry should reach.
    pub max_age: Option<Duration>,
    /// What may be removed.
    pub mode: Mode,
    /// Groups that hold nothing back.
    pub ignore_groups: Vec<Name>,
    /// The length past which entries go even where a group needs them; in safe mode.
    pub ceiling: Option<u64>,
    /// Whether the limit is reached to the entry, not to the node.
    pub exact: bool,
    /// Between two runs; `None` for the general one.
    pub interval: Option<Duration>,
}

/// What retention may remove.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Nothing that a group has not read and acknowledged.
    Safe,
    /// Everything beyond the limit.
    Strict,
    /// Nothing at all.
    Observe,
}

impl Mode {
    pub(crate) const CHOICES: &[(&str, Self)] =
        &[("safe", Self::Safe), ("strict", Self::Strict), ("observe", Self::Observe)];

    /// The mode's name, as the configuration has it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Safe => "safe",
            Self::Strict => "strict",
            Self::Observe => "observe",
        }
    }
}

/// Where a number is worth attention. `None` sets no threshold; where it is an age, the default holds then.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Thresholds {
    /// Entries not delivered to a group.
    pub lag: Option<u64>,
    /// Age of the oldest entry not delivered to a group.
    pub lag_age: Option<Duration>,
    /// Entries delivered to a group and not acknowledged.
    pub pending: Option<u64>,
    /// Age of the oldest of those.
    pub pending_age: Option<Duration>,
    /// Deliveries of one entry.
    pub deliveries: Option<u64>,
    /// Time without a new entry.
    pub silence: Option<Duration>,
}

impl Thresholds {
    /// The age of the oldest entry that waits where nothing else is set. Longer than the pause of a deployment.
    pub const LAG_AGE: Duration = Duration::from_secs(300);
    /// The same for the oldest pending entry: handlers may take minutes, and retries a few of them.
    pub const PENDING_AGE: Duration = Duration::from_secs(900);
    /// Deliveries from which on an entry counts as poison where nothing else is set.
    pub const DELIVERIES: u64 = 5;

    /// Deliveries from which on an entry counts as poison.
    #[must_use]
    pub fn poison_from(&self) -> u64 {
        self.deliveries.unwrap_or(Self::DELIVERIES)
    }
}
