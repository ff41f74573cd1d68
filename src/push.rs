//! Sends the metrics of `/metrics` to a collector over OTLP, for those without a scraper.
//!
//! Each export has all values, so a failed one is not repeated: the next one replaces it. Nothing waits meanwhile, and
//! neither polls nor the stop of the process wait for the collector.

use std::sync::Arc;

use tokio::{
    sync::watch,
    task::spawn_blocking,
    time::{sleep_until, timeout},
};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::{
    clock,
    config::MetricsExport,
    outage::{News, Outage},
    reading::Latest,
    schedule::Schedule,
    self_stats::SelfStats,
    telemetry::{MetricsSender, SendError, TelemetryError, resource},
    views::{MetricsPages, Origin},
};

/// The task that sends metrics.
pub(crate) struct Pusher {
    config: MetricsExport,
    sender: MetricsSender,
    origin: Arc<Origin>,
    pages: watch::Receiver<Arc<MetricsPages>>,
    latest: watch::Receiver<Latest>,
    stats: Arc<SelfStats>,
}

impl Pusher {
    /// Creates the task. `port` is the one of HTTP, which tells sidecars of one host apart. Must be called within the Tokio runtime that
    /// runs it.
    ///
    /// # Errors
    /// What is wrong with the endpoint or the certificates.
    pub(crate) fn new(
        config: &MetricsExport,
        port: u16,
        pages: watch::Receiver<Arc<MetricsPages>>,
        latest: watch::Receiver<Latest>,
        stats: Arc<SelfStats>,
    ) -> Result<Self, TelemetryError> {
        let sender = MetricsSender::new(config)?;
        let origin = Arc::new(Origin { resource: resource(port), started: clock::unix_time() });
        Ok(Self { config: config.clone(), sender, origin, pages, latest, stats })
    }

    /// Sends until `stop`. An export that is under way then is given up.
    pub(crate) async fn run(self, stop: CancellationToken) {
        info!(collector = self.config.collector.name, every = ?self.config.interval, "sending metrics");
        let until_first = self.config.interval.mul_f64(fastrand::f64());
        let mut schedule = Schedule::new(clock::now() + until_first, self.config.interval, 0.0);
        let mut outage = Outage::default();
        loop {
            let attempt = async {
                sleep_until(schedule.due()).await;
                (clock::now(), timeout(self.config.timeout, self.export()).await)
            };
            let (began, result) = tokio::select! {
                () = stop.cancelled() => return,
                attempted = attempt => attempted,
            };
            let late = |_elapsed| {
                Err(SendError::Failed(format!("not all was sent within {:?}", self.config.timeout).into()))
            };
            self.note(&mut outage, &result.unwrap_or_else(late));
            schedule.succeeded(began, clock::now());
        }
    }

    async fn export(&self) -> Result<(), SendError> {
        let pages = Arc::clone(&self.pages.borrow());
        let newest = self.latest.borrow().reading.clone();
        let (origin, now) = (Arc::clone(&self.origin), clock::unix_time());
        // It takes a large part of a second with many series.
        let messages = spawn_blocking(move || pages.messages(&origin, now, || newest)).await;
        // It never panics and is never cancelled.
        let messages = messages.map_err(|error| SendError::Failed(error.to_string().into()))?;
        let mut refused = Ok(());
        for message in messages {
            match self.sender.send(message).await {
                Err(error @ SendError::Refused { .. }) => refused = Err(error),
                sent => sent?,
            }
        }
        refused
    }

    fn note(&self, outage: &mut Outage, result: &Result<(), SendError>) {
        let outcome = match result {
            Ok(()) => SelfStats::SENT,
            Err(SendError::Refused { .. }) => SelfStats::REFUSED,
            Err(SendError::Failed(_)) => SelfStats::FAILED,
        };
        self.stats.metrics_exported(outcome);
        let collector = &self.config.collector.name;
        // The text of one failure may differ between attempts, so it is not compared.
        match (outage.note_reason(result.as_ref().err().map(|_| (outcome, ""))), result) {
            (Some(News::Failed), Err(error)) => {
                warn!(collector, detail = %error, "sending metrics failed; the next export has all values again");
            }
            (Some(News::Recovered { failures, .. }), _) => {
                info!(collector, failures, "sending metrics works again");
            }
            _ => {}
        }
    }
}
