//! When traces are sent, and which values of OpenTelemetry's variables are refused.

use std::{io::ErrorKind, net::TcpListener};

use super::sidecar;
use support::{Redis, Sidecar};

use crate::process::{streamwarden, text};

/// Names of the process's threads, as long as the system keeps them.
fn threads(sidecar: &Sidecar) -> Vec<String> {
    let tasks = std::fs::read_dir(format!("/proc/{}/task", sidecar.id())).unwrap();
    // A thread may have ended in the meantime.
    tasks.filter_map(|task| support::read(task.unwrap().path().join("comm")).ok()).collect()
}

#[test]
fn nobody_is_spoken_to_unless_an_endpoint_is_set_and_nothing_forbids_it() {
    let redis = Redis::start();
    redis.add("s", 1);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let set = |name: &'static str, value: &str| {
        vec![
            ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.clone()),
            ("OTEL_BSP_SCHEDULE_DELAY", "50".to_owned()),
            ("OTEL_TRACES_SAMPLER", "always_on".to_owned()),
            (name, value.to_owned()),
        ]
    };
    let off = "telemetry: {otlp: off}";
    let cases = [
        ("", vec![("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc".to_owned())]),
        ("", set("OTEL_EXPORTER_OTLP_ENDPOINT", "")),
        ("", set("OTEL_SDK_DISABLED", "true")),
        ("", set("OTEL_TRACES_EXPORTER", "none")),
        (off, set("OTEL_SDK_DISABLED", "false")),
    ];
    for (config, environment) in cases {
        let sidecar = sidecar(&redis.uri(), config, &environment);
        sidecar.next_poll();
        assert!(!threads(&sidecar).iter().any(|name| name.contains("OpenTelemetry")), "{environment:?}");
        assert!(!sidecar.log().contains("trace"), "{environment:?}: {}", sidecar.log());
        assert_eq!(listener.accept().unwrap_err().kind(), ErrorKind::WouldBlock, "{environment:?}");
    }
    // And that the same sidecar would have been seen.
    let sidecar = sidecar(&redis.uri(), "", &set("OTEL_SDK_DISABLED", "false"));
    support::wait_for("a connection", || listener.accept().ok());
    assert!(threads(&sidecar).iter().any(|name| name.contains("OpenTelemetry")));
}

#[test]
fn what_the_exporter_would_pass_over_is_refused_with_all_other_problems() {
    let bad = [
        ("OTEL_SDK_DISABLED", "maybe", "true, false"),
        ("OTEL_TRACES_EXPORTER", "zipkin", "otlp, none"),
        ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/json", "grpc, http/protobuf"),
        ("OTEL_EXPORTER_OTLP_CERTIFICATE", "/no/such/file", "cannot read /no/such/file"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "s3cret", "name=value"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "zstd", "gzip, none"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "10s", "milliseconds"),
        ("OTEL_BSP_SCHEDULE_DELAY", "0", "milliseconds"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "-1", "spans"),
        ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "many", "spans"),
        ("OTEL_TRACES_SAMPLER", "xray", "parentbased_traceidratio"),
    ];
    let mut environment = vec![
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4317"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "passed over: the one for traces counts"),
    ];
    environment.extend(bad.map(|(variable, value, _)| (variable, value)));
    let output = streamwarden(&[], &environment);
    assert_eq!(output.status.code(), Some(2));
    let problems = text(&output.stderr);
    assert!(problems.contains("redis.uri: "), "with the others: {problems}");
    for (variable, _, hint) in bad {
        let line = problems.lines().find(|line| line.starts_with(&format!("{variable}: ")));
        assert!(line.is_some_and(|line| line.contains(hint)), "{variable}: {hint} in:\n{problems}");
    }
    assert_eq!(problems.lines().count(), bad.len() + 1, "{problems}");
    assert!(!problems.contains("s3cret"));
}

#[test]
fn an_endpoint_is_an_address_without_a_user() {
    for (endpoint, hint) in [
        ("collector:4317", "http://collector:4317"),
        ("ftp://collector", "http://collector:4317"),
        ("http://user:s3cret@collector:4317", "OTEL_EXPORTER_OTLP_HEADERS"),
    ] {
        let environment = [("REDIS_URI", "redis://h"), ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", endpoint)];
        let output = streamwarden(&["check-config"], &environment);
        assert_eq!(output.status.code(), Some(2), "{endpoint}");
        let problem = text(&output.stderr);
        assert!(
            problem.starts_with("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: ") && problem.contains(hint),
            "{problem}"
        );
        assert!(!problem.contains("s3cret"));
    }
}

#[test]
fn a_ratio_needs_its_number() {
    for (argument, hint) in [("", "is missing"), ("2", "from 0 to 1"), ("often", "from 0 to 1"), ("0.5", "")]
    {
        let environment = [
            ("REDIS_URI", "redis://h"),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318"),
            ("OTEL_TRACES_SAMPLER", "traceidratio"),
            ("OTEL_TRACES_SAMPLER_ARG", argument),
        ];
        let output = streamwarden(&["check-config"], &environment);
        assert_eq!(output.status.success(), hint.is_empty(), "{argument}");
        assert!(text(&output.stderr).contains(hint), "{argument}: {}", text(&output.stderr));
    }
}

#[test]
fn check_config_says_where_traces_go_and_no_secret() {
    let environment = [
        ("REDIS_URI", "redis://h"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "https://collector/s3cret?key=s3cret"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20s3cret"),
    ];
    let output = streamwarden(&["check-config"], &environment);
    let shown = text(&output.stdout);
    assert!(shown.contains("otlp: auto  # traces to https://collector:443\n"), "{shown}");
    assert!(!shown.contains("s3cret"));
}
