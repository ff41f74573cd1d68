//! Everything that is served, and the bounds on what it costs.

use std::{
    collections::BTreeSet,
    hash::{DefaultHasher, Hash, Hasher},
    sync::{Arc, Mutex, Weak},
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};

use crate::{
    actions::Order, clock::Instant, config::Config, model::Name, reading::Latest, self_stats::SelfStats,
    views::MetricsPages,
};

/// Documents at once, until the last byte of each is sent: one of ten thousand streams takes tens of megabytes.
const MAX_DOCUMENTS: usize = 8;

/// Everything that is served.
pub struct ServerState {
    /// The running configuration.
    pub config: watch::Receiver<Arc<Config>>,
    /// The metrics pages.
    pub pages: watch::Receiver<Arc<MetricsPages>>,
    /// Where the polls stand.
    pub latest: watch::Receiver<Latest>,
    /// When the poll loop last turned.
    pub heartbeat: watch::Receiver<Instant>,
    /// Whether the process is about to stop.
    pub stopping: tokio_util::sync::CancellationToken,
    /// Trims that are asked for.
    pub trims: Trims,
    /// Places for the API's documents.
    pub documents: Documents,
    /// What tells the running configuration from others.
    pub fingerprint: Fingerprint,
    /// The sidecar's own metrics.
    pub stats: Arc<SelfStats>,
}

/// Tells configurations apart by all that they say: worked out once for each, since one may have thousands of rules.
#[derive(Default)]
pub struct Fingerprint(Mutex<Option<(Weak<Config>, u64)>>);

impl Fingerprint {
    /// A number that another configuration would not have.
    pub(super) fn of(&self, config: &Arc<Config>) -> u64 {
        let mut known = self.0.lock().expect("nobody panics with it");
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

/// Places for documents that are being sent.
pub struct Documents(Arc<Semaphore>);

impl Default for Documents {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(MAX_DOCUMENTS)))
    }
}

impl Documents {
    /// A place for one more, if there is one.
    pub(super) fn place(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.0).try_acquire_owned().ok()
    }
}

/// Trims that are asked for over HTTP.
pub struct Trims {
    pub(super) orders: mpsc::Sender<Order>,
    under_way: Mutex<BTreeSet<Name>>,
    /// Reads of the token's file at a time: a mount may hang, and a thread with it.
    pub(super) token: Arc<Semaphore>,
}

impl Trims {
    /// Hands orders on to who trims.
    #[must_use]
    pub fn new(orders: mpsc::Sender<Order>) -> Self {
        Self { orders, under_way: Mutex::default(), token: Arc::new(Semaphore::new(1)) }
    }

    /// A place for this stream, unless it is being trimmed already.
    pub(super) fn begin(&self, stream: &Name) -> Option<UnderWay<'_>> {
        let is_new = self.under_way.lock().expect("nobody panics with it").insert(stream.clone());
        is_new.then(|| UnderWay(self, stream.clone()))
    }
}

pub(super) struct UnderWay<'a>(&'a Trims, Name);

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.under_way.lock().expect("nobody panics with it").remove(&self.1);
    }
}
