//! A document of the API as lines for the terminal, and its health for the exit code.

use std::time::Duration;

use serde::de::DeserializeOwned;

use crate::{
    cli::command::Error,
    evaluate::Health,
    model::Text,
    views::{
        api::{OneStreamDocument, StreamsDocument},
        terminal::{self, Line, Style},
    },
};

/// Which document is shown.
#[derive(Debug, Clone, Copy)]
pub(super) struct View {
    /// Whether it is the one of a single stream.
    pub(super) is_one: bool,
}

impl View {
    /// A document that arrived this long ago, as lines.
    pub(super) fn lines(self, document: &[u8], held: Duration, style: Style) -> Result<Vec<Line>, Error> {
        if self.is_one {
            Ok(terminal::one_stream(&parse::<OneStreamDocument>(document)?.held_for(held), style))
        } else {
            Ok(terminal::streams(&parse::<StreamsDocument>(document)?.held_for(held), style))
        }
    }

    /// The health in a document.
    pub(super) fn health(self, document: &[u8]) -> Result<Health, Error> {
        let health = if self.is_one {
            parse::<OneStreamDocument>(document)?.stream.health
        } else {
            parse::<StreamsDocument>(document)?.head.summary.health
        };
        Ok(health.known().unwrap_or(Health::Unknown))
    }
}

fn parse<T: DeserializeOwned>(document: &[u8]) -> Result<T, Error> {
    serde_json::from_slice(document).map_err(|error| {
        let error = Text::from(error.to_string());
        Error::Other(format!("this version of streamwarden does not understand the response: {error}"))
    })
}
