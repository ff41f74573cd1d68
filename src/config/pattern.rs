//! A stream's name in the configuration, or a glob.

use std::{ffi::OsStr, fmt, os::unix::ffi::OsStrExt, sync::Arc};

use globset::{Glob, GlobMatcher};

use crate::model::Name;

/// Much longer globs would not compile. Nobody has names of this length.
const MAX_GLOB_BYTES: usize = 64 * 1024;

/// A name, or a glob in the syntax of shells: `*`, `?`, `[a-z]`, `{one,two}`, and `\` before a character that stands for itself. As in
/// shells, braces without a comma stand for themselves: `orders:{eu}` is a name with the hash tag of a cluster.
#[derive(Debug, Clone)]
pub enum Pattern {
    /// Exactly this stream; it is expected to exist.
    Name(Name),
    /// Every stream that the glob matches.
    Glob(Arc<GlobMatcher>),
}

/// An invalid glob.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a glob: {0}")]
pub struct PatternError(String);

impl Pattern {
    /// Returns a glob if the text has a special character, else a name.
    ///
    /// # Errors
    /// If the glob's brackets or braces do not close, or it is longer than 64 KiB.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        let (glob, is_name) = with_plain_braces(text);
        if is_name {
            return Ok(Self::Name(text.into()));
        }
        if text.len() > MAX_GLOB_BYTES {
            return Err(PatternError(format!("longer than {MAX_GLOB_BYTES} bytes")));
        }
        match Glob::new(&glob) {
            Ok(glob) => Ok(Self::Glob(Arc::new(glob.compile_matcher()))),
            Err(error) => Err(PatternError(error.kind().to_string())),
        }
    }

    /// Whether this stream matches.
    #[must_use]
    pub fn matches(&self, stream: &Name) -> bool {
        match self {
            Self::Name(name) => name == stream,
            Self::Glob(glob) => glob.is_match(OsStr::from_bytes(stream.as_bytes())),
        }
    }

    /// The prefix of a glob that is a prefix and a `*`.
    pub(super) fn prefix(&self) -> Option<&str> {
        let prefix = self.glob()?.strip_suffix('*')?;
        (literal(prefix).len() == prefix.len()).then_some(prefix)
    }

    /// The glob, as it was written.
    #[must_use]
    pub fn glob(&self) -> Option<&str> {
        match self {
            Self::Name(_) => None,
            Self::Glob(glob) => Some(glob.glob().glob()),
        }
    }

    /// The name, where the pattern is one.
    #[must_use]
    pub fn exact(&self) -> Option<&Name> {
        match self {
            Self::Name(name) => Some(name),
            Self::Glob(_) => None,
        }
    }
}

/// The empty name, in place of a pattern that is missing.
impl Default for Pattern {
    fn default() -> Self {
        Self::Name(Name::from(""))
    }
}

/// The pattern with a `\` before braces without a comma, and whether it then has no other special character.
fn with_plain_braces(text: &str) -> (String, bool) {
    let (mut glob, mut rest, mut is_name) = (String::new(), text, true);
    loop {
        let plain = literal(rest);
        glob.push_str(plain);
        rest = rest.strip_prefix(plain).unwrap_or_default();
        let mut characters = rest.chars();
        let Some(special) = characters.next() else { return (glob, is_name) };
        let tag = characters
            .as_str()
            .split_once('}')
            .filter(|(tag, _)| literal(tag).len() == tag.len() && !tag.contains(','));
        rest = match tag {
            Some((tag, behind)) if special == '{' => {
                glob.extend(["\\{", tag, "\\}"]);
                behind
            }
            _ => {
                is_name = false;
                // What follows a `\` stands for itself, and what is in brackets too.
                let end = match special {
                    '\\' => characters.next().map_or(1, |next| 1 + next.len_utf8()),
                    '[' => rest.find(']').map_or(1, |end| end + 1),
                    _ => special.len_utf8(),
                };
                let (copied, behind) = rest.split_at(end);
                glob.push_str(copied);
                behind
            }
        };
    }
}

/// The part of a pattern before the first special character.
pub(super) fn literal(pattern: &str) -> &str {
    pattern.split(['*', '?', '[', '{', '\\']).next().unwrap_or_default()
}

/// The pattern as it was written.
impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name.as_str().unwrap_or_default()),
            Self::Glob(glob) => f.write_str(glob.glob().glob()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs_match_any_bytes_and_names_only_themselves() {
        let matches = |pattern, name: &[u8]| Pattern::parse(pattern).unwrap().matches(&Name::from(name));
        assert!(matches("events:*", b"events:session"));
        assert!(matches("events:*", b"events:\xff/deep"));
        assert!(matches("*", b""));
        assert!(matches("{a,b}?", b"b1"));
        assert!(!matches("events:*", b"event:session"));
        assert!(matches(r"a\*", b"a*"));
        assert!(!matches(r"a\*", b"ab"));
        assert!(matches("events:session", b"events:session"));
        assert!(!matches("events:session", b"events:session2"));
    }

    #[test]
    fn braces_without_a_comma_stand_for_themselves() {
        for name in ["orders:{eu}", "{tag}x", "{}x", "a{b}{c}", "}a", "{user:1}.events"] {
            assert_eq!(Pattern::parse(name).unwrap().exact(), Some(&Name::from(name)), "{name}");
        }
        let matches = |pattern, name: &str| Pattern::parse(pattern).unwrap().matches(&Name::from(name));
        assert!(matches("{eu}:*", "{eu}:orders") && !matches("{eu}:*", "eu:orders"));
        assert!(matches("{a,b}:{eu}", "b:{eu}") && !matches("{a,b}:{eu}", "b:eu"));
        assert!(matches("[{]a*", "{ab") && matches(r"\{a,b\}?", "{a,b}c"));
        assert!(Pattern::parse("{a").is_err());
    }

    #[test]
    fn an_open_bracket_is_refused() {
        assert!(Pattern::parse("events:[a").is_err());
    }

    #[test]
    fn a_glob_is_refused_before_it_is_too_large_to_compile() {
        assert!(Pattern::parse(&"?".repeat(MAX_GLOB_BYTES)).is_ok());
        assert!(Pattern::parse(&"?".repeat(1_000_000)).is_err());
    }
}
