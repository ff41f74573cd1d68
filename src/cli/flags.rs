//! Flags that set a key of the configuration. They are declared with their keys.

use clap::{ArgMatches, error::ErrorKind};
use serde_json::Value;

use crate::config::{Flag, Key, Overrides, keys};

/// What flags were given.
pub(super) struct Given(Vec<(&'static Key, Flag, String)>);

/// The flags, each with its key.
fn flags() -> impl Iterator<Item = (&'static Key, Flag)> {
    keys().iter().filter_map(|key| Some((key, key.about.flag?)))
}

/// The program with all flags before its command, and behind it those that have an effect on it.
pub(super) fn with_flags(mut program: clap::Command) -> clap::Command {
    for (key, flag) in flags() {
        let default = key.default.as_ref().and_then(Value::as_str);
        let default = default.map(|default| format!(" [default: {default}]")).unwrap_or_default();
        let arg = clap::Arg::new(flag.name)
            .long(flag.name.trim_start_matches('-'))
            .value_name(flag.value)
            .help(format!("{}{default}", key.about.text.trim()));
        for command in flag.commands {
            program = program.mut_subcommand(command, |command| command.arg(arg.clone()));
        }
        program = program.arg(arg);
    }
    program
}

impl Given {
    /// Reads them, wherever they stand.
    ///
    /// # Errors
    /// Where one is given to a command that it has no effect on.
    pub(super) fn read(program: &mut clap::Command, matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut given = Vec::new();
        for (key, flag) in flags() {
            let mut value = matches.get_one::<String>(flag.name);
            if let Some((command, matches)) = matches.subcommand() {
                if flag.commands.contains(&command) {
                    value = matches.get_one(flag.name).or(value);
                } else if value.is_some() {
                    let reason = format!("{} has no effect on {command}", flag.name);
                    return Err(program.error(ErrorKind::ArgumentConflict, reason));
                }
            }
            given.extend(value.map(|value| (key, flag, value.clone())));
        }
        Ok(Self(given))
    }

    /// The value of the flag that sets this key.
    pub(super) fn get(&self, key: &str) -> Option<&str> {
        self.0.iter().find(|(of, ..)| of.path == key).map(|(.., value)| value.as_str())
    }

    /// Sets the keys.
    pub(super) fn set(&self, overrides: &mut Overrides) {
        for (key, flag, value) in &self.0 {
            overrides.set(flag.name, &key.path, value.clone());
        }
    }

    /// Whether no flag was given.
    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
