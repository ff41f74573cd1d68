//! Sentinels name the primary: how soon the sidecar follows them, and what never reaches the one that they replaced.

mod answers;
mod commands;
mod encrypted;

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread::sleep,
    time::{Duration, Instant},
};

use support::{Need, Page, Redis, Sentinels, Sidecar, stays_so, wait_at_most, wait_for};

/// From the first word of a Sentinel to the page that shows the new primary, with default settings.
const FOLLOWED: Duration = Duration::from_secs(5);
/// What is wrong shows as a figure, rather than as a wait in vain.
const PATIENCE: Duration = Duration::from_secs(40);
const CONFIG: &str =
    "retention: {interval: 1s}\nstreams: [{match: kept, retention: {max_length: 100}}, {match: s}]";

/// What happens to the primary.
#[derive(Debug, Clone, Copy, PartialEq)]
enum End {
    /// It is suspended, and stays so.
    Suspended,
    /// It continues as soon as the Sentinels have replaced it, and does not know it for ten seconds.
    Resumed,
    /// It is gone.
    Killed,
}

/// Adds entries to each server that takes them, so that retention always has something to do.
fn write(uris: &[String], is_over: &AtomicBool) {
    let patience = Duration::from_millis(200);
    let connect = |uri: &String| {
        let connection =
            redis::Client::open(uri.as_str()).unwrap().get_connection_with_timeout(patience).ok()?;
        connection.set_read_timeout(Some(patience)).unwrap();
        Some(connection)
    };
    let mut connections: Vec<_> = uris.iter().map(connect).collect();
    while !is_over.load(Ordering::Relaxed) {
        for (connection, uri) in connections.iter_mut().zip(uris) {
            let mut pipeline = redis::pipe();
            (0..500).for_each(|_| {
                pipeline.cmd("XADD").arg("kept").arg("*").arg("field").arg("value").ignore();
            });
            let is_added = connection.as_mut().is_some_and(|it| pipeline.query::<()>(it).is_ok());
            if !is_added {
                *connection = connect(uri);
            }
        }
        sleep(Duration::from_millis(50));
    }
}

/// Commands that write which the server has executed, without those of [`write`].
fn writes(redis: &Redis) -> u64 {
    of_writes(&redis.run::<String>("INFO commandstats"))
}

fn of_writes(stats: &str) -> u64 {
    let calls = |line: &str| {
        let (command, calls) = line.strip_prefix("cmdstat_")?.split_once(":calls=")?;
        let is_write = ["eval", "xtrim", "set", "pexpire", "del"].contains(&command);
        calls.split_once(',').filter(|_| is_write)?.0.parse::<u64>().ok()
    };
    stats.lines().filter_map(calls).sum()
}

#[expect(clippy::disallowed_methods, reason = "what is measured here is time")]
fn now() -> Instant {
    Instant::now()
}

#[test]
fn the_sidecar_follows_the_sentinels_within_five_seconds_and_writes_nothing_to_the_old_primary() {
    std::thread::scope(|scope| {
        for end in [End::Suspended, End::Resumed, End::Killed] {
            scope.spawn(move || fail_over(end));
        }
    });
}

fn fail_over(end: End) {
    let all = Sentinels::start();
    let (uris, is_over) = ([&all.primary, &all.replica].map(Redis::uri), AtomicBool::new(false));
    std::thread::scope(|scope| {
        scope.spawn(|| write(&uris, &is_over));
        // Whatever fails, the thread must end.
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| live_through(end, all)));
        is_over.store(true, Ordering::Relaxed);
        result.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    });
}

fn live_through(end: End, mut all: Sentinels) {
    let trims = all.primary.meets(Need::SAFE_TRIMS);
    all.primary.add("s", 100);
    let sidecar = Sidecar::with_default_polls(&all.uri(), CONFIG);
    sidecar.wait("the stream", |page| page.stream("length", "s") == Some(100.0));
    if trims {
        wait_for("retention to work", || (writes(&all.primary) > 10).then_some(()));
    }
    // In the middle of an interval, and not when everything has only begun.
    sleep(Duration::from_secs(4));
    let before = writes(&all.primary);
    match end {
        End::Suspended | End::Resumed => all.primary.pause(),
        End::Killed => all.primary.kill(),
    }
    all.wait_until_they_name_the_replica(1);
    let word = now();
    all.wait_until_they_name_the_replica(3);
    let spread = word.elapsed();
    // The first answer after it continues has what was on its way when it was suspended.
    let baseline = (end == End::Resumed).then(|| {
        all.primary.resume();
        writes(&all.primary)
    });
    // The name of the server that the last reading is of.
    let name = format!("mymaster at 127.0.0.1:{}/0", all.replica.port());
    wait_at_most(PATIENCE, "the new primary to be read", || {
        sidecar.get("/api/v1/streams").text().contains(&name).then_some(())
    });
    let followed = word.elapsed();
    eprintln!("{end:?}: followed {followed:.1?} after the first word; the last came {spread:.1?} after it");
    assert!(followed <= FOLLOWED, "{end:?}: followed after {followed:?}");
    if let Some(baseline) = baseline {
        assert!(baseline <= before + 2, "more than one step was on its way: {before}, {baseline}");
        nothing_reaches_the_old_one(&all, baseline);
    }
    all.replica.add("s", 7);
    let page = sidecar.wait("the next poll", |page| page.stream("length", "s") == Some(107.0));
    assert_eq!(page.stream("recreations_total", "s"), Some(0.0), "{end:?}");
    if trims {
        let trimmed = writes(&all.replica);
        wait_for("the new primary to be trimmed", || (writes(&all.replica) > trimmed).then_some(()));
    }
}

/// While the old primary takes writes, and after it was demoted.
fn nothing_reaches_the_old_one(all: &Sentinels, baseline: u64) {
    let (resumed, on_new) = (now(), writes(&all.replica));
    // The Sentinels cut its connections, the test's too, when they demote it.
    let ask = |section: &str| -> Option<String> {
        let mut connection = redis::Client::open(all.primary.uri()).unwrap().get_connection().ok()?;
        redis::cmd("INFO").arg(section).query(&mut connection).ok()
    };
    let mut counted = 0;
    wait_at_most(PATIENCE, "the old primary to be demoted", || {
        let stats = ask("commandstats")?;
        let role = ask("replication")?;
        if role.contains("role:slave") {
            return Some(());
        }
        counted += 1;
        assert_eq!(of_writes(&stats), baseline, "a write reached the old primary");
        None
    });
    let on_new = writes(&all.replica) - on_new;
    let demoted = resumed.elapsed();
    eprintln!(
        "Resumed: demoted after {demoted:.1?}; writes to it until then 0 at {counted} looks, to the new primary {on_new}"
    );
    assert!(demoted > Duration::from_secs(5) && counted > 50, "it was demoted too soon for this test");
    assert!(on_new > 0 || !all.replica.meets(Need::SAFE_TRIMS), "retention was not at work");
    // From now on its counters include what it replicates.
    stays_so(Duration::from_secs(3), "no client writes to the old primary", || {
        !all.primary.run::<String>("CLIENT LIST TYPE normal").contains("name=streamwarden")
    });
}

/// The value of a counter with this reason.
fn failures(page: &Page, family: &str, reason: &str) -> Option<f64> {
    page.get(family, &[("reason", reason)])
}

#[test]
fn while_no_sentinel_answers_the_primary_is_read_and_nothing_is_written() {
    let mut all = Sentinels::start();
    all.primary.add("kept", 1_000);
    let sidecar = Sidecar::with_config(&all.uri(), CONFIG);
    let trims = all.primary.meets(Need::SAFE_TRIMS);
    if trims {
        wait_for("retention to work", || (all.primary.run::<u64>("XLEN kept") < 1_000).then_some(()));
    }
    sidecar.wait("the stream", |page| page.stream("length", "kept").is_some());
    all.sentinels.iter_mut().for_each(Redis::kill);
    // A step may be on its way, and an answer is good for a tenth of a second.
    sleep(Duration::from_millis(300));
    let (before, entries) = (writes(&all.primary), all.primary.run::<u64>("XLEN kept"));
    all.primary.add("kept", 5_000);
    let refused = |page: &Page| failures(page, "streamwarden_retention_failures_total", "refused");
    sidecar.wait("the refusal", |page| !trims || refused(page) >= Some(2.0));
    let page = sidecar.next_poll();
    assert_eq!(page.own("streamwarden_redis_up"), 1.0);
    assert!(page.stream("length", "kept") >= Some(5_000.0), "the primary is no longer read");
    assert_eq!(all.primary.run::<u64>("XLEN kept"), entries + 5_000);
    assert_eq!(writes(&all.primary), before);
    if trims {
        let said = "nothing is written until a Sentinel confirms the primary";
        wait_for("the reason in the log", || {
            let log = sidecar.log();
            (log.contains(said) || log.contains("no Sentinel names the primary of mymaster")).then_some(())
        });
        all.sentinels.iter_mut().take(1).for_each(Redis::restart);
        wait_for("retention to continue", || (all.primary.run::<u64>("XLEN kept") < 1_000).then_some(()));
    }
}
