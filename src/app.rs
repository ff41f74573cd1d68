//! The wiring of all tasks: creates them, connects them, runs them and stops them in order.

use std::{collections::BTreeMap, io, net::SocketAddr, sync::Arc, time::Duration};

use tokio::sync::{Notify, mpsc, watch};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::{
    actions::{Enforcer, Keeper, Lease, Order, Prober, StuckWork, Write},
    clock,
    config::{Config, Sources},
    http::{Documents, Fingerprint, Gate, Server, ServerState, Trims},
    notify::{Outbox, Sender, Watcher},
    operator::{Job, Operator},
    poll::{Heartbeat, Poller, Sampler, Searcher, Weigher},
    reader::Reader,
    reading::Latest,
    recorder::Untraced,
    reload::{Reloader, warn_of_ignored},
    removals,
    renderer::{Renderer, first_page},
    self_stats::SelfStats,
    signals::Signals,
    source::{Command, Details, Discovery, Link, Primaries, TickReader, Watching},
    tasks::{TaskEnded, Tasks},
    telemetry::{TelemetryError, Traces},
    worker::Worker,
};
#[cfg(feature = "otlp")]
use crate::{config::Metrics, push::Pusher, views::MetricsPages};

/// Maximum time to stop. A sidecar is often stopped after its application, with little time left.
const GRACE: Duration = Duration::from_secs(5);

/// The part of it that is reserved for sending the last traces.
const FLUSH: Duration = Duration::from_secs(2);

/// Trim requests that may wait behind a running one. Further ones are refused.
const ORDERS: usize = 8;

/// Requests about single entries that may wait behind one that is being answered. Further ones are refused.
const JOBS: usize = 8;

/// Why the process can't start or continue.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// The address can't be bound.
    #[error("cannot listen on {address}: {source}; set http.listen to a free address and port")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The system's error.
        source: io::Error,
    },
    /// No signal handler can be installed.
    #[error("cannot handle signals: {0}")]
    Signals(io::Error),
    /// No thread can be started.
    #[error("cannot start a thread: {0}")]
    Thread(io::Error),
    /// Metrics can't be sent.
    #[error(transparent)]
    Telemetry(#[from] TelemetryError),
    /// A task ended early.
    #[error(transparent)]
    Task(#[from] TaskEnded),
}

/// The sidecar's own metrics, with a label for each command that it may send.
#[must_use]
pub fn self_stats() -> Arc<SelfStats> {
    Arc::new(SelfStats::new(&[Command::LABELS, Details::LABELS, Write::LABELS, Prober::LABELS].concat()))
}

/// Runs the sidecar until a signal stops it.
///
/// # Errors
/// [`AppError`]. An unreachable Redis is not an error.
pub async fn run(config: Config, sources: Sources, traces: Traces) -> Result<(), AppError> {
    let mut signals = Signals::listen().map_err(AppError::Signals)?;
    let stop = CancellationToken::new();
    let worker = Worker::start("worker").map_err(AppError::Thread)?;
    let mut tasks = start(config, sources, &worker, &stop).await?;
    let ended = tokio::select! {
        signal = signals.stop() => {
            info!(signal, "stopping");
            Ok(())
        }
        ended = tasks.first_to_end() => {
            error!(error = %ended, "stopping");
            Err(ended.into())
        }
    };
    stop.cancel();
    tokio::select! {
        () = wind_down(tasks, traces) => {}
        signal = signals.stop_again() => warn!(signal, "stopped immediately"),
    }
    ended
}

/// Waits for the tasks to end, then uses the remaining time to send the last traces.
async fn wind_down(tasks: Tasks, traces: Traces) {
    let until = clock::now() + GRACE;
    let joined = tasks.join_all(GRACE).await;
    traces.flush(FLUSH.min(until - clock::now())).await;
    match joined {
        Ok(()) => info!("stopped"),
        Err(late) => warn!(?late, "stopped with tasks that did not end in time"),
    }
}

/// Creates and starts all tasks.
async fn start(
    config: Config,
    sources: Sources,
    worker: &Worker,
    stop: &CancellationToken,
) -> Result<Tasks, AppError> {
    warn_of_ignored(&config);
    let stats = self_stats();
    let config = Arc::new(config);
    let first_page = first_page(Arc::clone(&config), &stats);
    let (config_in, config_out) = watch::channel(Arc::clone(&config));
    let (latest_in, latest_out) = watch::channel(Latest::default());
    let (pages_in, pages_out) = watch::channel(Arc::new(first_page));
    let (orders_in, orders_out) = mpsc::channel(ORDERS);
    let (jobs_in, jobs_out) = mpsc::channel(JOBS);
    let (heartbeat_in, heartbeat_out) = watch::channel(clock::now());
    #[cfg(feature = "otlp")]
    let pusher = pusher(&config, &pages_out, &latest_out, &stats)?;
    let state = ServerState {
        config: config_out.clone(),
        pages: pages_out,
        latest: latest_out.clone(),
        heartbeat: heartbeat_out,
        stopping: stop.clone(),
        trims: Trims::new(orders_in),
        gate: Gate::default(),
        jobs: jobs_in,
        documents: Documents::default(),
        fingerprint: Fingerprint::default(),
        stats: Arc::clone(&stats),
    };
    let server = bind(&config, state).await?;

    let mut tasks = Tasks::default();
    tasks.spawn("http", server.run(stop.clone()));
    #[cfg(feature = "otlp")]
    if let Some(pusher) = pusher {
        tasks.spawn("metrics", pusher.run(stop.clone()));
    }
    let renderer = Renderer {
        config: config_out.clone(),
        latest: latest_out.clone(),
        pages: pages_in,
        stats: Arc::clone(&stats),
    };
    tasks.spawn_on(worker.handle(), "renderer", renderer.run(stop.clone()));
    let reloader = Reloader { sources, config: config_in, stats: Arc::clone(&stats) };
    tasks.spawn("reload", reloader.run(stop.clone()));
    let with_redis = WithRedis {
        config: config_out,
        orders: orders_out,
        jobs: jobs_out,
        latest: latest_in,
        latest_out,
        heartbeat: heartbeat_in,
        stats,
        stop: stop.clone(),
    };
    if config.enabled {
        with_redis.start(&mut tasks, worker);
    } else {
        info!("switched off (enabled: false): Redis is not used");
        tasks.spawn("switched off", with_redis.idle());
    }
    Ok(tasks)
}

/// The channels between the tasks with a Redis connection and the other tasks.
struct WithRedis {
    config: watch::Receiver<Arc<Config>>,
    orders: mpsc::Receiver<Order>,
    jobs: mpsc::Receiver<Job>,
    latest: watch::Sender<Latest>,
    latest_out: watch::Receiver<Latest>,
    heartbeat: Heartbeat,
    stats: Arc<SelfStats>,
    stop: CancellationToken,
}

impl WithRedis {
    fn start(self, tasks: &mut Tasks, worker: &Worker) {
        let Self { config, orders, jobs, latest, latest_out, heartbeat, stats, stop } = self;
        notify(&config, &latest_out, &stats, tasks, worker, &stop);
        let (streams_in, streams_out) = watch::channel(None);
        let (statuses_in, statuses_out) = watch::channel(Arc::default());
        let search_now = Arc::new(Notify::new());
        let searcher = Searcher {
            discovery: Discovery::new(Link::new(Arc::clone(&stats))),
            config: config.clone(),
            streams: streams_in,
            search_now: Arc::clone(&search_now),
            stats: Arc::clone(&stats),
        };
        tasks.spawn_on(worker.handle(), "discovery", searcher.run(stop.clone()));
        let (removals_in, removals_out) = removals::channel();
        let keeper = Keeper {
            enforcer: Enforcer::new(Arc::clone(&stats)).reporting_to(removals_in),
            lease: Lease::new(&config.borrow()),
            stuck_work: StuckWork::new(Details::new(Link::new(Arc::clone(&stats)))),
            config: config.clone(),
            streams: Watching::new(streams_out.clone()),
            orders,
            retention_statuses: statuses_in,
            failing: BTreeMap::new(),
            stats: Arc::clone(&stats),
        };
        tasks.spawn("retention", keeper.run(stop.clone()));
        tasks.spawn("operator", operator(&config, jobs, &stats).run(stop.clone()));
        // On connections of their own. Not on the worker: a poll keeps it busy for longer than a tick, and that would count as Redis's time.
        let link = || Link::new(Arc::new(Untraced(Arc::clone(&stats))));
        let (report_in, report_out) = watch::channel(Arc::default());
        let sampler = Sampler {
            reader: TickReader::new(link()),
            config: config.clone(),
            streams: Watching::new(streams_out.clone()),
            report: report_in,
            stats: Arc::clone(&stats),
        };
        tasks.spawn("sampler", sampler.run(stop.clone()));
        let primaries = Primaries::new(link());
        tasks.spawn("probe", Prober::new(primaries, config.clone(), Arc::clone(&stats)).run(stop.clone()));
        let (weights, weights_out) = watch::channel(Arc::default());
        let weigher =
            Weigher { details: Details::new(link()), config: config.clone(), latest: latest_out, weights };
        tasks.spawn("memory", weigher.run(stop.clone()));
        let reader = Reader::new(Link::new(Arc::clone(&stats))).of_replicas().within_budget();
        let poller = Poller {
            reader: reader
                .beside_retention(removals_out, statuses_out)
                .beside_sampler(report_out)
                .beside_weigher(weights_out),
            config,
            streams: Watching::new(streams_out),
            latest,
            heartbeat,
            search_now,
            stats,
        };
        tasks.spawn_on(worker.handle(), "poll", poller.run(stop));
    }

    /// Keeps the channels open, since the tasks that would own them are not started.
    async fn idle(self) {
        self.stop.cancelled().await;
    }
}

fn operator(
    config: &watch::Receiver<Arc<Config>>,
    jobs: mpsc::Receiver<Job>,
    stats: &Arc<SelfStats>,
) -> Operator {
    Operator {
        details: Details::new(Link::new(Arc::clone(stats))),
        enforcer: Enforcer::new(Arc::clone(stats)),
        config: config.clone(),
        jobs,
        stats: Arc::clone(stats),
    }
}

/// Starts the tasks that find changes and send them to the webhook.
fn notify(
    config: &watch::Receiver<Arc<Config>>,
    latest: &watch::Receiver<Latest>,
    stats: &Arc<SelfStats>,
    tasks: &mut Tasks,
    worker: &Worker,
    stop: &CancellationToken,
) {
    let outbox = Arc::new(Outbox::new(Arc::clone(stats)));
    let watcher = Watcher { config: config.clone(), latest: latest.clone(), outbox: Arc::clone(&outbox) };
    tasks.spawn_on(worker.handle(), "changes", watcher.run(stop.clone()));
    tasks.spawn("webhook", Sender { config: config.clone(), outbox }.run(stop.clone()));
}

/// The task that sends metrics, if the configuration asks for it.
#[cfg(feature = "otlp")]
fn pusher(
    config: &Config,
    pages: &watch::Receiver<Arc<MetricsPages>>,
    latest: &watch::Receiver<Latest>,
    stats: &Arc<SelfStats>,
) -> Result<Option<Pusher>, TelemetryError> {
    let Metrics::On(metrics) = &config.telemetry.metrics else { return Ok(None) };
    let port = config.http.listen.port();
    Pusher::new(metrics, port, pages.clone(), latest.clone(), Arc::clone(stats)).map(Some)
}

async fn bind(config: &Config, state: ServerState) -> Result<Server, AppError> {
    let address = config.http.listen;
    let listen = |source| AppError::Listen { address, source };
    let server = Server::bind(address, state).await.map_err(listen)?;
    let bound = server.address().map_err(listen)?;
    info!(version = env!("CARGO_PKG_VERSION"), listen = %bound, "started");
    Ok(server)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::views::FAMILIES;

    #[test]
    fn every_registered_metric_is_in_the_table_of_families() {
        let gathered = self_stats().gather();
        for family in &gathered {
            assert!(FAMILIES.iter().any(|of| of.name == family.name()), "{}", family.name());
        }
        assert!(gathered.len() > 30, "{}", gathered.len());
    }
}
