//! Decides at the end of each trace whether to send it, and holds its spans until then.
//!
//! A sidecar polls thousands of times a day, and nearly all polls are alike. The traces worth sending are those of
//! polls that failed or were slow, and those in which something was logged: a first failure, a recovery, a trim. One
//! in a hundred of the others is enough for comparison.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use opentelemetry::{
    Context, KeyValue, Value,
    trace::{SpanId, SpanKind, Status, TraceContextExt, TraceId},
};
use opentelemetry_sdk::{
    Resource,
    error::OTelSdkResult,
    trace::{Sampler, SamplingDecision, ShouldSample, Span, SpanData, SpanProcessor},
};

use crate::config::Sampling;

/// Share of ordinary traces that is sent: at the default interval one poll in 25 minutes.
const USUAL: f64 = 0.01;

/// Maximum spans held for a trace, at about a kilobyte each. Of a run with thousands of steps the first ones suffice.
const MAX_SPANS: usize = 500;

/// When a root span ends, passes its trace on to the next processor or drops it.
#[derive(Debug)]
pub(super) struct TailSampler<P> {
    next: P,
    sampling: Sampling,
    /// Traces whose root has not ended. There are few, since each task has at most one.
    open: Mutex<HashMap<TraceId, Open>>,
}

#[derive(Debug, Default)]
struct Open {
    spans: Vec<SpanData>,
    left_out: i64,
}

impl<P> TailSampler<P> {
    pub(super) fn new(sampling: Sampling, next: P) -> Self {
        Self { next, sampling, open: Mutex::default() }
    }

    fn open(&self) -> MutexGuard<'_, HashMap<TraceId, Open>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn keeps(&self, root: &SpanData, others: &[SpanData]) -> bool {
        match self.sampling {
            Sampling::AsTold => true,
            Sampling::Noteworthy => is_noteworthy(root, others) || is_sample(root.span_context.trace_id()),
        }
    }
}

impl<P: SpanProcessor> SpanProcessor for TailSampler<P> {
    fn on_start(&self, span: &mut Span, parent: &Context) {
        if !parent.has_active_span() {
            let context = opentelemetry::trace::Span::span_context(span);
            self.open().insert(context.trace_id(), Open::default());
        }
        self.next.on_start(span, parent);
    }

    fn on_end(&self, mut span: SpanData) {
        let trace = span.span_context.trace_id();
        if span.parent_span_id != SpanId::INVALID {
            if let Some(open) = self.open().get_mut(&trace) {
                if open.spans.len() < MAX_SPANS {
                    open.spans.push(span);
                } else {
                    open.left_out += 1;
                }
            }
            return;
        }
        let open = self.open().remove(&trace).unwrap_or_default();
        if self.keeps(&span, &open.spans) {
            if open.left_out > 0 {
                span.attributes.push(KeyValue::new("streamwarden.spans_left_out", open.left_out));
            }
            open.spans.into_iter().chain([span]).for_each(|span| self.next.on_end(span));
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.next.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.next.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.next.set_resource(resource);
    }
}

/// Whether the trace failed, was slow, or contains a log line. So each trace ID in the log leads to a trace.
fn is_noteworthy(root: &SpanData, others: &[SpanData]) -> bool {
    let is_slow = |attribute: &KeyValue| {
        attribute.key.as_str() == "streamwarden.slow" && attribute.value == Value::Bool(true)
    };
    matches!(root.status, Status::Error { .. })
        || root.attributes.iter().any(is_slow)
        || others.iter().chain([root]).any(|span| !span.events.is_empty())
}

fn is_sample(trace: TraceId) -> bool {
    let sampler = Sampler::TraceIdRatioBased(USUAL);
    let result = sampler.should_sample(None, trace, "", &SpanKind::Internal, &[], &[]);
    result.decision == SamplingDecision::RecordAndSample
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use opentelemetry::trace::{Span as _, Tracer as _, TracerProvider as _};
    use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider};

    use super::*;

    #[derive(Debug, Clone, Default)]
    struct Sent(Arc<Mutex<Vec<SpanData>>>);

    impl SpanProcessor for Sent {
        fn on_start(&self, _span: &mut Span, _parent: &Context) {}

        fn on_end(&self, span: SpanData) {
            self.0.lock().unwrap().push(span);
        }

        fn force_flush(&self) -> OTelSdkResult {
            Ok(())
        }

        fn shutdown_with_timeout(&self, _timeout: Duration) -> OTelSdkResult {
            Ok(())
        }
    }

    fn tracer(sampling: Sampling) -> (SdkTracer, Sent) {
        let sent = Sent::default();
        let keep = TailSampler::new(sampling, sent.clone());
        (SdkTracerProvider::builder().with_span_processor(keep).build().tracer("test"), sent)
    }

    /// A trace with a root and children that end before it.
    fn trace(tracer: &SdkTracer, children: usize, end: impl Fn(&Context)) {
        let root = Context::new().with_span(tracer.start_with_context("root", &Context::new()));
        (0..children).for_each(|_| tracer.start_with_context("child", &root).end());
        end(&root);
        root.span().end();
    }

    #[test]
    fn noteworthy_traces_are_sent_whole_and_a_sample_of_the_others() {
        let (tracer, sent) = tracer(Sampling::Noteworthy);
        let count = || std::mem::take(&mut *sent.0.lock().unwrap()).len();
        let ends: [fn(&Context); 3] = [
            |root| root.span().set_status(Status::error("it failed")),
            |root| root.span().set_attribute(KeyValue::new("streamwarden.slow", true)),
            |root| root.span().add_event("trimmed", Vec::new()),
        ];
        for end in ends {
            trace(&tracer, 2, end);
            assert_eq!(count(), 3);
        }
        (0..10_000).for_each(|_| {
            trace(&tracer, 1, |root| root.span().set_attribute(KeyValue::new("streamwarden.slow", false)));
        });
        let usual = count() / 2;
        assert!((40..250).contains(&usual), "{usual} of 10,000 where 100 are expected");
    }

    #[test]
    fn a_long_trace_is_truncated_and_counts_the_spans_left_out() {
        let (tracer, sent) = tracer(Sampling::AsTold);
        trace(&tracer, MAX_SPANS + 7, |_| {});
        let spans = sent.0.lock().unwrap();
        assert_eq!(spans.len(), MAX_SPANS + 1);
        assert!(spans[MAX_SPANS].attributes.contains(&KeyValue::new("streamwarden.spans_left_out", 7)));
    }
}
