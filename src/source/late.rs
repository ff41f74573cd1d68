//! Nodes that answer late. A primary that stood still may have been replaced meanwhile. When it goes on, it first answers what it was
//! asked in between, with what it had then, and only then hears of its successor.

use futures_util::future::{join, join_all};

use super::{
    Link,
    copies::Copies,
    nodes::{Cluster, MOST_ASKED, Member, PerNode, describe_in_time},
    topology::Topology,
};
use crate::{
    config::Config,
    model::{Failure, Name, NodeAddress, Reason, Slot, Snapshot},
};

impl Cluster<Copies> {
    /// Leaves the streams of members that answered late to the nodes that own their slots by now. The replicas of such a member, one of
    /// which would be its successor, and some other members are asked. If none of them answers, it is believed.
    pub(super) async fn doubt_late(&mut self, config: &Config, read: &mut [Result<Snapshot, Failure>]) {
        let is_late = |(index, member): &(usize, &Member<Copies>)| {
            member.is_late && read.get(*index).is_some_and(Result::is_ok)
        };
        let late: Vec<usize> =
            self.members.iter().enumerate().filter(is_late).map(|(index, _)| index).collect();
        if late.is_empty() {
            return;
        }
        let topologies = self.described_by_others(config, &late).await;
        let mut is_news = false;
        for index in late {
            let (Some(member), Some(Ok(snapshot))) = (self.members.get(index), read.get_mut(index)) else {
                continue;
            };
            for (name, state) in snapshot.streams.iter_mut() {
                if let Some(owner) = other_owner(&topologies, name, &member.address) {
                    *state = Err(replaced(name, owner));
                    is_news = true;
                }
            }
        }
        if is_news {
            self.doubt();
        }
    }

    /// The cluster as the replicas of these members, and others that did not fail, describe it.
    async fn described_by_others(&mut self, config: &Config, members: &[usize]) -> Vec<Topology> {
        let primaries = members.iter().filter_map(|index| self.topology.primaries().get(*index));
        let replicas = primaries.flat_map(|primary| &primary.replicas).take(MOST_ASKED);
        let mut replicas: Vec<Link> = replicas.map(|replica| self.link.to_node(replica.clone())).collect();
        let others = self.members.iter_mut().enumerate();
        let others = others
            .filter(|(index, member)| !members.contains(index) && member.failing.is_none())
            .take(MOST_ASKED);
        let (by_replicas, by_others) = join(
            join_all(replicas.iter_mut().map(|link| describe_in_time(link, config))),
            join_all(others.map(|(_, member)| describe_in_time(member.node.link(), config))),
        )
        .await;
        by_replicas.into_iter().chain(by_others).filter_map(|described| described.ok().flatten()).collect()
    }
}

/// Another owner of the stream's slot than this node, if somebody names one.
fn other_owner<'a>(topologies: &'a [Topology], name: &Name, node: &NodeAddress) -> Option<&'a NodeAddress> {
    let slot = Slot::of(name.as_bytes());
    let owners = topologies.iter().filter_map(|it| it.primaries().get(it.owner(slot)?));
    owners.map(|owner| &owner.address).find(|owner| *owner != node)
}

fn replaced(name: &Name, owner: &NodeAddress) -> Failure {
    let slot = Slot::of(name.as_bytes()).number();
    Failure::new(Reason::Moved, format!("MOVED {slot} {owner} while the node stood still"))
}
