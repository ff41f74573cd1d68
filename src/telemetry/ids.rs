//! Adds the IDs of the current trace and span to log lines.

use std::fmt::{self, Write as _};

use opentelemetry::{
    Context,
    trace::{SpanContext, TraceContextExt},
};
use tracing::{Event, Subscriber};
use tracing_subscriber::{
    fmt::{
        FmtContext, FormatEvent, FormatFields,
        format::{Format, Full, Json, Writer},
    },
    registry::LookupSpan,
};

/// Wraps a format and inserts the IDs at the end of each line.
pub(super) struct WithIds<F> {
    format: F,
    /// The text that ends a line, without the line feed.
    end: &'static str,
    put_in: fn(&mut String, &SpanContext) -> fmt::Result,
}

pub(super) fn in_json(format: Format<Json>) -> WithIds<Format<Json>> {
    WithIds {
        format,
        end: "}",
        put_in: |line, span| {
            write!(line, r#","trace_id":"{}","span_id":"{}""#, span.trace_id(), span.span_id())
        },
    }
}

pub(super) fn in_text(format: Format<Full>) -> WithIds<Format<Full>> {
    WithIds {
        format,
        end: "",
        put_in: |line, span| write!(line, " trace_id={} span_id={}", span.trace_id(), span.span_id()),
    }
}

impl<F, S, N> FormatEvent<S, N> for WithIds<F>
where
    F: FormatEvent<S, N>,
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let span = Context::map_current(|context| context.span().span_context().clone());
        if !span.is_sampled() {
            return self.format.format_event(context, writer, event);
        }
        let mut line = String::new();
        self.format.format_event(context, Writer::new(&mut line), event)?;
        line.truncate(line.trim_end().len() - self.end.len());
        (self.put_in)(&mut line, &span)?;
        writeln!(writer, "{line}{}", self.end)
    }
}
