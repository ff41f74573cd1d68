//! A peer's program, run for one test.

use std::{
    net::SocketAddr,
    path::PathBuf,
    process::{Child, Command, Stdio},
};

use support::{free_port, send};

/// The path of a program among the test's tools.
#[expect(clippy::disallowed_methods, reason = "where the tools are is the caller's choice")]
pub(crate) fn program(name: &str) -> PathBuf {
    let folder = std::env::var("STREAMWARDEN_TEST_TOOLS")
        .expect("STREAMWARDEN_TEST_TOOLS names the folder with the peers' programs: see make test-peers");
    PathBuf::from(folder).join(name)
}

/// A peer that serves HTTP on a port of its own; it ends with the test.
pub(crate) struct Peer {
    child: Child,
    address: SocketAddr,
}

impl Peer {
    /// Starts a program that takes its address by a flag.
    pub(crate) fn start(name: &str, listen_flag: &str, arguments: &[&str]) -> Self {
        let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let child = Command::new(program(name))
            .arg(format!("{listen_flag}={address}"))
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        Self { child, address }
    }

    /// An answer of status 200; `None` while it does not answer so.
    pub(crate) fn get(&mut self, path: &str) -> Option<String> {
        assert!(self.child.try_wait().unwrap().is_none(), "the peer ended by itself");
        std::net::TcpStream::connect(self.address).ok()?;
        // HTTP 1.0, so that the answer comes in one piece.
        let answer = send(self.address, format!("GET {path} HTTP/1.0\r\n\r\n").as_bytes());
        (answer.status == 200).then(|| answer.text())
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
