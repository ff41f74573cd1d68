//! An outage of a minute, at the interval that users have: how long nothing is read, and whether polls are regular
//! afterwards. Shorter intervals would hide a schedule that an outage pushes into the future.

use std::{
    thread::{scope, sleep},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use support::{Need, Redis, Sidecar, wait_at_most};

/// The default of `poll.interval`, in seconds.
const INTERVAL: f64 = 15.0;
/// The first good poll must follow Redis's return within so many seconds.
const BACK_WITHIN: f64 = 10.0;
/// A busy machine may be late by so many seconds.
const TOLERANCE: f64 = 1.5;
/// How long the outage lasts.
const OUTAGE: Duration = Duration::from_secs(60);
/// It begins so long after a regular poll, so that it does not end when another one is due.
const OFFSET: Duration = Duration::from_secs(2);
/// A schedule that is wrong shows in the timeline, rather than as a wait in vain.
const PATIENCE: Duration = Duration::from_secs(300);

/// How Redis goes away.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Outage {
    /// The process ends, so that connections are refused.
    Killed,
    /// It hangs: the system still accepts connections for it, and nobody answers.
    Hung,
}

impl Outage {
    fn begin(self, redis: &mut Redis) {
        match self {
            Self::Killed => redis.kill(),
            Self::Hung => redis.pause(),
        }
    }

    fn end(self, redis: &mut Redis) {
        match self {
            Self::Killed => redis.restart(),
            Self::Hung => redis.resume(),
        }
    }
}

/// Seconds since the Unix epoch, as the sidecar exports them.
#[expect(clippy::disallowed_methods, reason = "what is measured here is time")]
fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64()
}

/// When the first good poll after that moment ended.
fn good_poll_after(sidecar: &Sidecar, moment: f64) -> f64 {
    let last = || sidecar.scrape().own("streamwarden_poll_last_success_timestamp_seconds");
    wait_at_most(PATIENCE, "a good poll", || Some(last()).filter(|ended| *ended > moment))
}

#[test]
fn after_a_minute_without_redis_polls_are_back_within_seconds_and_regular() {
    scope(|scope| {
        scope.spawn(|| live_through(Outage::Killed));
        scope.spawn(|| live_through(Outage::Hung));
    });
}

fn live_through(outage: Outage) {
    let mut redis = Redis::with_settings("appendonly yes\nappendfsync always");
    redis.add("s", 3);
    // A run of retention becomes due while Redis is away.
    let config =
        "retention: {interval: 20s}\nstreams: [{match: kept, retention: {max_length: 500}}, {match: s}]";
    let sidecar = Sidecar::with_default_polls(&redis.uri(), config);
    // The first poll is at once, the second is regular.
    let regular = good_poll_after(&sidecar, good_poll_after(&sidecar, 0.0));
    sleep(OFFSET);

    redis.add("kept", 5_000);
    let away = now();
    outage.begin(&mut redis);
    sleep(OUTAGE);
    outage.end(&mut redis);
    let back = now();
    scope(|scope| {
        scope.spawn(|| retention_is_back(outage, &redis, back));
        let first = good_poll_after(&sidecar, back);
        let page = sidecar.scrape();
        let second = good_poll_after(&sidecar, first);
        let third = good_poll_after(&sidecar, second);
        let [before, after, first_at, second_at, third_at] =
            [regular, back, first, second, third].map(|moment| moment - away);
        eprintln!(
            "{outage:?}: Redis is away from 0.0 to {after:.1} s; good polls at {before:.1}, {first_at:.1}, \
             {second_at:.1} and {third_at:.1} s: {:.1} s after its return, then after {:.1} and {:.1} s",
            first - back,
            second - first,
            third - second
        );
        assert_eq!(page.own("streamwarden_redis_up"), 1.0);
        assert_eq!(page.stream("length", "s"), Some(3.0), "the stream's series are not back");
        assert!(first - back <= BACK_WITHIN, "Redis was back for {:.1} s without a poll", first - back);
        for gap in [second - first, third - second] {
            assert!(gap <= INTERVAL + TOLERANCE, "{gap:.1} s between two polls");
        }
        // If Redis answered an attempt that had begun before a poll was due, that poll follows at once as the second.
        let moved = (third - regular).rem_euclid(INTERVAL);
        assert!(moved.min(INTERVAL - moved) <= TOLERANCE, "the regular polls have moved by {moved:.1} s");
        if outage == Outage::Killed {
            // Of both streams. Servers before 7.0 do not tell the subcommands apart.
            let readings = redis.calls("xinfo|stream") + redis.calls("xinfo");
            // A step of retention that trims asks once, too.
            let polls = readings.saturating_sub(redis.calls("eval"))..=readings;
            assert!(polls.contains(&(3 * 2)), "{polls:?} polls since its return, as the server counts them");
        }
    });
}

fn retention_is_back(outage: Outage, redis: &Redis, back: f64) {
    if !redis.meets(Need::SAFE_TRIMS) {
        return;
    }
    // Whole nodes of up to 100 entries go.
    let is_trimmed = || (redis.run::<u64>("XLEN kept") <= 600).then(now);
    let took = wait_at_most(PATIENCE, "the stream to be trimmed", is_trimmed) - back;
    eprintln!("{outage:?}: what retention has missed is done {took:.1} s after Redis's return");
    assert!(took <= BACK_WITHIN, "{took:.1} s after Redis's return nothing was trimmed");
}
