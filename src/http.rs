//! The HTTP server: an accept loop and its limits, so that slow or greedy clients do no harm.

mod acts;
mod answer;
mod api;
mod asked;
mod attempts;
mod body;
mod gate;
mod metrics;
mod negotiate;
#[cfg(feature = "schema")]
pub mod openapi;
mod pending;
mod probes;
mod query;
mod routes;
mod server_state;
mod trim;
mod web;

use std::{
    convert::Infallible,
    io,
    net::{IpAddr, SocketAddr},
    pin::pin,
    sync::Arc,
    time::Duration,
};

use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{sleep, timeout},
};
use tokio_io_timeout::TimeoutStream;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use crate::outage::{News, Outage};

pub use routes::{Methods, ROUTES, Route};
pub use server_state::{Documents, Fingerprint, Gate, ServerState, Trims};

/// Connections at once. Prometheus pairs, probes and people need a handful.
const MAX_CONNECTIONS: u32 = 128;
/// For receiving a request's head, and for the next request on a kept connection.
const HEADER_TIMEOUT: Duration = Duration::from_secs(5);
/// Without the client reading a byte of a response.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);
/// A connection older than this is closed after the response in flight.
const CONNECTION_LIFETIME: Duration = Duration::from_secs(5 * 60);
/// For the last response of a connection that is to be closed.
const LAST_RESPONSE: Duration = Duration::from_secs(60);
/// Request head and the buffer it is read into.
const MAX_HEAD_BYTES: usize = 16 * 1024;
const MAX_HEADERS: usize = 64;
/// After an error of `accept`, as when descriptors run out: long enough not to spin, short enough not to be noticed.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// For responses in flight when the server stops.
const DRAIN: Duration = Duration::from_secs(2);

/// A server that listens.
pub struct Server {
    listener: TcpListener,
    state: Arc<ServerState>,
}

impl Server {
    /// Binds the address.
    ///
    /// # Errors
    /// The system's, as when the port is taken.
    pub async fn bind(address: SocketAddr, state: ServerState) -> io::Result<Self> {
        Ok(Self { listener: TcpListener::bind(address).await?, state: Arc::new(state) })
    }

    /// The address that it listens on; where port 0 is configured, with the port that the system chose.
    ///
    /// # Errors
    /// The system's.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until `stop` is cancelled, then finishes the responses in flight.
    pub async fn run(self, stop: CancellationToken) {
        let places = Arc::new(Semaphore::new(MAX_CONNECTIONS as usize));
        let mut outage = Outage::default();
        loop {
            let accepted = tokio::select! {
                accepted = self.listener.accept() => accepted,
                () = stop.cancelled() => break,
            };
            match accepted {
                Ok((stream, peer)) => {
                    if let Some(News::Recovered { failures, .. }) = outage.note_reason(None) {
                        info!(failures, "connections are accepted again");
                    }
                    self.take(stream, peer.ip(), &places, &stop);
                }
                Err(error) => {
                    let detail = error.to_string();
                    if outage.note_reason(Some(("accept", &detail))).is_some() {
                        warn!(detail, "no connections can be accepted");
                    }
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
        drop(self.listener);
        // All permits are back when the last connection has ended.
        if timeout(DRAIN, places.acquire_many(MAX_CONNECTIONS)).await.is_err() {
            warn!("responses in flight were cut off");
        }
    }

    fn take(&self, stream: TcpStream, peer: IpAddr, places: &Arc<Semaphore>, stop: &CancellationToken) {
        let Ok(place) = Arc::clone(places).try_acquire_owned() else {
            self.state.stats.rejected_connections.inc();
            reject(&stream);
            return;
        };
        // Not a supervised task: it ends in bounded time, and `run` waits for it.
        tokio::spawn(serve(stream, peer, Arc::clone(&self.state), stop.clone(), place));
    }
}

/// Serves one connection, until it has ended, is too old, or the server stops.
async fn serve(
    stream: TcpStream,
    peer: IpAddr,
    state: Arc<ServerState>,
    stop: CancellationToken,
    _place: OwnedSemaphorePermit,
) {
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(WRITE_TIMEOUT));
    let answer = service_fn(move |request| {
        let answer = routes::answer(Arc::clone(&state), peer, request);
        async { Ok::<_, Infallible>(answer.await) }
    });
    let mut connection = pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEADER_TIMEOUT)
            .max_buf_size(MAX_HEAD_BYTES)
            .max_headers(MAX_HEADERS)
            .serve_connection(TokioIo::new(Box::pin(stream)), answer)
    );
    let early = tokio::select! {
        ended = connection.as_mut() => Some(ended),
        () = stop.cancelled() => None,
        () = sleep(CONNECTION_LIFETIME) => None,
    };
    let ended = match early {
        Some(ended) => Ok(ended),
        None => {
            connection.as_mut().graceful_shutdown();
            timeout(LAST_RESPONSE, connection).await
        }
    };
    match ended {
        Ok(Ok(())) => {}
        Ok(Err(error)) => debug!(%error, "a connection ended early"),
        Err(elapsed) => debug!(%elapsed, "the last response of a connection took too long"),
    }
}

/// Sends a refusal without waiting: a full server has no time for a slow client.
fn reject(stream: &TcpStream) {
    let refusal = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    if let Err(error) = stream.try_write(refusal) {
        debug!(%error, "a connection was refused without an answer");
    }
}
