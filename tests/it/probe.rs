//! The probe: whether it notices that writing does not work, what it measures, and that it leaves nothing behind.

use std::time::Duration;

use support::{Cluster, Page, Redis, Sentinels, Sidecar, stays_so, wait_at_most, wait_for};

use crate::{
    acl::{make_user, rule},
    doctor::doctor,
    process::{config_file, streamwarden, text},
    tls::{certificates, tls_server},
};

const PROBE: &str = "probe: {enabled: true, interval: 1s}";
/// As long as a key lives after its last probe, at the interval above, and a little more.
const LIFE: Duration = Duration::from_secs(12);
const STAGES: [&str; 3] = ["write", "wake_up", "round_trip"];
const COMMANDS: [&str; 4] = ["pexpire", "xadd", "xreadgroup", "xack"];

fn probed(page: &Page, stage: &str) -> f64 {
    page.get("streamwarden_probe_seconds_count", &[("stage", stage)]).unwrap_or_default()
}

fn failed(page: &Page, reason: &str) -> f64 {
    page.get("streamwarden_probe_failures_total", &[("reason", reason)]).unwrap_or_default()
}

fn all_failed(page: &Page) -> f64 {
    let of = |((name, _), value): (&(String, _), &f64)| {
        (name == "streamwarden_probe_failures_total").then_some(*value)
    };
    page.samples().iter().filter_map(of).sum()
}

fn is_up(page: &Page) -> Option<f64> {
    page.get("streamwarden_probe_up", &[("node", "")])
}

fn keys(redis: &Redis) -> Vec<String> {
    redis.run("KEYS streamwarden:probe:*")
}

/// A sidecar whose probes succeed.
fn healthy(redis: &Redis) -> Sidecar {
    let sidecar = Sidecar::with_config(&redis.uri(), PROBE);
    let page = sidecar.wait("two probes", |page| probed(page, "round_trip") >= 2.0);
    assert_eq!((is_up(&page), all_failed(&page)), (Some(1.0), 0.0), "{}", sidecar.log());
    sidecar
}

/// Waits until the probe fails for this reason, and checks that polls go on.
fn fails(sidecar: &Sidecar, reason: &str) {
    sidecar.wait(reason, |page| is_up(page) == Some(0.0) && failed(page, reason) > 0.0);
    let page = sidecar.wait("a poll that succeeds", |page| {
        page.own("streamwarden_redis_up") == 1.0 && is_up(page) == Some(0.0)
    });
    assert_eq!(all_failed(&page), failed(&page, reason), "no other reason");
    let line = format!("\"reason\":\"{reason}\"");
    assert!(sidecar.log().lines().any(|it| it.contains("the probe failed") && it.contains(&line)));
}

/// Waits until the probe succeeds again.
fn recovers(sidecar: &Sidecar) {
    sidecar.wait("a probe that succeeds", |page| is_up(page) == Some(1.0));
    wait_for("the log", || sidecar.log().contains("the probe works again").then_some(()));
}

#[test]
fn a_healthy_server_is_measured_on_a_stream_that_nobody_watches() {
    let redis = Redis::start();
    redis.add("s", 3);
    let config = format!("{PROBE}\npoll: {{interval: 3s, discovery_interval: 200ms}}");
    let sidecar = Sidecar::with_config(&redis.uri(), &config);
    let page = sidecar.wait("some probes", |page| probed(page, "round_trip") >= 6.0);
    for stage in STAGES {
        let labels = [("stage", stage)];
        assert!(probed(&page, stage) >= 3.0, "{stage}");
        let sum = page.get("streamwarden_probe_seconds_sum", &labels).unwrap();
        // None took longer than a command may (redis.command_timeout).
        assert!(sum > 0.0 && sum < 5.0 * probed(&page, stage), "{stage}: {sum}");
    }
    assert_eq!((is_up(&page), all_failed(&page)), (Some(1.0), 0.0));
    let polls = page.own("streamwarden_polls_total");
    assert!(polls < probed(&page, "write"), "a probe is no poll: {polls}");
    assert_eq!(page.label_values("streamwarden_stream_length", "stream"), ["s"]);
    assert_eq!(page.own("streamwarden_found_streams"), 1.0);

    let keys = keys(&redis);
    assert_eq!(keys.len(), 1, "{keys:?}");
    let key = &keys[0];
    assert!((1..=10_000).contains(&redis.run::<i64>(&format!("PTTL {key}"))));
    assert!((1..=16).contains(&redis.run::<u64>(&format!("XLEN {key}"))));
    for group in ["read", "wait"] {
        let (pending, ..): (u64, redis::Value, redis::Value, redis::Value) =
            redis.run(&format!("XPENDING {key} {group}"));
        assert_eq!(pending, 0, "{group}");
    }
}

#[test]
fn a_sidecar_that_is_killed_leaves_nothing_behind() {
    let redis = Redis::start();
    let sidecar = healthy(&redis);
    sidecar.signal("KILL");
    assert_eq!(keys(&redis).len(), 1);
    wait_at_most(LIFE, "the key to expire", || keys(&redis).is_empty().then_some(()));
}

#[test]
fn nothing_is_probed_unless_the_configuration_asks_for_it() {
    let redis = Redis::start();
    let sidecar = Sidecar::start(&redis);
    assert_eq!((sidecar.next_poll().count("streamwarden_probe"), keys(&redis).len()), (0, 0));
    let fast = "poll: {interval: 100ms, discovery_interval: 200ms, stale_after: 2s}";
    sidecar.configure(&format!("{fast}\n{PROBE}"));
    sidecar.signal("HUP");
    sidecar.wait("a probe", |page| is_up(page) == Some(1.0));
    sidecar.configure(fast);
    sidecar.signal("HUP");
    sidecar.wait("the end of it", |page| is_up(page).is_none());
    stays_so(Duration::from_secs(2), "no probe and none of its series", || {
        sidecar.scrape().count("streamwarden_probe") == 0
    });
}

#[test]
fn a_server_that_is_full_fails_the_probe_and_not_the_polls() {
    let redis = Redis::start();
    redis.add("s", 3);
    let sidecar = healthy(&redis);
    redis.run::<()>("CONFIG SET maxmemory 1");
    fails(&sidecar, "oom");
    // Also once the stream is gone, and its groups can't be made.
    wait_at_most(LIFE, "the key to expire", || keys(&redis).is_empty().then_some(()));
    fails(&sidecar, "oom");
    redis.run::<()>("CONFIG SET maxmemory 0");
    recovers(&sidecar);
}

#[test]
fn a_server_that_can_not_save_fails_the_probe() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("data");
    std::fs::create_dir(&place).unwrap();
    let redis = Redis::with_settings(&format!("save 3600 1000000\ndir {}", place.display()));
    let sidecar = healthy(&redis);
    std::fs::remove_dir_all(&place).unwrap();
    redis.run::<()>("BGSAVE");
    fails(&sidecar, "misconf");
    redis.run::<()>("CONFIG SET stop-writes-on-bgsave-error no");
    recovers(&sidecar);
}

#[test]
fn a_server_without_enough_replicas_fails_the_probe() {
    let redis = Redis::start();
    let sidecar = healthy(&redis);
    redis.run::<()>("CONFIG SET min-replicas-to-write 1");
    fails(&sidecar, "noreplicas");
    redis.run::<()>("CONFIG SET min-replicas-to-write 0");
    recovers(&sidecar);
}

#[test]
fn a_replica_fails_the_probe_and_is_not_written_to() {
    let primary = Redis::start();
    for is_read_only in ["yes", "no"] {
        let settings = format!("replicaof 127.0.0.1 {}\nreplica-read-only {is_read_only}", primary.port());
        let replica = Redis::with_settings(&settings);
        wait_for("the replica", || {
            replica.run::<String>("INFO replication").contains("master_link_status:up").then_some(())
        });
        let sidecar = Sidecar::with_config(&replica.uri(), PROBE);
        fails(&sidecar, "readonly");
        assert_eq!((keys(&replica).len(), keys(&primary).len()), (0, 0), "{is_read_only}");
        replica.run::<()>("REPLICAOF NO ONE");
        recovers(&sidecar);
    }
}

#[test]
fn a_server_that_is_down_or_stands_still_fails_the_probe() {
    let mut redis = Redis::start();
    let config = format!("{PROBE}\nredis: {{command_timeout: 300ms, connect_timeout: 300ms}}");
    let sidecar = Sidecar::with_config(&redis.uri(), &config);
    sidecar.wait("a probe", |page| is_up(page) == Some(1.0));
    redis.pause();
    sidecar.wait("a timeout", |page| is_up(page) == Some(0.0) && failed(page, "timeout") > 0.0);
    redis.resume();
    recovers(&sidecar);
    redis.kill();
    sidecar.wait("a refusal", |page| is_up(page) == Some(0.0) && failed(page, "refused") > 0.0);
    redis.restart();
    sidecar.wait("a probe that succeeds", |page| is_up(page) == Some(1.0));
}

#[test]
fn a_stream_that_others_remove_is_made_again_and_is_no_failure() {
    let redis = Redis::start();
    let sidecar = healthy(&redis);
    for words in ["FLUSHALL", "CLIENT KILL TYPE normal"] {
        redis.try_run::<redis::Value>(words).unwrap();
        let before = probed(&sidecar.scrape(), "round_trip");
        let page = sidecar.wait("two more", |page| probed(page, "round_trip") >= before + 2.0);
        assert_eq!(all_failed(&page), 0.0, "{words}: {}", sidecar.log());
    }
}

#[test]
fn each_permission_of_the_probe_is_needed_and_without_it_nothing_stays() {
    let redis = Redis::start();
    let config = format!("{PROBE}\nstreams: [{{match: 'o:*'}}]");
    let rule = rule(&redis, &config, "/0");
    let own = rule.rsplit_once("streamwarden:probe:*").expect("a rule for the probe").1;
    let commands: Vec<&str> = own.split([' ', ')', '\n']).filter_map(|word| word.strip_prefix('+')).collect();
    assert!(commands.len() >= 5, "{rule}");
    let uri = make_user(&redis, &rule);
    let sidecar = Sidecar::with_config(&uri, &config);
    sidecar.wait("a probe", |page| is_up(page) == Some(1.0));
    drop(sidecar);
    let found = doctor(&uri, &config, &[]);
    found.has("permissions", "ok", "probing: ");
    for missing in ["pexpire", "xack", "xadd", "xgroup|create", "xreadgroup"] {
        assert!(commands.contains(&missing), "{missing}: {rule}");
        redis.run::<()>("FLUSHALL");
        let narrow = rule.replacen(&format!(" +{missing}"), "", 1);
        let uri = make_user(&redis, &narrow);
        let sidecar = Sidecar::with_config(&uri, &config);
        fails(&sidecar, "noperm");
        for key in keys(&redis) {
            assert!(redis.run::<i64>(&format!("PTTL {key}")) > 0, "{missing}: {key} stays");
        }
        if missing == "pexpire" {
            assert!(keys(&redis).is_empty(), "what can't expire is not made");
        }
        doctor(&uri, &config, &[]).has("permissions", "problem", "each probe fails");
    }
}

#[test]
fn each_primary_of_a_cluster_has_a_probe_of_its_own() {
    let cluster = Cluster::steady();
    let sidecar = Sidecar::with_config(&cluster.node(0).uri(), PROBE);
    let node = |node: usize| format!("127.0.0.1:{}", cluster.node(node).port());
    let is_up = |page: &Page, index| page.get("streamwarden_probe_up", &[("node", &node(index))]);
    let page = sidecar.wait("all probes", |page| (0..3).all(|index| is_up(page, index) == Some(1.0)));
    assert_eq!(page.label_values("streamwarden_probe_up", "node").len(), 3);
    for index in 0..3 {
        assert_eq!(keys(cluster.node(index)).len(), 1, "{index}");
    }
    assert_eq!(sidecar.next_poll().count("streamwarden_stream_length"), 0);
    cluster.node(1).run::<()>("CONFIG SET maxmemory 1");
    let page = sidecar.wait("one to fail", |page| is_up(page, 1) == Some(0.0));
    assert!(failed(&page, "oom") > 0.0);
    assert_eq!((is_up(&page, 0), is_up(&page, 2)), (Some(1.0), Some(1.0)));
    cluster.node(1).run::<()>("CONFIG SET maxmemory 0");
    sidecar.wait("all probes again", |page| (0..3).all(|index| is_up(page, index) == Some(1.0)));
}

#[test]
fn the_probe_follows_sentinels_to_the_new_primary() {
    let sentinels = Sentinels::start();
    let sidecar = Sidecar::with_config(&sentinels.uri(), PROBE);
    sidecar.wait("a probe", |page| is_up(page) == Some(1.0));
    sentinels.primary.pause();
    sentinels.wait_until_they_name_the_replica(3);
    // How it fails depends on who notices first: the probe, or the Sentinels.
    sidecar.wait("a probe of the new primary", |page| all_failed(page) > 0.0 && is_up(page) == Some(1.0));
    assert!(!keys(&sentinels.replica).is_empty());
}

#[test]
fn the_probe_is_encrypted_where_the_address_says_so() {
    let folder = tempfile::tempdir().unwrap();
    certificates(folder.path(), "localhost");
    let redis = tls_server(folder.path(), "no");
    let tls = format!("redis: {{tls: {{ca_file: {}}}}}", folder.path().join("ca.pem").display());
    let uri = format!("rediss://localhost:{}", redis.port());
    let sidecar = Sidecar::with_config(&uri, &format!("{PROBE}\n{tls}"));
    sidecar.wait("two probes", |page| probed(page, "round_trip") >= 2.0 && is_up(page) == Some(1.0));
}

#[test]
fn the_cost_of_a_probe_is_what_is_sent() {
    let redis = Redis::start();
    let file = config_file(PROBE);
    let arguments =
        ["check-config", "--cost", "--count-for", "0s", "--config", file.path().to_str().unwrap()];
    let output = streamwarden(&arguments, &[("REDIS_URI", &redis.uri())]);
    let table = text(&output.stdout);
    let row = table.lines().find(|line| line.starts_with("the probe ")).unwrap_or_else(|| panic!("{table}"));
    let numbers: Vec<&str> = row.split_whitespace().skip(2).take(4).collect();
    assert_eq!(numbers, ["6", "86,400", "518,400", "15,552,000"], "{row}");
    assert!(keys(&redis).is_empty(), "counting does not probe");

    let sidecar = healthy(&redis);
    // Between two probes.
    let sent = |page: &Page| {
        let of = |name: &str| page.get("streamwarden_redis_commands_total", &[("command", name)]).unwrap();
        (probed(page, "round_trip"), COMMANDS.map(of).iter().sum::<f64>())
    };
    let next = |than: f64| {
        let page = sidecar.wait("a probe", |page| probed(page, "round_trip") > than);
        sent(&page)
    };
    let (before, sent_before) = next(probed(&sidecar.scrape(), "round_trip"));
    let (after, sent_after) = next(before + 1.0);
    assert_eq!((sent_after - sent_before) / (after - before), 6.0);
}

#[test]
fn where_commands_are_billed_the_interval_must_be_given() {
    let run = |config: &str| {
        let file = config_file(config);
        streamwarden(
            &["check-config", "--config", file.path().to_str().unwrap()],
            &[("REDIS_URI", "redis://h")],
        )
    };
    let refused = run("redis: {billed_by_command: true}\nprobe: {enabled: true}");
    assert_eq!(refused.status.code(), Some(2));
    let message = text(&refused.stderr);
    assert!(message.contains("probe.interval: is missing: each command is billed"), "{message}");
    let asked_for = run("redis: {billed_by_command: true}\nprobe: {enabled: true, interval: 10m}");
    assert_eq!(asked_for.status.code(), Some(0), "{}", text(&asked_for.stderr));
}
