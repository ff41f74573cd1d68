//! What a reload touches, and files that cannot be read now.

use std::{fs, os::unix::fs::symlink, path::Path, process::Command, time::Duration};

use support::{Need, Page, Redis, Sidecar, stays_so, write};

use super::{connections, failures, proven_lag, up};

const CONFIG: &str = "lag_count: {entries: 0}\n";

fn reloads(sidecar: &Sidecar) -> usize {
    sidecar.log().matches("the configuration was reloaded").count()
}

#[track_caller]
fn reload(sidecar: &Sidecar) {
    let before = reloads(sidecar);
    sidecar.signal("HUP");
    sidecar.wait("the reload", |_| reloads(sidecar) > before);
}

#[test]
fn a_reload_keeps_connections_and_knowledge_unless_redis_is_another_one() {
    let (redis, other) = (Redis::start(), Redis::start());
    redis.add("s", 1);
    other.add("s", 7);
    let sidecar = Sidecar::with_config("", &format!("{CONFIG}redis: {{uri: '{}'}}", redis.uri()));
    sidecar.wait("the stream", |page| page.stream("length", "s") == Some(1.0));
    let lag = redis.meets(Need::COUNTED_ADDITIONS).then(|| proven_lag(&redis, &sidecar, 500));
    let before = connections(&sidecar.scrape());
    for _ in 0..3 {
        reload(&sidecar);
        let page = sidecar.next_poll();
        assert_eq!((page.group("lag", "proven", "g"), connections(&page)), (lag, before));
    }
    sidecar.configure(&format!("{CONFIG}redis: {{uri: '{}'}}", other.uri()));
    reload(&sidecar);
    let page = sidecar.wait("the other server", |page| page.stream("length", "s") == Some(7.0));
    assert_eq!(page.group("lag", "proven", "g"), None);
    // Its stream is another one, so nothing was recreated.
    assert_eq!(page.stream("recreations_total", "s"), Some(0.0));
    // What it said is not what a third one says.
    sidecar.configure(&format!("{CONFIG}redis: {{uri: 'redis://127.0.0.1:{}'}}", support::free_port()));
    reload(&sidecar);
    sidecar.wait("the address where nobody is", |page| failures(page, "refused") >= 1.0);
    assert_eq!(sidecar.scrape().stream("length", "s"), None);
}

#[test]
fn a_configuration_that_cannot_be_looked_at_now_is_not_refused() {
    let redis = Redis::start();
    let sidecar = Sidecar::start(&redis);
    sidecar.wait("a poll", up);
    let limit = |files: &str| {
        let id = sidecar.id().to_string();
        let status = Command::new("prlimit").args(["--pid", &id, &format!("--nofile={files}:4096")]).status();
        assert!(status.unwrap().success());
    };
    // No file can be opened, and no connection be taken.
    limit("3");
    sidecar.signal("HUP");
    let refused = |log: &str| log.contains("refused; the running one stays");
    support::wait_for("the look", || {
        sidecar.log().contains("cannot read the configuration file now").then_some(())
    });
    limit("1024");
    sidecar.wait("the reload that was asked for", |_| reloads(&sidecar) == 1);
    assert!(!refused(&sidecar.log()), "{}", sidecar.log());
    assert_eq!(sidecar.scrape().own("streamwarden_config_last_reload_successful"), 1.0);
}

#[test]
fn a_detail_that_changes_under_the_same_reason_is_logged() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("password");
    write(&file, "secret");
    let redis = Redis::with_settings("requirepass secret");
    let config =
        format!("redis: {{uri: 'redis://127.0.0.1:{}', password_file: {}}}", redis.port(), file.display());
    let sidecar = Sidecar::with_config("", &config);
    sidecar.wait("a poll", up);
    fs::remove_file(&file).unwrap();
    redis.kill_clients();
    let is_address = |page: &Page, count: f64| failures(page, "address") >= count;
    let page = sidecar.wait("the missing file", |page| is_address(page, 1.0));
    write(&file, "");
    let seen = failures(&page, "address");
    sidecar.wait("the empty file", |page| is_address(page, seen + 3.0));
    let log = sidecar.log();
    let details = ["cannot read", "is empty"].map(|words| {
        log.lines().filter(|line| line.contains("polling Redis failed") && line.contains(words)).count()
    });
    assert_eq!(details, [1, 1], "{log}");
    write(&file, "secret");
    sidecar.wait("the recovery", up);
}

/// A file that nobody ever finishes to read, as on a mount that hangs.
pub(crate) fn hang(file: &Path) {
    fs::remove_file(file).unwrap();
    // A terminal to which nobody ever writes: unlike a pipe, it is not known to be one.
    symlink("/dev/ptmx", file).unwrap();
}

#[test]
fn a_secret_on_a_mount_that_hangs_holds_up_nobody_else() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("password");
    write(&file, "secret");
    let redis = Redis::with_settings("requirepass secret");
    redis.add("s", 2);
    let config = format!(
        "redis: {{uri: 'redis://127.0.0.1:{}', password_file: {}, connect_timeout: 500ms}}",
        redis.port(),
        file.display()
    );
    let sidecar = Sidecar::with_config("", &config);
    sidecar.wait("the stream", |page| page.stream("length", "s") == Some(2.0));
    hang(&file);
    // Only the search has to connect again.
    let clients: String = redis.run("CLIENT LIST");
    let search = clients.lines().find(|client| client.contains(" cmd=scan "));
    let id = search.unwrap().split(['=', ' ']).nth(1).unwrap();
    redis.run::<u64>(&format!("CLIENT KILL ID {id}"));
    let failed = [("reason", "address")];
    let is_failing = |page: &Page| page.get("streamwarden_discovery_failures_total", &failed) >= Some(2.0);
    sidecar.wait("the search to fail", is_failing);
    for length in [3, 4] {
        redis.add("s", 1);
        sidecar.wait("the polls to go on", |page| page.stream("length", "s") == Some(f64::from(length)));
    }
    assert!(sidecar.log().contains("a mount may hang"), "{}", sidecar.log());
    fs::remove_file(&file).unwrap();
    write(&file, "secret");
    let no_poll_failed = || failures(&sidecar.scrape(), "address") == 0.0;
    stays_so(Duration::from_millis(500), "no poll fails", no_poll_failed);
    redis.add("new", 1);
    sidecar.wait("the search", |page| page.stream("length", "new") == Some(1.0));
}
