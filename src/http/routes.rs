//! What each path answers, but for trims. Nothing here waits for another, and nothing asks Redis.

use std::sync::Arc;

use super::{
    answer::{Answer, problem, respond, text, with},
    api, negotiate, page,
    surface::Surface,
};
use crate::{
    clock,
    publish::{Encoding, Format},
};
use hyper::{
    HeaderMap, Method, Request, StatusCode, Version,
    body::Body,
    header::{ACCEPT, ACCEPT_ENCODING, ALLOW, CONTENT_ENCODING, HOST, VARY},
};

/// No path takes a body; a larger one is refused before it is read.
const MAX_BODY_BYTES: u64 = 4 * 1024;
/// Of missed turns of the loop until the process counts as hung.
const MISSED_TURNS: u32 = 3;

impl Surface {
    /// The answer to a request.
    pub(super) fn answer(&self, request: &Request<impl Body>) -> Answer {
        let path = request.uri().path();
        let refuse = |status, why: &str| match path.starts_with(api::PREFIX) {
            true => problem(status, why),
            false => text(status, &format!("{why}\n")),
        };
        if request.version() == Version::HTTP_11 && !request.headers().contains_key(HOST) {
            return refuse(StatusCode::BAD_REQUEST, "the Host header is missing");
        }
        if request.body().size_hint().lower() > MAX_BODY_BYTES {
            return refuse(StatusCode::PAYLOAD_TOO_LARGE, "no path takes a body");
        }
        let route: fn(&Self, &Request<()>) -> Answer = match path {
            "/metrics" => |surface, request| surface.metrics(request.headers()),
            "/livez" => |surface, _| surface.live(),
            "/readyz" => |surface, request| surface.ready(request.uri().query()),
            path if path.starts_with(api::PREFIX) => Self::api,
            path if page::is_served(path) => |_, request| page::answer(request),
            _ => return text(StatusCode::NOT_FOUND, "no such page; see / for what there is\n"),
        };
        if request.method() != Method::GET && request.method() != Method::HEAD {
            let answer = refuse(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD");
            return with(answer, ALLOW, "GET, HEAD");
        }
        let mut head = Request::new(());
        head.uri_mut().clone_from(request.uri());
        head.headers_mut().clone_from(request.headers());
        route(self, &head)
    }

    /// Whether the answer may take a good part of a second where thousands of streams are watched.
    pub(super) fn takes_time(&self, request: &Request<impl Body>) -> bool {
        match request.uri().path() {
            "/metrics" => {
                let (format, encoding) = variant(request.headers());
                !self.pages.borrow().has(format, encoding)
            }
            path => path.starts_with(api::PREFIX),
        }
    }

    fn metrics(&self, headers: &HeaderMap) -> Answer {
        let (format, encoding) = variant(headers);
        let pages = Arc::clone(&self.pages.borrow());
        let page = pages.get(format, encoding, || self.latest.borrow().reading.clone());
        let answer = respond(StatusCode::OK, format.content_type(), page);
        let answer = with(answer, VARY, "Accept, Accept-Encoding");
        match encoding {
            Encoding::Gzip => with(answer, CONTENT_ENCODING, "gzip"),
            Encoding::Identity => answer,
        }
    }

    /// Whether the loop turns. Redis has no say in it: restarting the sidecar would not mend Redis.
    fn live(&self) -> Answer {
        let config = self.config.borrow();
        let failure = self.latest.borrow().failure.as_ref().and_then(|failure| failure.reason.least_wait());
        let turn = config.poll.interval + config.poll.stale_after + failure.unwrap_or_default();
        let longest = turn * MISSED_TURNS;
        let silent = clock::now() - *self.pulse.borrow();
        if config.enabled && silent > longest {
            return text(
                StatusCode::SERVICE_UNAVAILABLE,
                &format!("the poll loop has not turned for {silent:?}\n"),
            );
        }
        text(StatusCode::OK, "ok\n")
    }

    /// Whether there is something to serve. A sidecar's readiness decides whether its application gets traffic,
    /// so Redis counts only where `?strict=1` asks for it.
    fn ready(&self, query: Option<&str>) -> Answer {
        let (config, latest) = (self.config.borrow(), self.latest.borrow());
        let is_strict = query.is_some_and(|query| query.split('&').any(|pair| pair == "strict=1"));
        let is_fresh = latest
            .reading
            .as_ref()
            .is_some_and(|reading| clock::now() - reading.read_at.at < config.poll.stale_after);
        let why = latest.failure.as_ref().map_or("nothing read yet", |failure| failure.reason.as_str());
        if self.stopping.is_cancelled() {
            text(StatusCode::SERVICE_UNAVAILABLE, "stopping\n")
        } else if !config.enabled {
            text(StatusCode::OK, "ok, switched off\n")
        } else if latest.polls == 0 {
            text(StatusCode::SERVICE_UNAVAILABLE, "the first poll has not ended\n")
        } else if is_strict && !is_fresh {
            text(StatusCode::SERVICE_UNAVAILABLE, &format!("no recent reading of Redis: {why}\n"))
        } else {
            text(StatusCode::OK, "ok\n")
        }
    }
}

/// The page that a scraper asks for.
fn variant(headers: &HeaderMap) -> (Format, Encoding) {
    let header = |name| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    (negotiate::format(header(&ACCEPT)), negotiate::encoding(header(&ACCEPT_ENCODING)))
}
