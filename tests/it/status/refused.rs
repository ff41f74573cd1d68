//! A server that answers reads and refuses writes: visible in metrics, JSON and terminal, each time against a write that is tried.

use serde_json::Value;

use super::{command, json};
use support::{Redis, Sidecar};

/// The code with which the server refuses to add an entry; empty if it adds it.
fn refusal(redis: &Redis) -> String {
    let added = redis.try_run::<String>("XADD s * field value");
    added.map_or_else(|error| error.code().unwrap_or_default().to_owned(), |_id| String::new())
}

fn kinds(sidecar: &Sidecar) -> Vec<String> {
    let document = json(sidecar, "/api/v1/streams");
    let faults = document["faults"].as_array().unwrap().clone();
    faults.iter().map(|fault: &Value| fault["cause"]["kind"].as_str().unwrap().to_owned()).collect()
}

/// Waits for this fault, or for none, and for this value of the metric.
fn wait_for(sidecar: &Sidecar, kind: Option<&str>, (reason, value): (&str, Option<f64>)) {
    sidecar.wait(&format!("{kind:?}"), |page| {
        let refused = page.get("streamwarden_redis_writes_refused", &[("reason", reason)]);
        refused == value && kinds(sidecar).iter().map(String::as_str).eq(kind)
    });
    let (terminal, code) = command(sidecar, &[]);
    let (words, exit) = match kind {
        None => ("healthy", 0),
        Some("eviction" | "snapshot_fails") => ("warning", 1),
        Some(_) => ("critical", 2),
    };
    assert!(terminal.starts_with(words) && code == exit, "{code}: {terminal}");
    assert_eq!(terminal.contains("Redis"), kind.is_some(), "{terminal}");
}

fn watched(settings: &str) -> (Redis, Sidecar) {
    let redis = Redis::with_settings(settings);
    redis.add("s", 3);
    let sidecar = Sidecar::with_config(&redis.uri(), "streams: [{match: s}]");
    wait_for(&sidecar, None, ("oom", Some(0.0)));
    (redis, sidecar)
}

#[test]
fn a_server_whose_memory_is_full_is_critical_although_its_streams_are_healthy() {
    let (redis, sidecar) = watched("");
    redis.run::<()>("CONFIG SET maxmemory 100kb");
    assert_eq!(refusal(&redis), "OOM");
    wait_for(&sidecar, Some("out_of_memory"), ("oom", Some(1.0)));
    let page = sidecar.scrape();
    let health = page.get("streamwarden_stream_health", &[("stream", "s"), ("status", "healthy")]);
    assert_eq!(health, Some(1.0), "the stream itself has no problem");

    // In this order, so that nothing is evicted.
    redis.run::<()>("CONFIG SET maxmemory 0");
    redis.run::<()>("CONFIG SET maxmemory-policy allkeys-lru");
    assert_eq!(refusal(&redis), "");
    wait_for(&sidecar, None, ("oom", Some(0.0)));
}

#[test]
fn a_server_that_may_evict_streams_soon_is_a_warning() {
    let (redis, sidecar) = watched("");
    redis.run::<()>("CONFIG SET maxmemory-policy allkeys-lru");
    let info: String = redis.run("INFO memory");
    let used = info.lines().find_map(|line| line.strip_prefix("used_memory:")).unwrap();
    let used: u64 = used.trim().parse().unwrap();
    redis.run::<()>(&format!("CONFIG SET maxmemory {}", used * 107 / 100));
    wait_for(&sidecar, Some("eviction"), ("oom", Some(0.0)));
}

#[test]
fn a_server_without_the_replicas_that_its_writes_need_is_critical() {
    let (redis, sidecar) = watched("");
    redis.run::<()>("CONFIG SET min-replicas-to-write 1");
    assert_eq!(refusal(&redis), "NOREPLICAS");
    wait_for(&sidecar, Some("no_replicas"), ("noreplicas", Some(1.0)));
    redis.run::<()>("CONFIG SET min-replicas-to-write 0");
    wait_for(&sidecar, None, ("noreplicas", Some(0.0)));
}

#[test]
fn a_failed_snapshot_is_a_warning_since_only_the_settings_say_whether_writes_are_refused() {
    // Nothing can be saved there.
    let (redis, sidecar) = watched("save 3600 1000000\ndir /proc");
    redis.run::<()>("BGSAVE");
    support::wait_for("the failure", || (refusal(&redis) == "MISCONF").then_some(()));
    wait_for(&sidecar, Some("snapshot_fails"), ("misconf", None));
    redis.run::<()>("CONFIG SET stop-writes-on-bgsave-error no");
    assert_eq!(refusal(&redis), "");
    wait_for(&sidecar, Some("snapshot_fails"), ("misconf", None));
}

#[test]
fn without_permission_for_info_nothing_is_claimed_and_info_is_tried_once() {
    let redis = Redis::start();
    redis.add("s", 3);
    redis.run::<()>("ACL SETUSER narrow on >word ~* -@all +hello +client +time +scan +xinfo +xlen +xpending");
    redis.run::<()>("CONFIG SET maxmemory 100kb");
    let uri = format!("redis://narrow:word@127.0.0.1:{}", redis.port());
    let sidecar = Sidecar::with_config(&uri, "streams: [{match: s}]");
    let page =
        sidecar.wait("three polls", |page| page.own("streamwarden_poll_duration_seconds_count") >= 3.0);
    assert_eq!(page.count("streamwarden_redis_writes_refused"), 0);
    assert_eq!(kinds(&sidecar), Vec::<String>::new());
    assert_eq!(page.get("streamwarden_redis_commands_total", &[("command", "info")]), Some(1.0));
    assert!(page.get("streamwarden_redis_commands_total", &[("command", "hello")]) >= Some(3.0));
}
