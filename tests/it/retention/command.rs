//! `streamwarden trim`, as people and their scripts run it.

use redis::Value;

use super::trimming;
use support::{Need, Redis, wait_for};

use crate::process::{streamwarden, text};

/// Its exit code, and what it printed and complained about.
fn trim(redis: &Redis, arguments: &[&str]) -> (i32, String, String) {
    let arguments: Vec<&str> =
        ["trim", "s", "--max-length"].into_iter().chain(arguments.iter().copied()).collect();
    let output = streamwarden(&arguments, &[("REDIS_URI", &redis.uri())]);
    (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn a_dry_run_names_who_blocks_and_removes_nothing() {
    let Some(redis) = trimming(Redis::start()) else { return };
    redis.add("s", 1_000);
    redis.run::<()>("XGROUP CREATE s idle 0");
    let (code, shown, complaints) = trim(&redis, &["500", "--dry-run"]);
    assert_eq!((code, complaints.as_str()), (1, ""), "{shown}");
    for line in
        ["over it       500 entries", "would remove  nothing", "blocked       group idle has not read"]
    {
        assert!(shown.contains(line), "{shown}");
    }
    redis.run::<Value>("XREADGROUP GROUP idle c COUNT 600 NOACK STREAMS s >");
    let (code, shown, _) = trim(&redis, &["500", "--dry-run"]);
    assert!(code == 0 && shown.contains("would remove  at most 500 entries, in whole nodes"), "{shown}");
    let (code, shown, _) = trim(&redis, &["500", "--exact", "--dry-run"]);
    assert!(code == 0 && shown.contains("would remove  500 entries\n"), "{shown}");
    assert_eq!(redis.run::<u64>("XLEN s"), 1_000);
}

#[test]
fn a_plan_that_a_pending_entry_limits_promises_no_more_than_it_proves() {
    let Some(redis) = trimming(Redis::start()) else { return };
    for id in 1..=1_000 {
        redis.run::<()>(&format!("XADD s {id}-0 a 1"));
    }
    redis.run::<()>("XGROUP CREATE s slow 0");
    redis.run::<Value>("XREADGROUP GROUP slow c COUNT 1000 STREAMS s >");
    redis.run::<u64>("XACK s slow 1-0 2-0 3-0");
    let planned =
        |most| format!("would remove  at most {most} entries, perhaps none: how many no group needs");
    let (code, shown, _) = trim(&redis, &["10", "--exact", "--dry-run"]);
    // Before Redis 7.0 the deleted IDs are unknown, and so is whether all pending entries exist.
    let most = if redis.supports(Need::COUNTED_ADDITIONS) { 3 } else { 990 };
    assert!(code == 1 && shown.contains(&planned(most)), "{shown}");
    redis.run::<u64>("XDEL s 500-0");
    let (code, shown, _) = trim(&redis, &["10", "--exact", "--dry-run"]);
    assert!(code == 1 && shown.contains(&planned(989)), "a pending entry may be gone: {shown}");
    let (_, shown, _) = trim(&redis, &["10", "--exact", "--yes"]);
    assert!(shown.contains("removed 3 entries; 996 left"), "{shown}");
}

#[test]
fn it_trims_as_far_as_it_may_and_says_what_went() {
    let Some(redis) = trimming(Redis::start()) else { return };
    redis.add("s", 25_000);
    redis.run::<()>("XGROUP CREATE s readers 0");
    redis.run::<()>("XGROUP CREATE s idle 0");
    redis.run::<Value>("XREADGROUP GROUP readers c COUNT 20000 NOACK STREAMS s >");
    let (code, shown, complaints) = trim(&redis, &["100", "--yes", "--ignore-group", "idle"]);
    assert!(
        code == 1 && shown.contains("removed 20000 entries; 5000 left\nblocked: group readers"),
        "{shown}{complaints}"
    );
    let lost = "lost: 20000 entries that were not yet delivered to group idle\n";
    assert_eq!(shown.contains(lost), redis.supports(Need::COUNTED_ADDITIONS), "{shown}");
    let (code, shown, _) = trim(&redis, &["1234", "--yes", "--mode", "strict", "--exact"]);
    assert!(code == 0 && shown.contains("removed 3766 entries; 1234 left"), "{shown}");
    assert_eq!(trim(&redis, &["1234", "--yes"]).0, 0, "nothing to do is fine");
}

#[test]
fn a_plan_names_the_groups_that_would_lose_and_how_much_at_most() {
    let Some(redis) = trimming(Redis::start()) else { return };
    redis.add("s", 1_000);
    redis.run::<()>("XGROUP CREATE s idle 0");
    redis.run::<Value>("XREADGROUP GROUP idle c COUNT 300 STREAMS s >");
    let (code, shown, _) = trim(&redis, &["500", "--dry-run", "--mode", "strict"]);
    let line = "would lose    group idle: at most 200 entries not yet delivered to it and 300 entries that it has not acknowledged\n";
    assert!(code == 0 && shown.contains(line), "{shown}");
    assert!(!trim(&redis, &["500", "--dry-run"]).1.contains("would lose"));
    let (code, _, complaints) = trim(&redis, &["500", "--yes", "--ignore-group", "idel"]);
    assert!(
        code == 2 && complaints.contains("--ignore-group idel: the stream has no such group; it has: idle"),
        "{complaints}"
    );
    assert_eq!(redis.run::<u64>("XLEN s"), 1_000);
}

#[test]
fn without_a_terminal_it_asks_nobody_and_does_nothing() {
    let Some(redis) = trimming(Redis::start()) else { return };
    redis.add("s", 1_000);
    let (code, _, complaints) = trim(&redis, &["500"]);
    assert!(code == 2 && complaints.contains("pass --yes or --dry-run"), "{complaints}");
    assert_eq!(redis.run::<u64>("XLEN s"), 1_000);
}

#[test]
fn a_replica_is_not_trimmed_and_that_is_no_plan() {
    let Some(redis) = trimming(Redis::start()) else { return };
    let primary = Redis::start();
    primary.add("s", 1_000);
    redis.run::<()>(&format!("REPLICAOF 127.0.0.1 {}", primary.port()));
    let is_up = || redis.run::<String>("INFO replication").contains("master_link_status:up");
    wait_for("the replica", || is_up().then_some(()));
    for how in ["--dry-run", "--yes"] {
        let (code, shown, complaints) = trim(&redis, &["500", how]);
        assert!(code == 1 && shown.is_empty() && complaints.contains("is a replica"), "{shown}{complaints}");
    }
}

#[test]
fn what_can_not_be_trimmed_is_a_clear_error() {
    let Some(redis) = trimming(Redis::start()) else { return };
    let (code, _, complaints) = trim(&redis, &["500", "--yes"]);
    assert!(code == 1 && complaints.contains("there is no stream s"), "{complaints}");
    redis.run::<()>("SET s text");
    let (code, _, complaints) = trim(&redis, &["500", "--yes"]);
    assert!(code == 1 && complaints.contains("wrongtype"), "{complaints}");
    assert_eq!(trim(&redis, &["many"]).0, 2);
}

#[test]
fn without_a_limit_the_one_of_the_rule_applies_and_without_either_it_is_wrong_usage() {
    let Some(redis) = trimming(Redis::start()) else { return };
    redis.add("s", 1_000);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config.yaml");
    support::write(&file, "streams: [{match: s, retention: {max_length: 400, mode: observe}}, {match: t}]");
    let trim = |arguments: &[&str]| {
        let all: Vec<&str> =
            ["--config", file.to_str().unwrap(), "trim"].iter().chain(arguments).copied().collect();
        let output = streamwarden(&all, &[("REDIS_URI", &redis.uri())]);
        (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
    };
    let (code, shown, complaints) = trim(&["s", "--yes"]);
    assert!(code == 0 && shown.contains("removed 600 entries; 400 left"), "{shown}{complaints}");
    let (code, _, complaints) = trim(&["t", "--yes"]);
    assert!(code == 2 && complaints.contains("pass --max-length or --max-age"), "{complaints}");
    let (code, shown, _) = trim(&["s", "--max-length", "0", "--dry-run"]);
    assert!(code == 0 && shown.contains("0 entries: all are removed that no group needs"), "{shown}");
    let (code, _, complaints) = trim(&["redis://ann:hunter2@h", "--yes"]);
    assert!(code == 2 && complaints.contains("not the key of a stream"), "{complaints}");
    assert!(!complaints.contains("hunter2"), "{complaints}");
}

#[test]
fn an_age_trims_what_is_older_and_names_who_blocks_it() {
    let Some(redis) = trimming(Redis::start()) else { return };
    // An hour old, and of now.
    let old = redis.milliseconds() - 3_600_000;
    for sequence in 1..=300 {
        redis.run::<String>(&format!("XADD s {old}-{sequence} a 1"));
    }
    redis.add("s", 5);
    let trim = |arguments: &[&str]| {
        let all: Vec<&str> = ["trim", "s"].iter().chain(arguments).copied().collect();
        let output = streamwarden(&all, &[("REDIS_URI", &redis.uri())]);
        (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
    };
    redis.run::<()>("XGROUP CREATE s idle 0");
    let (code, shown, _) = trim(&["--max-age", "10m", "--dry-run"]);
    assert!(code == 1 && shown.contains("entries older than 10m; the oldest is 1h old"), "{shown}");
    assert!(
        shown.contains("blocked       none of them: group idle has not read the oldest entries"),
        "{shown}"
    );
    let (_, shown, _) = trim(&["--max-age", "10m", "--mode", "strict", "--dry-run"]);
    assert!(
        shown.contains("would lose    group idle: at most 300 entries not yet delivered to it"),
        "{shown}"
    );
    let (code, shown, _) = trim(&["--max-age", "10m", "--yes"]);
    assert!(code == 1 && shown.contains("removed 0 entries; 305 left\nblocked: group idle"), "{shown}");
    redis.run::<u64>("XGROUP DESTROY s idle");
    assert_eq!(trim(&["--max-age", "2h", "--dry-run"]).0, 0);
    let (code, shown, complaints) = trim(&["--max-age", "10m", "--yes"]);
    assert!(code == 0 && shown.contains("removed 300 entries; 5 left"), "{shown}{complaints}");
    let (code, shown, _) = trim(&["--max-age", "10m", "--yes"]);
    assert!(code == 0 && shown.contains("nothing to remove"), "{shown}");
}

#[test]
fn a_plan_by_age_counts_what_is_too_old_up_to_a_bound() {
    let Some(redis) = trimming(Redis::start()) else { return };
    let now = redis.milliseconds();
    let add = |key: &str, count: u64, size: usize| {
        let mut pipeline = redis::pipe();
        for number in 0..count {
            let id = format!("{}-{number}", now - 7_200_000);
            pipeline.cmd("XADD").arg(key).arg(id).arg("a").arg("x".repeat(size)).ignore();
        }
        pipeline.cmd("XADD").arg(key).arg("*").arg("a").arg("b").ignore();
        pipeline.query::<()>(&mut redis.connect()).unwrap();
    };
    add("few", 1_234, 10);
    add("many", 12_000, 10);
    add("large", 100, 200_000);
    let run = |arguments: &[&str]| {
        let arguments = [&["trim"], arguments, &["--max-age", "1h", "--dry-run"]].concat();
        let output = streamwarden(&arguments, &[("REDIS_URI", &redis.uri())]);
        (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
    };
    let dry = |arguments: &[&str]| {
        let (code, shown, complaints) = run(arguments);
        assert_eq!((code, complaints.as_str()), (0, ""), "{shown}");
        shown
    };
    let few = dry(&["few"]);
    let words = "too old       1234 entries older than 1h; the oldest is 2h old\nwould remove  at most 1234 entries, in whole nodes";
    assert!(few.contains(words), "{few}");
    let exact = dry(&["few", "--exact"]);
    assert!(exact.contains("\nwould remove  1234 entries\n"), "{exact}");
    let many = dry(&["many", "--exact"]);
    let bound = many.split("at least ").nth(1).and_then(|rest| rest.split(' ').next()).unwrap();
    let bound: u64 = bound.parse().unwrap();
    assert!((10_000..11_000).contains(&bound), "{many}");
    let words = format!("too old       at least {bound} and at most 12000 entries older than 1h");
    assert!(many.contains(&words), "{many}");
    let before = redis.run::<String>("INFO stats");
    let large = dry(&["large", "--exact"]);
    assert!(large.contains(" and at most 100 entries older than 1h"), "{large}");
    let sent = |info: &str| -> u64 {
        let line = info.lines().find_map(|line| line.strip_prefix("total_net_output_bytes:")).unwrap();
        line.parse().unwrap()
    };
    let bytes = sent(&redis.run::<String>("INFO stats")) - sent(&before);
    assert!(bytes < 16_000_000, "contents are read up to a bound: {bytes}");

    // What a group needs stays, and is not counted as removable.
    redis.run::<()>("XGROUP CREATE few g 0");
    redis.read("few", "g", "c", 100);
    let first: Vec<String> = (0..50).map(|number| format!("{}-{number}", now - 7_200_000)).collect();
    redis.run::<u64>(&format!("XACK few g {}", first.join(" ")));
    let (_, held, _) = run(&["few", "--exact"]);
    assert!(
        held.contains("too old       1234 entries") && held.contains("\nwould remove  50 entries\n"),
        "{held}"
    );
}
