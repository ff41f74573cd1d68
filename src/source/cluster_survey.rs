//! Asks each primary of a cluster once, for `doctor`: whether it can be reached at the address that it announces, and what the user
//! may do there.

use std::{collections::BTreeSet, time::Duration};

use futures_util::future::join_all;
use tokio::time::timeout;

use super::{
    Link,
    examine::rights,
    nodes::describe,
    topology::{Primary, Topology},
};
use crate::{
    config::Config,
    model::{
        ClusterFacts, Failure, Name, Need, NodeAddress, PrimaryFacts, Reason, Rights, SeedFacts, Slot,
        SlotRanges,
    },
};

/// How long a node may take to accept a connection. `doctor` asks once, and all nodes at the same time.
const PATIENCE: Duration = Duration::from_secs(3);

/// What to ask each node.
#[derive(Clone, Copy)]
pub(crate) struct ClusterSurvey<'a> {
    pub(crate) config: &'a Config,
    /// The user whose permissions are tested.
    pub(crate) user: &'a str,
    /// Whether it is the one that is logged in.
    pub(crate) is_own: bool,
    pub(crate) needs: &'a [Need],
    pub(crate) streams: &'a [Name],
}

impl ClusterSurvey<'_> {
    /// Asks the cluster that the server on this link is part of; `None` for a server that is not in cluster mode.
    ///
    /// # Errors
    /// Why the server does not describe its cluster.
    pub(crate) async fn of_cluster(self, mut link: Link) -> Result<Option<ClusterFacts>, Failure> {
        let Some(topology) = describe(&mut link, self.config).await? else { return Ok(None) };
        let primaries = topology.primaries().iter().map(|primary| self.primary(&link, primary));
        let seeds = self.config.redis.nodes.iter().map(|seed| self.seed(&link, seed, &topology));
        let (primaries, seeds) = (join_all(primaries).await, join_all(seeds).await);
        let unserved: SlotRanges = Slot::all().filter(|slot| !topology.is_served(*slot)).collect();
        Ok(Some(ClusterFacts { unserved, primaries, seeds }))
    }

    async fn primary(self, link: &Link, primary: &Primary) -> PrimaryFacts {
        let mut link = link.to_node(primary.address.clone());
        let rights = self.rights(&mut link).await;
        PrimaryFacts { address: primary.address.clone(), replicas: primary.replicas.len(), rights }
    }

    async fn rights(self, link: &mut Link) -> Result<Rights, Failure> {
        let session = within(link.session(&self.config.redis)).await?;
        Ok(rights(session, self.user, self.is_own, self.needs, self.streams).await)
    }

    /// A node of `redis.nodes`.
    async fn seed(self, link: &Link, seed: &NodeAddress, topology: &Topology) -> (NodeAddress, SeedFacts) {
        let mut link = link.to_node(seed.clone());
        let ids = |topology: &Topology| -> BTreeSet<_> {
            topology.primaries().iter().map(|primary| primary.id.clone()).collect()
        };
        let facts = match within(describe(&mut link, self.config)).await {
            Err(failure) => SeedFacts::Failed(failure),
            Ok(None) => SeedFacts::NoCluster,
            // Two descriptions of one cluster share a node, except for one that has replaced all of its primaries in between.
            Ok(Some(other)) if ids(&other).is_disjoint(&ids(topology)) => SeedFacts::OtherCluster,
            Ok(Some(_)) => SeedFacts::Same,
        };
        (seed.clone(), facts)
    }
}

async fn within<T>(answer: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let late = |_elapsed| Failure::new(Reason::Timeout, format!("no connection within {PATIENCE:?}"));
    timeout(PATIENCE, answer).await.map_err(late)?
}
