//! Redis's protocol, RESP2 and RESP3 (<https://redis.io/docs/latest/develop/reference/protocol-spec/>): where a reply
//! ends, and what it says.
//!
//! The client library's parser builds every value anew on the heap, which took more than half of the sidecar's
//! processor time. Here a reply stays the bytes that came, and values borrow from it. Both versions of the protocol
//! become the same few kinds: named values are a list of names and values in turn, and attributes are passed over.
//!
//! An entry may be hundreds of megabytes, of which nothing but its size matters: the number of its bytes takes the place
//! of a text beyond 64 KiB while it comes in, but for names, which are needed whole. Of a longer error the start is held.

use bytes::{Bytes, BytesMut};

use super::{
    failure::from_error,
    token::{Kind, Long, Token, long, malformed, token},
};
use crate::model::Failure;

/// Of a line.
const END_BYTES: usize = 2;
/// Lists in lists; Redis's own replies have a handful.
const DEEPEST: usize = 64;
/// No value takes fewer bytes, whatever a list announces.
const LEAST_VALUE_BYTES: usize = 3;
/// Held of an error that is too long: more than anybody is shown.
const ERROR_START: usize = 1024;

/// A whole reply, as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reply(Bytes);

/// What a reply says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) enum Value<'a> {
    /// Nothing.
    #[default]
    Nil,
    /// A number, or whether something is so.
    Int(i64),
    /// Any bytes.
    Text(&'a [u8]),
    /// Values; where they are named, each behind its name.
    List(Vec<Self>),
}

impl Reply {
    /// The one that begins these bytes.
    ///
    /// # Errors
    /// The server's, and [`Reason::Protocol`](crate::model::Reason::Protocol) where the bytes are none or not all of it.
    pub(super) fn whole(bytes: &Bytes) -> Result<Self, Failure> {
        Framer::default().next(&mut BytesMut::from(&**bytes), Texts::Whole)?.ok_or_else(cut_short)?
    }

    /// What it says.
    ///
    /// # Errors
    /// The server's, and [`Reason::Protocol`](crate::model::Reason::Protocol) where it is none of the protocol's values.
    pub(crate) fn value(&self) -> Result<Value<'_>, Failure> {
        let mut rest = &*self.0;
        value(&mut rest, DEEPEST)
    }
}

/// What becomes of texts beyond 64 KiB.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Texts {
    /// They are held where they are in a list.
    Whole,
    /// A number takes their place: how many bytes they have.
    Sizes,
}

/// Finds replies in what is received, looking at each byte once.
#[derive(Debug, Default)]
pub(super) struct Framer {
    end: End,
    /// Bytes of the reply that were looked at.
    seen: usize,
    passing: Option<Passing>,
    /// Bytes of errors that were left out.
    left_out: usize,
}

/// A text or an error that is too long to be held.
#[derive(Debug)]
struct Passing {
    /// Where what is not held would stand.
    at: usize,
    /// How many of its bytes are still to come; `None` where a line's end will tell.
    missing: Option<usize>,
    /// Whether it is an error.
    is_error: bool,
}

impl Framer {
    /// Takes the next reply out of `received`, or its error; `None` until all of it is there.
    ///
    /// # Errors
    /// [`Reason::Protocol`](crate::model::Reason::Protocol): nothing that comes after it can be understood.
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
                // The server's own word, and no reply to anything.
                Token::Open(Kind::Push, _) => {}
                Token::Error(start) => return Ok(Some(Err(from_error(start, start.len() + left_out)))),
                Token::Nil | Token::Int(_) | Token::Text(_) | Token::Open(..) => return Ok(Some(Ok(reply))),
            }
        }
    }

    /// If a value that is too long comes next: makes `$70000\r\n` a `:70000` and `!70000\r\n` a `-`, which the value's
    /// own end will end.
    fn begin_to_pass_over(&mut self, received: &mut BytesMut, texts: Texts) -> bool {
        let rest = received.get_mut(self.seen..).unwrap_or_default();
        let (Some(long), Some(kind)) = (long(rest), rest.first_mut()) else { return false };
        let start = self.seen + 1;
        self.passing = Some(match long {
            // A name is in a list.
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

    /// Takes out what has come of a value that is too long; whether it is over.
    fn pass_over(&mut self, received: &mut BytesMut) -> Result<bool, Failure> {
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
                    // Line ends in an error would end the line that it has become.
                    let start = received.get_mut(self.seen..*at).unwrap_or_default();
                    start
                        .iter_mut()
                        .filter(|byte| matches!(byte, b'\r' | b'\n'))
                        .for_each(|byte| *byte = b' ');
                }
                self.passing = None;
            }
            Some([_, _, ..]) => return Err(malformed("a text does not end where it should")),
            _ => {}
        }
        Ok(self.passing.is_none())
    }
}

fn remove(bytes: &mut BytesMut, at: usize, count: usize) {
    bytes.copy_within(at + count.., at);
    bytes.truncate(bytes.len() - count);
}

/// Where a value ends.
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
    /// Goes on to the value's end; false where there are not all of its bytes.
    fn find(&mut self, rest: &mut &[u8]) -> Result<bool, Failure> {
        while self.missing > 0 {
            let Some(token) = token(rest)? else { return Ok(false) };
            let more = match token {
                // What they belong to is still to come.
                Token::Open(Kind::Attributes, count) => count.checked_add(1),
                Token::Open(Kind::List | Kind::Push, count) => Some(count),
                Token::Nil | Token::Int(_) | Token::Text(_) | Token::Error(_) => Some(0),
            };
            let missing = more.and_then(|more| (self.missing - 1).checked_add(more));
            self.missing = missing.ok_or_else(|| malformed("a list is too long"))?;
        }
        Ok(true)
    }
}

fn whole<'a>(rest: &mut &'a [u8]) -> Result<Token<'a>, Failure> {
    token(rest)?.ok_or_else(cut_short)
}

/// A value, with no more than so many lists in lists.
fn value<'a>(rest: &mut &'a [u8], depth: usize) -> Result<Value<'a>, Failure> {
    loop {
        let (kind, count) = match whole(rest)? {
            Token::Nil => return Ok(Value::Nil),
            Token::Int(number) => return Ok(Value::Int(number)),
            Token::Text(text) => return Ok(Value::Text(text)),
            Token::Error(text) => return Err(from_error(text, text.len())),
            Token::Open(kind, count) => (kind, count),
        };
        let depth = depth.checked_sub(1).ok_or_else(|| malformed("too many lists are in each other"))?;
        let mut values = Vec::with_capacity(count.min(rest.len() / LEAST_VALUE_BYTES));
        for _ in 0..count {
            values.push(value(rest, depth)?);
        }
        if kind != Kind::Attributes {
            return Ok(Value::List(values));
        }
    }
}

fn cut_short() -> Failure {
    malformed("it is cut short")
}

#[cfg(test)]
#[path = "resp_tests.rs"]
pub(crate) mod tests;
