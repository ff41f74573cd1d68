//! What is wrong with a configuration: each problem with its place and how to fix it, all at once.

use std::{fmt, path::Path};

use super::yaml::Lines;
use crate::model::Text;

/// Of more problems nobody reads: a file of another kind has one a line.
const SHOWN: usize = 20;

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The key, `streams[0].match`, and where its value came from if not from the file.
    pub at: Text,
    /// What is wrong, and how to fix it. It never repeats a value that may be secret.
    pub what: Text,
    /// The file and the line of the key, if it is there.
    pub line: Option<Text>,
}

/// Everything that is wrong, in the order of reading. Printed one a line, and with `#` in one line.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Problems(pub Vec<Problem>);

impl Problems {
    pub(super) fn add(&mut self, at: impl Into<Text>, what: impl Into<Text>) {
        self.0.push(Problem { at: at.into(), what: what.into(), line: None });
    }

    /// Adds the line to each problem with a key of the file.
    pub(super) fn locate(&mut self, path: &Path, text: &str) {
        let lines = Lines::of(text);
        for problem in &mut self.0 {
            problem.line = lines.of_key(&problem.at).map(|line| format!("{}:{line}", path.display()).into());
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(line) = &self.line {
            write!(f, "{line}: ")?;
        }
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
