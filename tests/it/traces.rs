//! Traces, as a collector of the test's own receives them.

pub(crate) mod collector;
pub(crate) mod faults;
mod settings;

use std::process::{Child, Command, Stdio};

use collector::{Collector, PROTOCOLS, Span};
use support::{Redis, Sidecar, wait_for};

const INTERNAL: i32 = 1;
const CLIENT: i32 = 3;

/// A sidecar in an environment of owned values.
pub(crate) fn sidecar(uri: &str, config: &str, environment: &[(&'static str, String)]) -> Sidecar {
    let environment: Vec<(&str, &str)> =
        environment.iter().map(|(name, value)| (*name, value.as_str())).collect();
    Sidecar::in_environment(uri, config, &environment)
}

fn named<'a>(trace: &'a [Span], name: &str) -> &'a Span {
    trace.iter().find(|span| span.name == name).unwrap_or_else(|| panic!("no {name} in {trace:#?}"))
}

#[test]
fn spans_arrive_with_their_parents_over_grpc_and_http_and_hold_no_secret() {
    let (password, token) = ("kXv7-canary-pQ2z", "tOk3n-canary");
    let redis = Redis::with_settings(&format!("requirepass {password}"));
    redis.add("a", 10);
    redis.add("b", 10);
    for protocol in PROTOCOLS {
        let collector = Collector::start(protocol);
        let mut environment = collector.environment();
        environment.extend([
            ("OTEL_EXPORTER_OTLP_HEADERS", format!("x-token={token}%20x,x-more=1")),
            ("OTEL_SERVICE_NAME", "orders".to_owned()),
            ("OTEL_RESOURCE_ATTRIBUTES", "k8s.pod.name=orders-1".to_owned()),
        ]);
        let sidecar = sidecar(&redis.uri(), "log: {level: trace}", &environment);
        let (root, trace) = collector.wait("a poll", |span| span.name == "poll");
        let pipeline = trace.iter().find(|span| span.name == "PIPELINE" && span.parent == root.id).unwrap();
        assert_eq!((root.parent.as_str(), root.kind), ("", INTERNAL));
        assert_eq!(root.attribute("streamwarden.streams"), Some("int 2"));
        assert_eq!((&pipeline.parent, pipeline.kind, &pipeline.error), (&root.id, CLIENT, &None));
        let port = format!("int {}", redis.port());
        let expected = [
            ("db.namespace", "0"),
            // The clock, the role and the two streams.
            ("db.operation.batch.size", "int 4"),
            ("db.operation.name", "PIPELINE"),
            ("db.system.name", "redis"),
            ("server.address", "127.0.0.1"),
            ("server.port", port.as_str()),
        ];
        assert_eq!(
            pipeline.attributes,
            expected.map(|(key, value)| (key.to_owned(), value.to_owned())).into()
        );
        let (connect, trace) = collector.wait("a connection", |span| span.name == "connect");
        assert_eq!((&connect.parent, connect.kind), (&trace.last().unwrap().id, CLIENT));
        assert_eq!(named(&trace, "PIPELINE").parent, connect.id, "the login is a part of it");
        let (discovery, trace) = collector.wait("a search", |span| span.name == "discovery");
        let scan = trace.iter().find(|span| span.name == "PIPELINE" && span.parent == discovery.id).unwrap();
        assert_eq!(scan.attribute("db.operation.batch.size"), Some("int 2"), "the role and the keys");

        let (headers, resource, everything) = collector.first();
        assert_eq!(headers["x-token"], format!("{token} x"));
        assert_eq!(headers["x-more"], "1");
        assert_eq!(
            (resource["service.name"].as_str(), resource["k8s.pod.name"].as_str()),
            ("orders", "orders-1")
        );
        let shown = [everything, sidecar.log()];
        assert!(!shown.iter().any(|text| text.contains(password)), "the password");
        assert!(!sidecar.log().contains("canary"), "the token: {}", sidecar.log());
    }
}

#[test]
fn retention_is_a_trace_of_runs_and_steps_and_the_lease_one_of_its_own() {
    let redis = Redis::start();
    redis.add("s", 350);
    let collector = Collector::start("grpc");
    let config = "streams: [{match: s, retention: {max_length: 100, mode: strict, interval: 1s}}]";
    let _sidecar = sidecar(&redis.uri(), config, &collector.environment());
    let (root, trace) = collector.wait("a run", |span| span.name == "retention");
    let expected = [
        ("messaging.system", "redis"),
        ("messaging.destination.name", "s"),
        ("streamwarden.retention.mode", "strict"),
        ("streamwarden.retention.outcome", "reached"),
        ("streamwarden.retention.removed", "int 200"),
    ];
    assert_eq!(root.attributes, expected.map(|(key, value)| (key.to_owned(), value.to_owned())).into());
    assert_eq!((root.parent.as_str(), &root.events), ("", &vec!["trimmed".to_owned()]));
    let steps: Vec<&Span> = trace.iter().filter(|span| span.name == "retention step").collect();
    assert_eq!(steps.len(), 2, "one that trims and one that finds nothing more");
    assert!(
        steps
            .iter()
            .all(|step| step.parent == root.id && step.attribute("messaging.destination.name") == Some("s"))
    );
    assert_eq!(steps[0].attribute("streamwarden.retention.removed"), Some("int 200"));
    let eval = trace.iter().find(|span| span.name == "EVAL" && span.parent == steps[0].id).unwrap();
    assert_eq!((eval.kind, eval.attribute("db.operation.name")), (CLIENT, Some("EVAL")));
    let (set, trace) = collector.wait("the lease", |span| span.name == "SET");
    assert_eq!(set.parent, named(&trace, "retention lease").id);
}

#[test]
fn a_run_that_a_group_blocks_names_the_group() {
    let redis = Redis::start();
    redis.add("s", 350);
    redis.run::<()>("XGROUP CREATE s behind 0");
    let collector = Collector::start("grpc");
    let config = "streams: [{match: s, retention: {max_length: 100, interval: 1s}}]";
    let _sidecar = sidecar(&redis.uri(), config, &collector.environment());
    let (root, _) = collector.wait("a run", |span| span.name == "retention");
    assert_eq!(root.attribute("streamwarden.retention.outcome"), Some("blocked"));
    assert_eq!(root.attribute("messaging.consumer.group.name"), Some("behind"));
}

#[test]
fn of_traces_in_which_nothing_happens_few_are_sent_and_of_failures_all() {
    let mut redis = Redis::start();
    redis.add("s", 1);
    let collector = Collector::start("grpc");
    let mut environment = collector.environment();
    environment.retain(|(name, _)| *name != "OTEL_TRACES_SAMPLER");
    let sidecar = sidecar(&redis.uri(), "streams: [{match: s}]", &environment);
    sidecar.wait("30 polls", |page| page.own("streamwarden_polls_total") >= 30.0);
    redis.kill();
    let (root, trace) = collector.wait("a failed poll", |span| span.name == "poll" && span.error.is_some());
    // The connection that was open, or the one that could not be made again.
    assert!(["closed", "refused"].contains(&root.attribute("error.type").unwrap()), "{root:?}");
    assert_eq!(root.attribute("db.response.status_code"), None, "the server said nothing");
    assert!(trace.iter().any(|span| span.parent == root.id && span.error == root.error), "{trace:?}");
    let (connect, trace) =
        collector.wait("the refusal", |span| span.name == "connect" && span.error.is_some());
    assert_eq!(connect.attribute("error.type"), Some("refused"));
    assert!(named(&trace, "poll").error.is_some());
    let usual = collector.spans().iter().filter(|span| span.name == "poll" && span.error.is_none()).count();
    assert!(usual < 10, "{usual} of 30 polls that went well");
}

#[test]
fn what_redis_refuses_has_its_code() {
    let redis = Redis::start();
    redis.run::<()>("SET s text");
    let collector = Collector::start("http/protobuf");
    let _sidecar = sidecar(&redis.uri(), "streams: [{match: s}]", &collector.environment());
    let (span, trace) =
        collector.wait("the refusal", |span| span.attribute("db.response.status_code") == Some("WRONGTYPE"));
    assert_eq!((span.attribute("error.type"), span.error.is_some()), (Some("WRONGTYPE"), true));
    assert_eq!(span.parent, named(&trace, "poll").id);
    assert_eq!(named(&trace, "poll").error, None, "one bad key fails no poll");
}

/// The value behind a key, in JSON or text, up to what can't be part of an ID.
fn id(line: &str, key: &str) -> String {
    let (_, rest) = line.split_once(key).unwrap_or_else(|| panic!("no {key} in {line}"));
    rest.trim_start_matches(['"', ':', '=']).chars().take_while(char::is_ascii_hexdigit).collect()
}

/// Ends a process with the test.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

#[test]
fn log_lines_name_traces_that_arrive() {
    let redis = Redis::start();
    redis.add("s", 1);
    let collector = Collector::start("grpc");
    let mut environment = collector.environment();
    // Also by default, what is logged is sent.
    environment.retain(|(name, _)| *name != "OTEL_TRACES_SAMPLER");
    for format in ["json", "text"] {
        let mut child = Command::new(support::program())
            .args(["--listen", "127.0.0.1:0", "--log-format", format])
            .env_clear()
            .env("REDIS_URI", redis.uri())
            .envs(environment.iter().map(|(name, value)| (*name, value.as_str())))
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let before = collector.spans().len();
        let stderr = child.stderr.take().unwrap();
        let ended = Ended(child);
        wait_for("the search", || {
            let spans = collector.spans();
            spans[before..].iter().any(|span| span.name == "discovery").then_some(())
        });
        drop(ended);
        let log = std::io::read_to_string(stderr).unwrap();
        let line = log.lines().find(|line| line.contains("watching 1 stream")).unwrap();
        assert!(format == "text" || (line.ends_with("\"}") && line.matches('{').count() == 1), "{line}");
        let (trace, span) = (id(line, "trace_id"), id(line, "span_id"));
        let root = collector.spans().into_iter().find(|it| it.trace == trace && it.id == span);
        assert_eq!(root.unwrap().events, ["watching 1 stream"]);
        let started = log.lines().find(|line| line.contains("started")).unwrap();
        assert!(!started.contains("trace_id"), "{started}");
    }
}
