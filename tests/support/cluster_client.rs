//! An application's client of a cluster: it goes where a key is, and asks again where it has moved.

use std::{
    collections::BTreeMap,
    thread::sleep,
    time::{Duration, Instant},
};

use redis::{Cmd, Connection, ErrorKind, FromRedisValue, RedisError, RedisResult, ServerErrorKind};

/// A node that does not answer for so long is not waited for.
const ANSWERS_WITHIN: Duration = Duration::from_secs(1);
/// A cluster that does not serve a key for so long fails the command.
const SERVED_WITHIN: Duration = Duration::from_secs(60);

/// Connections to the nodes that were needed so far.
pub struct ClusterClient {
    ports: Vec<u16>,
    connections: BTreeMap<u16, Connection>,
    /// Where each key was found.
    places: BTreeMap<String, u16>,
}

impl ClusterClient {
    pub(super) const fn new(ports: Vec<u16>) -> Self {
        Self { ports, connections: BTreeMap::new(), places: BTreeMap::new() }
    }

    /// Runs a command at the node that has the key. It is sent again where it was not run; where that is unknown, as after a
    /// broken connection, the error is returned.
    pub fn query<T: FromRedisValue>(&mut self, key: &str, command: &Cmd) -> RedisResult<T> {
        self.query_until(key, command, |_| true)
    }

    /// The same for what may be run twice, such as what only reads: it is sent until it is answered.
    pub fn query_again<T: FromRedisValue>(&mut self, key: &str, command: &Cmd) -> RedisResult<T> {
        self.query_until(key, command, |_| false)
    }

    #[expect(clippy::disallowed_methods, reason = "tests wait against the clock")]
    fn query_until<T: FromRedisValue>(
        &mut self,
        key: &str,
        command: &Cmd,
        ends: impl Fn(&RedisError) -> bool,
    ) -> RedisResult<T> {
        let started = Instant::now();
        let (mut port, mut is_asking) = (self.places.get(key).copied().unwrap_or(self.ports[0]), false);
        loop {
            let error = match self.send(port, command, is_asking) {
                Ok(value) => {
                    if !is_asking {
                        self.places.insert(key.to_owned(), port);
                    }
                    return Ok(value);
                }
                Err(error) => error,
            };
            is_asking = error.kind() == ErrorKind::Server(ServerErrorKind::Ask);
            let told =
                error.redirect_node().and_then(|(address, _)| address.rsplit(':').next()?.parse().ok());
            if let Some(told) = told {
                port = told;
                continue;
            }
            let is_refused = error.is_connection_refusal() || is_not_served(&error);
            if (!is_refused && ends(&error)) || started.elapsed() > SERVED_WITHIN {
                return Err(error);
            }
            // Another one may know who has it.
            port = self.after(port);
            sleep(Duration::from_millis(20));
        }
    }

    fn send<T: FromRedisValue>(&mut self, port: u16, command: &Cmd, is_asking: bool) -> RedisResult<T> {
        let mut connection = match self.connections.remove(&port) {
            Some(connection) => connection,
            None => connect(port)?,
        };
        let sent = match is_asking {
            true => redis::pipe().cmd("ASKING").ignore().add_command(command.clone()).query(&mut connection),
            false => command.query::<T>(&mut connection).map(|value| (value,)),
        };
        if !sent.as_ref().is_err_and(is_broken) {
            self.connections.insert(port, connection);
        }
        sent.map(|(value,)| value)
    }

    fn after(&self, port: u16) -> u16 {
        let index = self.ports.iter().position(|it| *it == port).unwrap_or_default();
        self.ports[(index + 1) % self.ports.len()]
    }
}

fn connect(port: u16) -> RedisResult<Connection> {
    let client = redis::Client::open(format!("redis://127.0.0.1:{port}"))?;
    let connection = client.get_connection_with_timeout(ANSWERS_WITHIN)?;
    connection.set_read_timeout(Some(ANSWERS_WITHIN))?;
    connection.set_write_timeout(Some(ANSWERS_WITHIN))?;
    Ok(connection)
}

/// Whether the connection can't be used again: an answer may still come.
fn is_broken(error: &RedisError) -> bool {
    error.is_io_error() || error.is_timeout() || error.is_connection_dropped()
}

/// Whether a node refuses now what it, or another one, may do later.
fn is_not_served(error: &RedisError) -> bool {
    ["CLUSTERDOWN", "TRYAGAIN", "LOADING", "MASTERDOWN", "READONLY"]
        .iter()
        .any(|code| error.code() == Some(code))
}
