//! Parts of replies: named values, and conversions of single values. Lenient in shape only.
//!
//! Fields are found by name, so unknown ones are ignored and missing ones are `None`.

use super::resp::Value;
use crate::model::{Failure, Reason, StreamId};

pub(super) type Parsed<T> = Result<T, Failure>;

pub(super) fn unexpected(what: &str) -> Failure {
    Failure::new(Reason::UnexpectedReply, format!("the reply has no usable {what}"))
}

/// Named values. Each can be taken once.
pub(super) struct Fields<'a> {
    /// Names and values in turn.
    values: Vec<Value<'a>>,
    /// Where the next lookup starts. Servers send fields in a fixed order, and callers mostly ask in the same one.
    next: usize,
}

impl<'a> Fields<'a> {
    pub(super) fn new(value: Value<'a>) -> Parsed<Self> {
        Ok(Self { values: list(value, "fields")?, next: 0 })
    }

    pub(super) fn take(&mut self, name: &str) -> Option<Value<'a>> {
        let (passed, ahead) = self.values.split_at_mut_checked(self.next)?;
        let is_it = |pair: &&mut [Value<'a>]| pair.first() == Some(&Value::Text(name.as_bytes()));
        let mut pairs = ahead.chunks_exact_mut(2).chain(passed.chunks_exact_mut(2)).enumerate();
        let (steps, pair) = pairs.find(|(_, pair)| is_it(pair))?;
        let value = pair.get_mut(1).map(std::mem::take);
        let count = self.values.len() / 2;
        self.next = (self.next / 2 + steps + 1) % count * 2;
        value.filter(|value| *value != Value::Nil)
    }

    pub(super) fn integer(&mut self, name: &str) -> Option<i64> {
        self.take(name).as_ref().and_then(integer)
    }

    pub(super) fn count(&mut self, name: &str) -> Option<u64> {
        self.integer(name).and_then(|number| u64::try_from(number).ok())
    }

    pub(super) fn require_count(&mut self, name: &str) -> Parsed<u64> {
        self.count(name).ok_or_else(|| unexpected(name))
    }

    pub(super) fn id(&mut self, name: &str) -> Option<StreamId> {
        self.take(name).as_ref().and_then(id)
    }

    pub(super) fn name(&mut self) -> Parsed<&'a [u8]> {
        self.take("name").as_ref().and_then(bytes).ok_or_else(|| unexpected("name"))
    }

    pub(super) fn list(&mut self, name: &str) -> Parsed<Vec<Value<'a>>> {
        list(self.take(name).ok_or_else(|| unexpected(name))?, name)
    }
}

pub(super) const fn bytes<'a>(value: &Value<'a>) -> Option<&'a [u8]> {
    if let Value::Text(bytes) = value { Some(bytes) } else { None }
}

/// An integer, or a text that is one, as in replies from scripts and summaries.
pub(super) fn integer(value: &Value<'_>) -> Option<i64> {
    if let Value::Int(number) = value { Some(*number) } else { text(value)?.parse().ok() }
}

pub(super) fn text<'a>(value: &Value<'a>) -> Option<&'a str> {
    std::str::from_utf8(bytes(value)?).ok()
}

pub(super) fn id(value: &Value<'_>) -> Option<StreamId> {
    text(value)?.parse().ok()
}

pub(super) fn list<'a>(value: Value<'a>, what: &str) -> Parsed<Vec<Value<'a>>> {
    if let Value::List(values) = value { Ok(values) } else { Err(unexpected(what)) }
}

pub(super) fn entry_id(entry: &Value<'_>) -> Parsed<StreamId> {
    let id = if let Value::List(parts) = entry { parts.first().and_then(id) } else { None };
    id.ok_or_else(|| unexpected("entry ID"))
}

pub(super) fn deliveries(value: Option<&Value<'_>>) -> Parsed<u64> {
    value
        .and_then(integer)
        .and_then(|count| u64::try_from(count).ok())
        .ok_or_else(|| unexpected("delivery count"))
}
