//! Reads the topology of a cluster from the replies to `CLUSTER SHARDS` and `CLUSTER SLOTS`. Pure.
//!
//! Replies differ between versions in the number of their parts, so parts that are not known are ignored.

use std::collections::{HashMap, hash_map::Entry};

use nonmax::NonMaxU16;

use super::{
    announced::{Announced, Seen},
    fields::{Fields, Parsed, integer, list, text, unexpected},
    reply::role_named,
    resp::{Reply, Value},
    topology::{Draft, Primary, Topology},
};
use crate::model::{Failure, NodeAddressError, PrimaryLink, Reason, Role, Slot, Text};

/// What a node's neighbours think of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Health {
    Failing,
    Loading,
    Online,
}

/// A node as a reply names it.
struct Node<'a> {
    /// Empty before Redis 4.0.
    id: &'a str,
    announced: Announced<'a>,
    is_primary: bool,
    health: Health,
}

impl Topology {
    /// The reply to `CLUSTER SHARDS` (Redis 7.0 and Valkey). A primary that has failed still owns its slots. The nodes are reached as
    /// the one that replied: with TLS or without.
    ///
    /// # Errors
    /// There are no shards, as Valkey replies if its nodes do not know their shards, or the reply can't be read: ask
    /// `CLUSTER SLOTS`.
    pub(crate) fn from_shards(reply: &Reply, seen: &Seen<'_>, is_tls: bool) -> Parsed<Self> {
        let shards = list(reply.value()?, "shards")?;
        if shards.is_empty() {
            return Err(unexpected("shards"));
        }
        let mut reading = Reading::new(seen);
        for shard in shards {
            let mut shard = Fields::new(shard)?;
            let slots = shard.list("slots")?;
            let nodes = shard.list("nodes")?.into_iter().map(|node| shard_node(node, is_tls));
            let nodes: Vec<_> = nodes.collect::<Parsed<_>>()?;
            // After a failover the old primary may be there too.
            let primaries = nodes.iter().filter(|node| node.is_primary);
            let Some(primary) = primaries.max_by_key(|node| node.health) else { continue };
            let replicas = nodes.iter().filter(|node| !node.is_primary && node.health == Health::Online);
            let replicas = replicas.map(|node| node.announced);
            let place = reading.place(primary, replicas)?;
            for range in slots.chunks(2) {
                reading.draft.assign(place, slot_range(range)?);
            }
        }
        Ok(reading.draft.finish())
    }

    /// The reply to `CLUSTER SLOTS`. It does not tell which primaries have failed.
    ///
    /// # Errors
    /// The reply can't be read.
    pub(crate) fn from_slots(reply: &Reply, seen: &Seen<'_>) -> Parsed<Self> {
        let mut reading = Reading::new(seen);
        for row in list(reply.value()?, "slots")? {
            let mut row = list(row, "range of slots")?;
            let nodes = row.split_off(row.len().min(2));
            let range = slot_range(&row)?;
            let mut nodes = nodes.into_iter().map(slots_node);
            let Some(primary) = nodes.next() else { continue };
            // A replica that can't be read costs nothing.
            let replicas = nodes.filter_map(Result::ok).map(|node| node.announced);
            let place = reading.place(&primary?, replicas)?;
            reading.draft.assign(place, range);
        }
        Ok(reading.draft.finish())
    }
}

/// A reply in the course of being read.
struct Reading<'a> {
    seen: &'a Seen<'a>,
    draft: Draft,
    /// Where each primary is in the draft, since a reply can repeat it for thousands of ranges.
    places: HashMap<(&'a str, Announced<'a>), NonMaxU16>,
}

impl<'a> Reading<'a> {
    fn new(seen: &'a Seen<'a>) -> Self {
        Self { seen, draft: Draft::new(), places: HashMap::new() }
    }

    /// The place of this primary in the draft.
    fn place(&mut self, node: &Node<'a>, replicas: impl Iterator<Item = Announced<'a>>) -> Parsed<NonMaxU16> {
        match self.places.entry((node.id, node.announced)) {
            Entry::Occupied(known) => Ok(*known.get()),
            Entry::Vacant(vacant) => {
                let address = node.announced.resolve(self.seen).map_err(|error| no_address(node, error))?;
                let mut replicas: Vec<_> =
                    replicas.filter_map(|replica| replica.resolve(self.seen).ok()).collect();
                replicas.sort();
                let id = if node.id.is_empty() { address.to_string().into() } else { node.id.into() };
                let is_failing = node.health == Health::Failing;
                Ok(*vacant.insert(self.draft.add(Primary { id, address, replicas, is_failing, slots: 0 })?))
            }
        }
    }
}

/// A node of `CLUSTER SHARDS`.
fn shard_node<'a>(node: Value<'a>, is_tls: bool) -> Parsed<Node<'a>> {
    let mut fields = Fields::new(node)?;
    let id = fields.take("id").as_ref().and_then(text).ok_or_else(|| unexpected("node ID"))?;
    let (plain, tls) = (fields.integer("port"), fields.integer("tls-port"));
    let port = if is_tls { tls.or(plain) } else { plain.or(tls) };
    let (ip, endpoint) = (host(fields.take("ip")), host(fields.take("endpoint")));
    let announced = Announced { endpoint, ip, port: port_of(port)? };
    let role = fields.take("role").as_ref().and_then(text).ok_or_else(|| unexpected("role of a node"))?;
    let health = match fields.take("health").as_ref().and_then(text) {
        Some("online") | None => Health::Online,
        Some("loading") => Health::Loading,
        Some(_) => Health::Failing,
    };
    let is_primary = role_named(role, PrimaryLink::Unknown) == Some(Role::Primary);
    Ok(Node { id, announced, is_primary, health })
}

/// A node of `CLUSTER SLOTS`: its endpoint and port, since Redis 4.0 its ID, since 7.0 a map with its other address.
fn slots_node(node: Value<'_>) -> Parsed<Node<'_>> {
    let mut parts = list(node, "node")?.into_iter();
    let endpoint = host(parts.next());
    let port = port_of(parts.next().as_ref().and_then(integer))?;
    let id = parts.next().as_ref().and_then(text).unwrap_or_default();
    let more = parts.next().and_then(|more| Fields::new(more).ok());
    let ip = host(more.and_then(|mut more| more.take("ip")));
    Ok(Node { id, announced: Announced { endpoint, ip, port }, is_primary: true, health: Health::Online })
}

/// A host; `None` for null only, since that stands for a host of its own.
fn host(value: Option<Value<'_>>) -> Option<&str> {
    let value = value.filter(|value| *value != Value::Nil)?;
    Some(text(&value).unwrap_or("\u{FFFD}"))
}

fn no_address(node: &Node<'_>, error: NodeAddressError) -> Failure {
    let Announced { endpoint, ip, port } = node.announced;
    let host = Text::from(endpoint.or(ip).unwrap_or_default());
    let words = format!("the cluster announces a node as \"{host}\", port {port}, which {error}");
    Failure::new(Reason::UnexpectedReply, words)
}

fn port_of(number: Option<i64>) -> Parsed<u16> {
    number.and_then(|number| u16::try_from(number).ok()).ok_or_else(|| unexpected("port of a node"))
}

/// The first and the last slot of a range.
fn slot_range(parts: &[Value<'_>]) -> Parsed<(Slot, Slot)> {
    let slot = |value| Slot::new(u16::try_from(integer(value)?).ok()?);
    let range = if let [first, last] = parts { slot(first).zip(slot(last)) } else { None };
    range.filter(|(first, last)| first <= last).ok_or_else(|| unexpected("range of slots"))
}

#[cfg(test)]
#[path = "topology_tests.rs"]
mod tests;
