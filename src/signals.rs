//! SIGTERM, SIGINT and SIGHUP.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// The signals that end the process or reload its configuration.
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// Begins to listen.
    ///
    /// # Errors
    /// Where the system lets no handler be set.
    pub fn listen() -> io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    /// Waits for a signal to stop, and gives its name. Cancel-safe.
    pub async fn stop(&mut self) -> &'static str {
        tokio::select! {
            _received = self.terminate.recv() => "SIGTERM",
            _received = self.interrupt.recv() => "SIGINT",
        }
    }
}

/// The signal to load the configuration anew.
///
/// # Errors
/// Where the system lets no handler be set.
pub fn hangup() -> io::Result<Signal> {
    signal(SignalKind::hangup())
}
