//! A condition that is said only once it has lasted, and kept until its end has lasted: what comes and goes at an edge
//! changes nothing.

use std::time::Duration;

use crate::model::Millis;

/// Such a condition.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Settled {
    is_said: bool,
    /// Since when it has been otherwise than it is said.
    turning_since: Option<Millis>,
}

impl Settled {
    /// Takes over whether the condition holds now, and says whether it is to be said: from when it has held for `enter`
    /// until it has not for `leave`.
    pub(super) fn update(&mut self, holds: bool, at: Millis, enter: Duration, leave: Duration) -> bool {
        if holds == self.is_said {
            self.turning_since = None;
            return self.is_said;
        }
        let since = *self.turning_since.get_or_insert(at);
        if at.since(since) >= if holds { enter } else { leave } {
            *self = Self { is_said: holds, turning_since: None };
        }
        self.is_said
    }

    /// Since when it has not held any more although it is still said.
    pub(super) fn over_since(&self) -> Option<Millis> {
        self.turning_since.filter(|_| self.is_said)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_lasts_is_said_and_only_what_stays_away_is_not() {
        let mut settled = Settled::default();
        let mut at = 0;
        let mut said = |holds: &[u8]| -> Vec<u8> {
            let mut step = |holds: &u8| {
                at += 1_000;
                let (enter, leave) = (Duration::from_secs(2), Duration::from_secs(3));
                u8::from(settled.update(*holds == 1, Millis::new(at), enter, leave))
            };
            holds.iter().map(&mut step).collect()
        };
        assert_eq!(said(&[1, 1, 0, 1, 1, 0, 0]), [0; 7], "it never lasts two seconds");
        assert_eq!(said(&[1, 1, 1, 1]), [0, 0, 1, 1]);
        assert_eq!(said(&[0, 0, 0, 1, 0, 0, 0, 0, 0]), [1, 1, 1, 1, 1, 1, 1, 0, 0]);
    }
}
