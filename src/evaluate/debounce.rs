//! Debounces a condition: it is reported only after it has held for a while, and until it has been absent for a
//! while. This avoids flapping.

use std::time::Duration;

use crate::model::Millis;

/// A debounced condition, in eight bytes, since each group has five.
///
/// The highest bit is whether the condition is reported. The others are the time since which the condition differs
/// from what is reported, in milliseconds plus one; zero if it does not differ.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Debounce(u64);

/// The bit for a condition that is reported.
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

    /// Applies whether the condition holds now, and returns whether to report it: from when it has held for `enter`
    /// until it has been absent for `leave`.
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

    /// The time since which it no longer holds although it is still reported.
    pub(super) fn recovering_since(self) -> Option<Millis> {
        self.turning_since().filter(|_| self.is_reported())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_condition_is_reported_once_it_has_lasted_and_until_it_has_been_absent() {
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
