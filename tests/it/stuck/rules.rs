//! The rules `dead_letter` and `reap_consumers`, as the running sidecar applies them.

use std::{collections::BTreeSet, time::Duration};

use redis::Value;

use super::{redeliver, stream};
use crate::{
    process::{streamwarden, text},
    retention::trimming,
};
use support::{Cluster, Page, Redis, Sidecar, stays_so, wait_for};

const DEAD: &str = "dead:{s}";
const RULE: &str = "after_deliveries: 5, idle: 10m";
const HOUR: u64 = 3_600_000;

/// A run a second.
fn config(rule: &str) -> String {
    format!("retention: {{interval: 1s, lease_ttl: 2s}}\nstreams: [{{match: '*', {rule}}}]")
}

fn dead_letter(more: &str) -> String {
    config(&format!("dead_letter: {{{RULE}{more}}}"))
}

/// So many entries, all pending, of which the first `poison` fail each time.
fn poisoned(entries: u64, poison: u64) -> Redis {
    let redis = stream(entries);
    redis.read("s", "g", "c", usize::try_from(entries).unwrap());
    let ids: Vec<String> = (1..=poison).map(|number| format!("{number}-0")).collect();
    ids.chunks(500).for_each(|ids| redeliver(&redis, "g", &ids.join(" "), 7, HOUR));
    redis
}

fn pending(redis: &Redis) -> u64 {
    redis.run::<Vec<Value>>("XPENDING s g - + 10000").len().try_into().unwrap()
}

fn length(redis: &Redis, key: &str) -> u64 {
    redis.run(&format!("XLEN {key}"))
}

/// Waits until so many entries are pending and so many are dead letters.
#[track_caller]
fn wait_until(redis: &Redis, left: u64, dead: u64) {
    wait_for(&format!("{left} pending entries and {dead} dead letters"), || {
        (pending(redis) == left && length(redis, DEAD) == dead).then_some(())
    });
}

/// The IDs that the dead letters had in their stream.
fn origins(redis: &Redis) -> Vec<String> {
    origins_in(redis, DEAD)
}

fn origins_in(redis: &Redis, key: &str) -> Vec<String> {
    let letters: Vec<(String, Vec<String>)> = redis.run(&format!("XRANGE {key} - +"));
    let origin = |fields: Vec<String>| {
        let place = fields.iter().position(|field| field == "dlq:id").unwrap();
        fields[place + 1].clone()
    };
    letters.into_iter().map(|(_, fields)| origin(fields)).collect()
}

#[test]
fn the_rule_sets_poison_aside_and_retention_goes_on() {
    let Some(redis) = trimming(Redis::start()) else { return };
    drop(redis);
    let redis = poisoned(1_000, 1);
    let acknowledged: Vec<String> = (2..=1_000).map(|number| format!("{number}-0")).collect();
    redis.run::<u64>(&format!("XACK s g {}", acknowledged.join(" ")));
    let limit = "retention: {max_length: 500}";
    let sidecar = Sidecar::with_config(&redis.uri(), &config(limit));
    sidecar.wait("retention to be blocked", |page| {
        page.get("streamwarden_retention_blocked", &[("group", "g"), ("reason", "pending")]) == Some(1.0)
    });
    assert_eq!((length(&redis, "s"), length(&redis, DEAD)), (1_000, 0), "off unless written");
    sidecar.configure(&config(&format!("{limit}, dead_letter: {{{RULE}}}")));
    wait_until(&redis, 0, 1);
    wait_for("the stream to be trimmed", || (length(&redis, "s") == 500).then_some(()));
    let letter: Vec<(String, Vec<String>)> = redis.run(&format!("XRANGE {DEAD} - +"));
    let (_, fields) = &letter[0];
    assert_eq!(fields[..2], ["field", "value 1"]);
    assert_eq!(fields[fields.len() - 2..], ["dlq:by", "rule"]);
    wait_for("the log", || sidecar.log().contains("retention is no longer blocked").then_some(()));
    let log = sidecar.log();
    let line = log.lines().find(|line| line.contains("acted on stuck work")).unwrap();
    for words in [
        "\"act\":\"dead_letter\"",
        "\"stream\":\"s\"",
        "\"by\":\"rule\"",
        "\"done\":1",
        "\"to\":\"dead:{s}\"",
    ] {
        assert!(line.contains(words), "{line}");
    }

    // Without the rule nothing is moved any more.
    sidecar.configure(&config(limit));
    wait_for("the reload", || (sidecar.log().matches("configuration").count() >= 2).then_some(()));
    redis.run::<String>("XADD s 2000-0 a b");
    redis.read("s", "g", "c", 1);
    redeliver(&redis, "g", "2000-0", 9, HOUR);
    stays_so(Duration::from_millis(1_500), "nothing is moved", || pending(&redis) == 1);
}

#[test]
fn only_what_meets_both_conditions_is_moved_a_bounded_number_a_run() {
    let redis = poisoned(2_000, 150);
    redeliver(&redis, "g", "1999-0", 50, 60_000);
    redeliver(&redis, "g", "2000-0", 4, HOUR);
    redis.run::<()>("XGROUP CREATE s other 0");
    redis.read("s", "other", "c", 2_000);
    redeliver(&redis, "other", "1500-0", 5, HOUR);
    let sidecar = Sidecar::with_config(&redis.uri(), &dead_letter(", per_run: 100"));
    wait_until(&redis, 1_900, 100);
    let calls = redis.calls("eval");
    wait_until(&redis, 1_850, 151);
    assert!(calls <= 2, "{calls}");
    let moved: BTreeSet<String> = origins(&redis).into_iter().collect();
    let expected: BTreeSet<String> = (1..=150).chain([1_500]).map(|number| format!("{number}-0")).collect();
    assert_eq!(moved, expected);
    assert_eq!(length(&redis, "s"), 2_000, "the entries stay");
    drop(sidecar);
}

#[test]
fn dead_letters_are_kept_whatever_a_common_rule_says() {
    let Some(redis) = trimming(Redis::start()) else { return };
    drop(redis);
    let redis = poisoned(8, 8);
    let all = config(&format!("retention: {{max_length: 5, exact: true}}, dead_letter: {{{RULE}}}"));
    let sidecar = Sidecar::with_config(&redis.uri(), &all);
    wait_until(&redis, 0, 8);
    wait_for("the stream to be trimmed", || (length(&redis, "s") == 5).then_some(()));
    stays_so(Duration::from_millis(1_200), "nothing is trimmed", || length(&redis, DEAD) == 8);
    redis.run::<()>("XGROUP CREATE dead:{s} look 0");
    redis.read(DEAD, "look", "c", 8);
    let ids: Vec<(String, Value)> = redis.run("XRANGE dead:{s} - +");
    for (id, _) in &ids {
        redis.run::<Value>(&format!("XCLAIM dead:{{s}} look c 0 {id} IDLE {HOUR} RETRYCOUNT 9"));
    }
    stays_so(Duration::from_millis(1_200), "nothing is moved again", || {
        length(&redis, DEAD) == 8 && redis.run::<Vec<String>>("KEYS dead:*").len() == 1
    });
    // A limit that somebody wrote for them applies.
    let own = all.replace(
        "streams: [",
        "streams: [{match: 'dead:{s}', retention: {max_length: 3, mode: strict, exact: true}}, ",
    );
    sidecar.configure(&own);
    wait_for("the dead letters to be trimmed", || (length(&redis, DEAD) == 3).then_some(()));
}

#[test]
fn commands_follow_the_limit_and_the_prefix_of_the_rule() {
    let redis = poisoned(6, 6);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("streamwarden.yaml");
    let rule = config(&format!("dead_letter: {{{RULE}, max_length: 3, prefix: 'x-'}}"));
    std::fs::write(&file, format!("redis: {{uri: '{}'}}\n{rule}\n", redis.uri())).unwrap();
    let run = |arguments: &[&str]| {
        let output = streamwarden(&[arguments, &["--config", file.to_str().unwrap()]].concat(), &[]);
        (output.status.code().unwrap(), text(&output.stdout))
    };
    let (code, moved) = run(&["dead-letter", "s", "g", "--deliveries", "5", "--idle", "10m", "--yes"]);
    assert!(code == 1 && moved.contains("at most 3") && moved.contains("3 moved"), "{moved}");
    assert_eq!(length(&redis, DEAD), 3);
    let fields: Vec<(String, Vec<String>)> = redis.run(&format!("XRANGE {DEAD} - +"));
    assert!(fields.iter().all(|(_, fields)| fields.contains(&"x-id".to_owned())), "{fields:?}");
    let (code, plan) = run(&["replay", DEAD, "--dry-run"]);
    assert!(code == 0 && plan.contains("would replay  3"), "{plan}");
    let (_, list) = run(&["dead-letters", "show", DEAD]);
    assert!(!list.contains("not a dead letter"), "{list}");
}

#[test]
fn what_the_server_refuses_stays_pending_and_moves_later() {
    let redis = poisoned(5, 3);
    redis.run::<()>("SET dead:{s} text");
    let sidecar = Sidecar::with_config(&redis.uri(), &dead_letter(", max_length: 2"));
    let logged = |reason: &str| {
        let words = format!("\"reason\":\"{reason}\"");
        wait_for(reason, || sidecar.log().contains(&words).then_some(()));
    };
    logged("wrongtype");
    redis.run::<()>("CONFIG SET maxmemory 1");
    redis.run::<u64>("DEL dead:{s}");
    logged("oom");
    assert_eq!((pending(&redis), length(&redis, DEAD)), (5, 0));
    redis.run::<()>("CONFIG SET maxmemory 0");
    wait_until(&redis, 3, 2);
    logged("full");
    stays_so(Duration::from_millis(1_200), "moving has stopped", || pending(&redis) == 3);
    redis.run::<u64>(&format!("XTRIM {DEAD} MAXLEN 0"));
    wait_until(&redis, 2, 1);
    wait_for("the recovery", || sidecar.log().contains("the rules for stuck work work again").then_some(()));
    drop(sidecar);
}

#[test]
fn a_user_without_the_permission_moves_nothing() {
    let redis = poisoned(3, 3);
    redis.run::<()>("ACL SETUSER narrow on nopass ~* +@all -xack");
    let uri = redis.uri().replace("redis://", "redis://narrow:any@");
    let sidecar = Sidecar::with_config(&uri, &dead_letter(""));
    wait_for("the refusal", || sidecar.log().contains("\"reason\":\"noperm\"").then_some(()));
    assert_eq!((pending(&redis), length(&redis, DEAD)), (3, 0));
    redis.run::<()>("ACL SETUSER narrow +xack");
    wait_until(&redis, 0, 3);
}

#[test]
fn several_sidecars_and_one_that_is_killed_move_each_entry_once() {
    let redis = poisoned(3_000, 3_000);
    let config = dead_letter(", per_run: 3000");
    let first = Sidecar::with_config(&redis.uri(), &config);
    let second = Sidecar::with_config(&redis.uri(), &config);
    wait_for("the first moves", || (length(&redis, DEAD) > 0).then_some(()));
    let holder: String = redis.run("GET streamwarden:retention:lease");
    let (holding, _other) =
        if holder.contains(&format!(":{}:", first.id())) { (first, second) } else { (second, first) };
    holding.signal("KILL");
    wait_until(&redis, 0, 3_000);
    let moved = origins(&redis);
    assert_eq!(moved.iter().collect::<BTreeSet<_>>().len(), 3_000);
}

/// Makes consumers as idle as they would be after so many milliseconds, as their server stores it.
fn age_consumers(redis: &Redis, consumers: &[String], by: u64) {
    restore(redis, &aged(redis, consumers, by));
}

/// The stream with such consumers.
fn aged(redis: &Redis, consumers: &[String], by: u64) -> Vec<u8> {
    let dump = redis::cmd("DUMP").arg("s").query::<Vec<u8>>(&mut redis.connect()).unwrap();
    let mut aged = dump[..dump.len() - 8].to_vec();
    for consumer in consumers {
        let name = [&[u8::try_from(consumer.len()).unwrap()], consumer.as_bytes()].concat();
        let place = aged.windows(name.len()).rposition(|window| window == name).unwrap() + name.len();
        let seen = &mut aged[place..place + 8];
        let at = u64::from_le_bytes(seen.try_into().unwrap());
        assert!(redis.milliseconds().abs_diff(at) < 60_000, "not a time: {at}");
        seen.copy_from_slice(&(at - by).to_le_bytes());
    }
    let checksum = crc64(&aged).to_le_bytes();
    [aged, checksum.to_vec()].concat()
}

fn restore(redis: &Redis, dump: &[u8]) {
    redis::cmd("RESTORE").arg("s").arg(0).arg(dump).arg("REPLACE").query::<()>(&mut redis.connect()).unwrap();
}

/// The checksum of a dump: CRC-64 by Jones.
fn crc64(bytes: &[u8]) -> u64 {
    let mut crc = 0_u64;
    for bit in bytes.iter().flat_map(|byte| (0..8).map(move |bit| byte >> bit & 1 == 1)) {
        let flips = (crc >> 63 == 1) != bit;
        crc = (crc << 1) ^ if flips { 0xad93_d235_94c9_35a9 } else { 0 };
    }
    crc.reverse_bits()
}

#[test]
fn consumers_that_are_gone_are_deleted_and_those_with_entries_are_not() {
    let redis = stream(3);
    for (consumer, count) in [("gone", 1), ("holding", 1), ("alive", 1)] {
        redis.read("s", "g", consumer, count);
    }
    redis.run::<u64>("XACK s g 1-0 3-0");
    age_consumers(&redis, &["gone", "holding"].map(str::to_owned), 25 * HOUR);
    let sidecar = Sidecar::with_config(&redis.uri(), &config("reap_consumers: {idle: 1d}"));
    let consumers = || {
        let consumers: Vec<Vec<Value>> = redis.run("XINFO CONSUMERS s g");
        consumers.len()
    };
    wait_for("a consumer to be deleted", || (consumers() == 2).then_some(()));
    wait_for("the log", || sidecar.log().contains("\"act\":\"reap\"").then_some(()));
    stays_so(Duration::from_millis(1_200), "the others stay", || consumers() == 2 && pending(&redis) == 1);
}

#[test]
fn where_a_run_ends_early_the_next_one_begins_with_the_other_groups() {
    let redis = stream(1);
    redis.run::<()>("XGROUP SETID s g $");
    redis.run::<()>("XGROUP CREATE s later $");
    let names: Vec<String> = (0..1_100).map(|number| format!("gone-{number:04}")).collect();
    let mut create = redis::pipe();
    for name in &names {
        create.cmd("XREADGROUP").arg(&["GROUP", "g", name, "STREAMS", "s", "0"]).ignore();
    }
    create.cmd("XREADGROUP").arg(&["GROUP", "later", "last", "STREAMS", "s", "0"]).ignore();
    create.query::<()>(&mut redis.connect()).unwrap();
    let all: Vec<String> = names.iter().cloned().chain(["last".to_owned()]).collect();
    let dump = aged(&redis, &all, 25 * HOUR);
    restore(&redis, &dump);
    let _sidecar = Sidecar::with_config(&redis.uri(), &config("reap_consumers: {idle: 1d}"));
    let consumers = |group: &str| redis.run::<Vec<Value>>(&format!("XINFO CONSUMERS s {group}")).len();
    // A run deletes a thousand at most, and each time as many are gone again.
    let is_reached = (0..5).any(|_| {
        wait_for("a run", || (consumers("g") <= 100 || consumers("later") == 0).then_some(()));
        let is_reached = consumers("later") == 0;
        restore(&redis, &dump);
        is_reached
    });
    assert!(is_reached, "the first group takes all the time of each run");
}

#[test]
fn a_reload_ends_a_run_and_the_rest_goes_where_the_new_configuration_says() {
    const ENTRIES: u64 = 10_000;
    let redis = poisoned(ENTRIES, ENTRIES);
    let config = |to: &str| {
        format!(
            "retention: {{interval: 1s, lease_ttl: 2m, budget: 1m}}\n\
             streams: [{{match: s, dead_letter: {{{RULE}, per_run: {ENTRIES}, max_length: {ENTRIES}{to}}}}}]"
        )
    };
    let sidecar = Sidecar::with_config(&redis.uri(), &config(""));
    wait_for("a run", || (length(&redis, DEAD) > 0).then_some(()));
    sidecar.configure(&config(", to: 'later:{%s}'"));
    sidecar.signal("HUP");
    wait_for("the rest", || (pending(&redis) == 0).then_some(()));
    let (before, after) = (origins(&redis), origins_in(&redis, "later:{s}"));
    assert!(!after.is_empty(), "the run did not end with the reload: {} were moved", before.len());
    let all: BTreeSet<&String> = before.iter().chain(&after).collect();
    let entries = usize::try_from(ENTRIES).unwrap();
    assert_eq!((before.len() + after.len(), all.len()), (entries, entries), "each entry is moved once");
}

#[test]
fn in_a_cluster_dead_letters_are_beside_their_stream_and_nothing_moves_to_another_slot() {
    let cluster = Cluster::start();
    // Streams on each node, and a fixed key that is in the slot of none.
    let streams = ["a1", "a2", "a3", "a4", "{t}b", "other"];
    for stream in streams {
        cluster.add(stream, 3);
        cluster.run::<()>(stream, &format!("XGROUP CREATE {stream} g 0"));
        cluster.run::<Value>(stream, &format!("XREADGROUP GROUP g c STREAMS {stream} >"));
        let rows: Vec<(String, Value, Value, Value)> =
            cluster.run(stream, &format!("XPENDING {stream} g - + 2"));
        let ids: Vec<String> = rows.into_iter().map(|row| row.0).collect();
        let claim = format!("XCLAIM {stream} g c 0 {} IDLE {HOUR} RETRYCOUNT 9", ids.join(" "));
        cluster.run::<Value>(stream, &claim);
    }
    let rule = |of: &str, to: &str| format!("{{match: '{of}', dead_letter: {{{RULE}{to}}}}}");
    let rules = [rule("a*", ""), rule("{t}b", ", to: 'failed:%s'"), rule("other", ", to: elsewhere")];
    let config = format!("retention: {{interval: 1s, lease_ttl: 2s}}\nstreams: [{}]", rules.join(", "));
    let sidecar = Sidecar::with_config(&cluster.node(0).uri(), &config);
    for (stream, dead) in [
        ("a1", "dead:{a1}"),
        ("a2", "dead:{a2}"),
        ("a3", "dead:{a3}"),
        ("a4", "dead:{a4}"),
        ("{t}b", "failed:{t}b"),
    ] {
        wait_for(dead, || (cluster.run::<u64>(dead, &format!("XLEN {dead}")) == 2).then_some(()));
        let left: Vec<Value> = cluster.run(stream, &format!("XPENDING {stream} g - + 10"));
        assert_eq!(left.len(), 1, "{stream}");
    }
    wait_for("the refusal", || sidecar.log().contains("\"reason\":\"crossslot\"").then_some(()));
    sidecar.wait("it to be shown", |page| {
        let labels = [("stream", "other"), ("reason", "crossslot")];
        page.get("streamwarden_dead_letters_stopped", &labels) == Some(1.0)
    });
    let left: Vec<Value> = cluster.run("other", "XPENDING other g - + 10");
    assert_eq!((left.len(), cluster.run::<u64>("elsewhere", "EXISTS elsewhere")), (3, 0));
}

#[test]
fn a_full_target_and_what_was_moved_are_in_the_metrics_and_a_replica_is_not_written_to() {
    let redis = poisoned(5, 3);
    let config = dead_letter(", max_length: 2");
    let sidecar = Sidecar::with_config(&redis.uri(), &config);
    let of =
        |page: &Page, name: &str| page.get(&format!("streamwarden_dead_letters{name}"), &[("stream", "s")]);
    let page = sidecar.wait("moving to stop", |page| {
        of(page, "") == Some(2.0)
            && page.get("streamwarden_dead_letters_stopped", &[("stream", "s"), ("reason", "full")])
                == Some(1.0)
    });
    assert_eq!((of(&page, "_max_length"), of(&page, "_oldest_age_seconds").is_some()), (Some(2.0), true));
    let moved = [("stream", "s"), ("reason", "deliveries")];
    assert_eq!(page.get("streamwarden_dead_letters_moved_total", &moved), Some(2.0));

    let replica = Redis::start();
    replica.run::<()>(&format!("REPLICAOF 127.0.0.1 {}", redis.port()));
    wait_for("the copy", || (replica.run::<u64>("EXISTS s") == 1).then_some(()));
    let reader = Sidecar::with_config(&replica.uri(), &config);
    reader.wait("the dead letters", |page| of(page, "") == Some(2.0));
    stays_so(Duration::from_millis(1_500), "nothing is written", || replica.calls("eval") == 0);
    assert_eq!(reader.scrape().own("streamwarden_retention_leader"), 0.0);
}

#[test]
fn the_limit_of_a_glob_removes_no_dead_letters_that_came_after_its_first_run() {
    let Some(redis) = trimming(Redis::start()) else { return };
    let letter = |key: &str| {
        let origin =
            "dlq:stream s dlq:group g dlq:id 9-0 dlq:consumer c dlq:deliveries 7 dlq:time 1 dlq:by me";
        redis.run::<String>(&format!("XADD {key} * f v {origin}"));
    };
    for key in ["oldest", "newest"] {
        redis.run::<String>(&format!("XADD {key} 1-0 f v"));
    }
    let limit = "retention: {max_length: 3, mode: strict, exact: true}";
    let sidecar = Sidecar::with_config(&redis.uri(), &config(limit));
    for key in ["oldest", "newest"] {
        let reached = [("stream", key), ("outcome", "reached")];
        sidecar.wait("a run", |page| page.get("streamwarden_retention_runs_total", &reached) > Some(0.0));
    }
    redis.run::<u64>("DEL oldest");
    for _ in 0..8 {
        letter("oldest");
        letter("newest");
    }
    for key in ["oldest", "newest"] {
        let failed = [("stream", key), ("outcome", "failed")];
        sidecar
            .wait("a failed run", |page| page.get("streamwarden_retention_runs_total", &failed) > Some(0.0));
    }
    let log = sidecar.log();
    assert!(log.contains("its oldest or newest entry is a dead letter"), "{log}");
    stays_so(Duration::from_millis(1_200), "nothing is removed", || {
        (length(&redis, "oldest"), length(&redis, "newest")) == (8, 9)
    });
}
