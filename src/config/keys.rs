//! Every key of the configuration's sections, each declared once. [`Config`](super::Config) has the sections.
//!
//! Types, defaults, ranges, variables, flags and texts are here and nowhere else. What reads a file, `check-config`, `--help`, the
//! reference and the JSON Schema are made of these rows.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, Ipv4Addr, SocketAddr},
    ops::RangeInclusive,
    path::{Path, PathBuf},
    time::Duration,
};

use super::{
    DeadLetterKey, Pattern, Percent, Sentinel, check,
    declare::{choice, section},
};
use crate::{
    model::{Name, NodeAddress},
    stuck::DEFAULT_PREFIX,
};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(86_400);
/// Ages and thresholds: up to a hundred years, so that no sum of them overflows.
const AGES: RangeInclusive<Duration> = Duration::from_millis(1)..=Duration::from_secs(3_155_760_000);
const COUNTS: RangeInclusive<u64> = 1..=1_000_000_000_000;

/// The commands that serve, or show what that would do.
const SERVING: &[&str] = &["serve", "check-config"];
/// The same, and the one that asks the sidecar where it listens.
const LISTENING: &[&str] = &["serve", "check-config", "healthcheck"];
/// The commands that load the configuration.
pub const CONFIGURED: &[&str] = &[
    "healthcheck",
    "serve",
    "check-config",
    "acl",
    "doctor",
    "status",
    "pending",
    "entries",
    "dead-letter",
    "dead-letters",
    "replay",
    "claim",
    "reap-consumers",
    "trim",
    "bench",
];
/// The commands that log: all of them but the first.
const LOGGING: &[&str] = match CONFIGURED {
    [_healthcheck, all @ ..] => all,
    [] => &[],
};

section! {
    /// How to reach Redis, as the user writes it. [`Redis`](super::Redis) is what it leads to.
    pub(super) struct RedisKeys {
        /// Address of Redis: redis://[user:password@]host[:port][/db], rediss://..., redis+sentinel://host[:port][,...]/service[/db] or unix:///path.
        uri: Option<String> [check::any] = None, variable "REDIS_URI";
        /// File that holds the address. It is read again for each connection.
        uri_file: Option<String> [check::any] = None,
            variable "REDIS_URI_FILE", flag "--redis-uri-file" "FILE" of CONFIGURED;
        /// User to log in as, unless the address has one. The variable REDIS_USERNAME applies where neither names one.
        username: Option<String> [check::any] = None;
        /// Password, unless the address has one. The variable REDIS_PASSWORD applies where neither has one.
        password: Option<String> [check::any] = None;
        /// File that holds the password. It is read again for each connection. The variable REDIS_PASSWORD_FILE applies where neither has one.
        password_file: Option<String> [check::any] = None;
        /// Certificates, for rediss://.
        tls: Tls;
        /// The Sentinels of a redis+sentinel:// address.
        sentinel: Sentinel;
        /// How long connecting may take, handshakes included.
        connect_timeout: Duration [SECOND / 20..=MINUTE] = 5 * SECOND;
        /// How long one pipeline of commands may take.
        command_timeout: Duration [SECOND / 20..=MINUTE] = 5 * SECOND;
        /// Servers to read from. `primary` refuses a replica and waits for a primary; `replica-preferred` reads a replica of the server or node, if one is up.
        read_from: ReadFrom = ReadFrom::Any;
        /// Whether to read all primaries of a cluster. `auto`: if the server is in cluster mode.
        cluster: Cluster = Cluster::Auto;
        /// Other nodes of the cluster, which are asked if the address does not answer.
        nodes: Vec<NodeAddress> = Vec::new();
        /// Addresses that the cluster announces, and the ones to use in their place, as behind NAT.
        cluster_address_map: BTreeMap<NodeAddress, NodeAddress> = BTreeMap::new();
        /// Whether each command is billed: then few are sent. `auto`: if the host's name ends with .upstash.io.
        billed_by_command: Billed = Billed::Auto;
        /// Commands in 30 days beyond one a stream and poll. Without it 100000 where each command is billed, else any number.
        lookups_a_month: Option<u64> [0..=*COUNTS.end()] = None;
    }
}

choice! {
    /// Servers to read from.
    pub enum ReadFrom {
        /// A primary or a replica. Its role is shown.
        Any = "any",
        /// A primary only.
        Primary = "primary",
        /// A replica of the server at the address, or of each primary of the cluster. The primary, if no replica is up. The idle times of
        /// consumers are unknown then.
        ReplicaPreferred = "replica-preferred",
    }
}

choice! {
    /// Whether to read all primaries of a cluster.
    pub enum Cluster {
        /// If the server is in cluster mode.
        Auto = "auto",
        /// Only the node at the address, with the streams of its slots.
        Off = "off",
    }
}

choice! {
    /// Whether each command is billed.
    pub(super) enum Billed {
        /// By the host's name.
        Auto = "auto",
        /// It does.
        Yes = "true",
        /// It does not.
        No = "false",
    }
}

section! {
    /// Certificates for TLS, as files in PEM form. They are read again for each connection.
    #[derive(Debug, Clone, Default, PartialEq)]
    pub struct Tls {
        /// Certificates to trust instead of the system's authorities: authorities, or the server's own certificate.
        ca_file: Option<PathBuf> [check::pem] = None;
        /// Name that the server's certificate must have, sent as SNI. Without it the address's host.
        server_name: Option<String> [check::host] = None;
        /// Client certificate chain, the client's own first, for servers that ask for one.
        cert_file: Option<PathBuf> [check::pem] = None;
        /// Private key of the client certificate.
        key_file: Option<PathBuf> [check::pem] = None;
    }
    check |_, section| {
        if section.has("cert_file") && !section.has("key_file") {
            section.problem("key_file", "is missing; a client certificate needs its key");
        }
        if section.has("key_file") && !section.has("cert_file") {
            section.problem("cert_file", "is missing; a key needs its client certificate");
        }
    }
}

impl Tls {
    /// The client certificate and its key.
    #[must_use]
    pub fn client(&self) -> Option<(&Path, &Path)> {
        self.cert_file.as_deref().zip(self.key_file.as_deref())
    }
}

section! {
    /// How often to look at Redis.
    #[derive(Debug, Clone)]
    pub struct Poll(is_billed: bool) {
        /// Time between the starts of two polls; 1m where each command is billed.
        interval: Duration [SECOND / 10..=DAY] = if is_billed { MINUTE } else { 15 * SECOND },
            variable "STREAMWARDEN_POLL_INTERVAL", flag "--poll-interval" "DURATION" of SERVING;
        /// Time between two searches for streams; 1h where each command is billed. Without globs there is nothing to search.
        discovery_interval: Duration [SECOND / 10..=DAY] = if is_billed { HOUR } else { MINUTE };
        /// Age past which numbers are no longer exposed; at least twice the interval. Without it four times the interval, 1m at least.
        stale_after: Duration [SECOND / 10..=7 * DAY] = (4 * interval).max(MINUTE);
    }
    check |it, section| {
        if it.stale_after < 2 * it.interval {
            let least = humantime::format_duration(2 * it.interval);
            let must = format!("must be at least twice the interval, {least}, or each slow poll blanks the page");
            section.problem("stale_after", must);
        }
    }
}

section! {
    /// A rule for the streams that a pattern matches.
    #[derive(Debug, Clone)]
    pub struct StreamRule {
        /// Name of a stream, which is expected to exist, or a glob: *, ?, [a-z], {one,two}, and \ before a character that stands for itself.
        pattern as "match": Pattern, required "give a stream's name or a glob";
        /// Groups that are expected to exist.
        groups: Vec<Name> = Vec::new();
        /// Limits of the streams. Without it nothing is ever removed.
        retention: Option<StreamRetention> = None;
        /// Sets pending entries aside that fail each time. Without it nothing is moved.
        dead_letter: Option<DeadLetterRule> = None;
        /// Deletes consumers that are gone. Without it none is.
        reap_consumers: Option<ReapRule> = None;
        /// Numbers from which on something needs attention.
        thresholds: Thresholds;
        /// How long entries may take. Without it that is not measured.
        slo: Option<Slo> = None;
    }
}

section! {
    /// Service level objectives: how long entries may take to each group of the stream. One of delivery and handled is required.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct Slo {
        /// Time from an entry's ID to its delivery to the group; at least latency.tick.
        delivery: Option<Duration> [SECOND / 20..=HOUR] = None;
        /// Time from an entry's ID to its acknowledgement; at least latency.tick.
        handled: Option<Duration> [SECOND / 20..=HOUR] = None;
        /// Share of the entries that must meet each objective. Alerts take the rest as the error budget of 30 days.
        target: Percent [Percent::new(50)..=Percent::MOST] = Percent::new(99);
    }
    check |slo, section| {
        if !section.has("delivery") && !section.has("handled") {
            section.problem("delivery", "is missing, and so is handled; give at least one objective");
        }
        if slo.delivery.zip(slo.handled).is_some_and(|(delivery, handled)| handled < delivery) {
            let what = "is less than delivery: an entry is handled after it is delivered, so delivery could never be missed alone";
            section.problem("handled", what);
        }
    }
}

section! {
    /// How the objectives of streams are measured: at each tick, two commands or more are sent to each server.
    #[derive(Debug, Clone)]
    pub struct Latency(is_billed: bool) {
        /// Whether to measure; off where each command is billed.
        enabled: bool = !is_billed;
        /// Time between two ticks: one TIME a server, and one XINFO GROUPS a stream. It bounds what can be distinguished.
        tick: Duration [SECOND / 20..=10 * SECOND] = SECOND / 4;
        /// Streams with an objective that are measured, the first by name.
        streams: usize [1..=1_000] = 50;
    }
}

section! {
    /// A probe: an entry that is written to a stream of the sidecar's own on each primary, and read, to see whether writing works and how long it takes.
    #[derive(Debug, Clone)]
    pub struct Probe(is_billed: bool) {
        /// Whether to probe. The user needs more permissions then, which `acl` prints.
        enabled: bool = false;
        /// Time between two probes. Required where each command is billed.
        interval: Duration [SECOND..=HOUR] = 15 * SECOND;
        derived {
            /// Whether each of its commands costs money.
            costs: bool = is_billed;
        }
    }
    check |it, section| {
        if it.enabled && it.costs && !section.has("interval") {
            section.problem("interval", "is missing: each command is billed, and a probe each 15s is 1,036,800 commands in 30 days; give the time between two probes, or remove probe.enabled");
        }
    }
}

section! {
    /// How the memory of streams is measured. It is estimated in any case, from what polls read.
    #[derive(Debug, Clone)]
    pub struct Memory(is_billed: bool) {
        /// Whether to ask Redis for the memory of streams (MEMORY USAGE), on a connection of its own. The user needs one more permission then, which `acl` prints.
        enabled: bool = false;
        /// Time between two rounds of questions. Required where each command is billed.
        interval: Duration [SECOND..=DAY] = 5 * MINUTE;
        /// Streams that are asked about in a round. If there are more, the next round goes on with the others.
        streams: usize [1..=100_000] = 1_000;
        /// Nodes of entries that Redis may look at for an answer. 10000 take it about a millisecond.
        samples: u64 [1..=1_000_000] = 10_000;
        /// Time for which the memory of a stream must be known before its growth is. Less makes the growth less certain.
        growth_after: Duration [SECOND..=DAY] = HOUR;
        derived {
            /// Whether each of its commands costs money.
            costs: bool = is_billed;
        }
    }
    check |it, section| {
        if it.enabled && it.costs && !section.has("interval") {
            section.problem("interval", "is missing: each command is billed, and a question about one stream each 5m is 8,640 commands in 30 days; give the time between two rounds, or remove memory.enabled");
        }
    }
}

section! {
    /// A stream's limits and how they are kept.
    #[derive(Debug, Clone)]
    pub struct StreamRetention {
        /// Entries that the stream may hold. This or max_age is required.
        max_length: Option<u64> [COUNTS] = None;
        /// Age that an entry may reach.
        max_age: Option<Duration> [SECOND..=*AGES.end()] = None;
        /// What may be removed: `safe` nothing that a group has not acknowledged, `strict` all beyond the limit, `observe` nothing.
        mode: Mode = Mode::Safe;
        /// Groups that hold nothing back, and about which nothing is reported as a problem.
        ignore_groups: Vec<Name> = Vec::new();
        /// Length past which `safe` removes entries even if a group needs them; above max_length.
        ceiling: Option<u64> [COUNTS] = None;
        /// Whether to reach the limit to the entry, and not to the node of entries.
        exact: bool = false;
        /// Time between two runs. Without it retention.interval.
        interval: Option<Duration> [SECOND..=7 * DAY] = None;
    }
    check |it, section| {
        if !section.has("max_length") && !section.has("max_age") {
            section.problem("max_length", "is missing, and so is max_age; give at least one limit");
        }
        match (it.ceiling, it.max_length) {
            (Some(_), _) if it.mode != Mode::Safe => {
                section.problem("ceiling", "only applies in `safe` mode; remove it");
            }
            (Some(ceiling), Some(length)) if ceiling <= length => {
                section.problem("ceiling", "must be above max_length: past it, entries that a group still needs are removed");
            }
            _ => {}
        }
    }
}

section! {
    /// When pending entries are set aside: copied to the dead letters, and acknowledged for their group. Both conditions must hold.
    #[derive(Debug, Clone)]
    pub struct DeadLetterRule {
        /// Deliveries that an entry must have. Each restart of a consumer and each claim may add one.
        after_deliveries: u64 [5..=*COUNTS.end()], required "give the deliveries that an entry must have, as in 8";
        /// Time since its last delivery. It must be longer than any handler works on an entry.
        idle: Duration [MINUTE..=*AGES.end()], required "give a time that is longer than any handler works on an entry, as in 10m";
        /// Key of the dead letters; %s is the key of the stream, and braces are a hash tag. Without it dead:{%s}.
        to: Option<DeadLetterKey> = None;
        /// Dead letters at which moving stops. Nothing is acknowledged then.
        max_length: u64 [COUNTS] = 10_000;
        /// Entries of a stream that one run moves at most. The next run is a minute later then.
        per_run: u64 [1..=10_000] = 100;
        /// What the names of the fields begin with that are added to an entry.
        prefix: String [check::any] = DEFAULT_PREFIX.to_owned();
    }
}

section! {
    /// When consumers are deleted. One that holds pending entries never is.
    #[derive(Debug, Clone)]
    pub struct ReapRule {
        /// Time without any command of the consumer. A blocking read counts as idle while it waits, so it must exceed the longest BLOCK.
        idle: Duration [DAY..=*AGES.end()] = 7 * DAY;
    }
}

choice! {
    /// What retention may remove.
    pub enum Mode {
        /// Nothing that a group has not read and acknowledged.
        Safe = "safe",
        /// Everything beyond the limit.
        Strict = "strict",
        /// Nothing at all.
        Observe = "observe",
    }
}

section! {
    /// Numbers from which on something needs attention. `None` sets no threshold; for an age, the default applies then.
    #[derive(Debug, Clone, PartialEq, Eq, Default)]
    pub struct Thresholds {
        /// Entries not yet delivered to a group.
        lag: Option<u64> [COUNTS] = None;
        /// Age of the oldest entry not yet delivered to a group. Without it a group is lagging after 5m, which only warns.
        lag_age: Option<Duration> [AGES] = None;
        /// Entries delivered to a group and not acknowledged.
        pending: Option<u64> [COUNTS] = None;
        /// Age of the oldest pending entry. Without it a group is lagging after 15m, which only warns.
        pending_age: Option<Duration> [AGES] = None;
        /// Deliveries of one entry. Without it 5.
        deliveries: Option<u64> [COUNTS] = None;
        /// Time without a new entry.
        silence: Option<Duration> [AGES] = None;
    }
}

impl Thresholds {
    /// The default for the oldest undelivered entry. It is longer than the pause of a deployment.
    pub const LAG_AGE: Duration = Duration::from_secs(300);
    /// The default for the oldest pending entry: handlers may take minutes, and retries several times that.
    pub const PENDING_AGE: Duration = Duration::from_secs(900);
    /// The default for deliveries, from which on an entry is poison.
    pub const DELIVERIES: u64 = 5;

    /// Deliveries from which on an entry is poison.
    #[must_use]
    pub fn poison_from(&self) -> u64 {
        self.deliveries.unwrap_or(Self::DELIVERIES)
    }
}

section! {
    /// Single consumers.
    #[derive(Debug, Clone)]
    pub struct Consumers {
        /// Whether consumers have series of their own.
        metrics: bool = true;
        /// Consumers of a group with series of their own: those with the most pending entries. The others are added up.
        max_per_group: usize [0..=100_000] = 20;
        /// Idle time with pending entries after which a consumer is stuck.
        stuck_after: Duration [AGES] = 5 * MINUTE;
    }
}

section! {
    /// How groups and streams are judged.
    #[derive(Debug, Clone)]
    pub struct Status(interval: Duration) {
        /// Time that a judgement looks back; at least four times poll.interval. Without it ten times the interval, 5m at least.
        window: Duration [SECOND / 10..=7 * DAY] = (10 * interval).max(5 * MINUTE);
        /// Idle time of all consumers with entries waiting after which a group is stopped.
        stopped_after: Duration [AGES] = 2 * MINUTE;
        derived {
            /// How long something must hold before it is reported, and be over before it is no longer reported.
            settle: Duration = window / 4;
        }
    }
}

section! {
    /// How much may be counted in a poll to prove lags that nothing else proves.
    #[derive(Debug, Clone)]
    pub struct LagCount {
        /// Entries counted in a poll; 0 counts none.
        entries: u64 [0..=10_000_000] = 20_000;
        /// Bytes of those entries, estimated by the stream's first one.
        bytes: u64 [0..=1_000_000_000] = 8_000_000;
    }
}

section! {
    /// Which last entries of streams are shown on the page and in the API, by ID and type, never by content.
    #[derive(Debug, Clone)]
    pub struct Entries {
        /// Last entries of each stream to show; 0 reads none. Each stream costs a command a poll.
        last: u64 [0..=100] = 0;
        /// Streams whose last entries are read, the first by name. Of each primary of a cluster, since none waits for another.
        streams: usize [1..=10_000] = 100;
        /// Bytes of all of them in a poll, estimated by each stream's first entry. Of each primary of a cluster.
        bytes: u64 [0..=1_000_000_000] = 1_000_000;
        /// Field of an entry that names its type. No other field is kept.
        type_field: String [check::any] = "event_type".to_owned();
    }
}

section! {
    /// What the metrics page serves.
    #[derive(Debug, Clone)]
    pub struct Exposition {
        /// Whether to serve redis_exporter's stream metrics too, for those who migrate.
        redis_exporter_names: bool = false;
        /// Series of a status: `all` has one for each state, `current` only the one that holds.
        states: States = States::All;
        /// Names of metrics that are left out. `check-config` names the alerts that need them.
        exclude: BTreeSet<&'static str> = BTreeSet::new();
    }
}

choice! {
    /// Which series of a state set are served, as of a group's status.
    pub enum States {
        /// One for each state: 1 for the current one, 0 for the others.
        All = "all",
        /// Only that of the current state.
        Current = "current",
    }
}

section! {
    /// Bounds on the sidecar's own size. What is beyond them is left out, counted and alerted on.
    #[derive(Debug, Clone)]
    pub struct Limits {
        /// Streams that are watched.
        streams: usize [1..=1_000_000] = 10_000;
        /// Groups of a stream that are watched, the first by name, beside those that its rule names.
        groups_per_stream: usize [1..=1_000_000] = 1_000;
        /// Series about streams that are served.
        series: usize [1..=100_000_000] = 500_000;
    }
}

section! {
    /// Whether and how often retention is enforced.
    #[derive(Debug, Clone)]
    pub struct Retention(is_billed: bool) {
        /// `false` only observes, whatever the streams' limits are.
        enabled: bool = true;
        /// Time between two runs on a stream.
        interval: Duration [SECOND..=7 * DAY] = HOUR;
        /// Entries that one step removes at most: about half a millisecond of the server's time.
        step: u64 [1_000..=1_000_000] = 10_000;
        /// Time between two steps.
        pause: Duration [Duration::ZERO..=SECOND] = Duration::from_millis(5);
        /// Time that one run on a stream may take. The next run continues.
        budget: Duration [SECOND..=10 * MINUTE] = 20 * SECOND;
        /// Key in Redis by which several sidecars agree on the one that trims.
        lease_key: String [check::any] = "streamwarden:retention:lease".to_owned();
        /// Time after the end of that sidecar until another one takes over; 30m where each command is billed.
        lease_ttl: Duration [SECOND..=HOUR] = if is_billed { 30 * MINUTE } else { MINUTE };
    }
}

section! {
    /// Where to serve.
    #[derive(Debug, Clone)]
    pub struct Http(is_billed: bool) {
        /// Address and port to serve on.
        listen: SocketAddr = Self::LISTEN,
            variable "STREAMWARDEN_LISTEN", flag "--listen" "ADDRESS:PORT" of LISTENING;
        /// Where people reach the page; alerts link to it.
        external_url: Option<String> [check::web_page] = None;
        /// File with the token that allows trims over HTTP. Without it nobody may trim over HTTP.
        trim_token_file: Option<PathBuf> [check::token] = None;
        /// File with the token that allows acts on stuck work over HTTP: not that of trims. Without it nobody may act over HTTP.
        write_token_file: Option<PathBuf> [check::token] = None;
        /// Whether the page and the API may ask Redis for single pending entries; false where each command is billed.
        pending_entries: bool = !is_billed;
    }
    check |it, section| {
        if it.write_token_file.is_some() && it.write_token_file == it.trim_token_file {
            section.problem("write_token_file", "is the file of trim_token_file; each needs a token of its own");
        }
    }
}

impl Http {
    /// The default.
    pub const LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 19121);
}

section! {
    /// Where changes of statuses are sent.
    #[derive(Debug, Clone)]
    pub struct Notify {
        /// File with the address of a webhook, http:// or https://, that gets each change of a status. It is read again for each request.
        webhook_file: Option<PathBuf> [check::webhook] = None;
    }
}

section! {
    /// What to log.
    #[derive(Debug, Clone)]
    pub struct Log {
        /// Form of log lines. `auto`: text on a terminal, else json; commands other than serve log text.
        format: LogFormat = LogFormat::Auto,
            variable "STREAMWARDEN_LOG_FORMAT", flag "--log-format" "FORMAT" of LOGGING;
        /// error, warn, info, debug or trace, or a filter like info,hyper=debug; commands other than serve log warnings or nothing.
        level: String [check::log_level] = "info".to_owned(),
            variable "STREAMWARDEN_LOG_LEVEL", flag "--log-level" "LEVEL" of LOGGING;
    }
}

choice! {
    /// The form of log lines.
    pub enum LogFormat {
        /// Text on a terminal, JSON elsewhere.
        Auto = "auto",
        /// Text.
        Text = "text",
        /// One JSON object a line.
        Json = "json",
    }
}

section! {
    /// Telemetry, as the user writes it. [`Telemetry`](super::Telemetry) is what it leads to.
    pub(super) struct TelemetryKeys {
        /// Traces: `auto` sends them as OpenTelemetry's variables say, which is nowhere without an endpoint; `off` never does.
        otlp: Otlp = Otlp::Auto;
        /// Also send the metrics of /metrics to the collector, if OTEL_METRICS_EXPORTER is otlp too. Either of them alone sends none.
        metrics: bool = false;
    }
}

choice! {
    /// Whether telemetry may be sent over OpenTelemetry's protocol.
    pub enum Otlp {
        /// As OpenTelemetry's variables say, which is nowhere if they name no endpoint.
        Auto = "auto",
        /// Never.
        Off = "off",
    }
}
