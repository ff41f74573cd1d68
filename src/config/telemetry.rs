//! Whether and where traces go: one key of the file, and the variables that OpenTelemetry defines for every program
//! (<https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/>).
//!
//! The exporter reads most of them itself and ignores what it does not understand, so they are checked here. They may be meant for
//! other programs of the Pod too: without an endpoint, the others are not read.

use std::{path::PathBuf, time::Duration};

use percent_encoding::percent_decode_str;
use url::Url;

use super::{
    Environment, Otlp,
    declare::choice,
    keys::TelemetryKeys,
    section::Section,
    setting::{Group, Shown},
};
use crate::files::{self, Kind};

const SAMPLERS: &[(&str, bool)] = &[
    ("always_on", false),
    ("always_off", false),
    ("traceidratio", true),
    ("parentbased_always_on", false),
    ("parentbased_always_off", false),
    ("parentbased_traceidratio", true),
];

/// For one export, as the specification says.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);
/// An hour: more is a mistake.
const MOST_MILLISECONDS: u64 = 3_600_000;
/// The greatest queue and batch; a span is about a kilobyte.
const MOST_QUEUED: u64 = 1_000_000;

/// Where telemetry is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Telemetry {
    /// Whether anything may be sent.
    pub otlp: Otlp,
    /// Where traces are sent; `None`: nowhere.
    pub traces: Option<Traces>,
}

/// How traces are sent. The exporter reads everything else from the environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Traces {
    /// The protocol of the collector.
    pub protocol: Protocol,
    /// The collector, for people: scheme, host and port.
    pub collector: String,
    /// Whether the connection uses TLS.
    pub is_tls: bool,
    /// Certificate authorities to trust instead of the system's.
    pub ca_file: Option<PathBuf>,
    /// How long sending a batch may take.
    pub timeout: Duration,
    /// Which traces are sent.
    pub sampling: Sampling,
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
        let TelemetryKeys { otlp } = TelemetryKeys::read_keys(section, &());
        let environment = section.context().environment;
        let traces = match otlp {
            Otlp::Auto => Variables { section, environment }.traces(),
            Otlp::Off => None,
        };
        Self { otlp, traces }
    }

    fn show_keys(&self) -> Shown {
        TelemetryKeys { otlp: self.otlp }.show_keys()
    }
}

struct Variables<'a, 'b> {
    section: &'a mut Section<'b>,
    environment: &'a Environment,
}

impl Variables<'_, '_> {
    fn traces(&mut self) -> Option<Traces> {
        let (collector, is_tls) = self.exporter("ENDPOINT", endpoint)?;
        let is_disabled = self.parse("OTEL_SDK_DISABLED", choice(&[("true", true), ("false", false)]));
        let is_exported = self.parse("OTEL_TRACES_EXPORTER", choice(&[("otlp", true), ("none", false)]));
        if is_disabled == Some(true) || is_exported == Some(false) {
            return None;
        }
        let protocol = self.exporter("PROTOCOL", choice(Protocol::CHOICES)).unwrap_or(Protocol::Http);
        let ca_file = self.exporter("CERTIFICATE", readable);
        self.exporter("HEADERS", headers);
        self.exporter("COMPRESSION", choice(&[("gzip", ()), ("none", ())]));
        let timeout = self.exporter("TIMEOUT", |text| count(text, "milliseconds", MOST_MILLISECONDS));
        let timeout = timeout.map_or(DEFAULT_TIMEOUT, Duration::from_millis);
        self.parse("OTEL_BSP_SCHEDULE_DELAY", |text| count(text, "milliseconds", MOST_MILLISECONDS));
        self.parse("OTEL_BSP_MAX_QUEUE_SIZE", |text| count(text, "spans", MOST_QUEUED));
        self.parse("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", |text| count(text, "spans", MOST_QUEUED));
        let sampling = self.sampling();
        Some(Traces { protocol, collector, is_tls, ca_file, timeout, sampling })
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

    /// A variable of the exporter: the one for traces, or else the one for every signal.
    fn exporter<T>(&mut self, name: &str, convert: impl Fn(&str) -> Result<T, String>) -> Option<T> {
        let of_traces = format!("OTEL_EXPORTER_OTLP_TRACES_{name}");
        let general = format!("OTEL_EXPORTER_OTLP_{name}");
        let set = if self.environment.get(&of_traces).is_some() { of_traces } else { general };
        self.parse(&set, convert)
    }

    fn parse<T>(&mut self, variable: &str, convert: impl Fn(&str) -> Result<T, String>) -> Option<T> {
        match convert(&self.text(variable)?) {
            Ok(value) => Some(value),
            Err(what) => {
                self.section.problems().add(variable, what);
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

/// Whether each pair can be a header. The values are secrets, so no message repeats them.
fn headers(text: &str) -> Result<(), String> {
    let is_name = |name: &str| {
        let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        !name.is_empty() && name.bytes().all(is_token)
    };
    let is_value = |value: &str| {
        let mut bytes = percent_decode_str(value).peekable();
        bytes.peek().is_some() && bytes.all(|byte| matches!(byte, b' '..=b'~'))
    };
    let is_header = |pair: &str| {
        pair.split_once('=').is_some_and(|(name, value)| is_name(name.trim()) && is_value(value.trim()))
    };
    let all = text.split_terminator(',').all(is_header);
    all.then_some(()).ok_or_else(|| "must be pairs as in name=value,name=value, percent-encoded".to_owned())
}
