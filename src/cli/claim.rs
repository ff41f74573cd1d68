//! `streamwarden claim`: hands the pending entries of a consumer that is gone over to another one.

use std::{ffi::OsString, time::Duration};

use clap::Args;

use super::{
    acting::{carry_out, run_asking, unlooked},
    command::{Error, Exit, print},
    confirm::Confirm,
    details::{counted, details, millis, name},
    pending::pending_table,
};
use crate::{
    config::{Config, Log},
    evaluate::grouped,
    planner::ClaimOrder,
};

/// When a claim helps.
const WHEN: &str = "A claim only changes who holds an entry. It helps if the new holder reads its history (XREADGROUP with 0), as many do when they\n\
     start: restart it then. A consumer that only reads new entries (>) never sees them. One that claims by itself (XAUTOCLAIM) needs no help.\n";

/// Hand the pending entries of a consumer that is gone over to a living one.
///
/// A claim only changes who holds an entry. It helps if the new holder reads its history (XREADGROUP with 0), as many do when they start:
/// restart it then. A consumer that only reads new entries (>) never sees them.
///
/// Exit code: 0 if all entries were handed over, or on a dry run, 1 if not, or on a failure, 2 on wrong usage or configuration.
#[derive(Debug, Args)]
pub(super) struct Claim {
    /// Key of the stream.
    stream: OsString,

    /// Name of the group.
    group: OsString,

    /// The consumer that is gone.
    #[arg(long, value_name = "CONSUMER")]
    from: OsString,

    /// The consumer that gets its entries. It must exist.
    #[arg(long, value_name = "CONSUMER")]
    to: OsString,

    /// How long the consumer must have done nothing, and each entry not been delivered, as in 10m.
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    idle: Duration,

    /// At most this many entries.
    #[arg(long, value_name = "N", default_value = "1000", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    max: u32,

    #[command(flatten)]
    confirm: Confirm,
}

impl Claim {
    pub(super) fn run(self, config: &Config, log: &Log) -> Result<Exit, Error> {
        run_asking(&self.confirm, log, self.plan_and_claim(config))
    }

    async fn plan_and_claim(&self, config: &Config) -> Result<Exit, Error> {
        let order = ClaimOrder {
            stream: name(&self.stream),
            group: name(&self.group),
            from: name(&self.from),
            to: name(&self.to),
            idle: millis(self.idle),
            max: usize::try_from(self.max).unwrap_or(usize::MAX),
        };
        let plan = order.plan(config, &mut details()).await?;
        print(format_args!("stream        {}, group {}\n", order.stream, order.group))?;
        print(format_args!("holder        {}, {} pending\n", order.from, grouped(plan.holder.pending)))?;
        print(pending_table(&plan.looked, plan.now))?;
        let entries = counted(plan.planned.items.len(), "entry");
        print(format_args!("\nwould hand over  {entries} to {}\n{WHEN}", order.to))?;
        let question = format!("Hand over {entries} to {}?", order.to);
        let rest =
            unlooked(&plan.looked, |_| "run it again for the others, or with a larger --max".to_owned());
        rest.iter().try_for_each(print)?;
        carry_out(config, &self.confirm, &question, vec![plan.planned], None, rest.as_deref()).await
    }
}
