//! The task that keeps streams within their limits: runs each stream when it is due, while this sidecar holds the
//! lease.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use tokio::{
    sync::{mpsc, oneshot, watch},
    time::{sleep_until, timeout},
};
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, info, warn};

use super::{
    Enforcer, Lease, StuckWork, Trim,
    pace::{first_schedule, retry_after, run_budget, unanswered},
};
use crate::{
    clock::{self, Instant},
    config::{Config, Mode, Policy, Thresholds, Watchlist},
    model::{Failure, Name},
    outage::{News, Outage},
    retention::{BlockReason, Outcome, RetentionStatus, RetentionStatuses, Run, unblocking},
    schedule::Schedule,
    self_stats::SelfStats,
    source::Watching,
    spans,
};

/// Maximum time to release the lease when the process stops.
const RELEASE: Duration = Duration::from_secs(1);

/// A trim request.
pub struct Order {
    /// The stream.
    pub stream: Name,
    /// The limits to apply.
    pub policy: Policy,
    /// Receives the result.
    pub answer: oneshot::Sender<Run>,
}

/// The task and its inputs.
pub struct Keeper {
    /// Executes the steps.
    pub enforcer: Enforcer,
    /// Elects one of several sidecars.
    pub lease: Lease,
    /// The rules about stuck work.
    pub stuck_work: StuckWork,
    /// The current configuration.
    pub config: watch::Receiver<Arc<Config>>,
    /// The watched streams.
    pub streams: Watching,
    /// Trim requests. They do not need the lease.
    pub orders: mpsc::Receiver<Order>,
    /// Receives the results.
    pub retention_statuses: watch::Sender<Arc<RetentionStatuses>>,
    /// The streams whose last run failed.
    pub failing: BTreeMap<Name, Outage>,
    /// The sidecar's own metrics.
    pub stats: Arc<SelfStats>,
}

impl Keeper {
    /// Runs until `stop`. Waits for a step in progress, at most for its timeout.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut schedules = Schedules::new();
        let mut policies = Policies::new();
        let mut listed: Option<Watchlist> = None;
        while !stop.is_cancelled() {
            let config = Arc::clone(&self.config.borrow());
            self.stats.retention_interval.set(config.retention.interval.as_secs_f64());
            let list = self.streams.under(&config);
            if listed.as_ref().is_none_or(|listed| !listed.is_same(&list)) {
                policies = enforced(&list);
                keep_schedules(&mut schedules, &policies);
                self.failing.retain(|stream, _| policies.contains_key(stream));
                self.stuck_work.follow(&config, &list);
                self.forget_rules();
                listed = Some(list);
            }
            let is_idle = policies.is_empty() && self.stuck_work.is_empty();
            if is_idle {
                self.lease.release(&mut self.enforcer, &config).await;
            } else if let Err(failure) = self.lease.check_if_due(&mut self.enforcer, &config).await {
                self.stats.retention_failed(&failure);
            }
            self.stats.retention_leader.set(self.lease.is_held().into());
            self.publish_holder();
            if self.lease.is_held() {
                self.run_stuck_work(&config, &mut schedules, &stop).await;
                self.run_due(&config, &policies, &mut schedules, &stop).await;
            }
            let due = schedules.values().map(Schedule::due).chain(self.stuck_work.due());
            let next_run = due.min().filter(|_| self.lease.is_held());
            let wake = next_run.map_or(self.lease.due(), |due| self.lease.due().min(due));
            tokio::select! {
                () = sleep_until(wake), if !is_idle => {}
                () = stop.cancelled() => {}
                is_open = self.streams.changed() => if !is_open { break },
                changed = self.config.changed() => {
                    if changed.is_err() { break }
                    self.lease.reload(&self.config.borrow());
                }
                Some(order) = self.orders.recv() => self.execute(&config, order, &stop).await,
            }
        }
        let config = Arc::clone(&self.config.borrow());
        let _late_or_released = timeout(RELEASE, self.lease.release(&mut self.enforcer, &config)).await;
    }

    /// Drops what was done by rules that no longer run.
    fn forget_rules(&self) {
        self.retention_statuses.send_if_modified(|statuses| {
            let has_ended = statuses.rules.keys().any(|stream| !self.stuck_work.has(stream));
            if has_ended {
                Arc::make_mut(statuses).rules.retain(|stream, _| self.stuck_work.has(stream));
            }
            has_ended
        });
    }

    /// Runs the rules about stuck work that are due, before retention: what is set aside no longer blocks it.
    async fn run_stuck_work(&mut self, config: &Config, schedules: &mut Schedules, stop: &CancellationToken) {
        let changes = self.config.clone();
        let is_over = || stop.is_cancelled() || changes.has_changed().unwrap_or(true);
        for stream in self.stuck_work.due_streams(clock::now()) {
            if is_over() || !self.lease.is_held() {
                return;
            }
            let with = (&mut self.enforcer, &*self.stats);
            let run = self.stuck_work.run(config, &stream, with, &is_over).await;
            let Some(run) = run else { continue };
            self.retention_statuses.send_modify(|statuses| {
                let rules = &mut Arc::make_mut(statuses).rules;
                rules.entry(stream.clone()).or_default().note(&run, clock::unix_time());
            });
            if let Some(schedule) = schedules.get_mut(&stream).filter(|_| run.moved() > 0) {
                schedule.retry_in(clock::now(), Duration::ZERO);
            }
            self.after_run(unanswered(run.failure.as_ref()), config).await;
        }
    }

    /// Gives up the lease if the server does not answer, else renews it when it is due.
    async fn after_run(&mut self, unanswered: Option<&Failure>, config: &Config) {
        if let Some(failure) = unanswered.filter(|_| !self.enforcer.is_of_cluster()) {
            // The server would not answer for the other streams either. They stay due.
            self.lease.unanswered(failure);
        } else if let Err(failure) = self.lease.check_if_due(&mut self.enforcer, config).await {
            self.stats.retention_failed(&failure);
        }
    }

    async fn run_due(
        &mut self,
        config: &Config,
        policies: &Policies,
        schedules: &mut Schedules,
        stop: &CancellationToken,
    ) {
        // A changed configuration may forbid what the run was permitted at its start, or name another server.
        let changes = self.config.clone();
        let is_over = || stop.is_cancelled() || changes.has_changed().unwrap_or(true);
        for (stream, policy) in policies {
            let Some(schedule) = schedules.get_mut(stream) else { continue };
            let began = clock::now();
            if schedule.due() > began || is_over() || !self.lease.is_held() {
                continue;
            }
            let budget = run_budget(config);
            let trim = Trim { config, stream, policy, budget, is_over };
            let run = self.trim(trim, RetentionStatus::note).await;
            schedule_next(schedule, &run, began, clock::now(), policy, config);
            self.after_run(unanswered(run.failure.as_ref()), config).await;
        }
    }

    /// Executes a trim request. The configured limits apply again from the next run on.
    async fn execute(&mut self, config: &Config, order: Order, stop: &CancellationToken) {
        let Order { stream, policy, answer } = order;
        let budget = config.retention.budget;
        let is_over = || stop.is_cancelled();
        let trim = Trim { config, stream: &stream, policy: &policy, budget, is_over };
        let run = self.trim(trim, RetentionStatus::note_order).await;
        // The requester may be gone. The result is logged and counted in any case.
        drop(answer.send(run));
    }

    /// Executes one run, and reports its result to the log, the metrics and the traces.
    async fn trim<O: Fn() -> bool>(&mut self, trim: Trim<'_, O>, note: Note) -> Run {
        let (config, stream, mode) = (trim.config, trim.stream, trim.policy.mode);
        let span = spans::retention(stream, mode);
        let run = trim.run(&mut self.enforcer, |_| {}).instrument(span.clone()).await;
        let help = self.help(config, stream, &run).instrument(span.clone()).await;
        span.in_scope(|| self.report(stream, mode, &run, (note, help)));
        let group = run.blocked_by.as_ref().and_then(|blocker| blocker.group.as_ref());
        spans::record_run(&span, run.outcome().as_str(), run.removed, group, run.failure.as_ref());
        run
    }

    /// What may help where an entry that a group has not acknowledged begins to block retention. Asks Redis about the entry, the floor,
    /// unless each command is billed.
    async fn help(&mut self, config: &Config, stream: &Name, run: &Run) -> Option<String> {
        let blocker = run.blocked_by.as_ref().filter(|it| it.reason == BlockReason::Pending)?;
        let group = blocker.group.as_ref().filter(|_| run.failure.is_none())?;
        let id = run.floor?;
        let statuses = Arc::clone(&self.retention_statuses.borrow());
        let before = statuses.streams.get(stream).and_then(|status| status.blocked_by.as_ref());
        if before == Some(blocker) {
            return None;
        }
        let entry = match config.redis.billed_by_command {
            true => None,
            false => self.stuck_work.pending_entry(config, (stream, group), id).await,
        };
        let rule = config.rule(stream);
        let from = rule.map_or(Thresholds::DELIVERIES, |rule| rule.thresholds.poison_from());
        Some(unblocking((stream, group), id, entry.as_ref(), from))
    }

    fn report(&mut self, stream: &Name, mode: Mode, run: &Run, (note, help): (Note, Option<String>)) {
        if let Some(failure) = &run.failure {
            self.stats.retention_failed(failure);
        }
        self.log_outage(stream, run);
        self.retention_statuses.send_modify(|retention_statuses| {
            let streams = &mut Arc::make_mut(retention_statuses).streams;
            let retention_status = streams.entry(stream.clone()).or_default();
            log(stream, mode, run, (retention_status, help));
            note(retention_status, run, clock::unix_time());
        });
    }

    /// Tells the views which other sidecar trims.
    fn publish_holder(&self) {
        let holder = self.lease.other_holder();
        self.retention_statuses.send_if_modified(|statuses| {
            let has_changed = statuses.other_holder.as_ref() != holder;
            if has_changed {
                Arc::make_mut(statuses).other_holder = holder.cloned();
            }
            has_changed
        });
    }

    fn log_outage(&mut self, stream: &Name, run: &Run) {
        if run.failure.is_none() && !self.failing.contains_key(stream) {
            return;
        }
        let outage = self.failing.entry(stream.clone()).or_default();
        match (outage.note(run.failure.as_ref()), &run.failure) {
            (Some(News::Failed), Some(failure)) => {
                warn!(%stream, %failure, removed = run.removed, "retention failed and will be retried");
            }
            (Some(News::Recovered { failures, .. }), _) => {
                info!(%stream, failures, "retention works again");
                self.failing.remove(stream);
            }
            _ => {}
        }
    }
}

/// How a run is added to what retention has done.
type Note = fn(&mut RetentionStatus, &Run, Duration);

/// The policies of all streams whose limits are enforced.
type Policies = BTreeMap<Name, Arc<Policy>>;

/// The schedule of each stream's runs.
type Schedules = BTreeMap<Name, Schedule>;

/// The policies of the watched streams whose limits are enforced.
fn enforced(list: &Watchlist) -> Policies {
    let policies = list.iter().filter_map(|watched| Some((&watched.name, watched.policy.as_ref()?)));
    let enforced = policies.filter(|(_, policy)| policy.enforces());
    enforced.map(|(name, policy)| (name.clone(), Arc::clone(policy))).collect()
}

/// Adds and removes schedules so that each policy has one, and applies its interval.
fn keep_schedules(schedules: &mut Schedules, policies: &Policies) {
    schedules.retain(|stream, _| policies.contains_key(stream));
    for (stream, interval) in policies.iter().map(|(stream, policy)| (stream, &policy.interval)) {
        schedules.entry(stream.clone()).or_insert_with(|| first_schedule(*interval)).every(*interval);
    }
}

/// Schedules the next run after one has ended.
fn schedule_next(
    schedule: &mut Schedule,
    run: &Run,
    began: Instant,
    ended: Instant,
    policy: &Policy,
    config: &Config,
) {
    match (run.outcome(), unanswered(run.failure.as_ref())) {
        (_, Some(failure)) => schedule.failed_by(failure.reason, ended, fastrand::f64()),
        (Outcome::Reached, None) => schedule.succeeded(began, ended),
        (Outcome::Incomplete, None) => schedule.retry_in(ended, config.retention.pause),
        (Outcome::Blocked | Outcome::Failed, None) => {
            schedule.retry_in(ended, retry_after(config, policy.interval))
        }
    }
}

/// Maximum number of groups that one run names in the log. The metrics cover all of them.
const NAMED_AT_ONCE: usize = 10;

/// Logs each removal, and what has changed since the last run.
fn log(stream: &Name, mode: Mode, run: &Run, (before, help): (&RetentionStatus, Option<String>)) {
    let floor = run.floor.map(tracing::field::display);
    let blocked_by = run.blocked_by.as_ref().map(tracing::field::display);
    if run.removed > 0 {
        info!(%stream, mode = mode.as_str(), removed = run.removed, forced = run.forced, length = run.length, floor, blocked_by, "trimmed");
    }
    if run.forced > 0 {
        warn!(%stream, forced = run.forced, "trimmed to the ceiling: groups may lose unread entries");
    }
    for (group, lost) in run.lost.iter().take(NAMED_AT_ONCE) {
        warn!(%stream, %group, lost, "removed entries that were not yet delivered to the group");
    }
    if run.lost.len() > NAMED_AT_ONCE {
        let more = run.lost.len() - NAMED_AT_ONCE;
        warn!(%stream, more, "removed entries that were not yet delivered to further groups");
    }
    if run.failure.is_none() && run.blocked_by != before.blocked_by {
        match &run.blocked_by {
            Some(blocker) => {
                warn!(%stream, length = run.length, %blocker, floor, help, "retention is blocked");
            }
            None => info!(%stream, "retention is no longer blocked"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::pace::RETRY, *};
    use crate::{config::Sources, model::Reason, retention::TrimBlocker};

    const SECOND: Duration = Duration::from_secs(1);
    const HOUR: Duration = Duration::from_secs(3_600);

    fn policies(interval: Duration) -> (Config, Policies) {
        let mut sources = Sources::default();
        sources.overrides.set("--uri", "redis.uri", "redis://h".to_owned());
        let config = sources.load().unwrap();
        let policy = Policy { interval, ..Policy::by_hand(&config, &Name::from("s"), 1, Mode::Safe, false) };
        (config, BTreeMap::from([(Name::from("s"), Arc::new(policy))]))
    }

    /// The maximum wait until the next run after this one, for a stream with this interval.
    fn wait_after(run: &Run, interval: Duration) -> Duration {
        let (config, policies) = policies(interval);
        let wait = || {
            let mut schedules = Schedules::new();
            keep_schedules(&mut schedules, &policies);
            let (schedule, policy) =
                (schedules.get_mut(&Name::from("s")).unwrap(), &policies[&Name::from("s")]);
            let began = schedule.due();
            schedule_next(schedule, run, began, began, policy, &config);
            schedule.due() - began
        };
        (0..50).map(|_| wait()).max().unwrap()
    }

    #[test]
    fn a_run_without_an_answer_is_retried_after_the_back_off() {
        let failed = |reason| Run { failure: Some(Failure::new(reason, "")), ..Run::default() };
        for reason in [Reason::Refused, Reason::Closed, Reason::Timeout, Reason::Loading] {
            assert!(wait_after(&failed(reason), HOUR) <= SECOND / 10, "{reason:?}");
        }
        // The server answered, and would answer the same again at once.
        assert_eq!(wait_after(&failed(Reason::NoPermission), HOUR), RETRY);
        assert_eq!(wait_after(&failed(Reason::NoPermission), 10 * SECOND), 10 * SECOND);
    }

    #[test]
    fn after_a_successful_run_the_next_is_due_within_the_interval() {
        let blocker = TrimBlocker { group: None, reason: BlockReason::Unread };
        let reached = Run { is_complete: true, ..Run::default() };
        let blocked = Run { blocked_by: Some(blocker), ..reached.clone() };
        let wait = wait_after(&reached, HOUR);
        assert!(wait > RETRY && wait <= HOUR, "{wait:?}");
        assert_eq!(wait_after(&blocked, HOUR), RETRY);
        assert!(wait_after(&Run::default(), HOUR) < SECOND, "an incomplete run continues");
    }

    #[test]
    fn a_shorter_interval_applies_at_once_after_a_reload() {
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
        assert!(schedules.is_empty(), "a removed stream has no schedule");
    }
}
