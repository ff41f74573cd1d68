//! The flags that set a key of the configuration, which are declared with their keys, and the one that names its file.

use std::path::PathBuf;

use clap::{Arg, ArgMatches, error::ErrorKind, value_parser};

use crate::config::{CONFIGURED, Flag, Key, Overrides, keys};

const CONFIG: &str = "--config";

/// The flags that were given.
pub(super) struct Given {
    /// The configuration file.
    pub(super) file: Option<PathBuf>,
    values: Vec<(&'static Key, Flag, String)>,
}

/// The flags, each with its key.
fn flags() -> impl Iterator<Item = (&'static Key, Flag)> {
    keys().iter().filter_map(|key| Some((key, key.about.flag?)))
}

/// The program with all flags before its command, and behind it those that have an effect on it.
pub(super) fn with_flags(program: clap::Command) -> clap::Command {
    let file =
        Arg::new(CONFIG).long("config").short('c').value_name("FILE").value_parser(value_parser!(PathBuf));
    let file = file.help("The configuration file, in YAML");
    flags().fold(offer(program, &file, CONFIGURED), |program, (key, flag)| {
        let default = key.default.as_ref();
        let default = default.map(|it| it.as_str().map_or_else(|| it.to_string(), str::to_owned));
        let default = default.map(|default| format!(" [default: {default}]")).unwrap_or_default();
        let arg = Arg::new(flag.name).long(flag.name.trim_start_matches('-')).value_name(flag.value);
        offer(
            program,
            &arg.help(format!("{}{default}", key.about.text.trim().trim_end_matches('.'))),
            flag.commands,
        )
    })
}

fn offer(program: clap::Command, arg: &Arg, commands: &[&str]) -> clap::Command {
    commands.iter().fold(program.arg(arg), |program, command| {
        program.mut_subcommand(command, |command| {
            // A command of commands takes it behind those too.
            let has_commands = command.has_subcommands();
            command.arg(arg.clone().global(has_commands))
        })
    })
}

impl Given {
    /// Reads them, before the command and behind it.
    ///
    /// # Errors
    /// Where one is given to a command that it has no effect on.
    pub(super) fn read(program: &mut clap::Command, matches: &ArgMatches) -> Result<Self, clap::Error> {
        let file = value(program, matches, CONFIG, CONFIGURED)?;
        let mut values = Vec::new();
        for (key, flag) in flags() {
            let value = value::<String>(program, matches, flag.name, flag.commands)?;
            values.extend(value.map(|value| (key, flag, value)));
        }
        Ok(Self { file, values })
    }

    /// The value of the flag that sets this key.
    pub(super) fn get(&self, key: &str) -> Option<&str> {
        self.values.iter().find(|(of, ..)| of.path == key).map(|(.., value)| value.as_str())
    }

    /// The keys that they set.
    pub(super) fn overrides(&self) -> Overrides {
        let mut overrides = Overrides::default();
        for (key, flag, value) in &self.values {
            overrides.set(flag.name, &key.path, value.clone());
        }
        overrides
    }

    /// Whether no flag was given.
    pub(super) const fn is_empty(&self) -> bool {
        self.file.is_none() && self.values.is_empty()
    }
}

/// The value of a flag.
fn value<T: Clone + Send + Sync + 'static>(
    program: &mut clap::Command,
    matches: &ArgMatches,
    flag: &str,
    commands: &[&str],
) -> Result<Option<T>, clap::Error> {
    let before = matches.get_one::<T>(flag).cloned();
    match matches.subcommand() {
        Some((command, matches)) if commands.contains(&command) => {
            Ok(matches.get_one::<T>(flag).cloned().or(before))
        }
        Some((command, _)) if before.is_some() => {
            let reason = format!("{flag} has no effect on {command}");
            Err(program.error(ErrorKind::ArgumentConflict, reason))
        }
        _ => Ok(before),
    }
}
