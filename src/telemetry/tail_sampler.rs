//! Which traces are sent. That shows at their end, so a trace's spans are held until its root has ended.
//!
//! A sidecar polls some thousand times a day, and nearly all polls are alike. What is worth having is the trace of the
//! poll that failed or was slow, and of whatever was logged: the first failure, the recovery, each trim. Of the others
//! one in a hundred is enough to compare with.

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

/// Of traces in which nothing happened this part is sent: at the default interval one poll in 25 minutes.
const USUAL: f64 = 0.01;

/// Spans of a trace that are held, with a kilobyte each: runs of thousands of steps are told by their first ones.
const MAX_SPANS: usize = 500;

/// Hands a trace on to another processor when its root ends, or forgets it.
#[derive(Debug)]
pub(super) struct TailSampler<P> {
    next: P,
    sampling: Sampling,
    /// Traces whose root has not ended: a few, since each task has one at a time.
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

/// Whether it failed, was slow, or something was logged in it: so the IDs in the log always lead to a trace.
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

    /// A trace of a root and some children, which have ended before it.
    fn trace(tracer: &SdkTracer, children: usize, end: impl Fn(&Context)) {
        let root = Context::new().with_span(tracer.start_with_context("root", &Context::new()));
        (0..children).for_each(|_| tracer.start_with_context("child", &root).end());
        end(&root);
        root.span().end();
    }

    #[test]
    fn traces_that_tell_something_are_kept_whole_and_few_of_the_others() {
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
        assert!((40..250).contains(&usual), "{usual} of 10,000 where 100 are to be expected");
    }

    #[test]
    fn a_long_trace_is_cut_and_says_so() {
        let (tracer, sent) = tracer(Sampling::AsTold);
        trace(&tracer, MAX_SPANS + 7, |_| {});
        let spans = sent.0.lock().unwrap();
        assert_eq!(spans.len(), MAX_SPANS + 1);
        assert!(spans[MAX_SPANS].attributes.contains(&KeyValue::new("streamwarden.spans_left_out", 7)));
    }
}
