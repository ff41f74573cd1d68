//! How every command runs and ends: one runtime, one form of errors, and the exit codes.

use std::{
    fmt,
    io::{self, Write},
    process::ExitCode,
};

use crate::{
    config::{Access, LoadError},
    evaluate::Health,
    model::Failure,
    telemetry::TracesError,
};

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Exit {
    /// It did what it was asked to.
    Success,
    /// It could not, or found a problem.
    Failure,
    /// Wrong usage or configuration.
    Usage,
    /// Of `status`: what it found.
    Health(Health),
}

impl Exit {
    /// Who monitors by `status` takes its 2 for a critical stream.
    const fn code(self) -> u8 {
        match self {
            Self::Success | Self::Health(Health::Healthy) => 0,
            Self::Failure | Self::Health(Health::Warning) => 1,
            Self::Usage | Self::Health(Health::Critical) => 2,
            Self::Health(Health::Unknown) => 3,
        }
    }

    /// Success if something is so.
    pub(super) const fn success_if(is_so: bool) -> Self {
        if is_so { Self::Success } else { Self::Failure }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        exit.code().into()
    }
}

/// Why a command could not do what it was asked to.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    /// There is no configuration.
    #[error(transparent)]
    Config(#[from] LoadError),
    /// Traces can't be sent as the environment says.
    #[error(transparent)]
    Traces(#[from] TracesError),
    /// Wrong usage.
    #[error("error: {0}")]
    Usage(String),
    /// The system refuses a thread, or what a runtime needs.
    #[error("error: cannot start: {0}")]
    Start(io::Error),
    /// What was to be printed can't be.
    #[error("error: cannot write the output: {0}")]
    Output(io::Error),
    /// Everything else, with what it is about.
    #[error("error: {0}")]
    Other(String),
}

impl Error {
    /// Something that could not be done with Redis.
    pub(super) fn of_redis(what: &str, access: &Access, failure: &Failure) -> Self {
        Self::Other(cannot(what, access, failure))
    }

    /// How a command ends with it.
    pub(super) const fn exit(&self) -> Exit {
        match self {
            Self::Config(_) | Self::Traces(_) | Self::Usage(_) => Exit::Usage,
            Self::Start(_) | Self::Output(_) | Self::Other(_) => Exit::Failure,
        }
    }
}

/// What could not be done with Redis, where it was tried, and why.
pub(super) fn cannot(what: &str, access: &Access, failure: &Failure) -> String {
    let place = access.address().map(|address| address.to_string());
    match place {
        Ok(place) if !failure.detail.contains(&place) => format!("cannot {what} at {place}: {failure}"),
        // The failure of a connection tells it, and so does an address that can't be read.
        _ => format!("cannot {what}: {failure}"),
    }
}

/// Runs to its end what a command waits for.
pub(super) fn block_on<T>(work: impl Future<Output = T>) -> Result<T, Error> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Error::Start)?;
    let result = runtime.block_on(work);
    // A name that is still being resolved is not waited for.
    runtime.shutdown_background();
    Ok(result)
}

/// Prints a command's output. Who reads it may stop reading, as `head` does: then the rest is for nobody.
pub(super) fn print(output: impl fmt::Display) -> Result<(), Error> {
    let mut out = io::stdout();
    match write!(out, "{output}").and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Error::Output(error)),
        _ => Ok(()),
    }
}

/// Prints what is wrong, or what is good to know beside the output.
pub(super) fn complain(problem: impl fmt::Display) {
    // Where this can't be written, nothing can be said about it either.
    drop(write!(io::stderr(), "{problem}"));
}
