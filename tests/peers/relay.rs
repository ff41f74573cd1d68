//! Between a scraper and the sidecar: sees what the one asks and the other answers, and may ask for the text format
//! in the scraper's place, which older versions of Prometheus cannot be told to do.

use std::{
    io::{BufRead, BufReader, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex},
};

use support::send;

/// Whose wish decides the format.
#[derive(Clone, Copy)]
pub(crate) enum Accept {
    AsAsked,
    Text,
}

/// Listens until the test ends.
pub(crate) struct Relay {
    pub(crate) address: SocketAddr,
    seen: Arc<Mutex<Option<(String, String)>>>,
}

impl Relay {
    pub(crate) fn start(sidecar: SocketAddr, accept: Accept) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(None));
        let last = Arc::clone(&seen);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                pass_on(stream.unwrap(), sidecar, accept, &last);
            }
        });
        Self { address, seen }
    }

    /// The last request's `Accept` and its answer's `Content-Type`.
    pub(crate) fn seen(&self) -> Option<(String, String)> {
        self.seen.lock().unwrap().clone()
    }
}

fn pass_on(
    mut scraper: TcpStream,
    sidecar: SocketAddr,
    accept: Accept,
    seen: &Mutex<Option<(String, String)>>,
) {
    let lines = BufReader::new(&scraper).lines().map_while(Result::ok);
    let head: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
    let header = |name: &str| {
        let pair = head.iter().filter_map(|line| line.split_once(": "));
        pair.into_iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map_or("", |(_, value)| value)
    };
    let asked = match accept {
        Accept::AsAsked => header("accept"),
        Accept::Text => "text/plain; version=0.0.4",
    };
    let request = format!(
        "GET /metrics HTTP/1.1\r\nhost: test\r\nconnection: close\r\naccept: {asked}\r\naccept-encoding: {}\r\n\r\n",
        header("accept-encoding"),
    );
    let answer = send(sidecar, request.as_bytes());
    *seen.lock().unwrap() = Some((asked.to_owned(), answer.header("content-type").unwrap_or_default()));
    // A scraper that has gone away hears nothing.
    drop(scraper.write_all(format!("{}\r\n\r\n", answer.head.replace('\n', "\r\n")).as_bytes()));
    drop(scraper.write_all(&answer.body));
}
