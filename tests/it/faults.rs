//! What happens to the connection, and what the sidecar makes of it.

use std::{thread::sleep, time::Duration};

use support::{Page, Redis, Sidecar, free_port, wait_for};

fn up(page: &Page) -> bool {
    page.own("streamwarden_redis_up") == 1.0
}

fn failures(page: &Page, reason: &str) -> f64 {
    page.get("streamwarden_poll_failures_total", &[("reason", reason)])
        .expect("each reason is there from the start")
}

#[test]
fn a_server_that_starts_after_the_sidecar_is_waited_for() {
    let mut redis = Redis::start();
    redis.kill();
    let sidecar = Sidecar::start(&redis);
    let page = sidecar.wait("the refusal", |page| failures(page, "refused") >= 2.0);
    assert!(!up(&page));
    assert_eq!(page.count("streamwarden_stream_"), page.count("streamwarden_stream_read_failures_total"));
    assert_eq!(sidecar.get("/readyz").status, 200);
    assert_eq!(sidecar.get("/readyz?strict=1").status, 503);
    assert_eq!(sidecar.get("/livez").status, 200);

    redis.restart();
    redis.add("s", 2);
    sidecar.wait("the stream", |page| up(page) && page.stream("length", "s") == Some(2.0));
    assert_eq!(sidecar.get("/readyz?strict=1").status, 200);
    // One line at the first failure and one at the recovery, however many polls failed in between.
    assert_eq!(sidecar.log().matches("polling Redis failed").count(), 1);
    assert_eq!(sidecar.log().matches("polling Redis works again").count(), 1);
}

#[test]
fn a_server_that_is_killed_and_started_again_is_found_again() {
    let mut redis = Redis::start();
    redis.add("s", 2);
    let sidecar = Sidecar::start(&redis);
    sidecar.wait("the stream", |page| page.stream("length", "s") == Some(2.0));

    redis.kill();
    let page = sidecar.wait("the failure", |page| !up(page));
    assert_eq!(page.stream("length", "s"), Some(2.0), "fresh enough to be shown");
    let page =
        sidecar.wait("the numbers to become stale", |page| page.count("streamwarden_stream_length") == 0);
    assert!(!up(&page));
    assert!(page.own("streamwarden_poll_last_success_timestamp_seconds") > 1e9);
    assert!(sidecar.log().contains("is stale and no longer exposed"));

    redis.restart();
    redis.add("s", 3);
    sidecar.wait("the new numbers", |page| up(page) && page.stream("length", "s") == Some(3.0));
}

#[test]
fn a_server_that_hangs_is_dropped_and_found_again() {
    let redis = Redis::start();
    redis.add("s", 2);
    let config = "redis: {connect_timeout: 300ms, command_timeout: 300ms}";
    let sidecar = Sidecar::with_config(&redis.uri(), config);
    sidecar.wait("the stream", |page| page.stream("length", "s") == Some(2.0));
    let connections = sidecar.scrape().own("streamwarden_redis_connections_total");

    redis.pause();
    let page = sidecar.wait("the timeouts", |page| failures(page, "timeout") >= 2.0);
    assert!(!up(&page));
    let open_fds = page.own("process_open_fds");
    let page = sidecar.wait("more timeouts", |page| failures(page, "timeout") >= 4.0);
    assert!(page.own("process_open_fds") <= open_fds + 2.0, "hung connections pile up");

    redis.resume();
    let page = sidecar.wait("the recovery", |page| up(page) && page.stream("length", "s") == Some(2.0));
    assert!(
        page.own("streamwarden_redis_connections_total") > connections,
        "a connection that timed out is not kept"
    );
}

#[test]
fn a_wrong_password_is_reported_and_fixed_without_a_restart() {
    let redis = Redis::with_settings("requirepass correct-horse");
    redis.add("s", 1);
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("uri");
    let uri = |password: &str| format!("redis://:{password}@127.0.0.1:{}\n", redis.port());
    std::fs::write(&file, uri("wrong-battery")).unwrap();
    let sidecar = Sidecar::with_config("", &format!("redis: {{uri_file: {}}}", file.display()));
    let page = sidecar.wait("the refusal", |page| failures(page, "wrongpass") >= 1.0);
    assert!(!up(&page));

    std::fs::write(&file, uri("correct-horse")).unwrap();
    sidecar.wait("the stream", |page| up(page) && page.stream("length", "s") == Some(1.0));
    // Rotated on the server first: connections that are open are cut, and the file is still old.
    redis.run::<()>("CONFIG SET requirepass staple");
    let mut old = redis::Client::open(uri("staple").trim()).unwrap().get_connection().unwrap();
    redis::cmd("CLIENT")
        .arg("KILL")
        .arg("TYPE")
        .arg("normal")
        .arg("SKIPME")
        .arg("yes")
        .query::<u64>(&mut old)
        .unwrap();
    sidecar.wait("the old password to fail", |page| !up(page) && failures(page, "wrongpass") >= 2.0);
    std::fs::write(&file, uri("staple")).unwrap();
    sidecar.wait("the new password to work", up);
    for secret in ["correct-horse", "wrong-battery", "staple"] {
        assert!(!sidecar.log().contains(secret), "{secret} is in the log");
    }
}

#[test]
fn a_missing_password_is_said() {
    let redis = Redis::with_settings("requirepass correct-horse");
    let sidecar = Sidecar::with_config(&format!("redis://127.0.0.1:{}", redis.port()), "");
    sidecar.wait("the refusal", |page| failures(page, "noauth") >= 1.0);
}

#[test]
fn an_address_that_nobody_has_is_said() {
    let sidecar = Sidecar::with_config("redis://no-such-host.invalid:6379", "");
    sidecar.wait("the failed look-up", |page| failures(page, "dns") >= 1.0);
}

#[test]
fn half_open_connections_are_healed() {
    // Accepts and never answers: what a connection looks like whose peer has vanished.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let uri = format!("redis://127.0.0.1:{}", listener.local_addr().unwrap().port());
    let sidecar = Sidecar::with_config(&uri, "redis: {connect_timeout: 200ms, command_timeout: 200ms}");
    sidecar.wait("two timeouts", |page| failures(page, "timeout") >= 2.0);
    let connections = std::iter::from_fn(|| listener.accept().ok()).take(3).count();
    assert_eq!(connections, 3, "each attempt is a connection of its own");
}

#[test]
fn a_server_that_answers_garbage_is_survived() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let uri = format!("redis://127.0.0.1:{}", listener.local_addr().unwrap().port());
    std::thread::spawn(move || {
        use std::io::{Read, Write};
        let garbage: [&[u8]; 4] =
            [b"$2147483647\r\nx", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"*9999999\r\n", b"\0\xff\n"];
        for (mut stream, reply) in listener.incoming().map_while(Result::ok).zip(garbage.into_iter().cycle())
        {
            let mut request = [0; 1024];
            drop(stream.read(&mut request));
            drop(stream.write_all(reply));
        }
    });
    let sidecar = Sidecar::with_config(&uri, "redis: {connect_timeout: 200ms, command_timeout: 200ms}");
    let page = sidecar.wait("some failures", |page| page.own("streamwarden_polls_total") >= 8.0 && !up(page));
    assert!(page.own("process_resident_memory_bytes") < 100e6, "memory was taken by the announced length");
}

#[test]
fn a_server_that_is_loading_or_busy_is_waited_for_on_the_same_connection() {
    let redis = Redis::with_settings("lua-time-limit 50");
    redis.add("s", 1);
    let sidecar = Sidecar::start(&redis);
    sidecar.wait("the stream", |page| page.stream("length", "s") == Some(1.0));
    let connections = sidecar.scrape().own("streamwarden_redis_connections_total");
    let mut scripting = redis.connect();
    let script = std::thread::spawn(move || {
        // The server kills it below.
        drop(redis::cmd("EVAL").arg("while true do end").arg(0).query::<()>(&mut scripting));
    });
    sidecar.wait("the script to be noticed", |page| failures(page, "busy") >= 1.0);
    let client = redis::Client::open(redis.uri()).unwrap();
    wait_for("the script to be killed", || {
        redis::cmd("SCRIPT").arg("KILL").query::<()>(&mut client.get_connection().ok()?).ok()
    });
    script.join().unwrap();
    let page = sidecar.wait("the recovery", up);
    assert_eq!(page.own("streamwarden_redis_connections_total"), connections);
}

#[test]
fn a_replica_without_its_primary_is_said() {
    let redis = Redis::start();
    redis.add("s", 1);
    redis.run::<()>("CONFIG SET replica-serve-stale-data no");
    let sidecar = Sidecar::start(&redis);
    sidecar.wait("a poll", up);
    redis.run::<()>(&format!("REPLICAOF 127.0.0.1 {}", free_port()));
    sidecar.wait("the refusal", |page| failures(page, "masterdown") >= 1.0 && !up(page));
    redis.run::<()>("REPLICAOF NO ONE");
    sidecar.wait("the recovery", up);
}

#[test]
fn a_failed_search_keeps_the_streams_that_were_found() {
    let redis = Redis::start();
    redis.add("s", 1);
    redis.run::<()>("ACL SETUSER obs on >pw ~* +@all");
    let sidecar = Sidecar::with_config(&format!("redis://obs:pw@127.0.0.1:{}", redis.port()), "");
    sidecar.wait("the stream", |page| page.stream("length", "s") == Some(1.0));
    redis.run::<()>("ACL SETUSER obs -scan");
    let refused =
        |page: &Page| page.get("streamwarden_discovery_failures_total", &[("reason", "noperm")]).unwrap();
    sidecar.wait("the search to fail", |page| refused(page) >= 2.0);
    redis.add("s", 1);
    sidecar.wait("the stream to be read anyway", |page| up(page) && page.stream("length", "s") == Some(2.0));
    assert!(sidecar.log().contains("'scan'") || sidecar.log().contains("SCAN"), "the log names the command");
}

#[test]
fn connections_that_are_killed_are_made_again() {
    let redis = Redis::start();
    redis.add("s", 1);
    let sidecar = Sidecar::start(&redis);
    sidecar.wait("a poll", up);
    for _ in 0..20 {
        redis.run::<u64>("CLIENT KILL TYPE normal");
        sleep(Duration::from_millis(30));
    }
    sidecar.wait("the stream", |page| up(page) && page.stream("length", "s") == Some(1.0));
}
