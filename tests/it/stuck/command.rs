//! `dead-letter`, `dead-letters`, `replay`, `claim` and `reap-consumers`, as people and their scripts run them.

use std::{thread::sleep, time::Duration};

use redis::Value;

use super::{printed, redeliver, run, stream};
use crate::{
    process::{config_file, streamwarden, text},
    retention::trimming,
};
use support::{Need, Redis, Sidecar, wait_for};

const DEAD: &str = "dead:{s}";
const POISON: [&str; 7] = ["dead-letter", "s", "g", "--deliveries", "5", "--idle", "10m"];

/// Five entries, all pending, of which the second and the third fail each time.
fn poisoned() -> Redis {
    let redis = stream(5);
    redis.read("s", "g", "c", 5);
    redeliver(&redis, "g", "2-0", 7, 3_600_000);
    redeliver(&redis, "g", "3-0", 5, 600_000);
    redis
}

fn with<'a>(arguments: &[&'a str], more: &[&'a str]) -> Vec<&'a str> {
    [arguments, more].concat()
}

fn pending(redis: &Redis) -> Vec<String> {
    let rows: Vec<(String, String, u64, u64)> = redis.run("XPENDING s g - + 1000");
    rows.into_iter().map(|row| row.0).collect()
}

fn changes(redis: &Redis) -> String {
    let info = redis.run::<String>("INFO persistence");
    info.lines().find(|line| line.starts_with("rdb_changes")).unwrap().to_owned()
}

#[test]
fn a_dry_run_shows_what_would_move_and_changes_nothing() {
    let redis = poisoned();
    let before = changes(&redis);
    let shown = printed(&redis, &with(&POISON, &["--dry-run"]));
    for words in [
        "dead letters  dead:{s}, at most 10,000\n",
        "2-0 ",
        "3-0 ",
        "would move    2 entries\nnothing was changed\n",
    ] {
        assert!(shown.contains(words), "{shown}");
    }
    assert!(!shown.contains("1-0"), "{shown}");
    let (code, _, complaints) = run(&redis, &POISON);
    assert!(code == 2 && complaints.contains("pass --yes or --dry-run"), "{complaints}");
    assert_eq!(changes(&redis), before);
}

#[test]
fn what_fails_each_time_is_set_aside_whole_and_stays_in_the_stream() {
    let redis = poisoned();
    let mut add = redis::cmd("XADD");
    add.arg("s").arg("6-0").arg(b"\xff\0").arg(b"\r\n").arg("b").arg("").arg("b").arg("2");
    add.query::<String>(&mut redis.connect()).unwrap();
    redis.read("s", "g", "c", 1);
    redeliver(&redis, "g", "6-0", 9, 900_000);
    redis.run::<()>("XGROUP CREATE s other 0");
    let shown = printed(&redis, &with(&POISON, &["--yes"]));
    assert!(shown.ends_with("would move    3 entries\n3 moved to the dead letters\n"), "{shown}");
    assert_eq!(pending(&redis), ["1-0", "4-0", "5-0"]);
    assert_eq!(redis.run::<u64>("XLEN s"), 6, "other groups need them");
    let letters: Vec<(String, Vec<Vec<u8>>)> = redis.run("XRANGE dead:{s} - +");
    let words: Vec<&[u8]> = letters[2].1.iter().map(Vec::as_slice).collect();
    assert_eq!(words[..6], [b"\xff\0".as_slice(), b"\r\n", b"b", b"", b"b", b"2"]);
    let time: u64 = std::str::from_utf8(words[17]).unwrap().parse().unwrap();
    assert!(redis.milliseconds().abs_diff(time) < 60_000);
    let origin: Vec<&str> = words[6..].iter().map(|word| std::str::from_utf8(word).unwrap()).collect();
    let expected = "dlq:stream s dlq:group g dlq:id 6-0 dlq:consumer c dlq:deliveries 9 dlq:time";
    assert_eq!(origin[..11].join(" "), expected);
    assert_eq!(origin[12..], ["dlq:by", "cli"]);
    let again = printed(&redis, &with(&POISON, &["--yes"]));
    assert!(again.ends_with("would move    0 entries\nnothing to do\n"), "{again}");
    assert_eq!(redis.run::<u64>("XLEN dead:{s}"), 3);
}

#[test]
fn single_entries_are_set_aside_by_their_ids() {
    let redis = poisoned();
    redis.run::<u64>("XDEL s 4-0");
    let (code, shown, _) =
        run(&redis, &["dead-letter", "s", "g", "--id", "1-0", "--id", "4-0", "--yes", "--to", "aside"]);
    assert!(code == 1 && shown.ends_with("\n1 moved to the dead letters\n"), "{shown}");
    assert_eq!((pending(&redis).len(), redis.run::<u64>("XLEN aside")), (4, 1));
    let dry = printed(&redis, &["dead-letter", "s", "g", "--id", "4-0", "--dry-run"]);
    let words = "would move    0 entries\nwould leave   1 entry, gone from the stream: --acknowledge-gone";
    assert!(dry.contains(words) && dry.ends_with("nothing to do\n"), "{dry}");
    let (code, _, _) = run(&redis, &["dead-letter", "s", "g", "--id", "4-0", "--yes"]);
    assert_eq!(code, 1, "something was left");
    let (code, shown, _) = run(
        &redis,
        &[
            "dead-letter",
            "s",
            "g",
            "--id",
            "5-0",
            "--id",
            "2-0",
            "--deliveries",
            "5",
            "--idle",
            "10m",
            "--dry-run",
        ],
    );
    assert!(
        code == 0
            && shown.contains(
                "would move    1 entry\nwould leave   1 entry, not delivered so often, or delivered since\n"
            ),
        "{shown}"
    );
    let gone = printed(&redis, &["dead-letter", "s", "g", "--id", "4-0", "--acknowledge-gone", "--yes"]);
    assert!(gone.ends_with("1 no longer existed, and acknowledged\n"), "{gone}");
    let (code, _, complaints) =
        run(&redis, &["dead-letter", "s", "g", "--id", "1-0", "--id", "2-0", "--yes"]);
    assert!(code == 1 && complaints.contains("not pending in group g: 1-0\n"), "{complaints}");
    assert_eq!(pending(&redis), ["2-0", "3-0", "5-0"]);
}

#[test]
fn at_the_limit_moving_stops_and_goes_on_after_a_purge() {
    let redis = poisoned();
    let limited = with(&POISON, &["--max-length", "1", "--yes"]);
    let (code, shown, _) = run(&redis, &limited);
    let words = "1 moved to the dead letters\n1 not moved: the dead letters are full\n";
    assert!(code == 1 && shown.ends_with(words), "{shown}");
    assert_eq!(pending(&redis).len(), 4);
    let (code, shown, _) = run(&redis, &["dead-letters", "purge", DEAD, "--older-than", "1h", "--dry-run"]);
    assert!(code == 0 && shown.starts_with("would remove  0 dead letters"), "{shown}");
    let purged = printed(&redis, &["dead-letters", "purge", DEAD, "--all", "--yes"]);
    assert_eq!(purged, "would remove  1 dead letter from dead:{s}, for good\n1 removed\n");
    assert_eq!(run(&redis, &limited).0, 0);
    assert_eq!(pending(&redis).len(), 3);
}

#[test]
fn a_copy_that_the_server_refuses_changes_nothing() {
    let redis = poisoned();
    redis.run::<()>("CONFIG SET maxmemory 1");
    let (code, _, complaints) = run(&redis, &with(&POISON, &["--yes"]));
    assert!(
        code == 1 && complaints.contains("oom") && complaints.contains("so nothing of this step"),
        "{complaints}"
    );
    redis.run::<()>("CONFIG SET maxmemory 0");
    redis.run::<()>("SET dead:{s} text");
    let (code, _, complaints) = run(&redis, &with(&POISON, &["--yes"]));
    assert!(
        code == 1 && complaints.contains("is not a stream; nothing of this step was changed"),
        "{complaints}"
    );
    redis.run::<u64>("DEL dead:{s}");
    // With a copy and without an acknowledgement, each run would make one more copy.
    redis.run::<()>("ACL SETUSER narrow on >word ~* +@all -xack");
    let uri = redis.uri().replace("redis://", "redis://narrow:word@");
    let output = streamwarden(&with(&POISON, &["--yes"]), &[("REDIS_URI", &uri)]);
    let complaints = text(&output.stderr);
    assert!(complaints.contains("xack") && complaints.contains("acl --acting"), "{complaints}");
    assert_eq!((output.status.code(), redis.run::<u64>("EXISTS dead:{s}")), (Some(1), 0));
    assert_eq!(pending(&redis).len(), 5);
}

#[test]
fn a_replica_is_not_written_to() {
    let (primary, redis) = (poisoned(), Redis::start());
    redis.run::<()>(&format!("REPLICAOF 127.0.0.1 {}", primary.port()));
    let is_up = || redis.run::<String>("INFO replication").contains("master_link_status:up");
    wait_for("the replica", || is_up().then_some(()));
    let (code, _, complaints) = run(&redis, &with(&POISON, &["--yes"]));
    assert!(code == 1 && complaints.contains("run the command on its primary"), "{complaints}");
    assert_eq!(pending(&primary).len(), 5);
}

#[test]
fn dead_letters_have_a_key_that_no_limit_of_their_stream_applies_to() {
    let redis = poisoned();
    for (key, to, words) in [
        ("s", Some("s"), "the dead letters need a key of their own"),
        ("a}b", None, "no default name for its dead letters is in the stream's slot"),
        ("{}x", None, "--to: needed for {}x"),
    ] {
        let to = to.map_or(vec![], |to| vec!["--to", to]);
        let (code, _, complaints) =
            run(&redis, &[&["dead-letter", key, "g", "--id", "1-0", "--yes"][..], &to].concat());
        assert!(code == 2 && complaints.contains(words), "{complaints}");
    }
    let all = "streams: [{match: '*', retention: {max_length: 5}}]";
    for (config, to, code) in [
        (all, DEAD, 0),
        (all, "aside", 2),
        ("streams: [{match: aside}, {match: '*', retention: {max_length: 5}}]", "aside", 0),
        ("streams: [{match: 's', retention: {max_length: 5}}]", "aside", 0),
        ("streams: [{match: '*', retention: {max_length: 5, mode: observe}}]", "aside", 0),
    ] {
        let file = config_file(config);
        let arguments = with(&POISON, &["--to", to, "--dry-run", "--config", file.path().to_str().unwrap()]);
        let (its_code, shown, complaints) = run(&redis, &arguments);
        assert_eq!(its_code, code, "{config}: {shown}{complaints}");
        assert!(code == 0 || complaints.contains("would remove dead letters"), "{complaints}");
    }
}

#[test]
fn what_is_not_there_or_makes_no_sense_is_a_clear_error_and_changes_nothing() {
    let redis = poisoned();
    let before = changes(&redis);
    for (arguments, code, words) in [
        (
            &["dead-letter", "s", "no", "--id", "1-0", "--yes"][..],
            1,
            "there is no group no; the stream has: g",
        ),
        (&["dead-letter", "no", "g", "--id", "1-0", "--yes"], 1, "there is no stream no"),
        (&["dead-letter", "s", "g", "--yes"], 2, "--id"),
        (&["dead-letter", "s", "g", "--deliveries", "5", "--yes"], 2, "--idle"),
        (&["reap-consumers", "s", "g", "--idle", "1h", "--yes"], 2, "less than 1d needs --force"),
        (&["reap-consumers", "s", "no", "--yes"], 1, "there is no group no"),
        (
            &["claim", "s", "g", "--from", "c", "--to", "c", "--idle", "1s", "--yes"],
            2,
            "--to: both consumers are c",
        ),
        (
            &["claim", "s", "g", "--from", "c", "--to", "d", "--idle", "0s", "--yes"],
            1,
            "group g has no consumer d; it has: c",
        ),
        (&["claim", "s", "g", "--from", "c", "--idle", "0s", "--yes"], 2, "--to"),
        (&["dead-letters", "purge", "s", "--yes"], 2, "--all"),
        (&["dead-letters", "purge", "s", "--id", "1-0", "--yes"], 1, "s: 1-0 is not a dead letter"),
        (&["dead-letters", "purge", "s", "--all", "--yes"], 1, "s holds no dead letters"),
        (&["replay", "s", "--yes"], 1, "s holds no dead letters"),
        (&["replay", "s", "--id", "1-0", "--yes"], 1, "1-0 is not a dead letter"),
        (&["replay", "s", "--filter", "f", "--yes"], 2, "FIELD=VALUE"),
    ] {
        let (its_code, shown, complaints) = run(&redis, arguments);
        assert!(its_code == code && complaints.contains(words), "{arguments:?}: {shown}{complaints}");
    }
    assert_eq!(changes(&redis), before);
}

#[test]
fn dead_letters_outlive_the_limit_of_their_stream_and_no_longer_block_it() {
    let Some(redis) = trimming(stream(300)) else { return };
    redis.read("s", "g", "c", 300);
    redis.run::<Value>("XACK s g 1-0 4-0");
    let ids: Vec<String> = (5..=300).map(|number| format!("{number}-0")).collect();
    redis::cmd("XACK").arg("s").arg("g").arg(ids).query::<u64>(&mut redis.connect()).unwrap();
    let config = "retention: {interval: 1s, lease_ttl: 1s}\nstreams: [{match: '*', retention: {max_length: 1, exact: true}}]";
    let sidecar = Sidecar::with_config(&redis.uri(), config);
    wait_for("retention to be blocked", || (redis.run::<u64>("XLEN s") == 299).then_some(()));
    for id in ["2-0", "3-0"] {
        printed(&redis, &["dead-letter", "s", "g", "--id", id, "--yes"]);
    }
    wait_for("retention to go on", || (redis.run::<u64>("XLEN s") == 1).then_some(()));
    sidecar.wait("the dead letters", |page| page.stream("length", DEAD) == Some(2.0));
    assert_eq!(redis.run::<u64>("XLEN dead:{s}"), 2);
}

#[test]
fn dead_letters_are_listed_and_shown() {
    let redis = poisoned();
    assert_eq!(printed(&redis, &["dead-letters", "list"]), "there are no dead letters\n");
    printed(&redis, &with(&POISON, &["--yes"]));
    printed(&redis, &["dead-letter", "s", "g", "--id", "1-0", "--to", "aside", "--yes"]);
    let listed = printed(&redis, &["dead-letters", "list", "aside"]);
    let rows: Vec<Vec<&str>> = listed.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(
        (rows[1][..2].to_vec(), rows[2][..2].to_vec()),
        (vec!["aside", "1"], vec![DEAD, "2"]),
        "{listed}"
    );
    assert_eq!((rows.len(), *rows[2].last().unwrap()), (3, "s"), "{listed}");
    let shown = printed(&redis, &["dead-letters", "show", DEAD, "--show", "--limit", "1"]);
    assert!(shown.contains("s     g      2-0     7           0\n    field = value 2\n"), "{shown}");
    assert!(!shown.contains("dlq:") && !shown.contains("value 3"), "{shown}");
    let (code, shown, _) = run(&redis, &["dead-letters", "show", DEAD, "--id", "1-0"]);
    assert_eq!((code, shown.as_str()), (1, "dead:{s} has no entry 1-0\n"));
}

#[test]
fn a_replay_says_who_sees_it_again_and_a_loop_ends() {
    let redis = poisoned();
    redis.run::<()>("XGROUP CREATE s other 0");
    printed(&redis, &with(&POISON, &["--yes"]));
    let replay = ["replay", DEAD, "--filter", "field=value 2"];
    let dry = printed(&redis, &with(&replay, &["--dry-run"]));
    let words =
        "would replay  1 dead letter to s\n              all of its groups see them again: g, other\n";
    assert!(dry.contains(words) && dry.ends_with("nothing was changed\n"), "{dry}");
    for round in 1..=3 {
        assert!(printed(&redis, &with(&replay, &["--yes"])).ends_with("1 replayed\n"));
        let last: Vec<(String, Vec<String>)> = redis.run("XREVRANGE s + - COUNT 1");
        assert_eq!(last[0].1, ["field", "value 2", "dlq:replays", &round.to_string()]);
        redis.read("s", "g", "c", 10);
        printed(&redis, &["dead-letter", "s", "g", "--id", &last[0].0, "--yes"]);
    }
    let looped = printed(&redis, &with(&replay, &["--yes"]));
    let words = "would leave   1 dead letter, replayed 3 times already (--max-replays)\nnothing to do\n";
    assert!(looped.ends_with(words), "{looped}");
    assert!(printed(&redis, &with(&replay, &["--yes", "--max-replays", "4"])).ends_with("1 replayed\n"));
    assert_eq!(redis.run::<u64>("XLEN dead:{s}"), 1, "the other one");
}

#[test]
fn a_replay_goes_to_the_stream_of_each_letter_or_to_another_one() {
    let redis = poisoned();
    redis.run::<()>("XGROUP CREATE t g 0 MKSTREAM");
    redis.run::<String>("XADD t 1-0 field t");
    redis.run::<Value>("XREADGROUP GROUP g c STREAMS t >");
    for stream in ["s", "t"] {
        printed(&redis, &["dead-letter", stream, "g", "--id", "1-0", "--to", "aside", "--yes"]);
    }
    let (code, _, complaints) = run(&redis, &["replay", "aside", "--to", "nowhere", "--yes"]);
    assert!(code == 1 && complaints.contains("there is no stream nowhere"), "{complaints}");
    let shown = printed(&redis, &["replay", "aside", "--since", "1h", "--rate", "1000", "--yes"]);
    assert!(shown.contains("1 dead letter to s\n") && shown.contains("1 dead letter to t\n"), "{shown}");
    assert_eq!(
        (redis.run::<u64>("XLEN s"), redis.run::<u64>("XLEN t"), redis.run::<u64>("XLEN aside")),
        (6, 2, 0)
    );
    redis.read("s", "g", "c", 10);
    printed(&redis, &["dead-letter", "s", "g", "--id", "5-0", "--to", "aside", "--yes"]);
    printed(&redis, &["replay", "aside", "--to", "t", "--yes"]);
    assert_eq!(
        (redis.run::<u64>("XLEN s"), redis.run::<u64>("XLEN t"), redis.run::<u64>("XLEN aside")),
        (6, 3, 0)
    );
}

#[test]
fn entries_of_a_dead_consumer_are_handed_over_and_handled_after_a_restart() {
    let redis = stream(5);
    redis.read("s", "g", "dead", 3);
    redis.read("s", "g", "living", 2);
    let claim = ["claim", "s", "g", "--from", "dead", "--to", "living", "--idle", "50ms"];
    let (code, _, complaints) = run(&redis, &with(&claim[..7], &["--idle", "1h", "--yes"]));
    assert!(code == 1 && complaints.contains("it may be working on its entries"), "{complaints}");
    sleep(Duration::from_millis(60));
    let dry = printed(&redis, &with(&claim, &["--dry-run"]));
    assert!(
        dry.contains("would hand over  3 entries to living\n") && dry.contains("restart it then"),
        "{dry}"
    );
    assert!(printed(&redis, &with(&claim, &["--yes"])).ends_with("3 handed over\n"));
    // As a consumer does when it starts.
    let history: Vec<(String, Vec<(String, Value)>)> = redis.run("XREADGROUP GROUP g living STREAMS s 0");
    assert_eq!(history[0].1.len(), 5);
    let reaped = printed(&redis, &["reap-consumers", "s", "g", "--idle", "50ms", "--force", "--yes"]);
    assert!(reaped.contains("would delete  1 consumer\n") && reaped.ends_with("1 deleted\n"), "{reaped}");
    assert_eq!(pending(&redis).len(), 5, "no entry is lost");
}

#[test]
fn consumers_that_hold_something_are_kept_and_named() {
    let redis = stream(3);
    redis.read("s", "g", "holder", 1);
    redis.run::<Value>("XREADGROUP GROUP g unused STREAMS s >");
    redis.run::<u64>("XACK s g 2-0 3-0");
    let reaped = printed(&redis, &["reap-consumers", "s", "g", "--idle", "0s", "--force", "--yes"]);
    assert!(reaped.contains("would keep    1 idle consumer, holding pending entries: holder"), "{reaped}");
    let consumers: Vec<Value> = redis.run("XINFO CONSUMERS s g");
    assert_eq!((consumers.len(), pending(&redis).len()), (1, 1));
    let none = printed(&redis, &["reap-consumers", "s", "g", "--yes"]);
    assert!(none.ends_with("would delete  0 consumers\nnothing to do\n"), "{none}");
}

#[test]
fn the_printed_rule_alone_lets_the_commands_work_and_doctor_checks_it() {
    let Some(redis) = poisoned().if_meets(Need::CREATED_CONSUMERS) else { return };
    redis.run::<()>("XGROUP CREATECONSUMER s g d");
    let file = config_file("streams: [{match: s}]");
    let config = ["--config", file.path().to_str().unwrap()];
    let rule = printed(&redis, &with(&["acl", "--acting"], &config));
    redis.run::<()>(rule.trim());
    let narrow = printed(&redis, &with(&["acl", "--user", "watcher"], &config));
    assert!(!narrow.contains("xack") && !narrow.contains("dead:"), "{narrow}");
    redis.run::<()>(narrow.trim());
    let uri = |user: &str| redis.uri().replace("redis://", &format!("redis://{user}:PASSWORD@"));
    for arguments in [
        &POISON[..],
        &["claim", "s", "g", "--from", "c", "--to", "d", "--idle", "0s"],
        &["reap-consumers", "s", "g", "--idle", "0s", "--force"],
        &["replay", DEAD, "--max", "1"],
        &["dead-letters", "purge", DEAD, "--all"],
    ] {
        let output =
            streamwarden(&[arguments, &["--yes"], &config].concat(), &[("REDIS_URI", &uri("streamwarden"))]);
        assert_eq!(
            output.status.code(),
            Some(0),
            "{arguments:?}: {}{}",
            text(&output.stdout),
            text(&output.stderr)
        );
    }
    for arguments in [&["pending", "s"][..], &["entries", "s"], &["dead-letters", "list"]] {
        let output = streamwarden(&with(arguments, &config), &[("REDIS_URI", &uri("streamwarden"))]);
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {}", text(&output.stderr));
    }
    let before = changes(&redis);
    let doctor = |user: &str| {
        let output = streamwarden(&with(&["doctor", "--acting"], &config), &[("REDIS_URI", &uri(user))]);
        text(&output.stdout)
    };
    let (enough, little) = (doctor("streamwarden"), doctor("watcher"));
    assert!(!enough.contains("is refused on") && enough.contains("acting on stuck work: "), "{enough}");
    assert!(
        little.contains("acting on stuck work: xack is refused on s")
            && little.contains("acl --user watcher --acting"),
        "{little}"
    );
    assert_eq!(changes(&redis), before, "doctor changes nothing");
}
