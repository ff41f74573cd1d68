//! The server's clock, as far as it is known on a connection.
//!
//! `TIME` is sent, together with the question for the [role](super::role), at each poll, or at each tenth if commands are
//! billed, and before each run of retention. In between, this machine's monotonic clock continues from the last reply. A
//! new connection starts without a time, since another server may answer.

use std::time::Duration;

use super::{failure::no_reply, reply, resp::Reply};
use crate::{
    clock::Instant,
    model::{Failure, Millis, Now, ServerTime},
};

/// Polls per check if commands are billed.
const BILLED_POLLS: u32 = 10;
/// Two clocks drift apart by at most one part in this many: 500 ppm, the most by which Linux slews a clock under NTP
/// (`adjtimex(2)`). The next check notices a clock that was set or a machine that was suspended.
const DRIFT: u32 = 2_000;
/// If the time may be off by more, it is asked again. Ages are compared in seconds.
const MOST_ERROR: Duration = Duration::from_secs(1);

/// How many polls there are per check of the clock and the role.
pub(crate) const fn polls_between_checks(is_billed: bool) -> u32 {
    if is_billed { BILLED_POLLS } else { 1 }
}

/// A server's clock, as far as it is known.
pub(super) struct ServerClock {
    /// Polls per check.
    every: u32,
    /// Polls until the next check.
    left: u32,
    last: Result<Read, Failure>,
}

/// A reply.
#[derive(Debug, Clone, Copy)]
struct Read {
    time: ServerTime,
    /// The middle of the round trip, on this machine's clock.
    at: Instant,
    /// Half the round trip.
    error: Duration,
}

impl ServerClock {
    pub(super) fn new(is_billed: bool) -> Self {
        Self { every: polls_between_checks(is_billed), left: 0, last: Err(no_reply()) }
    }

    /// The server's time now; `None` if the poll must ask for it. Each call counts as a poll.
    pub(super) fn without_asking(&mut self, now: Instant) -> Option<Result<Now, Failure>> {
        self.left = self.left.checked_sub(1)?;
        match &self.last {
            Ok(read) => read.at(now).map(Ok),
            Err(failure) => Some(Err(failure.clone())),
        }
    }

    /// Takes the reply to `TIME`, with the moments of sending and receiving.
    pub(super) fn note(
        &mut self,
        replies: &mut impl Iterator<Item = Result<Reply, Failure>>,
        sent: Instant,
        received: Instant,
    ) -> Result<Now, Failure> {
        let time =
            replies.next().unwrap_or_else(|| Err(no_reply())).and_then(|reply| reply::server_time(&reply));
        let error = received.saturating_duration_since(sent) / 2;
        self.left = self.every - 1;
        self.last = time.map(|time| Read { time, at: sent + error, error });
        self.last.as_ref().map(|read| Now::exactly(read.time)).map_err(Clone::clone)
    }
}

impl Read {
    /// The server's time at this moment; `None` if it may be off by too much.
    fn at(&self, now: Instant) -> Option<Now> {
        let passed = now.saturating_duration_since(self.at);
        let error = self.error + passed / DRIFT;
        let time = ServerTime(self.time.0.saturating_add(Millis::from(passed).get()));
        // Both times are rounded down to milliseconds.
        (error <= MOST_ERROR).then(|| Now { time, error: error + Duration::from_millis(1) })
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;

    use super::*;
    use crate::{clock, model::Reason};

    const NOON: u64 = 1_800_000_000_000;

    fn reply(ms: u64) -> Result<Reply, Failure> {
        let (seconds, micros) = ((ms / 1_000).to_string(), (ms % 1_000 * 1_000).to_string());
        let (one, two) = (seconds.len(), micros.len());
        Reply::whole(&Bytes::from(format!("*2\r\n${one}\r\n{seconds}\r\n${two}\r\n{micros}\r\n")))
    }

    fn asked(
        clock: &mut ServerClock,
        reply: Result<Reply, Failure>,
        sent: Instant,
        trip: Duration,
    ) -> Result<Now, Failure> {
        clock.note(&mut std::iter::once(reply), sent, sent + trip)
    }

    /// The polls that ask, of `polls` at this interval.
    fn polls_that_ask(clock: &mut ServerClock, polls: u32, interval: Duration) -> Vec<u32> {
        let start = clock::now();
        let ask = |poll: &u32| {
            let now = start + interval * *poll;
            let is_asked = clock.without_asking(now).is_none();
            is_asked.then(|| asked(clock, reply(NOON), now, Duration::from_millis(3)).unwrap()).is_some()
        };
        (0..polls).filter(ask).collect()
    }

    #[test]
    fn it_is_asked_at_each_poll_or_each_tenth_and_earlier_if_it_may_be_off_by_too_much() {
        let minute = Duration::from_secs(60);
        assert_eq!(polls_that_ask(&mut ServerClock::new(false), 4, minute), [0, 1, 2, 3]);
        assert_eq!(polls_that_ask(&mut ServerClock::new(true), 31, minute), [0, 10, 20, 30]);
        // Within 2,000 s the clocks drift apart by one.
        assert_eq!(polls_that_ask(&mut ServerClock::new(true), 11, 10 * minute), [0, 4, 8]);
        assert_eq!(polls_that_ask(&mut ServerClock::new(true), 3, 60 * minute), [0, 1, 2]);
    }

    #[test]
    fn a_refusal_holds_until_it_is_asked_again() {
        let (mut clock, now) = (ServerClock::new(true), clock::now());
        assert_eq!(clock.without_asking(now), None);
        let refused = Failure::new(Reason::NoPermission, "NOPERM");
        assert_eq!(asked(&mut clock, Err(refused.clone()), now, Duration::ZERO), Err(refused.clone()));
        for _ in 0..9 {
            assert_eq!(clock.without_asking(now), Some(Err(refused.clone())));
        }
        assert_eq!(clock.without_asking(now), None);
    }

    proptest! {
        /// A server's clock that runs a little slower or faster, with round trips that may be long.
        #[test]
        fn it_is_never_off_by_more_than_its_error(
            there in 0_u64..1_200, back in 0_u64..1_200, passed in 0_u64..2_000_000, drift in -500_i64..=500,
        ) {
            let (mut clock, sent) = (ServerClock::new(true), clock::now());
            let at_server = |ms: u64| {
                let ms = i64::try_from(ms).unwrap();
                NOON.saturating_add_signed(ms + ms * drift / 1_000_000)
            };
            asked(&mut clock, reply(at_server(there)), sent, Duration::from_millis(there + back)).unwrap();
            let now = there + back + passed;
            if let Some(actual) = clock.without_asking(sent + Duration::from_millis(now)) {
                let actual = actual.unwrap();
                prop_assert!(actual.error <= MOST_ERROR + Duration::from_millis(1));
                let off = actual.time.0.abs_diff(at_server(now));
                prop_assert!(Duration::from_millis(off) <= actual.error + Duration::from_millis(1), "{off} ms, {actual:?}");
            }
        }
    }
}
