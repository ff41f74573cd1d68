//! How a group and a stream fare, in a word of a closed set and a sentence with the numbers behind it.

/// How a group fares. Declared in the order in which the rules are tried: the first that holds is the status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum GroupStatus {
    /// The configuration expects it, and it is not there.
    Missing,
    /// Entries were removed before it was given them.
    TrimmedPast,
    /// Its position went back.
    Rewound,
    /// Entries wait, and it has no consumer.
    NoConsumers,
    /// Entries wait, and all of its consumers are silent.
    Stopped,
    /// Entries wait, and nothing moves.
    Stalled,
    /// It moves, but not fast enough.
    Lagging,
    /// Nothing waits, or what waits moves.
    Ok,
    /// Not known, or not yet.
    Unknown,
}

impl GroupStatus {
    /// Every status, in the order of the rules.
    pub const ALL: &[Self] = &[
        Self::Missing,
        Self::TrimmedPast,
        Self::Rewound,
        Self::NoConsumers,
        Self::Stopped,
        Self::Stalled,
        Self::Lagging,
        Self::Ok,
        Self::Unknown,
    ];

    /// The value of the `status` label.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::TrimmedPast => "trimmed_past",
            Self::Rewound => "rewound",
            Self::NoConsumers => "no_consumers",
            Self::Stopped => "stopped",
            Self::Stalled => "stalled",
            Self::Lagging => "lagging",
            Self::Ok => "ok",
            Self::Unknown => "unknown",
        }
    }

    /// What it means for the stream.
    #[must_use]
    pub const fn health(self) -> Health {
        match self {
            Self::Missing | Self::TrimmedPast | Self::NoConsumers | Self::Stopped | Self::Stalled => {
                Health::Critical
            }
            Self::Rewound | Self::Lagging => Health::Warning,
            Self::Ok => Health::Healthy,
            Self::Unknown => Health::Unknown,
        }
    }
}

/// How a stream fares, from the best to the worst: of several the greatest counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Health {
    /// All is well.
    Healthy,
    /// Not known, or not yet.
    Unknown,
    /// Someone should look at it.
    Warning,
    /// Someone should look at it now.
    Critical,
}

impl Health {
    /// Every health, from the best to the worst.
    pub const ALL: &[Self] = &[Self::Healthy, Self::Unknown, Self::Warning, Self::Critical];

    /// The value of the `status` label.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Unknown => "unknown",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}
