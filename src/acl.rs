//! The permissions of the Redis user that a configuration needs: the commands that it may send, on the keys that it sends them for,
//! and nothing else.

mod key_pattern;
mod needs;

use std::collections::BTreeSet;

pub use needs::needs;

use crate::{
    config::{BENCH_PREFIX, Cluster, Config, Mode, PROBE_PREFIX, ReadFrom, StreamRule},
    model::{Flavour, Permission, Server},
};

/// Selectors, and permissions that only read.
const SELECTORS_SINCE: (u16, u16, u16) = (7, 0, 0);
const NO_TOUCH_SINCE: (u16, u16, u16) = (7, 2, 0);

const SHARDS_SINCE: (u16, u16, u16) = (7, 0, 0);

const CLUSTER: [Permission; 3] = [Permission::ClusterShards, Permission::ClusterSlots, Permission::Asking];

const REPLICAS: [Permission; 2] = [Permission::Role, Permission::ReadOnly];

const ALL_KEYS: &str = "*";
/// Keys of dead letters, by their default names.
const DEAD_LETTERS: &str = "dead:*";

/// Whose permissions they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holder {
    /// The sidecar.
    Sidecar,
    /// Somebody who also acts on stuck work, with `dead-letter`, `replay`, `claim` and their like.
    Actor,
    /// Somebody who measures with `bench`.
    Bencher,
}

const ACTING: [Permission; 11] = [
    Permission::Eval,
    Permission::Xack,
    Permission::Xadd,
    Permission::Xclaim,
    Permission::Xdel,
    Permission::XgroupDelConsumer,
    Permission::XinfoConsumers,
    Permission::XinfoGroups,
    Permission::Xlen,
    Permission::Xrange,
    Permission::Xrevrange,
];
const SETTING_ASIDE: [Permission; 6] = [
    Permission::Eval,
    Permission::Xack,
    Permission::Xadd,
    Permission::Xlen,
    Permission::Xrange,
    Permission::Xrevrange,
];
const REAPING: [Permission; 3] =
    [Permission::Eval, Permission::XgroupDelConsumer, Permission::XinfoConsumers];
const PROBING: [Permission; 5] = [
    Permission::Pexpire,
    Permission::Xack,
    Permission::Xadd,
    Permission::XgroupCreate,
    Permission::Xreadgroup,
];
const BENCHING: [Permission; 11] = [
    Permission::Eval,
    Permission::Exists,
    Permission::Info,
    Permission::Pexpire,
    Permission::Unlink,
    Permission::Xack,
    Permission::Xadd,
    Permission::XgroupCreate,
    Permission::XgroupSetId,
    Permission::Xrange,
    Permission::Xreadgroup,
];
const LEASING: [Permission; 4] = [Permission::Get, Permission::Set, Permission::Pexpire, Permission::Del];

/// The command that creates or changes this user, as a line for `redis-cli`. `PASSWORD` stands for its password, and `TOKEN` for
/// one that the server must create. An unknown version is taken for 7.2 or later.
#[must_use]
pub fn rule(config: &Config, user: &str, holder: Holder, database: i64, server: &Server) -> String {
    let has_selectors = has_selectors(server);
    let watched = watched_keys(config);
    let enforced = keys(config.streams.iter().filter(|rule| enforces(config, rule)));
    let acting_rules = [
        (set_aside_keys(config), &SETTING_ASIDE[..]),
        (
            keys(config.streams.iter().filter(|rule| acts(config, rule) && rule.reap_consumers.is_some())),
            &REAPING[..],
        ),
    ];
    let is_leased = !enforced.is_empty() || acting_rules.iter().any(|(keys, _)| !keys.is_empty());
    let trimmed = if config.http.trim_token_file.is_some() { watched.clone() } else { enforced };
    let lease = BTreeSet::from([key_pattern::literal(&config.retention.lease_key)]);
    let trimming = (!trimmed.is_empty()).then(|| (trimmed, trimming(config)));
    let leasing = is_leased.then(|| (lease, LEASING.to_vec()));
    let probed = || BTreeSet::from([format!("{PROBE_PREFIX}*")]);
    let probing = config.probe.enabled.then(|| (probed(), PROBING.to_vec()));
    let benching = (holder == Holder::Bencher)
        .then(|| (BTreeSet::from([format!("{BENCH_PREFIX}*")]), BENCHING.to_vec()));
    let by_rule = acting_rules.into_iter().filter(|(keys, _)| !keys.is_empty());
    let by_rule = by_rule.map(|(keys, commands)| (keys, commands.to_vec()));
    let acted_on = || watched.iter().cloned().chain([DEAD_LETTERS.to_owned()]).collect();
    let acting = acts_on_request(config, holder).then(|| (acted_on(), ACTING.to_vec()));

    let password = if server.terms().has_fine_rules { ">PASSWORD" } else { ">TOKEN" };
    let mut words = ["ACL", "SETUSER", user, "reset", "on", password].map(str::to_owned).to_vec();
    let read_only = if has_selectors { "%R~" } else { "~" };
    let reading = reading(config, database, server);
    words.extend(permissions(read_only, &watched, &reading, server));
    for (keys, commands) in
        trimming.into_iter().chain(leasing).chain(probing).chain(benching).chain(by_rule).chain(acting)
    {
        if has_selectors {
            words.push(format!("({})", permissions("~", &keys, &commands, server).join(" ")));
        } else {
            let more: Vec<Permission> =
                commands.into_iter().filter(|command| !reading.contains(command)).collect();
            let others = if watched.contains(ALL_KEYS) { BTreeSet::new() } else { &keys - &watched };
            words.extend(permissions("~", &others, &more, server));
        }
    }
    words.join(" ")
}

/// The same for the user of the Sentinels. `doctor` sends the last two.
#[must_use]
pub fn sentinel_rule(user: &str) -> String {
    let commands =
        ["get-master-addr-by-name", "master", "replicas"].map(|command| format!("+sentinel|{command}"));
    format!("ACL SETUSER {user} reset on >PASSWORD {}", commands.join(" "))
}

/// Whether they act on stuck work: also a sidecar does that may be asked for it over HTTP.
fn acts_on_request(config: &Config, holder: Holder) -> bool {
    holder == Holder::Actor || config.http.write_token_file.is_some()
}

/// What to know before using the rule on such a server.
#[must_use]
pub fn note(server: &Server, user: &str) -> Option<String> {
    let note = format!(
        "replace TOKEN with the reply to `ACL GENTOKEN {user}`: {} accepts no other password. The rule follows its documentation",
        server.flavour.as_str()
    );
    (!server.terms().has_fine_rules).then_some(note)
}

fn permissions(
    prefix: &str,
    keys: &BTreeSet<String>,
    commands: &[Permission],
    server: &Server,
) -> Vec<String> {
    // Servers refuse further patterns beside the one for all keys.
    let all = keys.get(ALL_KEYS).map(|all| BTreeSet::from([all.clone()]));
    let keys = all.as_ref().unwrap_or(keys).iter().map(|key| format!("{prefix}{key}"));
    let mut words: Vec<String> =
        keys.chain(commands.iter().map(|command| format!("+{}", command.word(server)))).collect();
    // If subcommands have no rules of their own.
    words.dedup();
    words
}

/// Whether rules can have selectors, and tell reading from writing.
fn has_selectors(server: &Server) -> bool {
    server.terms().has_fine_rules && is_since(server, SELECTORS_SINCE)
}

fn is_since(server: &Server, version: (u16, u16, u16)) -> bool {
    server.flavour == Flavour::Valkey || server.version.is_none_or(|its_own| its_own >= version)
}

fn reading(config: &Config, database: i64, server: &Server) -> Vec<Permission> {
    use Permission::{
        ClientNoTouch, ClientSetName, Hello, Info, MemoryUsage, Scan, Select, Time, XinfoGroups, XinfoStream,
        Xlen, Xpending, Xrange, Xrevrange,
    };
    let has_selectors = has_selectors(server);
    // Without rules for subcommands this would permit every CLIENT command. The sidecar works without it.
    let has_client = server.terms().has_fine_rules;
    let always = [Time, XinfoStream, XinfoGroups, Xlen, Xpending, Xrange];
    let sometimes = [
        // 7.0 refuses rules for subcommands that it does not know. Earlier versions report an unknown one only to permitted users.
        (has_client && (is_since(server, NO_TOUCH_SINCE) || !has_selectors), ClientNoTouch),
        // Polls of other servers do not send it.
        (has_client, Info),
        // Later versions permit it to everybody.
        (!has_selectors, Hello),
        (database != 0, Select),
        (config.needs_discovery(), Scan),
        (config.lag_count.entries > 0, Xrevrange),
        (config.memory.enabled, MemoryUsage),
    ];
    let needed = sometimes.into_iter().filter_map(|(is_needed, command)| is_needed.then_some(command));
    let of_cluster = CLUSTER.into_iter().filter(|_| is_cluster(config, server));
    let of_cluster =
        of_cluster.filter(|command| *command != Permission::ClusterShards || is_since(server, SHARDS_SINCE));
    let of_replicas = REPLICAS.into_iter().filter(|_| config.redis.read_from == ReadFrom::ReplicaPreferred);
    let of_replicas =
        of_replicas.filter(|command| *command != Permission::ReadOnly || is_node(config, server));
    let first = has_client.then_some(ClientSetName).into_iter().chain(always).chain(needed);
    first.chain(of_cluster).chain(of_replicas).collect()
}

/// Whether all primaries of a cluster are read.
fn is_cluster(config: &Config, server: &Server) -> bool {
    is_node(config, server) && config.redis.cluster == Cluster::Auto
}

/// Whether the server is a node of a cluster.
fn is_node(config: &Config, server: &Server) -> bool {
    server.is_of_cluster() || !config.redis.nodes.is_empty()
}

fn trimming(config: &Config) -> Vec<Permission> {
    // A trim over HTTP may be exact.
    let needs_delete = config.http.trim_token_file.is_some()
        || config.streams.iter().any(|rule| enforces(config, rule) && is_exact(rule));
    [Permission::Eval, Permission::Xtrim]
        .into_iter()
        .chain(needs_delete.then_some(Permission::Xdel))
        .collect()
}

fn is_exact(rule: &StreamRule) -> bool {
    rule.retention.as_ref().is_some_and(|retention| retention.exact)
}

fn enforces(config: &Config, rule: &StreamRule) -> bool {
    config.retention.enabled
        && rule.retention.as_ref().is_some_and(|retention| retention.mode != Mode::Observe)
}

/// Whether the rules about stuck work apply.
fn acts(config: &Config, rule: &StreamRule) -> bool {
    config.retention.enabled && (rule.dead_letter.is_some() || rule.reap_consumers.is_some())
}

/// The keys of rules that set entries aside, and of their dead letters, if the rules apply.
fn set_aside_keys(config: &Config) -> BTreeSet<String> {
    let is_such = |rule: &&StreamRule| acts(config, rule) && rule.dead_letter.is_some();
    let dead_letters = config.streams.iter().filter(is_such).flat_map(dead_letter_keys);
    dead_letters.chain(keys(config.streams.iter().filter(is_such))).collect()
}

/// The keys of a rule's dead letters.
fn dead_letter_keys(rule: &StreamRule) -> Vec<String> {
    let Some(dead_letter) = &rule.dead_letter else { return Vec::new() };
    match (rule.pattern.exact(), &dead_letter.to) {
        (Some(name), _) => {
            dead_letter.key(name).iter().map(|key| key_pattern::literal(&key.to_string())).collect()
        }
        (None, Some(to)) => {
            let pattern = rule.pattern.to_string();
            to.around(&key_pattern::from_glob(&pattern), key_pattern::literal)
        }
        (None, None) => vec![DEAD_LETTERS.to_owned()],
    }
}

fn watched_keys(config: &Config) -> BTreeSet<String> {
    if config.streams.is_empty() {
        return BTreeSet::from(["*".to_owned()]);
    }
    let dead_letters = config.streams.iter().flat_map(dead_letter_keys);
    dead_letters.chain(keys(config.streams.iter())).collect()
}

fn keys<'a>(rules: impl IntoIterator<Item = &'a StreamRule>) -> BTreeSet<String> {
    rules.into_iter().flat_map(|rule| key_pattern::from_glob(&rule.pattern.to_string())).collect()
}
