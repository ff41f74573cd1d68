//! How long a sidecar at its default settings sees nothing, or something wrong, for each fault: a table, and no test.
//!
//! `make faults PROGRAM=/path/to/streamwarden` runs it on any built program; it takes some minutes.

use std::{
    sync::atomic::{AtomicBool, Ordering::SeqCst},
    thread::{scope, sleep},
    time::{Duration, Instant},
};

use support::{Act, Direction, Page, Proxy, Redis, Sidecar, write};

use crate::connections::{all_failures, crowds::crowd, reloads::hang, up};

/// Eight polls and two searches.
const WATCHED: Duration = Duration::from_secs(125);
/// Between two looks at the page.
const LOOK: Duration = Duration::from_millis(250);

/// What was seen of a fault.
struct Seen {
    /// Without a poll that had succeeded, or without a stream that nothing is wrong with.
    blind: Duration,
    /// With a number that is not true.
    wrong: Duration,
    /// Polls and searches that failed.
    failed: f64,
}

/// Looks at the page again and again; `is_right` is `None` where the page does not say.
fn watch(sidecar: &Sidecar, is_right: impl Fn(&Page) -> Option<bool>) -> Seen {
    let began = now();
    let mut seen = Seen { blind: Duration::ZERO, wrong: Duration::ZERO, failed: 0.0 };
    let before = all_failures(&sidecar.scrape());
    let mut last = began;
    while began.elapsed() < WATCHED {
        sleep(LOOK);
        let page = sidecar.scrape();
        let passed = last.elapsed();
        last = now();
        match is_right(&page).filter(|_| up(&page)) {
            None => seen.blind += passed,
            Some(false) => seen.wrong += passed,
            Some(true) => {}
        }
        seen.failed = all_failures(&page) - before;
    }
    seen
}

#[expect(clippy::disallowed_methods, reason = "what is measured here is time")]
fn now() -> Instant {
    Instant::now()
}

/// Whether the witness has its two entries.
fn witness(page: &Page) -> Option<bool> {
    page.stream("length", "witness").map(|length| length == 2.0)
}

fn with_witness(settings: &str) -> Redis {
    let redis = Redis::with_settings(settings);
    redis.add("witness", 2);
    redis
}

/// Starts a sidecar and waits for its first good poll.
fn start(uri: &str, config: &str) -> Sidecar {
    let sidecar = Sidecar::with_default_polls(uri, config);
    sidecar.wait("the first poll", |page| witness(page).is_some());
    sidecar
}

fn idle_connections_are_cut(after: Duration) -> Seen {
    let redis = with_witness("");
    let proxy = Proxy::to(redis.port());
    proxy.close_idle(after);
    watch(&start(&proxy.uri(), ""), witness)
}

fn the_connection_is_reset_in_an_answer() -> Seen {
    let redis = with_witness("");
    let proxy = Proxy::to(redis.port());
    let sidecar = start(&proxy.uri(), "");
    let cut = AtomicBool::new(true);
    proxy.rule(move |direction, bytes| {
        let is_answer = direction == Direction::ToClient && bytes.windows(6).any(|word| word == b"length");
        if is_answer && cut.swap(false, SeqCst) { Act::Close } else { Act::Pass }
    });
    watch(&sidecar, witness)
}

fn a_crowd_is_not_sent() -> Seen {
    let redis = with_witness("client-output-buffer-limit normal 1mb 512kb 5");
    let sidecar = start(&redis.uri(), "");
    crowd(&mut redis.connect(), "crowd", 30_000);
    watch(&sidecar, witness)
}

fn large_entries_are_not_sent() -> Seen {
    let redis = with_witness("client-output-buffer-limit normal 2mb 1mb 5");
    let sidecar = start(&redis.uri(), "");
    let (mut connection, body) = (redis.connect(), "x".repeat(600_000));
    for number in 0..30 {
        let name = format!("large{number:02}");
        redis::cmd("XADD").arg(&name).arg("*").arg("f").arg(&body).query::<String>(&mut connection).unwrap();
    }
    watch(&sidecar, witness)
}

fn clients_are_evicted() -> Seen {
    let redis = with_witness("");
    let mut connection = redis.connect();
    (0..200).for_each(|number| crowd(&mut connection, &format!("s{number:03}"), 40));
    let sidecar = start(&redis.uri(), "");
    redis.run::<()>("CONFIG SET maxmemory-clients 100kb");
    watch(&sidecar, witness)
}

fn a_reply_comes_twice() -> Seen {
    let redis = with_witness("");
    redis.add("a", 1);
    redis.add("z", 3);
    let proxy = Proxy::to(redis.port());
    let sidecar = start(&proxy.uri(), "");
    let add = AtomicBool::new(true);
    proxy.rule(move |direction, bytes| {
        let streams = bytes.windows(6).filter(|word| *word == b"length").count();
        if direction == Direction::ToClient && streams == 3 && add.swap(false, SeqCst) {
            let first = bytes.iter().position(|byte| *byte == b'%').unwrap();
            let last = bytes.iter().rposition(|byte| *byte == b'%').unwrap();
            let copy = bytes[last..].to_vec();
            bytes.splice(first..first, copy);
        }
        Act::Pass
    });
    watch(&sidecar, witness)
}

fn a_proxy_refuses_hello(answer: Option<&'static str>) -> Seen {
    let redis = with_witness("");
    let proxy = Proxy::to(redis.port());
    proxy.rule(move |direction, bytes| {
        let hello = bytes.windows(5).position(|word| word == b"HELLO");
        match (direction, hello, answer) {
            (Direction::ToServer, Some(_), None) => return Act::Close,
            (Direction::ToServer, Some(at), Some(_)) => bytes[at..at + 5].copy_from_slice(b"HELLX"),
            (Direction::ToClient, _, Some(answer)) if bytes.starts_with(b"-ERR unknown") => {
                let text = String::from_utf8_lossy(bytes).into_owned();
                *bytes = format!("{answer}\r\n{}", text.split_once("\r\n").unwrap().1).into_bytes();
            }
            _ => {}
        }
        Act::Pass
    });
    let sidecar = Sidecar::with_default_polls(&proxy.uri(), "");
    watch(&sidecar, witness)
}

fn xinfo_is_renamed() -> Seen {
    let redis = with_witness("rename-command XINFO \"\"");
    let sidecar = Sidecar::with_default_polls(&redis.uri(), "");
    watch(&sidecar, witness)
}

/// The lag of a group that only earlier polls prove.
fn a_reload_comes() -> Seen {
    let redis = with_witness("");
    redis.run::<()>("XGROUP CREATE witness g $");
    let sidecar = start(&redis.uri(), "");
    sidecar.wait("the group", |page| page.group("lag", "witness", "g") == Some(0.0));
    (0..30).for_each(|_| redis.add("witness", 10_000));
    let lag = |page: &Page| page.group("lag", "witness", "g").map(|lag| lag == 300_000.0);
    support::wait_at_most(Duration::from_secs(40), "the lag", || {
        lag(&sidecar.scrape()).filter(|is_right| *is_right)
    });
    sidecar.signal("HUP");
    watch(&sidecar, lag)
}

fn a_mount_hangs() -> Seen {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("password");
    write(&file, "secret");
    let redis = with_witness("requirepass secret");
    let config =
        format!("redis: {{uri: 'redis://127.0.0.1:{}', password_file: {}}}", redis.port(), file.display());
    let sidecar = start("", &config);
    hang(&file);
    let clients: String = redis.run("CLIENT LIST");
    let search = clients.lines().find(|client| client.contains(" cmd=scan ")).unwrap();
    redis.run::<u64>(&format!("CLIENT KILL ID {}", search.split(['=', ' ']).nth(1).unwrap()));
    // Only what comes after the hang counts: a page that stands still is blind.
    let last = |page: &Page| page.own("streamwarden_poll_last_success_timestamp_seconds");
    let started = last(&sidecar.scrape());
    let began = now();
    watch(&sidecar, move |page| {
        let polled = last(page) - started;
        // Two intervals behind.
        (began.elapsed().as_secs_f64() - polled < 31.0).then_some(true)
    })
}

#[test]
#[ignore = "a table for people; it takes minutes"]
fn seconds_blind_per_fault_at_default_settings() {
    type Fault = (&'static str, fn() -> Seen);
    let faults: [Fault; 13] = [
        ("idle connections are cut after 10 s", || idle_connections_are_cut(Duration::from_secs(10))),
        ("idle connections are cut after 30 s", || idle_connections_are_cut(Duration::from_secs(30))),
        ("a connection is cut in an answer, once", the_connection_is_reset_in_an_answer),
        ("a stream of 30,000 consumers, output limit 1 MB", a_crowd_is_not_sent),
        ("30 streams of 600 kB entries, output limit 2 MB", large_entries_are_not_sent),
        ("200 streams of 40 consumers, maxmemory-clients 100 kB", clients_are_evicted),
        ("one reply comes twice", a_reply_comes_twice),
        ("HELLO: \"ERR unsupported command\"", || a_proxy_refuses_hello(Some("-ERR unsupported command"))),
        ("HELLO: \"NOAUTH\", no password is set", || {
            a_proxy_refuses_hello(Some("-NOAUTH Authentication required."))
        }),
        ("HELLO: the proxy closes", || a_proxy_refuses_hello(None)),
        ("XINFO is renamed (of the length)", xinfo_is_renamed),
        ("SIGHUP (of a proven lag of 300,000)", a_reload_comes),
        ("the search's password is on a mount that hangs", a_mount_hangs),
    ];
    let seen: Vec<Seen> = scope(|scope| {
        let threads: Vec<_> = faults.iter().map(|(_, fault)| scope.spawn(fault)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let watched = WATCHED.as_secs();
    println!(
        "| fault, watched for {watched} s | seconds blind | seconds wrong | polls and searches that failed |"
    );
    println!("|---|---|---|---|");
    for ((name, _), Seen { blind, wrong, failed }) in faults.iter().zip(&seen) {
        println!("| {name} | {:.0} | {:.0} | {failed} |", blind.as_secs_f64(), wrong.as_secs_f64());
    }
}
