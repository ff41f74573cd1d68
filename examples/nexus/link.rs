//! A task's own connection to Redis, which reconnects after outages.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use redis::{
    AsyncConnectionConfig, Client, Cmd, FromRedisValue, RedisError, RedisResult, aio::MultiplexedConnection,
};

/// Longer than any command blocks.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(5);
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// The server that all tasks share. An outage affects all of them, and is logged once.
pub(crate) struct Server {
    client: Client,
    waiting: AtomicUsize,
}

impl Server {
    pub(crate) fn new(uri: &str) -> RedisResult<Self> {
        Ok(Self { client: Client::open(uri)?, waiting: AtomicUsize::new(0) })
    }

    async fn connect(&self) -> RedisResult<MultiplexedConnection> {
        let config = AsyncConnectionConfig::new().set_response_timeout(Some(RESPONSE_TIMEOUT));
        self.client.get_multiplexed_async_connection_with_config(&config).await
    }

    fn lost(&self, error: &RedisError) {
        if self.waiting.fetch_add(1, Relaxed) == 0 {
            eprintln!("nexus: waiting for Redis at {}: {error}", self.client.get_connection_info().addr());
        }
    }

    fn found(&self) {
        if self.waiting.fetch_sub(1, Relaxed) == 1 {
            eprintln!("nexus: Redis answers");
        }
    }
}

pub(crate) struct Link {
    server: Arc<Server>,
    connection: Option<MultiplexedConnection>,
    failures: u32,
}

impl Link {
    pub(crate) fn new(server: Arc<Server>) -> Self {
        Self { server, connection: None, failures: 0 }
    }

    /// Sends a command, and connects first if necessary.
    pub(crate) async fn query<T: FromRedisValue>(&mut self, command: &Cmd) -> RedisResult<T> {
        let connection = match &mut self.connection {
            Some(connection) => connection,
            None => self.connection.insert(self.server.connect().await?),
        };
        let reply = command.query_async(connection).await;
        if !reply.as_ref().is_err_and(passes) {
            self.recovered();
        }
        reply
    }

    fn recovered(&mut self) {
        if self.failures > 1 {
            self.server.found();
        }
        self.failures = 0;
    }

    /// Waits before the next attempt with a new connection. Returns the error if retrying does not help.
    pub(crate) async fn recover(&mut self, error: RedisError) -> RedisResult<()> {
        if !passes(&error) {
            return Err(error);
        }
        self.connection = None;
        self.failures = self.failures.saturating_add(1);
        // A single failure may just be a closed connection.
        if self.failures == 2 {
            self.server.lost(&error);
        }
        tokio::time::sleep(pause(self.failures)).await;
        Ok(())
    }
}

/// Doubles with each failure. Jitter keeps the tasks from returning to the server all at once.
fn pause(failures: u32) -> Duration {
    let longest = FIRST_PAUSE.saturating_mul(1 << failures.saturating_sub(1).min(10)).min(LONGEST_PAUSE);
    longest.mul_f64(0.5 + fastrand::f64() / 2.0)
}

/// Whether the server is unreachable, or can't do its work for now.
fn passes(error: &RedisError) -> bool {
    error.is_io_error()
        || matches!(
            error.code(),
            Some("LOADING" | "MASTERDOWN" | "READONLY" | "MISCONF" | "NOREPLICAS" | "OOM" | "TRYAGAIN")
        )
}
