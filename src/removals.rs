//! Reports what steps of retention removed to the polls, which count losses.

use std::time::Duration;

use tokio::{
    sync::{mpsc, watch},
    time::timeout,
};

use crate::model::{Name, Removal};

/// Maximum number of removals that polls have not read yet. Retention removes less often within one poll interval. Beyond
/// it a removal is dropped here, and losses of entries are known from readings only, as a lower and an upper bound.
const MAX_UNREAD: usize = 4_096;
/// Maximum wait for a step. It usually takes milliseconds, and a hanging one must not block polls.
const LONGEST_STEP: Duration = Duration::from_secs(1);

/// The sending end, for retention.
#[derive(Debug)]
pub struct RemovalSender {
    removals: mpsc::Sender<(Name, Removal)>,
    is_step_running: watch::Sender<bool>,
}

/// The receiving end, for polls.
#[derive(Debug)]
pub struct RemovalReceiver {
    removals: mpsc::Receiver<(Name, Removal)>,
    is_step_running: watch::Receiver<bool>,
}

/// Creates both ends.
#[must_use]
pub fn channel() -> (RemovalSender, RemovalReceiver) {
    let (removals_in, removals_out) = mpsc::channel(MAX_UNREAD);
    let (running_in, running_out) = watch::channel(false);
    let sender = RemovalSender { removals: removals_in, is_step_running: running_in };
    (sender, RemovalReceiver { removals: removals_out, is_step_running: running_out })
}

impl RemovalSender {
    /// Records that a step begins.
    pub fn begin(&self) {
        self.is_step_running.send_replace(true);
    }

    /// Records that the step has ended, and what it removed.
    pub fn end(&self, stream: &Name, removal: Option<&Removal>) {
        if let Some(removal) = removal {
            drop(self.removals.try_send((stream.clone(), removal.clone())));
        }
        self.is_step_running.send_replace(false);
    }
}

impl RemovalReceiver {
    /// All removals that were not received yet, by steps that the server has completed. Waits for a step in progress.
    /// Cancel-safe.
    pub async fn receive(&mut self) -> Vec<(Name, Removal)> {
        let _ended_or_late =
            timeout(LONGEST_STEP, self.is_step_running.wait_for(|is_running| !is_running)).await;
        std::iter::from_fn(|| self.removals.try_recv().ok()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;

    #[tokio::test]
    async fn a_poll_waits_for_a_step_in_progress_but_not_forever() {
        let removal = Removal { ever_before: 0, entries: 3, lost: [].into() };
        let (sender, mut receiver) = channel();
        assert_eq!(receiver.receive().await, []);
        sender.begin();
        let step = async { sender.end(&"s".into(), Some(&removal)) };
        let (received, ()) = tokio::join!(biased; receiver.receive(), step);
        assert_eq!(received, [("s".into(), removal.clone())]);
        // A step that removed nothing has ended too, ...
        sender.begin();
        sender.end(&"s".into(), None);
        let began = clock::now();
        assert_eq!(receiver.receive().await, []);
        assert!(clock::now() - began < LONGEST_STEP);
        // ... and a hanging step is not awaited.
        sender.begin();
        assert_eq!(receiver.receive().await, []);
        assert!(clock::now() - began >= LONGEST_STEP);
    }
}
