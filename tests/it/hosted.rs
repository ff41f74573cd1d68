//! What hosted servers answer where Redis does not. A proxy puts their documented words into a real server's mouth: nothing
//! here was run on the services.

use std::time::Duration;

use support::{Act, Direction, Need, Page, Proxy, Redis, Sidecar, stays_so, wait_for};

use crate::{
    process::{config_file, streamwarden, text},
    retention::trimming,
};

const MONTHLY: &str = "ERR max requests limit exceeded. Limit: 500000, Usage: 500000. See https://h.example/";
const CONNECTIONS: &str = "ERR max concurrent connections exceeded";
const CAPACITY: &str = "ERR DB capacity quota exceeded";
/// Its only connection is that of the polls.
const ONE: &str = "streams: [{match: s}]";

fn up(page: &Page) -> bool {
    page.own("streamwarden_redis_up") == 1.0
}

fn failures(page: &Page, reason: &str) -> f64 {
    page.get("streamwarden_poll_failures_total", &[("reason", reason)]).unwrap()
}

fn error(words: &str) -> Vec<u8> {
    format!("-{words}\r\n").into_bytes()
}

/// Replaces every occurrence.
fn replace(bytes: &mut Vec<u8>, from: &[u8], to: &[u8]) {
    let mut rest = std::mem::take(bytes);
    while let Some(at) = rest.windows(from.len()).position(|window| window == from) {
        let behind = rest.split_off(at + from.len());
        bytes.extend_from_slice(&rest[..at]);
        bytes.extend_from_slice(to);
        rest = behind;
    }
    bytes.append(&mut rest);
}

/// How many commands begin in these bytes.
fn commands(bytes: &[u8]) -> usize {
    let lines = bytes.split(|byte| *byte == b'\n').collect::<Vec<_>>();
    lines.windows(2).filter(|pair| pair[0].starts_with(b"*") && pair[1].starts_with(b"$")).count()
}

/// Each command is refused with these words.
fn refuse_everything(proxy: &Proxy, words: &'static str) {
    let mut asked = 0;
    proxy.rule(move |direction, bytes| match direction {
        Direction::ToServer => {
            asked += commands(bytes);
            Act::Pass
        }
        Direction::ToClient if asked > 0 => {
            *bytes = error(words).repeat(std::mem::take(&mut asked));
            Act::Pass
        }
        Direction::ToClient => Act::Swallow,
    });
}

/// The server says that it is Upstash, which a sidecar learns from INFO where HELLO is unknown.
fn say_upstash(direction: Direction, bytes: &mut Vec<u8>) -> Act {
    match direction {
        Direction::ToServer => replace(bytes, b"HELLO", b"HALLO"),
        Direction::ToClient => {
            replace(bytes, b"multiplexing_api:epoll", b"upstash_version:1.20.3");
            replace(bytes, b"server_name:valkey", b"server_nama:valkey");
        }
    }
    Act::Pass
}

fn server() -> (Redis, Proxy) {
    let redis = Redis::start();
    redis.add("s", 3);
    let proxy = Proxy::to(redis.port());
    (redis, proxy)
}

#[test]
fn a_quota_is_reported_in_the_servers_words_and_the_next_poll_waits_minutes() {
    let (_redis, proxy) = server();
    let sidecar = Sidecar::with_config(&proxy.uri(), ONE);
    sidecar.wait("the stream", |page| page.stream("length", "s") == Some(3.0));
    let connections = proxy.connections();
    refuse_everything(&proxy, MONTHLY);
    let page = sidecar.wait("the quota", |page| failures(page, "quota") == 1.0);
    assert!(!up(&page));
    let polls = page.own("streamwarden_polls_total");
    // By then it would have tried dozens of times, and its liveness does not suffer from the wait.
    stays_so(Duration::from_secs(7), "it waits, and is alive", || {
        let page = sidecar.scrape();
        (page.own("streamwarden_polls_total"), failures(&page, "quota")) == (polls, 1.0)
            && sidecar.get("/livez").status == 200
    });
    assert_eq!(sidecar.scrape().count("streamwarden_stream_length"), 0, "stale");
    assert_eq!(proxy.connections(), connections, "the connection is kept");

    let document: serde_json::Value = serde_json::from_str(&sidecar.get("/api/v1/streams").text()).unwrap();
    assert_eq!(document["poll"]["last_failure"], "quota");
    assert_eq!(document["poll"]["last_failure_words"], MONTHLY);
    let url = format!("http://{}", sidecar.address());
    let status = text(&streamwarden(&["status", "--url", &url], &[]).stdout);
    assert!(status.contains(&format!("the last poll failed: quota ({MONTHLY})")), "{status}");

    // A new configuration does not wait.
    proxy.rule(|_, _| Act::Pass);
    sidecar.signal("HUP");
    sidecar.wait("the recovery", |page| up(page) && page.stream("length", "s") == Some(3.0));
    let document: serde_json::Value = serde_json::from_str(&sidecar.get("/api/v1/streams").text()).unwrap();
    assert_eq!(document["poll"]["last_failure_words"], serde_json::Value::Null);
}

#[test]
fn a_server_without_a_free_connection_is_not_knocked_at_again_and_again() {
    let (_redis, proxy) = server();
    proxy.rule(|direction, bytes| match direction {
        Direction::ToServer => Act::Pass,
        Direction::ToClient => {
            *bytes = error(CONNECTIONS);
            Act::PassAndClose
        }
    });
    // Polls, the search and retention each have a connection of their own.
    let config =
        "retention: {interval: 1s}\nstreams: [{match: s, retention: {max_length: 2}}, {match: 'o:*'}]";
    let sidecar = Sidecar::with_config(&proxy.uri(), config);
    sidecar.wait("the refusal", |page| {
        let searches = page.get("streamwarden_discovery_failures_total", &[("reason", "quota")]);
        let retention = page.get("streamwarden_retention_failures_total", &[("reason", "quota")]);
        failures(page, "quota") == 1.0 && searches == Some(1.0) && retention == Some(1.0)
    });
    stays_so(Duration::from_secs(3), "one connection each", || proxy.connections() == 3);

    let file = config_file(ONE);
    let arguments = |command| [command, "--config", file.path().to_str().unwrap()];
    let environment = [("REDIS_URI", &*proxy.uri())];
    let doctor = streamwarden(&arguments("doctor"), &environment);
    assert_eq!(doctor.status.code(), Some(1));
    let told = text(&doctor.stdout).split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(told.contains("the plan's quota is exhausted") && told.contains(CONNECTIONS), "{told}");
    let status = streamwarden(&arguments("status"), &environment);
    assert_eq!(status.status.code(), Some(3));
    assert!(text(&status.stderr).contains(&format!("quota: {CONNECTIONS}")), "{}", text(&status.stderr));
}

#[test]
fn a_full_database_takes_no_lease_and_is_trimmed_anyway() {
    let Some(redis) = trimming(Redis::start()) else { return };
    redis.add("s", 300);
    let proxy = Proxy::to(redis.port());
    proxy.rule(|direction, bytes| {
        match direction {
            Direction::ToServer => replace(bytes, b"\r\nSET\r\n", b"\r\nSEX\r\n"),
            Direction::ToClient if bytes.windows(5).any(|window| window == b"'SEX'") => {
                *bytes = error(CAPACITY)
            }
            Direction::ToClient => {}
        }
        Act::Pass
    });
    let config =
        "retention: {interval: 1s, lease_ttl: 1s}\nstreams: [{match: s, retention: {max_length: 100}}]";
    let sidecar = Sidecar::with_config(&proxy.uri(), config);
    wait_for("the trim", || (redis.run::<u64>("XLEN s") == 100).then_some(()));
    let refused = |page: &Page| page.get("streamwarden_retention_failures_total", &[("reason", "capacity")]);
    let page = sidecar.wait("the refused lease", |page| refused(page).unwrap() >= 1.0);
    assert!(up(&page) && failures(&page, "capacity") == 0.0);
}

#[test]
fn what_a_service_offers_to_nobody_is_not_the_users_rule() {
    let redis = Redis::start();
    redis.add("s", 3);
    redis.run::<()>("ACL SETUSER u on >p ~* +@all -client");
    let uri = format!("redis://u:p@127.0.0.1:{}", redis.port());
    let sidecar = Sidecar::with_config(&uri, ONE);
    sidecar.wait("the stream", |page| page.stream("length", "s") == Some(3.0));
    let log = sidecar.log();
    assert!(log.contains("Redis refuses an optional command") && !log.contains("WARN"), "{log}");
}

#[test]
fn numbers_that_can_not_be_fail_their_stream_alone() {
    let (redis, proxy) = server();
    redis.run::<()>("XGROUP CREATE s g 0");
    redis.read("s", "g", "c", 3);
    redis.add("t", 4);
    redis.run::<()>("XGROUP CREATE t g 0");
    let sidecar = Sidecar::with_config(&proxy.uri(), "");
    sidecar.wait("both", |page| page.group("pending", "s", "g") == Some(3.0));
    // One below zero, without its sign; and more than there ever were.
    for number in [":18446744073709551615\r\n", ":7000000000000000\r\n"] {
        proxy.rule(move |direction, bytes| {
            if direction == Direction::ToClient {
                let impossible = format!("pel-count\r\n{number}");
                replace(bytes, b"pel-count\r\n:3\r\n", impossible.as_bytes());
            }
            Act::Pass
        });
        let refused = [("stream", "s"), ("reason", "unexpected_reply")];
        let page = sidecar
            .wait("the refusal", |page| page.get("streamwarden_stream_unreadable", &refused) == Some(1.0));
        assert_eq!((page.group("pending", "s", "g"), page.stream("length", "s")), (None, None));
        assert!(up(&page) && page.stream("length", "t") == Some(4.0) && failures(&page, "protocol") == 0.0);
        proxy.rule(|_, _| Act::Pass);
        sidecar.wait("the recovery", |page| page.group("pending", "s", "g") == Some(3.0));
    }
}

#[test]
fn what_an_operator_can_bring_a_real_server_to_say_is_shown() {
    let redis = Redis::start();
    redis.add("s", 20);
    redis.run::<()>("XGROUP CREATE s held 0");
    redis.read("s", "held", "c", 15);
    redis.run::<()>("XGROUP CREATE s ahead 0");
    redis.run::<()>("XGROUP SETID s ahead 99999999999999-0");
    redis.run::<u64>("XTRIM s MAXLEN 2");
    if redis.meets(Need::COUNTED_ADDITIONS) {
        redis.run::<()>("XGROUP CREATE s liar 0 ENTRIESREAD 1000000");
        // Fewer were ever added, it says then, than are pending.
        redis.run::<()>("XSETID s 99999999999999-1 ENTRIESADDED 2");
    }
    let sidecar = Sidecar::start(&redis);
    let page = sidecar.wait("the group", |page| page.group("pending", "s", "held") == Some(15.0));
    assert_eq!(page.stream("length", "s"), Some(2.0));
    assert_eq!(page.count("streamwarden_stream_unreadable"), 0);
}

#[test]
fn a_limit_of_pending_entries_is_reported_before_it_is_reached() {
    let (redis, proxy) = server();
    proxy.rule(say_upstash);
    redis.add("s", 900);
    redis.run::<()>("XGROUP CREATE s g 0");
    redis.read("s", "g", "c", 799);
    let config = "status: {window: 400ms}\nstreams: [{match: s}]";
    let sidecar = Sidecar::with_config(&proxy.uri(), config);
    let limit = |page: &Page| page.get("streamwarden_consumer_pending_limit", &[]);
    let flavour = [("flavour", "upstash"), ("version", "1.20.3")];
    sidecar.wait("the limit", |page| {
        limit(page) == Some(1_000.0) && page.get("streamwarden_redis_info", &flavour) == Some(1.0)
    });
    redis.read("s", "g", "c", 13);
    let reason = "a consumer has 812 pending entries; at 1,000 this server delivers nothing more to it";
    wait_for("the reason", || sidecar.get("/api/v1/streams").text().contains(reason).then_some(()));

    let run = |uri: &str, command: &str| {
        let file = config_file(ONE);
        let output =
            streamwarden(&[command, "--config", file.path().to_str().unwrap()], &[("REDIS_URI", uri)]);
        text(&output.stdout).split_whitespace().collect::<Vec<_>>().join(" ")
    };
    assert!(run(&proxy.uri(), "status").contains(reason));
    let told = run(&proxy.uri(), "doctor");
    for words in ["warning a consumer is close to 1,000 pending entries: s", "a stream may hold 100 MB"] {
        assert!(told.contains(words), "{words}: {told}");
    }
    // The same data on a server of one's own.
    let own = Sidecar::with_config(&redis.uri(), config);
    let page = own.wait("the group", |page| page.group("pending", "s", "g") == Some(812.0));
    assert_eq!(limit(&page), None);
    assert!(!own.get("/api/v1/streams").text().contains(reason));
    assert!(!run(&redis.uri(), "doctor").contains("1,000 pending entries"));
}

#[test]
fn a_replica_that_is_behind_after_a_reconnect_is_not_a_stream_that_went_back() {
    let [ahead, behind] = [10, 8].map(|entries| {
        let redis = Redis::start();
        for number in 0..entries {
            redis.run::<String>(&format!("XADD s {}-0 f v", 1_700_000_000_000_u64 + number));
        }
        redis.run::<()>("XGROUP CREATE s g $");
        redis
    });
    for is_upstash in [true, false] {
        let proxy = Proxy::to(ahead.port());
        if is_upstash {
            proxy.rule(say_upstash);
        }
        let sidecar = Sidecar::with_config(&proxy.uri(), ONE);
        sidecar.wait("the stream", |page| page.stream("length", "s") == Some(10.0));
        proxy.switch_to(behind.port());
        proxy.cut();
        let page = sidecar.wait("the older reading", |page| page.stream("length", "s") == Some(8.0));
        let recreations = page.stream("recreations_total", "s");
        assert_eq!(recreations, Some(if is_upstash { 0.0 } else { 1.0 }));
        assert_eq!(page.group("rewinds_total", "s", "g"), Some(0.0));
        proxy.switch_to(ahead.port());
        proxy.cut();
        let page = sidecar.wait("the newer reading", |page| page.stream("length", "s") == Some(10.0));
        assert_eq!(page.stream("recreations_total", "s"), recreations);
        assert_eq!(page.group("entries_lost_total", "s", "g").unwrap_or_default(), 0.0);
    }
}

#[test]
fn the_rule_for_upstash_is_one_that_it_takes() {
    let print = |config: &str| {
        let file = config_file(config);
        let uri = ("REDIS_URI", "redis://default:secret@eu1-calm-cat-1.upstash.io:6379");
        let output =
            streamwarden(&["acl", "--user", "warden", "--config", file.path().to_str().unwrap()], &[uri]);
        assert!(output.status.success());
        (text(&output.stdout), text(&output.stderr))
    };
    let plain = "redis: {billed_by_command: false}\n";
    let (rule, note) = print(&format!("{plain}streams: [{{match: a}}]"));
    assert_eq!(
        rule,
        "ACL SETUSER warden reset on >TOKEN ~a +time +xinfo +xlen +xpending +xrange +hello +xrevrange\n"
    );
    assert!(note.contains("`ACL GENTOKEN warden`") && !note.contains("secret"), "{note}");
    let retain =
        "retention: {lease_key: lease}\nstreams: [{match: a, retention: {max_length: 5}}, {match: 'b*'}]";
    assert_eq!(
        print(&format!("{plain}{retain}")).0,
        "ACL SETUSER warden reset on >TOKEN ~a ~b* +time +xinfo +xlen +xpending +xrange +hello +scan +xrevrange \
         +eval +xtrim ~lease +get +set +pexpire +del\n"
    );
}

#[test]
fn with_the_rule_for_upstash_everything_works_and_nothing_is_warned_of() {
    let Some(redis) = trimming(Redis::start()) else { return };
    redis.add("a", 300);
    let plain = "redis: {billed_by_command: false}\nretention: {interval: 1s, lease_ttl: 1s}\n";
    let config = format!("{plain}streams: [{{match: a, retention: {{max_length: 100}}}}, {{match: 'b*'}}]");
    let file = config_file(&config);
    let uri = ("REDIS_URI", "redis://h.upstash.io");
    let output = streamwarden(&["acl", "--config", file.path().to_str().unwrap()], &[uri]);
    redis.run::<()>(text(&output.stdout).trim());
    let uri = format!("redis://streamwarden:TOKEN@127.0.0.1:{}", redis.port());
    let sidecar = Sidecar::with_config(&uri, &config);
    wait_for("the trim", || (redis.run::<u64>("XLEN a") == 100).then_some(()));
    let leads = |page: &Page| page.own("streamwarden_retention_leader") == 1.0;
    sidecar.wait("the lease and the stream", |page| leads(page) && page.stream("length", "a") == Some(100.0));
    assert!(!sidecar.log().contains("WARN"), "{}", sidecar.log());
}
