//! What the rules go by.

use crate::{
    config::{Address, Config, Discovered, Mode, StreamRule},
    model::{Facts, Failure, Rights},
    reading::Reading,
};

/// All that was gathered.
#[derive(Clone, Copy)]
pub struct Evidence<'a> {
    /// The configuration.
    pub config: &'a Config,
    /// The address that was connected to.
    pub address: &'a Address,
    /// The user whose permissions were asked for, where it is not the one that is logged in.
    pub user: Option<&'a str>,
    /// What the server said of itself.
    pub facts: &'a Facts,
    /// The streams that there are.
    pub streams: &'a Result<Discovered, Failure>,
    /// What the user may do.
    pub rights: &'a Result<Rights, Failure>,
    /// One reading of the streams.
    pub reading: &'a Result<Reading, Failure>,
}

impl Evidence<'_> {
    /// Whether anything is to be removed, from streams that there are or may be.
    pub(super) fn retains(self) -> bool {
        let enforces = |rule: &StreamRule| rule.retention.as_ref().is_some_and(|it| it.mode != Mode::Observe);
        self.config.retention.enabled && self.config.streams.iter().any(enforces)
    }
}
