//! Decides which results of repeated attempts are logged: the first failure and the recovery, not the failures
//! between.

use std::collections::BTreeSet;

use crate::model::{Failure, Text};

/// Maximum number of details that are logged for one reason, since some differ each time.
const DETAILS: usize = 10;

/// The state of something that is attempted again and again.
#[derive(Debug, Default)]
pub struct Outage(Option<Failures>);

/// Consecutive failures for one reason.
#[derive(Debug, Default)]
struct Failures {
    reason: &'static str,
    count: u64,
    /// The details that were logged.
    details: BTreeSet<Text>,
}

/// A change that is worth a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum News {
    /// The first failure, or the first for another reason or with another detail.
    Failed,
    /// The recovery.
    Recovered {
        /// The reason of the last failures.
        after: &'static str,
        /// Number of consecutive failures for that reason.
        failures: u64,
    },
}

impl Outage {
    /// Records the result of an attempt: its failure, if it failed.
    pub fn note(&mut self, failure: Option<&Failure>) -> Option<News> {
        self.note_reason(failure.map(|failure| (failure.reason.as_str(), &*failure.detail)))
    }

    /// The same for failures of something other than Redis.
    pub fn note_reason(&mut self, failure: Option<(&'static str, &str)>) -> Option<News> {
        let Some((reason, detail)) = failure else {
            let failures = self.0.take()?;
            return Some(News::Recovered { after: failures.reason, failures: failures.count });
        };
        let failures = self.0.get_or_insert_default();
        if failures.reason != reason {
            *failures = Failures { reason, ..Failures::default() };
        }
        failures.count += 1;
        let is_new = failures.details.len() < DETAILS && failures.details.insert(detail.into());
        is_new.then_some(News::Failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Reason;

    #[test]
    fn the_first_failure_each_different_one_and_the_recovery_are_logged() {
        let mut outage = Outage::default();
        let mut note = |failure: Option<(Reason, &str)>| {
            let failure = failure.map(|(reason, detail)| Failure::new(reason, detail));
            outage.note(failure.as_ref())
        };
        assert_eq!(note(None), None, "nothing has failed yet");
        assert_eq!(note(Some((Reason::Timeout, "a"))), Some(News::Failed));
        assert_eq!(note(Some((Reason::Timeout, "a"))), None);
        assert_eq!(note(Some((Reason::Timeout, "b"))), Some(News::Failed), "another detail");
        assert_eq!(note(None), Some(News::Recovered { after: "timeout", failures: 3 }));
        assert_eq!(note(None), None);
        assert_eq!(note(Some((Reason::Timeout, "a"))), Some(News::Failed), "it fails once more");
        assert_eq!(note(Some((Reason::Loading, "a"))), Some(News::Failed), "another reason");
        for detail in 0..2 * DETAILS {
            note(Some((Reason::Loading, &detail.to_string())));
        }
        assert_eq!(note(Some((Reason::Loading, "that differs each time"))), None);
        let failures = 2 + 2 * DETAILS as u64;
        assert_eq!(note(None), Some(News::Recovered { after: "loading", failures }));
    }
}
