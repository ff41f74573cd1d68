//! SIGTERM, SIGINT and SIGHUP.

use std::{io, time::Duration};

use futures_util::FutureExt as _;
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    time::sleep,
};

/// What arrives so soon after the first signal is the same wish: `timeout` sends its signal to the program and to the group of processes
/// that it is in, and a terminal interrupts a script that passes it on.
const SAME_WISH: Duration = Duration::from_millis(500);

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

    /// Waits for a signal to stop that is not the one before, and returns its name.
    pub(crate) async fn stop_again(&mut self) -> &'static str {
        sleep(SAME_WISH).await;
        while self.stop().now_or_never().is_some() {}
        self.stop().await
    }
}

/// The signal to reload the configuration.
///
/// # Errors
/// The system can't install a handler.
pub(crate) fn hangup() -> io::Result<Signal> {
    signal(SignalKind::hangup())
}
