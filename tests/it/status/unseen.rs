//! Faults that no lag shows: what `status` and the API say of them.

use std::time::Duration;

use redis::Value as Reply;
use serde_json::Value;

use super::{WINDOW, command, json, life::Life, wait_until};
use support::{Need, Redis, Sidecar, stays_so, wait_for};

fn all_are_healthy(sidecar: &Sidecar, streams: u64) {
    wait_for("all streams to be healthy", || {
        let document = json(sidecar, "/api/v1/streams");
        let is_calm = document["faults"] == Value::from(Vec::<Value>::new());
        (document["summary"]["healthy"] == streams && is_calm).then_some(())
    });
}

/// Waits until all three streams say so, and returns the fault of their server.
fn recreated(sidecar: &Sidecar, reason: &str) -> Value {
    wait_for(&format!("three streams: {reason}"), || {
        let document = json(sidecar, "/api/v1/streams");
        let streams = document["streams"].as_array()?;
        let is_reported = |stream: &Value| {
            stream["health"] == "warning" && stream["reason"].as_str().is_some_and(|it| it.ends_with(reason))
        };
        let cause = &document["faults"][0]["cause"];
        let are_all = streams.len() == 3 && streams.iter().all(is_reported) && cause["recreated"] == 3;
        are_all.then(|| cause.clone())
    })
}

#[test]
fn a_server_that_comes_back_empty_and_is_filled_again_is_reported_for_a_window() {
    let mut redis = Redis::start();
    if !redis.meets(Need::COUNTED_ADDITIONS) {
        return;
    }
    let fill = |redis: &Redis, entries| ["a", "b", "c"].map(|stream| redis.add(stream, entries));
    fill(&redis, 3);
    let sidecar = Sidecar::with_config(&redis.uri(), "status: {window: 3s}\nstreams: [{match: '*'}]");
    all_are_healthy(&sidecar, 3);
    redis.run::<()>("FLUSHALL");
    fill(&redis, 1);
    let cause = recreated(&sidecar, "the 3 entries that it had are gone");
    assert_eq!((&cause["kind"], &cause["restarted_seconds"]), (&"streams_recreated".into(), &Value::Null));
    let (text, code) = command(&sidecar, &[]);
    assert!(text.contains("3 of 3 streams were recreated or rolled back, as after FLUSHALL"), "{text}");
    assert!(text.contains("it was recreated ") && code == 1, "{text}");
    assert_eq!(sidecar.log().matches("the stream was recreated").count(), 3, "{}", sidecar.log());
    all_are_healthy(&sidecar, 3);

    redis.kill();
    redis.restart();
    fill(&redis, 2);
    let cause = recreated(&sidecar, "the 1 entry that it had is gone");
    assert!(cause["restarted_seconds"].as_f64().is_some_and(|ago| ago < 30.0), "{cause}");
    all_are_healthy(&sidecar, 3);
    assert_eq!(sidecar.log().matches("the stream was recreated").count(), 6, "{}", sidecar.log());
}

/// The fault that says that streams are gone, if there is one.
fn gone(sidecar: &Sidecar) -> Option<Value> {
    let faults = json(sidecar, "/api/v1/streams")["faults"].as_array().expect("a list").clone();
    faults.into_iter().find(|it| it["cause"]["kind"] == "streams_vanished")
}

#[test]
fn streams_that_are_gone_are_a_fault_of_the_server_at_once_and_until_they_are_back() {
    let redis = Redis::start();
    (0..21).for_each(|stream| redis.add(&format!("s{stream}"), 1));
    let config = "poll: {interval: 500ms}\nstreams: [{match: '*'}]";
    let sidecar = Sidecar::with_default_polls(&redis.uri(), config);
    sidecar.wait("the streams", |page| page.count("streamwarden_stream_length") == 21);
    assert_eq!(gone(&sidecar), None);
    redis.run::<()>("MOVE s0 3");
    redis.run::<()>("SWAPDB 0 3");
    // A search is due each minute: this one comes with the poll that finds the streams gone.
    let fault = wait_for("the fault", || gone(&sidecar));
    assert_eq!((&fault["health"], &fault["node"]), (&"warning".into(), &Value::Null), "{fault}");
    let cause = &fault["cause"];
    assert_eq!((&cause["found"], &cause["before"]), (&1.into(), &21.into()), "{fault}");
    let words = "the search finds 1 stream; within the last 6h it found 21: \
        was the database flushed, swapped or restarted empty?";
    assert_eq!(fault["reason"], words);
    let (text, code) = command(&sidecar, &[]);
    assert!(text.contains(words) && text.contains("server: warning") && code == 1, "{text}");
    let since = |fault: &Value| fault["seen_since_unix_ms"].as_u64().expect("a time");
    sidecar.next_poll();
    sidecar.next_poll();
    assert_eq!(gone(&sidecar).as_ref().map(since), Some(since(&fault)), "it goes on");

    redis.run::<()>("SWAPDB 0 3");
    sidecar.configure(config);
    sidecar.signal("HUP");
    wait_for("the fault to be over", || gone(&sidecar).is_none().then_some(()));
}

#[test]
fn a_stream_under_a_pattern_whose_key_is_of_another_type_stays_in_view_until_it_is_deleted() {
    let redis = Redis::start();
    redis.add("s", 1);
    redis.add("other", 1);
    let sidecar = Sidecar::with_config(&redis.uri(), "streams: [{match: '*'}]");
    sidecar.wait("the stream", |page| page.stream("length", "s") == Some(1.0));
    let is_reported = || {
        let labels = [("stream", "s"), ("reason", "wrongtype")];
        sidecar.scrape().get("streamwarden_stream_unreadable", &labels) == Some(1.0)
    };
    let change = || {
        redis.run::<()>("SET s text");
        wait_for("the other type", || is_reported().then_some(()));
    };
    change();
    // Several searches, which find one stream.
    stays_so(Duration::from_secs(1), "it is reported", is_reported);
    let stream = &json(&sidecar, "/api/v1/streams/s")["stream"];
    assert_eq!(
        (&stream["reason"], &stream["health"]),
        (&"the key holds another type".into(), &"unknown".into())
    );
    redis.run::<()>("DEL s");
    wait_for("it to be gone", || (sidecar.get("/api/v1/streams/s").status == 404).then_some(()));

    redis.add("s", 1);
    sidecar.wait("the stream", |page| page.stream("length", "s") == Some(1.0));
    change();
    redis.run::<()>("DEL s");
    redis.add("s", 2);
    sidecar.wait("a stream again", |page| page.stream("length", "s") == Some(2.0));
    assert!(!is_reported());
}

#[test]
fn the_holder_of_the_lease_is_named_where_a_group_blocks_only_a_part() {
    let redis = Redis::start();
    if !redis.meets(Need::SAFE_TRIMS) {
        return;
    }
    redis.add("s", 1_000);
    redis.run::<()>("XGROUP CREATE s g 0");
    redis.run::<Reply>("XREADGROUP GROUP g c COUNT 300 NOACK STREAMS s >");
    redis.run::<()>("SET streamwarden:retention:lease other");
    let config = "retention: {interval: 1s}\nstreams: [{match: s, retention: {max_length: 500}}]";
    let sidecar = Sidecar::with_config(&redis.uri(), config);
    let retention = || json(&sidecar, "/api/v1/streams/s")["stream"]["retention"].clone();
    let held = wait_for("the holder", || Some(retention()).filter(|it| it["lease_holder"] == "other"));
    assert_eq!(held["blocked_by"].as_array().map(Vec::len), Some(0), "300 entries may be removed: {held}");
    assert_eq!(sidecar.scrape().count("streamwarden_retention_blocked"), 0);
    redis.run::<()>("XGROUP SETID s g 0");
    let held = wait_for("the group", || Some(retention()).filter(|it| it["blocked_by"][0]["group"] == "g"));
    assert_eq!(held["lease_holder"], "other");
}

#[test]
fn a_group_that_leaves_less_than_a_node_to_remove_is_named_without_the_lease_too() {
    let redis = Redis::start();
    if !redis.meets(Need::SAFE_TRIMS) {
        return;
    }
    redis.add("s", 1_000);
    redis.run::<()>("XGROUP CREATE s g 0");
    redis.run::<Reply>("XREADGROUP GROUP g c COUNT 30 NOACK STREAMS s >");
    redis.run::<()>("SET streamwarden:retention:lease other");
    let retention = |exact: bool| {
        let config = format!("streams: [{{match: s, retention: {{max_length: 950, exact: {exact}}}}}]");
        let sidecar = Sidecar::with_config(&redis.uri(), &config);
        let retention = || json(&sidecar, "/api/v1/streams/s")["stream"]["retention"].clone();
        wait_for("the holder", || Some(retention()).filter(|it| it["lease_holder"] == "other"))
    };
    assert_eq!(retention(false)["blocked_by"][0]["group"], "g");
    assert_eq!(retention(true)["blocked_by"], Value::from(Vec::<Value>::new()), "30 entries may be removed");
}

#[test]
fn a_group_that_blocks_retention_is_named_at_once_by_all_views() {
    let redis = Redis::start();
    if !redis.meets(Need::SAFE_TRIMS) {
        return;
    }
    redis.add("s", 1_000);
    redis.run::<()>("XGROUP CREATE s g 0");
    redis.read("s", "g", "c", 1);
    redis.run::<Reply>("XREADGROUP GROUP g c NOACK STREAMS s >");
    // Trims are an hour apart by default.
    let config = "streams: [{match: s, groups: [g], retention: {max_length: 500}}]";
    let sidecar = Sidecar::with_config(&redis.uri(), config);
    let reason =
        "its length is 1,000, over its limit of 500: group g has not acknowledged the oldest entries";
    wait_for("the blocking group", || {
        let document = json(&sidecar, "/api/v1/streams");
        let stream = &document["streams"][0];
        let (text, code) = command(&sidecar, &["s"]);
        let labels = [("stream", "s"), ("status", "warning")];
        let agree = stream["health"] == "warning"
            && stream["reason"] == reason
            && stream["cause"]["kind"] == "too_long"
            && document["summary"]["warning"] == 1
            && sidecar.scrape().get("streamwarden_stream_health", &labels) == Some(1.0)
            && text.contains(reason)
            && code == 1;
        agree.then_some(())
    });
    redis.run::<u64>(&format!("XACK s g {}", redis.run::<(u64, String, String, Reply)>("XPENDING s g").1));
    sidecar.next_poll();
    wait_for("its trim", || (redis.run::<u64>("XLEN s") == 500).then_some(()));
    all_are_healthy(&sidecar, 1);
}

#[test]
fn a_dead_consumer_that_holds_entries_is_named_while_others_go_on() {
    let redis = Redis::start();
    redis.add("s", 3);
    redis.run::<()>("XGROUP CREATE s g 0");
    redis.read("s", "g", "dead", 3);
    let _life = Life::start(&redis);
    let config = format!("{WINDOW}consumers: {{stuck_after: 1s}}\nstreams: [{{match: s, groups: [g]}}]");
    let sidecar = Sidecar::with_config(&redis.uri(), &config);
    wait_until(&sidecar, "lagging", "consumer dead holds 3 pending entries, without progress for");
    let ids: Vec<(String, String, u64, u64)> = redis.run("XPENDING s g - + 10 dead");
    let ids: Vec<String> = ids.into_iter().map(|(id, ..)| id).collect();
    redis.run::<u64>(&format!("XACK s g {}", ids.join(" ")));
    wait_until(&sidecar, "ok", "");
}

#[test]
fn progress_is_claimed_only_after_a_delivery_or_an_acknowledgement() {
    let redis = Redis::start();
    redis.add("s", 10);
    redis.run::<()>("XGROUP CREATE s g 0");
    redis.read("s", "g", "c", 1);
    let config = "status: {window: 12s, stopped_after: 1h}\nstreams: [{match: s, groups: [g]}]";
    let sidecar = Sidecar::with_config(&redis.uri(), config);
    wait_until(&sidecar, "unknown", "watched for only");
    let ids: Vec<(String, Reply)> = redis.run("XRANGE s - + COUNT 5");
    redis.run::<()>(&format!("XGROUP SETID s g {}", ids[4].0));
    wait_until(&sidecar, "ok", "no delivery or acknowledgement was seen for");
    redis.read("s", "g", "c", 1);
    wait_until(&sidecar, "ok", "consumers are making progress");
    wait_until(&sidecar, "ok", "a delivery or acknowledgement was last seen");
}

#[test]
fn a_group_that_retention_ignores_makes_nothing_unhealthy() {
    let redis = Redis::start();
    if !redis.meets(Need::COUNTED_ADDITIONS) {
        return;
    }
    redis.add("s", 10);
    redis.run::<()>("XGROUP CREATE s g 0");
    let config = |ignored: &str| {
        format!(
            "{WINDOW}streams: [{{match: s, retention: {{max_length: 1000000, ignore_groups: [{ignored}]}}}}]"
        )
    };
    let sidecar = Sidecar::with_config(&redis.uri(), &config("g"));
    wait_until(&sidecar, "ok", "retention.ignore_groups has it, so it is not reported as no_consumers");
    redis.run::<u64>("XTRIM s MAXLEN 5");
    wait_until(&sidecar, "ok", "retention.ignore_groups has it, so it is not reported as trimmed_past");
    let page = sidecar.scrape();
    let group = |family| page.get(family, &[("stream", "s"), ("group", "g")]);
    assert_eq!(group("streamwarden_group_entries_lost_total"), Some(5.0), "it is still counted");
    assert_eq!(group("streamwarden_group_ignored"), Some(1.0));
    sidecar.configure(&config(""));
    sidecar.signal("HUP");
    wait_until(&sidecar, "no_consumers", "");
    assert_eq!(sidecar.scrape().count("streamwarden_group_ignored"), 0);
}
