//! What the page shows of streams, groups and consumers.

use std::collections::BTreeSet;

use support::{Need, Page, Redis, Sidecar};

#[test]
fn a_stream_is_shown_with_its_groups_and_consumers() {
    let redis = Redis::start();
    redis.add("orders", 10);
    redis.run::<()>("XGROUP CREATE orders billing 0");
    redis.read("orders", "billing", "alice", 4);
    let first: Vec<(String, Vec<String>)> = redis.run("XRANGE orders - + COUNT 1");
    redis.run::<u64>(&format!("XACK orders billing {}", first[0].0));
    let sidecar = Sidecar::start(&redis);
    let page = sidecar.wait("the stream", |page| page.stream("present", "orders") == Some(1.0));

    assert_eq!(page.stream("length", "orders"), Some(10.0));
    assert_eq!(page.stream("groups", "orders"), Some(1.0));
    assert!(page.stream("oldest_entry_age_seconds", "orders").unwrap() < 60.0);
    assert!(page.stream("last_write_age_seconds", "orders").unwrap() < 60.0);
    assert_eq!(page.group("pending", "orders", "billing"), Some(3.0));
    assert_eq!(page.group("consumers", "orders", "billing"), Some(1.0));
    assert_eq!(page.group("oldest_pending_deliveries", "orders", "billing"), Some(1.0));
    assert!(page.group("oldest_pending_age_seconds", "orders", "billing").unwrap() < 60.0);
    assert!(page.group("lag_upper_bound", "orders", "billing").unwrap() >= 6.0);
    assert_eq!(page.consumer("pending", "alice"), Some(3.0));
    assert!(page.consumer("idle_seconds", "alice").unwrap() < 60.0);
    assert_eq!(page.own("streamwarden_redis_up"), 1.0);
    assert_eq!(page.own("streamwarden_redis_info"), 1.0);
}

#[test]
fn lag_is_right_at_both_ends_of_a_stream() {
    let redis = Redis::start();
    redis.add("s", 5);
    redis.run::<()>("XGROUP CREATE s new 0");
    redis.run::<()>("XGROUP CREATE s done $");
    let sidecar = Sidecar::start(&redis);
    let page = sidecar.wait("the groups", |page| page.group("lag", "s", "new").is_some());
    for (group, lag) in [("new", 5.0), ("done", 0.0)] {
        assert_eq!(page.group("lag", "s", group), Some(lag));
        assert_eq!(page.group("lag_known", "s", group), Some(1.0));
        assert_eq!(page.group("lag_upper_bound", "s", group), Some(lag));
    }
}

#[test]
fn a_deleted_entry_ahead_of_a_group_never_makes_a_wrong_lag() {
    let redis = Redis::start();
    redis.add("s", 10);
    redis.run::<()>("XGROUP CREATE s g 0");
    redis.read("s", "g", "c", 4);
    let all: Vec<(String, Vec<String>)> = redis.run("XRANGE s - +");
    redis.run::<u64>(&format!("XDEL s {}", all[6].0));
    let sidecar = Sidecar::start(&redis);
    let page = sidecar.wait("the group", |page| page.group("pending", "s", "g") == Some(4.0));
    assert!([None, Some(5.0)].contains(&page.group("lag", "s", "g")));
    assert!(page.group("lag_upper_bound", "s", "g").unwrap() >= 5.0);
}

#[test]
fn a_deleted_consumer_group_or_stream_leaves_the_next_page() {
    let redis = Redis::start();
    for stream in ["kept", "gone"] {
        redis.add(stream, 3);
        redis.run::<()>(&format!("XGROUP CREATE {stream} one 0"));
        redis.run::<()>(&format!("XGROUP CREATE {stream} two 0"));
        redis.read(stream, "one", &format!("reader-of-{stream}"), 1);
    }
    let sidecar = Sidecar::start(&redis);
    sidecar.wait("both streams", |page| page.label_values("streamwarden_group_pending", "group").len() == 4);

    redis.run::<u64>("XGROUP DELCONSUMER kept one reader-of-kept");
    assert_eq!(sidecar.next_poll().consumer("pending", "reader-of-kept"), None);
    redis.run::<u64>("XGROUP DESTROY kept two");
    let page = sidecar.next_poll();
    assert_eq!(page.group("pending", "kept", "two"), None);
    assert_eq!(page.group("pending", "kept", "one"), Some(0.0));
    redis.run::<u64>("DEL gone");
    let page = sidecar.next_poll();
    assert_eq!(page.stream("length", "gone"), None);
    assert_eq!(page.stream("present", "gone"), None);
    assert_eq!(page.label_values("streamwarden_group_pending", "group").len(), 1);
}

#[test]
fn an_expected_stream_and_group_are_missed() {
    let redis = Redis::start();
    redis.add("here", 1);
    redis.run::<()>("XGROUP CREATE here known 0");
    redis.run::<()>("SET wrong text");
    // A name is one wherever it stands, though an earlier rule sets its limits.
    let rules = "streams: [{match: here, groups: [known, missing]}, {match: absent, groups: [g]}, {match: 'w*'}, {match: wrong}]";
    let sidecar = Sidecar::with_config(&redis.uri(), rules);
    let page = sidecar.wait("a poll", |page| page.stream("present", "here") == Some(1.0));
    assert_eq!(page.group("present", "here", "known"), Some(1.0));
    assert_eq!(page.group("present", "here", "missing"), Some(0.0));
    assert_eq!(page.stream("present", "absent"), Some(0.0));
    assert_eq!(page.group("present", "absent", "g"), Some(0.0));
    assert_eq!(page.stream("present", "wrong"), Some(0.0));
    assert_eq!(
        page.get("streamwarden_stream_unreadable", &[("stream", "wrong"), ("reason", "wrongtype")]),
        Some(1.0)
    );
    assert_eq!(page.own("streamwarden_redis_up"), 1.0);

    redis.run::<u64>("DEL wrong");
    redis.add("wrong", 1);
    redis.add("absent", 1);
    let page = sidecar.wait("the streams", |page| page.stream("present", "absent") == Some(1.0));
    assert_eq!(page.stream("length", "wrong"), Some(1.0));
    assert_eq!(page.count("streamwarden_stream_unreadable"), 0);
}

#[test]
fn only_the_streams_that_match_are_shown() {
    let redis = Redis::start();
    for stream in ["events:a", "events:b", "events:tmp", "other"] {
        redis.add(stream, 1);
    }
    redis.run::<()>("SET events:text text");
    let config = "streams: [{match: 'events:*', retention: {max_length: 7}}]\nexclude: ['*:tmp']";
    let sidecar = Sidecar::with_config(&redis.uri(), config);
    let page = sidecar.wait("the streams", |page| page.count("streamwarden_stream_length") > 0);
    assert_eq!(page.label_values("streamwarden_stream_length", "stream"), ["events:a", "events:b"]);
    assert_eq!(page.stream("max_length", "events:a"), Some(7.0));
    redis.add("events:new", 1);
    sidecar.wait("a new stream to be found", |page| page.stream("length", "events:new") == Some(1.0));
}

#[test]
fn ids_that_are_not_times_have_no_age() {
    let redis = Redis::start();
    redis.run::<String>("XADD counter 1-1 f v");
    redis.run::<String>("XADD future 18446744073709551615-1 f v");
    redis.run::<()>("XGROUP CREATE counter g 0");
    redis.read("counter", "g", "c", 1);
    let sidecar = Sidecar::start(&redis);
    let page = sidecar.wait("the streams", |page| page.count("streamwarden_stream_length") == 2);
    assert_eq!(page.count("streamwarden_stream_oldest_entry_age_seconds"), 0);
    assert_eq!(page.count("streamwarden_stream_last_write_age_seconds"), 0);
    assert_eq!(page.group("oldest_pending_age_seconds", "counter", "g"), None);
    assert!(page.group("oldest_pending_idle_seconds", "counter", "g").unwrap() < 60.0);
}

#[test]
fn names_of_any_bytes_stay_apart_and_harmless() {
    let redis = Redis::start();
    let names: [&[u8]; 7] = [
        b"\xff",
        b"\xc3\x28",
        b"nul\0",
        b"",
        b"quote\"} 1\nevil{a=\"b",
        b"back\\slash",
        "\u{202E}desrever".as_bytes(),
    ];
    let mut connection = redis.connect();
    for name in names {
        redis::cmd("XADD").arg(name).arg("*").arg("f").arg("v").query::<String>(&mut connection).unwrap();
        redis::cmd("XGROUP").arg("CREATE").arg(name).arg(name).arg("0").query::<()>(&mut connection).unwrap();
    }
    let sidecar = Sidecar::start(&redis);
    let page = sidecar.wait("all streams", |page| page.count("streamwarden_stream_length") == names.len());
    assert_eq!(page.get("streamwarden_stream_length", &[("stream", "\\xFF")]), Some(1.0));
    assert_eq!(page.group("lag", "quote\"} 1\\u{A}evil{a=\"b", "quote\"} 1\\u{A}evil{a=\"b"), Some(1.0));
    assert_eq!(page.get("streamwarden_stream_length", &[("stream", "\\empty")]), Some(1.0));
    assert_eq!(page.count("evil"), 0);
}

#[test]
fn a_stream_is_found_however_long_its_name() {
    let redis = Redis::start();
    let name = "x".repeat(100_000);
    redis.add(&name, 3);
    let sidecar = Sidecar::start(&redis);
    let page = sidecar.wait("the stream", |page| page.count("streamwarden_stream_length") == 1);
    let label = &page.label_values("streamwarden_stream_length", "stream")[0];
    assert!(label.len() == 128 && label.starts_with("xxx"), "{label}");
}

#[test]
fn nobody_can_add_a_stream_that_has_the_label_of_another() {
    let redis = Redis::start();
    // The labels of these two are known to everyone who can read a page, and so is the form of labels.
    let plain = "x".repeat(200);
    let escaped = [&b"x"[..], &[b'\\'; 200][..]].concat();
    redis.add(&plain, 3);
    let add = |name: &[u8]| {
        let id = redis::cmd("XADD").arg(name).arg("*").arg("f").arg("v").query(&mut redis.connect());
        id.map(|_: String| ()).unwrap();
    };
    add(&escaped);
    let sidecar = Sidecar::start(&redis);
    let labels = |page: &Page| page.label_values("streamwarden_stream_length", "stream");
    let shown = labels(&sidecar.wait("both streams", |page| labels(page).len() == 2));
    let mut spelt: BTreeSet<String> = BTreeSet::new();
    for label in &shown {
        spelt.extend([
            label.clone(),
            label.replace("\\\\", "\\"),
            label.replacen('\\', "", 1),
            label[1..].to_owned(),
        ]);
    }
    spelt.iter().for_each(|name| add(name.as_bytes()));
    let all = spelt.len() + 2;
    // Parsing a page fails where a series is on it twice.
    let page = sidecar.wait("all streams", |page| labels(page).len() == all);
    assert_eq!(labels(&page).into_iter().collect::<BTreeSet<_>>().len(), all);
    let document = sidecar.get("/api/v1/streams").text();
    let document: serde_json::Value = serde_json::from_str(&document).unwrap();
    let names: BTreeSet<&str> = document["streams"]
        .as_array()
        .unwrap()
        .iter()
        .map(|stream| stream["name"].as_str().unwrap())
        .collect();
    assert_eq!(names.len(), all);
}

#[test]
fn consumers_beyond_the_cap_are_added_up() {
    let redis = Redis::start();
    redis.add("s", 30);
    redis.run::<()>("XGROUP CREATE s g 0");
    for (consumer, count) in [("c1", 1), ("c2", 7), ("c3", 5), ("c4", 2)] {
        redis.read("s", "g", consumer, count);
    }
    let sidecar = Sidecar::with_config(&redis.uri(), "consumers: {max_per_group: 2}");
    let page = sidecar.wait("the group", |page| page.group("pending", "s", "g") == Some(15.0));
    assert_eq!(page.label_values("streamwarden_consumer_pending", "consumer"), ["c2", "c3"]);
    assert_eq!(page.group("consumers", "s", "g"), Some(4.0));
    assert_eq!(page.group("unlisted_consumers", "s", "g"), Some(2.0));
    assert_eq!(page.group("unlisted_pending", "s", "g"), Some(3.0));
}

#[test]
fn series_over_the_limit_are_left_out_and_counted() {
    let redis = Redis::start();
    for stream in ["a", "b"] {
        redis.add(stream, 2);
        redis.run::<()>(&format!("XGROUP CREATE {stream} g 0"));
        redis.read(stream, "g", "c", 1);
    }
    // Only a second poll can tell what is delivered again and again: from then on there are no more series.
    let second_poll = |sidecar: &Sidecar| {
        sidecar.wait("both streams", |page| page.count("streamwarden_stream_length") == 2);
        sidecar.next_poll()
    };
    let all = second_poll(&Sidecar::start(&redis));
    let series = all.own("streamwarden_series");
    assert_eq!(all.count("streamwarden_consumer_pending"), 2);
    assert_eq!(all.own("streamwarden_dropped_series"), 0.0);

    let sidecar = Sidecar::with_config(&redis.uri(), &format!("limits: {{series: {}}}", series - 1.0));
    let page = second_poll(&sidecar);
    assert_eq!(page.label_values("streamwarden_group_pending", "group").len(), 2);
    assert_eq!(page.label_values("streamwarden_consumer_pending", "stream"), ["a"]);
    assert_eq!(page.own("streamwarden_series") + page.own("streamwarden_dropped_series"), series);
}

#[test]
fn streams_over_the_limit_are_not_watched_and_counted() {
    let redis = Redis::start();
    for stream in ["a", "b", "c", "z-named"] {
        redis.add(stream, 1);
    }
    let config = "streams: [{match: z-named}, {match: '*'}]\nlimits: {streams: 2}";
    let sidecar = Sidecar::with_config(&redis.uri(), config);
    let page = sidecar.wait("both streams", |page| page.count("streamwarden_stream_length") == 2);
    assert_eq!(page.label_values("streamwarden_stream_length", "stream"), ["a", "z-named"]);
    assert_eq!(page.own("streamwarden_watched_streams"), 2.0);
    assert_eq!(page.own("streamwarden_unwatched_streams"), 2.0);
    sidecar.next_poll();
    assert_eq!(sidecar.log().matches("more streams than limits.streams").count(), 1);
}

#[test]
fn one_key_without_permission_does_not_blank_the_others() {
    let redis = Redis::start();
    redis.add("open", 1);
    redis.add("closed", 1);
    redis.run::<()>("ACL SETUSER obs on >pw ~open -@all +xinfo +scan +time +ping +hello");
    let uri = format!("redis://obs:pw@127.0.0.1:{}", redis.port());
    let sidecar = Sidecar::with_config(&uri, "streams: [{match: closed}, {match: '*'}]");
    let page = sidecar.wait("the open stream", |page| page.stream("length", "open") == Some(1.0));
    assert_eq!(page.stream("length", "closed"), None);
    assert_eq!(
        page.get("streamwarden_stream_unreadable", &[("stream", "closed"), ("reason", "noperm")]),
        Some(1.0)
    );
    assert_eq!(page.stream("present", "closed"), None);
    assert!(page.get("streamwarden_stream_read_failures_total", &[("reason", "noperm")]).unwrap() >= 1.0);
    sidecar.next_poll();
    assert_eq!(sidecar.log().matches("cannot read the stream").count(), 1);
}

#[test]
fn without_the_servers_time_there_are_no_ages() {
    let redis = Redis::start();
    redis.add("s", 1);
    redis.run::<()>("XGROUP CREATE s g 0");
    redis.read("s", "g", "c", 1);
    redis.run::<()>("ACL SETUSER obs on >pw ~* -@all +xinfo +scan +ping +hello");
    let sidecar = Sidecar::with_config(&format!("redis://obs:pw@127.0.0.1:{}", redis.port()), "");
    let page = sidecar.wait("the stream", |page| page.stream("length", "s") == Some(1.0));
    assert_eq!(page.stream("last_write_age_seconds", "s"), None);
    assert_eq!(page.consumer("idle_seconds", "c"), None);
    assert_eq!(page.group("pending", "s", "g"), Some(1.0));
    assert!(sidecar.log().contains("cannot read the server's TIME"));
}

#[test]
fn another_database_is_watched_under_its_own_label() {
    let redis = Redis::start();
    redis.add("in-zero", 1);
    let mut connection = redis.connect();
    redis::cmd("SELECT").arg(3).query::<()>(&mut connection).unwrap();
    redis::cmd("XADD").arg("in-three").arg("*").arg("f").arg("v").query::<String>(&mut connection).unwrap();
    let sidecar = Sidecar::with_config(&redis.uri().replace("/0", "/3"), "");
    let page = sidecar.wait("the stream", |page| page.count("streamwarden_stream_length") == 1);
    assert_eq!(page.get("streamwarden_stream_length", &[("db", "db3"), ("stream", "in-three")]), Some(1.0));
}

#[test]
fn a_backlog_that_nobody_reads_grows_older_and_one_that_is_read_is_of_age_zero() {
    let redis = Redis::start();
    redis.add("s", 10);
    redis.run::<()>("XGROUP CREATE s stopped 0");
    redis.run::<()>("XGROUP CREATE s done 0");
    redis.read("s", "stopped", "c", 4);
    redis.read("s", "done", "c", 100);
    let sidecar = Sidecar::start(&redis);
    let age = |page: &Page| page.group("lag_seconds", "s", "stopped");
    let mut last = age(&sidecar.wait("the age", |page| age(page).is_some())).unwrap();
    for _ in 0..5 {
        let page = sidecar.next_poll();
        let now = age(&page).unwrap();
        assert!(now > last, "{now} after {last}");
        last = now;
        assert_eq!(page.group("lag_seconds", "s", "done"), Some(0.0));
        assert_eq!(page.group("lag", "s", "done"), Some(0.0));
        assert_eq!(page.group("lag", "s", "stopped"), Some(6.0));
    }
    redis.read("s", "stopped", "c", 100);
    sidecar.wait("the backlog to be read", |page| age(page) == Some(0.0));
}

#[test]
fn entries_trimmed_before_a_group_had_them_are_lost_and_counted_once() {
    let redis = Redis::start();
    redis.add("s", 20);
    redis.run::<()>("XGROUP CREATE s slow 0");
    redis.run::<()>("XGROUP CREATE s fast 0");
    redis.read("s", "slow", "c", 5);
    redis.read("s", "fast", "c", 100);
    let sidecar = Sidecar::start(&redis);
    let lost = |page: &Page, group: &str| page.group("entries_lost_total", "s", group);
    if !redis.supports(Need::COUNTED_ADDITIONS) {
        let page = sidecar.wait("the groups", |page| page.group("pending", "s", "slow").is_some());
        assert_eq!(lost(&page, "slow"), None);
        return;
    }
    let page = sidecar.wait("the groups", |page| lost(page, "slow").is_some());
    assert_eq!((lost(&page, "slow"), lost(&page, "fast")), (Some(0.0), Some(0.0)));

    redis.run::<u64>("XTRIM s MAXLEN = 8");
    let page = sidecar.wait("the loss", |page| lost(page, "slow") == Some(7.0));
    assert_eq!(lost(&page, "fast"), Some(0.0));
    assert_eq!(page.group("lag", "s", "slow"), Some(8.0), "Redis before 8.0 says 15");
    redis.add("s", 3);
    let page = sidecar.next_poll();
    assert_eq!((lost(&page, "slow"), page.group("lag", "s", "slow")), (Some(7.0), Some(11.0)));

    // Deleted and recreated, it loses nothing more.
    redis.run::<u64>("DEL s");
    redis.add("s", 2);
    redis.run::<()>("XGROUP CREATE s slow 0");
    let page = sidecar.wait("the new stream", |page| page.group("lag", "s", "slow") == Some(2.0));
    assert!(lost(&page, "slow").unwrap() <= 7.0);
    assert_eq!(page.stream("recreations_total", "s"), Some(1.0));
}

#[test]
fn pending_entries_that_are_gone_are_distinguished_from_those_that_wait() {
    let redis = Redis::start();
    redis.add("s", 10);
    redis.run::<()>("XGROUP CREATE s g 0");
    redis.read("s", "g", "c", 6);
    redis.run::<u64>("XTRIM s MAXLEN = 6");
    let sidecar = Sidecar::start(&redis);
    let page =
        sidecar.wait("the dangling entries", |page| page.group("dangling_pending", "s", "g") == Some(4.0));
    assert_eq!(page.group("pending", "s", "g"), Some(6.0));
    assert!(page.group("oldest_pending_age_seconds", "s", "g").unwrap() < 60.0);
    redis.run::<u64>("XTRIM s MAXLEN = 0");
    let page = sidecar.wait("all to be gone", |page| page.group("dangling_pending", "s", "g") == Some(6.0));
    assert_eq!(page.group("oldest_pending_age_seconds", "s", "g"), Some(0.0));
}

#[test]
fn entries_that_are_delivered_again_and_again_are_poison() {
    let redis = Redis::start();
    redis.add("s", 5);
    redis.run::<()>("XGROUP CREATE s g 0");
    redis.read("s", "g", "c", 5);
    let ids: Vec<(String, Vec<String>)> = redis.run("XRANGE s - +");
    for _ in 0..3 {
        let _claimed: redis::Value = redis.run(&format!("XCLAIM s g c 0 {} {}", ids[1].0, ids[3].0));
    }
    let sidecar = Sidecar::with_config(&redis.uri(), "streams: [{match: s, thresholds: {deliveries: 4}}]");
    sidecar.wait("the poison", |page| page.group("poison_entries", "s", "g") == Some(2.0));
    redis.run::<u64>(&format!("XACK s g {}", ids[1].0));
    sidecar.wait("less poison", |page| page.group("poison_entries", "s", "g") == Some(1.0));
}

#[test]
fn a_consumer_that_is_silent_with_pending_entries_is_stuck() {
    let redis = Redis::start();
    redis.add("s", 5);
    redis.run::<()>("XGROUP CREATE s g 0");
    redis.read("s", "g", "dead", 2);
    redis.read("s", "g", "alive", 2);
    let sidecar = Sidecar::with_config(&redis.uri(), "consumers: {stuck_after: 1s}");
    let page = sidecar.wait("the group", |page| page.group("stuck_consumers", "s", "g").is_some());
    assert_eq!(page.group("consumers", "s", "g"), Some(2.0));
    sidecar.wait("both to be stuck", |page| page.group("stuck_consumers", "s", "g") == Some(2.0));
    let ids: Vec<(String, Vec<String>)> = redis.run("XRANGE s - +");
    redis.run::<u64>(&format!("XACK s g {} {}", ids[2].0, ids[3].0));
    sidecar.wait("one to have nothing pending", |page| page.group("stuck_consumers", "s", "g") == Some(1.0));
}

#[test]
fn a_group_that_is_set_back_is_counted() {
    let redis = Redis::start();
    redis.add("s", 5);
    redis.run::<()>("XGROUP CREATE s g 0");
    redis.read("s", "g", "c", 3);
    let sidecar = Sidecar::start(&redis);
    sidecar.wait("the group", |page| page.group("rewinds_total", "s", "g") == Some(0.0));
    redis.run::<()>("XGROUP SETID s g 0");
    let page = sidecar.wait("the rewind", |page| page.group("rewinds_total", "s", "g") == Some(1.0));
    assert_eq!(page.group("lag", "s", "g"), Some(5.0));
}

#[test]
fn redis_exporters_names_are_served_on_request() {
    let redis = Redis::start();
    redis.add("s", 4);
    redis.run::<()>("XGROUP CREATE s g 0");
    redis.read("s", "g", "c", 1);
    let without = Sidecar::start(&redis).wait("the stream", |page| page.stream("length", "s") == Some(4.0));
    assert_eq!(without.count("redis_stream"), 0);
    let sidecar = Sidecar::with_config(&redis.uri(), "exposition: {redis_exporter_names: true}");
    let page = sidecar.wait("the stream", |page| page.stream("length", "s") == Some(4.0));
    assert_eq!(page.get("redis_stream_length", &[("db", "db0"), ("stream", "s")]), Some(4.0));
    let labels = [("db", "db0"), ("stream", "s"), ("group", "g")];
    assert_eq!(page.get("redis_stream_group_lag", &labels), Some(3.0));
    assert_eq!(page.get("redis_stream_group_messages_pending", &labels), Some(1.0));
    assert_eq!(page.get("redis_stream_group_consumer_messages_pending", &[("consumer", "c")]), Some(1.0));
}

#[test]
fn what_a_stream_remembers_of_idempotent_producers_is_shown_once_it_has_had_one() {
    let Some(redis) = Redis::start().if_meets(Need::IDEMPOTENCE) else { return };
    redis.add("plain", 1);
    let add = |id: &str| {
        let words = ["s", "IDMP", "producer", id, "*", "f", "v"];
        redis::cmd("XADD").arg(&words).query::<String>(&mut redis.connect())
    };
    for id in ["1", "1", "2", "1"] {
        add(id).unwrap();
    }
    let sidecar = Sidecar::start(&redis);
    let page = sidecar.wait("both streams", |page| page.count("streamwarden_stream_length") == 2);
    let of = |family: &str| page.stream(family, "s");
    assert_eq!((of("idempotent_ids_added_total"), of("idempotent_duplicates_total")), (Some(2.0), Some(2.0)));
    assert_eq!((of("idempotent_producers"), of("idempotent_ids")), (Some(1.0), Some(2.0)));
    assert_eq!((of("idempotence_window_seconds"), of("idempotence_max_ids")), (Some(100.0), Some(100.0)));
    assert_eq!(page.stream("idempotent_ids_added_total", "plain"), None);
    let document = sidecar.get("/api/v1/streams/s").text();
    assert!(document.contains("\"ids_added\":2,\"duplicates\":2"), "{document}");
}
