//! The tokens of Redis's protocol: a simple value, or the header of a list.

use crate::model::{Failure, Reason};

/// The most bytes of a line, which is a number, a simple string or an error.
pub(super) const LONGEST_LINE: usize = 64 * 1024;
/// The most bytes of a string. Only names and parts of entries are longer, and those could fill the memory.
pub(super) const LONGEST_TEXT: usize = 64 * 1024;
/// Numbers with this many digits always fit.
const SAFE_DIGITS: usize = 18;

/// Why bytes are not a token. It is small: results that hold a whole [`Failure`] were most of the time that a reply took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Malformed(&'static str);

impl From<Malformed> for Failure {
    fn from(Malformed(what): Malformed) -> Self {
        Self::new(Reason::Protocol, format!("the reply is not valid RESP: {what}"))
    }
}

/// The beginning of a value.
pub(super) enum Token<'a> {
    Nil,
    Int(i64),
    Text(&'a [u8]),
    Error(&'a [u8]),
    /// The header of a list, with the number of its values.
    Open(Kind, usize),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    List,
    Push,
    Attributes,
}

/// Takes a token; `None` if some of its bytes have not arrived yet.
#[inline]
pub(super) fn token<'a>(rest: &mut &'a [u8]) -> Result<Option<Token<'a>>, Malformed> {
    // Most tokens are short strings: names of fields, and IDs.
    if let Some(text) = short_text(rest) {
        return Ok(Some(Token::Text(text)));
    }
    any(rest)
}

/// Takes a string whose length has one or two digits; `None` for any other token, and if some bytes have not arrived yet.
#[inline]
fn short_text<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (length, behind) = match rest {
        [b'$', ones @ b'0'..=b'9', b'\r', b'\n', behind @ ..] => (ones - b'0', behind),
        [b'$', tens @ b'0'..=b'9', ones @ b'0'..=b'9', b'\r', b'\n', behind @ ..] => {
            ((tens - b'0') * 10 + (ones - b'0'), behind)
        }
        _ => return None,
    };
    let (text, end) = behind.split_at_checked(length.into())?;
    *rest = end.strip_prefix(b"\r\n")?;
    Some(text)
}

fn any<'a>(rest: &mut &'a [u8]) -> Result<Option<Token<'a>>, Malformed> {
    let Some((kind, mut after)) = rest.split_first() else { return Ok(None) };
    let token = match kind {
        b'$' | b'=' | b'!' | b'*' | b'~' | b'>' | b'%' | b'|' => {
            let Some(length) = number(&mut after)? else { return Ok(None) };
            match (length, usize::try_from(length)) {
                // A null string or array of RESP2.
                (-1, _) => Token::Nil,
                (_, Ok(length)) if matches!(kind, b'$' | b'=' | b'!') => {
                    let Some(text) = text(&mut after, length)? else { return Ok(None) };
                    match kind {
                        b'!' => Token::Error(text),
                        // The first four bytes are the format, such as `txt:`.
                        b'=' => Token::Text(text.get(4..).unwrap_or_default()),
                        _ => Token::Text(text),
                    }
                }
                (_, Ok(length)) => open(*kind, length)?,
                (_, Err(_)) => return Err(malformed("a length is negative")),
            }
        }
        b':' => {
            let Some(integer) = integer(&mut after)? else { return Ok(None) };
            integer
        }
        b'-' => {
            // The framer cuts a long error while it arrives.
            let Some(line) = line_of_any_length(&mut after)? else { return Ok(None) };
            Token::Error(line)
        }
        b'+' | b',' | b'(' | b'_' | b'#' => {
            let Some(line) = line(&mut after)? else { return Ok(None) };
            match kind {
                b'_' => Token::Nil,
                b'#' => Token::Int((line == b"t").into()),
                _ => Token::Text(line),
            }
        }
        _ => return Err(malformed("unknown type of value")),
    };
    *rest = after;
    Ok(Some(token))
}

/// The beginning of a value that is too long to keep.
pub(super) enum Long {
    /// A string: where its bytes start, and how many they are.
    Text(usize, usize),
    /// An error: where its bytes start, and how many they are.
    Error(usize, usize),
    /// An error that is a line, whose end has not arrived yet.
    ErrorLine,
}

/// The value that begins here, if it is too long.
pub(super) fn long(rest: &[u8]) -> Option<Long> {
    let (kind, mut behind) = rest.split_first()?;
    if *kind == b'-' {
        return (behind.len() > LONGEST_LINE).then_some(Long::ErrorLine);
    }
    if !matches!(kind, b'$' | b'=' | b'!') {
        return None;
    }
    let length = usize::try_from(number(&mut behind).ok()??).ok().filter(|length| *length > LONGEST_TEXT)?;
    let before = rest.len() - behind.len();
    Some(if *kind == b'!' { Long::Error(before, length) } else { Long::Text(before, length) })
}

fn open<'a>(kind: u8, length: usize) -> Result<Token<'a>, Malformed> {
    let (kind, of_each) = match kind {
        b'%' => (Kind::List, 2),
        b'|' => (Kind::Attributes, 2),
        b'>' => (Kind::Push, 1),
        _ => (Kind::List, 1),
    };
    let count = length.checked_mul(of_each).ok_or_else(|| malformed("an array is too long"))?;
    Ok(Token::Open(kind, count))
}

/// Takes a string of this length, and the CRLF after it.
fn text<'a>(rest: &mut &'a [u8], length: usize) -> Result<Option<&'a [u8]>, Malformed> {
    let Some((text, end)) = rest.split_at_checked(length) else { return Ok(None) };
    match end {
        [b'\r', b'\n', behind @ ..] => {
            *rest = behind;
            Ok(Some(text))
        }
        [_, _, ..] => Err(malformed("a string does not end with CRLF")),
        _ => Ok(None),
    }
}

/// Takes a line without its end; `None` if the end has not arrived yet.
fn line<'a>(rest: &mut &'a [u8]) -> Result<Option<&'a [u8]>, Malformed> {
    let line = line_of_any_length(rest)?;
    let is_endless = line.is_none() && rest.len() > LONGEST_LINE;
    if is_endless { Err(malformed("a line is too long")) } else { Ok(line) }
}

fn line_of_any_length<'a>(rest: &mut &'a [u8]) -> Result<Option<&'a [u8]>, Malformed> {
    let Some(end) = rest.iter().position(|byte| *byte == b'\r') else { return Ok(None) };
    let (line, end) = rest.split_at(end);
    match end {
        [_, b'\n', behind @ ..] => {
            *rest = behind;
            Ok(Some(line))
        }
        [_] => Ok(None),
        _ => Err(malformed("a line does not end with CRLF")),
    }
}

/// Takes a line that is an integer. One that does not fit, such as a negative counter that is written as unsigned, becomes a
/// string of its digits. Then only this value cannot be used, not the whole reply.
fn integer<'a>(rest: &mut &'a [u8]) -> Result<Option<Token<'a>>, Malformed> {
    let mut whole = *rest;
    let malformed = match number(rest) {
        Ok(number) => return Ok(number.map(Token::Int)),
        Err(failure) => failure,
    };
    let Some(digits) = line(&mut whole)? else { return Ok(None) };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Err(malformed);
    }
    *rest = whole;
    Ok(Some(Token::Text(digits)))
}

/// Takes a line that is a number, in one pass, since most lines of a reply are numbers.
fn number(rest: &mut &[u8]) -> Result<Option<i64>, Malformed> {
    let (mut behind, is_negative) = rest.strip_prefix(b"-").map_or((*rest, false), |digits| (digits, true));
    let (mut number, mut digits) = (0_i64, 0_usize);
    loop {
        match behind {
            [digit @ b'0'..=b'9', more @ ..] if digits < SAFE_DIGITS => {
                number = number * 10 + i64::from(digit - b'0');
                digits += 1;
                behind = more;
            }
            [b'\r', b'\n', more @ ..] if digits > 0 => {
                *rest = more;
                return Ok(Some(if is_negative { -number } else { number }));
            }
            [] | [b'\r'] => return Ok(None),
            // The largest numbers, and anything that is not a number.
            _ => {
                let Some(line) = line(rest)? else { return Ok(None) };
                let number = std::str::from_utf8(line).ok().and_then(|text| text.parse().ok());
                return number.map(Some).ok_or_else(|| malformed("a number is not an integer"));
            }
        }
    }
}

pub(super) const fn malformed(what: &'static str) -> Malformed {
    Malformed(what)
}
