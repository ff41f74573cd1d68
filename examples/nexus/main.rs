//! Nexus: a small application that publishes and consumes domain events over Redis Streams.
//!
//! Streamwarden watches it in the demo and in tests. It shows the pattern in its simplest form: one stream for each
//! kind of aggregate, one consumer group for each stream, and each entry acknowledged once it is processed.
#![allow(clippy::print_stderr, reason = "a command reports its progress on standard error")]

mod consumer;
mod events;
mod flags;
mod link;
mod publisher;
mod shutdown;
mod topic;
mod totals;
mod waits;

use std::{
    env::VarError,
    future::pending,
    io,
    num::NonZeroU32,
    process::ExitCode,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use clap::{CommandFactory, Parser, error::ErrorKind};
use tokio::{
    signal::unix::{SignalKind, signal},
    task::JoinSet,
    time::{interval, sleep, timeout},
};

use crate::{
    consumer::Consumer,
    flags::{DEFAULT_URI, Flags},
    link::{Link, Redis},
    publisher::Publisher,
    shutdown::Shutdown,
    topic::Topic,
    totals::Totals,
    waits::Waits,
};

const REPORT_INTERVAL: Duration = Duration::from_secs(10);
/// Longer than a consumer's read blocks.
const GRACE: Duration = Duration::from_secs(2);

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let flags = Flags::parse();
    if let Some(topic) = flags.contradiction() {
        let message = format!("{} can have one fault: --stop, --crash or --slow", topic.group());
        misused(ErrorKind::ArgumentConflict, message);
    }
    let redis = redis(flags.cluster)
        .unwrap_or_else(|error| misused(ErrorKind::ValueValidation, format!("{error:#}")));
    let totals = Arc::new(Totals::default());
    let result = run(&flags, redis, &totals).await;
    eprintln!("nexus: {totals}");
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("nexus: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn misused(kind: ErrorKind, message: String) -> ! {
    Flags::command().error(kind, message).exit()
}

#[expect(
    clippy::disallowed_methods,
    reason = "the address may hold a password, and flags are for all to see"
)]
fn redis(is_cluster: bool) -> anyhow::Result<Redis> {
    let uri = match std::env::var("REDIS_URI") {
        Ok(uri) => uri,
        Err(VarError::NotPresent) => DEFAULT_URI.to_owned(),
        Err(VarError::NotUnicode(_)) => bail!("REDIS_URI: not Unicode"),
    };
    let redis = if is_cluster { Redis::cluster(uri.split_whitespace()) } else { Redis::server(&uri) };
    redis.context("REDIS_URI")
}

/// Runs until a signal, the end of its time, or a failure that retrying does not solve.
async fn run(flags: &Flags, redis: Redis, totals: &Arc<Totals>) -> anyhow::Result<()> {
    let (end, shutdown) = Shutdown::channel();
    let waits = Arc::new(Waits::default());
    if let Some(address) = flags.metrics {
        waits::serve(address, Arc::clone(&waits)).with_context(|| format!("cannot listen on {address}"))?;
    }
    let mut tasks = start(flags, &Arc::new(redis), totals, &waits, &shutdown);
    tokio::select! {
        result = finish(&mut tasks) => return result,
        result = ending(flags.duration) => result?,
        () = report(totals) => {}
    }
    end.send_replace(true);
    match timeout(GRACE, finish(&mut tasks)).await {
        Ok(result) => result,
        Err(_elapsed) => Ok(()),
    }
}

#[expect(clippy::disallowed_methods, reason = "the example has no clock of its own to ask")]
fn start(
    flags: &Flags,
    redis: &Arc<Redis>,
    totals: &Arc<Totals>,
    waits: &Arc<Waits>,
    shutdown: &Shutdown,
) -> JoinSet<anyhow::Result<()>> {
    let started = Instant::now();
    let mut tasks = JoinSet::new();
    let prefix = flags.name.as_ref().map(|name| format!("{name}-")).unwrap_or_default();
    for topic in Topic::ALL {
        for number in 1..=flags.consumers {
            let consumer = Consumer {
                topic,
                name: format!("{prefix}{}-{number}", topic.name()),
                link: Link::new(Arc::clone(redis)),
                failures: flags.failures,
                retry: flags.retry,
                fault: flags.fault(topic),
                fault_after: flags.after,
                started,
                totals: Arc::clone(totals),
                waits: Arc::clone(waits),
                shutdown: shutdown.clone(),
            };
            tasks.spawn(consumer.run());
        }
    }
    if let Some(rate) = NonZeroU32::new(flags.rate) {
        let publisher = Publisher {
            link: Link::new(Arc::clone(redis)),
            rate,
            max_length: flags.max_length,
            totals: Arc::clone(totals),
            shutdown: shutdown.clone(),
        };
        tasks.spawn(publisher.run());
    }
    tasks
}

/// Waits for all tasks, or for the first that fails.
async fn finish(tasks: &mut JoinSet<anyhow::Result<()>>) -> anyhow::Result<()> {
    while let Some(task) = tasks.join_next().await {
        task??;
    }
    Ok(())
}

/// Waits for a signal or for the end of the program's time.
async fn ending(duration: Option<Duration>) -> io::Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let time_is_up = async {
        match duration {
            Some(duration) => sleep(duration).await,
            None => pending().await,
        }
    };
    tokio::select! {
        _received = interrupt.recv() => {}
        _received = terminate.recv() => {}
        () = time_is_up => {}
    }
    Ok(())
}

async fn report(totals: &Totals) {
    let mut ticks = interval(REPORT_INTERVAL);
    // The first tick is immediate.
    ticks.tick().await;
    loop {
        ticks.tick().await;
        eprintln!("nexus: {totals}");
    }
}
