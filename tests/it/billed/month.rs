//! What a month comes to: each part of what a sidecar sends, counted exactly at a pace three hundred times as fast, and
//! multiplied by how often it is done with the defaults. `make bill` counts a real hour.

use std::{collections::BTreeMap, thread, time::Duration};

use redis::{Connection, Value};
use streamwarden::{
    actions::Lease,
    config::{Config, Sources},
    reader::MONTH,
};

use support::{Redis, Sidecar, wait_at_most};

use crate::retention::trimming;

const STREAMS: usize = 5;
/// What Upstash's free tier has.
const FREE_TIER: u64 = 500_000;
/// All intervals are so many times as short as the defaults, and the budget is as many times as large.
const FASTER: u32 = 300;

/// A machine that does other things needs several times the quarter of a minute.
const PATIENCE: Duration = Duration::from_secs(90);

/// What happens to the streams meanwhile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Case {
    CaughtUp,
    /// Each group is behind by many entries, and its consumer reads as fast as they come.
    Lagging,
    /// The first stream's oldest entry stays pending.
    Blocked,
}

impl Case {
    const fn limit(self) -> usize {
        if matches!(self, Self::Lagging) { 2_000 } else { 300 }
    }
}

fn settings(case: Case, pace: &str) -> String {
    let stream = |number| {
        format!("  - {{match: s{number}, groups: [g], retention: {{max_length: {}}}}}\n", case.limit())
    };
    format!("{pace}streams:\n{}", (0..STREAMS).map(stream).collect::<String>())
}

fn defaults() -> Config {
    let file = tempfile::NamedTempFile::new().unwrap();
    let redis = "redis: {uri: 'redis://h', billed_by_command: true}\n";
    std::fs::write(file.path(), settings(Case::CaughtUp, redis)).unwrap();
    Sources { file: Some(file.path().to_owned()), ..Sources::default() }.load().unwrap()
}

/// The defaults, faster.
fn pace(defaults: &Config) -> String {
    let millis = |duration: Duration| (duration / FASTER).as_millis();
    let retention = &defaults.retention;
    format!(
        "redis: {{billed_by_command: true, lookups_a_month: {}}}\npoll: {{interval: {}ms}}\n\
         retention: {{interval: {}ms, lease_ttl: {}ms}}\n",
        defaults.redis.lookups_a_month.unwrap() * u64::from(FASTER),
        millis(defaults.poll.interval),
        millis(retention.interval),
        millis(retention.lease_ttl)
    )
}

/// Commands by connection and name; of those inside a script, the connection is `lua`.
type Sent = BTreeMap<String, BTreeMap<String, u64>>;

fn monitor(redis: &Redis) -> Connection {
    let mut monitor = redis.connect();
    monitor.send_packed_command(&redis::cmd("MONITOR").get_packed_command()).unwrap();
    assert_eq!(monitor.recv_response().unwrap(), Value::Okay);
    monitor.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    monitor
}

/// What is seen until the application has ended, without what only the application sends.
fn seen(monitor: &mut Connection, has_ended: impl Fn() -> bool) -> Sent {
    let mut sent = Sent::new();
    loop {
        match monitor.recv_response() {
            Ok(Value::SimpleString(line)) => {
                let (head, command) = line.split_once("] ").unwrap();
                let name = command.split('"').nth(1).unwrap().to_lowercase();
                if !["xadd", "xreadgroup", "xack", "xgroup", "ping"].contains(&name.as_str()) {
                    let from = head.split(' ').next_back().unwrap().to_owned();
                    *sent.entry(from).or_default().entry(name).or_default() += 1;
                }
            }
            _quiet if has_ended() => return sent,
            _quiet => {}
        }
    }
}

fn read(connection: &mut Connection, stream: &str, consumer: &str, count: usize) -> Vec<String> {
    let mut command = redis::cmd("XREADGROUP");
    command.arg("GROUP").arg("g").arg(consumer).arg("COUNT").arg(count).arg("STREAMS").arg(stream).arg(">");
    let streams: Vec<(String, Vec<(String, Value)>)> = command.query(connection).unwrap();
    streams.into_iter().flat_map(|(_, entries)| entries).map(|(id, _)| id).collect()
}

fn prepare(connection: &mut Connection, case: Case) {
    for stream in (0..STREAMS).map(|number| format!("s{number}")) {
        let is_blocked = case == Case::Blocked && stream == "s0";
        let entries = if is_blocked { 2 * case.limit() } else { case.limit() };
        let mut pipeline = redis::pipe();
        for _ in 0..entries {
            pipeline.cmd("XADD").arg(&stream).arg("*").arg("f").arg("v").ignore();
        }
        pipeline.cmd("XGROUP").arg("CREATE").arg(&stream).arg("g").arg(0).ignore();
        pipeline.query::<()>(connection).unwrap();
        if is_blocked {
            read(connection, &stream, "stuck", 1);
        }
        let behind = if case == Case::Lagging { 1_000 } else { 0 };
        let ids = read(connection, &stream, "c", entries - behind);
        redis::cmd("XACK").arg(&stream).arg("g").arg(ids).query::<()>(connection).unwrap();
    }
}

/// Adds an entry to each stream, lets its consumer read one, and acknowledge the one before.
fn work(connection: &mut Connection, held: &mut BTreeMap<usize, Vec<String>>) {
    for number in 0..STREAMS {
        let stream = format!("s{number}");
        redis::cmd("XADD").arg(&stream).arg("*").arg("f").arg("v").query::<()>(connection).unwrap();
        let ids = read(connection, &stream, "c", 1);
        if let Some(before) = held.insert(number, ids) {
            redis::cmd("XACK").arg(&stream).arg("g").arg(before).query::<()>(connection).unwrap();
        }
    }
}

/// Runs the application and the sidecar for a while, and gives what the sidecar sent, how many polls it had
/// ended shortly before its stop, and how many runs of retention ended how.
fn watch(case: Case, defaults: &Config) -> (Sent, f64, f64, f64) {
    let redis = Redis::start();
    let mut application = redis.connect();
    prepare(&mut application, case);
    let mut monitor = monitor(&redis);
    let (ended, mut held) = (std::sync::atomic::AtomicBool::new(false), BTreeMap::new());
    let order = std::sync::atomic::Ordering::SeqCst;
    thread::scope(|scope| {
        let sent = scope.spawn(|| seen(&mut monitor, || ended.load(order)));
        let mut sidecar = Sidecar::with_config(&redis.uri(), &settings(case, &pace(defaults)));
        let page = wait_at_most(PATIENCE, "a run on each stream and many polls", || {
            work(&mut application, &mut held);
            let page = sidecar.scrape();
            let runs = page.label_values("streamwarden_retention_runs_total", "stream").len();
            (runs == STREAMS * 4 && page.own("streamwarden_polls_total") >= 71.0).then_some(page)
        });
        sidecar.signal("TERM");
        assert!(sidecar.wait_for_exit().success());
        ended.store(true, order);
        let all = page.samples().iter().filter(|((name, _), _)| name == "streamwarden_retention_runs_total");
        let outcome = |outcome: &str| -> f64 {
            let is_so = |labels: &BTreeMap<String, String>| labels["outcome"] == outcome;
            all.clone().filter(|((_, labels), _)| is_so(labels)).map(|(_, runs)| runs).sum()
        };
        let polls = page.own("streamwarden_polls_total");
        (sent.join().unwrap(), polls, outcome("reached"), outcome("blocked"))
    })
}

fn sum(sent: &BTreeMap<String, u64>, names: &[&str]) -> u64 {
    names.iter().filter_map(|name| sent.get(*name)).sum()
}

/// Checks what was sent part by part, and adds up what a month of it would be.
fn month(case: Case, defaults: &Config) -> u64 {
    let (sent, told, reached, blocked) = watch(case, defaults);
    assert!(
        reached > 0.0 && (blocked > 0.0) == (case == Case::Blocked),
        "{reached} reached, {blocked} blocked"
    );
    let with = |name: &str| sent.values().find(|of_one| of_one.contains_key(name)).unwrap();
    let (observer, enforcer) = (with("xinfo"), with("eval"));

    let asked = sum(observer, &["xinfo"]);
    // The stop may cut the last poll short.
    let polls = asked.div_ceil(5);
    let more = f64::from(u32::try_from(polls).unwrap()) - told;
    assert!((0.0..=3.0).contains(&more), "{case:?}: one command a stream and poll, of {told}: {observer:?}");
    assert_eq!(observer["time"], polls.div_ceil(10), "{case:?}: the clock at each tenth poll: {observer:?}");
    let lookups = sum(observer, &["xrange", "xrevrange", "xpending"]);
    let budget = defaults.redis.lookups_a_month.unwrap();
    let polls_a_month = u64::try_from(MONTH.as_nanos() / defaults.poll.interval.as_nanos()).unwrap();
    // The budget accrues with time: a poll may come late.
    let most = (polls + 15) * budget / polls_a_month;
    assert!(lookups <= most, "{case:?}: {lookups} lookups of {most} in {polls} polls");
    let is_used_up = lookups > polls * budget / polls_a_month * 8 / 10;
    assert_eq!(is_used_up, case == Case::Lagging, "{case:?}: {lookups} lookups in {polls} polls");
    assert_eq!(
        sum(observer, &["hello", "info", "client"]) + asked + observer["time"] + lookups,
        observer.values().sum::<u64>()
    );

    let (runs, steps, inside) = (enforcer["time"], enforcer["eval"], sent["lua"].values().sum::<u64>());
    let lease = sum(enforcer, &["get", "set", "pexpire", "del"]);
    assert_eq!(sum(enforcer, &["hello", "client"]) + runs + steps + lease, enforcer.values().sum::<u64>());
    assert_eq!(sent.len(), 3, "{case:?}: nobody else sends anything: {sent:?}");
    let a_run = (runs + steps + inside).div_ceil(runs);
    assert!(a_run <= 20, "{case:?}: {a_run} commands a run: {enforcer:?}, {:?}", sent["lua"]);

    let times = |interval: Duration| u64::try_from(MONTH.as_nanos() / interval.as_nanos()).unwrap();
    let runs_a_month = times(defaults.retention.interval) * 5;
    polls_a_month * 5 + polls_a_month / 10 + budget + runs_a_month * a_run + times(Lease::pace(defaults)) * 2
}

#[test]
fn a_month_of_five_streams_stays_within_the_free_tier() {
    if trimming(Redis::start()).is_none() {
        return;
    }
    let defaults = defaults();
    assert_eq!(defaults.poll.interval, Duration::from_secs(60));
    thread::scope(|scope| {
        let cases = [Case::CaughtUp, Case::Lagging, Case::Blocked];
        let months = cases.map(|case| {
            (
                case,
                scope.spawn({
                    let defaults = &defaults;
                    move || month(case, defaults)
                }),
            )
        });
        for (case, month) in months {
            let month = month.join().unwrap();
            eprintln!("{case:?}: {month} commands in 30 days at most");
            assert!(month < FREE_TIER, "{case:?}: {month}");
        }
    });
}
