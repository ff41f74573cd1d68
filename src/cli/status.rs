//! `streamwarden status`: how streams and groups fare, as a table, in depth, live, or as JSON; asked of Redis, or of a
//! sidecar that watches it.

mod feed;
mod live;

use std::{
    ffi::OsString,
    io::{self, IsTerminal},
    os::unix::ffi::OsStringExt,
    process::ExitCode,
    time::Duration,
};

use clap::Args;
use serde::de::DeserializeOwned;

use super::{complain, print};
use crate::{
    config::{Config, LoadError, Log, LogFormat, wants_no_colour},
    model::{Name, Text},
    publish::{
        api::{OneStreamDocument, StreamsDocument},
        terminal::{self, Line, Style},
    },
    telemetry,
};
use feed::Feed;
pub(super) use live::columns;

/// How the streams fare; exits with 0 if healthy, 1 at a warning, 2 if critical, 3 if that is not known.
#[derive(Debug, Args)]
pub(super) struct Status {
    /// One stream, in depth.
    stream: Option<OsString>,

    /// Show it live, in place; q quits.
    #[arg(long, conflicts_with = "json")]
    watch: bool,

    /// Print the document of the JSON API.
    #[arg(long)]
    json: bool,

    /// Ask a running sidecar, as in http://localhost:19121, and not Redis.
    #[arg(long, value_name = "URL")]
    url: Option<String>,

    /// Without --url: how long to look before judging; with --watch: how often to look.
    #[arg(long = "every", value_name = "DURATION", default_value = "2s", value_parser = humantime::parse_duration)]
    every: Duration,
}

/// Not known: nobody answered, there is nothing to judge yet, or nobody could be asked as the usage is wrong.
pub(super) const EXIT_UNKNOWN: u8 = 3;

impl Status {
    /// Whether the configuration is needed: a sidecar has its own.
    pub(super) fn run(self, load: impl FnOnce() -> Result<Config, LoadError>) -> ExitCode {
        telemetry::start_logging(&Log { level: "off".to_owned(), format: LogFormat::Text });
        self.show(load).unwrap_or_else(|error| {
            complain(format_args!("error: {error}\n"));
            ExitCode::from(EXIT_UNKNOWN)
        })
    }

    fn show(self, load: impl FnOnce() -> Result<Config, LoadError>) -> Result<ExitCode, String> {
        let stream = self.stream.map(|stream| Name::from(stream.into_vec()));
        let feed = match &self.url {
            Some(url) => Feed::of_sidecar(url, stream.as_ref())?,
            None => {
                let config = load().map_err(|error| error.to_string())?;
                Feed::of_redis(config, stream.clone(), self.watch)
            }
        };
        let view = View { is_one: stream.is_some() };
        if self.watch {
            return live::watch(feed, view, self.every.max(Duration::from_millis(100)));
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| format!("cannot start: {error}"))?;
        let document = runtime.block_on(once(feed, self.every))?;
        if self.json {
            let exit_code = view.exit_code(&document)?;
            print(format_args!("{}\n", String::from_utf8_lossy(&document)));
            return Ok(exit_code.into());
        }
        let has_colours = io::stdout().is_terminal() && !wants_no_colour();
        let width = if io::stdout().is_terminal() { columns() } else { None };
        let style = Style { has_colours, has_history: false, width };
        for line in view.lines(&document, Duration::ZERO, style)? {
            print(format_args!("{}\n", line.render(style)));
        }
        Ok(view.exit_code(&document)?.into())
    }
}

/// Of Redis two looks are taken: rates and movement lie between them.
async fn once(mut feed: Feed, between: Duration) -> Result<Vec<u8>, String> {
    let first = feed.fetch().await?;
    if !feed.needs_two_looks() {
        return Ok(first);
    }
    tokio::time::sleep(between).await;
    feed.fetch().await
}

/// Which of the documents is shown.
#[derive(Debug, Clone, Copy)]
struct View {
    is_one: bool,
}

impl View {
    /// A document that came so long ago, as lines.
    fn lines(self, document: &[u8], held: Duration, style: Style) -> Result<Vec<Line>, String> {
        if self.is_one {
            Ok(terminal::one_stream(&parse::<OneStreamDocument>(document)?.held_for(held), style))
        } else {
            Ok(terminal::streams(&parse::<StreamsDocument>(document)?.held_for(held), style))
        }
    }

    fn exit_code(self, document: &[u8]) -> Result<u8, String> {
        let health = if self.is_one {
            parse::<OneStreamDocument>(document)?.stream.health
        } else {
            parse::<StreamsDocument>(document)?.head.summary.health
        };
        Ok(match health.as_str() {
            "healthy" => 0,
            "warning" => 1,
            "critical" => 2,
            _ => EXIT_UNKNOWN,
        })
    }
}

fn parse<T: DeserializeOwned>(document: &[u8]) -> Result<T, String> {
    serde_json::from_slice(document)
        .map_err(|error| Text::from(error.to_string()))
        .map_err(|error| format!("the answer is not what this version of streamwarden knows: {error}"))
}
