//! Bytes to and from Redis: commands out in one piece, replies in one by one.

use std::{
    pin::pin,
    task::{Context, Poll, Waker},
};

use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{
    failure::{closed, from_io},
    resp::{Framer, Reply, Texts},
    stream::Transport,
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
    /// Whether a byte came since commands were last sent.
    has_heard: bool,
}

/// What a look at a connection on which nothing is awaited shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Look {
    /// It is open, as far as is known.
    Silent,
    /// The other side has closed it, or the system has given it up.
    Closed,
}

impl Connection {
    pub(super) fn new(transport: Transport) -> Self {
        Self { transport, received: BytesMut::new(), framer: Framer::default(), awaited: 0, has_heard: false }
    }

    /// Sends so many commands, while the caller still awaits `behind` replies to earlier ones.
    ///
    /// # Errors
    /// Why the connection is of no more use. Not cancel-safe.
    pub(super) async fn send(&mut self, commands: &[u8], count: usize, behind: usize) -> Result<(), Failure> {
        if self.awaited != behind {
            // A caller gave up: the replies that it left would be taken for the next ones.
            return Err(Failure::new(Reason::Closed, "replies to earlier commands are still to come"));
        }
        (self.awaited, self.has_heard) = (behind + count, false);
        // Its replies are gone: one of megabytes would keep the room that it took.
        if self.received.is_empty() {
            self.received = BytesMut::new();
        }
        self.transport.write_all(commands).await.map_err(|error| from_io(&error))?;
        self.transport.flush().await.map_err(|error| from_io(&error))
    }

    /// The next reply; the inner failure is the server's error. `texts` is what becomes of long texts in it.
    ///
    /// # Errors
    /// Why the connection is of no more use. Not cancel-safe.
    pub(super) async fn receive(&mut self, texts: Texts) -> Result<Result<Reply, Failure>, Failure> {
        loop {
            if let Some(reply) = self.framer.next(&mut self.received, texts)? {
                self.awaited = self.awaited.saturating_sub(1);
                return Ok(reply);
            }
            if self.received.spare_capacity_mut().len() < READ_BYTES / 4 {
                self.received.reserve(READ_BYTES);
            }
            let read = self.transport.read_buf(&mut self.received).await.map_err(|error| from_io(&error))?;
            if read == 0 {
                return Err(closed());
            }
            self.has_heard = true;
        }
    }

    /// Replies that are still to come.
    pub(super) const fn awaited(&self) -> usize {
        self.awaited
    }

    /// Whether anything came since commands were last sent.
    pub(super) const fn has_heard(&self) -> bool {
        self.has_heard
    }

    /// Looks at what has come unasked, without waiting. RESP3 lets a server push messages; they are passed over.
    ///
    /// # Errors
    /// [`Reason::Protocol`]: what came is a reply, and nobody knows to what. The ones before it may be in the wrong places.
    pub(super) fn look(&mut self) -> Result<Look, Failure> {
        loop {
            self.refuse_replies()?;
            let read = pin!(self.transport.read_buf(&mut self.received));
            match read.poll(&mut Context::from_waker(Waker::noop())) {
                Poll::Pending => return Ok(Look::Silent),
                Poll::Ready(Ok(0) | Err(_)) => return Ok(Look::Closed),
                Poll::Ready(Ok(_)) => {}
            }
        }
    }

    fn refuse_replies(&mut self) -> Result<(), Failure> {
        let reply = self.framer.next(&mut self.received, Texts::Sizes)?;
        // All of a push, or a part of one.
        if reply.is_none() && self.received.first().is_none_or(|kind| *kind == b'>') {
            return Ok(());
        }
        Err(Failure::new(Reason::Protocol, "a reply came that answers nothing, as if one was sent twice"))
    }
}
