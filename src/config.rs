//! The configuration in its checked form: what the rest of the program may rely on.
//!
//! It is built once from a file, the environment and flags ([`Sources::load`]), all problems told together, and never
//! half-built: a value of [`Config`] holds. Secrets are
//! [`SecretString`](secrecy::SecretString)s and print as nothing.

mod access;
mod address;
mod alert_families;
mod cover;
mod discovered;
mod effect;
mod environment;
mod exclusion;
mod load;
mod pattern;
mod patterns;
mod policy;
mod problem;
mod read;
mod read_access;
mod rules;
mod section;
mod show;
mod stream_rule;
mod telemetry;
mod watched;

use std::{
    collections::BTreeSet,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

pub use access::{Access, Ignored};
pub(crate) use address::DEFAULT_USER;
pub use address::{Address, AddressError, Endpoint, Resp, Route};
pub use alert_families::{ALERT_FAMILIES, AlertFamilies};
pub use discovered::Discovered;
pub use effect::SilentAlerts;
pub use environment::{Environment, wants_no_colour};
pub use exclusion::Exclusion;
#[cfg(test)]
pub(crate) use load::tests::check_in;
pub use load::{LoadError, Overrides, Sources};
pub use pattern::{Pattern, PatternError};
pub use patterns::Patterns;
pub use policy::Policy;
pub use problem::{Problem, Problems};
pub use rules::Rules;
pub use stream_rule::{Mode, StreamRetention, StreamRule, Thresholds};
pub use watched::{Watched, Watchlist};

use crate::model::{Name, Snapshot};

/// Everything that can be set, checked.
#[derive(Debug, Clone)]
pub struct Config {
    /// `false` serves the sidecar's own metrics and touches no Redis.
    pub enabled: bool,
    /// What people call this Redis; `None`: by its address.
    pub name: Option<String>,
    /// How to reach Redis.
    pub redis: Redis,
    /// How often to look.
    pub poll: Poll,
    /// What to watch and what to expect of it; the first match wins. Empty watches every stream.
    pub streams: Rules,
    /// Streams that are never watched.
    pub exclude: Patterns,
    /// What is told about single consumers.
    pub consumers: Consumers,
    /// How groups and streams are judged.
    pub status: Status,
    /// How much may be counted to prove a lag.
    pub lag_count: LagCount,
    /// Which of the streams' last entries are shown.
    pub entries: Entries,
    /// What the metrics page serves.
    pub exposition: Exposition,
    /// Bounds on the sidecar's own size.
    pub limits: Limits,
    /// Whether and how often retention is enforced.
    pub retention: Retention,
    /// Where to serve.
    pub http: Http,
    /// What to log.
    pub log: Log,
    /// Where telemetry goes.
    pub telemetry: Telemetry,
}

impl Config {
    /// The rule for this stream: the first whose pattern matches. For a stream that a user names; those that are watched have
    /// theirs with them ([`Watched`]).
    #[must_use]
    pub fn rule(&self, stream: &Name) -> Option<&StreamRule> {
        self.streams.rule(stream).map(AsRef::as_ref)
    }

    /// The streams that the configuration names outright: they are expected to be there.
    pub fn named_streams(&self) -> impl Iterator<Item = &Name> {
        self.streams.patterns().iter().filter_map(Pattern::exact).filter(|name| !self.exclude.matches(name))
    }

    /// Whether the configuration names this stream outright.
    #[must_use]
    pub fn expects(&self, stream: &Name) -> bool {
        self.streams.patterns().name_position(stream).is_some() && !self.exclude.matches(stream)
    }

    /// Whether this stream, found in Redis, is to be watched.
    #[must_use]
    pub fn watches(&self, stream: &Name) -> bool {
        let listed = self.streams.is_empty() || self.streams.position(stream).is_some();
        listed && !self.exclude.matches(stream)
    }

    /// What people call this Redis: its name, else the place that was last read, else where the address led when the configuration
    /// was loaded.
    #[must_use]
    pub fn redis_name(&self, read: Option<&Snapshot>) -> Option<String> {
        let place = |read: &Snapshot| format!("{}/{}", read.place, read.database);
        self.name.clone().or_else(|| read.map(place)).or_else(|| self.redis.place.clone())
    }

    /// Whether streams have to be looked for, or all are named.
    #[must_use]
    pub fn needs_discovery(&self) -> bool {
        self.streams.is_empty() || self.streams.patterns().has_globs()
    }
}

/// How to reach Redis. Two are equal if a connection by one is a connection by the other, secrets included.
#[derive(Debug, Clone, PartialEq)]
pub struct Redis {
    /// The address, the user and the password, or where they are kept.
    pub access: Access,
    /// Where that led when the configuration was loaded, for people.
    pub place: Option<String>,
    /// Certificates, for `rediss://`.
    pub tls: Tls,
    /// How long connecting may take, handshakes included.
    pub connect_timeout: Duration,
    /// How long one pipeline of commands may take.
    pub command_timeout: Duration,
    /// Who may be read.
    pub read_from: ReadFrom,
    /// Whether each command costs money: then few are sent.
    pub billed_by_command: bool,
    /// Lookups beyond the one command a stream and poll; `None` for as many as polls leave open.
    pub lookups_a_month: Option<u64>,
}

/// Who may be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadFrom {
    /// Who answers, a primary or a replica; which it is, is shown.
    Any,
    /// A primary only.
    Primary,
}

impl ReadFrom {
    pub(crate) const CHOICES: &[(&str, Self)] = &[("any", Self::Any), ("primary", Self::Primary)];
}

/// How TLS is spoken. Its files are in PEM form, and each is read again for each connection.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Tls {
    /// Certificates to trust instead of the system's authorities: authorities, or servers' own.
    pub ca_file: Option<PathBuf>,
    /// The name that the server's certificate must have, sent as SNI; `None`: the address's host.
    pub server_name: Option<String>,
    /// The client's certificate chain and its key.
    pub client: Option<ClientCertificate>,
}

impl Tls {
    pub(crate) const WITHOUT_EFFECT: &'static str = "is set, and the address is not rediss://, so nothing would be encrypted; write rediss://, or remove redis.tls";

    /// Whether something is set that this address has no use for.
    pub(crate) fn is_without_effect(&self, address: &Address) -> bool {
        !address.is_tls() && *self != Self::default()
    }
}

/// A client certificate, for servers that ask for one.
#[derive(Debug, Clone, PartialEq)]
pub struct ClientCertificate {
    /// The chain, the client's own first.
    pub cert_file: PathBuf,
    /// Its private key.
    pub key_file: PathBuf,
}

/// How often to look.
#[derive(Debug, Clone)]
pub struct Poll {
    /// Between the starts of two polls.
    pub interval: Duration,
    /// Between two searches for streams.
    pub discovery_interval: Duration,
    /// The age past which what was read is shown no more.
    pub stale_after: Duration,
}

/// What is told about single consumers.
#[derive(Debug, Clone)]
pub struct Consumers {
    /// Whether consumers have series of their own.
    pub metrics: bool,
    /// How many of a group have; those with the most pending entries come first.
    pub max_per_group: usize,
    /// How long a consumer may be silent while entries are pending for it.
    pub stuck_after: Duration,
}

/// How groups and streams are judged.
#[derive(Debug, Clone)]
pub struct Status {
    /// How far back a judgement looks; nothing is called stalled or growing on less.
    pub window: Duration,
    /// How long something must be so before it is said, and be over before it is not said any more.
    pub settle: Duration,
    /// How long a group's consumers may all be silent while entries wait.
    pub stopped_after: Duration,
}

/// How much may be counted in a poll to prove lags that nothing else proves.
#[derive(Debug, Clone)]
pub struct LagCount {
    /// Entries; 0 counts nothing.
    pub entries: u64,
    /// Bytes of those entries, estimated by the stream's first one.
    pub bytes: u64,
}

/// Which last entries of streams are shown on the page and in the API, by ID and type.
#[derive(Debug, Clone)]
pub struct Entries {
    /// So many a stream; 0 reads none.
    pub last: u64,
    /// Of so many streams at most.
    pub streams: usize,
    /// Bytes of all of them, estimated by each stream's first entry.
    pub bytes: u64,
    /// The field of an entry that tells its type.
    pub type_field: String,
}

/// What the metrics page serves.
#[derive(Debug, Clone)]
pub struct Exposition {
    /// The stream metrics of redis_exporter, under their own names.
    pub redis_exporter_names: bool,
    /// Which series of a state set are served.
    pub states: States,
    /// Families that are left out.
    pub exclude: BTreeSet<&'static str>,
}

/// Which series of a state set are served, as of a group's status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum States {
    /// One a state: 1 for the current one, 0 for the others.
    All,
    /// That of the current one.
    Current,
}

impl States {
    pub(crate) const CHOICES: &[(&str, Self)] = &[("all", Self::All), ("current", Self::Current)];
}

/// Bounds on the sidecar's own size.
#[derive(Debug, Clone)]
pub struct Limits {
    /// The most streams that are watched.
    pub streams: usize,
    /// The most groups of a stream that are watched, beside those that its rule names.
    pub groups_per_stream: usize,
    /// The most series about streams that are served.
    pub series: usize,
}

/// Whether and how often retention is enforced.
#[derive(Debug, Clone)]
pub struct Retention {
    /// `false` enforces nothing, whatever the streams' limits say.
    pub enabled: bool,
    /// Between two runs on a stream.
    pub interval: Duration,
    /// The most entries that one step removes: bounds how long the server is busy with it.
    pub step: u64,
    /// Between two steps.
    pub pause: Duration,
    /// How long one run on a stream may take; the next goes on.
    pub budget: Duration,
    /// The key in Redis by which several sidecars agree on the one that trims.
    pub lease_key: String,
    /// How long after the end of that sidecar another takes over.
    pub lease_ttl: Duration,
}

/// Where to serve.
#[derive(Debug, Clone)]
pub struct Http {
    /// The address and port.
    pub listen: SocketAddr,
    /// Where people reach the page, without a slash at its end; alerts link to it.
    pub external_url: Option<String>,
    /// The file of the token that may ask for trims; `None`: nobody may.
    pub trim_token_file: Option<PathBuf>,
}

impl Http {
    /// Where to serve if nothing else is said.
    pub const LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 19121);
}

/// What to log.
#[derive(Debug, Clone)]
pub struct Log {
    /// Text for people, or JSON for machines.
    pub format: LogFormat,
    /// The least level, or a filter as `tracing_subscriber::EnvFilter` takes it.
    pub level: String,
}

/// The form of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// Text on a terminal, JSON elsewhere.
    Auto,
    /// Text.
    Text,
    /// One JSON object a line.
    Json,
}

impl LogFormat {
    pub(crate) const CHOICES: &[(&str, Self)] =
        &[("auto", Self::Auto), ("text", Self::Text), ("json", Self::Json)];
}

/// Where telemetry goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Telemetry {
    /// Whether anything may be sent.
    pub otlp: Otlp,
    /// Where traces are sent; `None`: nowhere.
    pub traces: Option<Traces>,
}

/// Whether telemetry may be sent over OpenTelemetry's protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Otlp {
    /// As OpenTelemetry's variables say, which is nowhere if they name no endpoint.
    Auto,
    /// Never.
    Off,
}

impl Otlp {
    pub(crate) const CHOICES: &[(&str, Self)] = &[("auto", Self::Auto), ("off", Self::Off)];
}

/// How traces are sent. What is not here the exporter reads from the environment itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Traces {
    /// How the collector is spoken to.
    pub protocol: Protocol,
    /// The collector, for people: scheme, host and port.
    pub collector: String,
    /// Whether TLS is spoken to it.
    pub is_tls: bool,
    /// Certificate authorities to trust instead of the system's.
    pub ca_file: Option<PathBuf>,
    /// How long sending a batch may take.
    pub timeout: Duration,
    /// Which traces are sent.
    pub sampling: Sampling,
}

/// How a collector is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// gRPC.
    Grpc,
    /// Protocol buffers over HTTP.
    Http,
}

impl Protocol {
    pub(crate) const CHOICES: &[(&str, Self)] = &[("grpc", Self::Grpc), ("http/protobuf", Self::Http)];
}

/// Which traces are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sampling {
    /// Those in which something happened, and few of the others.
    Noteworthy,
    /// Those that the sampler takes which the environment names.
    AsTold,
}
