//! What is wrong with a configuration: each problem with its place and a way to mend it, all at once.

use std::fmt;

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The key, `streams[0].match`, and where its value came from if not from the file.
    pub at: String,
    /// What is wrong, and how to mend it. It never repeats a value that may be secret.
    pub what: String,
}

/// Everything that is wrong, in the order of reading. Printed one a line.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Problems(pub Vec<Problem>);

impl Problems {
    /// All of them in one line, for a log.
    #[must_use]
    pub fn in_one_line(&self) -> String {
        let problems: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        problems.join("; ")
    }

    pub(super) fn add(&mut self, at: impl Into<String>, what: impl Into<String>) {
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
        for (index, problem) in self.0.iter().enumerate() {
            let line_end = if index == 0 { "" } else { "\n" };
            write!(f, "{line_end}{problem}")?;
        }
        Ok(())
    }
}
