//! The exporter of traces: over gRPC or HTTP, with the log of its failures.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{SpanExporter, WithHttpConfig, WithTonicConfig};
use opentelemetry_sdk::{
    Resource,
    error::OTelSdkResult,
    trace::{SpanData, SpanExporter as Export},
};
use tokio::runtime::Handle;
use tracing::{info, warn};

use super::connection;
use crate::{
    config::{Collector, Protocol},
    model::Text,
    outage::{News, Outage},
};

/// Sends batches. Logs the first failure and the recovery, not the failures between.
#[derive(Debug)]
pub(super) struct Exporter {
    inner: SpanExporter,
    collector: String,
    cause: Cause,
    outage: Mutex<Outage>,
}

/// The error below HTTP, which the exporter does not return.
type Cause = Arc<Mutex<Option<String>>>;

impl Exporter {
    /// Creates an exporter, which connects when it first sends. It reads endpoint, headers, compression and timeout
    /// from the environment. Must be called within the Tokio runtime that sends.
    ///
    /// # Errors
    /// What is wrong with the endpoint or the certificates.
    pub(super) fn new(config: &Collector) -> Result<Self, String> {
        let cause = Cause::default();
        let inner = match config.protocol {
            Protocol::Grpc => over_grpc(config),
            Protocol::Http => over_http(config, Arc::clone(&cause)),
        };
        Ok(Self { inner: inner?, collector: config.name.clone(), cause, outage: Mutex::default() })
    }

    fn note(&self, result: &OTelSdkResult) {
        let collector = &self.collector;
        let cause = || self.cause.lock().unwrap_or_else(PoisonError::into_inner).take();
        let detail =
            result.as_ref().err().map(|error| Text::from(cause().unwrap_or_else(|| error.to_string())));
        let mut outage = self.outage.lock().unwrap_or_else(PoisonError::into_inner);
        // The text of one failure may differ between attempts, so it is not compared.
        match outage.note_reason(detail.as_ref().map(|_| ("failed", ""))) {
            Some(News::Failed) => {
                warn!(collector, detail = detail.as_deref(), "sending traces failed; unsent traces are lost");
            }
            Some(News::Recovered { failures, .. }) => {
                info!(collector, failures, "sending traces works again")
            }
            None => {}
        }
    }
}

impl Export for Exporter {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let result = self.inner.export(batch).await;
        self.note(&result);
        result
    }

    fn shutdown(&self) -> OTelSdkResult {
        self.inner.shutdown()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.inner.set_resource(resource);
    }
}

fn over_grpc(config: &Collector) -> Result<SpanExporter, String> {
    let mut builder = SpanExporter::builder().with_tonic();
    if let Some(tls) = connection::grpc_tls(config)? {
        builder = builder.with_tls_config(tls);
    }
    builder.build().map_err(|error| error.to_string())
}

fn over_http(config: &Collector, cause: Cause) -> Result<SpanExporter, String> {
    let client = OnRuntime { runtime: Handle::current(), client: connection::http(config)?, cause };
    SpanExporter::builder().with_http().with_http_client(client).build().map_err(|error| error.to_string())
}

/// Sends on the Tokio runtime: the exporter's own thread is outside of it.
#[derive(Debug)]
struct OnRuntime {
    runtime: Handle,
    client: Arc<dyn HttpClient>,
    cause: Cause,
}

#[async_trait]
impl HttpClient for OnRuntime {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let client = Arc::clone(&self.client);
        let result = self.runtime.spawn(async move { client.send_bytes(request).await }).await?;
        let cause = result.as_ref().err().map(|error| connection::chain(error.as_ref()));
        *self.cause.lock().unwrap_or_else(PoisonError::into_inner) = cause;
        result
    }
}
