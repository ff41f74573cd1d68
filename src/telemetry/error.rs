//! The error of telemetry, in builds with and without it.

use crate::model::Text;

/// Why traces or metrics can't be sent to the collector that the environment names.
#[derive(Debug, thiserror::Error)]
#[error("{signal} cannot be sent to {collector}: {what}")]
pub struct TelemetryError {
    /// What is to be sent.
    pub signal: &'static str,
    /// The collector.
    pub collector: String,
    /// What is wrong.
    pub what: Text,
}
