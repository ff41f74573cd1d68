//! The JSON API: what each of its paths answers. Documents are drawn when they are asked for, from the last reading.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    io::{self, Write},
};

use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use hyper::{
    Request, StatusCode,
    header::{ACCEPT_ENCODING, CONTENT_ENCODING, HeaderValue, RETRY_AFTER, VARY},
};
use percent_encoding::percent_decode_str;

use tokio::sync::OwnedSemaphorePermit;

use super::{
    answer::{Answer, not_modified, problem, respond, tagged, with},
    negotiate,
    surface::Surface,
};
use crate::{
    clock,
    config::Config,
    model::{Name, Text},
    publish::{Encoding, api::View},
    reading::Latest,
};

/// What the paths of the API begin with.
pub(super) const PREFIX: &str = "/api/";
const OPENAPI: &str = include_str!("../publish/api/openapi.json");
const JSON: &str = "application/json";
/// A document, with its place until it is sent.
struct Sent {
    body: Vec<u8>,
    _place: OwnedSemaphorePermit,
}

impl AsRef<[u8]> for Sent {
    fn as_ref(&self) -> &[u8] {
        &self.body
    }
}

impl Surface {
    /// The answer to a GET or HEAD of a path of the API.
    pub(super) fn api(&self, request: &Request<()>) -> Answer {
        let config = self.config.borrow().clone();
        let latest = self.latest.borrow().clone();
        let reading = latest.reading.as_deref().map(|reading| (reading, clock::now() - reading.read_at.at));
        let view = View::new(&config, reading, latest.failure.as_ref(), latest.polls > 0);
        let tag = entity_tag(self.fingerprint.of(&config), &latest, view.is_stale(), request);
        match request.uri().path() {
            "/api/v1/streams" => self.document(request, tag, |out| view.write_streams(out)),
            "/api/v1/groups" => self.document(request, tag, |out| view.write_groups(out)),
            "/api/v1/config" => self.document(request, tag, |out| write_config(&config, out)),
            "/api/v1/openapi.json" => self.document(request, tag, |out| out.write_all(OPENAPI.as_bytes())),
            path => match path.strip_prefix("/api/v1/streams/") {
                Some(key) if !key.contains('/') => self.stream(request, tag, &view, key),
                _ => not_found("there is no such path; /api/v1/openapi.json describes those that there are"),
            },
        }
    }

    fn stream(&self, request: &Request<()>, tag: HeaderValue, view: &View<'_>, key: &str) -> Answer {
        let name = Name::from(percent_decode_str(key).collect::<Vec<u8>>());
        match view.one_stream(&name) {
            Some(stream) => {
                self.document(request, tag, |out| serde_json::to_writer(out, &stream).map_err(Into::into))
            }
            None => not_found(format!("no stream {name} is watched; /api/v1/streams lists those that are")),
        }
    }

    /// A document, or that the client has it already.
    fn document(
        &self,
        request: &Request<()>,
        tag: HeaderValue,
        write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> Answer {
        let answer = if negotiate::is_known(request.headers(), &tag) {
            not_modified()
        } else {
            let Some(place) = self.documents.place() else {
                let why = "too many documents are being sent";
                return with(problem(StatusCode::SERVICE_UNAVAILABLE, why), RETRY_AFTER, "1");
            };
            let accepted = request.headers().get(ACCEPT_ENCODING).and_then(|value| value.to_str().ok());
            let encoding = negotiate::encoding(accepted.unwrap_or_default());
            let body = Sent { body: body(encoding, write), _place: place };
            let answer = respond(StatusCode::OK, JSON, Bytes::from_owner(body));
            match encoding {
                Encoding::Gzip => with(answer, CONTENT_ENCODING, "gzip"),
                Encoding::Identity => answer,
            }
        };
        with(tagged(answer, tag), VARY, "Accept-Encoding")
    }
}

fn not_found(detail: impl Into<Text>) -> Answer {
    problem(StatusCode::NOT_FOUND, detail)
}

/// Changes with each poll, with the configuration, and when the reading becomes stale. Weak: between two polls only
/// the reading's age differs, which anybody can tell who knows when it was made.
fn entity_tag(config: u64, latest: &Latest, is_stale: bool, request: &Request<()>) -> HeaderValue {
    let mut hasher = DefaultHasher::new();
    let read_at = latest.reading.as_ref().map(|reading| reading.read_at.unix);
    (config, latest.polls, read_at, is_stale, request.uri().path()).hash(&mut hasher);
    HeaderValue::try_from(format!("W/\"{:016x}\"", hasher.finish())).expect("hexadecimal digits are fine")
}

fn body(encoding: Encoding, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Vec<u8> {
    let written = match encoding {
        Encoding::Identity => {
            let mut body = Vec::new();
            write(&mut body).map(|()| body)
        }
        Encoding::Gzip => {
            let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
            write(&mut encoder).and_then(|()| encoder.finish())
        }
    };
    written.expect("a Vec takes any bytes, and documents are JSON")
}

/// The configuration as it takes effect, without secrets.
fn write_config(config: &Config, out: &mut dyn Write) -> io::Result<()> {
    let document = serde_json::json!({
        "schema_version": crate::publish::api::SCHEMA_VERSION,
        "config": config.to_value(),
    });
    serde_json::to_writer(out, &document).map_err(Into::into)
}
