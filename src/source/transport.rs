//! Opens the transport: TCP, TLS over TCP, or a Unix socket.

use socket2::{SockRef, TcpKeepalive};
use std::{io, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpStream, UnixStream, lookup_host},
    pin,
    task::JoinSet,
    time::timeout,
};

use super::{
    failure::from_io,
    files,
    stream::Transport,
    tls,
    tls_words::{IS_TLS, NOT_TLS},
};
use crate::{
    config::{self, Route},
    model::{Failure, NodeAddress, Reason},
};

/// Opens the transport. Resolves names and reads files each time.
pub(super) async fn open(route: &Route, redis: &config::Redis) -> Result<Transport, Failure> {
    match route {
        Route::Tcp(address) => Ok(Box::new(tcp(address, redis.command_timeout).await?)),
        Route::Tls(address) => {
            let (name, certificates) = (address.host().to_owned(), redis.tls.clone());
            let client =
                files::read(redis.connect_timeout, move || tls::Client::new(&name, &certificates)).await??;
            let handshake = client.handshake(tcp(address, redis.command_timeout).await?);
            pin!(handshake);
            // A Redis without TLS waits for the end of a line, which may never arrive.
            match timeout(redis.connect_timeout / 2, &mut handshake).await {
                Ok(transport) => transport,
                Err(_elapsed) if is_plain(address, redis.connect_timeout).await => {
                    Err(Failure::new(Reason::Tls, NOT_TLS))
                }
                Err(_elapsed) => handshake.await,
            }
        }
        Route::Unix(path) => Ok(Box::new(UnixStream::connect(path).await.map_err(|error| from_io(&error))?)),
    }
}

/// The failure of a login, or a better one if the server speaks TLS and the address does not. Such a server closes the
/// connection at the first command, without a reply.
pub(super) async fn explained(failure: Failure, route: &Route, connect_timeout: Duration) -> Failure {
    let Route::Tcp(address) = route else { return failure };
    if !matches!(failure.reason, Reason::Closed | Reason::Protocol) {
        return failure;
    }
    let hello = tls::hello(address.host()).unwrap_or_default();
    let is_tls = probe(address, &hello, connect_timeout).await.is_some_and(tls::is_record);
    if is_tls { Failure::new(Reason::Tls, IS_TLS) } else { failure }
}

/// Whether the server replies in plain text, as Redis without TLS does.
async fn is_plain(address: &NodeAddress, connect_timeout: Duration) -> bool {
    let answer = probe(address, b"PING\r\n", connect_timeout).await;
    answer.is_some_and(|[first, _]| matches!(first, b'+' | b'-'))
}

/// The first bytes of the reply to `question`, on its own connection. It takes only a part of the time, so that the known
/// failure is still reported.
async fn probe(address: &NodeAddress, question: &[u8], connect_timeout: Duration) -> Option<[u8; 2]> {
    let patience = connect_timeout / 4;
    let ask = async {
        let mut tcp = tcp(address, patience).await.ok()?;
        tcp.write_all(question).await.ok()?;
        let mut answer = [0; 2];
        tcp.read_exact(&mut answer).await.ok().map(|_read| answer)
    };
    timeout(patience, ask).await.ok().flatten()
}

/// Connects to all of the host's addresses at once and takes the first that answers, so that a dead one costs no time.
async fn tcp(address: &NodeAddress, user_timeout: Duration) -> Result<TcpStream, Failure> {
    let addresses = lookup_host((address.host(), address.port())).await;
    let addresses = addresses.map_err(|error| Failure::new(Reason::Dns, error.to_string()))?;
    let mut attempts: JoinSet<io::Result<TcpStream>> = addresses.map(TcpStream::connect).collect();
    let mut failure = Failure::new(Reason::Dns, "the name has no address");
    while let Some(attempt) = attempts.join_next().await {
        match attempt.map_err(io::Error::other).flatten().and_then(|stream| tuned(stream, user_timeout)) {
            Ok(stream) => return Ok(stream),
            Err(error) => failure = from_io(&error),
        }
    }
    Err(failure)
}

/// Lets the system notice a peer that has disappeared, in case our own timeout does not.
fn tuned(stream: TcpStream, user_timeout: Duration) -> io::Result<TcpStream> {
    let keepalive = TcpKeepalive::new()
        .with_time(Duration::from_secs(10))
        .with_interval(Duration::from_secs(5))
        .with_retries(3);
    let socket = SockRef::from(&stream);
    socket.set_tcp_nodelay(true)?;
    socket.set_tcp_keepalive(&keepalive)?;
    socket.set_tcp_user_timeout(Some(user_timeout))?;
    Ok(stream)
}
