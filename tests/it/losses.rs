//! What is reported about entries that were removed before delivery while a consumer reads: exact where the sidecar trims,
//! within bounds and with a warning where others do.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use redis::{Value, cmd, from_redis_value};

use support::{Need, Page, Redis, Sidecar, wait_for};

/// What `XREADGROUP` answers.
type Streams = Vec<(String, Vec<(String, Vec<String>)>)>;

/// A server that counts what was added; before Redis 7.0 there are no losses to tell.
fn counting() -> Option<Redis> {
    Redis::start().if_meets(Need::COUNTED_ADDITIONS)
}

/// Reads ten entries each 10 ms with the group `g` of the stream `s`, as long as the body takes; gives how many it read.
fn while_reading(redis: &Redis, body: impl FnOnce()) -> u64 {
    let (is_over, read) = (AtomicBool::new(false), Mutex::new(0));
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut connection = redis.connect();
            while !is_over.load(Ordering::Relaxed) {
                let mut command = cmd("XREADGROUP");
                command.arg("GROUP").arg("g").arg("c").arg("COUNT").arg(10).arg("NOACK");
                let streams: Option<Streams> =
                    command.arg("STREAMS").arg("s").arg(">").query(&mut connection).unwrap();
                let entries = streams.iter().flatten().map(|(_, entries)| entries.len() as u64);
                *read.lock().unwrap() += entries.sum::<u64>();
                thread::sleep(Duration::from_millis(10));
            }
        });
        body();
        is_over.store(true, Ordering::Relaxed);
    });
    read.into_inner().unwrap()
}

fn lost(page: &Page, which: &str) -> f64 {
    page.group(&format!("entries_{which}_total"), "s", "g").unwrap()
}

/// Of the entries that were added, those that were not read and are not there to be read.
fn lost_truly(redis: &Redis, added: u64, read: u64) -> f64 {
    let groups: Vec<BTreeMap<String, Value>> = redis.run("XINFO GROUPS s");
    let position: String = from_redis_value(groups[0]["last-delivered-id"].clone()).unwrap();
    let left: Vec<(String, Value)> = redis.run(&format!("XRANGE s ({position} +"));
    f64::from(u32::try_from(added - read - left.len() as u64).unwrap())
}

#[test]
fn what_the_sidecar_takes_from_a_reading_group_is_reported_exactly() {
    let Some(redis) = counting() else { return };
    redis.run::<()>("XGROUP CREATE s g 0 MKSTREAM");
    let limits = "retention: {interval: 1s, lease_ttl: 2s}\nstreams: [{match: s, retention: {max_length: 300, mode: strict}}]";
    let sidecar = Sidecar::with_config(&redis.uri(), limits);
    sidecar.wait("the group", |page| page.group("pending", "s", "g").is_some());
    let read = while_reading(&redis, || {
        for _ in 0..5 {
            redis.add("s", 1_000);
            wait_for("a trim", || (redis.run::<u64>("XLEN s") <= 300).then_some(()));
        }
    });
    let truth = lost_truly(&redis, 5_000, read);
    assert!(truth > 0.0, "the group kept up");
    let page = sidecar.wait("the losses", |page| lost(page, "lost") >= truth);
    assert_eq!((lost(&page, "lost"), lost(&page, "lost_upper_bound")), (truth, truth));
    assert_eq!(lost(&page, "suspected_lost"), 0.0);
    assert!(sidecar.log().contains("removed entries that were not yet delivered to the group"));
}

#[test]
fn what_others_take_from_a_group_that_reads_on_is_bounded_and_warned_of() {
    let Some(redis) = counting() else { return };
    redis.add("s", 20_000);
    redis.run::<()>("XGROUP CREATE s g 0");
    let newest = redis.milliseconds();
    wait_for("what waits to be older than an interval", || {
        (redis.milliseconds() > newest + 1_100).then_some(())
    });
    let sidecar = Sidecar::with_config(&redis.uri(), "poll: {interval: 1s}\n");
    let read = while_reading(&redis, || {
        sidecar.next_poll();
        sidecar.next_poll();
        redis.run::<u64>("XTRIM s MAXLEN 1000");
        sidecar.wait("the losses", |page| lost(page, "lost_upper_bound") > 0.0);
    });
    let truth = lost_truly(&redis, 20_000, read);
    let page = sidecar.next_poll();
    let (at_least, at_most) = (lost(&page, "lost"), lost(&page, "lost_upper_bound"));
    assert!(truth > 1_000.0 && at_least <= truth && truth <= at_most, "{at_least} <= {truth} <= {at_most}");
    let status = |status| {
        let labels = [("stream", "s"), ("group", "g"), ("status", status)];
        page.get("streamwarden_group_status", &labels) == Some(1.0)
    };
    let version: String = redis.run("INFO server");
    if version.contains("redis_version:7.0.") {
        assert!(at_least == truth && at_most == truth && status("trimmed_past"), "{at_least} {at_most}");
    } else {
        assert!(
            lost(&page, "suspected_lost") >= truth && status("lagging"),
            "{}",
            sidecar.get("/metrics").text()
        );
    }
}

#[test]
fn entries_that_vanish_with_their_consumer_are_reported() {
    let redis = Redis::start();
    redis.add("s", 200);
    redis.run::<()>("XGROUP CREATE s g 0");
    redis.read("s", "g", "dead", 100);
    redis.read("s", "g", "alive", 50);
    let sidecar = Sidecar::start(&redis);
    let idle = |page: &Page| page.consumer("idle_seconds", "dead") > Some(1.0);
    sidecar.wait("it to be idle", |page| page.group("pending", "s", "g") == Some(150.0) && idle(page));
    assert_eq!(sidecar.next_poll().group("pending_dropped_total", "s", "g"), Some(0.0));
    redis.run::<u64>("XGROUP DELCONSUMER s g dead");
    sidecar.wait("it to be told", |page| page.group("pending_dropped_total", "s", "g") == Some(100.0));
    assert_eq!(sidecar.next_poll().group("pending_dropped_total", "s", "g"), Some(100.0), "once");
}

/// Whether a reread tells more than two polls do: Redis 7.0 counts deliveries.
fn is_worth_rereading(redis: &Redis) -> bool {
    let server: String = redis.run("INFO server");
    !server.contains("redis_version:7.0.")
}

#[test]
fn a_stream_is_reread_where_trims_come_near_a_group_that_reads_on_but_not_where_that_is_billed() {
    let Some(redis) = counting() else { return };
    for stream in ["s", "calm"] {
        redis.add(stream, 3_000);
        redis.run::<()>(&format!("XGROUP CREATE {stream} g 0"));
    }
    let sidecar = |is_billed: bool| {
        let billed = format!("redis: {{billed_by_command: {is_billed}}}\n");
        let poll = "poll: {interval: 4s, discovery_interval: 1h}\n";
        Sidecar::with_config(&redis.uri(), &(billed + poll))
    };
    let (free, billed) = (sidecar(false), sidecar(true));
    let (rereads, polls) = (
        |page: &Page| page.own("streamwarden_rereads_total"),
        |page: &Page| page.own("streamwarden_polls_total"),
    );
    let goes_on = || {
        redis.read("s", "g", "c", 1);
        free.scrape()
    };
    let page = wait_for("some polls", || Some(goes_on()).filter(|page| polls(page) >= 4.0));
    // Three after each poll from the second on, of the one stream with a group that goes on.
    let (least, most) = if is_worth_rereading(&redis) { (3.0, 9.0) } else { (0.0, 0.0) };
    assert!((least..=most).contains(&rereads(&page)), "{} rereads, {least} to {most}", rereads(&page));
    assert!(polls(&billed.scrape()) >= 3.0);
    assert_eq!(rereads(&billed.scrape()), 0.0);
}
