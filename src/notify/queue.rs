//! The changes that wait to be sent, in order, up to a limit. Pure.

use std::{collections::VecDeque, mem};

use crate::views::api::{ChangeHead, SCHEMA_VERSION};

/// Changes that wait behind the one that is being sent.
pub(super) const MOST: usize = 1_000;
/// Bytes of all of them: names may be long, and groups many.
const MOST_BYTES: usize = 16 * 1024 * 1024;

/// A change on its way.
#[derive(Debug)]
pub(super) struct Waiting {
    number: u64,
    attempts: u64,
    dropped: u64,
    /// A JSON object, not an empty one.
    text: String,
}

/// Changes in the order in which they were found.
pub(super) struct Queue {
    /// Differs between processes, so that no two changes have the same ID.
    run: String,
    last_number: u64,
    /// The one that is being sent, if any. It is never dropped for a later one, since it may have arrived.
    first: Option<Waiting>,
    behind: VecDeque<Waiting>,
    bytes: usize,
    /// Dropped since the last one in the queue, which happens only if it is empty.
    dropped: u64,
}

impl Queue {
    pub(super) fn new(run: String) -> Self {
        Self { run, last_number: 0, first: None, behind: VecDeque::new(), bytes: 0, dropped: 0 }
    }

    /// Puts a change at the end. Returns how many were dropped for it, the oldest first.
    pub(super) fn push(&mut self, text: String) -> usize {
        self.last_number += 1;
        self.bytes += text.len();
        let dropped = mem::take(&mut self.dropped);
        self.behind.push_back(Waiting { number: self.last_number, attempts: 0, dropped, text });
        let before = self.behind.len();
        while self.behind.len() > MOST || self.bytes > MOST_BYTES {
            let Some(oldest) = self.behind.pop_front() else { break };
            self.bytes -= oldest.text.len();
            let next = self.behind.front_mut().map_or(&mut self.dropped, |next| &mut next.dropped);
            *next += oldest.dropped + 1;
        }
        before - self.behind.len()
    }

    /// The body of the next attempt: of the same change until [`Self::finish`], then of the next one. `None` if nothing waits.
    pub(super) fn next_attempt(&mut self) -> Option<String> {
        if self.first.is_none() {
            self.first = self.behind.pop_front();
            self.bytes -= self.first.as_ref()?.text.len();
        }
        let first = self.first.as_mut()?;
        first.attempts += 1;
        let id = id(&self.run, first);
        let (attempt, dropped) = (first.attempts, first.dropped);
        let head = ChangeHead { schema_version: SCHEMA_VERSION, id: &id, attempt, dropped };
        let head = serde_json::to_string(&head).ok()?;
        // Two objects as one: the second was written when the change was found, the first differs at each attempt.
        Some(format!("{},{}", head.strip_suffix('}')?, first.text.strip_prefix('{')?))
    }

    /// The change of the last attempt is not sent again. Returns its ID.
    pub(super) fn finish(&mut self) -> Option<String> {
        self.first.take().map(|first| id(&self.run, &first))
    }

    /// Drops everything, which the next change counts. Returns how many there were.
    pub(super) fn clear(&mut self) -> usize {
        let cleared = self.len();
        let all = self.first.take().into_iter().chain(self.behind.drain(..));
        self.dropped += all.map(|it| it.dropped + 1).sum::<u64>();
        self.bytes = 0;
        cleared
    }

    /// The number of changes, with the one that is being sent.
    pub(super) fn len(&self) -> usize {
        self.behind.len() + usize::from(self.first.is_some())
    }
}

fn id(run: &str, change: &Waiting) -> String {
    format!("{run}-{}", change.number)
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn next(queue: &mut Queue) -> Value {
        serde_json::from_str(&queue.next_attempt().unwrap()).unwrap()
    }

    fn filled(changes: usize) -> Queue {
        let mut queue = Queue::new("run".to_owned());
        let dropped: usize = (1..=changes).map(|change| queue.push(format!("{{\"change\":{change}}}"))).sum();
        assert_eq!(dropped, changes.saturating_sub(MOST));
        queue
    }

    #[test]
    fn a_change_keeps_its_id_until_it_is_finished_and_each_attempt_has_its_number() {
        let mut queue = filled(2);
        let attempt = |id: &str, attempt: u64, change: u64| serde_json::json!({"schema_version": 1, "id": id, "attempt": attempt, "dropped": 0, "change": change});
        assert_eq!(next(&mut queue), attempt("run-1", 1, 1));
        assert_eq!(next(&mut queue), attempt("run-1", 2, 1));
        queue.finish();
        assert_eq!(next(&mut queue), attempt("run-2", 1, 2));
        queue.finish();
        assert_eq!((queue.next_attempt(), queue.len(), queue.bytes), (None, 0, 0));
    }

    #[test]
    fn the_oldest_of_too_many_are_dropped_and_the_next_one_counts_them() {
        let mut queue = filled(MOST + 3);
        let first = next(&mut queue);
        assert_eq!((&first["change"], &first["dropped"], queue.len()), (&4.into(), &3.into(), MOST));
        // One is being sent: it stays, whatever comes.
        for change in 0..5 {
            queue.push(format!("{{\"change\":\"later {change}\"}}"));
        }
        assert_eq!(queue.len(), MOST + 1);
        assert_eq!((&next(&mut queue)["id"], &next(&mut queue)["attempt"]), (&first["id"], &3.into()));
        queue.finish();
        let second = next(&mut queue);
        assert_eq!((&second["change"], &second["dropped"]), (&9.into(), &4.into()));
        queue.finish();
        assert_eq!(next(&mut queue)["dropped"], 0);
    }

    #[test]
    fn their_bytes_are_limited_too() {
        let mut queue = filled(1);
        let large = format!("{{\"text\":\"{}\"}}", "x".repeat(MOST_BYTES));
        assert_eq!((queue.push(large), queue.len(), queue.bytes), (2, 0, 0), "it does not fit at all");
        queue.push("{\"change\":3}".to_owned());
        let third = next(&mut queue);
        assert_eq!((&third["id"], &third["dropped"]), (&"run-3".into(), &2.into()));
    }

    #[test]
    fn after_all_are_dropped_no_id_is_used_again() {
        let mut queue = filled(3);
        next(&mut queue);
        assert_eq!((queue.clear(), queue.len()), (3, 0));
        queue.push("{\"change\":4}".to_owned());
        let fourth = next(&mut queue);
        assert_eq!((&fourth["id"], &fourth["dropped"]), (&"run-4".into(), &3.into()));
    }
}
