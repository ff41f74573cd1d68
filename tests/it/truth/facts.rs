//! The server's whole state, as it says itself when it is asked for everything.

use std::collections::BTreeMap;

use redis::{ConnectionLike, FromRedisValue, Value, cmd};
use streamwarden::model::StreamId;

type Fields = BTreeMap<String, Value>;
type Entries = Vec<(String, Vec<String>)>;

/// A stream that is there.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Facts {
    pub(super) ids: Vec<StreamId>,
    stream: Fields,
    pub(super) groups: BTreeMap<String, Group>,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Group {
    pub(super) delivered: StreamId,
    pub(super) entries_read: Option<i64>,
    /// By ID.
    pub(super) pending: Vec<Pending>,
    pub(super) consumers: BTreeMap<String, Consumer>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Pending {
    pub(super) id: StreamId,
    pub(super) delivered_at: u64,
    pub(super) deliveries: u64,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Consumer {
    pub(super) pending: u64,
    pub(super) seen_at: u64,
    /// When it was last given an entry, where the server says and there was one.
    pub(super) active_at: Option<u64>,
}

pub(super) fn id(text: &str) -> StreamId {
    text.parse().expect("an ID of the server's")
}

fn field<T: FromRedisValue>(fields: &Fields, name: &str) -> Option<T> {
    redis::from_redis_value(fields.get(name)?.clone()).ok()
}

/// The server's clock, in milliseconds.
pub(super) fn time(connection: &mut dyn ConnectionLike) -> u64 {
    let (seconds, micros): (u64, u64) = cmd("TIME").query(connection).expect("TIME is allowed");
    seconds * 1_000 + micros / 1_000
}

/// Every entry's ID.
pub(super) fn ids(connection: &mut dyn ConnectionLike, stream: &str) -> Vec<StreamId> {
    let entries: Entries = cmd("XRANGE").arg(stream).arg("-").arg("+").query(connection).unwrap_or_default();
    entries.iter().map(|(entry, _)| id(entry)).collect()
}

impl Facts {
    /// All of a stream; `None` where it is not there.
    pub(super) fn ask(connection: &mut dyn ConnectionLike, stream: &str) -> Option<Self> {
        // A count of 0 is no limit.
        let words = ["STREAM", stream, "FULL", "COUNT", "0"];
        let fields: Fields = cmd("XINFO").arg(&words).query(connection).ok()?;
        let groups: Vec<Fields> = field(&fields, "groups").expect("FULL has the groups");
        let groups = groups.iter().map(|group| (field(group, "name").expect("a name"), Group::of(group)));
        Some(Self { groups: groups.collect(), ids: ids(connection, stream), stream: fields })
    }

    /// A number of the stream's own; `None` where this server has none.
    pub(super) fn number(&self, name: &str) -> Option<u64> {
        field(&self.stream, name)
    }

    /// An ID of the stream's own; `None` where this server has none.
    pub(super) fn id(&self, name: &str) -> Option<StreamId> {
        field::<String>(&self.stream, name).map(|text| id(&text))
    }

    pub(super) fn last_id(&self) -> StreamId {
        self.id("last-generated-id").expect("each server says")
    }

    pub(super) fn length(&self) -> u64 {
        self.ids.len() as u64
    }

    /// Entries that were not delivered to a group.
    pub(super) fn ahead(&self, group: &Group) -> &[StreamId] {
        &self.ids[self.ids.partition_point(|entry| *entry <= group.delivered)..]
    }

    /// Whether a pending entry is older than all that is there. Those that went from the middle are not recognised.
    pub(super) fn is_gone(&self, entry: StreamId) -> bool {
        self.ids.first().is_none_or(|first| entry < *first)
    }
}

impl Group {
    fn of(fields: &Fields) -> Self {
        let pending: Vec<(String, String, u64, u64)> = field(fields, "pending").expect("FULL has them");
        let pending = pending.into_iter().map(|(entry, _, delivered_at, deliveries)| Pending {
            id: id(&entry),
            delivered_at,
            deliveries,
        });
        let consumers: Vec<Fields> = field(fields, "consumers").expect("FULL has them");
        let consumer = |fields: &Fields| Consumer {
            pending: field(fields, "pel-count").expect("each server says"),
            seen_at: field(fields, "seen-time").expect("each server says"),
            // -1 is never.
            active_at: field::<i64>(fields, "active-time").and_then(|at| u64::try_from(at).ok()),
        };
        let consumers =
            consumers.iter().map(|fields| (field(fields, "name").expect("a name"), consumer(fields)));
        Self {
            delivered: id(&field::<String>(fields, "last-delivered-id").expect("each server says")),
            entries_read: field(fields, "entries-read"),
            pending: pending.collect(),
            consumers: consumers.collect(),
        }
    }
}
