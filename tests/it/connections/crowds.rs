//! Servers that close a connection rather than send much at once.

use redis::{Connection, Value, pipe};

use support::{DEADLINE, Need, Page, Redis, Sidecar, wait_at_most};

use super::{all_failures, connections, up};

/// A stream with one entry and a group of so many consumers. It works on Redis 6.0 too: each consumer reads an entry.
pub(crate) fn crowd(connection: &mut Connection, stream: &str, consumers: usize) {
    let mut pipeline = pipe();
    pipeline.cmd("XADD").arg(stream).arg("1-1").arg("f").arg("v").ignore();
    pipeline.cmd("XGROUP").arg("CREATE").arg(stream).arg("g").arg("0").ignore();
    for consumer in 0..consumers {
        // The entry goes from hand to hand.
        let name = format!("consumer-{consumer:08}");
        let claim = pipeline.cmd("XCLAIM").arg(stream).arg("g").arg(name).arg(0).arg("1-1");
        claim.arg("FORCE").arg("JUSTID").ignore();
    }
    pipeline.query::<()>(connection).unwrap();
}

/// Streams that have nothing to do with it.
fn others(redis: &Redis, count: usize) -> Vec<String> {
    let names: Vec<String> = (0..count).map(|number| format!("other{number:03}")).collect();
    names.iter().for_each(|name| redis.add(name, 2));
    names
}

fn all_are_shown(page: &Page, names: &[String]) -> bool {
    up(page) && names.iter().all(|name| page.stream("length", name) == Some(2.0))
}

/// That all of these are read, and that the search for what may be asked ends: it is tried again once in a hundred polls, and else
/// connections are kept.
#[track_caller]
fn settles(sidecar: &Sidecar, names: &[String]) -> Page {
    let polls = |page: &Page| page.own("streamwarden_polls_total");
    sidecar.wait("the other streams", |page| all_are_shown(page, names));
    wait_at_most(DEADLINE * 3, "the search to end", || {
        let before = sidecar.next_poll();
        let page = sidecar.wait("a hundred polls", |page| polls(page) >= polls(&before) + 100.0);
        assert!(all_are_shown(&page, names), "{}", sidecar.log());
        assert_eq!(all_failures(&page), 0.0, "{}", sidecar.log());
        let tries = ((polls(&page) - polls(&before)) / 100.0).ceil();
        // A try halves what is asked at once until it is sent.
        Some(page).filter(|page| connections(page) - connections(&before) <= 10.0 * tries)
    })
}

#[test]
fn a_stream_that_the_server_does_not_send_is_asked_for_less_and_the_others_stay() {
    let redis = Redis::with_settings("client-output-buffer-limit normal 1mb 512kb 5");
    let names = others(&redis, 40);
    let sidecar = Sidecar::start(&redis);
    sidecar.wait("the other streams", |page| all_are_shown(page, &names));
    // In a database of its own until it is too large: while it grows it would be asked for less.
    let mut aside = redis::Client::open(redis.uri().replace("/0", "/1")).unwrap().get_connection().unwrap();
    crowd(&mut aside, "crowd", 30_000);
    redis::cmd("MOVE").arg("crowd").arg(0).query::<()>(&mut aside).unwrap();
    sidecar.wait("the crowd", |page| page.stream("length", "crowd") == Some(1.0));
    let page = settles(&sidecar, &names);
    assert_eq!(page.group("consumers", "crowd", "g"), Some(30_000.0));
    assert!(sidecar.log().contains("asking for less"), "{}", sidecar.log());
    assert_eq!(sidecar.log().matches("asking for less").count(), 1, "only one is to blame");
}

#[test]
fn entries_that_are_too_large_together_are_asked_for_in_smaller_batches() {
    let redis = Redis::with_settings("client-output-buffer-limit normal 2mb 1mb 5");
    let mut connection = redis.connect();
    let body = "x".repeat(600_000);
    let names: Vec<String> = (0..30).map(|number| format!("large{number:02}")).collect();
    for name in &names {
        (0..2).for_each(|_| {
            redis::cmd("XADD")
                .arg(name)
                .arg("*")
                .arg("f")
                .arg(&body)
                .query::<Value>(&mut connection)
                .unwrap();
        });
    }
    let sidecar = Sidecar::start(&redis);
    settles(&sidecar, &names);
    assert!(!sidecar.log().contains("asking for less"), "none of them is too large by itself");
}

#[test]
fn a_server_that_evicts_clients_is_asked_for_less_at_once() {
    let Some(redis) = Redis::start().if_meets(Need::CLIENT_EVICTION) else { return };
    let mut connection = redis.connect();
    let names: Vec<String> = (0..200).map(|number| format!("s{number:03}")).collect();
    for name in &names {
        crowd(&mut connection, name, 40);
        redis.add(name, 1);
    }
    redis.run::<()>("CONFIG SET maxmemory-clients 200kb");
    drop(connection);
    let sidecar = Sidecar::start(&redis);
    let page = settles(&sidecar, &names);
    assert_eq!(page.group("consumers", "s199", "g"), Some(40.0));
}

#[test]
fn a_stream_of_which_the_server_sends_nothing_has_a_reason() {
    let redis = Redis::with_settings("client-output-buffer-limit normal 1mb 512kb 5");
    let names = others(&redis, 10);
    let mut pipeline = pipe();
    for group in 0..12_000 {
        let create = pipeline.cmd("XGROUP").arg("CREATE").arg("groups").arg(format!("group-{group:05}"));
        create.arg("$").arg("MKSTREAM").ignore();
    }
    pipeline.query::<()>(&mut redis.connect()).unwrap();
    let sidecar = Sidecar::start(&redis);
    settles(&sidecar, &names);
    let reason = [("stream", "groups"), ("reason", "too_large")];
    assert_eq!(
        sidecar.scrape().get("streamwarden_stream_read_failures_total", &reason[1..]).map(|it| it > 0.0),
        Some(true)
    );
    assert_eq!(sidecar.scrape().stream("length", "groups"), None);
}
