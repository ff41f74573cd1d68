//! From Redis's replies to the model: pure, and forgiving in shape only.
//!
//! Fields are found by name, so unknown ones are passed over and missing ones are `None`. The client library's own
//! types are not used: they wrap a negative lag, drop names that are not UTF-8, and have no shape for
//! `XINFO STREAM FULL`.

use std::{collections::BTreeMap, time::Duration};

use bytes::Bytes;
use nonmax::NonMaxU64;

use super::{
    names::Names,
    resp::{Reply, Value},
};
use crate::{
    config::Config,
    model::{
        Answer, ConsumerState, EntryHead, Failure, Flavour, GroupState, Idempotence, Info, Millis, Name,
        NameMap, OldestPending, Pending, PrimaryLink, Reason, Role, Server, ServerTime, StreamId,
        StreamState, Text,
    },
};

/// What a reply is read with.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reading<'a> {
    /// Names that are known.
    pub(super) names: &'a Names,
    /// The server's time, to turn its timestamps into durations.
    pub(super) time: Option<ServerTime>,
    /// How many groups are kept, beside those that must be there.
    pub(super) max_groups: usize,
    /// Groups that must be there.
    pub(super) expected: &'a [Name],
    /// How many consumers of a group are kept.
    pub(super) max_consumers: usize,
    /// How long a consumer may be silent while entries are pending for it.
    pub(super) stuck_after: Duration,
}

impl<'a> Reading<'a> {
    /// What the configuration wants of this stream.
    pub(super) fn of(stream: &Name, config: &'a Config, names: &'a Names, time: Option<ServerTime>) -> Self {
        let consumers = &config.consumers;
        Self {
            names,
            time,
            max_groups: config.limits.groups_per_stream,
            expected: config.rule(stream).map_or(&[], |rule| &rule.groups),
            max_consumers: if consumers.metrics { consumers.max_per_group } else { 0 },
            stuck_after: consumers.stuck_after,
        }
    }

    /// Whether the group, which is this one in the server's order, is kept. Servers list groups by their names.
    fn keeps(&self, index: usize, group: &Value<'_>) -> bool {
        let is_expected = |name: &[u8]| self.expected.iter().any(|expected| expected.as_bytes() == name);
        index < self.max_groups || (!self.expected.is_empty() && name_of(group).is_some_and(is_expected))
    }

    /// Whether the consumer holds entries and does nothing; unknown without the server's time.
    fn is_stuck(&self, consumer: &ConsumerState) -> Option<bool> {
        let silent = consumer.idle?.max(consumer.inactive.unwrap_or(Millis::ZERO));
        Some(consumer.pending > 0 && silent.duration() > self.stuck_after)
    }
}

pub(super) type Parsed<T> = Result<T, Failure>;

fn unexpected(what: &str) -> Failure {
    Failure::new(Reason::UnexpectedReply, format!("the reply has no usable {what}"))
}

/// Named values. Each can be taken once.
struct Fields<'a> {
    /// Names and values in turn.
    values: Vec<Value<'a>>,
    /// Where the next one is looked for first: servers send fields in an order of their own, mostly that of the asking.
    next: usize,
}

impl<'a> Fields<'a> {
    fn new(value: Value<'a>) -> Parsed<Self> {
        Ok(Self { values: list(value, "fields")?, next: 0 })
    }

    fn take(&mut self, name: &str) -> Option<Value<'a>> {
        let (passed, ahead) = self.values.split_at_mut_checked(self.next)?;
        let is_it = |pair: &&mut [Value<'a>]| pair.first() == Some(&Value::Text(name.as_bytes()));
        let mut pairs = ahead.chunks_exact_mut(2).chain(passed.chunks_exact_mut(2)).enumerate();
        let (steps, pair) = pairs.find(|(_, pair)| is_it(pair))?;
        let value = pair.get_mut(1).map(std::mem::take);
        let count = self.values.len() / 2;
        self.next = (self.next / 2 + steps + 1) % count * 2;
        value.filter(|value| *value != Value::Nil)
    }

    fn integer(&mut self, name: &str) -> Option<i64> {
        self.take(name).as_ref().and_then(integer)
    }

    fn count(&mut self, name: &str) -> Option<u64> {
        self.integer(name).and_then(|number| u64::try_from(number).ok())
    }

    fn require_count(&mut self, name: &str) -> Parsed<u64> {
        self.count(name).ok_or_else(|| unexpected(name))
    }

    fn id(&mut self, name: &str) -> Option<StreamId> {
        self.take(name).as_ref().and_then(id)
    }

    fn name(&mut self) -> Parsed<&'a [u8]> {
        self.take("name").as_ref().and_then(bytes).ok_or_else(|| unexpected("name"))
    }

    fn list(&mut self, name: &str) -> Parsed<Vec<Value<'a>>> {
        list(self.take(name).ok_or_else(|| unexpected(name))?, name)
    }
}

const fn bytes<'a>(value: &Value<'a>) -> Option<&'a [u8]> {
    if let Value::Text(bytes) = value { Some(bytes) } else { None }
}

/// Integers come as such, or as text where a script or a summary made them.
fn integer(value: &Value<'_>) -> Option<i64> {
    if let Value::Int(number) = value { Some(*number) } else { text(value)?.parse().ok() }
}

fn text<'a>(value: &Value<'a>) -> Option<&'a str> {
    std::str::from_utf8(bytes(value)?).ok()
}

fn id(value: &Value<'_>) -> Option<StreamId> {
    text(value)?.parse().ok()
}

fn list<'a>(value: Value<'a>, what: &str) -> Parsed<Vec<Value<'a>>> {
    if let Value::List(values) = value { Ok(values) } else { Err(unexpected(what)) }
}

/// The reply to `TIME`: seconds and microseconds.
pub(crate) fn server_time(reply: &Reply) -> Parsed<ServerTime> {
    let parts = list(reply.value()?, "time")?;
    let part =
        |index: usize| parts.get(index).and_then(integer).and_then(|number| u64::try_from(number).ok());
    match (part(0), part(1)) {
        (Some(seconds), Some(micros)) => {
            Ok(ServerTime(seconds.saturating_mul(1_000).saturating_add(micros / 1_000)))
        }
        _ => Err(unexpected("time")),
    }
}

/// The reply to `HELLO`.
pub(super) fn hello(reply: &Reply) -> Parsed<Server> {
    let mut fields = Fields::new(reply.value()?)?;
    let mut text = |name: &str| fields.take(name).as_ref().and_then(bytes).map(Text::from);
    let flavour = match text("server").as_deref() {
        Some("valkey") => Flavour::Valkey,
        _ => Flavour::Redis,
    };
    Ok(Server {
        flavour,
        version: text("version").as_deref().and_then(version),
        role: text("role").and_then(|role| role_named(&role, PrimaryLink::Unknown)),
        mode: text("mode"),
    })
}

/// The role of this name; a replica's link is as given. A sentinel has none.
pub(super) fn role_named(name: &str, link: PrimaryLink) -> Option<Role> {
    match name {
        "master" => Some(Role::Primary),
        "slave" | "replica" => Some(Role::Replica(link)),
        _ => None,
    }
}

/// The reply to `ROLE`: the role, and of a replica its primary's host and port and the state of the link.
pub(super) fn role(reply: &Reply) -> Parsed<Option<Role>> {
    let parts = list(reply.value()?, "role")?;
    let link = match parts.get(3).and_then(text) {
        Some("connected") => PrimaryLink::Up,
        Some(_) => PrimaryLink::Down { since: None },
        None => PrimaryLink::Unknown,
    };
    Ok(parts.first().and_then(text).and_then(|name| role_named(name, link)))
}

/// The reply to `INFO server`, for servers without `HELLO`. Others hide behind a version of Redis in it.
pub(super) fn info(reply: &Reply) -> Parsed<Server> {
    let info = info_fields(reply)?;
    let field = |name: &str| info.get(name).map(Text::from);
    let (flavour, own_version) = match (info.get("server_name"), info.get("upstash_version")) {
        (Some("valkey"), _) => (Flavour::Valkey, field("valkey_version")),
        (_, Some(_)) => (Flavour::Upstash, field("upstash_version")),
        _ => (Flavour::Redis, field("redis_version")),
    };
    Ok(Server {
        flavour,
        version: own_version.as_deref().and_then(version),
        role: None,
        mode: field("redis_mode"),
    })
}

/// What the server calls its process, in the reply to `INFO server`. It takes another name at each start.
pub(super) fn run_id(reply: &Reply) -> Option<String> {
    info_fields(reply).ok()?.get("run_id").filter(|id| !id.is_empty()).map(str::to_owned)
}

/// The reply to `INFO section`: a field a line.
pub(super) fn info_fields(reply: &Reply) -> Parsed<Info> {
    let value = reply.value()?;
    let text = String::from_utf8_lossy(bytes(&value).ok_or_else(|| unexpected("text"))?);
    let fields = text.lines().filter_map(|line| line.split_once(':'));
    Ok(Info(fields.map(|(name, value)| (name.to_owned(), value.trim().into())).collect()))
}

/// The calls that parts of `INFO` count: by command, and all as `total`.
pub(super) fn calls(info: &Info) -> BTreeMap<String, u64> {
    let call = |(field, value): (&String, &Text)| match field.strip_prefix("cmdstat_") {
        Some(command) => {
            let calls = value.strip_prefix("calls=")?.split(',').next()?;
            Some((command.to_owned(), calls.parse().ok()?))
        }
        None => (field == "total_commands_processed").then_some(("total".to_owned(), value.parse().ok()?)),
    };
    info.0.iter().filter_map(call).collect()
}

/// The reply to `CONFIG GET setting`; the server may not know the setting.
pub(super) fn setting(reply: &Reply, name: &str) -> Parsed<Text> {
    let value = Fields::new(reply.value()?)?.take(name).ok_or_else(|| unexpected(name))?;
    bytes(&value).map(Text::from).ok_or_else(|| unexpected(name))
}

/// The reply to `TTL key`, where the key is there and expires.
pub(super) fn time_to_live(reply: &Reply) -> Option<Duration> {
    Some(Duration::from_secs(count(reply).ok()?))
}

/// What `ACL DRYRUN` says.
pub(super) fn dry_run(reply: &Reply) -> Answer {
    if reply.value() == Ok(Value::Text(b"OK")) { Answer::Permitted } else { Answer::Refused }
}

/// A number that is not negative.
pub(crate) fn count(reply: &Reply) -> Parsed<u64> {
    integer(&reply.value()?).and_then(|number| u64::try_from(number).ok()).ok_or_else(|| unexpected("number"))
}

/// A text, or nothing. One that was too long to be held is a number, its size.
pub(crate) fn optional_text(reply: &Reply) -> Parsed<Option<Text>> {
    match reply.value()? {
        Value::Nil => Ok(None),
        Value::Text(text) => Ok(Some(text.into())),
        Value::Int(size) => Ok(Some(Text::from_start(b"", usize::try_from(size).unwrap_or(0)))),
        Value::List(_) => Err(unexpected("text")),
    }
}

fn version(text: &str) -> Option<(u16, u16, u16)> {
    let mut parts = text.split(['.', '-']).map(|part| part.parse().ok());
    Some((parts.next()??, parts.next()??, parts.next().flatten().unwrap_or(0)))
}

/// The reply to `SCAN`: the next cursor and a page of keys.
pub(super) fn scan_page(reply: &Reply) -> Parsed<(u64, Vec<Name>)> {
    let mut parts = list(reply.value()?, "page")?.into_iter();
    let cursor = parts.next().as_ref().and_then(text).and_then(|text| text.parse().ok());
    let keys = list(parts.next().unwrap_or_default(), "keys")?;
    let keys = keys.iter().filter_map(bytes).map(Name::from).collect();
    Ok((cursor.ok_or_else(|| unexpected("cursor"))?, keys))
}

/// A stream by the bytes of a whole reply to `XINFO STREAM key FULL COUNT 1`, for who has them from elsewhere.
///
/// # Errors
/// The server's, and where the bytes are not such a reply.
pub fn read_stream(bytes: &Bytes, now: ServerTime) -> Parsed<StreamState> {
    let reply = Reply::whole(bytes)?;
    let reading = Reading {
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
pub(super) fn stream_full(reply: &Reply, reading: Reading<'_>) -> Parsed<StreamState> {
    let mut fields = Fields::new(reply.value()?)?;
    let first = fields.list("entries")?.into_iter().next();
    let (groups, unwatched_groups) =
        by_name(fields.list("groups")?, reading, |group| full_group(group, reading))?;
    Ok(StreamState { groups, unwatched_groups, ..stream_fields(&mut fields, first)? })
}

/// The groups that are kept, and how many are not.
///
/// A name that comes twice is another stream's, as Kvrocks has answered: which of the two is not known.
fn by_name<'a>(
    all: Vec<Value<'a>>,
    reading: Reading<'_>,
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

/// All or nothing: these came with one version.
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

fn entry_id(entry: &Value<'_>) -> Parsed<StreamId> {
    let id = if let Value::List(parts) = entry { parts.first().and_then(id) } else { None };
    id.ok_or_else(|| unexpected("entry ID"))
}

/// Bytes of the texts in a value; of one that is too long to be kept its size stands there.
fn size(value: &Value<'_>) -> u64 {
    match value {
        Value::Nil => 0,
        Value::Int(bytes) => u64::try_from(*bytes).unwrap_or(0),
        Value::List(values) => values.iter().map(size).sum(),
        Value::Text(text) => u64::try_from(text.len()).unwrap_or(u64::MAX),
    }
}

/// A group of `XINFO STREAM FULL`, with its consumers and the head of its pending list.
fn full_group(value: Value<'_>, reading: Reading<'_>) -> Parsed<(Name, GroupState)> {
    let mut fields = Fields::new(value)?;
    let head = fields.list("pending")?.into_iter().next();
    let told = fields.list("consumers")?;
    let mut consumers = Vec::with_capacity(told.len());
    for consumer in told {
        consumers.push(full_consumer(consumer, reading)?);
    }
    let consumer_count = u64::try_from(consumers.len()).unwrap_or(u64::MAX);
    consumers.sort_unstable_by(|one, other| {
        other.pending.cmp(&one.pending).then_with(|| one.name.cmp(&other.name))
    });
    let unlisted = consumers.get(reading.max_consumers..).unwrap_or_default();
    let unlisted_pending = unlisted.iter().fold(0, |sum: u64, it| sum.saturating_add(it.pending));
    let most_pending = consumers.first().map_or(0, |consumer| consumer.pending);
    let stuck: Option<u64> = consumers.iter().map(|consumer| reading.is_stuck(consumer).map(u64::from)).sum();
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

/// What both forms of a group have.
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

fn full_consumer(value: Value<'_>, reading: Reading<'_>) -> Parsed<ConsumerState> {
    let mut fields = Fields::new(value)?;
    Ok(ConsumerState {
        pending: fields.require_count("pel-count")?,
        idle: since(fields.integer("seen-time"), reading.time),
        inactive: since(fields.integer("active-time"), reading.time),
        name: reading.names.get(fields.name()?),
    })
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

fn deliveries(value: Option<&Value<'_>>) -> Parsed<u64> {
    value
        .and_then(integer)
        .and_then(|count| u64::try_from(count).ok())
        .ok_or_else(|| unexpected("delivery count"))
}

/// The reply to `XINFO GROUPS key`: no consumers, and of the pending entries only their number. And how many groups are not kept.
pub(super) fn groups(reply: &Reply, reading: Reading<'_>) -> Parsed<(NameMap<GroupState>, u64)> {
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

/// The reply to `XPENDING key group start end count`: `[[id, consumer, idle, delivery count], ...]`. An entry that was given back
/// has an idle of -1.
pub(super) fn pending_entries(reply: &Reply) -> Parsed<Vec<OldestPending>> {
    let entry = |row| {
        let parts = list(row, "pending entry")?;
        let idle = parts.get(2).and_then(integer).and_then(|ms| u64::try_from(ms).ok());
        Ok(OldestPending {
            id: parts.first().and_then(id).ok_or_else(|| unexpected("pending ID"))?,
            idle: idle.map(Millis::new),
            deliveries: deliveries(parts.get(3))?,
        })
    };
    list(reply.value()?, "pending entries")?.into_iter().map(entry).collect()
}

/// The IDs of a reply to `XRANGE` or `XREVRANGE`.
pub(crate) fn range_ids(reply: &Reply) -> Parsed<Vec<StreamId>> {
    list(reply.value()?, "entries")?.iter().map(entry_id).collect()
}

/// The entries of a reply to `XRANGE` or `XREVRANGE`: their IDs, and of their fields this one.
pub(super) fn entry_heads(reply: &Reply, type_field: &str) -> Parsed<Vec<EntryHead>> {
    let head = |entry: Value<'_>| {
        let id = entry_id(&entry)?;
        let fields =
            list(entry, "entry")?.into_iter().nth(1).ok_or_else(|| unexpected("fields of an entry"))?;
        let kind = Fields::new(fields)?.take(type_field);
        Ok(EntryHead { id, kind: kind.as_ref().and_then(bytes).map(Name::from) })
    };
    list(reply.value()?, "entries")?.into_iter().map(head).collect()
}

#[cfg(test)]
#[path = "reply_tests.rs"]
mod tests;
