//! `/metrics`: the page in the format and encoding of the request, mostly made in advance.

use std::sync::Arc;

use hyper::{
    HeaderMap, StatusCode,
    header::{ACCEPT, ACCEPT_ENCODING, CONTENT_ENCODING, VARY},
};

use super::{
    answer::{Answer, respond, with},
    asked::Asked,
    negotiate::{self, header},
    server_state::ServerState,
};
use crate::views::{Encoding, Format};

impl ServerState {
    /// Whether the page has to be made now, because no recent scrape asked for this format and encoding.
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

/// The format and encoding of a scrape.
fn variant(headers: &HeaderMap) -> (Format, Encoding) {
    (negotiate::format(header(headers, &ACCEPT)), negotiate::encoding(header(headers, &ACCEPT_ENCODING)))
}
