//! All spans of the program's traces and their attributes: OpenTelemetry's for databases
//! (<https://opentelemetry.io/docs/specs/semconv/db/redis/>), for streams and groups those for messaging
//! (<https://opentelemetry.io/docs/specs/semconv/registry/attributes/messaging/>), and `streamwarden.*` where neither has a name.
//!
//! Where no traces are sent, no span is created, and each call costs one look at a static.

use tracing::{Span, field::Empty, info_span};

use crate::{
    config::{Endpoint, Mode},
    model::{Failure, Name},
};

/// The conventions list systems for messaging without Redis, and allow others by their name.
const SYSTEM: &str = "redis";

/// One poll.
pub(crate) fn poll() -> Span {
    info_span!(
        "poll",
        "streamwarden.streams" = Empty,
        "streamwarden.slow" = Empty,
        "error.type" = Empty,
        "otel.status_description" = Empty,
    )
}

/// Some streams are read again between two polls.
pub(crate) fn reread(streams: usize) -> Span {
    info_span!(
        "reread",
        "streamwarden.streams" = int(streams),
        "error.type" = Empty,
        "otel.status_description" = Empty,
    )
}

/// One search for streams.
pub(crate) fn discovery() -> Span {
    info_span!(
        "discovery",
        "streamwarden.streams" = Empty,
        "error.type" = Empty,
        "otel.status_description" = Empty,
    )
}

/// One run of retention on a stream.
pub(crate) fn retention(stream: &Name, mode: Mode) -> Span {
    info_span!(
        "retention",
        "messaging.system" = SYSTEM,
        "messaging.destination.name" = %stream,
        "messaging.consumer.group.name" = Empty,
        "streamwarden.retention.mode" = mode.as_str(),
        "streamwarden.retention.outcome" = Empty,
        "streamwarden.retention.removed" = Empty,
        "error.type" = Empty,
        "otel.status_description" = Empty,
    )
}

/// Records how a run ended, how many entries it removed, and the group that keeps it from its limit.
pub(crate) fn record_run(
    span: &Span,
    outcome: &str,
    removed: u64,
    blocking_group: Option<&Name>,
    failure: Option<&Failure>,
) {
    if let Some(group) = blocking_group {
        span.record("messaging.consumer.group.name", group.to_string());
    }
    span.record("streamwarden.retention.outcome", outcome);
    span.record("streamwarden.retention.removed", int(removed));
    if let Some(failure) = failure {
        record_failure(span, failure);
    }
}

/// One step of a run.
pub(crate) fn retention_step(stream: &Name) -> Span {
    info_span!(
        "retention step",
        "messaging.system" = SYSTEM,
        "messaging.destination.name" = %stream,
        "streamwarden.retention.removed" = Empty,
        "error.type" = Empty,
        "otel.status_description" = Empty,
    )
}

/// One run of a stream's rules about stuck work.
pub(crate) fn stuck_work(stream: &Name) -> Span {
    info_span!(
        "stuck work",
        "messaging.system" = SYSTEM,
        "messaging.destination.name" = %stream,
        "streamwarden.stuck.moved" = Empty,
        "streamwarden.stuck.reaped" = Empty,
        "error.type" = Empty,
        "db.response.status_code" = Empty,
        "otel.status_description" = Empty,
    )
}

/// One step of an act on stuck work.
pub(crate) fn act(act: &str, stream: Option<&Name>) -> Span {
    info_span!(
        "act",
        "messaging.destination.name" = stream.map(tracing::field::display),
        "streamwarden.act" = act,
        "error.type" = Empty,
        "otel.status_description" = Empty,
    )
}

/// Taking, renewing or releasing the lease.
pub(crate) fn retention_lease() -> Span {
    info_span!("retention lease", "error.type" = Empty, "otel.status_description" = Empty)
}

/// Opening a connection, with its handshakes and login.
pub(crate) fn connect() -> Span {
    info_span!(
        "connect",
        "otel.kind" = "client",
        "db.system.name" = "redis",
        "server.address" = Empty,
        "server.port" = Empty,
        "error.type" = Empty,
        "db.response.status_code" = Empty,
        "otel.status_description" = Empty,
    )
}

/// Commands sent in one pipeline, by their labels.
pub(crate) fn pipeline(commands: &[&'static str], server: &Endpoint, database: i64) -> Span {
    let span = info_span!(
        "pipeline",
        "otel.kind" = "client",
        "otel.name" = Empty,
        "db.system.name" = "redis",
        "db.operation.name" = Empty,
        "db.operation.batch.size" = Empty,
        "db.namespace" = Empty,
        "server.address" = Empty,
        "server.port" = Empty,
        "error.type" = Empty,
        "db.response.status_code" = Empty,
        "otel.status_description" = Empty,
    );
    if !span.is_disabled() {
        let size = commands.len();
        let operation = operation(commands);
        span.record("otel.name", &operation).record("db.operation.name", &operation);
        span.record("db.namespace", database.to_string());
        if size > 1 {
            span.record("db.operation.batch.size", int(size));
        }
        record_server(&span, server);
    }
    span
}

/// Records the server's address.
pub(crate) fn record_server(span: &Span, server: &Endpoint) {
    span.record("server.address", &server.address);
    if let Some(port) = server.port {
        span.record("server.port", i64::from(port));
    }
}

/// Records the failure of an operation, if it failed.
pub(crate) fn record_result<T>(span: &Span, result: &Result<T, Failure>) {
    if let Err(failure) = result {
        record_failure(span, failure);
    }
}

/// Records a failure.
pub(crate) fn record_failure(span: &Span, failure: &Failure) {
    let code = failure.code();
    // `ERR` alone is no useful error type.
    let kind = code.filter(|code| *code != "ERR").unwrap_or(failure.reason.as_str());
    span.record("error.type", kind);
    span.record("otel.status_description", failure.detail.as_str());
    if let Some(code) = code {
        span.record("db.response.status_code", code);
    }
}

/// A count, as attributes hold it.
pub(crate) fn int(count: impl TryInto<i64>) -> i64 {
    count.try_into().unwrap_or(i64::MAX)
}

/// The command's name. Several commands are a `PIPELINE`, with the name if they all have the same.
fn operation(commands: &[&'static str]) -> String {
    // In a label the subcommand follows the command's name.
    let mut names = commands.iter().map(|label| label.split('_').next().unwrap_or_default());
    let first = names.next().unwrap_or_default();
    let are_alike = names.all(|name| name == first);
    let first = first.to_ascii_uppercase();
    match (commands.len() == 1, are_alike) {
        (true, _) => first,
        (false, true) => format!("PIPELINE {first}"),
        (false, false) => "PIPELINE".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[test]
    fn operations_are_named_by_the_convention() {
        let (full, groups) = ("xinfo_stream_full", "xinfo_groups");
        for (commands, name) in [
            (vec![full], "XINFO"),
            (vec![full, groups], "PIPELINE XINFO"),
            (vec!["time", groups], "PIPELINE"),
            (vec!["client_setname"], "CLIENT"),
        ] {
            assert_eq!(operation(&commands), name);
        }
    }
}
