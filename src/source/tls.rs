//! TLS to Redis: which certificates are trusted, and which one the client presents.
//!
//! A server's certificate is trusted if an authority in `redis.tls.ca_file`, or without that one of the system, has signed
//! it, if it is within its validity period, and if it is for the host or `redis.tls.server_name`. The TLS library checks
//! that. One rule is added: a certificate that is itself in `redis.tls.ca_file` is trusted with any issuer and any names
//! within its validity period. In the handshake the server still proves that it has the certificate's key.

use std::{io, path::Path, sync::Arc};

use rustls::{
    CertificateError, ClientConfig, ClientConnection, ConfigBuilder, DigitallySignedStruct, Error,
    RootCertStore, SignatureScheme, WantsVerifier,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{CryptoProvider, ring},
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime, pem::PemObject},
};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::{
    failure::from_io,
    stream::Transport,
    tls_words::{is_of_issuer_or_name, is_of_the_dates, predicate, words},
};
use crate::{
    clock,
    config::{self, Address, Route, Tls},
    files::{self, Kind},
    model::{Failure, Reason, Text},
};

/// Reads the files as a new connection does, without making one.
///
/// # Errors
/// What is wrong with them, or with the server's name.
pub(crate) fn check_files(address: &Address, redis: &config::Redis) -> Result<(), Failure> {
    match (address.route(), address.service()) {
        (Some(Route::Tls(address)), _) => Client::new(address.host(), &redis.tls).map(drop),
        (_, Some(service)) if service.is_tls || redis.sentinel.is_tls(service) => {
            service.sentinels.iter().try_for_each(|it| Client::new(it.host(), &redis.tls).map(drop))
        }
        _ => Ok(()),
    }
}

/// A client for one handshake.
pub(super) struct Client {
    connector: TlsConnector,
    name: ServerName<'static>,
    /// Certificates in `redis.tls.ca_file` that are expired or not yet valid.
    left_out: usize,
}

impl Client {
    /// Reads the files.
    ///
    /// # Errors
    /// What is wrong with them, or with the server's name.
    pub(super) fn new(host: &str, tls: &Tls) -> Result<Self, Failure> {
        let provider = Arc::new(ring::default_provider());
        let name = ServerName::try_from(tls.server_name.as_deref().unwrap_or(host).to_owned());
        let name = name.map_err(|_invalid| {
            Failure::new(
                Reason::Address,
                "no certificate can be for the address's host; set redis.tls.server_name",
            )
        })?;
        let trust = Trust::read(tls, &provider)?;
        let left_out = trust.left_out;
        let verifier = Arc::new(trust.verifier(&provider)?);
        let builder = builder(provider).map_err(|error| failed(words(&error)))?;
        // The library calls any verifier `dangerous` that is not its own. Ours calls that one.
        let builder = builder.dangerous().with_custom_certificate_verifier(verifier);
        let config = match tls.client() {
            None => builder.with_no_client_auth(),
            Some((cert_file, key_file)) => {
                let cert_file = PemFile { key: "redis.tls.cert_file", path: cert_file };
                let key_file = PemFile { key: "redis.tls.key_file", path: key_file };
                let config =
                    builder.with_client_auth_cert(cert_file.certificates()?, key_file.private_key()?);
                config.map_err(|error| key_file.unusable(&words(&error)))?
            }
        };
        Ok(Self { connector: TlsConnector::from(Arc::new(config)), name, left_out })
    }

    /// # Errors
    /// Why there is no encrypted connection.
    pub(super) async fn handshake(self, tcp: TcpStream) -> Result<Transport, Failure> {
        match self.connector.connect(self.name, tcp).await {
            Ok(stream) => Ok(Box::new(stream)),
            Err(error) => Err(refusal(&error, self.left_out)),
        }
    }
}

/// Why a handshake failed.
fn refusal(error: &io::Error, left_out: usize) -> Failure {
    let failure = from_io(error);
    if failure.reason == Reason::Closed {
        failed("the server closed the connection during the TLS handshake; it may not speak TLS")
    } else if failure.reason == Reason::Tls && left_out > 0 {
        let what =
            "certificates in redis.tls.ca_file that are ignored, since they are expired or not yet valid";
        failed(format!("{} ({what}: {left_out})", failure.detail))
    } else {
        failure
    }
}

/// The first message of a handshake, for a connection that sends nothing else.
pub(super) fn hello(host: &str) -> Option<Vec<u8>> {
    let config = builder(Arc::new(ring::default_provider())).ok()?;
    let config = config.with_root_certificates(RootCertStore::empty()).with_no_client_auth();
    let name = ServerName::try_from(host.to_owned()).ok()?;
    let mut hello = Vec::new();
    ClientConnection::new(Arc::new(config), name).ok()?.write_tls(&mut hello).ok()?;
    Some(hello)
}

/// Whether a reply starts with a TLS record: an alert or a handshake, of any version.
pub(super) fn is_record(answer: [u8; 2]) -> bool {
    matches!(answer, [0x15 | 0x16, 0x03])
}

fn builder(provider: Arc<CryptoProvider>) -> Result<ConfigBuilder<ClientConfig, WantsVerifier>, Error> {
    ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()
}

/// The trusted certificates.
struct Trust {
    authorities: RootCertStore,
    /// Certificates that are trusted with any issuer and any names.
    pinned: Vec<CertificateDer<'static>>,
    /// How many certificates are ignored, since they are expired or not yet valid.
    left_out: usize,
}

impl Trust {
    fn read(tls: &Tls, provider: &Arc<CryptoProvider>) -> Result<Self, Failure> {
        let mut trust = Self { authorities: RootCertStore::empty(), pinned: Vec::new(), left_out: 0 };
        let Some(path) = &tls.ca_file else {
            trust.authorities.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            return Ok(trust);
        };
        let file = PemFile { key: "redis.tls.ca_file", path };
        let mut reason = None;
        for certificate in file.certificates()? {
            let mut alone = RootCertStore::empty();
            alone.add(certificate.clone()).map_err(|error| file.unusable(&of_file(&error)))?;
            match not_in_date(&certificate, &alone, provider) {
                Some(error) => {
                    trust.left_out += 1;
                    reason = reason.or(Some(error));
                }
                None => {
                    trust.authorities.roots.extend(alone.roots);
                    trust.pinned.push(certificate);
                }
            }
        }
        match reason {
            Some(error) if trust.pinned.is_empty() => {
                Err(file.unusable(&format!("its certificate {}", predicate(&error))))
            }
            _ => Ok(trust),
        }
    }

    fn verifier(self, provider: &Arc<CryptoProvider>) -> Result<Verifier, Failure> {
        let none = "this system has no trusted certificate authorities; set redis.tls.ca_file";
        let library = library(self.authorities, provider).ok_or_else(|| failed(none))?;
        Ok(Verifier { library, pinned: self.pinned })
    }
}

/// The TLS library's own verifier; `None` without authorities.
fn library(authorities: RootCertStore, provider: &Arc<CryptoProvider>) -> Option<Arc<WebPkiServerVerifier>> {
    let builder = WebPkiServerVerifier::builder_with_provider(authorities.into(), Arc::clone(provider));
    builder.build().ok()
}

/// Why a certificate is expired or not yet valid. The library ignores the dates of authorities, and checks those of a server's
/// certificate first. So this passes the certificate as a server's.
fn not_in_date(
    certificate: &CertificateDer<'_>,
    alone: &RootCertStore,
    provider: &Arc<CryptoProvider>,
) -> Option<CertificateError> {
    let (name, now) = (ServerName::try_from("any").ok()?, UnixTime::since_unix_epoch(clock::unix_time()));
    let verified = library(alone.clone(), provider)?.verify_server_cert(certificate, &[], &name, &[], now);
    match verified {
        Err(Error::InvalidCertificate(error)) if is_of_the_dates(&error) => Some(error),
        _ => None,
    }
}

/// The library's verifier, and certificates that are trusted by themselves, which that one does not support.
#[derive(Debug)]
struct Verifier {
    library: Arc<WebPkiServerVerifier>,
    pinned: Vec<CertificateDer<'static>>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if !self.pinned.contains(end_entity) {
            return self.library.verify_server_cert(
                end_entity,
                intermediates,
                server_name,
                ocsp_response,
                now,
            );
        }
        // Without intermediates, so that the dates of this certificate are checked.
        match self.library.verify_server_cert(end_entity, &[], server_name, ocsp_response, now) {
            Err(Error::InvalidCertificate(error)) if is_of_issuer_or_name(&error) => {
                Ok(ServerCertVerified::assertion())
            }
            verified => verified,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.library.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.library.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.library.supported_verify_schemes()
    }
}

/// A file in PEM format, and the configuration key that names it.
struct PemFile<'a> {
    key: &'static str,
    path: &'a Path,
}

impl PemFile<'_> {
    fn certificates(&self) -> Result<Vec<CertificateDer<'static>>, Failure> {
        let certificates = CertificateDer::pem_slice_iter(&self.read()?).collect::<Result<Vec<_>, _>>();
        match certificates {
            Ok(certificates) if !certificates.is_empty() => Ok(certificates),
            Ok(_) => Err(self.unusable("it has no certificate in PEM format")),
            Err(_) => Err(self.unusable("it is not in PEM format")),
        }
    }

    fn private_key(&self) -> Result<PrivateKeyDer<'static>, Failure> {
        // The library's error may contain a line of the file.
        let key = PrivateKeyDer::from_pem_slice(&self.read()?);
        key.map_err(|_no_key| self.unusable("it has no private key in PEM format, or an encrypted one"))
    }

    fn read(&self) -> Result<Vec<u8>, Failure> {
        files::read(self.path, Kind::Pem).map_err(|error| failed(format!("{}: {error}", self.key)))
    }

    fn unusable(&self, reason: &str) -> Failure {
        failed(format!("cannot use {} ({}): {reason}", self.path.display(), self.key))
    }
}

/// What is wrong with a certificate in a file.
fn of_file(error: &Error) -> String {
    if let Error::InvalidCertificate(error) = error {
        format!("its certificate {}", predicate(error))
    } else {
        words(error)
    }
}

fn failed(what: impl Into<Text>) -> Failure {
    Failure::new(Reason::Tls, what)
}

#[cfg(test)]
#[path = "tls_tests.rs"]
mod tests;
