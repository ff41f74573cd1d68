//! One attempt to send a change. No error has anything of the address, since it may hold a secret.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use http_body_util::{BodyExt, Full, Limited};
use hyper::{
    Request, Response, StatusCode,
    body::Incoming,
    header::{CONTENT_TYPE, HOST, USER_AGENT},
};
use rustls::{CertificateError, ClientConfig, RootCertStore, crypto::ring, pki_types::ServerName};
use tokio::{net::TcpStream, sync::Semaphore, task::spawn_blocking, time::timeout};
use tokio_rustls::TlsConnector;
use url::Url;

use crate::{
    config::webhook_address,
    http_client::{endpoint, exchange, host_header},
    model::{Failure, Reason},
};

/// For an attempt, from reading the file to the status of the answer.
const TIMEOUT: Duration = Duration::from_secs(10);
/// For the body of the answer, which is read only so that the receiver can end in peace.
const BODY_TIMEOUT: Duration = Duration::from_secs(1);
const MAX_BODY_BYTES: usize = 64 * 1024;

/// A mount may hang and block the read: then one thread waits, and not one more for each attempt.
static FILES: Semaphore = Semaphore::const_new(1);

/// Sends a change to the address in the file, and returns the status of the answer.
///
/// # Errors
/// Why there is no answer.
pub(super) async fn post(file: &Path, change: String) -> Result<StatusCode, Failure> {
    let late = || Failure::new(Reason::Timeout, format!("no answer within {TIMEOUT:?}"));
    timeout(TIMEOUT, attempt(file.to_owned(), change)).await.unwrap_or_else(|_elapsed| Err(late()))
}

async fn attempt(file: PathBuf, change: String) -> Result<StatusCode, Failure> {
    let (url, tls) = timeout(TIMEOUT / 2, target(file)).await.unwrap_or_else(|_elapsed| {
        Err(Failure::new(Reason::Address, "cannot read notify.webhook_file in time; a mount may hang"))
    })?;
    // A header may have no other characters, and the address is of such.
    let path = url.query().map_or_else(|| url.path().to_owned(), |query| format!("{}?{query}", url.path()));
    let request = Request::post(path)
        .header(HOST, host_header(&url))
        .header(CONTENT_TYPE, "application/json")
        .header(USER_AGENT, concat!("streamwarden/", env!("CARGO_PKG_VERSION")))
        .body(Full::from(change))
        .map_err(|_error| Failure::new(Reason::Address, "no request can be made of the address"))?;
    let tcp = TcpStream::connect(endpoint(&url)).await.map_err(|error| unreached(&error))?;
    let exchanged = match tls {
        None => exchange(tcp, request, status).await,
        Some(tls) => {
            let name = ServerName::try_from(endpoint(&url).0.to_owned());
            let name =
                name.map_err(|_invalid| Failure::new(Reason::Tls, "no certificate can be for the host"))?;
            let stream = tls.connect(name, tcp).await.map_err(|error| not_trusted(&error))?;
            exchange(stream, request, status).await
        }
    };
    exchanged.map_err(|error| {
        let reason = if error.is_parse() { Reason::Protocol } else { Reason::Closed };
        Failure::new(reason, error.to_string())
    })
}

/// The status. It counts even if the rest of the answer never comes.
async fn status(answer: Response<Incoming>) -> hyper::Result<StatusCode> {
    let status = answer.status();
    let body = Limited::new(answer.into_body(), MAX_BODY_BYTES).collect();
    drop(timeout(BODY_TIMEOUT, body).await);
    Ok(status)
}

/// The address in the file, and what trusts its certificate. Both are read each time, so that neither needs a restart.
async fn target(file: PathBuf) -> Result<(Url, Option<TlsConnector>), Failure> {
    // Never closed. The thread holds the permit, and may continue after a timeout.
    let place = FILES.acquire().await.ok();
    let read = spawn_blocking(move || {
        let _held = place;
        let url = webhook_address(&file);
        let url =
            url.map_err(|error| Failure::new(Reason::Address, format!("notify.webhook_file {error}")))?;
        let tls = if url.scheme() == "https" { Some(connector()?) } else { None };
        Ok((url, tls))
    });
    // It never panics and is never cancelled.
    read.await.unwrap_or_else(|error| Err(Failure::new(Reason::Io, error.to_string())))
}

/// Trusts the system's authorities.
fn connector() -> Result<TlsConnector, Failure> {
    let mut authorities = RootCertStore::empty();
    authorities.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if authorities.is_empty() {
        return Err(Failure::new(Reason::Tls, "this system has no trusted certificate authorities"));
    }
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let builder = builder.with_safe_default_protocol_versions();
    let builder = builder.map_err(|error| Failure::new(Reason::Tls, error.to_string()))?;
    let config = builder.with_root_certificates(authorities).with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

/// Why there is no connection. The system's errors do not name the host.
#[expect(clippy::wildcard_enum_match_arm, reason = "the system's kinds may grow, and an unknown one is Io")]
fn unreached(error: &io::Error) -> Failure {
    let reason = match error.kind() {
        io::ErrorKind::ConnectionRefused => Reason::Refused,
        io::ErrorKind::TimedOut => Reason::Timeout,
        _ if error.raw_os_error().is_none() => Reason::Dns,
        _ => Reason::Io,
    };
    Failure::new(reason, error.to_string())
}

/// Why the receiver's certificate is not trusted. The library names the host and the certificate's names.
fn not_trusted(error: &io::Error) -> Failure {
    let of_library = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    let is_of_name = matches!(
        of_library,
        Some(rustls::Error::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. }
        ))
    );
    let detail = if is_of_name { "its certificate is for another host".into() } else { error.to_string() };
    Failure::new(Reason::Tls, detail)
}
