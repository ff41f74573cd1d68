//! The checked configuration, on which the rest of the program relies.
//!
//! [`Sources::load`] builds it from a file, the environment and flags, and reports all problems together. A [`Config`] is always
//! complete and valid. Secrets are [`SecretString`](secrecy::SecretString)s and print as nothing.

mod access;
mod address;
mod alert_families;
mod check;
mod cover;
mod dead_letter_key;
mod dead_letters;
mod declare;
mod discovered;
mod effect;
mod environment;
mod exclusion;
mod key;
mod keys;
mod load;
mod nodes;
mod pattern;
mod patterns;
mod percent;
mod policy;
mod probe;
mod problem;
mod redis;
mod reference;
mod rules;
mod secret;
mod section;
mod sentinel;
mod setting;
mod show;
mod slo;
mod telemetry;
#[cfg(test)]
pub(crate) mod test_config;
mod watched;
mod yaml;

pub use access::{Access, Ignored};
pub use address::{Address, AddressError, Endpoint, Resp, Route, Service, schemes};
pub(crate) use address::{DEFAULT_PORT, DEFAULT_USER};
pub use alert_families::{ALERT_FAMILIES, AlertFamilies};
pub(crate) use check::webhook_address;
pub use dead_letter_key::DeadLetterKey;
pub use discovered::{Discovered, Fewer};
pub use effect::SilentAlerts;
pub use environment::{Environment, wants_no_colour};
pub use exclusion::Exclusion;
pub use key::{About, Flag, Key};
pub use keys::{
    CONFIGURED, Cluster, Consumers, DeadLetterRule, Entries, Exposition, Http, LagCount, Latency, Limits,
    Log, LogFormat, Memory, Mode, Notify, Otlp, Poll, Probe, ReadFrom, ReapRule, Retention, Slo, States,
    Status, StreamRetention, StreamRule, Thresholds, Tls,
};
#[cfg(test)]
pub(crate) use load::tests::check_in;
pub use load::{LoadError, Overrides, Sources};
pub use pattern::{Pattern, PatternError};
pub use patterns::Patterns;
pub use percent::Percent;
pub use policy::Policy;
pub use probe::{BENCH_PREFIX, PROBE_PREFIX, is_of_probe};
pub use problem::{Problem, Problems};
pub use redis::Redis;
pub(crate) use redis::without_effect;
pub use reference::{json_schema, keys, table};
pub use rules::Rules;
pub use sentinel::Sentinel;
pub use telemetry::{Collector, Metrics, MetricsExport, Protocol, Sampling, Telemetry, Traces};
pub use watched::{Watched, Watchlist};

use crate::model::{Name, Snapshot};
use declare::section;

section! {
    /// Everything that can be set, checked.
    #[derive(Debug, Clone)]
    pub struct Config {
        /// `false` serves the sidecar's own metrics and touches no Redis.
        enabled: bool = true, variable "STREAMS_ENABLED";
        /// Which Redis it is, in alerts, on the page and in the terminal. Without it host, port and database.
        name: Option<String> [check::name] = None;
        /// How to reach Redis.
        redis: Redis [enabled];
        /// How often to look at Redis.
        poll: Poll [redis.billed_by_command];
        /// Streams to watch; the first rule that matches one applies. Without rules every stream is watched.
        streams: Rules = Rules::default();
        /// Names and globs of streams that are never watched.
        exclude: Patterns = Patterns::default();
        /// Single consumers.
        consumers: Consumers;
        /// How groups and streams are judged.
        status: Status [poll.interval];
        /// How much may be counted in a poll to prove lags that nothing else proves.
        lag_count: LagCount;
        /// Which last entries of streams are shown, by ID and type, never by content.
        entries: Entries;
        /// How the objectives of streams (`slo`) are measured, on a connection of its own.
        latency: Latency [redis.billed_by_command];
        /// Whether to try if writing works, on streams of the sidecar's own.
        probe: Probe [redis.billed_by_command];
        /// How the memory of streams is measured.
        memory: Memory [redis.billed_by_command];
        /// What the metrics page serves.
        exposition: Exposition;
        /// Bounds on the sidecar's own size. Whatever exceeds them is left out, counted and alerted on.
        limits: Limits;
        /// Whether and how often retention is enforced.
        retention: Retention [redis.billed_by_command];
        /// Where to serve.
        http: Http [redis.billed_by_command];
        /// Where changes of statuses are sent.
        notify: Notify;
        /// What to log.
        log: Log;
        /// Where telemetry is sent.
        telemetry: Telemetry;
    }
    check |it, section| {
        let least = 4 * it.poll.interval;
        if it.status.window < least {
            let least = humantime::format_duration(least);
            section.problem("status.window", format!("must be at least four times poll.interval, {least}"));
        }
        for (key, what) in it.misplaced_dead_letters() {
            section.problem(&key, what);
        }
        if it.streams.iter().any(|rule| rule.pattern.exact().is_some_and(|name| name.as_bytes() == it.retention.lease_key.as_bytes())) {
            section.problem("retention.lease_key", "must not be a stream of the configuration".to_owned());
        }
        let tick = it.latency.tick;
        for (index, rule) in it.streams.iter().enumerate() {
            for (key, _) in rule.slo.iter().flat_map(Slo::objectives).filter(|(_, objective)| *objective < tick) {
                let tick = humantime::format_duration(tick);
                let must = format!("must be at least latency.tick, {tick}: less is not distinguished");
                section.problem(&format!("streams[{index}].slo.{key}"), must);
            }
        }
    }
}

impl Config {
    /// The rule for a stream that a user names: the first whose pattern matches. A stream that is watched has its rule with it
    /// ([`Watched`]).
    #[must_use]
    pub fn rule(&self, stream: &Name) -> Option<&StreamRule> {
        self.streams.rule(stream).map(AsRef::as_ref)
    }

    /// The streams that the configuration names, and so expects to exist.
    pub fn named_streams(&self) -> impl Iterator<Item = &Name> {
        self.streams.patterns().iter().filter_map(Pattern::exact).filter(|name| !self.excludes(name))
    }

    /// Whether the configuration names this stream.
    #[must_use]
    pub fn expects(&self, stream: &Name) -> bool {
        self.streams.patterns().name_position(stream).is_some() && !self.excludes(stream)
    }

    /// Whether to watch this stream if it is found in Redis.
    #[must_use]
    pub fn watches(&self, stream: &Name) -> bool {
        let listed = self.streams.is_empty() || self.streams.position(stream).is_some();
        listed && !self.excludes(stream)
    }

    /// The name of this Redis for people: `name`, else the place that was last read, else the place of the address when the
    /// configuration was loaded.
    #[must_use]
    pub fn redis_name(&self, read: Option<&Snapshot>) -> Option<String> {
        let place = |read: &Snapshot| format!("{}/{}", read.place, read.database);
        self.name.clone().or_else(|| read.map(place)).or_else(|| self.redis.place.clone())
    }

    /// Whether to search for streams. It is not needed if the configuration names them all.
    #[must_use]
    pub fn needs_discovery(&self) -> bool {
        self.streams.is_empty() || self.streams.patterns().has_globs()
    }
}
