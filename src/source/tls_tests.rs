//! A server with a pinned certificate must prove that it has the key. Tests with real servers are in `tests/it`.

use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};
use rustls::{
    ServerConfig, SupportedProtocolVersion,
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
    version::{TLS12, TLS13},
};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::*;

#[derive(Debug)]
struct Shows(Arc<CertifiedKey>);

impl ResolvesServerCert for Shows {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }
}

/// Makes a handshake with a server that presents a certificate and signs with a key.
async fn handshake(
    version: &'static SupportedProtocolVersion,
    certificate: &rcgen::Certificate,
    key: &KeyPair,
) -> Result<Transport, Failure> {
    let key = ring::sign::any_supported_type(&PrivateKeyDer::try_from(key.serialize_der()).unwrap()).unwrap();
    let shows = Shows(Arc::new(CertifiedKey::new(vec![certificate.der().clone()], key)));
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[version])
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(shows));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = tokio::spawn(async move {
        let (tcp, _) = listener.accept().await.unwrap();
        TlsAcceptor::from(Arc::new(config)).accept(tcp).await
    });
    let ca_file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(ca_file.path(), certificate.pem()).unwrap();
    let tls = Tls { ca_file: Some(ca_file.path().to_owned()), ..Tls::default() };
    let client = Client::new("redis.example", &tls).unwrap();
    let shaken = client.handshake(TcpStream::connect(address).await.unwrap()).await;
    drop(server.await.unwrap());
    shaken
}

#[tokio::test]
async fn a_pinned_certificate_is_trusted_with_its_own_key_only() {
    for is_ca in [IsCa::Ca(BasicConstraints::Unconstrained), IsCa::NoCa] {
        let mut params = CertificateParams::new(["elsewhere.example".to_owned()]).unwrap();
        params.is_ca = is_ca;
        let (own, other) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
        let certificate = params.self_signed(&own).unwrap();
        for version in [&TLS12, &TLS13] {
            assert!(handshake(version, &certificate, &own).await.is_ok());
            let failure = handshake(version, &certificate, &other).await.err().unwrap();
            assert_eq!(failure.reason, Reason::Tls, "{failure}");
        }
    }
}

#[test]
fn a_hello_is_distinguished_from_a_reply_in_plain_text() {
    let hello = hello("redis.example").unwrap();
    assert!(is_record([hello[0], hello[1]]));
    assert!(!is_record(*b"-E") && !is_record(*b"+P"));
}
