//! A thread for what computes.
//!
//! Reading thousands of streams, judging them and writing their pages takes a good part of a second. Who scrapes, probes
//! or trims meanwhile must not wait for it, so it has a thread and a scheduler of its own. Two schedulers of one thread
//! each cost a small sidecar less than one of two threads, which wake each other. The live view's feed has such a thread
//! too, while it waits for keys.

use std::{io, thread};

use tokio::{
    runtime::{Builder, Handle},
    sync::oneshot,
};

/// The thread; it ends when this is dropped.
pub struct Worker {
    handle: Handle,
    _until_dropped: oneshot::Sender<()>,
}

impl Worker {
    /// Starts it.
    ///
    /// # Errors
    /// Where the system gives no thread or no descriptors.
    pub fn start(name: &str) -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (until_dropped, dropped) = oneshot::channel();
        thread::Builder::new().name(name.to_owned()).spawn(move || {
            // Its sender never sends: it is dropped.
            drop(runtime.block_on(dropped));
        })?;
        Ok(Self { handle, _until_dropped: until_dropped })
    }

    /// Where its tasks are spawned.
    #[must_use]
    pub const fn handle(&self) -> &Handle {
        &self.handle
    }
}
