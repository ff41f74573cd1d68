//! Makes a connection: address, TLS, login, protocol.

use redis::Pipeline;

use super::{
    Recorder,
    connection::Connection,
    failure::{needs_no_password, without_password},
    files,
    resp::Texts,
    sentinel::Sentinels,
    transport,
};
use crate::{
    config::{self, Address, DEFAULT_USER, Endpoint, Resp, Route, without_effect},
    model::{Class, Failure, NodeAddress, Reason},
};

/// A connection that is logged in, with the database that it selected.
pub(super) struct Connected {
    pub(super) connection: Connection,
    pub(super) protocol: Resp,
    pub(super) database: i64,
    pub(super) endpoint: Endpoint,
    pub(super) is_tls: bool,
    /// The server's address, without a login.
    pub(super) place: String,
    pub(super) is_upstash: bool,
    pub(super) is_default_user: bool,
}

/// Connects within the configured time. Reads secrets and certificates and resolves names each time, so that rotated ones
/// are used. `node` is the node of a cluster to connect to, in place of the server of the address. `known` is the protocol of the
/// connection before. If the address names Sentinels, they name the server.
///
/// # Errors
/// Why there is no connection.
pub(super) async fn connect(
    redis: &config::Redis,
    node: Option<&NodeAddress>,
    known: Option<Resp>,
    sentinels: &mut Sentinels,
    recorder: &dyn Recorder,
) -> Result<Connected, Failure> {
    let timeout = redis.connect_timeout;
    let mut place = None;
    let attempt = async {
        let address = address(redis).await?;
        let place = place.insert(address.to_string());
        if let Some((key, what)) = without_effect(&address, &redis.tls, &redis.sentinel).next() {
            return Err(Failure::new(Reason::Address, format!("redis.{key} {what}")));
        }
        let address = match (node, address.service()) {
            (Some(node), _) => address.at(node.clone()),
            (None, None) => {
                sentinels.clear();
                address
            }
            (None, Some(service)) => {
                let primary = sentinels.primary(service, redis).await?;
                address.at(primary)
            }
        };
        *place = address.to_string();
        recorder.connecting_to(&address.endpoint());
        // A frozen primary accepts connections, and never answers. Its successor does not wait for the timeout.
        tokio::select! {
            biased;
            connected = log_in_to(&address, redis, known) => connected,
            failure = sentinels.name_another_meanwhile(redis) => Err(failure),
        }
    };
    let no_connection = |_elapsed| Failure::new(Reason::Timeout, format!("no connection within {timeout:?}"));
    let connected = tokio::time::timeout(timeout, attempt).await.map_err(no_connection).flatten();
    connected.map_err(|failure| match &place {
        Some(place) => failure.at(place),
        None => failure,
    })
}

/// Connects to this server, with the protocol that it speaks.
async fn log_in_to(
    address: &Address,
    redis: &config::Redis,
    known: Option<Resp>,
) -> Result<Connected, Failure> {
    // The Sentinels have named the server.
    let Some(route) = address.route() else { return Err(Failure::new(Reason::Address, "names no server")) };
    let first = match open(address, route, redis, address.protocol().or(known).unwrap_or(Resp::V3)).await {
        Ok(connected) => return Ok(connected),
        Err(failed) => failed.explained(route, redis).await,
    };
    if address.protocol().is_some() || !first.may_be_of_hello(known) {
        return Err(first.into_failure());
    }
    match open(address, route, redis, Resp::V2).await {
        Ok(connected) => Ok(connected),
        Err(Failed::Said(failure)) => Err(failure),
        // RESP2 does not work either, so the first failure is the better explanation.
        Err(Failed::Lost(_)) => Err(first.into_failure()),
    }
}

/// The address and the login, read from files where the configuration names files.
async fn address(redis: &config::Redis) -> Result<Address, Failure> {
    let access = redis.access.clone();
    let has_files = access.files().next().is_some();
    let address = if has_files {
        files::read(redis.connect_timeout, move || access.address()).await?
    } else {
        access.address()
    };
    address.map_err(|problems| Failure::new(Reason::Address, format!("{problems:#}")))
}

/// Why there is no connection.
enum Failed {
    /// The server replied with this.
    Said(Failure),
    /// There was no reply.
    Lost(Failure),
}

impl Failed {
    fn into_failure(self) -> Failure {
        match self {
            Self::Said(failure) | Self::Lost(failure) => failure,
        }
    }

    /// The server may speak TLS, which would explain that it did not reply.
    async fn explained(self, route: &Route, redis: &config::Redis) -> Self {
        match self {
            Self::Lost(failure) => {
                Self::Lost(transport::explained(failure, route, redis.connect_timeout).await)
            }
            other => other,
        }
    }

    /// Whether `HELLO` may be what was refused. Proxies and services without RESP3 reply with errors of their own, or close
    /// the connection. `known` is the protocol of the connection before.
    fn may_be_of_hello(&self, known: Option<Resp>) -> bool {
        match self {
            // Some failures are the same in any protocol, and some servers lock out clients that fail too often.
            Self::Said(failure) => {
                let is_final =
                    matches!(failure.reason, Reason::WrongPassword | Reason::MaxClients | Reason::Protected)
                        || failure.class() == Class::Server;
                !is_final && known != Some(Resp::V2)
            }
            Self::Lost(failure) => {
                known.is_none() && matches!(failure.reason, Reason::Closed | Reason::Protocol)
            }
        }
    }
}

async fn open(
    address: &Address,
    route: &Route,
    redis: &config::Redis,
    protocol: Resp,
) -> Result<Connected, Failed> {
    let transport = transport::open(route, redis).await.map_err(Failed::Lost)?;
    let mut connection = Connection::new(transport);
    log_in(&mut connection, address, protocol).await?;
    Ok(Connected {
        connection,
        protocol,
        database: address.database(),
        endpoint: address.endpoint(),
        is_tls: address.is_tls(),
        place: address.to_string(),
        is_upstash: address.is_upstash(),
        is_default_user: address.login().is_none_or(|(user, _)| user == DEFAULT_USER),
    })
}

/// The failure of a login, with the address's database as the cause if the server does not have it. A cluster has database 0
/// only, except for Valkey 9 with `cluster-databases`.
fn of_database(failure: Failure, database: i64) -> Failure {
    let words = failure.detail.to_ascii_lowercase();
    let is_cluster = words.contains("select is not allowed in cluster mode");
    if database == 0 || !(is_cluster || words.contains("db index is out of range")) {
        return failure;
    }
    let meaning = if is_cluster {
        "a cluster has database 0 only; leave the database out of the address (redis.uri)"
    } else {
        "the server has fewer databases (`databases`; in a cluster of Valkey 9 `cluster-databases`); correct it in the address"
    };
    Failure::new(
        Reason::Address,
        format!("{}: database {database} of the address: {meaning}", failure.detail),
    )
}

/// Chooses the protocol, logs in, and selects the database.
async fn log_in(connection: &mut Connection, address: &Address, protocol: Resp) -> Result<(), Failed> {
    let mut login = Pipeline::new();
    match (protocol, address.login()) {
        (Resp::V2, Some((user, password))) => {
            // Servers without HELLO may have no users either, not even `default`.
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
    let packed = login.get_packed_pipeline();
    connection.send(&packed, login.len(), 0).await.map_err(Failed::Lost)?;
    for _ in 0..login.len() {
        match connection.receive(Texts::Sizes).await.map_err(Failed::Lost)? {
            Err(failure) if !needs_no_password(&failure) => {
                let failure = of_database(failure, address.database());
                let password = address.login().map_or("", |(_, password)| password);
                return Err(Failed::Said(without_password(failure, password)));
            }
            _ => {}
        }
    }
    Ok(())
}
