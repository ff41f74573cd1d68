//! Text from outside, from a server, a file, a client or a library, as bounded printable text.
//!
//! Text is sanitised where it enters, and the type proves it. Whatever is logged, printed or exposed later needs
//! no more escaping or truncation. Sanitising twice changes nothing.

use std::{
    fmt::{self, Write},
    ops::Deref,
    os::unix::ffi::OsStrExt,
    path::Path,
};

/// Text of at most 300 bytes: valid UTF-8 on one line, which can't change a terminal's state or the direction of
/// text.
///
/// Bytes that are not UTF-8 are `\xNN`. Control characters, line breaks and characters that change the direction
/// of text are `\u{N}`. A longer text is truncated and ends in its size, as in `… (10485760 bytes)`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Text(Box<str>);

impl Text {
    /// Maximum length in bytes: two lines of a terminal are enough for any message.
    const LONGEST: usize = 300;

    /// A text of `size` bytes that starts with these.
    #[must_use]
    pub fn from_start(start: &[u8], size: usize) -> Self {
        Self(cleaned(start, size, Self::LONGEST).into())
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Sanitises a text of `size` bytes, of which these are the first. At most `longest` bytes are returned.
pub(crate) fn cleaned(start: &[u8], size: usize, longest: usize) -> String {
    // Escaping never makes text shorter, so nothing after these bytes can be kept. A character has up to four
    // bytes.
    let read = start.get(..longest + 4).unwrap_or(start);
    let mut text = String::with_capacity(read.len());
    push_readable(&mut text, read);
    if text.len() > longest || size > start.len() {
        let end = format!("… ({size} bytes)");
        text.truncate(text.floor_char_boundary(longest.saturating_sub(end.len())));
        text.push_str(&end);
    }
    text
}

/// Appends the bytes and escapes what is not printable. A backslash is not escaped.
pub(super) fn push_readable(text: &mut String, bytes: &[u8]) {
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            if is_unprintable(character) {
                push(text, format_args!("\\u{{{:X}}}", u32::from(character)));
            } else {
                text.push(character);
            }
        }
        for byte in chunk.invalid() {
            push(text, format_args!("\\x{byte:02X}"));
        }
    }
}

/// Control characters, line separators, and characters that are invisible or change the direction of text.
pub(super) fn is_unprintable(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{061C}'
                | '\u{200B}'..='\u{200F}'
                | '\u{2028}'..='\u{202E}'
                | '\u{2060}'..='\u{206F}'
                | '\u{FEFF}'
                | '\u{FFF9}'..='\u{FFFB}'
                | '\u{E0000}'..='\u{E007F}'
        )
}

fn push(text: &mut String, arguments: fmt::Arguments<'_>) {
    text.write_fmt(arguments).expect("a String takes any text");
}

impl Deref for Text {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

impl From<&[u8]> for Text {
    fn from(bytes: &[u8]) -> Self {
        Self::from_start(bytes, bytes.len())
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        text.as_bytes().into()
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        text.as_str().into()
    }
}

impl From<&Path> for Text {
    fn from(path: &Path) -> Self {
        path.as_os_str().as_bytes().into()
    }
}

impl From<Text> for String {
    fn from(text: Text) -> Self {
        text.0.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn unprintable_text_is_escaped_and_long_text_is_truncated() {
        let long = "x".repeat(10_485_760);
        let truncated = format!("{}… (10485760 bytes)", "x".repeat(Text::LONGEST - 20));
        for (bytes, text) in [
            (&b"WRONGTYPE Operation against a key"[..], "WRONGTYPE Operation against a key"),
            (b"", ""),
            (b"\x1b[31mred\x1b[0m\r\nnext", "\\u{1B}[31mred\\u{1B}[0m\\u{D}\\u{A}next"),
            (b"\x7f\xc2\x9b2J\xff", "\\u{7F}\\u{9B}2J\\xFF"),
            ("a\u{202E}b\u{2067}c\u{061C}d\u{2028}".as_bytes(), "a\\u{202E}b\\u{2067}c\\u{61C}d\\u{2028}"),
            ("C:\\new grün".as_bytes(), "C:\\new grün"),
            (long.as_bytes(), &truncated),
        ] {
            assert_eq!(Text::from(bytes).as_str(), text);
        }
        assert_eq!(Text::from_start(b"begun", 70_000).as_str(), "begun… (70000 bytes)");
    }

    proptest! {
        #[test]
        fn a_text_is_one_bounded_printable_line_and_sanitising_it_twice_changes_nothing(bytes: Vec<u8>, repeated in 1_usize..40) {
            let text = Text::from(bytes.repeat(repeated).as_slice());
            prop_assert!(text.len() <= Text::LONGEST);
            prop_assert!(!text.chars().any(is_unprintable));
            prop_assert_eq!(&Text::from(text.as_str()), &text);
        }
    }
}
