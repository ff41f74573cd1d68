//! The status of a group and the health of a stream: closed sets of words.

/// Status of a group. Declared in the order of the rules: the first that applies is the status. The worse ones come first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum GroupStatus {
    /// The configuration expects the group, but it does not exist.
    Missing,
    /// Entries were removed before they were delivered to it.
    TrimmedPast,
    /// Entries wait, but it has no consumer.
    NoConsumers,
    /// Entries wait, but all of its consumers are inactive.
    Stopped,
    /// Entries wait, but it makes no progress.
    Stalled,
    /// Its position went back.
    Rewound,
    /// It makes progress, but not fast enough.
    Lagging,
    /// No entries wait, or it makes progress.
    Ok,
    /// Unknown, or not known yet.
    Unknown,
}

impl GroupStatus {
    /// All statuses, in the order of the rules.
    pub const ALL: &[Self] = &[
        Self::Missing,
        Self::TrimmedPast,
        Self::NoConsumers,
        Self::Stopped,
        Self::Stalled,
        Self::Rewound,
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
            Self::NoConsumers => "no_consumers",
            Self::Stopped => "stopped",
            Self::Stalled => "stalled",
            Self::Rewound => "rewound",
            Self::Lagging => "lagging",
            Self::Ok => "ok",
            Self::Unknown => "unknown",
        }
    }

    /// Its contribution to the stream's health.
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

/// Health of a stream, from best to worst: of several the greatest counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Health {
    /// No problem.
    Healthy,
    /// Unknown, or not known yet.
    Unknown,
    /// Look soon.
    Warning,
    /// Look now.
    Critical,
}

impl Health {
    /// All values, from best to worst.
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
