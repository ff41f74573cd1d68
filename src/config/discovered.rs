//! The streams to watch: those that the configuration names, and those that a search found.

use std::{collections::BTreeSet, time::Duration};

use super::{Config, Watchlist};
use crate::model::Name;

/// The streams to watch.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Discovered {
    /// The streams to watch, each once: those that the configuration names, then those found, in order.
    pub streams: Vec<Name>,
    /// How many more were found than the limit allows. It is approximate, since `SCAN` may return a key twice.
    pub dropped: usize,
    /// How many were found, without those that the configuration names. It is approximate if some are dropped.
    pub found: usize,
    /// Set if searches of the last hours found far more.
    pub fewer: Option<Fewer>,
}

/// A search that finds less than half of what earlier ones found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fewer {
    /// How many it found, without those that the configuration names.
    pub found: usize,
    /// The most that a search found within the window.
    pub before: usize,
    /// The window.
    pub within: Duration,
}

impl Discovered {
    /// The streams that are known without a search: those that the configuration names.
    #[must_use]
    pub fn named(config: &Config) -> Self {
        Self::bounded(config, BTreeSet::new(), 0)
    }

    /// The streams to read, each with its rule, and beside them the dead letters of those whose rule sets entries aside. The configuration
    /// may be newer than the search: it decides which of the streams found are watched.
    #[must_use]
    pub fn watchlist(&self, config: &Config) -> Watchlist {
        let is_found = |stream: &&Name| config.watches(stream) && !config.expects(stream);
        let found = self.streams.iter().filter(is_found).cloned().collect();
        Watchlist::with_dead_letters(config, Self::bounded(config, found, 0).streams)
    }

    /// Named streams and those found beside them, as many as the limit allows.
    pub(crate) fn bounded(config: &Config, found: BTreeSet<Name>, already_dropped: usize) -> Self {
        let named: BTreeSet<&Name> = config.named_streams().collect();
        let of_search = found.len() + already_dropped;
        let mut streams: Vec<Name> = named.into_iter().cloned().chain(found).collect();
        let dropped = already_dropped + streams.len().saturating_sub(config.limits.streams);
        streams.truncate(config.limits.streams);
        Self { streams, dropped, found: of_search, fewer: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::test_config::config;

    /// The streams to read, and whether each is expected.
    fn read(discovered: &Discovered, config: &Config) -> Vec<(Name, bool)> {
        let list = discovered.watchlist(config);
        list.iter().map(|watched| (watched.name.clone(), watched.is_expected)).collect()
    }

    #[test]
    fn named_streams_come_first_and_the_limit_holds() {
        let config = config("limits: {streams: 3}\nstreams: [{match: z}, {match: '*'}]\nexclude: [b]");
        let found = ["a", "c", "d"].into_iter().map(Name::from).collect();
        let discovered = Discovered::bounded(&config, found, 0);
        assert_eq!(discovered.streams, ["z", "a", "c"].map(Name::from));
        assert_eq!(discovered.dropped, 1);
        assert_eq!(read(&discovered, &config), ["a", "c", "z"].map(|name| (name.into(), name == "z")));
        assert!(!config.watches(&Name::from("b")));
    }

    #[test]
    fn a_configuration_that_is_newer_than_the_search_has_its_own_streams_read() {
        let found = ["a", "c"].into_iter().map(Name::from).collect();
        let before = config("streams: [{match: z}, {match: '*'}]");
        let discovered = Discovered::bounded(&before, found, 0);
        let after = config("streams: [{match: y}, {match: 'c*'}]");
        assert_eq!(read(&discovered, &after), [("c".into(), false), ("y".into(), true)]);
    }

    #[test]
    fn the_dead_letters_of_a_rule_are_read_beside_its_streams() {
        let rule = "dead_letter: {after_deliveries: 8, idle: 10m}";
        let config = config(&format!("exclude: ['dead:{{b}}']\nstreams: [{{match: '*', {rule}}}]"));
        let found = ["a", "b", "c}", "dead:{a}"].into_iter().map(Name::from).collect();
        let discovered = Discovered::bounded(&config, found, 0);
        assert_eq!(read(&discovered, &config), ["a", "b", "c}", "dead:{a}"].map(|name| (name.into(), false)));
        let found = ["a", "b"].into_iter().map(Name::from).collect();
        let discovered = Discovered::bounded(&config, found, 0);
        assert_eq!(read(&discovered, &config), ["a", "b", "dead:{a}"].map(|name| (name.into(), false)));
    }
}
