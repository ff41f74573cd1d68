//! Converts Redis's replies about a stream and its groups to the model. Pure.
//!
//! The client library's own types cannot be used: they wrap a negative lag, reject names that are not UTF-8, and have no type for
//! `XINFO STREAM FULL`.

use std::time::Duration;

use bytes::Bytes;
use nonmax::NonMaxU64;

use super::{
    fields::{Fields, Parsed, bytes, deliveries, entry_id, id, integer, list, unexpected},
    names::Names,
    reply::count,
    resp::{Reply, Value},
};
use crate::{
    config::{Config, Watched},
    model::{
        ConsumerState, GroupState, Idempotence, Millis, Name, NameMap, OldestPending, Pending, ServerTime,
        StreamState,
    },
};

/// What is needed to read a reply.
#[derive(Debug, Clone, Copy)]
pub(super) struct ReadWith<'a> {
    /// Known names.
    pub(super) names: &'a Names,
    /// The server's time, to turn its timestamps into durations.
    pub(super) time: Option<ServerTime>,
    /// How many groups are kept, beside the expected ones.
    pub(super) max_groups: usize,
    /// Groups that the configuration expects.
    pub(super) expected: &'a [Name],
    /// How many consumers of a group are kept.
    pub(super) max_consumers: usize,
    /// How long a consumer may be silent while entries are pending for it.
    pub(super) stuck_after: Duration,
}

impl<'a> ReadWith<'a> {
    /// What the configuration wants of the stream.
    pub(super) fn of(
        watched: &'a Watched,
        config: &'a Config,
        names: &'a Names,
        time: Option<ServerTime>,
    ) -> Self {
        let consumers = &config.consumers;
        Self {
            names,
            time,
            max_groups: config.limits.groups_per_stream,
            expected: watched.groups(),
            max_consumers: if consumers.metrics { consumers.max_per_group } else { 0 },
            stuck_after: consumers.stuck_after,
        }
    }

    /// Whether the group at this index is kept. Servers list groups in order of their names.
    fn keeps(&self, index: usize, group: &Value<'_>) -> bool {
        let is_expected = |name: &[u8]| self.expected.iter().any(|expected| expected.as_bytes() == name);
        index < self.max_groups || (!self.expected.is_empty() && name_of(group).is_some_and(is_expected))
    }

    /// Whether the consumer holds entries and does nothing; unknown without the server's time.
    fn is_stuck(&self, Listed { consumer, has_forgotten }: &Listed) -> Option<bool> {
        let silent = consumer.idle?.max(consumer.inactive.unwrap_or(Millis::ZERO));
        let is_stuck = consumer.pending > 0 && silent.duration() > self.stuck_after;
        Some(is_stuck).filter(|is_stuck| *is_stuck || !has_forgotten)
    }
}

/// Reads a stream from the bytes of a whole reply to `XINFO STREAM key FULL COUNT 1`, for benchmarks.
///
/// # Errors
/// The server's error, or the bytes are not such a reply.
pub fn read_stream(bytes: &Bytes, now: ServerTime) -> Parsed<StreamState> {
    let reply = Reply::whole(bytes)?;
    let reading = ReadWith {
        names: &Names::default(),
        time: Some(now),
        max_groups: usize::MAX,
        expected: &[],
        max_consumers: usize::MAX,
        stuck_after: Duration::MAX,
    };
    stream_full(&reply, reading)
}

/// The reply to `XINFO STREAM key FULL COUNT 1`.
pub(super) fn stream_full(reply: &Reply, reading: ReadWith<'_>) -> Parsed<StreamState> {
    let mut fields = Fields::new(reply.value()?)?;
    let first = fields.list("entries")?.into_iter().next();
    let (groups, unwatched_groups) =
        by_name(fields.list("groups")?, reading, |group| full_group(group, reading))?;
    Ok(StreamState { groups, unwatched_groups, ..stream_fields(&mut fields, first)? })
}

/// The groups that are kept, and how many are not.
///
/// If a name comes twice, one of the groups is another stream's, as in replies from Kvrocks. It is unknown which one.
fn by_name<'a>(
    all: Vec<Value<'a>>,
    reading: ReadWith<'_>,
    read: impl Fn(Value<'a>) -> Parsed<(Name, GroupState)>,
) -> Parsed<(NameMap<GroupState>, u64)> {
    let (mut kept, mut others) = (Vec::with_capacity(all.len().min(reading.max_groups)), 0);
    for (index, group) in all.into_iter().enumerate() {
        if reading.keeps(index, &group) { kept.push(read(group)?) } else { others += 1 }
    }
    let count = kept.len();
    let groups: NameMap<GroupState> = kept.into_iter().collect();
    if groups.len() == count {
        Ok((groups, others))
    } else {
        Err(unexpected("groups: two have the same name"))
    }
}

/// A group's name, found without taking its other fields apart.
fn name_of<'a>(group: &Value<'a>) -> Option<&'a [u8]> {
    let Value::List(fields) = group else { return None };
    let pair = fields.chunks_exact(2).find(|pair| pair.first() == Some(&Value::Text(b"name")))?;
    bytes(pair.get(1)?)
}

/// The reply to `XINFO STREAM key`, whose groups are a number only.
pub(super) fn stream_summary(reply: &Reply) -> Parsed<StreamState> {
    let mut fields = Fields::new(reply.value()?)?;
    let first = fields.take("first-entry");
    stream_fields(&mut fields, first)
}

/// A stream of which only `XLEN` is known.
pub(super) fn stream_length(reply: &Reply) -> Parsed<StreamState> {
    count(reply).map(StreamState::of_length).map_err(|_no_number| unexpected("length"))
}

fn stream_fields(fields: &mut Fields<'_>, first: Option<Value<'_>>) -> Parsed<StreamState> {
    Ok(StreamState {
        length: fields.require_count("length")?,
        radix_tree_keys: fields.count("radix-tree-keys"),
        radix_tree_nodes: fields.count("radix-tree-nodes"),
        last_generated_id: fields.id("last-generated-id"),
        max_deleted_entry_id: fields.id("max-deleted-entry-id"),
        entries_added: fields.count("entries-added"),
        idempotence: idempotence(fields),
        first_entry_id: first.as_ref().map(entry_id).transpose()?,
        first_entry_bytes: first.as_ref().map_or(0, size),
        ..StreamState::of_length(0)
    })
}

/// All or none: one version added them all.
fn idempotence(fields: &mut Fields<'_>) -> Option<Box<Idempotence>> {
    Some(Box::new(Idempotence {
        duration: Duration::from_secs(fields.count("idmp-duration")?),
        max_ids: fields.count("idmp-maxsize")?,
        producers: fields.count("pids-tracked")?,
        ids: fields.count("iids-tracked")?,
        ids_added: fields.count("iids-added")?,
        duplicates: fields.count("iids-duplicates")?,
    }))
}

/// Bytes of the strings in a value. A string that was too long to be kept is a number, its size.
pub(super) fn size(value: &Value<'_>) -> u64 {
    match value {
        Value::Nil => 0,
        Value::Int(bytes) => u64::try_from(*bytes).unwrap_or(0),
        Value::List(values) => values.iter().map(size).sum(),
        Value::Text(text) => u64::try_from(text.len()).unwrap_or(u64::MAX),
    }
}

/// A group of `XINFO STREAM FULL`, with its consumers and the head of its pending list.
fn full_group(value: Value<'_>, reading: ReadWith<'_>) -> Parsed<(Name, GroupState)> {
    let mut fields = Fields::new(value)?;
    let head = fields.list("pending")?.into_iter().next();
    let listed = fields.list("consumers")?;
    let (mut consumers, mut stuck) = (Vec::with_capacity(listed.len()), Some(0_u64));
    for consumer in listed {
        let listed = full_consumer(consumer, reading)?;
        stuck = stuck.zip(reading.is_stuck(&listed)).map(|(stuck, is_stuck)| stuck + u64::from(is_stuck));
        consumers.push(listed.consumer);
    }
    let consumer_count = u64::try_from(consumers.len()).unwrap_or(u64::MAX);
    consumers.sort_unstable_by(|one, other| {
        other.pending.cmp(&one.pending).then_with(|| one.name.cmp(&other.name))
    });
    let unlisted = consumers.get(reading.max_consumers..).unwrap_or_default();
    let unlisted_pending = unlisted.iter().fold(0, |sum: u64, it| sum.saturating_add(it.pending));
    let most_pending = consumers.first().map_or(0, |consumer| consumer.pending);
    let least_idle = consumers.iter().filter_map(|consumer| consumer.idle).min();
    consumers.truncate(reading.max_consumers);
    let pending = fields.require_count("pel-count")?;
    let group = GroupState {
        oldest_pending: match head {
            Some(head) => Pending::Oldest(full_pending(head, reading.time)?),
            None if pending == 0 => Pending::None,
            None => Pending::Unknown,
        },
        pending,
        consumer_count,
        consumers: consumers.into(),
        least_idle,
        stuck_consumers: stuck.and_then(NonMaxU64::new),
        most_pending: NonMaxU64::new(most_pending),
        unlisted_pending: NonMaxU64::new(unlisted_pending),
        ..group_fields(&mut fields)?
    };
    Ok((reading.names.get(fields.name()?), group))
}

/// The fields that both forms of a group have.
fn group_fields(fields: &mut Fields<'_>) -> Parsed<GroupState> {
    let last_delivered_id = fields.id("last-delivered-id").ok_or_else(|| unexpected("last-delivered-id"))?;
    Ok(GroupState {
        entries_read: fields.integer("entries-read"),
        nacked: fields.count("nacked-count"),
        ..GroupState::at(last_delivered_id)
    })
}

/// A timestamp of the server's as the time since, where the server's clock is known. `-1` is "never".
fn since(milliseconds: Option<i64>, time: Option<ServerTime>) -> Option<Millis> {
    Some(time?.since(u64::try_from(milliseconds?).ok()?))
}

/// A consumer of `XINFO STREAM FULL`.
struct Listed {
    consumer: ConsumerState,
    /// Whether it holds entries that it never received, as the server has it. Valkey forgets the time when it moves a slot.
    has_forgotten: bool,
}

fn full_consumer(value: Value<'_>, reading: ReadWith<'_>) -> Parsed<Listed> {
    let mut fields = Fields::new(value)?;
    let (pending, received_at) = (fields.require_count("pel-count")?, fields.integer("active-time"));
    let consumer = ConsumerState {
        pending,
        idle: since(fields.integer("seen-time"), reading.time),
        inactive: since(received_at, reading.time),
        name: reading.names.get(fields.name()?),
    };
    Ok(Listed { consumer, has_forgotten: pending > 0 && received_at == Some(-1) })
}

/// `[id, consumer, delivery time, delivery count]`. The time of an entry that was given back is 0, which is no time.
fn full_pending(value: Value<'_>, time: Option<ServerTime>) -> Parsed<OldestPending> {
    let parts = list(value, "pending entry")?;
    Ok(OldestPending {
        id: parts.first().and_then(id).ok_or_else(|| unexpected("pending ID"))?,
        idle: since(parts.get(2).and_then(integer).filter(|at| *at > 0), time),
        deliveries: deliveries(parts.get(3))?,
    })
}

/// The reply to `XINFO GROUPS key`: no consumers, and of the pending entries only their number. And how many groups are not kept.
pub(super) fn groups(reply: &Reply, reading: ReadWith<'_>) -> Parsed<(NameMap<GroupState>, u64)> {
    let group = |value| {
        let mut fields = Fields::new(value)?;
        let pending = fields.require_count("pending")?;
        let group = GroupState {
            pending,
            oldest_pending: if pending == 0 { Pending::None } else { Pending::Unknown },
            consumer_count: fields.require_count("consumers")?,
            ..group_fields(&mut fields)?
        };
        Ok((reading.names.get(fields.name()?), group))
    };
    by_name(list(reply.value()?, "groups")?, reading, group)
}
