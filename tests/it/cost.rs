//! What the sidecar costs Redis.

use std::collections::BTreeSet;

use redis::{Connection, Value};

use support::{Need, Page, Redis, Sidecar};

/// Streams with 3 groups of 5 consumers each.
fn seed(redis: &Redis, streams: usize) {
    let mut connection = redis.connect();
    for stream in 0..streams {
        let key = format!("stream-{stream:05}");
        let mut pipeline = redis::pipe();
        for _ in 0..20 {
            pipeline.cmd("XADD").arg(&key).arg("*").arg("f").arg("v").ignore();
        }
        for group in ["one", "two", "three"] {
            pipeline.cmd("XGROUP").arg("CREATE").arg(&key).arg(group).arg(0).ignore();
            for consumer in 0..5 {
                pipeline.cmd("XREADGROUP").arg("GROUP").arg(group).arg(format!("consumer-{consumer}"));
                pipeline.arg("COUNT").arg(2).arg("STREAMS").arg(&key).arg(">").ignore();
            }
        }
        pipeline.query::<()>(&mut connection).unwrap();
    }
}

/// Pipelines and commands of one poll, once all streams are known.
fn cost_of_a_poll(redis: &Redis, streams: usize) -> (f64, f64) {
    // Long enough for a page to be made before the next poll begins.
    let interval = 500 + 5 * streams;
    let poll = format!("poll: {{interval: {interval}ms, discovery_interval: 1h}}");
    let sidecar = Sidecar::with_config(&redis.uri(), &poll);
    sidecar.wait("all streams", |page| page.count("streamwarden_stream_length") == streams);
    let read = || {
        sidecar.next_poll();
        let polls = |page: &Page| page.own("streamwarden_poll_duration_seconds_count");
        // Gathered between two polls, not in the middle of one.
        let page = sidecar.wait("a pause", |page| polls(page) == page.own("streamwarden_polls_total"));
        let commands: f64 = ["time", "xinfo_stream_full", "xinfo_stream", "xlen", "xinfo_groups", "xpending"]
            .iter()
            .map(|command| page.get("streamwarden_redis_commands_total", &[("command", command)]).unwrap())
            .sum();
        (polls(&page), page.own("streamwarden_redis_round_trips_total"), commands)
    };
    let (before, after) = (read(), read());
    let polls = after.0 - before.0;
    ((after.1 - before.1) / polls, (after.2 - before.2) / polls)
}

#[test]
fn a_poll_is_one_pipeline_for_the_first_24_streams_and_then_for_each_12_or_for_a_hundred_lookups() {
    for streams in [10_u16, 24, 100, 1_000] {
        let redis = Redis::start();
        seed(&redis, streams.into());
        // Each stream takes one command. Its groups take none, since nobody touches their pending entries. Before Redis 7.0 a
        // deletion does not show, so the lag of each of the three groups is counted again.
        let lookups = if redis.supports(Need::COUNTED_ADDITIONS) { 0 } else { 3 * streams };
        let pipelines = 1 + streams.saturating_sub(24).div_ceil(12) + lookups.div_ceil(100);
        let commands = 1.0 + f64::from(streams);
        assert_eq!(
            cost_of_a_poll(&redis, streams.into()),
            (f64::from(pipelines), commands),
            "{streams} streams"
        );
    }
}

#[test]
fn of_large_entries_nothing_is_held() {
    let redis = Redis::start();
    let script =
        "for i = 1, 5 do redis.call('XADD', 'large-' .. i, '*', 'field', string.rep('x', 32000000)) end";
    redis::cmd("EVAL").arg(script).arg(0).query::<()>(&mut redis.connect()).unwrap();
    let sidecar = Sidecar::start(&redis);
    sidecar.wait("the streams", |page| page.count("streamwarden_stream_length") == 5);
    let status = support::read(format!("/proc/{}/status", sidecar.id())).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let peak: u64 = peak.trim().trim_end_matches(" kB").parse().unwrap();
    assert!(peak < 32_000, "{peak} kB, after five entries of 32 MB in one pipeline");
}

#[test]
fn scrapes_cause_no_commands() {
    let redis = Redis::start();
    seed(&redis, 5);
    let sidecar = Sidecar::with_config(&redis.uri(), "poll: {interval: 1h, discovery_interval: 1h}");
    sidecar.wait("the streams", |page| page.count("streamwarden_stream_length") == 5);
    let calls = || ["xinfo|stream", "time", "scan", "xlen", "xpending", "ping"].map(|name| redis.calls(name));
    let processed = || {
        let stats: String = redis.run("INFO stats");
        let line = stats.lines().find_map(|line| line.strip_prefix("total_commands_processed:"));
        line.unwrap().trim().parse::<u64>().unwrap()
    };
    // A connection of this test's own says PING (and, on newer servers, more) and asks: measured, not assumed.
    let own = {
        let before = processed();
        processed() - before
    };
    let (calls_before, before) = (calls(), processed());
    for _ in 0..50 {
        assert_eq!(sidecar.get("/metrics").status, 200);
        assert_eq!(sidecar.request("GET", "/metrics", "accept-encoding: gzip\r\n").status, 200);
    }
    assert_eq!(processed() - before, own);
    assert_eq!(calls()[..5], calls_before[..5]);
}

#[test]
fn only_harmless_commands_are_ever_sent() {
    let redis = Redis::start();
    seed(&redis, 3);
    redis.run::<()>("SET not-a-stream 1");
    for is_billed in [false, true] {
        let mut monitor = redis.connect();
        monitor.send_packed_command(&redis::cmd("MONITOR").get_packed_command()).unwrap();
        assert_eq!(monitor.recv_response().unwrap(), Value::Okay);
        let config = format!(
            "redis: {{billed_by_command: {is_billed}}}\nstreams: [{{match: '*'}}, {{match: not-a-stream}}]\n\
             poll: {{interval: 100ms, discovery_interval: 200ms, stale_after: 2s}}"
        );
        let sidecar = Sidecar::with_config(&redis.uri(), &config);
        sidecar.next_poll();
        drop(sidecar);
        let seen = commands_until_quiet(&mut monitor);
        let allowed = ["hello", "info", "client", "time", "scan", "xinfo", "xpending", "xrange", "xrevrange"];
        assert!(seen.contains("xinfo") && seen.contains("scan"), "{seen:?}");
        assert!(seen.iter().all(|command| allowed.contains(&command.as_str())), "{seen:?}");
    }
}

fn commands_until_quiet(monitor: &mut Connection) -> BTreeSet<String> {
    monitor.set_read_timeout(Some(std::time::Duration::from_millis(500))).unwrap();
    let mut seen = BTreeSet::new();
    while let Ok(Value::SimpleString(line)) = monitor.recv_response() {
        let command = line.split('"').nth(1).expect("a quoted command");
        seen.insert(command.to_lowercase());
    }
    seen
}

#[test]
fn a_stream_of_fat_entries_is_asked_without_them() {
    let redis = Redis::start();
    let mut connection = redis.connect();
    let payload = vec![b'x'; 1024 * 1024];
    for _ in 0..3 {
        redis::cmd("XADD")
            .arg("fat")
            .arg("*")
            .arg("f")
            .arg(&payload)
            .query::<String>(&mut connection)
            .unwrap();
    }
    redis.run::<()>("XGROUP CREATE fat g 0");
    redis.read("fat", "g", "c", 2);
    let sidecar = Sidecar::start(&redis);
    let page = sidecar.wait("the lean way", |page| {
        page.get("streamwarden_redis_commands_total", &[("command", "xpending")]).unwrap() >= 2.0
    });
    assert_eq!(page.get("streamwarden_redis_commands_total", &[("command", "xinfo_stream_full")]), Some(1.0));
    assert_eq!(page.stream("length", "fat"), Some(3.0));
    assert_eq!(page.group("pending", "fat", "g"), Some(2.0));
    assert_eq!(page.group("oldest_pending_deliveries", "fat", "g"), Some(1.0));
    assert!(page.group("oldest_pending_age_seconds", "fat", "g").unwrap() < 60.0);
    assert_eq!(page.stream("oldest_entry_age_seconds", "fat"), None, "not known without the entries");
    assert_eq!(page.group("unlisted_pending", "fat", "g"), Some(0.0), "as they were read last");
    assert!(page.group("consumers_age_seconds", "fat", "g").unwrap() > 0.0);
}

#[test]
fn a_group_of_many_consumers_is_asked_without_them() {
    let redis = Redis::start();
    redis.add("crowded", 700);
    redis.run::<()>("XGROUP CREATE crowded g 0");
    (0..600).for_each(|consumer| redis.read("crowded", "g", &format!("c{consumer}"), 1));
    let sidecar = Sidecar::start(&redis);
    let page = sidecar.wait("the lean way", |page| {
        page.get("streamwarden_redis_commands_total", &[("command", "xinfo_stream")]).unwrap() >= 2.0
    });
    assert_eq!(page.group("consumers", "crowded", "g"), Some(600.0));
    assert_eq!(page.group("pending", "crowded", "g"), Some(600.0));
    assert_eq!(page.group("oldest_pending_deliveries", "crowded", "g"), Some(1.0));
    assert!(page.stream("oldest_entry_age_seconds", "crowded").unwrap() < 60.0);
}

#[test]
fn streams_are_found_among_many_other_keys() {
    let redis = Redis::start();
    let script = "for i = 1, 20000 do redis.call('SET', 'key' .. i, i) end";
    redis::cmd("EVAL").arg(script).arg(0).query::<()>(&mut redis.connect()).unwrap();
    seed(&redis, 20);
    let sidecar = Sidecar::start(&redis);
    sidecar.wait("all streams", |page| page.count("streamwarden_stream_length") == 20);
}

/// Entries that stay pending are not asked for at each poll, and yet no new delivery of them is missed.
#[test]
fn what_nobody_touches_is_not_asked_again() {
    let redis = Redis::start();
    redis.add("still", 3);
    redis.run::<()>("XGROUP CREATE still g 0");
    redis.read("still", "g", "one", 3);
    let sidecar = Sidecar::start(&redis);
    let asked =
        |page: &Page| page.get("streamwarden_redis_commands_total", &[("command", "xpending")]).unwrap();
    let poison = |page: &Page| page.group("poison_entries", "still", "g");
    let first = asked(&sidecar.wait("a sample", |page| poison(page) == Some(0.0)));
    sidecar.next_poll();
    assert_eq!(asked(&sidecar.next_poll()), first);

    let entries: Vec<(String, Value)> = redis.run("XRANGE still - +");
    let ids: Vec<&String> = entries.iter().map(|(id, _)| id).collect();
    // By claims of another consumer, by reading one's own entries again, and at last by an acknowledgement.
    (0..4).for_each(|_| drop(redis.run::<Value>(&format!("XCLAIM still g two 0 {}", ids[1]))));
    sidecar.wait("the claimed entry", |page| poison(page) == Some(1.0));
    (0..4).for_each(|_| drop(redis.run::<Value>("XREADGROUP GROUP g one STREAMS still 0")));
    sidecar.wait("the entries read again", |page| poison(page) == Some(3.0));
    redis.run::<()>(&format!("XACK still g {}", ids[0]));
    sidecar.wait("the acknowledgement", |page| poison(page) == Some(2.0));
    let second = asked(&sidecar.next_poll());
    assert_eq!(asked(&sidecar.next_poll()), second);
}

#[test]
fn behind_more_dangling_entries_than_a_sample_has_the_oldest_one_is_found_once() {
    let redis = Redis::start();
    redis.add("trimmed", 200);
    redis.run::<()>("XGROUP CREATE trimmed g 0");
    redis.read("trimmed", "g", "c", 200);
    redis.run::<u64>("XTRIM trimmed MAXLEN 50");
    let sidecar = Sidecar::start(&redis);
    let page = sidecar.wait("a sample", |page| page.group("dangling_pending", "trimmed", "g").is_some());
    assert_eq!(page.group("dangling_pending", "trimmed", "g"), Some(100.0), "of those sampled");
    assert_eq!(page.group("oldest_pending_deliveries", "trimmed", "g"), Some(1.0));
    let asked =
        |page: &Page| page.get("streamwarden_redis_commands_total", &[("command", "xpending")]).unwrap();
    let first = asked(&sidecar.next_poll());
    let page = sidecar.next_poll();
    assert_eq!(asked(&page), first, "nobody touched them");
    let idle = |page: &Page| page.group("oldest_pending_idle_seconds", "trimmed", "g").unwrap();
    assert!(idle(&sidecar.next_poll()) > idle(&page), "what is remembered grows older");
}
