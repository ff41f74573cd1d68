//! Whether and where traces and metrics go: two keys of the file, and the variables that OpenTelemetry defines for every program
//! (<https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/>).
//!
//! The exporter reads most of them itself and ignores what it does not understand, so they are checked here. They may be meant for
//! other programs of the Pod too: without an endpoint, the others are not read.

use std::{path::PathBuf, time::Duration};

use secrecy::SecretString;
use url::Url;

use super::{
    Environment, Otlp,
    declare::choice,
    keys::TelemetryKeys,
    section::Section,
    setting::{Group, Shown},
};
use crate::{
    files::{self, Kind},
    model::percent_decoded,
};

const SAMPLERS: &[(&str, bool)] = &[
    ("always_on", false),
    ("always_off", false),
    ("traceidratio", true),
    ("parentbased_always_on", false),
    ("parentbased_always_off", false),
    ("parentbased_traceidratio", true),
];

const COMPRESSIONS: &[(&str, bool)] = &[("gzip", true), ("none", false)];

/// For one request, as the specification says.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);
/// Between two exports of metrics, and for one of them, as the specification says.
const METRICS_INTERVAL: Duration = Duration::from_secs(60);
const METRICS_TIMEOUT: Duration = Duration::from_secs(30);
/// An hour: more is a mistake.
const MOST_MILLISECONDS: u64 = 3_600_000;
/// The greatest queue and batch; a span is about a kilobyte.
const MOST_QUEUED: u64 = 1_000_000;

/// Where telemetry is sent.
#[derive(Debug, Clone)]
pub struct Telemetry {
    /// Whether anything may be sent.
    pub otlp: Otlp,
    /// Whether the file asks for metrics.
    pub wants_metrics: bool,
    /// Where traces are sent; `None`: nowhere.
    pub traces: Option<Traces>,
    /// Where metrics are sent.
    pub metrics: Metrics,
}

/// A collector.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Collector {
    /// Its protocol.
    pub protocol: Protocol,
    /// Its name, for people: scheme, host and port.
    pub name: String,
    /// Whether the connection uses TLS.
    pub is_tls: bool,
    /// Certificate authorities to trust instead of the system's.
    pub ca_file: Option<PathBuf>,
    /// How long a request may take.
    pub timeout: Duration,
}

/// How traces are sent. The exporter reads everything else from the environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Traces {
    /// Where to.
    pub collector: Collector,
    /// Which traces are sent.
    pub sampling: Sampling,
}

/// Whether metrics are sent.
#[derive(Debug, Clone)]
pub enum Metrics {
    /// Nobody asks for it.
    Off,
    /// Something else would have to be set too: this.
    Lacking(&'static str),
    /// As this says.
    On(Box<MetricsExport>),
}

/// How metrics are sent. Nothing but the collector's name and the times may be shown.
#[derive(Debug, Clone)]
pub struct MetricsExport {
    /// Where to.
    pub collector: Collector,
    /// The whole address that requests are sent to.
    pub url: SecretString,
    /// Headers of each request.
    pub headers: Vec<(String, SecretString)>,
    /// Whether requests are compressed.
    pub is_compressed: bool,
    /// The time between two exports.
    pub interval: Duration,
    /// How long an export may take, with all of its requests.
    pub timeout: Duration,
}

choice! {
    /// How to talk to a collector.
    pub enum Protocol {
        /// gRPC.
        Grpc = "grpc",
        /// Protocol buffers over HTTP.
        Http = "http/protobuf",
    }
}

/// Which traces are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sampling {
    /// Those in which something happened, and a few of the others.
    Noteworthy,
    /// Those that the sampler named in the environment takes.
    AsTold,
}

impl Group for Telemetry {
    type Bounds = ();

    fn read_keys(section: &mut Section<'_>, (): &()) -> Self {
        let TelemetryKeys { otlp, metrics: wants_metrics } = TelemetryKeys::read_keys(section, &());
        let environment = section.context().environment;
        let (traces, metrics) = match otlp {
            Otlp::Auto => {
                let traces = Variables { section, environment, signal: "TRACES" }.traces();
                let mut of_metrics = Variables { section, environment, signal: "METRICS" };
                (traces, of_metrics.metrics(wants_metrics))
            }
            Otlp::Off => (None, Metrics::Off),
        };
        Self { otlp, wants_metrics, traces, metrics }
    }

    fn show_keys(&self) -> Shown {
        TelemetryKeys { otlp: self.otlp, metrics: self.wants_metrics }.show_keys()
    }
}

struct Variables<'a, 'b> {
    section: &'a mut Section<'b>,
    environment: &'a Environment,
    /// What is sent, as the names of variables have it.
    signal: &'static str,
}

impl Variables<'_, '_> {
    fn traces(&mut self) -> Option<Traces> {
        let (name, is_tls) = self.exporter("ENDPOINT", endpoint)?;
        let is_exported = self.parse("OTEL_TRACES_EXPORTER", choice(&[("otlp", true), ("none", false)]));
        if self.is_disabled() || is_exported == Some(false) {
            return None;
        }
        let collector = self.collector(name, is_tls);
        self.exporter("HEADERS", headers);
        self.exporter("COMPRESSION", choice(COMPRESSIONS));
        self.parse("OTEL_BSP_SCHEDULE_DELAY", |text| count(text, "milliseconds", MOST_MILLISECONDS));
        self.parse("OTEL_BSP_MAX_QUEUE_SIZE", |text| count(text, "spans", MOST_QUEUED));
        self.parse("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", |text| count(text, "spans", MOST_QUEUED));
        let sampling = self.sampling();
        Some(Traces { collector, sampling })
    }

    /// The variable alone is in many Pods for the sake of other programs, so the file must ask for metrics too.
    fn metrics(&mut self, is_wanted: bool) -> Metrics {
        let exporter = self.text("OTEL_METRICS_EXPORTER").unwrap_or_default();
        // A list, since a program may have several exporters.
        let is_exported = exporter.split(',').any(|name| name.trim().eq_ignore_ascii_case("otlp"));
        match (is_wanted, is_exported) {
            (false, false) => return Metrics::Off,
            (false, true) => return Metrics::Lacking("telemetry.metrics: true"),
            (true, false) => return Metrics::Lacking("OTEL_METRICS_EXPORTER=otlp"),
            (true, true) => {}
        }
        let Some((name, is_tls)) = self.exporter("ENDPOINT", endpoint) else {
            return Metrics::Lacking("OTEL_EXPORTER_OTLP_ENDPOINT");
        };
        if self.is_disabled() {
            return Metrics::Off;
        }
        let collector = self.collector(name, is_tls);
        let url = self.url(collector.protocol).into();
        let headers = self.exporter("HEADERS", headers).unwrap_or_default();
        let is_compressed = self.exporter("COMPRESSION", choice(COMPRESSIONS)).unwrap_or(false);
        let interval = self.milliseconds("OTEL_METRIC_EXPORT_INTERVAL").unwrap_or(METRICS_INTERVAL);
        let timeout = self.milliseconds("OTEL_METRIC_EXPORT_TIMEOUT").unwrap_or(METRICS_TIMEOUT);
        Metrics::On(Box::new(MetricsExport { collector, url, headers, is_compressed, interval, timeout }))
    }

    fn is_disabled(&mut self) -> bool {
        self.parse("OTEL_SDK_DISABLED", choice(&[("true", true), ("false", false)])) == Some(true)
    }

    fn collector(&mut self, name: String, is_tls: bool) -> Collector {
        let protocol = self.exporter("PROTOCOL", choice(Protocol::CHOICES)).unwrap_or(Protocol::Http);
        let ca_file = self.exporter("CERTIFICATE", readable);
        let timeout = self.exporter("TIMEOUT", |text| count(text, "milliseconds", MOST_MILLISECONDS));
        let timeout = timeout.map_or(DEFAULT_TIMEOUT, Duration::from_millis);
        Collector { protocol, name, is_tls, ca_file, timeout }
    }

    /// The address of requests: the general endpoint has the path of the signal added for HTTP, as the specification says.
    fn url(&self, protocol: Protocol) -> String {
        let own = self.text(&self.own("ENDPOINT"));
        match (own, self.text("OTEL_EXPORTER_OTLP_ENDPOINT").unwrap_or_default(), protocol) {
            (Some(own), ..) => own,
            (None, general, Protocol::Grpc) => general,
            (None, general, Protocol::Http) => format!("{}/v1/metrics", general.trim_end_matches('/')),
        }
    }

    fn sampling(&mut self) -> Sampling {
        match self.parse("OTEL_TRACES_SAMPLER", choice(SAMPLERS)) {
            None => Sampling::Noteworthy,
            Some(is_ratio) => {
                let argument = "OTEL_TRACES_SAMPLER_ARG";
                if is_ratio && self.parse(argument, ratio).is_none() && self.text(argument).is_none() {
                    self.section
                        .problems()
                        .add(argument, "is missing; the sampler needs a number from 0 to 1");
                }
                Sampling::AsTold
            }
        }
    }

    /// A variable of the exporter: the one for the signal, or else the one for every signal.
    fn exporter<T>(&mut self, name: &str, convert: impl Fn(&str) -> Result<T, String>) -> Option<T> {
        let own = self.own(name);
        let general = format!("OTEL_EXPORTER_OTLP_{name}");
        let set = if self.environment.get(&own).is_some() { own } else { general };
        self.parse(&set, convert)
    }

    fn own(&self, name: &str) -> String {
        format!("OTEL_EXPORTER_OTLP_{}_{name}", self.signal)
    }

    fn milliseconds(&mut self, variable: &str) -> Option<Duration> {
        let milliseconds = self.parse(variable, |text| count(text, "milliseconds", MOST_MILLISECONDS));
        milliseconds.map(Duration::from_millis)
    }

    fn parse<T>(&mut self, variable: &str, convert: impl Fn(&str) -> Result<T, String>) -> Option<T> {
        match convert(&self.text(variable)?) {
            Ok(value) => Some(value),
            Err(what) => {
                // Some are read for traces and for metrics.
                let problems = self.section.problems();
                if !problems.0.iter().any(|problem| *problem.at == *variable) {
                    problems.add(variable, what);
                }
                None
            }
        }
    }

    fn text(&self, variable: &str) -> Option<String> {
        // A value that is not UTF-8 becomes a text that no converter accepts.
        self.environment.get(variable).map(|value| value.to_string_lossy().into_owned())
    }
}

/// The collector without path and query, which may hold a secret, and whether it uses TLS.
fn endpoint(text: &str) -> Result<(String, bool), String> {
    let must = || "must be an address as in http://collector:4317, or https://...".to_owned();
    let url = Url::parse(text).map_err(|_url_error| must())?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err("must hold no user or password; OTEL_EXPORTER_OTLP_HEADERS is for secrets".to_owned());
    }
    match (url.scheme(), url.host_str(), url.port_or_known_default()) {
        (scheme @ ("http" | "https"), Some(host), Some(port)) => {
            Ok((format!("{scheme}://{host}:{port}"), scheme == "https"))
        }
        _ => Err(must()),
    }
}

/// One of these words, upper or lower case.
fn choice<T: Copy>(choices: &[(&str, T)]) -> impl Fn(&str) -> Result<T, String> {
    move |text| {
        let chosen = choices.iter().find(|(name, _)| name.eq_ignore_ascii_case(text));
        let names = || choices.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
        chosen.map(|(_, choice)| *choice).ok_or_else(|| format!("must be one of: {}", names()))
    }
}

fn count(text: &str, of_what: &str, most: u64) -> Result<u64, String> {
    match text.parse() {
        Ok(number) if (1..=most).contains(&number) => Ok(number),
        _ => Err(format!("must be a whole number of {of_what} from 1 to {most}")),
    }
}

fn ratio(text: &str) -> Result<(), String> {
    let is_ratio = text.parse().is_ok_and(|ratio: f64| (0.0..=1.0).contains(&ratio));
    is_ratio.then_some(()).ok_or_else(|| "must be a number from 0 to 1".to_owned())
}

fn readable(path: &str) -> Result<PathBuf, String> {
    files::read(path.as_ref(), Kind::Pem).map(|_bytes| path.into()).map_err(|error| error.to_string())
}

/// Pairs that can be headers, decoded. The values are secrets, so no message repeats them.
fn headers(text: &str) -> Result<Vec<(String, SecretString)>, String> {
    let must = || "must be pairs as in name=value,name=value, percent-encoded".to_owned();
    text.split_terminator(',').map(header).collect::<Option<_>>().ok_or_else(must)
}

fn header(pair: &str) -> Option<(String, SecretString)> {
    let (name, value) = pair.split_once('=')?;
    let (name, value) = (name.trim(), value.trim());
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    let is_name = !name.is_empty() && name.bytes().all(is_token);
    let value = String::from_utf8(percent_decoded(value)?).ok()?;
    let is_value = !value.is_empty() && value.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    (is_name && is_value).then(|| (name.to_ascii_lowercase(), value.into()))
}
