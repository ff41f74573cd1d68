//! Faults of a server as a whole: reads are answered while writes are refused, or most of its streams are others than before, or gone.

use std::{fmt, mem::discriminant, time::Duration};

use super::{Health, Report, counted, grouped, short};
use crate::{
    config::Fewer,
    model::{Node, Reason, Role, Snapshot, Text},
};

const MIB: u64 = 1024 * 1024;

/// A fault of a server whose streams can be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServerFault {
    /// Writes are refused: memory is above `maxmemory`.
    OutOfMemory {
        /// The memory in use, in bytes.
        used: u64,
        /// `maxmemory`, in bytes.
        limit: u64,
    },
    /// Writes are refused: the last write to the append-only file failed.
    LogFails,
    /// Writes are refused, unless the settings say otherwise: the last RDB snapshot failed.
    SnapshotFails,
    /// Writes are refused: no replica is connected, and a minimum is configured.
    NoReplicas,
    /// Memory is nearly full, and the server may delete any key then.
    Eviction {
        /// `maxmemory-policy`.
        policy: Text,
        /// The memory in use, in bytes.
        used: u64,
        /// `maxmemory`, in bytes.
        limit: u64,
    },
    /// At least half of its streams, and more than one, were recreated or rolled back within the window.
    Recreated {
        /// Number of these streams.
        recreated: u64,
        /// Number of its streams that could be read.
        streams: u64,
        /// How long ago another process was noticed at its address; `None` if none was of late, as far as is known.
        restarted: Option<Duration>,
    },
    /// A search finds less than half of the streams that one found before.
    Vanished {
        /// Number of streams that the last search found.
        found: u64,
        /// The most that a search found within the time.
        before: u64,
        /// The time.
        within: Duration,
    },
}

/// A new process explains recreated streams for so long: applications fill their streams again one by one.
const RESTART_EXPLAINS: Duration = Duration::from_secs(60 * 60);

impl ServerFault {
    /// All faults of this server, the worst first. A replica refuses writes anyway, and deletes nothing by itself.
    #[must_use]
    pub fn of(node: &Node) -> Vec<Self> {
        if node.failure.is_some() || node.server.role.is_some_and(Role::is_replica) {
            return Vec::new();
        }
        let condition = &node.condition;
        let refuses = |reason| condition.refuses_writes(reason) == Some(true);
        let memory = condition.used_memory.zip(condition.max_memory);
        let out_of_memory = memory
            .filter(|_| refuses(Reason::OutOfMemory))
            .map(|(used, limit)| Self::OutOfMemory { used, limit });
        let log = (condition.log_fails == Some(true)).then_some(Self::LogFails);
        let replicas = refuses(Reason::NoReplicas).then_some(Self::NoReplicas);
        let snapshot = (condition.snapshot_fails == Some(true)).then_some(Self::SnapshotFails);
        let eviction = condition.evicts_streams().zip(memory).map(|(policy, (used, limit))| Self::Eviction {
            policy: policy.clone(),
            used,
            limit,
        });
        [out_of_memory, log, replicas, snapshot, eviction].into_iter().flatten().collect()
    }

    /// Whether the streams of each server are others than before: as after `FLUSHALL`, or a restart without data.
    fn of_streams(snapshot: &Snapshot, report: &Report) -> Vec<(usize, Self)> {
        let mut counts = vec![(0_u64, 0_u64); snapshot.nodes.len()];
        for (node, verdict) in snapshot.nodes_of_streams().zip(report.streams.values()) {
            if let Some((recreated, streams)) = counts.get_mut(usize::from(node)) {
                *streams += u64::from(verdict.read.is_some());
                *recreated += u64::from(verdict.recreated.is_some());
            }
        }
        let are_many = |(recreated, streams): (u64, u64)| recreated > 1 && 2 * recreated >= streams;
        let many = counts.into_iter().enumerate().filter(|(_, counts)| are_many(*counts));
        many.map(|(node, (recreated, streams))| {
            (node, Self::Recreated { recreated, streams, restarted: None })
        })
        .collect()
    }

    /// How bad it is: critical if writes are certainly refused.
    #[must_use]
    pub const fn health(&self) -> Health {
        match self {
            Self::OutOfMemory { .. } | Self::LogFails | Self::NoReplicas => Health::Critical,
            Self::SnapshotFails | Self::Eviction { .. } | Self::Recreated { .. } | Self::Vanished { .. } => {
                Health::Warning
            }
        }
    }
}

/// A fault of a server in a reading, and since when readings have shown it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenFault {
    /// The fault.
    pub fault: ServerFault,
    /// The server, in the snapshot's order; `None` where it is a fault of no single one.
    pub node: Option<usize>,
    /// When the first of the readings in a row that show it was made, since the Unix epoch; `None` for a reader that makes single
    /// readings. The fault may be older.
    pub seen_since: Option<Duration>,
}

impl SeenFault {
    /// The faults of the servers of a reading.
    #[must_use]
    pub fn of(snapshot: &Snapshot, report: &Report) -> Vec<Self> {
        let of_node = |(node, it)| ServerFault::of(it).into_iter().map(move |fault| (node, fault));
        let of_nodes = snapshot.nodes.iter().enumerate().flat_map(of_node);
        let all = of_nodes.chain(ServerFault::of_streams(snapshot, report));
        all.map(|(node, fault)| Self { fault, node: Some(node), seen_since: None }).collect()
    }

    /// That a search finds far fewer streams than before. Streams that are gone were on any of the servers.
    #[must_use]
    pub fn of_search(Fewer { found, before, within }: Fewer) -> Self {
        let count = |streams| u64::try_from(streams).unwrap_or(u64::MAX);
        let fault = ServerFault::Vanished { found: count(found), before: count(before), within };
        Self { fault, node: None, seen_since: None }
    }

    /// Records how long ago another process was noticed at the address of its server.
    pub fn note_restart(&mut self, ago: Duration) {
        if let ServerFault::Recreated { restarted, .. } = &mut self.fault {
            *restarted = Some(ago).filter(|ago| *ago < RESTART_EXPLAINS);
        }
    }

    /// Goes on from the faults of the last reading, each with the address of its server, if it is of a single one. What it did not show
    /// began at `read_at`.
    pub fn follow(&mut self, address: Option<&str>, read_at: Duration, last: &[(Option<&str>, &Self)]) {
        let is_same = |(of, it): &&(Option<&str>, &Self)| {
            *of == address && discriminant(&it.fault) == discriminant(&self.fault)
        };
        let before = last.iter().find(is_same).and_then(|(_, it)| it.seen_since);
        self.seen_since = before.or(Some(read_at));
    }
}

/// The number of these servers that refuse writes for this reason; `None` where that is unknown.
#[must_use]
pub fn refusing_writes(nodes: &[Node], reason: Reason) -> Option<u64> {
    // A replica does not say whether its primary refuses writes.
    let refuse = |node: &Node| {
        let is_asked = node.failure.is_none() && !node.server.role.is_some_and(Role::is_replica);
        is_asked.then_some(&node.condition)?.refuses_writes(reason)
    };
    let answers: Vec<Option<bool>> = nodes.iter().map(refuse).collect();
    let refusing = answers.iter().filter(|refuses| **refuses == Some(true)).count();
    let is_known = refusing > 0 || (!answers.is_empty() && answers.iter().all(Option::is_some));
    u64::try_from(refusing).ok().filter(|_| is_known)
}

impl fmt::Display for ServerFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OutOfMemory { used, limit } => write!(
                f,
                "Redis refuses writes (OOM): {} MiB are used, over maxmemory ({} MiB); no entries can be added, but trimming still works",
                grouped(used / MIB),
                grouped(limit / MIB)
            ),
            Self::LogFails => f.write_str(
                "Redis refuses writes (MISCONF): its last write to the append-only file failed; free the disk",
            ),
            Self::SnapshotFails => f.write_str(
                "Redis's last RDB snapshot failed: by default it refuses writes (MISCONF) until one succeeds; free the disk",
            ),
            Self::NoReplicas => f.write_str(
                "Redis refuses writes (NOREPLICAS): min-replicas-to-write is set, and no replica is connected",
            ),
            Self::Eviction { policy, used, limit } => write!(
                f,
                "Redis may delete whole streams: maxmemory-policy is {policy}, and {} of {} MiB are used",
                grouped(used / MIB),
                grouped(limit / MIB)
            ),
            Self::Recreated { recreated, streams, restarted } => {
                let (recreated, streams) = (grouped(*recreated), grouped(*streams));
                write!(f, "{recreated} of {streams} streams were recreated or rolled back, ")?;
                match restarted {
                    Some(ago) => write!(f, "and the server was restarted or replaced {} ago", short(*ago)),
                    None => f.write_str("as after FLUSHALL or a restart without data"),
                }
            }
            Self::Vanished { found, before, within } => write!(
                f,
                "the search finds {}; within the last {} it found {}: was the database flushed, swapped or restarted empty?",
                counted(*found, "stream"),
                short(*within),
                grouped(*before)
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Condition;
    use crate::model::{Failure, PrimaryLink, Server, test_snapshot};

    fn node(role: Role, condition: Condition) -> Node {
        Node { server: Server { role: Some(role), ..Server::UNKNOWN }, condition, ..test_snapshot::node() }
    }

    fn full() -> Condition {
        Condition {
            used_memory: Some(101 * MIB),
            max_memory: Some(100 * MIB),
            eviction: Some("noeviction".into()),
            ..Condition::default()
        }
    }

    #[test]
    fn a_primary_that_refuses_writes_is_critical_and_a_replica_or_one_that_does_not_answer_is_not() {
        let faults = ServerFault::of(&node(Role::Primary, full()));
        assert_eq!(faults, [ServerFault::OutOfMemory { used: 101 * MIB, limit: 100 * MIB }]);
        assert_eq!(faults[0].health(), Health::Critical);
        assert_eq!(ServerFault::of(&node(Role::Replica(PrimaryLink::Up), full())), []);
        let failure = Some(Failure::new(Reason::Refused, ""));
        assert_eq!(ServerFault::of(&Node { failure, ..node(Role::Primary, full()) }), []);
    }

    #[test]
    fn a_fault_is_seen_since_the_first_reading_in_a_row_that_shows_it_on_the_same_server() {
        let seen = |condition, at, last: &[(Option<&str>, &SeenFault)]| {
            let snapshot =
                Snapshot { nodes: vec![node(Role::Primary, condition)], ..test_snapshot::snapshot([]) };
            let mut faults = SeenFault::of(&snapshot, &Report::default());
            assert_eq!(faults.iter().map(|it| it.seen_since).max(), Some(None), "of a single reading");
            faults.iter_mut().for_each(|it| it.follow(Some("a:1"), Duration::from_secs(at), last));
            faults
        };
        let since = |faults: &[SeenFault]| {
            faults.iter().map(|it| it.seen_since.map(|it| it.as_secs())).collect::<Vec<_>>()
        };
        let first = seen(full(), 10, &[]);
        assert_eq!(since(&first), [Some(10)]);
        let fuller = Condition { used_memory: Some(200 * MIB), log_fails: Some(true), ..full() };
        let second = seen(fuller, 20, &[(Some("a:1"), &first[0])]);
        assert_eq!(
            since(&second),
            [Some(10), Some(20)],
            "more memory is the same fault, and a full disk is another one"
        );
        assert_eq!(since(&seen(full(), 30, &[(Some("b:1"), &first[0])])), [Some(30)], "of another server");
        assert_eq!(since(&seen(full(), 30, &[])), [Some(30)], "after a reading without it");
    }

    #[test]
    fn each_fault_has_its_level() {
        let condition = Condition {
            log_fails: Some(true),
            snapshot_fails: Some(true),
            good_replicas: Some(0),
            eviction: Some("allkeys-lru".into()),
            ..full()
        };
        let faults = ServerFault::of(&node(Role::Primary, condition));
        let levels: Vec<_> = faults.iter().map(ServerFault::health).collect();
        use Health::{Critical, Warning};
        assert_eq!(levels, [Critical, Critical, Warning, Warning]);
    }

    #[test]
    fn the_number_of_servers_that_refuse_is_unknown_unless_all_are_known_or_one_refuses() {
        let calm = || node(Role::Primary, Condition { max_memory: Some(0), ..full() });
        let (refusing, unknown) =
            (|| node(Role::Primary, full()), || node(Role::Primary, Condition::default()));
        for (nodes, expected) in [
            (vec![calm(), calm()], Some(0)),
            (vec![calm(), refusing()], Some(1)),
            (vec![unknown(), refusing()], Some(1)),
            (vec![calm(), unknown()], None),
            (vec![], None),
        ] {
            assert_eq!(refusing_writes(&nodes, Reason::OutOfMemory), expected);
        }
    }
}
