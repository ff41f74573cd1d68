//! Secrets and configuration that change under scrapes: none is missed, no number goes back, and nothing restarts.

use std::{
    os::unix::fs::symlink,
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
    thread::sleep,
    time::Duration,
};

use support::{Page, Redis, Sidecar, wait_for, write};

const STREAM: &str = "events:session";
const GROUP: &str = "nexus-session-consumers";
/// Values outlast a failed poll by a minute, as they do by default.
const POLL: &str = "poll: {interval: 100ms, discovery_interval: 200ms, stale_after: 1m}\n";

/// Replaces a mounted secret as the kubelet does: a new folder, and a link that is swapped to it.
fn mount(volume: &Path, version: usize, uri: &str) {
    let folder = format!("..version{version}");
    std::fs::create_dir(volume.join(&folder)).unwrap();
    write(&volume.join(&folder).join("uri"), uri);
    symlink(&folder, volume.join("..new")).unwrap();
    std::fs::rename(volume.join("..new"), volume.join("..data")).unwrap();
    if version == 0 {
        symlink("..data/uri", volume.join("uri")).unwrap();
    } else {
        std::fs::remove_dir_all(volume.join(format!("..version{}", version - 1))).unwrap();
    }
}

/// An application at work: each entry is read and acknowledged.
fn work(redis: &Redis, stopped: &AtomicBool) {
    while !stopped.load(Ordering::Relaxed) {
        redis.add(STREAM, 1);
        redis.read(STREAM, GROUP, "consumer", 10);
        sleep(Duration::from_millis(5));
    }
}

/// Scrapes without a pause. Each page has the stream and the group, and all that the one before it counted.
fn scrape(sidecar: &Sidecar, stopped: &AtomicBool) -> usize {
    let mut last = sidecar.scrape();
    let mut pages = 1;
    while !stopped.load(Ordering::Relaxed) {
        let page = sidecar.scrape();
        for ((family, labels), before) in last.samples() {
            if family.ends_with("_total") || family == "streamwarden_stream_length" {
                let labels: Vec<_> =
                    labels.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
                let now = page.get(family, &labels);
                assert!(now >= Some(*before), "{family} {labels:?} was {before} and is {now:?}");
            }
        }
        assert_eq!(page.own("process_start_time_seconds"), last.own("process_start_time_seconds"));
        last = page;
        pages += 1;
    }
    pages
}

/// Cuts what is logged in as the sidecar's user, as a failover would, and waits until it is back and reading.
fn reconnect(redis: &Redis, sidecar: &Sidecar) {
    let connections = |page: &Page| page.own("streamwarden_redis_connections_total");
    let before = connections(&sidecar.scrape());
    wait_for("a connection to cut", || (redis.run::<u64>("CLIENT KILL USER watcher") >= 1).then_some(()));
    sidecar.wait("a new connection", |page| connections(page) > before);
    wait_for("a poll over it", || (sidecar.next_poll().own("streamwarden_redis_up") == 1.0).then_some(()));
}

#[test]
fn passwords_and_configuration_rotate_under_scrapes_without_a_gap() {
    let redis = Redis::start();
    redis.run::<()>("ACL SETUSER watcher on >password0 ~* +@all");
    redis.add(STREAM, 1);
    redis.run::<()>(&format!("XGROUP CREATE {STREAM} {GROUP} 0"));
    redis.read(STREAM, GROUP, "consumer", 1);
    let volume = tempfile::tempdir().unwrap();
    let uri = |version| format!("redis://watcher:password{version}@127.0.0.1:{}/0\n", redis.port());
    mount(volume.path(), 0, &uri(0));
    let config = |lag: usize| {
        let file = volume.path().join("uri");
        let streams = format!("[{{match: {STREAM}, groups: [{GROUP}], thresholds: {{lag: {lag}}}}}]");
        format!("{POLL}redis: {{uri_file: {}}}\nstreams: {streams}\n", file.display())
    };
    let sidecar = Sidecar::with_config("", &config(100));
    sidecar.wait("the group", |page| page.group("pending", STREAM, GROUP) == Some(1.0));

    let stopped = AtomicBool::new(false);
    let pages = std::thread::scope(|scope| {
        scope.spawn(|| work(&redis, &stopped));
        let scraper = scope.spawn(|| scrape(&sidecar, &stopped));
        let rotated = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            for version in 1..=3 {
                // Both passwords hold until the file has the new one, as deploy/README.md tells it.
                redis.run::<()>(&format!("ACL SETUSER watcher >password{version}"));
                mount(volume.path(), version, &uri(version));
                reconnect(&redis, &sidecar);
                redis.run::<()>(&format!("ACL SETUSER watcher <password{}", version - 1));
                reconnect(&redis, &sidecar);

                // No signal: the file is looked at now and then.
                let lag = 100 + version;
                sidecar.configure(&config(lag));
                let threshold = f64::from(u32::try_from(lag).unwrap());
                wait_for("the new threshold", || {
                    (sidecar.scrape().stream("lag_threshold", STREAM) == Some(threshold)).then_some(())
                });
            }
        }));
        stopped.store(true, Ordering::Relaxed);
        rotated.expect("each rotation goes through");
        scraper.join().expect("no scrape shows less than the one before")
    });

    assert!(pages > 10, "only {pages} scrapes");
    let page = sidecar.next_poll();
    assert_eq!(page.get("streamwarden_poll_failures_total", &[("reason", "wrongpass")]), Some(0.0));
    assert_eq!(sidecar.log().matches("\"started\"").count(), 1);
    assert!(!sidecar.log().contains("password"), "{}", sidecar.log());
}
