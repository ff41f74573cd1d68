//! Each command that stops at a bound says so, how much is left, and how to go on.

use redis::{Value, pipe};
use serde_json::json;

use super::{
    http::{acting, post},
    printed, run, stream,
};
use crate::process::config_file;
use support::{Need, Redis};

const DEAD: &str = "dead:{s}";

/// So many dead letters of the stream `s`.
fn letters(count: usize) -> Redis {
    let redis = stream(1);
    let origin = "dlq:stream s dlq:group g dlq:id 9-0 dlq:consumer c dlq:deliveries 7 dlq:time 1 dlq:by me";
    let mut pipeline = pipe();
    for number in 1..=count {
        let mut add = redis::cmd("XADD");
        add.arg(DEAD).arg(format!("{number}-0")).arg("number").arg(number % 2);
        add.arg(origin.split(' ').collect::<Vec<_>>());
        pipeline.add_command(add).ignore();
    }
    pipeline.query::<()>(&mut redis.connect()).unwrap();
    redis
}

fn length(redis: &Redis) -> u64 {
    redis.run("XLEN dead:{s}")
}

#[test]
fn a_replay_and_a_purge_say_what_they_left() {
    let redis = letters(2_300);
    let said = "stopped at --max 1,000: 1,300 behind these were not looked at. Run it again for the next 1,000, or with a larger --max\n";
    let dry = printed(&redis, &["replay", DEAD, "--dry-run"]);
    assert!(dry.ends_with(&format!("{said}nothing was changed\n")), "{dry}");
    assert_eq!(dry.matches(said).count(), 1, "{dry}");
    let shown = printed(&redis, &["replay", DEAD, "--yes"]);
    assert!(shown.ends_with(&format!("1,000 replayed\n{said}")), "{shown}");
    assert_eq!(length(&redis), 1_300);
    let filtered = printed(&redis, &["replay", DEAD, "--filter", "number=1", "--max", "10", "--yes"]);
    assert!(filtered.contains("stopped at --max 10: 1,281 behind these were not looked at."), "{filtered}");
    let purged = printed(&redis, &["dead-letters", "purge", DEAD, "--all", "--max", "290", "--yes"]);
    assert!(purged.contains("stopped at --max 290: 1,000 behind these were not looked at."), "{purged}");
    let all = printed(&redis, &["replay", DEAD, "--yes"]);
    assert!(all.ends_with("1,000 replayed\n"), "nothing is left: {all}");
    assert_eq!(length(&redis), 0);
}

#[test]
fn a_replay_over_http_says_what_it_left_and_where_to_go_on() {
    let redis = letters(1_050);
    let directory = tempfile::tempdir().unwrap();
    let sidecar = acting(&redis.uri(), directory.path());
    let replay = |body: serde_json::Value| {
        let (status, answer) = post(&sidecar, "streams/dead%3A%7Bs%7D/replay", &body.to_string());
        assert_eq!(status, 200, "{answer}");
        (answer["left"].clone(), answer["next"].clone(), answer["done"].clone())
    };
    let left = |count: u64| json!({"not_looked_at": count});
    assert_eq!(replay(json!({})), (left(50), json!("1000-1"), json!(null)));
    assert_eq!(replay(json!({"from": "1000-1"})), (json!({}), json!(null), json!(null)));
    // Of what is not the beginning, only a page is counted.
    assert_eq!(replay(json!({"from": "100-0", "max": 10})), (left(20), json!("109-1"), json!(null)));
    assert_eq!(replay(json!({"dry_run": false})), (left(50), json!("1000-1"), json!(1_000)));
    assert_eq!(replay(json!({"dry_run": false})), (json!({}), json!(null), json!(50)));
}

#[test]
fn a_replay_that_goes_on_behind_the_last_dead_letter_has_nothing_to_do() {
    let redis = letters(3);
    redis.run::<Value>("XADD dead:{s} 9-0 another entry");
    let directory = tempfile::tempdir().unwrap();
    let sidecar = acting(&redis.uri(), directory.path());
    let replay = |body: serde_json::Value| post(&sidecar, "streams/dead%3A%7Bs%7D/replay", &body.to_string());
    let (status, first) = replay(json!({"max": 3}));
    assert_eq!((status, &first["next"]), (200, &json!("3-1")), "{first}");
    let (status, rest) = replay(json!({"from": first["next"]}));
    assert_eq!((status, &rest["next"], &rest["left"]), (200, &json!(null), &json!({})), "{rest}");
}

#[test]
fn what_acts_on_pending_entries_and_what_lists_them_say_how_many_there_are() {
    let redis = stream(30);
    redis.read("s", "g", "c", 25);
    redis.run::<Value>("XGROUP CREATECONSUMER s g d");
    let said = "looked at 10 of the group's 25 pending entries; go on with --from 11-0\n";
    let move_ten = ["dead-letter", "s", "g", "--deliveries", "1", "--idle", "0s", "--max", "10"];
    let dry = printed(&redis, &[&move_ten[..], &["--dry-run"]].concat());
    assert_eq!(dry.matches(said).count(), 1, "{dry}");
    let listed = printed(&redis, &["pending", "s", "g", "--limit", "10"]);
    assert!(listed.ends_with(said), "{listed}");
    let claim = ["claim", "s", "g", "--from", "c", "--to", "d", "--idle", "0s", "--max", "10", "--dry-run"];
    let claimed = printed(&redis, &claim);
    let words = "looked at 10 of the group's 25 pending entries; run it again for the others, or with a larger --max\n";
    assert_eq!(claimed.matches(words).count(), 1, "{claimed}");
    let moved = printed(&redis, &[&move_ten[..], &["--yes"]].concat());
    assert!(moved.ends_with(&format!("10 moved to the dead letters\n{said}")), "{moved}");
    let letters = printed(&redis, &["dead-letters", "show", DEAD, "--limit", "4"]);
    let fifth: Vec<(String, Value)> = redis.run("XRANGE dead:{s} - + COUNT 5");
    let words = format!("showed 4 of 10; go on with --from {}, or with a larger --limit\n", fifth[4].0);
    assert!(letters.ends_with(&words), "{letters}");
    let whole = printed(&redis, &["dead-letters", "show", DEAD, "--limit", "10"]);
    assert!(!whole.contains("go on"), "{whole}");
}

#[test]
fn a_trim_by_the_limit_of_common_streams_removes_no_dead_letters() {
    let redis = letters(5);
    if !redis.meets(Need::SAFE_TRIMS) {
        return;
    }
    redis.run::<()>("RENAME dead:{s} unknown");
    let file = config_file("streams: [{match: '*', retention: {max_length: 2, exact: true}}]");
    let config = ["--config", file.path().to_str().unwrap(), "--yes"];
    let (code, shown, complaints) = run(&redis, &[&["trim", "unknown"][..], &config].concat());
    assert!(code == 1 && shown.contains("is a dead letter"), "{shown}{complaints}");
    assert_eq!(redis.run::<u64>("XLEN unknown"), 5);
    // Who gives the limit means it.
    let (code, shown, _) =
        run(&redis, &[&["trim", "unknown", "--max-length", "2", "--exact"][..], &config].concat());
    assert_eq!((code, redis.run::<u64>("XLEN unknown")), (0, 2), "{shown}");
}
