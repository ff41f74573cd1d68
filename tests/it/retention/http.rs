//! Trims over HTTP: only for who has the token, and no web page.

use serde_json::Value as Json;

use super::trimming;
use support::{Redis, Sidecar, wait_for, write};

const TOKEN: &str = "0123456789abcdef0123456789abcdef";

fn sidecar(redis: &Redis, directory: &tempfile::TempDir) -> Sidecar {
    configured(redis, directory, "")
}

fn configured(redis: &Redis, directory: &tempfile::TempDir, more: &str) -> Sidecar {
    let file = directory.path().join("token");
    write(&file, &format!("{TOKEN}\n"));
    let config = format!("http: {{trim_token_file: {}}}\n{more}", file.display());
    let sidecar = Sidecar::with_config(&redis.uri(), &config);
    sidecar.wait("the stream", |page| page.count("streamwarden_stream_length") > 0);
    sidecar
}

/// A trim of the stream `s`, with these headers and this body: the status and the answer.
fn post(sidecar: &Sidecar, headers: &str, body: &str) -> (u16, Json) {
    let headers = format!("{headers}content-length: {}\r\n", body.len());
    let request = format!(
        "POST /api/v1/streams/s/trim HTTP/1.1\r\nhost: test\r\nconnection: close\r\n{headers}\r\n{body}"
    );
    let answer = sidecar.send(request.as_bytes());
    (answer.status, serde_json::from_slice(&answer.body).unwrap_or_default())
}

fn authorized(more: &str) -> String {
    format!("authorization: Bearer {TOKEN}\r\ncontent-type: application/json\r\n{more}")
}

#[test]
fn with_the_token_it_plans_and_trims() {
    let Some(redis) = trimming(Redis::start()) else { return };
    redis.add("s", 1_000);
    redis.run::<()>("XGROUP CREATE s slow 0");
    redis.run::<redis::Value>("XREADGROUP GROUP slow c COUNT 300 NOACK STREAMS s >");
    let directory = tempfile::tempdir().unwrap();
    let sidecar = sidecar(&redis, &directory);
    let (status, plan) = post(&sidecar, &authorized(""), r#"{"max_length": 500}"#);
    assert_eq!((status, &plan["dry_run"], &plan["excess"]), (200, &true.into(), &500.into()), "{plan}");
    assert_eq!((&plan["removable_at_most"], &plan["blocked_by"]["group"]), (&300.into(), &"slow".into()));
    let age = plan["age_seconds"].as_f64().unwrap();
    assert!((0.0..60.0).contains(&age), "{plan}");
    assert_eq!(redis.run::<u64>("XLEN s"), 1_000);

    let (status, done) = post(&sidecar, &authorized(""), r#"{"max_length": 500, "dry_run": false}"#);
    assert_eq!((status, &done["removed"], &done["length"]), (200, &300.into(), &700.into()), "{done}");
    assert_eq!((&done["outcome"], &done["blocked_by"]["reason"]), (&"blocked".into(), &"unread".into()));
    let strict = r#"{"max_length": 100, "dry_run": false, "mode": "strict", "exact": true}"#;
    let (status, done) = post(&sidecar, &authorized(""), strict);
    assert_eq!(
        (status, &done["outcome"], redis.run::<u64>("XLEN s")),
        (200, &"reached".into(), 100),
        "{done}"
    );
    assert!(sidecar.log().contains("trim requested over HTTP"));
    assert!(!sidecar.log().contains(TOKEN));
}

#[test]
fn without_a_configured_token_there_is_no_such_path() {
    let redis = Redis::start();
    redis.add("s", 10);
    let sidecar = Sidecar::start(&redis);
    assert_eq!(sidecar.get("/api/v1/streams/s/trim").status, 404);
    let (status, _) = post(&sidecar, &authorized(""), r#"{"max_length": 1}"#);
    assert_eq!(status, 404);
}

#[test]
fn forbidden_and_invalid_requests_are_answered_with_the_reason() {
    let redis = Redis::start();
    redis.add("s", 10);
    let directory = tempfile::tempdir().unwrap();
    let sidecar = sidecar(&redis, &directory);
    let json = "content-type: application/json\r\n";
    let wish = r#"{"max_length": 1, "dry_run": false}"#;
    for (headers, body, status) in [
        (json.to_owned(), wish, 401),
        (format!("{json}authorization: Bearer wrong\r\n"), wish, 401),
        (format!("{json}authorization: Basic {TOKEN}\r\n"), wish, 401),
        (authorized("origin: http://evil.example\r\n"), wish, 403),
        (authorized("sec-fetch-site: cross-site\r\n"), wish, 403),
        (format!("authorization: Bearer {TOKEN}\r\ncontent-type: text/plain\r\n"), wish, 415),
        (authorized(""), "", 400),
        (authorized(""), r#"{"max_length": -1}"#, 400),
        (authorized(""), r#"{"max_length": 1, "force": true}"#, 400),
        (authorized(""), r#"{"max_length": 1, "mode": "observe"}"#, 400),
        (authorized(""), r#"[1, "strict", true, false]"#, 400),
        (authorized(""), r#"{"max_length": 1, "dry_run": true, "dry_run": false}"#, 400),
    ] {
        let (answered, problem) = post(&sidecar, &headers, body);
        assert_eq!((answered, &problem["status"]), (status, &status.into()), "{headers}{body}: {problem}");
    }
    assert_eq!(sidecar.get("/api/v1/streams/s/trim").status, 405);
    assert_eq!(redis.run::<u64>("XLEN s"), 10);
    sidecar.wait("the refusals to be counted", |page| {
        page.own("streamwarden_http_unauthorized_trims_total") == 3.0
    });
    let request = format!(
        "POST /api/v1/streams/other/trim HTTP/1.1\r\nhost: test\r\nconnection: close\r\n{}content-length: 17\r\n\r\n{{\"max_length\": 1}}",
        authorized("")
    );
    assert_eq!(sidecar.send(request.as_bytes()).status, 404);
    // A rotated token counts at once.
    write(&directory.path().join("token"), "another-token-of-this-test");
    assert_eq!(post(&sidecar, &authorized(""), wish).0, 401);
}

/// `s` in the API's document.
fn stream(sidecar: &Sidecar) -> Json {
    let document: Json = serde_json::from_slice(&sidecar.get("/api/v1/streams/s").body).unwrap();
    document["stream"].clone()
}

#[test]
fn a_sidecar_without_the_lease_says_who_has_it_and_blames_no_group_for_a_trim_of_the_past() {
    let Some(redis) = trimming(Redis::start()) else { return };
    redis.add("s", 1_000);
    redis.run::<()>("XGROUP CREATE s slow 0");
    redis.run::<()>("SET streamwarden:retention:lease other:7:0badcafe");
    let directory = tempfile::tempdir().unwrap();
    let config = "status: {window: 2s}\nretention: {interval: 1s, lease_ttl: 2s}\n\
                  streams: [{match: s, retention: {max_length: 500}}]";
    let sidecar = configured(&redis, &directory, config);
    let (_, done) = post(&sidecar, &authorized(""), r#"{"max_length": 500, "dry_run": false}"#);
    assert_eq!(done["blocked_by"]["group"], "slow", "{done}");
    redis.run::<i64>("XGROUP DESTROY s slow");
    let is_blocked = |page: &support::Page| page.count("streamwarden_retention_blocked") > 0;
    sidecar.wait("nothing to block it", |page| !is_blocked(page));
    let over = "its length is 1,000; it has exceeded its limit of 500 for more than 1s";
    let reason = format!("{over}; another sidecar (other:7:0badcafe) holds the lease");
    wait_for("the reason", || (stream(&sidecar)["reason"] == reason.as_str()).then_some(()));
    assert_eq!(stream(&sidecar)["retention"]["lease_holder"], "other:7:0badcafe");
    // Once the other one is gone, this one trims.
    redis.run::<i64>("DEL streamwarden:retention:lease");
    sidecar.next_poll();
    wait_for("its own trim", || (redis.run::<u64>("XLEN s") == 500).then_some(()));
    wait_for("no holder", || stream(&sidecar)["retention"]["lease_holder"].is_null().then_some(()));
}

#[test]
fn what_keeps_entries_from_a_trim_by_age_is_named_before_it() {
    let Some(redis) = trimming(Redis::start()) else { return };
    (1..=3).for_each(|number| drop(redis.run::<String>(&format!("XADD s 1700000000000-{number} a b"))));
    redis.run::<()>("XGROUP CREATE s slow 0");
    let directory = tempfile::tempdir().unwrap();
    let sidecar = sidecar(&redis, &directory);
    let blocked = |mode: &str, age: u64| {
        let body = format!(r#"{{"max_age_seconds": {age}, "mode": "{mode}"}}"#);
        let (status, plan) = post(&sidecar, &authorized(""), &body);
        assert_eq!(status, 200, "{plan}");
        (plan["blocked_by"]["group"].clone(), plan["removable_at_most"].clone())
    };
    assert_eq!(blocked("safe", 60), ("slow".into(), 0.into()));
    assert_eq!(blocked("strict", 60), (Json::Null, 3.into()));
    let decades = 1_000_000_000;
    assert_eq!(blocked("safe", decades), (Json::Null, 0.into()), "nothing is too old");
}

#[test]
fn of_several_that_block_a_plan_and_a_run_name_the_same() {
    let Some(redis) = trimming(Redis::start()) else { return };
    redis.add("s", 1_000);
    redis.run::<()>("XGROUP CREATE s slow 0");
    redis.run::<()>("XGROUP CREATE s slower 0");
    let directory = tempfile::tempdir().unwrap();
    let sidecar = configured(&redis, &directory, "streams: [{match: s, groups: [gone]}]");
    let (_, plan) = post(&sidecar, &authorized(""), r#"{"max_length": 500}"#);
    let (_, run) = post(&sidecar, &authorized(""), r#"{"max_length": 500, "dry_run": false}"#);
    assert_eq!((&plan["blocked_by"], &run["blocked_by"]["group"]), (&run["blocked_by"], &"slow".into()));
}

#[test]
fn what_is_wrong_in_a_request_is_not_repeated() {
    let redis = Redis::start();
    redis.add("s", 1);
    let directory = tempfile::tempdir().unwrap();
    let sidecar = sidecar(&redis, &directory);
    for (body, words) in [
        (
            r#"{"max_length": 5, "hunter2": 1}"#,
            "the known ones are: max_length, max_age_seconds, mode, exact, dry_run",
        ),
        (r#"{"max_length": 5, "mode": "hunter2"}"#, "mode must be safe or strict"),
        (
            r#"{"max_length": "hunter2", "max_age_seconds": -1}"#,
            "max_length must be a number from 0 on; max_age_seconds must be",
        ),
        ("{}", "max_length or max_age_seconds is needed"),
    ] {
        let (status, answer) = post(&sidecar, &authorized(""), body);
        let detail = answer["detail"].as_str().unwrap();
        assert!(status == 400 && detail.contains(words), "{answer}");
        assert!(!detail.contains("hunter2"), "{answer}");
    }
    // Who asks for JSON gets JSON, on any path.
    for (accept, given) in
        [("accept: application/json\r\n", "application/problem+json"), ("", "text/plain; charset=utf-8")]
    {
        let answer = sidecar.request("GET", "/nope", accept);
        assert_eq!((answer.status, answer.header("content-type").as_deref()), (404, Some(given)));
    }
}

#[test]
fn a_trim_by_age_says_first_how_many_entries_are_too_old() {
    let Some(redis) = trimming(Redis::start()) else { return };
    let now = redis.milliseconds();
    for number in 0..10 {
        redis.run::<String>(&format!("XADD s {}-{number} a b", now - 7_200_000));
    }
    redis.run::<String>("XADD s * a b");
    let directory = tempfile::tempdir().unwrap();
    let sidecar = sidecar(&redis, &directory);
    let numbers = |body: &str| {
        let (status, plan) = post(&sidecar, &authorized(""), body);
        assert_eq!(status, 200, "{plan}");
        let of = |name: &str| plan[name].clone();
        (of("too_old_at_least"), of("too_old_at_most"), of("removable_at_most"), of("removed"))
    };
    assert_eq!(numbers(r#"{"max_age_seconds": 3600}"#), (1.into(), 11.into(), 11.into(), 0.into()));
    assert_eq!(numbers(r#"{"max_age_seconds": 86400}"#), (0.into(), 0.into(), 0.into(), 0.into()));
    let null = serde_json::Value::Null;
    assert_eq!(numbers(r#"{"max_length": 8}"#), (null.clone(), null, 3.into(), 0.into()));
    let trim = r#"{"max_age_seconds": 3600, "exact": true, "dry_run": false}"#;
    assert_eq!(numbers(trim).3, 10);
    assert_eq!(redis.run::<u64>("XLEN s"), 1);
}
