//! Notices when a search finds far fewer streams than earlier ones. A server that was flushed or restarted empty answers like any
//! other, and streams that are gone have no series that could alert.
//!
//! This is for the log and for the faults that the page and `status` show. Alerts use Prometheus, whose memory also survives the sidecar.

use std::{collections::VecDeque, time::Duration};

use tracing::{info, warn};

use crate::{clock::Instant, config::Fewer};

/// How far back it looks, like the alert.
const WINDOW: Duration = Duration::from_secs(6 * 60 * 60);
/// The window is kept as the maxima of so many parts.
const PARTS: u32 = 24;

/// What the searches of the last hours found.
#[derive(Debug, Default)]
pub(super) struct Finds {
    /// When a part of the window began, and the most that was found in it; the oldest first.
    most: VecDeque<(Instant, usize)>,
    is_low: bool,
}

impl Finds {
    /// Takes the result of a search. Says and logs if it is less than half of the most within the window, and logs the recovery.
    pub(super) fn note(&mut self, found: usize, at: Instant) -> Option<Fewer> {
        let before = self.take(found, at);
        let is_low = found < before.div_ceil(2);
        match (std::mem::replace(&mut self.is_low, is_low), is_low) {
            (false, true) => warn!(
                found,
                before,
                "the search finds far fewer streams than before: was the database flushed, or did Redis restart empty?"
            ),
            (true, false) => info!(found, "the search finds as many streams as before"),
            _ => {}
        }
        is_low.then_some(Fewer { found, before, within: WINDOW })
    }

    /// The most that was found within the window, this search included.
    fn take(&mut self, found: usize, at: Instant) -> usize {
        self.most.retain(|(since, _)| at - *since <= WINDOW);
        match self.most.back_mut().filter(|(since, _)| at - *since < WINDOW / PARTS) {
            Some((_, most)) => *most = found.max(*most),
            None => self.most.push_back((at, found)),
        }
        self.most.iter().map(|(_, most)| *most).max().unwrap_or(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;

    #[test]
    fn less_than_half_of_what_was_found_within_the_window_is_far_fewer() {
        let (mut finds, start) = (Finds::default(), clock::now());
        let minute = Duration::from_secs(60);
        let mut is_low = |minutes: u32, found| {
            let fewer = finds.note(found, start + minutes * minute);
            assert!(finds.most.len() <= 1 + PARTS as usize);
            assert!(fewer.is_none_or(|it| it.found == found && it.before > 2 * found));
            fewer.is_some()
        };
        for (minutes, found, low) in
            [(0, 0, false), (1, 100, false), (2, 50, false), (3, 49, true), (4, 0, true), (300, 0, true)]
        {
            assert_eq!(is_low(minutes, found), low, "{found} after {minutes} minutes");
        }
        assert!(!is_low(301, 50), "it recovers");
        assert!(is_low(302, 1));
        assert!((303..1_000).any(|minutes| !is_low(minutes, 1)), "after hours it is how things are");
    }

    #[test]
    fn one_of_one_is_far_fewer_too() {
        let (mut finds, at) = (Finds::default(), clock::now());
        assert_eq!(finds.note(1, at), None);
        assert_eq!(finds.note(0, at), Some(Fewer { found: 0, before: 1, within: WINDOW }));
    }
}
