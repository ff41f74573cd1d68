//! A stream's name in the configuration, or a glob.

use std::{ffi::OsStr, fmt, os::unix::ffi::OsStrExt, sync::Arc};

use globset::{Glob, GlobMatcher};

use crate::model::Name;

/// Much longer globs would not compile. Nobody has names of this length.
const MAX_GLOB_BYTES: usize = 64 * 1024;

/// A name, or a glob in the syntax of shells: `*`, `?`, `[a-z]`, `{one,two}`, and `\` before a character that stands for itself.
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
        if literal(text).len() == text.len() {
            return Ok(Self::Name(text.into()));
        }
        if text.len() > MAX_GLOB_BYTES {
            return Err(PatternError(format!("longer than {MAX_GLOB_BYTES} bytes")));
        }
        match Glob::new(text) {
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
    pub(super) fn glob(&self) -> Option<&str> {
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
    fn an_open_bracket_is_refused() {
        assert!(Pattern::parse("events:[a").is_err());
    }

    #[test]
    fn a_glob_is_refused_before_it_is_too_large_to_compile() {
        assert!(Pattern::parse(&"?".repeat(MAX_GLOB_BYTES)).is_ok());
        assert!(Pattern::parse(&"?".repeat(1_000_000)).is_err());
    }
}
