//! Whether a server takes writes or has a copy of one that does.

use std::time::Duration;

/// A server's place in replication.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// It takes writes.
    Primary,
    /// It has a copy of a primary's data, as fresh as this link.
    Replica(PrimaryLink),
}

/// A replica's link to its primary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PrimaryLink {
    /// It works: the copy follows.
    Up,
    /// It is down: the copy stays as it was then.
    Down {
        /// Since when, by this machine's clock since the Unix epoch; `None` where the server does not say.
        since: Option<Duration>,
    },
    /// The server does not say, or the user may not ask.
    Unknown,
}

impl Role {
    /// The role in the words of `HELLO`, as the `role` label has it.
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
    /// The link's state in a word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Down { .. } => "down",
            Self::Unknown => "unknown",
        }
    }
}
