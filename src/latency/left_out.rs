//! Why entries are not measured.

/// Why an entry that was delivered or acknowledged is not measured, the first that applies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeftOut {
    /// Another server answered, or the stream could not be read for a while.
    Unread,
    /// The server's clock was set back.
    Clock,
    /// Redis does not know how many entries the group has read, or how many it has not.
    LagUnknown,
    /// The group was set back or recreated. Entries up to its former position are left out.
    Rewound,
    /// Entries were trimmed before they were delivered, or the stream was recreated.
    Trimmed,
    /// IDs are not times, or ahead of the server's clock.
    IdsNotTimes,
    /// A consumer was deleted, perhaps with its pending entries.
    ConsumerDeleted,
    /// The tick was late, so the interval is too wide.
    LateTick,
    /// When the entry arrived is not known closely enough: before the first tick.
    Start,
}

impl LeftOut {
    /// All of them.
    pub const ALL: &'static [Self] = &[
        Self::Unread,
        Self::Clock,
        Self::LagUnknown,
        Self::Rewound,
        Self::Trimmed,
        Self::IdsNotTimes,
        Self::ConsumerDeleted,
        Self::LateTick,
        Self::Start,
    ];

    /// The metrics' label.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unread => "unread",
            Self::Clock => "clock",
            Self::LagUnknown => "lag_unknown",
            Self::Rewound => "rewound",
            Self::Trimmed => "trimmed",
            Self::IdsNotTimes => "ids_not_times",
            Self::ConsumerDeleted => "consumer_deleted",
            Self::LateTick => "late_tick",
            Self::Start => "start",
        }
    }
}
