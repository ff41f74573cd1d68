//! Reports what steps of retention removed to the polls, which count losses.

use std::time::Duration;

use tokio::{
    sync::{mpsc, watch},
    time::timeout,
};

use crate::model::{Name, Removal};

/// Maximum number of unread reports: more than the steps of a poll interval. Beyond it reports are dropped, and the
/// losses are bounded by readings.
const MOST_UNHEARD: usize = 4_096;
/// Maximum wait for a step. It usually takes milliseconds, and a hanging one must not block polls.
const LONGEST_STEP: Duration = Duration::from_secs(1);

/// The sending end, for retention.
#[derive(Debug)]
pub struct Teller {
    removals: mpsc::Sender<(Name, Removal)>,
    is_at_work: watch::Sender<bool>,
}

/// The receiving end, for polls.
#[derive(Debug)]
pub struct Listener {
    removals: mpsc::Receiver<(Name, Removal)>,
    is_at_work: watch::Receiver<bool>,
}

/// Creates both ends.
#[must_use]
pub fn removals() -> (Teller, Listener) {
    let (sender, heard) = mpsc::channel(MOST_UNHEARD);
    let (work, works) = watch::channel(false);
    (Teller { removals: sender, is_at_work: work }, Listener { removals: heard, is_at_work: works })
}

impl Teller {
    /// Records that a step begins.
    pub fn begin(&self) {
        self.is_at_work.send_replace(true);
    }

    /// Records that the step has ended, and what it removed.
    pub fn end(&self, stream: &Name, removal: Option<&Removal>) {
        if let Some(removal) = removal {
            drop(self.removals.try_send((stream.clone(), removal.clone())));
        }
        self.is_at_work.send_replace(false);
    }
}

impl Listener {
    /// All removals that were not received yet, by steps that the server has completed. Waits for a step in progress.
    /// Cancel-safe.
    pub async fn hear(&mut self) -> Vec<(Name, Removal)> {
        let _over_or_late = timeout(LONGEST_STEP, self.is_at_work.wait_for(|works| !works)).await;
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
        let (teller, mut listener) = removals();
        assert_eq!(listener.hear().await, []);
        teller.begin();
        let step = async { teller.end(&"s".into(), Some(&removal)) };
        let (heard, ()) = tokio::join!(biased; listener.hear(), step);
        assert_eq!(heard, [("s".into(), removal.clone())]);
        // A step that removed nothing has ended too, ...
        teller.begin();
        teller.end(&"s".into(), None);
        let began = clock::now();
        assert_eq!(listener.hear().await, []);
        assert!(clock::now() - began < LONGEST_STEP);
        // ... and a hanging step is not awaited.
        teller.begin();
        assert_eq!(listener.hear().await, []);
        assert!(clock::now() - began >= LONGEST_STEP);
    }
}
