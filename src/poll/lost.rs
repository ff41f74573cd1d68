//! Streams that a search no longer finds, until polls have shown what became of them. A search finds no key that is of another type
//! now, but its producers and groups fail: such a key stays in view until it is deleted or a stream again.

use std::collections::BTreeSet;

use crate::{
    config::{Config, Watchlist},
    model::{Name, Snapshot},
};

/// What the searches no longer find, as many as `limits.streams` leaves room for.
#[derive(Default)]
pub(super) struct Lost {
    names: BTreeSet<Name>,
    /// The last streams that searches found.
    found: Watchlist,
    /// Those of them for which another search was asked for.
    searched_again: Watchlist,
    /// The same with those that are lost; `None` without any, and until it is made after a change.
    both: Option<Watchlist>,
}

impl Lost {
    /// The streams to read: those that searches found, and those that the last of them lacked.
    pub(super) fn beside(&mut self, found: Watchlist, config: &Config) -> Watchlist {
        if !found.is_same(&self.found) {
            let before = std::mem::replace(&mut self.found, found);
            self.names.extend(before.iter().map(|watched| watched.name.clone()));
            self.names.retain(|name| self.found.get(name).is_none() && config.watches(name));
            let room = config.limits.streams.saturating_sub(self.found.len());
            while self.names.len() > room {
                self.names.pop_last();
            }
            self.both = None;
        }
        if self.names.is_empty() {
            return self.found.clone();
        }
        let all = || self.found.iter().map(|watched| &watched.name).chain(&self.names).cloned();
        self.both.get_or_insert_with(|| Watchlist::with_dead_letters(config, all())).clone()
    }

    /// Applies a reading: what it does not have is deleted, or not to be read by this user.
    pub(super) fn note(&mut self, snapshot: &Snapshot) {
        let before = self.names.len();
        self.names.retain(|name| snapshot.streams.contains_key(name));
        if self.names.len() < before {
            self.both = None;
        }
    }

    /// Whether a reading lacks more than half of what the last search found, so that the next search should not wait for its time. Once
    /// for each search: one that fails has its own pauses.
    pub(super) fn asks_to_search(&mut self, snapshot: &Snapshot) -> bool {
        let lacks_most = 2 * snapshot.streams.len() < self.found.len();
        let asks = lacks_most && !self.searched_again.is_same(&self.found);
        if asks {
            self.searched_again = self.found.clone();
        }
        asks
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        config::test_config::config,
        model::{Failure, Reason, StreamState, test_snapshot},
    };

    fn names(list: &Watchlist) -> Vec<String> {
        list.iter().map(|watched| watched.name.to_string()).collect()
    }

    #[test]
    fn a_reading_that_lacks_most_of_what_a_search_found_asks_once_for_another() {
        let config = config("");
        let list = || Watchlist::new(&config, ["a", "b", "c", "d"].map(Name::from));
        let read = |names: &[&str]| {
            let state = |name: &&str| (Name::from(*name), Ok(StreamState::of_length(1)));
            test_snapshot::snapshot(names.iter().map(state))
        };
        let mut lost = Lost::default();
        lost.beside(list(), &config);
        assert!(!lost.asks_to_search(&read(&["a", "b"])), "half are there");
        assert!(lost.asks_to_search(&read(&["a"])));
        assert!(!lost.asks_to_search(&read(&[])), "no search has ended since");
        lost.beside(list(), &config);
        assert!(lost.asks_to_search(&read(&["a"])));
    }

    #[test]
    fn what_a_search_lacks_is_read_until_a_reading_lacks_it_too_or_a_search_finds_it() {
        let config = config("limits: {streams: 4}\nexclude: [z]");
        let list = |names: &[&str]| Watchlist::new(&config, names.iter().map(|name| Name::from(*name)));
        let mut lost = Lost::default();
        assert_eq!(names(&lost.beside(list(&["a", "b", "c", "z"]), &config)), ["a", "b", "c", "z"]);
        let found = list(&["a"]);
        assert_eq!(names(&lost.beside(found.clone(), &config)), ["a", "b", "c"], "z is excluded");
        let of_type = || Err(Failure::new(Reason::WrongType, "words"));
        let one = |name: &str| (Name::from(name), Ok(StreamState::of_length(1)));
        lost.note(&test_snapshot::snapshot([one("a"), ("b".into(), of_type())]));
        assert_eq!(names(&lost.beside(found.clone(), &config)), ["a", "b"], "c is deleted");
        assert!(lost.beside(found.clone(), &config).is_same(&lost.beside(found, &config)));
        assert_eq!(names(&lost.beside(list(&["a", "b"]), &config)), ["a", "b"], "it is a stream again");
        assert_eq!(lost.names.len(), 0);
        assert_eq!(
            names(&lost.beside(list(&["k", "l", "m"]), &config)),
            ["a", "k", "l", "m"],
            "the limit holds"
        );
    }
}
