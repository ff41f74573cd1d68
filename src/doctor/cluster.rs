//! The cluster: whether all slots are served and have replicas, and whether each primary can be used from here.

use std::collections::BTreeSet;

use super::{
    Area::{Permissions, Server},
    Evidence, Finding,
    Level::{Notice, Ok, Problem, Unknown, Warning},
    failed_step::advice,
};
use crate::{
    config::Cluster,
    evaluate::grouped,
    model::{Answer, ClusterFacts, Failure, NodeAddress, PrimaryFacts, Reason, Rights, SeedFacts},
};

/// Addresses that one finding names.
const MOST_NAMED: usize = 5;

pub(super) fn findings(evidence: Evidence<'_>) -> Vec<Finding> {
    if !evidence.facts.server.is_of_cluster() {
        return not_one(evidence).into_iter().collect();
    }
    if evidence.config.redis.cluster == Cluster::Off {
        let what = "the server is a node of a cluster, and redis.cluster is off";
        let meaning =
            "only this node's streams are watched. Remove redis.cluster to watch those of all primaries";
        return vec![Finding::new(Server, Notice, what, meaning)];
    }
    match evidence.cluster {
        Result::Ok(Some(cluster)) => of_cluster(evidence, cluster),
        Result::Ok(None) => Vec::new(),
        Err(failure) => vec![undescribed(failure)],
    }
}

/// Settings for a cluster without one.
fn not_one(evidence: Evidence<'_>) -> Option<Finding> {
    let seeds = &evidence.config.redis.nodes;
    let what = "redis.nodes is set, but the server is not in cluster mode";
    let meaning =
        "these nodes are asked only if the address does not answer, and only nodes of a cluster are used";
    (!seeds.is_empty()).then(|| Finding::new(Server, Warning, what, meaning))
}

fn undescribed(failure: &Failure) -> Finding {
    let what = "the server does not describe its cluster, so no stream is read";
    let meaning =
        format!("the sidecar asks with CLUSTER SHARDS and CLUSTER SLOTS; error: {}", failure.detail);
    Finding::new(Server, Problem, what, meaning)
}

fn of_cluster(evidence: Evidence<'_>, cluster: &ClusterFacts) -> Vec<Finding> {
    let mut findings = vec![coverage(evidence, cluster)];
    findings.extend(without_replica(&cluster.primaries));
    for PrimaryFacts { address, rights, .. } in &cluster.primaries {
        match rights {
            Result::Ok(rights) => findings.extend(fewer_rights(evidence, address, rights)),
            Err(failure) => findings.push(out_of_reach(evidence, address, failure)),
        }
    }
    findings.extend(cluster.seeds.iter().filter_map(|(address, seed)| useless_seed(address, seed)));
    findings
}

fn coverage(evidence: Evidence<'_>, cluster: &ClusterFacts) -> Finding {
    let primaries = cluster.primaries.len();
    let of = format!("a cluster of {primaries} {}", if primaries == 1 { "primary" } else { "primaries" });
    if !cluster.unserved.is_empty() {
        let count = grouped(u64::try_from(cluster.unserved.count()).unwrap_or(u64::MAX));
        let what = format!("{of}, and {count} slots are not served: {}", cluster.unserved);
        let meaning = "streams in these slots can't be read or written; with cluster-require-full-coverage yes, which is \
             the default, the whole cluster refuses. Start their primary, let a replica take over (CLUSTER FAILOVER TAKEOVER), \
             or assign them (redis-cli --cluster fix)";
        return Finding::new(Server, Problem, what, meaning);
    }
    let meaning = format!("memory, persistence and settings below are those of {}", evidence.address);
    Finding::new(Server, Ok, format!("{of}, and all slots are served"), meaning)
}

fn without_replica(primaries: &[PrimaryFacts]) -> Option<Finding> {
    let alone: Vec<&NodeAddress> =
        primaries.iter().filter(|primary| primary.replicas == 0).map(|primary| &primary.address).collect();
    let what = match alone.as_slice() {
        [] => return None,
        all if all.len() == primaries.len() => "no primary has a replica that is online".to_owned(),
        [one] => format!("primary {one} has no replica that is online"),
        several => format!("{} primaries have no replica that is online: {}", several.len(), named(several)),
    };
    let meaning = "if such a primary fails, its slots are not served and its streams may be lost";
    Some(Finding::new(Server, Warning, what, meaning))
}

fn named(all: &[&NodeAddress]) -> String {
    let more = all.len().saturating_sub(MOST_NAMED);
    let named = all.iter().take(MOST_NAMED).map(ToString::to_string).collect::<Vec<_>>().join(", ");
    if more == 0 { named } else { format!("{named} and {more} more") }
}

/// A primary without a connection.
fn out_of_reach(evidence: Evidence<'_>, address: &NodeAddress, failure: &Failure) -> Finding {
    let is_login = matches!(failure.reason, Reason::NoAuth | Reason::WrongPassword | Reason::NoPermission);
    let meaning = if is_login {
        "users and passwords are not replicated between the nodes of a cluster: set the same ones on each"
            .to_owned()
    } else if evidence.config.redis.cluster_address_map.values().any(|used| used == address) {
        format!(
            "redis.cluster_address_map names this address: correct it there, or {}",
            advice(failure.reason)
        )
    } else {
        format!(
            "the cluster announces this address. If it is not reachable from here, set cluster-announce-ip, -port or -hostname on the \
             node, or name another address in redis.cluster_address_map. Otherwise {}",
            advice(failure.reason)
        )
    };
    let what = format!(
        "no connection to primary {address} ({}), so its streams are not read",
        failure.reason.as_str()
    );
    Finding::new(Server, Problem, what, format!("{meaning}; error: {}", failure.detail))
}

/// What the user may not do on this primary, although it may on the node that was asked first.
fn fewer_rights(evidence: Evidence<'_>, address: &NodeAddress, rights: &Rights) -> Option<Finding> {
    let first = evidence.rights.as_ref().ok().and_then(refused).unwrap_or_default();
    let user = evidence.user.or(evidence.address.user()).unwrap_or("default");
    let Some(here) = refused(rights) else {
        let what = format!("permissions of user {user} on primary {address}: unknown");
        let why = rights.tried.as_ref().err().map_or_else(String::new, |failure| failure.detail.to_string());
        return Some(Finding::new(Permissions, Unknown, what, why));
    };
    let missing: Vec<&str> = here.difference(&first).copied().collect();
    let what = format!(
        "user {user} may not run {} on primary {address}, although it may on another node",
        missing.join(", ")
    );
    let meaning = "users and their rules are not replicated between the nodes of a cluster: set the rule on each; \
         `streamwarden acl` prints it";
    (!missing.is_empty()).then(|| Finding::new(Permissions, Problem, what, meaning))
}

/// The commands that the user may not run; `None` if that is unknown.
fn refused(rights: &Rights) -> Option<BTreeSet<&'static str>> {
    let tried = rights.tried.as_ref().ok()?;
    let is_refused = |answer: &Answer| matches!(answer, Answer::Refused);
    let refused = tried.iter().filter(|it| it.answers.iter().any(|(_, answer)| is_refused(answer)));
    Some(refused.map(|it| it.need.permission.as_str()).collect())
}

pub(super) fn useless_seed(address: &NodeAddress, seed: &SeedFacts) -> Option<Finding> {
    let (what, meaning) = match seed {
        SeedFacts::Same => return None,
        SeedFacts::Failed(failure) => (
            format!("does not answer ({})", failure.reason.as_str()),
            format!("{}; error: {}", advice(failure.reason), failure.detail),
        ),
        SeedFacts::NoCluster => {
            ("is not in cluster mode".to_owned(), "it is never used: remove it".to_owned())
        }
        SeedFacts::OtherCluster => (
            "is a node of another cluster".to_owned(),
            "if the address does not answer, the sidecar would watch that cluster: remove it".to_owned(),
        ),
    };
    let level = if matches!(seed, SeedFacts::OtherCluster) { Problem } else { Warning };
    Some(Finding::new(Server, level, format!("{address} of redis.nodes {what}"), meaning))
}

#[cfg(test)]
mod tests {
    use super::super::{Level, test_evidence::Case};
    use super::*;
    use crate::model::{Feature, Method, Need, Permission, Slot, Tried};

    type Change = Box<dyn FnOnce(&mut ClusterFacts)>;

    fn rights(refused: &[Permission]) -> Rights {
        let answer =
            |permission| if refused.contains(&permission) { Answer::Refused } else { Answer::Permitted };
        let tried = [Permission::XinfoStream, Permission::Scan].map(|permission| Tried {
            need: Need { feature: Feature::Observing, permission, keys: Vec::new() },
            answers: vec![(None, answer(permission))],
        });
        Rights {
            tried: Result::Ok(tried.into()),
            method: Method::DryRun,
            expiring: Result::Ok(Default::default()),
        }
    }

    fn primary(port: u16, rights: Result<Rights, Failure>) -> PrimaryFacts {
        PrimaryFacts { address: NodeAddress::new("h", port).unwrap(), replicas: 1, rights }
    }

    fn found(change: impl FnOnce(&mut ClusterFacts)) -> Vec<(Level, String)> {
        let mut case = Case::new("redis://sidecar:p@h", "");
        case.facts.server.mode = Some("cluster".into());
        case.rights = Result::Ok(rights(&[]));
        let mut cluster = ClusterFacts {
            unserved: Default::default(),
            primaries: vec![primary(1, Result::Ok(rights(&[]))), primary(2, Result::Ok(rights(&[])))],
            seeds: Vec::new(),
        };
        change(&mut cluster);
        case.cluster = Result::Ok(Some(cluster));
        let text = |it: Finding| (it.level, format!("{} ({})", it.what, it.meaning));
        findings(case.evidence()).into_iter().map(text).collect()
    }

    #[test]
    fn a_cluster_without_problems_is_one_finding() {
        let found = found(|_cluster| {});
        assert_eq!(found.len(), 1);
        assert!(
            found[0].0 == Ok && found[0].1.contains("2 primaries, and all slots are served"),
            "{found:?}"
        );
    }

    #[test]
    fn each_trouble_of_a_cluster_is_named_with_what_to_do() {
        let failure = |reason| Failure::new(reason, "words");
        let seed = |seed: SeedFacts| {
            move |cluster: &mut ClusterFacts| cluster.seeds = vec![(NodeAddress::new("s", 9).unwrap(), seed)]
        };
        let cases: [(Change, Level, &[&str]); 9] = [
            (
                Box::new(|it| it.unserved = Slot::all().take(3).collect()),
                Problem,
                &["3 slots are not served: 0-2", "--cluster fix"],
            ),
            (Box::new(|it| it.primaries[1].replicas = 0), Warning, &["primary h:2 has no replica"]),
            (
                Box::new(move |it| it.primaries[1].rights = Err(failure(Reason::Refused))),
                Problem,
                &["primary h:2 (refused)", "cluster-announce-ip", "redis.cluster_address_map", "words"],
            ),
            (
                Box::new(move |it| it.primaries[1].rights = Err(failure(Reason::WrongPassword))),
                Problem,
                &["primary h:2 (wrongpass)", "not replicated between the nodes"],
            ),
            (
                Box::new(|it| it.primaries[1].rights = Result::Ok(rights(&[Permission::Scan]))),
                Problem,
                &["user sidecar may not run scan on primary h:2", "streamwarden acl"],
            ),
            (
                Box::new(move |it| {
                    it.primaries[1].rights.as_mut().unwrap().tried = Err(failure(Reason::Timeout))
                }),
                Unknown,
                &["on primary h:2: unknown (words)"],
            ),
            (Box::new(seed(SeedFacts::NoCluster)), Warning, &["s:9 of redis.nodes is not in cluster mode"]),
            (Box::new(seed(SeedFacts::OtherCluster)), Problem, &["s:9 of redis.nodes is a node of another"]),
            (
                Box::new(seed(SeedFacts::Failed(failure(Reason::Dns)))),
                Warning,
                &["s:9 of redis.nodes does not answer (dns)", "getent"],
            ),
        ];
        for (change, level, words) in cases {
            let found = found(change);
            let worst: Vec<_> = found.iter().filter(|(it, _)| *it != Ok).collect();
            let [(actual, text)] = worst.as_slice() else { panic!("{words:?}: {found:?}") };
            assert_eq!(*actual, level, "{text}");
            assert!(words.iter().all(|word| text.contains(word)), "{words:?}: {text}");
        }
    }

    #[test]
    fn an_address_that_the_configuration_names_is_corrected_there() {
        let mut case = Case::new("redis://h", "");
        let yaml = "redis: {uri: 'redis://h', cluster_address_map: {'a:1': 'h:2'}}";
        case.config = crate::config::check_in(yaml, &[]).unwrap();
        let failure = Failure::new(Reason::Refused, "words");
        for (port, words) in [(1, "cluster-announce-ip"), (2, "correct it there")] {
            let address = NodeAddress::new("h", port).unwrap();
            let found = out_of_reach(case.evidence(), &address, &failure);
            assert!(found.meaning.contains(words), "{}", found.meaning);
        }
    }

    #[test]
    fn what_is_refused_on_all_nodes_is_reported_once_by_the_permissions() {
        let mut case = Case::new("redis://h", "");
        case.facts.server.mode = Some("cluster".into());
        case.rights = Result::Ok(rights(&[Permission::Scan]));
        let primaries = vec![primary(1, Result::Ok(rights(&[Permission::Scan])))];
        let cluster = ClusterFacts { unserved: Default::default(), primaries, seeds: Vec::new() };
        case.cluster = Result::Ok(Some(cluster));
        assert!(findings(case.evidence()).iter().all(|it| it.level == Ok));
    }

    #[test]
    fn a_cluster_that_is_not_read_or_not_described_is_reported() {
        let levels = |yaml: &str, mode: &str, cluster| {
            let mut case = Case::new("redis://h", "");
            let yaml = format!("redis: {{uri: 'redis://h', {yaml}}}");
            case.config = crate::config::check_in(&yaml, &[]).unwrap();
            case.facts.server.mode = Some(mode.into());
            case.cluster = cluster;
            findings(case.evidence()).into_iter().map(|it| it.level).collect::<Vec<_>>()
        };
        let refused = || Err(Failure::new(Reason::NoPermission, "words"));
        assert_eq!(levels("cluster: off", "cluster", Result::Ok(None)), [Notice]);
        assert_eq!(levels("cluster: auto", "cluster", refused()), [Problem]);
        assert_eq!(levels("nodes: ['h:1']", "standalone", Result::Ok(None)), [Warning]);
        assert_eq!(levels("cluster: auto", "standalone", Result::Ok(None)), []);
    }
}
