//! What the commands about single entries share: arguments, times and the words for them.

use std::{ffi::OsString, os::unix::ffi::OsStringExt, time::Duration};

use crate::{
    app::self_stats,
    evaluate::{self, Age, short},
    model::{Content, Entry, Millis, Name, ServerTime, StreamId},
    source::{Details, Link},
};

/// Fields of an entry that are shown.
const MOST_FIELDS: usize = 50;

/// A connection for single entries. It is made at the first question.
pub(super) fn details() -> Details {
    Details::new(Link::new(self_stats()))
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

/// The age of an entry by its ID, if the ID is a time.
pub(super) fn age(id: StreamId, now: Option<ServerTime>) -> Option<u64> {
    Age::of(id, now?).map(|Age(age)| age.get())
}

/// A number and its noun.
pub(super) fn counted(count: usize, noun: &str) -> String {
    evaluate::counted(u64::try_from(count).unwrap_or(u64::MAX), noun)
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
