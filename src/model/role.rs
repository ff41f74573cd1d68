//! Whether a server accepts writes, or holds a copy of a primary's data.

use std::time::Duration;

/// A server's role in replication.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// It accepts writes.
    Primary,
    /// It holds a copy of a primary's data, which is as fresh as this link.
    Replica(PrimaryLink),
}

/// A replica's link to its primary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PrimaryLink {
    /// The link works, and the copy is current.
    Up,
    /// The link is down, and the copy is stale.
    Down {
        /// When it went down, in this machine's time since the Unix epoch; `None` where the server does not report
        /// it.
        since: Option<Duration>,
    },
    /// The server does not report it, or the user may not ask.
    Unknown,
}

impl Role {
    /// The role as `HELLO` spells it, which is also the value of the `role` label.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Primary => "master",
            Self::Replica(_) => "replica",
        }
    }

    /// Whether it is a replica.
    #[must_use]
    pub const fn is_replica(self) -> bool {
        matches!(self, Self::Replica(_))
    }

    /// A replica's link; `None` for a primary.
    #[must_use]
    pub const fn primary_link(self) -> Option<PrimaryLink> {
        match self {
            Self::Primary => None,
            Self::Replica(link) => Some(link),
        }
    }
}

impl PrimaryLink {
    /// The link's state in one word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Down { .. } => "down",
            Self::Unknown => "unknown",
        }
    }
}
