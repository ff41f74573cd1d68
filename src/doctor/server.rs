//! Who answers: version, topology, role, and whether it takes writes.

use super::{
    Area::Server,
    Evidence, Finding,
    Level::{Notice, Ok, Problem, Unknown, Warning},
};
use crate::model::{Failure, Flavour, Section, Setting};

/// The oldest version that this was tried on; `SCAN ... TYPE` came with it.
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

/// Whether it is a sentinel, by its own word.
pub(super) fn is_sentinel(evidence: Evidence<'_>) -> bool {
    evidence.facts.server.mode.as_deref() == Some("sentinel")
}

fn version(evidence: Evidence<'_>) -> Finding {
    let server = &evidence.facts.server;
    let name = server.flavour.as_str();
    if server.flavour == Flavour::Upstash {
        let what = format!("{name} {}", server.version_text().unwrap_or_default());
        let meaning = "it is not built on Redis, and this version was tried on Redis and Valkey only; what is said \
             here of its limits is from its documentation. Look at what it removes, and what it costs";
        return Finding::new(Server, Notice, what.trim_end(), meaning);
    }
    match (server.version, server.version_text()) {
        (Some(version), Some(text)) if version < OLDEST => {
            let meaning = "it is older than any that this was tried on, and can't be searched for streams";
            Finding::new(Server, Warning, format!("{name} {text}"), meaning)
        }
        (Some(_), Some(text)) => Finding::new(Server, Ok, format!("{name} {text}"), ""),
        _ => {
            let meaning = "it does not say: what depends on the version is done in the way of old ones, and \
                 retention in safe mode is not";
            Finding::new(Server, Unknown, "the server's version: not known", meaning)
        }
    }
}

fn topology(evidence: Evidence<'_>) -> Option<Finding> {
    match evidence.facts.server.mode.as_deref() {
        Some("cluster") => {
            let what = "the server is a node of a cluster, which this version does not support";
            let meaning = "only this node's keys are found, and a stream on another node can't be read (`moved`); \
                 until clusters are supported, run a sidecar a primary, and move its address at each failover";
            Some(Finding::new(Server, Problem, what, meaning))
        }
        Some("sentinel") => {
            let what = "this is a sentinel, and holds no streams";
            let meaning = "use the address of the primary that it watches: SENTINEL GET-MASTER-ADDR-BY-NAME";
            Some(Finding::new(Server, Problem, what, meaning))
        }
        _ => None,
    }
}

/// Whether it is a replica, by its own word.
pub(super) fn is_replica(evidence: Evidence<'_>) -> Option<bool> {
    let info = evidence.facts.info(Section::Replication).ok();
    let role = info.and_then(|info| info.get("role")).or(evidence.facts.server.role.as_deref())?;
    Some(matches!(role, "slave" | "replica"))
}

fn role(evidence: Evidence<'_>) -> Finding {
    let info = evidence.facts.info(Section::Replication);
    match (is_replica(evidence), &info) {
        (None, Result::Ok(_)) => {
            Finding::new(Server, Unknown, "the server's role: not known", "it does not say")
        }
        (None, Err(failure)) => Finding::unknown(Server, "the server's role", "info", failure),
        (Some(false), _) => Finding::new(Server, Ok, "the server is a primary", ""),
        (Some(true), info) => {
            replica(evidence, info.as_ref().ok().and_then(|info| info.get("master_link_status")))
        }
    }
}

fn replica(evidence: Evidence<'_>, link: Option<&str>) -> Finding {
    if evidence.retains() {
        let meaning = "retention can't remove anything here (READONLY): point the address at the primary";
        return Finding::new(Server, Problem, "the server is a replica", meaning);
    }
    if link == Some("down") {
        let meaning = "what is read is as old as that, and looks fresh";
        return Finding::new(Server, Warning, "the server is a replica, cut off from its primary", meaning);
    }
    let meaning = "what is read is as old as its replication, and ages grow by that";
    Finding::new(Server, Notice, "the server is a replica", meaning)
}

/// Whether as many replicas are connected as writes need.
fn enough_replicas(evidence: Evidence<'_>) -> Option<Finding> {
    let info = evidence.facts.info(Section::Replication);
    // A server that asks for replicas says how many are good; one that does not asks for none.
    let good = match &info {
        Result::Ok(info) => info.number("min_slaves_good_slaves")?,
        Err(failure) => {
            return Some(Finding::unknown(Server, "whether writes wait for replicas", "info", failure));
        }
    };
    let least: Result<u64, Failure> = evidence.facts.number(Setting::MinReplicas);
    let level = if evidence.retains() { Problem } else { Warning };
    Some(match least {
        Result::Ok(least) if good < least => {
            let what = format!("min-replicas-to-write is {least}, and {good} are good");
            let meaning = "every write is refused (NOREPLICAS): the application's, and retention's";
            Finding::new(Server, level, what, meaning)
        }
        Result::Ok(least) => {
            Finding::new(Server, Ok, format!("min-replicas-to-write is {least}, and {good} are good"), "")
        }
        Err(failure) => {
            let what = format!("min-replicas-to-write, where {good} replicas are good");
            Finding::unknown(Server, &what, "config|get", &failure)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::super::test_evidence::{Case, RETAIN};
    use super::*;

    #[test]
    fn a_node_of_a_cluster_and_a_sentinel_are_problems() {
        for (mode, level) in [("standalone", None), ("cluster", Some(Problem)), ("sentinel", Some(Problem))] {
            let mut case = Case::new("redis://h", "");
            case.facts.server.mode = Some(mode.into());
            assert_eq!(topology(case.evidence()).map(|it| it.level), level, "{mode}");
        }
    }

    #[test]
    fn a_replica_can_be_read_and_not_trimmed() {
        for (config, replication, level, word) in [
            ("", "role:master", Ok, "primary"),
            ("", "role:slave\r\nmaster_link_status:up", Notice, "replica"),
            ("", "role:slave\r\nmaster_link_status:down", Warning, "cut off"),
            (RETAIN, "role:slave\r\nmaster_link_status:up", Problem, "replica"),
            (RETAIN, "role:master", Ok, "primary"),
        ] {
            let mut case = Case::new("redis://h", config);
            case.info(Section::Replication, replication);
            let finding = role(case.evidence());
            assert_eq!(finding.level, level, "{replication}");
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
