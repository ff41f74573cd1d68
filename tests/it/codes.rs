//! Every code that a server can answer with and that can be brought about: it is recognised where streams are read, and
//! where retention writes, which is a script. `CROSSSLOT` and `TRYAGAIN` are answers to several keys at once, which the
//! sidecar never sends.

use std::thread::scope;

use redis::{RedisResult, Value, cmd, pipe};
use support::{Need, Page, Redis, Sidecar, wait_for};

const CONFIG: &str =
    "retention: {interval: 1s, lease_ttl: 2s}\nstreams: [{match: s, retention: {max_length: 500}}]";
const STEP: &str = concat!(
    include_str!("../../src/actions/script_head.lua"),
    include_str!("../../src/actions/step.lua"),
    include_str!("../../src/actions/script_tail.lua")
);

/// What is done to a server whose stream has just got 500 entries too many, and what becomes of it. `None` is: nothing is refused.
struct Case {
    what: &'static str,
    settings: &'static str,
    /// In one transaction with the entries. `OTHER` is the ID of another node of the cluster, and 3828 the slot of the stream.
    commands: &'static [&'static str],
    /// The first word that a step of retention answers, on servers with `XTRIM MINID`.
    script: Option<&'static str>,
    /// The reason at the poll or the stream.
    read: Option<&'static str>,
    /// The reason at retention, on servers with `XTRIM MINID`; one of these.
    write: &'static [&'static str],
}

const ON_CLUSTER: &str = "cluster-enabled yes";
/// Nobody can make a file there.
const CANNOT_SAVE: &str = "save 1 1\ndir /proc\nstop-writes-on-bgsave-error no";

const CASES: &[Case] = &[
    Case {
        what: "READONLY",
        settings: "",
        commands: &["REPLICAOF 127.0.0.1 1"],
        script: Some("READONLY"),
        read: Some("replica_link_down"),
        write: &["readonly"],
    },
    Case {
        what: "MASTERDOWN",
        settings: "replica-serve-stale-data no",
        commands: &["REPLICAOF 127.0.0.1 1"],
        script: Some("MASTERDOWN"),
        read: Some("masterdown"),
        // By which comes first: its lease is read, or its role.
        write: &["masterdown", "readonly"],
    },
    Case {
        what: "NOREPLICAS",
        settings: "",
        commands: &["CONFIG SET min-replicas-to-write 1"],
        script: Some("NOREPLICAS"),
        read: None,
        write: &["noreplicas"],
    },
    Case {
        what: "MISCONF",
        settings: CANNOT_SAVE,
        commands: &["CONFIG SET stop-writes-on-bgsave-error yes"],
        script: Some("MISCONF"),
        read: None,
        write: &["misconf"],
    },
    Case {
        what: "OOM, of the lease: a step is the cure",
        settings: "",
        commands: &["CONFIG SET maxmemory 1", "DEL streamwarden:retention:lease"],
        script: None,
        read: None,
        write: &["oom"],
    },
    Case {
        what: "NOPERM, of a command in the script",
        settings: "",
        commands: &["ACL SETUSER warden -xtrim"],
        script: Some("ERR"),
        read: None,
        write: &["noperm"],
    },
    Case {
        what: "NOPERM, of the key",
        settings: "",
        commands: &["ACL SETUSER warden resetkeys ~streamwarden:*"],
        script: Some("NOPERM"),
        read: Some("noperm"),
        write: &["noperm"],
    },
    Case {
        what: "NOAUTH",
        settings: "",
        commands: &["CONFIG SET requirepass word", "AUTH word", "CLIENT KILL TYPE normal SKIPME yes"],
        script: None,
        read: Some("noauth"),
        write: &["noauth"],
    },
    Case {
        what: "WRONGPASS",
        settings: "",
        commands: &["ACL SETUSER warden resetpass >another", "CLIENT KILL TYPE normal SKIPME yes"],
        script: None,
        read: Some("wrongpass"),
        write: &["wrongpass"],
    },
    Case {
        what: "CLUSTERDOWN",
        settings: ON_CLUSTER,
        commands: &["FLUSHALL", "CLUSTER FLUSHSLOTS"],
        script: Some("CLUSTERDOWN"),
        read: Some("clusterdown"),
        write: &["clusterdown"],
    },
    Case {
        what: "MOVED",
        settings: ON_CLUSTER,
        commands: &["FLUSHALL", "CLUSTER SETSLOT 3828 NODE OTHER"],
        script: Some("MOVED"),
        read: Some("moved"),
        write: &["moved"],
    },
    Case {
        what: "ASK",
        settings: ON_CLUSTER,
        commands: &["FLUSHALL", "CLUSTER SETSLOT 3828 MIGRATING OTHER"],
        script: Some("ASK"),
        read: Some("ask"),
        write: &["ask"],
    },
];

fn failures(page: &Page, of: &str, reason: &str) -> f64 {
    page.get(&format!("streamwarden_{of}_failures_total"), &[("reason", reason)]).unwrap()
}

fn command(words: &str) -> redis::Cmd {
    let mut command = redis::Cmd::new();
    words.split(' ').for_each(|word| {
        command.arg(word);
    });
    command
}

/// A node with all slots, and another one that it knows.
fn cluster(redis: &Redis) -> Redis {
    let slots: Vec<String> = (0..16_384).map(|slot| slot.to_string()).collect();
    redis.run::<()>(&format!("CLUSTER ADDSLOTS {}", slots.join(" ")));
    let other = Redis::with_settings(ON_CLUSTER);
    redis.run::<()>(&format!("CLUSTER MEET 127.0.0.1 {}", other.port()));
    let has = |what: &str| redis.run::<String>("CLUSTER INFO").contains(what).then_some(());
    wait_for("the cluster", || has("cluster_known_nodes:2").and(has("cluster_state:ok")));
    other
}

/// What a step of retention answers to a stream over its limit, which is lower here: it has something to remove in each case.
fn step(connection: &mut redis::Connection) -> RedisResult<Value> {
    let limits = ["safe", "100", "", "", "1000", "", "", "0"];
    cmd("EVAL").arg(STEP).arg(1).arg("s").arg(&limits).query(connection)
}

#[test]
fn each_code_is_recognised_at_a_poll_and_through_a_script() {
    scope(|scope| {
        // All at once would be a lot of servers.
        for cases in CASES.chunks(CASES.len().div_ceil(3)) {
            scope.spawn(|| cases.iter().for_each(check));
        }
    });
}

fn check(case: &Case) {
    let what = case.what;
    let redis = Redis::with_settings(case.settings);
    let other = (case.settings == ON_CLUSTER).then(|| cluster(&redis));
    let has_script = redis.meets(Need::SAFE_TRIMS);
    redis.add("s", 500);
    redis.run::<()>("ACL SETUSER warden on >word ~* +@all");
    let is_user = case.commands.iter().any(|words| words.contains("warden"));
    let uri = redis.uri().replace("//", if is_user { "//warden:word@" } else { "//" });
    // Otherwise redirections are followed.
    let one_node = if other.is_some() { "\nredis: {cluster: off}" } else { "" };
    let sidecar = Sidecar::with_config(&uri, &format!("{CONFIG}{one_node}"));
    let lease = |page: &Page| !has_script || page.own("streamwarden_retention_leader") == 1.0;
    sidecar.wait("the stream", |page| page.stream("length", "s") == Some(500.0) && lease(page));
    let mut connection = redis.connect();
    if case.settings == CANNOT_SAVE {
        let failed = "rdb_last_bgsave_status:err";
        wait_for("a save to fail", || redis.run::<String>("INFO persistence").contains(failed).then_some(()));
    }
    let id = other.as_ref().map(|other| other.run::<String>("CLUSTER MYID")).unwrap_or_default();
    // Both at once: otherwise the sidecar might trim before anything is refused, and have nothing left to write.
    let mut at_once = pipe();
    at_once.atomic();
    (0..500).for_each(|_| _ = at_once.cmd("XADD").arg("s").arg("*").arg("f").arg("v"));
    case.commands.iter().for_each(|words| _ = at_once.add_command(command(&words.replace("OTHER", &id))));
    at_once.query::<Value>(&mut connection).expect(what);
    if let Some(reason) = case.read {
        sidecar.wait(&format!("{what}: {reason} where streams are read"), |page| {
            failures(page, "poll", reason) + failures(page, "stream_read", reason) >= 1.0
        });
    }
    if has_script {
        sidecar.wait(&format!("{what}: {:?} at retention", case.write), |page| {
            case.write.iter().any(|reason| failures(page, "retention", reason) >= 1.0)
        });
    }
    let page = sidecar.scrape();
    for of in ["poll", "stream_read", "retention"] {
        assert_eq!(failures(&page, of, "other"), 0.0, "{what}: {of}\n{}", sidecar.log());
    }
    let Some(code) = case.script.filter(|_| has_script) else { return };
    if case.read.is_none() {
        assert_eq!(page.own("streamwarden_redis_up"), 1.0, "{what}: reading goes on");
    }
    drop(sidecar);
    if is_user {
        command("AUTH warden word").query::<()>(&mut connection).unwrap();
    }
    let answer = step(&mut connection);
    let error = answer.expect_err(what);
    assert_eq!(error.code().unwrap_or("ERR"), code, "{what}: {error}");
}

#[test]
fn a_server_that_loads_its_data_is_said_to_be_loading() {
    // A second of 200 keys, in pieces of two megabytes between which it answers.
    let mut redis = Redis::with_settings("rdbcompression no\nkey-load-delay 10000\ndbfilename dump.rdb");
    redis.add("s", 500);
    let fill = "for i = 1, 200 do redis.call('SET', 'key' .. i, string.rep('x', 200000)) end";
    cmd("EVAL").arg(fill).arg(0).query::<()>(&mut redis.connect()).unwrap();
    let sidecar = Sidecar::with_config(&redis.uri(), CONFIG);
    sidecar.wait("the stream", |page| page.stream("length", "s") == Some(500.0));
    redis.run::<()>("SAVE");
    redis.kill();
    redis.restart();
    let page = sidecar.wait("the stream, once it is loaded", |page| {
        page.own("streamwarden_redis_up") == 1.0 && failures(page, "poll", "loading") >= 1.0
    });
    assert_eq!((failures(&page, "poll", "other"), failures(&page, "retention", "other")), (0.0, 0.0));
}

#[test]
fn a_server_that_runs_a_script_is_said_to_be_busy() {
    let redis = Redis::with_settings("lua-time-limit 50");
    redis.add("s", 500);
    let sidecar = Sidecar::with_config(&redis.uri(), CONFIG);
    sidecar.wait("the stream", |page| page.stream("length", "s") == Some(500.0));
    let has_script = redis.meets(Need::SAFE_TRIMS);
    let mut scripting = redis.connect();
    let mut killing = redis.connect();
    scope(|scope| {
        scope.spawn(|| cmd("EVAL").arg("while true do end").arg(0).query::<()>(&mut scripting));
        sidecar.wait("the poll", |page| failures(page, "poll", "busy") >= 1.0);
        if has_script {
            sidecar.wait("retention", |page| failures(page, "retention", "busy") >= 1.0);
        }
        wait_for("the script to be killed", || command("SCRIPT KILL").query::<()>(&mut killing).ok());
    });
}
