//! Converts the replies of a tick: the positions of groups, and whether an entry is pending. Pure.

use super::{
    fields::{Fields, Parsed, list, unexpected},
    names::Names,
    reply::pending_entries,
    resp::Reply,
};
use crate::model::{GroupPosition, Name, StreamId};

/// The groups, at most so many. A count that Redis does not know, or that is negative, is `None`.
pub(super) fn positions(reply: &Reply, names: &Names, most: usize) -> Parsed<Vec<(Name, GroupPosition)>> {
    let group = |value| {
        let mut fields = Fields::new(value)?;
        let name = names.get(fields.name()?);
        let position = GroupPosition {
            consumers: fields.require_count("consumers")?,
            pending: fields.require_count("pending")?,
            last_delivered_id: fields
                .id("last-delivered-id")
                .ok_or_else(|| unexpected("last-delivered-id"))?,
            entries_read: fields.count("entries-read"),
            lag: fields.count("lag"),
        };
        Ok((name, position))
    };
    list(reply.value()?, "groups")?.into_iter().take(most).map(group).collect()
}

/// Whether the first of the pending entries in the reply to `XPENDING` is this one.
pub(super) fn is_first(id: StreamId, reply: &Reply) -> Parsed<bool> {
    Ok(pending_entries(reply)?.first().is_some_and(|first| first.id == id))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    fn group(read: &str, lag: &str) -> String {
        format!(
            "*12\r\n+name\r\n+g\r\n+consumers\r\n:2\r\n+pending\r\n:3\r\n+last-delivered-id\r\n+5-1\r\n+entries-read\r\n{read}\r\n+lag\r\n{lag}\r\n"
        )
    }

    #[test]
    fn what_redis_does_not_know_is_unknown() {
        let read = |read, lag| {
            let reply = Reply::whole(&Bytes::from(format!("*1\r\n{}", group(read, lag)))).unwrap();
            positions(&reply, &Names::default(), 9).unwrap().remove(0).1
        };
        let position = GroupPosition {
            last_delivered_id: StreamId::new(5, 1),
            entries_read: Some(7),
            lag: Some(4),
            pending: 3,
            consumers: 2,
        };
        assert_eq!(read(":7", ":4"), position);
        assert_eq!(read("$-1", ":-4"), GroupPosition { entries_read: None, lag: None, ..position });
        let many = Reply::whole(&Bytes::from(format!("*2\r\n{0}{0}", group(":1", ":1")))).unwrap();
        assert_eq!(positions(&many, &Names::default(), 1).unwrap().len(), 1);
    }
}
