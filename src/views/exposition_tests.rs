//! The whole page of a fixed reading, compared with golden files.

use super::{
    super::{
        bound::bound,
        test_reading::{NOW, assert_golden, cluster_snapshot, config, reading, snapshot},
    },
    *,
};
use crate::{
    config::{Config, States},
    model::{EntryHead, Failure, Flavour, Name, Reason, StreamId},
    reading::Reading,
};

fn page(format: Format) -> String {
    let config = config();
    let reading = reading(snapshot(), &config);
    let registry = prometheus::Registry::new();
    let durations =
        prometheus::HistogramOpts::new("streamwarden_poll_duration_seconds", "h").buckets(vec![0.5, 1.0]);
    let durations = prometheus::Histogram::with_opts(durations).unwrap();
    durations.observe(0.25);
    registry.register(Box::new(durations)).unwrap();
    let polls = prometheus::IntCounter::new("streamwarden_polls_total", "h").unwrap();
    polls.inc();
    registry.register(Box::new(polls)).unwrap();
    text(&config, &reading, &registry.gather(), format)
}

fn text(config: &Config, reading: &Reading, own: &[proto::MetricFamily], format: Format) -> String {
    let mut page = Vec::new();
    let rows = Rows::new(config, Some("redis.example:6379/0"), Some(reading));
    render(&Served::new(&config.exposition), &rows, own, format, &mut page).unwrap();
    String::from_utf8(page).unwrap()
}

#[test]
fn the_text_page_is_as_it_was() {
    assert_golden("metrics.txt", &page(Format::Text));
}

#[test]
fn the_open_metrics_page_is_as_it_was() {
    assert_golden("metrics.openmetrics.txt", &page(Format::OpenMetrics));
}

#[test]
fn a_servers_limit_is_on_the_page_where_it_has_one() {
    for (flavour, limit) in
        [(Flavour::Upstash, Some("streamwarden_consumer_pending_limit 1000")), (Flavour::Redis, None)]
    {
        let (config, mut snapshot) = (config(), snapshot());
        snapshot.nodes[0].server.flavour = flavour;
        let reading = reading(snapshot, &config);
        let page = text(&config, &reading, &[], Format::Text);
        let actual = page.lines().find(|line| line.starts_with("streamwarden_consumer_pending_limit"));
        assert_eq!(actual, limit);
    }
}

#[test]
fn the_nodes_of_a_cluster_are_on_the_page_while_polls_succeed() {
    let config = config();
    let samples = |has_failed: bool, snapshot| {
        let reading = reading(snapshot, &config);
        let rows = Rows::new(&config, None, Some(&reading));
        let rows = if has_failed { rows.without_nodes() } else { rows };
        let mut page = Vec::new();
        render(&Served::new(&config.exposition), &rows, &[], Format::Text, &mut page).unwrap();
        let page = String::from_utf8(page).unwrap();
        let is_of_cluster =
            |line: &&str| ["streamwarden_node", "streamwarden_cluster"].iter().any(|it| line.starts_with(it));
        page.lines().filter(is_of_cluster).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(
        samples(false, cluster_snapshot()),
        [
            "streamwarden_node_up{node=\"redis-7001.example:7001\"} 1",
            "streamwarden_node_up{node=\"redis-7002.example:7002\"} 1",
            "streamwarden_node_up{node=\"redis-7003.example:7003\"} 0",
            "streamwarden_node_poll_duration_seconds{node=\"redis-7001.example:7001\"} 0.003",
            "streamwarden_node_poll_duration_seconds{node=\"redis-7002.example:7002\"} 0.002",
            "streamwarden_node_streams{node=\"redis-7001.example:7001\"} 3",
            "streamwarden_node_streams{node=\"redis-7002.example:7002\"} 1",
            "streamwarden_node_streams{node=\"redis-7003.example:7003\"} 1",
            "streamwarden_cluster_slots_unserved 5461",
            "streamwarden_cluster_topology_age_seconds 12",
        ]
    );
    let none = Vec::<String>::new();
    assert_eq!(samples(true, cluster_snapshot()), none, "a failed poll says nothing about nodes");
    assert_eq!(samples(false, snapshot()), none, "a plain server has none");
    let mut replaced = cluster_snapshot();
    replaced.nodes[2].address = replaced.nodes[0].address.clone();
    let streams = samples(false, replaced);
    let streams: Vec<_> = streams.iter().filter(|line| line.contains("_streams{")).collect();
    assert_eq!(
        streams,
        [
            "streamwarden_node_streams{node=\"redis-7001.example:7001\"} 4",
            "streamwarden_node_streams{node=\"redis-7002.example:7002\"} 1",
        ],
        "no series twice"
    );
}

#[test]
fn only_current_states_and_no_excluded_families_are_served_and_counted() {
    let mut config = config();
    let count = |config: &Config| {
        let reading = reading(snapshot(), config);
        let mut rows = Rows::new(config, None, Some(&reading));
        let served = Served::new(&config.exposition);
        let count = bound(&mut rows, &served, usize::MAX).shown;
        let mut page = Vec::new();
        render(&served, &rows, &[], Format::Text, &mut page).unwrap();
        let page = String::from_utf8(page).unwrap();
        let series: Vec<String> =
            page.lines().filter(|line| line.contains("stream=")).map(str::to_owned).collect();
        assert_eq!(series.len(), count);
        series
    };
    let all = count(&config);
    config.exposition.states = States::Current;
    config.exposition.exclude.insert("streamwarden_group_pending");
    let is_served = |line: &&String| {
        let is_state =
            line.starts_with("streamwarden_group_status{") || line.starts_with("streamwarden_stream_health{");
        !(line.starts_with("streamwarden_group_pending{") || is_state && line.ends_with(" 0"))
    };
    let expected: Vec<String> = all.iter().filter(is_served).cloned().collect();
    assert!(expected.len() < all.len() - 10);
    assert_eq!(count(&config), expected);
}

#[test]
fn the_last_entry_is_named_where_it_is_surely_there() {
    let last = StreamId::new(NOW - 1_250, 0);
    let actual = |version, read: Option<StreamId>| {
        let (mut config, mut snapshot) = (config(), snapshot());
        config.exposition.redis_exporter_names = true;
        snapshot.nodes[0].server.version = Some(version);
        let newest = read.map(|id| ("events:session".into(), vec![EntryHead { id, kind: None }]));
        snapshot.last_entries.extend(newest);
        let reading = reading(snapshot, &config);
        reading.stream(&"events:session".into()).unwrap().last_entry()
    };
    assert_eq!(actual((8, 0, 6), None), Some(last), "trims begin at the front");
    assert_eq!(actual((8, 2, 0), None), None, "those of acknowledged entries pass over others");
    let older = StreamId::new(NOW - 5_000, 0);
    assert_eq!(actual((8, 2, 0), Some(older)), Some(older), "it was read");
}

#[test]
fn only_of_streams_that_are_named_it_is_said_that_they_are_not_there() {
    let (config, mut snapshot) = (config(), snapshot());
    let before = snapshot.streams.iter().map(|(name, state)| (name.clone(), state.clone()));
    let other_type = Err(Failure::new(Reason::WrongType, "words"));
    snapshot.streams = before.chain([("found".into(), other_type)]).collect();
    let reading = reading(snapshot, &config);
    let page = text(&config, &reading, &[], Format::Text);
    let present = |stream: &str| {
        let series = format!("streamwarden_stream_present{{db=\"db0\",stream=\"{stream}\"}} ");
        page.lines().find_map(|line| line.strip_prefix(&series))
    };
    assert_eq!(
        (present("events:session"), present("events:absent"), present("found")),
        (Some("1"), Some("0"), None)
    );
}

#[test]
fn a_page_larger_than_a_chunk_is_whole() {
    let (config, mut snapshot) = (config(), snapshot());
    let state = snapshot.streams.get(&"events:session".into()).unwrap();
    let more = (0..2_000).map(|number| (Name::from(format!("stream-{number}").as_str()), state.clone()));
    let before = snapshot.streams.iter().map(|(name, state)| (name.clone(), state.clone()));
    snapshot.streams = before.chain(more).collect();
    let reading = reading(snapshot, &config);
    let page = text(&config, &reading, &[], Format::Text);
    let lengths = page.lines().filter(|line| line.starts_with("streamwarden_stream_length{")).count();
    assert_eq!(lengths, 2_003);
    assert_eq!(page.matches("# TYPE streamwarden_stream_length gauge\n").count(), 1);
}
