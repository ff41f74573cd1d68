//! One request over HTTP/1.1 on a connection of its own.

use std::pin::pin;

use bytes::Bytes;
use http_body_util::Full;
use hyper::{Request, Response, body::Incoming, client::conn::http1};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use url::Url;

/// The host and the port of an `http` or `https` address, to connect to.
pub(crate) fn endpoint(url: &Url) -> (&str, u16) {
    let host = url.host_str().unwrap_or_default();
    (host.trim_start_matches('[').trim_end_matches(']'), url.port_or_known_default().unwrap_or(80))
}

/// The same, as the header `host` has it.
pub(crate) fn host_header(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

/// Sends a request, and lets `take` read the answer while the connection is open.
///
/// # Errors
/// The connection was closed, or what was received is not HTTP. The error has nothing of the request.
pub(crate) async fn exchange<T>(
    connection: impl AsyncRead + AsyncWrite + Unpin,
    request: Request<Full<Bytes>>,
    take: impl AsyncFnOnce(Response<Incoming>) -> hyper::Result<T>,
) -> hyper::Result<T> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(connection)).await?;
    let mut exchange = pin!(async {
        let answer = sender.send_request(request).await?;
        take(answer).await
    });
    tokio::select! {
        taken = &mut exchange => taken,
        // Many servers close the connection behind their answer, which may not be read yet. Without an answer the exchange
        // fails by itself.
        _closed = connection => exchange.await,
    }
}
