//! Durations in milliseconds, as Redis reports them.

use std::time::Duration;

use nonmax::NonMaxU64;

/// A duration in whole milliseconds. `Option<Millis>` takes no extra room: a reading has tens of thousands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Millis(NonMaxU64);

impl Millis {
    /// No duration.
    pub const ZERO: Self = Self::new(0);

    /// This many milliseconds; half a billion years at most.
    #[must_use]
    pub const fn new(milliseconds: u64) -> Self {
        match NonMaxU64::new(milliseconds) {
            Some(milliseconds) => Self(milliseconds),
            None => Self(NonMaxU64::MAX),
        }
    }

    /// The milliseconds.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0.get()
    }

    /// How much longer this duration is than `earlier`.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.get().saturating_sub(earlier.get()))
    }

    /// The same duration, to compare with configured ones.
    #[must_use]
    pub const fn duration(self) -> Duration {
        Duration::from_millis(self.get())
    }
}

impl Default for Millis {
    fn default() -> Self {
        Self::ZERO
    }
}

/// Rounds down.
impl From<Duration> for Millis {
    fn from(duration: Duration) -> Self {
        Self::new(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn milliseconds_are_kept() {
        for milliseconds in [0, 1, 1_500, u64::MAX - 1] {
            assert_eq!(Millis::new(milliseconds).get(), milliseconds);
        }
        assert_eq!(Millis::new(u64::MAX).get(), u64::MAX - 1);
        assert_eq!(size_of::<Option<Millis>>(), 8);
    }
}
