//! `streamwarden trim`: shows what would be removed and what keeps the rest, asks, trims, and prints the result.

mod aged;

use std::{
    ffi::OsString,
    io::{self, IsTerminal},
    sync::Arc,
    time::Duration,
};

use aged::{Aged, entries};
use clap::{Args, ValueEnum};

use super::{
    command::{Error, Exit, block_on, complain, print, stream_name},
    confirm::{Confirm, ask},
};
use crate::{
    actions,
    app::self_stats,
    config::{Config, Log, Mode, Policy, Thresholds, Watchlist},
    evaluate::{StreamVerdict, short},
    model::{Failure, Name, Role, StreamState, Text},
    reader::Reader,
    reading::Reading,
    retention::{BlockReason, Losing, Outcome, Plan, Run, losing},
    source::Link,
    stuck::{command_line, seems_to_fail},
    telemetry,
};

/// A manual trim runs until it is done.
const BUDGET: Duration = Duration::from_secs(24 * 60 * 60);

/// Trim a stream now.
///
/// Exit code: 0 if the limit is reached, or would be, 1 if it is not, or on a failure, 2 on wrong usage or configuration.
#[derive(Debug, Args)]
pub(super) struct Trim {
    /// Key of the stream.
    stream: OsString,

    /// Entries that the stream may hold afterwards. Without this and --max-age: max_length, max_age and exact of the stream's rule.
    #[arg(long, value_name = "N")]
    max_length: Option<u64>,

    /// Age that an entry may have afterwards, as in 30d.
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    max_age: Option<Duration>,

    /// safe removes nothing that a group has not read and acknowledged; strict removes everything beyond the limit.
    #[arg(long, value_enum, default_value = "safe")]
    mode: TrimMode,

    /// Reach the limit to the entry. Without it, up to a node of entries more stays (100 by default).
    #[arg(long)]
    exact: bool,

    /// Group that holds nothing back; repeat it for more groups.
    #[arg(long, value_name = "GROUP")]
    ignore_group: Vec<String>,

    #[command(flatten)]
    confirm: Confirm,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum TrimMode {
    Safe,
    Strict,
}

impl Trim {
    pub(super) fn run(self, config: &Config, log: &Log) -> Result<Exit, Error> {
        self.confirm.is_possible()?;
        telemetry::start_logging(log);
        block_on(self.plan_and_trim(config))?
    }

    async fn plan_and_trim(self, config: &Config) -> Result<Exit, Error> {
        let stream = stream_name(self.stream.clone())?;
        let policy = self.policy(config, &stream)?;
        let stats = self_stats();
        let mut reader = Reader::new(Link::new(Arc::clone(&stats)));
        let mut agreed = None;
        // No more is removed than was confirmed: if the stream grows meanwhile, the question is repeated.
        loop {
            let plan = match self.planned(&mut reader, config, &stream, &policy, agreed).await? {
                Ok(plan) => plan,
                Err(exit) => return Ok(exit),
            };
            if self.confirm.yes || agreed.is_some_and(|agreed| plan.at_most <= agreed) {
                break;
            }
            if !ask(&question(&plan, &policy)) {
                print("nothing was removed\n")?;
                return Ok(Exit::success_if(plan.reaches_the_limit()));
            }
            agreed = Some(plan.at_most);
        }
        let trim =
            actions::Trim { config, stream: &stream, policy: &policy, budget: BUDGET, is_over: || false };
        let run = trim.run(&mut actions::Enforcer::new(stats), progress(&policy)).await;
        print(summary(&run))?;
        Ok(Exit::success_if(run.outcome() == Outcome::Reached))
    }

    /// Reads the stream and shows the plan, the second time only if it removes more than `agreed`. Returns an exit if nothing is to
    /// be done.
    async fn planned(
        &self,
        reader: &mut Reader,
        config: &Config,
        stream: &Name,
        policy: &Policy,
        agreed: Option<u64>,
    ) -> Result<Result<Plan, Exit>, Error> {
        let reading = reader.read(config, &Watchlist::new(config, [stream.clone()])).await;
        let reading =
            reading.map_err(|failure| Error::of_redis("read the stream", &config.redis.access, &failure))?;
        if matches!(reading.snapshot.server().role, Some(Role::Replica(_))) {
            let reason = "this server is a replica, which accepts no writes; trim on its primary";
            return Err(Error::Other(reason.to_owned()));
        }
        let (state, verdict) = read(&reading, stream).map_err(|failure| Error::Other(failure.to_string()))?;
        if let Some(unknown) = self.unknown_group(config, stream, state) {
            return Err(Error::Usage(unknown));
        }
        let plan = Plan::new(policy, state, verdict);
        if agreed.is_some_and(|agreed| plan.at_most <= agreed) {
            return Ok(Ok(plan));
        }
        let now = reading.stream(stream).and_then(|stream| stream.server_time());
        let mut age = Aged::of(policy, now, (state, verdict), &plan);
        age.count(config, stream, policy.cutoff(now), &plan).await;
        let help = help(config, stream, (state, verdict), &plan);
        print(describe(stream, state.length, (policy, &plan), &age, help))?;
        let removed = plan.at_most.max(age.removable_at_most());
        losing(removed, policy, state, verdict).iter().try_for_each(|losing| print(would_lose(losing)))?;
        if policy.mode == Mode::Strict && state.unwatched_groups > 0 {
            print(format_args!(
                "would lose    perhaps {} more groups, which are not watched (limits.groups_per_stream)\n",
                state.unwatched_groups
            ))?;
        }
        if plan.excess == 0 && age.has_nothing_to_do() {
            print("nothing to remove\n")?;
            return Ok(Err(Exit::Success));
        }
        if self.confirm.dry_run {
            print("nothing was removed\n")?;
            return Ok(Err(Exit::success_if(plan.reaches_the_limit() && age.reaches_the_limit())));
        }
        Ok(Ok(plan))
    }

    /// A problem with an ignored group that neither the stream nor the configuration has. It is unknown if not all groups of the
    /// stream are watched.
    fn unknown_group(&self, config: &Config, stream: &Name, state: &StreamState) -> Option<String> {
        let expected = config.rule(stream).map(|rule| rule.groups.as_slice()).unwrap_or_default();
        let is_known = |group: &Name| state.groups.contains_key(group) || expected.contains(group);
        let mut ignored = self.ignore_group.iter().filter(|_| state.unwatched_groups == 0);
        let unknown = ignored.find(|group| !is_known(&Name::from(group.as_str())))?;
        let groups: Vec<String> = state.groups.keys().map(ToString::to_string).collect();
        let (unknown, groups) = (Text::from(unknown.as_str()), groups.join(", "));
        Some(format!("--ignore-group {unknown}: the stream has no such group; it has: {groups}"))
    }

    /// The limits that the flags set, else those of the stream's rule. The mode is never the rule's: a trim by hand is
    /// safe unless the user says otherwise.
    fn policy(&self, config: &Config, stream: &Name) -> Result<Policy, Error> {
        let mode = match self.mode {
            TrimMode::Safe => Mode::Safe,
            TrimMode::Strict => Mode::Strict,
        };
        // A rule's limits are not for the dead letters of its streams.
        let watchlist = Watchlist::new(config, [stream.clone()]);
        let rule = watchlist.get(stream).and_then(|watched| watched.policy.as_ref());
        let (max_length, max_age, exact, spares_dead_letters) = match (self.max_length, self.max_age, rule) {
            (None, None, Some(rule)) => {
                (rule.max_length, rule.max_age, self.exact || rule.exact, rule.spares_dead_letters)
            }
            (None, None, None) => {
                let reason = "no limit: pass --max-length or --max-age; the configuration has no limit for this stream";
                return Err(Error::Usage(reason.to_owned()));
            }
            (max_length, max_age, _) => (max_length, max_age, self.exact, false),
        };
        let by_hand = Policy::by_hand(config, stream, 0, mode, exact);
        if mode == Mode::Strict && !self.ignore_group.is_empty() {
            return Err(Error::Usage(
                "--ignore-group has no effect with --mode strict: no group holds anything back".to_owned(),
            ));
        }
        let mut policy = Policy { max_length, max_age, spares_dead_letters, ..by_hand };
        policy.ignore_groups.extend(self.ignore_group.iter().map(|group| Name::from(group.as_str())));
        Ok(policy)
    }
}

fn read<'a>(reading: &'a Reading, stream: &Name) -> Result<(&'a StreamState, &'a StreamVerdict), Failure> {
    let absent = || Failure::new(crate::model::Reason::NoKey, format!("there is no stream {stream}"));
    let read = reading.stream(stream).ok_or_else(absent)?;
    Ok((read.state.as_ref().map_err(Clone::clone)?, read.verdict))
}

fn would_lose(Losing { group, undelivered, pending }: &Losing) -> String {
    let parts = [(undelivered, "not yet delivered to it"), (pending, "that it has not acknowledged")];
    let parts: Vec<String> = parts
        .iter()
        .filter(|(count, _)| **count > 0)
        .map(|(count, what)| format!("{} {what}", entries(**count)))
        .collect();
    format!("would lose    group {group}: at most {}\n", parts.join(" and "))
}

/// The command that sets the entry aside that blocks the trim, if it seems to fail each time.
fn help(
    config: &Config,
    stream: &Name,
    (state, verdict): (&StreamState, &StreamVerdict),
    plan: &Plan,
) -> Option<String> {
    let (id, holder) = plan.floor.as_ref()?;
    let group = holder.group.as_ref().filter(|_| holder.reason == BlockReason::Pending)?;
    let oldest = verdict.group(group)?.oldest_pending(state.groups.get(group)?).oldest()?;
    let from = config.rule(stream).map_or(Thresholds::DELIVERIES, |rule| rule.thresholds.poison_from());
    let id = id.to_string();
    seems_to_fail(&oldest, from)
        .then(|| command_line("dead-letter", (stream, group), &[("--id", id.as_bytes())]))
}

fn describe(
    stream: &Name,
    length: u64,
    (policy, plan): (&Policy, &Plan),
    age: &Aged,
    help: Option<String>,
) -> String {
    let mut text = format!("stream        {stream}, {}\n", entries(length));
    let within = if policy.exact { "exactly" } else { "and less than a node more" };
    let length = policy.max_length.map(|limit| match (limit, policy.mode) {
        (0, Mode::Strict) => "0 entries: all are removed, also those that no group has read".to_owned(),
        (0, _) => "0 entries: all are removed that no group needs".to_owned(),
        (limit, _) => format!("{}, {within}", entries(limit)),
    });
    let limits = length.into_iter().chain(policy.max_age.map(|age| format!("an age of {}", short(age))));
    let limits = limits.collect::<Vec<_>>().join(", and ");
    text += &format!("limit         {limits}, mode {}\n", policy.mode.as_str());
    if policy.max_length.is_some() {
        text += &format!("over it       {}\n", entries(plan.excess));
    }
    if let Some((id, holder)) = &plan.floor {
        text += &format!("must stay     from {id} on: {holder}\n");
        text.extend(help.map(|command| format!("              to set that entry aside: {command}\n")));
    }
    text += &match plan.at_most {
        _ if policy.max_length.is_none() => String::new(),
        0 => "would remove  nothing\n".to_owned(),
        most => would_remove(most, policy, plan),
    };
    text += &age.describe(policy);
    if let Some(holder) = plan.blocked_by() {
        text += &format!("blocked       {holder}\n");
    }
    text
}

/// A plan never promises more than it proves. The entries before one that is pending are not counted until they are removed.
fn would_remove(most: u64, policy: &Policy, plan: &Plan) -> String {
    let nodes = if policy.exact { "" } else { ", in whole nodes (100 entries each by default)" };
    match plan.is_exact {
        true if policy.exact => format!("would remove  {}\n", entries(most)),
        true => format!("would remove  at most {}{nodes}\n", entries(most)),
        false => format!(
            "would remove  at most {}, perhaps none{nodes}: how many no group needs is known only at the trim\n",
            entries(most)
        ),
    }
}

/// The question before a trim.
fn question(plan: &Plan, policy: &Policy) -> String {
    let by_length = policy.max_length.map(|_| format!("up to {}", entries(plan.at_most)));
    let by_age = policy.max_age.map(|age| format!("those that are older than {}", short(age)));
    format!("Remove {}?", by_length.into_iter().chain(by_age).collect::<Vec<_>>().join(", and "))
}

/// Prints the progress of a trim, on a terminal, once a second.
fn progress(policy: &Policy) -> impl FnMut(&Run) {
    let limit = policy.max_length;
    let mut last_reported = crate::clock::now();
    move |run| {
        if io::stderr().is_terminal() && last_reported.elapsed() > Duration::from_secs(1) {
            last_reported = crate::clock::now();
            let left = run.length.zip(limit).map(|(length, limit)| length.saturating_sub(limit));
            let left = left.map(|left| format!(", {left} more over the limit")).unwrap_or_default();
            complain(format_args!("removed {}{left}\n", run.removed));
        }
    }
}

fn summary(run: &Run) -> String {
    let mut text = format!("removed {}", entries(run.removed));
    if let Some(length) = run.length {
        text += &format!("; {length} left");
    }
    if let Some(failure) = &run.failure {
        text += &format!("\nfailed: {failure}");
    }
    if let Some(holder) = &run.blocked_by {
        text += &format!("\nblocked: {holder}");
    }
    for (group, lost) in &run.lost {
        let verb = if *lost == 1 { "was" } else { "were" };
        text += &format!("\nlost: {} that {verb} not yet delivered to group {group}", entries(*lost));
    }
    text + "\n"
}
