//! IDs of stream entries: two unsigned 64-bit numbers, compared as numbers.
//!
//! As text, `9-0` would sort after `10-0`. As floats, IDs beyond 2^53 would collide.

use std::{fmt, str::FromStr};

/// An entry's ID, `milliseconds-sequence`, ordered as Redis orders it.
///
/// Source: <https://redis.io/docs/latest/develop/data-types/streams/#entry-ids>
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct StreamId {
    /// Milliseconds since the Unix epoch if Redis made the ID; any number if the application did.
    pub ms: u64,
    /// The sequence number within the millisecond.
    pub seq: u64,
}

impl StreamId {
    /// `0-0`, before every entry: what Redis reports where there is no entry.
    pub const ZERO: Self = Self { ms: 0, seq: 0 };

    /// The greatest ID.
    pub const MAX: Self = Self { ms: u64::MAX, seq: u64::MAX };

    /// The ID `ms-seq`.
    #[must_use]
    pub const fn new(ms: u64, seq: u64) -> Self {
        Self { ms, seq }
    }

    /// The next greater ID; `None` for the greatest one.
    ///
    /// Redis before 6.2 has no exclusive ranges, so a range "after this ID" starts here.
    #[must_use]
    pub const fn next(self) -> Option<Self> {
        match (self.seq.checked_add(1), self.ms.checked_add(1)) {
            (Some(seq), _) => Some(Self { ms: self.ms, seq }),
            (None, Some(ms)) => Some(Self { ms, seq: 0 }),
            (None, None) => None,
        }
    }

    /// The next smaller ID; `None` for the smallest one.
    #[must_use]
    pub const fn previous(self) -> Option<Self> {
        match (self.seq.checked_sub(1), self.ms.checked_sub(1)) {
            (Some(seq), _) => Some(Self { ms: self.ms, seq }),
            (None, Some(ms)) => Some(Self { ms, seq: u64::MAX }),
            (None, None) => None,
        }
    }
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.ms, self.seq)
    }
}

/// A text that is not `milliseconds-sequence`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a stream ID (milliseconds-sequence)")]
pub struct ParseStreamIdError;

impl FromStr for StreamId {
    type Err = ParseStreamIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (ms, seq) = text.split_once('-').ok_or(ParseStreamIdError)?;
        match (decimal(ms), decimal(seq)) {
            (Some(ms), Some(seq)) => Ok(Self { ms, seq }),
            _ => Err(ParseStreamIdError),
        }
    }
}

/// Parses digits only: Rust's parser would also accept a leading `+`.
fn decimal(text: &str) -> Option<u64> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ids_are_ordered_as_numbers() {
        let ids = ["9-0", "10-0", "10-9", "10-10", "9007199254740993-0", "9007199254740994-0"];
        let parsed: Vec<StreamId> = ids.iter().map(|id| id.parse().unwrap()).collect();
        assert!(parsed.is_sorted());
    }

    #[test]
    fn the_next_id_carries_over_and_the_greatest_has_none() {
        assert_eq!(StreamId::new(1, 1).next(), Some(StreamId::new(1, 2)));
        assert_eq!(StreamId::new(1, u64::MAX).next(), Some(StreamId::new(2, 0)));
        assert_eq!(StreamId::new(u64::MAX, u64::MAX).next(), None);
    }

    #[test]
    fn the_previous_id_is_the_one_whose_next_it_is() {
        for id in [StreamId::new(0, 1), StreamId::new(1, 0), StreamId::new(1, 1), StreamId::MAX] {
            assert_eq!(id.previous().unwrap().next(), Some(id));
        }
        assert_eq!(StreamId::ZERO.previous(), None);
    }

    #[test]
    fn text_that_is_not_an_id_is_refused() {
        for text in ["", "1", "-", "1-", "-1", "+1-0", "1-+0", "a-b", "1-2-3", "18446744073709551616-0"] {
            assert_eq!(text.parse::<StreamId>(), Err(ParseStreamIdError), "{text}");
        }
    }

    proptest! {
        #[test]
        fn an_id_survives_its_text(ms: u64, seq: u64) {
            let id = StreamId::new(ms, seq);
            prop_assert_eq!(id.to_string().parse(), Ok(id));
        }
    }
}
