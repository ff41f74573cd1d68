//! The watched streams, each with its rule. Rules are looked up only when the streams or the configuration change.

use std::{collections::HashMap, sync::Arc};

use super::{Config, DeadLetterRule, Policy, ReapRule, StreamRule, Thresholds};
use crate::model::{InOrder, Name};

/// A watched stream.
#[derive(Debug, Clone)]
pub struct Watched {
    /// Its name.
    pub name: Name,
    /// Its rule in the configuration; `None` if no rule matches. A common rule does not apply to dead letters.
    pub rule: Option<Arc<StreamRule>>,
    /// Its limits; `None` without limits. Streams of one rule share them.
    pub policy: Option<Arc<Policy>>,
    /// Whether the configuration names it, and so expects it to exist.
    pub is_expected: bool,
    /// Whether it holds the dead letters of another stream.
    pub holds_dead_letters: bool,
}

impl Watched {
    /// A stream without a rule.
    #[must_use]
    pub const fn unknown(name: Name) -> Self {
        Self { name, rule: None, policy: None, is_expected: false, holds_dead_letters: false }
    }

    /// Groups that must exist.
    #[must_use]
    pub fn groups(&self) -> &[Name] {
        self.rule.as_ref().map_or(&[], |rule| &rule.groups)
    }

    /// When its pending entries are set aside; `None` if they never are.
    #[must_use]
    pub fn dead_letter(&self) -> Option<&DeadLetterRule> {
        self.rule.as_ref()?.dead_letter.as_ref().filter(|_| !self.holds_dead_letters)
    }

    /// The key of its dead letters; `None` if nothing is set aside, or if the rule must name the key.
    #[must_use]
    pub fn dead_letters(&self) -> Option<Name> {
        self.dead_letter()?.key(&self.name).filter(|key| *key != self.name)
    }

    /// When its consumers are deleted; `None` if they never are.
    #[must_use]
    pub fn reap_consumers(&self) -> Option<&ReapRule> {
        self.rule.as_ref()?.reap_consumers.as_ref()
    }

    /// Deliveries from which on an entry of it counts as poison.
    #[must_use]
    pub fn poison_from(&self) -> u64 {
        self.rule.as_ref().map_or(Thresholds::DELIVERIES, |rule| rule.thresholds.poison_from())
    }
}

/// Watched streams, sorted by name, each once. A copy is cheap.
#[derive(Debug, Clone, Default)]
pub struct Watchlist(Arc<[Watched]>);

impl Watchlist {
    /// These streams under a configuration.
    #[must_use]
    pub fn new(config: &Config, names: impl IntoIterator<Item = Name>) -> Self {
        let mut names: Vec<Name> = names.into_iter().collect();
        names.sort_unstable();
        names.dedup();
        let mut policies = HashMap::new();
        let watched = |name: Name| {
            let (rule, holds_dead_letters) = config.rule_of(&name);
            let policy = rule.and_then(|rule| {
                let made = policies.entry((Arc::as_ptr(rule), holds_dead_letters));
                made.or_insert_with(|| Policy::of(config, rule, holds_dead_letters).map(Arc::new)).clone()
            });
            let (is_expected, rule) = (config.expects(&name), rule.cloned());
            Watched { name, rule, policy, is_expected, holds_dead_letters }
        };
        Self(names.into_iter().map(watched).collect())
    }

    /// The same, and beside them the dead letters of streams whose rule sets entries aside.
    #[must_use]
    pub fn with_dead_letters(config: &Config, names: impl IntoIterator<Item = Name>) -> Self {
        let list = Self::new(config, names);
        let dead_letters: Vec<Name> = list.iter().filter_map(Watched::dead_letters).collect();
        if dead_letters.is_empty() {
            return list;
        }
        let dead_letters = dead_letters.into_iter().filter(|key| !config.excludes(key));
        Self::new(config, list.iter().map(|watched| watched.name.clone()).chain(dead_letters))
    }

    /// Whether both share their content, and are not only equal.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// This stream, if it is watched.
    #[must_use]
    pub fn get(&self, stream: &Name) -> Option<&Watched> {
        let place = self.0.binary_search_by(|watched| watched.name.cmp(stream)).ok()?;
        self.0.get(place)
    }

    /// The streams, in the order of their names.
    pub fn iter(&self) -> std::slice::Iter<'_, Watched> {
        self.0.iter()
    }

    /// The streams, to be looked up by names that are in order.
    #[must_use]
    pub fn in_order(&self) -> InOrder<impl Iterator<Item = (&Name, &Watched)>> {
        InOrder::new(self.iter().map(|watched| (&watched.name, watched)))
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether no stream is watched.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// A part of another list, in its order.
impl FromIterator<Watched> for Watchlist {
    fn from_iter<I: IntoIterator<Item = Watched>>(watched: I) -> Self {
        Self(watched.into_iter().collect())
    }
}

impl<'a> IntoIterator for &'a Watchlist {
    type Item = &'a Watched;
    type IntoIter = std::slice::Iter<'a, Watched>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::test_config::config;

    #[test]
    fn each_stream_is_there_once_with_its_rule() {
        let yaml =
            "exclude: [c]\nstreams: [{match: b, groups: [g], thresholds: {deliveries: 9}}, {match: '*'}]";
        let config = config(yaml);
        let watchlist = Watchlist::new(&config, ["b", "a", "b"].map(Name::from));
        assert_eq!(watchlist.len(), 2);
        let names: Vec<_> = watchlist.iter().map(|watched| watched.name.to_string()).collect();
        assert_eq!(names, ["a", "b"]);
        let (a, b) = (watchlist.get(&"a".into()).unwrap(), watchlist.get(&"b".into()).unwrap());
        assert!(!a.is_expected && b.is_expected);
        assert_eq!((a.poison_from(), b.poison_from()), (5, 9));
        assert_eq!(b.groups(), ["g".into()]);
        assert!(a.rule.is_some() && a.groups().is_empty() && a.policy.is_none());
        assert!(watchlist.get(&"c".into()).is_none());
    }

    #[test]
    fn the_limit_of_a_stream_does_not_apply_to_its_dead_letters() {
        let all = "streams: [{match: '*', retention: {max_length: 5}}]";
        let own = "streams: [{match: 'dead:*', retention: {max_length: 7}}, {match: '*', retention: {max_length: 5}}]";
        for (yaml, limit) in [(all, None), (own, Some(7))] {
            let config = config(yaml);
            let watchlist = Watchlist::new(&config, ["s", "dead:{s}", "dead:x{s}"].map(Name::from));
            let policy = |name: &str| watchlist.get(&name.into()).unwrap().policy.clone();
            assert_eq!(policy("s").unwrap().max_length, Some(5));
            for name in ["dead:{s}", "dead:x{s}"] {
                assert_eq!(policy(name).and_then(|policy| policy.max_length), limit, "{name}");
            }
        }
    }

    #[test]
    fn streams_of_one_rule_share_their_limits() {
        let yaml = "streams: [{match: 'a*', retention: {max_length: 5}}]";
        let config = config(yaml);
        let watchlist = Watchlist::new(&config, ["a1", "a2", "b"].map(Name::from));
        let policy = |name: &str| watchlist.get(&name.into()).unwrap().policy.clone();
        assert!(Arc::ptr_eq(&policy("a1").unwrap(), &policy("a2").unwrap()));
        assert_eq!((policy("a1").unwrap().max_length, policy("b")), (Some(5), None));
        assert!(watchlist.is_same(&watchlist.clone()));
        assert!(!watchlist.is_same(&Watchlist::new(&config, ["a1"].map(Name::from))));
    }
}
