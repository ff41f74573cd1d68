//! How long another client waits while a stream is trimmed by one `XTRIM MAXLEN` and by `streamwarden trim`, on the
//! same data in one run. Starts its own server and stops it.
//!
//! `cargo bench --bench stall -- [entries]` trims 10,000,000 entries by default to 100,000.
#![allow(
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::unwrap_used,
    missing_docs,
    reason = "a benchmark reads the clock, prints, and fails loudly"
)]

use std::{
    process::{Child, Command, Stdio},
    thread::sleep,
    time::Duration,
};

use redis::{Connection, cmd};
use support::beside;

const KEPT: u64 = 100_000;
/// Runs inside the server: over a connection it would take minutes.
const FILL: &str = "for _ = 1, ARGV[1] do redis.call('XADD', KEYS[1], '*', 'f', 'v') end";
const FILLED_AT_ONCE: u64 = 20_000;

struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

fn main() {
    let entries = std::env::args().find_map(|argument| argument.parse().ok()).unwrap_or(10_000_000_u64);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    drop(listener);
    let arguments = ["--port", &port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"];
    let _server = Server(Command::new("redis-server").args(arguments).stdout(Stdio::null()).spawn().unwrap());
    let uri = format!("redis://127.0.0.1:{port}");
    sleep(Duration::from_secs(1));
    let connect = || redis::Client::open(uri.as_str()).unwrap().get_connection().unwrap();

    let mut connection = connect();
    println!("| {entries} entries to {KEPT} | took | another client's longest wait | its 99th percentile |");
    println!("|---|---|---|---|");
    let row = |name: &str, (took, waits): (Duration, Vec<Duration>)| {
        let p99 = waits[waits.len() * 99 / 100];
        println!("| {name} | {took:.1?} | {:.2?} | {p99:.2?} |", waits.last().unwrap());
    };
    row("nothing, for a second", beside(connect(), || sleep(Duration::from_secs(1))));
    fill(&mut connection, entries);
    row(
        "`streamwarden trim`",
        beside(connect(), || {
            let trim = ["trim", "s", "--yes", "--max-length", &KEPT.to_string()];
            let output = Command::new(support::program()).args(trim).env("REDIS_URI", &uri).output().unwrap();
            assert!(output.status.success(), "{output:?}");
        }),
    );
    let left: u64 = cmd("XLEN").arg("s").query(&mut connection).unwrap();
    assert!(left < KEPT + 100, "{left}");
    fill(&mut connection, entries);
    row(
        "`XTRIM s MAXLEN`",
        beside(connect(), || {
            let mut connection = connect();
            cmd("XTRIM").arg("s").arg("MAXLEN").arg(KEPT).query::<u64>(&mut connection).unwrap();
        }),
    );
}

fn fill(connection: &mut Connection, entries: u64) {
    cmd("DEL").arg("s").query::<u64>(connection).unwrap();
    for _ in 0..entries / FILLED_AT_ONCE {
        cmd("EVAL").arg(FILL).arg(1).arg("s").arg(FILLED_AT_ONCE).query::<()>(connection).unwrap();
    }
}
