//! What is wrong with a configuration: each problem with its place and a way to mend it, all at once.

use std::fmt;

use crate::model::Text;

/// Of more problems nobody reads: a file of another kind has one a line.
const SHOWN: usize = 20;

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The key, `streams[0].match`, and where its value came from if not from the file.
    pub at: Text,
    /// What is wrong, and how to mend it. It never repeats a value that may be secret.
    pub what: Text,
}

/// Everything that is wrong, in the order of reading. Printed one a line, and with `#` in one line.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Problems(pub Vec<Problem>);

impl Problems {
    pub(super) fn add(&mut self, at: impl Into<Text>, what: impl Into<Text>) {
        self.0.push(Problem { at: at.into(), what: what.into() });
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.at, self.what)
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let separator = if f.alternate() { "; " } else { "\n" };
        for (index, problem) in self.0.iter().take(SHOWN).enumerate() {
            let before = if index == 0 { "" } else { separator };
            write!(f, "{before}{problem}")?;
        }
        match self.0.len().saturating_sub(SHOWN) {
            0 => Ok(()),
            more => write!(f, "{separator}and {more} more problems"),
        }
    }
}

impl std::error::Error for Problems {}
