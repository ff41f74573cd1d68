//! Logs, traces and the connection for metrics.
//!
//! Logs go to standard error: as text on a terminal, else as JSON. Traces and metrics go to an OpenTelemetry collector, if the
//! environment names one.

#[cfg(feature = "otlp")]
mod connection;
mod error;
#[cfg(feature = "otlp")]
mod export;
#[cfg(feature = "otlp")]
mod ids;
#[cfg(feature = "otlp")]
mod metrics;
#[cfg(not(feature = "otlp"))]
mod none;
#[cfg(feature = "otlp")]
mod tail_sampler;
#[cfg(feature = "otlp")]
mod traces;

use std::{io::IsTerminal, panic::PanicHookInfo};

use tracing::{Subscriber, error, info, level_filters::LevelFilter, warn};
use tracing_subscriber::{
    EnvFilter, Layer,
    filter::{FilterExt, filter_fn},
    fmt,
    layer::SubscriberExt,
    registry::LookupSpan,
    util::SubscriberInitExt,
};

use crate::config::{Config, Log, LogFormat, Metrics, wants_no_colour};
pub(crate) use error::TelemetryError;
#[cfg(feature = "otlp")]
pub(crate) use metrics::{MetricsSender, SendError, resource};
#[cfg(not(feature = "otlp"))]
use none as ids;
#[cfg(not(feature = "otlp"))]
pub(crate) use none::Traces;
#[cfg(feature = "otlp")]
pub(crate) use traces::Traces;

/// Sets up logs and traces for the whole process. Must be called within a Tokio runtime.
///
/// # Errors
/// The exporter can't be created.
pub(crate) fn start(config: &Config) -> Result<Traces, TelemetryError> {
    let traces = config.telemetry.traces.as_ref().map(Traces::start).transpose()?.unwrap_or_default();
    install(&config.log, &traces);
    traces.announce();
    match &config.telemetry.metrics {
        Metrics::Lacking(what) => info!(lacking = what, "metrics are not sent over OTLP"),
        Metrics::On(_) if !cfg!(feature = "otlp") => {
            warn!(
                "the configuration asks for metrics over OTLP, but this build does not support them (feature otlp)"
            );
        }
        Metrics::On(_) | Metrics::Off => {}
    }
    Ok(traces)
}

/// Sets up logs only, for commands that do not run until a signal.
pub(crate) fn start_logging(log: &Log) {
    install(log, &Traces::default());
}

/// Also logs panics, as one line.
fn install(log: &Log, traces: &Traces) {
    tracing_subscriber::registry().with(traces.layer()).with(lines(log)).init();
    std::panic::set_hook(Box::new(log_panic));
}

/// The log layer. It ignores spans, so they cost nothing unless traces are sent.
fn lines<S: Subscriber + for<'a> LookupSpan<'a>>(log: &Log) -> impl Layer<S> + use<S> {
    let level = EnvFilter::try_new(&log.level).unwrap_or_else(|_checked_when_read| EnvFilter::new("info"));
    let no_spans = filter_fn(|metadata| !metadata.is_span()).with_max_level_hint(LevelFilter::TRACE);
    let is_terminal = std::io::stderr().is_terminal();
    let is_json = match log.format {
        LogFormat::Auto => !is_terminal,
        LogFormat::Text => false,
        LogFormat::Json => true,
    };
    let has_colours = is_terminal && !wants_no_colour();
    let layer = fmt::layer().with_writer(std::io::stderr).with_ansi(has_colours);
    let layer = if is_json {
        layer.json().flatten_event(true).map_event_format(ids::in_json).boxed()
    } else {
        layer.map_event_format(|format| ids::in_text(format.with_ansi(has_colours))).boxed()
    };
    layer.with_filter(no_spans.and(level))
}

fn log_panic(panic: &PanicHookInfo<'_>) {
    let message = panic.payload_as_str().unwrap_or("no message");
    let at = panic.location().map(ToString::to_string).unwrap_or_default();
    error!(message, at, "a task panicked");
}
