//! Flags that set a key of the configuration, each declared once, with the commands that it works with.

use clap::{ArgMatches, error::ErrorKind};

use crate::config::Overrides;

/// A flag that sets a key.
struct Flag {
    /// With its dashes.
    name: &'static str,
    key: &'static str,
    /// What its value is called in the help.
    value: &'static str,
    help: &'static str,
    commands: &'static [&'static str],
}

/// The commands that serve, or show what that would do.
const SERVING: &[&str] = &["serve", "check-config"];
/// The commands that log.
const LOGGING: &[&str] = &["serve", "check-config", "acl", "doctor", "status", "trim"];

const FLAGS: &[Flag] = &[
    Flag {
        name: "--listen",
        key: "http.listen",
        value: "ADDRESS:PORT",
        help: "Where to serve [default: 0.0.0.0:19121]",
        commands: &["serve", "check-config", "healthcheck"],
    },
    Flag {
        name: "--poll-interval",
        key: "poll.interval",
        value: "DURATION",
        help: "How often to look [default: 15s; 1m where each command is billed]",
        commands: SERVING,
    },
    Flag {
        name: "--log-level",
        key: "log.level",
        value: "LEVEL",
        help: "error, warn, info, debug or trace, or a filter [default: info; of commands that end by themselves: off, or warn]",
        commands: LOGGING,
    },
    Flag {
        name: "--log-format",
        key: "log.format",
        value: "FORMAT",
        help: "auto, text or json [default: text on a terminal, else json; of commands that end by themselves: text]",
        commands: LOGGING,
    },
];

/// What flags were given.
pub(super) struct Given(Vec<(&'static Flag, String)>);

/// The program with these flags, before its command, and behind those that they work with.
pub(super) fn with_flags(program: clap::Command) -> clap::Command {
    let arg = |flag: &'static Flag| {
        clap::Arg::new(flag.name)
            .long(flag.name.trim_start_matches('-'))
            .value_name(flag.value)
            .help(flag.help)
    };
    FLAGS.iter().fold(program, |program, flag| {
        flag.commands.iter().fold(program.arg(arg(flag)), |program, command| {
            program.mut_subcommand(command, |command| command.arg(arg(flag)))
        })
    })
}

impl Given {
    /// Reads them, wherever they stand.
    ///
    /// # Errors
    /// Where one is given to a command that it has no effect on.
    pub(super) fn read(program: &mut clap::Command, matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut given = Vec::new();
        for flag in FLAGS {
            let before = matches.get_one::<String>(flag.name);
            let behind = matches.subcommand().and_then(|(command, matches)| {
                flag.commands.contains(&command).then(|| matches.get_one::<String>(flag.name)).flatten()
            });
            if let (Some(_), Some(command)) = (before, matches.subcommand_name())
                && !flag.commands.contains(&command)
            {
                let reason = format!("{} has no effect on {command}", flag.name);
                return Err(program.error(ErrorKind::ArgumentConflict, reason));
            }
            given.extend(behind.or(before).map(|value| (flag, value.clone())));
        }
        Ok(Self(given))
    }

    /// The value of the flag that sets this key.
    pub(super) fn get(&self, key: &str) -> Option<&str> {
        self.0.iter().find(|(flag, _)| flag.key == key).map(|(_, value)| value.as_str())
    }

    /// Sets the keys.
    pub(super) fn set(&self, overrides: &mut Overrides) {
        for (flag, value) in &self.0 {
            overrides.set(flag.name, flag.key, Some(value.clone()));
        }
    }

    /// Whether no flag was given.
    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
