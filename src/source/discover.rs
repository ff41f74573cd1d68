//! Finding streams: `SCAN` in small steps, on a connection and a pace of its own.

use std::{collections::BTreeSet, time::Duration};

use super::{Command, Link, failure::no_reply, link::Session, reply};
use crate::{
    clock,
    config::{Config, Watchlist},
    model::{Failure, Name},
};

/// Between two steps the search rests this many times as long as the step took, so that it never has more than a
/// fifth of the server's time, however many keys there are.
const REST_PER_STEP: u32 = 4;
/// The longest rest; a step that took long was held up by others.
const LONGEST_REST: Duration = Duration::from_millis(100);

/// What there is to watch.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Discovered {
    /// The streams to watch, each once: those that the configuration names, then those found, in order.
    pub streams: Vec<Name>,
    /// How many more were found than the limit allows. `SCAN` may show a key twice, so about so many.
    pub dropped: usize,
    /// How many were found, without those that the configuration names; about so many, where some are dropped.
    pub found: usize,
}

impl Discovered {
    /// The streams that are known without looking: those that the configuration names.
    #[must_use]
    pub fn named(config: &Config) -> Self {
        Self::bounded(config, BTreeSet::new(), 0)
    }

    /// The streams to read, each with its rule, under a configuration that may be newer than the search: those that it names, and
    /// those found that it watches too.
    #[must_use]
    pub fn watchlist(&self, config: &Config) -> Watchlist {
        let is_found = |stream: &&Name| config.watches(stream) && !config.expects(stream);
        let found = self.streams.iter().filter(is_found).cloned().collect();
        Watchlist::new(config, Self::bounded(config, found, 0).streams)
    }

    /// Named streams and those found beside them, as many as the limit allows.
    fn bounded(config: &Config, found: BTreeSet<Name>, already_dropped: usize) -> Self {
        let named: BTreeSet<&Name> = config.named_streams().collect();
        let of_search = found.len() + already_dropped;
        let mut streams: Vec<Name> = named.into_iter().cloned().chain(found).collect();
        let dropped = already_dropped + streams.len().saturating_sub(config.limits.streams);
        streams.truncate(config.limits.streams);
        Self { streams, dropped, found: of_search }
    }
}

/// The search, with its connection.
pub struct Discovery {
    link: Link,
}

impl Discovery {
    /// A search that connects when it first looks.
    #[must_use]
    pub const fn new(link: Link) -> Self {
        Self { link }
    }

    /// Goes through the keys once. Not cancel-safe: a caller that gives up must [`reconnect`](Self::reconnect).
    ///
    /// # Errors
    /// The first failure; what was found until then is worth nothing, since it may be any part of the whole.
    pub async fn search(&mut self, config: &Config) -> Result<Discovered, Failure> {
        if !config.needs_discovery() {
            return Ok(Discovered::named(config));
        }
        self.link.look_for_primary();
        let mut result = self.scan(config).await;
        if self.link.after(&result) {
            result = self.scan(config).await;
            self.link.after(&result);
        }
        result
    }

    /// Lets the connection go, so that the next search makes a new one.
    pub fn reconnect(&mut self) {
        self.link.disconnect();
    }

    async fn scan(&mut self, config: &Config) -> Result<Discovered, Failure> {
        scan(self.link.session(&config.redis).await?, config).await
    }
}

async fn scan(session: &mut Session, config: &Config) -> Result<Discovered, Failure> {
    session.has_streams()?;
    let (mut found, mut dropped, mut cursor) = (BTreeSet::new(), 0, 0);
    let mut role = session.role_question();
    loop {
        let started = clock::now();
        let commands: Vec<_> = role.into_iter().chain([Command::Scan(cursor)]).collect();
        let mut replies = session.send(&commands).await?.into_iter();
        if role.take().is_some() {
            session.note_role(&mut replies)?;
            session.may_be_read(&config.redis)?;
        }
        let page = replies.next().unwrap_or_else(|| Err(no_reply()))?;
        let (next, keys) = reply::scan_page(&page)?;
        for key in keys.into_iter().filter(|key| config.watches(key) && !config.expects(key)) {
            found.insert(key);
            // The smallest names stay, so that the same streams are watched after each search.
            if found.len() > config.limits.streams {
                found.pop_last();
                dropped += 1;
            }
        }
        cursor = next;
        if cursor == 0 {
            return Ok(Discovered::bounded(config, found, dropped));
        }
        let rest = (clock::now() - started).saturating_mul(REST_PER_STEP);
        tokio::time::sleep(rest.min(LONGEST_REST)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Sources;

    fn config(yaml: &str) -> Config {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), yaml).unwrap();
        Sources { file: Some(file.path().to_owned()), ..Sources::default() }.load().unwrap()
    }

    /// The streams to read, and whether each is expected.
    fn read(discovered: &Discovered, config: &Config) -> Vec<(Name, bool)> {
        let list = discovered.watchlist(config);
        list.iter().map(|watched| (watched.name.clone(), watched.is_expected)).collect()
    }

    #[test]
    fn named_streams_come_first_and_the_limit_holds() {
        let config = config(
            "{redis: {uri: 'redis://h'}, limits: {streams: 3}, streams: [{match: z}, {match: '*'}], exclude: [b]}",
        );
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
        let before = config("{redis: {uri: 'redis://h'}, streams: [{match: z}, {match: '*'}]}");
        let discovered = Discovered::bounded(&before, found, 0);
        let after = config("{redis: {uri: 'redis://h'}, streams: [{match: y}, {match: 'c*'}]}");
        assert_eq!(read(&discovered, &after), [("c".into(), false), ("y".into(), true)]);
    }
}
