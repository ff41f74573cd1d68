//! A task's own connection to Redis, which reconnects after outages.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use redis::{
    AsyncConnectionConfig, Client, Cmd, ErrorKind, FromRedisValue, RedisError, RedisResult,
    aio::MultiplexedConnection, cluster::ClusterClient, cluster_async::ClusterConnection,
};

/// Longer than any command blocks.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(5);
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(1);
/// Redirections that the cluster client follows by itself, so that an outage is the link's to wait for.
const REDIRECTIONS: u32 = 3;
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// The server or cluster that all tasks share. An outage affects all of them, and is logged once.
pub(crate) struct Redis {
    client: AnyClient,
    waiting: AtomicUsize,
}

#[expect(clippy::large_enum_variant, reason = "a program has only one")]
enum AnyClient {
    Server(Client),
    Cluster(ClusterClient),
}

enum Connection {
    Server(MultiplexedConnection),
    Cluster(ClusterConnection),
}

impl Redis {
    pub(crate) fn server(uri: &str) -> RedisResult<Self> {
        Ok(Self::new(AnyClient::Server(Client::open(uri)?)))
    }

    /// A cluster with these nodes, any of which is enough.
    pub(crate) fn cluster<'a>(uris: impl IntoIterator<Item = &'a str>) -> RedisResult<Self> {
        let builder = ClusterClient::builder(uris)
            .connection_timeout(CONNECTION_TIMEOUT)
            .response_timeout(RESPONSE_TIMEOUT)
            .retries(REDIRECTIONS);
        Ok(Self::new(AnyClient::Cluster(builder.build()?)))
    }

    fn new(client: AnyClient) -> Self {
        Self { client, waiting: AtomicUsize::new(0) }
    }

    async fn connect(&self) -> RedisResult<Connection> {
        match &self.client {
            AnyClient::Server(client) => {
                let config = AsyncConnectionConfig::new().set_response_timeout(Some(RESPONSE_TIMEOUT));
                client.get_multiplexed_async_connection_with_config(&config).await.map(Connection::Server)
            }
            AnyClient::Cluster(client) => client.get_async_connection().await.map(Connection::Cluster),
        }
    }

    fn lost(&self, error: &RedisError) {
        if self.waiting.fetch_add(1, Relaxed) == 0 {
            match &self.client {
                AnyClient::Server(client) => {
                    eprintln!("nexus: waiting for Redis at {}: {error}", client.get_connection_info().addr());
                }
                AnyClient::Cluster(_) => eprintln!("nexus: waiting for the cluster: {error}"),
            }
        }
    }

    fn found(&self) {
        if self.waiting.fetch_sub(1, Relaxed) == 1 {
            eprintln!("nexus: Redis answers");
        }
    }
}

impl Connection {
    async fn query<T: FromRedisValue>(&mut self, command: &Cmd) -> RedisResult<T> {
        match self {
            Self::Server(connection) => command.query_async(connection).await,
            Self::Cluster(connection) => command.query_async(connection).await,
        }
    }
}

pub(crate) struct Link {
    redis: Arc<Redis>,
    connection: Option<Connection>,
    failures: u32,
}

impl Link {
    pub(crate) fn new(redis: Arc<Redis>) -> Self {
        Self { redis, connection: None, failures: 0 }
    }

    /// Sends a command, and connects first if necessary.
    pub(crate) async fn query<T: FromRedisValue>(&mut self, command: &Cmd) -> RedisResult<T> {
        let connection = match &mut self.connection {
            Some(connection) => connection,
            None => self.connection.insert(self.redis.connect().await?),
        };
        let reply = connection.query(command).await;
        if !reply.as_ref().is_err_and(passes) {
            self.recovered();
        }
        reply
    }

    fn recovered(&mut self) {
        if self.failures > 1 {
            self.redis.found();
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
            self.redis.lost(&error);
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
        || error.kind() == ErrorKind::ClusterConnectionNotFound
        || matches!(
            error.code(),
            Some(
                "LOADING"
                    | "MASTERDOWN"
                    | "READONLY"
                    | "MISCONF"
                    | "NOREPLICAS"
                    | "OOM"
                    | "TRYAGAIN"
                    | "CLUSTERDOWN"
                    | "MOVED"
                    | "ASK"
            )
        )
}
