//! Whether the lease can ever be taken over.

use super::{Area::Retention, Evidence, Finding, Level::Problem};
use crate::config::Config;

/// What a lease without a time to live means, and what to do.
pub(crate) fn stuck_lease(config: &Config) -> (String, String) {
    let key = &config.retention.lease_key;
    let what = format!("the lease {key} never expires");
    let meaning = format!(
        "its key has no time to live, which a sidecar sets with it: somebody else wrote it. No sidecar takes it over, so nothing is trimmed or \
         set aside: DEL {key}"
    );
    (what, meaning)
}

pub(super) fn findings(evidence: Evidence<'_>) -> Vec<Finding> {
    let (what, meaning) = stuck_lease(evidence.config);
    let finding = Finding::new(Retention, Problem, what, meaning);
    (evidence.lease_never_expires == Some(true)).then_some(finding).into_iter().collect()
}
