//! Single pending entries, entries and consumers, as commands show them that people run. Polls read none of this.

use super::{Millis, Name, OldestPending, StreamId, Text};

/// A pending entry, and who holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PendingEntry {
    /// Its ID, idle time and number of deliveries.
    pub entry: OldestPending,
    /// The consumer that it was last delivered to.
    pub consumer: Name,
}

impl PendingEntry {
    /// The entry's ID. The entry itself may be deleted already.
    #[must_use]
    pub const fn id(&self) -> StreamId {
        self.entry.id
    }

    /// Whether it was delivered at least so often, and was not delivered for so long.
    #[must_use]
    pub fn is_at_least(&self, deliveries: u64, idle: Millis) -> bool {
        self.entry.is_at_least(deliveries, idle)
    }
}

/// A group and the number of its pending entries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupPending {
    /// The name of the group.
    pub name: Name,
    /// Entries that are delivered and not acknowledged.
    pub pending: u64,
}

/// A consumer of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Consumer {
    /// Its name.
    pub name: Name,
    /// Entries that were delivered to it and are not acknowledged.
    pub pending: u64,
    /// Time since it last asked for entries, or claimed some. It grows while a blocking read waits.
    pub idle: Millis,
}

/// A name or a value of an entry's field. Of one over 64 KiB only the size is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// All of its bytes.
    Whole(Box<[u8]>),
    /// Its size in bytes.
    Size(u64),
}

impl Content {
    /// The bytes; `None` if only the size is known.
    #[must_use]
    pub fn bytes(&self) -> Option<&[u8]> {
        if let Self::Whole(bytes) = self { Some(bytes) } else { None }
    }

    /// Its size in bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        match self {
            Self::Whole(bytes) => u64::try_from(bytes.len()).unwrap_or(u64::MAX),
            Self::Size(size) => *size,
        }
    }

    /// Bounded printable text.
    #[must_use]
    pub fn text(&self) -> Text {
        match self {
            Self::Whole(bytes) => Text::from(&**bytes),
            Self::Size(size) => Text::from_start(b"", usize::try_from(*size).unwrap_or(usize::MAX)),
        }
    }
}

/// An entry with its fields, in their order. A name may occur several times.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its ID.
    pub id: StreamId,
    /// Names and values.
    pub fields: Vec<(Content, Content)>,
}

impl Entry {
    /// Bytes of all names and values.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.fields.iter().map(|(name, value)| name.size().saturating_add(value.size())).sum()
    }

    /// The value of the last field of this name.
    #[must_use]
    pub fn last(&self, name: &[u8]) -> Option<&Content> {
        self.fields.iter().rev().find(|(its_own, _)| its_own.bytes() == Some(name)).map(|(_, value)| value)
    }
}
