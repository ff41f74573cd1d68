//! A collector that keeps what it is sent, over gRPC or HTTP, in the clear or over TLS.

use std::{
    collections::BTreeMap,
    io::Read,
    net::SocketAddr,
    path::Path,
    sync::{Arc, Mutex},
};

use flate2::read::GzDecoder;

use http_body_util::{BodyExt, Full};
use hyper::{
    Request, Response,
    body::{Bytes, Incoming},
    header::HeaderMap,
    server::conn::{http1, http2},
    service::{Service, service_fn},
};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    service::TowerToHyperService,
};
use opentelemetry_proto::tonic::{
    collector::{
        metrics::v1::{
            ExportMetricsPartialSuccess, ExportMetricsServiceRequest, ExportMetricsServiceResponse,
            metrics_service_server::{MetricsService, MetricsServiceServer},
        },
        trace::v1::{
            ExportTraceServiceRequest, ExportTraceServiceResponse,
            trace_service_server::{TraceService, TraceServiceServer},
        },
    },
    common::v1::{KeyValue, any_value::Value},
};
use prost::Message;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpListener,
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    },
};
use tonic::codec::CompressionEncoding;

use streamwarden::worker::Worker;

use support::wait_for;

/// The values of `OTEL_EXPORTER_OTLP_PROTOCOL` that there are.
pub(crate) const PROTOCOLS: [&str; 2] = ["grpc", "http/protobuf"];

/// A span as it arrived.
#[derive(Debug, Clone)]
pub(crate) struct Span {
    pub(crate) trace: String,
    pub(crate) id: String,
    /// Empty for a root.
    pub(crate) parent: String,
    pub(crate) name: String,
    pub(crate) kind: i32,
    /// What is said of an error.
    pub(crate) error: Option<String>,
    pub(crate) attributes: BTreeMap<String, String>,
    pub(crate) events: Vec<String>,
}

impl Span {
    pub(crate) fn attribute(&self, key: &str) -> Option<&str> {
        self.attributes.get(key).map(String::as_str)
    }
}

#[derive(Default)]
struct Kept {
    traces: Mutex<Vec<(HeaderMap, ExportTraceServiceRequest)>>,
    metrics: Mutex<Vec<(HeaderMap, ExportMetricsServiceRequest)>>,
    /// How many points of each message with metrics are refused.
    refuses: Mutex<i64>,
}

type Received = Arc<Kept>;

impl Kept {
    fn take_metrics(
        &self,
        headers: HeaderMap,
        message: ExportMetricsServiceRequest,
    ) -> ExportMetricsServiceResponse {
        self.metrics.lock().unwrap().push((headers, message));
        let rejected_data_points = *self.refuses.lock().unwrap();
        let error_message = if rejected_data_points > 0 { "too old".to_owned() } else { String::new() };
        let partial = ExportMetricsPartialSuccess { rejected_data_points, error_message };
        ExportMetricsServiceResponse { partial_success: Some(partial) }
    }
}

/// A running collector; it ends with the test.
pub(crate) struct Collector {
    protocol: &'static str,
    address: SocketAddr,
    received: Received,
    _worker: Worker,
}

impl Collector {
    pub(crate) fn start(protocol: &'static str) -> Self {
        Self::with_tls(protocol, None)
    }

    /// At an address where there was none before.
    pub(crate) fn start_at(protocol: &'static str, address: &str) -> Self {
        Self::at(protocol, address, None)
    }

    /// With the certificate of this folder, if one is given.
    pub(crate) fn with_tls(protocol: &'static str, certificates: Option<&Path>) -> Self {
        Self::at(protocol, "127.0.0.1:0", certificates)
    }

    fn at(protocol: &'static str, address: &str, certificates: Option<&Path>) -> Self {
        let worker = Worker::start("collector").unwrap();
        let listener = worker.handle().block_on(TcpListener::bind(address)).unwrap();
        let address = listener.local_addr().unwrap();
        let received = Received::default();
        let acceptor = certificates.map(|folder| acceptor(folder, protocol));
        worker.handle().spawn(accept(listener, protocol, acceptor, Arc::clone(&received)));
        Self { protocol, address, received, _worker: worker }
    }

    /// The environment of a sidecar that sends here, soon and everything.
    pub(crate) fn environment(&self) -> Vec<(&'static str, String)> {
        vec![
            ("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://{}", self.address)),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", self.protocol.to_owned()),
            ("OTEL_BSP_SCHEDULE_DELAY", "100".to_owned()),
            ("OTEL_TRACES_SAMPLER", "always_on".to_owned()),
        ]
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// All messages with metrics, with their headers.
    pub(crate) fn metrics(&self) -> Vec<(HeaderMap, ExportMetricsServiceRequest)> {
        self.received.metrics.lock().unwrap().clone()
    }

    /// Refuses so many points of each message from now on.
    pub(crate) fn refuse(&self, points: i64) {
        *self.received.refuses.lock().unwrap() = points;
    }

    pub(crate) fn spans(&self) -> Vec<Span> {
        let received = self.received.traces.lock().unwrap();
        let resources = received.iter().flat_map(|(_, request)| &request.resource_spans);
        let spans = resources.flat_map(|resource| &resource.scope_spans).flat_map(|scope| &scope.spans);
        spans
            .map(|span| Span {
                trace: hex(&span.trace_id),
                id: hex(&span.span_id),
                parent: hex(&span.parent_span_id),
                name: span.name.clone(),
                kind: span.kind,
                error: span.status.as_ref().filter(|it| it.code == 2).map(|it| it.message.clone()),
                attributes: attributes(&span.attributes),
                events: span.events.iter().map(|event| event.name.clone()).collect(),
            })
            .collect()
    }

    /// Waits for a span that is so, and gives it with its trace, whose root comes last.
    #[track_caller]
    pub(crate) fn wait(&self, what: &str, is_so: impl Fn(&Span) -> bool) -> (Span, Vec<Span>) {
        wait_for(what, || {
            let spans = self.spans();
            let found = spans.iter().find(|span| is_so(span))?.clone();
            let trace: Vec<Span> = spans.into_iter().filter(|span| span.trace == found.trace).collect();
            trace.iter().any(|span| span.parent.is_empty()).then_some((found, trace))
        })
    }

    /// Headers and attributes of the resource of the first batch, and everything as text.
    pub(crate) fn first(&self) -> (HeaderMap, BTreeMap<String, String>, String) {
        let received = self.received.traces.lock().unwrap();
        let (headers, request) = received.first().unwrap();
        let resource = request.resource_spans[0].resource.as_ref().unwrap();
        (headers.clone(), attributes(&resource.attributes), format!("{:?}", *received))
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[expect(clippy::wildcard_enum_match_arm, reason = "no others are sent")]
pub(crate) fn attributes(pairs: &[KeyValue]) -> BTreeMap<String, String> {
    let text = |pair: &KeyValue| match pair.value.as_ref().unwrap().value.as_ref().unwrap() {
        Value::StringValue(text) => text.clone(),
        Value::IntValue(number) => format!("int {number}"),
        Value::BoolValue(flag) => format!("bool {flag}"),
        other => panic!("unexpected: {other:?}"),
    };
    pairs.iter().map(|pair| (pair.key.clone(), text(pair))).collect()
}

pub(crate) fn acceptor(folder: &Path, protocol: &str) -> TlsAcceptor {
    let chain = CertificateDer::pem_file_iter(folder.join("server.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_file(folder.join("server.key")).unwrap();
    let config = ServerConfig::builder().with_no_client_auth();
    let mut config = config.with_single_cert(chain.map(Result::unwrap).collect(), key).unwrap();
    config.alpn_protocols = vec![if protocol == "grpc" { b"h2".to_vec() } else { b"http/1.1".to_vec() }];
    TlsAcceptor::from(Arc::new(config))
}

async fn accept(
    listener: TcpListener,
    protocol: &'static str,
    acceptor: Option<TlsAcceptor>,
    received: Received,
) {
    while let Ok((stream, _)) = listener.accept().await {
        let (acceptor, received) = (acceptor.clone(), Arc::clone(&received));
        tokio::spawn(async move {
            match acceptor {
                None => serve(stream, protocol, received).await,
                // A client that does not trust the certificate goes away.
                Some(acceptor) => match acceptor.accept(stream).await {
                    Ok(stream) => serve(stream, protocol, received).await,
                    Err(_refused) => {}
                },
            }
        });
    }
}

async fn serve(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    protocol: &str,
    received: Received,
) {
    let stream = TokioIo::new(stream);
    // Connections end as the sidecar does, which is no error here.
    if protocol == "grpc" {
        let metrics = MetricsServiceServer::new(Grpc(Arc::clone(&received)));
        let metrics = TowerToHyperService::new(metrics.accept_compressed(CompressionEncoding::Gzip));
        let traces = TowerToHyperService::new(TraceServiceServer::new(Grpc(received)));
        let service = service_fn(move |request: Request<Incoming>| {
            let is_of_metrics = request.uri().path().contains("MetricsService");
            let (metrics, traces) = (metrics.clone(), traces.clone());
            async move { if is_of_metrics { metrics.call(request).await } else { traces.call(request).await } }
        });
        drop(http2::Builder::new(TokioExecutor::new()).serve_connection(stream, service).await);
    } else {
        let service = service_fn(|request| over_http(request, Arc::clone(&received)));
        drop(http1::Builder::new().serve_connection(stream, service).await);
    }
}

async fn over_http(
    request: Request<Incoming>,
    received: Received,
) -> Result<Response<Full<Bytes>>, hyper::Error> {
    assert_eq!(request.headers()["content-type"], "application/x-protobuf");
    let (head, body) = request.into_parts();
    let mut body = body.collect().await?.to_bytes().to_vec();
    if head.headers.get("content-encoding").is_some_and(|encoding| encoding == "gzip") {
        let compressed = std::mem::take(&mut body);
        GzDecoder::new(&*compressed).read_to_end(&mut body).unwrap();
    }
    match head.uri.path() {
        "/v1/traces" => {
            let message = ExportTraceServiceRequest::decode(&*body).unwrap();
            received.traces.lock().unwrap().push((head.headers, message));
            Ok(Response::new(Full::default()))
        }
        "/v1/metrics" => {
            let message = ExportMetricsServiceRequest::decode(&*body).unwrap();
            let answer = received.take_metrics(head.headers, message);
            Ok(Response::new(Full::from(answer.encode_to_vec())))
        }
        path => panic!("{path}"),
    }
}

struct Grpc(Received);

#[tonic::async_trait]
impl TraceService for Grpc {
    async fn export(
        &self,
        request: tonic::Request<ExportTraceServiceRequest>,
    ) -> Result<tonic::Response<ExportTraceServiceResponse>, tonic::Status> {
        let (metadata, _, message) = request.into_parts();
        self.0.traces.lock().unwrap().push((metadata.into_headers(), message));
        Ok(tonic::Response::new(ExportTraceServiceResponse::default()))
    }
}

#[tonic::async_trait]
impl MetricsService for Grpc {
    async fn export(
        &self,
        request: tonic::Request<ExportMetricsServiceRequest>,
    ) -> Result<tonic::Response<ExportMetricsServiceResponse>, tonic::Status> {
        let (metadata, _, message) = request.into_parts();
        Ok(tonic::Response::new(self.0.take_metrics(metadata.into_headers(), message)))
    }
}
