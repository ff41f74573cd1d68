//! Finds streams: `SCAN` in small steps, on a connection and at a pace of its own.

use std::{collections::BTreeSet, time::Duration};

use super::{Command, Link, failure::no_reply, reply, session::Session};
use crate::{
    clock,
    config::{Config, Discovered},
    model::Failure,
};

/// The search pauses this many times as long as a step took, so that it never takes more than a fifth of the server's
/// time, however many keys there are.
const REST_PER_STEP: u32 = 4;
/// The longest pause. A step that took longer waited for other clients.
const LONGEST_REST: Duration = Duration::from_millis(100);

/// The search, with its connection.
pub struct Discovery {
    link: Link,
}

impl Discovery {
    /// A search that connects at its first step.
    #[must_use]
    pub const fn new(link: Link) -> Self {
        Self { link }
    }

    /// Searches all keys once. Not cancel-safe: a caller that gives up must [`reconnect`](Self::reconnect).
    ///
    /// # Errors
    /// The first failure. What was found before it is dropped, since it may be any part of the whole.
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

    /// Drops the connection, so that the next search makes a new one.
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
            // Keeps the first names, so that each search watches the same streams.
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
