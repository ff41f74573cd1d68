//! Traces: made of the program's spans, sent in batches by a thread of their own, flushed when the process stops.

use std::time::Duration;

use opentelemetry::{InstrumentationScope, Key, KeyValue, trace::TracerProvider as _};
use opentelemetry_sdk::{
    Resource,
    trace::{BatchSpanProcessor, SdkTracerProvider},
};
use tracing::{Subscriber, info, level_filters::LevelFilter};
use tracing_subscriber::{Layer, filter::Targets, registry::LookupSpan};

use super::{TelemetryError, export::Exporter, tail_sampler::TailSampler};
use crate::{config, model::Text};

const NAME: &str = env!("CARGO_PKG_NAME");
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Sends traces; the default sends none.
#[derive(Default)]
pub struct Traces(Option<Running>);

struct Running {
    provider: SdkTracerProvider,
    collector: String,
}

impl Traces {
    /// Starts to send traces. Must be called within a Tokio runtime. Unsent spans wait in a bounded queue
    /// (`OTEL_BSP_MAX_QUEUE_SIZE`, 2,048 spans).
    pub(super) fn start(config: &config::Traces) -> Result<Self, TelemetryError> {
        let collector = config.collector.name.clone();
        let exporter = Exporter::new(&config.collector).map_err(|what| TelemetryError {
            signal: "traces",
            collector: collector.clone(),
            what: what.into(),
        })?;
        let batches = BatchSpanProcessor::builder(exporter).build();
        let provider = SdkTracerProvider::builder()
            .with_span_processor(TailSampler::new(config.sampling, batches))
            .with_resource(resource())
            .build();
        Ok(Self(Some(Running { provider, collector })))
    }

    /// Collects spans and log lines of this program only. Those of the exporter's own connection would cause further
    /// ones.
    pub(super) fn layer<S>(&self) -> Option<impl Layer<S> + use<S>>
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        let scope = InstrumentationScope::builder(NAME).with_version(VERSION).build();
        let tracer = self.0.as_ref()?.provider.tracer_with_scope(scope);
        let layer = tracing_opentelemetry::layer()
            .with_tracer(tracer)
            .with_location(false)
            .with_threads(false)
            .with_target(false)
            .with_tracked_inactivity(false);
        Some(layer.with_filter(Targets::new().with_target(NAME, LevelFilter::INFO)))
    }

    pub(super) fn announce(&self) {
        if let Some(running) = &self.0 {
            info!(collector = running.collector, "sending traces");
        }
    }

    /// Sends what is left, for at most this long. Cancel-safe, but what is unsent then is lost.
    pub async fn flush(self, longest: Duration) {
        let Some(Running { provider, collector }) = self.0 else { return };
        let (end, ended) = tokio::sync::oneshot::channel();
        // A thread, since the runtime would wait for a blocking task even when a second signal demands an immediate
        // stop.
        std::thread::spawn(move || drop(end.send(provider.shutdown_with_timeout(longest))));
        if let Ok(Err(error)) = ended.await {
            let error = Text::from(error.to_string());
            info!(collector, %error, "the last traces were not sent");
        }
    }
}

/// The sending service: `OTEL_SERVICE_NAME` and `OTEL_RESOURCE_ATTRIBUTES`, or else the program's name.
pub(super) fn resource() -> Resource {
    let named = Resource::builder().build().get(&Key::new("service.name"));
    let is_named = named.is_some_and(|name| !name.as_str().starts_with("unknown_service"));
    let builder = Resource::builder().with_attribute(KeyValue::new("service.version", VERSION));
    if is_named { builder } else { builder.with_service_name(NAME) }.build()
}
