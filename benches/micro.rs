//! Cost of the parts of a poll for 1,000 streams with 3 groups of 5 consumers: parsing the replies, judging them, and
//! rendering the page.
//!
//! `cargo bench --bench micro` measures time. `make bench-instructions` counts instructions, which are the same in
//! each run.
#![allow(clippy::unwrap_used, missing_docs, reason = "a benchmark fails loudly")]

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use divan::Bencher;
use streamwarden::{
    clock,
    config::{Config, Sources, Watchlist},
    evaluate::{History, MOST_QUESTIONS},
    model::{Answers, Condition, Flavour, Name, Node, Now, Origin, Server, ServerTime, Snapshot},
    reading::Reading,
    retention::RetentionStatuses,
    source::read_stream,
    views::{Encoding, Format, MetricsPages, Shown},
};

const STREAMS: usize = 1_000;
const GROUPS: usize = 3;
const CONSUMERS: usize = 5;
const NOW: ServerTime = ServerTime(1_800_000_000_000);
const WINDOW_STEP: Duration = Duration::from_secs(15);

fn main() {
    divan::main();
}

fn text(text: &str) -> String {
    format!("${}\r\n{text}\r\n", text.len())
}

fn named(pairs: &[(&str, String)]) -> String {
    let pairs_text: String = pairs.iter().map(|(name, value)| text(name) + value).collect();
    format!("%{}\r\n{pairs_text}", pairs.len())
}

fn list(parts: &[String]) -> String {
    format!("*{}\r\n{}", parts.len(), parts.concat())
}

/// Redis 7.2's reply to `XINFO STREAM key FULL COUNT 1`.
fn reply() -> Bytes {
    let int = |number: i64| format!(":{number}\r\n");
    let id = text("1799999990000-0");
    let pending = list(&[id.clone(), text("consumer-0"), int(1_799_999_995_000), int(1)]);
    let consumer = |number: usize| {
        named(&[
            ("name", text(&format!("consumer-{number}"))),
            ("seen-time", int(1_799_999_999_000)),
            ("active-time", int(1_799_999_995_000)),
            ("pel-count", int(2)),
            ("pel", list(&[list(&[id.clone(), int(1_799_999_995_000), int(1)])])),
        ])
    };
    let group = |number: usize| {
        named(&[
            ("name", text(&format!("group-{number}"))),
            ("last-delivered-id", id.clone()),
            ("entries-read", int(10)),
            ("lag", int(10)),
            ("pel-count", int(10)),
            ("pending", list(std::slice::from_ref(&pending))),
            ("consumers", list(&(0..CONSUMERS).map(consumer).collect::<Vec<_>>())),
        ])
    };
    let stream = named(&[
        ("length", int(20)),
        ("radix-tree-keys", int(1)),
        ("radix-tree-nodes", int(2)),
        ("last-generated-id", text("1799999999000-0")),
        ("max-deleted-entry-id", text("0-0")),
        ("entries-added", int(20)),
        ("recorded-first-entry-id", id.clone()),
        ("entries", list(&[list(&[id.clone(), list(&[text("field"), text("value")])])])),
        ("groups", list(&(0..GROUPS).map(group).collect::<Vec<_>>())),
    ]);
    stream.into()
}

fn snapshot() -> Snapshot {
    let state = read_stream(&reply(), NOW).unwrap();
    let name = |number: usize| Name::from(format!("stream-{number:05}").as_str());
    Snapshot {
        nodes: vec![Node {
            address: "h:6379".into(),
            server: Server { flavour: Flavour::Redis, version: Some((7, 2, 0)), role: None, mode: None },
            origin: Origin::default(),
            time: Ok(Now::exactly(NOW)),
            condition: Condition::default(),
            took: Duration::ZERO,
            failure: None,
        }],
        placement: Box::default(),
        cluster: None,
        source: String::new(),
        place: "h:6379".into(),
        database: 0,
        streams: (0..STREAMS).map(|number| (name(number), Ok(state.clone()))).collect(),
        forbidden: 0,
        lengths: [].into(),
        last_entries: [].into(),
    }
}

fn config() -> Config {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "redis: {uri: 'redis://localhost'}").unwrap();
    Sources { file: Some(file.path().to_owned()), ..Sources::default() }.load().unwrap()
}

#[divan::bench]
fn read_replies(bencher: Bencher<'_, '_>) {
    let reply = reply();
    bencher.bench(|| (0..STREAMS).filter_map(|_| read_stream(&reply, NOW).ok()).count());
}

#[divan::bench]
fn judge(bencher: Bencher<'_, '_>) {
    let (config, snapshot) = (config(), snapshot());
    let (mut history, mut at) = (History::default(), Duration::ZERO);
    let watchlist = Watchlist::new(&config, snapshot.streams.keys().cloned());
    bencher.with_inputs(|| snapshot.clone()).bench_local_values(|snapshot| {
        at += WINDOW_STEP;
        history.begin(snapshot, &config, &watchlist, MOST_QUESTIONS).finish(&Answers::default(), at)
    });
}

#[divan::bench(args = [Encoding::Identity, Encoding::Gzip])]
fn write_page(bencher: Bencher<'_, '_>, encoding: Encoding) {
    let config = Arc::new(config());
    let mut history = History::default();
    let snapshot = snapshot();
    let watchlist = Watchlist::new(&config, snapshot.streams.keys().cloned());
    let open = history.begin(snapshot, &config, &watchlist, MOST_QUESTIONS);
    let (snapshot, report) = open.finish(&Answers::default(), Duration::ZERO);
    let standings = RetentionStatuses::default();
    let reading = Reading::new(&watchlist, &standings, snapshot, report, clock::moment());
    let reading = Arc::new(reading);
    bencher.bench(|| {
        let pages = MetricsPages::publish(
            1,
            Arc::clone(&config),
            Shown { name: None, reading: Some(Arc::clone(&reading)), has_failed: false },
            Arc::default(),
            |_| vec![],
        );
        pages.get(Format::Text, encoding, || None).len()
    });
}
