//! Commands and flags.

mod acl;
mod check_config;
mod command;
mod cost;
mod doctor;
mod flags;
mod healthcheck;
mod http;
mod serve;
mod status;
mod trim;

use std::{path::PathBuf, process::ExitCode};

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::{
    config::{Config, Environment, Log, LogFormat, Overrides, Sources},
    evaluate::Health,
    views::family_names,
};
use command::{Error, Exit, complain};
use flags::Given;

/// With the revision, where the build was told it: `make dist` does.
const VERSION: &str = match option_env!("STREAMWARDEN_VERSION") {
    Some(version) => version,
    None => env!("CARGO_PKG_VERSION"),
};

/// Watches Redis Streams, keeps them within their retention and tells people when something is wrong.
#[derive(Debug, Parser)]
#[command(name = "streamwarden", version = VERSION, after_help = ENVIRONMENT_HELP)]
pub struct Cli {
    #[command(subcommand)]
    command: Option<Command>,

    /// The configuration file, in YAML.
    #[arg(long, short, value_name = "FILE", global = true)]
    config: Option<PathBuf>,

    /// A file that holds the address of Redis; it is read anew for each connection.
    #[arg(long, value_name = "FILE", global = true)]
    redis_uri_file: Option<String>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the sidecar; this is what no command does.
    Serve,
    CheckConfig(check_config::CheckConfig),
    Acl(acl::Acl),
    Doctor(doctor::Doctor),
    Healthcheck(healthcheck::Healthcheck),
    Status(status::Status),
    Trim(trim::Trim),
}

const ENVIRONMENT_HELP: &str = "\
Environment:
  REDIS_URI            redis://[user:password@]host[:port][/db], rediss://... or unix:///path
  REDIS_URI_FILE       a file that holds it
  REDIS_USERNAME, REDIS_PASSWORD, REDIS_PASSWORD_FILE
                       the user and the password, or a file that holds it, where neither the address nor the
                       configuration file has them
  STREAMS_ENABLED      false serves the sidecar's own metrics and touches no Redis
  STREAMWARDEN_CONFIG, STREAMWARDEN_LISTEN, STREAMWARDEN_POLL_INTERVAL, STREAMWARDEN_LOG_LEVEL,
  STREAMWARDEN_LOG_FORMAT   as the flags of these names
  OTEL_EXPORTER_OTLP_ENDPOINT and OpenTelemetry's other variables: where traces go, and which

Exit codes: 0 stopped by a signal, 1 failure, 2 wrong usage or configuration; those of status are its own.";

const ADDRESS_IS_NO_ARGUMENT: &str = "\
error: something is wrong with the arguments, which are not shown since one of them is an address. Do not pass the address of Redis as
an argument: every user of this machine can see it. Set REDIS_URI or REDIS_URI_FILE, or redis.uri in the configuration file.
For more, try --help.
";

impl Cli {
    /// Runs the command that the process was given, and gives its exit code.
    #[must_use]
    pub fn main() -> ExitCode {
        let mut program = flags::with_flags(Self::command());
        let parsed = program.try_get_matches_from_mut(std::env::args_os()).and_then(|matches| {
            let given = Given::read(&mut program, &matches)?;
            Ok((Self::from_arg_matches(&matches)?, given))
        });
        match parsed {
            Ok((cli, given)) => cli.run(&given).into(),
            Err(error) if error.use_stderr() => {
                // The library would repeat it.
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
        let failed = match &self.command {
            Some(Command::Status(_)) => |_: &Error| Exit::Health(Health::Unknown),
            _ => Error::exit,
        };
        self.end(given).unwrap_or_else(|error| {
            complain(format_args!("{error}\n"));
            failed(&error)
        })
    }

    fn end(self, given: &Given) -> Result<Exit, Error> {
        let has_file = self.config.is_some() || self.redis_uri_file.is_some();
        let mut overrides = Overrides::default();
        overrides.set("--redis-uri-file", "redis.uri_file", self.redis_uri_file);
        given.set(&mut overrides);
        let environment = Environment::read();
        let sources =
            Sources { file: self.config, environment, overrides, families: family_names().collect() };
        let log = |level| log(given, level);
        match self.command.unwrap_or(Command::Serve) {
            Command::Serve => serve::run(sources.load()?, sources),
            Command::CheckConfig(check) => check.run(&loaded(&sources)?, sources, &log("warn")),
            Command::Acl(acl) => acl.run(&loaded(&sources)?, &log("off")),
            Command::Trim(trim) => trim.run(&loaded(&sources)?, &log("warn")),
            Command::Doctor(doctor) => doctor.run(&sources.load()?, &log("off")),
            // These need no configuration where they ask a sidecar.
            Command::Status(status) => status.run(&sources, has_file || !given.is_empty(), &log("off")),
            Command::Healthcheck(check) => check.run(&sources),
        }
    }
}

/// The configuration, with a warning of each setting that has no effect. The sidecar logs those, and `doctor` finds them.
fn loaded(sources: &Sources) -> Result<Config, Error> {
    let config = sources.load()?;
    config.ignored().iter().for_each(|ignored| complain(format_args!("warning: {ignored}\n")));
    Ok(config)
}

/// The log of a command that ends by itself: text at this level, where no flag says otherwise.
fn log(given: &Given, level: &str) -> Log {
    // Loading the configuration refuses other words.
    let named = |word: &str| LogFormat::CHOICES.iter().find(|(name, _)| *name == word);
    let format = given.get("log.format").and_then(named).map_or(LogFormat::Text, |(_, format)| *format);
    Log { level: given.get("log.level").unwrap_or(level).to_owned(), format }
}

/// The exit of wrong usage.
fn wrong_usage(program: &clap::Command) -> Exit {
    let mut commands = std::env::args_os().skip(1).filter(|word| program.find_subcommand(word).is_some());
    let is_status = commands.next().is_some_and(|first| first == "status");
    if is_status { Exit::Health(Health::Unknown) } else { Exit::Usage }
}

/// Whether a word may be an address of Redis; `--url` takes one of the sidecar.
fn is_address(word: &str) -> bool {
    let scheme = word.split_once("://").and_then(|(before, _)| before.rsplit('=').next());
    scheme.is_some_and(|scheme| !matches!(scheme, "http" | "https"))
}
