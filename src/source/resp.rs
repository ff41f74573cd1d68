//! Redis's protocol, RESP2 and RESP3 (<https://redis.io/docs/latest/develop/reference/protocol-spec/>): finds where a
//! reply ends, and reads its values.
//!
//! The client library's parser allocates each value on the heap, which took more than half of the sidecar's CPU time. Here
//! a reply stays the bytes that arrived, and values borrow from it. Both versions of the protocol have the same few kinds of
//! values here: a map is a list of names and values in turn, and attributes are skipped.
//!
//! An entry may have hundreds of megabytes, and only its size matters. A string over 64 KiB is replaced by its size while it
//! arrives, except for names, which are needed whole. A longer error is cut to its start.

use bytes::{Bytes, BytesMut};

use super::{
    failure::from_error,
    token::{Kind, Long, Malformed, Token, long, malformed, token},
};
use crate::model::Failure;

/// CRLF, which ends a line.
const END_BYTES: usize = 2;
/// The most levels of nested lists. Redis's replies have a handful.
const DEEPEST: usize = 64;
/// The bytes of the shortest value. A list cannot have more values than the received bytes can hold.
const LEAST_VALUE_BYTES: usize = 3;
/// Bytes that are kept of an error that is too long: more than is ever shown.
const ERROR_START: usize = 1024;

/// The bytes of a whole reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reply(Bytes);

/// The value of a reply.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) enum Value<'a> {
    /// A null.
    #[default]
    Nil,
    /// An integer, or a boolean as 0 or 1.
    Int(i64),
    /// A string of any bytes. Floating point and big numbers are strings too.
    Text(&'a [u8]),
    /// An array or a set. A map is a list of names and values in turn.
    List(Vec<Self>),
}

impl Reply {
    /// The first reply in these bytes.
    ///
    /// # Errors
    /// The server's error, or [`Reason::Protocol`](crate::model::Reason::Protocol) if the bytes are invalid or incomplete.
    pub(super) fn whole(bytes: &Bytes) -> Result<Self, Failure> {
        Framer::default().next(&mut BytesMut::from(&**bytes), Texts::Whole)?.ok_or_else(cut_short)?
    }

    /// The value of the reply.
    ///
    /// # Errors
    /// The server's error, or [`Reason::Protocol`](crate::model::Reason::Protocol) if it is not a value of the protocol.
    pub(crate) fn value(&self) -> Result<Value<'_>, Failure> {
        let mut rest = &*self.0;
        // As a list of one value.
        let values = list(&mut rest, 1, DEEPEST + 1);
        values.map(|mut values| values.pop().unwrap_or_default()).map_err(|bad| match bad {
            Bad::Malformed(malformed) => malformed.into(),
            Bad::Error(text) => from_error(text, text.len()),
        })
    }
}

/// What to do with strings over 64 KiB.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Texts {
    /// Keep those in lists.
    Whole,
    /// Replace them by a number, their size in bytes.
    Sizes,
}

/// Finds replies in the received bytes. Looks at each byte once.
#[derive(Debug, Default)]
pub(super) struct Framer {
    end: End,
    /// Bytes of the reply that were parsed already.
    seen: usize,
    passing: Option<Passing>,
    /// Bytes of errors that were dropped.
    left_out: usize,
}

/// A string or an error that is too long to keep.
#[derive(Debug)]
struct Passing {
    /// The position of the dropped bytes.
    at: usize,
    /// How many of its bytes are still to come; `None` if it continues to the end of its line.
    missing: Option<usize>,
    /// Whether it is an error.
    is_error: bool,
}

impl Framer {
    /// Takes the next reply or error out of `received`; `None` until all of it has arrived.
    ///
    /// # Errors
    /// [`Reason::Protocol`](crate::model::Reason::Protocol): no later bytes can be parsed.
    pub(super) fn next(
        &mut self,
        received: &mut BytesMut,
        texts: Texts,
    ) -> Result<Option<Result<Reply, Failure>>, Failure> {
        loop {
            if !self.pass_over(received)? {
                return Ok(None);
            }
            let mut rest = received.get(self.seen..).unwrap_or_default();
            let is_whole = self.end.find(&mut rest)?;
            self.seen = received.len() - rest.len();
            if !is_whole {
                match self.begin_to_pass_over(received, texts) {
                    true => continue,
                    false => return Ok(None),
                }
            }
            let Self { seen, left_out, .. } = std::mem::take(self);
            let reply = Reply(received.split_to(seen).freeze());
            let mut bytes = &*reply.0;
            match whole(&mut bytes)? {
                // Sent unasked, so not a reply.
                Token::Open(Kind::Push, _) => {}
                Token::Error(start) => return Ok(Some(Err(from_error(start, start.len() + left_out)))),
                Token::Nil | Token::Int(_) | Token::Text(_) | Token::Open(..) => return Ok(Some(Ok(reply))),
            }
        }
    }

    /// If a value that is too long comes next: changes `$70000\r\n` to `:70000` and `!70000\r\n` to `-`. The end of the value
    /// then ends that line.
    fn begin_to_pass_over(&mut self, received: &mut BytesMut, texts: Texts) -> bool {
        let rest = received.get_mut(self.seen..).unwrap_or_default();
        let (Some(long), Some(kind)) = (long(rest), rest.first_mut()) else { return false };
        let start = self.seen + 1;
        self.passing = Some(match long {
            // Names are in lists only.
            Long::Text(..) if texts == Texts::Whole && self.seen > 0 => return false,
            Long::Text(before, length) => {
                *kind = b':';
                let at = self.seen + before - END_BYTES;
                remove(received, at, END_BYTES);
                Passing { at, missing: Some(length), is_error: false }
            }
            Long::Error(before, length) => {
                *kind = b'-';
                remove(received, start, before - 1);
                Passing { at: start + ERROR_START, missing: Some(length - ERROR_START), is_error: true }
            }
            Long::ErrorLine => Passing { at: start + ERROR_START, missing: None, is_error: true },
        });
        true
    }

    /// Removes the bytes that have arrived of a value that is too long. Returns whether the value has ended.
    fn pass_over(&mut self, received: &mut BytesMut) -> Result<bool, Malformed> {
        let Some(Passing { at, missing, is_error }) = &mut self.passing else { return Ok(true) };
        let come = received.get(*at..).unwrap_or_default();
        let line_end = || come.iter().position(|byte| *byte == b'\r').unwrap_or(come.len());
        let there = missing.map_or_else(line_end, |missing| missing.min(come.len()));
        if there > 0 {
            remove(received, *at, there);
        }
        *missing = missing.map(|missing| missing - there);
        self.left_out += if *is_error { there } else { 0 };
        match received.get(*at..) {
            Some([b'\r', b'\n', ..]) if missing.is_none_or(|missing| missing == 0) => {
                if *is_error {
                    // A line end inside the error would end the line that replaces it.
                    let start = received.get_mut(self.seen..*at).unwrap_or_default();
                    start
                        .iter_mut()
                        .filter(|byte| matches!(byte, b'\r' | b'\n'))
                        .for_each(|byte| *byte = b' ');
                }
                self.passing = None;
            }
            Some([_, _, ..]) => return Err(malformed("a string does not end with CRLF")),
            _ => {}
        }
        Ok(self.passing.is_none())
    }
}

fn remove(bytes: &mut BytesMut, at: usize, count: usize) {
    bytes.copy_within(at + count.., at);
    bytes.truncate(bytes.len() - count);
}

/// Finds where a value ends.
#[derive(Debug)]
struct End {
    /// Values that are still to come.
    missing: usize,
}

impl Default for End {
    fn default() -> Self {
        Self { missing: 1 }
    }
}

impl End {
    /// Continues to the value's end; false if some of its bytes have not arrived yet.
    fn find(&mut self, rest: &mut &[u8]) -> Result<bool, Malformed> {
        while self.missing > 0 {
            let Some(token) = token(rest)? else { return Ok(false) };
            let more = match token {
                // The value that has these attributes comes after them.
                Token::Open(Kind::Attributes, count) => count.checked_add(1),
                Token::Open(Kind::List | Kind::Push, count) => Some(count),
                Token::Nil | Token::Int(_) | Token::Text(_) | Token::Error(_) => Some(0),
            };
            let missing = more.and_then(|more| (self.missing - 1).checked_add(more));
            self.missing = missing.ok_or_else(|| malformed("an array is too long"))?;
        }
        Ok(true)
    }
}

fn whole<'a>(rest: &mut &'a [u8]) -> Result<Token<'a>, Malformed> {
    token(rest)?.ok_or_else(cut_short)
}

/// Why there is no value.
enum Bad<'a> {
    Malformed(Malformed),
    /// The server's error.
    Error(&'a [u8]),
}

impl From<Malformed> for Bad<'_> {
    fn from(malformed: Malformed) -> Self {
        Self::Malformed(malformed)
    }
}

/// So many values, with fewer than `depth` levels of nested lists in them.
fn list<'a>(rest: &mut &'a [u8], count: usize, depth: usize) -> Result<Vec<Value<'a>>, Bad<'a>> {
    let depth = depth.checked_sub(1).ok_or_else(|| malformed("arrays are nested too deeply"))?;
    let mut values = Vec::with_capacity(count.min(rest.len() / LEAST_VALUE_BYTES));
    while values.len() < count {
        // Each kind has a push of its own, since a value that is made in one place and copied to another costs more than to parse it.
        match whole(rest)? {
            Token::Nil => values.push(Value::Nil),
            Token::Int(number) => values.push(Value::Int(number)),
            Token::Text(text) => values.push(Value::Text(text)),
            Token::Error(text) => return Err(Bad::Error(text)),
            // The value that has these attributes comes after them.
            Token::Open(Kind::Attributes, count) => drop(list(rest, count, depth)?),
            Token::Open(Kind::List | Kind::Push, count) => {
                values.push(Value::List(list(rest, count, depth)?))
            }
        }
    }
    Ok(values)
}

fn cut_short() -> Malformed {
    malformed("it is incomplete")
}

#[cfg(test)]
#[path = "resp_tests.rs"]
pub(crate) mod tests;
