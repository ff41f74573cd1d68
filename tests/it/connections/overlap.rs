//! Two pipelines are under way at once: how much that asks of the server, and what a reply too many does to it.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
};

use support::{Act, Direction, Page, Proxy, Redis, Sidecar, wait_for};

use super::{all_failures, connections};

/// So many streams, each with another length.
const STREAMS: usize = 150;

fn seed(redis: &Redis) {
    let mut pipeline = redis::pipe();
    for stream in 0..STREAMS {
        for _ in 0..=stream {
            pipeline.cmd("XADD").arg(format!("s{stream:03}")).arg("*").arg("f").arg("v").ignore();
        }
    }
    pipeline.query::<()>(&mut redis.connect()).unwrap();
}

fn lengths_are_right(page: &Page) -> bool {
    let is_right = |stream: usize| {
        let length = f64::from(u32::try_from(stream).unwrap() + 1);
        page.stream("length", &format!("s{stream:03}")) == Some(length)
    };
    (0..STREAMS).all(is_right)
}

/// How often a word comes in bytes that come in pieces.
#[derive(Default)]
struct Count(Vec<u8>);

impl Count {
    fn of(&mut self, word: &[u8], piece: &[u8]) -> usize {
        self.0.extend(piece);
        let count = self.0.windows(word.len()).filter(|bytes| *bytes == word).count();
        self.0.drain(..self.0.len().saturating_sub(word.len() - 1));
        count
    }
}

#[test]
fn pipelines_overlap_and_no_more_than_24_streams_are_under_way() {
    let redis = Redis::start();
    seed(&redis);
    let proxy = Proxy::to(redis.port());
    let sidecar = Sidecar::with_config(&proxy.uri(), "poll: {interval: 300ms, discovery_interval: 1h}");
    sidecar.wait("the streams", lengths_are_right);
    let (most, overlaps) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (now_most, now_overlaps) = (Arc::clone(&most), Arc::clone(&overlaps));
    let (mut asked, mut answered, mut under_way) = (Count::default(), Count::default(), 0_usize);
    proxy.rule(move |direction, bytes| {
        match direction {
            Direction::ToServer => {
                let count = asked.of(b"\r\nFULL\r\n", bytes);
                now_overlaps.fetch_add(usize::from(under_way > 0 && count > 0), SeqCst);
                under_way += count;
                now_most.fetch_max(under_way, SeqCst);
            }
            // The rule may begin in the middle of a poll.
            Direction::ToClient => {
                under_way = under_way.saturating_sub(answered.of(b"\r\nlength\r\n", bytes));
            }
        }
        Act::Pass
    });
    wait_for("pipelines that overlap", || (overlaps.load(SeqCst) > 20).then_some(()));
    assert_eq!(most.load(SeqCst), 24);
}

/// Adds a copy of a stream's reply in the middle of a poll when it is armed, and a little later closes the connection.
fn adds_a_reply_and_closes(proxy: &Proxy) -> Arc<AtomicBool> {
    let armed = Arc::new(AtomicBool::new(false));
    let arm = Arc::clone(&armed);
    let (mut seen, mut answered, mut is_shifted) = (Count::default(), 0, false);
    proxy.rule(move |direction, bytes| {
        if direction == Direction::ToServer {
            return Act::Pass;
        }
        // A poll's first answer begins with the time.
        if bytes.starts_with(b"*2\r\n$10\r\n") {
            answered = 0;
        }
        answered += seen.of(b"\r\nlength\r\n", bytes);
        let first = bytes.iter().position(|byte| *byte == b'%');
        if let Some(first) = first
            && (40..80).contains(&answered)
            && arm.swap(false, SeqCst)
        {
            let last = bytes.iter().rposition(|byte| *byte == b'%').unwrap();
            let copy = bytes[last..].to_vec();
            bytes.splice(first..first, copy);
            is_shifted = true;
        }
        let is_over = answered > 100 && std::mem::take(&mut is_shifted);
        if is_over { Act::Close } else { Act::Pass }
    });
    armed
}

#[test]
fn a_reply_too_many_shifts_nothing_where_the_connection_is_closed_before_it_shows() {
    let redis = Redis::start();
    seed(&redis);
    let proxy = Proxy::to(redis.port());
    let armed = adds_a_reply_and_closes(&proxy);
    let sidecar = Sidecar::with_config(&proxy.uri(), "poll: {interval: 300ms, discovery_interval: 1h}");
    sidecar.wait("the streams", lengths_are_right);
    for _ in 0..3 {
        let before = sidecar.scrape();
        armed.store(true, SeqCst);
        let polls = |page: &Page| page.own("streamwarden_polls_total");
        // Each poll has its page, and the wrong one would be among these.
        sidecar.wait("a poll that was disturbed and one that was not", |page| {
            assert!(lengths_are_right(page), "{}", sidecar.log());
            connections(page) > connections(&before) && polls(page) >= polls(&before) + 3.0
        });
        assert!(!armed.load(SeqCst));
    }
    assert_eq!(all_failures(&sidecar.scrape()), 0.0, "{}", sidecar.log());
}
