//! Finds streams: `SCAN` in small steps, on a connection and at a pace of its own.

use std::{collections::BTreeSet, time::Duration};

use futures_util::future::join_all;

use super::{
    Command, Link,
    failure::no_reply,
    nodes::{Arranged, Cluster, Member, Nodes, PerNode},
    reply,
    session::Session,
};
use crate::{
    clock,
    config::{Config, Discovered},
    model::{Failure, Name, NodeAddress},
};

/// The search pauses this many times as long as a step took, so that it never takes more than a fifth of the server's
/// time, however many keys there are.
const REST_PER_STEP: u32 = 4;
/// The longest pause. A step that took longer waited for other clients.
const LONGEST_REST: Duration = Duration::from_millis(100);

/// The search, with its connections.
pub struct Discovery {
    nodes: Nodes<Search>,
    /// The streams that the last search of a cluster found.
    last: BTreeSet<Name>,
}

/// The search on one server.
struct Search {
    link: Link,
    /// What was found last. In a cluster it stands in for a node that fails, since its streams still exist.
    found: Found,
}

/// What a search found.
#[derive(Debug, Clone, Default)]
struct Found {
    streams: BTreeSet<Name>,
    /// How many more there were than the limit allows.
    dropped: usize,
}

impl Found {
    /// Adds a stream. Keeps the first names, so that each search watches the same streams.
    fn add(&mut self, stream: Name, limit: usize) {
        self.streams.insert(stream);
        if self.streams.len() > limit {
            self.streams.pop_last();
            self.dropped += 1;
        }
    }
}

impl PerNode for Search {
    fn new(link: Link) -> Self {
        Self { link, found: Found::default() }
    }

    fn link(&mut self) -> &mut Link {
        &mut self.link
    }
}

impl Discovery {
    /// A search that connects at its first step.
    #[must_use]
    pub fn new(link: Link) -> Self {
        Self { nodes: Nodes::new(link), last: BTreeSet::new() }
    }

    /// Searches all keys once, those of a cluster on all primaries at the same time. Not cancel-safe: a caller that gives up must
    /// [`reconnect`](Self::reconnect).
    ///
    /// # Errors
    /// The first failure, in a cluster if no node answers. What was found before it is dropped, since it may be any part of the
    /// whole.
    pub async fn search(&mut self, config: &Config) -> Result<Discovered, Failure> {
        if !config.needs_discovery() {
            return Ok(Discovered::named(config));
        }
        let found = match self.nodes.arrange(config).await? {
            Arranged::Plain(search) => {
                self.last.clear();
                search.search(config).await?
            }
            Arranged::Cluster(cluster) => {
                let (found, is_whole) = of_cluster(cluster, config).await?;
                let mut all = found.clone();
                self.last.iter().for_each(|stream| all.add(stream.clone(), config.limits.streams));
                // A key that moves from node to node may be missed on both. Only a second search shows that it is gone, and only if
                // all nodes answer.
                self.last = if is_whole { found.streams } else { all.streams.clone() };
                all
            }
        };
        Ok(Discovered::bounded(config, found.streams, found.dropped))
    }

    /// The nodes of a cluster that did not answer the last search, and why: it may lack their streams.
    pub fn unanswered(&mut self) -> Vec<(NodeAddress, Failure)> {
        match self.nodes.arranged() {
            Arranged::Plain(_) => Vec::new(),
            Arranged::Cluster(cluster) => {
                let failing =
                    |member: &Member<Search>| Some((member.address.clone(), member.failing.clone()?));
                cluster.members.iter().filter_map(failing).collect()
            }
        }
    }

    /// Drops the connection, so that the next search makes a new one.
    pub fn reconnect(&mut self) {
        self.nodes.disconnect();
    }
}

/// Searches all primaries, and returns whether all of them answered, for all slots.
async fn of_cluster(cluster: &mut Cluster<Search>, config: &Config) -> Result<(Found, bool), Failure> {
    let searched = join_all(cluster.members.iter_mut().map(|member| member.search(config))).await;
    // Redis 8.6 does not list the keys of a slot that no node serves.
    let is_whole = searched.iter().all(Result::is_ok) && cluster.topology.unowned().is_empty();
    if !is_whole {
        cluster.doubt();
    }
    if !searched.iter().any(Result::is_ok)
        && let Some(Err(failure)) = searched.into_iter().next()
    {
        return Err(failure);
    }
    let mut all = Found::default();
    for Search { found, .. } in cluster.members.iter().map(|member| &member.node) {
        all.dropped += found.dropped;
        // During a migration a key may be on two nodes.
        found.streams.iter().for_each(|stream| all.add(stream.clone(), config.limits.streams));
    }
    Ok((all, is_whole))
}

impl Member<Search> {
    async fn search(&mut self, config: &Config) -> Result<(), Failure> {
        let searched = match self.knock(config).await {
            Ok(()) => self.node.search(config).await,
            Err(failure) => Err(failure),
        };
        self.note(&searched);
        self.node.found = searched?;
        Ok(())
    }
}

impl Search {
    async fn search(&mut self, config: &Config) -> Result<Found, Failure> {
        self.link.look_for_primary(&config.redis).await;
        let mut result = self.scan(config).await;
        if self.link.after(&result) {
            result = self.scan(config).await;
            self.link.after(&result);
        }
        result
    }

    async fn scan(&mut self, config: &Config) -> Result<Found, Failure> {
        scan(self.link.session(&config.redis).await?, config).await
    }
}

async fn scan(session: &mut Session, config: &Config) -> Result<Found, Failure> {
    session.has_streams()?;
    let (mut found, mut cursor) = (Found::default(), 0);
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
            found.add(key, config.limits.streams);
        }
        cursor = next;
        if cursor == 0 {
            return Ok(found);
        }
        let rest = (clock::now() - started).saturating_mul(REST_PER_STEP);
        tokio::time::sleep(rest.min(LONGEST_REST)).await;
    }
}
