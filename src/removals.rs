//! How polls hear what steps of retention removed: who counts losses needs both.

use std::time::Duration;

use tokio::{
    sync::{mpsc, watch},
    time::timeout,
};

use crate::model::{Name, Removal};

/// More than a poll's interval of steps. What does not fit is not told, and then the losses are bounded by readings.
const MOST_UNHEARD: usize = 4_096;
/// A step takes milliseconds. One that hangs may not keep polls waiting.
const LONGEST_STEP: Duration = Duration::from_secs(1);

/// Where steps are told.
#[derive(Debug)]
pub struct Teller {
    removals: mpsc::Sender<(Name, Removal)>,
    is_at_work: watch::Sender<bool>,
}

/// Where they are heard.
#[derive(Debug)]
pub struct Listener {
    removals: mpsc::Receiver<(Name, Removal)>,
    is_at_work: watch::Receiver<bool>,
}

/// Both ends.
#[must_use]
pub fn removals() -> (Teller, Listener) {
    let (sender, heard) = mpsc::channel(MOST_UNHEARD);
    let (work, works) = watch::channel(false);
    (Teller { removals: sender, is_at_work: work }, Listener { removals: heard, is_at_work: works })
}

impl Teller {
    /// A step begins.
    pub fn begin(&self) {
        self.is_at_work.send_replace(true);
    }

    /// It has ended, and removed this.
    pub fn end(&self, stream: &Name, removal: Option<&Removal>) {
        if let Some(removal) = removal {
            drop(self.removals.try_send((stream.clone(), removal.clone())));
        }
        self.is_at_work.send_replace(false);
    }
}

impl Listener {
    /// All that was removed and not heard of yet, by the steps that the server ran until now: one that is under way is
    /// awaited. Cancel-safe.
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
    async fn a_poll_waits_for_a_step_that_is_under_way_but_not_for_ever() {
        let removal = Removal { ever_before: 0, entries: 3, lost: [].into() };
        let (teller, mut listener) = removals();
        assert_eq!(listener.hear().await, []);
        teller.begin();
        let step = async { teller.end(&"s".into(), Some(&removal)) };
        let (heard, ()) = tokio::join!(biased; listener.hear(), step);
        assert_eq!(heard, [("s".into(), removal.clone())]);
        // What removed nothing is over too, ...
        teller.begin();
        teller.end(&"s".into(), None);
        let began = clock::now();
        assert_eq!(listener.hear().await, []);
        assert!(clock::now() - began < LONGEST_STEP);
        // ... and one that hangs is not awaited.
        teller.begin();
        assert_eq!(listener.hear().await, []);
        assert!(clock::now() - began >= LONGEST_STEP);
    }
}
