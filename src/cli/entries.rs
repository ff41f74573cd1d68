//! `streamwarden entries`: single entries of a stream.

use std::ffi::OsString;

use clap::Args;

use super::{
    command::{Error, Exit, block_on, print},
    details::{age, counted, details, fields, name, span},
    table::table_with,
};
use crate::{
    config::{Config, Log},
    evaluate::grouped,
    model::{Entry, ServerTime, StreamId},
    planner::Looker,
    telemetry,
};

/// Entries that are read in one command.
const PORTION: u64 = 10;

/// List entries of a stream, the newest first. Read-only.
///
/// Exit code: 0, 1 on a failure or if an ID does not exist, 2 on wrong usage or configuration.
#[derive(Debug, Args)]
pub(super) struct Entries {
    /// Key of the stream.
    stream: OsString,

    /// How many of the newest entries.
    #[arg(long, value_name = "N", default_value = "10", value_parser = clap::value_parser!(u16).range(1..=1_000))]
    last: u16,

    /// The entry with this ID; repeat it for more entries.
    #[arg(long, value_name = "ID", conflicts_with = "last")]
    id: Vec<StreamId>,

    /// Also print the fields of each entry. Long values are cut.
    #[arg(long)]
    show: bool,
}

impl Entries {
    pub(super) fn run(self, config: &Config, log: &Log) -> Result<Exit, Error> {
        telemetry::start_logging(log);
        block_on(self.look(config))?
    }

    async fn look(self, config: &Config) -> Result<Exit, Error> {
        let stream = name(&self.stream);
        let mut details = details();
        let mut looker = Looker { config, stream: &stream, details: &mut details };
        let now = looker.time().await?;
        if self.id.is_empty() {
            let entries = self.newest(&mut looker).await?;
            if entries.is_empty() {
                return Err(Error::Other(format!("{stream} has no entries, or does not exist")));
            }
            print(self.text(&entries, now))?;
            return Ok(Exit::Success);
        }
        let found = looker.entries(&self.id).await?;
        let missing: Vec<_> = self.id.iter().zip(&found).filter(|(_, entry)| entry.is_none()).collect();
        let entries: Vec<Entry> = found.iter().flatten().cloned().collect();
        if !entries.is_empty() {
            print(self.text(&entries, now))?;
        }
        missing.iter().try_for_each(|(id, _)| print(format_args!("{stream} has no entry {id}\n")))?;
        Ok(Exit::success_if(missing.is_empty()))
    }

    /// The newest entries, in portions, since each may be large.
    async fn newest(&self, looker: &mut Looker<'_>) -> Result<Vec<Entry>, Error> {
        let mut entries: Vec<Entry> = Vec::new();
        let mut up_to = StreamId::MAX;
        let wanted = usize::from(self.last);
        while entries.len() < wanted {
            let left = u64::try_from(wanted - entries.len()).unwrap_or(PORTION);
            let count = left.min(PORTION);
            let portion = looker.details.newest(looker.config, looker.stream, up_to, count).await;
            let portion = portion.map_err(|failure| looker.refusal(&failure))?;
            let before = portion.last().and_then(|last| last.id.previous());
            entries.extend(portion);
            match before {
                Some(before) => up_to = before,
                None => break,
            }
        }
        Ok(entries)
    }

    fn text(&self, entries: &[Entry], now: Option<ServerTime>) -> String {
        let row = |entry: &Entry| {
            let size = format!("{} bytes", grouped(entry.size()));
            [entry.id.to_string(), span(age(entry.id, now)), counted(entry.fields.len(), "field"), size]
        };
        let rows: Vec<_> = entries.iter().map(row).collect();
        let shown = entries.iter().map(|entry| if self.show { fields(entry) } else { String::new() });
        table_with(["ID", "AGE", "FIELDS", "SIZE"], &rows, shown)
    }
}
