//! How the documents write names, words of closed sets, IDs, times and rates.

use std::{borrow::Cow, fmt, time::Duration};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

use crate::{
    config::Mode,
    evaluate::{Age, GroupStatus, Health, Rate},
    model::{Flavour, Millis, Name, PrimaryLink, Reason, Role, StreamId},
    retention::{BlockReason, Outcome},
};

/// What is left as it is in a key: RFC 3986's unreserved characters.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A name's bytes, percent-encoded.
pub(super) fn key(name: &Name) -> Cow<'_, str> {
    percent_encode(name.as_bytes(), ENCODED).into()
}

/// A name, for people.
pub(super) fn text(name: &Name) -> Cow<'_, str> {
    name.as_plain().map_or_else(|| name.to_string().into(), Cow::Borrowed)
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

/// A closed set of words: the same in documents and in the metrics' labels.
pub trait Words: Copy + 'static {
    /// All of them.
    const ALL: &'static [Self];

    /// The word.
    fn as_str(self) -> &'static str;
}

macro_rules! words {
    ($($set:ident $all:expr,)*) => {$(
        impl Words for $set {
            const ALL: &'static [Self] = $all;

            fn as_str(self) -> &'static str {
                $set::as_str(self)
            }
        }
    )*};
}

words! {
    BlockReason &Self::ALL,
    Flavour &[Self::Redis, Self::Valkey, Self::Upstash],
    GroupStatus Self::ALL,
    Health Self::ALL,
    Mode &[Self::Safe, Self::Strict, Self::Observe],
    Outcome &Self::ALL,
    PrimaryLink &[Self::Up, Self::Down { since: None }, Self::Unknown],
    Reason Self::ALL,
    Role &[Self::Primary, Self::Replica(PrimaryLink::Unknown)],
}

/// A word of a closed set, or one that only a later version knows.
#[derive(Debug)]
pub enum Word<T> {
    /// It is one of the set.
    Known(T),
    /// It is not.
    Other(Box<str>),
}

impl<T: Words> Word<T> {
    /// The word.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Known(word) => word.as_str(),
            Self::Other(word) => word,
        }
    }

    /// The word, if it is one of the set.
    pub fn known(&self) -> Option<T> {
        match self {
            Self::Known(word) => Some(*word),
            Self::Other(_) => None,
        }
    }
}

impl<T: Words> fmt::Display for Word<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl<T> From<T> for Word<T> {
    fn from(word: T) -> Self {
        Self::Known(word)
    }
}

impl<T: Words> Serialize for Word<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de, T: Words> Deserialize<'de> for Word<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let word = Cow::<str>::deserialize(deserializer)?;
        let known = T::ALL.iter().find(|known| known.as_str() == word);
        Ok(known.map_or_else(|| Self::Other(word.into()), |known| Self::Known(*known)))
    }
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
