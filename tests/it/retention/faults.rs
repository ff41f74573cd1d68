//! What a server may refuse, and ends in the middle: nothing is lost, the rest goes on, and it is said.

use redis::cmd;

use super::trimming;
use support::{Page, Redis, Sidecar, wait_for};

const CONFIG: &str =
    "retention: {interval: 1s, pause: 20ms, step: 1000}\nstreams: [{match: s, retention: {max_length: 500}}]";

fn trimmed(page: &Page) -> f64 {
    page.get("streamwarden_retention_trimmed_entries_total", &[("stream", "s")]).unwrap_or_default()
}

fn failures(page: &Page, reason: &str) -> f64 {
    page.get("streamwarden_retention_failures_total", &[("reason", reason)]).unwrap()
}

/// A user who may observe and what else is given; the address to log in as.
fn user(redis: &Redis, more: &str) -> String {
    let observe = "+xinfo +xlen +xpending +xrange +xrevrange +type +scan +time +ping +info +client +hello";
    redis.run::<()>(&format!("ACL SETUSER warden on >word ~* resetchannels -@all {observe} {more}"));
    redis.uri().replace("redis://", "redis://warden:word@")
}

#[test]
fn missing_permission_to_trim_is_reported_and_everything_else_works() {
    let Some(redis) = trimming(Redis::start()) else { return };
    redis.add("s", 1_000);
    let sidecar = Sidecar::with_config(&user(&redis, "+get +set +pexpire +eval"), CONFIG);
    let page = sidecar.wait("the failure to be counted", |page| failures(page, "noperm") >= 2.0);
    assert_eq!(page.stream("length", "s"), Some(1_000.0));
    let log = sidecar.log();
    assert!(log.contains("'xtrim' command"), "the missing permission is named: {log}");
    assert_eq!(log.matches("retention failed").count(), 1, "said once: {log}");

    redis.run::<()>("ACL SETUSER warden +xtrim");
    sidecar.wait("the stream to be trimmed", |page| trimmed(page) == 500.0);
    assert!(sidecar.log().contains("retention works again"), "{}", sidecar.log());
}

#[test]
fn without_scripts_one_command_trims_and_the_log_says_so() {
    let Some(redis) = trimming(Redis::start()) else { return };
    redis.add("s", 1_000);
    redis.run::<()>("XGROUP CREATE s g 0");
    redis.run::<redis::Value>("XREADGROUP GROUP g c COUNT 300 NOACK STREAMS s >");
    let sidecar = Sidecar::with_config(&user(&redis, "+get +set +pexpire +xtrim"), CONFIG);
    let page = sidecar.wait("what is read to go", |page| trimmed(page) == 300.0);
    let is_blocked = |page: &Page| {
        page.get("streamwarden_retention_blocked", &[("group", "g"), ("reason", "unread")]) == Some(1.0)
    };
    assert!(is_blocked(&page) || is_blocked(&sidecar.wait("the group to block", is_blocked)));
    assert_eq!(redis.run::<u64>("XLEN s"), 700);
    redis.run::<redis::Value>("XREADGROUP GROUP g c COUNT 700 NOACK STREAMS s >");
    sidecar.wait("the rest to go", |page| trimmed(page) == 500.0);
    assert_eq!(sidecar.log().matches("or a command in it, is refused").count(), 1, "{}", sidecar.log());
}

#[test]
fn a_server_out_of_memory_is_still_trimmed() {
    let Some(redis) = trimming(Redis::start()) else { return };
    redis.add("s", 20_000);
    redis.run::<()>("CONFIG SET maxmemory 1mb");
    redis.run::<()>("CONFIG SET maxmemory-policy noeviction");
    let added: redis::RedisResult<String> =
        cmd("XADD").arg("s").arg("*").arg("f").arg("v").query(&mut redis.connect());
    assert!(added.is_err(), "the server takes no more");
    let sidecar = Sidecar::with_config(&redis.uri(), CONFIG);
    sidecar.wait("the stream to be trimmed", |page| trimmed(page) == 19_500.0);
    assert!(
        sidecar.log().contains("the retention lease can't be taken: trimming without it"),
        "{}",
        sidecar.log()
    );
}

#[test]
fn a_replica_is_not_trimmed_and_the_refusal_is_counted() {
    let Some(primary) = trimming(Redis::start()) else { return };
    primary.add("s", 1_000);
    // It would take writes, and its primary would never see them.
    let redis = Redis::with_settings("replica-read-only no");
    redis.run::<()>(&format!("REPLICAOF 127.0.0.1 {}", primary.port()));
    wait_for("the replica", || (redis.run::<u64>("XLEN s") == 1_000).then_some(()));
    let sidecar = Sidecar::with_config(&redis.uri(), CONFIG);
    let page = sidecar.wait("the refusal", |page| failures(page, "readonly") >= 1.0);
    assert_eq!((page.own("streamwarden_redis_up"), redis.run::<u64>("XLEN s")), (1.0, 1_000));
    assert_eq!(sidecar.log().matches("retention waits for a primary").count(), 1, "{}", sidecar.log());
    assert_eq!((redis.calls("set"), redis.calls("eval")), (0, 0), "something was sent to a replica");
    redis.run::<()>("REPLICAOF NO ONE");
    sidecar.wait("the stream to be trimmed", |page| trimmed(page) == 500.0);
}

#[test]
fn a_lost_script_cache_and_a_cut_connection_do_no_harm() {
    let Some(redis) = trimming(Redis::start()) else { return };
    redis.add("s", 60_000);
    let sidecar = Sidecar::with_config(&redis.uri(), CONFIG);
    for _ in 0..10 {
        redis.run::<()>("SCRIPT FLUSH");
        let _cut: redis::RedisResult<u64> =
            cmd("CLIENT").arg("KILL").arg("TYPE").arg("normal").query(&mut redis.connect());
        sidecar.next_poll();
    }
    sidecar.wait("the limit to be reached", |_| redis.run::<u64>("XLEN s") == 500);
}

/// A stream of which one group has acknowledged all but the last 700 entries, which its consumer holds.
fn half_read(redis: &Redis, entries: usize) {
    redis.add("s", entries);
    redis.run::<()>("XGROUP CREATE s g 0");
    let read = entries - 700;
    redis.run::<redis::Value>(&format!("XREADGROUP GROUP g c COUNT {read} NOACK STREAMS s >"));
    redis.read("s", "g", "c", 400);
}

fn nothing_is_lost(redis: &Redis) {
    let pending: Vec<(String, String, u64, u64)> = redis.run("XPENDING s g - + 1000");
    assert_eq!(pending.len(), 400);
    for (id, ..) in &pending {
        let entries: Vec<(String, redis::Value)> = redis.run(&format!("XRANGE s {id} {id}"));
        assert_eq!(entries.len(), 1, "{id} is pending and gone");
    }
    let unread: Vec<(String, Vec<(String, redis::Value)>)> =
        redis.run("XREADGROUP GROUP g other COUNT 1000 STREAMS s >");
    assert_eq!(unread[0].1.len(), 300);
}

#[test]
fn a_sidecar_killed_in_the_middle_loses_nothing_and_the_next_finishes() {
    let Some(redis) = trimming(Redis::start()) else { return };
    half_read(&redis, 60_000);
    // The next one looks for a lease as often as it would renew its own.
    let config = CONFIG.replace("interval: 1s", "interval: 1s, lease_ttl: 1s");
    // At moments that nobody chose: whenever so many more are gone, in the middle of whatever goes on then.
    for gone in [1, 9_000, 17_500, 23_000, 40_001] {
        let sidecar = Sidecar::with_config(&redis.uri(), &config);
        let left = wait_for("it to trim", || {
            let left: u64 = redis.run("XLEN s");
            (left <= 60_000 - gone).then_some(left)
        });
        sidecar.signal("KILL");
        assert!(left > 700, "it was not killed in the middle");
    }
    let sidecar = Sidecar::with_config(&redis.uri(), &config);
    sidecar.wait("the rest to go", |_| redis.run::<u64>("XLEN s") == 700);
    nothing_is_lost(&redis);
}

#[test]
fn a_server_killed_in_the_middle_loses_nothing_and_the_run_goes_on() {
    let Some(mut redis) = trimming(Redis::with_settings("appendonly yes\nappendfsync always")) else {
        return;
    };
    half_read(&redis, 60_000);
    let sidecar = Sidecar::with_config(&redis.uri(), CONFIG);
    sidecar.wait("a part to be gone", |_| redis.run::<u64>("XLEN s") < 58_000);
    redis.kill();
    redis.restart();
    let length: u64 = redis.run("XLEN s");
    assert!((701..60_000).contains(&length), "not in the middle: {length}");
    sidecar.wait("the rest to go", |_| redis.run::<u64>("XLEN s") == 700);
    nothing_is_lost(&redis);
}
