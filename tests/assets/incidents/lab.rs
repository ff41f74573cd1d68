//! One incident's own Redis, application and sidecar, and what may be done to them.

use std::{
    net::SocketAddr,
    thread::sleep,
    time::{Duration, Instant},
};

use support::{Proxy, Redis, Sidecar};

use super::expected::Incident;
use crate::{
    activity::{Activity, Nexus, command},
    monitoring::Prometheus,
    pace::Pace,
};

/// What a sidecar does by default, where durations are divided. By itself its retention runs each hour, but for the first time
/// within a minute, and each minute where it is blocked.
const DEFAULTS: &str = "
poll: {interval: <15s>, discovery_interval: <1m>, stale_after: <1m>}
redis: {connect_timeout: 1s, command_timeout: 1s}
status: {window: <5m>, stopped_after: <2m>}
consumers: {stuck_after: <5m>}
retention: {interval: <1m>, lease_ttl: <1m>}
";
/// What survives the server.
const ON_DISK: &str = "appendonly yes";

pub(super) struct Lab {
    pub(super) incident: &'static Incident,
    pub(super) pace: Pace,
    pub(super) redis: Redis,
    /// Where applications and sidecars reach Redis.
    uri: String,
    /// What that address leads to, where it may lead elsewhere.
    pub(super) proxy: Option<Proxy>,
    pub(super) sidecar: Option<Sidecar>,
    publisher: Option<Nexus>,
    consumers: Option<Nexus>,
    activities: Vec<Activity>,
    config: String,
    fails_at: Option<Instant>,
    ends_at: Instant,
}

impl Lab {
    pub(super) fn start(incident: &'static Incident, pace: Pace) -> Self {
        let redis = Redis::with_settings(if incident.name == "redis-empty" { "" } else { ON_DISK });
        redis.add("imports", 10);
        redis.run::<()>("XGROUP CREATE imports importers $");
        redis.run::<()>("XGROUP CREATE events:session audit $ MKSTREAM");
        let proxy = (incident.name == "failover").then(|| Proxy::to(redis.port()));
        let uri = proxy.as_ref().map_or_else(|| redis.uri(), Proxy::uri);
        let defaults = if pace == Pace::REAL { "" } else { DEFAULTS };
        let config = in_pace(pace, &format!("{defaults}streams:{}", incident.streams));
        let mut lab = Self {
            incident,
            pace,
            redis,
            uri,
            proxy,
            sidecar: None,
            publisher: None,
            consumers: None,
            activities: Vec::new(),
            config,
            fails_at: None,
            ends_at: now(),
        };
        lab.every(
            Duration::from_secs(5),
            "XREADGROUP GROUP audit auditor COUNT 1000 NOACK STREAMS events:session >",
        );
        lab.publish(20);
        lab.consume(&[]);
        lab.watch();
        lab
    }

    /// Lives through its incident.
    pub(super) fn live(&mut self, fault: Duration, prometheus: &Prometheus) {
        self.ends_at = now() + self.pace.of(fault);
        (self.incident.story)(self, prometheus);
    }

    /// From now on something is wrong.
    pub(super) fn fails(&mut self) {
        self.fails_at = Some(now());
    }

    /// How long after the fault.
    pub(super) fn since_fault(&self, at: Instant) -> Option<Duration> {
        at.checked_duration_since(self.fails_at?)
    }

    /// Waits until the fault is to be repaired.
    pub(super) fn endure(&self) {
        sleep(self.ends_at.saturating_duration_since(now()));
    }

    /// Whether the fault should have been repaired by now.
    pub(super) fn is_over(&self) -> bool {
        now() >= self.ends_at
    }

    /// Publishes so many events a second over all streams; 0 for none.
    pub(super) fn publish(&mut self, rate: u32) {
        self.publisher = None;
        let rate = rate.to_string();
        self.publisher = Some(Nexus::start(&self.uri, &["--consumers", "0", "--rate", &rate]));
    }

    /// Starts the consumers again, with flags of the application.
    pub(super) fn consume(&mut self, flags: &[&str]) {
        self.consumers = None;
        let flags = [["--rate", "0"].as_slice(), flags].concat();
        self.consumers = Some(Nexus::start(&self.uri, &flags));
    }

    pub(super) fn consumers(&mut self) -> &mut Option<Nexus> {
        &mut self.consumers
    }

    /// Adds an entry and lets a consumer take it, before one that waits for it can.
    pub(super) fn take(&self, stream: &str, group: &str, consumer: &str) -> String {
        let mut both = redis::pipe();
        both.atomic().add_command(entry(stream));
        both.add_command(command(&format!("XREADGROUP GROUP {group} {consumer} STREAMS {stream} >")))
            .ignore();
        let (id,): (String,) = both.query(&mut self.redis.connect()).unwrap();
        id
    }

    /// Sends a command again and again.
    pub(super) fn every(&mut self, interval: Duration, words: &str) {
        let (uri, words) = (self.uri.clone(), words.to_owned());
        let mut connection = None;
        self.activities.push(Activity::start(self.pace.of(interval), move || {
            let client = redis::Client::open(uri.as_str()).unwrap();
            let open = connection.take().or_else(|| client.get_connection().ok());
            connection = open.and_then(|mut open| {
                let answer = command(&words).query::<redis::Value>(&mut open);
                answer.is_ok().then_some(open)
            });
        }));
    }

    /// Ends what `every` began last.
    pub(super) fn end_last(&mut self) {
        drop(self.activities.pop());
    }

    /// Adds entries that the application can handle.
    pub(super) fn add(&self, stream: &str, count: usize) {
        let mut pipeline = redis::pipe();
        for _ in 0..count {
            pipeline.add_command(entry(stream)).ignore();
        }
        pipeline.query::<()>(&mut self.redis.connect()).unwrap();
    }

    /// Starts the sidecar.
    fn watch(&mut self) {
        self.sidecar = Some(Sidecar::with_default_polls(&self.uri, &self.config));
    }

    /// Starts another sidecar in its place.
    pub(super) fn watch_again(&mut self, prometheus: &Prometheus) {
        self.watch();
        prometheus.scrape_job(self.incident.name, &[self.address()]);
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.sidecar.as_ref().expect("a sidecar runs").address()
    }
}

/// Adds an entry that the application can handle.
fn entry(stream: &str) -> redis::Cmd {
    command(&format!("XADD {stream} * event_type Test payload {{}}"))
}

/// Durations in `<>`, divided.
fn in_pace(pace: Pace, text: &str) -> String {
    let mut parts = text.split('<');
    let first = parts.next().unwrap().to_owned();
    parts.fold(first, |text, part| {
        let (duration, rest) = part.split_once('>').unwrap();
        format!("{text}{}{rest}", pace.text(duration))
    })
}

#[expect(clippy::disallowed_methods, reason = "how long after a fault is measured")]
fn now() -> Instant {
    Instant::now()
}
