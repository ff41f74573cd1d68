//! What a search finds under patterns, and what is reported when that is gone or may not be read.

use serde_json::Value;

use support::{Need, Redis, Sidecar, wait_for};

const FOUND: &str = "streamwarden_found_streams";
const FORBIDDEN: &str = "streamwarden_forbidden_streams";
const UNREADABLE: &str = "streamwarden_stream_unreadable";

#[test]
fn a_server_that_is_flushed_or_restarts_empty_under_a_pattern_is_reported() {
    let mut redis = Redis::start();
    (0..10).for_each(|stream| redis.add(&format!("s{stream}"), 1));
    let sidecar = Sidecar::with_config(&redis.uri(), "streams: [{match: named}, {match: 's*'}]");
    sidecar.wait("the streams", |page| page.own(FOUND) == 10.0);
    let told = |what: &str| sidecar.log().matches(what).count();
    let (fewer, as_many) = ("far fewer streams than before", "as many streams as before");
    (0..4).for_each(|stream| redis.run::<()>(&format!("DEL s{stream}")));
    sidecar.wait("six streams", |page| page.own(FOUND) == 6.0);
    assert_eq!(told(fewer), 0, "more than half are there");

    redis.run::<()>("FLUSHALL");
    let page = sidecar.wait("no stream", |page| page.own(FOUND) == 0.0);
    assert_eq!(page.own("streamwarden_redis_up"), 1.0);
    wait_for("the log's word", || (told(fewer) == 1).then_some(()));
    (0..10).for_each(|stream| redis.add(&format!("s{stream}"), 1));
    wait_for("the recovery", || (told(as_many) == 1).then_some(()));

    redis.kill();
    redis.restart();
    sidecar.wait("no stream again", |page| page.own(FOUND) == 0.0);
    wait_for("the log's word", || (told(fewer) == 2).then_some(()));
}

#[test]
fn the_first_stream_shows_up_without_waiting_for_the_next_search() {
    let redis = Redis::start();
    let config = "poll: {interval: 500ms, discovery_interval: 1h}";
    let sidecar = Sidecar::with_default_polls(&redis.uri(), config);
    sidecar.wait("a poll without streams", |page| page.own("streamwarden_redis_up") == 1.0);
    redis.add("first", 1);
    sidecar.wait("the first stream", |page| page.stream("length", "first") == Some(1.0));
    redis.add("second", 1);
    redis.add("first", 1);
    let page = sidecar.wait("another poll", |page| page.stream("length", "first") == Some(2.0));
    assert_eq!(page.stream("length", "second"), None, "from the first stream on, the interval counts");
}

#[test]
fn a_stream_under_a_pattern_that_the_user_may_not_read_is_counted_and_a_named_one_is_unreadable() {
    let redis = Redis::start();
    for stream in ["mine:a", "mine:b", "theirs:a", "theirs:b", "theirs:named"] {
        redis.add(stream, 1);
    }
    redis.run::<()>("ACL SETUSER watcher on >secret ~mine:* +@all");
    let uri = redis.uri().replace("redis://", "redis://watcher:secret@");
    let sidecar = Sidecar::with_config(&uri, "streams: [{match: 'theirs:named'}, {match: '*'}]");
    let page = sidecar.wait("the streams", |page| page.own(FORBIDDEN) == 2.0);
    assert_eq!(page.count(UNREADABLE), 1);
    assert_eq!(page.get(UNREADABLE, &[("stream", "theirs:named"), ("reason", "noperm")]), Some(1.0));
    assert_eq!(page.stream("length", "mine:a"), Some(1.0));
    assert_eq!(sidecar.log().matches("keys the user may not read").count(), 1);

    redis.run::<()>("ACL SETUSER watcher ~theirs:*");
    let page = sidecar.wait("all of them", |page| page.count("streamwarden_stream_length") == 5);
    assert_eq!((page.own(FORBIDDEN), page.count(UNREADABLE)), (0.0, 0));
    // A command that is refused is a fault of the user's rule, and so it stays told of each stream.
    redis.run::<()>("ACL SETUSER watcher -xinfo -xlen");
    let page = sidecar.wait("what is refused", |page| page.count(UNREADABLE) == 5);
    assert_eq!(page.own(FORBIDDEN), 0.0);
    let answer: Value = serde_json::from_slice(&sidecar.get("/api/v1/streams/mine%3Aa").body).unwrap();
    let stream = &answer["stream"];
    let reason = stream["reason"].as_str().unwrap();
    assert!(reason.starts_with("it could not be read: noperm: the user may not run X"), "{reason}");
    assert!(reason.ends_with("; streamwarden acl prints the rule that it needs"), "{reason}");
    let command = stream["cause"]["refused_command"].as_str().unwrap();
    assert!(reason.contains(&format!("may not run {command};")), "{reason}");
}

#[test]
fn a_stream_under_a_pattern_that_is_gone_at_one_poll_and_refilled_at_another_counts_as_recreated() {
    let redis = Redis::start();
    redis.add("s", 10);
    let sidecar = Sidecar::with_config(&redis.uri(), "streams: [{match: '*'}]");
    sidecar.wait("the stream", |page| page.stream("recreations_total", "s") == Some(0.0));
    redis.run::<()>("DEL s");
    sidecar.wait("it to be gone", |page| page.stream("length", "s").is_none());
    redis.add("s", 5);
    let page = sidecar.wait("it to be back", |page| page.stream("length", "s") == Some(5.0));
    // Before Redis 7.0 nothing tells that from a stream that was renamed, added to, and renamed back.
    let is_proven = redis.meets(Need::COUNTED_ADDITIONS);
    assert_eq!(page.stream("recreations_total", "s"), Some(if is_proven { 1.0 } else { 0.0 }));
}
