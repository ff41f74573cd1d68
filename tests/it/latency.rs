//! How long entries take: what is measured of them, and what is left out.

mod broken;

use std::time::Duration;

use support::{Need, Page, Redis, Sidecar, wait_for};

const CONFIG: &str =
    "latency: {tick: 50ms}\nstreams: [{match: s, slo: {delivery: 1s, handled: 1s}}, {match: other}]";

fn events(page: &Page, objective: &str, outcome: &str) -> Option<f64> {
    let labels = [("stream", "s"), ("group", "g"), ("objective", objective), ("outcome", outcome)];
    page.get("streamwarden_slo_events_total", &labels)
}

fn left_out(page: &Page, objective: &str, reason: &str) -> Option<f64> {
    let labels = [("stream", "s"), ("group", "g"), ("objective", objective), ("reason", reason)];
    page.get("streamwarden_slo_left_out_total", &labels)
}

/// A group that has read everything, so that its positions are known, and a sidecar that has seen it.
fn watched(redis: &Redis) -> Sidecar {
    redis.add("s", 1);
    redis.add("other", 1);
    redis.run::<()>("XGROUP CREATE s g 0");
    redis.run::<()>("XGROUP CREATE other g 0");
    redis.read("s", "g", "c", 1);
    let sidecar = Sidecar::with_config(&redis.uri(), CONFIG);
    sidecar.wait("a tick", |page| events(page, "delivery", "good").is_some());
    sidecar
}

/// Adds entries, and reads them at once.
fn pass(redis: &Redis, entries: u32) {
    redis.add("s", entries as usize);
    redis.read("s", "g", "c", entries as usize);
}

/// Both, once three entries have met their objective; `None` where the server doesn't count what it needs to.
fn measured() -> Option<(Redis, Sidecar)> {
    let redis = Redis::start();
    if !redis.meets(Need::COUNTED_ADDITIONS) {
        return None;
    }
    let sidecar = watched(&redis);
    pass(&redis, 3);
    sidecar.wait("entries in time", |page| events(page, "delivery", "good") == Some(3.0));
    Some((redis, sidecar))
}

#[test]
fn entries_meet_their_objective_or_miss_it() {
    let Some((redis, sidecar)) = measured() else { return };
    redis.add("s", 2);
    // The objective, and the ticks around it.
    std::thread::sleep(Duration::from_millis(1_500));
    redis.read("s", "g", "c", 2);
    // They have been counted as bad since they were overdue.
    let page = sidecar
        .wait("entries that are late", |page| page.group("delivery_seconds_count", "s", "g") == Some(5.0));
    assert_eq!(events(&page, "delivery", "good"), Some(3.0));
    assert_eq!(events(&page, "delivery", "bad"), Some(2.0));
    assert!(page.group("delivery_seconds_sum", "s", "g").unwrap() > 2.5);
    // Nothing is acknowledged yet.
    assert_eq!(events(&page, "handled", "good"), Some(0.0));
    assert_eq!(page.get("streamwarden_slo_target_ratio", &[("stream", "s")]), Some(0.99));
    assert_eq!(page.group("delivery_seconds_count", "other", "g"), None);
}

#[test]
fn entries_that_a_group_reads_again_are_left_out() {
    let Some((redis, sidecar)) = measured() else { return };
    redis.run::<()>("XGROUP SETID s g 0");
    redis.read("s", "g", "c", 9);
    pass(&redis, 1);
    wait_for("a new entry after those", || {
        pass(&redis, 1);
        let page = sidecar.next_poll();
        (events(&page, "delivery", "good")? > 3.0).then_some(())
    });
    let page = sidecar.next_poll();
    assert_eq!(events(&page, "delivery", "bad"), Some(0.0), "nothing is taken for an old entry that waited");
    assert!(left_out(&page, "delivery", "rewound").is_some());
}

#[test]
fn entries_that_are_retried_are_seen_by_those_that_are_followed() {
    let Some((redis, sidecar)) = measured() else { return };
    let mut held = std::collections::VecDeque::new();
    // Four of five are acknowledged at once, and the fifth long after its objective.
    for number in 0..250 {
        let id: String = redis.run("XADD s * field value");
        redis.read("s", "g", "c", 1);
        held.push_back((number + if number % 5 == 0 { 70 } else { 0 }, id));
        let (due, later): (Vec<_>, Vec<_>) = held.drain(..).partition(|(at, _)| *at <= number);
        held.extend(later);
        for (_, id) in due {
            redis.run::<u64>(&format!("XACK s g {id}"));
        }
        std::thread::sleep(Duration::from_millis(40));
    }
    let page = sidecar.next_poll();
    let followed = |outcome, by_order| {
        let labels =
            [("stream", "s"), ("objective", "handled"), ("outcome", outcome), ("by_order", by_order)];
        page.get("streamwarden_slo_followed_total", &labels).unwrap()
    };
    let labels = [("stream", "s"), ("objective", "handled")];
    assert_eq!(page.get("streamwarden_slo_in_order", &labels), Some(0.0));
    assert!(followed("bad", "good") > 5.0, "{} {}", followed("bad", "good"), followed("bad", "bad"));
    let (all_good, all_bad) = ["good", "bad", "unknown"].iter().fold((0.0, 0.0), |(good, bad), by_order| {
        (good + followed("good", by_order), bad + followed("bad", by_order))
    });
    assert!((0.05..0.5).contains(&(all_bad / (all_good + all_bad))), "{all_good} {all_bad}");
    assert!(events(&page, "handled", "unknown").unwrap() > 20.0);
    let groups: serde_json::Value = serde_json::from_str(&sidecar.get("/api/v1/groups").text()).unwrap();
    let groups = groups["groups"].as_array().unwrap();
    let handled = groups.iter().find(|group| group["stream"] == "s").unwrap()["latency"]["handled"].clone();
    assert_eq!(
        (&handled["followed"]["is_in_order"], &handled["p99"]),
        (&false.into(), &serde_json::Value::Null)
    );
    assert!(handled["error_budget_left"].as_f64().unwrap() < 0.0, "{handled}");
    assert_eq!(events(&page, "delivery", "bad"), Some(0.0), "each was delivered at once");
}

#[test]
fn entries_are_unknown_where_the_user_may_not_ask_for_them_and_nobody_asks_at_each_tick() {
    let redis = Redis::start();
    if !redis.meets(Need::COUNTED_ADDITIONS) {
        return;
    }
    // One stays pending, so that the number of those that are says nothing of the others.
    redis.add("s", 1);
    redis.run::<()>("XGROUP CREATE s g 0");
    redis.read("s", "g", "c", 1);
    redis.run::<()>("ACL SETUSER narrow on nopass ~* +@all -xpending");
    let uri = redis.uri().replace("redis://", "redis://narrow:any@");
    let sidecar = Sidecar::with_config(&uri, &format!("{CONFIG}\npoll: {{interval: 1s}}"));
    sidecar.wait("a tick", |page| events(page, "delivery", "good").is_some());
    let handle = || {
        let id: String = redis.run("XADD s * field value");
        redis.read("s", "g", "c", 1);
        redis.run::<u64>(&format!("XACK s g {id}"));
        std::thread::sleep(Duration::from_millis(40));
    };
    let followed = |page: &Page, outcome| {
        let of = |by_order| {
            let labels =
                [("stream", "s"), ("objective", "handled"), ("outcome", outcome), ("by_order", by_order)];
            page.get("streamwarden_slo_followed_total", &labels).unwrap()
        };
        of("good") + of("bad") + of("unknown")
    };
    wait_for("unknown ones", || {
        handle();
        (followed(&sidecar.scrape(), "unknown") > 0.0).then_some(())
    });
    let refused = || {
        let stats: String = redis.run("INFO commandstats");
        let line = stats.lines().find(|line| line.starts_with("cmdstat_xpending:")).unwrap();
        line.split("rejected_calls=").nth(1).unwrap().split(',').next().unwrap().parse::<u64>().unwrap()
    };
    let before = refused();
    (0..50).for_each(|_| handle());
    // Polls ask too, once a second.
    let since = refused() - before;
    assert!(before > 0 && since < 20, "refused {since} times in two seconds");
    assert_eq!(followed(&sidecar.scrape(), "good"), 0.0);
    assert!(sidecar.log().contains("no entries are followed: permit +xpending"), "{}", sidecar.log());
    redis.run::<()>("ACL SETUSER narrow +xpending");
    sidecar.signal("HUP");
    wait_for("those that are followed again", || {
        handle();
        (followed(&sidecar.scrape(), "good") > 0.0).then_some(())
    });
}

#[test]
fn nothing_is_asked_without_an_objective_or_where_commands_are_billed() {
    let redis = Redis::start();
    redis.add("s", 1);
    let sent = |sidecar: &Sidecar| {
        (0..3).for_each(|_| drop(sidecar.next_poll()));
        let page = sidecar.scrape();
        (
            page.own("streamwarden_latency_ticks_total"),
            page.get("streamwarden_redis_commands_total", &[("command", "xinfo_groups")]),
        )
    };
    for config in ["streams: [{match: s}]", &format!("{CONFIG}\nredis: {{billed_by_command: true}}")] {
        let sidecar = Sidecar::with_config(&redis.uri(), config);
        assert_eq!(sent(&sidecar), (0.0, Some(0.0)), "{config}");
    }
}

#[test]
fn ticks_that_pass_while_redis_hangs_are_not_made_up_for() {
    let Some((redis, _sidecar)) = measured() else { return };
    // At 50 ms, sixty ticks.
    redis.pause();
    std::thread::sleep(Duration::from_secs(3));
    redis.resume();
    let asked = || redis.calls("xinfo|groups");
    let before = asked();
    std::thread::sleep(Duration::from_secs(1));
    // One of its ticks asks of one stream, and one of its polls of two.
    let after = asked() - before;
    assert!((1..=30).contains(&after), "{after} questions in the second after it");
}
