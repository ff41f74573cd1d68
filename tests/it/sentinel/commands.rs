//! `streamwarden doctor`, `acl`, `check-config` and `status` with Sentinels.

use support::{Redis, SERVICE, Sentinels, free_port};

use crate::{
    doctor::doctor,
    process::{config_file, streamwarden, text},
};

const WATCH: &str = "streams: [{match: s}]";

#[test]
fn the_doctor_says_whether_sentinels_answer_agree_and_can_fail_over() {
    let mut all = Sentinels::start();
    all.primary.add("s", 3);
    let found = doctor(&all.uri(), WATCH, &[]);
    let primary = format!("127.0.0.1:{} is the primary of {SERVICE}", all.primary.port());
    found.has("connection", "ok", &primary);
    found.has("connection", "ok", "a Sentinel knows 3 in all, and 2 must agree");
    found.has("connection", "ok", "each of the replicas that the Sentinels announce can be reached: 1");

    // One dead, one that names another server, and one missing from the address.
    let other = format!("sentinel monitor {SERVICE} 127.0.0.1 {} 1", all.replica.port());
    let other = Redis::with_settings(&other);
    let ports = [free_port(), all.sentinels[0].port(), other.port()];
    let found = doctor(&all.uri_with(&ports[..2]), WATCH, &[]);
    found.has("connection", "warning", &format!("the Sentinel at 127.0.0.1:{} names no primary", ports[0]));
    found.has("connection", "notice", "the address has 2 of 3 Sentinels");
    let found = doctor(&all.uri_with(&ports), WATCH, &[]);
    found.has("connection", "problem", &format!("the Sentinels name different primaries of {SERVICE}"));
    assert_eq!(found.code, 1);

    all.replica.kill();
    let found = doctor(&all.uri(), WATCH, &[]);
    let replica = format!("announce as 127.0.0.1:{} can't be reached", all.replica.port());
    found.has("connection", "warning", &replica);
    all.sentinels.iter_mut().for_each(Redis::kill);
    let found = doctor(&all.uri(), WATCH, &[]);
    found.has("connection", "problem", "no Sentinel names the primary");
    assert_eq!(found.code, 1);
}

#[test]
fn the_rule_that_is_printed_for_the_sentinels_is_enough_there() {
    let all = Sentinels::start();
    all.primary.add("s", 3);
    let file = config_file(WATCH);
    let acl = |uri: &str| {
        let output = streamwarden(&["acl", "--config", file.path().to_str().unwrap()], &[("REDIS_URI", uri)]);
        assert!(output.status.success());
        (text(&output.stdout), text(&output.stderr))
    };
    let (of_redis, of_sentinels) = acl(&all.uri());
    let (plain, nothing) = acl(&all.primary.uri());
    assert_eq!((of_redis, nothing), (plain, String::new()), "only a Sentinel address prints the second rule");
    let rule = of_sentinels.split_once("ACL SETUSER").unwrap().1.trim();
    for sentinel in &all.sentinels {
        sentinel.run::<()>(&format!("ACL SETUSER{}{rule}", " "));
    }
    let login = "redis: {sentinel: {username: streamwarden, password: PASSWORD}}";
    let found = doctor(&all.uri(), &format!("{login}\n{WATCH}"), &[]);
    found.has("connection", "ok", "a Sentinel knows 3 in all");
    all.sentinels.iter().for_each(|it| it.run::<()>("ACL SETUSER streamwarden -sentinel|master"));
    let found = doctor(&all.uri(), &format!("{login}\n{WATCH}"), &[]);
    found.has("connection", "unknown", "whether the Sentinels can fail over");
}

#[test]
fn one_shot_commands_name_the_service_or_what_each_sentinel_said() {
    let all = Sentinels::start();
    all.primary.add("s", 3);
    let file = config_file("");
    let run = |command: &str, uri: &str| {
        let output =
            streamwarden(&[command, "--config", file.path().to_str().unwrap()], &[("REDIS_URI", uri)]);
        format!("{}{}", text(&output.stdout), text(&output.stderr))
    };
    let status = run("status", &all.uri());
    assert!(status.contains(&format!("{SERVICE} at 127.0.0.1:{}/0", all.primary.port())), "{status}");
    let status = run("status", &all.uri().replace(SERVICE, "other"));
    assert!(status.contains("it knows no service other"), "{status}");
    let shown = run("check-config", &all.uri().replace("://", "://u:s3cret@"));
    assert!(shown.contains("redacted") && !shown.contains("s3cret"), "{shown}");
    let refused = run("check-config", "redis+sentinel://h");
    assert!(refused.contains("redis.uri (from REDIS_URI): has no service"), "{refused}");
}
