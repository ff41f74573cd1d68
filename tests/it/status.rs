//! Each status, brought about on a real server and left again: the same in the metrics, the JSON and the terminal.

mod lease;
mod life;
mod live;
mod refused;
mod unseen;

use std::process::Command;

use serde_json::Value;

use life::{Life, Mode};
use support::{Need, Redis, Sidecar, wait_for};

const WINDOW: &str = "status: {window: 2s, stopped_after: 1s}\n";

/// A stream with a group that works, watched for long enough to be judged.
fn working(rule: &str) -> (Redis, Life, Sidecar) {
    let redis = Redis::start();
    redis.add("s", 3);
    redis.run::<()>("XGROUP CREATE s g 0");
    let life = Life::start(&redis);
    let config = format!("{WINDOW}streams: [{{match: s, groups: [g]{rule}}}]");
    let sidecar = Sidecar::with_config(&redis.uri(), &config);
    wait_until(&sidecar, "ok", "");
    (redis, life, sidecar)
}

fn json(sidecar: &Sidecar, path: &str) -> Value {
    serde_json::from_slice(&sidecar.get(path).body).unwrap()
}

/// What the command says of the sidecar's streams, and its exit code.
fn command(sidecar: &Sidecar, arguments: &[&str]) -> (String, i32) {
    let url = format!("http://{}", sidecar.address());
    let output = Command::new(support::program())
        .args(["status", "--url", &url])
        .args(arguments)
        .env_clear()
        .output()
        .unwrap();
    let (out, error) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    (out + &error, output.status.code().unwrap())
}

/// Waits until metrics, JSON and terminal all say so of the group, and gives the reason.
#[track_caller]
fn wait_until(sidecar: &Sidecar, status: &str, reason: &str) -> String {
    let (health, exit) = match status {
        "ok" => ("healthy", 0),
        "lagging" | "rewound" => ("warning", 1),
        "unknown" => ("unknown", 3),
        _ => ("critical", 2),
    };
    wait_for(&format!("{status}: {reason}"), || {
        let page = sidecar.scrape();
        let in_metrics =
            page.get("streamwarden_group_status", &[("stream", "s"), ("group", "g"), ("status", status)]);
        let document = json(sidecar, "/api/v1/streams/s");
        let group = &document["stream"]["groups"][0];
        let said = group["reason"].as_str()?.to_owned();
        let (terminal, code) = command(sidecar, &[]);
        let line = terminal.lines().find(|line| line.split_whitespace().nth(1) == Some("g"))?;
        let agree = in_metrics == Some(1.0)
            && page.get("streamwarden_stream_health", &[("stream", "s"), ("status", health)]) == Some(1.0)
            && group["status"] == status
            && document["stream"]["health"] == health
            && line.split_whitespace().next() == Some(status)
            && code == exit;
        (agree && said.contains(reason)).then_some(said)
    })
}

#[test]
fn a_group_is_unknown_until_it_was_watched_then_stalled_and_ok_once_it_works() {
    let redis = Redis::start();
    redis.add("s", 4);
    redis.run::<()>("XGROUP CREATE s g 0");
    redis.read("s", "g", "c", 1);
    let config = "status: {window: 4s, stopped_after: 1h}\nstreams: [{match: s, groups: [g]}]";
    let sidecar = Sidecar::with_config(&redis.uri(), config);
    wait_until(&sidecar, "unknown", "watched for only");
    wait_until(&sidecar, "stalled", "3 entries wait and 1 is pending; its consumer sent a request");
    let _life = Life::start(&redis);
    wait_until(&sidecar, "ok", "");
}

#[test]
fn a_deleted_group_is_missing() {
    let (redis, life, sidecar) = working("");
    life.set(Mode::Hangs);
    redis.run::<u64>("XGROUP DESTROY s g");
    wait_until(&sidecar, "missing", "has been missing for");
    redis.run::<()>("XGROUP CREATE s g $");
    life.set(Mode::Works);
    wait_until(&sidecar, "ok", "");
}

#[test]
fn a_group_that_was_trimmed_past_has_lost_entries() {
    let (redis, life, sidecar) = working("");
    life.set(Mode::Hangs);
    wait_until(&sidecar, "stopped", "");
    if !redis.meets(Need::COUNTED_ADDITIONS) {
        return;
    }
    redis.run::<u64>("XTRIM s MAXLEN 5");
    let reason = wait_until(&sidecar, "trimmed_past", "were removed before they were delivered to the group");
    let group = &json(&sidecar, "/api/v1/streams/s")["stream"]["groups"][0];
    assert_eq!(group["rate_out_per_second"], 0.0, "what was removed was not delivered");
    let lost = group["entries_lost"].as_u64().unwrap();
    assert!(lost > 0 && reason.starts_with(&format!("{lost} entries")), "{reason}, {lost}");
    life.set(Mode::Works);
    wait_until(&sidecar, "ok", "");
}

#[test]
fn a_group_that_was_set_back_is_rewound() {
    let (redis, life, sidecar) = working("");
    // A poll must come before it has caught up again.
    life.set(Mode::Hangs);
    redis.run::<()>("XGROUP SETID s g 0");
    sidecar.wait("a poll", |page| page.group("rewinds_total", "s", "g") == Some(1.0));
    // Consumers that stay away would be worse: stopped.
    life.set(Mode::Works);
    wait_until(&sidecar, "rewound", "to 0-0");
    wait_until(&sidecar, "ok", "");
}

#[test]
fn pending_entries_that_were_dropped_with_their_consumer_make_the_group_lagging() {
    let redis = Redis::start();
    redis.add("s", 100);
    redis.run::<()>("XGROUP CREATE s g 0");
    redis.read("s", "g", "dead", 100);
    let config = format!("{WINDOW}streams: [{{match: s, groups: [g]}}]");
    let sidecar = Sidecar::with_config(&redis.uri(), &config);
    // Alive or not: all that is known is that it is idle.
    wait_until(&sidecar, "stalled", "100 entries are pending; its only consumer has been idle for");
    redis.run::<u64>("XGROUP DELCONSUMER s g dead");
    wait_until(
        &sidecar,
        "lagging",
        "up to 100 pending entries were dropped with a deleted consumer, the last ",
    );
    wait_until(&sidecar, "ok", "nothing waits");
}

#[test]
fn a_key_of_another_type_has_its_reason_in_each_list() {
    let redis = Redis::start();
    redis.run::<()>("SET s text");
    let config = format!("{WINDOW}streams: [{{match: s, groups: [g]}}]");
    let sidecar = Sidecar::with_config(&redis.uri(), &config);
    wait_for("the health", || {
        (json(&sidecar, "/api/v1/streams/s")["stream"]["health"] == "critical").then_some(())
    });
    let (list, _) = command(&sidecar, &[]);
    let line = list.lines().find(|line| line.split_whitespace().nth(1) == Some("s")).unwrap();
    assert!(line.ends_with("the key holds another type"), "{list}");
}

#[test]
fn a_group_whose_consumers_were_deleted_has_none() {
    let (redis, life, sidecar) = working("");
    life.set(Mode::Hangs);
    redis.run::<u64>("XGROUP DELCONSUMER s g c");
    wait_until(&sidecar, "no_consumers", "but the group has no consumer");
    life.set(Mode::Works);
    wait_until(&sidecar, "ok", "");
}

#[test]
fn a_group_whose_consumers_hang_is_stopped() {
    let (_redis, life, sidecar) = working("");
    life.set(Mode::Hangs);
    wait_until(&sidecar, "stopped", "its only consumer has been idle for");
    life.set(Mode::Works);
    wait_until(&sidecar, "ok", "");
}

#[test]
fn a_group_that_was_set_back_and_whose_consumers_do_nothing_is_stopped_not_only_rewound() {
    let redis = Redis::start();
    redis.add("s", 10);
    redis.run::<()>("XGROUP CREATE s g 0");
    redis.read("s", "g", "c", 10);
    // The rewind stays in the window for as long as the test lasts.
    let config = "status: {window: 10m, stopped_after: 2s}\nstreams: [{match: s, groups: [g]}]";
    let sidecar = Sidecar::with_config(&redis.uri(), config);
    sidecar.wait("the group", |page| page.group("rewinds_total", "s", "g") == Some(0.0));
    redis.run::<()>("XGROUP SETID s g 0");
    sidecar.wait("the rewind", |page| page.group("rewinds_total", "s", "g") == Some(1.0));
    wait_until(&sidecar, "stopped", "its only consumer has been idle for");
}

#[test]
fn a_group_that_is_no_longer_lagging_is_not_said_to_recover() {
    let redis = Redis::start();
    redis.add("s", 30);
    redis.run::<()>("XGROUP CREATE s g 0");
    redis.read("s", "g", "c", 30);
    let config = "status: {window: 24s, stopped_after: 1h}\nstreams: [{match: s, groups: [g], thresholds: {pending: 20}}]";
    let sidecar = Sidecar::with_config(&redis.uri(), config);
    wait_until(&sidecar, "lagging", "over the threshold of 20");
    let pending: Vec<Value4> = redis.run("XPENDING s g - + 1000");
    pending.iter().for_each(|(id, ..)| redis.run::<()>(&format!("XACK s g {id}")));
    wait_until(&sidecar, "lagging", " ago, and is not since; reported until that has lasted for 6s");
}

#[test]
fn a_group_whose_consumers_ask_and_get_on_with_nothing_is_stalled() {
    let (_redis, life, sidecar) = working("");
    life.set(Mode::Spins);
    wait_until(&sidecar, "stalled", "nothing was delivered or acknowledged for");
    life.set(Mode::Works);
    wait_until(&sidecar, "ok", "");
}

#[test]
fn a_group_that_falls_behind_slowly_is_lagging_whatever_its_dips() {
    let (_redis, life, sidecar) = working("");
    life.set(Mode::FallsBehind);
    let reason = wait_until(&sidecar, "lagging", "the backlog grew from");
    // The backlog of now is neither of these two numbers.
    assert!(reason.contains("(median of the first third) to"), "{reason}");
    life.set(Mode::Works);
    wait_until(&sidecar, "ok", "");
}

#[test]
fn a_group_over_its_threshold_is_lagging() {
    let (redis, _life, sidecar) = working(", thresholds: {pending: 20}");
    redis.add("s", 30);
    redis.read("s", "g", "other", 50);
    let mut held = 0;
    while held <= 20 {
        redis.add("s", 30);
        redis.read("s", "g", "other", 50);
        let state: Vec<Value4> = redis.run("XPENDING s g - + 1000 other");
        held = state.len();
    }
    wait_until(&sidecar, "lagging", "over the threshold of 20");
    redis.run::<u64>("XGROUP DELCONSUMER s g other");
    wait_until(&sidecar, "ok", "");
}

type Value4 = (String, String, u64, u64);

#[test]
fn a_group_with_an_entry_that_fails_again_and_again_is_lagging() {
    let (redis, life, sidecar) = working("");
    life.set(Mode::Fails);
    wait_until(&sidecar, "lagging", "delivered 5 times or more");
    life.set(Mode::Works);
    let pending: Vec<Value4> = redis.run("XPENDING s g - + 1000");
    assert!(!pending.is_empty());
    pending.iter().for_each(|(id, ..)| redis.run::<()>(&format!("XACK s g {id}")));
    wait_until(&sidecar, "ok", "");
}

#[test]
fn a_consumer_that_blocks_with_nothing_to_read_is_ok() {
    let redis = Redis::start();
    redis.add("s", 1);
    redis.run::<()>("XGROUP CREATE s g 0");
    redis.read("s", "g", "c", 1);
    let pending: Vec<Value4> = redis.run("XPENDING s g - + 1");
    redis.run::<u64>(&format!("XACK s g {}", pending[0].0));
    let mut blocked = redis.connect();
    blocked.send_packed_command(&block().get_packed_command()).unwrap();
    let config = format!("{WINDOW}streams: [{{match: s, groups: [g]}}]");
    let sidecar = Sidecar::with_config(&redis.uri(), &config);
    wait_for("a consumer that is idle for longer than the window", || {
        let group = &json(&sidecar, "/api/v1/streams/s")["stream"]["groups"][0];
        assert!(["ok", "unknown"].contains(&group["status"].as_str().unwrap_or("unknown")), "{group}");
        group["least_idle_seconds"].as_f64().filter(|idle| *idle > 3.0)
    });
    assert_eq!(wait_until(&sidecar, "ok", ""), "nothing waits");
}

fn block() -> redis::Cmd {
    let mut command = redis::cmd("XREADGROUP");
    command.arg(&["GROUP", "g", "c", "BLOCK", "0", "STREAMS", "s", ">"]);
    command
}

#[test]
fn a_stream_that_is_missed_silent_or_too_long_is_not_healthy() {
    let redis = Redis::start();
    redis.add("silent", 1);
    redis.run::<()>("SET wrong text");
    let rules =
        "streams:\n  - {match: absent}\n  - {match: wrong}\n  - {match: silent, thresholds: {silence: 1s}}\n";
    let sidecar = Sidecar::with_config(&redis.uri(), &format!("{WINDOW}{rules}"));
    for (stream, health, reason) in [
        ("absent", "critical", "it does not exist"),
        ("wrong", "critical", "another type"),
        ("silent", "warning", "no entry was added for"),
    ] {
        wait_for(&format!("{stream} to be {health}"), || {
            let document = json(&sidecar, &format!("/api/v1/streams/{stream}"));
            let said = &document["stream"];
            (said["health"] == health && said["reason"].as_str()?.contains(reason)).then_some(())
        });
    }
    redis.add("absent", 1);
    redis.add("silent", 1);
    wait_for("both to be healthy", || {
        let summary = &json(&sidecar, "/api/v1/streams")["summary"];
        redis.add("silent", 1);
        (summary["healthy"] == 2).then_some(())
    });
}

#[test]
fn what_is_stale_is_unknown_and_says_since_when() {
    let (mut redis, life, sidecar) = working("");
    drop(life);
    redis.kill();
    let document = wait_for("stale", || {
        Some(json(&sidecar, "/api/v1/streams")).filter(|document| document["poll"]["stale"] == true)
    });
    assert_eq!(document["poll"]["up"], false);
    assert_eq!(document["poll"]["last_failure"], "refused");
    assert!(document["poll"]["age_seconds"].as_f64().unwrap() >= 2.0);
    assert!(document["poll"]["stale_since_unix_ms"].as_u64().unwrap() > 1_700_000_000_000);
    assert_eq!(document["streams"][0]["health"], "unknown");
    assert_eq!(document["streams"][0]["stale"], true);
    assert_eq!(document["streams"][0]["groups"][0]["status"], "unknown");
    assert!(document["streams"][0]["length"].as_u64().unwrap() > 0, "the last number stays, marked");
    let (text, code) = command(&sidecar, &[]);
    assert!(text.contains("the last poll failed: refused, stale") && code == 3, "{text}");
}

#[test]
fn the_command_reads_redis_itself() {
    let redis = Redis::start();
    redis.add("s", 3);
    redis.run::<()>("XGROUP CREATE s g 0");
    let run = |arguments: &[&str]| {
        let output = Command::new(support::program())
            .args(["status", "--every", "300ms"])
            .args(arguments)
            .env_clear()
            .env("REDIS_URI", redis.uri())
            .output()
            .unwrap();
        (String::from_utf8(output.stdout).unwrap(), output.status.code().unwrap())
    };
    let (table, code) = run(&[]);
    assert!(table.contains("no_consumers") && !table.contains('\x1b') && code == 2, "{table}");
    let (document, code) = run(&["s", "--json"]);
    let document: Value = serde_json::from_str(&document).unwrap();
    assert_eq!((&document["stream"]["groups"][0]["status"], code), (&Value::from("no_consumers"), 2));
    redis.read("s", "g", "c", 3);
    redis.run::<()>("XGROUP SETID s g $");
    redis.run::<u64>("XGROUP DELCONSUMER s g c");
    assert_eq!(run(&[]).1, 0);
    assert_eq!(run(&["nothing"]).1, 3);
}
