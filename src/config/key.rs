//! What is known of a configuration key beside its value in a file. Help, reference and schema are made of it.

use serde_json::Value;

/// A key of the configuration: what help, reference and schema are made of.
#[derive(Debug)]
pub struct Key {
    /// Its path, as in `poll.interval`; `streams[].match` is a key of each rule.
    pub path: String,
    /// What it does and where else it can be set.
    pub about: About,
    /// What its value must be, in words.
    pub values: String,
    /// The same as a JSON Schema.
    pub schema: Value,
    /// The value that it has where it is not set; `None`: nothing.
    pub default: Option<Value>,
}

impl Key {
    /// Whether it is a section, with keys of its own.
    #[must_use]
    pub fn is_section(&self) -> bool {
        self.schema.pointer("/type/0").is_some_and(|it| it == "object")
    }
}

/// What there is to know about a key beside its value.
#[derive(Debug, Clone, Copy)]
pub struct About {
    /// What it does.
    pub text: &'static str,
    /// What to write, if its section must have it.
    pub required: Option<&'static str>,
    /// The environment variable that sets it.
    pub variable: Option<&'static str>,
    /// The flag that sets it.
    pub flag: Option<Flag>,
}

/// A flag that sets a key.
#[derive(Debug, Clone, Copy)]
pub struct Flag {
    /// With its dashes.
    pub name: &'static str,
    /// What its value is called in the help.
    pub value: &'static str,
    /// The commands that it has an effect on.
    pub commands: &'static [&'static str],
}
