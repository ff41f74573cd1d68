//! A document in pieces: a single buffer would be copied many times while it grows.

use std::{
    io::{self, Write},
    mem,
};

use serde::Serialize;

const PIECE_BYTES: usize = 64 * 1024;

/// Takes the pieces of a document, in their order.
pub type Take<'a> = &'a mut dyn FnMut(Vec<u8>);

/// Hands over a document piece by piece.
pub(super) fn write(document: &impl Serialize, take: Take<'_>) {
    let mut pieces = Pieces { piece: Vec::with_capacity(PIECE_BYTES), take };
    serde_json::to_writer(&mut pieces, document).expect("documents are JSON, and pieces are always taken");
    (pieces.take)(pieces.piece);
}

struct Pieces<'a> {
    piece: Vec<u8>,
    take: Take<'a>,
}

impl Write for Pieces<'_> {
    #[inline]
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.piece.capacity() - self.piece.len() < bytes.len() {
            let next = Vec::with_capacity(PIECE_BYTES.max(bytes.len()));
            (self.take)(mem::replace(&mut self.piece, next));
        }
        self.piece.extend_from_slice(bytes);
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_all(bytes).map(|()| bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
