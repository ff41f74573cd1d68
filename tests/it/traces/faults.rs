//! A collector that is not there, or does not answer, costs a line in the log and nothing else.

use std::{
    net::TcpListener,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use super::{
    collector::{Collector, PROTOCOLS},
    sidecar,
};
use support::{Redis, Sidecar, free_port, wait_for};

use crate::tls::certificates;

const FAILED: &str = "sending traces failed";

fn environment(protocol: &str, address: &str) -> Vec<(&'static str, String)> {
    vec![
        ("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://{address}")),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol.to_owned()),
        ("OTEL_BSP_SCHEDULE_DELAY", "50".to_owned()),
    ]
}

/// Stops it, and checks that it takes no longer than it may.
#[track_caller]
#[expect(clippy::disallowed_methods, reason = "tests measure by the clock")]
pub(crate) fn assert_stops_in_time(sidecar: &mut Sidecar) {
    let asked = Instant::now();
    sidecar.signal("TERM");
    assert_eq!(sidecar.wait_for_exit().code(), Some(0));
    let took = asked.elapsed();
    assert!(took < Duration::from_secs(6), "{took:?}");
}

#[test]
fn redis_and_the_collector_down_at_once_are_lived_through() {
    for protocol in PROTOCOLS {
        // A collector that hangs up on everybody, so that each attempt can be counted.
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let attempts = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&attempts);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                drop(stream);
                counter.fetch_add(1, Ordering::Relaxed);
            }
        });
        let uri = format!("redis://127.0.0.1:{}", free_port());
        let mut sidecar = sidecar(&uri, "", &environment(protocol, &address));
        wait_for("attempts", || (attempts.load(Ordering::Relaxed) > 20).then_some(()));
        sidecar.wait("failed polls", |page| {
            page.get("streamwarden_poll_failures_total", &[("reason", "refused")]).unwrap() >= 3.0
        });
        assert_eq!(sidecar.get("/livez").status, 200);
        assert_eq!(sidecar.log().matches(FAILED).count(), 1, "{}", sidecar.log());
        assert_stops_in_time(&mut sidecar);
        assert_eq!(sidecar.log().matches(FAILED).count(), 1, "{}", sidecar.log());
    }
}

#[test]
fn a_failing_collector_is_reported_with_the_reason() {
    for protocol in PROTOCOLS {
        let redis = Redis::start();
        redis.add("s", 1);
        let address = format!("127.0.0.1:{}", free_port());
        let mut sidecar = sidecar(&redis.uri(), "", &environment(protocol, &address));
        wait_for("the failure", || sidecar.log().contains(FAILED).then_some(()));
        let line = sidecar.log().lines().find(|line| line.contains(FAILED)).unwrap().to_owned();
        assert!(line.contains(&address) && line.contains("Connection refused"), "{line}");
        sidecar.next_poll();
        assert_stops_in_time(&mut sidecar);
    }
}

#[test]
fn a_collector_that_never_answers_holds_up_no_end() {
    for protocol in PROTOCOLS {
        let redis = Redis::start();
        redis.add("s", 1);
        let silent = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = silent.local_addr().unwrap().to_string();
        let mut sidecar = sidecar(&redis.uri(), "", &environment(protocol, &address));
        let _held = silent.accept().unwrap();
        sidecar.next_poll();
        assert_stops_in_time(&mut sidecar);
    }
}

#[test]
fn what_happened_last_is_sent_at_the_end() {
    let redis = Redis::start();
    redis.add("s", 1);
    let collector = Collector::start("grpc");
    let mut environment = collector.environment();
    // So rarely that only the end can be why anything arrives.
    environment
        .iter_mut()
        .filter(|(name, _)| name.contains("DELAY"))
        .for_each(|(_, value)| *value = "600000".into());
    let mut sidecar = sidecar(&redis.uri(), "", &environment);
    sidecar.next_poll();
    assert!(collector.spans().is_empty());
    assert_stops_in_time(&mut sidecar);
    assert!(collector.spans().iter().any(|span| span.name == "poll"));
}

#[test]
fn a_collector_over_tls_is_trusted_by_its_authority_only() {
    let folder = tempfile::tempdir().unwrap();
    certificates(folder.path(), "localhost");
    let authority = folder.path().join("ca.pem").display().to_string();
    let redis = Redis::start();
    redis.add("s", 1);
    for protocol in PROTOCOLS {
        let collector = Collector::with_tls(protocol, Some(folder.path()));
        let mut environment = collector.environment();
        let port = collector.address().port();
        environment[0].1 = format!("https://localhost:{port}");
        let unknown = sidecar(&redis.uri(), "", &environment);
        wait_for("the refusal", || unknown.log().contains(FAILED).then_some(()));
        assert!(unknown.log().contains("UnknownIssuer"), "{}", unknown.log());
        assert!(collector.spans().is_empty());

        environment.push(("OTEL_EXPORTER_OTLP_CERTIFICATE", authority.clone()));
        let _known = sidecar(&redis.uri(), "", &environment);
        collector.wait("a poll over TLS", |span| span.name == "poll");
    }
}
