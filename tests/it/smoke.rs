//! What matters most, of any built program: README's, the image's, the archive's. `make smoke PROGRAM=...` runs only these.

use std::process::{Command, Output};

use support::{Redis, Sidecar, wait_for};
use tempfile::TempDir;

use crate::{
    process::{streamwarden, text},
    retention::trimming,
    tls::{certificates, tls_server},
};

const STREAM: &str = "events:session";
const GROUP: &str = "nexus-session-consumers";

/// A server that speaks nothing but TLS, with a stream of 1,000 entries of which its group has handled 600.
struct Encrypted {
    redis: Redis,
    directory: TempDir,
}

impl Encrypted {
    fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        certificates(directory.path(), "localhost");
        let server = Self { redis: tls_server(directory.path(), "no"), directory };
        wait_for("the server to answer", || (server.cli("PING") == "PONG").then_some(()));
        server.cli(&format!("XGROUP CREATE {STREAM} {GROUP} 0 MKSTREAM"));
        let fill = "for _ = 1, 1000 do redis.call('XADD', KEYS[1], '*', 'f', 'v') end";
        server.cli_words(&["EVAL", fill, "1", STREAM]);
        server.cli(&format!("XREADGROUP GROUP {GROUP} c COUNT 600 NOACK STREAMS {STREAM} >"));
        server
    }

    fn uri(&self) -> String {
        format!("rediss://localhost:{}", self.redis.port())
    }

    fn authority(&self) -> String {
        self.directory.path().join("ca.pem").display().to_string()
    }

    fn cli(&self, command: &str) -> String {
        self.cli_words(&command.split(' ').collect::<Vec<_>>())
    }

    fn cli_words(&self, words: &[&str]) -> String {
        let mut cli = Command::new("redis-cli");
        cli.args(["--tls", "--cacert", &self.authority(), "-h", "localhost", "-p"]);
        let output = cli.arg(self.redis.port().to_string()).args(words).output().unwrap();
        text(&output.stdout).trim_end().to_owned()
    }

    /// A configuration that trusts it, with more lines.
    fn config(&self, more: &str) -> String {
        format!("redis: {{tls: {{ca_file: {}}}}}\n{more}", self.authority())
    }

    /// Runs a command of the program on it.
    fn run(&self, arguments: &[&str]) -> Output {
        let file = self.directory.path().join("config.yaml");
        support::write(&file, &self.config(""));
        let config = ["--config", file.to_str().unwrap()];
        streamwarden(&[arguments, &config].concat(), &[("REDIS_URI", &self.uri())])
    }
}

#[test]
fn smoke_every_command_reads_over_tls() {
    let server = Encrypted::start();
    let sidecar = Sidecar::with_config(&server.uri(), &server.config(""));
    let page = sidecar.wait("the stream", |page| page.stream("length", STREAM) == Some(1_000.0));
    assert_eq!(page.group("lag", STREAM, GROUP), Some(400.0));

    let status = server.run(&["status", "--json"]);
    assert!(text(&status.stdout).contains(GROUP), "{status:?}");
    let doctor = server.run(&["doctor"]);
    assert_eq!(doctor.status.code(), Some(0), "{doctor:?}");
    assert!(text(&doctor.stdout).contains("encrypted"), "{doctor:?}");
    let acl = server.run(&["acl"]);
    assert!(text(&acl.stdout).starts_with("ACL SETUSER"), "{acl:?}");
}

#[test]
fn smoke_trims_over_tls_remove_what_no_group_needs_and_nothing_else() {
    // Another server of the same program is asked what it can do: this one has no plain port.
    if trimming(Redis::start()).is_none() {
        return;
    }
    let server = Encrypted::start();
    let trim = ["trim", STREAM, "--max-length", "700"];
    let planned = server.run(&[&trim[..], &["--dry-run"]].concat());
    assert!(text(&planned.stdout).contains("would remove  at most 300 entries"), "{planned:?}");
    assert_eq!(server.cli(&format!("XLEN {STREAM}")), "1000");
    let trimmed = server.run(&[&trim[..], &["--yes"]].concat());
    assert!(text(&trimmed.stdout).contains("removed 300 entries; 700 left"), "{trimmed:?}");

    // The sidecar's own retention stops before what the group has not been given.
    let limit = format!("streams: [{{match: {STREAM}, retention: {{max_length: 100, interval: 1s}}}}]");
    let sidecar = Sidecar::with_config(&server.uri(), &server.config(&limit));
    sidecar.wait("retention to stop there", |page| {
        let runs = ("streamwarden_retention_runs_total", [("stream", STREAM), ("outcome", "blocked")]);
        page.get(runs.0, &runs.1) >= Some(1.0)
    });
    assert_eq!(server.cli(&format!("XLEN {STREAM}")), "400");
}

#[test]
fn smoke_a_changed_configuration_takes_effect_and_a_bad_one_does_not() {
    let redis = Redis::start();
    redis.add("a", 1);
    redis.add("b", 1);
    let sidecar = Sidecar::with_config(&redis.uri(), "streams: [{match: a}]");
    sidecar.wait("a", |page| page.stream("length", "a").is_some() && page.stream("length", "b").is_none());
    sidecar.configure("streams: [{match: b}]");
    sidecar.signal("HUP");
    sidecar.wait("b", |page| page.stream("length", "b").is_some() && page.stream("length", "a").is_none());
    sidecar.configure("streams: [{match: b, max_length: 5}]");
    sidecar.signal("HUP");
    sidecar.wait("the refusal", |page| page.own("streamwarden_config_last_reload_successful") == 0.0);
    assert!(sidecar.next_poll().stream("length", "b").is_some());
}

#[test]
fn smoke_a_signal_stops_it_with_exit_code_0() {
    let redis = Redis::start();
    for signal in ["TERM", "INT"] {
        let mut sidecar = Sidecar::start(&redis);
        sidecar.wait("a poll", |page| page.own("streamwarden_redis_up") == 1.0);
        sidecar.signal(signal);
        assert_eq!(sidecar.wait_for_exit().code(), Some(0), "{signal}: {}", sidecar.log());
    }
}
