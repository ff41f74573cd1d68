//! Converts Redis's replies about the server, its keys and entries to the model. Pure.

use std::{collections::BTreeMap, time::Duration};

use super::{
    fields::{Fields, Parsed, bytes, deliveries, entry_id, id, integer, list, text, unexpected},
    resp::{Reply, Value},
};
use crate::model::{
    Answer, EntryHead, Flavour, Info, Millis, Name, NodeAddress, OldestPending, PrimaryLink, Role, Server,
    ServerTime, StreamId, Text,
};

/// The reply to `TIME`: seconds and microseconds.
pub(super) fn server_time(reply: &Reply) -> Parsed<ServerTime> {
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

/// The role with this name. A replica gets this link; a sentinel has no role.
pub(super) fn role_named(name: &str, link: PrimaryLink) -> Option<Role> {
    match name {
        "master" => Some(Role::Primary),
        "slave" | "replica" => Some(Role::Replica(link)),
        _ => None,
    }
}

/// The reply to `ROLE`: the role. A replica's reply continues with its primary's host and port and the state of the link.
pub(super) fn role(reply: &Reply) -> Parsed<Option<Role>> {
    let parts = list(reply.value()?, "role")?;
    let link = match parts.get(3).and_then(text) {
        Some("connected") => PrimaryLink::Up,
        Some(_) => PrimaryLink::Down { since: None },
        None => PrimaryLink::Unknown,
    };
    Ok(parts.first().and_then(text).and_then(|name| role_named(name, link)))
}

/// A primary's reply to `ROLE`: the addresses of its replicas. It is empty for a replica.
pub(super) fn replicas(reply: &Reply) -> Parsed<Vec<NodeAddress>> {
    let parts = list(reply.value()?, "role")?;
    let is_primary = parts.first().and_then(text) == Some("master");
    let replicas = parts.into_iter().nth(2).filter(|_| is_primary);
    let replicas = replicas.map_or(Ok(Vec::new()), |replicas| list(replicas, "replicas"))?;
    let address = |replica| {
        let parts = list(replica, "replica").ok()?;
        let (host, port) = parts.first().and_then(text).zip(parts.get(1).and_then(text))?;
        NodeAddress::new(host, port.parse().ok()?).ok()
    };
    Ok(replicas.into_iter().filter_map(address).collect())
}

/// The reply to `INFO server`, for servers without `HELLO`. Other servers also report the version of Redis that they imitate.
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

/// The run ID of the server's process in the reply to `INFO server`. It changes at each start.
pub(super) fn run_id(reply: &Reply) -> Option<String> {
    info_fields(reply).ok()?.get("run_id").filter(|id| !id.is_empty()).map(str::to_owned)
}

/// The reply to `INFO section`: one field per line.
pub(crate) fn info_fields(reply: &Reply) -> Parsed<Info> {
    let value = reply.value()?;
    let text = String::from_utf8_lossy(bytes(&value).ok_or_else(|| unexpected("text"))?);
    let fields = text.lines().filter_map(|line| line.split_once(':'));
    Ok(Info(fields.map(|(name, value)| (name.to_owned(), value.trim().into())).collect()))
}

/// The number of calls: by command in `INFO commandstats`, and of all commands, as `total`, in `INFO stats`.
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

/// The reply to `CONFIG GET name`. It is an error if the server does not know the setting.
pub(super) fn setting(reply: &Reply, name: &str) -> Parsed<Text> {
    let value = Fields::new(reply.value()?)?.take(name).ok_or_else(|| unexpected(name))?;
    bytes(&value).map(Text::from).ok_or_else(|| unexpected(name))
}

/// The reply to `TTL key`; `None` if the key does not exist or does not expire.
pub(super) fn time_to_live(reply: &Reply) -> Option<Duration> {
    Some(Duration::from_secs(count(reply).ok()?))
}

/// The reply to `ACL DRYRUN`.
pub(super) fn dry_run(reply: &Reply) -> Answer {
    if reply.value() == Ok(Value::Text(b"OK")) { Answer::Permitted } else { Answer::Refused }
}

/// A non-negative number.
pub(crate) fn count(reply: &Reply) -> Parsed<u64> {
    integer(&reply.value()?).and_then(|number| u64::try_from(number).ok()).ok_or_else(|| unexpected("number"))
}

/// A string or nil. A string that was too long to keep is a number in the reply, its size in bytes.
pub(crate) fn optional_text(reply: &Reply) -> Parsed<Option<Text>> {
    match reply.value()? {
        Value::Nil => Ok(None),
        Value::Text(text) => Ok(Some(text.into())),
        Value::Int(size) => Ok(Some(Text::from_start(b"", usize::try_from(size).unwrap_or(0)))),
        Value::List(_) => Err(unexpected("text")),
    }
}

/// The reply to `SENTINEL GET-MASTER-ADDR-BY-NAME`: a host and a port, or nil if the service is unknown.
pub(super) fn host_and_port(reply: &Reply) -> Parsed<Option<(Text, Text)>> {
    match reply.value()? {
        Value::Nil => Ok(None),
        Value::List(parts) => match &parts[..] {
            [Value::Text(host), Value::Text(port)] => Ok(Some(((*host).into(), (*port).into()))),
            _ => Err(unexpected("a host and a port")),
        },
        Value::Text(_) | Value::Int(_) => Err(unexpected("a host and a port")),
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

/// The reply to `XPENDING key group start end count`: `[[id, consumer, idle, delivery count], ...]`. An entry that a consumer
/// gave back (`XNACK`) has an idle time of -1.
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

/// The IDs of a reply to `XREADGROUP` on one stream; none if it is nil. In RESP3 it is a map, in RESP2 a list of pairs.
pub(crate) fn delivered_ids(reply: &Reply) -> Parsed<Vec<StreamId>> {
    let value = reply.value()?;
    if matches!(value, Value::Nil) {
        return Ok(Vec::new());
    }
    let streams = list(value, "streams")?;
    let stream = match streams {
        pair if matches!(pair.first(), Some(Value::List(_))) => {
            list(pair.into_iter().next().unwrap_or_default(), "stream")?
        }
        pair => pair,
    };
    let entries = stream.into_iter().nth(1).ok_or_else(|| unexpected("entries"))?;
    list(entries, "entries")?.iter().map(entry_id).collect()
}

/// The entries of a reply to `XRANGE` or `XREVRANGE`: their IDs and the value of the field `type_field`.
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
