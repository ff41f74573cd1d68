//! The JSON API: the answer of each of its paths. Documents are made on request, from the last reading.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    io::Write,
    sync::Arc,
};

use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use hyper::{
    StatusCode,
    header::{ACCEPT_ENCODING, CONTENT_ENCODING, HeaderValue, RETRY_AFTER, VARY},
};

use super::{
    answer::{Answer, JSON, json, not_modified, problem, respond, tagged, with},
    asked::Asked,
    body::Pieces,
    negotiate,
    server_state::ServerState,
};
use crate::{
    clock,
    config::Config,
    reading::Latest,
    views::{
        Encoding,
        api::{ConfigDocument, NoNumber, SCHEMA_VERSION, Take, View},
    },
};

const OPENAPI: &str = include_str!("../views/api/openapi.json");

/// What a document is made from.
struct Drawn {
    config: Arc<Config>,
    latest: Latest,
}

impl Drawn {
    fn view(&self) -> View<'_> {
        let latest = &self.latest;
        let reading = latest.reading.as_deref().map(|reading| (reading, clock::now() - reading.read_at.at));
        View::new(&self.config, reading, latest.failure.as_ref(), latest.polls > 0)
    }
}

impl ServerState {
    pub(super) fn streams(&self, asked: &Asked) -> Answer {
        let drawn = self.drawn();
        let view = drawn.view();
        self.document(asked, &drawn, &view, |take| view.write_streams(take))
    }

    pub(super) fn groups(&self, asked: &Asked) -> Answer {
        let drawn = self.drawn();
        let view = drawn.view();
        self.document(asked, &drawn, &view, |take| view.write_groups(take))
    }

    pub(super) fn stream(&self, asked: &Asked) -> Answer {
        let drawn = self.drawn();
        let (view, name) = (drawn.view(), &asked.stream);
        match view.one_stream(name) {
            Some(stream) => self.document(asked, &drawn, &view, |take| take(json(&stream))),
            None => {
                let reason =
                    format!("stream {name} is not watched; /api/v1/streams lists the watched streams");
                problem(StatusCode::NOT_FOUND, reason)
            }
        }
    }

    pub(super) fn group_lag(&self, asked: &Asked) -> Answer {
        self.number(asked, |view| Ok(json(&view.group_lag(&asked.stream, &asked.group)?)))
    }

    pub(super) fn group_lag_seconds(&self, asked: &Asked) -> Answer {
        self.number(asked, |view| Ok(json(&view.group_lag_seconds(&asked.stream, &asked.group)?)))
    }

    /// A number by itself. One that is unknown is an error: who scales by it must not take it for 0.
    fn number(&self, asked: &Asked, number: impl FnOnce(&View<'_>) -> Result<Vec<u8>, NoNumber>) -> Answer {
        let drawn = self.drawn();
        let view = drawn.view();
        match number(&view) {
            Ok(number) => self.document(asked, &drawn, &view, |take| take(number)),
            Err(NoNumber::NotThere(reason)) => problem(StatusCode::NOT_FOUND, reason),
            Err(NoNumber::Unknown(reason)) => problem(StatusCode::SERVICE_UNAVAILABLE, reason),
        }
    }

    /// The configuration in force, without secrets.
    pub(super) fn config(&self, asked: &Asked) -> Answer {
        let drawn = self.drawn();
        self.document(asked, &drawn, &drawn.view(), |take| {
            let config = drawn.config.to_value();
            take(json(&ConfigDocument { schema_version: SCHEMA_VERSION, config }));
        })
    }

    pub(super) fn openapi(&self, asked: &Asked) -> Answer {
        let drawn = self.drawn();
        self.document(asked, &drawn, &drawn.view(), |take| take(OPENAPI.into()))
    }

    fn drawn(&self) -> Drawn {
        Drawn { config: self.config.borrow().clone(), latest: self.latest.borrow().clone() }
    }

    /// A document, or 304 where the client has it already.
    fn document(
        &self,
        asked: &Asked,
        drawn: &Drawn,
        view: &View<'_>,
        write: impl FnOnce(Take<'_>),
    ) -> Answer {
        let fingerprint = self.fingerprint.of(&drawn.config);
        let tag = entity_tag(fingerprint, &drawn.latest, view.is_stale(), asked.uri.path());
        let answer = if negotiate::is_known(&asked.headers, &tag) {
            not_modified()
        } else {
            let Some(place) = self.documents.place() else {
                let reason = "too many documents are being sent";
                return with(problem(StatusCode::SERVICE_UNAVAILABLE, reason), RETRY_AFTER, "1");
            };
            let encoding = negotiate::encoding(negotiate::header(&asked.headers, &ACCEPT_ENCODING));
            let answer = respond(StatusCode::OK, JSON, body(encoding, write).with_place(place));
            match encoding {
                Encoding::Gzip => with(answer, CONTENT_ENCODING, "gzip"),
                Encoding::Identity => answer,
            }
        };
        with(tagged(answer, tag), VARY, "Accept-Encoding")
    }
}

/// Changes with each poll, with the configuration, and when the reading becomes stale. Weak: between two polls only the
/// reading's age differs, which follows from when it was made.
fn entity_tag(config: u64, latest: &Latest, is_stale: bool, path: &str) -> HeaderValue {
    let mut hasher = DefaultHasher::new();
    let read_at = latest.reading.as_ref().map(|reading| reading.read_at.unix);
    (config, latest.polls, read_at, is_stale, path).hash(&mut hasher);
    HeaderValue::try_from(format!("W/\"{:016x}\"", hasher.finish())).expect("hexadecimal digits are fine")
}

fn body(encoding: Encoding, write: impl FnOnce(Take<'_>)) -> Pieces {
    match encoding {
        Encoding::Identity => {
            let mut body = Pieces::default();
            write(&mut |piece| body.push(piece));
            body
        }
        Encoding::Gzip => {
            let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
            write(&mut |piece| encoder.write_all(&piece).expect("a Vec takes any bytes"));
            Bytes::from(encoder.finish().expect("a Vec takes any bytes")).into()
        }
    }
}
