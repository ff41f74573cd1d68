//! The latest reading and its meaning: one row per stream, which all views show.

mod stream;

use std::{sync::Arc, time::Duration};

pub use stream::{GroupReading, RetentionReading, RuleReading, StreamReading};

use crate::{
    clock::Moment,
    config::{Fewer, Watched, Watchlist},
    evaluate::{Health, Report, SeenFault, StreamVerdict},
    latency::LatencyReport,
    model::{Failure, Name, Node, Snapshot, StreamState, Text},
    retention::{Plan, RetentionStatuses},
};

/// State of the polls, for the renderer and the probes.
#[derive(Clone, Default)]
pub struct Latest {
    /// The last successful poll.
    pub reading: Option<Arc<Reading>>,
    /// The failure of the last poll, if it failed.
    pub failure: Option<Failure>,
    /// Number of polls that have ended, failed or not.
    pub polls: u64,
}

/// The result of one successful poll.
pub struct Reading {
    /// What Redis reported.
    pub snapshot: Arc<Snapshot>,
    /// What it means.
    pub report: Arc<Report>,
    /// One per stream of the snapshot, in the same order.
    rows: Vec<Row>,
    latency: Arc<LatencyReport>,
    /// Another sidecar that holds the retention lease.
    other_holder: Option<Text>,
    /// Faults of the servers.
    pub faults: Vec<SeenFault>,
    /// When another process was last noticed at the address of each server, since the Unix epoch. In the order of the snapshot.
    replaced: Vec<Option<Duration>>,
    /// Number of streams by health.
    pub health: HealthCounts,
    /// Time of the poll.
    pub read_at: Moment,
}

/// What is known of a stream apart from the snapshot and the report.
struct Row {
    watched: Watched,
    /// Boxed, since few streams have limits.
    retention: Option<Box<RetentionReading>>,
    /// Boxed for the same reason.
    rules: Option<Box<RuleReading>>,
}

impl Reading {
    /// Joins a snapshot and its report with the limits of each stream and what retention did. The views use the rules
    /// that the poll used, even after a reload: new rules apply from the next poll on.
    #[must_use]
    pub fn new(
        watchlist: &Watchlist,
        retention_statuses: &RetentionStatuses,
        snapshot: Arc<Snapshot>,
        report: Arc<Report>,
        read_at: Moment,
    ) -> Self {
        let mut in_order = watchlist.in_order();
        let states = snapshot.streams.iter().zip(report.streams.values());
        let rows = states.map(|((name, state), verdict)| {
            let watched = in_order.get(name).cloned().unwrap_or_else(|| Watched::unknown(name.clone()));
            let retention = watched.policy.clone().map(|policy| {
                let plan = state.as_ref().ok().map(|state| Plan::new(&policy, state, verdict));
                Box::new(RetentionReading {
                    policy,
                    plan,
                    retention_status: retention_statuses.streams.get(name).cloned(),
                })
            });
            let rules = RuleReading::new(&watched, watchlist, retention_statuses, (&snapshot, &report));
            Row { watched, retention, rules: rules.map(Box::new) }
        });
        let rows = rows.collect();
        let other_holder = retention_statuses.other_holder.clone();
        let latency = Arc::default();
        let faults = SeenFault::of(&snapshot, &report);
        let replaced = vec![None; snapshot.nodes.len()];
        let health = HealthCounts::default();
        Self { snapshot, report, rows, latency, other_holder, faults, replaced, health, read_at }.counted()
    }

    fn counted(mut self) -> Self {
        self.health = self.streams().map(|stream| stream.health()).collect();
        self
    }

    /// The same after the reading before it: a fault of a server that both show goes on. If they are so far apart, or the first
    /// is missing, what was between them is unknown.
    #[must_use]
    pub fn after(mut self, last: Option<&Self>, longest: Duration) -> Self {
        // An outage may lie between them: it often ends with a new process.
        self.note_restarts(last);
        let last = last.filter(|last| self.read_at.at.duration_since(last.read_at.at) < longest);
        let of_last = last
            .into_iter()
            .flat_map(|last| last.faults.iter().map(move |fault| (last.node_address(fault), fault)));
        let of_last: Vec<_> = of_last.collect();
        for fault in &mut self.faults {
            let node = fault.node.and_then(|node| self.snapshot.nodes.get(node));
            fault.follow(node.map(|node| node.address.as_str()), self.read_at.unix, &of_last);
        }
        self
    }

    /// Compares the processes of the servers with those of the reading before.
    fn note_restarts(&mut self, last: Option<&Self>) {
        for (node, replaced) in self.snapshot.nodes.iter().zip(&mut self.replaced) {
            let mut of_last =
                last.into_iter().flat_map(|last| last.snapshot.nodes.iter().zip(&last.replaced));
            let before = of_last.find(|(before, _)| before.address == node.address);
            *replaced = before.and_then(|(before, replaced)| {
                let is_another = before.origin.is_another_process(&node.origin);
                if is_another { Some(self.read_at.unix) } else { *replaced }
            });
        }
        for fault in &mut self.faults {
            if let Some(replaced) = fault.node.and_then(|node| *self.replaced.get(node)?) {
                fault.note_restart(self.read_at.unix.saturating_sub(replaced));
            }
        }
    }

    /// The streams that this reading is the first one to show after they were recreated or rolled back, with the number of entries that
    /// are gone, if it is known.
    pub fn newly_recreated(&self) -> impl Iterator<Item = (&Name, Option<u64>)> {
        let recreated = self.report.streams.iter().filter_map(|(name, it)| Some((name, it.recreated?)));
        recreated.filter(|(_, it)| it.ago.is_zero()).map(|(name, it)| (name, it.gone))
    }

    fn node_address(&self, fault: &SeenFault) -> Option<&str> {
        Some(&self.snapshot.nodes.get(fault.node?)?.address)
    }

    /// The same with how long entries take, as far as that is measured.
    #[must_use]
    pub fn with_latency(self, latency: Arc<LatencyReport>) -> Self {
        Self { latency, ..self }
    }

    /// The same with what the last search for streams says of the server, where it found far fewer than those before it.
    #[must_use]
    pub fn with_search(mut self, fewer: Option<Fewer>) -> Self {
        self.faults.extend(fewer.map(SeenFault::of_search));
        self
    }

    /// The same with the sidecar that holds the retention lease, for a reader that is no sidecar itself.
    #[must_use]
    pub fn with_holder(self, other_holder: Option<Text>) -> Self {
        Self { other_holder, ..self }.counted()
    }

    /// Whether all nodes of a cluster answered, for all slots.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        let serves_all = self.snapshot.cluster.as_ref().is_none_or(|cluster| cluster.unserved_slots == 0);
        serves_all && self.snapshot.nodes.iter().all(|node| node.failure.is_none())
    }

    /// The streams, by name.
    pub fn streams(&self) -> impl Iterator<Item = StreamReading<'_>> {
        let states = self.snapshot.streams.values().zip(self.report.streams.values());
        states.zip(&self.rows).map(|((state, verdict), row)| self.joined(row, state, verdict))
    }

    /// The stream of this name, if the poll covered it.
    #[must_use]
    pub fn stream(&self, name: &Name) -> Option<StreamReading<'_>> {
        let index = self.rows.binary_search_by(|row| row.watched.name.cmp(name)).ok()?;
        let row = self.rows.get(index)?;
        let state = self.snapshot.streams.get(name)?;
        let verdict = self.report.streams.get(name)?;
        Some(self.joined(row, state, verdict))
    }

    /// The primaries of the cluster that is read as a whole, in the order of the snapshot; none for a plain server.
    #[must_use]
    pub fn nodes(&self) -> Vec<NodeReading<'_>> {
        let Some(cluster) = &self.snapshot.cluster else { return Vec::new() };
        let slots = cluster.slots.iter().copied().chain(std::iter::repeat(0));
        let node = |(node, slots)| NodeReading { node, slots, streams: 0 };
        let mut nodes: Vec<_> = self.snapshot.nodes.iter().zip(slots).map(node).collect();
        for (index, state) in self.snapshot.nodes_of_streams().zip(self.snapshot.streams.values()) {
            let is_absent = state.as_ref().is_err_and(Failure::is_absence);
            if let Some(node) = nodes.get_mut(usize::from(index)).filter(|_| !is_absent) {
                node.streams += 1;
            }
        }
        nodes
    }

    fn joined<'a>(
        &'a self,
        row: &'a Row,
        state: &'a Result<StreamState, Failure>,
        verdict: &'a StreamVerdict,
    ) -> StreamReading<'a> {
        let Row { watched, retention, rules } = row;
        StreamReading {
            snapshot: &self.snapshot,
            latency: &self.latency,
            name: &watched.name,
            watched,
            state,
            report: verdict.read.as_ref(),
            verdict,
            retention: retention.as_deref(),
            rules: rules.as_deref(),
            other_holder: self.other_holder.as_ref(),
        }
    }
}

/// A primary of a cluster.
#[derive(Clone, Copy)]
pub struct NodeReading<'a> {
    /// Its part of the reading.
    pub node: &'a Node,
    /// Number of slots that it owns.
    pub slots: usize,
    /// Number of watched streams in them, whether they could be read or not.
    pub streams: u64,
}

/// Number of streams by health.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct HealthCounts([u64; Health::ALL.len()]);

impl HealthCounts {
    /// The number of streams with this health.
    #[must_use]
    pub fn of(&self, health: Health) -> u64 {
        self.0.get(health as usize).copied().unwrap_or_default()
    }

    /// The worst health of any stream; `None` without streams.
    #[must_use]
    pub fn worst(&self) -> Option<Health> {
        Health::ALL.iter().copied().rfind(|health| self.of(*health) > 0)
    }

    /// The same number of streams, all unknown: for a stale reading.
    #[must_use]
    pub fn all_unknown(&self) -> Self {
        let mut counts = Self::default();
        if let Some(count) = counts.0.get_mut(Health::Unknown as usize) {
            *count = self.0.iter().sum();
        }
        counts
    }
}

impl FromIterator<Health> for HealthCounts {
    fn from_iter<T: IntoIterator<Item = Health>>(all: T) -> Self {
        let mut counts = Self::default();
        for health in all {
            if let Some(count) = counts.0.get_mut(health as usize) {
                *count += 1;
            }
        }
        counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_health_of_all_counts() {
        let counts: HealthCounts =
            [Health::Healthy, Health::Critical, Health::Healthy, Health::Unknown].into_iter().collect();
        assert_eq!(Health::ALL.iter().map(|health| counts.of(*health)).collect::<Vec<_>>(), [2, 1, 0, 1]);
        assert_eq!(counts.worst(), Some(Health::Critical));
        let stale = counts.all_unknown();
        assert_eq!((stale.of(Health::Unknown), stale.worst()), (4, Some(Health::Unknown)));
        assert_eq!(HealthCounts::default().worst(), None);
    }
}
