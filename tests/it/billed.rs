//! A server that bills each command: what the commands add up to.

mod month;

use support::{Page, Redis, Sidecar};

use crate::{
    process::{streamwarden, text},
    retention::trimming,
};

const PAGE: &str = include_str!("../../docs/src/hosted.md");

/// Streams with 3 groups of 5 consumers each, in which nothing moves.
fn seed(redis: &Redis, streams: usize) {
    let mut pipeline = redis::pipe();
    for stream in 0..streams {
        let key = format!("stream-{stream:05}");
        (0..20).for_each(|_| {
            pipeline.cmd("XADD").arg(&key).arg("*").arg("field").arg("value").ignore();
        });
        for group in ["one", "two", "three"] {
            pipeline.cmd("XGROUP").arg("CREATE").arg(&key).arg(group).arg(0).ignore();
            for consumer in 0..5 {
                pipeline.cmd("XREADGROUP").arg("GROUP").arg(group).arg(format!("consumer-{consumer}"));
                pipeline.arg("COUNT").arg(2).arg("STREAMS").arg(&key).arg(">").ignore();
            }
        }
    }
    pipeline.query::<()>(&mut redis.connect()).unwrap();
}

/// Commands a poll, as the sidecar counts them, once all streams are known: without the clock and the role, and these.
fn cost(sidecar: &Sidecar) -> (f64, f64) {
    let sent = |page: &Page, name: &str| {
        page.get("streamwarden_redis_commands_total", &[("command", name)]).unwrap()
    };
    let reading =
        ["xinfo_stream_full", "xinfo_stream", "xinfo_groups", "xlen", "xpending", "xrange", "xrevrange"];
    let read = || {
        let polls = |page: &Page| page.own("streamwarden_poll_duration_seconds_count");
        // Gathered between two polls, not in the middle of one.
        let page = sidecar.wait("a pause", |page| polls(page) == page.own("streamwarden_polls_total"));
        (
            polls(&page),
            reading.iter().map(|name| sent(&page, name)).sum::<f64>(),
            ["time", "hello", "info"].map(|name| sent(&page, name)).iter().sum::<f64>(),
        )
    };
    // What is asked once is asked by then.
    (0..2).for_each(|_| drop(sidecar.next_poll()));
    let before = read();
    let polls = |page: &Page| page.own("streamwarden_poll_duration_seconds_count");
    sidecar.wait("ten more polls", |page| polls(page) >= before.0 + 10.0);
    let after = read();
    let polls = after.0 - before.0;
    ((after.1 - before.1) / polls, (after.2 - before.2) / polls)
}

/// The numbers of the first line that begins so.
fn numbers(table: &str, what: &str) -> Option<Vec<f64>> {
    let line = table.lines().find_map(|line| line.strip_prefix(what))?;
    let number = |word: &str| word.trim_start_matches('$').replace(',', "").parse().ok();
    Some(line.split_whitespace().filter(|word| *word != "to").map_while(number).collect())
}

/// The commands that a row of the table tells, and how many a month.
fn row(table: &str, what: &str) -> Option<(f64, f64)> {
    numbers(table, what).map(|numbers| (numbers[0], numbers[3]))
}

/// What `check-config --cost` prints.
fn cost_table(uri: &str, config: &str, arguments: &[&str]) -> String {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), config).unwrap();
    let all = [&["check-config", "--cost", "--config", file.path().to_str().unwrap()], arguments].concat();
    let output = streamwarden(&all, &[("REDIS_URI", uri)]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    text(&output.stdout)
}

#[test]
fn the_estimated_cost_is_what_is_sent() {
    let redis = Redis::start();
    seed(&redis, 30);
    redis.run::<u64>("XTRIM stream-00000 MAXLEN 19");
    let script = "for i = 1, 5000 do redis.call('SET', 'key' .. i, i) end";
    redis::cmd("EVAL").arg(script).arg(0).query::<()>(&mut redis.connect()).unwrap();
    for is_billed in [true, false] {
        let config = format!(
            "redis: {{billed_by_command: {is_billed}, lookups_a_month: 1000000000}}\npoll: {{interval: 300ms, discovery_interval: 1h}}\n\
             streams: [{{match: 'stream-*', retention: {{max_length: 1000, max_age: 1d, interval: 10m}}}}]"
        );
        let table = cost_table(&redis.uri(), &config, &["--count-for", "0s"]);
        let (read, read_a_month) = row(&table, "reading the streams").unwrap();
        let (open, _) = row(&table, "what that leaves open").unwrap();
        assert_eq!(read_a_month, read * 8_640_000.0, "{table}");
        assert!(row(&table, "a search for streams").unwrap().0 >= 6.0, "{table}");
        let (clock, clock_a_month) = row(&table, "the server's clock and role").unwrap();
        let checks = if is_billed { 864_000.0 } else { 8_640_000.0 };
        assert_eq!((clock, clock_a_month), (2.0, 2.0 * checks), "{table}");
        // The last one is a look for dead letters, since the limit is that of a glob.
        let runs = 30.0 * (2.0 + 2.0 * (8.0 + 3.0 * 2.0) + 1.0);
        assert_eq!(row(&table, "retention of 30 streams"), Some((runs, runs * 4_320.0)), "{table}");
        let lease = if is_billed { 4_800.0 } else { 144_000.0 };
        assert_eq!(row(&table, "the retention lease"), Some((2.0, 2.0 * lease)), "{table}");

        let observing = config.split("streams:").next().unwrap();
        let sidecar =
            Sidecar::with_config(&redis.uri(), &format!("{observing}streams: [{{match: 'stream-*'}}]"));
        sidecar.wait("all streams", |page| page.count("streamwarden_stream_length") == 30);
        let (reading, clock) = cost(&sidecar);
        assert_eq!(reading, read + open, "{table}");
        assert!(
            if is_billed { clock <= 0.4 } else { clock == 2.0 },
            "{clock} times the clock and the role a poll"
        );
        // The opposite direction is reported too.
        assert!(
            table.contains(&format!("With redis.billed_by_command: {}, at 300ms, it would be", !is_billed)),
            "{table}"
        );
    }
}

#[test]
fn the_cost_is_shown_in_money_too_and_for_other_intervals() {
    let redis = Redis::start();
    seed(&redis, 3);
    let named = "{match: stream-00000}, {match: stream-00001}, {match: stream-00002}";
    let config = format!("redis: {{billed_by_command: true}}\nstreams: [{named}]");
    let table = cost_table(&redis.uri(), &config, &["--count-for", "0s"]);
    let (a_minute, an_hour) = (43_200.0, 60.0);
    // A command a stream, and the clock and the role at every tenth poll.
    let polls = |seconds: f64| (3.0 + 2.0 / 10.0) * a_minute * 60.0 / seconds;
    // Before Redis 7.0 the lags are counted at each poll.
    let (open, _) = row(&table, "what that leaves open").unwrap();
    let lookups = |a_poll: f64, seconds: f64| (a_poll * a_minute * 60.0 / seconds).min(100_000.0);
    for (name, seconds) in
        [("15s", 15.0), ("30s", 30.0), ("1m (now)", 60.0), ("2m", 120.0), ("5m", 5.0 * an_hour)]
    {
        let [total, most, dollars, most_dollars] = numbers(&table, name).unwrap()[..] else {
            panic!("{table}")
        };
        assert_eq!(total, polls(seconds) + lookups(open, seconds), "{table}");
        // Nine groups may need a lookup each at each poll, and the budget bounds them.
        assert_eq!(most, polls(seconds) + lookups(open.max(9.0), seconds), "{table}");
        let price = |commands: f64| (commands * 20.0 / 100_000.0).round() / 100.0;
        assert_eq!((dollars, most_dollars), (price(total), price(most)), "{table}");
    }
    let is_free =
        |name: &str| table.lines().find(|line| line.starts_with(name)).unwrap().ends_with("  enough");
    assert!(!is_free("15s") && is_free("1m"), "{table}");
    for words in ["as read 2026-11", "500,000 commands a month", "$0.20 for each 100,000", "from $10 a month"]
    {
        assert!(table.contains(words), "{words}: {table}");
    }
    assert!(!table.contains("other clients"), "they were not to be counted: {table}");
    assert!(table.contains("There are 45 consumers: 116,640,000 or $233.28"), "{table}");
}

#[test]
fn beside_it_stands_what_the_applications_consumers_send() {
    let redis = Redis::start();
    seed(&redis, 1);
    let config = "redis: {billed_by_command: true}\nstreams: [{match: stream-00000}]";
    let mut consumer = redis.connect();
    let (stop, stopped) = std::sync::mpsc::channel::<()>();
    let looping = std::thread::spawn(move || {
        let mut loops = 0;
        while stopped.try_recv().is_err() {
            let mut read = redis::cmd("XREADGROUP");
            read.arg("GROUP").arg("one").arg("consumer-0").arg("COUNT").arg(1).arg("BLOCK").arg(20);
            drop(read.arg("STREAMS").arg("stream-00000").arg(">").query::<redis::Value>(&mut consumer));
            loops += 1;
        }
        loops
    });
    let table = cost_table(&redis.uri(), config, &["--count-for", "2s"]);
    stop.send(()).unwrap();
    let loops = f64::from(looping.join().unwrap());
    assert!(table.contains("for 2s (by INFO commandstats"), "{table}");
    let [counted, month, dollars] = numbers(&table, "XREADGROUP").unwrap()[..] else { panic!("{table}") };
    assert!(counted > 5.0 && counted <= loops, "{counted} of {loops}: {table}");
    let exact = counted * 1_296_000.0;
    assert!((month - exact).abs() / exact < 0.34, "about {exact}: {table}");
    assert!((dollars - month * 2e-6).abs() < 0.01, "{table}");
    assert!(numbers(&table, "INFO").is_none(), "its own questions are not counted: {table}");

    redis.run::<()>("ACL SETUSER narrow on >p ~* +@all -info");
    let uri = redis.uri().replace("redis://", "redis://narrow:p@");
    let table = cost_table(&uri, config, &["--count-for", "1s"]);
    assert!(table.contains("What other clients send is unknown: noperm: "), "{table}");
    assert!(table.contains("There are 15 consumers: 38,880,000 or $77.76"), "{table}");
}

#[test]
fn a_run_on_a_stream_within_its_limit_looks_at_its_length_only() {
    let Some(redis) = trimming(Redis::start()) else { return };
    redis.add("s", 30);
    redis.run::<()>("XGROUP CREATE s g 0");
    redis.read("s", "g", "c", 10);
    let limit = "streams: [{match: s, retention: {max_length: 30}}]\nretention: {interval: 1s}";
    let sidecar = Sidecar::with_config(&redis.uri(), limit);
    let runs = [("stream", "s"), ("outcome", "reached")];
    sidecar.wait("a run", |page| page.get("streamwarden_retention_runs_total", &runs) > Some(0.0));
    drop(sidecar);
    assert_eq!(redis.calls("xlen"), redis.calls("eval"), "each script runs one command");
    assert_eq!((redis.calls("xinfo|groups"), redis.calls("xtrim")), (0, 0));
}

#[test]
fn a_cost_that_cannot_be_measured_is_exit_code_1() {
    let output = streamwarden(&["check-config", "--cost"], &[("REDIS_URI", "redis://127.0.0.1:1")]);
    assert_eq!((output.status.code(), text(&output.stdout)), (Some(1), String::new()));
    let said = text(&output.stderr);
    assert!(said.starts_with("error: cannot count commands: refused: "), "{said}");
    assert!(said.contains("at 127.0.0.1:1"), "{said}");
}

#[test]
fn the_documentation_has_the_settings_for_such_a_server() {
    let (_, sample) = PAGE.split_once("```yaml\n").unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), sample.split_once("```").unwrap().0).unwrap();
    let output = streamwarden(&["check-config", "--config", file.path().to_str().unwrap()], &[]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(text(&output.stdout).contains("billed_by_command: true"), "by the host's name");
}
