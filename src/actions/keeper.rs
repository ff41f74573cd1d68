//! The task that keeps streams within their limits: when each is due, while this sidecar holds the lease.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use tokio::{
    sync::{mpsc, oneshot, watch},
    time::{sleep_until, timeout},
};
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, info, warn};

use super::{Enforcer, Lease, Trim};
use crate::{
    clock::{self, Instant},
    config::{Config, Mode, Policy, Watchlist},
    model::{Class, Failure, Name},
    outage::{News, Outage},
    retention::{Outcome, RetentionStatus, RetentionStatuses, Run},
    schedule::Schedule,
    self_stats::SelfStats,
    source::Watching,
    spans,
};

/// A stream that could not be brought within its limits is tried again so soon: who held it may have moved on.
const RETRY: Duration = Duration::from_secs(60);
/// The same where each try is billed.
const BILLED_RETRY: Duration = Duration::from_secs(3600);
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
    pub streams: Watching,
    /// Trims that are asked for; they need no lease.
    pub orders: mpsc::Receiver<Order>,
    /// Where it is told what was done.
    pub retention_statuses: watch::Sender<Arc<RetentionStatuses>>,
    /// The streams whose last run failed.
    pub failing: BTreeMap<Name, Outage>,
    /// The sidecar's own metrics.
    pub stats: Arc<SelfStats>,
}

impl Keeper {
    /// Keeps until told to stop. A step under way is awaited, no longer than its timeout.
    pub async fn run(mut self, stop: CancellationToken) {
        let (mut schedules, mut policies) = (Schedules::new(), Policies::new());
        let mut listed: Option<Watchlist> = None;
        while !stop.is_cancelled() {
            let config = Arc::clone(&self.config.borrow());
            self.stats.retention_interval.set(config.retention.interval.as_secs_f64());
            let list = self.streams.under(&config);
            if listed.as_ref().is_none_or(|listed| !listed.is_same(&list)) {
                policies = enforced(&list);
                keep_schedules(&mut schedules, &policies);
                self.failing.retain(|stream, _| policies.contains_key(stream));
                listed = Some(list);
            }
            if policies.is_empty() {
                self.lease.release(&mut self.enforcer, &config).await;
            } else if let Err(failure) = self.lease.keep(&mut self.enforcer, &config).await {
                self.stats.retention_failed(&failure);
            }
            self.stats.retention_leader.set(self.lease.is_held().into());
            if self.lease.is_held() {
                self.run_due(&config, &policies, &mut schedules, &stop).await;
            }
            let next_run = schedules.values().map(Schedule::due).min().filter(|_| self.lease.is_held());
            let wake = next_run.map_or(self.lease.due(), |due| self.lease.due().min(due));
            tokio::select! {
                () = sleep_until(wake), if !policies.is_empty() => {}
                () = stop.cancelled() => {}
                goes_on = self.streams.changed() => if !goes_on { break },
                changed = self.config.changed() => {
                    if changed.is_err() { break }
                    self.lease.reload(&self.config.borrow());
                }
                Some(order) = self.orders.recv() => self.obey(&config, order, &stop).await,
            }
        }
        let config = Arc::clone(&self.config.borrow());
        let _late_or_released = timeout(RELEASE, self.lease.release(&mut self.enforcer, &config)).await;
    }

    async fn run_due(
        &mut self,
        config: &Config,
        policies: &Policies,
        schedules: &mut Schedules,
        stop: &CancellationToken,
    ) {
        // What was allowed when a run began may be forbidden now, or be meant for another server.
        let in_force = self.config.clone();
        let is_over = || stop.is_cancelled() || in_force.has_changed().unwrap_or(true);
        for (stream, policy) in policies {
            let Some(schedule) = schedules.get_mut(stream) else { continue };
            let began = clock::now();
            if schedule.due() > began || is_over() || !self.lease.is_held() {
                continue;
            }
            let budget = config.retention.budget.min(config.retention.lease_ttl / 2);
            let run = self.trim(Trim { config, stream, policy, budget, is_over }).await;
            note_end(schedule, &run, began, clock::now(), policy, config);
            if let Some(failure) = unanswered(&run) {
                // Nor would it answer for the other streams, which stay due.
                self.lease.unanswered(failure);
            } else if let Err(failure) = self.lease.keep(&mut self.enforcer, config).await {
                self.stats.retention_failed(&failure);
            }
        }
    }

    /// Trims as somebody asked. The limits of the configuration hold again with the next run.
    async fn obey(&mut self, config: &Config, order: Order, stop: &CancellationToken) {
        let Order { stream, policy, answer } = order;
        let (budget, is_over) = (config.retention.budget, || stop.is_cancelled());
        let run = self.trim(Trim { config, stream: &stream, policy: &policy, budget, is_over }).await;
        // Who asked may have gone away; what was done is logged and counted.
        drop(answer.send(run));
    }

    /// One run, told to everybody.
    async fn trim<O: Fn() -> bool>(&mut self, trim: Trim<'_, O>) -> Run {
        let (stream, mode) = (trim.stream, trim.policy.mode);
        let span = spans::retention(stream, mode);
        let run = trim.run(&mut self.enforcer, |_| {}).instrument(span.clone()).await;
        span.in_scope(|| self.note(stream, mode, &run));
        spans::trimmed(&span, run.outcome().as_str(), run.removed, run.failure.as_ref());
        run
    }

    fn note(&mut self, stream: &Name, mode: Mode, run: &Run) {
        if let Some(failure) = &run.failure {
            self.stats.retention_failed(failure);
        }
        self.note_outage(stream, run);
        self.retention_statuses.send_modify(|retention_statuses| {
            let retention_status = Arc::make_mut(retention_statuses).entry(stream.clone()).or_default();
            log(stream, mode, run, retention_status);
            retention_status.note(run, clock::unix_time());
        });
    }

    fn note_outage(&mut self, stream: &Name, run: &Run) {
        if run.failure.is_none() && !self.failing.contains_key(stream) {
            return;
        }
        let outage = self.failing.entry(stream.clone()).or_default();
        match (outage.note(run.failure.as_ref()), &run.failure) {
            (Some(News::Failed), Some(failure)) => {
                warn!(%stream, %failure, removed = run.removed, "retention failed and is tried again");
            }
            (Some(News::Over { failures, .. }), _) => {
                info!(%stream, failures, "retention works again");
                self.failing.remove(stream);
            }
            _ => {}
        }
    }
}

/// What is wanted of each stream that anything is to be enforced on.
type Policies = BTreeMap<Name, Arc<Policy>>;

/// When each stream's next run is due.
type Schedules = BTreeMap<Name, Schedule>;

/// The policies of the watched streams that anything is to be enforced on.
fn enforced(list: &Watchlist) -> Policies {
    let policies = list.iter().filter_map(|watched| Some((&watched.name, watched.policy.as_ref()?)));
    let enforced = policies.filter(|(_, policy)| policy.enforces());
    enforced.map(|(name, policy)| (name.clone(), Arc::clone(policy))).collect()
}

/// Each stream with a policy gets one, and follows its interval.
fn keep_schedules(schedules: &mut Schedules, policies: &Policies) {
    schedules.retain(|stream, _| policies.contains_key(stream));
    for (stream, interval) in policies.iter().map(|(stream, policy)| (stream, &policy.interval)) {
        let first = || clock::now() + LONGEST_FIRST_WAIT.min(*interval).mul_f64(fastrand::f64());
        let schedule = schedules.entry(stream.clone());
        schedule.or_insert_with(|| Schedule::new(first(), *interval, fastrand::f64())).every(*interval);
    }
}

/// A run ended: when the stream's next one is due.
fn note_end(
    schedule: &mut Schedule,
    run: &Run,
    began: Instant,
    ended: Instant,
    policy: &Policy,
    config: &Config,
) {
    let retry = if config.redis.billed_by_command { BILLED_RETRY } else { RETRY };
    match (run.outcome(), unanswered(run)) {
        (_, Some(failure)) => schedule.failed_by(failure.reason, ended, fastrand::f64()),
        (Outcome::Reached, None) => schedule.succeeded(began, ended),
        (Outcome::Incomplete, None) => schedule.retry_in(ended, config.retention.pause),
        (Outcome::Blocked | Outcome::Failed, None) => schedule.retry_in(ended, retry.min(policy.interval)),
    }
}

/// The failure, where it is the server's, and not just this stream's.
fn unanswered(run: &Run) -> Option<&Failure> {
    run.failure.as_ref().filter(|failure| failure.reason.class() != Class::Object)
}

/// Of groups that lose entries together so many are named; the counters have them all.
const NAMED_AT_ONCE: usize = 10;

/// Tells each act, and what has changed since the last run.
fn log(stream: &Name, mode: Mode, run: &Run, before: &RetentionStatus) {
    let floor = run.floor.map(tracing::field::display);
    let blocked_by = run.blocked_by.as_ref().map(tracing::field::display);
    if run.removed > 0 {
        let (removed, forced) = (run.removed, run.forced);
        info!(%stream, mode = mode.as_str(), removed, forced, length = run.length, floor, blocked_by, "trimmed");
    }
    if run.forced > 0 {
        warn!(%stream, forced = run.forced, "trimmed past the ceiling: groups lose entries they had not read");
    }
    for (group, lost) in run.lost.iter().take(NAMED_AT_ONCE) {
        warn!(%stream, %group, lost, "removed entries that were not yet delivered to the group");
    }
    if run.lost.len() > NAMED_AT_ONCE {
        let more = run.lost.len() - NAMED_AT_ONCE;
        warn!(%stream, more, "removed entries that were not yet delivered to more groups");
    }
    if run.failure.is_none() && run.blocked_by != before.blocked_by {
        match &run.blocked_by {
            Some(blocker) => warn!(%stream, length = run.length, %blocker, floor, "retention is blocked"),
            None => info!(%stream, "retention is blocked no more"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        config::Sources,
        model::Reason,
        retention::{BlockReason, TrimBlocker},
    };

    const SECOND: Duration = Duration::from_secs(1);
    const HOUR: Duration = Duration::from_secs(3_600);

    fn policies(interval: Duration) -> (Config, Policies) {
        let mut sources = Sources::default();
        sources.overrides.set("--uri", "redis.uri", Some("redis://h".to_owned()));
        let config = sources.load().unwrap();
        let policy = Policy { interval, ..Policy::by_hand(&config, &Name::from("s"), 1, Mode::Safe, false) };
        (config, BTreeMap::from([(Name::from("s"), Arc::new(policy))]))
    }

    /// How long after a run that ended so the next is due at the latest, of a stream with this interval.
    fn wait_after(run: &Run, interval: Duration) -> Duration {
        let (config, policies) = policies(interval);
        let wait = || {
            let mut schedules = Schedules::new();
            keep_schedules(&mut schedules, &policies);
            let (schedule, policy) =
                (schedules.get_mut(&Name::from("s")).unwrap(), &policies[&Name::from("s")]);
            let began = schedule.due();
            note_end(schedule, run, began, began, policy, &config);
            schedule.due() - began
        };
        (0..50).map(|_| wait()).max().unwrap()
    }

    #[test]
    fn a_run_that_the_server_did_not_answer_is_tried_again_after_the_back_off() {
        let failed = |reason| Run { failure: Some(Failure::new(reason, "")), ..Run::default() };
        for reason in [Reason::Refused, Reason::Closed, Reason::Timeout, Reason::Loading] {
            assert!(wait_after(&failed(reason), HOUR) <= SECOND / 10, "{reason:?}");
        }
        // The server answers, and would answer the same at once.
        assert_eq!(wait_after(&failed(Reason::NoPermission), HOUR), RETRY);
        assert_eq!(wait_after(&failed(Reason::NoPermission), 10 * SECOND), 10 * SECOND);
    }

    #[test]
    fn a_run_that_ended_well_is_followed_within_the_interval() {
        let blocker = TrimBlocker { group: None, reason: BlockReason::Unread };
        let reached = Run { is_complete: true, ..Run::default() };
        let blocked = Run { blocked_by: Some(blocker), ..reached.clone() };
        let wait = wait_after(&reached, HOUR);
        assert!(wait > RETRY && wait <= HOUR, "{wait:?}");
        assert_eq!(wait_after(&blocked, HOUR), RETRY);
        assert!(wait_after(&Run::default(), HOUR) < SECOND, "what is incomplete goes on");
    }

    #[test]
    fn a_shorter_interval_counts_from_the_reload_on() {
        let (_, seldom) = policies(7 * 24 * HOUR);
        let (_, often) = policies(SECOND);
        let mut schedules = Schedules::new();
        keep_schedules(&mut schedules, &seldom);
        let schedule = schedules.get_mut(&Name::from("s")).unwrap();
        let began = schedule.due();
        schedule.succeeded(began, began);
        keep_schedules(&mut schedules, &often);
        assert!(schedules[&Name::from("s")].due() <= began + SECOND);
        keep_schedules(&mut schedules, &BTreeMap::new());
        assert!(schedules.is_empty(), "a stream that is gone leaves nothing");
    }
}
