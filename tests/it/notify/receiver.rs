//! A receiver of webhooks that keeps what it receives, and answers as a test wants it.

use std::{
    collections::VecDeque,
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread::spawn,
};

use serde_json::Value as Json;
use tokio_rustls::rustls::{ServerConfig, ServerConnection, StreamOwned};

use support::wait_for;

/// How it answers.
#[derive(Debug, Clone, Copy)]
pub(super) enum Answer {
    Status(u16),
    /// Never, until the client closes the connection.
    Never,
}

/// A request as it arrived.
#[derive(Debug, Clone)]
pub(super) struct Request {
    pub(super) head: String,
    pub(super) body: Json,
}

impl Request {
    pub(super) fn id(&self) -> &str {
        self.body["id"].as_str().unwrap()
    }

    pub(super) fn attempt(&self) -> u64 {
        self.body["attempt"].as_u64().unwrap()
    }
}

/// Listens until the test ends.
#[derive(Clone)]
pub(super) struct Receiver {
    port: u16,
    received: Arc<Mutex<Vec<Request>>>,
    answers: Arc<Mutex<VecDeque<Answer>>>,
}

impl Receiver {
    /// Answers 204 once these answers are used up.
    pub(super) fn start(port: u16, answers: &[Answer], tls: Option<Arc<ServerConfig>>) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let answers = Arc::new(Mutex::new(answers.iter().copied().collect()));
        let receiver = Self { port, received: Arc::default(), answers };
        let accepting = receiver.clone();
        spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (receiver, tls) = (accepting.clone(), tls.clone());
                spawn(move || match tls {
                    None => receiver.serve(stream),
                    Some(tls) => {
                        receiver.serve(StreamOwned::new(ServerConnection::new(tls).unwrap(), stream))
                    }
                });
            }
        });
        receiver
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    /// Everything that has arrived.
    pub(super) fn received(&self) -> Vec<Request> {
        self.received.lock().unwrap().clone()
    }

    /// Waits until so many requests have arrived.
    #[track_caller]
    pub(super) fn wait(&self, requests: usize) -> Vec<Request> {
        wait_for(&format!("{requests} requests"), || Some(self.received()).filter(|it| it.len() >= requests))
    }

    fn serve(&self, stream: impl Read + Write) {
        let mut stream = BufReader::new(stream);
        // A client that does not trust the certificate sends nothing.
        let Some(request) = read(&mut stream) else { return };
        self.received.lock().unwrap().push(request);
        let answer = self.answers.lock().unwrap().pop_front().unwrap_or(Answer::Status(204));
        match answer {
            Answer::Status(status) => {
                // Without a length: the end of the connection is the end of the answer, as old servers do it.
                let answer = format!("HTTP/1.0 {status} X\r\nlocation: http://127.0.0.1:9/\r\n\r\n");
                drop(stream.get_mut().write_all(answer.as_bytes()).and_then(|()| stream.get_mut().flush()));
            }
            Answer::Never => drop(stream.read(&mut [0])),
        }
    }
}

fn read(stream: &mut impl BufRead) -> Option<Request> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if stream.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "))?.parse().ok()?;
    let mut body = vec![0; length];
    stream.read_exact(&mut body).ok()?;
    Some(Request { head, body: serde_json::from_slice(&body).ok()? })
}

/// That a client has connected, without an answer.
pub(super) fn has_client(listener: &TcpListener) -> bool {
    listener.set_nonblocking(true).unwrap();
    listener.accept().map(|(client, _): (TcpStream, _)| drop(client)).is_ok()
}
