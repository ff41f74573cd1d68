//! The state behind all routes, and the limits on what requests cost.

use std::{
    collections::BTreeSet,
    hash::{DefaultHasher, Hash, Hasher},
    sync::{Arc, Mutex, Weak},
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};

use super::attempts::Attempts;
use crate::{
    actions::Order, clock::Instant, config::Config, model::Name, operator::Job, reading::Latest,
    self_stats::SelfStats, views::MetricsPages,
};

/// Documents that are being sent at once: one of ten thousand streams takes tens of megabytes.
const MAX_DOCUMENTS: usize = 8;

/// The state behind all routes.
pub struct ServerState {
    /// The running configuration.
    pub config: watch::Receiver<Arc<Config>>,
    /// The metrics pages.
    pub pages: watch::Receiver<Arc<MetricsPages>>,
    /// The last reading, and the state of the polls.
    pub latest: watch::Receiver<Latest>,
    /// When the poll loop last turned.
    pub heartbeat: watch::Receiver<Instant>,
    /// Cancelled when the process stops.
    pub stopping: tokio_util::sync::CancellationToken,
    /// Trims requested over HTTP.
    pub trims: Trims,
    /// Who may write.
    pub gate: Gate,
    /// For the task that asks Redis on behalf of clients.
    pub jobs: mpsc::Sender<Job>,
    /// Permits for the API's documents.
    pub documents: Documents,
    /// The fingerprint of the running configuration.
    pub fingerprint: Fingerprint,
    /// The sidecar's own metrics.
    pub stats: Arc<SelfStats>,
}

impl ServerState {
    /// Whether the last reading has this stream.
    pub(super) fn is_watched(&self, stream: &Name) -> bool {
        let latest = self.latest.borrow();
        latest.reading.as_ref().is_some_and(|reading| reading.stream(stream).is_some())
    }
}

/// What the paths that write share.
pub struct Gate {
    /// One read of a token's file at a time: on a hanging mount each would block a thread.
    pub(super) reading: Arc<Semaphore>,
    pub(super) attempts: Mutex<Attempts>,
}

impl Default for Gate {
    fn default() -> Self {
        Self { reading: Arc::new(Semaphore::new(1)), attempts: Mutex::default() }
    }
}

/// The hash of a configuration, computed once for each: one may have thousands of rules.
#[derive(Default)]
pub struct Fingerprint(Mutex<Option<(Weak<Config>, u64)>>);

impl Fingerprint {
    /// The hash of this configuration.
    pub(super) fn of(&self, config: &Arc<Config>) -> u64 {
        let mut known = self.0.lock().expect("no thread panics while it holds the lock");
        if let Some((of, fingerprint)) = &*known
            && of.as_ptr() == Arc::as_ptr(config)
        {
            return *fingerprint;
        }
        let mut hasher = DefaultHasher::new();
        config.to_string().hash(&mut hasher);
        *known = Some((Arc::downgrade(config), hasher.finish()));
        hasher.finish()
    }
}

/// Permits for documents that are being sent.
pub struct Documents(Arc<Semaphore>);

impl Default for Documents {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(MAX_DOCUMENTS)))
    }
}

impl Documents {
    /// A permit for one more document, if there is one left.
    pub(super) fn place(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.0).try_acquire_owned().ok()
    }
}

/// Trims requested over HTTP.
pub struct Trims {
    pub(super) orders: mpsc::Sender<Order>,
    under_way: Mutex<BTreeSet<Name>>,
}

impl Trims {
    /// Trims that are sent to the task that trims.
    #[must_use]
    pub fn new(orders: mpsc::Sender<Order>) -> Self {
        Self { orders, under_way: Mutex::default() }
    }

    /// Marks this stream as being trimmed until the value is dropped; `None` where it is already.
    pub(super) fn begin(&self, stream: &Name) -> Option<UnderWay<'_>> {
        let is_new =
            self.under_way.lock().expect("no thread panics while it holds the lock").insert(stream.clone());
        is_new.then(|| UnderWay(self, stream.clone()))
    }
}

pub(super) struct UnderWay<'a>(&'a Trims, Name);

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.under_way.lock().expect("no thread panics while it holds the lock").remove(&self.1);
    }
}
