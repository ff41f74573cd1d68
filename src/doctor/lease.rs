//! Whether the lease can ever be taken over.

use super::{Area::Retention, Evidence, Finding, Level::Problem};
use crate::{config::Config, model::StuckLease};

/// What it means that no sidecar ever takes the lease, and what to do. The key may be somebody's data.
pub(crate) fn words(stuck: StuckLease, config: &Config) -> (String, String) {
    let key = &config.retention.lease_key;
    match stuck {
        StuckLease::NeverExpires => (
            format!("the lease {key} never expires"),
            format!(
                "its key has no time to live, which a sidecar sets with it: somebody else wrote it. No sidecar takes it over, so nothing is trimmed \
                 or set aside. Choose another retention.lease_key, or DEL {key} if nobody needs what it holds"
            ),
        ),
        StuckLease::IsNoLease => (
            format!("{key}, the key of the lease, is in use for something else"),
            "it is not a string, so no sidecar can take the lease, and each one trims: choose another retention.lease_key".to_owned(),
        ),
    }
}

pub(super) fn findings(evidence: Evidence<'_>) -> Vec<Finding> {
    let words = evidence.stuck_lease.map(|stuck| words(stuck, evidence.config));
    words.map(|(what, meaning)| Finding::new(Retention, Problem, what, meaning)).into_iter().collect()
}
