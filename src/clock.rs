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

/// The same in seconds.
#[must_use]
pub fn unix_seconds() -> f64 {
    unix_time().as_secs_f64()
}
