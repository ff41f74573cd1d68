//! What the families are made from: one row for each stream and group, with its labels written once.

use std::borrow::Cow;

use crate::{
    config::Config,
    evaluate::NodeMemory,
    model::{ClusterState, ConsumerState, Name, Node, Server, Snapshot},
    reading::{GroupReading, NodeReading, Reading, StreamReading},
};

/// A stream or a group, with the labels of its samples.
pub(super) struct Row<T> {
    pub(super) labels: String,
    pub(super) of: T,
}

/// Which Redis it is.
pub(super) struct RedisRow<'a> {
    /// Its name, for people.
    pub name: Option<&'a str>,
    /// The URL of the sidecar's page.
    pub external_url: Option<&'a str>,
    /// The server that was read.
    pub server: Option<&'a Server>,
}

/// All rows of a snapshot, in the order of their names.
#[derive(Default)]
pub(super) struct Rows<'a> {
    /// Which Redis it is; `None` where the sidecar is switched off.
    pub redis: Option<RedisRow<'a>>,
    /// The servers that were read, if the last poll did not fail.
    pub servers: &'a [Node],
    /// Their memory.
    pub memory: &'a [NodeMemory],
    /// The cluster, if it is one and the last poll did not fail.
    pub cluster: Option<&'a ClusterState>,
    /// Its primaries.
    pub nodes: Vec<Row<NodeReading<'a>>>,
    /// The streams.
    pub streams: Vec<Row<StreamReading<'a>>>,
    /// Their groups.
    pub groups: Vec<Row<GroupReading<'a>>>,
    /// How many of their consumers are shown.
    pub shown_consumers: usize,
}

impl<'a> Rows<'a> {
    /// The rows of the reading, if there is one.
    #[must_use]
    pub(super) fn new(config: &'a Config, name: Option<&'a str>, reading: Option<&'a Reading>) -> Self {
        let snapshot = reading.map(|reading| &*reading.snapshot);
        let redis = RedisRow {
            name,
            external_url: config.http.external_url.as_deref(),
            server: snapshot.map(Snapshot::server),
        };
        let mut rows =
            Self { redis: config.enabled.then_some(redis), shown_consumers: usize::MAX, ..Self::default() };
        if let Some(reading) = reading {
            rows.add_nodes(reading);
            rows.add_streams(reading);
        }
        rows
    }

    fn add_nodes(&mut self, reading: &'a Reading) {
        self.servers = &reading.snapshot.nodes;
        self.memory = &reading.report.nodes;
        self.cluster = reading.snapshot.cluster.as_deref();
        let row = |of: NodeReading<'a>| Row { labels: format!("node=\"{}\"", of.node.address), of };
        self.nodes = reading.nodes().into_iter().map(row).collect();
        // Two primaries may announce one address, as of a node that was replaced. Each series is there once.
        self.nodes.sort_by(|one, other| one.labels.cmp(&other.labels));
        self.nodes.dedup_by(|other, one| {
            let is_same = one.labels == other.labels;
            one.of.streams += if is_same { other.of.streams } else { 0 };
            is_same
        });
    }

    /// Leaves out the servers, the nodes and the cluster: the last poll failed as a whole, so nothing is known about them now.
    pub(super) fn without_nodes(self) -> Self {
        Self { servers: &[], memory: &[], cluster: None, nodes: Vec::new(), ..self }
    }

    fn add_streams(&mut self, reading: &'a Reading) {
        self.streams.reserve_exact(reading.snapshot.streams.len());
        for stream in reading.streams() {
            let labels =
                format!("db=\"db{}\",stream=\"{}\"", reading.snapshot.database, escaped(stream.name));
            // The groups of a stream that could not be read are unknown.
            let known = stream.groups().filter(|group| group.present().is_some());
            let (there, missing): (Vec<_>, Vec<_>) = known.partition(|group| group.state.is_some());
            self.groups.extend(there.into_iter().chain(missing).map(|group| Row {
                labels: [&labels, ",group=\"", &escaped(group.name), "\""].concat(),
                of: group,
            }));
            self.streams.push(Row { labels, of: stream });
        }
    }

    /// The consumers that are listed, each with its group.
    pub(super) fn consumers<'b>(
        &'b self,
    ) -> impl Iterator<Item = (&'b Row<GroupReading<'a>>, &'a ConsumerState)> {
        let of_group = |group: &'b Row<GroupReading<'a>>| {
            let consumers = group.of.state.iter().flat_map(|state| &state.consumers);
            consumers.map(move |consumer| (group, consumer))
        };
        self.groups.iter().flat_map(of_group).take(self.shown_consumers)
    }
}

/// A name's text, escaped as label values are: in it only quotes and backslashes are left to escape.
pub(super) fn escaped(name: &Name) -> Cow<'_, str> {
    match name.as_plain() {
        Some(plain) if !plain.contains('"') => Cow::Borrowed(plain),
        _ => Cow::Owned(name.to_string().replace('\\', "\\\\").replace('"', "\\\"")),
    }
}
