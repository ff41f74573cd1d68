//! How the documents write names, IDs, times and rates.

use std::{
    borrow::Cow,
    fmt::{self, Write},
    time::Duration,
};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

use crate::{
    evaluate::{Age, Rate},
    model::{Millis, Name, StreamId},
};

/// RFC 3986's unreserved characters stay as they are in a key.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Enough for most sentences, so that the text is not copied while it grows.
const SENTENCE_BYTES: usize = 160;

/// A name's bytes, percent-encoded.
pub(super) fn key(name: &Name) -> Cow<'_, str> {
    percent_encode(name.as_bytes(), ENCODED).into()
}

/// A name, for people.
pub(super) fn text(name: &Name) -> Cow<'_, str> {
    name.as_plain().map_or_else(|| name.to_string().into(), Cow::Borrowed)
}

/// A sentence as text.
pub(super) fn sentence(sentence: &impl fmt::Display) -> String {
    let mut text = String::with_capacity(SENTENCE_BYTES);
    write!(text, "{sentence}").expect("a String takes any text");
    text
}

pub(super) fn age(age: Option<Age>) -> Option<f64> {
    age.map(|Age(age)| span(age))
}

pub(super) fn span(span: Millis) -> f64 {
    seconds(span.duration())
}

/// To the millisecond: finer differences are noise.
pub(super) fn seconds(duration: Duration) -> f64 {
    Duration::from_millis(milliseconds(duration)).as_secs_f64()
}

pub(super) fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

pub(super) fn per_second(rate: Rate) -> f64 {
    rounded(rate.per_second())
}

/// To a thousandth.
pub(super) fn rounded(value: f64) -> f64 {
    (value * 1_000.0).round() / 1_000.0
}

impl Serialize for StreamId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for StreamId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Cow::<str>::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for StreamId {
    fn schema_name() -> Cow<'static, str> {
        "StreamId".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "pattern": "^[0-9]+-[0-9]+$",
            "description": "An entry's ID: milliseconds and sequence number.",
        })
    }
}
