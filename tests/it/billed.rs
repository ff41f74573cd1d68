//! A server that bills each command: the same truth for fewer commands, and what they add up to.

use std::collections::BTreeMap;

use crate::{
    process::{streamwarden, text},
    support::{DEADLINE, Labels, Page, Redis, Sidecar, wait_for},
};

const README: &str = include_str!("../../README.md");
const BILLED: &str = "redis: {billed_by_command: true}\n";
const FAST: &str = "poll: {interval: 100ms, discovery_interval: 200ms, stale_after: 5s}\n";

/// A server that lacks these commands; what it never knew need not be taken away.
fn lacking(commands: &[&str]) -> Redis {
    let knows = |command: &&&str| {
        Redis::start().run::<Vec<redis::Value>>(&format!("COMMAND INFO {command}"))[0] != redis::Value::Nil
    };
    let settings: String =
        commands.iter().filter(knows).map(|command| format!("rename-command {command} \"\"\n")).collect();
    Redis::with_settings(&settings)
}

/// A sidecar that sends few commands, with more lines of configuration.
fn billed(uri: &str, config: &str) -> Sidecar {
    let config = if config.contains("poll:") { config.to_owned() } else { format!("{FAST}{config}") };
    Sidecar::with_config(uri, &format!("{BILLED}{config}"))
}

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

/// One of everything that reads differently.
fn seed_oddities(redis: &Redis) {
    seed(redis, 3);
    let ids = |stream: &str| -> Vec<String> {
        let entries: Vec<(String, redis::Value)> = redis.run(&format!("XRANGE {stream} - +"));
        entries.into_iter().map(|(id, _)| id).collect()
    };
    // A group in mid-stream whose lag has to be counted, and entries deleted behind it.
    redis.add("deleted", 50);
    let entries = ids("deleted");
    redis.run::<()>(&format!("XGROUP CREATE deleted g {}", entries[20]));
    redis.run::<u64>(&format!("XDEL deleted {} {} {}", entries[0], entries[30], entries[40]));
    // Pending entries that are gone, and one that was delivered again and again.
    redis.add("dangling", 20);
    redis.run::<()>("XGROUP CREATE dangling g 0");
    redis.read("dangling", "g", "c", 10);
    let entries = ids("dangling");
    redis.run::<u64>(&format!("XDEL dangling {} {}", entries[0], entries[1]));
    redis.run::<redis::Value>(&format!("XCLAIM dangling g d 0 {} RETRYCOUNT 9", entries[3]));
    // More than a number of Lua's holds.
    redis.add("huge", 3);
    redis.run::<()>("XGROUP CREATE huge g 0");
    redis.read("huge", "g", "c", 2);
    let entry = &ids("huge")[0];
    redis.run::<redis::Value>(&format!("XCLAIM huge g c 0 {entry} RETRYCOUNT {}", i64::MAX));
    let mut connection = redis.connect();
    for name in [&b"odd\xff\x00\r\n\"name"[..], b"", b"{odd} name"] {
        redis::cmd("XADD")
            .arg(name)
            .arg("1-1")
            .arg("")
            .arg(&b"\xfe"[..])
            .query::<()>(&mut connection)
            .unwrap();
        redis::cmd("XGROUP").arg("CREATE").arg(name).arg(name).arg(0).query::<()>(&mut connection).unwrap();
        let read =
            |cmd: &mut redis::Cmd| cmd.arg(name).arg(name).arg("STREAMS").arg(name).arg(">").to_owned();
        read(redis::cmd("XREADGROUP").arg("GROUP")).query::<redis::Value>(&mut connection).unwrap();
    }
    redis.run::<String>("XADD empty * f v");
    redis.run::<u64>("XTRIM empty MAXLEN 0");
    redis.run::<()>("XGROUP CREATE empty g $");
    redis.run::<()>("SET string 1");
    redis.run::<String>(&format!("XADD large * field {}", "x".repeat(100_000)));
    redis.run::<()>("XGROUP CREATE large g 0");
    redis.read("large", "g", "c", 1);
}

/// What is told of streams, without what passes with time.
fn told(page: &Page) -> BTreeMap<(String, Labels), f64> {
    let is_told = |name: &str| {
        ["stream_", "group_", "consumer_"]
            .iter()
            .any(|kind| name.starts_with(&format!("streamwarden_{kind}")))
            && !name.ends_with("_seconds")
            && !name.ends_with("_read_failures_total")
    };
    page.samples()
        .iter()
        .filter(|((name, _), _)| is_told(name))
        .map(|(key, value)| (key.clone(), *value))
        .collect()
}

/// The same for what passes with time: only that it is known.
fn ages(page: &Page) -> Vec<(String, Labels)> {
    let is_age = |name: &str| name.ends_with("_seconds") && name.contains("_threshold").eq(&false);
    page.samples()
        .keys()
        .filter(|(name, labels)| is_age(name) && labels.contains_key("stream"))
        .cloned()
        .collect()
}

/// Commands a poll, as the server sees them, once all streams are known: those of scripts are no commands of their own.
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
        commands += u32::from(polls.is_some() && !line.contains(" lua] "));
        // The clock is asked for once a poll.
        if line.ends_with("\"TIME\"") {
            polls = Some(polls.map_or(0, |polls| polls + 1));
        }
    }
    f64::from(commands) / f64::from(POLLS)
}

#[test]
fn it_tells_the_same_as_where_nothing_is_billed() {
    let redis = Redis::start();
    seed_oddities(&redis);
    let config = format!(
        "{FAST}streams: [{{match: string}}, {{match: missing, groups: [g]}}, {{match: huge, thresholds: {{deliveries: 2}}}}, \
         {{match: '*', groups: [g]}}]"
    );
    let (plain, billed) = (Sidecar::with_config(&redis.uri(), &config), billed(&redis.uri(), &config));
    let is_settled = |page: &Page| {
        page.group("poison_entries", "dangling", "g").is_some()
            && page.stream("present", "missing") == Some(0.0)
    };
    plain.wait("all to be known", is_settled);
    let page = billed.wait("all to be known", is_settled);
    assert!(page.get("streamwarden_redis_commands_total", &[("command", "xinfo_stream_full")]) < Some(20.0));
    let (expected, actual) = wait_for("the same of both", || {
        let (plain, billed) = (plain.next_poll(), billed.next_poll());
        (ages(&plain) == ages(&billed)).then_some((told(&plain), told(&billed)))
    });
    assert!(expected.len() > 200, "{}", expected.len());
    for (series, value) in &expected {
        assert_eq!(actual.get(series), Some(value), "{series:?}");
    }
    assert_eq!(actual.len(), expected.len());
    assert!(!billed.log().contains("scripts"), "{}", billed.log());
}

#[test]
fn a_poll_is_one_command_and_one_more_for_what_it_leaves_open() {
    for streams in [5, 100] {
        let redis = Redis::start();
        seed(&redis, streams);
        // One that is missing costs nothing more, but is one of the hundred.
        let missing = if streams < 100 { "{match: missing}, " } else { "" };
        let config =
            format!("poll: {{interval: 300ms, discovery_interval: 1h}}\nstreams: [{missing}{{match: '*'}}]");
        let sidecar = billed(&redis.uri(), &config);
        sidecar.wait("all streams", |page| page.count("streamwarden_stream_length") == streams);
        // Before Redis 7.0 the lags are counted anew.
        let expected = match (redis.counts_additions(), streams) {
            (true, _) => 1.0,
            (false, 5) => 2.0,
            (false, _) => continue,
        };
        assert_eq!(cost(&redis, &sidecar), expected, "{streams} streams");
        if expected == 1.0 {
            // Behind pending entries that are gone, the oldest that is there has to be looked for at each poll.
            redis.run::<u64>("XTRIM stream-00000 MAXLEN 19");
            assert_eq!(cost(&redis, &sidecar), 2.0, "{streams} streams, and something open");
        }
    }
}

#[test]
fn a_script_leaves_what_would_take_long_to_another() {
    let redis = Redis::start();
    let mut pipeline = redis::pipe();
    for key in (0..13).map(|stream| format!("crowded-{stream}")) {
        (0..160).for_each(|_| {
            pipeline.cmd("XADD").arg(&key).arg("*").arg("f").arg("v").ignore();
        });
        for group in ["one", "two", "three"] {
            pipeline.cmd("XGROUP").arg("CREATE").arg(&key).arg(group).arg(0).ignore();
            for consumer in 0..160 {
                pipeline.cmd("XREADGROUP").arg("GROUP").arg(group).arg(consumer).arg("COUNT").arg(1);
                pipeline.arg("NOACK").arg("STREAMS").arg(&key).arg(">").ignore();
            }
        }
    }
    pipeline.query::<()>(&mut redis.connect()).unwrap();
    let config = "poll: {interval: 300ms, discovery_interval: 1h}\nconsumers: {metrics: false}";
    let sidecar = billed(&redis.uri(), config);
    let page = sidecar.wait("all streams", |page| page.count("streamwarden_stream_length") == 13);
    assert_eq!(page.group("consumers", "crowded-12", "three"), Some(160.0));
    // 13 streams of some 5,000 values each, and a script stops at 50,000.
    assert_eq!(cost(&redis, &sidecar), 2.0);
}

#[test]
fn a_key_that_may_not_be_read_fails_alone_and_costs_one_command_more() {
    let redis = Redis::start();
    seed(&redis, 5);
    redis.add("secret", 3);
    redis.run::<()>("ACL SETUSER narrow on >p ~stream-* +@all");
    let uri = redis.uri().replace("redis://", "redis://narrow:p@");
    let sidecar = billed(&uri, "poll: {interval: 300ms, discovery_interval: 1h}");
    let page = sidecar.wait("what can be read", |page| page.count("streamwarden_stream_length") == 5);
    assert_eq!(
        page.get("streamwarden_stream_unreadable", &[("stream", "secret"), ("reason", "noperm")]),
        Some(1.0)
    );
    // The server does not show what it refuses: the sidecar's own count has the refused one, once a poll.
    let expected = if redis.counts_additions() { 1.0 } else { 2.0 };
    assert_eq!(cost(&redis, &sidecar), expected);
    let page = sidecar.next_poll();
    let alone = page.get("streamwarden_redis_commands_total", &[("command", "xinfo_stream_full")]).unwrap();
    assert!(alone <= page.own("streamwarden_polls_total") + 6.0, "{alone}");
    assert!(!sidecar.log().contains("scripts"), "{}", sidecar.log());
}

#[test]
fn what_a_server_lacks_is_said_once_and_costs_no_truth() {
    for (lacks, label, message) in [
        (&["EVAL_RO"][..], "eval", "Redis has no EVAL_RO"),
        (&["EVAL_RO", "EVAL", "CLIENT"], "xinfo_stream_full", "Redis refuses scripts"),
    ] {
        let redis = lacking(lacks);
        seed_oddities(&redis);
        let sidecar = billed(
            &redis.uri(),
            "retention: {interval: 1s}\nstreams: [{match: '*', retention: {max_length: 5}}]",
        );
        let sent = |page: &Page| page.get("streamwarden_redis_commands_total", &[("command", label)]);
        sidecar.wait("streams", |page| page.stream("length", "dangling").is_some() && sent(page) > Some(0.0));
        (0..3).for_each(|_| drop(sidecar.next_poll()));
        let log = sidecar.log();
        assert_eq!(log.matches(message).count(), 1, "{log}");
        let has_client = !lacks.contains(&"CLIENT");
        assert_eq!(log.matches("\"client_setname\"").count(), usize::from(!has_client), "{log}");
        assert_eq!(sidecar.next_poll().own("streamwarden_redis_up"), 1.0);
    }
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
