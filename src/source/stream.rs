//! What commands go through: bytes both ways, plain or encrypted.

use tokio::io::{AsyncRead, AsyncWrite};

/// Bytes both ways.
pub(super) trait Bytes: AsyncRead + AsyncWrite + Send + Sync + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Sync + Unpin> Bytes for T {}

/// An open one, whichever it is.
pub(super) type Transport = Box<dyn Bytes>;
