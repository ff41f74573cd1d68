//! promtool finds nothing to say about the page.

use std::{
    io::Write,
    process::{Command, Stdio},
};

use support::{Redis, Sidecar};

use crate::{seed, tool::program};

/// What promtool says about a page; nothing if it is valid.
fn complaints(page: &str) -> String {
    let mut child = Command::new(program("promtool"))
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(page.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    format!("{}{}", if output.status.success() { "" } else { "failed: " }, String::from_utf8_lossy(&text))
}

fn page_with(config: &str) -> String {
    let redis = Redis::start();
    let names = [seed::names(3), seed::hostile_names()].concat();
    seed::streams(&redis, &names);
    let sidecar = Sidecar::with_config(&redis.uri(), config);
    sidecar.wait("all streams", |page| page.count("streamwarden_stream_length") == names.len());
    sidecar.get("/metrics").text()
}

#[test]
fn promtool_finds_nothing_on_a_page_without_thresholds() {
    let page = page_with("");
    assert!(page.contains("\nstreamwarden_consumer_pending{") && !page.contains("_threshold{"), "{page}");
    assert_eq!(complaints(&page), "");
    assert_ne!(complaints(&page.replace("# HELP streamwarden_group_lag ", "# ")), "", "it would say so");
}

#[test]
fn promtool_finds_nothing_on_a_page_with_everything_configured() {
    let page = page_with(
        "streams: [{match: '*', groups: [missing], retention: {max_length: 1000000, max_age: 30d, mode: observe}, \
         thresholds: {lag: 10, lag_age: 1m, pending: 10, pending_age: 5m, deliveries: 5, silence: 1h}}]\n\
         exposition: {redis_exporter_names: true}\n",
    );
    assert!(
        page.contains("\nstreamwarden_stream_lag_threshold{") && page.contains("\nredis_stream_length{"),
        "{page}"
    );
    assert_eq!(complaints(&page), "");
}
