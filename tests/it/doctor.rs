//! `streamwarden doctor` on real servers: what it finds, what it can't know, and that it leaves no trace.

use serde_json::Value;

use support::{Need, Redis, wait_for};

use crate::{
    acl::{make_user, rule},
    process::{config_file, streamwarden, text},
    retention::trimming,
};

const WATCH: &str = "streams: [{match: s, groups: [g]}]";
const RETAIN: &str =
    "streams: [{match: s, groups: [g], retention: {max_length: 50, exact: true}}, {match: 'o:*'}]";

/// What it found.
pub(crate) struct Found {
    pub(crate) code: i32,
    table: String,
    document: Value,
}

/// Runs it as people do, and as machines do.
#[track_caller]
pub(crate) fn doctor(uri: &str, config: &str, arguments: &[&str]) -> Found {
    let file = config_file(config);
    let run = |more: &[&str]| {
        let arguments: Vec<&str> = ["doctor", "--config", file.path().to_str().unwrap()]
            .into_iter()
            .chain(arguments.iter().copied())
            .chain(more.iter().copied())
            .collect();
        let output = streamwarden(&arguments, &[("REDIS_URI", uri)]);
        assert_eq!(text(&output.stderr), "");
        (output.status.code().unwrap(), text(&output.stdout))
    };
    let ((code, table), (json_code, json)) = (run(&[]), run(&["--json"]));
    assert_eq!(code, json_code, "{table}{json}");
    Found { code, table, document: serde_json::from_str(&json).unwrap() }
}

impl Found {
    fn findings(&self) -> impl Iterator<Item = (&str, &str, String)> {
        self.document["findings"].as_array().unwrap().iter().map(|finding| {
            let field = |name: &str| finding[name].as_str().unwrap();
            (field("area"), field("level"), format!("{}: {}", field("what"), field("meaning")))
        })
    }

    /// Asserts that this is found, in the table too.
    #[track_caller]
    pub(crate) fn has(&self, area: &str, level: &str, words: &str) {
        let mut findings = self.findings();
        let is_found = findings.any(|(its, at, text)| its == area && at == level && text.contains(words));
        assert!(is_found, "{area} {level} {words} in {}", self.table);
        let is_shown = self.table.lines().any(|line| line.trim_start().starts_with(level));
        assert!(is_shown && self.table.contains(&area.to_uppercase()), "{}", self.table);
    }

    fn count(&self, level: &str) -> u64 {
        self.document["summary"][level].as_u64().unwrap()
    }
}

/// A stream with a group that has read all.
fn server(settings: &str) -> Redis {
    let redis = Redis::with_settings(settings);
    redis.add("s", 220);
    redis.run::<()>("XGROUP CREATE s g $");
    redis.add("o:other", 3);
    redis
}

/// Everything that a write would change: the keys, and the server's count of changes.
fn trace(redis: &Redis) -> (u64, String, redis::Value) {
    let persistence: String = redis.run("INFO persistence");
    let changes = persistence.lines().find(|line| line.starts_with("rdb_changes")).unwrap().to_owned();
    (redis.run("DBSIZE"), changes, redis.run("XINFO STREAM s FULL COUNT 0"))
}

#[test]
fn a_healthy_server_has_neither_problems_nor_warnings_and_is_not_changed() {
    let Some(redis) = trimming(server("appendonly yes\nmaxmemory 100mb")) else { return };
    let before = trace(&redis);
    let found = doctor(&redis.uri(), RETAIN, &[]);
    assert_eq!(
        (found.code, found.count("problem"), found.count("warning"), found.count("unknown")),
        (0, 0, 0, 0),
        "{}",
        found.table
    );
    found.has("retention", "ok", "s: 220 entries, limit 50 entries, safe, exact");
    found.has("memory", "ok", "noeviction");
    found.has("persistence", "ok", "to disk each second");
    assert!(found.table.ends_with(" ok\n"), "{}", found.table);
    assert_eq!(trace(&redis), before, "nothing was written");
}

#[test]
fn with_the_printed_rule_alone_all_is_permitted_and_what_is_not_known_says_who_may_ask() {
    let redis = server("appendonly yes");
    let uri = make_user(&redis, &rule(&redis, RETAIN, "/0"));
    let before = trace(&redis);
    let found = doctor(&uri, RETAIN, &[]);
    assert_eq!(trace(&redis), before, "nothing was written");
    for (area, permission) in [("persistence", "config|get"), ("streams", "ttl")] {
        found.has(area, "unknown", &format!("the user lacks +{permission}"));
    }
    found.has("permissions", "ok", "commands that change nothing");
    let advice = "streamwarden doctor --user streamwarden\n";
    assert!(found.table.ends_with(advice) && found.table.contains("ADMIN:PASSWORD@127"), "{}", found.table);
    let rights: Vec<_> = found.findings().filter(|(area, ..)| *area == "permissions").collect();
    let is_well = rights.iter().all(|(_, level, _)| *level == "ok");
    if redis.supports(Need::ACL_DRYRUN) {
        assert!(found.code == 0 && found.count("warning") == 0 && is_well, "{}", found.table);
    } else {
        // Old servers have no way to ask for DEL.
        found.has("permissions", "unknown", "lease: del is unknown");
    }
}

#[test]
fn one_command_less_is_named_and_is_a_problem_where_nothing_takes_its_place() {
    let Some(redis) = trimming(server("")) else { return };
    let rule = rule(&redis, RETAIN, "/0");
    let commands: Vec<&str> =
        rule.split([' ', '(', ')', '\n']).filter_map(|word| word.strip_prefix('+')).collect();
    let replaceable = ["client|setname", "client|no-touch", "info", "eval", "get", "set", "pexpire", "del"];
    let can_ask_for_others = redis.meets(Need::ACL_DRYRUN);
    // Before 7.0 HELLO must be permitted for there to be a connection.
    for missing in commands.into_iter().filter(|command| *command != "hello") {
        let narrow = rule.replacen(&format!("+{missing}"), "", 1).replace(" )", ")").replace("  ", " ");
        let uri = make_user(&redis, &narrow);
        let mut ways = vec![doctor(&uri, RETAIN, &[])];
        if can_ask_for_others {
            ways.push(doctor(&redis.uri(), RETAIN, &["--user", "streamwarden"]));
        }
        for found in ways {
            let named = format!(": {missing} is refused");
            let refused: Vec<_> = found
                .findings()
                .filter(|(area, level, _)| *area == "permissions" && !matches!(*level, "ok" | "unknown"))
                .collect();
            assert!(refused.len() == 1 && refused[0].2.contains(&named), "{missing}: {}", found.table);
            assert_eq!(found.code, i32::from(!replaceable.contains(&missing)), "{missing}: {}", found.table);
            assert!(refused[0].2.contains("acl --user streamwarden"), "{missing}: {}", found.table);
        }
    }
}

#[test]
fn a_user_that_an_administrator_asks_for_may_not_be_there() {
    let redis = server("");
    if !redis.meets(Need::ACL_DRYRUN) {
        return;
    }
    let found = doctor(&redis.uri(), WATCH, &["--user", "nobody"]);
    found.has("permissions", "problem", "there is no user nobody");
    assert_eq!(found.code, 1);
}

#[test]
fn commands_that_the_server_lacks_are_distinguished_from_refused_ones() {
    let Some(redis) = trimming(server("rename-command EVAL \"\"\nrename-command CONFIG \"\"")) else {
        return;
    };
    let found = doctor(&redis.uri(), RETAIN, &[]);
    found.has("permissions", "warning", "trimming: eval is missing");
    found.has("retention", "unknown", "the server does not support the command");
    assert_eq!((found.code, found.count("problem")), (0, 0), "{}", found.table);
}

#[test]
fn a_server_that_evicts_any_key_is_warned_of() {
    let redis = server("appendonly yes\nmaxmemory 100mb\nmaxmemory-policy allkeys-lru");
    let found = doctor(&redis.uri(), WATCH, &[]);
    found.has("memory", "warning", "a stream can be evicted whole");
    assert_eq!(found.code, 0, "{}", found.table);
}

#[test]
fn nodes_without_an_end_are_a_problem_unless_they_are_taken_apart() {
    let Some(redis) = trimming(server("stream-node-max-entries 0\nstream-node-max-bytes 0")) else { return };
    let by_nodes = RETAIN.replace(", exact: true", "");
    let found = doctor(&redis.uri(), &by_nodes, &[]);
    found.has("retention", "problem", "nodes of streams have no maximum size");
    assert_eq!(found.code, 1);
    assert_eq!(doctor(&redis.uri(), RETAIN, &[]).code, 0);
    // The finding about a stream is read from the stream itself, and needs no setting.
    redis.add("s", 1_500);
    redis.run::<()>("CONFIG SET stream-node-max-entries 100");
    let small_steps = format!("retention: {{step: 1000}}\n{by_nodes}");
    let found = doctor(&redis.uri(), &small_steps, &[]);
    found.has("retention", "problem", "a node holds 1,720 entries");
    found.has("retention", "ok", "nodes have up to 100 entries");
    let bytes = server("stream-node-max-entries 0");
    doctor(&bytes.uri(), &by_nodes, &[]).has("retention", "ok", "nodes have up to 4,096 bytes");
}

#[test]
fn a_replica_can_be_watched_and_not_trimmed() {
    let Some(primary) = trimming(server("")) else { return };
    let replica = Redis::with_settings(&format!("replicaof 127.0.0.1 {}", primary.port()));
    wait_for("the replica", || (replica.run::<u64>("XLEN s") == 220).then_some(()));
    let found = doctor(&replica.uri(), WATCH, &[]);
    found.has("server", "notice", "the server is a replica");
    assert_eq!(found.code, 0, "{}", found.table);
    let found = doctor(&replica.uri(), RETAIN, &[]);
    found.has("server", "problem", "READONLY");
    found.has("permissions", "ok", "eval, xtrim permitted");
    assert_eq!(found.code, 1);
}

#[test]
fn a_failed_connection_says_at_which_step_and_the_configuration_is_still_shown() {
    let redis = server("requirepass s3cret-right");
    let quick = "redis: {connect_timeout: 500ms}\n";
    let port = redis.port();
    for (uri, words) in [
        (format!("redis://:s3cret-wrong@127.0.0.1:{port}/0"), "the user or the password is wrong"),
        (format!("redis://127.0.0.1:{port}/0"), "the server requires a password"),
        ("redis://:s3cret-wrong@127.0.0.1:1".to_owned(), "127.0.0.1:1: nothing listens there"),
        (
            "redis://:s3cret-wrong@no-such-host.invalid".to_owned(),
            "no connection to no-such-host.invalid:6379",
        ),
        (format!("rediss://:s3cret-wrong@127.0.0.1:{port}"), "no connection to 127.0.0.1"),
    ] {
        let found = doctor(&uri, &format!("{quick}{WATCH}"), &[]);
        found.has("connection", "problem", words);
        found.has("retention", "notice", "nothing is ever deleted");
        assert_eq!(found.code, 1);
        assert!(!format!("{}{}", found.table, found.document).contains("s3cret"), "{}", found.table);
    }
    let found = doctor(&redis.uri(), WATCH, &[]);
    assert!(found.code == 0 && found.table.contains("connected"), "{}", found.table);
    assert!(!format!("{}{}", found.table, found.document).contains("s3cret"), "{}", found.table);
}

#[test]
fn a_cluster_without_slots_is_a_problem() {
    let redis = Redis::with_settings("cluster-enabled yes");
    let found = doctor(&redis.uri(), WATCH, &[]);
    found.has("server", "problem", "16,384 slots are not served");
    found.has("streams", "problem", "no node of the cluster has slots");
    assert_eq!(found.code, 1);
}

#[test]
fn a_sentinel_is_distinguished_from_the_server_that_it_watches() {
    let sentinel = Redis::with_settings("sentinel monitor primary 127.0.0.1 1 1");
    let found = doctor(&sentinel.uri(), WATCH, &[]);
    found.has("server", "problem", "the server is a Sentinel, which holds no streams");
    assert_eq!((found.code, found.count("problem")), (1, 1), "{}", found.table);
}

#[test]
fn what_the_configuration_names_and_is_not_as_it_should_be_is_a_problem() {
    let redis = server("");
    redis.run::<()>("SET text t");
    redis.run::<String>("XADD o:old 1-1 f v");
    redis.run::<u64>("EXPIRE o:other 1000");
    let config = "streams: [{match: gone}, {match: text}, {match: s, groups: [g, h]}, \
         {match: 'o:old', retention: {max_age: 1d}}, {match: 'o:*'}]";
    let found = doctor(&redis.uri(), config, &[]);
    found.has("streams", "problem", "configured but missing: gone");
    found.has("streams", "problem", "configured but not a stream: text");
    found.has("streams", "problem", "missing groups: h of s");
    found.has("streams", "problem", "age thresholds, but IDs that are not times: o:old");
    found.has("streams", "warning", "o:other in 16m");
    assert_eq!(found.code, 1);
}

#[test]
fn a_snapshot_that_failed_stops_all_writes() {
    let Some(redis) = trimming(server("save 3600 1")) else { return };
    let (_, directory): (String, String) = redis.run("CONFIG GET dir");
    // What is to be replaced by the snapshot can't be.
    std::fs::create_dir(std::path::Path::new(&directory).join("dump.rdb")).unwrap();
    redis.run::<()>("BGSAVE");
    wait_for("the snapshot to fail", || {
        redis.run::<String>("INFO persistence").contains("rdb_last_bgsave_status:err").then_some(())
    });
    let found = doctor(&redis.uri(), RETAIN, &[]);
    found.has("persistence", "problem", "MISCONF");
    assert_eq!(found.code, 1);
}

#[test]
fn what_is_switched_off_is_not_asked() {
    let found = doctor("redis://127.0.0.1:1", "enabled: false", &[]);
    found.has("retention", "notice", "switched off");
    assert_eq!(found.code, 0);
}
