//! How the documents write names, ages, times and rates.

use std::{borrow::Cow, time::Duration};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};

use crate::{
    evaluate::{Age, Rate},
    model::{Millis, Name},
};

/// What is left as it is in a key: RFC 3986's unreserved characters.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A name's bytes, percent-encoded.
pub(super) fn key(name: &Name) -> String {
    Cow::from(percent_encode(name.as_bytes(), ENCODED)).into_owned()
}

/// A name, for people.
pub(super) fn text(name: &Name) -> String {
    name.as_plain().map_or_else(|| name.to_string(), str::to_owned)
}

pub(super) fn age(age: Option<Age>) -> Option<f64> {
    age.map(|Age(age)| span(age))
}

pub(super) fn span(span: Millis) -> f64 {
    seconds(span.duration())
}

/// To the millisecond: what is finer is noise.
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
