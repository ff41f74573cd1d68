//! `streamwarden claim`: hands the pending entries of a consumer that is gone over to another one.

use std::{ffi::OsString, time::Duration};

use clap::Args;

use super::{
    acting::{MOST_ROWS, Planned, carry_out},
    command::{Error, Exit, block_on, print},
    confirm::Confirm,
    details::{OneStream, counted, millis, name, span},
    pending::{TITLES, row},
    table::table,
};
use crate::{
    config::{Config, Log},
    evaluate::grouped,
    model::{Consumer, Name, PendingEntry, StreamId},
    source::Wanted,
    stuck::Act,
    telemetry,
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
        self.confirm.is_possible()?;
        telemetry::start_logging(log);
        block_on(self.plan_and_claim(config))?
    }

    async fn plan_and_claim(self, config: &Config) -> Result<Exit, Error> {
        let (stream, group) = (name(&self.stream), name(&self.group));
        let (from, to) = (name(&self.from), name(&self.to));
        if from == to {
            return Err(Error::Usage(format!("--from and --to are both {to}")));
        }
        let idle = millis(self.idle);
        let mut reading = OneStream::new(config, &stream);
        reading.group(&group).await?;
        let consumers = reading.consumers(&group).await?;
        let holder = consumer(&consumers, &from, "--from", &group)?;
        consumer(&consumers, &to, "--to", &group)?;
        if holder.idle < idle {
            let its_own = span(Some(holder.idle.get()));
            return Err(Error::Other(format!(
                "{from} was idle for {its_own} only: it may be working on its entries"
            )));
        }
        let wanted = Wanted {
            consumer: Some(from.clone()),
            deliveries: 0,
            idle,
            from: StreamId::ZERO,
            limit: usize::try_from(self.max).unwrap_or(usize::MAX),
        };
        let found = reading.details.find(config, (&stream, &group), &wanted).await;
        let found = found.map_err(|failure| reading.error(&failure))?;
        let ids: Vec<StreamId> = found.entries.iter().map(PendingEntry::id).collect();
        let shown = reading.entries(ids.get(..MOST_ROWS).unwrap_or(&ids)).await?;
        let now = reading.time().await?;
        print(format_args!("stream        {stream}, group {group}\n"))?;
        print(format_args!("holder        {from}, {} pending\n", grouped(holder.pending)))?;
        if !shown.is_empty() {
            let rows = found.entries.iter().zip(&shown).map(|(it, entry)| row(it, entry.is_some(), now));
            print(format_args!("\n{}", table(TITLES, &rows.collect::<Vec<_>>())))?;
        }
        if let Some(more) = ids.len().checked_sub(shown.len()).filter(|more| *more > 0) {
            print(format_args!("... and {} more\n", counted(more, "entry")))?;
        }
        print(format_args!("\nwould hand over  {} to {to}\n{WHEN}", counted(ids.len(), "entry")))?;
        let question = format!("Hand over {} to {to}?", counted(ids.len(), "entry"));
        let act = Act::claim((&stream, &group), (&from, &to), idle);
        carry_out(config, &self.confirm, &question, vec![Planned::of_ids(act, ids)]).await
    }
}

fn consumer<'a>(
    consumers: &'a [Consumer],
    name: &Name,
    flag: &str,
    group: &Name,
) -> Result<&'a Consumer, Error> {
    let names =
        || consumers.iter().take(MOST_ROWS).map(|it| it.name.to_string()).collect::<Vec<_>>().join(", ");
    let missing =
        || Error::Other(format!("{flag} {name}: group {group} has no such consumer; it has: {}", names()));
    consumers.iter().find(|consumer| consumer.name == *name).ok_or_else(missing)
}
