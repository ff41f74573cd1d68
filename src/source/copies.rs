//! A primary and its replicas, of which one is read where `redis.read_from` is `replica-preferred`.
//!
//! A primary says which replicas it has: in its reply to `ROLE`, or the cluster does. A replica is read while it follows its
//! primary. If none can be, the primary is read in the same poll, and the replica is left alone for `poll.discovery_interval`.

use std::{collections::BTreeMap, time::Duration};

use tokio::time::timeout;
use tracing::{info, warn};

use super::{
    Command, Link,
    failure::no_reply,
    node_observer::NodeObserver,
    nodes::{PATIENCE, PerNode},
    redirected::{RedirectedReading, RedirectedStream},
    reply,
};
use crate::{
    clock::{self, Instant},
    config::{Config, Watchlist},
    model::{
        Failure, Finding, Name, NameMap, NodeAddress, Origin, PrimaryLink, Question, Reason, Role, Snapshot,
        StreamState,
    },
};

/// Replicas that are tried in one poll, so that it still has time for the primary.
const MOST_TRIED: usize = 2;

/// Which replicas may be read in place of the primary.
#[derive(Clone, Copy)]
pub(super) enum Wanted<'a> {
    None,
    /// Those that the primary names.
    OfPrimary,
    /// These, of a primary in a cluster.
    These(&'a [NodeAddress]),
}

/// A primary and its replicas.
pub(super) struct Copies {
    primary: NodeObserver,
    /// The replica that is read, or was read last.
    replica: Option<Replica>,
    /// Whether the last reading was of the replica.
    is_of_replica: bool,
    named: Named,
    /// Replicas that could not be read, and when.
    failed: BTreeMap<NodeAddress, Instant>,
    has_warned: bool,
}

struct Replica {
    address: NodeAddress,
    node: NodeObserver,
    /// How long its replies may take at the next reading, so that one that stands still leaves the others their time.
    patience: Duration,
}

/// What the primary said of itself.
#[derive(Default)]
struct Named {
    replicas: Vec<NodeAddress>,
    /// When it was asked, or refused to answer; `None` if it is to be asked again.
    at: Option<Instant>,
    /// Its data set, which a replica has too.
    source: String,
}

impl PerNode for Copies {
    fn new(link: Link) -> Self {
        Self {
            primary: NodeObserver::new(link),
            replica: None,
            is_of_replica: false,
            named: Named::default(),
            failed: BTreeMap::new(),
            has_warned: false,
        }
    }

    fn link(&mut self) -> &mut Link {
        self.primary.link()
    }

    fn disconnect(&mut self) {
        self.primary.link.disconnect();
        self.replica.iter_mut().for_each(|replica| replica.node.link.disconnect());
    }
}

impl Copies {
    /// Reads these streams, of a replica if one is wanted and up. Not cancel-safe: a caller that gives up must disconnect.
    ///
    /// # Errors
    /// As [`NodeObserver::observe`].
    pub(super) async fn observe(
        &mut self,
        config: &Config,
        watchlist: &Watchlist,
        wanted: Wanted<'_>,
    ) -> Result<Snapshot, Failure> {
        match self.observe_replica(config, watchlist, wanted).await {
            Some(snapshot) => Ok(snapshot),
            None => self.observe_primary(config, watchlist).await,
        }
    }

    /// Reads these streams of a replica; `None` if none is wanted or up: the primary is to be read. Not cancel-safe, like
    /// [`observe`](Self::observe).
    pub(super) async fn observe_replica(
        &mut self,
        config: &Config,
        watchlist: &Watchlist,
        wanted: Wanted<'_>,
    ) -> Option<Snapshot> {
        let snapshot = self.try_replicas(config, watchlist, wanted).await;
        self.is_of_replica = snapshot.is_some();
        snapshot
    }

    /// Reads these streams of the primary. Not cancel-safe, like [`observe`](Self::observe).
    ///
    /// # Errors
    /// As [`NodeObserver::observe`].
    pub(super) async fn observe_primary(
        &mut self,
        config: &Config,
        watchlist: &Watchlist,
    ) -> Result<Snapshot, Failure> {
        self.primary.observe(config, watchlist).await
    }

    async fn try_replicas(
        &mut self,
        config: &Config,
        watchlist: &Watchlist,
        wanted: Wanted<'_>,
    ) -> Option<Snapshot> {
        let replicas = match wanted {
            Wanted::None => {
                self.replica = None;
                return None;
            }
            Wanted::OfPrimary => {
                self.ask_primary(config).await;
                self.named.replicas.clone()
            }
            Wanted::These(replicas) => replicas.to_vec(),
        };
        self.failed.retain(|_, at| at.elapsed() < config.poll.discovery_interval);
        self.replica.take_if(|replica| !replicas.contains(&replica.address));
        // The primary must still have its turn.
        let until = clock::now() + config.poll.stale_after / 4;
        for tries in (1..=MOST_TRIED).rev() {
            let fit = replicas.iter().filter(|address| !self.failed.contains_key(address)).count();
            let share = u32::try_from(fit.clamp(1, tries)).unwrap_or(1);
            let time = until.saturating_duration_since(clock::now()) / share;
            let replica = match self.replica.take() {
                Some(replica) => replica,
                None => self.another(&replicas)?,
            };
            match self.try_replica(config, watchlist, replica, time).await {
                Ok(snapshot) => return Some(snapshot),
                Err((address, failure)) => self.note(address, &failure),
            }
        }
        None
    }

    /// Any replica that has not just failed: sidecars share them out.
    fn another(&self, replicas: &[NodeAddress]) -> Option<Replica> {
        let fit: Vec<_> = replicas.iter().filter(|address| !self.failed.contains_key(address)).collect();
        let address = fit.get(fastrand::usize(..fit.len().max(1)))?;
        let node = NodeObserver::new(self.primary.link.to_replica((*address).clone()));
        Some(Replica { address: (*address).clone(), node, patience: Duration::MAX })
    }

    async fn try_replica(
        &mut self,
        config: &Config,
        watchlist: &Watchlist,
        mut replica: Replica,
        time: Duration,
    ) -> Result<Snapshot, (NodeAddress, Failure)> {
        replica.node.link.set_patience(replica.patience);
        let started = clock::now();
        let read = timeout(time, replica.node.observe(config, watchlist)).await;
        let late = |_elapsed| {
            let what = "it took longer than the share of a replica of poll.stale_after";
            Failure::new(Reason::Timeout, what)
        };
        let read = read.map_err(late).flatten().and_then(|snapshot| match snapshot.server().role {
            Some(Role::Replica(PrimaryLink::Up)) => Ok(snapshot),
            Some(Role::Replica(_)) => Err(Failure::new(
                Reason::ReplicaLinkDown,
                "whether it follows its primary is unknown: permit +role or +info",
            )),
            Some(Role::Primary) | None => Err(Failure::new(Reason::RoleChanged, "it is not a replica")),
        });
        match read {
            Ok(snapshot) => {
                if std::mem::take(&mut self.has_warned) {
                    info!(replica = %replica.address, "reading from a replica again");
                }
                replica.patience = PATIENCE.max(3 * (clock::now() - started));
                self.replica = Some(replica);
                let source = self.named.source.clone();
                let source = if source.is_empty() { snapshot.source } else { source };
                Ok(Snapshot { source, ..snapshot })
            }
            Err(failure) => Err((replica.address, failure)),
        }
    }

    fn note(&mut self, address: NodeAddress, failure: &Failure) {
        if !std::mem::replace(&mut self.has_warned, true) {
            warn!(replica = %address, %failure, "a replica can't be read, so redis.read_from: replica-preferred reads another one or the primary");
        }
        self.failed.insert(address, clock::now());
        self.named.at = None;
    }

    /// Asks the primary for its replicas, at each `poll.discovery_interval`. What it said last holds while it does not answer.
    async fn ask_primary(&mut self, config: &Config) {
        if self.named.at.is_some_and(|at| at.elapsed() < config.poll.discovery_interval) {
            return;
        }
        let link = &mut self.primary.link;
        link.look_for_primary(&config.redis).await;
        // A primary that stands still must leave its replicas their time.
        let patience = PATIENCE.max(3 * link.took()).min(config.redis.connect_timeout);
        let asked = timeout(patience, replicas_of(link, config)).await;
        let asked = asked.unwrap_or_else(|_elapsed| {
            Err(Failure::new(Reason::Timeout, format!("no answer within {patience:?}")))
        });
        link.after(&asked);
        match asked {
            Ok((source, replicas)) => {
                self.named = Named { source, replicas, at: Some(clock::now()) };
            }
            Err(failure) => {
                // It would refuse at the next poll too.
                if failure.reason == Reason::NoPermission {
                    self.named.at = Some(clock::now());
                }
                if !std::mem::replace(&mut self.has_warned, true) {
                    warn!(%failure, "the primary does not name its replicas, which redis.read_from: replica-preferred reads");
                }
            }
        }
    }

    fn current(&mut self) -> &mut NodeObserver {
        match &mut self.replica {
            Some(replica) if self.is_of_replica => &mut replica.node,
            _ => &mut self.primary,
        }
    }

    /// The replica that the last reading was of.
    pub(super) fn replica(&self) -> Option<&NodeAddress> {
        self.replica.as_ref().filter(|_| self.is_of_replica).map(|replica| &replica.address)
    }

    /// Where the last reading came from.
    pub(super) fn origin(&self) -> &Origin {
        match &self.replica {
            Some(replica) if self.is_of_replica => &replica.node.origin,
            _ => &self.primary.origin,
        }
    }

    /// As [`NodeObserver::ask`], of the server of the last reading.
    pub(super) async fn ask(
        &mut self,
        config: &Config,
        questions: &[Question],
    ) -> Result<Vec<(Name, Name, Finding)>, Failure> {
        self.current().ask(config, questions).await
    }

    /// As [`NodeObserver::reread`], of the server of the last reading.
    pub(super) async fn reread(
        &mut self,
        config: &Config,
        watchlist: &Watchlist,
    ) -> Result<Option<NameMap<StreamState>>, Failure> {
        self.current().reread(config, watchlist).await
    }

    /// As [`NodeObserver::read_redirected`], of the primary: a redirection names a primary.
    pub(super) async fn read_redirected(
        &mut self,
        config: &Config,
        streams: &[RedirectedStream<'_>],
        origin: Option<&Origin>,
    ) -> Result<RedirectedReading, Failure> {
        self.primary.read_redirected(config, streams, origin).await
    }
}

/// The data set of the server on this link, and its replicas.
async fn replicas_of(link: &mut Link, config: &Config) -> Result<(String, Vec<NodeAddress>), Failure> {
    let session = link.session(&config.redis).await?;
    let reply = session.send(&[Command::Role]).await?.pop().unwrap_or_else(|| Err(no_reply()))?;
    Ok((session.source(), reply::replicas(&reply)?))
}
