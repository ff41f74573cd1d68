//! `/metrics`: the page that the scraper asks for, mostly made ahead.

use std::sync::Arc;

use hyper::{
    HeaderMap, StatusCode,
    header::{ACCEPT, ACCEPT_ENCODING, CONTENT_ENCODING, VARY},
};

use super::{
    answer::{Answer, respond, with},
    asked::Asked,
    negotiate,
    server_state::ServerState,
};
use crate::views::{Encoding, Format};

impl ServerState {
    /// Whether the page is still to be made, since nobody was expected to ask for it.
    pub(super) fn must_make_page(&self, asked: &Asked) -> bool {
        let (format, encoding) = variant(&asked.headers);
        !self.pages.borrow().has(format, encoding)
    }

    pub(super) fn metrics(&self, asked: &Asked) -> Answer {
        let (format, encoding) = variant(&asked.headers);
        let pages = Arc::clone(&self.pages.borrow());
        let page = pages.get(format, encoding, || self.latest.borrow().reading.clone());
        let answer = respond(StatusCode::OK, format.content_type(), page);
        let answer = with(answer, VARY, "Accept, Accept-Encoding");
        match encoding {
            Encoding::Gzip => with(answer, CONTENT_ENCODING, "gzip"),
            Encoding::Identity => answer,
        }
    }
}

/// The page that a scraper asks for.
fn variant(headers: &HeaderMap) -> (Format, Encoding) {
    let header = |name| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    (negotiate::format(header(&ACCEPT)), negotiate::encoding(header(&ACCEPT_ENCODING)))
}
