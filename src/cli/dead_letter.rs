//! `streamwarden dead-letter`: sets pending entries aside.

use std::{ffi::OsString, time::Duration};

use clap::{ArgGroup, Args};

use super::{
    acting::{BY, MOST_ROWS, carry_out, run_asking, unlooked},
    command::{Error, Exit, print},
    confirm::Confirm,
    details::{counted, details, millis, name},
    pending::pending_table,
};
use crate::{
    config::{Config, Log},
    evaluate::{grouped, short},
    model::{Millis, PendingEntry, StreamId},
    planner::{DeadLetterOrder, DeadLetterPlan},
    stuck::Outcome,
};

/// Set pending entries aside: copy them to a stream of dead letters, and acknowledge them for the group.
///
/// The entries stay in the stream, for other groups. Each is checked again when it is moved: one that was delivered meanwhile stays pending.
///
/// Exit code: 0 if all entries were moved, or on a dry run, 1 if not, or on a failure, 2 on wrong usage or configuration.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("which").required(true).multiple(true).args(["id", "deliveries", "acknowledge_gone"])))]
pub(super) struct DeadLetter {
    /// Key of the stream.
    stream: OsString,

    /// Name of the group.
    group: OsString,

    /// The pending entry with this ID; repeat it for more entries.
    #[arg(long, value_name = "ID", conflicts_with_all = ["from", "max"])]
    id: Vec<StreamId>,

    /// Entries that were delivered at least this many times. Needs --idle: a restart also delivers again.
    #[arg(long, value_name = "N", requires = "idle", value_parser = clap::value_parser!(u64).range(1..))]
    deliveries: Option<u64>,

    /// Only entries that were not delivered for at least this long, as in 10m: longer than any handler works on one.
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    idle: Option<Duration>,

    /// Begin at this ID.
    #[arg(long, value_name = "ID")]
    from: Option<StreamId>,

    /// At most this many entries.
    #[arg(long, value_name = "N", default_value = "1000", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    max: u32,

    /// Key of the dead letters. In a cluster it must be in the stream's slot. [default: dead:{STREAM}]
    #[arg(long, value_name = "KEY")]
    to: Option<OsString>,

    /// Stop when there are this many dead letters. [default: as the stream's rule says, else 10000]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    max_length: Option<u64>,

    /// Also acknowledge entries that no longer exist in the stream. Nothing of them is left to copy. Without --id and --deliveries it only
    /// does this.
    #[arg(long)]
    acknowledge_gone: bool,

    /// What the names of added fields begin with. [default: as the stream's rule says, else dlq:]
    #[arg(long, value_name = "TEXT")]
    prefix: Option<String>,

    #[command(flatten)]
    confirm: Confirm,
}

impl DeadLetter {
    pub(super) fn run(self, config: &Config, log: &Log) -> Result<Exit, Error> {
        run_asking(&self.confirm, log, self.plan_and_move(config))
    }

    async fn plan_and_move(&self, config: &Config) -> Result<Exit, Error> {
        let order = self.order();
        let plan = order.plan(config, &mut details(), BY).await?;
        let DeadLetterPlan { to, looked, now, .. } = &plan;
        print(format_args!("stream        {}, group {}\n", order.stream, order.group))?;
        if let Some(to) = to {
            print(format_args!("dead letters  {to}, at most {}\n", grouped(plan.max_length)))?;
        }
        print(pending_table(looked, *now))?;
        let rest = unlooked(looked, |next| format!("go on with --from {next}"));
        rest.iter().try_for_each(print)?;
        print("\n")?;
        would(&order, &plan)
            .iter()
            .try_for_each(|(what, which)| print(format_args!("would {what:<7} {which}\n")))?;
        print(unfit(&order, &plan))?;
        let question = match to {
            Some(to) => format!("Set them aside in {to}?"),
            None => "Acknowledge them?".to_owned(),
        };
        let is_left = plan.left(&order).iter().next().is_some() && !self.confirm.dry_run;
        let exit = carry_out(config, &self.confirm, &question, plan.planned, None, rest.as_deref()).await?;
        Ok(if is_left { Exit::Failure } else { exit })
    }

    fn order(&self) -> DeadLetterOrder {
        DeadLetterOrder {
            stream: name(&self.stream),
            group: name(&self.group),
            ids: self.id.clone(),
            deliveries: self.deliveries,
            idle: self.idle.map(millis),
            from: self.from.unwrap_or(StreamId::ZERO),
            max: usize::try_from(self.max).unwrap_or(usize::MAX),
            to: self.to.as_ref().map(name),
            max_length: self.max_length,
            acknowledge_gone: self.acknowledge_gone,
            prefix: self.prefix.clone(),
        }
    }
}

/// What would be done with how many entries.
fn would(order: &DeadLetterOrder, plan: &DeadLetterPlan) -> Vec<(&'static str, String)> {
    let entries = |count: u64| counted(usize::try_from(count).unwrap_or(usize::MAX), "entry");
    let mut would = Vec::new();
    if plan.to.is_some() {
        let at_most = if plan.is_checked { "" } else { "at most " };
        would.push(("move", format!("{at_most}{}", counted(plan.movable(), "entry"))));
    }
    if plan.gone > 0 || plan.to.is_none() {
        let gone = format!("{}, gone from the stream", entries(plan.gone));
        would.push(if order.acknowledge_gone {
            ("acknowledge", gone)
        } else {
            ("leave", format!("{gone}: --acknowledge-gone acknowledges what nobody can handle"))
        });
    }
    if !plan.unfit.is_empty() {
        let (unfit, why) = (counted(plan.unfit.len(), "entry"), Outcome::Changed.meaning());
        would.push(if order.ids.is_empty() {
            ("leave", format!("at least {unfit}, delivered so often, but not so long ago"))
        } else {
            ("leave", format!("{unfit}, {why}"))
        });
    }
    would
}

/// Which entries meet one condition only, and what to do about those that are retried all the time.
fn unfit(order: &DeadLetterOrder, plan: &DeadLetterPlan) -> String {
    let line = |PendingEntry { entry, .. }: &PendingEntry| {
        let deliveries = entry.counted_deliveries().map_or_else(|| "fatal".to_owned(), grouped);
        let last = entry.idle.map(|idle| format!(", the last {} ago", short(idle.duration())));
        format!("  {}, deliveries: {deliveries}{}\n", entry.id, last.unwrap_or_default())
    };
    let lines: String = plan.unfit.iter().take(MOST_ROWS).map(line).collect();
    let Some(often) = order.deliveries else { return lines };
    let is_retried = |it: &&PendingEntry| it.is_at_least(often, Millis::ZERO);
    let Some(retried) = plan.unfit.iter().find(is_retried) else { return lines };
    format!(
        "{lines}A consumer retries {id} before --idle is over. Stop that consumer, give a shorter --idle, or only the ID: --id {id}\n",
        id = retried.id()
    )
}
