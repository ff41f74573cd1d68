//! A user with the printed rule alone: everything works, and with one command less the log names it.

use std::time::Duration;

use support::{Need, Page, Redis, Sidecar, stays_so, wait_for};

use crate::{
    process::{streamwarden, text},
    retention::trimming,
};

const OBSERVE: &str = "streams: [{match: 'o:*'}]";
const RETAIN: &str = "retention: {interval: 1s, lease_ttl: 1s}\n\
     streams: [{match: 'r:*', retention: {max_length: 50, exact: true}}, {match: 'o:*'}]";

const ACT: &str = "retention: {interval: 1s, lease_ttl: 1s}\n\
     streams: [{match: 'a:*', dead_letter: {after_deliveries: 5, idle: 10m}, reap_consumers: {idle: 1d}}, {match: 'o:*'}]";

/// A server with a stream for each way to read: by position, by counting, and without its large entries.
fn server() -> Redis {
    let redis = Redis::start();
    redis.add("o:plain", 20);
    redis.run::<()>("XGROUP CREATE o:plain g 0");
    redis.read("o:plain", "g", "c", 5);
    let first: Vec<(String, redis::Value)> = redis.run("XRANGE o:plain - + COUNT 10");
    redis.run::<u64>(&format!("XDEL o:plain {} {}", first[0].0, first[8].0));
    let large = "x".repeat(100_000);
    redis.run::<String>(&format!("XADD o:large * field {large}"));
    redis.run::<()>("XGROUP CREATE o:large g 0");
    redis.read("o:large", "g", "c", 1);
    redis.add("r:s", 220);
    redis
}

/// What `streamwarden acl` prints for this configuration on this server.
pub(crate) fn rule(redis: &Redis, config: &str, database: &str) -> String {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), config).unwrap();
    let uri = redis.uri().replace("/0", database);
    let output =
        streamwarden(&["acl", "--config", file.path().to_str().unwrap()], &[("REDIS_URI", uri.as_str())]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(text(&output.stderr), "");
    text(&output.stdout)
}

/// Makes the user by that rule, and gives the address to log in as.
pub(crate) fn make_user(redis: &Redis, rule: &str) -> String {
    redis.run::<()>(rule.trim());
    redis.uri().replace("redis://", "redis://streamwarden:PASSWORD@")
}

fn denials(redis: &Redis) -> Vec<redis::Value> {
    redis.run("ACL LOG")
}

fn lag(page: &Page, stream: &str) -> Option<f64> {
    page.get("streamwarden_group_lag", &[("db", "db0"), ("stream", stream), ("group", "g")])
}

#[test]
fn the_printed_rule_alone_lets_everything_work() {
    for config in [OBSERVE, RETAIN, ACT] {
        let redis = server();
        if config == RETAIN && !redis.meets(Need::SAFE_TRIMS) {
            continue;
        }
        let uri = make_user(&redis, &rule(&redis, config, "/0"));
        let mut sidecar = Sidecar::with_config(&uri, config);
        sidecar.wait("every number", |page| {
            lag(page, "o:plain") == Some(14.0)
                && lag(page, "o:large") == Some(0.0)
                && page.stream("length", "o:large") == Some(1.0)
        });
        if config == RETAIN {
            wait_for("the trim", || (redis.run::<u64>("XLEN r:s") == 50).then_some(()));
            stays_so(Duration::from_secs(1), "no entry goes", || redis.run::<u64>("XLEN r:s") == 50);
        }
        if config == ACT {
            redis.run::<String>("XADD a:s 1-0 a b");
            redis.run::<()>("XGROUP CREATE a:s g 0");
            redis.read("a:s", "g", "c", 1);
            redis.run::<redis::Value>("XCLAIM a:s g c 0 1-0 IDLE 3600000 RETRYCOUNT 7");
            wait_for("the move", || (redis.run::<u64>("XLEN dead:{a:s}") == 1).then_some(()));
            sidecar.wait("the dead letters to be read", |page| {
                page.get("streamwarden_dead_letters", &[("stream", "a:s")]) == Some(1.0)
            });
        }
        sidecar.signal("TERM");
        assert!(sidecar.wait_for_exit().success());
        assert!(!sidecar.log().contains("WARN"), "{}", sidecar.log());
        assert_eq!(denials(&redis), [], "nothing was refused");
        assert_eq!(redis.run::<u64>("EXISTS streamwarden:retention:lease"), 0, "the lease was given up");
    }
}

#[test]
fn each_command_of_the_rule_is_needed_and_the_log_names_the_one_that_is_missing() {
    let Some(redis) = trimming(server()) else { return };
    // Without counting the first entry behind a group is asked for.
    for config in [RETAIN.to_owned(), format!("{OBSERVE}\nlag_count: {{entries: 0}}")] {
        let config = config.as_str();
        let rule = rule(&redis, config, "/0");
        let commands: Vec<&str> =
            rule.split([' ', '(', ')', '\n']).filter_map(|word| word.strip_prefix('+')).collect();
        assert!(commands.len() > 7, "{rule}");
        for missing in commands {
            redis.run::<u64>("DEL r:s");
            redis.add("r:s", 220);
            let narrow = rule.replacen(&format!("+{missing}"), "", 1);
            let uri = make_user(&redis, &narrow.replace(" )", ")").replace("  ", " "));
            let mut sidecar = Sidecar::with_config(&uri, config);
            let is_named = |log: &str| {
                let container = missing.split('|').next().unwrap();
                // Redis 7.0 does not say what a script may not run.
                let label = format!("\"command\":\"{}", missing.replace('|', "_"));
                log.contains(&format!("'{missing}'"))
                    || log.contains(&format!("'{container}'"))
                    || log.contains(&label)
            };
            if missing == "del" {
                sidecar.wait("the lease", |page| page.own("streamwarden_retention_leader") == 1.0);
                sidecar.signal("TERM");
                sidecar.wait_for_exit();
            }
            wait_for(&format!("the log to name {missing}"), || is_named(&sidecar.log()).then_some(()));
            redis.run::<u64>("DEL streamwarden:retention:lease");
        }
    }
}

#[test]
fn a_pattern_with_quotes_permits_its_keys() {
    let redis = Redis::start();
    let config = "streams: [{match: 'we\"ird''s*', retention: {max_length: 5}}]";
    make_user(&redis, &rule(&redis, config, "/0"));
    let list = redis.run::<Vec<String>>("ACL LIST").join("\n");
    assert!(list.contains("~we?ird?s*") && list.contains("+xtrim"), "{list}");
}

#[test]
fn no_other_key_and_no_other_command_is_permitted() {
    let Some(redis) = trimming(server()) else { return };
    redis.add("other", 1);
    let uri = make_user(&redis, &rule(&redis, RETAIN, "/0"));
    let client = redis::Client::open(uri).unwrap();
    let mut connection = client.get_connection().unwrap();
    for words in [
        "XLEN other",
        "XTRIM o:plain MAXLEN 0",
        "XTRIM other MAXLEN 0",
        "DEL r:s",
        "SET o:plain x",
        "XADD r:s * a b",
        "FLUSHALL",
        "CONFIG GET *",
        "KEYS *",
    ] {
        let mut command = redis::Cmd::new();
        words.split(' ').for_each(|word| {
            command.arg(word);
        });
        let result: redis::RedisResult<redis::Value> = command.query(&mut connection);
        assert_eq!(result.unwrap_err().code(), Some("NOPERM"), "{words}");
    }
}

#[test]
fn the_rule_follows_the_configuration_and_the_version() {
    let print = |config: &str, version: &str, uri: &str| {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), config).unwrap();
        let arguments = ["acl", "--redis-version", version, "--config", file.path().to_str().unwrap()];
        text(&streamwarden(&arguments, &[("REDIS_URI", uri)]).stdout)
    };
    let observe = "+client|setname +time +xinfo|stream +xinfo|groups +xlen +xpending +xrange";
    assert_eq!(
        print("streams: [{match: a}]", "7.0", "redis://h/2"),
        format!("ACL SETUSER streamwarden reset on >PASSWORD %R~a {observe} +info +select +xrevrange\n")
    );
    assert_eq!(
        print("{}", "7.2", "redis://h"),
        format!(
            "ACL SETUSER streamwarden reset on >PASSWORD %R~* {observe} +client|no-touch +info +scan +xrevrange\n"
        )
    );
    let retain = "{lag_count: {entries: 0}, streams: [{match: 'a{1,2}', retention: {max_length: 5}}]}";
    assert_eq!(
        print(retain, "8.0", "redis://h"),
        format!(
            "ACL SETUSER streamwarden reset on >PASSWORD %R~a1 %R~a2 {observe} +client|no-touch +info +scan \
             (~a1 ~a2 +eval +xtrim) (~streamwarden:retention:lease +get +set +pexpire +del)\n"
        )
    );
    let act = "streams: [{match: 'a*', dead_letter: {after_deliveries: 5, idle: 1m, to: 'x{%s}y'}}, {match: 'b*'}, \
               {match: c, dead_letter: {after_deliveries: 5, idle: 1m}, reap_consumers: {}}]";
    assert_eq!(
        print(act, "8.0", "redis://h"),
        format!(
            "ACL SETUSER streamwarden reset on >PASSWORD %R~a* %R~b* %R~c %R~dead:{{c}} %R~x{{a*}}y {observe} +client|no-touch +info +scan \
             +xrevrange (~streamwarden:retention:lease +get +set +pexpire +del) (~a* ~c ~dead:{{c}} ~x{{a*}}y +eval +xack +xadd +xlen \
             +xrange +xrevrange) (~c +eval +xgroup|delconsumer +xinfo|consumers)\n"
        )
    );
    assert_eq!(
        print(retain, "6.2", "redis://h"),
        format!(
            "ACL SETUSER streamwarden reset on >PASSWORD ~a1 ~a2 {observe} +client|no-touch +info +hello +scan \
             +eval +xtrim ~streamwarden:retention:lease +get +set +pexpire +del\n"
        )
    );
    let shown = "streams: [{match: jobs, retention: {max_length: 5}}, {match: 'events:*'}]";
    let page = include_str!("../../docs/src/permissions.md");
    assert!(
        page.contains(&print(shown, "8.0", "redis://h")),
        "the documentation's example is not what is printed"
    );
    assert!(
        !print(
            "retention: {enabled: false}\nstreams: [{match: a, retention: {max_length: 5}}]",
            "8.0",
            "redis://h"
        )
        .contains("xtrim")
    );
    for wrong in [["--redis-version", "new"], ["--user", ""], ["--user", "a b"]] {
        let refused = streamwarden(&[&["acl"], &wrong[..]].concat(), &[("REDIS_URI", "redis://h")]);
        assert_eq!(refused.status.code(), Some(2), "{wrong:?}");
    }
}

#[test]
fn without_a_server_to_ask_the_rule_is_one_for_new_servers_and_says_so() {
    let output = streamwarden(&["acl"], &[("REDIS_URI", "redis://127.0.0.1:1")]);
    assert!(output.status.success());
    assert!(text(&output.stdout).contains("%R~* ") && text(&output.stdout).contains("no-touch"));
    assert!(text(&output.stderr).contains("--redis-version"), "{}", text(&output.stderr));
}

#[test]
fn with_a_version_no_address_is_needed_and_the_assumption_is_printed() {
    let output = streamwarden(&["acl", "--redis-version", "7.0"], &[]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert!(text(&output.stdout).starts_with("ACL SETUSER streamwarden "));
    assert!(
        text(&output.stderr).contains("no address is configured")
            && text(&output.stderr).contains("database 0")
    );
    let wrong = streamwarden(&["acl", "--redis-version", "7.0"], &[("REDIS_URI", "http://h")]);
    assert_eq!(wrong.status.code(), Some(2), "an address that is configured must be one");
    assert_eq!(streamwarden(&["acl"], &[]).status.code(), Some(2));
}
