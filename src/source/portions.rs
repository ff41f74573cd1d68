//! How much to ask at once of a server that closes connections with large replies. Pure.
//!
//! `client-output-buffer-limit` and `maxmemory-clients` close the connection of a client with too much output. The server does not
//! report which command of a pipeline it was. So smaller pipelines are tried until one command is left, which then asks for
//! less.

/// Polls with smaller portions before a larger one is tried: the server may have changed.
pub(super) const POLLS_UNTIL_LARGER: u32 = 100;
/// Two connections that were closed within so many polls are no coincidence.
const RECENT: u32 = POLLS_UNTIL_LARGER;
/// Closed connections after which a poll gives up: each costs a new connection and time of the server.
const MOST_CLOSED: u32 = 16;

/// What to do after a connection was closed while replies were awaited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NextPortion {
    /// Ask for the same again: any connection may break once.
    Again,
    /// Ask for fewer at once.
    Smaller,
    /// It was a single one: leave it out, or ask for less of it.
    Less,
    /// Stop asking in this poll.
    Stop,
}

/// How many are asked at once.
#[derive(Debug, Clone)]
pub(super) struct Portions {
    /// The size without any closed connection.
    whole: usize,
    size: usize,
    /// The size before the search for a single one began.
    before: usize,
    /// Whether a single one was found, so that the size grows again.
    grows: bool,
    /// Connections that were closed in this poll.
    closed: u32,
    /// Polls until a larger portion is tried.
    left: u32,
    /// Polls since the last one in which a connection was closed.
    quiet: u32,
}

impl Portions {
    pub(super) const fn new(whole: usize) -> Self {
        Self { whole, size: whole, before: whole, grows: false, closed: 0, left: 0, quiet: RECENT }
    }

    /// Starts a poll.
    pub(super) fn begin(&mut self) {
        self.quiet = self.quiet.saturating_add(1);
        if self.closed > 0 {
            (self.left, self.quiet) = (POLLS_UNTIL_LARGER, 0);
        }
        self.size = if self.grows { self.before } else { self.size };
        self.left = self.left.saturating_sub(1);
        if self.left == 0 {
            self.size = self.whole.min(self.size * 2);
        }
        (self.before, self.grows, self.closed) = (self.size, false, 0);
    }

    pub(super) const fn size(&self) -> usize {
        self.size
    }

    /// Notes that a portion was answered.
    pub(super) fn answered(&mut self) {
        if self.grows {
            self.size = self.before.min(self.size * 2);
        }
    }

    /// Notes that the connection was closed while a portion of this size was in flight.
    pub(super) fn closed(&mut self, size: usize) -> NextPortion {
        self.closed += 1;
        match (self.closed, size) {
            (MOST_CLOSED.., _) => NextPortion::Stop,
            (1, _) if size < 2 || self.quiet >= RECENT => NextPortion::Again,
            (_, 0 | 1) => {
                (self.size, self.grows) = (1, true);
                NextPortion::Less
            }
            (_, many) => {
                (self.size, self.grows) = (many / 2, false);
                NextPortion::Smaller
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Asks for all of these weights, in portions, on a server that closes connections above a limit. A weight that is too
    /// large by itself becomes 0. Returns how often the server closed a connection, and whether all weights were read.
    fn poll(portions: &mut Portions, weights: &mut [u32], limit: u32) -> (u32, bool) {
        portions.begin();
        let (mut next, mut closed) = (0, 0);
        while next < weights.len() {
            let size = portions.size().min(weights.len() - next);
            if weights[next..next + size].iter().sum::<u32>() <= limit {
                portions.answered();
                next += size;
                continue;
            }
            closed += 1;
            match portions.closed(size) {
                NextPortion::Again | NextPortion::Smaller => {}
                NextPortion::Less => weights[next] = 0,
                NextPortion::Stop => return (closed, false),
            }
        }
        (closed, true)
    }

    #[test]
    fn a_single_one_that_is_too_large_is_found_and_the_others_are_asked_as_before() {
        for guilty in [0, 7, 23, 24, 199] {
            let (mut portions, mut weights) = (Portions::new(24), vec![1; 200]);
            weights[guilty] = 1_000;
            let (closed, is_whole) = poll(&mut portions, &mut weights, 100);
            assert!(is_whole && closed <= 7, "{guilty}: {closed}");
            assert_eq!(weights[guilty], 0);
            assert_eq!(weights.iter().sum::<u32>(), 199, "no other one is asked for less");
            assert_eq!(poll(&mut portions, &mut weights, 100), (0, true), "the search is over");
            assert_eq!(portions.size(), 24);
        }
    }

    #[test]
    fn portions_stay_small_while_all_together_are_too_large_and_grow_once_the_server_allows_it() {
        let (mut portions, mut weights) = (Portions::new(24), vec![10; 200]);
        assert_eq!(poll(&mut portions, &mut weights, 70), (3, true));
        assert_eq!(portions.size(), 6);
        let closed: u32 = (0..300).map(|_| poll(&mut portions, &mut weights, 70).0).sum();
        assert!(closed <= 8, "{closed} closed connections in 300 polls");
        assert_eq!(weights.iter().sum::<u32>(), 2_000);
        for _ in 0..300 {
            assert_eq!(poll(&mut portions, &mut weights, u32::MAX).0, 0);
        }
        assert_eq!(portions.size(), 24);
    }

    #[test]
    fn several_that_are_too_large_are_found_over_some_polls_and_each_poll_ends() {
        let (mut portions, mut weights) = (Portions::new(24), vec![1; 200]);
        weights.iter_mut().step_by(20).for_each(|weight| *weight = 1_000);
        let polls: Vec<_> = (0..8).map(|_| poll(&mut portions, &mut weights, 100)).collect();
        assert!(polls.iter().all(|(closed, _)| *closed <= MOST_CLOSED));
        assert_eq!(polls.last(), Some(&(0, true)), "{polls:?}");
    }

    #[test]
    fn a_connection_that_breaks_once_changes_nothing() {
        let mut portions = Portions::new(24);
        portions.begin();
        assert_eq!(portions.closed(1), NextPortion::Again);
        assert_eq!(portions.closed(1), NextPortion::Less, "two in a row are no coincidence");
        let mut portions = Portions::new(24);
        portions.begin();
        assert_eq!((portions.closed(24), portions.size()), (NextPortion::Again, 24));
        portions.begin();
        assert_eq!(
            (portions.closed(24), portions.size()),
            (NextPortion::Smaller, 12),
            "nor are two in two polls"
        );
    }
}
