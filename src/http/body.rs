//! The body of an answer: pieces, each freed once it is sent.

use std::{
    collections::VecDeque,
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use tokio::sync::OwnedSemaphorePermit;

/// The pieces that are not sent yet.
#[derive(Default)]
pub(super) struct Pieces {
    pieces: VecDeque<Bytes>,
    bytes: u64,
    /// A document's permit.
    _place: Option<OwnedSemaphorePermit>,
}

impl Pieces {
    /// Keeps a document's permit until the last piece is sent.
    pub(super) fn with_place(self, place: OwnedSemaphorePermit) -> Self {
        Self { _place: Some(place), ..self }
    }

    pub(super) fn push(&mut self, piece: impl Into<Bytes>) {
        let piece = piece.into();
        self.bytes += piece.len() as u64;
        self.pieces.push_back(piece);
    }
}

impl From<Bytes> for Pieces {
    fn from(body: Bytes) -> Self {
        let mut pieces = Self::default();
        pieces.push(body);
        pieces
    }
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let piece = self.pieces.pop_front();
        self.bytes -= piece.as_ref().map_or(0, |piece| piece.len() as u64);
        Poll::Ready(piece.map(|piece| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.bytes == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.bytes)
    }
}
