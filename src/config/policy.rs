//! The limits of one stream, and what protects its readers.

use std::time::Duration;

use super::{Config, Mode, StreamRule, pattern::literal};
use crate::{
    model::{Name, ServerTime, StreamId},
    stuck::DEFAULT_BEGIN,
};

/// The limits of a stream, and what may be done to keep them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// The most entries that the stream should hold.
    pub max_length: Option<u64>,
    /// The greatest age that an entry should reach.
    pub max_age: Option<Duration>,
    /// What may be removed.
    pub mode: Mode,
    /// The length past which safe mode removes entries even if a group needs them.
    pub ceiling: Option<u64>,
    /// Whether to reach the limit to the entry, within a node.
    pub exact: bool,
    /// Whether the limits are those of a glob that may not be written for dead letters, so that nothing is removed where some are seen. A
    /// stream can hold some that the configuration does not know of: those of a rule that was removed, or of another sidecar.
    pub spares_dead_letters: bool,
    /// Groups that hold nothing back.
    pub ignore_groups: Vec<Name>,
    /// Groups that must exist: while one is missing, safe mode removes nothing.
    pub groups: Vec<Name>,
    /// Between two runs.
    pub interval: Duration,
}

impl StreamRule {
    /// Groups for which retention does not wait.
    #[must_use]
    pub fn ignored_groups(&self) -> &[Name] {
        self.retention.as_ref().map_or(&[], |retention| &retention.ignore_groups)
    }
}

impl Policy {
    /// The policy of a stream with this rule; `None` without limits. If retention is switched off, it only observes.
    ///
    /// `holds_dead_letters`: whether the configuration knows that the stream holds dead letters. Its rule is meant for them then.
    #[must_use]
    pub fn of(config: &Config, rule: &StreamRule, holds_dead_letters: bool) -> Option<Self> {
        let retention = rule.retention.as_ref()?;
        Some(Self {
            max_length: retention.max_length,
            max_age: retention.max_age,
            mode: if config.retention.enabled { retention.mode } else { Mode::Observe },
            ceiling: retention.ceiling,
            exact: retention.exact,
            spares_dead_letters: !holds_dead_letters && is_common(rule),
            ignore_groups: retention.ignore_groups.clone(),
            groups: rule.groups.clone(),
            interval: retention.interval.unwrap_or(config.retention.interval),
        })
    }

    /// The policy of a manual trim. The groups that the configuration expects or ignores apply too.
    #[must_use]
    pub fn by_hand(config: &Config, stream: &Name, max_length: u64, mode: Mode, exact: bool) -> Self {
        let rule = config.rule(stream);
        let retention = rule.and_then(|rule| rule.retention.as_ref());
        Self {
            max_length: Some(max_length),
            max_age: None,
            mode,
            ceiling: None,
            exact,
            spares_dead_letters: false,
            ignore_groups: retention.map(|retention| retention.ignore_groups.clone()).unwrap_or_default(),
            groups: rule.map(|rule| rule.groups.clone()).unwrap_or_default(),
            interval: config.retention.interval,
        }
    }

    /// Whether anything may be removed.
    #[must_use]
    pub fn enforces(&self) -> bool {
        self.mode != Mode::Observe
    }

    /// The ID below which entries are too old.
    #[must_use]
    pub fn cutoff(&self, now: Option<ServerTime>) -> Option<StreamId> {
        let age = u64::try_from(self.max_age?.as_millis()).ok()?;
        Some(StreamId::new(now?.0.checked_sub(age)?, 0))
    }

    /// Entries beyond `max_length`.
    #[must_use]
    pub fn excess(&self, length: u64) -> u64 {
        self.max_length.map_or(0, |limit| length.saturating_sub(limit))
    }
}

/// Whether a rule is a glob that may not be written for dead letters.
fn is_common(rule: &StreamRule) -> bool {
    rule.pattern.glob().is_some_and(|glob| !literal(glob).starts_with(DEFAULT_BEGIN))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::test_config::config;

    const YAML: &str = "retention: {interval: 5m}
streams:
  - {match: all, groups: [a], retention: {max_length: 10, max_age: 1m, ceiling: 20, exact: true, ignore_groups: [b], interval: 7m}}
  - {match: strict, retention: {max_length: 10, mode: strict}}
  - {match: none}";

    fn of(config: &Config, stream: &str) -> Option<Policy> {
        Policy::of(config, config.rule(&stream.into())?, false)
    }

    #[test]
    fn a_policy_is_what_the_rule_says() {
        let config = config(YAML);
        let all = Policy {
            max_length: Some(10),
            max_age: Some(Duration::from_secs(60)),
            mode: Mode::Safe,
            ceiling: Some(20),
            exact: true,
            spares_dead_letters: false,
            ignore_groups: vec!["b".into()],
            groups: vec!["a".into()],
            interval: Duration::from_secs(420),
        };
        assert_eq!(of(&config, "all"), Some(all.clone()));
        let strict = of(&config, "strict").unwrap();
        assert_eq!((strict.mode, strict.interval), (Mode::Strict, Duration::from_secs(300)));
        assert_eq!(of(&config, "none"), None);
        assert_eq!(of(&config, "unknown"), None);
        let by_hand = Policy::by_hand(&config, &"all".into(), 5, Mode::Strict, false);
        let expected = Policy {
            max_length: Some(5),
            max_age: None,
            mode: Mode::Strict,
            ceiling: None,
            exact: false,
            ..all
        };
        assert_eq!(by_hand, Policy { interval: Duration::from_secs(300), ..expected });
    }

    #[test]
    fn where_retention_is_switched_off_it_only_observes() {
        let config = config(&YAML.replace("{interval: 5m}", "{enabled: false}"));
        for stream in ["all", "strict"] {
            let policy = of(&config, stream).unwrap();
            assert_eq!((policy.mode, policy.enforces()), (Mode::Observe, false));
        }
        assert!(Policy::by_hand(&config, &"all".into(), 5, Mode::Safe, false).enforces());
    }

    #[test]
    fn the_limits_are_an_id_and_a_number_of_entries() {
        let policy = of(&config(YAML), "all").unwrap();
        assert_eq!(policy.cutoff(Some(ServerTime(90_000))), Some(StreamId::new(30_000, 0)));
        assert_eq!(policy.cutoff(Some(ServerTime(59_999))), None, "before there were times");
        assert_eq!(policy.cutoff(None), None);
        assert_eq!(Policy { max_age: None, ..policy.clone() }.cutoff(Some(ServerTime(90_000))), None);
        assert_eq!([9, 10, 11, 100].map(|length| policy.excess(length)), [0, 0, 1, 90]);
        assert_eq!(Policy { max_length: None, ..policy }.excess(100), 0);
    }
}
