//! Bytes to and from Redis: commands out in one piece, replies in one by one.

use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{
    failure::from_io,
    resp::{Framer, Reply, Texts},
    transport::Transport,
};
use crate::model::{Failure, Reason};

/// Read at most at once: some twenty streams' replies.
const READ_BYTES: usize = 64 * 1024;

/// An open connection.
pub(super) struct Connection {
    transport: Transport,
    received: BytesMut,
    framer: Framer,
    /// Replies that are still to come.
    awaited: usize,
    /// What becomes of long texts in them.
    texts: Texts,
}

impl Connection {
    pub(super) fn new(transport: Transport) -> Self {
        Self {
            transport,
            received: BytesMut::new(),
            framer: Framer::default(),
            awaited: 0,
            texts: Texts::Sizes,
        }
    }

    /// Sends so many commands; `texts` is what becomes of long texts in their replies.
    ///
    /// # Errors
    /// Why the connection is of no more use. Not cancel-safe.
    pub(super) async fn send(&mut self, commands: &[u8], count: usize, texts: Texts) -> Result<(), Failure> {
        if self.awaited > 0 {
            // Whoever asked gave up: their replies would be taken for the next ones.
            return Err(Failure::new(Reason::Closed, "replies to earlier commands are still to come"));
        }
        (self.awaited, self.texts) = (count, texts);
        // Its replies are gone: one of megabytes would keep the room that it took.
        if self.received.is_empty() {
            self.received = BytesMut::new();
        }
        self.transport.write_all(commands).await.map_err(|error| from_io(&error))?;
        self.transport.flush().await.map_err(|error| from_io(&error))
    }

    /// The next reply; the inner failure is the server's error.
    ///
    /// # Errors
    /// Why the connection is of no more use. Not cancel-safe.
    pub(super) async fn receive(&mut self) -> Result<Result<Reply, Failure>, Failure> {
        loop {
            if let Some(reply) = self.framer.next(&mut self.received, self.texts)? {
                self.awaited = self.awaited.saturating_sub(1);
                return Ok(reply);
            }
            if self.received.spare_capacity_mut().len() < READ_BYTES / 4 {
                self.received.reserve(READ_BYTES);
            }
            let read = self.transport.read_buf(&mut self.received).await.map_err(|error| from_io(&error))?;
            if read == 0 {
                return Err(Failure::new(Reason::Closed, "Redis closed the connection"));
            }
        }
    }
}
