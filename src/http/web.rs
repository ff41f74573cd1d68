//! The files of the page.

use std::hash::{DefaultHasher, Hash, Hasher};

use bytes::Bytes;
use hyper::{
    StatusCode,
    header::{self, HeaderValue},
};

use super::{
    answer::{Answer, not_modified, respond, tagged, text, with},
    asked::Asked,
    negotiate,
    server_state::ServerState,
};
use crate::views::{CONTENT_SECURITY_POLICY, asset};

/// Whether the page has a file at this path.
pub(super) fn is_served(path: &str) -> bool {
    asset(path).is_some()
}

/// The answer to a request of one of the page's files.
pub(super) fn answer(_: &ServerState, asked: &Asked) -> Answer {
    let Some(asset) = asset(asked.uri.path()) else {
        return text(StatusCode::NOT_FOUND, "the page has no such file\n");
    };
    let mut hasher = DefaultHasher::new();
    asset.body.hash(&mut hasher);
    let tag = HeaderValue::try_from(format!("\"{:016x}\"", hasher.finish()));
    let tag = tag.expect("hexadecimal digits are fine");
    let answer = if negotiate::is_known(&asked.headers, &tag) {
        not_modified()
    } else {
        respond(StatusCode::OK, asset.content_type, Bytes::from_static(asset.body.as_bytes()))
    };
    let answer = with(tagged(answer, tag), header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY);
    with(answer, header::REFERRER_POLICY, "no-referrer")
}
