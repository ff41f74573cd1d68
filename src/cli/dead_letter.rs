//! `streamwarden dead-letter`: sets pending entries aside.

use std::{ffi::OsString, time::Duration};

use clap::{ArgGroup, Args};

use super::{
    acting::{BY, MOST_ROWS, Planned, carry_out},
    command::{Error, Exit, block_on, print},
    confirm::Confirm,
    details::{OneStream, counted, millis, name},
    pending::{TITLES, row},
    table::table,
};
use crate::{
    config::{Config, Log, Mode},
    evaluate::grouped,
    model::{Millis, Name, PendingEntry, StreamId},
    source::{Found, Wanted},
    stuck::{Act, DEFAULT_PREFIX, dead_letters_of},
    telemetry,
};

/// Set pending entries aside: copy them to a stream of dead letters, and acknowledge them for the group.
///
/// The entries stay in the stream, for other groups. Each is checked again when it is moved: one that was delivered meanwhile stays pending.
///
/// Exit code: 0 if all entries were moved, or on a dry run, 1 if not, or on a failure, 2 on wrong usage or configuration.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("which").required(true).multiple(true).args(["id", "deliveries"])))]
pub(super) struct DeadLetter {
    /// Key of the stream.
    stream: OsString,

    /// Name of the group.
    group: OsString,

    /// The pending entry with this ID; repeat it for more entries.
    #[arg(long, value_name = "ID", conflicts_with = "from")]
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

    /// Stop when there are this many dead letters.
    #[arg(long, value_name = "N", default_value = "10000", value_parser = clap::value_parser!(u64).range(1..))]
    max_length: u64,

    /// Also acknowledge entries that no longer exist in the stream. Nothing of them is left to copy.
    #[arg(long)]
    acknowledge_gone: bool,

    /// What the names of added fields begin with.
    #[arg(long, value_name = "TEXT", default_value = DEFAULT_PREFIX)]
    prefix: String,

    #[command(flatten)]
    confirm: Confirm,
}

impl DeadLetter {
    pub(super) fn run(self, config: &Config, log: &Log) -> Result<Exit, Error> {
        self.confirm.is_possible()?;
        telemetry::start_logging(log);
        block_on(self.plan_and_move(config))?
    }

    async fn plan_and_move(self, config: &Config) -> Result<Exit, Error> {
        let (stream, group) = (name(&self.stream), name(&self.group));
        let target = self.target(config, &stream)?;
        let mut reading = OneStream::new(config, &stream);
        reading.group(&group).await?;
        let now = reading.time().await?;
        let found = self.find(&mut reading, &group).await?;
        let ids: Vec<StreamId> = found.entries.iter().map(PendingEntry::id).collect();
        let shown = ids.get(..MOST_ROWS).unwrap_or(&ids);
        let entries = reading.entries(shown).await?;
        print(format_args!("stream        {stream}, group {group}\n"))?;
        print(format_args!("dead letters  {target}, at most {}\n", grouped(self.max_length)))?;
        if !shown.is_empty() {
            let rows = found.entries.iter().zip(&entries).map(|(it, entry)| row(it, entry.is_some(), now));
            print(format_args!("\n{}", table(TITLES, &rows.collect::<Vec<_>>())))?;
        }
        if let Some(more) = ids.len().checked_sub(shown.len()).filter(|more| *more > 0) {
            print(format_args!("... and {} more\n", counted(more, "entry")))?;
        }
        if let Some(next) = found.next {
            print(format_args!("looked at {}; go on with --from {next}\n", grouped(found.looked_at)))?;
        }
        print(format_args!("\nwould move    {}\n", counted(ids.len(), "entry")))?;
        // Since an entry that is delivered meanwhile is less idle than now, it stays.
        let least_idle = found.entries.iter().filter_map(|it| it.entry.idle).min().unwrap_or(Millis::ZERO);
        let idle = self.idle.map_or(least_idle, millis);
        let needed = (self.deliveries.unwrap_or(0), idle);
        let names = (&stream, &group, &target);
        let act = Act::dead_letter(names, needed, self.max_length, (&self.prefix, BY), self.acknowledge_gone);
        let question = format!("Move {} to {target}?", counted(ids.len(), "entry"));
        carry_out(config, &self.confirm, &question, vec![Planned::of_ids(act, ids)]).await
    }

    /// The pending entries that are meant.
    async fn find(&self, reading: &mut OneStream<'_>, group: &Name) -> Result<Found, Error> {
        let (config, of) = (reading.config, (reading.stream, group));
        if self.id.is_empty() {
            let wanted = Wanted {
                consumer: None,
                deliveries: self.deliveries.unwrap_or(0),
                idle: self.idle.map_or(Millis::ZERO, millis),
                from: self.from.unwrap_or(StreamId::ZERO),
                limit: usize::try_from(self.max).unwrap_or(usize::MAX),
            };
            return reading
                .details
                .find(config, of, &wanted)
                .await
                .map_err(|failure| reading.error(&failure));
        }
        let found = reading.details.pending_of(config, of, &self.id).await;
        let found = found.map_err(|failure| reading.error(&failure))?;
        let missing = self.id.iter().zip(&found).filter(|(_, entry)| entry.is_none());
        let missing: Vec<String> = missing.map(|(id, _)| id.to_string()).collect();
        if !missing.is_empty() {
            return Err(Error::Other(format!("not pending in group {group}: {}", missing.join(", "))));
        }
        let (deliveries, idle) = (self.deliveries.unwrap_or(0), self.idle.map_or(Millis::ZERO, millis));
        let entries = found.into_iter().flatten().filter(|entry| entry.is_at_least(deliveries, idle));
        Ok(Found { entries: entries.collect(), looked_at: 0, next: None })
    }

    /// Where the entries go.
    ///
    /// # Errors
    /// No key is in the stream's slot by default, or a rule would remove dead letters from this one.
    fn target(&self, config: &Config, stream: &Name) -> Result<Name, Error> {
        let target = match &self.to {
            Some(to) => name(to),
            None => dead_letters_of(stream).ok_or_else(|| {
                let what =
                    "no default name for its dead letters is in the stream's slot of a cluster; pass --to";
                Error::Usage(format!("{stream}: {what}"))
            })?,
        };
        if target == *stream {
            return Err(Error::Usage(format!("--to {target}: the dead letters need a key of their own")));
        }
        // The sidecar spares the default name.
        let rule = config.rule(&target).filter(|_| dead_letters_of(stream).as_ref() != Some(&target));
        let trims =
            rule.is_some_and(|rule| rule.retention.as_ref().is_some_and(|it| it.mode != Mode::Observe));
        let is_shared = rule.zip(config.rule(stream)).is_some_and(|(one, other)| std::ptr::eq(one, other));
        match rule.filter(|_| trims && is_shared) {
            None => Ok(target),
            Some(rule) => Err(Error::Usage(format!(
                "the limit of the rule `match: {}` is meant for {stream}, and also applies to {target}: retention would remove dead \
                 letters. Put a rule `match: dead:*` without a limit before it, or pass --to",
                rule.pattern
            ))),
        }
    }
}
