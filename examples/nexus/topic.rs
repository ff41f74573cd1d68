//! The five kinds of aggregate. Each has its own stream of events and one consumer group.

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Topic {
    Session,
    Training,
    Project,
    User,
    Simulation,
}

impl Topic {
    pub(crate) const ALL: [Self; 5] =
        [Self::Session, Self::Training, Self::Project, Self::User, Self::Simulation];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Session => "session",
            Self::Training => "training",
            Self::Project => "project",
            Self::User => "user",
            Self::Simulation => "simulation",
        }
    }

    pub(crate) fn stream(self) -> &'static str {
        match self {
            Self::Session => "events:session",
            Self::Training => "events:training",
            Self::Project => "events:project",
            Self::User => "events:user",
            Self::Simulation => "events:simulation",
        }
    }

    pub(crate) fn group(self) -> &'static str {
        match self {
            Self::Session => "nexus-session-consumers",
            Self::Training => "nexus-training-consumers",
            Self::Project => "nexus-project-consumers",
            Self::User => "nexus-user-consumers",
            Self::Simulation => "nexus-simulation-consumers",
        }
    }
}
