//! How every command runs and ends: its configuration, one runtime, one form of errors, and the exit codes.

use std::{
    ffi::OsString,
    fmt,
    io::{self, Write},
    os::unix::ffi::OsStringExt,
    process::ExitCode,
};

use crate::{
    config::{Access, Config, LoadError, Sources},
    evaluate::Health,
    model::{Failure, Name},
    planner::Refusal,
    telemetry::TelemetryError,
};

/// How a command ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Exit {
    /// It succeeds.
    Success,
    /// It fails, or finds a problem.
    Failure,
    /// Wrong usage or configuration.
    Usage,
    /// Of `status`: the health of the streams.
    Health(Health),
}

impl Exit {
    /// The exit code. Monitoring by `status` takes 2 for critical, so `status` never ends with [`Exit::Usage`].
    const fn code(self) -> u8 {
        match self {
            Self::Success | Self::Health(Health::Healthy) => 0,
            Self::Failure | Self::Health(Health::Warning) => 1,
            Self::Usage | Self::Health(Health::Critical) => 2,
            Self::Health(Health::Unknown) => 3,
        }
    }

    /// Success if the condition holds.
    pub(super) const fn success_if(condition: bool) -> Self {
        if condition { Self::Success } else { Self::Failure }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        exit.code().into()
    }
}

/// Why a command fails.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    /// There is no configuration.
    #[error(transparent)]
    Config(#[from] LoadError),
    /// The environment does not say how to send traces.
    #[error(transparent)]
    Telemetry(#[from] TelemetryError),
    /// Wrong usage.
    #[error("error: {0}")]
    Usage(String),
    /// The system refuses a thread, or something else that a runtime needs.
    #[error("error: cannot start: {0}")]
    Start(io::Error),
    /// The output cannot be written.
    #[error("error: cannot write the output: {0}")]
    Output(io::Error),
    /// Everything else, with its context.
    #[error("error: {0}")]
    Other(String),
}

impl Error {
    /// Something that failed with Redis.
    pub(super) fn of_redis(what: &str, access: &Access, failure: &Failure) -> Self {
        Self::Other(access.cannot(what, failure))
    }

    /// The exit code of a command that ends with it.
    pub(super) const fn exit(&self) -> Exit {
        match self {
            Self::Config(_) | Self::Telemetry(_) | Self::Usage(_) => Exit::Usage,
            Self::Start(_) | Self::Output(_) | Self::Other(_) => Exit::Failure,
        }
    }
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Wrong(all) => {
                let line =
                    |(parameter, what): &(&str, String)| format!("--{}: {what}", parameter.replace('_', "-"));
                Self::Usage(all.iter().map(line).collect::<Vec<_>>().join("\n       "))
            }
            Refusal::Missing(what) | Refusal::Forbidden(what) | Refusal::Failed(_, what) => Self::Other(what),
        }
    }
}

/// Loads the configuration, and warns of each setting that has no effect. The sidecar logs those, and `doctor` reports them.
pub(super) fn load(sources: &Sources) -> Result<Config, Error> {
    let config = sources.load()?;
    config.ignored().iter().for_each(|ignored| complain(format_args!("warning: {ignored}\n")));
    Ok(config)
}

/// Runs asynchronous work to its end.
pub(super) fn block_on<T>(work: impl Future<Output = T>) -> Result<T, Error> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Error::Start)?;
    let result = runtime.block_on(work);
    // Without waiting for a name that is still being resolved.
    runtime.shutdown_background();
    Ok(result)
}

/// The key of a stream that a user names. The address of Redis, given by mistake, is not repeated.
pub(super) fn stream_name(argument: OsString) -> Result<Name, Error> {
    let text = argument.to_string_lossy();
    let has_login = text.split_once("://").is_some_and(|(scheme, rest)| {
        rest.contains('@') || scheme.starts_with("redis") || scheme.starts_with("valkey")
    });
    if has_login {
        return Err(Error::Usage(ADDRESS_IS_NO_STREAM.to_owned()));
    }
    Ok(Name::from(argument.into_vec()))
}

const ADDRESS_IS_NO_STREAM: &str = "the argument is an address, and not the key of a stream; it is not shown. Do not pass the address of Redis as an \
     argument: every user of this machine can see it. Set REDIS_URI or REDIS_URI_FILE";

/// Prints a command's output. A reader that stops reading, as `head` does, is no error.
pub(super) fn print(output: impl fmt::Display) -> Result<(), Error> {
    let mut out = io::stdout();
    match write!(out, "{output}").and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Error::Output(error)),
        _ => Ok(()),
    }
}

/// Prints a problem or a note to standard error.
pub(super) fn complain(problem: impl fmt::Display) {
    // If this fails, there is no place left to report it.
    drop(write!(io::stderr(), "{problem}"));
}
