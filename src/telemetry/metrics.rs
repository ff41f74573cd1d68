//! Sends messages with metrics to the collector, over gRPC or HTTP.

use std::{io::Write, sync::Arc};

use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use hyper::{
    HeaderMap, Uri,
    header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderName, HeaderValue, USER_AGENT},
    http::uri::PathAndQuery,
};
use opentelemetry_http::{HttpClient, Request};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceResponse;
use prost::{Message, bytes::BufMut};
use secrecy::ExposeSecret;
use tonic::{
    Status,
    client::Grpc,
    codec::{Codec, CompressionEncoding, DecodeBuf, Decoder, EncodeBuf, Encoder},
    metadata::MetadataMap,
    transport::{Channel, Endpoint},
};

use super::{TelemetryError, connection, traces};
use crate::{
    config::{MetricsExport, Protocol},
    files::host_name,
    model::Text,
};

const AGENT: &str = concat!("streamwarden/", env!("CARGO_PKG_VERSION"));
const EXPORT: &str = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export";

/// The connection of metrics to the collector.
pub(crate) struct MetricsSender {
    connection: Connection,
    headers: HeaderMap,
    is_compressed: bool,
}

enum Connection {
    Grpc(Grpc<Channel>),
    Http(Arc<dyn HttpClient>, Uri),
}

/// Why a message did not arrive whole.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SendError {
    /// The collector has taken the message, but not all of its points.
    #[error("the collector refused {points} data points: {why}")]
    Refused {
        /// How many.
        points: i64,
        /// What it says.
        why: Text,
    },
    /// It is not known to have arrived.
    #[error("{0}")]
    Failed(Text),
}

impl MetricsSender {
    /// Creates a connection, which is opened by the first message. Must be called within the Tokio runtime that sends.
    ///
    /// # Errors
    /// What is wrong with the endpoint or the certificates.
    pub(crate) fn new(config: &MetricsExport) -> Result<Self, TelemetryError> {
        let connection = connect(config).map_err(|what| TelemetryError {
            signal: "metrics",
            collector: config.collector.name.clone(),
            what: what.into(),
        })?;
        // They are checked, so that each is one.
        let headers = config.headers.iter().filter_map(|(name, value)| {
            let mut value = HeaderValue::from_str(value.expose_secret()).ok()?;
            value.set_sensitive(true);
            Some((HeaderName::from_bytes(name.as_bytes()).ok()?, value))
        });
        Ok(Self { connection, headers: headers.collect(), is_compressed: config.is_compressed })
    }

    /// Sends an encoded message. Cancel-safe, but it may arrive then.
    ///
    /// # Errors
    /// [`SendError`]
    pub(crate) async fn send(&self, message: Bytes) -> Result<(), SendError> {
        let answer = match &self.connection {
            Connection::Grpc(client) => self.over_grpc(client.clone(), message).await,
            Connection::Http(client, url) => self.over_http(&**client, url, message).await,
        };
        let answer = answer.map_err(|what| SendError::Failed(what.into()))?;
        match answer.partial_success {
            // With 0 it is a warning about a message that was taken whole.
            Some(partial) if partial.rejected_data_points > 0 => Err(SendError::Refused {
                points: partial.rejected_data_points,
                why: partial.error_message.into(),
            }),
            _ => Ok(()),
        }
    }

    async fn over_grpc(
        &self,
        mut client: Grpc<Channel>,
        message: Bytes,
    ) -> Result<ExportMetricsServiceResponse, String> {
        client.ready().await.map_err(|error| connection::chain(&error))?;
        let mut request = tonic::Request::new(message);
        *request.metadata_mut() = MetadataMap::from_headers(self.headers.clone());
        let answer = client.unary(request, PathAndQuery::from_static(EXPORT), Encoded).await;
        answer.map(tonic::Response::into_inner).map_err(|status| of_grpc(&status))
    }

    async fn over_http(
        &self,
        client: &dyn HttpClient,
        url: &Uri,
        message: Bytes,
    ) -> Result<ExportMetricsServiceResponse, String> {
        let mut request = Request::post(url.clone())
            .header(CONTENT_TYPE, "application/x-protobuf")
            .header(USER_AGENT, AGENT)
            .body(if self.is_compressed { gzip(&message) } else { message })
            .map_err(|error| error.to_string())?;
        if self.is_compressed {
            request.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        request.headers_mut().extend(self.headers.clone());
        let answer = client.send_bytes(request).await.map_err(|error| connection::chain(error.as_ref()))?;
        if !answer.status().is_success() {
            return Err(format!("it answered {}", answer.status()));
        }
        // Some answer with JSON or with nothing. What counts is the status then.
        Ok(ExportMetricsServiceResponse::decode(answer.into_body()).unwrap_or_default())
    }
}

/// The attributes of the sidecar: those of its traces, and `instance` unless the environment names one. Without it two sidecars
/// would be the same series.
pub(crate) fn resource(port: u16) -> Vec<(String, String)> {
    let resource = traces::resource();
    let mut attributes: Vec<_> =
        resource.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect();
    let is_named = attributes.iter().any(|(key, _)| key == "service.instance.id");
    if !is_named {
        attributes.push(("service.instance.id".to_owned(), format!("{}:{port}", host_name())));
    }
    attributes.sort();
    attributes
}

fn connect(config: &MetricsExport) -> Result<Connection, String> {
    let url = config.url.expose_secret();
    // The errors of these parsers do not repeat the address.
    match config.collector.protocol {
        Protocol::Grpc => {
            let endpoint = Endpoint::from_shared(url.to_owned()).map_err(|error| error.to_string())?;
            let endpoint =
                endpoint.timeout(config.collector.timeout).connect_timeout(config.collector.timeout);
            let endpoint = endpoint.user_agent(AGENT).map_err(|error| error.to_string())?;
            let endpoint = match connection::grpc_tls(&config.collector)? {
                Some(tls) => endpoint.tls_config(tls).map_err(|error| connection::chain(&error))?,
                None => endpoint,
            };
            let client = Grpc::new(endpoint.connect_lazy());
            Ok(Connection::Grpc(if config.is_compressed {
                client.send_compressed(CompressionEncoding::Gzip)
            } else {
                client
            }))
        }
        Protocol::Http => {
            let url = url.parse().map_err(|error: hyper::http::uri::InvalidUri| error.to_string())?;
            Ok(Connection::Http(connection::http(&config.collector)?, url))
        }
    }
}

/// What the collector, or the connection, says. The transport's own text is in the sources only.
fn of_grpc(status: &Status) -> String {
    match std::error::Error::source(status) {
        Some(source) => connection::chain(source),
        None => format!("{:?}: {}", status.code(), status.message()),
    }
}

fn gzip(message: &[u8]) -> Bytes {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    let written = encoder.write_all(message).and_then(|()| encoder.finish());
    written.expect("a Vec takes any bytes").into()
}

/// Messages that are encoded already.
struct Encoded;

impl Codec for Encoded {
    type Encode = Bytes;
    type Decode = ExportMetricsServiceResponse;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Encoded {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, message: Bytes, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put(message);
        Ok(())
    }
}

impl Decoder for Encoded {
    type Item = ExportMetricsServiceResponse;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Self::Item>, Status> {
        ExportMetricsServiceResponse::decode(buffer)
            .map(Some)
            .map_err(|error| Status::internal(error.to_string()))
    }
}
