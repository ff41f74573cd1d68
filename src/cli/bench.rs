//! `streamwarden bench`: how many entries a second the configured Redis takes and returns, beside what its streams carry.

mod carried;
mod report;

use std::time::Duration;

use clap::Args;
use tokio_util::sync::CancellationToken;

use super::command::{Error, Exit, block_on, complain, print};
use crate::{
    actions::{self, BenchError, BenchOrder, Measured},
    config::{Config, Log},
    evaluate::short,
    signals::Signals,
    telemetry,
};
use carried::Watching;
use report::Report;

const SHORTEST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(600);

/// Measure how many entries a second Redis takes and returns, on a stream of its own.
///
/// It sends as much as it can, which slows other clients down meanwhile. Its stream holds at most 16 MiB and is removed at the end. It
/// is refused on a server that may evict keys, that has too little memory, that is a replica, or that bills each command.
///
/// Exit code: 0 with figures, 1 if it is refused, interrupted or fails, 2 on wrong usage or configuration.
#[derive(Debug, Args)]
pub(super) struct Bench {
    /// How long all tests take together, from 1s to 10m.
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = duration)]
    duration: Duration,

    /// Bytes of each entry's payload.
    #[arg(long, value_name = "BYTES", default_value = "200", value_parser = clap::value_parser!(u32).range(1..=65_536))]
    size: u32,

    /// Also measure a server that is not on this machine.
    #[arg(long)]
    yes: bool,

    /// Print the figures as JSON.
    #[arg(long)]
    json: bool,
}

impl Bench {
    pub(super) fn run(self, config: &Config, log: &Log) -> Result<Exit, Error> {
        telemetry::start_logging(log);
        block_on(self.measure(config))?
    }

    async fn measure(self, config: &Config) -> Result<Exit, Error> {
        let address = config.redis.access.address().map_err(|problems| Error::Other(problems.to_string()))?;
        self.may_be_at(address.is_local(), &address.to_string())?;
        let order = BenchOrder { duration: self.duration, size: self.size };
        let bench = actions::Bench::prepare(config, order).await.map_err(|error| failed(config, error))?;
        let node = bench.node().map(ToString::to_string);
        let place = node.clone().unwrap_or_else(|| address.to_string());
        self.may_be_at(bench.is_local(), &place)?;
        let mut watching = Watching::new();
        watching.begin(config).await;
        let measured = until_stopped(config, bench).await?;
        let carried = watching.end(config).await;
        let report = Report { place, node, order, measured, carried };
        if self.json {
            print(report.json()?)?
        } else {
            print(report.text())?
        }
        Ok(Exit::Success)
    }

    /// # Errors
    /// The server is elsewhere, and nobody has said that it may be loaded.
    fn may_be_at(&self, is_local: bool, place: &str) -> Result<(), Error> {
        if is_local || self.yes {
            return Ok(());
        }
        Err(Error::Usage(format!(
            "{place} is not on this machine, and the bench slows its other clients down: pass --yes"
        )))
    }
}

/// Runs it until its end or a signal. After a first signal it still removes its stream; a second one ends it at once.
async fn until_stopped(config: &Config, bench: actions::Bench) -> Result<Vec<Measured>, Error> {
    let mut signals = Signals::listen().map_err(Error::Start)?;
    let stop = CancellationToken::new();
    let stopped = async {
        let signal = signals.stop().await;
        stop.cancel();
        complain(format_args!("{signal}: removing the stream of the bench\n"));
        signals.stop_again().await
    };
    tokio::select! {
        measured = bench.run(config, &stop) => measured.map_err(|error| failed(config, error)),
        signal = stopped => Err(Error::Other(format!("{signal} again: the stream of the bench was left to expire"))),
    }
}

fn failed(config: &Config, error: BenchError) -> Error {
    if let BenchError::Failed(failure) = &error {
        return Error::of_redis("run the bench", &config.redis.access, failure);
    }
    Error::Other(error.to_string())
}

fn duration(text: &str) -> Result<Duration, String> {
    let duration = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    let is_one = (SHORTEST..=LONGEST).contains(&duration);
    is_one.then_some(duration).ok_or_else(|| format!("from {} to {}", short(SHORTEST), short(LONGEST)))
}
