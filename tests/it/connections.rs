//! Connections that others close, disturb or refuse: what it costs, and what is said of it.

pub(crate) mod crowds;
mod greetings;
mod overlap;
pub(crate) mod reloads;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use support::{Act, Direction, Need, Page, Proxy, Redis, Sidecar, wait_for};

use crate::{retention::trimming, tls::certificates};
use crowds::crowd;

/// An interval longer than the timeout of the proxy in between.
const SLOW: &str = "poll: {interval: 1s, discovery_interval: 1s, stale_after: 20s}\n";

pub(crate) fn up(page: &Page) -> bool {
    page.own("streamwarden_redis_up") == 1.0
}

pub(crate) fn failures(page: &Page, reason: &str) -> f64 {
    page.get("streamwarden_poll_failures_total", &[("reason", reason)]).expect("each reason is there")
}

pub(crate) fn all_failures(page: &Page) -> f64 {
    let is_one = |name: &str| {
        ["streamwarden_poll_failures_total", "streamwarden_discovery_failures_total"].contains(&name)
    };
    page.samples().iter().filter(|((name, _), _)| is_one(name)).map(|(_, value)| value).sum()
}

pub(crate) fn connections(page: &Page) -> f64 {
    page.own("streamwarden_redis_connections_total")
}

/// A group at the stream's end, and then so many entries behind it: nothing but an earlier poll proves that lag where
/// nothing may be counted.
fn proven_lag(redis: &Redis, sidecar: &Sidecar, lag: usize) -> f64 {
    redis.add("proven", 1);
    redis.run::<()>("XGROUP CREATE proven g $");
    sidecar.wait("the group", |page| page.group("lag", "proven", "g") == Some(0.0));
    redis.add("proven", lag);
    let lag = f64::from(u32::try_from(lag).unwrap());
    sidecar.wait("the lag", |page| page.group("lag", "proven", "g") == Some(lag));
    lag
}

#[test]
fn idle_connections_that_are_cut_cost_no_poll_no_search_and_no_knowledge() {
    let redis = Redis::start();
    redis.add("s", 2);
    let proxy = Proxy::to(redis.port());
    let sidecar = Sidecar::with_config(&proxy.uri(), &format!("{SLOW}lag_count: {{entries: 0}}"));
    sidecar.wait("the stream", |page| page.stream("length", "s") == Some(2.0));
    proxy.close_idle(Duration::from_millis(300));
    // Without this the second connection knows nothing of the first.
    sidecar.next_poll();
    let lag = redis.meets(Need::COUNTED_ADDITIONS).then(|| proven_lag(&redis, &sidecar, 500));
    let before = connections(&sidecar.scrape());
    for _ in 0..4 {
        let page = sidecar.next_poll();
        assert!(up(&page) && page.group("lag", "proven", "g") == lag, "{}", sidecar.log());
    }
    let page = sidecar.scrape();
    assert!(connections(&page) >= before + 4.0, "the proxy cut nothing");
    assert_eq!(all_failures(&page), 0.0, "{}", sidecar.log());
    assert!(!sidecar.log().contains("WARN"), "{}", sidecar.log());
}

#[test]
fn a_connection_that_is_reset_by_the_first_byte_is_made_again_without_a_word() {
    let redis = Redis::start();
    redis.add("s", 2);
    let proxy = Proxy::to(redis.port());
    let is_dead = Arc::new(AtomicBool::new(false));
    let cut = Arc::clone(&is_dead);
    // The sidecar learns that it was closed when it sends, as behind a firewall that has forgotten it.
    proxy.rule(move |direction, _| {
        let is_cut = direction == Direction::ToServer && cut.swap(false, SeqCst);
        if is_cut { Act::Close } else { Act::Pass }
    });
    let sidecar = Sidecar::with_config(&proxy.uri(), "");
    sidecar.wait("the stream", |page| page.stream("length", "s") == Some(2.0));
    for _ in 0..5 {
        is_dead.store(true, SeqCst);
        sidecar.next_poll();
    }
    let page = sidecar.scrape();
    assert_eq!(all_failures(&page), 0.0, "{}", sidecar.log());
    // No answer to the questions about the server is taken for a stream's.
    let unread = page.get("streamwarden_stream_read_failures_total", &[("reason", "unexpected_reply")]);
    assert_eq!(unread, Some(0.0), "{}", sidecar.log());
    assert!(up(&page) && connections(&page) >= 6.0);
}

#[test]
fn a_write_is_never_sent_twice() {
    let Some(redis) = trimming(Redis::start()) else { return };
    let proxy = Proxy::to(redis.port());
    let cut = AtomicBool::new(true);
    // Whether it was carried out before the connection broke, nobody knows: here it was. No other reply has eight parts.
    proxy.rule(move |direction, bytes| {
        let is_of_step = direction == Direction::ToClient && bytes.starts_with(b"*8\r\n:");
        if is_of_step && cut.swap(false, SeqCst) { Act::Close } else { Act::Pass }
    });
    redis.add("s", 1_000);
    let config = "retention: {interval: 1s}\nstreams: [{match: s, retention: {max_length: 100}}]";
    let sidecar = Sidecar::with_config(&proxy.uri(), config);
    let failed = |page: &Page| page.get("streamwarden_retention_failures_total", &[("reason", "closed")]);
    let page = sidecar.wait("the failure", |page| failed(page) == Some(1.0));
    assert_eq!(page.own("streamwarden_redis_up"), 1.0);
    sidecar.wait("the next step", |page| page.stream("length", "s") <= Some(200.0));
    assert_eq!(failed(&sidecar.scrape()), Some(1.0));
}

#[test]
fn a_write_goes_to_no_other_connection_than_what_it_depends_on_was_asked_on() {
    let Some(redis) = trimming(Redis::start()) else { return };
    let proxy = Proxy::to(redis.port());
    let (is_over, steps) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let (over, sent) = (Arc::clone(&is_over), Arc::clone(&steps));
    let mut is_closing = false;
    proxy.rule(move |direction, bytes| {
        let has = |words: &[u8]| bytes.windows(words.len()).any(|word| word == words);
        match direction {
            // Sent before the close was seen: that is the connection that it was asked on.
            Direction::ToServer if has(b"\r\nEVAL") && is_closing => return Act::Close,
            Direction::ToServer if has(b"\r\nEVAL") => {
                sent.fetch_add(1, SeqCst);
            }
            Direction::ToServer => is_closing = false,
            // The clock and the role before a run: nothing of a stream is asked with them.
            Direction::ToClient
                if bytes.starts_with(b"*2\r\n$10\r\n") && !has(b"length") && !over.load(SeqCst) =>
            {
                is_closing = true;
                return Act::PassAndClose;
            }
            Direction::ToClient => {}
        }
        Act::Pass
    });
    redis.add("s", 1_000);
    let config = "retention: {interval: 1s}\nstreams: [{match: s, retention: {max_length: 100}}]";
    let sidecar = Sidecar::with_config(&proxy.uri(), config);
    let failed = |page: &Page| page.get("streamwarden_retention_failures_total", &[("reason", "closed")]);
    sidecar.wait("the failures", |page| failed(page) >= Some(2.0));
    assert_eq!((steps.load(SeqCst), redis.run::<u64>("XLEN s")), (0, 1_000), "{}", sidecar.log());
    is_over.store(true, SeqCst);
    sidecar.wait("the trim", |page| page.stream("length", "s") <= Some(200.0));
}

/// Adds a copy of the last stream's reply before the first one's, once for each time that it is asked to.
fn adds_a_reply(proxy: &Proxy) -> Arc<AtomicBool> {
    let add = Arc::new(AtomicBool::new(false));
    let now = Arc::clone(&add);
    proxy.rule(move |direction, bytes| {
        let streams = bytes.windows(6).filter(|word| word == b"length").count();
        // RESP3 begins each stream with a map, and these streams have no other maps. INFO has shares in per cent.
        let is_map = |at: &usize| bytes[*at] == b'%' && bytes[at + 1].is_ascii_digit();
        if direction == Direction::ToClient && streams == 3 && now.swap(false, SeqCst) {
            let first = (0..bytes.len()).find(is_map).unwrap();
            let last = (0..bytes.len()).rfind(is_map).unwrap();
            let copy = bytes[last..].to_vec();
            bytes.splice(first..first, copy);
        }
        Act::Pass
    });
    add
}

#[test]
fn a_reply_too_many_ends_the_connection_and_shifts_nothing() {
    let redis = Redis::start();
    (1..=3).for_each(|count| redis.add(&format!("s{count}"), count));
    let proxy = Proxy::to(redis.port());
    let add = adds_a_reply(&proxy);
    let sidecar = Sidecar::with_config(&proxy.uri(), "");
    sidecar.wait("the streams", |page| page.stream("length", "s3") == Some(3.0));
    let before = connections(&sidecar.scrape());
    for _ in 0..3 {
        add.store(true, SeqCst);
        sidecar.next_poll();
        let page = sidecar.wait("the surplus reply to be sent", |_| !add.load(SeqCst));
        let lengths = ["s1", "s2", "s3"].map(|stream| page.stream("length", stream).unwrap());
        assert_eq!(lengths, [1.0, 2.0, 3.0], "{}", sidecar.log());
    }
    let page = sidecar.next_poll();
    assert!(connections(&page) >= before + 3.0, "the connection was kept");
    assert_eq!(all_failures(&page), 0.0, "each poll was repeated: {}", sidecar.log());
    assert!(sidecar.log().contains("no command awaits one"), "{}", sidecar.log());
}

#[test]
fn messages_that_a_server_may_push_change_nothing() {
    let redis = Redis::start();
    redis.add("s", 2);
    let proxy = Proxy::to(redis.port());
    proxy.rule(|direction, bytes| {
        // Each poll's answer begins with the time; elsewhere a piece may begin in the middle of a reply.
        if direction == Direction::ToClient && bytes.starts_with(b"*2\r\n$10\r\n") {
            bytes.splice(0..0, *b">2\r\n+server-cpu-usage\r\n:7\r\n");
        }
        Act::Pass
    });
    let sidecar = Sidecar::with_config(&proxy.uri(), "");
    sidecar.wait("the stream", |page| page.stream("length", "s") == Some(2.0));
    let before = connections(&sidecar.scrape());
    (0..3).for_each(|_| drop(sidecar.next_poll()));
    let page = sidecar.scrape();
    assert_eq!((all_failures(&page), connections(&page)), (0.0, before), "{}", sidecar.log());
}

#[test]
fn over_tls_a_close_is_a_close() {
    let directory = tempfile::tempdir().unwrap();
    certificates(directory.path(), "127.0.0.1");
    let folder = directory.path().display();
    let redis = Redis::not_listening(&format!(
        "tls-port PORT\ntls-auth-clients no\ntls-ca-cert-file {folder}/ca.pem\ntls-cert-file {folder}/server.pem\n\
         tls-key-file {folder}/server.key\nunixsocket {folder}/redis.sock"
    ));
    // The tests' client speaks no TLS.
    let seed = redis::Client::open(format!("unix://{folder}/redis.sock")).unwrap();
    let mut seed = wait_for("the server", || seed.get_connection().ok());
    crowd(&mut seed, "s", 300);
    let proxy = Proxy::to(redis.port());
    let uri = proxy.uri().replace("redis:", "rediss:");
    let config = format!("redis: {{tls: {{ca_file: {}/ca.pem}}}}", directory.path().display());
    let sidecar = Sidecar::with_config(&uri, &config);
    sidecar.wait("a poll", up);
    // No word of goodbye, as of most servers, in the middle of a large answer.
    proxy.rule(|direction, bytes| {
        let is_large = direction == Direction::ToClient && bytes.len() > 8 * 1024;
        if is_large { Act::Close } else { Act::Pass }
    });
    sidecar.wait("the cuts", |page| connections(page) >= 5.0);
    let page = sidecar.next_poll();
    assert_eq!(failures(&page, "tls"), 0.0, "{}", sidecar.log());
}
