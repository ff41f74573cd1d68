//! `streamwarden status`: the health of streams and groups as a table, in detail, live, or as JSON; read from Redis, or from a
//! sidecar that watches it.

mod feed;
mod live;
mod view;

use std::{
    ffi::OsString,
    io::{self, IsTerminal},
    time::Duration,
};

use clap::Args;

use super::command::{Error, Exit, block_on, print, stream_name};
use crate::{
    config::{Log, Sources, wants_no_colour},
    evaluate::short,
    telemetry,
    views::terminal::Style,
};
use feed::Feed;
pub(super) use live::columns;
use view::View;

/// Between two readings.
const PAUSE: Duration = Duration::from_secs(2);
/// More is a mistyped unit. The flag's help says so.
const LONGEST_PAUSE: Duration = Duration::from_secs(24 * 60 * 60);

/// Show the health of all streams.
///
/// Exit code: 0 healthy, 1 warning, 2 critical, 3 unknown or wrong usage.
#[derive(Debug, Args)]
pub(super) struct Status {
    /// Show one stream in detail.
    stream: Option<OsString>,

    /// Update in place; q quits.
    #[arg(long, conflicts_with = "json")]
    watch: bool,

    /// Print the document of the JSON API.
    #[arg(long)]
    json: bool,

    /// Ask a running sidecar, as in http://localhost:19121, instead of Redis.
    #[arg(long, value_name = "URL")]
    url: Option<String>,

    /// Time between two readings, at most 1d. Without --url and --watch, the second one is shown. [default: 2s]
    #[arg(long = "every", value_name = "DURATION", value_parser = pause)]
    every: Option<Duration>,
}

impl Status {
    /// A sidecar has its own configuration. `is_configured`: flags name another one.
    pub(super) fn run(self, sources: &Sources, is_configured: bool, log: &Log) -> Result<Exit, Error> {
        let stream = self.stream.map(stream_name).transpose()?;
        if self.url.is_some() && self.every.is_some() && !self.watch {
            let reason = "--every has no effect with --url, unless --watch is given: a sidecar reads as often as its configuration says";
            return Err(Error::Usage(reason.to_owned()));
        }
        let every = self.every.unwrap_or(PAUSE);
        let feed = match &self.url {
            Some(_) if is_configured => {
                let reason = "a sidecar has its own configuration: with --url, only the flags of status have an effect";
                return Err(Error::Usage(reason.to_owned()));
            }
            Some(url) => Feed::of_sidecar(url, stream.as_ref()).map_err(Error::Other)?,
            None => Feed::of_redis(sources.load()?, stream.clone(), self.watch),
        };
        telemetry::start_logging(log);
        let view = View { is_one: stream.is_some() };
        if self.watch {
            return live::watch(feed, view, every.max(Duration::from_millis(100)));
        }
        let document = block_on(once(feed, every))?.map_err(Error::Other)?;
        let health = view.health(&document)?;
        if self.json {
            print(format_args!("{}\n", String::from_utf8_lossy(&document)))?;
            return Ok(Exit::Health(health));
        }
        let has_colours = io::stdout().is_terminal() && !wants_no_colour();
        let width = if io::stdout().is_terminal() { columns() } else { None };
        let style = Style { has_colours, has_history: false, width };
        for line in view.lines(&document, Duration::ZERO, style)? {
            print(format_args!("{}\n", line.render(style)))?;
        }
        Ok(Exit::Health(health))
    }
}

fn pause(text: &str) -> Result<Duration, String> {
    let pause = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    let is_one = pause <= LONGEST_PAUSE;
    is_one.then_some(pause).ok_or_else(|| format!("the longest is {}", short(LONGEST_PAUSE)))
}

/// Redis is read twice: rates and progress are differences.
async fn once(mut feed: Feed, between: Duration) -> Result<Vec<u8>, String> {
    let first = feed.fetch().await?;
    if !feed.needs_two_readings() {
        return Ok(first);
    }
    tokio::time::sleep(between).await;
    feed.fetch().await
}
