//! Making a connection: address, TLS, login, and who it is that answers.

use redis::{ProtocolVersion, RedisConnectionInfo};
use secrecy::SecretString;
use tracing::Span;

use super::{connection::Connection, transport};
use crate::{
    config::{self, Address, Endpoint, Uri},
    model::{Failure, Reason},
    spans,
};

/// Who logs in with a password alone.
const DEFAULT_USER: &str = "default";

/// A connection that is logged in, with the database that it selected.
pub(super) struct Connected {
    pub(super) connection: Connection,
    pub(super) protocol: ProtocolVersion,
    pub(super) database: i64,
    pub(super) endpoint: Endpoint,
    pub(super) is_upstash: bool,
}

/// Connects within the configured time. Secrets and certificates are read anew each time, so that rotated ones
/// are used, and names are resolved anew.
///
/// # Errors
/// Why there is no connection.
pub(super) async fn connect(redis: &config::Redis) -> Result<Connected, Failure> {
    let timeout = redis.connect_timeout;
    let attempt = async {
        let address = address(&redis.uri)?;
        spans::to_server(&Span::current(), &address.endpoint());
        match open(&address, redis, ProtocolVersion::RESP3).await {
            Err(failure) if lacks_resp3(&failure) => open(&address, redis, ProtocolVersion::RESP2).await,
            result => result,
        }
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
) -> Result<Connected, Failure> {
    let info = address.connection_info();
    let mut connection = Connection::new(transport::open(info.addr(), redis).await?);
    if let Err(failure) = log_in(&mut connection, info.redis_settings(), protocol).await {
        return Err(transport::explained(failure, info.addr(), redis.connect_timeout).await);
    }
    Ok(Connected {
        connection,
        protocol,
        database: address.database(),
        endpoint: address.endpoint(),
        is_upstash: address.is_upstash(),
    })
}

/// Chooses the protocol, says who this is, and selects the database.
async fn log_in(
    connection: &mut Connection,
    settings: &RedisConnectionInfo,
    protocol: ProtocolVersion,
) -> Result<(), Failure> {
    let mut login = redis::pipe();
    match (protocol, settings.password()) {
        (ProtocolVersion::RESP2, Some(password)) => {
            // Servers without HELLO may have no users either, and know the default one by no name.
            let user = settings.username().filter(|user| *user != DEFAULT_USER);
            login.cmd("AUTH").arg(user).arg(password)
        }
        (ProtocolVersion::RESP2, None) => &mut login,
        (_, Some(password)) => {
            let user = settings.username().unwrap_or(DEFAULT_USER);
            login.cmd("HELLO").arg(3).arg("AUTH").arg(user).arg(password)
        }
        (_, None) => login.cmd("HELLO").arg(3),
    };
    if settings.db() != 0 {
        login.cmd("SELECT").arg(settings.db());
    }
    connection.send(&login.get_packed_pipeline(), login.len(), false).await?;
    for _ in 0..login.len() {
        connection.receive().await??;
    }
    Ok(())
}

/// Whether it was `HELLO`, or its protocol, that was refused.
fn lacks_resp3(failure: &Failure) -> bool {
    matches!(failure.reason, Reason::Unsupported | Reason::NoPermission) || failure.code() == Some("NOPROTO")
}
