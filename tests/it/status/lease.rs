//! `streamwarden status`, which reads Redis itself, knows which sidecar trims.

use std::process::Command;

use support::{Need, Redis, Sidecar, wait_for};

const CONFIG: &str =
    "retention: {interval: 1s, lease_ttl: 10s}\nstreams: [{match: s, retention: {max_length: 5}}]";

/// What the command prints about the stream, and what it complains of.
fn status(uri: &str, config: &Sidecar) -> (String, String) {
    let output = Command::new(support::program())
        .args(["status", "s", "--every", "10ms", "--config"])
        .arg(config.configuration())
        .env_clear()
        .env("REDIS_URI", uri)
        .output()
        .unwrap();
    (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap())
}

#[test]
fn the_sidecar_that_trims_is_named_unless_the_user_may_not_ask() {
    let redis = Redis::start();
    if !redis.meets(Need::SAFE_TRIMS) {
        return;
    }
    redis.add("s", 10);
    let sidecar = Sidecar::with_config(&redis.uri(), CONFIG);
    let holder = wait_for("the lease", || redis.run::<Option<String>>("GET streamwarden:retention:lease"));
    let (shown, complaint) = status(&redis.uri(), &sidecar);
    assert!(shown.contains(&format!("another sidecar ({holder}) holds the lease")), "{shown}");
    assert_eq!(complaint, "");

    redis.run::<()>(
        "ACL SETUSER narrow on >word ~s -@all +hello +client +time +xinfo +xlen +xpending +xrange",
    );
    let (shown, complaint) = status(&redis.uri().replace("redis://", "redis://narrow:word@"), &sidecar);
    assert!(!shown.contains("holds the lease"), "{shown}");
    assert!(complaint.contains("which sidecar trims is unknown: noperm"), "{complaint}");
    assert_eq!(complaint.matches("is unknown").count(), 1, "{complaint}");
}
