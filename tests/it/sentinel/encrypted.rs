//! TLS of Redis and of the Sentinels: both, or only one of them, with names in place of addresses.

use std::path::Path;

use support::{Page, Redis, SERVICE, Sidecar, wait_for};

use crate::tls::{certificates, tls_server};

/// A Sentinel that reaches Redis over TLS by its name and announces that name. It has TLS itself if `of_its_own` says so.
fn sentinel(directory: &Path, redis: &Redis, of_its_own: &str) -> Redis {
    let path = |name: &str| directory.join(name).display().to_string();
    let settings = format!(
        "{of_its_own}tls-replication yes\ntls-ca-cert-file {}\ntls-cert-file {}\ntls-key-file {}\n\
         tls-auth-clients no\nsentinel resolve-hostnames yes\nsentinel announce-hostnames yes\n\
         sentinel monitor {SERVICE} localhost {} 1",
        path("ca.pem"),
        path("server.pem"),
        path("server.key"),
        redis.port()
    );
    if of_its_own.is_empty() { Redis::with_settings(&settings) } else { Redis::not_listening(&settings) }
}

#[test]
fn redis_and_sentinels_have_tls_both_or_one_of_them() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    certificates(directory, "localhost");
    let redis = tls_server(directory, "no");
    let plain = sentinel(directory, &redis, "");
    let encrypted = sentinel(directory, &redis, "tls-port PORT\n");
    let config = |tls: &str| {
        format!("redis: {{tls: {{ca_file: {}}}, sentinel: {{{tls}}}}}", directory.join("ca.pem").display())
    };
    let up = |page: &Page| page.own("streamwarden_redis_up") == 1.0;
    let uri = |port: u16| format!("rediss+sentinel://localhost:{port}/{SERVICE}");
    Sidecar::with_config(&uri(encrypted.port()), &config("")).wait("both with TLS", up);
    Sidecar::with_config(&uri(plain.port()), &config("tls: false")).wait("Redis alone with TLS", up);
    for (port, tls, words) in [
        (plain.port(), "", "it does not speak TLS: set redis.sentinel.tls to false"),
        (encrypted.port(), "tls: false", "it speaks TLS: set redis.sentinel.tls to true"),
    ] {
        let sidecar = Sidecar::with_config(&uri(port), &config(tls));
        let is_tls =
            |page: &Page| page.get("streamwarden_poll_failures_total", &[("reason", "tls")]) >= Some(1.0);
        sidecar.wait("the reason", |page| is_tls(page) && !up(page));
        wait_for("the words", || {
            let log = sidecar.log();
            log.contains("no Sentinel names the primary").then_some(())
        });
        assert!(sidecar.log().contains(words), "{words}: {}", sidecar.log());
    }
}
