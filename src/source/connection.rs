//! Sends commands to Redis in one piece, and receives replies one by one.

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

/// Room for one read: the replies for about twenty streams.
const READ_BYTES: usize = 64 * 1024;

/// An open connection.
pub(super) struct Connection {
    transport: Transport,
    received: BytesMut,
    framer: Framer,
    /// Replies that are still to come.
    awaited: usize,
    /// Whether a byte has arrived since commands were last sent.
    has_heard: bool,
}

/// State of a connection on which no reply is awaited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Look {
    /// Open, as far as is known.
    Silent,
    /// Closed by the other side, or given up by the system.
    Closed,
}

impl Connection {
    pub(super) fn new(transport: Transport) -> Self {
        Self { transport, received: BytesMut::new(), framer: Framer::default(), awaited: 0, has_heard: false }
    }

    /// Sends `count` commands, while the caller still awaits `behind` replies to earlier ones.
    ///
    /// # Errors
    /// Why the connection can no longer be used. Not cancel-safe.
    pub(super) async fn send(&mut self, commands: &[u8], count: usize, behind: usize) -> Result<(), Failure> {
        if self.awaited != behind {
            // A caller gave up. The replies to its commands would be taken for replies to these.
            return Err(Failure::new(Reason::Closed, "replies to earlier commands have not arrived yet"));
        }
        (self.awaited, self.has_heard) = (behind + count, false);
        // Otherwise a reply of megabytes would keep its memory.
        if self.received.is_empty() {
            self.received = BytesMut::new();
        }
        self.transport.write_all(commands).await.map_err(|error| from_io(&error))?;
        self.transport.flush().await.map_err(|error| from_io(&error))
    }

    /// The next reply; the inner failure is the server's error. `texts` says whether long strings in it are kept.
    ///
    /// # Errors
    /// Why the connection can no longer be used. Not cancel-safe.
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

    /// Whether a byte has arrived since commands were last sent.
    pub(super) const fn has_heard(&self) -> bool {
        self.has_heard
    }

    /// Looks for bytes that nobody asked for, without waiting. RESP3 lets a server push messages; these are skipped.
    ///
    /// # Errors
    /// [`Reason::Protocol`]: an unexpected reply arrived. Earlier replies may belong to other commands.
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
        // A push, or a part of one.
        if reply.is_none() && self.received.first().is_none_or(|kind| *kind == b'>') {
            return Ok(());
        }
        Err(Failure::new(
            Reason::Protocol,
            "unexpected reply: no command awaits one; the server may have sent one twice",
        ))
    }
}
