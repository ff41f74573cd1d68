//! Commands and flags.

mod acl;
mod acting;
mod bench;
mod check_config;
mod claim;
mod command;
mod confirm;
mod cost;
mod dead_letter;
mod dead_letters;
mod details;
mod doctor;
mod entries;
mod flags;
mod healthcheck;
mod http;
mod pending;
mod reap_consumers;
mod replay;
mod serve;
mod status;
mod table;
mod trim;

use std::{process::ExitCode, sync::LazyLock};

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::{
    config::{Environment, Log, LogFormat, Sources, json_schema, keys},
    evaluate::Health,
    views::family_names,
};
use command::{Error, Exit, complain, load, print};
use flags::Given;

/// With the commit, if the build sets STREAMWARDEN_REVISION, as `make dist` and the image do, and the features of the build.
static VERSION: LazyLock<String> = LazyLock::new(|| {
    let revision = option_env!("STREAMWARDEN_REVISION").unwrap_or("unknown");
    let features = [("jemalloc", cfg!(feature = "jemalloc")), ("otlp", cfg!(feature = "otlp"))];
    let features: Vec<&str> =
        features.into_iter().filter_map(|(name, is_on)| is_on.then_some(name)).collect();
    let features = if features.is_empty() { "none".to_owned() } else { features.join(", ") };
    format!("{} (revision {revision}; features: {features})", env!("CARGO_PKG_VERSION"))
});

/// Watches Redis Streams, keeps them within their retention and alerts people when something is wrong.
#[derive(Debug, Parser)]
#[command(name = "streamwarden", version = VERSION.as_str())]
pub struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the sidecar (the default).
    Serve,
    CheckConfig(check_config::CheckConfig),
    Acl(acl::Acl),
    Doctor(doctor::Doctor),
    Healthcheck(healthcheck::Healthcheck),
    Status(status::Status),
    Pending(pending::Pending),
    Entries(entries::Entries),
    DeadLetter(dead_letter::DeadLetter),
    DeadLetters(dead_letters::DeadLetters),
    Replay(replay::Replay),
    Claim(claim::Claim),
    ReapConsumers(reap_consumers::ReapConsumers),
    Trim(trim::Trim),
    Bench(bench::Bench),
    /// Print a JSON Schema of the configuration file, for editors.
    ConfigSchema,
}

const ADDRESS_IS_NO_ARGUMENT: &str = "\
error: wrong arguments. They are not shown, since one of them is an address. Do not pass the address of Redis as an argument:
every user of this machine can see it. Set REDIS_URI or REDIS_URI_FILE, or redis.uri in the configuration file.
For more, try --help.
";

impl Cli {
    /// The program with all of its commands and flags.
    #[must_use]
    pub fn program() -> clap::Command {
        flags::with_flags(Self::command()).after_help(help_on_environment())
    }

    /// Runs the command that the process was given, and returns its exit code.
    #[must_use]
    pub fn main() -> ExitCode {
        let mut program = Self::program();
        let parsed = program.try_get_matches_from_mut(std::env::args_os()).and_then(|matches| {
            let given = Given::read(&mut program, &matches)?;
            Ok((Self::from_arg_matches(&matches)?, given))
        });
        match parsed {
            Ok((cli, given)) => cli.run(&given).into(),
            Err(error) if error.use_stderr() => {
                // The error of the library would repeat it.
                let is_secret = std::env::args_os().any(|word| is_address(&word.to_string_lossy()));
                let text =
                    if is_secret { ADDRESS_IS_NO_ARGUMENT.to_owned() } else { error.render().to_string() };
                complain(text);
                wrong_usage(&program).into()
            }
            Err(help) => help.exit(),
        }
    }

    fn run(self, given: &Given) -> Exit {
        let is_status = matches!(self.command, Some(Command::Status(_)));
        self.end(given).unwrap_or_else(|error| {
            complain(format_args!("{error}\n"));
            if is_status { Exit::Health(Health::Unknown) } else { error.exit() }
        })
    }

    fn end(self, given: &Given) -> Result<Exit, Error> {
        let sources = Sources {
            file: given.file.clone(),
            environment: Environment::read(),
            overrides: given.overrides(),
            families: family_names().collect(),
            is_address_optional: false,
        };
        let log = |level| log(given, level);
        match self.command.unwrap_or(Command::Serve) {
            Command::Serve => serve::run(sources.load()?, sources),
            Command::CheckConfig(check) => check.run(&load(&sources)?, sources, &log("warn")),
            Command::Acl(acl) => acl.run(sources, &log("off")),
            Command::Pending(pending) => pending.run(&load(&sources)?, &log("off")),
            Command::Entries(entries) => entries.run(&load(&sources)?, &log("off")),
            Command::DeadLetter(dead_letter) => dead_letter.run(&load(&sources)?, &log("warn")),
            Command::DeadLetters(dead_letters) => dead_letters.run(&load(&sources)?, &log("warn")),
            Command::Replay(replay) => replay.run(&load(&sources)?, &log("warn")),
            Command::Claim(claim) => claim.run(&load(&sources)?, &log("warn")),
            Command::ReapConsumers(reap) => reap.run(&load(&sources)?, &log("warn")),
            Command::Bench(bench) => bench.run(&load(&sources)?, &log("warn")),
            Command::Trim(trim) => trim.run(&load(&sources)?, &log("warn")),
            Command::Doctor(doctor) => doctor.run(&sources.load()?, &log("off")),
            // These need no configuration if they ask a sidecar.
            Command::Status(status) => status.run(&sources, !given.is_empty(), &log("off")),
            Command::Healthcheck(check) => check.run(&sources),
            Command::ConfigSchema => print(format_args!("{:#}\n", json_schema())).map(|()| Exit::Success),
        }
    }
}

/// Which variables have an effect, and the exit codes.
fn help_on_environment() -> String {
    let mut help = "Environment:\n".to_owned();
    let mut add = |names: &str, text: &str| help += &format!("  {names}\n          {text}\n");
    add("STREAMWARDEN_CONFIG", "Same as --config");
    for about in keys().iter().map(|key| key.about) {
        match (about.variable, about.flag) {
            (Some(variable), Some(flag)) => add(variable, &format!("Same as {}", flag.name)),
            (Some(variable), None) => add(variable, about.text.trim().trim_end_matches('.')),
            (None, _) => {}
        }
    }
    add(
        "REDIS_USERNAME, REDIS_PASSWORD, REDIS_PASSWORD_FILE",
        "User and password, or a file that holds it, unless the address or the configuration file has them",
    );
    add(
        "OTEL_EXPORTER_OTLP_ENDPOINT and OpenTelemetry's other variables",
        "Where traces are sent, and which",
    );
    help + "\nExit codes: 0 stopped by a signal, 1 failure, 2 wrong usage or configuration. `status` has its own."
}

/// The log of a command that ends by itself: text at this level, unless flags say otherwise.
fn log(given: &Given, level: &str) -> Log {
    // Other words are refused when the configuration is loaded.
    let named = |word: &str| LogFormat::CHOICES.iter().find(|(name, _)| *name == word);
    let format = given.get("log.format").and_then(named).map_or(LogFormat::Text, |(_, format)| *format);
    Log { level: given.get("log.level").unwrap_or(level).to_owned(), format }
}

/// The exit code of wrong usage.
fn wrong_usage(program: &clap::Command) -> Exit {
    let mut commands = std::env::args_os().skip(1).filter(|word| program.find_subcommand(word).is_some());
    let is_status = commands.next().is_some_and(|first| first == "status");
    if is_status { Exit::Health(Health::Unknown) } else { Exit::Usage }
}

/// Whether a word may be an address of Redis. `--url` takes that of a sidecar.
fn is_address(word: &str) -> bool {
    let scheme = word.split_once("://").and_then(|(before, _)| before.rsplit('=').next());
    scheme.is_some_and(|scheme| !matches!(scheme, "http" | "https"))
}
