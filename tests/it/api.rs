//! The JSON API: documents as they are described, keys of any bytes, what has not changed, and errors.

use std::{
    io::{Read, Write},
    net::TcpStream,
};

use flate2::read::GzDecoder;
use serde_json::Value;

use support::{Redis, Sidecar, wait_for};

const PATHS: [&str; 8] = [
    "/api/v1/streams",
    "/api/v1/groups",
    "/api/v1/groups/s/g/lag",
    "/api/v1/groups/s/g/lag_seconds",
    "/api/v1/groups/s/g/pending",
    "/api/v1/config",
    "/api/v1/openapi.json",
    "/api/v1/streams/s",
];

fn with_stream() -> (Redis, Sidecar) {
    let redis = Redis::start();
    redis.add("s", 30);
    redis.run::<()>("XGROUP CREATE s g 0");
    redis.read("s", "g", "c", 2);
    let config = "entries: {last: 2}\nstreams: [{match: s, groups: [g, missing], retention: {max_length: 10}}, {match: absent}, {match: '*'}]";
    let sidecar = Sidecar::with_config(&redis.uri(), config);
    sidecar.wait("the stream", |page| page.stream("length", "s") == Some(30.0));
    (redis, sidecar)
}

fn json(sidecar: &Sidecar, path: &str) -> Value {
    serde_json::from_slice(&sidecar.get(path).body).unwrap()
}

/// Fails where a value is not what the schema says, or has a field that the schema does not know.
#[track_caller]
fn assert_described(api: &Value, schema: &Value, value: &Value, at: &str) {
    if let Some(name) = schema["$ref"].as_str() {
        let name = name.rsplit('/').next().unwrap();
        return assert_described(api, &api["components"]["schemas"][name], value, at);
    }
    if let Some(either) = schema["anyOf"].as_array() {
        if !value.is_null() {
            assert_described(api, &either[0], value, at);
        }
        return;
    }
    if let Some(kinds) = schema["oneOf"].as_array() {
        let kind = kinds.iter().find(|kind| kind["properties"]["kind"]["const"] == value["kind"]);
        return assert_described(api, kind.unwrap_or_else(|| panic!("{at}: {value}")), value, at);
    }
    if let Some(choices) = schema["enum"].as_array() {
        assert!(choices.contains(value), "{at}: {value}");
    }
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    let kinds = schema["type"].as_array().cloned().unwrap_or_else(|| vec![schema["type"].clone()]);
    assert!(schema.get("enum").is_some() || kinds.contains(&kind.into()), "{at}: {value} is no {kinds:?}");
    if let Some(items) = value.as_array() {
        items.iter().for_each(|item| assert_described(api, &schema["items"], item, &format!("{at}[]")));
    }
    if let (Some(fields), Some(known)) = (value.as_object(), schema["properties"].as_object()) {
        for (name, field) in fields {
            let described = known.get(name).unwrap_or_else(|| panic!("{at}.{name} is not described"));
            assert_described(api, described, field, &format!("{at}.{name}"));
        }
        for name in schema["required"].as_array().unwrap() {
            assert!(fields.contains_key(name.as_str().unwrap()), "{at}.{name} is missing");
        }
    }
}

#[test]
fn every_field_is_described_and_every_described_field_is_there() {
    let (_redis, sidecar) = with_stream();
    let api = json(&sidecar, "/api/v1/openapi.json");
    assert_eq!(api["openapi"], "3.1.0");
    for path in PATHS {
        let described = path.replace("/streams/s", "/streams/{key}").replace("/s/g/", "/{key}/{group}/");
        let answers = &api["paths"][&described]["get"]["responses"];
        let schema = &answers["200"]["content"]["application/json"]["schema"];
        assert_described(&api, schema, &json(&sidecar, path), path);
    }
    let problem = &api["components"]["schemas"]["Problem"];
    assert_described(&api, problem, &json(&sidecar, "/api/v1/streams/none"), "problem");
}

#[test]
fn a_number_for_autoscalers_is_that_of_the_group_or_an_error() {
    let (mut redis, sidecar) = with_stream();
    let group = |path: &str| sidecar.get(&format!("/api/v1/groups/{path}"));
    assert_eq!(json(&sidecar, "/api/v1/groups/s/g/lag")["lag"], 28);
    let seconds = json(&sidecar, "/api/v1/groups/s/g/lag_seconds")["lag_seconds"].as_f64();
    assert_eq!(seconds, sidecar.scrape().group("lag_seconds", "s", "g"));
    for path in ["none/g/lag", "s/none/lag", "s/missing/lag", "absent/g/lag_seconds"] {
        assert_eq!(group(path).status, 404, "{path}: {}", group(path).text());
    }
    // IDs that are no times: how old the entry is, nobody knows.
    redis.run::<()>("XADD odd 5-5 a 1");
    redis.run::<()>("XGROUP CREATE odd g 0");
    wait_for("the group", || Some(group("odd/g/lag")).filter(|answer| answer.status == 200));
    let unknown = group("odd/g/lag_seconds");
    assert_eq!(unknown.status, 503, "{}", unknown.text());
    assert!(
        unknown.text().contains("the age of its oldest undelivered entry is unknown"),
        "{}",
        unknown.text()
    );
    redis.kill();
    let stale = wait_for("the reading to be stale", || Some(group("s/g/lag")).filter(|it| it.status != 200));
    assert_eq!(stale.status, 503);
    assert!(stale.text().contains("no number for group g of stream s: last read "), "{}", stale.text());
}

#[test]
fn the_documents_and_the_metrics_agree() {
    let (_redis, sidecar) = with_stream();
    let page = sidecar.scrape();
    let document = json(&sidecar, "/api/v1/streams");
    let streams = document["streams"].as_array().unwrap();
    let stream = streams.iter().find(|stream| stream["name"] == "s").unwrap();
    assert_eq!(stream["length"].as_f64(), page.stream("length", "s"));
    assert_eq!(stream["max_length"], 10);
    assert_eq!(stream["mode"], "safe");
    assert_eq!(stream["retention"]["excess"], 20);
    let group = stream["groups"].as_array().unwrap().iter().find(|group| group["name"] == "g").unwrap();
    assert_eq!(group["lag"].as_f64(), page.group("lag", "s", "g"));
    assert_eq!(group["pending"].as_f64(), page.group("pending", "s", "g"));
    assert_eq!(group["consumers"][0]["name"], "c");
    let missing =
        stream["groups"].as_array().unwrap().iter().find(|group| group["name"] == "missing").unwrap();
    assert_eq!((&missing["present"], &missing["lag"]), (&Value::Bool(false), &Value::Null));
    let absent = streams.iter().find(|stream| stream["name"] == "absent").unwrap();
    assert_eq!((&absent["present"], &absent["length"]), (&Value::Bool(false), &Value::Null));
    assert_eq!(absent["unreadable"], Value::Null, "absent, and no more");
    let groups = json(&sidecar, "/api/v1/groups");
    assert_eq!(groups["groups"].as_array().unwrap().len(), 2);
    assert_eq!(groups["groups"][0]["stream_key"], "s");
}

#[test]
fn of_the_last_entries_ids_and_types_are_shown_but_never_contents() {
    let redis = Redis::start();
    for id in 1..=9 {
        redis.run::<()>(&format!("XADD a {id}-0 payload a-secret event_type Created{id} more x"));
        redis.run::<()>(&format!("XADD b {id}-0 payload a-secret"));
        redis.run::<()>(&format!("XADD fat {id}-0 payload {}", "x".repeat(40_000)));
        redis.run::<()>(&format!("XADD late {id}-0 f v"));
    }
    let config = "entries: {last: 3, streams: 2, bytes: 100000}";
    let sidecar = Sidecar::with_config(&redis.uri(), config);
    sidecar.wait("the streams", |page| page.count("streamwarden_stream_length") == 4);
    let entries =
        |key: &str| json(&sidecar, &format!("/api/v1/streams/{key}"))["stream"]["last_entries"].clone();
    let created = |id: u8| serde_json::json!({"id": format!("{id}-0"), "type": format!("Created{id}")});
    assert_eq!(entries("a"), serde_json::json!([created(9), created(8), created(7)]));
    assert_eq!(entries("b")[0], serde_json::json!({"id": "9-0", "type": null}));
    assert_eq!(entries("fat"), Value::Null, "three of them are more bytes than may be read");
    assert_eq!(entries("late"), Value::Null, "the third stream that fits");
    assert!(!sidecar.get("/api/v1/streams").text().contains("a-secret"));

    let without = Sidecar::start(&redis);
    let page = without.wait("the streams", |page| page.count("streamwarden_stream_length") == 4);
    assert_eq!(json(&without, "/api/v1/streams/a")["stream"]["last_entries"], Value::Null);
    assert_eq!(page.get("streamwarden_redis_commands_total", &[("command", "xrevrange")]), Some(0.0));
}

#[test]
fn keys_of_any_bytes_come_back() {
    let redis = Redis::start();
    let names: [&[u8]; 8] =
        [b"events:session", b"a/b", b"\xff\xfe", b"%41", b"a b?c#d", "grün".as_bytes(), b"..", b"\r\n\0"];
    for name in names {
        redis::cmd("XADD")
            .arg(name)
            .arg("*")
            .arg("f")
            .arg("v")
            .query::<String>(&mut redis.connect())
            .unwrap();
    }
    let sidecar = Sidecar::start(&redis);
    sidecar.wait("the streams", |page| page.count("streamwarden_stream_length") == names.len());
    let document = json(&sidecar, "/api/v1/streams");
    let mut seen = 0;
    for stream in document["streams"].as_array().unwrap() {
        let key = stream["key"].as_str().unwrap();
        assert!(key.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"%-._~".contains(&byte)), "{key}");
        let one = json(&sidecar, &format!("/api/v1/streams/{key}"));
        assert_eq!(one["stream"]["name"], stream["name"], "{key}");
        seen += 1;
    }
    assert_eq!(seen, names.len());
}

#[test]
fn what_has_not_changed_is_not_sent_again() {
    let redis = Redis::start();
    redis.add("s", 3);
    redis.run::<()>("XGROUP CREATE s g 0");
    let sidecar = Sidecar::with_config(&redis.uri(), "poll: {interval: 1h}");
    sidecar.wait("the stream", |page| page.stream("length", "s") == Some(3.0));
    // Pending entries are asked for at each request.
    for path in PATHS.into_iter().filter(|path| !path.ends_with("/pending")) {
        let first = sidecar.get(path);
        let tag = first.header("etag").unwrap();
        let again = sidecar.request("GET", path, &format!("if-none-match: \"x\", {tag}\r\n"));
        assert_eq!((again.status, again.body.len()), (304, 0), "{path}");
        assert_eq!(again.header("etag").as_deref(), Some(tag.as_str()), "{path}");
        let other = sidecar.request("GET", path, "if-none-match: \"other\"\r\n");
        assert_eq!(other.status, 200, "{path}");
        let zipped = sidecar.request("GET", path, "accept-encoding: gzip\r\n");
        let mut plain = Vec::new();
        GzDecoder::new(zipped.body.as_slice()).read_to_end(&mut plain).unwrap();
        serde_json::from_slice::<Value>(&plain).unwrap();
        assert_eq!(sidecar.request("HEAD", path, "").status, 200);
    }
}

#[test]
fn a_poll_changes_the_tag() {
    let (_redis, sidecar) = with_stream();
    let tag = || sidecar.get("/api/v1/streams").header("etag").unwrap();
    let before = tag();
    sidecar.next_poll();
    assert_ne!(before, tag());
}

#[test]
fn errors_are_problems() {
    let (_redis, sidecar) = with_stream();
    for (method, path, status) in [
        ("GET", "/api/", 404),
        ("GET", "/api/v2/streams", 404),
        ("GET", "/api/v1/streams/", 404),
        ("POST", "/api/v1/none", 404),
        ("GET", "/api/v1/streams/none", 404),
        ("GET", "/api/v1/streams/s/", 404),
        ("GET", "/api/v1/streams/%ZZ", 400),
        ("POST", "/api/v1/streams", 405),
        ("DELETE", "/api/v1/streams/s", 405),
    ] {
        let answer = sidecar.request(method, path, "");
        assert_eq!(answer.status, status, "{method} {path}");
        assert_eq!(answer.header("content-type").as_deref(), Some("application/problem+json"), "{path}");
        let problem: Value = serde_json::from_slice(&answer.body).unwrap();
        assert_eq!(problem["status"], status);
        assert!(!problem["detail"].as_str().unwrap().is_empty());
    }
}

#[test]
fn a_stream_with_an_empty_name_is_reached_too() {
    let redis = Redis::start();
    redis.add("", 1);
    let sidecar = Sidecar::start(&redis);
    let stream = wait_for("the stream", || {
        let answer = sidecar.get("/api/v1/streams/");
        (answer.status == 200).then(|| serde_json::from_slice::<Value>(&answer.body).unwrap())
    });
    assert_eq!((&stream["stream"]["key"], &stream["stream"]["length"]), (&Value::from(""), &Value::from(1)));
}

#[test]
fn the_configuration_is_shown_without_secrets() {
    let redis = Redis::with_settings("requirepass s3cret-word");
    redis.add("s", 1);
    let sidecar = Sidecar::start(&redis);
    sidecar.wait("the stream", |page| page.stream("length", "s") == Some(1.0));
    let config = sidecar.get("/api/v1/config").text();
    assert!(config.contains("\"uri\":\"<redacted>\"") && config.contains("\"window\":\"5m\""), "{config}");
    for path in PATHS {
        assert!(!sidecar.get(path).text().contains("s3cret"), "{path}");
    }
}

#[test]
fn readers_who_stop_reading_hold_a_few_documents_at_most() {
    let redis = Redis::start();
    // A document larger than what the sockets' buffers hold: a key takes three bytes for each of these.
    let long = "/".repeat(120);
    let mut pipeline = redis::pipe();
    for stream in (0..190).map(|stream| format!("stream-{stream}")) {
        for group in (0..25).map(|group| format!("{long}{group}")) {
            pipeline.cmd("XGROUP").arg("CREATE").arg(&stream).arg(group).arg("0").arg("MKSTREAM").ignore();
        }
    }
    pipeline.query::<()>(&mut redis.connect()).unwrap();
    let sidecar = Sidecar::start(&redis);
    sidecar.wait("all streams", |page| page.count("streamwarden_stream_length") == 190);
    let mut stuck: Vec<TcpStream> = Vec::new();
    let refused = wait_for("a refusal", || {
        assert!(stuck.len() < 30, "no limit");
        let mut stream = TcpStream::connect(sidecar.address()).unwrap();
        stream.write_all(b"GET /api/v1/streams HTTP/1.1\r\nhost: t\r\n\r\n").unwrap();
        stuck.push(stream);
        Some(sidecar.get("/api/v1/config")).filter(|answer| answer.status == 503)
    });
    assert_eq!(refused.header("retry-after").as_deref(), Some("1"));
    assert_eq!(sidecar.next_poll().count("streamwarden_stream_length"), 190);
    drop(stuck);
    wait_for("a place", || (sidecar.get("/api/v1/streams").status == 200).then_some(()));
}

#[test]
fn before_the_first_reading_nothing_is_known() {
    let sidecar = Sidecar::with_config("redis://127.0.0.1:1/0", "");
    let document = json(&sidecar, "/api/v1/streams");
    assert_eq!(document["server"], Value::Null);
    assert_eq!(document["summary"]["health"], "unknown");
    assert_eq!(document["poll"]["last_success_unix_ms"], Value::Null);
    assert_eq!(document["streams"], Value::Array(Vec::new()));
}
