//! Answers: status, type, headers and body.

use bytes::Bytes;
use hyper::{
    Response, StatusCode,
    header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, HeaderName, HeaderValue, X_CONTENT_TYPE_OPTIONS},
};
use serde::Serialize;

use super::body::Pieces;
use crate::{model::Text, views::api::Problem};

pub(super) const JSON: &str = "application/json";
const PLAIN_TEXT: &str = "text/plain; charset=utf-8";

pub(super) type Answer = Response<Pieces>;

pub(super) fn text(status: StatusCode, body: &str) -> Answer {
    respond(status, PLAIN_TEXT, Bytes::copy_from_slice(body.as_bytes()))
}

/// An error of the API, as in RFC 9457. Its detail may contain what the client sent.
pub(super) fn problem(status: StatusCode, detail: impl Into<Text>) -> Answer {
    let problem = Problem {
        r#type: "about:blank".to_owned(),
        title: status.canonical_reason().unwrap_or_default().to_owned(),
        status: status.as_u16(),
        detail: detail.into().into(),
    };
    respond(status, "application/problem+json", Bytes::from(json(&problem)))
}

pub(super) fn json(document: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(document).expect("a document is JSON")
}

/// hyper omits the body of an answer to HEAD and keeps its length.
pub(super) fn respond(status: StatusCode, content_type: &'static str, body: impl Into<Pieces>) -> Answer {
    let mut answer = Response::new(body.into());
    *answer.status_mut() = status;
    let answer = with(answer, CONTENT_TYPE, content_type);
    let answer = with(answer, X_CONTENT_TYPE_OPTIONS, "nosniff");
    with(answer, CACHE_CONTROL, "no-store")
}

/// The client has it already.
pub(super) fn not_modified() -> Answer {
    let mut answer = respond(StatusCode::NOT_MODIFIED, PLAIN_TEXT, Bytes::new());
    answer.headers_mut().remove(CONTENT_TYPE);
    answer
}

/// Adds the entity tag, with which clients must revalidate before they use a cached answer.
pub(super) fn tagged(mut answer: Answer, tag: HeaderValue) -> Answer {
    answer.headers_mut().insert(ETAG, tag);
    with(answer, CACHE_CONTROL, "no-cache")
}

pub(super) fn with(mut answer: Answer, name: HeaderName, value: &'static str) -> Answer {
    answer.headers_mut().insert(name, HeaderValue::from_static(value));
    answer
}
