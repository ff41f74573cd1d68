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

/// Another owner of the stream's slot than this node, if as many name one as name this node: one that lags behind in what it hears must not
/// stop a healthy node, and of two the successor is right. No reply says whose knowledge is newer. It costs little if that one is not the
/// owner after all: it is asked in the same poll, and redirects to this node.
fn other_owner<'a>(topologies: &'a [Topology], name: &Name, node: &NodeAddress) -> Option<&'a NodeAddress> {
    let slot = Slot::of(name.as_bytes());
    let owners = topologies.iter().filter_map(|it| it.primaries().get(it.owner(slot)?));
    let (own, mut others): (Vec<_>, Vec<_>) = owners.map(|it| &it.address).partition(|owner| *owner == node);
    if others.len() < own.len() {
        return None;
    }
    others.sort_unstable();
    others.chunk_by(|one, next| one == next).max_by_key(|votes| votes.len())?.first().copied()
}

fn replaced(name: &Name, owner: &NodeAddress) -> Failure {
    let slot = Slot::of(name.as_bytes()).number();
    Failure::new(Reason::Moved, format!("MOVED {slot} {owner} while the node stood still"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::topology::test_topology;

    /// Whom these voices leave the stream to, where node 1 answered late. Each voice is the port of the owner that it names; 0 names none.
    fn owner(voices: &[u16]) -> Option<u16> {
        let topologies: Vec<Topology> = voices.iter().map(|port| test_topology(*port)).collect();
        let node = NodeAddress::new("10.0.0.1", 1).unwrap();
        other_owner(&topologies, &"s".into(), &node).map(|owner| owner.port())
    }

    #[test]
    fn a_node_that_was_late_keeps_its_streams_unless_as_many_name_another_owner() {
        for (voices, expected) in [
            (&[][..], None),
            (&[0, 0], None),
            (&[1], None),
            (&[1, 1, 1], None),
            // One that lags behind.
            (&[2, 1, 1], None),
            (&[1, 1, 2, 2, 1], None),
            // Its successor has taken over, and not all have heard of it.
            (&[2], Some(2)),
            (&[2, 1], Some(2)),
            (&[1, 2, 2], Some(2)),
            (&[0, 2], Some(2)),
            // Of two others the one that more name.
            (&[3, 2, 2, 1], Some(2)),
            (&[3, 3, 2, 1], Some(3)),
        ] {
            assert_eq!(owner(voices), expected, "{voices:?}");
        }
    }

    #[test]
    fn what_is_left_to_another_node_is_asked_for_there() {
        let owner = NodeAddress::new("10.0.0.2", 2).unwrap();
        let failure = replaced(&"s".into(), &owner);
        assert_eq!(failure.reason, Reason::Moved);
        let slot = Slot::of(b"s").number();
        assert!(failure.detail.contains(&format!("MOVED {slot} 10.0.0.2:2 ")), "{}", failure.detail);
    }
}
