//! Commands and flags.

mod acl;
mod cost;
mod doctor;
mod healthcheck;
mod http;
mod status;
mod trim;

use std::{
    fmt,
    io::{self, Write},
    path::PathBuf,
    process::ExitCode,
    time::Duration,
};

use clap::{CommandFactory, Parser, Subcommand};

use crate::{
    app,
    config::{Access, Config, Environment, Exclusion, Overrides, SilentAlerts, Sources},
    model::Failure,
    publish::family_names,
    source::check_files,
    telemetry,
};

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

    /// Where to serve [default: 0.0.0.0:19121].
    #[arg(long, value_name = "ADDRESS:PORT", global = true)]
    listen: Option<String>,

    /// How often to look [default: 15s; 1m where each command is billed].
    #[arg(long, value_name = "DURATION", global = true)]
    poll_interval: Option<String>,

    /// error, warn, info, debug or trace, or a filter [default: info].
    #[arg(long, value_name = "LEVEL", global = true)]
    log_level: Option<String>,

    /// auto, text or json [default: text on a terminal, else json].
    #[arg(long, value_name = "FORMAT", global = true)]
    log_format: Option<String>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the sidecar; this is what no command does.
    Serve,
    /// Check the configuration and print it as it takes effect, without secrets.
    CheckConfig {
        /// Print instead what it costs on this Redis, in commands and money, and what other clients send.
        #[arg(long)]
        cost: bool,

        /// How long to count what other clients send; 0s does not ask.
        #[arg(long, value_name = "DURATION", requires = "cost", default_value = "5s", value_parser = humantime::parse_duration)]
        count_for: Duration,
    },
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

/// Wrong usage or configuration.
const EXIT_USAGE: u8 = 2;

impl Cli {
    /// Runs the command that the process was given, and gives its exit code.
    #[must_use]
    pub fn main() -> ExitCode {
        match Self::try_parse() {
            Ok(cli) => cli.run(),
            // The library would repeat it.
            Err(error)
                if error.use_stderr()
                    && std::env::args_os().any(|word| is_address(&word.to_string_lossy())) =>
            {
                complain(ADDRESS_IS_NO_ARGUMENT);
                ExitCode::from(wrong_usage())
            }
            Err(error) if error.use_stderr() => {
                complain(error.render());
                ExitCode::from(wrong_usage())
            }
            Err(help) => help.exit(),
        }
    }

    fn run(self) -> ExitCode {
        let sources = Sources {
            file: self.config.clone(),
            environment: Environment::read(),
            overrides: self.overrides(),
            families: family_names().collect(),
        };
        // These need no configuration where they ask a sidecar.
        match self.command {
            Some(Command::Status(status)) => return status.run(|| sources.load()),
            Some(Command::Healthcheck(check)) => return check.run(&sources),
            _ => {}
        }
        let config = match sources.load() {
            Ok(config) => config,
            Err(error) => {
                complain(format_args!("{error}\n"));
                return ExitCode::from(EXIT_USAGE);
            }
        };
        let command = self.command.unwrap_or(Command::Serve);
        // The sidecar logs what is ignored, and `doctor` has it among its findings.
        if !matches!(command, Command::Serve | Command::Doctor(_)) {
            let ignored = config.ignored();
            ignored.iter().for_each(|ignored| complain(format_args!("warning: {ignored}\n")));
        }
        match command {
            Command::Serve => serve(config, sources),
            Command::CheckConfig { cost: true, count_for } => cost::run(&config, sources, count_for),
            Command::CheckConfig { cost: false, .. } => check(&config),
            Command::Acl(acl) => acl.run(&config),
            Command::Doctor(doctor) => doctor.run(&config),
            Command::Healthcheck(check) => check.run(&sources),
            Command::Status(status) => status.run(|| Ok(config)),
            Command::Trim(trim) => trim.run(&config),
        }
    }

    fn overrides(&self) -> Overrides {
        let mut overrides = Overrides::default();
        overrides.set("--redis-uri-file", "redis.uri_file", self.redis_uri_file.clone());
        overrides.set("--listen", "http.listen", self.listen.clone());
        overrides.set("--poll-interval", "poll.interval", self.poll_interval.clone());
        overrides.set("--log-level", "log.level", self.log_level.clone());
        overrides.set("--log-format", "log.format", self.log_format.clone());
        overrides
    }
}

/// The exit code of wrong usage. Who monitors by `status` takes its 2 for a critical stream.
fn wrong_usage() -> u8 {
    let program = Cli::command();
    let mut commands = std::env::args_os().skip(1).filter(|word| program.find_subcommand(word).is_some());
    if commands.next().is_some_and(|first| first == "status") { status::EXIT_UNKNOWN } else { EXIT_USAGE }
}

/// Whether a word may be an address of Redis; `--url` takes one of the sidecar.
fn is_address(word: &str) -> bool {
    let scheme = word.split_once("://").and_then(|(before, _)| before.rsplit('=').next());
    scheme.is_some_and(|scheme| !matches!(scheme, "http" | "https"))
}

/// Prints what takes effect; or what is wrong with the files that only a connection reads.
fn check(config: &Config) -> ExitCode {
    let address = config.redis.access.address().ok();
    match address.map_or(Ok(()), |address| check_files(address.route(), &config.redis.tls)) {
        Ok(()) => {
            print(config);
            print(silent_alerts(config));
            print(exclusions(config));
            ExitCode::SUCCESS
        }
        Err(failure) => {
            complain(format_args!("error: {}\n", failure.detail));
            ExitCode::from(EXIT_USAGE)
        }
    }
}

/// Comments, since what is printed can be used as a file.
fn silent_alerts(config: &Config) -> String {
    let silent = config.silent_alerts();
    let line = |it: &SilentAlerts| format!("#   {}: {}\n", it.names.join(", "), it.why);
    let lines: String = silent.iter().map(line).collect();
    if lines.is_empty() { lines } else { format!("# Shipped alerts that can't fire with this:\n{lines}") }
}

fn exclusions(config: &Config) -> String {
    let exclusions = config.exclusions();
    let lines = |head: &str, alerts: fn(&Exclusion) -> &[&str]| -> String {
        let concerned = exclusions.iter().filter(|it| !alerts(it).is_empty());
        let lines: String =
            concerned.map(|it| format!("#   {}: {}\n", it.family, alerts(it).join(", "))).collect();
        if lines.is_empty() { lines } else { format!("# {head}:\n{lines}") }
    };
    lines("Shipped alerts that do not work without what exposition.exclude leaves out", |it| &it.disabled)
        + &lines("And that fire also where another alert says why, since they are not muted by it", |it| {
            &it.unmuted
        })
}

fn serve(config: Config, sources: Sources) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            complain(format_args!("cannot start: {error}\n"));
            return ExitCode::FAILURE;
        }
    };
    let traces = match runtime.block_on(async { telemetry::start(&config) }) {
        Ok(traces) => traces,
        Err(error) => {
            complain(format_args!("{error}\n"));
            return ExitCode::from(EXIT_USAGE);
        }
    };
    let ended = runtime.block_on(app::run(config, sources, traces));
    // A name that is still being resolved is not waited for.
    runtime.shutdown_background();
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(%error, "the sidecar cannot go on");
            ExitCode::FAILURE
        }
    }
}

/// What could not be done with Redis, where it was tried, and why.
fn cannot(what: &str, access: &Access, failure: &Failure) -> String {
    let place = access.address().map(|address| address.to_string());
    match place {
        Ok(place) if !failure.detail.contains(&place) => format!("cannot {what} at {place}: {failure}"),
        // The failure of a connection tells it, and so does an address that can't be read.
        _ => format!("cannot {what}: {failure}"),
    }
}

/// Prints the command's output. Whoever reads it may stop reading, as `head` does: then the rest is for nobody.
fn print(output: impl fmt::Display) {
    drop(write!(io::stdout(), "{output}"));
}

/// Prints what is wrong: logging is not set up before the configuration is read.
fn complain(problem: impl fmt::Display) {
    drop(write!(io::stderr(), "{problem}"));
}
