//! `streamwarden replay`: plays dead letters back.

use std::{ffi::OsString, time::Duration};

use clap::Args;

use super::{
    acting::{beyond_max, carry_out, run_asking},
    command::{Error, Exit, print},
    confirm::Confirm,
    details::{counted, details, millis, name},
};
use crate::{
    config::{Config, Log},
    model::{Name, StreamId},
    planner::{ReplayOrder, Replayed},
    stuck::MOST_REPLAYS,
};

/// Add dead letters to their stream again, and remove them from the dead letters.
///
/// All groups of the stream see them again, also those that had handled them. They come to the end of the stream. A command that was
/// interrupted goes on where it was if it is run again.
///
/// Exit code: 0 if all were replayed, or on a dry run, 1 if not, or on a failure, 2 on wrong usage or configuration.
#[derive(Debug, Args)]
pub(super) struct Replay {
    /// Key of the dead letters.
    key: OsString,

    /// The dead letter with this ID; repeat it for more.
    #[arg(long, value_name = "ID", conflicts_with_all = ["filter", "since", "max"])]
    id: Vec<StreamId>,

    /// Only those of which this field has this value; repeat it for more fields.
    #[arg(long, value_name = "FIELD=VALUE", value_parser = parse_filter)]
    filter: Vec<(String, String)>,

    /// Only those that were set aside within this time, as in 2h.
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    since: Option<Duration>,

    /// The stream that gets them. Without it, the one that each is from. In a cluster it must be in the slot of the dead letters.
    #[arg(long, value_name = "STREAM")]
    to: Option<OsString>,

    /// At most this many, the oldest first. What is left is said.
    #[arg(long, value_name = "N", default_value = "1000", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    max: u32,

    /// At most this many in a second.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    rate: Option<u32>,

    /// Leave those that were replayed this often already: they fail each time.
    #[arg(long, value_name = "N", default_value_t = MOST_REPLAYS, value_parser = clap::value_parser!(u64).range(1..=1_000))]
    max_replays: u64,

    /// What the names of added fields begin with. [default: as the rule of the dead letters says, else dlq:]
    #[arg(long, value_name = "TEXT")]
    prefix: Option<String>,

    #[command(flatten)]
    confirm: Confirm,
}

fn parse_filter(text: &str) -> Result<(String, String), String> {
    let (field, value) = text.split_once('=').ok_or("a filter looks like FIELD=VALUE")?;
    Ok((field.to_owned(), value.to_owned()))
}

impl Replay {
    pub(super) fn run(self, config: &Config, log: &Log) -> Result<Exit, Error> {
        run_asking(&self.confirm, log, self.plan_and_replay(config))
    }

    async fn plan_and_replay(&self, config: &Config) -> Result<Exit, Error> {
        let order = ReplayOrder {
            key: name(&self.key),
            ids: self.id.clone(),
            filter: self.filter.clone(),
            since: self.since.map(millis),
            to: self.to.as_ref().map(name),
            from: StreamId::ZERO,
            max: usize::try_from(self.max).unwrap_or(usize::MAX),
            most_replays: self.max_replays,
            prefix: self.prefix.clone(),
        };
        let plan = order.plan(config, &mut details()).await?;
        print(format_args!("dead letters  {}\n", order.key))?;
        if plan.looped > 0 {
            let looped = counted(usize::try_from(plan.looped).unwrap_or(usize::MAX), "dead letter");
            let often = self.max_replays;
            print(format_args!("would leave   {looped}, replayed {often} times already (--max-replays)\n"))?;
        }
        for Replayed { to, groups, planned } in &plan.streams {
            print(format_args!(
                "would replay  {} to {to}\n{}",
                counted(planned.items.len(), "dead letter"),
                seen_by(to, groups)
            ))?;
        }
        let rest = beyond_max(plan.rest, self.max);
        rest.iter().try_for_each(print)?;
        let question = format!("Replay {}?", counted(plan.count(), "dead letter"));
        let planned = plan.streams.into_iter().map(|stream| stream.planned).collect();
        carry_out(config, &self.confirm, &question, planned, self.rate, rest.as_deref()).await
    }
}

/// The groups that see what is added to this stream.
fn seen_by(stream: &Name, groups: &[Name]) -> String {
    let names: Vec<String> = groups.iter().map(ToString::to_string).collect();
    match names.as_slice() {
        [] => format!("              {stream} has no groups: nothing reads them but XREAD\n"),
        all => format!("              all of its groups see them again: {}\n", all.join(", ")),
    }
}
