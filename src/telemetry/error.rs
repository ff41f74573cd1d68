//! The error of traces, in builds with and without them.

use crate::model::Text;

/// Why traces can't be sent to the collector that the environment names.
#[derive(Debug, thiserror::Error)]
#[error("traces cannot be sent to {collector}: {what}")]
pub(crate) struct TracesError {
    /// The collector.
    pub collector: String,
    /// What is wrong.
    pub what: Text,
}
