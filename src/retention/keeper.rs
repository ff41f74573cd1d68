//! The task that keeps streams within their limits: when each is due, while this sidecar holds the lease.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use tokio::{
    sync::{mpsc, oneshot, watch},
    time::{sleep_until, timeout},
};
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, info, warn};

use super::{Enforcer, Lease, Outcome, Policy, Run, Standing, Standings, trim};
use crate::{
    clock::{self, Instant},
    config::{Config, Mode},
    model::{Class, Name},
    self_stats::SelfStats,
    source::Discovered,
    spans,
};

/// A stream that could not be brought within its limits is tried again so soon: who held it may have moved on.
const RETRY: Duration = Duration::from_secs(60);
/// The same where each try is billed.
const BILLED_RETRY: Duration = Duration::from_secs(600);
/// A server that does not answer is asked again so soon.
pub(super) const SERVER_RETRY: Duration = Duration::from_secs(2);
/// The first run of a stream comes within so long of the start, so that restarts do not postpone it for ever.
const LONGEST_FIRST_WAIT: Duration = Duration::from_secs(60);
/// Giving the lease up may take no longer: the process is about to end.
const RELEASE: Duration = Duration::from_secs(1);

/// A trim that somebody asks for.
pub struct Order {
    /// The stream.
    pub stream: Name,
    /// How far.
    pub policy: Policy,
    /// Where the result goes.
    pub answer: oneshot::Sender<Run>,
}

/// What keeping needs.
pub struct Keeper {
    /// Does what is due.
    pub enforcer: Enforcer,
    /// Which of several sidecars does it.
    pub lease: Lease,
    /// The configuration, which may change.
    pub config: watch::Receiver<Arc<Config>>,
    /// The streams that are watched.
    pub streams: watch::Receiver<Option<Discovered>>,
    /// Trims that are asked for; they need no lease.
    pub orders: mpsc::Receiver<Order>,
    /// Where it is told what was done.
    pub standings: watch::Sender<Arc<Standings>>,
    /// The sidecar's own metrics.
    pub stats: Arc<SelfStats>,
}

impl Keeper {
    /// Keeps until told to stop. A step under way is awaited, no longer than its timeout.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut due: BTreeMap<Name, Instant> = BTreeMap::new();
        while !stop.is_cancelled() {
            let config = Arc::clone(&self.config.borrow_and_update());
            let policies = self.policies(&config);
            self.stats.retention_interval.set(config.retention.interval.as_secs_f64());
            due.retain(|stream, _| policies.contains_key(stream));
            for (stream, policy) in &policies {
                let wait = policy.interval.min(LONGEST_FIRST_WAIT).mul_f64(fastrand::f64());
                due.entry(stream.clone()).or_insert_with(|| clock::now() + wait);
            }
            if policies.is_empty() {
                self.lease.release(&mut self.enforcer, &config).await;
            } else if let Err(failure) = self.lease.keep(&mut self.enforcer, &config).await {
                self.stats.retention_failed(&failure);
            }
            self.stats.retention_leader.set(self.lease.is_held().into());
            if self.lease.is_held() {
                self.run_due(&config, &policies, &mut due, &stop).await;
            }
            let next = due.values().min().filter(|_| self.lease.is_held());
            let wake = next.map_or(self.lease.due(), |next| self.lease.due().min(*next));
            tokio::select! {
                () = sleep_until(wake), if !policies.is_empty() => {}
                () = stop.cancelled() => {}
                changed = self.streams.changed() => if changed.is_err() { break },
                changed = self.config.changed() => {
                    if changed.is_err() { break }
                    self.enforcer.reconnect();
                }
                Some(order) = self.orders.recv() => self.obey(&config, order, &stop).await,
            }
        }
        let config = Arc::clone(&self.config.borrow());
        let _late_or_released = timeout(RELEASE, self.lease.release(&mut self.enforcer, &config)).await;
    }

    /// The policies of the watched streams that anything is to be enforced on.
    fn policies(&mut self, config: &Config) -> BTreeMap<Name, Policy> {
        let streams = self.streams.borrow_and_update();
        let streams = streams.iter().flat_map(|discovered| &discovered.streams);
        let policy = |stream: &Name| Some((stream.clone(), Policy::of(config, stream)?));
        streams.filter_map(policy).filter(|(_, policy)| policy.enforces()).collect()
    }

    async fn run_due(
        &mut self,
        config: &Config,
        policies: &BTreeMap<Name, Policy>,
        due: &mut BTreeMap<Name, Instant>,
        stop: &CancellationToken,
    ) {
        for (stream, policy) in policies {
            let is_due = due.get(stream).is_some_and(|due| *due <= clock::now());
            if !is_due || stop.is_cancelled() || !self.lease.is_held() {
                continue;
            }
            let budget = config.retention.budget.min(config.retention.lease_ttl / 2);
            let retry = if config.redis.billed_by_command { BILLED_RETRY } else { RETRY };
            let run = self.trim(config, stream, policy, budget, stop).await;
            let wait = match run.outcome() {
                Outcome::Reached => policy.interval.mul_f64(0.95 + 0.1 * fastrand::f64()),
                Outcome::Blocked | Outcome::Failed => policy.interval.min(retry),
                Outcome::Incomplete => config.retention.pause,
            };
            due.insert(stream.clone(), clock::now() + wait);
            let is_server_down = run.failure.is_some_and(|it| it.reason.class() != Class::Object);
            if let Err(failure) = self.lease.keep(&mut self.enforcer, config).await {
                self.stats.retention_failed(&failure);
            }
            if is_server_down {
                // The other streams would fare no better.
                let later = clock::now() + SERVER_RETRY;
                due.values_mut().for_each(|due| *due = later.max(*due));
                return;
            }
        }
    }

    /// Trims as somebody asked. The limits of the configuration hold again with the next run.
    async fn obey(&mut self, config: &Config, order: Order, stop: &CancellationToken) {
        let Order { stream, policy, answer } = order;
        let run = self.trim(config, &stream, &policy, config.retention.budget, stop).await;
        // Who asked may have gone away; what was done is logged and counted.
        drop(answer.send(run));
    }

    /// One run, told to everybody.
    async fn trim(
        &mut self,
        config: &Config,
        stream: &Name,
        policy: &Policy,
        budget: Duration,
        stop: &CancellationToken,
    ) -> Run {
        let span = spans::retention(stream, policy.mode);
        let run = trim(&mut self.enforcer, config, stream, policy, budget, stop, |_| {});
        let run = run.instrument(span.clone()).await;
        span.in_scope(|| self.note(stream, policy.mode, &run));
        spans::trimmed(&span, &run);
        run
    }

    fn note(&self, stream: &Name, mode: Mode, run: &Run) {
        if let Some(failure) = &run.failure {
            self.stats.retention_failed(failure);
        }
        self.standings.send_modify(|standings| {
            let standing = Arc::make_mut(standings).entry(stream.clone()).or_default();
            log(stream, mode, run, standing);
            standing.note(run);
        });
    }
}

/// Tells each act, and what has changed since the last run.
fn log(stream: &Name, mode: Mode, run: &Run, before: &Standing) {
    let floor = run.floor.map(tracing::field::display);
    let blocked_by = run.blocked_by.as_ref().map(tracing::field::display);
    if run.removed > 0 {
        let (removed, forced) = (run.removed, run.forced);
        info!(%stream, mode = mode.as_str(), removed, forced, length = run.length, floor, blocked_by, "trimmed");
    }
    if run.forced > 0 {
        warn!(%stream, forced = run.forced, "trimmed past the ceiling: groups lose entries they had not read");
    }
    match (&run.failure, before.last) {
        (Some(_), Some(Outcome::Failed)) => {}
        (Some(failure), _) => {
            warn!(%stream, %failure, removed = run.removed, "retention failed and is tried again");
        }
        (None, Some(Outcome::Failed)) => info!(%stream, "retention works again"),
        (None, _) => {}
    }
    if run.failure.is_none() && run.blocked_by != before.blocked_by {
        match &run.blocked_by {
            Some(holder) => warn!(%stream, length = run.length, %holder, floor, "retention is blocked"),
            None => info!(%stream, "retention is blocked no more"),
        }
    }
}
