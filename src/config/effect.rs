//! The parts of a configuration without effect: rules that no stream reaches, and alerts that cannot fire.

use super::{Config, Ignored, Mode, ReadFrom, StreamRetention, StreamRule, Thresholds, cover::Cover};

/// Shipped alerts that cannot fire with a configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SilentAlerts {
    /// Their names.
    pub names: &'static [&'static str],
    /// What the configuration lacks.
    pub reason: &'static str,
}

/// Alerts, what they need of a configuration, and the reason that is shown if it is missing.
type Need = (&'static [&'static str], fn(&Config) -> bool, &'static str);

const NEEDS: &[Need] = &[
    (
        &["RedisStreamLagHigh", "RedisStreamLagGrowing"],
        |it| it.has_threshold(|set| set.lag.is_some()),
        "no rule sets thresholds.lag",
    ),
    (
        &["RedisStreamLagTooOld"],
        |it| it.has_threshold(|set| set.lag_age.is_some()),
        "no rule sets thresholds.lag_age; its default makes groups lagging, which warns",
    ),
    (
        &["RedisStreamPendingHigh"],
        |it| it.has_threshold(|set| set.pending.is_some()),
        "no rule sets thresholds.pending",
    ),
    (
        &["RedisStreamPendingTooOld"],
        |it| it.has_threshold(|set| set.pending_age.is_some()),
        "no rule sets thresholds.pending_age; its default makes groups lagging, which warns",
    ),
    (
        &["RedisStreamPendingDropped"],
        |it| it.consumers.metrics && it.consumers.max_per_group > 0,
        "consumers are not listed (consumers.metrics, consumers.max_per_group)",
    ),
    (
        &["RedisStreamErrorBudgetBurningFast", "RedisStreamErrorBudgetBurningSlowly"],
        |it| it.latency.enabled && it.reached().any(|rule| rule.slo.is_some()),
        "no rule sets an objective (slo), or latency.enabled is false",
    ),
    (&["RedisStreamProbeFailing"], |it| it.probe.enabled, "probe.enabled is false"),
    (
        &["RedisStreamSilent"],
        |it| it.has_threshold(|set| set.silence.is_some()),
        "no rule sets thresholds.silence",
    ),
    (
        &["RedisStreamGroupNoConsumers", "RedisStreamConsumersStuck"],
        |it| it.redis.read_from != ReadFrom::ReplicaPreferred,
        "redis.read_from is replica-preferred, and a replica does not know which consumers are active; they fire while the primary is read",
    ),
    (&["RedisStreamMissing"], |it| it.named_streams().next().is_some(), "no rule names a stream"),
    (
        &["RedisStreamGroupMissing"],
        |it| it.reached().any(|rule| !rule.groups.is_empty()),
        "no rule names groups",
    ),
    (&["RedisStreamsVanished"], Config::needs_discovery, "every stream is named, so none is searched for"),
    (
        &["RedisStreamConsumerNearPendingLimit"],
        |it| it.consumers.metrics && it.consumers.max_per_group > 0,
        "consumers have no series of their own (consumers.metrics, consumers.max_per_group)",
    ),
    (
        &["RedisStreamDeadLettersGrowing", "RedisStreamDeadLettersNearLimit"],
        |it| it.reached().any(|rule| rule.dead_letter.is_some()),
        "no rule sets dead_letter",
    ),
    (
        &["RedisStreamDeadLettersStopped"],
        |it| it.retention.enabled && it.reached().any(|rule| rule.dead_letter.is_some()),
        "no rule sets dead_letter, or retention.enabled is false",
    ),
    (&["RedisStreamRetentionBlocked"], |it| it.has_limit(|_| true), "no rule sets a limit (retention)"),
    (
        &["RedisStreamNearLoss"],
        |it| it.has_limit(|limit| !it.retention.enabled || limit.mode != Mode::Safe),
        "no rule has a limit in mode strict or observe",
    ),
    (
        &["RedisStreamRetentionFailing", "RedisStreamRetentionNoLeader"],
        |it| it.retention.enabled && it.has_limit(|limit| limit.mode != Mode::Observe),
        "nothing is enforced: no rule has a limit in mode safe or strict, or retention.enabled is false",
    ),
    (
        &["RedisStreamLengthOverLimit"],
        |it| it.has_limit(|limit| limit.max_length.is_some()),
        "no rule sets retention.max_length",
    ),
    (
        &["RedisStreamGrowingUnbounded"],
        |it| it.streams.is_empty() || it.reached().any(|rule| rule.retention.is_none()),
        "every rule sets a limit",
    ),
];

const OFF: SilentAlerts = SilentAlerts {
    names: &["all on Redis and its streams"],
    reason: "the sidecar is switched off (enabled: false)",
};

impl Config {
    /// The shipped alerts that cannot fire with this configuration, and why.
    #[must_use]
    pub fn silent_alerts(&self) -> Vec<SilentAlerts> {
        if !self.enabled {
            return vec![OFF];
        }
        let silent = NEEDS.iter().filter(|(_, is_met, _)| !is_met(self));
        silent.map(|(names, _, reason)| SilentAlerts { names, reason }).collect()
    }

    /// Settings that another one replaces, and rules that no stream reaches.
    #[must_use]
    pub fn ignored(&self) -> Vec<Ignored> {
        self.redis.access.ignored().iter().cloned().chain(self.unreached()).collect()
    }

    /// Rules that no stream reaches, as far as their patterns show.
    pub fn unreached(&self) -> impl Iterator<Item = Ignored> {
        self.reach().filter_map(|(index, rule, reason)| {
            let at = format!("streams[{index}] ({})", rule.pattern);
            Some(Ignored { at, reason: reason? })
        })
    }

    /// Each rule with its place, and the reason why no stream reaches it.
    fn reach(&self) -> impl Iterator<Item = (usize, &StreamRule, Option<String>)> {
        let (excluding, earlier) = (Cover::new(&self.exclude), Cover::new(self.streams.patterns()));
        self.streams.iter().enumerate().map(move |(index, rule)| {
            let excluded = excluding.first(&rule.pattern).and_then(|place| self.exclude.get(place));
            let reason = excluded.map(|it| format!("exclude has {it}")).or_else(|| {
                let first = earlier.first(&rule.pattern).filter(|first| *first < index)?;
                let pattern = self.streams.patterns().get(first)?;
                Some(format!(
                    "the first match applies, and streams[{first}] ({pattern}) matches the same streams; move that one below"
                ))
            });
            (index, rule, reason)
        })
    }

    /// The rules that streams reach, as far as their patterns show.
    fn reached(&self) -> impl Iterator<Item = &StreamRule> {
        self.reach().filter(|(.., reason)| reason.is_none()).map(|(_, rule, _)| rule)
    }

    fn has_threshold(&self, is_set: impl Fn(&Thresholds) -> bool) -> bool {
        self.reached().any(|rule| is_set(&rule.thresholds))
    }

    fn has_limit(&self, is_such: impl Fn(&StreamRetention) -> bool) -> bool {
        self.reached().filter_map(|rule| rule.retention.as_ref()).any(is_such)
    }
}

#[cfg(test)]
mod tests {
    use crate::config::test_config::config;

    #[test]
    fn rules_that_no_stream_reaches_are_reported_with_the_rule_before_them() {
        for (text, unreached) in [
            (
                "streams: [{match: '*'}, {match: a}]",
                &[
                    "streams[1] (a) is ignored: the first match applies, and streams[0] (*) matches the same streams; move that one below",
                ][..],
            ),
            ("streams: [{match: a}, {match: '*'}]", &[]),
            (
                "streams: [{match: 'events:*'}, {match: 'events:a*'}, {match: 'event*'}]",
                &["streams[1] (events:a*)"],
            ),
            (
                "streams: [{match: 'events:?'}, {match: 'events:a'}, {match: 'events:ab'}]",
                &["streams[1] (events:a)"],
            ),
            (
                "streams: [{match: a}, {match: b}]\nexclude: ['b*']",
                &["streams[1] (b) is ignored: exclude has b*"],
            ),
        ] {
            let actual: Vec<String> = config(text).ignored().iter().map(ToString::to_string).collect();
            assert_eq!(actual.len(), unreached.len(), "{text}: {actual:?}");
            assert!(
                actual.iter().zip(unreached).all(|(actual, expected)| actual.starts_with(expected)),
                "{text}: {actual:?}"
            );
        }
    }

    #[test]
    fn an_alert_is_silent_until_the_configuration_has_what_it_needs() {
        let silent = |text: &str| -> Vec<&str> {
            config(text).silent_alerts().iter().flat_map(|silent| silent.names).copied().collect()
        };
        let (nothing, everything) = (
            silent(""),
            silent(
                "streams:\n  - {match: a, groups: [g], retention: {max_length: 1000, mode: strict}}\n  - {match: 'b*', dead_letter: {after_deliveries: 5, idle: 1m}, thresholds: {lag: 1, lag_age: 1s, pending: 1, pending_age: 1s, silence: 1s}, slo: {handled: 1s}}\nprobe: {enabled: true}",
            ),
        );
        assert_eq!(everything, [""; 0]);
        assert_eq!(nothing.len(), 19, "{nothing:?}");
        assert!(
            silent("retention: {enabled: false}\nstreams: [{match: a, retention: {max_length: 9}}]")
                .contains(&"RedisStreamRetentionFailing")
        );
        assert!(
            silent("streams: [{match: a, retention: {max_length: 9}}]").contains(&"RedisStreamsVanished")
        );
        let unreached = "streams: [{match: '*'}, {match: 'a*', thresholds: {silence: 1s}}]";
        assert!(silent(unreached).contains(&"RedisStreamSilent"));
        assert_eq!(silent("enabled: false").len(), 1);
        assert!(silent("consumers: {metrics: false}").contains(&"RedisStreamConsumerNearPendingLimit"));
    }
}
