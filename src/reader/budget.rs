//! Limits lookups by a monthly budget, which accrues as time passes. Pure: time is an argument.

use std::time::Duration;

/// A month of the budget: thirty days.
pub const MONTH: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// Lookups that accrue during this many polls may be sent at once, ...
const BURST_POLLS: u32 = 10;
/// ... or this many, if that is more: enough for all questions about one group.
const LEAST_BURST: u64 = 10;

/// The lookups that may be sent. Kept in memory: each sidecar has its own and starts with a full budget.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Budget {
    /// In fractions of a lookup: one lookup is as many units as a month has nanoseconds, so that rounding loses nothing.
    credit: u128,
    /// When the credit was last updated; `None` before the first time.
    counted: Option<Duration>,
}

impl Budget {
    /// Lookups that may be sent now, with `a_month` lookups a month and polls at this interval. `at` is on a monotonic clock.
    ///
    /// Any span of time gets at most what accrues in it, plus one burst.
    pub(super) fn left(&mut self, a_month: u64, interval: Duration, at: Duration) -> u64 {
        let month = MONTH.as_nanos();
        let burst = u128::from(a_month).saturating_mul((interval * BURST_POLLS).as_nanos()) / month;
        let at_once = burst.max(LEAST_BURST.min(a_month).into());
        let most = at_once * month;
        let accrued = self
            .counted
            .map_or(most, |then| at.saturating_sub(then).as_nanos().saturating_mul(a_month.into()));
        self.counted = Some(self.counted.map_or(at, |then| then.max(at)));
        self.credit = self.credit.saturating_add(accrued).min(most);
        u64::try_from(self.credit / month).unwrap_or(u64::MAX)
    }

    /// Takes lookups that were sent from the credit.
    pub(super) fn spend(&mut self, lookups: u64) {
        self.credit = self.credit.saturating_sub(u128::from(lookups) * MONTH.as_nanos());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn it_starts_full_and_accrues_what_a_month_allows() {
        let mut budget = Budget::default();
        assert_eq!(budget.left(43_200, MINUTE, Duration::ZERO), 10);
        budget.spend(10);
        assert_eq!(budget.left(43_200, MINUTE, MINUTE / 2), 0);
        // One a minute, with or without calls in between.
        assert_eq!(budget.left(43_200, MINUTE, MINUTE), 1);
        assert_eq!(budget.left(43_200, MINUTE, 7 * MINUTE), 7);
        assert_eq!(budget.left(43_200, MINUTE, MONTH), 10, "unused lookups do not add up");
    }

    #[test]
    fn a_budget_of_zero_permits_nothing_and_a_changed_budget_applies_at_once() {
        let mut budget = Budget::default();
        assert_eq!(budget.left(0, MINUTE, Duration::ZERO), 0);
        assert_eq!(budget.left(4_320_000, MINUTE, MINUTE), 100);
        assert_eq!(budget.left(3, MINUTE, MINUTE), 3);
        assert_eq!(budget.left(0, MINUTE, MONTH), 0);
    }

    proptest! {
        #[test]
        fn any_span_of_time_gets_at_most_what_accrues_and_one_burst(
            a_month in 0_u64..10_000_000,
            steps in prop::collection::vec((0_u64..100_000_000, 0_u64..1_000), 1..200),
        ) {
            let (mut budget, mut at) = (Budget::default(), Duration::ZERO);
            let mut spent = Vec::new();
            for (wait, wish) in steps {
                at += Duration::from_millis(wait);
                let now = wish.min(budget.left(a_month, MINUTE, at));
                budget.spend(now);
                spent.push((at, now));
            }
            let burst = (a_month / 4_320).max(a_month.min(LEAST_BURST));
            for (first, (from, _)) in spent.iter().enumerate() {
                let mut sum = 0;
                for (until, now) in &spent[first..] {
                    sum += now;
                    let passed = (*until - *from).as_nanos();
                    let accrued = u128::from(a_month) * passed / MONTH.as_nanos();
                    prop_assert!(u128::from(sum) <= accrued + u128::from(burst) + 1, "{sum} in {passed} ns");
                }
            }
        }

        #[test]
        fn one_lookup_accrues_after_enough_time(a_month in 1_u64..10_000_000, wait in 0_u64..100_000) {
            let mut budget = Budget::default();
            let at = Duration::from_millis(wait);
            let all = budget.left(a_month, MINUTE, at);
            budget.spend(all);
            prop_assert_eq!(budget.left(a_month, MINUTE, at), 0);
            let one = Duration::from_nanos(u64::try_from(MONTH.as_nanos()).unwrap().div_ceil(a_month));
            prop_assert!(budget.left(a_month, MINUTE, at + one) >= 1);
        }
    }
}
