//! Logs what has changed from poll to poll: who answers, which streams cannot be read, and outages.

use std::collections::{BTreeMap, BTreeSet};

use tracing::{info, warn};

use crate::{
    model::{Failure, Name, Reason, Role, Snapshot, Text},
    outage::{News, Outage},
    reading::Reading,
    self_stats::SelfStats,
};

/// Streams that are named if many fail together. The counter has them all.
const NAMED_AT_ONCE: usize = 10;

/// Logs streams that were recreated or rolled back, each once.
pub(super) fn note_recreated(reading: &Reading) {
    let mut more = 0_usize;
    for (index, (stream, gone)) in reading.newly_recreated().enumerate() {
        match gone {
            _ if index >= NAMED_AT_ONCE => more += 1,
            Some(entries_gone) => {
                warn!(%stream, entries_gone, "the stream was recreated: none of its entries is left")
            }
            None => {
                warn!(%stream, "the stream was recreated or rolled back: how many entries are gone is unknown")
            }
        }
    }
    if more > 0 {
        warn!(more, "more streams were recreated or rolled back");
    }
}

/// Logs when something stops working, and when it works again.
pub(super) struct OutageLog {
    what: &'static str,
    outage: Outage,
}

impl OutageLog {
    pub(super) fn new(what: &'static str) -> Self {
        Self { what, outage: Outage::default() }
    }

    /// Takes the result of an attempt.
    pub(super) fn note(&mut self, failure: Option<&Failure>) {
        let what = self.what;
        match (self.outage.note(failure), failure) {
            (Some(News::Failed), Some(failure)) => {
                warn!(reason = failure.reason.as_str(), detail = %failure.detail, "{what} failed; retrying");
            }
            (Some(News::Recovered { after, failures }), _) => info!(after, failures, "{what} works again"),
            _ => {}
        }
    }
}

/// The server's role and the unreadable nodes and streams at the last poll.
#[derive(Default)]
pub(super) struct StreamFailures {
    known: BTreeMap<Name, Reason>,
    /// The nodes that did not answer.
    nodes: BTreeSet<Text>,
    /// The primaries of the cluster; 0 for a plain server.
    primaries: usize,
    forbidden: usize,
    unwatched_groups: bool,
    clock: Option<Reason>,
    role: Option<Role>,
}

impl StreamFailures {
    /// Counts the failures of this poll, and logs those that are new or over.
    pub(super) fn note(&mut self, snapshot: &Snapshot, stats: &SelfStats) {
        let mut failing = BTreeMap::new();
        let mut new = 0_usize;
        for (stream, failure) in
            snapshot.streams.iter().filter_map(|(name, state)| Some((name, state.as_ref().err()?)))
        {
            if failure.reason != Reason::NoKey {
                stats.stream_failed(failure);
            }
            let reason = failure.reason;
            failing.insert(stream.clone(), reason);
            // One line about the node is enough.
            if reason == Reason::Unreachable {
                continue;
            }
            if self.known.get(stream) != Some(&reason) {
                new += 1;
                if new <= NAMED_AT_ONCE {
                    warn!(%stream, reason = reason.as_str(), detail = %failure.detail, "cannot read the stream");
                }
            }
        }
        if new > NAMED_AT_ONCE {
            warn!(more = new - NAMED_AT_ONCE, "cannot read more streams");
        }
        self.note_nodes(snapshot);
        let is_of_node = |reason: &Reason| *reason == Reason::Unreachable;
        let over = self.known.iter().filter(|(_, reason)| !is_of_node(reason)).map(|(stream, _)| stream);
        let over = over.filter(|stream| snapshot.streams.get(stream).is_some_and(Result::is_ok));
        for stream in over.take(NAMED_AT_ONCE) {
            info!(%stream, "the stream can be read again");
        }
        self.known = failing;
        self.note_forbidden(snapshot.forbidden, stats);
        self.note_groups(snapshot, stats);
        self.note_clock(snapshot);
        self.note_role(snapshot.server().role);
    }

    /// Logs how many primaries a cluster has, and which of them do not answer.
    fn note_nodes(&mut self, snapshot: &Snapshot) {
        let of_cluster = snapshot.cluster.iter().flat_map(|cluster| &cluster.slots);
        let primaries = of_cluster.filter(|slots| **slots > 0).count();
        if std::mem::replace(&mut self.primaries, primaries) != primaries && primaries > 0 {
            info!(primaries, "reading all primaries of a cluster");
        }
        let failing = snapshot.nodes.iter().filter_map(|node| Some((&node.address, node.failure.as_ref()?)));
        for (node, failure) in failing.clone().filter(|(node, _)| !self.nodes.contains(*node)) {
            let (reason, detail) = (failure.reason.as_str(), &failure.detail);
            warn!(%node, reason, %detail, "a node of the cluster does not answer; its streams can't be read");
        }
        let answers = |node: &&Text| failing.clone().all(|(failing, _)| failing != *node);
        for node in self.nodes.iter().filter(answers) {
            info!(%node, "the node of the cluster answers again, or is no longer a primary");
        }
        self.nodes = failing.map(|(node, _)| node.clone()).collect();
    }

    /// Some keys may belong to others, so this logs only when there are more of them.
    fn note_forbidden(&mut self, forbidden: usize, stats: &SelfStats) {
        stats.forbidden_streams.set(i64::try_from(forbidden).unwrap_or(i64::MAX));
        if std::mem::replace(&mut self.forbidden, forbidden) < forbidden {
            warn!(forbidden, "leaving out streams whose keys the user may not read");
        }
    }

    fn note_groups(&mut self, snapshot: &Snapshot, stats: &SelfStats) {
        let mut over = Vec::new();
        for (stream, state) in &snapshot.streams {
            let groups = state.as_ref().map_or(0, |state| state.unwatched_groups);
            over.extend((groups > 0).then_some((stream, groups)));
        }
        let all: u64 = over.iter().map(|(_, groups)| groups).sum();
        stats.unwatched_groups.set(i64::try_from(all).unwrap_or(i64::MAX));
        if !std::mem::replace(&mut self.unwatched_groups, all > 0) {
            for (stream, groups) in over.into_iter().take(NAMED_AT_ONCE) {
                warn!(%stream, groups, "more groups than limits.groups_per_stream; the last by name are not watched");
            }
        }
    }

    /// Logs when the role changes.
    fn note_role(&mut self, role: Option<Role>) {
        let Some(role) = role else { return };
        match (self.role.replace(role), role) {
            (Some(Role::Primary) | None, Role::Replica(link)) => {
                warn!(
                    link = link.as_str(),
                    "reading from a replica: its values lag behind the primary by the replication delay"
                );
            }
            (Some(Role::Replica(_)), Role::Primary) => info!("reading from a primary again"),
            _ => {}
        }
    }

    fn note_clock(&mut self, snapshot: &Snapshot) {
        let refusal = snapshot.nodes.iter().find_map(|node| node.time.as_ref().err());
        let reason = refusal.map(|failure| failure.reason);
        if let Some(failure) = refusal
            && self.clock != reason
        {
            let (reason, detail) = (failure.reason.as_str(), &failure.detail);
            warn!(reason, %detail, "cannot read the server's TIME: ages are unknown");
        }
        self.clock = reason;
    }
}
