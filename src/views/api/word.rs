//! Words of closed sets in the documents: statuses, reasons, modes.

use std::{borrow::Cow, fmt};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{
    config::Mode,
    evaluate::{GroupStatus, Health},
    model::{Flavour, PrimaryLink, Reason, Role},
    retention::{BlockReason, Outcome},
};

/// A closed set of words: the same in documents and in the metrics' labels.
pub trait Words: Copy + 'static {
    /// The set's name in the schema.
    const NAME: &'static str;

    /// All of them.
    const ALL: &'static [Self];

    /// The word.
    fn as_str(self) -> &'static str;
}

macro_rules! words {
    ($($set:ident $all:expr,)*) => {$(
        impl Words for $set {
            const NAME: &'static str = stringify!($set);
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

/// A word of a closed set, or one that only a later version of the sidecar knows.
#[derive(Debug)]
pub enum Word<T> {
    /// A word of the set.
    Known(T),
    /// Another word.
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

#[cfg(feature = "schema")]
impl<T: Words> schemars::JsonSchema for Word<T> {
    fn schema_name() -> Cow<'static, str> {
        T::NAME.into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let words: Vec<_> = T::ALL.iter().map(|word| word.as_str()).collect();
        schemars::json_schema!({"type": "string", "enum": words})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_that_only_a_later_version_knows_is_kept() {
        let word = |json| serde_json::from_str::<Word<Health>>(json).unwrap();
        assert_eq!(word("\"critical\"").known(), Some(Health::Critical));
        let later = word("\"dire\"");
        assert_eq!((later.known(), later.as_str()), (None, "dire"));
        assert_eq!(serde_json::to_string(&later).unwrap(), "\"dire\"");
    }
}
