//! `streamwarden pending`: the pending entries of a stream's groups.

use std::{ffi::OsString, time::Duration};

use clap::Args;
use serde::Serialize;

use super::{
    acting::{MOST_ROWS, unlooked},
    command::{Error, Exit, block_on, print},
    details::{age, counted, details, fields, millis, name, span},
    table::{table, table_with},
};
use crate::{
    config::{Config, Log},
    evaluate::grouped,
    model::{Entry, Millis, Name, PendingEntry, ServerTime, StreamId},
    planner::{Looked, Looker, Refusal},
    source::Wanted,
    telemetry,
    views::api::PendingEntryDocument,
};

/// Goes up when a field is removed or changes its meaning.
const SCHEMA_VERSION: u32 = 1;

/// List the pending entries of a stream: delivered, but not acknowledged. Read-only.
///
/// At most 100,000 pending entries of each group are looked at, the oldest first.
///
/// Exit code: 0, 1 on a failure, 2 on wrong usage or configuration.
#[derive(Debug, Args)]
pub(super) struct Pending {
    /// Key of the stream.
    stream: OsString,

    /// Name of the group. Without it, all groups of the stream.
    group: Option<OsString>,

    #[command(flatten)]
    filter: Filter,

    /// Show at most this many entries of each group.
    #[arg(long, value_name = "N", default_value = "100", value_parser = clap::value_parser!(u16).range(1..=10_000))]
    limit: u16,

    /// Also print the fields of each entry. Long values are cut.
    #[arg(long, conflicts_with = "json")]
    show: bool,

    /// Print JSON, without the fields of entries.
    #[arg(long)]
    json: bool,
}

/// Which pending entries are wanted.
#[derive(Debug, Args)]
pub(super) struct Filter {
    /// Only entries that were delivered at least this many times.
    #[arg(long, value_name = "N")]
    pub(super) deliveries: Option<u64>,

    /// Only entries that were not delivered for at least this long, as in 10m.
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    pub(super) idle: Option<Duration>,

    /// Only entries of this consumer.
    #[arg(long, value_name = "CONSUMER")]
    pub(super) consumer: Option<OsString>,

    /// Begin at this ID.
    #[arg(long, value_name = "ID")]
    pub(super) from: Option<StreamId>,
}

impl Filter {
    pub(super) fn wanted(&self, limit: usize) -> Wanted {
        Wanted {
            consumer: self.consumer.as_ref().map(name),
            deliveries: self.deliveries.unwrap_or(0),
            idle: self.idle.map_or(Millis::ZERO, millis),
            from: self.from.unwrap_or(StreamId::ZERO),
            ..Wanted::all(limit)
        }
    }
}

/// What `--json` prints.
#[derive(Serialize)]
struct Document<'a> {
    schema_version: u32,
    stream: String,
    /// Pending entries of all groups of the stream.
    pending: u64,
    groups: Vec<GroupDocument<'a>>,
}

#[derive(Serialize)]
struct GroupDocument<'a> {
    name: String,
    pending: u64,
    looked_at: u64,
    /// Where to go on with `--from`; null: all pending entries were looked at.
    next: Option<String>,
    entries: Vec<PendingEntryDocument<'a>>,
}

impl<'a> GroupDocument<'a> {
    fn new(Looked { group, found, exist }: &'a Looked, now: Option<ServerTime>) -> Self {
        let entry = |(it, exists)| PendingEntryDocument::new(it, exists, now);
        Self {
            name: group.name.to_string(),
            pending: group.pending,
            looked_at: found.looked_at,
            next: found.next.map(|next| next.to_string()),
            entries: found.entries.iter().zip(exist.iter().copied()).map(entry).collect(),
        }
    }
}

impl Pending {
    pub(super) fn run(self, config: &Config, log: &Log) -> Result<Exit, Error> {
        telemetry::start_logging(log);
        block_on(self.look(config))?
    }

    async fn look(self, config: &Config) -> Result<Exit, Error> {
        let stream = name(&self.stream);
        let mut details = details();
        let mut looker = Looker { config, stream: &stream, details: &mut details };
        let groups = looker.groups().await?;
        let pending = groups.iter().map(|group| group.pending).sum();
        let groups = match &self.group {
            Some(group) => vec![looker.group(&name(group)).await?],
            None => groups,
        };
        let now = looker.time().await?;
        let mut all = Vec::with_capacity(groups.len());
        for group in groups {
            all.push(looker.look(group, &self.filter.wanted(self.limit.into())).await?);
        }
        self.check_consumer(&mut looker, &all).await?;
        if self.json {
            return print_json(&stream, pending, now, &all);
        }
        print(format_args!("{stream}: {} pending in all groups\n", grouped(pending)))?;
        for looked in &all {
            let ids: Vec<StreamId> = looked.found.entries.iter().map(PendingEntry::id).collect();
            let shown = if self.show { looker.entries(&ids).await? } else { Vec::new() };
            print(format_args!("\n{}", text(looked, &shown, now)))?;
        }
        Ok(Exit::Success)
    }

    /// # Errors
    /// No group that was looked at has the consumer that was asked for.
    async fn check_consumer(&self, looker: &mut Looker<'_>, all: &[Looked]) -> Result<(), Refusal> {
        let is_empty = all.iter().all(|group| group.found.entries.is_empty());
        let Some(consumer) = self.filter.consumer.as_ref().map(name).filter(|_| is_empty) else {
            return Ok(());
        };
        let mut missing = Ok(());
        for looked in all {
            missing = looker.check_consumer(&looked.group.name, &consumer).await;
            if missing.is_ok() {
                return Ok(());
            }
        }
        match (missing, all) {
            (Err(Refusal::Missing(_)), [_, _, ..]) => {
                Err(Refusal::Missing(format!("no group of the stream has a consumer {consumer}")))
            }
            (missing, _) => missing,
        }
    }
}

/// The pending entries of a group, with the fields of those that are shown.
fn text(looked: &Looked, shown: &[Option<Entry>], now: Option<ServerTime>) -> String {
    let Looked { group, found, exist } = looked;
    let mut text = format!("group {}: {} pending\n", group.name, grouped(group.pending));
    if !found.entries.is_empty() {
        let rows: Vec<_> =
            found.entries.iter().zip(exist).map(|(it, exists)| row(it, *exists, now)).collect();
        let fields = shown.iter().map(|entry| entry.as_ref().map(fields).unwrap_or_default());
        text += &table_with(TITLES, &rows, fields.chain(std::iter::repeat(String::new())));
    } else if group.pending > 0 && found.next.is_none() {
        text += "no pending entry is like that\n";
    }
    text.extend(unlooked(looked, |next| format!("go on with --from {next}")));
    text
}

/// The titles of [`row`].
const TITLES: [&str; 6] = ["ID", "AGE", "IDLE", "DELIVERIES", "CONSUMER", "ENTRY"];

/// A pending entry in columns.
fn row(pending: &PendingEntry, exists: bool, now: Option<ServerTime>) -> [String; 6] {
    let PendingEntry { entry, consumer } = pending;
    [
        entry.id.to_string(),
        span(age(entry.id, now)),
        // A consumer gave it back.
        entry.idle.map_or_else(|| "released".to_owned(), |idle| span(Some(idle.get()))),
        entry.counted_deliveries().map_or_else(|| "fatal".to_owned(), grouped),
        consumer.to_string(),
        if exists { "exists" } else { "gone" }.to_owned(),
    ]
}

/// The pending entries of a plan: the first ones, and how many more there are.
pub(super) fn pending_table(Looked { found, exist, .. }: &Looked, now: Option<ServerTime>) -> String {
    if found.entries.is_empty() {
        return String::new();
    }
    let shown = found.entries.iter().zip(exist).take(MOST_ROWS);
    let rows: Vec<_> = shown.map(|(it, exists)| row(it, *exists, now)).collect();
    let more = found.entries.len() - rows.len();
    let more = if more > 0 { format!("... and {} more\n", counted(more, "entry")) } else { String::new() };
    format!("\n{}{more}", table(TITLES, &rows))
}

fn print_json(stream: &Name, pending: u64, now: Option<ServerTime>, all: &[Looked]) -> Result<Exit, Error> {
    let document = Document {
        schema_version: SCHEMA_VERSION,
        stream: stream.to_string(),
        pending,
        groups: all.iter().map(|group| GroupDocument::new(group, now)).collect(),
    };
    let text = serde_json::to_string_pretty(&document).map_err(|error| Error::Other(error.to_string()))?;
    print(format_args!("{text}\n"))?;
    Ok(Exit::Success)
}
