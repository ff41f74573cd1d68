//! A condition that is said only once it has lasted, and kept until its end has lasted: what comes and goes at an edge
//! changes nothing.

use std::time::Duration;

use crate::model::Millis;

/// Such a condition, in eight bytes, since each group has five.
///
/// The highest bit is whether it is said. The others are one more than the milliseconds since which it has been otherwise than it is
/// said, and zero while it has not.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Debounce(u64);

/// The bit for a condition that is said.
const REPORTED: u64 = 1 << 63;

impl Debounce {
    fn new(is_reported: bool, turning_since: Option<Millis>) -> Self {
        let since = turning_since.map_or(0, |since| since.get().saturating_add(1) & !REPORTED);
        Self(if is_reported { since | REPORTED } else { since })
    }

    const fn is_reported(self) -> bool {
        self.0 & REPORTED != 0
    }

    fn turning_since(self) -> Option<Millis> {
        (self.0 & !REPORTED).checked_sub(1).map(Millis::new)
    }

    /// Takes over whether the condition holds now, and says whether it is to be said: from when it has held for `enter`
    /// until it has not for `leave`.
    pub(super) fn update(&mut self, holds: bool, at: Millis, enter: Duration, leave: Duration) -> bool {
        let is_reported = self.is_reported();
        let since = self.turning_since().unwrap_or(at);
        let has_lasted = at.since(since) >= if holds { enter } else { leave };
        *self = match holds == is_reported {
            true => Self::new(is_reported, None),
            false if has_lasted => Self::new(holds, None),
            false => Self::new(is_reported, Some(since)),
        };
        self.is_reported()
    }

    /// Since when it has not held any more although it is still said.
    pub(super) fn recovering_since(self) -> Option<Millis> {
        self.turning_since().filter(|_| self.is_reported())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_lasts_is_said_and_only_what_stays_away_is_not() {
        let mut debounce = Debounce::default();
        let mut at = 0;
        let mut actual = |holds: &[u8]| -> Vec<u8> {
            let mut step = |holds: &u8| {
                at += 1_000;
                let (enter, leave) = (Duration::from_secs(2), Duration::from_secs(3));
                u8::from(debounce.update(*holds == 1, Millis::new(at), enter, leave))
            };
            holds.iter().map(&mut step).collect()
        };
        assert_eq!(actual(&[1, 1, 0, 1, 1, 0, 0]), [0; 7], "it never lasts two seconds");
        assert_eq!(actual(&[1, 1, 1, 1]), [0, 0, 1, 1]);
        assert_eq!(actual(&[0, 0, 0, 1, 0, 0, 0, 0, 0]), [1, 1, 1, 1, 1, 1, 1, 0, 0]);
    }
}
