//! What was read last and what it means, as the views show it.

use std::{sync::Arc, time::Duration};

use crate::{
    clock::Instant,
    evaluate::Report,
    model::{Failure, Snapshot},
    retention::Standings,
};

/// What one successful poll read, and what it means.
pub struct Reading {
    /// Redis's words.
    pub snapshot: Arc<Snapshot>,
    /// Their meaning.
    pub report: Arc<Report>,
    /// What retention has done until then.
    pub retention: Arc<Standings>,
    /// When it was read, on this machine's clock.
    pub read_at: Instant,
    /// The same since the Unix epoch.
    pub read_at_unix: Duration,
}

/// Where the polls stand: what the publisher and the probes go by.
#[derive(Clone, Default)]
pub struct Latest {
    /// The last successful poll.
    pub reading: Option<Arc<Reading>>,
    /// Why the last poll failed, if it did.
    pub failure: Option<Failure>,
    /// How many polls have ended, either way.
    pub polls: u64,
}
