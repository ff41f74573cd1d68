//! Streams with very many consumers or groups: nothing vanishes, and what is left out is counted.

use support::{Need, Page, Redis, Sidecar, wait_for};

/// A stream of 600 entries with a group of as many consumers, each of which holds the first that it was given.
fn crowded(waiting: usize) -> Redis {
    let redis = Redis::start();
    redis.add("s", 600);
    redis.run::<()>("XGROUP CREATE s g 0");
    let mut pipeline = redis::pipe();
    for consumer in 0..600 {
        let words = format!("GROUP g consumer-{consumer:03} COUNT 1 STREAMS s >");
        pipeline.cmd("XREADGROUP").arg(words.split(' ').collect::<Vec<_>>()).ignore();
    }
    pipeline.query::<()>(&mut redis.connect()).unwrap();
    redis.add("s", waiting);
    redis
}

fn polls(page: &Page) -> f64 {
    page.own("streamwarden_polls_total")
}

fn status(page: &Page, status: &str) -> Option<f64> {
    page.get("streamwarden_group_status", &[("group", "g"), ("status", status)])
}

#[test]
fn what_is_said_of_consumers_stays_with_its_age_where_not_each_poll_reads_them() {
    let redis = crowded(5);
    let config = "consumers: {stuck_after: 100ms, max_per_group: 3}\n\
                  status: {window: 2s, stopped_after: 300ms}\n";
    let sidecar = Sidecar::with_config(&redis.uri(), config);
    sidecar.wait("the status", |page| status(page, "stopped") == Some(1.0));
    let (mut page, mut ages) = (sidecar.scrape(), Vec::new());
    let are = |ages: &[f64], is_so: fn(&f64) -> bool| ages.iter().filter(|age| is_so(age)).count();
    while are(&ages, |age| *age == 0.0) < 3 || are(&ages, |age| *age > 0.0) < 3 {
        assert_eq!(page.group("stuck_consumers", "s", "g"), Some(600.0));
        assert_eq!(page.group("unlisted_consumers", "s", "g"), Some(597.0));
        assert_eq!(page.group("unlisted_pending", "s", "g"), Some(597.0));
        assert_eq!(page.label_values("streamwarden_consumer_pending", "consumer").len(), 3);
        assert_eq!(status(&page, "stopped"), Some(1.0));
        ages.push(page.group("consumers_age_seconds", "s", "g").unwrap());
        let last = polls(&page);
        page = sidecar.wait("the next poll", |page| polls(page) > last);
        assert!(ages.len() < 100, "{ages:?}");
    }
    assert!(ages.iter().all(|age| *age < 2.0), "{ages:?}");
    let document: serde_json::Value = serde_json::from_str(&sidecar.get("/api/v1/streams/s").text()).unwrap();
    let group = &document["stream"]["groups"][0];
    assert_eq!(group["stuck_consumers"], 600);
    assert_eq!(group["consumers"].as_array().unwrap().len(), 3);
    assert!(group["consumers_age_seconds"].as_f64().is_some(), "{group}");

    // What is read away moves the group: from then on nobody calls it stopped.
    redis.read("s", "g", "consumer-000", 5);
    sidecar.wait("another status", |page| status(page, "stopped") == Some(0.0));
}

#[test]
fn a_group_beyond_the_limit_is_counted_and_one_that_must_be_there_is_watched() {
    let redis = Redis::start();
    redis.add("s", 300);
    for group in ["a", "b", "c", "d", "wanted"] {
        redis.run::<()>(&format!("XGROUP CREATE s {group} $"));
    }
    let rules =
        |limit| format!("limits: {{groups_per_stream: {limit}}}\nstreams: [{{match: s, groups: [wanted]}}]");
    let sidecar = Sidecar::with_config(&redis.uri(), &rules(2));
    let page = sidecar.wait("the stream", |page| page.stream("length", "s") == Some(300.0));
    assert_eq!(page.own("streamwarden_unwatched_groups"), 2.0);
    assert_eq!(page.stream("groups", "s"), Some(5.0));
    let watched = page.label_values("streamwarden_group_lag", "group");
    assert_eq!(watched, ["a", "b", "wanted"]);
    assert_eq!(page.get("streamwarden_stream_health", &[("stream", "s"), ("status", "unknown")]), Some(1.0));
    let document = sidecar.get("/api/v1/streams/s").text();
    assert!(document.contains("\"unwatched_groups\":2"), "{document}");
    assert!(document.contains("2 of its groups are not watched"), "{document}");
    wait_for("the log's word", || {
        sidecar.log().contains("more groups than limits.groups_per_stream").then_some(())
    });

    sidecar.configure(&rules(5));
    let page = sidecar.wait("all of them", |page| page.own("streamwarden_unwatched_groups") == 0.0);
    assert_eq!(page.count("streamwarden_group_lag_known"), 5);
    assert_eq!(page.get("streamwarden_stream_health", &[("stream", "s"), ("status", "healthy")]), Some(1.0));
}

/// Entries may be needed by what the sidecar leaves out of its page.
#[test]
fn retention_looks_at_all_groups_or_removes_nothing() {
    let Some(redis) = crate::retention::trimming(Redis::start()) else { return };
    redis.add("s", 300);
    redis.run::<()>("XGROUP CREATE s a $");
    redis.run::<()>("XGROUP CREATE s z 0");
    redis.read("s", "z", "c", 200);
    for id in redis.run::<Vec<(String, redis::Value)>>("XRANGE s - + COUNT 200") {
        redis.run::<u64>(&format!("XACK s z {}", id.0));
    }
    redis.run::<()>("ACL SETUSER plain on nopass ~* +@all -eval");
    let config = "limits: {groups_per_stream: 1}\nretention: {interval: 1s}\n\
                  streams: [{match: s, retention: {max_length: 50}}]";
    let plain = Sidecar::with_config(&redis.uri().replace("redis://", "redis://plain:x@"), config);
    let blocked = |reason| {
        move |page: &Page| page.get("streamwarden_retention_blocked", &[("reason", reason)]) == Some(1.0)
    };
    let page = plain.wait("a refusal", blocked("unwatched_groups"));
    assert_eq!(
        (page.stream("length", "s"), page.count("streamwarden_retention_removable")),
        (Some(300.0), 0)
    );
    drop(plain);

    redis.run::<()>("DEL streamwarden:retention:lease");
    let sidecar = Sidecar::with_config(&redis.uri(), config);
    sidecar.wait("what nobody needs to be trimmed", |page| page.stream("length", "s") == Some(100.0));
    let page = sidecar.wait("the holder", blocked("unread"));
    assert_eq!(page.get("streamwarden_retention_blocked", &[("group", "z")]), Some(1.0));
}

/// Each of these groups has more than one thing to be asked once, and nothing changes after that.
#[test]
fn what_was_asked_once_is_not_asked_again_while_nothing_changes() {
    let Some(redis) = Redis::start().if_meets(Need::COUNTED_ADDITIONS) else { return };
    for stream in 0..200 {
        let stream = format!("s{stream:03}");
        redis.add(&stream, 300);
        redis.run::<()>(&format!("XGROUP CREATE {stream} g 0"));
        (0..5).for_each(|consumer| redis.read(&stream, "g", &format!("c{consumer}"), 1));
    }
    // So few that lags take many polls.
    let sidecar = Sidecar::with_config(&redis.uri(), "lag_count: {entries: 1000}\nstreams: [{match: 's*'}]");
    let page = sidecar.wait("all samples", |page| page.count("streamwarden_group_poison_entries") == 200);
    let lags = |page: &Page| page.label_values("streamwarden_group_lag", "group").len();
    assert!(lags(&page) < 200, "lags are not settled yet");
    let page = sidecar.wait("all lags", |page| lags(page) == 200);
    let sent = |command| page.get("streamwarden_redis_commands_total", &[("command", command)]).unwrap();
    assert_eq!(sent("xpending"), 200.0, "one for each group");
    assert!(sent("xrange") <= 200.0, "{} lookups of first entries", sent("xrange"));
}
