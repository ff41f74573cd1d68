//! What goes on beside a test until it is stopped: the example application, and readers of the test's own.

use std::{
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

/// Something that is done again and again.
pub(crate) struct Activity {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Activity {
    pub(crate) fn start(every: Duration, mut act: impl FnMut() + Send + 'static) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                act();
                thread::sleep(every);
            }
        });
        Self { stop, thread: Some(thread) }
    }
}

impl Drop for Activity {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        drop(self.thread.take().map(JoinHandle::join));
    }
}

/// The example application.
pub(crate) struct Nexus(Child);

impl Nexus {
    pub(crate) fn start(uri: &str, arguments: &[&str]) -> Self {
        let mut command = Command::new(support::nexus());
        command.args(arguments).env("REDIS_URI", uri);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        Self(command.spawn().unwrap())
    }

    pub(crate) fn signal(&self, name: &str) {
        support::signal(&self.0, name);
    }
}

impl Drop for Nexus {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// A command of Redis, given as words.
pub(crate) fn command(words: &str) -> redis::Cmd {
    let mut command = redis::Cmd::new();
    words.split_whitespace().for_each(|word| {
        command.arg(word);
    });
    command
}
