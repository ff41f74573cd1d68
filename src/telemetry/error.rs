//! What keeps traces from being sent, in every build.

use crate::model::Text;

/// Why traces can't be sent as the environment says.
#[derive(Debug, thiserror::Error)]
#[error("traces cannot be sent to {collector}: {what}")]
pub struct TracesError {
    /// The collector.
    pub collector: String,
    /// What is wrong.
    pub what: Text,
}
