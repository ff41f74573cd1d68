//! Reads all streams: of the only server, or of each primary of a cluster at the same time.
//!
//! Each primary has its own connection, its own time and its own failures. A node that does not answer costs its own streams
//! only. If a node says that a stream is on another one, that one is asked in the same poll, and the topology is read again
//! before the next.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use futures_util::future::join_all;
use tokio::time::{sleep, timeout};

use super::{
    Link,
    copies::{Copies, Wanted},
    merge::Merge,
    nodes::{Arranged, Cluster, Member, Nodes, PATIENCE, PerNode},
    redirect::RedirectKind,
    redirected::{RedirectedReading, RedirectedStream},
};
use crate::{
    clock,
    config::{self, Config, ReadFrom, Watched, Watchlist},
    model::{
        Answers, ClusterState, Failure, Name, NameMap, Origin, Question, Reason, Slot, SlotRanges, Snapshot,
        StreamState,
    },
};

/// Redirections that are followed for one stream in one poll.
const MOST_REDIRECTIONS: u32 = 5;
/// While a slot is handed over, both nodes may say for a moment that it is on the other one. The pause grows by this with each
/// redirection.
const HANDOVER: Duration = Duration::from_millis(20);

/// Reads all streams, with connections of its own.
pub struct Observer {
    nodes: Nodes<Copies>,
    /// Whether replicas may be read, if the configuration prefers them.
    may_read_replicas: bool,
    /// The streams that were last read from another node than their slot's owner.
    elsewhere: BTreeMap<Name, usize>,
    /// Whether nodes without any of the streams are not asked.
    asks_owners_only: bool,
}

impl Observer {
    /// An observer that connects at its first reading.
    #[must_use]
    pub fn new(link: Link) -> Self {
        Self {
            nodes: Nodes::new(link),
            may_read_replicas: false,
            elsewhere: BTreeMap::new(),
            asks_owners_only: false,
        }
    }

    /// The same where only the streams matter, and not the nodes of a cluster that have none of them.
    #[must_use]
    pub fn asking_owners_only(self) -> Self {
        Self { asks_owners_only: true, ..self }
    }

    /// The same for an observer that reads replicas where `redis.read_from` prefers them. Nothing may be removed by its readings.
    #[must_use]
    pub fn of_replicas(self) -> Self {
        Self { may_read_replicas: true, ..self }
    }

    /// Reads these streams. Not cancel-safe: a caller that gives up must [`reconnect`](Self::reconnect).
    ///
    /// # Errors
    /// Where no server answered. What failed for one stream or one node only is in the snapshot.
    pub async fn observe(&mut self, config: &Config, watchlist: &Watchlist) -> Result<Snapshot, Failure> {
        self.elsewhere.clear();
        let reads_replicas = self.may_read_replicas && config.redis.read_from == ReadFrom::ReplicaPreferred;
        let wanted = if reads_replicas { Wanted::OfPrimary } else { Wanted::None };
        if let Arranged::Plain(node) = self.nodes.arrange(config).await? {
            let snapshot = node.observe(config, watchlist, wanted).await?;
            if config.redis.cluster == config::Cluster::Off || !snapshot.server().is_of_cluster() {
                return Ok(snapshot);
            }
            // The address leads to a cluster now.
            self.nodes.forget();
        }
        match self.nodes.arrange(config).await? {
            Arranged::Plain(node) => node.observe(config, watchlist, wanted).await,
            Arranged::Cluster(cluster) => {
                let asks_owners_only = self.asks_owners_only;
                let elsewhere = &mut self.elsewhere;
                let reading =
                    ClusterReading { config, watchlist, reads_replicas, elsewhere, asks_owners_only };
                reading.read(cluster).await
            }
        }
    }

    /// Asks the questions that the reading left open. Not cancel-safe, like [`observe`](Self::observe).
    ///
    /// # Errors
    /// As [`observe`](Self::observe). Answers are missing for a group whose command or whose node fails, and for all groups of a
    /// node once another server answers than the one of the reading.
    pub async fn ask(&mut self, config: &Config, questions: &[Question]) -> Result<Answers, Failure> {
        match self.nodes.arranged() {
            Arranged::Plain(node) => Ok(node.ask(config, questions).await?.into_iter().collect()),
            Arranged::Cluster(cluster) => {
                let parts = parts(cluster, &self.elsewhere, questions, |question| &question.stream);
                let asked = cluster.members.iter_mut().zip(&parts).map(async |(member, part)| {
                    if part.is_empty() {
                        Vec::new()
                    } else {
                        member.node.ask(config, part).await.unwrap_or_default()
                    }
                });
                Ok(join_all(asked).await.into_iter().flatten().collect())
            }
        }
    }

    /// Reads some streams between two polls. `None` if the server may be another one than that of the last reading. A stream
    /// that cannot be read is missing and not tried again. Not cancel-safe, like [`observe`](Self::observe).
    ///
    /// # Errors
    /// As [`observe`](Self::observe).
    pub async fn reread(
        &mut self,
        config: &Config,
        watchlist: &Watchlist,
    ) -> Result<Option<NameMap<StreamState>>, Failure> {
        match self.nodes.arranged() {
            Arranged::Plain(node) => node.reread(config, watchlist).await,
            Arranged::Cluster(cluster) => {
                let all: Vec<Watched> = watchlist.iter().cloned().collect();
                let parts = parts(cluster, &self.elsewhere, &all, |watched| &watched.name);
                let read = cluster.members.iter_mut().zip(parts).map(async |(member, part)| {
                    if part.is_empty() {
                        return None;
                    }
                    member.node.reread(config, &part.into_iter().collect()).await.ok().flatten()
                });
                let read = join_all(read).await.into_iter().flatten();
                Ok(Some(read.flat_map(NameMap::into_iter).collect()))
            }
        }
    }

    /// Returns once Sentinels name another primary, which the next reading is from. Never, if the address names no Sentinels.
    /// Cancel-safe.
    pub async fn primary_moves(&mut self, config: &Config) {
        match self.nodes.arranged() {
            Arranged::Plain(node) => node.link().primary_moves(&config.redis).await,
            Arranged::Cluster(_) => std::future::pending().await,
        }
    }

    /// Drops the connections, so that the next reading makes new ones.
    pub fn reconnect(&mut self) {
        self.nodes.disconnect();
    }
}

/// The part of each member of the cluster.
fn parts<T: Clone>(
    cluster: &Cluster<Copies>,
    elsewhere: &BTreeMap<Name, usize>,
    all: &[T],
    stream: impl Fn(&T) -> &Name,
) -> Vec<Vec<T>> {
    let mut parts = vec![Vec::new(); cluster.members.len()];
    for one in all {
        let name = stream(one);
        let owner = elsewhere.get(name).copied().or_else(|| cluster.owner(name.as_bytes()));
        if let Some(part) = owner.and_then(|owner| parts.get_mut(owner)) {
            part.push(one.clone());
        }
    }
    parts
}

/// One reading of a cluster.
struct ClusterReading<'a> {
    config: &'a Config,
    watchlist: &'a Watchlist,
    reads_replicas: bool,
    elsewhere: &'a mut BTreeMap<Name, usize>,
    asks_owners_only: bool,
}

impl ClusterReading<'_> {
    async fn read(mut self, cluster: &mut Cluster<Copies>) -> Result<Snapshot, Failure> {
        if cluster.members.is_empty() {
            cluster.doubt();
            let what = "CLUSTERDOWN no node of the cluster has slots; assign them with redis-cli --cluster create or fix";
            return Err(Failure::new(Reason::ClusterDown, what));
        }
        let mut merge = self.read_members(cluster).await;
        for round in 0..MOST_REDIRECTIONS {
            if !self.follow(cluster, &mut merge).await {
                break;
            }
            if merge.elsewhere().next().is_some() {
                sleep(HANDOVER * round).await;
            }
        }
        let in_circles = merge.end_redirections();
        match merge.failure() {
            Some(failure) => Err(whole(cluster, failure)),
            None => {
                let state = state(cluster, &in_circles);
                Ok(merge.end(self.watchlist, state, self.config.redis.place.as_deref()))
            }
        }
    }

    /// Asks each member for the streams of its slots, all at the same time.
    async fn read_members(&self, cluster: &mut Cluster<Copies>) -> Merge {
        // One alone delays no other.
        if let [alone] = cluster.members.as_mut_slice() {
            alone.patience = Duration::MAX;
        }
        let all: Vec<Watched> = self.watchlist.iter().cloned().collect();
        let (served, unserved): (Vec<_>, Vec<_>) =
            all.into_iter().partition(|watched| cluster.owner(watched.name.as_bytes()).is_some());
        let parts = parts(cluster, self.elsewhere, &served, |watched| &watched.name);
        let parts: Vec<Watchlist> = parts.into_iter().map(|part| part.into_iter().collect()).collect();
        let replicas = cluster.topology.primaries().iter().map(|primary| &*primary.replicas);
        let wanted = replicas.filter(|_| self.reads_replicas).map(Wanted::These);
        let wanted = wanted.chain(std::iter::repeat(Wanted::None));
        let failed: Vec<bool> = cluster.members.iter().map(|member| member.failing.is_some()).collect();
        let members = cluster.members.iter_mut().zip(&parts).zip(wanted);
        let mut read = join_all(members.map(async |((member, part), wanted)| {
            if self.asks_owners_only && part.is_empty() {
                return Err(Failure::new(Reason::Unreachable, "the node was not asked"));
            }
            member.observe(self.config, part, wanted).await
        }))
        .await;
        if cluster.members.iter().zip(failed).any(|(member, failed)| failed && member.failing.is_none()) {
            cluster.answers_again();
        }
        cluster.doubt_late(self.config, &mut read).await;
        let mut merge = Merge::default();
        for ((member, part), read) in cluster.members.iter().zip(&parts).zip(read) {
            let address = member.node.replica().unwrap_or(&member.address);
            merge.add(address, member.node.origin(), part, read);
        }
        merge.add_unserved(&unserved.into_iter().collect());
        // Some other node may have taken over its slots.
        if !cluster.topology.unowned().is_empty()
            || cluster.members.iter().any(|member| member.failing.is_some())
        {
            cluster.doubt();
        }
        merge
    }

    /// Asks for streams that are elsewhere where they are said to be. Returns whether there were any.
    async fn follow(&mut self, cluster: &mut Cluster<Copies>, merge: &mut Merge) -> bool {
        let (mut redirections, mut is_news) = (Vec::new(), false);
        for elsewhere in merge.elsewhere() {
            let Some(member) = cluster.members.get_mut(elsewhere.node) else { continue };
            let redirect = member.redirect(elsewhere.failure, self.config);
            is_news |= redirect.as_ref().is_some_and(|redirect| redirect.to != member.address);
            redirections
                .extend(redirect.zip(self.watchlist.get(elsewhere.name)).map(|to| (elsewhere.place, to)));
        }
        if redirections.is_empty() {
            return false;
        }
        if is_news {
            cluster.doubt();
        }
        let mut parts: Vec<(Vec<usize>, Vec<RedirectedStream<'_>>)> = Vec::new();
        for (place, (redirect, watched)) in redirections {
            // What is read of a replica is not mixed with what its primary says.
            let member = cluster.member_where(&redirect.to, |node| node.replica().is_none());
            parts.resize_with(parts.len().max(member + 1), Default::default);
            if let Some((places, streams)) = parts.get_mut(member) {
                places.push(place);
                streams.push(RedirectedStream { watched, asking: redirect.kind == RedirectKind::Ask });
            }
            self.elsewhere.insert(watched.name.clone(), member);
        }
        let members = cluster.members.iter_mut().zip(&parts).enumerate();
        let asked = members.map(async |(index, (member, (_, streams)))| {
            let read = member.read_redirected(self.config, streams, merge.origin(index));
            if streams.is_empty() { None } else { Some(read.await) }
        });
        let found = join_all(asked).await;
        for (index, ((member, (places, _)), found)) in
            cluster.members.iter().zip(&parts).zip(found).enumerate()
        {
            if let Some(found) = found {
                merge.redirected((index, &member.address), places, found);
            }
        }
        true
    }
}

impl Member<Copies> {
    /// Reads these streams, within the time of one node.
    async fn observe(
        &mut self,
        config: &Config,
        streams: &Watchlist,
        wanted: Wanted<'_>,
    ) -> Result<Snapshot, Failure> {
        self.node.link().set_patience(self.patience);
        let started = clock::now();
        let reading = async {
            // Its replica can be read whether or not it answers.
            if let Some(snapshot) = self.node.observe_replica(config, streams, wanted).await {
                return Ok(snapshot);
            }
            self.knock(config).await?;
            self.node.observe_primary(config, streams).await
        };
        // A node that takes longer makes the whole reading late.
        let read = timeout(config.poll.stale_after / 2, reading).await;
        let mut read = read.unwrap_or_else(|_elapsed| {
            self.node.disconnect();
            Err(Failure::new(Reason::Timeout, "the node took longer than half of poll.stale_after"))
        });
        // No reply takes longer than all of them took. Where one did, the next one may take longer still.
        self.patience = match &read {
            Ok(_) => PATIENCE.max(3 * (clock::now() - started)),
            Err(failure) if failure.reason == Reason::Timeout => self.patience.saturating_mul(2),
            Err(_) => self.patience,
        };
        if read.is_ok() {
            self.note_pace(clock::now() - started);
        }
        if self.node.replica().is_some()
            && let Ok(snapshot) = &mut read
        {
            self.leave_to_primary(snapshot);
        }
        self.note(&read);
        read.map_err(|failure| self.failing.clone().unwrap_or(failure))
    }

    /// A replica does not know that a key has been moved away, or is only about to arrive: its primary is asked.
    fn leave_to_primary(&self, snapshot: &mut Snapshot) {
        for (name, state) in snapshot.streams.iter_mut() {
            if state.as_ref().is_err_and(|failure| failure.reason == Reason::NoKey) {
                let what = format!(
                    "MOVED {} {} a replica has no such key",
                    Slot::of(name.as_bytes()).number(),
                    self.address
                );
                *state = Err(Failure::new(Reason::Moved, what));
            }
        }
    }

    async fn read_redirected(
        &mut self,
        config: &Config,
        streams: &[RedirectedStream<'_>],
        origin: Option<&Origin>,
    ) -> Result<RedirectedReading, Failure> {
        let found = match self.knock(config).await {
            Ok(()) => {
                let read = self.node.read_redirected(config, streams, origin);
                timeout(config.redis.command_timeout, read).await
            }
            Err(failure) => Ok(Err(failure)),
        };
        let found = found.unwrap_or_else(|_elapsed| {
            self.node.disconnect();
            Err(Failure::new(Reason::Timeout, "the node to which streams were redirected is too slow"))
        });
        self.note(&found);
        found.map_err(|failure| self.failing.clone().unwrap_or(failure))
    }
}

/// Why no node of the cluster could be read. If all refuse, the cause is not a node that refuses, but slots that no node serves.
fn whole(cluster: &Cluster<Copies>, failure: &Failure) -> Failure {
    if failure.reason != Reason::ClusterDown {
        return failure.clone();
    }
    let does_not_answer = |member: &Member<Copies>| {
        member.failing.as_ref().is_some_and(|failure| failure.reason != Reason::ClusterDown)
    };
    let answers = |slot: Slot| {
        let owner = cluster.topology.owner(slot).and_then(|owner| cluster.members.get(owner));
        owner.is_some_and(|member| !does_not_answer(member))
    };
    let is_served = |slot: Slot| cluster.topology.is_served(slot) && answers(slot);
    let unserved: SlotRanges = Slot::all().filter(|slot| !is_served(*slot)).collect();
    let which = if unserved.is_empty() {
        String::new()
    } else {
        format!(", since no node serves the slots {unserved}")
    };
    let what = format!("CLUSTERDOWN every node refuses{which}");
    Failure { since: failure.since, ..Failure::new(Reason::ClusterDown, what) }
}

/// `in_circles`: slots whose nodes redirect to each other, although the topology names an owner.
fn state(cluster: &Cluster<Copies>, in_circles: &BTreeSet<Slot>) -> ClusterState {
    let slots = |index: usize| cluster.topology.primaries().get(index).map_or(0, |primary| primary.slots);
    let is_served = |slot: &Slot| cluster.topology.is_served(*slot) && !in_circles.contains(slot);
    ClusterState {
        unserved_slots: Slot::all().filter(|slot| !is_served(slot)).count(),
        topology_age: clock::now() - cluster.read_at,
        slots: (0..cluster.members.len()).map(slots).collect(),
    }
}
