//! The only place that reads the environment.

use std::{collections::BTreeMap, ffi::OsString};

pub(super) const URI: &str = "REDIS_URI";
pub(super) const URI_FILE: &str = "REDIS_URI_FILE";
pub(super) const USERNAME: &str = "REDIS_USERNAME";
pub(super) const PASSWORD: &str = "REDIS_PASSWORD";
pub(super) const PASSWORD_FILE: &str = "REDIS_PASSWORD_FILE";

/// Those that give what the address and the keys leave open, and so set no key.
const LOGIN: &[&str] = &[USERNAME, PASSWORD, PASSWORD_FILE];

/// Every variable that sets a key, with the key.
pub(super) const VARIABLES: &[(&str, &str)] = &[
    (URI, "redis.uri"),
    (URI_FILE, "redis.uri_file"),
    ("STREAMS_ENABLED", "enabled"),
    ("STREAMWARDEN_LISTEN", "http.listen"),
    ("STREAMWARDEN_POLL_INTERVAL", "poll.interval"),
    ("STREAMWARDEN_LOG_FORMAT", "log.format"),
    ("STREAMWARDEN_LOG_LEVEL", "log.level"),
];

/// OpenTelemetry's variables that are checked here; each of the exporter's has a form for traces only.
const OPENTELEMETRY: &[&str] = &[
    "OTEL_SDK_DISABLED",
    "OTEL_TRACES_EXPORTER",
    "OTEL_TRACES_SAMPLER",
    "OTEL_TRACES_SAMPLER_ARG",
    "OTEL_BSP_SCHEDULE_DELAY",
    "OTEL_BSP_MAX_QUEUE_SIZE",
    "OTEL_BSP_MAX_EXPORT_BATCH_SIZE",
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
    "OTEL_EXPORTER_OTLP_PROTOCOL",
    "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL",
    "OTEL_EXPORTER_OTLP_CERTIFICATE",
    "OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE",
    "OTEL_EXPORTER_OTLP_HEADERS",
    "OTEL_EXPORTER_OTLP_TRACES_HEADERS",
    "OTEL_EXPORTER_OTLP_COMPRESSION",
    "OTEL_EXPORTER_OTLP_TRACES_COMPRESSION",
    "OTEL_EXPORTER_OTLP_TIMEOUT",
    "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT",
];

/// The variable that names the configuration file.
pub(super) const CONFIG_FILE: &str = "STREAMWARDEN_CONFIG";

/// The environment's variables, read once. Empty ones count as not set.
#[derive(Clone, Default)]
pub struct Environment(BTreeMap<&'static str, OsString>);

impl Environment {
    /// Reads the process's environment.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is the one place that may")]
    pub fn read() -> Self {
        let names = VARIABLES.iter().map(|(name, _)| *name).chain([CONFIG_FILE]);
        let names = names.chain(LOGIN.iter().chain(OPENTELEMETRY).copied());
        Self(names.filter_map(|name| Some((name, std::env::var_os(name)?))).collect())
    }

    pub(super) fn get(&self, name: &str) -> Option<&OsString> {
        self.0.get(name).filter(|value| !value.is_empty())
    }
}

/// Whether the user wants terminals without colours: <https://no-color.org>.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "this is the one place that may")]
pub fn wants_no_colour() -> bool {
    std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
}

#[cfg(test)]
impl<T: Into<OsString>> FromIterator<(&'static str, T)> for Environment {
    fn from_iter<I: IntoIterator<Item = (&'static str, T)>>(variables: I) -> Self {
        Self(variables.into_iter().map(|(name, value)| (name, value.into())).collect())
    }
}
