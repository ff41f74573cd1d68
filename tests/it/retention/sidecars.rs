//! The running sidecar keeps streams within their limits, says who keeps it from doing so, and shares the work.

use std::{
    collections::BTreeSet,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use redis::{Connection, Value, cmd};

use super::trimming;
use support::{Need, Page, Redis, Sidecar, stays_so, wait_for};

/// A run a second, on small nodes' behalf: the server's own are of 100 entries.
fn config(retention: &str) -> String {
    format!(
        "retention: {{interval: 1s, lease_ttl: 2s}}\nstreams: [{{match: s, groups: [], retention: {{{retention}}}}}]"
    )
}

fn trimmed(page: &Page) -> f64 {
    page.get("streamwarden_retention_trimmed_entries_total", &[("stream", "s")]).unwrap_or_default()
}

fn blocked(page: &Page, group: &str, reason: &str) -> bool {
    page.get("streamwarden_retention_blocked", &[("group", group), ("reason", reason)]) == Some(1.0)
}

fn runs(page: &Page, outcome: &str) -> f64 {
    let labels = [("stream", "s"), ("outcome", outcome)];
    page.get("streamwarden_retention_runs_total", &labels).unwrap_or_default()
}

fn length(redis: &Redis) -> u64 {
    redis.run("XLEN s")
}

#[test]
fn a_stream_without_groups_is_kept_at_its_length() {
    let Some(redis) = trimming(Redis::start()) else { return };
    redis.add("s", 1_000);
    let sidecar = Sidecar::with_config(&redis.uri(), &config("max_length: 500"));
    let page = sidecar.wait("the stream to be trimmed", |page| trimmed(page) >= 500.0);
    assert_eq!((length(&redis), trimmed(&page)), (500, 500.0));
    let page = sidecar.wait("the next run", |page| runs(page, "reached") >= 2.0);
    assert_eq!(page.get("streamwarden_retention_over_limit_entries", &[]), Some(0.0));
    assert_eq!(page.own("streamwarden_retention_leader"), 1.0);
    let log = sidecar.log();
    assert_eq!(log.matches("\"message\":\"trimmed\"").count(), 1, "{log}");
    assert_eq!(log.matches("the retention lease has a new holder").count(), 1, "{log}");
    assert!(log.contains("\"removed\":500"), "{log}");
}

#[test]
fn a_server_that_can_not_trim_safely_is_only_observed() {
    let redis = Redis::start();
    redis.add("s", 1_000);
    let can_trim = redis.supports(Need::SAFE_TRIMS);
    let sidecar = Sidecar::with_config(&redis.uri(), &config("max_length: 500"));
    sidecar.wait("a run", |page| runs(page, "reached") + runs(page, "blocked") >= 1.0);
    let is_unsupported = blocked(&sidecar.scrape(), "", "unsupported");
    assert_eq!((length(&redis), is_unsupported), if can_trim { (500, false) } else { (1_000, true) });
    let says_so = sidecar.log().contains("safe trimming needs Redis 6.2.7");
    assert_eq!(says_so, !can_trim, "{}", sidecar.log());
}

#[test]
fn nothing_is_written_where_nobody_asked_for_it() {
    let Some(redis) = trimming(Redis::start()) else { return };
    redis.add("s", 1_000);
    for config in [
        config("max_length: 500, mode: observe"),
        config("max_length: 500").replace("interval: 1s", "enabled: false"),
    ] {
        let sidecar = Sidecar::with_config(&redis.uri(), &config);
        let page = sidecar.wait("a poll", |page| page.stream("length", "s").is_some());
        assert_eq!(page.get("streamwarden_retention_over_limit_entries", &[]), Some(500.0));
        assert_eq!(page.get("streamwarden_retention_removable_entries", &[]), Some(500.0));
        assert_eq!(page.get("streamwarden_retention_info", &[("mode", "observe")]), Some(1.0));
        assert_eq!(page.count("streamwarden_retention_runs_total"), 0);
        stays_so(Duration::from_millis(1_500), "nothing is trimmed", || length(&redis) == 1_000);
        sidecar.next_poll();
    }
    assert_eq!(redis.run::<u64>("EXISTS streamwarden:retention:lease"), 0);
    assert_eq!((redis.calls("eval"), redis.calls("xtrim"), redis.calls("set")), (0, 0, 0));
}

#[test]
fn a_group_that_has_read_nothing_blocks_and_is_named() {
    let Some(redis) = trimming(Redis::start()) else { return };
    redis.add("s", 1_000);
    redis.run::<()>("XGROUP CREATE s idle 0");
    let sidecar = Sidecar::with_config(&redis.uri(), &config("max_length: 500"));
    let page = sidecar
        .wait("it to be blocked", |page| runs(page, "blocked") >= 1.0 && blocked(page, "idle", "unread"));
    assert_eq!((length(&redis), trimmed(&page)), (1_000, 0.0));
    assert_eq!(page.get("streamwarden_retention_removable_entries", &[]), Some(0.0));
    let log = sidecar.log();
    assert!(
        log.contains("retention is blocked") && log.contains("group idle has not read the oldest"),
        "{log}"
    );

    redis.read("s", "idle", "c", 1_000);
    sidecar.wait("pending entries to block", |page| blocked(page, "idle", "pending"));
    assert_eq!(length(&redis), 1_000);
    let ids: Vec<(String, Value)> = redis.run("XRANGE s - +");
    let ids: Vec<String> = ids.into_iter().map(|(id, _)| id).collect();
    let help = format!("entry {} was delivered 1 time, last ", ids[0]);
    let advice = "and consumer c has not acknowledged it: consumers must XACK what they have handled";
    let log = wait_for("the log to say so", || Some(sidecar.log()).filter(|log| log.contains(&help)));
    assert!(log.contains(advice) && !log.contains("dead-letter"), "it was delivered once, just now: {log}");
    redis.run::<u64>(&format!("XACK s idle {}", ids.join(" ")));
    let page = sidecar.wait("the stream to be trimmed", |page| trimmed(page) >= 500.0);
    assert_eq!(length(&redis), 500);
    sidecar.wait("it to be unblocked", |page| page.count("streamwarden_retention_blocked") == 0);
    assert!(page.group("entries_lost_total", "s", "idle").is_none_or(|lost| lost == 0.0));
    wait_for("the log to say so", || sidecar.log().contains("no longer blocked").then_some(()));
}

#[test]
fn the_log_proposes_to_set_an_entry_aside_that_fails_again_and_again() {
    let Some(redis) = trimming(Redis::start()) else { return };
    redis.add("s", 1_000);
    redis.run::<()>("XGROUP CREATE s g 0");
    redis.read("s", "g", "c", 1_000);
    let first: Vec<(String, Value)> = redis.run("XRANGE s - + COUNT 1");
    let id = &first[0].0;
    redis.run::<Value>(&format!("XCLAIM s g c 0 {id} IDLE 600000 RETRYCOUNT 5"));
    let sidecar = Sidecar::with_config(&redis.uri(), &config("max_length: 500"));
    let help = format!("streamwarden dead-letter --id {id} --dry-run s g");
    wait_for("the command", || sidecar.log().contains(&help).then_some(()));
}

#[test]
fn a_missing_group_that_is_expected_holds_everything() {
    let Some(redis) = trimming(Redis::start()) else { return };
    redis.add("s", 1_000);
    let config = config("max_length: 500").replace("groups: []", "groups: [late]");
    let sidecar = Sidecar::with_config(&redis.uri(), &config);
    sidecar.wait("it to be blocked", |page| {
        runs(page, "blocked") >= 1.0 && blocked(page, "late", "missing_group")
    });
    redis.run::<()>("XGROUP CREATE s late 0");
    redis.read("s", "late", "c", 10);
    sidecar.wait("its pending entries to block", |page| blocked(page, "late", "pending"));
    assert_eq!(length(&redis), 1_000);
}

#[test]
fn what_goes_on_request_although_it_is_needed_is_counted_as_lost() {
    for (limits, left) in [("max_length: 500, mode: strict", 500), ("max_length: 500, ceiling: 800", 800)] {
        let Some(redis) = trimming(Redis::start()) else { return };
        redis.run::<()>("XGROUP CREATE s idle 0 MKSTREAM");
        // By its position it is surely the same group, even if a poll sees nothing else of before again.
        redis.add("s", 1);
        redis.read("s", "idle", "c", 1);
        let sidecar = Sidecar::with_config(&redis.uri(), &config(limits));
        sidecar.wait("the group", |page| page.group("pending", "s", "idle").is_some());
        redis.add("s", 999);
        sidecar.wait("the stream to be trimmed", |page| trimmed(page) >= 1_000.0 - f64::from(left));
        assert_eq!(length(&redis), u64::try_from(left).unwrap());
        let lost = 999.0 - f64::from(left);
        // Before Redis 7.0 nothing tells additions, and so nothing tells losses.
        sidecar.wait("the loss", |page| {
            page.group("entries_lost_total", "s", "idle").is_none_or(|it| it == lost)
        });
        let is_forced = sidecar.log().contains("trimmed to the ceiling");
        assert_eq!(is_forced, limits.contains("ceiling"), "{}", sidecar.log());
    }
}

#[test]
fn a_changed_configuration_ends_the_run_that_it_forbids() {
    let Some(redis) = trimming(Redis::start()) else { return };
    redis.add("s", 60_000);
    // A second after each step, so that the run is still under way.
    let slow = |enabled: bool| {
        format!(
            "retention: {{enabled: {enabled}, interval: 1s, step: 1000, pause: 1s, budget: 5m, lease_ttl: 10m}}\n\
             streams: [{{match: s, retention: {{max_length: 100, mode: strict}}}}]"
        )
    };
    let sidecar = Sidecar::with_config(&redis.uri(), &slow(true));
    wait_for("the first step", || (length(&redis) < 60_000).then_some(()));
    sidecar.configure(&slow(false));
    sidecar.signal("HUP");
    wait_for("the configuration", || sidecar.log().contains("the configuration was reloaded").then_some(()));
    // The step under way may still end.
    sidecar.next_poll();
    let left = length(&redis);
    assert!(left > 50_000, "{left}");
    stays_so(Duration::from_secs(3), "retention is off, and entries stay", || length(&redis) == left);
}

#[test]
fn an_abandoned_group_holds_nothing_back_when_it_is_to_be_ignored() {
    let Some(redis) = trimming(Redis::start()) else { return };
    redis.add("s", 1_000);
    redis.run::<()>("XGROUP CREATE s abandoned 0");
    let sidecar = Sidecar::with_config(&redis.uri(), &config("max_length: 500, ignore_groups: [abandoned]"));
    sidecar.wait("the stream to be trimmed", |page| trimmed(page) >= 500.0);
    assert_eq!(length(&redis), 500);
}

#[test]
fn entries_that_are_too_old_go_as_far_as_no_group_needs_them() {
    let Some(redis) = trimming(Redis::start()) else { return };
    let (hours, _): (u64, u64) = redis.run("TIME");
    let old = |hour: u64| (hours - hour * 3_600) * 1_000;
    let mut connection = redis.connect();
    for number in 0..1_000 {
        let id = format!("{}-{number}", if number < 600 { old(5) } else { old(1) });
        cmd("XADD").arg("s").arg(id).arg("f").arg("v").query::<()>(&mut connection).unwrap();
    }
    redis.run::<()>("XGROUP CREATE s readers 0");
    redis.run::<Value>("XREADGROUP GROUP readers c COUNT 300 NOACK STREAMS s >");
    let sidecar = Sidecar::with_config(&redis.uri(), &config("max_age: 2h"));
    sidecar.wait("the group to block", |page| trimmed(page) == 300.0 && blocked(page, "readers", "unread"));
    redis.run::<Value>("XREADGROUP GROUP readers c COUNT 900 NOACK STREAMS s >");
    sidecar.wait("the rest of the old ones to go", |page| {
        trimmed(page) == 600.0 && runs(page, "reached") >= 1.0
    });
    assert_eq!(length(&redis), 400);
}

#[test]
fn an_age_limit_does_not_touch_ids_that_are_not_times_and_says_so() {
    for rule in ["+@all", "+@all -eval"] {
        for (unit, base) in
            [("counter", 0_u64), ("s", 1_600_000_000), ("us", 1_600_000_000_000_000), ("ns", 1 << 60)]
        {
            let Some(redis) = trimming(Redis::start()) else { return };
            redis.run::<()>(&format!("ACL SETUSER warden on nopass ~* {rule}"));
            for number in 1..=300 {
                redis.run::<String>(&format!("XADD s {}-1 f v", base + number));
            }
            let uri = redis.uri().replace("redis://", "redis://warden:any@");
            let sidecar = Sidecar::with_config(&uri, &config("max_age: 1h"));
            sidecar.wait(&format!("{unit} to block, with {rule}"), |page| blocked(page, "", "not_times"));
            assert_eq!(length(&redis), 300);
        }
    }
}

/// Adds entries until told to stop; gives what it added.
fn produce(mut connection: Connection, stop: &AtomicBool) -> BTreeSet<String> {
    let mut added = BTreeSet::new();
    while !stop.load(Ordering::Relaxed) {
        let mut pipeline = redis::pipe();
        (0..200).for_each(|_| {
            pipeline.cmd("XADD").arg("s").arg("*").arg("f").arg("v");
        });
        added.extend(pipeline.query::<Vec<String>>(&mut connection).unwrap());
        thread::sleep(Duration::from_millis(2));
    }
    added
}

/// An ID, and what was given with it: nothing for an entry that is gone.
type Entry = (String, Option<Value>);

/// Reads and acknowledges as a group until there is nothing more after the end; gives what it was given.
fn consume(mut connection: Connection, group: &str, stop: &AtomicBool) -> BTreeSet<String> {
    let mut given = BTreeSet::new();
    loop {
        let is_over = stop.load(Ordering::Relaxed);
        let mut read = cmd("XREADGROUP");
        read.arg("GROUP").arg(group).arg("c").arg("COUNT").arg(150).arg("STREAMS").arg("s").arg(">");
        let streams: Option<Vec<(String, Vec<Entry>)>> = read.query(&mut connection).unwrap();
        let entries: Vec<String> = streams
            .into_iter()
            .flatten()
            .flat_map(|(_, entries)| entries)
            .map(|(id, body)| {
                assert!(body.is_some(), "{id} was given without its content");
                id
            })
            .collect();
        if entries.is_empty() {
            if is_over {
                return given;
            }
            thread::sleep(Duration::from_millis(3));
            continue;
        }
        cmd("XACK").arg("s").arg(group).arg(&entries).query::<u64>(&mut connection).unwrap();
        given.extend(entries);
    }
}

/// Ends what goes on beside a test, also when the test fails.
struct StopAtEnd<'a>(&'a AtomicBool);

impl Drop for StopAtEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn several_sidecars_share_one_lease_and_lose_nothing_when_they_are_killed() {
    let Some(redis) = trimming(Redis::start()) else { return };
    let groups = ["one", "two"];
    for group in groups {
        redis.run::<()>(&format!("XGROUP CREATE s {group} 0 MKSTREAM"));
    }
    // Long enough for a busy machine to renew it in time.
    let config = config("max_length: 100").replace("lease_ttl: 2s", "lease_ttl: 5s");
    let start = || Sidecar::with_config(&redis.uri(), &config);
    let mut sidecars = vec![start(), start(), start()];
    let leads = |sidecar: &Sidecar| sidecar.scrape().own("streamwarden_retention_leader") == 1.0;
    let stop = AtomicBool::new(false);
    let (added, given, removed) = thread::scope(|scope| {
        let producer = scope.spawn(|| produce(redis.connect(), &stop));
        let consumers = groups.map(|group| {
            scope.spawn({
                let (redis, stop) = (&redis, &stop);
                move || consume(redis.connect(), group, stop)
            })
        });
        let stop_at_end = StopAtEnd(&stop);
        let mut removed = 0.0;
        for _ in 0..3 {
            // One that was held up by a busy machine says so until it looks again.
            let leader = wait_for("one leader", || {
                let leaders: Vec<usize> =
                    sidecars.iter().enumerate().filter(|(_, it)| leads(it)).map(|(index, _)| index).collect();
                <[usize; 1]>::try_from(leaders).ok().map(|[leader]| leader)
            });
            sidecars[leader].wait("the leader to trim", |page| trimmed(page) > 0.0);
            for (index, sidecar) in sidecars.iter().enumerate() {
                assert_eq!(trimmed(&sidecar.scrape()) > 0.0, index == leader, "the others watch");
            }
            removed += trimmed(&sidecars[leader].scrape());
            sidecars[leader].signal("KILL");
            sidecars.remove(leader);
            sidecars.push(start());
        }
        drop(stop_at_end);
        (producer.join().unwrap(), consumers.map(|consumer| consumer.join().unwrap()), removed)
    });
    for (group, given) in groups.into_iter().zip(given) {
        assert_eq!(added.difference(&given).count(), 0, "{group} did not receive everything");
    }
    wait_for("the limit to be reached", || (length(&redis) < 200).then_some(()));
    assert!(removed > 100.0, "next to nothing was trimmed: {removed}");
}

#[test]
fn a_sidecar_that_stops_hands_the_lease_on_at_once() {
    let Some(redis) = trimming(Redis::start()) else { return };
    redis.add("s", 10);
    let config = config("max_length: 100").replace("lease_ttl: 2s", "lease_ttl: 1h");
    let mut first = Sidecar::with_config(&redis.uri(), &config);
    first.wait("the lease", |page| page.own("streamwarden_retention_leader") == 1.0);
    first.signal("TERM");
    assert!(first.wait_for_exit().success());
    assert_eq!(redis.run::<u64>("EXISTS streamwarden:retention:lease"), 0);
}
