//! The rules about stuck work: sets entries aside that fail each time, and deletes consumers that are gone.
//!
//! Runs on the sidecar that holds the lease, as often as retention. What to act on is read from the lists of pending entries and consumers.
//! The script of each act checks it again, so that nothing depends on the lease.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    time::Duration,
};

use tracing::{Instrument, info, warn};

use super::{
    Acted, Acting, Enforcer,
    pace::{first_schedule, retry_after, run_budget, unanswered},
};
use crate::{
    clock::{self, Instant},
    config::{Config, DeadLetterRule, Watched, Watchlist},
    model::{Consumer, Failure, GroupPending, Millis, Name, PendingEntry, Reason, StreamId},
    outage::{News, Outage},
    schedule::Schedule,
    self_stats::SelfStats,
    source::{Details, Wanted},
    spans,
    stuck::{Act, Cause, Outcome, Round, RuleRun, Stop},
};

/// Who acts, in the log and in each dead letter.
const BY: &str = "rule";
/// Pending entries of a stream that one run looks at. A page of 1,000 takes the server less than a millisecond.
const MOST_LOOKED_AT: u64 = 100_000;
/// Consumers of a stream that one run deletes.
const MOST_REAPED: usize = 1_000;

/// The rules of all streams, and when they are due.
pub struct StuckWork {
    details: Details,
    rules: BTreeMap<Name, Rule>,
    failing: BTreeMap<Name, Outage>,
}

/// The rules of a stream.
struct Rule {
    watched: Watched,
    schedule: Schedule,
    interval: Duration,
    progress: Progress,
}

/// How far the last run of a stream's rules came.
#[derive(Default)]
struct Progress {
    round: Round,
    /// The group whose consumers were looked at last.
    reaped: Option<Name>,
}

impl StuckWork {
    /// Without rules, and with a connection that is opened when it is needed.
    #[must_use]
    pub fn new(details: Details) -> Self {
        Self { details, rules: BTreeMap::new(), failing: BTreeMap::new() }
    }

    /// An entry that a group has not acknowledged, as Redis knows it now; `None` if it is acknowledged by now or can't be read.
    pub(super) async fn pending_entry(
        &mut self,
        config: &Config,
        of: (&Name, &Name),
        id: StreamId,
    ) -> Option<PendingEntry> {
        self.details.pending_of(config, of, &[id]).await.ok()?.pop()?
    }

    /// Whether no stream has such rules.
    pub(super) fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// Applies the rules of these streams from now on. If retention is switched off, nothing is done.
    pub(super) fn follow(&mut self, config: &Config, list: &Watchlist) {
        let has_rules = |watched: &&Watched| {
            config.retention.enabled
                && (watched.dead_letter().is_some() || watched.reap_consumers().is_some())
        };
        let mut before = std::mem::take(&mut self.rules);
        for watched in list.iter().filter(has_rules).cloned() {
            let interval =
                watched.policy.as_ref().map_or(config.retention.interval, |policy| policy.interval);
            let name = watched.name.clone();
            let (mut schedule, progress) = match before.remove(&name) {
                Some(rule) => (rule.schedule, rule.progress),
                None => (first_schedule(interval), Progress::default()),
            };
            schedule.every(interval);
            self.rules.insert(name, Rule { watched, schedule, interval, progress });
        }
        self.failing.retain(|stream, _| self.rules.contains_key(stream));
    }

    /// Whether a stream has rules that run.
    pub(super) fn has(&self, stream: &Name) -> bool {
        self.rules.contains_key(stream)
    }

    /// When the next rule is due; `None` without rules.
    pub(super) fn due(&self) -> Option<Instant> {
        self.rules.values().map(|rule| rule.schedule.due()).min()
    }

    /// The streams whose rules are due.
    pub(super) fn due_streams(&self, now: Instant) -> Vec<Name> {
        let due = self.rules.iter().filter(|(_, rule)| rule.schedule.due() <= now);
        due.map(|(stream, _)| stream.clone()).collect()
    }

    /// Runs the rules of a stream; `None` if it has none.
    ///
    /// Ends before its next step once `is_over` returns true, and before its second one after the time of a run of retention: the lease is
    /// renewed between runs.
    pub(super) async fn run(
        &mut self,
        config: &Config,
        stream: &Name,
        (enforcer, stats): (&mut Enforcer, &SelfStats),
        is_over: &(dyn Fn() -> bool + Sync),
    ) -> Option<RuleRun> {
        let rule = self.rules.get_mut(stream)?;
        let span = spans::stuck_work(stream);
        let began = clock::now();
        let until = began + run_budget(config);
        let limit = Limit { is_over, until, has_acted: AtomicBool::new(false) };
        let (details, run) = (&mut self.details, RuleRun::default());
        let mut pass = Pass { config, details, enforcer, limit, run };
        let result = pass.run(&rule.watched, &mut rule.progress).instrument(span.clone()).await;
        let run = RuleRun { failure: result.err(), ..pass.run };
        rule.schedule_next(&run, began, config);
        span.record("streamwarden.stuck.moved", spans::int(run.moved()));
        span.record("streamwarden.stuck.reaped", spans::int(run.reaped));
        if let Some(failure) = &run.failure {
            spans::record_failure(&span, failure);
            stats.retention_failed(failure);
        }
        span.in_scope(|| self.log(stream, &run));
        Some(run)
    }

    /// Logs what was not done. What was done is in the log of each step.
    fn log(&mut self, stream: &Name, run: &RuleRun) {
        let failure = run.failure.clone().or_else(|| {
            let what = match run.stop? {
                Stop::Full => "the dead letters are at max_length",
                Stop::LiveStream => {
                    "the key of the dead letters is a live stream: its newest entry is not a dead letter. Give them a key of their own \
                     (dead_letter.to)"
                }
                Stop::TooManyFields => "an entry has more fields than a script can copy (3,500)",
                Stop::Failed(_) => return None,
            };
            Some(Failure::new(Reason::Other, what))
        });
        if failure.is_none() && !self.failing.contains_key(stream) {
            return;
        }
        let outage = self.failing.entry(stream.clone()).or_default();
        match (outage.note(failure.as_ref()), &failure) {
            (Some(News::Failed), Some(failure)) => {
                let (moved, detail) = (run.moved(), &failure.detail);
                let reason = run.stop.map_or(failure.reason.as_str(), Stop::as_str);
                warn!(%stream, reason, %detail, moved, "stuck work stays as it is and will be retried");
            }
            (Some(News::Recovered { failures, .. }), _) => {
                info!(%stream, failures, "the rules for stuck work work again");
                self.failing.remove(stream);
            }
            _ => {}
        }
    }
}

impl Rule {
    fn schedule_next(&mut self, run: &RuleRun, began: Instant, config: &Config) {
        let ended = clock::now();
        match unanswered(run.failure.as_ref()) {
            Some(failure) => self.schedule.failed_by(failure.reason, ended, fastrand::f64()),
            None if run.failure.is_some() || run.stop.is_some() || run.is_cut_short => {
                self.schedule.retry_in(ended, retry_after(config, self.interval));
            }
            None => self.schedule.succeeded(began, ended),
        }
    }
}

/// One run in progress.
struct Pass<'a> {
    config: &'a Config,
    details: &'a mut Details,
    enforcer: &'a mut Enforcer,
    limit: Limit<'a>,
    run: RuleRun,
}

/// When a run ends.
struct Limit<'a> {
    /// Whether to stop before the next step, whatever was done.
    is_over: &'a (dyn Fn() -> bool + Sync),
    /// Until when to go on.
    until: Instant,
    /// Whether there was a step. The first one may come late: looking alone may take all the time, in each run.
    has_acted: AtomicBool,
}

impl Limit<'_> {
    fn is_late(&self) -> bool {
        clock::now() >= self.until
    }

    fn is_over(&self) -> bool {
        (self.is_over)() || (self.has_acted.load(Relaxed) && self.is_late())
    }

    /// Whether to stop before this step.
    fn is_over_at_step(&self) -> bool {
        let is_over = self.is_over();
        self.has_acted.store(true, Relaxed);
        is_over
    }
}

impl Pass<'_> {
    async fn run(&mut self, watched: &Watched, progress: &mut Progress) -> Result<(), Failure> {
        let mut groups = match self.details.groups(self.config, &watched.name).await {
            Ok(groups) => groups,
            Err(failure) if failure.reason == Reason::NoKey => return Ok(()),
            Err(failure) => return Err(self.stopped(watched, failure)),
        };
        groups.sort_by(|one, other| one.name.cmp(&other.name));
        if let Some(rule) = watched.dead_letter() {
            let result = self.set_aside(watched, rule, &groups, &mut progress.round).await;
            let goes_on = self.run.is_cut_short && result.is_ok() && !self.is_stopped();
            if !goes_on {
                // What was looked at and stayed is looked at again.
                progress.round = Round::default();
            }
            result.map_err(|failure| self.stopped(watched, failure))?;
        }
        if let Some(rule) = watched.reap_consumers() {
            self.reap(&watched.name, &groups, millis(rule.idle), &mut progress.reaped).await?;
        }
        Ok(())
    }

    /// Whether no entry can be moved until somebody changes something.
    fn is_stopped(&self) -> bool {
        matches!(self.run.stop, Some(Stop::Full | Stop::LiveStream))
    }

    /// Notes that a failure keeps entries from being set aside.
    fn stopped(&mut self, watched: &Watched, failure: Failure) -> Failure {
        if watched.dead_letter().is_some() {
            self.run.stop = Some(Stop::Failed(failure.reason));
        }
        failure
    }

    async fn set_aside(
        &mut self,
        watched: &Watched,
        rule: &DeadLetterRule,
        groups: &[GroupPending],
        round: &mut Round,
    ) -> Result<(), Failure> {
        let stream = &watched.name;
        let key = watched.dead_letters().ok_or_else(|| {
            let what = "the stream has no default key for dead letters in its slot of a cluster; its rule needs dead_letter.to";
            Failure::new(Reason::CrossSlot, what)
        })?;
        let (mut moved, mut looked_at, mut has_looked) = (0, 0, false);
        while let Some((group, from)) = round.next(groups) {
            let left = usize::try_from(rule.per_run.saturating_sub(moved)).unwrap_or(usize::MAX);
            if left == 0
                || looked_at >= MOST_LOOKED_AT
                || self.limit.is_over()
                || (has_looked && self.limit.is_late())
            {
                self.run.is_cut_short = true;
                break;
            }
            let (deliveries, idle) = (rule.after_deliveries, millis(rule.idle));
            let look_at = MOST_LOOKED_AT - looked_at;
            let wanted = Wanted { consumer: None, deliveries, idle, from, limit: left, look_at };
            let found = match self.details.find(self.config, (stream, group), &wanted).await {
                Ok(found) => found,
                Err(failure) if failure.reason == Reason::NoGroup => Default::default(),
                Err(failure) => return Err(failure),
            };
            (looked_at, has_looked) = (looked_at + found.looked_at, true);
            let act = Act::dead_letter(
                (stream, group, &key),
                (deliveries, idle),
                rule.max_length,
                (&rule.prefix, BY),
                (false, true),
            );
            self.move_entries(&act, &found.entries).await?;
            // What stays, as an entry that no longer exists does, takes nothing from those behind it.
            moved = self.run.moved();
            if self.is_stopped() {
                break;
            }
            if self.run.is_cut_short {
                // What was found here was not all moved.
                break;
            }
            round.looked_at(group, found.next);
        }
        Ok(())
    }

    async fn move_entries(&mut self, act: &Act, entries: &[PendingEntry]) -> Result<(), Failure> {
        for cause in Cause::ALL {
            let of_cause = entries.iter().filter(|entry| Cause::of(entry) == cause);
            let items: Vec<Box<[u8]>> =
                of_cause.map(|entry| entry.id().to_string().into_bytes().into()).collect();
            if items.is_empty() {
                continue;
            }
            let acted = self.act(act, items).await;
            if let Some(moved) = self.run.moved.get_mut(cause as usize) {
                *moved += acted.outcomes.count(Outcome::Moved);
            }
            if acted.outcomes.count(Outcome::TooManyFields) > 0 {
                self.run.stop.get_or_insert(Stop::TooManyFields);
            }
            for (outcome, stop) in [(Outcome::Full, Stop::Full), (Outcome::LiveStream, Stop::LiveStream)] {
                if acted.outcomes.count(outcome) > 0 {
                    self.run.stop = Some(stop);
                }
            }
            if let Some(failure) = acted.failure {
                return Err(failure);
            }
        }
        Ok(())
    }

    /// Looks at each group's consumers, from the group on that comes behind the last one of the run before.
    async fn reap(
        &mut self,
        stream: &Name,
        groups: &[GroupPending],
        idle: Millis,
        last: &mut Option<Name>,
    ) -> Result<(), Failure> {
        // Moving entries may have taken all the time, in each run.
        self.limit.has_acted.store(false, Relaxed);
        let (mut left, mut has_looked) = (MOST_REAPED, false);
        for group in in_turn(groups, last.take().as_ref()) {
            if self.limit.is_over() || (has_looked && self.limit.is_late()) {
                self.run.is_cut_short = true;
                break;
            }
            has_looked = true;
            *last = Some(group.clone());
            let consumers = match self.details.consumers(self.config, (stream, group)).await {
                Ok(consumers) => consumers,
                Err(failure) if matches!(failure.reason, Reason::NoGroup | Reason::NoKey) => continue,
                Err(failure) => return Err(failure),
            };
            let is_gone = |consumer: &Consumer| consumer.pending == 0 && consumer.idle >= idle;
            let items: Vec<Box<[u8]>> = consumers
                .iter()
                .filter(|consumer| is_gone(consumer))
                .take(left)
                .map(|consumer| consumer.name.as_bytes().into())
                .collect();
            if items.is_empty() {
                continue;
            }
            left -= items.len();
            let act = Act::reap(stream, group, idle, consumers.len());
            let acted = self.act(&act, items).await;
            self.run.reaped += acted.outcomes.count(Outcome::Deleted);
            if let Some(failure) = acted.failure {
                return Err(failure);
            }
            if left == 0 || acted.is_cut_short {
                self.run.is_cut_short = true;
                break;
            }
        }
        Ok(())
    }

    async fn act(&mut self, act: &Act, items: Vec<Box<[u8]>>) -> Acted {
        let is_over = || self.limit.is_over_at_step();
        let acting = Acting { config: self.config, act, by: BY, rate: None, is_over: &is_over };
        let acted = acting.run(self.enforcer, items).await;
        self.run.is_cut_short |= acted.is_cut_short;
        acted
    }
}

/// The groups, which are in the order of their names, beginning behind this one.
fn in_turn<'a>(groups: &'a [GroupPending], last: Option<&Name>) -> impl Iterator<Item = &'a Name> {
    let begin = groups.partition_point(|group| last.is_some_and(|last| group.name <= *last));
    let (first, behind) = groups.split_at(begin);
    behind.iter().chain(first).map(|group| &group.name)
}

fn millis(duration: Duration) -> Millis {
    Millis::new(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_run_begins_behind_the_last_group_of_the_run_before() {
        let groups = ["a", "b", "c"].map(|name| GroupPending { name: name.into(), pending: 0 });
        let names = |last: Option<&str>| {
            let last = last.map(Name::from);
            in_turn(&groups, last.as_ref()).map(ToString::to_string).collect::<String>()
        };
        assert_eq!([None, Some("a"), Some("b")].map(names), ["abc", "bca", "cab"]);
        assert_eq!([Some("c"), Some("aa"), Some("")].map(names), ["abc", "bca", "abc"]);
    }

    #[test]
    fn after_a_slow_look_the_first_step_is_taken_and_no_other() {
        let limit = |is_over, until| Limit { is_over, until, has_acted: AtomicBool::new(false) };
        let now = clock::now();
        let late = limit(&|| false, now);
        assert!(late.is_late() && !late.is_over());
        assert_eq!([late.is_over_at_step(), late.is_over_at_step(), late.is_over()], [false, true, true]);
        let stopped = limit(&|| true, now + Duration::from_secs(3_600));
        assert!(
            stopped.is_over() && stopped.is_over_at_step(),
            "a stop or a reload does not wait for a step"
        );
        let early = limit(&|| false, now + Duration::from_secs(3_600));
        assert_eq!([early.is_over_at_step(), early.is_over_at_step()], [false, false]);
    }
}
