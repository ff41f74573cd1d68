//! Making a connection: address, TLS, login, and who it is that answers.

use std::time::Duration;

use redis::{
    AsyncConnectionConfig, Client, ClientTlsConfig, ConnectionInfo, ErrorKind, ProtocolVersion, RedisError,
    TlsCertificates,
    aio::MultiplexedConnection,
    io::tcp::{TcpSettings, socket2::TcpKeepalive},
};
use secrecy::SecretString;
use tracing::Span;

use super::failure::from_redis;
use crate::{
    config::{self, Address, Endpoint, Tls, Uri},
    model::{Failure, Reason},
    spans,
};

/// A connection that is logged in, with the database that it selected.
pub(super) struct Connected {
    pub(super) connection: MultiplexedConnection,
    pub(super) protocol: ProtocolVersion,
    pub(super) database: i64,
    pub(super) endpoint: Endpoint,
    pub(super) is_upstash: bool,
}

/// Connects within the configured time. Secrets and certificates are read anew each time, so that rotated ones
/// are used, and names are resolved anew.
///
/// # Errors
/// A [`Failure`] whose class is to connect again later, whatever the reason.
pub(super) async fn connect(redis: &config::Redis) -> Result<Connected, Failure> {
    let timeout = redis.connect_timeout;
    let attempt = async {
        let address = address(&redis.uri)?;
        spans::to_server(&Span::current(), &address.endpoint());
        match open(&address, redis, ProtocolVersion::RESP3).await {
            Err(error) if lacks_resp3(&error) => open(&address, redis, ProtocolVersion::RESP2).await,
            result => result,
        }
        .map_err(|error| from_redis(&error))
    };
    match tokio::time::timeout(timeout, attempt).await {
        Ok(result) => result,
        Err(_elapsed) => Err(Failure::new(Reason::Timeout, format!("no connection within {timeout:?}"))),
    }
}

/// The address, from where it is kept.
pub(crate) fn address(uri: &Uri) -> Result<Address, Failure> {
    let secret = match uri {
        Uri::Inline(secret) => secret.clone(),
        Uri::File(path) => {
            read(path).map(|bytes| SecretString::from(String::from_utf8_lossy(&bytes).into_owned()))?
        }
        Uri::None => return Err(Failure::new(Reason::Address, "no address is configured")),
    };
    Address::parse(&secret).map_err(|error| Failure::new(Reason::Address, format!("the address {error}")))
}

fn read(path: &std::path::Path) -> Result<Vec<u8>, Failure> {
    std::fs::read(path)
        .map_err(|error| Failure::new(Reason::Address, format!("cannot read {}: {error}", path.display())))
}

async fn open(
    address: &Address,
    redis: &config::Redis,
    protocol: ProtocolVersion,
) -> Result<Connected, RedisError> {
    let settings = address
        .connection_info()
        .redis_settings()
        .clone()
        .set_protocol(protocol)
        // `CLIENT SETNAME` says who this is, on every version.
        .set_skip_set_lib_name();
    let info = address
        .connection_info()
        .clone()
        .set_tcp_settings(tcp_settings(redis.command_timeout))
        .set_redis_settings(settings);
    let client = client(info, &redis.tls, address.is_tls())?;
    // Timeouts are ours: the library's would leave a connection in use that has stopped answering.
    let timeouts = AsyncConnectionConfig::new().set_connection_timeout(None).set_response_timeout(None);
    let connection = client.get_multiplexed_async_connection_with_config(&timeouts).await?;
    Ok(Connected {
        connection,
        protocol,
        database: address.database(),
        endpoint: address.endpoint(),
        is_upstash: address.is_upstash(),
    })
}

/// A peer that vanished without a word is noticed by the system too, should our own timeout not come first.
fn tcp_settings(command_timeout: Duration) -> TcpSettings {
    let keepalive = TcpKeepalive::new()
        .with_time(Duration::from_secs(10))
        .with_interval(Duration::from_secs(5))
        .with_retries(3);
    TcpSettings::default().set_nodelay(true).set_keepalive(keepalive).set_user_timeout(command_timeout)
}

fn client(info: ConnectionInfo, tls: &Tls, is_tls: bool) -> Result<Client, RedisError> {
    if !is_tls || (tls.ca_file.is_none() && tls.client.is_none()) {
        return Client::open(info);
    }
    let root_cert = tls.ca_file.as_ref().map(std::fs::read).transpose()?;
    let read_client = |client: &config::ClientCertificate| {
        Ok::<_, std::io::Error>(ClientTlsConfig {
            client_cert: std::fs::read(&client.cert_file)?,
            client_key: std::fs::read(&client.key_file)?,
        })
    };
    let client_tls = tls.client.as_ref().map(read_client).transpose()?;
    Client::build_with_tls(info, TlsCertificates { client_tls, root_cert })
}

fn lacks_resp3(error: &RedisError) -> bool {
    error.kind() == ErrorKind::RESP3NotSupported
}
