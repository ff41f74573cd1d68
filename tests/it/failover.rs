//! Another server takes over behind a name that stays: how long its numbers are not shown, at the intervals that users
//! have, and whether anything wrong is shown meanwhile. Each case prints its timeline.

use std::{
    thread::{scope, sleep},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use support::{Need, Page, Proxy, Redis, Sidecar, wait_at_most, wait_for};

/// Two of the default `poll.interval`.
const WITHIN: f64 = 30.0;
/// A busy machine may be late by so many seconds.
const TOLERANCE: f64 = 2.0;
/// What is wrong shows in the timeline, rather than as a wait in vain.
const PATIENCE: Duration = Duration::from_secs(120);
/// Replication begins at once instead of after five seconds.
const PROMPT: &str = "repl-diskless-sync-delay 0";
const CONFIG: &str =
    "retention: {interval: 15s}\nstreams: [{match: kept, retention: {max_length: 500}}, {match: s}]";

/// What happens in which order, and to the open connections.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Takeover {
    /// The name leads to the new primary, and the open connections stay at the old one.
    ConnectionsStay,
    /// They are cut.
    ConnectionsAreCut,
    /// They stay at an old primary that has nobody to follow and answers nothing.
    OldOneRefuses,
    /// The name leads to the new primary some time before it is one.
    NameFirst,
    /// The name leads to the old primary for some time, as a name does whose record is cached.
    NameLast,
}

/// A primary and its replica, behind a name that leads to the first.
struct Pair {
    old: Redis,
    new: Redis,
    name: Proxy,
}

impl Pair {
    fn start() -> Self {
        let (old, new) = (Redis::with_settings(PROMPT), Redis::with_settings(PROMPT));
        old.add("s", 100);
        old.add("kept", 10);
        old.run::<()>("XGROUP CREATE s g 0");
        old.read("s", "g", "c", 40);
        follow(&new, &old);
        let name = Proxy::to(old.port());
        Self { old, new, name }
    }

    fn change_roles(&self) {
        self.new.run::<()>("REPLICAOF NO ONE");
        self.old.run::<()>(&format!("REPLICAOF 127.0.0.1 {}", self.new.port()));
    }

    fn change_name(&self) {
        self.name.switch_to(self.new.port());
    }
}

fn follow(replica: &Redis, primary: &Redis) {
    replica.run::<()>(&format!("REPLICAOF 127.0.0.1 {}", primary.port()));
    let length = primary.run::<u64>("XLEN s");
    wait_for("the replica to follow", || (replica.run::<u64>("XLEN s") == length).then_some(()));
}

#[expect(clippy::disallowed_methods, reason = "what is measured here is time")]
fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64()
}

fn role(page: &Page) -> String {
    page.label_values("streamwarden_redis_info", "role").pop().unwrap_or_default()
}

/// Looks at the page until `is_enough`, and keeps what changed on it: seconds since `start`, whether Redis is up, its
/// role and the stream's length.
fn watch(sidecar: &Sidecar, start: f64, is_enough: impl Fn(&Page) -> bool) -> (Page, Vec<String>) {
    let mut seen: Vec<(f64, String)> = Vec::new();
    let page = wait_at_most(PATIENCE, "the timeline to end", || {
        let page = sidecar.scrape();
        let length = page.stream("length", "s").map_or("-".to_owned(), |length| length.to_string());
        let state = format!("up {} role {} length {length}", page.own("streamwarden_redis_up"), role(&page));
        if seen.last().is_none_or(|(_, last)| *last != state) {
            seen.push((now() - start, state));
        }
        // Whatever does not end is a result too.
        (is_enough(&page) || now() - start > PATIENCE.as_secs_f64() - 10.0).then_some(page)
    });
    (page, seen.into_iter().map(|(at, state)| format!("{at:5.1} s {state}")).collect())
}

#[test]
fn another_primary_behind_the_same_name_is_read_and_trimmed_within_two_intervals() {
    scope(|scope| {
        for takeover in [
            Takeover::ConnectionsStay,
            Takeover::ConnectionsAreCut,
            Takeover::OldOneRefuses,
            Takeover::NameFirst,
            Takeover::NameLast,
        ] {
            scope.spawn(move || live_through(takeover));
        }
    });
}

/// Lets all of it happen, and returns when the name leads to the new primary.
fn take_over(takeover: Takeover, pair: &Pair, sidecar: &Sidecar, start: f64) {
    let late = Duration::from_secs(40);
    if takeover != Takeover::NameLast {
        pair.change_name();
    }
    if takeover == Takeover::NameFirst {
        sleep(late);
    }
    pair.change_roles();
    if takeover == Takeover::OldOneRefuses {
        pair.old.run::<()>("CONFIG SET replica-serve-stale-data no");
        pair.old.run::<()>("REPLICAOF 127.0.0.1 1");
    }
    if takeover == Takeover::ConnectionsAreCut {
        pair.name.cut();
    }
    pair.new.add("s", 7);
    pair.new.add("kept", 5_000);
    if takeover == Takeover::NameLast {
        let (page, timeline) = watch(sidecar, start, |page| role(page) == "replica");
        eprintln!("{takeover:?}, before the name changes: {timeline:#?}");
        assert_eq!((role(&page), page.own("streamwarden_redis_up")), ("replica".to_owned(), 1.0));
        let left = late.as_secs_f64() - (now() - start);
        sleep(Duration::from_secs_f64(left.max(0.0)));
        pair.change_name();
    }
}

fn live_through(takeover: Takeover) {
    let pair = Pair::start();
    let sidecar = Sidecar::with_default_polls(&pair.name.uri(), CONFIG);
    sidecar.wait("the stream", |page| page.stream("length", "s") == Some(100.0));
    let lag = |page: &Page| page.group("lag", "s", "g");
    assert_eq!((role(&sidecar.scrape()), lag(&sidecar.scrape())), ("master".to_owned(), Some(60.0)));
    // In the middle of an interval, and not when everything has only begun.
    sleep(Duration::from_secs(20));

    let start = now();
    let asked_before = pair.new.calls("time");
    take_over(takeover, &pair, &sidecar, start);
    let takes_effect = now();
    let is_read =
        |page: &Page| pair.new.calls("time") > asked_before && page.stream("length", "s") == Some(107.0);
    let (page, timeline) = watch(&sidecar, start, |page| is_read(page) && role(page) == "master");
    let (blind, is_ever) = (now() - takes_effect, is_read(&page));
    let trimmed = || pair.new.run::<u64>("XLEN kept") <= 600;
    let blind = if is_ever { format!("{blind:.1} s") } else { "for ever".to_owned() };
    eprintln!("{takeover:?}: blind {blind} after the name and the roles have changed: {timeline:#?}");
    assert!(is_ever && now() - takes_effect <= WITHIN + TOLERANCE, "{takeover:?}: blind {blind}");
    assert_eq!(lag(&page), Some(67.0));
    let none_is_wrong = |page: &Page| {
        assert_eq!(page.group("entries_lost_total", "s", "g").unwrap_or_default(), 0.0, "{takeover:?}");
        assert_eq!(page.stream("recreations_total", "s"), Some(0.0), "{takeover:?}");
        assert_eq!(page.group("rewinds_total", "s", "g").unwrap_or_default(), 0.0, "{takeover:?}");
    };
    none_is_wrong(&page);
    if pair.new.meets(Need::SAFE_TRIMS) {
        wait_at_most(PATIENCE, "the new primary to be trimmed", || trimmed().then_some(()));
        let took = now() - takes_effect;
        eprintln!("{takeover:?}: trimmed after {took:.1} s");
        assert!(took <= WITHIN + TOLERANCE, "{takeover:?}: trimmed after {took:.1} s");
    }
    let refused = sidecar.scrape().get("streamwarden_retention_failures_total", &[("reason", "readonly")]);
    assert!(refused <= Some(5.0), "{takeover:?}: {refused:?} refusals counted");
    assert_eq!(
        sidecar.scrape().get("streamwarden_retention_failures_total", &[("reason", "other")]),
        Some(0.0)
    );
    let page = wait_at_most(PATIENCE, "another poll", || {
        let calls = pair.new.calls("time");
        sleep(Duration::from_secs(16));
        (pair.new.calls("time") > calls).then(|| sidecar.scrape())
    });
    none_is_wrong(&page);
}

#[test]
fn a_replica_cut_off_from_its_primary_is_not_shown_as_fresh() {
    let mut pair = Pair::start();
    pair.name.switch_to(pair.new.port());
    let sidecar = Sidecar::with_default_polls(&pair.name.uri(), "");
    let page = sidecar.wait("the stream", |page| page.stream("length", "s") == Some(100.0));
    assert_eq!(role(&page), "replica");
    sleep(Duration::from_secs(5));

    let start = now();
    pair.old.kill();
    let is_down = |page: &Page| page.own("streamwarden_redis_up") == 0.0;
    let (page, timeline) = watch(&sidecar, start, is_down);
    assert!(is_down(&page) && now() - start <= 15.0 + TOLERANCE, "shown as fresh: {timeline:#?}");
    assert!(page.get("streamwarden_poll_failures_total", &[("reason", "replica_link_down")]) >= Some(1.0));
    let document: serde_json::Value = serde_json::from_str(&sidecar.get("/api/v1/streams").text()).unwrap();
    assert_eq!(document["poll"]["last_failure"], "replica_link_down");
    let since = document["poll"]["last_failure_since_unix_ms"].as_f64().unwrap() / 1e3;
    assert!((since - start).abs() <= TOLERANCE, "down since {:.1} s", since - start);
    assert!(sidecar.log().contains("its link to its primary is down since 2"), "{}", sidecar.log());
    let (page, timeline) = watch(&sidecar, start, |page| page.count("streamwarden_stream_length") == 0);
    eprintln!("a replica is cut off: {timeline:#?}");
    assert_eq!(page.count("streamwarden_stream_length"), 0, "stale numbers are shown");
    assert!(now() - start <= 60.0 + TOLERANCE, "shown for {:.1} s", now() - start);

    pair.new.run::<()>("REPLICAOF NO ONE");
    let promoted = now();
    let (page, timeline) = watch(&sidecar, promoted, |page| page.own("streamwarden_redis_up") == 1.0);
    eprintln!("and becomes the primary: blind {:.1} s: {timeline:#?}", now() - promoted);
    assert_eq!((role(&page), page.stream("length", "s")), ("master".to_owned(), Some(100.0)));
}

#[test]
fn a_replica_is_refused_where_only_a_primary_is_wanted_until_one_answers() {
    let pair = Pair::start();
    pair.name.switch_to(pair.new.port());
    let sidecar = Sidecar::with_config(&pair.name.uri(), "redis: {read_from: primary}");
    let refused = |page: &Page| page.get("streamwarden_poll_failures_total", &[("reason", "replica")]);
    let page = sidecar.wait("the refusal", |page| refused(page) >= Some(2.0));
    assert_eq!((page.own("streamwarden_redis_up"), page.count("streamwarden_stream_length")), (0.0, 0));
    pair.name.switch_to(pair.old.port());
    sidecar.wait("the primary", |page| page.stream("length", "s") == Some(100.0));
}

#[test]
fn a_replica_whose_link_may_not_be_looked_at_says_that_it_is_unknown() {
    let pair = Pair::start();
    pair.new.run::<()>(
        "ACL SETUSER narrow on >word ~* -@all +hello +client +time +scan +xinfo +xlen +xpending +xrange",
    );
    let uri = |user: &str| format!("redis://{user}127.0.0.1:{}", pair.new.port());
    let link = |sidecar: &Sidecar| {
        sidecar.wait("the stream", |page| page.stream("length", "s") == Some(100.0));
        let document: serde_json::Value =
            serde_json::from_str(&sidecar.get("/api/v1/streams").text()).unwrap();
        document["server"]["primary_link"].as_str().map(str::to_owned)
    };
    assert_eq!(link(&Sidecar::with_config(&uri("narrow:word@"), "")).as_deref(), Some("unknown"));
    for command in ["+role", "-role +info"] {
        pair.new.run::<()>(&format!("ACL SETUSER narrow {command}"));
        assert_eq!(link(&Sidecar::with_config(&uri("narrow:word@"), "")).as_deref(), Some("up"), "{command}");
    }
}
