//! Patterns in their order. A name is looked up in a map, and all globs are matched in one pass, so that a lookup costs about the
//! same with hundreds of globs as with none.

use std::{collections::HashMap, ffi::OsStr, os::unix::ffi::OsStrExt};

use globset::GlobSet;

use super::Pattern;
use crate::model::Name;

/// Patterns in their order.
#[derive(Debug, Clone, Default)]
pub struct Patterns {
    all: Vec<Pattern>,
    /// The place of each name; the first of equal ones.
    names: HashMap<Name, usize>,
    /// The places of the globs.
    globs: Vec<usize>,
    /// The globs, in the same order; `None` if they are too large for one search together.
    set: Option<GlobSet>,
}

impl Patterns {
    /// The place of the first pattern that this stream matches.
    #[must_use]
    pub fn position(&self, stream: &Name) -> Option<usize> {
        [self.name_position(stream), self.glob_position(stream)].into_iter().flatten().min()
    }

    /// Whether one of the patterns matches this stream.
    #[must_use]
    pub fn matches(&self, stream: &Name) -> bool {
        self.position(stream).is_some()
    }

    /// The place of the first pattern that is this name.
    #[must_use]
    pub fn name_position(&self, stream: &Name) -> Option<usize> {
        self.names.get(stream).copied()
    }

    /// Whether a pattern is a glob.
    #[must_use]
    pub fn has_globs(&self) -> bool {
        !self.globs.is_empty()
    }

    /// The pattern at a place.
    #[must_use]
    pub fn get(&self, place: usize) -> Option<&Pattern> {
        self.all.get(place)
    }

    /// The patterns, in order.
    pub fn iter(&self) -> impl Iterator<Item = &Pattern> {
        self.all.iter()
    }

    fn glob_position(&self, stream: &Name) -> Option<usize> {
        // The set takes a name that ends in a component `..` for a path without a file, which `*.` does not match. A single glob
        // takes it for a text.
        let Some(set) = self.set.as_ref().filter(|_| !stream.as_bytes().ends_with(b"..")) else {
            let mut globs = self.globs.iter().copied();
            return globs.find(|place| self.get(*place).is_some_and(|glob| glob.matches(stream)));
        };
        let first = set.matches(OsStr::from_bytes(stream.as_bytes())).into_iter().min()?;
        self.globs.get(first).copied()
    }
}

impl FromIterator<Pattern> for Patterns {
    fn from_iter<T: IntoIterator<Item = Pattern>>(patterns: T) -> Self {
        let (mut names, mut globs, mut matchers) = (HashMap::new(), Vec::new(), Vec::new());
        let all: Vec<Pattern> = patterns.into_iter().collect();
        for (place, pattern) in all.iter().enumerate() {
            match pattern {
                Pattern::Name(name) => {
                    names.entry(name.clone()).or_insert(place);
                }
                Pattern::Glob(glob) => {
                    globs.push(place);
                    matchers.push(glob.glob());
                }
            }
        }
        let set = GlobSet::new(matchers).ok();
        Self { all, names, globs, set }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Few characters, so that much matches: those that mean something in globs, those of paths, and a byte that is not UTF-8.
    const PIECES: &[&str] = &[
        "a", "b", "ab", ".", "..", "/", ":", "*", "**", "**/", "/**", "?", "[ab]", "[!a]", "{a,b*}", "{,a}",
        "\\*", "é",
    ];

    fn text() -> impl Strategy<Value = String> {
        proptest::collection::vec(proptest::sample::select(PIECES), 0..6).prop_map(|pieces| pieces.concat())
    }

    fn name() -> impl Strategy<Value = Name> {
        let byte = proptest::sample::select(&b"aab./:*\xff\xc3\xa9\n"[..]);
        proptest::collection::vec(byte, 0..7).prop_map(Name::from)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(500))]

        #[test]
        fn the_first_match_is_that_of_a_search_from_one_to_the_next(
            texts in proptest::collection::vec(text(), 0..12),
            names in proptest::collection::vec(name(), 1..12),
        ) {
            let patterns: Patterns = texts.iter().filter_map(|text| Pattern::parse(text).ok()).collect();
            // As where they are too large together.
            let one_by_one = Patterns { set: None, ..patterns.clone() };
            let own = patterns.iter().filter_map(|pattern| pattern.exact());
            for name in names.iter().chain(own) {
                let expected = patterns.iter().position(|pattern| pattern.matches(name));
                prop_assert_eq!(patterns.position(name), expected, "{:?} {:?}", texts, name);
                prop_assert_eq!(one_by_one.position(name), expected, "{:?} {:?}", texts, name);
            }
        }
    }
}
