//! SIGTERM, SIGINT and SIGHUP.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// The signals that stop the process.
pub(crate) struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// Installs the handlers.
    ///
    /// # Errors
    /// The system can't install a handler.
    pub(crate) fn listen() -> io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    /// Waits for a signal to stop, and returns its name. Cancel-safe.
    pub(crate) async fn stop(&mut self) -> &'static str {
        tokio::select! {
            _received = self.terminate.recv() => "SIGTERM",
            _received = self.interrupt.recv() => "SIGINT",
        }
    }
}

/// The signal to reload the configuration.
///
/// # Errors
/// The system can't install a handler.
pub(crate) fn hangup() -> io::Result<Signal> {
    signal(SignalKind::hangup())
}
