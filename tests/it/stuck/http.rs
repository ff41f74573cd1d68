//! Pending entries over HTTP.

use std::thread;

use redis::Value;
use serde_json::{Value as Json, json};

use super::{redeliver, stream};
use support::{Answer, Redis, Sidecar};

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
    assert!(
        poison["idle_seconds"].as_f64().unwrap() >= 3_600.0 && poison["age_seconds"].as_f64().unwrap() > 1e9
    );
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
