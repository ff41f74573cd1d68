//! Sentinels that do not answer, refuse, or name what is no primary.

use std::time::Instant;

use support::{Page, Redis, SERVICE, Sentinels, Sidecar, free_port, wait_for};

use super::{failures, now};

fn up(page: &Page) -> bool {
    page.own("streamwarden_redis_up") == 1.0
}

fn poll_failures(page: &Page, reason: &str) -> bool {
    failures(page, "streamwarden_poll_failures_total", reason) >= Some(1.0)
}

#[test]
fn a_dead_and_a_frozen_sentinel_delay_only_the_first_connection() {
    let all = Sentinels::start();
    all.primary.add("s", 3);
    all.sentinels[0].pause();
    let ports = [free_port(), all.sentinels[0].port(), all.sentinels[1].port()];
    let started: Instant = now();
    let sidecar = Sidecar::with_config(&all.uri_with(&ports), "");
    sidecar.wait("the stream", |page| page.stream("length", "s") == Some(3.0));
    let took = started.elapsed();
    eprintln!("one dead, one frozen: read after {took:.1?}");
    assert!(took.as_secs_f64() < 5.0, "read after {took:?}");
    let connections = |page: &Page| page.own("streamwarden_redis_connections_total");
    let before = connections(&sidecar.scrape());
    all.primary.kill_clients();
    let started = now();
    sidecar.wait("a new connection", |page| connections(page) > before && up(page));
    let took = started.elapsed();
    eprintln!("the next connection after {took:.1?}");
    assert!(took.as_secs_f64() < 1.0, "the Sentinel that answered last is asked first: {took:?}");
    assert!(!poll_failures(&sidecar.scrape(), "timeout"));
}

#[test]
fn an_unknown_service_is_named_and_so_is_what_is_no_sentinel() {
    let all = Sentinels::start();
    let other = all.uri().replace(SERVICE, "other");
    let sidecar = Sidecar::with_config(&other, "");
    sidecar.wait("the reason", |page| poll_failures(page, "sentinel") && !up(page));
    let log = sidecar.log();
    assert!(log.contains("no Sentinel names the primary of other"), "{log}");
    assert!(log.contains("it knows no service other"), "{log}");

    let sidecar = Sidecar::with_config(&all.uri_with(&[all.primary.port()]), "");
    sidecar.wait("the reason", |page| poll_failures(page, "sentinel") && !up(page));
    assert!(sidecar.log().contains("so it is no Sentinel"), "{}", sidecar.log());
}

#[test]
fn sentinels_have_a_login_of_their_own() {
    let servers = "requirepass of-redis\nmasterauth of-redis";
    let all = Sentinels::with_settings(
        servers,
        &format!("requirepass of-sentinels\nsentinel auth-pass {SERVICE} of-redis"),
    );
    all.primary.add("s", 3);
    let uri = all.uri().replace("://", "://:of-redis@");
    let said = |sentinel: &str, reason: &str, words: &str| {
        let sidecar = Sidecar::with_config(&uri, &format!("redis: {{sentinel: {{{sentinel}}}}}"));
        sidecar.wait("the reason", |page| poll_failures(page, reason) && !up(page));
        let log = sidecar.log();
        assert!(log.contains(words), "{log}");
        for secret in ["of-redis", "of-sentinels", "s3cret"] {
            assert!(!log.contains(secret), "{log}");
        }
    };
    said("", "noauth", "set redis.sentinel.password or redis.sentinel.password_file");
    said("password: s3cret", "wrongpass", "check redis.sentinel.username and its password");
    said("username: nobody, password: of-sentinels", "wrongpass", "check redis.sentinel.username");

    let file = tempfile::NamedTempFile::new().unwrap();
    support::write(file.path(), "of-sentinels\n");
    for sentinel in ["password: of-sentinels".to_owned(), format!("password_file: {}", file.path().display())]
    {
        let sidecar = Sidecar::with_config(&uri, &format!("redis: {{sentinel: {{{sentinel}}}}}"));
        sidecar.wait("the stream", |page| page.stream("length", "s") == Some(3.0));
    }
    // The rule that `acl` prints.
    for sentinel in &all.sentinels {
        let rule = "ACL SETUSER watcher reset on >word +sentinel|get-master-addr-by-name +sentinel|master";
        sentinel.run::<()>(rule);
    }
    let narrow = "redis: {sentinel: {username: watcher, password: word}}";
    let sidecar = Sidecar::with_config(&uri, narrow);
    sidecar.wait("the stream", |page| page.stream("length", "s") == Some(3.0));
}

#[test]
fn a_sentinel_that_names_a_replica_is_not_believed_and_the_next_one_is_asked() {
    let all = Sentinels::start();
    all.primary.add("s", 3);
    let wrong = format!("sentinel monitor {SERVICE} 127.0.0.1 {} 1", all.replica.port());
    let wrong = Redis::with_settings(&wrong);
    let sidecar = Sidecar::with_config(&all.uri_with(&[wrong.port(), all.sentinels[0].port()]), "");
    let page = sidecar.wait("the stream", |page| page.stream("length", "s") == Some(3.0));
    assert!(poll_failures(&page, "replica"));
    assert_eq!(page.label_values("streamwarden_redis_info", "role"), ["master"]);
    let log = sidecar.log();
    let words = format!("a Sentinel names 127.0.0.1:{} as the primary of {SERVICE}", all.replica.port());
    assert!(log.contains(&words), "{log}");
    wait_for("more polls", || (sidecar.next_poll().own("streamwarden_redis_up") == 1.0).then_some(()));
}
