//! Which pattern matches everything that another one matches, as far as their texts show.

use std::collections::{BTreeSet, HashMap};

use super::{Pattern, Patterns, pattern::literal};

/// Patterns, with an index of what they cover.
pub(super) struct Cover<'a> {
    patterns: &'a Patterns,
    /// The place of each glob by its text.
    globs: HashMap<&'a str, usize>,
    /// The place of each glob that is a prefix and a `*`, by that prefix.
    prefixes: HashMap<&'a str, usize>,
    /// The lengths of those prefixes.
    lengths: BTreeSet<usize>,
}

impl<'a> Cover<'a> {
    pub(super) fn new(patterns: &'a Patterns) -> Self {
        let (mut globs, mut prefixes, mut lengths) = (HashMap::new(), HashMap::new(), BTreeSet::new());
        for (place, pattern) in patterns.iter().enumerate() {
            if let Some(glob) = pattern.glob() {
                globs.entry(glob).or_insert(place);
            }
            if let Some(prefix) = pattern.prefix() {
                prefixes.entry(prefix).or_insert(place);
                lengths.insert(prefix.len());
            }
        }
        Self { patterns, globs, prefixes, lengths }
    }

    /// The place of the first pattern that surely matches every stream that `other` matches. Either `other` is a name that it matches,
    /// or both are equal, or it is a prefix and a `*`, and all that `other` matches has that prefix.
    pub(super) fn first(&self, other: &Pattern) -> Option<usize> {
        let Some(glob) = other.glob() else { return self.patterns.position(other.exact()?) };
        let literal = literal(glob);
        let lengths = self.lengths.range(..=literal.len());
        let shorter = lengths.filter_map(|length| self.prefixes.get(literal.get(..*length)?));
        shorter.chain(self.globs.get(glob)).min().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_beginning_with_a_star_covers_what_begins_so() {
        let covers = |one, other| {
            let patterns: Patterns =
                ["never", one, "z*"].map(|text| Pattern::parse(text).unwrap()).into_iter().collect();
            Cover::new(&patterns).first(&Pattern::parse(other).unwrap()) == Some(1)
        };
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
}
