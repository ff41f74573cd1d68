//! What carries the bytes: TCP, TLS over it, or a Unix socket.

use std::{fs, io, path::Path, sync::Arc, time::Duration};

use redis::ConnectionAddr;
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
};
use socket2::{SockRef, TcpKeepalive};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, UnixStream, lookup_host},
    task::JoinSet,
};
use tokio_rustls::TlsConnector;

use super::failure::from_io;
use crate::{
    config::{self, Tls},
    model::{Failure, Reason},
};

/// Bytes both ways.
pub(super) trait Bytes: AsyncRead + AsyncWrite + Send + Sync + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Sync + Unpin> Bytes for T {}

/// An open one, whichever it is.
pub(super) type Transport = Box<dyn Bytes>;

/// Opens it. Names are resolved and files read anew each time.
pub(super) async fn open(address: &ConnectionAddr, redis: &config::Redis) -> Result<Transport, Failure> {
    match address {
        ConnectionAddr::Tcp(host, port) => Ok(Box::new(tcp(host, *port, redis.command_timeout).await?)),
        ConnectionAddr::TcpTls { host, port, .. } => {
            let connector = TlsConnector::from(Arc::new(client_config(&redis.tls)?));
            let bare = host.trim_start_matches('[').trim_end_matches(']').to_owned();
            let name = ServerName::try_from(bare)
                .map_err(|error| Failure::new(Reason::Address, format!("the host is no name: {error}")))?;
            let tcp = tcp(host, *port, redis.command_timeout).await?;
            Ok(Box::new(connector.connect(name, tcp).await.map_err(tls_failed)?))
        }
        ConnectionAddr::Unix(path) => {
            Ok(Box::new(UnixStream::connect(path).await.map_err(|error| from_io(&error))?))
        }
        _ => Err(Failure::new(Reason::Address, "the address is of no known kind")),
    }
}

/// To the first of the host's addresses that answers: one that is dead must not use up the time.
async fn tcp(host: &str, port: u16, user_timeout: Duration) -> Result<TcpStream, Failure> {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let addresses = lookup_host((bare, port)).await;
    let addresses = addresses.map_err(|error| Failure::new(Reason::Dns, error.to_string()))?;
    let mut attempts: JoinSet<io::Result<TcpStream>> = addresses.map(TcpStream::connect).collect();
    let mut failure = Failure::new(Reason::Dns, "the name has no address");
    while let Some(attempt) = attempts.join_next().await {
        match attempt.map_err(io::Error::other).flatten().and_then(|stream| tuned(stream, user_timeout)) {
            Ok(stream) => return Ok(stream),
            Err(error) => failure = from_io(&error),
        }
    }
    Err(failure)
}

/// A peer that vanished without a word is noticed by the system too, should our own timeout not come first.
fn tuned(stream: TcpStream, user_timeout: Duration) -> io::Result<TcpStream> {
    let keepalive = TcpKeepalive::new()
        .with_time(Duration::from_secs(10))
        .with_interval(Duration::from_secs(5))
        .with_retries(3);
    let socket = SockRef::from(&stream);
    socket.set_tcp_nodelay(true)?;
    socket.set_tcp_keepalive(&keepalive)?;
    socket.set_tcp_user_timeout(Some(user_timeout))?;
    Ok(stream)
}

fn client_config(tls: &Tls) -> Result<ClientConfig, Failure> {
    let builder = ClientConfig::builder().with_root_certificates(authorities(tls)?);
    let Some(client) = &tls.client else { return Ok(builder.with_no_client_auth()) };
    let key = PrivateKeyDer::from_pem_slice(&read(&client.key_file)?);
    let key = key.map_err(|error| unusable(&client.key_file, &error))?;
    let config = builder.with_client_auth_cert(certificates(&client.cert_file)?, key);
    config.map_err(|error| unusable(&client.cert_file, &error))
}

fn authorities(tls: &Tls) -> Result<RootCertStore, Failure> {
    let mut store = RootCertStore::empty();
    if let Some(file) = &tls.ca_file {
        for certificate in certificates(file)? {
            store.add(certificate).map_err(|error| unusable(file, &error))?;
        }
    } else {
        store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    }
    if store.is_empty() {
        let what = "there is no certificate authority to trust; give one in redis.tls.ca_file";
        return Err(Failure::new(Reason::Tls, what));
    }
    Ok(store)
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, Failure> {
    let certificates = CertificateDer::pem_slice_iter(&read(file)?).collect::<Result<_, _>>();
    certificates.map_err(|error| unusable(file, &error))
}

fn read(file: &Path) -> Result<Vec<u8>, Failure> {
    fs::read(file).map_err(|error| unusable(file, &error))
}

fn unusable(file: &Path, error: &dyn std::error::Error) -> Failure {
    Failure::new(Reason::Tls, format!("{} is of no use: {error}", file.display()))
}

/// What fails in a handshake is a matter of TLS, unless the connection itself was lost.
fn tls_failed(error: io::Error) -> Failure {
    let failure = from_io(&error);
    if failure.reason == Reason::Io { Failure { reason: Reason::Tls, ..failure } } else { failure }
}
