//! The server: version, topology, role, and whether it accepts writes.

use super::{
    Area::Server,
    Evidence, Finding,
    Level::{Notice, Ok, Problem, Unknown, Warning},
};
use crate::{
    config::ReadFrom,
    model::{Failure, Flavour, PrimaryLink, Role, Section, Setting},
};

/// The oldest version that the sidecar was tested with. It introduced `SCAN ... TYPE`.
const OLDEST: (u16, u16, u16) = (6, 0, 0);

pub(super) fn findings(evidence: Evidence<'_>) -> Vec<Finding> {
    let mut findings = vec![version(evidence)];
    findings.extend(topology(evidence));
    if !is_sentinel(evidence) {
        findings.push(role(evidence));
        findings.extend(enough_replicas(evidence));
    }
    findings
}

/// Whether the server reports that it is a Sentinel.
pub(super) fn is_sentinel(evidence: Evidence<'_>) -> bool {
    evidence.facts.server.mode.as_deref() == Some("sentinel")
}

fn version(evidence: Evidence<'_>) -> Finding {
    let server = &evidence.facts.server;
    let name = server.flavour.as_str();
    if server.flavour == Flavour::Upstash {
        let what = format!("{name} {}", server.version_text().unwrap_or_default());
        let meaning = "it is not built on Redis, and the sidecar was tested on Redis and Valkey only; its limits are \
             taken from its documentation. Check what the sidecar removes and what it costs";
        return Finding::new(Server, Notice, what.trim_end(), meaning);
    }
    match (server.version, server.version_text()) {
        (Some(version), Some(text)) if version < OLDEST => {
            let meaning = "the sidecar was not tested with this version, and can't search it for streams";
            Finding::new(Server, Warning, format!("{name} {text}"), meaning)
        }
        (Some(_), Some(text)) => Finding::new(Server, Ok, format!("{name} {text}"), ""),
        _ => {
            let meaning = "the server does not report it: the sidecar treats it as an old version, and retention in \
                 safe mode does nothing";
            Finding::new(Server, Unknown, "the server's version: unknown", meaning)
        }
    }
}

fn topology(evidence: Evidence<'_>) -> Option<Finding> {
    match evidence.facts.server.mode.as_deref() {
        Some("sentinel") => {
            let what = "the server is a Sentinel, which holds no streams";
            let meaning = "write redis+sentinel://HOST:26379/SERVICE; SENTINEL MASTERS shows the services that it watches";
            Some(Finding::new(Server, Problem, what, meaning))
        }
        _ => None,
    }
}

/// Whether the server reports that it is a replica.
pub(super) fn is_replica(evidence: Evidence<'_>) -> Option<bool> {
    evidence.facts.server.role.map(Role::is_replica)
}

fn role(evidence: Evidence<'_>) -> Finding {
    match (evidence.facts.server.role, evidence.facts.info(Section::Replication)) {
        (None, Result::Ok(_)) => {
            Finding::new(Server, Unknown, "the server's role: unknown", "the server does not report it")
        }
        (None, Err(failure)) => Finding::unknown(Server, "the server's role", "info", &failure),
        (Some(Role::Primary), Result::Ok(info)) if prefers_replicas(evidence) => {
            read_replicas(info.number("connected_slaves").unwrap_or_default())
        }
        (Some(Role::Primary), _) => Finding::new(Server, Ok, "the server is a primary", ""),
        (Some(Role::Replica(link)), _) => replica(evidence, link),
    }
}

fn prefers_replicas(evidence: Evidence<'_>) -> bool {
    evidence.config.redis.read_from == ReadFrom::ReplicaPreferred
}

/// A primary whose replicas are read.
fn read_replicas(connected: u64) -> Finding {
    if connected == 0 {
        let what = "the server is a primary without a connected replica";
        let meaning =
            "redis.read_from is replica-preferred: the primary is read until a replica is connected";
        return Finding::new(Server, Warning, what, meaning);
    }
    let what = format!("the server is a primary, and one of its replicas is read ({connected} connected)");
    let meaning = "a replica does not know when consumers last read, nor consumers that never received an entry: both are \
         unknown, and groups without active consumers are not reported. Retention and the search for streams use the primary";
    Finding::new(Server, Notice, what, meaning)
}

fn replica(evidence: Evidence<'_>, link: PrimaryLink) -> Finding {
    if evidence.cluster.as_ref().is_ok_and(Option::is_some) {
        let meaning = "the cluster's primaries are read, and retention removes there";
        return Finding::new(Server, Ok, "the node at the address is a replica", meaning);
    }
    if evidence.config.redis.read_from == ReadFrom::Primary {
        let meaning = "redis.read_from is primary, so nothing is read here: point the address at the primary";
        return Finding::new(Server, Problem, "the server is a replica", meaning);
    }
    if evidence.retains() {
        let meaning = "retention can't remove anything here (READONLY): point the address at the primary";
        return Finding::new(Server, Problem, "the server is a replica", meaning);
    }
    if evidence.acts() {
        let meaning =
            "commands that act on stuck work fail here (READONLY): point the address at the primary";
        return Finding::new(Server, Problem, "the server is a replica", meaning);
    }
    match link {
        PrimaryLink::Up => {
            let meaning = "data is as old as its replication lag, and ages include that lag";
            Finding::new(Server, Notice, "the server is a replica", meaning)
        }
        PrimaryLink::Down { .. } => {
            let meaning = "polls fail (`replica_link_down`), since its data is stale";
            Finding::new(Server, Warning, "the server is a replica without a link to its primary", meaning)
        }
        PrimaryLink::Unknown => {
            let meaning =
                "stale numbers may look fresh: permit +role, or +info, which also reports since when";
            let what = "whether the replica's link to its primary works: unknown";
            Finding::new(Server, Unknown, what, meaning)
        }
    }
}

/// Whether enough replicas are connected for writes.
fn enough_replicas(evidence: Evidence<'_>) -> Option<Finding> {
    let info = evidence.facts.info(Section::Replication);
    // Only a server with a minimum of replicas reports how many are good.
    let good = match &info {
        Result::Ok(info) => info.number("min_slaves_good_slaves")?,
        Err(failure) => {
            return Some(Finding::unknown(Server, "whether writes need replicas", "info", failure));
        }
    };
    let least: Result<u64, Failure> = evidence.facts.number(Setting::MinReplicas);
    let level = if evidence.retains() { Problem } else { Warning };
    Some(match least {
        Result::Ok(least) if good < least => {
            let what = format!("min-replicas-to-write is {least}, but only {good} are good");
            let meaning = "all writes are refused (NOREPLICAS): the application's and retention's";
            Finding::new(Server, level, what, meaning)
        }
        Result::Ok(least) => {
            Finding::new(Server, Ok, format!("min-replicas-to-write is {least}, and {good} are good"), "")
        }
        Err(failure) => {
            let what = format!("min-replicas-to-write, with {good} good replicas");
            Finding::unknown(Server, &what, "config|get", &failure)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::super::test_evidence::{Case, RETAIN};
    use super::*;

    #[test]
    fn a_sentinel_is_a_problem() {
        for (mode, level) in [("standalone", None), ("cluster", None), ("sentinel", Some(Problem))] {
            let mut case = Case::new("redis://h", "");
            case.facts.server.mode = Some(mode.into());
            assert_eq!(topology(case.evidence()).map(|it| it.level), level, "{mode}");
        }
    }

    #[test]
    fn a_replica_can_be_read_but_not_trimmed() {
        let replica = Role::Replica;
        let down = PrimaryLink::Down { since: None };
        for (config, known, level, word) in [
            ("", Some(Role::Primary), Ok, "primary"),
            ("", Some(replica(PrimaryLink::Up)), Notice, "replica"),
            ("", Some(replica(down)), Warning, "without a link"),
            ("", Some(replica(PrimaryLink::Unknown)), Unknown, "unknown"),
            ("", None, Unknown, "unknown"),
            (RETAIN, Some(replica(PrimaryLink::Up)), Problem, "replica"),
            (RETAIN, Some(Role::Primary), Ok, "primary"),
        ] {
            let mut case = Case::new("redis://h", config);
            case.facts.server.role = known;
            let finding = role(case.evidence());
            assert_eq!(finding.level, level, "{known:?}");
            case.config.redis.read_from = ReadFrom::Primary;
            let is_refused = known.is_some_and(Role::is_replica);
            assert_eq!(role(case.evidence()).level, if is_refused { Problem } else { level });
            assert!(finding.what.contains(word), "{}", finding.what);
        }
    }

    #[test]
    fn too_few_replicas_stop_every_write() {
        for (config, replication, least, level) in [
            ("", "role:master", "0", None),
            ("", "min_slaves_good_slaves:1", "1", Some(Ok)),
            ("", "min_slaves_good_slaves:0", "1", Some(Warning)),
            (RETAIN, "min_slaves_good_slaves:0", "1", Some(Problem)),
            (RETAIN, "min_slaves_good_slaves:0", "refused", Some(Unknown)),
        ] {
            let mut case = Case::new("redis://h", config);
            case.info(Section::Replication, replication);
            case.set(Setting::MinReplicas, least);
            assert_eq!(enough_replicas(case.evidence()).map(|it| it.level), level, "{replication} {least}");
        }
    }
}
