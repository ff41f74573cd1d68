//! A server that bills each command: what the commands add up to.

use crate::{
    process::{streamwarden, text},
    support::{DEADLINE, Redis, Sidecar},
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

/// Commands a poll, as the server sees them, once all streams are known.
fn cost(redis: &Redis, sidecar: &Sidecar) -> f64 {
    const POLLS: u32 = 3;
    // What is asked once is asked by then.
    (0..2).for_each(|_| drop(sidecar.next_poll()));
    let mut monitor = redis.connect();
    monitor.send_packed_command(&redis::cmd("MONITOR").get_packed_command()).unwrap();
    assert_eq!(monitor.recv_response().unwrap(), redis::Value::Okay);
    monitor.set_read_timeout(Some(DEADLINE)).unwrap();
    let (mut polls, mut commands) = (None, 0);
    while polls < Some(POLLS) {
        let redis::Value::SimpleString(line) = monitor.recv_response().unwrap() else { panic!("not a line") };
        commands += u32::from(polls.is_some());
        // The clock is asked for once a poll.
        if line.ends_with("\"TIME\"") {
            polls = Some(polls.map_or(0, |polls| polls + 1));
        }
    }
    f64::from(commands) / f64::from(POLLS)
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
        assert_eq!(row(&table, "retention of 30 streams"), Some((90.0, 90.0 * 4_320.0)), "{table}");
        let lease = if is_billed { 4_800.0 } else { 144_000.0 };
        assert_eq!(row(&table, "the retention lease"), Some((2.0, 2.0 * lease)), "{table}");

        let observing = config.split("streams:").next().unwrap();
        let sidecar =
            Sidecar::with_config(&redis.uri(), &format!("{observing}streams: [{{match: 'stream-*'}}]"));
        sidecar.wait("all streams", |page| page.count("streamwarden_stream_length") == 30);
        (0..2).for_each(|_| drop(sidecar.next_poll()));
        assert_eq!(cost(&redis, &sidecar), read + open, "{table}");
        // The other way is told too.
        assert!(
            table.contains(&format!("With redis.billed_by_command: {} it would be", !is_billed)),
            "{table}"
        );
    }
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
