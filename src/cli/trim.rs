//! `streamwarden trim`: shows what would be removed and what keeps the rest, asks, trims, and prints the result.

use std::{
    ffi::OsString,
    io::{self, IsTerminal},
    os::unix::ffi::OsStringExt,
    sync::Arc,
    time::Duration,
};

use clap::{Args, ValueEnum};

use super::{
    command::{Error, Exit, block_on, complain, print},
    confirm::{Confirm, ask},
};
use crate::{
    actions,
    app::self_stats,
    config::{Config, Log, Mode, Policy, Watchlist},
    evaluate::StreamVerdict,
    model::{Failure, Name, Role, StreamState, Text},
    reader::Reader,
    reading::Reading,
    retention::{Losing, Outcome, Plan, Run},
    source::Link,
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

    /// Entries that the stream may hold afterwards.
    #[arg(long, value_name = "N")]
    max_length: u64,

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
        let stream = Name::from(self.stream.clone().into_vec());
        let policy = self.policy(config, &stream);
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
            if !ask(&format!("Remove up to {} entries?", plan.at_most)) {
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
        print(describe(stream, state.length, policy, &plan))?;
        plan.losing(policy, state, verdict).iter().try_for_each(|losing| print(would_lose(losing)))?;
        if policy.mode == Mode::Strict && state.unwatched_groups > 0 {
            print(format_args!(
                "would lose    perhaps {} more groups, which are not watched (limits.groups_per_stream)\n",
                state.unwatched_groups
            ))?;
        }
        if plan.excess == 0 {
            print("nothing to remove\n")?;
            return Ok(Err(Exit::Success));
        }
        if self.confirm.dry_run {
            print("nothing was removed\n")?;
            return Ok(Err(Exit::success_if(plan.reaches_the_limit())));
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

    fn policy(&self, config: &Config, stream: &Name) -> Policy {
        let mode = match self.mode {
            TrimMode::Safe => Mode::Safe,
            TrimMode::Strict => Mode::Strict,
        };
        let mut policy = Policy::by_hand(config, stream, self.max_length, mode, self.exact);
        policy.ignore_groups.extend(self.ignore_group.iter().map(|group| Name::from(group.as_str())));
        policy
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
        .map(|(count, what)| format!("{count} entries {what}"))
        .collect();
    format!("would lose    group {group}: at most {}\n", parts.join(" and "))
}

fn describe(stream: &Name, length: u64, policy: &Policy, plan: &Plan) -> String {
    let mut text = format!("stream        {stream}, {length} entries\n");
    text += &format!(
        "limit         {} entries, {}, mode {}\n",
        policy.max_length.unwrap_or_default(),
        if policy.exact { "exactly" } else { "and less than a node more" },
        policy.mode.as_str()
    );
    text += &format!("over it       {} entries\n", plan.excess);
    if let Some((id, holder)) = &plan.floor {
        text += &format!("must stay     from {id} on: {holder}\n");
    }
    text += &match plan.at_most {
        0 => "would remove  nothing\n".to_owned(),
        all if policy.exact && plan.is_exact => format!("would remove  {all} entries\n"),
        most if policy.exact => format!("would remove  at most {most} entries\n"),
        most => {
            format!("would remove  at most {most} entries, in whole nodes (100 entries each by default)\n")
        }
    };
    if let Some(holder) = plan.blocked_by() {
        text += &format!("blocked       {holder}\n");
    }
    text
}

/// Prints the progress of a trim, on a terminal, once a second.
fn progress(policy: &Policy) -> impl FnMut(&Run) {
    let limit = policy.max_length.unwrap_or_default();
    let mut last_reported = crate::clock::now();
    move |run| {
        if io::stderr().is_terminal() && last_reported.elapsed() > Duration::from_secs(1) {
            last_reported = crate::clock::now();
            let left = run.length.map_or(0, |length| length.saturating_sub(limit));
            complain(format_args!("removed {}, {left} more over the limit\n", run.removed));
        }
    }
}

fn summary(run: &Run) -> String {
    let mut text = format!("removed {} entries", run.removed);
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
        text += &format!("\nlost: {lost} entries that were not yet delivered to group {group}");
    }
    text + "\n"
}
