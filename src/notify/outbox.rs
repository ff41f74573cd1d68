//! The queue between the task that finds changes and the one that sends them.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::queue::Queue;
use crate::self_stats::SelfStats;

/// The changes that wait to be sent. Its metrics follow it.
pub(crate) struct Outbox {
    queue: Mutex<Queue>,
    filled: Notify,
    stats: Arc<SelfStats>,
}

impl Outbox {
    pub(crate) fn new(stats: Arc<SelfStats>) -> Self {
        let run = format!("{:016x}", fastrand::u64(..));
        Self { queue: Mutex::new(Queue::new(run)), filled: Notify::new(), stats }
    }

    /// Puts a change at the end. Returns how many were dropped for it.
    pub(super) fn push(&self, text: String) -> usize {
        let dropped = self.with(|queue| queue.push(text));
        self.stats.notified(SelfStats::DROPPED, dropped);
        self.filled.notify_one();
        dropped
    }

    /// The body of the next attempt. Waits until there is one. Cancel-safe.
    pub(super) async fn next_attempt(&self) -> String {
        loop {
            if let Some(body) = self.with(Queue::next_attempt) {
                return body;
            }
            self.filled.notified().await;
        }
    }

    /// The change of the last attempt is not sent again. Returns its ID.
    pub(super) fn finish(&self, outcome: &str) -> Option<String> {
        self.stats.notified(outcome, 1);
        self.with(Queue::finish)
    }

    /// Drops everything. Returns how many there were.
    pub(super) fn clear(&self) -> usize {
        let dropped = self.with(Queue::clear);
        self.stats.notified(SelfStats::DROPPED, dropped);
        dropped
    }

    /// The number of changes that wait.
    pub(super) fn len(&self) -> usize {
        self.lock().len()
    }

    fn with<T>(&self, act: impl FnOnce(&mut Queue) -> T) -> T {
        let mut queue = self.lock();
        let result = act(&mut queue);
        self.stats.waiting_notifications.set(i64::try_from(queue.len()).unwrap_or(i64::MAX));
        result
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
