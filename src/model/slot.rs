//! Slots of a cluster: which one a key belongs to, and sets of them for people.
//!
//! Source: <https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/#key-distribution-model>

use std::fmt;

/// Ranges that are shown of a set of slots. Scattered slots can have thousands.
const SHOWN_RANGES: usize = 8;

/// One of the slots that a cluster's keys are distributed over: 0 to 16383.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot(u16);

impl Slot {
    /// The number of slots of every cluster.
    pub const COUNT: u16 = 16_384;

    /// The slot with this number; `None` from 16384 on.
    #[must_use]
    pub const fn new(number: u16) -> Option<Self> {
        if number < Self::COUNT { Some(Self(number)) } else { None }
    }

    /// The slot of a key. If the key has a hash tag, only the tag counts, so that keys with the same tag share a slot.
    #[must_use]
    pub fn of(key: &[u8]) -> Self {
        Self(crc16(hash_tag(key)) % Self::COUNT)
    }

    /// All slots in order.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..Self::COUNT).map(Self)
    }

    /// Its number.
    #[must_use]
    pub const fn number(self) -> u16 {
        self.0
    }
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The part of a key that decides its slot: what is between the first `{` and the first `}` after it, unless that is empty, else the
/// whole key.
pub(crate) fn hash_tag(key: &[u8]) -> &[u8] {
    let tag = key.iter().position(|byte| *byte == b'{').and_then(|open| {
        let rest = key.get(open + 1..)?;
        rest.get(..rest.iter().position(|byte| *byte == b'}')?)
    });
    tag.filter(|tag| !tag.is_empty()).unwrap_or(key)
}

/// CRC-16/XMODEM, which is short enough not to need a crate.
fn crc16(bytes: &[u8]) -> u16 {
    const POLYNOMIAL: u16 = 0x1021;
    let shift = |crc: u16, _| if crc & 0x8000 == 0 { crc << 1 } else { (crc << 1) ^ POLYNOMIAL };
    bytes.iter().fold(0, |crc, byte| (0..8).fold(crc ^ (u16::from(*byte) << 8), shift))
}

/// Slots as ranges, in order. Prints as `10923-16383, 5`, with a count in place of what is too much to read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SlotRanges(Vec<(Slot, Slot)>);

impl SlotRanges {
    /// The first and the last slot of each range.
    #[must_use]
    pub fn ranges(&self) -> &[(Slot, Slot)] {
        &self.0
    }

    /// The number of slots in all ranges.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.iter().map(|(first, last)| usize::from(last.0 - first.0) + 1).sum()
    }

    /// Whether there is no slot.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// From slots in ascending order.
impl FromIterator<Slot> for SlotRanges {
    fn from_iter<T: IntoIterator<Item = Slot>>(slots: T) -> Self {
        let mut ranges: Vec<(Slot, Slot)> = Vec::new();
        for slot in slots {
            match ranges.last_mut() {
                Some((_, last)) if last.0 + 1 == slot.0 => *last = slot,
                _ => ranges.push((slot, slot)),
            }
        }
        Self(ranges)
    }
}

impl fmt::Display for SlotRanges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (first, last)) in self.0.iter().take(SHOWN_RANGES).enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            match first == last {
                true => write!(f, "{comma}{first}")?,
                false => write!(f, "{comma}{first}-{last}")?,
            }
        }
        match self.0.len().saturating_sub(SHOWN_RANGES) {
            0 => Ok(()),
            1 => write!(f, " and 1 more range"),
            more => write!(f, " and {more} more ranges"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_the_slot_that_redis_computes() {
        // What CLUSTER KEYSLOT of Redis 7.0.15 answers.
        let known: &[(&[u8], u16)] = &[
            (b"", 0),
            (b"foo", 12182),
            (b"bar", 5061),
            (b"123456789", 12739),
            (b"user1000", 3443),
            (b"{user1000}.following", 3443),
            (b"{}x", 10595),
            (b"a}b", 7866),
            (b"a", 15495),
            (b"{a}{b}", 15495),
            (b"b", 3300),
            (b"a{b}", 3300),
            (b"{bar", 4015),
            (b"foo{{bar}}zap", 4015),
            (b"foo{}{bar}", 8363),
            (b"foo{bar}{zap}", 5061),
            (b"{", 4092),
            (b"}{", 12793),
            (b"{a", 10276),
            (b"\x00\xff", 7920),
            (b"x{\x00\xff}y", 7920),
            (b"\x00\xff\x80", 4727),
            ("events:{é}".as_bytes(), 10180),
        ];
        for (key, slot) in known {
            assert_eq!(Slot::of(key).number(), *slot, "{}", key.escape_ascii());
        }
    }

    #[test]
    fn only_the_numbers_below_16384_are_slots() {
        assert_eq!(Slot::new(16_383).map(Slot::number), Some(16_383));
        assert_eq!(Slot::new(16_384), None);
        assert_eq!(Slot::all().count(), 16_384);
    }

    #[test]
    fn slots_print_as_ranges_and_no_more_than_can_be_read() {
        let shown = |slots: &[u16]| {
            slots.iter().filter_map(|slot| Slot::new(*slot)).collect::<SlotRanges>().to_string()
        };
        assert_eq!(shown(&[]), "");
        assert_eq!(shown(&[5]), "5");
        assert_eq!(shown(&[0, 1, 2, 5, 7, 8]), "0-2, 5, 7-8");
        assert_eq!(SlotRanges::from_iter(Slot::all()).to_string(), "0-16383");
        let even: Vec<u16> = (0..18).step_by(2).collect();
        assert_eq!(shown(&even), "0, 2, 4, 6, 8, 10, 12, 14 and 1 more range");
        let scattered: SlotRanges = Slot::all().step_by(2).collect();
        assert_eq!(scattered.to_string(), "0, 2, 4, 6, 8, 10, 12, 14 and 8184 more ranges");
        assert_eq!(scattered.count(), 8_192);
        assert_eq!(SlotRanges::from_iter(Slot::all()).count(), 16_384);
    }
}
