//! A thread with a runtime of its own, for computations.
//!
//! Reading thousands of streams, judging them and rendering their pages takes a good part of a second. Scrapes,
//! probes and trims must not wait for that. Two runtimes with one thread each cost a small sidecar less than one
//! runtime with two threads, which wake each other. The live view's feed also runs on such a thread, while the main
//! one waits for keys.

use std::{io, thread};

use tokio::{
    runtime::{Builder, Handle},
    sync::oneshot,
};

/// The thread. It ends when this is dropped.
pub struct Worker {
    handle: Handle,
    _until_dropped: oneshot::Sender<()>,
}

impl Worker {
    /// Starts the thread.
    ///
    /// # Errors
    /// The system is out of threads or file descriptors.
    pub fn start(name: &str) -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (until_dropped, dropped) = oneshot::channel();
        thread::Builder::new().name(name.to_owned()).spawn(move || {
            // The sender never sends: this ends when it is dropped.
            drop(runtime.block_on(dropped));
        })?;
        Ok(Self { handle, _until_dropped: until_dropped })
    }

    /// Spawns tasks on the thread.
    #[must_use]
    pub const fn handle(&self) -> &Handle {
        &self.handle
    }
}
