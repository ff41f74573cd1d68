//! A server that bills each command: what the commands add up to.

mod month;

use crate::{
    process::{streamwarden, text},
    support::{Page, Redis, Sidecar},
};

const README: &str = include_str!("../../README.md");
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

/// Commands a poll, as the sidecar counts them, once all streams are known: without the clock, and the clock.
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
        (polls(&page), reading.iter().map(|name| sent(&page, name)).sum::<f64>(), sent(&page, "time"))
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

/// The commands that a row of the table tells, and how many a month.
fn row(table: &str, what: &str) -> Option<(f64, f64)> {
    let line = table.lines().find_map(|line| line.strip_prefix(what))?;
    let numbers: Vec<f64> = line.split_whitespace().map_while(|word| word.parse().ok()).collect();
    Some((numbers[0], numbers[3]))
}

#[test]
fn what_is_told_to_be_the_cost_is_what_is_sent() {
    let redis = Redis::start();
    seed(&redis, 30);
    redis.run::<u64>("XTRIM stream-00000 MAXLEN 19");
    let script = "for i = 1, 5000 do redis.call('SET', 'key' .. i, i) end";
    redis::cmd("EVAL").arg(script).arg(0).query::<()>(&mut redis.connect()).unwrap();
    for is_billed in [true, false] {
        let config = format!(
            "redis: {{billed_by_command: {is_billed}}}\npoll: {{interval: 300ms, discovery_interval: 1h}}\n\
             streams: [{{match: 'stream-*', retention: {{max_length: 1000, max_age: 1d, interval: 10m}}}}]"
        );
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), &config).unwrap();
        let arguments = ["check-config", "--cost", "--config", file.path().to_str().unwrap()];
        let output = streamwarden(&arguments, &[("REDIS_URI", redis.uri().as_str())]);
        assert!(output.status.success(), "{}", text(&output.stderr));
        let table = text(&output.stdout);
        let (read, read_a_month) = row(&table, "reading the streams").unwrap();
        let (open, _) = row(&table, "what that leaves open").unwrap();
        assert_eq!(read_a_month, read * 8_640_000.0, "{table}");
        assert!(row(&table, "a search for streams").unwrap().0 >= 5.0, "{table}");
        let (clock, clock_a_month) = row(&table, "the server's clock").unwrap();
        assert_eq!((clock, clock_a_month), (1.0, if is_billed { 864_000.0 } else { 8_640_000.0 }), "{table}");
        let runs = 30.0 * (1.0 + 2.0 * (8.0 + 3.0 * 2.0));
        assert_eq!(row(&table, "retention of 30 streams"), Some((runs, runs * 4_320.0)), "{table}");
        let lease = if is_billed { 4_800.0 } else { 144_000.0 };
        assert_eq!(row(&table, "the retention lease"), Some((2.0, 2.0 * lease)), "{table}");

        let observing = config.split("streams:").next().unwrap();
        let sidecar =
            Sidecar::with_config(&redis.uri(), &format!("{observing}streams: [{{match: 'stream-*'}}]"));
        sidecar.wait("all streams", |page| page.count("streamwarden_stream_length") == 30);
        let (reading, clock) = cost(&sidecar);
        assert_eq!(reading, read + open, "{table}");
        assert!(if is_billed { clock <= 0.2 } else { clock == 1.0 }, "{clock} times the clock a poll");
        // The other way is told too.
        assert!(
            table.contains(&format!("With redis.billed_by_command: {} it would be", !is_billed)),
            "{table}"
        );
    }
}

#[test]
fn a_run_on_a_stream_within_its_limit_looks_at_its_length_only() {
    let redis = Redis::start();
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
    assert!(
        text(&output.stderr).starts_with("error: cannot ask Redis: refused: "),
        "{}",
        text(&output.stderr)
    );
}

#[test]
fn the_readme_tells_the_settings_of_such_a_server() {
    let (_, section) = README.split_once("## Hosted Redis that bills by command").unwrap();
    let (_, sample) = section.split_once("```yaml\n").unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), sample.split_once("```").unwrap().0).unwrap();
    let output = streamwarden(&["check-config", "--config", file.path().to_str().unwrap()], &[]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(text(&output.stdout).contains("billed_by_command: true"), "by the host's name");
}
