//! The stream that gets dead letters: somebody's live stream is refused, by each command, over HTTP and by the rule.

use std::time::Duration;

use redis::Value;
use serde_json::json;

use super::{
    http::{DEAD_LETTER, acting, post},
    redeliver, run, stream,
};
use crate::process::{config_file, streamwarden, text};
use support::{Redis, Sidecar, stays_so, wait_for};

const LETTER: &str =
    "dlq:stream s dlq:group g dlq:id 9-0 dlq:consumer c dlq:deliveries 7 dlq:time 1 dlq:by me";

/// Streams that are somebody's: each as its key, and what makes it.
const LIVE: [(&str, &[&str]); 4] = [
    ("unread", &["XADD unread 1-0 a b"]),
    ("read", &["XADD read 1-0 a b", "XGROUP CREATE read billing 0"]),
    ("emptied", &["XGROUP CREATE emptied billing 0 MKSTREAM", "XADD emptied 1-0 a b", "XDEL emptied 1-0"]),
    // One that got dead letters before.
    ("mixed", &["letter", "XADD mixed 2-0 a b"]),
];

/// Streams that may get dead letters.
const FREE: [(&str, &[&str]); 4] = [
    ("missing", &[]),
    ("empty", &["XADD empty 1-0 a b", "XDEL empty 1-0"]),
    ("letters", &["XADD letters 1-0 old entry", "XGROUP CREATE letters handlers 0", "letter"]),
    // Its name says what it is, so its groups are of those who handle dead letters.
    ("dead:{s}", &["XGROUP CREATE dead:{s} handlers 0 MKSTREAM"]),
];

fn make(redis: &Redis, (key, lines): (&str, &[&str])) {
    for line in lines {
        let line =
            if *line == "letter" { format!("XADD {key} 1-1 a b {LETTER}") } else { (*line).to_owned() };
        redis.run::<Value>(&line);
    }
}

fn pending(redis: &Redis) -> usize {
    redis.run::<Vec<Value>>("XPENDING s g - + 100").len()
}

/// Eight entries that fail each time.
fn poisoned() -> Redis {
    let redis = stream(8);
    redis.read("s", "g", "c", 8);
    redeliver(&redis, "g", "1-0 2-0 3-0 4-0 5-0 6-0 7-0 8-0", 7, 3_600_000);
    redis
}

#[test]
fn a_live_stream_gets_no_dead_letters_and_another_one_does() {
    let redis = poisoned();
    LIVE.into_iter().chain(FREE).for_each(|it| make(&redis, it));
    let directory = tempfile::tempdir().unwrap();
    let sidecar = acting(&redis.uri(), directory.path());
    for (key, _) in LIVE {
        let length: u64 = redis.run(&format!("XLEN {key}"));
        for end in ["--dry-run", "--yes"] {
            let (code, shown, complaints) =
                run(&redis, &["dead-letter", "s", "g", "--id", "1-0", "--to", key, end]);
            for words in [format!("{key} is a live stream: "), "Name a key of their own (`to`)".to_owned()] {
                assert!(code == 1 && complaints.contains(&words), "{key}: {shown}{complaints}");
            }
        }
        for dry_run in [true, false] {
            let body = json!({"ids": ["1-0"], "to": key, "dry_run": dry_run}).to_string();
            let (status, problem) = post(&sidecar, DEAD_LETTER, &body);
            assert!(status == 409 && problem.to_string().contains("is a live stream"), "{key}: {problem}");
        }
        assert_eq!((redis.run::<u64>(&format!("XLEN {key}")), pending(&redis)), (length, 8), "{key}");
    }
    for (number, (key, _)) in FREE.into_iter().enumerate() {
        let id = format!("{}-0", number + 1);
        let (code, shown, complaints) =
            run(&redis, &["dead-letter", "s", "g", "--id", &id, "--to", key, "--yes"]);
        assert!(code == 0 && shown.ends_with("1 moved to the dead letters\n"), "{key}: {shown}{complaints}");
        let body = json!({"ids": [format!("{}-0", number + 5)], "to": key, "dry_run": false}).to_string();
        assert_eq!(post(&sidecar, DEAD_LETTER, &body).0, 200, "{key}");
    }
    assert_eq!(pending(&redis), 0);
}

#[test]
fn a_stream_that_a_rule_works_on_gets_no_dead_letters_by_hand() {
    let redis = poisoned();
    let config = |rules: &str| config_file(&format!("streams: [{rules}, {{match: '*'}}]"));
    for (rules, key, words) in [
        (
            "{match: 'orders:*', groups: [billing]}",
            "orders:dead",
            "the rule `match: orders:*` is for live streams",
        ),
        (
            "{match: orders, dead_letter: {after_deliveries: 8, idle: 10m}}",
            "orders",
            "the rule `match: orders` is for live streams",
        ),
        ("{match: 'orders:*', groups: [billing]}", "dead:orders", ""),
        ("{match: aside, groups: [handlers]}", "aside", ""),
    ] {
        let file = config(rules);
        let path = file.path().to_str().unwrap();
        let arguments = ["dead-letter", "s", "g", "--id", "1-0", "--to", key, "--dry-run", "--config", path];
        let (code, shown, complaints) = run(&redis, &arguments);
        assert_eq!(code, if words.is_empty() { 0 } else { 2 }, "{rules}: {shown}{complaints}");
        assert!(complaints.contains(words), "{rules}: {complaints}");
    }
}

#[test]
fn a_rule_whose_dead_letters_would_go_to_a_live_stream_stops_and_says_so() {
    let redis = poisoned();
    redis.run::<Value>("XADD live 1-0 a b");
    let config = "retention: {interval: 1s, lease_ttl: 2s}\nstreams: [{match: s, dead_letter: {after_deliveries: 5, idle: 10m, to: live}}]";
    let sidecar = Sidecar::with_config(&redis.uri(), config);
    sidecar.wait("the refusal", |page| {
        let labels = [("stream", "s"), ("reason", "live_stream")];
        page.get("streamwarden_dead_letters_stopped", &labels) == Some(1.0)
    });
    let words = ["\"reason\":\"live_stream\"", "the key of the dead letters is a live stream"];
    wait_for("the log", || words.iter().all(|words| sidecar.log().contains(words)).then_some(()));
    stays_so(Duration::from_millis(1_200), "nothing is moved", || {
        (pending(&redis), redis.run::<u64>("XLEN live")) == (8, 1)
    });
    redis.run::<u64>("DEL live");
    wait_for("the move", || (redis.run::<u64>("XLEN live") == 8).then_some(()));
    sidecar.wait("the recovery", |page| {
        page.count("streamwarden_dead_letters_stopped") == 0 || {
            let labels = [("stream", "s"), ("reason", "live_stream")];
            page.get("streamwarden_dead_letters_stopped", &labels).is_none_or(|value| value == 0.0)
        }
    });
}

#[test]
fn a_key_that_a_rule_names_is_no_typing_error_before_its_first_dead_letter() {
    let redis = stream(1);
    let replay = |uri: &str, more: &[&str]| {
        let arguments = [&["replay", "dead:{eu}", "--yes"], more].concat();
        let output = streamwarden(&arguments, &[("REDIS_URI", uri)]);
        (output.status.code().unwrap(), text(&output.stdout) + &text(&output.stderr))
    };
    let (code, said) = replay(&redis.uri(), &[]);
    assert!(code == 1 && said.contains("nor one whose dead letters it would hold"), "{said}");
    let file =
        config_file("streams: [{match: s, dead_letter: {after_deliveries: 5, idle: 10m, to: 'dead:{eu}'}}]");
    let (code, said) = replay(&redis.uri(), &["--config", file.path().to_str().unwrap()]);
    assert!(code == 0 && said.contains("nothing to do\n"), "{said}");
    // Nobody knows whether there is a stream that the user may not read.
    redis.run::<()>("ACL SETUSER narrow on >word ~dead:* +@all");
    let (code, said) = replay(&redis.uri().replace("redis://", "redis://narrow:word@"), &[]);
    assert!(code == 0 && said.contains("nothing to do\n"), "{said}");
}
