//! What is wrong with a configuration: each problem with its place and how to fix it, all at once.

use std::{fmt, path::Path};

use super::yaml::Lines;
use crate::model::Text;

/// A file of another kind has a problem in each line. Nobody reads them all.
const SHOWN: usize = 20;
/// Fewer in a log message, which is one line.
const SHOWN_IN_LOG: usize = 10;

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The key, as in `streams[0].match`, and the origin of its value if that is not the file.
    pub at: Text,
    /// What is wrong, and how to fix it. It never repeats a value that may be secret.
    pub what: Text,
    /// The file and the line of the key, if it is there.
    pub line: Option<(Text, u64)>,
}

/// All problems, in the order of reading. Prints one a line, and with `#` all in one line, without the file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Problems(pub Vec<Problem>);

impl Problems {
    pub(super) fn add(&mut self, at: impl Into<Text>, what: impl Into<Text>) {
        self.0.push(Problem { at: at.into(), what: what.into(), line: None });
    }

    /// Adds the line to each problem with a key of the file. A value that a variable or a flag set has no line.
    pub(super) fn locate(&mut self, path: &Path, text: &str) {
        let lines = Lines::of(text);
        for problem in &mut self.0 {
            if !problem.at.contains(" (from ") {
                problem.line = lines.of_key(&problem.at).map(|line| (path.into(), line));
            }
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.line {
            Some((_, line)) if f.alternate() => write!(f, "line {line}: ")?,
            Some((file, line)) => write!(f, "{file}:{line}: ")?,
            None => {}
        }
        write!(f, "{}: {}", self.at, self.what)
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (separator, shown) = if f.alternate() { ("; ", SHOWN_IN_LOG) } else { ("\n", SHOWN) };
        for (index, problem) in self.0.iter().take(shown).enumerate() {
            let before = if index == 0 { "" } else { separator };
            f.write_str(before)?;
            problem.fmt(f)?;
        }
        match self.0.len().saturating_sub(shown) {
            0 => Ok(()),
            1 => write!(f, "{separator}and 1 more problem"),
            more => write!(f, "{separator}and {more} more problems"),
        }
    }
}

impl std::error::Error for Problems {}
