//! Connections to a collector, for traces and for metrics: TLS, and the client for HTTP.

use std::{path::Path, sync::Arc};

use hyper_rustls::HttpsConnectorBuilder;
use opentelemetry_http::{HttpClient, hyper::HyperClient};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, pem::PemObject},
};
use tonic::transport::{Certificate, ClientTlsConfig};

use crate::{
    config::Collector,
    files::{self, Kind},
};

/// What TLS over gRPC trusts; `None` without TLS.
pub(super) fn grpc_tls(config: &Collector) -> Result<Option<ClientTlsConfig>, String> {
    if !config.is_tls {
        return Ok(None);
    }
    let tls = ClientTlsConfig::new();
    Ok(Some(match &config.ca_file {
        Some(path) => {
            let pem = files::read(path, Kind::Pem).map_err(|error| error.to_string())?;
            tls.ca_certificate(Certificate::from_pem(pem))
        }
        None => tls.with_native_roots(),
    }))
}

/// A client for HTTP, which connects when it first sends.
pub(super) fn http(config: &Collector) -> Result<Arc<dyn HttpClient>, String> {
    if !config.is_tls {
        return Ok(Arc::new(HyperClient::with_default_connector(config.timeout, None)));
    }
    let connector = HttpsConnectorBuilder::new();
    let connector = match &config.ca_file {
        Some(path) => connector.with_tls_config(tls(path)?),
        None => connector.with_native_roots().map_err(|error| error.to_string())?,
    };
    Ok(Arc::new(HyperClient::new(connector.https_only().enable_http1().build(), config.timeout, None)))
}

fn tls(ca_file: &Path) -> Result<ClientConfig, String> {
    let pem = files::read(ca_file, Kind::Pem).map_err(|error| error.to_string())?;
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(certificates.map_err(|error| format!("{}: {error}", ca_file.display()))?);
    Ok(ClientConfig::builder().with_root_certificates(roots).with_no_client_auth())
}

/// An error and its sources, on one line.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let sources = std::iter::successors(error.source(), |error| error.source());
    sources.fold(error.to_string(), |line, source| format!("{line}: {source}"))
}
