//! Names of streams, groups and consumers: any bytes in Redis, printable text everywhere else.
//!
//! One invalid byte in a label makes Prometheus reject the whole page. Anyone who may write to Redis chooses
//! names, so no view may print the bytes as they are.

use std::{
    borrow::Borrow,
    cmp::Ordering,
    fmt,
    hash::{Hash, Hasher},
};

use ring::digest::{SHA256, digest};
use triomphe::ThinArc;

use super::text::push_readable;

/// Maximum length of a name's text, in bytes. Longer texts end in a hash. Common limits on label values start at
/// 128.
const MAX_TEXT_BYTES: usize = 128;
/// Prometheus treats an empty label as a missing one: without this text, the series of an empty name would collide
/// with those of its parent.
const EMPTY_TEXT: &str = "\\empty";
/// Marks the end of a truncated text. No escape contains this, so no complete text can end like this.
const CUT: &str = "\\~";
/// Bytes of the hash in a truncated text: at 160 bits nobody can find two names with the same hash.
const HASH_BYTES: usize = 20;

/// A name as Redis holds it. [`Display`](fmt::Display) gives its text, which is the same in labels, logs and
/// pages.
///
/// In the text a backslash is doubled, bytes that are not UTF-8 are `\xNN`, and control and text-direction
/// characters are `\u{N}`. The empty name is `\empty`. A text longer than 128 bytes is truncated: it ends in `\~`
/// and the first 40 hexadecimal digits of the SHA-256 of the name. So the text is valid UTF-8 on one line, and
/// different names have different texts, even where somebody chooses names to look like others.
#[derive(Clone)]
pub struct Name(ThinArc<(), u8>);

impl Name {
    /// The bytes, as an argument of commands.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0.slice
    }

    /// The name, if it is valid UTF-8.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        std::str::from_utf8(self.as_bytes()).ok()
    }

    /// The name, if it is its own text.
    #[must_use]
    pub fn as_plain(&self) -> Option<&str> {
        let is_plain = |byte: &u8| (b' '..=b'~').contains(byte) && *byte != b'\\';
        let is_short = (1..=MAX_TEXT_BYTES).contains(&self.as_bytes().len());
        self.as_str().filter(|_| is_short && self.as_bytes().iter().all(is_plain))
    }

    /// The escaped text. Of a longer name it covers only the part that is kept, since escaping never makes text
    /// shorter.
    fn text(&self) -> String {
        let bytes = self.as_bytes().get(..MAX_TEXT_BYTES).unwrap_or(self.as_bytes());
        let mut text = String::with_capacity(bytes.len());
        for (index, part) in bytes.split(|byte| *byte == b'\\').enumerate() {
            if index > 0 {
                text.push_str("\\\\");
            }
            push_readable(&mut text, part);
        }
        text
    }
}

/// The part of a truncated text that is kept. It must not end in half of a doubled backslash: with that, [`CUT`]
/// would read as an escaped backslash of the name.
fn kept(text: &str) -> &str {
    let kept = text.get(..text.floor_char_boundary(MAX_TEXT_BYTES - CUT.len() - 2 * HASH_BYTES));
    let kept = kept.unwrap_or_default();
    let backslashes = kept.len() - kept.trim_end_matches('\\').len();
    if backslashes % 2 == 0 { kept } else { kept.strip_suffix('\\').unwrap_or(kept) }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.as_bytes().is_empty() {
            return f.write_str(EMPTY_TEXT);
        }
        if let Some(text) = self.as_plain() {
            return f.write_str(text);
        }
        let text = self.text();
        if text.len().max(self.as_bytes().len()) <= MAX_TEXT_BYTES {
            return f.write_str(&text);
        }
        write!(f, "{}{CUT}", kept(&text))?;
        // Unkeyed: the text must be the same after a restart and in every sidecar.
        let hash = digest(&SHA256, self.as_bytes());
        hash.as_ref().iter().take(HASH_BYTES).try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

/// Names compare and hash as their bytes do, so a set of names can be searched by bytes.
impl Borrow<[u8]> for Name {
    fn borrow(&self) -> &[u8] {
        self.as_bytes()
    }
}

impl PartialEq for Name {
    fn eq(&self, other: &Self) -> bool {
        // This is the usual case: the same allocation as in the last reading.
        std::ptr::eq(self.as_bytes(), other.as_bytes()) || self.as_bytes() == other.as_bytes()
    }
}

impl Eq for Name {}

impl PartialOrd for Name {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Name {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_bytes().cmp(other.as_bytes())
    }
}

impl Hash for Name {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_bytes().hash(state);
    }
}

impl From<&[u8]> for Name {
    fn from(bytes: &[u8]) -> Self {
        Self(ThinArc::from_header_and_slice((), bytes))
    }
}

impl From<&str> for Name {
    fn from(text: &str) -> Self {
        text.as_bytes().into()
    }
}

impl From<Vec<u8>> for Name {
    fn from(bytes: Vec<u8>) -> Self {
        bytes.as_slice().into()
    }
}

#[cfg(test)]
mod tests {
    use super::{super::text::is_unprintable, *};
    use proptest::prelude::*;

    #[test]
    fn hostile_bytes_become_readable_text() {
        for (bytes, text) in [
            (&b"events:session"[..], "events:session"),
            (b"", "\\empty"),
            (b"a\\b", "a\\\\b"),
            (b"\xff", "\\xFF"),
            (b"\xc3\x28", "\\xC3("),
            (b"\0\r\n\x1b", "\\u{0}\\u{D}\\u{A}\\u{1B}"),
            ("grün".as_bytes(), "grün"),
            ("a\u{202E}b".as_bytes(), "a\\u{202E}b"),
        ] {
            assert_eq!(Name::from(bytes).to_string(), text);
        }
    }

    #[test]
    fn long_names_stay_apart_under_texts_that_stay_the_same() {
        let (one, other) = ("x".repeat(200) + "1", "x".repeat(200) + "2");
        let (one, other) = (Name::from(one.as_str()).to_string(), Name::from(other.as_str()).to_string());
        assert_eq!(one, "x".repeat(86) + "\\~39610fa23ec31bad4478bbe58983a8a691a318d0");
        assert_eq!((one.len(), other.len()), (MAX_TEXT_BYTES, MAX_TEXT_BYTES));
        assert_ne!(one, other);
    }

    /// Bytes that look like texts: of names, of escapes, and of the end of a truncated text.
    fn look_alike() -> impl Strategy<Value = Vec<u8>> {
        let part = prop_oneof![
            Just("\\"),
            Just("\\\\"),
            Just("~"),
            Just("\\~"),
            Just("\\x"),
            Just("\\u{1"),
            Just("\\empty"),
            Just("\0"),
            Just("ü"),
            Just("x"),
            Just("0f1e2d3c4b5a69788796a5b4c3d2e1f001234567"),
        ];
        prop::collection::vec(part, 0..90).prop_map(|parts| parts.concat().into_bytes())
    }

    proptest! {
        #[test]
        fn different_names_have_different_texts(one: Vec<u8>, other: Vec<u8>) {
            let (one, other) = (Name::from(one), Name::from(other));
            prop_assert_eq!(one == other, one.to_string() == other.to_string());
        }

        /// From a text, anyone can try to spell a name that looks like it, at each place where one backslash may
        /// be two.
        #[test]
        fn no_name_can_be_spelt_to_have_the_text_of_another(bytes in look_alike(), skipped in 0_usize..130) {
            let name = Name::from(bytes);
            let text = name.to_string();
            let halved = text.replace("\\\\", "\\");
            let without = text.char_indices().filter(|(at, _)| *at != skipped).map(|(_, character)| character);
            for spelt in [text.clone(), halved, without.collect(), text.replacen('\\', "", 1)] {
                let other = Name::from(spelt.as_str());
                prop_assert_eq!(other == name, other.to_string() == text, "{:?} and {:?}", name, other);
            }
        }

        #[test]
        fn a_text_is_one_bounded_line(bytes in prop_oneof![any::<Vec<u8>>(), look_alike()]) {
            let text = Name::from(bytes).to_string();
            prop_assert!(text.len() <= MAX_TEXT_BYTES);
            prop_assert!(!text.chars().any(is_unprintable));
        }
    }
}
