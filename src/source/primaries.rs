//! Each server that accepts writes, with two connections of the caller's own, so that one can wait while the other works.
//!
//! It stands apart from [`Router`](super::Router), which finds the one server that has a key: this is for work on each of them.

use super::{
    Link,
    nodes::{Arranged, Member, Nodes, PerNode},
};
use crate::{
    config::Config,
    model::{Failure, NodeAddress, Slot},
};

/// Hash tags that are tried. The first thousands reach every primary unless it has only a few slots.
const MOST_TAGS: u32 = 200_000;

/// Two connections to a server.
pub(crate) struct Pair {
    pub(crate) working: Link,
    pub(crate) waiting: Link,
}

impl PerNode for Pair {
    fn new(link: Link) -> Self {
        let waiting = link.another();
        Self { working: link, waiting }
    }

    fn link(&mut self) -> &mut Link {
        &mut self.working
    }

    fn disconnect(&mut self) {
        self.working.disconnect();
        self.waiting.disconnect();
    }
}

/// A server that accepts writes.
pub(crate) struct Primary<'a> {
    /// Its address, if it is a node of a cluster.
    pub(crate) node: Option<NodeAddress>,
    /// A hash tag: a key that has it is on this node.
    pub(crate) tag: Option<u32>,
    pub(crate) pair: &'a mut Pair,
}

impl<'a> Primary<'a> {
    fn of(member: &'a mut Member<Pair>, tag: u32) -> Self {
        Self { node: Some(member.address.clone()), tag: Some(tag), pair: &mut member.node }
    }
}

/// All servers that accept writes: the one at the configured address, or each primary of the cluster that it is part of.
pub struct Primaries {
    nodes: Nodes<Pair>,
}

impl Primaries {
    /// Connects at its first use.
    #[must_use]
    pub fn new(link: Link) -> Self {
        Self { nodes: Nodes::new(link) }
    }

    /// The servers as they are known now. Primaries without slots are left out. Not cancel-safe: a caller that gives up must
    /// [`disconnect`](Self::disconnect).
    ///
    /// # Errors
    /// No node answered, and nothing is known from before.
    pub(crate) async fn arrange(&mut self, config: &Config) -> Result<Vec<Primary<'_>>, Failure> {
        Ok(match self.nodes.arrange(config).await? {
            Arranged::Plain(pair) => vec![Primary { node: None, tag: None, pair }],
            Arranged::Cluster(cluster) => {
                let tags = tags(|slot| cluster.topology.owner(slot), cluster.topology.primaries().len());
                let members = cluster.members.iter_mut().zip(tags);
                members.filter_map(|(member, tag)| Some(Primary::of(member, tag?))).collect()
            }
        })
    }

    /// An answer contradicts what is known of the cluster, or a node does not answer.
    pub(crate) fn doubt(&mut self) {
        if let Arranged::Cluster(cluster) = self.nodes.arranged() {
            cluster.doubt();
        }
    }

    /// Drops the connections, so that the next use makes new ones.
    pub fn disconnect(&mut self) {
        self.nodes.disconnect();
    }
}

/// The least hash tag of each of so many primaries, by the owners of slots.
fn tags(owner: impl Fn(Slot) -> Option<usize>, primaries: usize) -> Vec<Option<u32>> {
    let mut tags = vec![None; primaries];
    let mut missing = primaries;
    for tag in 0..MOST_TAGS {
        if missing == 0 {
            break;
        }
        let place = owner(Slot::of(tag.to_string().as_bytes()));
        if let Some(place @ None) = place.and_then(|place| tags.get_mut(place)) {
            *place = Some(tag);
            missing -= 1;
        }
    }
    tags
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_primary_with_a_slot_has_a_key_of_its_own() {
        // The second has a single slot, the third none.
        let owner = |slot: Slot| match slot.number() {
            7 => Some(1),
            12_000.. => None,
            _ => Some(0),
        };
        let tags = tags(owner, 3);
        let slot = |tag: Option<u32>| {
            let key = format!("streamwarden:probe:x:{{{}}}", tag.unwrap());
            Slot::of(key.as_bytes()).number()
        };
        assert!(slot(tags[0]) < 12_000 && slot(tags[0]) != 7, "{tags:?}");
        assert_eq!((slot(tags[1]), tags[2]), (7, None), "{tags:?}");
    }
}
