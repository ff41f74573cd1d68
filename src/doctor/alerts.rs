//! The shipped alerts that can't fire, because of the configuration or because the server does not report enough.

use super::{Area::Alerts, Evidence, Finding, Level::Notice};
use crate::config::SilentAlerts;

const LOSSES: SilentAlerts = SilentAlerts {
    names: &["RedisStreamEntriesLost", "RedisStreamLossSuspected"],
    reason: "losses are not counted before Redis 7.0",
};
const PENDING_LIMIT: SilentAlerts = SilentAlerts {
    names: &["RedisStreamConsumerNearPendingLimit"],
    reason: "this server sets no limit on a consumer's pending entries",
};

pub(super) fn findings(evidence: Evidence<'_>) -> Vec<Finding> {
    let server = &evidence.facts.server;
    let mut silent = evidence.config.silent_alerts();
    silent.extend(server.version.is_some_and(|version| version < (7, 0, 0)).then_some(LOSSES));
    if server.terms().consumer_pending.is_none() {
        silent.retain(|alerts| alerts.names != PENDING_LIMIT.names);
        silent.push(PENDING_LIMIT);
    }
    let finding = |alerts: &SilentAlerts| {
        Finding::new(Alerts, Notice, format!("can't fire: {}", alerts.names.join(", ")), alerts.reason)
    };
    let excluded = evidence.config.exclusions();
    let excluded = excluded.iter().filter(|exclusion| !exclusion.disabled.is_empty()).map(|exclusion| {
        let reason = format!("exposition.exclude drops {}", exclusion.family);
        Finding::new(Alerts, Notice, format!("can't work: {}", exclusion.disabled.join(", ")), reason)
    });
    silent.iter().map(finding).chain(excluded).collect()
}

#[cfg(test)]
mod tests {
    use super::{super::test_evidence::Case, *};

    #[test]
    fn alerts_are_silent_by_configuration_and_by_server() {
        let actual =
            |case: &Case| -> String { findings(case.evidence()).into_iter().map(|it| it.what).collect() };
        let mut case = Case::new("redis://h", "streams: [{match: s}]");
        assert!(
            actual(&case).contains("can't fire: RedisStreamSilent")
                && actual(&case).contains("NearPendingLimit")
        );
        assert!(!actual(&case).contains("EntriesLost") && !actual(&case).contains("RedisStreamMissing"));
        case.facts.server.version = Some((6, 2, 7));
        assert!(actual(&case).contains("EntriesLost"), "{}", actual(&case));
        case.config.exposition.exclude.insert("streamwarden_stream_health");
        assert!(actual(&case).contains("can't work: RedisStreamUnhealthy"), "{}", actual(&case));
    }
}
