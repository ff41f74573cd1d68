//! The permissions one by one, each with keys to try it on. `doctor` checks them.

use std::{collections::BTreeSet, sync::Arc};

use super::{
    ACTING, CLUSTER, Holder, LEASING, PROBING, REAPING, REPLICAS, SETTING_ASIDE, acts, acts_on_request,
    enforces, is_exact, reading, trimming,
};
use crate::{
    config::{Config, PROBE_PREFIX, StreamRule, Watched, Watchlist},
    model::{Feature, Name, Need, Permission, Server},
    stuck::{dead_letters_of, origins_of},
};

/// Streams to try reading on, one a rule. Refusals on other streams show when they are read.
const MAX_SAMPLES: usize = 20;
/// Streams to try trimming on.
const MAX_TRIMMED: usize = 100;

/// The permissions that the user needs for these streams: those of the rule, without `HELLO`, with which every connection begins, and without those of `bench`.
#[must_use]
pub fn needs(
    config: &Config,
    holder: Holder,
    database: i64,
    server: &Server,
    watchlist: &Watchlist,
) -> Vec<Need> {
    let is_token = config.http.trim_token_file.is_some();
    let of_rules = |is_meant: fn(&StreamRule) -> bool| -> Vec<Name> {
        let is_meant = |watched: &&Watched| {
            let rule = watched.rule.as_deref();
            is_token || rule.is_some_and(|rule| enforces(config, rule) && is_meant(rule))
        };
        watchlist.iter().filter(is_meant).take(MAX_TRIMMED).map(|watched| watched.name.clone()).collect()
    };
    let samples = samples(watchlist);
    let reading = reading(config, database, server)
        .into_iter()
        .map(|permission| (feature_of_reading(permission), permission, samples.clone()));
    let is_enforced = config.streams.iter().any(|rule| enforces(config, rule));
    let is_leased = is_enforced || config.streams.iter().any(|rule| acts(config, rule));
    let trimming = (is_enforced || is_token).then(|| trimming(config)).into_iter().flatten();
    let trimming = trimming.map(|permission| {
        if permission == Permission::Xdel {
            (Feature::Exact, permission, of_rules(is_exact))
        } else {
            (Feature::Retention, permission, of_rules(|_| true))
        }
    });
    let lease = Name::from(config.retention.lease_key.as_str());
    let leasing = LEASING.into_iter().filter(|_| is_leased);
    let leasing = leasing.map(|permission| (Feature::Lease, permission, vec![lease.clone()]));
    let probe = Name::from(format!("{PROBE_PREFIX}doctor").as_str());
    let probing = PROBING.into_iter().filter(|_| config.probe.enabled);
    let probing = probing.map(|permission| (Feature::Probing, permission, vec![probe.clone()]));
    // Dead letters that are watched have none of their own.
    let acted_on = samples.iter().filter(|name| origins_of(name).next().is_none());
    let dead_letters: Vec<Name> = acted_on.clone().filter_map(dead_letters_of).collect();
    let acting = ACTING.into_iter().filter(|_| acts_on_request(config, holder)).map(|permission| {
        let of_streams = acted_on.clone().filter(|_| !is_of_dead_letters(permission));
        let of_dead_letters = dead_letters.iter().filter(|_| !is_of_streams(permission));
        (Feature::Acting, permission, of_streams.chain(of_dead_letters).cloned().collect())
    });
    reading
        .chain(trimming)
        .chain(leasing)
        .chain(probing)
        .chain(by_rule(config, watchlist))
        .chain(acting)
        .filter(|(_, permission, _)| *permission != Permission::Hello)
        .map(|(feature, permission, keys)| Need {
            feature,
            permission,
            keys: if permission.has_key() { keys } else { Vec::new() },
        })
        .collect()
}

fn feature_of_reading(permission: Permission) -> Feature {
    if permission == Permission::Scan {
        Feature::Discovery
    } else if CLUSTER.contains(&permission) {
        Feature::Cluster
    } else if REPLICAS.contains(&permission) {
        Feature::Replicas
    } else if permission == Permission::Xrevrange {
        Feature::Counting
    } else if permission == Permission::MemoryUsage {
        Feature::Measuring
    } else {
        Feature::Observing
    }
}

/// What the rules about stuck work need, on streams and on their dead letters.
fn by_rule(config: &Config, watchlist: &Watchlist) -> Vec<(Feature, Permission, Vec<Name>)> {
    let of_rules = |is_meant: fn(&Watched) -> bool| -> Vec<&Watched> {
        let applies = |watched: &&Watched| {
            watched.rule.as_deref().is_some_and(|rule| acts(config, rule)) && is_meant(watched)
        };
        watchlist.iter().filter(applies).take(MAX_SAMPLES).collect()
    };
    let set_aside = of_rules(|watched| watched.dead_letter().is_some());
    let names = |all: &[&Watched]| all.iter().map(|watched| watched.name.clone()).collect::<Vec<_>>();
    let (streams, dead_letters): (_, Vec<Name>) =
        (names(&set_aside), set_aside.iter().filter_map(|watched| watched.dead_letters()).collect());
    let reaped = names(&of_rules(|watched| watched.reap_consumers().is_some()));
    let setting_aside = SETTING_ASIDE.into_iter().filter(|_| !streams.is_empty()).map(|permission| {
        let of_streams =
            streams.iter().filter(|_| !is_of_dead_letters(permission) && permission != Permission::Xadd);
        let of_dead_letters = dead_letters.iter().filter(|_| !is_of_streams(permission));
        (Feature::ActingRules, permission, of_streams.chain(of_dead_letters).cloned().collect())
    });
    let reaping = REAPING.into_iter().filter(|_| !reaped.is_empty());
    let reaping = reaping.map(|permission| (Feature::ActingRules, permission, reaped.clone()));
    setting_aside.chain(reaping).collect()
}

/// Whether acts need it on dead letters only. Reading the streams is another feature.
const fn is_of_dead_letters(permission: Permission) -> bool {
    matches!(
        permission,
        Permission::Xdel
            | Permission::XinfoGroups
            | Permission::Xlen
            | Permission::Xrange
            | Permission::Xrevrange
    )
}

/// Whether acts need it on streams only.
const fn is_of_streams(permission: Permission) -> bool {
    use Permission::{Xack, Xclaim, XgroupDelConsumer, XinfoConsumers};
    matches!(permission, Xack | Xclaim | XgroupDelConsumer | XinfoConsumers)
}

/// The first stream of each rule.
fn samples(watchlist: &Watchlist) -> Vec<Name> {
    let mut seen = BTreeSet::new();
    let firsts = watchlist.iter().filter(|watched| seen.insert(watched.rule.as_ref().map(Arc::as_ptr)));
    firsts.take(MAX_SAMPLES).map(|watched| watched.name.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        acl::rule,
        config::{check_in, test_config::config},
    };

    #[test]
    fn only_where_all_primaries_of_a_cluster_are_read_its_commands_are_needed() {
        let server = |mode: &str, version| Server { mode: Some(mode.into()), version, ..Server::UNKNOWN };
        let none = [""; 0].as_slice();
        let all = ["cluster|shards", "cluster|slots", "asking"].as_slice();
        for (keys, server, expected) in [
            ("", server("standalone", Some((8, 0, 0))), none),
            ("", Server::UNKNOWN, none),
            ("", server("cluster", Some((7, 0, 0))), all),
            ("", server("cluster", Some((6, 2, 0))), ["cluster|slots", "asking"].as_slice()),
            (", cluster: off", server("cluster", Some((8, 0, 0))), none),
            (", nodes: [b:1]", Server::UNKNOWN, all),
        ] {
            let config = check_in(&format!("redis: {{uri: 'redis://h'{keys}}}"), &[]).unwrap();
            let rule = rule(&config, "u", Holder::Sidecar, 0, &server);
            let permitted = rule.split(' ').filter_map(|word| word.strip_prefix('+'));
            let of_cluster: Vec<&str> =
                permitted.filter(|word| word.starts_with("cluster") || *word == "asking").collect();
            assert_eq!(of_cluster, expected, "{keys} {server:?}");
            let needs = needs(&config, Holder::Sidecar, 0, &server, &Watchlist::new(&config, []));
            let needed = needs.iter().filter(|need| need.feature == Feature::Cluster);
            assert_eq!(needed.map(|need| need.permission.as_str()).collect::<Vec<_>>(), expected);
        }
    }

    #[test]
    fn where_replicas_are_read_the_role_is_needed_and_in_a_cluster_readonly() {
        for (keys, mode, expected) in [
            ("", "standalone", [""; 0].as_slice()),
            ("", "cluster", &[]),
            (", read_from: replica-preferred", "standalone", &["role"]),
            (", read_from: replica-preferred", "cluster", &["role", "readonly"]),
        ] {
            let config = check_in(&format!("redis: {{uri: 'redis://h'{keys}}}"), &[]).unwrap();
            let server = Server { mode: Some(mode.into()), ..Server::UNKNOWN };
            let needs = needs(&config, Holder::Sidecar, 0, &server, &Watchlist::new(&config, []));
            let needed = needs.iter().filter(|need| need.feature == Feature::Replicas);
            let needed: Vec<&str> = needed.map(|need| need.permission.as_str()).collect();
            assert_eq!(needed, expected, "{keys} {mode}");
            let rule = rule(&config, "u", Holder::Sidecar, 0, &server);
            assert!(needed.iter().all(|word| rule.contains(&format!(" +{word}"))), "{rule}");
        }
    }

    #[test]
    fn what_is_needed_is_what_the_rule_permits() {
        let token = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(token.path(), "0123456789abcdef").unwrap();
        let http = format!("http: {{trim_token_file: {}}}", token.path().display());
        let retain = "streams: [{match: 'a*', retention: {max_length: 5, exact: true}}, {match: b}]";
        for yaml in
            ["", "streams: [{match: b}]", retain, &http, "probe: {enabled: true}", "memory: {enabled: true}"]
        {
            let config = config(yaml);
            let streams = Watchlist::new(&config, ["a1", "a2", "b"].map(Name::from));
            for holder in [Holder::Sidecar, Holder::Actor] {
                let needs = needs(&config, holder, 2, &Server::UNKNOWN, &streams);
                let needed: BTreeSet<&str> = needs.iter().map(|need| need.permission.as_str()).collect();
                let rule = rule(&config, "u", holder, 2, &Server::UNKNOWN);
                let permitted: BTreeSet<&str> =
                    rule.split([' ', '(', ')']).filter_map(|word| word.strip_prefix('+')).collect();
                assert_eq!(needed, permitted, "{yaml}");
            }
            let needs = needs(&config, Holder::Actor, 2, &Server::UNKNOWN, &streams);
            let keys = |permission| {
                let need = needs.iter().find(|need| need.permission == permission);
                need.map(|need| need.keys.iter().map(ToString::to_string).collect::<Vec<_>>())
            };
            if yaml == retain {
                assert_eq!(keys(Permission::Xlen).unwrap(), ["a1", "b"]);
                assert_eq!(keys(Permission::Xdel).unwrap(), ["a1", "a2"]);
                assert_eq!(keys(Permission::Time).unwrap(), [""; 0]);
                assert_eq!(keys(Permission::Xack).unwrap(), ["a1", "b"]);
                assert_eq!(keys(Permission::Xadd).unwrap(), ["a1", "b", "dead:{a1}", "dead:{b}"]);
            }
        }
    }

    #[test]
    fn dead_letters_that_are_watched_have_none_of_their_own() {
        let config = config("streams: [{match: 'dead:*'}, {match: '*'}]");
        let streams = Watchlist::new(&config, ["a", "dead:{a}"].map(Name::from));
        let needs = needs(&config, Holder::Actor, 0, &Server::UNKNOWN, &streams);
        let acting = needs.iter().filter(|need| need.feature == Feature::Acting);
        let keys: BTreeSet<String> =
            acting.flat_map(|need| need.keys.iter().map(ToString::to_string)).collect();
        assert_eq!(keys.into_iter().collect::<Vec<_>>(), ["a", "dead:{a}"]);
    }
}
