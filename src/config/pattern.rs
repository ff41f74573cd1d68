//! What a configuration calls streams by: a name, or a glob.

use std::{ffi::OsStr, fmt, os::unix::ffi::OsStrExt};

use globset::{Glob, GlobMatcher};

use crate::model::Name;

/// A name, or a glob in the syntax of shells: `*`, `?`, `[a-z]`, `{one,two}`, and `\` before what is meant as it is.
#[derive(Debug, Clone)]
pub enum Pattern {
    /// Exactly this stream; it is expected to exist.
    Name(Name),
    /// Every stream that the glob matches.
    Glob(GlobMatcher),
}

/// A glob that is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a glob: {0}")]
pub struct PatternError(String);

impl Pattern {
    /// A glob if it has a character that means something in one, else a name.
    ///
    /// # Errors
    /// Where the glob's brackets or braces do not close.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        if literal(text).len() == text.len() {
            return Ok(Self::Name(text.into()));
        }
        match Glob::new(text) {
            Ok(glob) => Ok(Self::Glob(glob.compile_matcher())),
            Err(error) => Err(PatternError(error.kind().to_string())),
        }
    }

    /// Whether this stream is meant.
    #[must_use]
    pub fn matches(&self, stream: &Name) -> bool {
        match self {
            Self::Name(name) => name == stream,
            Self::Glob(glob) => glob.is_match(OsStr::from_bytes(stream.as_bytes())),
        }
    }

    /// Whether every stream that `other` matches is surely matched too: it is a name that this matches, or this is a beginning
    /// and a `*`, and all that `other` matches begins so.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        match (other, self) {
            (Self::Name(name), _) => self.matches(name),
            (Self::Glob(_), Self::Name(_)) => false,
            (Self::Glob(other), Self::Glob(glob)) => {
                let (other, glob) = (other.glob().glob(), glob.glob().glob());
                let beginning = glob.strip_suffix('*').filter(|it| literal(it).len() == it.len());
                other == glob || beginning.is_some_and(|it| literal(other).starts_with(it))
            }
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

/// What a pattern begins with before the first character that means something in a glob.
fn literal(pattern: &str) -> &str {
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
    fn a_beginning_with_a_star_covers_what_begins_so() {
        let covers = |one, other| Pattern::parse(one).unwrap().covers(&Pattern::parse(other).unwrap());
        for (one, other) in [
            ("*", "a"),
            ("*", "a*b"),
            ("*", "*"),
            ("a*", "ab*"),
            ("a*", "a*"),
            ("a?", "ab"),
            ("[ab]", "[ab]"),
        ] {
            assert!(covers(one, other), "{one} {other}");
        }
        for (one, other) in
            [("a*", "*"), ("a", "a*"), ("ab*", "a*"), ("a?", "a*"), ("a*b", "ab*"), (r"a\*", "a*")]
        {
            assert!(!covers(one, other), "{one} {other}");
        }
    }

    #[test]
    fn an_open_bracket_is_refused() {
        assert!(Pattern::parse("events:[a").is_err());
    }
}
