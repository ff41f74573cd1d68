//! What the commands about single entries share: arguments, times and the words for them.

use std::{ffi::OsString, os::unix::ffi::OsStringExt, time::Duration};

use super::command::Error;
use crate::{
    app::self_stats,
    config::Config,
    evaluate::{grouped, short},
    model::{Consumer, Content, Entry, Failure, GroupPending, Millis, Name, Reason, ServerTime, StreamId},
    source::{Details, Link},
};

/// Fields of an entry that are shown.
const MOST_FIELDS: usize = 50;

/// Reads details of one stream.
pub(super) struct OneStream<'a> {
    pub(super) config: &'a Config,
    pub(super) stream: &'a Name,
    pub(super) details: Details,
}

impl<'a> OneStream<'a> {
    pub(super) fn new(config: &'a Config, stream: &'a Name) -> Self {
        Self { config, stream, details: Details::new(Link::new(self_stats())) }
    }

    /// The error of a read that failed.
    pub(super) fn error(&self, failure: &Failure) -> Error {
        if failure.reason == Reason::NoKey {
            return Error::Other(format!("there is no stream {}", self.stream));
        }
        if failure.reason == Reason::WrongType {
            return Error::Other(format!("{} is not a stream", self.stream));
        }
        Error::of_redis("read the stream", &self.config.redis.access, failure)
    }

    pub(super) async fn time(&mut self) -> Result<Option<ServerTime>, Error> {
        let time = self.details.time(self.config, self.stream).await;
        time.map_err(|failure| self.error(&failure))
    }

    pub(super) async fn groups(&mut self) -> Result<Vec<GroupPending>, Error> {
        let groups = self.details.groups(self.config, self.stream).await;
        groups.map_err(|failure| self.error(&failure))
    }

    /// One group.
    pub(super) async fn group(&mut self, name: &Name) -> Result<GroupPending, Error> {
        let groups = self.groups().await?;
        let its_groups: Vec<String> = groups.iter().map(|group| group.name.to_string()).collect();
        let missing = || match its_groups.as_slice() {
            [] => format!("there is no group {name}: the stream has no groups"),
            all => format!("there is no group {name}; the stream has: {}", all.join(", ")),
        };
        groups.into_iter().find(|group| group.name == *name).ok_or_else(|| Error::Other(missing()))
    }

    pub(super) async fn consumers(&mut self, group: &Name) -> Result<Vec<Consumer>, Error> {
        let consumers = self.details.consumers(self.config, (self.stream, group)).await;
        consumers.map_err(|failure| self.error(&failure))
    }

    pub(super) async fn entries(&mut self, ids: &[StreamId]) -> Result<Vec<Option<Entry>>, Error> {
        let entries = self.details.entries(self.config, self.stream, ids).await;
        entries.map_err(|failure| self.error(&failure))
    }
}

/// A name from the command line: any bytes.
pub(super) fn name(argument: &OsString) -> Name {
    Name::from(argument.clone().into_vec())
}

/// A duration of the command line, in milliseconds.
pub(super) fn millis(duration: Duration) -> Millis {
    Millis::new(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
}

/// A duration in a column; `?` if it is unknown.
pub(super) fn span(milliseconds: Option<u64>) -> String {
    milliseconds.map_or_else(|| "?".to_owned(), |ms| short(Duration::from_millis(ms)))
}

/// The age of an entry by its ID, if the ID can be a time.
pub(super) fn age(id: StreamId, now: Option<ServerTime>) -> Option<u64> {
    now?.0.checked_sub(id.ms)
}

/// A number and its noun.
pub(super) fn counted(count: usize, noun: &str) -> String {
    let count = u64::try_from(count).unwrap_or(u64::MAX);
    let end = if count == 1 { "" } else { "s" };
    let noun = if let (Some(stem), false) = (noun.strip_suffix('y'), count == 1) {
        format!("{stem}ies")
    } else {
        format!("{noun}{end}")
    };
    format!("{} {noun}", grouped(count))
}

/// The fields of an entry, one a line. Long values are cut, and many fields too.
pub(super) fn fields(entry: &Entry) -> String {
    fields_of(&entry.fields)
}

/// The same of some fields.
pub(super) fn fields_of(fields: &[(Content, Content)]) -> String {
    let line = |(name, value): &(Content, Content)| format!("    {} = {}\n", name.text(), value.text());
    let mut text: String = fields.iter().take(MOST_FIELDS).map(line).collect();
    if let Some(more) = fields.len().checked_sub(MOST_FIELDS).filter(|more| *more > 0) {
        text += &format!("    ... and {}\n", counted(more, "more field"));
    }
    text
}
