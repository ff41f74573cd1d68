//! A task's own connection to Redis, which outlives the server's absences.

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

/// Longer than any command may block.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(5);
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// The server that all tasks share. An outage strikes them all, and is told once.
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

    /// Sends a command, once there is a connection.
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

    /// Waits before another attempt with a new connection. Gives the error back if it will not pass by itself.
    pub(crate) async fn recover(&mut self, error: RedisError) -> RedisResult<()> {
        if !passes(&error) {
            return Err(error);
        }
        self.connection = None;
        self.failures = self.failures.saturating_add(1);
        // The first failure may be no more than the end of a connection.
        if self.failures == 2 {
            self.server.lost(&error);
        }
        tokio::time::sleep(pause(self.failures)).await;
        Ok(())
    }
}

/// Doubles with each failure. The tasks that lost the server together do not all return at once.
fn pause(failures: u32) -> Duration {
    let longest = FIRST_PAUSE.saturating_mul(1 << failures.saturating_sub(1).min(10)).min(LONGEST_PAUSE);
    longest.mul_f64(0.5 + fastrand::f64() / 2.0)
}

/// The server is away, or is there and cannot do its work for now.
fn passes(error: &RedisError) -> bool {
    error.is_io_error()
        || matches!(
            error.code(),
            Some("LOADING" | "MASTERDOWN" | "READONLY" | "MISCONF" | "NOREPLICAS" | "OOM" | "TRYAGAIN")
        )
}
