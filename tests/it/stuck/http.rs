//! Pending entries over HTTP, and acts on them for who has the token.

use std::{path::Path, thread};

use redis::Value;
use serde_json::{Value as Json, json};

use super::{redeliver, stream};
use support::{Answer, Cluster, Redis, Sidecar, wait_for, write};

fn watching(redis: &Redis, config: &str) -> Sidecar {
    let sidecar = Sidecar::with_config(&redis.uri(), config);
    sidecar.wait("the stream", |page| page.count("streamwarden_stream_length") > 0);
    sidecar
}

fn body(answer: &Answer) -> Json {
    serde_json::from_slice(&answer.body).unwrap()
}

fn pending(sidecar: &Sidecar, query: &str) -> Json {
    body(&sidecar.get(&format!("/api/v1/groups/s/g/pending?{query}")))
}

fn ids(document: &Json) -> Vec<&str> {
    let entries = document["entries"].as_array().unwrap_or_else(|| panic!("{document}"));
    entries.iter().map(|entry| entry["id"].as_str().unwrap()).collect()
}

#[test]
fn the_api_lists_pending_entries_page_by_page_and_never_their_contents() {
    let redis = stream(30);
    redis.read("s", "g", "c", 25);
    redis.run::<Value>("XREADGROUP GROUP g aé COUNT 2 STREAMS s >");
    redeliver(&redis, "g", "2-0", 7, 3_600_000);
    redis.run::<u64>("XDEL s 3-0");
    let sidecar = watching(&redis, "");
    let first = sidecar.get("/api/v1/groups/s/g/pending");
    assert_eq!(first.header("cache-control").as_deref(), Some("no-store"));
    assert!(!first.text().contains("value"), "{}", first.text());
    let first = body(&first);
    assert_eq!(
        (&first["pending"], &first["looked_at"], &first["next"]),
        (&json!(27), &json!(20), &json!("21-0"))
    );
    assert_eq!(ids(&first).len(), 20);
    let poison = &first["entries"][1];
    assert_eq!(
        (&poison["id"], &poison["deliveries"], &poison["consumer"]),
        (&json!("2-0"), &json!(7), &json!("c"))
    );
    assert!(poison["idle_seconds"].as_f64().unwrap() >= 3_600.0, "{poison}");
    assert_eq!(poison["age_seconds"], Json::Null, "its ID is not a time");
    assert_eq!((&poison["exists"], &first["entries"][2]["exists"]), (&json!(true), &json!(false)));
    let second = pending(&sidecar, "from=21-0&limit=100");
    assert_eq!((ids(&second).len(), &second["next"]), (7, &Json::Null));
    assert_eq!(ids(&pending(&sidecar, "deliveries=5&idle_seconds=600")), ["2-0"]);
    assert_eq!(ids(&pending(&sidecar, "deliveries=5&idle_seconds=7200")), [""; 0]);
    let other = pending(&sidecar, "consumer=a%C3%A9");
    assert_eq!(
        (ids(&other), &other["entries"][0]["consumer_key"]),
        (vec!["26-0", "27-0"], &json!("a%C3%A9"))
    );
}

#[test]
fn what_is_wrong_with_a_question_is_said_at_once() {
    let redis = stream(1);
    let sidecar = watching(&redis, "streams: [{match: s}]");
    redis.run::<()>("XGROUP CREATE hidden g 0 MKSTREAM");
    for (path, status, words) in [
        (
            "s/g/pending?limit=0&idle_seconds=-1&from=x&more=1",
            400,
            "limit must be a number from 1 to 100; idle_seconds must be",
        ),
        (
            "s/g/pending?limit=0&idle_seconds=-1&from=x&more=1",
            400,
            "from must be an ID, as in 1700000000000-0; more: twice, or not one of",
        ),
        ("s/g/pending?limit=1&limit=2", 400, "limit: twice"),
        ("s/no/pending", 404, "there is no group no; the stream has: g"),
        ("hidden/g/pending", 404, "stream hidden is not watched"),
    ] {
        let answer = sidecar.get(&format!("/api/v1/groups/{path}"));
        let problem = body(&answer);
        assert_eq!((answer.status, &problem["status"]), (status, &json!(status)), "{path}: {problem}");
        assert!(problem["detail"].as_str().unwrap().contains(words), "{path}: {problem}");
    }
    assert_eq!(sidecar.request("POST", "/api/v1/groups/s/g/pending", "").status, 405);
    redis.run::<u64>("DEL s");
    let gone = sidecar.get("/api/v1/groups/s/g/pending");
    assert_eq!(gone.status, 404, "{}", gone.text());
}

#[test]
fn questions_are_bounded_and_clients_can_not_make_them_a_load() {
    let redis = stream(25_000);
    redis.read("s", "g", "c", 25_000);
    let sidecar = watching(&redis, "");
    let calls = redis.calls("xpending");
    let found = pending(&sidecar, "deliveries=9");
    assert_eq!(
        (ids(&found).len(), &found["looked_at"], &found["next"]),
        (0, &json!(10_000), &json!("10000-1"))
    );
    assert!(redis.calls("xpending") - calls < 20, "ten pages, and what polls ask");
    let answers: Vec<Answer> = thread::scope(|scope| {
        let ask = || sidecar.get("/api/v1/groups/s/g/pending?limit=1");
        let asked: Vec<_> = (0..30).map(|_| scope.spawn(ask)).collect();
        asked.into_iter().map(|it| it.join().unwrap()).collect()
    });
    let (good, refused): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status == 200);
    assert!(good.len() >= 8 && refused.len() >= 10, "{} answered", good.len());
    for answer in refused {
        assert_eq!((answer.status, answer.header("retry-after").as_deref()), (503, Some("1")));
    }
}

#[test]
fn where_commands_are_billed_nothing_is_asked_unless_it_is_permitted() {
    let redis = stream(3);
    redis.read("s", "g", "c", 1);
    for (config, status) in [
        ("redis: {billed_by_command: true}", 403),
        ("redis: {billed_by_command: true}\nhttp: {pending_entries: true}", 200),
        ("http: {pending_entries: false}", 403),
    ] {
        let sidecar = watching(&redis, config);
        let answer = sidecar.get("/api/v1/groups/s/g/pending");
        assert_eq!(answer.status, status, "{config}: {}", answer.text());
    }
}

const TRIM_TOKEN: &str = "0123456789abcdef0123456789abcdef";
const WRITE_TOKEN: &str = "fedcba9876543210fedcba9876543210";
pub(super) const DEAD_LETTER: &str = "groups/s/g/dead-letter";
const POISON: &str = r#"{"deliveries": 5, "idle_seconds": 600, "dry_run": false}"#;

/// A sidecar with both tokens.
pub(super) fn acting(uri: &str, directory: &Path) -> Sidecar {
    for (name, token) in [("trim", TRIM_TOKEN), ("write", WRITE_TOKEN)] {
        write(&directory.join(name), &format!("{token}\n"));
    }
    let path = directory.display();
    let config = format!("http: {{trim_token_file: {path}/trim, write_token_file: {path}/write}}");
    let sidecar = Sidecar::with_config(uri, &config);
    sidecar.wait("the stream", |page| page.count("streamwarden_stream_length") > 0);
    sidecar
}

fn post_as(sidecar: &Sidecar, headers: &str, path: &str, body: &str) -> (u16, Json) {
    let headers = format!("{headers}content-length: {}\r\n", body.len());
    let request =
        format!("POST /api/v1/{path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n{headers}\r\n{body}");
    let answer = sidecar.send(request.as_bytes());
    (answer.status, serde_json::from_slice(&answer.body).unwrap_or_default())
}

fn with_token(token: &str) -> String {
    format!("authorization: Bearer {token}\r\ncontent-type: application/json\r\n")
}

pub(super) fn post(sidecar: &Sidecar, path: &str, body: &str) -> (u16, Json) {
    post_as(sidecar, &with_token(WRITE_TOKEN), path, body)
}

/// Five entries, all pending, of which the second fails each time.
fn poisoned() -> Redis {
    let redis = stream(5);
    redis.read("s", "g", "c", 5);
    redeliver(&redis, "g", "2-0", 7, 3_600_000);
    redis
}

#[test]
fn a_request_plans_first_and_acts_only_if_it_says_so() {
    let redis = poisoned();
    redis.run::<String>("XADD s 6-0 field value");
    redis.run::<Value>("XREADGROUP GROUP g d STREAMS s >");
    let directory = tempfile::tempdir().unwrap();
    let sidecar = acting(&redis.uri(), directory.path());
    let (status, plan) = post(&sidecar, DEAD_LETTER, r#"{"deliveries": 5, "idle_seconds": 600}"#);
    assert_eq!((status, &plan["dry_run"], &plan["done"]), (200, &json!(true), &Json::Null), "{plan}");
    assert_eq!(plan["acts"], json!([{"key": "s", "to": "dead:{s}", "items": ["2-0"]}]));
    assert_eq!(redis.run::<u64>("EXISTS dead:{s}"), 0);
    let (status, done) = post(&sidecar, DEAD_LETTER, POISON);
    assert_eq!((status, &done["done"], &done["outcomes"]), (200, &json!(1), &json!({"moved": 1})), "{done}");
    let letters: Vec<(String, Vec<String>)> = redis.run("XRANGE dead:{s} - +");
    assert_eq!(letters[0].1[letters[0].1.len() - 2..], ["dlq:by", "http"]);

    redis.run::<u64>("XDEL s 4-0");
    let (_, gone) = post(&sidecar, DEAD_LETTER, r#"{"ids": ["4-0"], "dry_run": false}"#);
    assert_eq!((&gone["left"], &gone["done"]), (&json!({"gone": 1}), &json!(0)), "{gone}");
    let (_, gone) =
        post(&sidecar, DEAD_LETTER, r#"{"ids": ["4-0"], "dry_run": false, "acknowledge_gone": true}"#);
    assert_eq!(gone["outcomes"], json!({"acknowledged": 1}));

    let claim = r#"{"from": "c", "to": "d", "idle_seconds": 0, "dry_run": false}"#;
    let (status, claimed) = post(&sidecar, "groups/s/g/claim", claim);
    assert_eq!((status, &claimed["outcomes"]), (200, &json!({"claimed": 3})), "{claimed}");
    let reap = r#"{"idle_seconds": 0, "force": true, "dry_run": false}"#;
    let (status, reaped) = post(&sidecar, "groups/s/g/reap-consumers", reap);
    assert_eq!(
        (status, &reaped["acts"][0]["items"], &reaped["left"]),
        (200, &json!(["c"]), &json!({"holds_pending": 1}))
    );
    let (status, replayed) = post(&sidecar, "streams/dead%3A%7Bs%7D/replay", r#"{"dry_run": false}"#);
    assert_eq!((status, &replayed["outcomes"]), (200, &json!({"replayed": 1})), "{replayed}");
    assert_eq!((redis.run::<u64>("XLEN s"), redis.run::<u64>("XLEN dead:{s}")), (6, 0));

    let family = "streamwarden_http_acted_items_total";
    sidecar.wait("the counters", |page| {
        let counted = |act| page.get(family, &[("act", act)]);
        ["dead_letter", "claim", "reap", "replay"].map(counted) == [2.0, 3.0, 1.0, 1.0].map(Some)
    });
    let log = sidecar.log();
    assert!(log.contains("act requested over HTTP") && log.contains("acted on stuck work"), "{log}");
    assert!(!log.contains(WRITE_TOKEN));
}

/// Requests that nobody can fulfil: path, body, status, and words of the answer.
const SENSELESS: &[(&str, &str, u16, &str)] = &[
    (
        DEAD_LETTER,
        r#"{"ids": "x", "max": 0, "dry_run": 1}"#,
        400,
        "ids must be a list of 1 to 1,000 IDs; max must be",
    ),
    (DEAD_LETTER, r#"{"ids": []}"#, 400, "ids must be a list of 1 to 1,000 IDs"),
    (DEAD_LETTER, r#"{"ids": ["1-0"], "max": 5}"#, 400, "max has no effect beside ids"),
    (DEAD_LETTER, r#"{"ids": ["1-0"], "to": "%zz"}"#, 400, "to must be a key, percent-encoded"),
    (
        "streams/dead%3A%7Bs%7D/replay",
        r#"{"ids": ["1-0"], "filter": {}}"#,
        400,
        "filter has no effect beside ids",
    ),
    (DEAD_LETTER, r#"{"ids": "x", "max": 0, "dry_run": 1}"#, 400, "dry_run must be true or false"),
    (DEAD_LETTER, "{}", 400, "ids: needed, or deliveries and an idle time"),
    (DEAD_LETTER, r#"{"deliveries": 5, "to": "s"}"#, 400, "deliveries: needs an idle time beside it"),
    (DEAD_LETTER, r#"{"deliveries": 5, "to": "s"}"#, 400, "to: s: the dead letters need a key of their own"),
    (DEAD_LETTER, r#"{"ids": ["9-0"]}"#, 404, "not pending in group g: 9-0"),
    ("groups/s/no/dead-letter", POISON, 404, "there is no group no; the stream has: g"),
    ("groups/other/g/dead-letter", POISON, 404, "stream other is not watched"),
    ("groups/s/g/claim", "{}", 400, "from must be"),
    (
        "groups/s/g/claim",
        r#"{"from": "c", "to": "no", "idle_seconds": 0}"#,
        404,
        "group g has no consumer no",
    ),
    ("groups/s/g/claim", r#"{"from": "c", "to": "c", "idle_seconds": 0}"#, 400, "to: both consumers are c"),
    ("groups/s/g/reap-consumers", r#"{"idle_seconds": 5}"#, 400, "less than 1d needs --force"),
    ("streams/s/replay", r#"{"ids": ["1-0"]}"#, 409, "s: 1-0 is not a dead letter"),
];

#[test]
fn who_has_not_the_token_of_the_path_or_no_sense_is_refused() {
    let redis = poisoned();
    let directory = tempfile::tempdir().unwrap();
    let sidecar = acting(&redis.uri(), directory.path());
    let trim = with_token(WRITE_TOKEN);
    assert_eq!(post_as(&sidecar, &trim, "streams/s/trim", r#"{"max_length": 1}"#).0, 401, "another token");
    let json = "content-type: application/json\r\n";
    for (headers, status) in [
        (json.to_owned(), 401),
        (with_token(TRIM_TOKEN), 401),
        (format!("{}origin: http://evil.example\r\n", with_token(WRITE_TOKEN)), 403),
        (format!("authorization: Bearer {WRITE_TOKEN}\r\n"), 415),
    ] {
        assert_eq!(post_as(&sidecar, &headers, DEAD_LETTER, POISON).0, status, "{headers}");
    }
    for (path, body, status, words) in SENSELESS.iter().copied() {
        let (its_status, problem) = post(&sidecar, path, body);
        assert_eq!(its_status, status, "{path} {body}: {problem}");
        assert!(problem["detail"].as_str().unwrap().contains(words), "{path} {body}: {problem}");
    }
    assert_eq!(redis.run::<u64>("EXISTS dead:{s}"), 0);
    sidecar.wait("the refusals", |page| page.own("streamwarden_http_unauthorized_writes_total") == 2.0);
    let refused = wait_for("too many", || {
        let status = post_as(&sidecar, json, DEAD_LETTER, POISON).0;
        (status != 401).then_some(status)
    });
    assert_eq!((refused, post(&sidecar, DEAD_LETTER, POISON).0), (429, 429), "also with the token");
}

#[test]
fn a_replica_and_a_user_without_permission_change_nothing() {
    let redis = poisoned();
    let directory = tempfile::tempdir().unwrap();
    redis.run::<()>("ACL SETUSER narrow on >word ~* +@read +hello +client +time -eval +info");
    let narrow = redis.uri().replace("redis://", "redis://narrow:word@");
    let sidecar = acting(&narrow, directory.path());
    let (status, problem) = post(&sidecar, DEAD_LETTER, POISON);
    let detail = problem["detail"].as_str().unwrap();
    assert!(
        status == 502 && detail.contains("acl --acting") && detail.starts_with("0 items were done before"),
        "{problem}"
    );

    let replica = Redis::start();
    replica.run::<()>(&format!("REPLICAOF 127.0.0.1 {}", redis.port()));
    let is_up = || replica.run::<String>("INFO replication").contains("master_link_status:up");
    wait_for("the replica", || is_up().then_some(()));
    let sidecar = acting(&replica.uri(), directory.path());
    let (status, problem) = post(&sidecar, DEAD_LETTER, POISON);
    assert!(status == 502 && problem["detail"].as_str().unwrap().contains("on its primary"), "{problem}");
    assert_eq!(redis.run::<u64>("EXISTS dead:{s}"), 0);
    assert_eq!(redis.run::<Vec<Value>>("XPENDING s g - + 10").len(), 5);
}

#[test]
fn in_a_cluster_the_stream_and_its_dead_letters_are_in_one_slot() {
    let cluster = Cluster::start();
    cluster.run::<()>("s", "XGROUP CREATE s g 0 MKSTREAM");
    cluster.run::<String>("s", "XADD s 1-0 field value");
    cluster.run::<Value>("s", "XREADGROUP GROUP g c STREAMS s >");
    let directory = tempfile::tempdir().unwrap();
    // Another node than the stream's may be asked.
    let sidecar = acting(&cluster.node(0).uri(), directory.path());
    let elsewhere = r#"{"ids": ["1-0"], "to": "elsewhere", "dry_run": false}"#;
    let (status, problem) = post(&sidecar, DEAD_LETTER, elsewhere);
    assert!(
        status == 502 && problem["detail"].as_str().unwrap().contains("must be in one slot"),
        "{problem}"
    );
    let (status, done) = post(&sidecar, DEAD_LETTER, r#"{"ids": ["1-0"], "dry_run": false}"#);
    assert_eq!((status, &done["outcomes"]), (200, &json!({"moved": 1})), "{done}");
    assert_eq!(cluster.run::<u64>("s", "XLEN dead:{s}"), 1);
}
