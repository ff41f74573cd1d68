//! Making a connection: address, TLS, login, and who it is that answers.

use redis::Pipeline;
use tracing::Span;

use super::{connection::Connection, resp::Texts, transport};
use crate::{
    config::{self, Address, DEFAULT_USER, Endpoint, Resp},
    model::{Failure, Reason},
    spans,
};

/// A connection that is logged in, with the database that it selected.
pub(super) struct Connected {
    pub(super) connection: Connection,
    pub(super) protocol: Resp,
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
        let address = redis.access.address();
        let address = address.map_err(|problems| Failure::new(Reason::Address, format!("{problems:#}")))?;
        spans::to_server(&Span::current(), &address.endpoint());
        let protocol = address.protocol();
        match open(&address, redis, protocol.unwrap_or(Resp::V3)).await {
            Err(failure) if protocol.is_none() && lacks_resp3(&failure) => {
                open(&address, redis, Resp::V2).await
            }
            result => result,
        }
    };
    match tokio::time::timeout(timeout, attempt).await {
        Ok(result) => result,
        Err(_elapsed) => Err(Failure::new(Reason::Timeout, format!("no connection within {timeout:?}"))),
    }
}

async fn open(address: &Address, redis: &config::Redis, protocol: Resp) -> Result<Connected, Failure> {
    let mut connection = Connection::new(transport::open(address.route(), redis).await?);
    if let Err(failure) = log_in(&mut connection, address, protocol).await {
        return Err(transport::explained(failure, address.route(), redis.connect_timeout).await);
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
async fn log_in(connection: &mut Connection, address: &Address, protocol: Resp) -> Result<(), Failure> {
    let mut login = Pipeline::new();
    match (protocol, address.login()) {
        (Resp::V2, Some((user, password))) => {
            // Servers without HELLO may have no users either, and know the default one by no name.
            let user = Some(user).filter(|user| *user != DEFAULT_USER);
            login.cmd("AUTH").arg(user).arg(password)
        }
        (Resp::V2, None) => &mut login,
        (Resp::V3, Some((user, password))) => login.cmd("HELLO").arg(3).arg("AUTH").arg(user).arg(password),
        (Resp::V3, None) => login.cmd("HELLO").arg(3),
    };
    if address.database() != 0 {
        login.cmd("SELECT").arg(address.database());
    }
    connection.send(&login.get_packed_pipeline(), login.len(), Texts::Sizes).await?;
    for _ in 0..login.len() {
        match connection.receive().await? {
            Err(failure) if !needs_no_password(&failure) => return Err(failure),
            _ => {}
        }
    }
    Ok(())
}

/// Whether it was `HELLO`, or its protocol, that was refused.
fn lacks_resp3(failure: &Failure) -> bool {
    matches!(failure.reason, Reason::Unsupported | Reason::NoPermission) || failure.code() == Some("NOPROTO")
}

/// Whether the default user has no password, so that it is logged in already. `HELLO` takes any password then, and only
/// `AUTH` complains: before Redis 6.0 in the first of these words.
fn needs_no_password(failure: &Failure) -> bool {
    ["but no password is set", "without any password configured for the default user"]
        .iter()
        .any(|words| failure.detail.contains(words))
}
