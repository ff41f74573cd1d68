//! The bench: how many entries a second a server takes and returns, on a stream of its own.
//!
//! It runs only where it was asked for. It must do no harm to others: it is refused where its entries could evict keys or fill the
//! memory, and ends as soon as that has changed. It must leave nothing behind: the stream is made by a script that lets it expire, no later
//! command can make it again, and it is removed at the end.

mod command;
mod latencies;
mod load;
mod measured;
mod room;

use std::{sync::Arc, time::Duration};

use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::Span;

use crate::{
    clock,
    config::{BENCH_PREFIX, Config, Endpoint},
    model::{Failure, Flavour, Info, Millis, NodeAddress, Reason, Server},
    source::{Link, Primaries, Recorder, Session, reply},
};
use command::BenchCommand;
pub use latencies::Latencies;
use load::{Job, gone, one};
pub use measured::{Measured, Test};
use room::has_room;

/// Connections that send requests at the same time.
const CONNECTIONS: usize = 16;
/// Bytes that the stream may take: enough for tens of thousands of usual entries.
const STREAM_BYTES: u64 = 16 * 1024 * 1024;
/// Bytes below `maxmemory` that are left to others in any case.
const SPARE_BYTES: u64 = 4 * 1024 * 1024;
/// What an entry takes beside its payload, and a quarter of that, which allocators may add.
const ENTRY_BYTES: u64 = 128;
/// The key lives for so long after it was last renewed.
const LIFE: Duration = Duration::from_secs(10);
const BETWEEN_RENEWALS: Duration = Duration::from_millis(500);
/// Without it a command that is late could make the stream again, without an end.
const NOMKSTREAM_SINCE: (u16, u16, u16) = (6, 2, 0);

/// What is asked for.
#[derive(Debug, Clone, Copy)]
pub struct BenchOrder {
    /// How long all tests take together.
    pub duration: Duration,
    /// Bytes of an entry's payload.
    pub size: u32,
}

impl BenchOrder {
    /// Entries that the stream may hold.
    fn length(self) -> u64 {
        STREAM_BYTES / (u64::from(self.size) * 5 / 4 + ENTRY_BYTES)
    }

    /// Bytes that must be free below `maxmemory`: the stream, twice the commands under way, and what is left to others.
    fn needs(self) -> u64 {
        let at_once = u64::try_from(CONNECTIONS * Test::PIPELINE).unwrap_or(u64::MAX);
        STREAM_BYTES + 2 * at_once * (u64::from(self.size) + ENTRY_BYTES) + SPARE_BYTES
    }
}

/// Why there are no figures.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// It would do harm, or that can't be ruled out.
    #[error("the bench is refused: {0}")]
    Refused(String),
    /// Something failed.
    #[error("{0}")]
    Failed(#[from] Failure),
    /// It was asked to end. The stream is removed.
    #[error("the bench was interrupted; its stream was removed")]
    Interrupted,
    /// The stream could not be removed.
    #[error("{key} could not be removed: {failure}. It expires within {LIFE:?}")]
    Left {
        /// The stream.
        key: String,
        /// Why.
        failure: Failure,
    },
}

/// A bench on a server that was checked.
pub struct Bench {
    order: BenchOrder,
    key: String,
    node: Option<NodeAddress>,
    is_local: bool,
    /// The connection that makes, renews and removes the stream.
    keeper: Link,
    workers: Vec<Link>,
}

impl Bench {
    /// Connections that send requests at the same time.
    pub const CONNECTIONS: usize = CONNECTIONS;

    /// Connects to the server, or to one primary of the cluster, and checks whether a bench may run there. Nothing is written.
    ///
    /// # Errors
    /// Why there is no connection, or why it may not.
    pub async fn prepare(config: &Config, order: BenchOrder) -> Result<Self, BenchError> {
        if config.redis.billed_by_command {
            return Err(BenchError::Refused(BILLED.to_owned()));
        }
        let mut primaries = Primaries::new(Link::new(Arc::new(Unrecorded)));
        let primary = primaries.arrange(config).await?.into_iter().next();
        let primary = primary.ok_or_else(|| Failure::new(Reason::ClusterDown, "no primary has slots"))?;
        let tag = primary.tag.map(|tag| format!(":{{{tag}}}")).unwrap_or_default();
        let key = format!("{BENCH_PREFIX}{:016x}{tag}", fastrand::u64(..));
        let mut keeper = primary.pair.working.another();
        let session = keeper.session(&config.redis).await?;
        may_be_measured(session).map_err(BenchError::Refused)?;
        has_room(&memory(session).await?, order.needs()).map_err(BenchError::Refused)?;
        let is_local = session.node_address().is_local();
        keeper.confirm_primary(&config.redis).await?;
        let workers = (0..CONNECTIONS).map(|_| keeper.another()).collect();
        Ok(Self { order, key, node: primary.node, is_local, keeper, workers })
    }

    /// Whether the server is on this machine.
    #[must_use]
    pub const fn is_local(&self) -> bool {
        self.is_local
    }

    /// The node of the cluster; `None` for a server that is no node of one.
    #[must_use]
    pub const fn node(&self) -> Option<&NodeAddress> {
        self.node.as_ref()
    }

    /// Runs all tests and removes the stream, also if it is stopped early.
    ///
    /// # Errors
    /// What failed. Then there are no figures.
    pub async fn run(
        mut self,
        config: &Config,
        stop: &CancellationToken,
    ) -> Result<Vec<Measured>, BenchError> {
        self.create(config).await?;
        let measured = self.measure(config, stop).await;
        match self.remove(config).await {
            Ok(()) => measured,
            Err(failure) => Err(BenchError::Left { key: self.key, failure }),
        }
    }

    async fn create(&mut self, config: &Config) -> Result<(), BenchError> {
        let session = self.keeper.session(&config.redis).await?;
        let made = one(session, BenchCommand::Create(&self.key, Millis::from(LIFE).get())).await;
        self.keeper.after(&made);
        match reply::count(&made?)? {
            0 => Err(BenchError::Refused(format!("there is a key {} already, which is another's", self.key))),
            _ => Ok(()),
        }
    }

    async fn measure(
        &mut self,
        config: &Config,
        stop: &CancellationToken,
    ) -> Result<Vec<Measured>, BenchError> {
        let over = stop.child_token();
        let (order, redis, key) = (self.order, &config.redis, self.key.as_str());
        let payload: String = (0..order.size).map(|_| fastrand::alphanumeric()).collect();
        let payload = payload.as_bytes();
        let (workers, over) = (&mut self.workers, &over);
        let tests = async {
            connect(workers, config).await?;
            let mut measured = Vec::new();
            for test in Test::ALL {
                let until = clock::now() + order.duration / Test::COUNT;
                let job = Job { redis, key, length: order.length(), payload, test, until, over };
                measured.push(job.run(workers).await?);
                if over.is_cancelled() {
                    return Err(BenchError::Interrupted);
                }
            }
            Ok(measured)
        };
        let tests = async {
            let measured = tests.await;
            over.cancel();
            measured
        };
        let (measured, kept) = tokio::join!(tests, keep(&mut self.keeper, config, key, over));
        kept.and(measured)
    }

    async fn remove(&mut self, config: &Config) -> Result<(), Failure> {
        let session = self.keeper.session(&config.redis).await?;
        let removed = one(session, BenchCommand::Remove(&self.key)).await;
        self.keeper.after(&removed);
        removed.map(drop)
    }
}

/// Connects all of them before the first test.
async fn connect(workers: &mut [Link], config: &Config) -> Result<(), Failure> {
    for worker in workers {
        // A name may lead to several servers.
        worker.session(&config.redis).await?.may_be_written()?;
    }
    Ok(())
}

/// Keeps the stream alive, and looks whether it may still do no harm, until it is over.
async fn keep(
    keeper: &mut Link,
    config: &Config,
    key: &str,
    over: &CancellationToken,
) -> Result<(), BenchError> {
    loop {
        tokio::select! {
            biased;
            () = over.cancelled() => return Ok(()),
            () = sleep(BETWEEN_RENEWALS) => {}
        }
        let renewed = renew(keeper, config, key).await;
        if let Err(BenchError::Failed(failure)) = &renewed {
            keeper.after::<()>(&Err(failure.clone()));
        }
        if renewed.is_err() {
            over.cancel();
            return renewed;
        }
    }
}

async fn renew(keeper: &mut Link, config: &Config, key: &str) -> Result<(), BenchError> {
    let session = keeper.session(&config.redis).await?;
    let renewed = one(session, BenchCommand::Expire(key, Millis::from(LIFE).get())).await?;
    if reply::count(&renewed)? == 0 {
        return Err(gone().into());
    }
    has_room(&memory(session).await?, SPARE_BYTES)
        .map_err(|why| BenchError::Refused(format!("it has ended early, since {why}")))
}

async fn memory(session: &mut Session) -> Result<Info, Failure> {
    reply::info_fields(&one(session, BenchCommand::Memory).await?)
}

const BILLED: &str =
    "each command is billed (redis.billed_by_command), and it would send hundreds of thousands";

/// Whether the server is one to measure.
fn may_be_measured(session: &Session) -> Result<(), String> {
    let Server { flavour, version, .. } = &session.server;
    if *flavour == Flavour::Upstash {
        return Err(BILLED.to_owned());
    }
    session.may_be_written().map_err(|failure| failure.detail.to_string())?;
    let lacks_it = *flavour == Flavour::Redis && version.is_none_or(|version| version < NOMKSTREAM_SINCE);
    if lacks_it {
        return Err("it needs Redis 6.2 or later: an earlier one has no XADD NOMKSTREAM, without which a late command could \
                    make the stream again after its end"
            .to_owned());
    }
    Ok(())
}

/// Requests of a bench are in no metrics, traces or logs: there are too many.
struct Unrecorded;

impl Recorder for Unrecorded {
    fn connecting(&self) -> Span {
        Span::none()
    }

    fn connecting_to(&self, _server: &Endpoint) {}

    fn connected(&self) {}

    fn sending(&self, _commands: &[&'static str], _server: &Endpoint, _database: i64) -> Span {
        Span::none()
    }

    fn failed(&self, _span: &Span, _failure: &Failure) {}

    fn redirected(&self, _kind: &'static str) {}

    fn refused(&self, _command: &'static str, _failure: &Failure) {}
}
