//! The servers that hold the data: the one at the configured address, or each primary of the cluster that it is part of.
//!
//! A plain server needs no more than before: whether it is part of a cluster is in the reply to `HELLO`. The primaries of a
//! cluster are read from one of its nodes, again at each `poll.discovery_interval`, and whenever an answer contradicts what is
//! known. Each primary has a link of its own, to the address that it announces.

use std::time::Duration;

use tokio::time::timeout;

use super::{
    Command, Link, announced::Seen, failure::no_reply, redirect::Redirect, resp::Reply, session::Session,
    topology::Topology,
};
use crate::{
    clock::{self, Instant},
    config::{self, Config},
    model::{Class, Failure, NodeAddress, Reason, Slot},
};

/// Nodes that are asked for the topology, one after another.
pub(super) const MOST_ASKED: usize = 3;

/// How long a node may take to answer, so that it delays no other: one that failed before, and one that answered faster.
pub(super) const PATIENCE: Duration = Duration::from_secs(1);

/// A node that answers so soon is not late, whatever it took before.
const SOON: Duration = Duration::from_millis(20);
/// One that takes so much longer than before stood still for long enough for its neighbours to replace it, where their patience is short.
pub(super) const STOOD_STILL: Duration = Duration::from_millis(500);

/// What is kept for each node, with its link.
pub(super) trait PerNode {
    fn new(link: Link) -> Self;
    fn link(&mut self) -> &mut Link;
    /// Drops all connections.
    fn disconnect(&mut self) {
        self.link().disconnect();
    }
}

impl PerNode for Link {
    fn new(link: Link) -> Self {
        link
    }

    fn link(&mut self) -> &mut Link {
        self
    }
}

/// The servers that hold the data.
pub(super) struct Nodes<T> {
    /// At the configured address.
    first: T,
    /// The configuration that the rest is about.
    redis: Option<config::Redis>,
    known: Known<T>,
}

enum Known<T> {
    Nothing,
    Plain,
    Cluster(Box<Cluster<T>>),
}

/// The servers, as they are known now.
pub(super) enum Arranged<'a, T> {
    /// The only server.
    Plain(&'a mut T),
    /// All primaries.
    Cluster(&'a mut Cluster<T>),
}

impl<T: PerNode> Nodes<T> {
    pub(super) fn new(link: Link) -> Self {
        Self { first: T::new(link), redis: None, known: Known::Nothing }
    }

    /// The servers. Connects to one of them if it is not known which there are, or if what is known of a cluster is old or in
    /// doubt. Not cancel-safe: a caller that gives up must [`disconnect`](Self::disconnect).
    ///
    /// # Errors
    /// No node answered, and nothing is known from before.
    pub(super) async fn arrange(&mut self, config: &Config) -> Result<Arranged<'_, T>, Failure> {
        if self.redis.as_ref() != Some(&config.redis) {
            self.redis = Some(config.redis.clone());
            self.known = Known::Nothing;
        }
        match &mut self.known {
            // The address may lead to a cluster now.
            Known::Plain
                if config.redis.cluster == config::Cluster::Auto && self.first.link().is_of_cluster() =>
            {
                self.known = find(&mut self.first, config).await?;
            }
            Known::Plain => {}
            Known::Cluster(cluster) if cluster.is_due(config) => {
                if cluster.read_again(&mut self.first, config).await {
                    self.known = Known::Plain;
                }
            }
            Known::Cluster(_) => {}
            Known::Nothing if config.redis.cluster == config::Cluster::Off => self.known = Known::Plain,
            Known::Nothing => self.known = find(&mut self.first, config).await?,
        }
        Ok(match &mut self.known {
            Known::Cluster(cluster) => Arranged::Cluster(cluster),
            Known::Plain | Known::Nothing => Arranged::Plain(&mut self.first),
        })
    }

    /// Forgets which servers there are.
    pub(super) fn forget(&mut self) {
        self.known = Known::Nothing;
    }

    /// The servers as of the last [`arrange`](Self::arrange).
    pub(super) fn arranged(&mut self) -> Arranged<'_, T> {
        match &mut self.known {
            Known::Cluster(cluster) => Arranged::Cluster(cluster),
            Known::Plain | Known::Nothing => Arranged::Plain(&mut self.first),
        }
    }

    /// Drops all connections.
    pub(super) fn disconnect(&mut self) {
        self.each(T::disconnect);
    }

    /// Does this with each server.
    pub(super) fn each(&mut self, mut act: impl FnMut(&mut T)) {
        act(&mut self.first);
        if let Known::Cluster(cluster) = &mut self.known {
            cluster.members.iter_mut().for_each(|member| act(&mut member.node));
        }
    }
}

/// Finds out which servers there are: from the server at the configured address, else from the first of `redis.nodes` that answers.
async fn find<T: PerNode>(first: &mut T, config: &Config) -> Result<Known<T>, Failure> {
    let failure = match describe(first.link(), config).await {
        Ok(None) => return Ok(Known::Plain),
        Ok(Some(topology)) => {
            // Each primary has a link of its own.
            first.link().disconnect();
            return Ok(Known::Cluster(Box::new(Cluster::new(first.link().another(), topology))));
        }
        Err(failure) => failure,
    };
    let mut useless = Vec::new();
    for node in &config.redis.nodes {
        let mut link = first.link().to_node(node.clone());
        useless.push(match describe(&mut link, config).await {
            Ok(Some(topology)) => return Ok(Known::Cluster(Box::new(Cluster::new(link, topology)))),
            Ok(None) => format!("{node} is not in cluster mode"),
            Err(failure) => failure.to_string(),
        });
    }
    if useless.is_empty() {
        return Err(failure);
    }
    let detail = format!("{}; nor is redis.nodes of use: {}", failure.detail, useless.join("; "));
    Err(Failure { since: failure.since, ..Failure::new(failure.reason, detail) })
}

/// The cluster, as the server on this link describes it; `None` for a server that is not in cluster mode.
pub(super) async fn describe(link: &mut Link, config: &Config) -> Result<Option<Topology>, Failure> {
    let result = match link.session(&config.redis).await {
        Ok(session) if session.is_of_cluster() => topology(session, config).await.map(Some),
        Ok(session) => session.has_streams().map(|()| None),
        Err(failure) => Err(failure),
    };
    link.after(&result);
    result
}

/// The same, within a time that delays no poll for long.
pub(super) async fn describe_in_time(link: &mut Link, config: &Config) -> Result<Option<Topology>, Failure> {
    timeout(PATIENCE, describe(link, config)).await.unwrap_or_else(|_elapsed| {
        link.disconnect();
        Err(Failure::new(Reason::Timeout, format!("no answer within {PATIENCE:?}")))
    })
}

/// The cluster, as the first of `redis.nodes` that answers describes it.
async fn from_seeds(link: Link, config: &Config) -> Option<Topology> {
    for node in config.redis.nodes.iter().take(MOST_ASKED) {
        let mut link = link.to_node(node.clone());
        if let Ok(Some(topology)) = describe_in_time(&mut link, config).await {
            return Some(topology);
        }
    }
    None
}

/// Asks a node which node has which slot.
async fn topology(session: &mut Session, config: &Config) -> Result<Topology, Failure> {
    let asked = session.node_address();
    let seen = Seen { asked: &asked, address_map: &config.redis.cluster_address_map };
    let is_tls = session.is_tls();
    let shards = match session.server.has_shards() {
        true => one(session, Command::ClusterShards)
            .await?
            .and_then(|reply| Topology::from_shards(&reply, &seen, is_tls)),
        false => Err(no_reply()),
    };
    if let Ok(topology) = &shards
        && topology.unowned().is_empty()
    {
        return shards;
    }
    let slots =
        one(session, Command::ClusterSlots).await?.and_then(|reply| Topology::from_slots(&reply, &seen));
    match (shards, slots) {
        (Ok(shards), Ok(slots)) => shards.completed_by(&slots),
        (Ok(topology), Err(_)) | (Err(_), Ok(topology)) => Ok(topology),
        (Err(_), Err(failure)) => Err(undescribed(failure)),
    }
}

/// Why the cluster is unknown, with the rule that is missing if the user may not ask.
fn undescribed(failure: Failure) -> Failure {
    if failure.reason != Reason::NoPermission {
        return failure;
    }
    let meaning = "a cluster needs +cluster|shards and +cluster|slots, which `streamwarden acl` prints";
    Failure::new(failure.reason, format!("{}; {meaning}", failure.detail))
}

async fn one(session: &mut Session, command: Command<'_>) -> Result<Result<Reply, Failure>, Failure> {
    Ok(session.send(&[command]).await?.pop().unwrap_or_else(|| Err(no_reply())))
}

/// The primaries of a cluster.
pub(super) struct Cluster<T> {
    pub(super) topology: Topology,
    pub(super) read_at: Instant,
    is_in_doubt: bool,
    /// When nobody described it.
    failed_at: Option<Instant>,
    /// The member that was asked for it first the last time.
    asked_first: usize,
    /// Makes the links to its nodes.
    pub(super) link: Link,
    /// One for each primary of the topology, in its order, then those that other nodes named since.
    pub(super) members: Vec<Member<T>>,
}

/// A node of a cluster.
pub(super) struct Member<T> {
    pub(super) address: NodeAddress,
    pub(super) node: T,
    /// Why it did not answer last time, with the time when that began.
    pub(super) failing: Option<Failure>,
    /// When it last did not answer.
    tried: Instant,
    /// How long its replies may take at the next reading, so that it delays no other node.
    pub(super) patience: Duration,
    pace: Pace,
    /// Whether it had failed before, or took much longer than before: it may have stood still, and others are to be asked.
    pub(super) is_late: bool,
}

/// How long the readings of a node take: the slowest of the last ones, of which each counts for less than the next. `None` before the first one.
#[derive(Debug, Default, Clone, Copy)]
struct Pace(Option<Duration>);

impl<T: PerNode> Cluster<T> {
    fn new(link: Link, topology: Topology) -> Self {
        let member = |address: &NodeAddress| Member::new(&link, address.clone());
        let members = topology.primaries().iter().map(|primary| member(&primary.address)).collect();
        let read_at = clock::now();
        Self { topology, read_at, is_in_doubt: false, failed_at: None, asked_first: 0, link, members }
    }

    /// Takes over a newer topology. Links to nodes that are still primaries are kept.
    fn adopt(&mut self, topology: Topology) {
        let mut before = std::mem::take(&mut self.members);
        let mut member =
            |address: &NodeAddress| match before.iter().position(|member| member.address == *address) {
                // Those that were named since are behind the others, and may have the address of one of them.
                Some(index) => before.remove(index),
                None => Member::new(&self.link, address.clone()),
            };
        self.members = topology.primaries().iter().map(|primary| member(&primary.address)).collect();
        (self.topology, self.read_at, self.is_in_doubt) = (topology, clock::now(), false);
    }

    fn is_due(&self, config: &Config) -> bool {
        let has_rested = self.failed_at.is_none_or(|failed_at| failed_at.elapsed() >= PATIENCE);
        has_rested && (self.is_in_doubt || self.read_at.elapsed() >= config.poll.discovery_interval)
    }

    /// An answer contradicts the topology, or a node does not answer.
    pub(super) const fn doubt(&mut self) {
        self.is_in_doubt = true;
    }

    /// A node that failed answers again. It may describe the cluster where nobody did a moment ago.
    pub(super) const fn answers_again(&mut self) {
        self.failed_at = None;
    }

    /// Reads the topology again, from the first node that answers. Otherwise keeps what is known. Returns whether the address leads to
    /// a plain server now.
    async fn read_again(&mut self, first: &mut T, config: &Config) -> bool {
        let (mut new, mut is_plain) = (None, false);
        // Each time from another one: what a node knows may be old.
        if !self.members.is_empty() {
            self.asked_first = (self.asked_first + 1) % self.members.len();
        }
        let failing: Vec<_> = self.members.iter().map(|member| member.failing.as_ref()).collect();
        for index in to_ask(&failing, self.asked_first) {
            let Some(member) = self.members.get_mut(index) else { continue };
            let described = describe_in_time(member.node.link(), config).await;
            if described.as_ref().is_err_and(|failure| failure.class() != Class::Object) {
                member.note(&described);
            }
            new = described.ok().flatten();
            if new.is_some() {
                break;
            }
        }
        if new.is_none() {
            let described = describe_in_time(first.link(), config).await;
            is_plain = matches!(described, Ok(None));
            new = described.ok().flatten();
        }
        if new.is_none() && !is_plain {
            new = from_seeds(self.link.another(), config).await;
        }
        if !is_plain {
            first.link().disconnect();
        }
        self.failed_at = new.is_none().then(clock::now);
        if let Some(topology) = new {
            self.adopt(topology);
        }
        is_plain
    }

    /// The member that owns the key's slot; `None` if no node serves it.
    pub(super) fn owner(&self, key: &[u8]) -> Option<usize> {
        self.topology.owner(Slot::of(key))
    }

    /// The member at this address, which another node named.
    pub(super) fn member_at(&mut self, address: &NodeAddress) -> usize {
        self.member_where(address, |_| true)
    }

    /// The same where the member must be fit.
    pub(super) fn member_where(&mut self, address: &NodeAddress, is_fit: impl Fn(&T) -> bool) -> usize {
        let is_it = |member: &Member<T>| member.address == *address && is_fit(&member.node);
        let known = self.members.iter().position(is_it);
        known.unwrap_or_else(|| {
            self.members.push(Member::new(&self.link, address.clone()));
            self.members.len() - 1
        })
    }
}

impl<T: PerNode> Member<T> {
    fn new(link: &Link, address: NodeAddress) -> Self {
        let node = T::new(link.to_node(address.clone()));
        // Nothing is known of it yet.
        let (tried, patience) = (clock::now(), Duration::MAX);
        Self { node, address, failing: None, tried, patience, pace: Pace::default(), is_late: false }
    }

    /// Notes how long a reading took. Call it before [`note`](Self::note).
    pub(super) fn note_pace(&mut self, took: Duration) {
        let is_slow = self.pace.note(took);
        self.is_late = self.failing.is_some() || is_slow;
    }

    /// Where this node redirects a command to, if its error says so.
    pub(super) fn redirect(&mut self, failure: &Failure, config: &Config) -> Option<Redirect> {
        let seen = Seen { asked: &self.address, address_map: &config.redis.cluster_address_map };
        let redirect = Redirect::of(failure, &seen)?;
        // A replica that leaves it to its primary does not redirect to another node.
        if redirect.to != self.address {
            self.node.link().recorder().redirected(failure.reason.as_str());
        }
        Some(redirect)
    }

    /// Connects to a node that failed before, within a time that delays no other node.
    ///
    /// # Errors
    /// It still does not answer.
    pub(super) async fn knock(&mut self, config: &Config) -> Result<(), Failure> {
        if self.failing.is_none() {
            return Ok(());
        }
        let link = self.node.link();
        // A connection over a long way takes its time.
        let patience = PATIENCE.max(3 * link.took()).min(config.redis.connect_timeout);
        match timeout(patience, link.session(&config.redis)).await {
            Ok(Ok(_session)) => Ok(()),
            Ok(Err(failure)) => Err(failure),
            Err(_elapsed) => {
                link.disconnect();
                Err(Failure::new(Reason::Timeout, format!("no connection within {patience:?}")))
            }
        }
    }

    /// Refuses a node that did not answer this recently.
    ///
    /// # Errors
    /// Why it did not answer.
    pub(super) fn rest(&self, rest: Duration) -> Result<(), Failure> {
        match &self.failing {
            Some(failure) if self.tried.elapsed() < rest => Err(failure.clone()),
            _ => Ok(()),
        }
    }

    /// Notes whether the node answered, and since when it does not.
    pub(super) fn note<R>(&mut self, result: &Result<R, Failure>) {
        if result.is_err() {
            self.tried = clock::now();
        }
        let before = self.failing.take().and_then(|failure| failure.since);
        self.failing = result.as_ref().err().map(|failure| {
            let since = failure.since.or(before).unwrap_or_else(clock::unix_time);
            Failure { since: Some(since), ..failure.clone() }
        });
    }
}

/// The nodes that are asked for the topology, in order, of nodes that failed like this: those that answer, from this place on, then those
/// that refuse all keys and know the cluster. While it is down no other node answers, and none may be left at the configured address.
fn to_ask(failing: &[Option<&Failure>], first: usize) -> Vec<usize> {
    let knows = |failure: &&Failure| {
        matches!(failure.reason, Reason::ClusterDown | Reason::MasterDown | Reason::ReplicaLinkDown)
    };
    let nodes = || failing.iter().enumerate().cycle().skip(first).take(failing.len());
    let answering = nodes().filter(|(_, failure)| failure.is_none());
    let refusing = nodes().filter(|(_, failure)| failure.as_ref().is_some_and(knows));
    answering.chain(refusing).map(|(index, _)| index).take(MOST_ASKED).collect()
}

impl Pace {
    /// Notes a reading, and returns whether it took so much longer than the last ones that the node may have stood still. However short
    /// it was, it may be the end of a long time, most of which was before the reading began.
    fn note(&mut self, took: Duration) -> bool {
        let Some(before) = self.0 else {
            self.0 = Some(took);
            return false;
        };
        let most = SOON.max(2 * before);
        // One that stood still for seconds is slow only by a little the next time, and a slow link soon has its own pace.
        self.0 = Some(took.min(most).max(before - before / 4));
        took > most
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_that_refuse_all_keys_are_asked_who_owns_them_after_those_that_answer() {
        use Reason::{ClusterDown, Loading, MasterDown, Refused, ReplicaLinkDown, Timeout};
        for (failing, first, expected) in [
            (&[][..], 0, &[][..]),
            (&[None, None, None], 0, &[0, 1, 2]),
            (&[None, None, None], 2, &[2, 0, 1]),
            (&[None, Some(Refused), None], 1, &[2, 0]),
            // Not all of many.
            (&[None; 9], 7, &[7, 8, 0]),
            // The cluster is down, since one of them is.
            (&[Some(Refused), Some(ClusterDown), Some(ClusterDown)], 0, &[1, 2]),
            (&[Some(ClusterDown), Some(Timeout), Some(ClusterDown)], 1, &[2, 0]),
            (&[Some(ClusterDown), None, Some(ClusterDown)], 2, &[1, 2, 0]),
            // Replicas of another primary by now.
            (&[Some(ReplicaLinkDown), Some(MasterDown)], 0, &[0, 1]),
            // It knows what it knew when it ended.
            (&[Some(Loading), Some(Refused)], 0, &[]),
        ] {
            let failures: Vec<_> =
                failing.iter().map(|reason| reason.map(|reason| Failure::new(reason, ""))).collect();
            let failures: Vec<_> = failures.iter().map(Option::as_ref).collect();
            assert_eq!(to_ask(&failures, first), expected, "{failing:?} {first}");
        }
    }

    #[test]
    fn a_node_that_took_much_longer_than_the_last_times_is_late() {
        for (took, expected) in [
            // Nothing is known of its pace, or it is as fast as before.
            (&[5_000][..], &[][..]),
            (&[1, 20], &[]),
            (&[100, 200], &[]),
            // Much longer than before.
            (&[1, 21], &[1]),
            (&[100, 201], &[1]),
            // The end of a time in which it stood still, soon after it was late by a little or by much.
            (&[5, 25, 5, 5, 200], &[1, 4]),
            (&[5, 5_000, 5, 5, 200], &[1, 4]),
            (&[5, 200, 200], &[1, 2]),
            // What was slow long ago is forgotten.
            (&[400, 5, 5, 5, 5, 5, 5, 200], &[7]),
            // On a slow link it is not late each time.
            (&[30, 70, 30, 70, 40, 30, 70, 60, 70, 30, 30, 60], &[1]),
            (&[5, 300, 310, 290, 300, 320, 300, 310], &[1, 2, 3, 4]),
        ] {
            let mut pace = Pace::default();
            let late = |(_, took): &(usize, &u64)| pace.note(Duration::from_millis(**took));
            let late: Vec<usize> = took.iter().enumerate().filter(late).map(|(index, _)| index).collect();
            assert_eq!(late, expected, "{took:?}");
        }
    }
}
