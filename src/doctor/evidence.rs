//! The input of the rules.

use crate::{
    config::{Address, Config, Discovered, Mode, StreamRule},
    model::{ClusterFacts, Facts, Failure, Feature, Rights, SentinelView, StuckLease},
    reading::Reading,
};

/// Everything that was collected about a server.
#[derive(Clone, Copy)]
pub(crate) struct Evidence<'a> {
    /// The configuration.
    pub config: &'a Config,
    /// The address that was connected to.
    pub address: &'a Address,
    /// The configured address with the reason why it does not answer, if a node of `redis.nodes` was connected to in its place.
    pub away: Option<(&'a Address, &'a Failure)>,
    /// What the Sentinels of the address report; empty if it names none.
    pub sentinels: &'a [SentinelView],
    /// The user whose permissions were tested, if it is not the one that is logged in.
    pub user: Option<&'a str>,
    /// What the server reports about itself.
    pub facts: &'a Facts,
    /// The streams that exist.
    pub streams: &'a Result<Discovered, Failure>,
    /// The user's permissions.
    pub rights: &'a Result<Rights, Failure>,
    /// The cluster that the server is part of, if it is read as a whole.
    pub cluster: &'a Result<Option<ClusterFacts>, Failure>,
    /// Why no sidecar ever takes the lease; `None` also if that is unknown, or if no sidecar needs the lease.
    pub stuck_lease: Option<StuckLease>,
    /// One reading of the streams.
    pub reading: &'a Result<Reading, Failure>,
}

impl Evidence<'_> {
    /// Whether retention may remove entries from any stream, existing or future.
    pub(super) fn retains(self) -> bool {
        let enforces = |rule: &StreamRule| rule.retention.as_ref().is_some_and(|it| it.mode != Mode::Observe);
        self.config.retention.enabled && self.config.streams.iter().any(enforces)
    }

    /// Whether it was asked what acting on stuck work needs.
    pub(super) fn acts(self) -> bool {
        let tried = self.rights.as_ref().ok().and_then(|rights| rights.tried.as_ref().ok());
        tried.is_some_and(|tried| tried.iter().any(|tried| tried.need.feature == Feature::Acting))
    }
}
