//! The only place that reads this machine's clocks. Ages of entries are computed with the server's clock instead.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

pub use tokio::time::Instant;

/// The monotonic clock: for intervals and deadlines.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "this is the one place that may")]
pub fn now() -> Instant {
    Instant::now()
}

/// Time since the Unix epoch, for the sidecar's own timestamps; zero if the clock is set before it.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "this is the one place that may")]
pub fn unix_time() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// A point in time on both of this machine's clocks.
#[derive(Debug, Clone, Copy)]
pub struct Moment {
    /// On the monotonic clock.
    pub at: Instant,
    /// Since the Unix epoch.
    pub unix: Duration,
}

/// Now, on both clocks.
#[must_use]
pub fn moment() -> Moment {
    Moment { at: now(), unix: unix_time() }
}

/// Seconds since the Unix epoch.
#[must_use]
pub fn unix_seconds() -> f64 {
    unix_time().as_secs_f64()
}
