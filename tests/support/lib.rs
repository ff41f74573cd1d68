//! What the tests stand on: a real server, the program that ships, and the page that it serves.
#![allow(
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    clippy::panic,
    clippy::unwrap_used,
    missing_docs,
    reason = "a test that meets the unexpected fails, and says where"
)]

mod beside;
mod cluster;
mod cluster_client;
mod needs;
mod page;
mod programs;
mod proxy;
mod redis_server;
mod sentinel;
mod sidecar;

use std::{
    path::Path,
    process::{Child, Command},
    sync::atomic::{AtomicU32, Ordering},
    thread::sleep,
    time::{Duration, Instant},
};

pub use beside::beside;
pub use cluster::{Cluster, NODE_TIMEOUT, SLOTS, Seen};
pub use cluster_client::{ClusterClient, KeyConnection};
pub use needs::{Need, skip};
pub use page::{Labels, Page};
pub use programs::{nexus, program, project};
pub use proxy::{Act, Direction, Proxy};
pub use redis_server::{Redis, command};
pub use sentinel::{SERVICE, Sentinels};
pub use sidecar::{Answer, Sidecar, send};

/// Long enough for a busy machine; a test that waits so long has failed.
pub const DEADLINE: Duration = Duration::from_secs(60);

/// Waits until `ready` gives something, and says what was waited for if it never does.
#[track_caller]
pub fn wait_for<T>(what: &str, ready: impl FnMut() -> Option<T>) -> T {
    wait_at_most(DEADLINE, what, ready)
}

/// The same for what takes longer.
#[track_caller]
#[expect(clippy::disallowed_methods, reason = "tests wait against the clock")]
pub fn wait_at_most<T>(deadline: Duration, what: &str, mut ready: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(result) = ready() {
            return result;
        }
        assert!(started.elapsed() < deadline, "waited in vain for {what}");
        sleep(Duration::from_millis(20));
    }
}

/// Looks again and again, for as long as something might still happen, and fails as soon as it does.
#[track_caller]
#[expect(clippy::disallowed_methods, reason = "tests wait against the clock")]
pub fn stays_so(duration: Duration, what: &str, mut is_so: impl FnMut() -> bool) {
    let started = Instant::now();
    while started.elapsed() < duration {
        assert!(is_so(), "not for {duration:?}: {what}");
        sleep(Duration::from_millis(20));
    }
}

/// Sends a signal to a process that this test started.
pub fn signal(child: &Child, name: &str) {
    let status = Command::new("kill").arg(format!("-{name}")).arg(child.id().to_string()).status().unwrap();
    assert!(status.success(), "kill -{name}");
}

/// A port that nobody listens at. It is given once in a run of ten thousand, and the kernel gives it to nobody who asks for any port
/// (those begin at 32,768). A node of a cluster uses the port that is ten thousand higher as well, which is never one of these.
pub fn free_port() -> u16 {
    const FIRST: u32 = 10_100;
    const COUNT: u32 = 10_000;
    static GIVEN: AtomicU32 = AtomicU32::new(0);
    // Tests that run in another process begin elsewhere.
    let start = std::process::id().wrapping_mul(997);
    let next = || FIRST + start.wrapping_add(GIVEN.fetch_add(1, Ordering::Relaxed)) % COUNT;
    let candidates = std::iter::repeat_with(next).map(|port| u16::try_from(port).unwrap());
    let is_free = |port: &u16| std::net::TcpListener::bind(("127.0.0.1", *port)).is_ok();
    candidates.take(COUNT as usize).find(is_free).expect("one of ten thousand ports is free")
}

/// Reads a text file, of the test, the project or the kernel.
#[expect(clippy::disallowed_methods, reason = "tests read what they know")]
pub fn read(path: impl AsRef<Path>) -> std::io::Result<String> {
    std::fs::read_to_string(path)
}

/// Writes a file of the test's own.
pub fn write(path: &Path, text: &str) {
    std::fs::write(path, text).unwrap();
}
