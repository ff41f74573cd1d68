//! `streamwarden bench`: its figures are the server's, it leaves nothing behind, and it is refused where it could do harm.

use std::{
    process::{Child, Command, Output, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    thread,
    time::Duration,
};

use serde_json::Value;
use support::{Act, Cluster, Direction, Need, Proxy, Redis, wait_at_most, wait_for};

use crate::{
    docs::markdown,
    process::{streamwarden, text},
    runbooks::pages::in_fences,
};

/// As long as a stream lives after a bench was killed, and a little more.
const LIFE: Duration = Duration::from_secs(13);
const XADD: usize = 0;
const PIPELINES: usize = 1;
const XRANGE: usize = 2;
const XREADGROUP: usize = 3;

fn server() -> Option<Redis> {
    Redis::start().if_meets(Need::NO_MKSTREAM)
}

fn keys(redis: &Redis) -> Vec<String> {
    redis.run("KEYS streamwarden:*")
}

fn bench(uri: &str, arguments: &[&str]) -> Output {
    let arguments = [&["bench", "--duration", "1s"], arguments].concat();
    streamwarden(&arguments, &[("REDIS_URI", uri)])
}

/// The document of a longer bench.
fn figures_of(duration: &str, uri: &str) -> Value {
    let output = streamwarden(&["bench", "--json", "--duration", duration], &[("REDIS_URI", uri)]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The document of a bench that succeeds.
#[track_caller]
fn figures(uri: &str, arguments: &[&str]) -> Value {
    let output = bench(uri, &[&["--json"], arguments].concat());
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(text(&output.stderr), "");
    serde_json::from_slice(&output.stdout).unwrap()
}

fn number(document: &Value, test: usize, field: &str) -> u64 {
    document["tests"][test][field].as_u64().unwrap()
}

/// Checks that a bench ends with this code, for this reason, and that nothing of it stays.
#[track_caller]
fn refused(redis: &Redis, output: &Output, code: i32, reason: &str) {
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{said}");
    assert!(said.starts_with("error: ") && said.contains(reason), "{said}");
    assert_eq!(said.matches('\n').count(), 1, "{said}");
    assert_eq!((text(&output.stdout), keys(redis)), (String::new(), Vec::new()));
}

/// A bench that runs, and the key of its stream.
fn running(redis: &Redis, uri: &str) -> (Child, String) {
    let mut command = Command::new(support::program());
    command.args(["bench", "--duration", "1m"]).env_clear().env("REDIS_URI", uri);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let key = wait_for("the stream to have entries", || {
        keys(redis).pop().filter(|key| redis.run::<u64>(&format!("XLEN {key}")) > 0)
    });
    (child, key)
}

fn signal(child: &Child, name: &str) {
    assert!(
        Command::new("kill").args([&format!("-{name}"), &child.id().to_string()]).status().unwrap().success()
    );
}

#[test]
fn the_figures_are_what_the_server_has_counted() {
    let Some(redis) = server() else { return };
    redis.add("s", 3);
    let before = ["xadd", "xrange", "xack", "xreadgroup"].map(|command| redis.calls(command));
    let found = figures(&redis.uri(), &[]);
    let calls = ["xadd", "xrange", "xack", "xreadgroup"].map(|command| redis.calls(command));
    let [xadd, xrange, xack, xreadgroup] = std::array::from_fn(|at| calls[at] - before[at]);
    let requests = |test| number(&found, test, "requests");
    assert_eq!(requests(XADD) + requests(PIPELINES), xadd, "{found}");
    assert_eq!((requests(XRANGE), requests(XREADGROUP)), (xrange, xack), "{found}");
    assert!(xreadgroup >= xack, "each read that returned entries is acknowledged: {xreadgroup} {xack}");
    for (test, name) in
        ["XADD", "XADD, pipelines of 16", "XRANGE of 10", "XREADGROUP of 10, XACK"].iter().enumerate()
    {
        let row = &found["tests"][test];
        assert_eq!(row["test"], *name);
        let seconds = row["seconds"].as_f64().unwrap();
        assert!((0.25..2.0).contains(&seconds), "{row}");
        let entries = number(&found, test, "entries");
        let a_request = entries.checked_div(requests(test)).unwrap();
        assert!(
            if test < XRANGE { entries == requests(test) } else { (1..=10).contains(&a_request) },
            "{row}"
        );
        for kind in ["requests", "entries"] {
            let rate = row[format!("{kind}_per_second")].as_f64().unwrap();
            let truth = row[kind].as_f64().unwrap() / seconds;
            assert!((rate - truth).abs() <= 1.0, "{row}");
        }
        let of = |name: &str| row["latency_seconds"][name].as_f64().unwrap();
        assert!(
            0.0 < of("p50") && of("p50") <= of("p95") && of("p95") <= of("p99") && of("p99") <= of("max"),
            "{row}"
        );
        // 16 connections wait for a reply all of the time, so their mean is so long, and at least half of it is near the median.
        let mean = 16.0 * seconds / (row["requests"].as_f64().unwrap() / row["pipeline"].as_f64().unwrap());
        assert!(of("p50") < 3.0 * mean && of("max") > mean / 2.0, "{mean}: {row}");
    }
    let writes = [XADD, PIPELINES].map(|test| number(&found, test, "entries_per_second"));
    assert_eq!(found["headroom_per_second"].as_u64(), writes.into_iter().max());
    assert_eq!((keys(&redis).len(), redis.run::<u64>("XLEN s")), (0, 3));
}

#[test]
fn the_stream_is_bounded_and_expires_all_the_time() {
    let Some(redis) = server() else { return };
    let (uri, used) = (redis.uri(), memory(&redis, "used_memory"));
    let running = thread::spawn(move || bench(&uri, &["--size", "65536"]));
    let (mut longest, mut seen) = (0, 0);
    while !running.is_finished() {
        for key in keys(&redis) {
            let left = redis.run::<i64>(&format!("PTTL {key}"));
            // -2: it was removed meanwhile.
            assert!((5_000..=10_000).contains(&left) || left == -2, "{left}");
            longest = longest.max(redis.run::<u64>(&format!("XLEN {key}")));
            seen += 1;
        }
        thread::sleep(Duration::from_millis(5));
    }
    assert!(running.join().unwrap().status.success());
    let more = memory(&redis, "used_memory_peak") - used;
    assert!(seen > 10 && (100..=16 * 1024 * 1024 / 65_536).contains(&longest), "{seen} {longest}");
    // The stream, and twice the commands that are under way.
    assert!(more < 48 * 1024 * 1024, "{more}");
    assert!(keys(&redis).is_empty());
}

fn memory(redis: &Redis, field: &str) -> u64 {
    let info: String = redis.run("INFO memory");
    let value = info.lines().find_map(|line| line.strip_prefix(&format!("{field}:")));
    value.unwrap().trim().parse().unwrap()
}

#[test]
fn a_bench_that_is_stopped_removes_its_stream() {
    let Some(redis) = server() else { return };
    for name in ["TERM", "INT"] {
        let (child, _) = running(&redis, &redis.uri());
        signal(&child, name);
        let output = child.wait_with_output().unwrap();
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.starts_with(&format!("SIG{name}: removing the stream")), "{said}");
        assert!(said.contains("error: the bench was interrupted; its stream was removed"), "{said}");
        assert_eq!((text(&output.stdout), keys(&redis)), (String::new(), Vec::new()));
    }
}

#[test]
fn a_bench_that_is_killed_leaves_a_stream_that_expires() {
    let Some(redis) = server() else { return };
    let (mut child, key) = running(&redis, &redis.uri());
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(keys(&redis), [key]);
    wait_at_most(LIFE, "the key to expire", || keys(&redis).is_empty().then_some(()));
}

#[test]
fn two_benches_do_not_meet() {
    let Some(redis) = server() else { return };
    let uri = redis.uri();
    let both = [(); 2].map(|()| {
        let uri = uri.clone();
        thread::spawn(move || figures_of("3s", &uri))
    });
    wait_for("two streams", || (keys(&redis).len() == 2).then_some(()));
    let xadds = both.map(|one| {
        let found = one.join().unwrap();
        number(&found, XADD, "requests") + number(&found, PIPELINES, "requests")
    });
    assert_eq!(xadds.iter().sum::<u64>(), redis.calls("xadd"));
    assert!(keys(&redis).is_empty());
}

#[test]
fn a_bench_is_refused_where_it_could_do_harm() {
    let Some(redis) = server() else { return };
    let uri = redis.uri();
    for policy in ["allkeys-lru", "volatile-ttl"] {
        redis.run::<()>(&format!("CONFIG SET maxmemory-policy {policy}"));
        refused(
            &redis,
            &bench(&uri, &[]),
            1,
            &format!("the bench is refused: maxmemory-policy is {policy}: "),
        );
    }
    redis.run::<()>("CONFIG SET maxmemory-policy noeviction");
    let limit = memory(&redis, "used_memory") + 18 * 1024 * 1024;
    redis.run::<()>(&format!("CONFIG SET maxmemory {limit}"));
    refused(&redis, &bench(&uri, &[]), 1, "MiB are free below maxmemory, and the bench needs 21: ");
    redis.run::<()>(&format!("CONFIG SET maxmemory {}", limit + 8 * 1024 * 1024));
    figures(&uri, &[]);
    redis.run::<()>("CONFIG SET maxmemory 0");

    redis.run::<()>("ACL SETUSER blind on >word ~* +@all -info");
    let blind = uri.replace("redis://", "redis://blind:word@");
    refused(&redis, &bench(&blind, &[]), 1, "info");
    let billed = streamwarden(
        &["bench"],
        &[("REDIS_URI", &uri), ("STREAMWARDEN_CONFIG", billed_config().path().to_str().unwrap())],
    );
    refused(&redis, &billed, 1, "the bench is refused: each command is billed");
    for elsewhere in ["redis://192.0.2.1", "redis://redis.example:1234"] {
        refused(&redis, &bench(elsewhere, &[]), 2, "is not on this machine");
    }
    for wrong in [["--duration", "0s"], ["--duration", "11m"], ["--size", "0"], ["--size", "65537"]] {
        let output = streamwarden(&["bench", wrong[0], wrong[1]], &[("REDIS_URI", &uri)]);
        assert_eq!(output.status.code(), Some(2), "{wrong:?}");
    }
    assert_eq!(redis.calls("eval"), 1, "only one was begun");
}

fn billed_config() -> tempfile::NamedTempFile {
    crate::process::config_file("redis: {billed_by_command: true}\n")
}

#[test]
fn a_replica_is_not_written_to() {
    let Some(primary) = server() else { return };
    for is_read_only in ["yes", "no"] {
        let settings = format!("replicaof 127.0.0.1 {}\nreplica-read-only {is_read_only}", primary.port());
        let replica = Redis::with_settings(&settings);
        let output = bench(&replica.uri(), &[]);
        refused(
            &replica,
            &output,
            1,
            "the bench is refused: the server is a replica: nothing is written to it",
        );
    }
    assert!(keys(&primary).is_empty());
}

#[test]
fn an_old_server_is_refused() {
    let redis = Redis::start();
    if redis.supports(Need::NO_MKSTREAM) {
        return;
    }
    refused(&redis, &bench(&redis.uri(), &[]), 1, "it needs Redis 6.2 or later");
}

#[test]
fn a_bench_ends_as_soon_as_it_could_do_harm_or_its_stream_is_gone() {
    let Some(redis) = server() else { return };
    for (words, reason) in [
        (
            "CONFIG SET maxmemory-policy allkeys-lru",
            "it has ended early, since maxmemory-policy is allkeys-lru",
        ),
        ("CONFIG SET maxmemory-policy noeviction", ""),
        ("CONFIG SET maxmemory 1", "MiB are free below maxmemory"),
        ("CONFIG SET maxmemory 0", ""),
        ("FLUSHALL", "the bench's stream is gone"),
    ] {
        if reason.is_empty() {
            redis.run::<()>(words);
            continue;
        }
        let (child, _) = running(&redis, &redis.uri());
        redis.run::<()>(words);
        let output = child.wait_with_output().unwrap();
        let said = text(&output.stderr);
        // The server may refuse writes before the bench has looked.
        assert!(said.contains(reason) || (words.ends_with('1') && said.contains("OOM")), "{said}");
        assert_eq!((output.status.code(), keys(&redis)), (Some(1), Vec::new()), "{words}");
    }
}

#[test]
fn a_key_of_that_name_that_others_own_is_never_touched() {
    let Some(redis) = server() else { return };
    for make in ["SET KEY mine", "XADD KEY 1-1 whose mine"] {
        let proxy = Proxy::to(redis.port());
        let made: Arc<Mutex<Option<String>>> = Arc::default();
        let (noted, mut other) = (Arc::clone(&made), redis.connect());
        proxy.rule(move |direction, bytes| {
            let said = String::from_utf8_lossy(bytes);
            let key = said.split("\r\n").find(|word| word.starts_with("streamwarden:bench:"));
            let mut made = noted.lock().unwrap();
            if let (Direction::ToServer, Some(key), None) = (direction, key, &*made) {
                let words = make.replace("KEY", key);
                support::command(&words).query::<redis::Value>(&mut other).unwrap();
                *made = Some(key.to_owned());
            }
            Act::Pass
        });
        let output = bench(&proxy.uri(), &[]);
        let key = made.lock().unwrap().clone().expect("the bench named its key");
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains(&format!("there is a key {key} already, which is another's")), "{said}");
        assert_eq!(keys(&redis), std::slice::from_ref(&key));
        assert_eq!(redis.run::<i64>(&format!("PTTL {key}")), -1, "it does not expire");
        if make.starts_with("SET") {
            assert_eq!(redis.run::<String>(&format!("GET {key}")), "mine");
        } else {
            assert_eq!(redis.run::<u64>(&format!("XLEN {key}")), 1);
            assert_eq!(redis.run::<Vec<redis::Value>>(&format!("XINFO GROUPS {key}")), []);
        }
        redis.run::<u64>(&format!("DEL {key}"));
    }
}

#[test]
fn what_the_watched_streams_carry_meanwhile_is_counted() {
    let Some(redis) = server() else { return };
    redis.add("s", 5);
    let over = Arc::new(AtomicBool::new(false));
    let (is_over, mut producer) = (Arc::clone(&over), redis.connect());
    let producing = thread::spawn(move || {
        let mut added = 0;
        while !is_over.load(SeqCst) {
            support::command("XADD s * a b").query::<String>(&mut producer).unwrap();
            added += 1;
            thread::sleep(Duration::from_millis(10));
        }
        added
    });
    let found = figures(&redis.uri(), &[]);
    let printed = text(&bench(&redis.uri(), &[]).stdout);
    over.store(true, SeqCst);
    let added: u64 = producing.join().unwrap();
    let watched = &found["watched"];
    if redis.supports(Need::COUNTED_ADDITIONS) {
        let entries = watched["entries"].as_u64().unwrap();
        assert!(entries > 0 && entries < added, "{watched}: {added}");
        assert_eq!((&watched["streams"], &watched["unknown_streams"]), (&1.into(), &0.into()));
        let rate = watched["entries_per_second"].as_u64().unwrap();
        let truth = watched["entries"].as_f64().unwrap() / watched["seconds"].as_f64().unwrap();
        assert!((watched["entries_per_second"].as_f64().unwrap() - truth).abs() <= 1.0, "{watched}");
        assert_eq!(found["left_per_second"].as_u64(), Some(10_000 - rate));
        assert!(printed.contains("(1 stream)\n"), "{printed}");
    } else {
        assert_eq!((&watched["streams"], &watched["unknown_streams"]), (&0.into(), &1.into()));
        assert_eq!(found["left_per_second"], Value::Null);
        assert!(printed.contains("what they carry is unknown"), "{printed}");
    }
}

#[test]
fn the_rule_for_a_bench_is_enough_and_is_printed_only_if_it_is_asked_for() {
    let Some(redis) = server() else { return };
    let rule = |arguments: &[&str]| {
        let arguments = [&["acl"], arguments].concat();
        text(&streamwarden(&arguments, &[("REDIS_URI", &redis.uri())]).stdout)
    };
    assert!(!rule(&[]).contains("bench") && !rule(&["--acting"]).contains("bench"));
    let own = rule(&["--bench"]);
    redis.run::<()>(own.trim());
    let uri = redis.uri().replace("redis://", "redis://streamwarden:PASSWORD@");
    figures(&uri, &[]);
    assert_eq!(redis.run::<Vec<redis::Value>>("ACL LOG"), [], "nothing was refused");
    let Some((all, bench_only)) = own.split_once("(~streamwarden:bench:*") else {
        // Old servers have one list of commands.
        return;
    };
    let commands = bench_only.split([' ', ')', '\n']).filter_map(|word| word.strip_prefix('+'));
    // Reading is permitted on all streams anyway.
    for missing in commands.filter(|command| !["info", "xrange"].contains(command)) {
        let narrow =
            format!("{all}(~streamwarden:bench:*{}", bench_only.replacen(&format!(" +{missing}"), "", 1));
        redis.run::<()>(narrow.trim());
        let output = bench(&uri, &[]);
        assert_eq!(output.status.code(), Some(1), "{missing}: {}", text(&output.stderr));
        assert!(keys(&redis).is_empty(), "{missing}");
    }
    redis.run::<()>(own.trim());
    let (child, _) = running(&redis, &uri);
    redis.run::<()>(own.replace(" +unlink", "").trim());
    signal(&child, "TERM");
    let output = child.wait_with_output().unwrap();
    let said = text(&output.stderr);
    assert!(output.status.code() == Some(1) && said.contains("could not be removed: "), "{said}");
    assert!(said.contains("It expires within 10s"), "{said}");
    wait_at_most(LIFE, "the key to expire", || keys(&redis).is_empty().then_some(()));
}

#[test]
fn in_a_cluster_one_node_is_measured_and_named() {
    let cluster = Cluster::steady();
    if !cluster.node(0).meets(Need::NO_MKSTREAM) {
        return;
    }
    let uri = cluster.node(1).uri();
    let found = figures(&uri, &[]);
    assert_eq!(found["is_node_of_cluster"], true);
    let of = |node: usize| format!("127.0.0.1:{}", cluster.node(node).port());
    let measured = (0..3).find(|node| found["address"] == of(*node)).expect("it is a node");
    let xadds = number(&found, XADD, "requests") + number(&found, PIPELINES, "requests");
    assert_eq!(cluster.node(measured).calls("xadd"), xadds);
    let printed = text(&bench(&uri, &[]).stdout);
    let head = format!("{}, one node of the cluster; the others were not measured: ", of(measured));
    assert!(printed.starts_with(&head), "{printed}");
    assert!((0..3).all(|node| keys(cluster.node(node)).is_empty()));
}

#[test]
fn the_sample_of_the_page_is_what_is_printed() {
    let Some(redis) = server().filter(|redis| redis.supports(Need::COUNTED_ADDITIONS)) else { return };
    redis.add("s", 5);
    let page = in_fences(&markdown::read("docs/src/bench.md"));
    let sample = page.iter().find_map(|(kind, block)| (kind == "text").then_some(block)).unwrap();
    let printed = text(&bench(&redis.uri(), &[]).stdout);
    assert_eq!(form(sample), form(&printed), "{printed}");
    // The same figures are in the document.
    let (_, shown) =
        page.iter().find(|(kind, block)| kind == "text" && block.contains("schema_version")).unwrap();
    let shown: Value = serde_json::from_str(shown).unwrap();
    let found = figures(&redis.uri(), &[]);
    assert_eq!(names(&shown), names(&found));
}

/// A text without its numbers, and with single spaces.
fn form(text: &str) -> String {
    let mut form = String::new();
    for word in text.lines().flat_map(|line| line.split_whitespace().chain(["\n"])) {
        let word = word.replace("streams)", "stream)");
        let is_number = |part: &str| part.chars().any(|it| it.is_ascii_digit());
        // "16" and "10" of the tests' names are no figures, but the same.
        form += if is_number(&word) { "#" } else { &word };
        form.push(' ');
    }
    form
}

/// The names of a document, with those of what is in it.
fn names(value: &Value) -> Vec<String> {
    match value {
        Value::Object(fields) => fields
            .iter()
            .flat_map(|(name, value)| {
                [name.clone()]
                    .into_iter()
                    .chain(names(value).into_iter().map(move |inner| format!("{name}.{inner}")))
            })
            .collect(),
        Value::Array(values) => values.first().map(names).unwrap_or_default(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Vec::new(),
    }
}
