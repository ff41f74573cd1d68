//! Shipped alerts that need what `exposition.exclude` leaves out.

use super::{ALERT_FAMILIES, AlertFamilies, Config};

/// A family that is left out, with shipped alerts that read it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exclusion {
    /// The family.
    pub family: &'static str,
    /// Alerts that do not work without it.
    pub disabled: Vec<&'static str>,
    /// Alerts that it would mute if another alert is the cause. They fire too.
    pub unmuted: Vec<&'static str>,
}

impl Config {
    /// The families that are left out and that shipped alerts read.
    #[must_use]
    pub fn exclusions(&self) -> Vec<Exclusion> {
        let of = |family: &'static str| {
            let alerts = |read: fn(&AlertFamilies) -> &[&str]| {
                let alerts = ALERT_FAMILIES.iter().filter(|alert| read(alert).contains(&family));
                alerts.map(|alert| alert.name).collect()
            };
            Exclusion { family, disabled: alerts(|it| it.needs), unmuted: alerts(|it| it.mutes) }
        };
        let all = self.exposition.exclude.iter().copied().map(of);
        all.filter(|it| !(it.disabled.is_empty() && it.unmuted.is_empty())).collect()
    }
}

#[cfg(test)]
mod tests {
    use crate::config::test_config::config;

    #[test]
    fn alerts_that_read_what_is_left_out_are_named() {
        let families =
            ["streamwarden_group_lag_known", "streamwarden_stream_health", "streamwarden_retention_blocked"];
        let mut config = config("");
        assert_eq!(config.exclusions(), []);
        config.exposition.exclude.extend(families);
        config.exposition.exclude.insert("streamwarden_group_last_delivered_id");
        let actual: Vec<_> =
            config.exclusions().into_iter().map(|it| (it.family, it.disabled, it.unmuted)).collect();
        let expected = [
            (families[0], vec!["RedisStreamLagUnknown"], vec![]),
            (families[2], vec!["RedisStreamRetentionBlocked"], vec!["RedisStreamLengthOverLimit"]),
            (families[1], vec!["RedisStreamUnhealthy"], vec![]),
        ];
        assert_eq!(actual, expected);
    }
}
