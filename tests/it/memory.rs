//! The memory of streams: whether what is exposed is close to what the server's memory grew by, and says what it is.

use support::{Page, Redis, Sidecar};

use crate::{
    acl::{make_user, rule},
    doctor::doctor,
    process::{config_file, streamwarden, text},
};

const ASKING: &str = "memory: {enabled: true, interval: 1s}";
const COUNTED: &str = "memory_bytes";
const ESTIMATED: &str = "memory_estimate_bytes";
const GROWTH: &str = "memory_growth_per_day_bytes";
const ENTRIES: usize = 20_000;

/// Adds entries with a value of so many bytes, as applications do.
fn add(redis: &Redis, stream: &str, entries: usize, bytes: usize) {
    let mut connection = redis.connect();
    let payload = "x".repeat(bytes);
    for _ in 0..entries.div_ceil(1_000) {
        let mut pipeline = redis::pipe();
        for kind in 0..entries.min(1_000) {
            let kind = format!("SessionCreated{}", kind % 20);
            let add = pipeline.cmd("XADD").arg(stream).arg("*");
            add.arg("event_type").arg(kind).arg("payload").arg(&payload).ignore();
        }
        pipeline.query::<()>(&mut connection).unwrap();
    }
}

fn used(redis: &Redis) -> f64 {
    let info: String = redis.run("INFO memory");
    let used = info.lines().find_map(|line| line.strip_prefix("used_memory:"));
    used.unwrap().trim().parse().unwrap()
}

/// The number on the page by the memory that the server took for it, once it is of this kind.
fn by_truth(redis: &Redis, before: f64, config: &str, kind: &str) -> f64 {
    let truth = used(redis) - before;
    let sidecar = Sidecar::with_config(&redis.uri(), config);
    let page = sidecar.wait(kind, |page| page.stream(kind, "s").is_some());
    let other = if kind == COUNTED { ESTIMATED } else { COUNTED };
    assert_eq!(page.stream(other, "s"), None, "never both");
    page.stream(kind, "s").unwrap() / truth
}

fn assert_close(what: &str, ratio: f64) {
    eprintln!("{what}: {ratio:.2} of the truth");
    assert!((0.8..=1.2).contains(&ratio), "{what}: {ratio}");
}

#[test]
fn memory_is_close_to_what_the_server_took_for_the_stream() {
    for bytes in [200, 20_000] {
        let redis = Redis::start();
        let before = used(&redis);
        add(&redis, "s", if bytes > 1_000 { 1_000 } else { ENTRIES }, bytes);
        assert_close(&format!("estimated, {bytes}"), by_truth(&redis, before, "", ESTIMATED));
        assert_close(&format!("counted, {bytes}"), by_truth(&redis, before, ASKING, COUNTED));
    }
}

#[test]
fn memory_is_close_to_the_truth_with_many_pending_or_deleted_entries() {
    let redis = Redis::start();
    let before = used(&redis);
    add(&redis, "s", ENTRIES, 200);
    redis.run::<()>("XGROUP CREATE s g 0");
    redis.read("s", "g", "c", ENTRIES);
    assert_close("estimated, all pending", by_truth(&redis, before, "", ESTIMATED));
    // Some servers answer with more than twice as much, which must not be believed.
    let sidecar = Sidecar::with_config(&redis.uri(), ASKING);
    let asked = |page: &Page| page.get("streamwarden_redis_commands_total", &[("command", "memory_usage")]);
    let page = sidecar.wait("two rounds", |page| asked(page) >= Some(2.0));
    let shown = page.stream(COUNTED, "s").or(page.stream(ESTIMATED, "s")).unwrap();
    assert_close("asked, all pending", shown / (used(&redis) - before));

    let redis = Redis::start();
    let before = used(&redis);
    add(&redis, "s", ENTRIES, 200);
    let ids: Vec<(String, redis::Value)> = redis.run("XRANGE s - +");
    let mut pipeline = redis::pipe();
    for (_, (id, _)) in ids.iter().enumerate().filter(|(index, _)| index % 10 != 0) {
        pipeline.cmd("XDEL").arg("s").arg(id).ignore();
    }
    pipeline.query::<()>(&mut redis.connect()).unwrap();
    assert_close("estimated, most deleted", by_truth(&redis, before, "", ESTIMATED));
    assert_close("counted, most deleted", by_truth(&redis, before, ASKING, COUNTED));
}

#[test]
fn what_redis_did_not_look_at_is_an_estimate() {
    let redis = Redis::start();
    add(&redis, "s", ENTRIES, 200);
    let sidecar = Sidecar::with_config(&redis.uri(), "memory: {enabled: true, interval: 1s, samples: 10}");
    let asked = |page: &Page| page.get("streamwarden_redis_commands_total", &[("command", "memory_usage")]);
    let page = sidecar.wait("two rounds", |page| asked(page) >= Some(2.0));
    assert_eq!((page.stream(COUNTED, "s"), page.stream(ESTIMATED, "s").is_some()), (None, true));
}

#[test]
fn growth_and_the_time_until_maxmemory_are_known_only_after_a_while() {
    let redis = Redis::start();
    redis.run::<()>("CONFIG SET maxmemory 1gb");
    add(&redis, "s", 1_000, 200);
    let sidecar = Sidecar::with_config(&redis.uri(), "memory: {growth_after: 6s}");
    let page = sidecar.wait("an estimate", |page| page.stream(ESTIMATED, "s").is_some());
    assert_eq!(page.stream(GROWTH, "s"), None, "unknown is not zero");
    let full = |page: &Page| page.get("streamwarden_redis_maxmemory_reached_seconds", &[("node", "")]);
    assert_eq!(full(&page), None);
    let page = sidecar.wait("growth", |page| {
        add(&redis, "s", 1_000, 200);
        page.stream(GROWTH, "s").is_some() && full(page).is_some()
    });
    assert!(page.stream(GROWTH, "s") > Some(1e9), "{:?} bytes a day", page.stream(GROWTH, "s"));
    assert!(full(&page) < Some(86_400.0), "{:?} s", full(&page));
    let document: serde_json::Value = serde_json::from_str(&sidecar.get("/api/v1/streams/s").text()).unwrap();
    let memory = document.pointer("/stream/memory").unwrap_or_else(|| panic!("{document}"));
    assert_eq!(memory["is_estimate"], true, "{memory}");
    assert!(memory["growth_bytes_per_day"].as_i64() > Some(0), "{memory}");
    assert!(memory["maxmemory_reached_seconds"].as_f64() < Some(86_400.0), "{memory}");
}

#[test]
fn nothing_is_asked_unless_the_configuration_wants_it_or_if_the_user_may_not() {
    let redis = Redis::start();
    add(&redis, "s", 1_000, 200);
    let asked = |page: &Page| page.get("streamwarden_redis_commands_total", &[("command", "memory_usage")]);
    let sidecar = Sidecar::start(&redis);
    let page = sidecar.wait("an estimate", |page| page.stream(ESTIMATED, "s").is_some());
    assert_eq!(asked(&page).unwrap_or_default(), 0.0);
    drop(sidecar);

    let rule = rule(&redis, ASKING, "/0");
    assert!(rule.contains(" +memory|usage"), "{rule}");
    let uri = make_user(&redis, &rule);
    doctor(&uri, ASKING, &[]).has("permissions", "ok", "measuring memory: ");
    Sidecar::with_config(&uri, ASKING).wait("the memory", |page| page.stream(COUNTED, "s").is_some());
    let uri = make_user(&redis, &rule.replacen(" +memory|usage", "", 1));
    let sidecar = Sidecar::with_config(&uri, ASKING);
    support::wait_for("the log", || sidecar.log().contains("may not run MEMORY USAGE").then_some(()));
    let before = asked(&sidecar.next_poll());
    std::thread::sleep(std::time::Duration::from_secs(3));
    let page = sidecar.next_poll();
    assert_eq!(asked(&page), before, "it is not asked again");
    assert_eq!((page.stream(COUNTED, "s"), page.stream(ESTIMATED, "s").is_some()), (None, true));
    doctor(&uri, ASKING, &[]).has("permissions", "warning", "the memory of streams is only estimated");
}

#[test]
fn the_cost_of_asking_is_counted() {
    let redis = Redis::start();
    redis.add("s", 3);
    redis.add("t", 3);
    let file = config_file(ASKING);
    let arguments =
        ["check-config", "--cost", "--count-for", "0s", "--config", file.path().to_str().unwrap()];
    let table = text(&streamwarden(&arguments, &[("REDIS_URI", &redis.uri())]).stdout);
    let row = table.lines().find(|line| line.starts_with("the memory of 2 streams "));
    let row = row.unwrap_or_else(|| panic!("{table}"));
    let numbers: Vec<&str> = row.split_whitespace().skip(5).take(4).collect();
    assert_eq!(numbers, ["2", "86,400", "172,800", "5,184,000"], "{row}");
}
