//! The only place that reads this machine's clocks. Ages of entries come from the server's clock instead.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

pub use tokio::time::Instant;

/// Now, on the clock that only goes forward: for intervals and deadlines.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "this is the one place that may")]
pub fn now() -> Instant {
    Instant::now()
}

/// Since the Unix epoch, for the sidecar's own timestamps; zero on a clock before it.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "this is the one place that may")]
pub fn unix_time() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// A moment on both of this machine's clocks.
#[derive(Debug, Clone, Copy)]
pub struct Moment {
    /// On the one that only goes forward.
    pub at: Instant,
    /// Since the Unix epoch.
    pub unix: Duration,
}

/// Now, on both clocks.
#[must_use]
pub fn moment() -> Moment {
    Moment { at: now(), unix: unix_time() }
}

/// Since the Unix epoch, in seconds.
#[must_use]
pub fn unix_seconds() -> f64 {
    unix_time().as_secs_f64()
}
