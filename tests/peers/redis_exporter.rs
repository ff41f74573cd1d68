//! The same numbers as redis_exporter's, by its names and by ours.

use std::collections::{BTreeMap, BTreeSet};

use redis::Value;

use support::{Labels, Page, Redis, Sidecar, wait_for};

use crate::{
    seed::{self, CONSUMERS, GROUPS},
    tool::Peer,
};

const LAG: &str = "redis_stream_group_lag";
const IDLE: &str = "redis_stream_group_consumer_idle_seconds";

/// What every redis_exporter knows.
const ALWAYS: [&str; 10] = [
    "redis_stream_length",
    "redis_stream_radix_tree_keys",
    "redis_stream_radix_tree_nodes",
    "redis_stream_last_generated_id",
    "redis_stream_groups",
    "redis_stream_group_consumers",
    "redis_stream_group_messages_pending",
    "redis_stream_group_last_delivered_id",
    "redis_stream_group_consumer_messages_pending",
    IDLE,
];
/// What newer ones know besides.
const NEWER: [&str; 5] = [
    "redis_stream_max_deleted_entry_id",
    "redis_stream_first_entry_id",
    "redis_stream_last_entry_id",
    "redis_stream_group_entries_read",
    LAG,
];
/// Families of ours that mean the same.
const OWN_NAMES: [(&str, &str); 12] = [
    ("redis_stream_length", "streamwarden_stream_length"),
    ("redis_stream_radix_tree_keys", "streamwarden_stream_radix_tree_keys"),
    ("redis_stream_radix_tree_nodes", "streamwarden_stream_radix_tree_nodes"),
    ("redis_stream_last_generated_id", "streamwarden_stream_last_generated_id"),
    ("redis_stream_groups", "streamwarden_stream_groups"),
    ("redis_stream_group_consumers", "streamwarden_group_consumers"),
    ("redis_stream_group_messages_pending", "streamwarden_group_pending"),
    ("redis_stream_group_last_delivered_id", "streamwarden_group_last_delivered_id"),
    ("redis_stream_group_entries_read", "streamwarden_group_entries_read_total"),
    (LAG, "streamwarden_group_lag"),
    ("redis_stream_group_consumer_messages_pending", "streamwarden_consumer_pending"),
    (IDLE, "streamwarden_consumer_idle_seconds"),
];

/// The server's clock counts in milliseconds, and each exporter rounds for itself.
const CLOCK_STEP: f64 = 0.002;

type Samples = BTreeMap<(String, Labels), f64>;

fn samples_of(page: &Page, families: &BTreeSet<&str>) -> Samples {
    let of = page.samples().iter().filter(|((name, _), _)| families.contains(&name[..]));
    of.map(|(series, value)| (series.clone(), *value)).collect()
}

/// What both said about the same quiet Redis: ours before theirs, theirs, ours after theirs.
struct Said {
    ours: Page,
    theirs: Page,
    ours_later: Page,
}

fn ask_both(redis: &Redis, streams: usize) -> Said {
    let sidecar = Sidecar::with_config(&redis.uri(), "exposition: {redis_exporter_names: true}");
    let uri = redis.uri();
    let mut peer =
        Peer::start("redis_exporter", "--web.listen-address", &["--redis.addr", &uri, "--check-streams=*"]);
    let all = |page: &Page| page.count("redis_stream_length") == streams;
    let ours = sidecar.wait("all streams", all);
    let theirs =
        wait_for("redis_exporter", || Some(Page::parse(&peer.get("/metrics")?)).filter(|page| all(page)));
    Said { ours, theirs, ours_later: sidecar.next_poll() }
}

/// The groups whose lag Redis does not report, with their undelivered entries, counted one by one.
fn lags_counted(redis: &Redis, names: &[String]) -> BTreeMap<(String, String), f64> {
    let mut connection = redis.connect();
    let mut counted = BTreeMap::new();
    for name in names {
        let groups: Vec<BTreeMap<String, Value>> =
            redis::cmd("XINFO").arg("GROUPS").arg(name).query(&mut connection).unwrap();
        for group in groups.iter().filter(|group| group["lag"] == Value::Nil) {
            let text = |field: &str| redis::from_redis_value::<String>(group[field].clone()).unwrap();
            let after = format!("({}", text("last-delivered-id"));
            let unread: Vec<Value> =
                redis::cmd("XRANGE").arg(name).arg(after).arg("+").query(&mut connection).unwrap();
            counted.insert((name.clone(), text("name")), f64::from(u32::try_from(unread.len()).unwrap()));
        }
    }
    counted
}

/// Compares all samples of these families, theirs by the names that ours have, and tells how many there were.
fn compare(said: &Said, untold: &BTreeMap<(String, String), f64>, names: &BTreeMap<&str, &str>) -> usize {
    let ours = samples_of(&said.ours, &names.values().copied().collect());
    let later = samples_of(&said.ours_later, &names.values().copied().collect());
    let theirs = samples_of(&said.theirs, &names.keys().copied().collect());
    let mut compared = BTreeSet::new();
    for ((name, labels), value) in theirs {
        let series = (names[&name[..]].to_owned(), labels.clone());
        let (our_value, our_later) = (ours.get(&series).copied(), later.get(&series).copied());
        let group = || (labels["stream"].clone(), labels["group"].clone());
        if let Some(count) = (name == LAG).then(|| untold.get(&group())).flatten() {
            assert_eq!(value, 0.0, "redis_exporter knows a lag that Redis does not tell: {series:?}");
            assert!(
                our_value.is_none_or(|ours| ours == *count),
                "{series:?}: {our_value:?}, counted {count}"
            );
        } else if name == IDLE {
            let (early, late) = (our_value.unwrap() - CLOCK_STEP, our_later.unwrap() + CLOCK_STEP);
            assert!((early..=late).contains(&value), "{series:?}: {value} is not in {early} to {late}");
        } else {
            assert_eq!((our_value, our_later), (Some(value), Some(value)), "{series:?}");
        }
        compared.insert(series);
    }
    let alone: Vec<_> = ours.keys().filter(|series| !compared.contains(*series)).collect();
    assert!(alone.is_empty(), "redis_exporter does not have {alone:?}");
    compared.len()
}

/// How many samples these families have in all.
fn expected(families: &BTreeSet<&str>, streams: usize) -> usize {
    let samples = |family: &&str| match *family {
        name if name.starts_with("redis_stream_group_consumer_") => GROUPS.len() * CONSUMERS,
        name if name.starts_with("redis_stream_group_") => GROUPS.len(),
        _ => 1,
    };
    families.iter().map(samples).sum::<usize>() * streams
}

fn agree(streams: usize) {
    let redis = Redis::start();
    let names = seed::names(streams);
    seed::streams(&redis, &names);
    let said = ask_both(&redis, streams);
    let untold = lags_counted(&redis, &names);
    assert!(untold.len() >= streams, "a group in each stream whose lag Redis does not tell");

    let known: BTreeSet<&str> = said.theirs.samples().keys().map(|(name, _)| &name[..]).collect();
    let known: BTreeSet<&str> = known.into_iter().filter(|name| name.starts_with("redis_stream_")).collect();
    let (always, all) = (BTreeSet::from(ALWAYS), ALWAYS.into_iter().chain(NEWER).collect::<BTreeSet<_>>());
    assert!(known == always || known == all, "other families than those that are known: {known:?}");

    let same_names = known.iter().map(|name| (*name, *name)).collect();
    assert_eq!(compare(&said, &untold, &same_names), expected(&known, streams));
    let own_names: BTreeMap<&str, &str> =
        OWN_NAMES.into_iter().filter(|(theirs, _)| known.contains(theirs)).collect();
    let with_own_names = own_names.keys().copied().collect();
    assert_eq!(compare(&said, &untold, &own_names), expected(&with_own_names, streams));
}

#[test]
fn five_streams_are_as_redis_exporter_says() {
    agree(5);
}

#[test]
fn two_hundred_streams_are_as_redis_exporter_says() {
    agree(200);
}
