//! `streamwarden reap-consumers`: deletes consumers that are gone.

use std::{ffi::OsString, time::Duration};

use clap::Args;

use super::{
    acting::{MOST_ROWS, carry_out},
    command::{Error, Exit, block_on, print},
    confirm::Confirm,
    details::{counted, details, millis, name, span},
    table::table,
};
use crate::{
    config::{Config, Log},
    model::Consumer,
    planner::{ReapOrder, ReapPlan},
    telemetry,
};

/// Delete consumers that hold no pending entries and were idle for long.
///
/// A consumer that holds pending entries is never deleted, since these would be lost. Each consumer is checked again when it is deleted.
///
/// Exit code: 0 if all were deleted, or on a dry run, 1 if not, or on a failure, 2 on wrong usage or configuration.
#[derive(Debug, Args)]
pub(super) struct ReapConsumers {
    /// Key of the stream.
    stream: OsString,

    /// Name of the group.
    group: OsString,

    /// Only consumers that did not ask for entries for at least this long: longer than any blocking read waits.
    #[arg(long, value_name = "DURATION", default_value = "1d", value_parser = humantime::parse_duration)]
    idle: Duration,

    /// Permit an idle time below a day.
    #[arg(long)]
    force: bool,

    #[command(flatten)]
    confirm: Confirm,
}

impl ReapConsumers {
    pub(super) fn run(self, config: &Config, log: &Log) -> Result<Exit, Error> {
        let order = ReapOrder {
            stream: name(&self.stream),
            group: name(&self.group),
            idle: millis(self.idle),
            force: self.force,
        };
        order.check()?;
        self.confirm.is_possible()?;
        telemetry::start_logging(log);
        block_on(self.plan_and_delete(&order, config))?
    }

    async fn plan_and_delete(self, order: &ReapOrder, config: &Config) -> Result<Exit, Error> {
        let ReapPlan { all, unused, holding, planned } = order.plan(config, &mut details()).await?;
        let consumers = counted(all, "consumer");
        print(format_args!("stream        {}, group {}, {consumers}\n", order.stream, order.group))?;
        let row = |consumer: &Consumer| [consumer.name.to_string(), span(Some(consumer.idle.get()))];
        if !unused.is_empty() {
            let rows: Vec<_> = unused.iter().take(MOST_ROWS).map(row).collect();
            print(format_args!("\n{}", table(["CONSUMER", "IDLE"], &rows)))?;
        }
        if let Some(more) = unused.len().checked_sub(MOST_ROWS).filter(|more| *more > 0) {
            print(format_args!("... and {} more\n", counted(more, "consumer")))?;
        }
        print(format_args!("\nwould delete  {}\n", counted(unused.len(), "consumer")))?;
        if !holding.is_empty() {
            let names: Vec<String> = holding.iter().take(MOST_ROWS).map(|it| it.name.to_string()).collect();
            let others = if holding.len() > MOST_ROWS { ", ..." } else { "" };
            print(format_args!(
                "would keep    {}, holding pending entries: {}{others}; see `streamwarden claim`\n",
                counted(holding.len(), "idle consumer"),
                names.join(", ")
            ))?;
        }
        let question = format!("Delete {}?", counted(unused.len(), "consumer"));
        carry_out(config, &self.confirm, &question, vec![planned], None, None).await
    }
}
