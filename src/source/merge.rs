//! The reading of a cluster, put together from those of its nodes. Pure.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use super::redirected::RedirectedReading;
use crate::{
    config::Watchlist,
    model::{
        ClusterState, Condition, EntryHead, Failure, Name, Node, NodeAddress, NodeIndex, Origin, Reason,
        Server, Slot, Snapshot, StreamState, Text,
    },
};

/// No node: nobody serves the slot.
const NOWHERE: NodeIndex = NodeIndex::MAX;

/// The reading so far.
#[derive(Default)]
pub(super) struct Merge {
    /// One for each member of the cluster, in their order.
    nodes: Vec<Node>,
    streams: Vec<StreamOfNode>,
    forbidden: usize,
    lengths: BTreeMap<Name, u64>,
    last_entries: BTreeMap<Name, Vec<EntryHead>>,
    database: i64,
}

struct StreamOfNode {
    name: Name,
    state: Result<StreamState, Failure>,
    node: NodeIndex,
}

/// A stream that a node does not have.
pub(super) struct Elsewhere<'a> {
    /// Its place in the reading.
    pub(super) place: usize,
    pub(super) name: &'a Name,
    /// The node that said so, and what it said.
    pub(super) node: usize,
    pub(super) failure: &'a Failure,
}

impl Merge {
    /// Adds the reading of the next member, which was asked for these streams. `origin` is where its last reading came from.
    pub(super) fn add(
        &mut self,
        address: &NodeAddress,
        origin: &Origin,
        asked: &Watchlist,
        read: Result<Snapshot, Failure>,
    ) {
        let index = index_of(self.nodes.len());
        match read {
            Ok(mut snapshot) => {
                let address: Text = address.to_string().into();
                let nodes = snapshot.nodes.into_iter();
                self.nodes.extend(nodes.map(|node| Node { address: address.clone(), ..node }));
                let streams = snapshot.streams.into_iter();
                self.streams.extend(streams.map(|(name, state)| StreamOfNode { name, state, node: index }));
                self.forbidden += snapshot.forbidden;
                self.lengths.append(&mut snapshot.lengths);
                self.last_entries.append(&mut snapshot.last_entries);
                self.database = snapshot.database;
            }
            Err(failure) => {
                let of_stream = of_streams(&failure, address);
                self.add_unread(asked, &of_stream, index);
                self.nodes.push(unanswered(address, origin, explained(failure, origin)));
            }
        }
    }

    /// Adds streams whose slots no node serves.
    pub(super) fn add_unserved(&mut self, streams: &Watchlist) {
        let failure = Failure::new(
            Reason::ClusterDown,
            "CLUSTERDOWN Hash slot not served: no node of the cluster has the slot of the stream",
        );
        self.add_unread(streams, &failure, NOWHERE);
    }

    fn add_unread(&mut self, streams: &Watchlist, failure: &Failure, node: NodeIndex) {
        let unread = |name: &Name| StreamOfNode { name: name.clone(), state: Err(failure.clone()), node };
        self.streams.extend(streams.iter().map(|watched| unread(&watched.name)));
    }

    /// The streams that their nodes say are on another one.
    pub(super) fn elsewhere(&self) -> impl Iterator<Item = Elsewhere<'_>> {
        self.streams.iter().enumerate().filter_map(|(place, stream)| {
            let failure = stream.state.as_ref().err()?;
            let elsewhere = Elsewhere { place, name: &stream.name, node: usize::from(stream.node), failure };
            is_elsewhere(failure).then_some(elsewhere)
        })
    }

    /// Gives up on the streams that are elsewhere wherever they are asked for: no node serves them. Returns their slots.
    pub(super) fn end_redirections(&mut self) -> BTreeSet<Slot> {
        let mut slots = BTreeSet::new();
        for stream in &mut self.streams {
            let Some(failure) = stream.state.as_mut().err().filter(|failure| is_elsewhere(failure)) else {
                continue;
            };
            slots.insert(Slot::of(stream.name.as_bytes()));
            let what = format!(
                "CLUSTERDOWN Hash slot not served: its nodes redirect to each other, at last with {}; if that lasts, repair the \
                 cluster with redis-cli --cluster fix",
                failure.detail
            );
            *failure = Failure::new(Reason::ClusterDown, what);
        }
        slots
    }

    /// Where the reading of this member came from; `None` if it was not read.
    pub(super) fn origin(&self, member: usize) -> Option<&Origin> {
        let node = self.nodes.get(member).filter(|node| node.failure.is_none())?;
        Some(&node.origin)
    }

    /// Takes what a member replied about streams that were redirected to it.
    pub(super) fn redirected(
        &mut self,
        (index, address): (usize, &NodeAddress),
        places: &[usize],
        found: Result<RedirectedReading, Failure>,
    ) {
        let states = match found {
            Ok(RedirectedReading { node, states }) => {
                let node = Node { address: address.to_string().into(), ..node };
                match self.nodes.get_mut(index) {
                    Some(known) if known.origin.is_same(&node.origin) => {}
                    Some(known) => *known = node,
                    None => self.nodes.push(node),
                }
                states
            }
            Err(failure) => {
                let of_stream = of_streams(&failure, address);
                if index == self.nodes.len() {
                    self.nodes.push(unanswered(address, &Origin::default(), failure));
                }
                vec![Err(of_stream); places.len()]
            }
        };
        for (place, state) in places.iter().zip(states) {
            if let Some(stream) = self.streams.get_mut(*place) {
                (stream.state, stream.node) = (state, index_of(index));
            }
        }
    }

    /// Why nothing was read; `None` if a node answered.
    pub(super) fn failure(&self) -> Option<&Failure> {
        let failures = || self.nodes.iter().map(|node| node.failure.as_ref());
        if failures().any(|failure| failure.is_none()) {
            return None;
        }
        let refusal = failures().flatten().find(|failure| failure.reason == Reason::ClusterDown);
        refusal.or(failures().flatten().next())
    }

    /// The whole, read from the configured `place`, with its database. Streams that do not exist are left out, unless the configuration names them.
    pub(super) fn end(
        mut self,
        watchlist: &Watchlist,
        mut cluster: ClusterState,
        place: Option<&str>,
    ) -> Snapshot {
        cluster.slots = self.unite(&cluster.slots);
        let is_expected = |name: &Name| watchlist.get(name).is_some_and(|watched| watched.is_expected);
        let is_gone = |stream: &StreamOfNode| {
            let failure = stream.state.as_ref().err();
            failure.is_some_and(|failure| failure.reason == Reason::NoKey) && !is_expected(&stream.name)
        };
        self.streams.retain(|stream| !is_gone(stream));
        self.streams.sort_by(|one, other| one.name.cmp(&other.name));
        let source = place.unwrap_or_default();
        let (place, _database) = source.rsplit_once('/').unwrap_or((source, ""));
        let placement = self.streams.iter().map(|stream| stream.node).collect();
        Snapshot {
            nodes: self.nodes,
            placement,
            cluster: Some(Box::new(cluster)),
            place: place.into(),
            source: source.to_owned(),
            database: self.database,
            streams: self.streams.into_iter().map(|stream| (stream.name, stream.state)).collect(),
            forbidden: self.forbidden,
            lengths: self.lengths,
            last_entries: self.last_entries,
        }
    }
}

impl Merge {
    /// Lists each node once. A primary is a member twice if its replica was read and redirected to it: it is asked for itself, and later in
    /// place of the replica. The second time it has no slots. Returns the numbers of slots.
    fn unite(&mut self, slots: &[usize]) -> Box<[usize]> {
        let (mut nodes, mut united, mut places) = (Vec::<Node>::new(), Vec::new(), Vec::new());
        let counts = slots.iter().copied().chain(std::iter::repeat(0));
        for (node, count) in std::mem::take(&mut self.nodes).into_iter().zip(counts) {
            let twin = nodes.iter().position(|twin| count == 0 && twin.address == node.address);
            places.push(index_of(twin.unwrap_or(nodes.len())));
            match twin.and_then(|twin| nodes.get_mut(twin)) {
                Some(twin) if twin.failure.is_some() => *twin = node,
                Some(_answered) => {}
                None => {
                    nodes.push(node);
                    united.push(count);
                }
            }
        }
        for stream in &mut self.streams {
            stream.node = places.get(usize::from(stream.node)).copied().unwrap_or(stream.node);
        }
        self.nodes = nodes;
        united.into()
    }
}

fn is_elsewhere(failure: &Failure) -> bool {
    matches!(failure.reason, Reason::Moved | Reason::Ask)
}

fn index_of(member: usize) -> NodeIndex {
    NodeIndex::try_from(member).unwrap_or(NOWHERE)
}

/// With what to set, where it is not simply down.
#[expect(clippy::wildcard_enum_match_arm, reason = "of the many reasons a few are those of a connection")]
fn explained(failure: Failure, origin: &Origin) -> Failure {
    let advice = match failure.reason {
        Reason::NoAuth | Reason::WrongPassword => {
            "every node needs the same user and password, those of the address or of redis.username and redis.password"
        }
        // It has never answered.
        Reason::Refused | Reason::Timeout | Reason::Dns | Reason::Io | Reason::Tls
            if *origin == Origin::default() =>
        {
            "the cluster announces this address. If the node runs, correct that there (cluster-announce-ip, -port, -hostname) or in \
             redis.cluster_address_map"
        }
        _ => return failure,
    };
    Failure {
        since: failure.since,
        ..Failure::new(failure.reason, format!("{}; {advice}", failure.detail.trim_end_matches('.')))
    }
}

fn unanswered(address: &NodeAddress, origin: &Origin, failure: Failure) -> Node {
    Node {
        address: address.to_string().into(),
        server: Server::UNKNOWN,
        origin: origin.clone(),
        condition: Condition::default(),
        time: Err(failure.clone()),
        took: Duration::ZERO,
        failure: Some(failure),
    }
}

/// What the failure of a node means for its streams.
fn of_streams(failure: &Failure, address: &NodeAddress) -> Failure {
    let refuses = failure.reason == Reason::ClusterDown;
    let reason = if refuses { Reason::ClusterDown } else { Reason::Unreachable };
    Failure { since: failure.since, ..Failure::new(reason, format!("node {address}: {failure}")) }
}
