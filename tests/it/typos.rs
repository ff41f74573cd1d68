//! Typing errors: names that do not exist and flags that do nothing together are refused.

use support::{Redis, Sidecar};

use crate::process::{config_file, streamwarden, text};

fn run(redis: &Redis, arguments: &[&str]) -> (i32, String) {
    let output = streamwarden(arguments, &[("REDIS_URI", &redis.uri())]);
    (output.status.code().unwrap(), text(&output.stdout) + &text(&output.stderr))
}

#[test]
fn dead_letters_that_nobody_can_have_are_an_error_and_those_that_may_come_are_not() {
    let redis = Redis::start();
    redis.run::<()>("XGROUP CREATE s g 0 MKSTREAM");
    let commands = |key: &'static str| {
        [
            vec!["replay", key, "--dry-run"],
            vec!["replay", key, "--yes"],
            vec!["dead-letters", "purge", key, "--all", "--yes"],
            vec!["dead-letters", "show", key],
        ]
    };
    for key in ["dead:{nosuch}", "nosuch"] {
        for arguments in commands(key) {
            let (code, shown) = run(&redis, &arguments);
            assert!(
                code == 1 && shown.contains(&format!("there is no stream {key}")),
                "{arguments:?}: {shown}"
            );
        }
    }
    redis.run::<String>("XADD emptied 1-0 a b");
    redis.run::<u64>("XDEL emptied 1-0");
    for key in ["dead:{s}", "emptied"] {
        for arguments in commands(key) {
            let (code, shown) = run(&redis, &arguments);
            assert_eq!(code, 0, "{arguments:?}: {shown}");
        }
    }
    let file = config_file("streams: [{match: s, dead_letter: {after_deliveries: 5, idle: 1m, to: aside}}]");
    let path = file.path().to_str().unwrap();
    let (code, shown) = run(&redis, &["replay", "aside", "--yes", "--config", path]);
    assert_eq!(code, 0, "a rule names it: {shown}");
}

#[test]
fn flags_that_do_nothing_together_are_refused() {
    let redis = Redis::start();
    redis.run::<()>("XGROUP CREATE s g 0 MKSTREAM");
    for arguments in [
        &["status", "--url", "http://127.0.0.1:1", "--every", "1s"][..],
        &["replay", "s", "--id", "1-0", "--max", "5", "--dry-run"],
        &["replay", "s", "--yes", "--dry-run"],
        &["dead-letters", "purge", "s", "--id", "1-0", "--max", "5", "--dry-run"],
        &["dead-letter", "s", "g", "--id", "1-0", "--max", "5", "--dry-run"],
        &["dead-letter", "s", "g", "--acknowledge-gone", "--to", "x", "--dry-run"],
        &["dead-letter", "s", "g", "--acknowledge-gone", "--max-length", "5", "--dry-run"],
        &["dead-letter", "s", "g", "--acknowledge-gone", "--prefix", "x", "--dry-run"],
        &["trim", "s", "--max-length", "5", "--mode", "strict", "--ignore-group", "g", "--dry-run"],
    ] {
        let (code, shown) = run(&redis, arguments);
        let expected = if arguments[0] == "status" { 3 } else { 2 };
        assert_eq!(code, expected, "{arguments:?}: {shown}");
        let is_said = shown.contains("has no effect") || shown.contains("cannot be used with");
        assert!(is_said, "{arguments:?}: {shown}");
    }
    let (code, shown) = run(&redis, &["dead-letter", "s", "g", "--acknowledge-gone", "--dry-run"]);
    assert_eq!(code, 0, "{shown}");
}

#[test]
fn an_objective_that_can_never_be_missed_alone_is_refused() {
    let redis = Redis::start();
    for (slo, code) in [("delivery: 5s, handled: 2s", 2), ("delivery: 2s, handled: 2s", 0)] {
        let file = config_file(&format!("streams: [{{match: s, slo: {{{slo}}}}}]"));
        let (actual, shown) = run(&redis, &["check-config", "--config", file.path().to_str().unwrap()]);
        assert_eq!(actual, code, "{shown}");
        assert_eq!(shown.contains("streams[0].slo.handled: is less than delivery"), code == 2, "{shown}");
    }
}

#[test]
fn a_percent_sign_that_begins_no_escape_is_refused_in_a_path_and_in_a_query() {
    let redis = Redis::start();
    redis.run::<()>("XGROUP CREATE %zz g 0 MKSTREAM");
    let sidecar = Sidecar::with_config(&redis.uri(), "");
    sidecar.wait("the stream", |page| page.count("streamwarden_stream_length") > 0);
    for (path, status) in [
        ("/api/v1/streams/%zz", 400),
        ("/api/v1/streams/%25zz", 200),
        ("/api/v1/streams/a%", 400),
        ("/api/v1/groups/%25zz/%2/pending", 400),
        ("/api/v1/groups/%25zz/g/pending?consumer=%zz", 400),
        ("/api/v1/groups/%25zz/g/pending", 200),
    ] {
        let answer = sidecar.get(path);
        assert_eq!(answer.status, status, "{path}: {}", answer.text());
        assert!(
            status == 200 || answer.text().contains("two hexadecimal digits"),
            "{path}: {}",
            answer.text()
        );
    }
}

#[test]
fn without_the_right_to_search_the_streams_that_are_named_are_shown() {
    let redis = Redis::start();
    redis.add("s", 3);
    redis.run::<()>("ACL SETUSER narrow on nopass ~* +@all -scan");
    let uri = redis.uri().replace("redis://", "redis://narrow:any@");
    let status = |config: &str| {
        let file = config_file(config);
        let arguments = ["status", "--every", "100ms", "--config", file.path().to_str().unwrap()];
        let output = streamwarden(&arguments, &[("REDIS_URI", &uri)]);
        (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
    };
    let (code, shown, complaints) = status("streams: [{match: s}, {match: '*'}]");
    assert_eq!(code, 0, "{shown}{complaints}");
    assert!(shown.lines().any(|line| line.contains(" s ") && line.contains(" 3 ")), "{shown}");
    assert!(complaints.contains("only the streams that the configuration names are shown"), "{complaints}");
    assert!(complaints.contains("scan"), "the missing right is said: {complaints}");
    assert_eq!(complaints.matches("only the streams").count(), 1, "{complaints}");
    let (code, shown, complaints) = status("streams: [{match: '*'}]");
    assert!(code == 3 && shown.is_empty() && complaints.contains("scan"), "{shown}{complaints}");
}

#[test]
fn a_lease_that_never_expires_is_a_problem_with_its_key() {
    let redis = Redis::start();
    redis.add("s", 3);
    let file = config_file("streams: [{match: s, retention: {max_length: 5}}]");
    let path = file.path().to_str().unwrap();
    let said = "the lease streamwarden:retention:lease never expires";
    let look = || {
        let status = run(&redis, &["status", "--every", "100ms", "--config", path]);
        (status.1, run(&redis, &["doctor", "--config", path]))
    };
    for (words, is_stuck) in [
        ("DEL streamwarden:retention:lease", false),
        ("SET streamwarden:retention:lease me PX 60000", false),
        ("SET streamwarden:retention:lease me", true),
    ] {
        redis.run::<redis::Value>(words);
        let (status, (code, doctor)) = look();
        assert_eq!(status.contains(said), is_stuck, "{words}: {status}");
        assert!(!is_stuck || status.contains("DEL streamwarden:retention:lease"), "{status}");
        let doctor = doctor.split_whitespace().collect::<Vec<_>>().join(" ");
        assert_eq!(doctor.contains("never expires"), is_stuck, "{words}: {doctor}");
        assert!(!is_stuck || code == 1, "{doctor}");
    }
    // It may be somebody's stream, which nobody should be told to delete.
    redis.run::<redis::Value>("DEL streamwarden:retention:lease");
    redis.add("streamwarden:retention:lease", 3);
    let (status, (code, doctor)) = look();
    let doctor = doctor.split_whitespace().collect::<Vec<_>>().join(" ");
    for said in [&status, &doctor] {
        assert!(
            said.contains("is in use for something else") && !said.contains("DEL streamwarden"),
            "{said}"
        );
    }
    assert_eq!(code, 1, "{doctor}");
}
