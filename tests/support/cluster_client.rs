//! An application's client of a cluster: it goes where a key is, and asks again where it has moved.

use std::{
    collections::BTreeMap,
    io,
    sync::{Arc, Mutex},
    thread::sleep,
    time::{Duration, Instant},
};

use redis::{
    Cmd, Connection, ConnectionLike, ErrorKind, FromRedisValue, RedisError, RedisResult, ServerErrorKind,
    Value, cmd,
};

/// A node that does not answer for so long is not waited for: a node whose failover was ordered does not answer at first.
const ANSWERS_WITHIN: Duration = Duration::from_secs(10);
/// A cluster that does not serve a key for so long fails the command.
const SERVED_WITHIN: Duration = Duration::from_secs(60);

/// Nodes that are dead or frozen: a client does not talk to them, as what it sent would be run when they thaw.
pub(super) type Asleep = Arc<Mutex<Vec<u16>>>;

/// Connections to the nodes that were needed so far.
pub struct ClusterClient {
    ports: Vec<u16>,
    asleep: Asleep,
    connections: BTreeMap<u16, Connection>,
    /// Where each key was found.
    places: BTreeMap<String, u16>,
}

impl ClusterClient {
    pub(super) const fn new(ports: Vec<u16>, asleep: Asleep) -> Self {
        Self { ports, asleep, connections: BTreeMap::new(), places: BTreeMap::new() }
    }

    /// Runs a command at the node that has the key. It is sent until it is answered, so it may be run twice where a connection
    /// breaks.
    pub fn query<T: FromRedisValue>(&mut self, key: &str, command: &Cmd) -> RedisResult<T> {
        Ok(redis::from_redis_value(self.send_until(key, &command.get_packed_command(), SERVED_WITHIN)?)?)
    }

    /// Whether the key's slot is served now.
    pub fn is_served(&mut self, key: &str) -> bool {
        self.send_until(key, &cmd("EXISTS").arg(key).get_packed_command(), Duration::ZERO).is_ok()
    }

    /// A connection to wherever this key is.
    pub fn to_key(self, key: &str) -> KeyConnection {
        KeyConnection { client: self, key: key.to_owned() }
    }

    /// Sends it to one node after the other, each of which may know who has the key, and for so long all over again.
    #[expect(clippy::disallowed_methods, reason = "tests wait against the clock")]
    fn send_until(&mut self, key: &str, packed: &[u8], patience: Duration) -> RedisResult<Value> {
        let started = Instant::now();
        let (mut port, mut is_asking) = (self.places.get(key).copied().unwrap_or(self.ports[0]), false);
        let mut others = self.ports.clone();
        loop {
            let error = match self.send(port, packed, is_asking) {
                Ok(value) => {
                    if !is_asking {
                        self.places.insert(key.to_owned(), port);
                    }
                    return Ok(value);
                }
                Err(error) => error,
            };
            is_asking = error.kind() == ErrorKind::Server(ServerErrorKind::Ask);
            if let Some(told) = redirected(&error) {
                port = told;
                continue;
            }
            if !is_passing(&error) || (others.is_empty() && started.elapsed() >= patience) {
                return Err(error);
            }
            if others.is_empty() {
                others.clone_from(&self.ports);
                sleep(Duration::from_millis(20));
            }
            port = others.pop().expect("there are nodes");
        }
    }

    fn send(&mut self, port: u16, packed: &[u8], is_asking: bool) -> RedisResult<Value> {
        if self.asleep.lock().unwrap().contains(&port) {
            return Err(io::Error::from(io::ErrorKind::ConnectionRefused).into());
        }
        let mut connection = match self.connections.remove(&port) {
            Some(connection) => connection,
            None => connect(port)?,
        };
        let mut send = || {
            if is_asking {
                cmd("ASKING").query::<()>(&mut connection)?;
            }
            connection.req_packed_command(packed)?.extract_error()
        };
        let sent = send();
        // Of a broken one an answer may still come.
        if !sent.as_ref().is_err_and(RedisError::is_io_error) {
            self.connections.insert(port, connection);
        }
        sent
    }
}

fn connect(port: u16) -> RedisResult<Connection> {
    let client = redis::Client::open(format!("redis://127.0.0.1:{port}"))?;
    let connection = client.get_connection_with_timeout(ANSWERS_WITHIN)?;
    connection.set_read_timeout(Some(ANSWERS_WITHIN))?;
    connection.set_write_timeout(Some(ANSWERS_WITHIN))?;
    Ok(connection)
}

/// The port that `MOVED` or `ASK` names. Its host may be empty.
fn redirected(error: &RedisError) -> Option<u16> {
    error.redirect_node()?.0.rsplit(':').next()?.parse().ok()
}

/// Whether it may be answered later, or elsewhere.
fn is_passing(error: &RedisError) -> bool {
    let codes = ["CLUSTERDOWN", "TRYAGAIN", "LOADING", "MASTERDOWN", "READONLY"];
    error.is_io_error() || codes.iter().any(|code| error.code() == Some(code))
}

/// A connection to wherever a key is.
pub struct KeyConnection {
    client: ClusterClient,
    key: String,
}

impl KeyConnection {
    /// Whether the key's slot is served now.
    pub fn is_served(&mut self) -> bool {
        self.client.is_served(&self.key)
    }
}

impl ConnectionLike for KeyConnection {
    fn req_packed_command(&mut self, packed: &[u8]) -> RedisResult<Value> {
        self.client.send_until(&self.key, packed, SERVED_WITHIN)
    }

    fn req_packed_commands(&mut self, _: &[u8], _: usize, _: usize) -> RedisResult<Vec<Value>> {
        Err((ErrorKind::Client, "commands go one by one to where their key is").into())
    }

    fn get_db(&self) -> i64 {
        0
    }

    fn check_connection(&mut self) -> bool {
        self.is_served()
    }

    fn is_open(&self) -> bool {
        true
    }
}
