//! `streamwarden pending` and `streamwarden entries`.

use redis::Value;

use super::{printed, redeliver, run, stream};
use crate::process::config_file;
use support::Redis;

/// The words of the line that begins with this one.
fn line(printed: &str, first: &str) -> Vec<String> {
    let mut words =
        printed.lines().map(|line| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>());
    words.rfind(|words| words.first().is_some_and(|word| word == first)).unwrap_or_default()
}

#[test]
fn pending_entries_are_listed_with_who_holds_them_and_whether_they_exist() {
    let redis = stream(5);
    redis.run::<()>("XGROUP CREATE s other 0");
    redis.read("s", "g", "c", 4);
    redis.read("s", "other", "d", 1);
    redeliver(&redis, "g", "2-0", 7, 3_600_000);
    redis.run::<u64>("XDEL s 3-0");
    let all = printed(&redis, &["pending", "s"]);
    assert!(all.starts_with("s: 5 pending in all groups\n\ngroup g: 4 pending\nID "), "{all}");
    assert!(all.contains("\ngroup other: 1 pending\n"), "{all}");
    let (poison, gone) = (line(&all, "2-0"), line(&all, "3-0"));
    assert_eq!(poison[poison.len() - 4..], ["1h", "7", "c", "exists"], "{all}");
    assert_eq!(gone[gone.len() - 2..], ["c", "gone"], "{all}");
    assert_eq!(line(&all, "5-0"), [""; 0], "not delivered: {all}");

    let one = printed(&redis, &["pending", "s", "g", "--deliveries", "7", "--idle", "10m", "--show"]);
    assert!(one.contains("2-0") && !one.contains("1-0") && !one.contains("other"), "{one}");
    assert!(one.ends_with("exists\n    field = value 2\n"), "{one}");
    let none = printed(&redis, &["pending", "s", "g", "--deliveries", "8"]);
    assert!(none.ends_with("group g: 4 pending\nno pending entry is like that\n"), "{none}");
    let of_another = printed(&redis, &["pending", "s", "--consumer", "d"]);
    assert!(
        of_another.matches("1-0 ").count() == 1 && of_another.contains("no pending entry"),
        "{of_another}"
    );
}

#[test]
fn the_document_has_what_the_terminal_shows_and_no_contents() {
    let redis = stream(3);
    redis.read("s", "g", "c", 2);
    redis.run::<u64>("XDEL s 1-0");
    let document = printed(&redis, &["pending", "s", "g", "--json"]);
    assert!(!document.contains("value"), "{document}");
    let document: serde_json::Value = serde_json::from_str(&document).unwrap();
    assert_eq!((&document["stream"], &document["pending"]), (&"s".into(), &2.into()));
    let group = &document["groups"][0];
    assert_eq!((&group["name"], &group["looked_at"], &group["next"]), (&"g".into(), &2.into(), &().into()));
    let entry = &group["entries"][0];
    assert_eq!(
        (&entry["id"], &entry["deliveries"], &entry["exists"]),
        (&"1-0".into(), &1.into(), &false.into())
    );
    assert!(entry["idle_seconds"].as_f64().unwrap() < 60.0, "{entry}");
    assert_eq!(entry["age_seconds"], serde_json::Value::Null, "its ID is not a time");
    assert_eq!(run(&redis, &["pending", "s", "--json", "--show"]).0, 2, "contents are for the terminal");
}

#[test]
fn a_long_list_is_read_in_pages_and_never_whole() {
    let redis = stream(150_000);
    redis.read("s", "g", "c", 150_000);
    let first = printed(&redis, &["pending", "s", "g", "--limit", "2"]);
    assert!(
        first.ends_with("looked at 2 of the group's 150,000 pending entries; go on with --from 3-0\n"),
        "{first}"
    );
    let calls = redis.calls("xpending");
    assert_eq!(calls, 1, "a page");
    redeliver(&redis, "g", "140000-0", 9, 0);
    let none = printed(&redis, &["pending", "s", "g", "--deliveries", "9"]);
    assert!(
        none.ends_with(
            "looked at 100,000 of the group's 150,000 pending entries; go on with --from 100000-1\n"
        ),
        "{none}"
    );
    assert_eq!(redis.calls("xpending") - calls, 100);
    let rest = printed(&redis, &["pending", "s", "g", "--deliveries", "9", "--from", "100000-1"]);
    assert!(line(&rest, "140000-0").contains(&"9".to_owned()) && !rest.contains("looked at"), "{rest}");
    // A page of exactly as many as are left.
    let last = printed(&redis, &["pending", "s", "g", "--from", "149901-0"]);
    assert!(last.contains("150000-0") && !last.contains("--from"), "{last}");
}

#[test]
fn entries_are_listed_the_newest_first_and_shown_only_if_asked_for() {
    let redis = stream(25);
    redis.run::<String>(&format!("XADD s 30-0 large {}", "x".repeat(100_000)));
    let shown = printed(&redis, &["entries", "s", "--last", "12"]);
    let ids: Vec<&str> = shown.lines().skip(1).map(|line| line.split(' ').next().unwrap()).collect();
    assert_eq!(
        ids,
        ["30-0", "25-0", "24-0", "23-0", "22-0", "21-0", "20-0", "19-0", "18-0", "17-0", "16-0", "15-0"]
    );
    assert!(shown.contains("1 field  100,005 bytes") && !shown.contains("value"), "{shown}");
    let all = printed(&redis, &["entries", "s", "--last", "100"]);
    assert_eq!(all.lines().count(), 27);
    let one = printed(&redis, &["entries", "s", "--id", "3-0", "--id", "30-0", "--show"]);
    assert!(
        one.contains("    field = value 3\n") && one.ends_with("    large = … (100000 bytes)\n"),
        "{one}"
    );
    let (code, printed, _) = run(&redis, &["entries", "s", "--id", "3-0", "--id", "99-0"]);
    assert!(code == 1 && printed.contains("3-0 ") && printed.ends_with("s has no entry 99-0\n"), "{printed}");
}

#[test]
fn fields_are_escaped_and_cut() {
    let redis = Redis::start();
    let mut add = redis::cmd("XADD");
    add.arg("s").arg("1-0").arg(b"\x1b[2J").arg("a\nb\u{202E}\\x");
    for number in 0..60 {
        add.arg(format!("field {number}")).arg("y".repeat(1_000));
    }
    add.query::<String>(&mut redis.connect()).unwrap();
    let shown = printed(&redis, &["entries", "s", "--show"]);
    assert!(shown.contains("    \\u{1B}[2J = a\\u{A}b\\u{202E}\\x\n"), "{shown}");
    assert!(shown.contains("… (1000 bytes)\n") && shown.ends_with("    ... and 11 more fields\n"), "{shown}");
    assert!(shown.len() < 50 * 350, "{}", shown.len());
}

#[test]
fn what_is_not_there_is_a_clear_error() {
    let redis = stream(1);
    redis.read("s", "g", "c", 1);
    redis.run::<()>("SET text x");
    for (arguments, words) in [
        (&["pending", "no"][..], "error: there is no stream no\n"),
        (&["pending", "s", "no"], "error: there is no group no; the stream has: g\n"),
        (&["pending", "s", "g", "--consumer", "no"], "error: group g has no consumer no; it has: c\n"),
        (&["pending", "s", "--consumer", "no"], "error: group g has no consumer no; it has: c\n"),
        (&["pending", "text"], "error: text is not a stream\n"),
        (&["entries", "text"], "error: text is not a stream\n"),
        (&["entries", "no"], "error: no has no entries, or does not exist\n"),
    ] {
        let (code, printed, complaints) = run(&redis, arguments);
        assert_eq!((code, printed.as_str(), complaints.as_str()), (1, "", words), "{arguments:?}");
    }
    for arguments in [
        &["pending", "s", "--idle", "10"][..],
        &["pending", "s", "--limit", "0"],
        &["entries", "s", "--id", "1"],
        &["entries", "s", "--id", "1-0", "--last", "2"],
    ] {
        assert_eq!(run(&redis, arguments).0, 2, "{arguments:?}");
    }
    redis.run::<()>("ACL SETUSER narrow on >word ~* +xinfo +client +hello +time");
    let uri = redis.uri().replace("redis://", "redis://narrow:word@");
    let output = crate::process::streamwarden(&["pending", "s"], &[("REDIS_URI", &uri)]);
    let complaints = crate::process::text(&output.stderr);
    assert!(output.status.code() == Some(1) && complaints.contains("xpending"), "{complaints}");
}

#[test]
fn what_is_stuck_is_shown_with_the_command_that_may_help() {
    let redis = stream(30);
    redis.read("s", "g", "c", 10);
    redis.run::<u64>("XACK s g 1-0");
    redeliver(&redis, "g", "2-0", 7, 3_600_000);
    let file = config_file("streams: [{match: '*', retention: {max_length: 5}}]");
    let config = ["--config", file.path().to_str().unwrap()];
    let (_, status, _) = run(&redis, &[&["status", "s"][..], &config].concat());
    let blocks = "streamwarden dead-letter --id 2-0 --dry-run s g";
    let poison = "streamwarden dead-letter --deliveries 5 --idle 10m --dry-run s g";
    let help =
        format!("  help           entry 2-0 blocks retention; to set it aside:\n                 {blocks}\n");
    assert!(status.contains(&help) && status.contains(poison), "{status}");
    let (_, trim, _) = run(&redis, &[&["trim", "s", "--dry-run"][..], &config].concat());
    assert!(trim.contains(&format!("to set that entry aside: {blocks}\n")), "{trim}");
    for command in [blocks, poison] {
        let words: Vec<&str> = command.split(' ').skip(1).collect();
        let planned = printed(&redis, &words);
        assert!(planned.contains("would move    1 entry\n"), "{planned}");
    }
}

#[test]
fn looking_changes_nothing() {
    let redis = stream(20);
    redis.read("s", "g", "c", 10);
    let state = || {
        let pending: Value = redis.run("XPENDING s g");
        let rows: Vec<(String, String, i64, i64)> = redis.run("XPENDING s g - + 100");
        let info = redis.run::<String>("INFO persistence");
        let changes = info.lines().find(|line| line.starts_with("rdb_changes")).unwrap().to_owned();
        (pending, rows.iter().map(|row| row.3).sum::<i64>(), changes)
    };
    let before = state();
    printed(&redis, &["pending", "s", "--show"]);
    printed(&redis, &["entries", "s", "--show"]);
    assert_eq!(state(), before);
}
