//! The commands of a step where scripts are refused, computed from a reading.

use super::write::Write;
use crate::{
    config::Policy,
    model::{Name, StreamId, StreamState},
    retention::Plan,
};

/// Milliseconds since 1970 have 13 digits from 2001 to 2286. Seconds have fewer, microseconds and nanoseconds more.
const TIMES: std::ops::Range<u64> = 1_000_000_000_000..10_000_000_000_000;

/// A command that removes entries.
#[derive(Debug, Clone, Copy)]
pub(super) struct Trim<'a> {
    pub(super) command: Write<'a>,
    /// Whether it also removes entries that a group needs.
    pub(super) is_forced: bool,
}

impl Trim<'_> {
    /// Whether it may remove something from a stream that is as it was read.
    pub(super) fn may_remove_from(&self, state: &StreamState) -> bool {
        if let Write::TrimBelow(_, id, _) = self.command {
            state.first_entry_id.is_none_or(|first| first < id)
        } else {
            true
        }
    }
}

/// The trims of one step, in order. The first that removes something ends the step. IDs below `cutoff` are too old,
/// and `step` is the maximum number of entries to remove.
pub(super) fn trims<'a>(
    stream: &'a Name,
    state: &StreamState,
    plan: &Plan,
    policy: &Policy,
    cutoff: Option<StreamId>,
    step: u64,
) -> impl Iterator<Item = Trim<'a>> {
    let shortest = state.length.saturating_sub(step);
    // A trim by length is used only if no group needs protection: entries that are added meanwhile would push older
    // ones out.
    let by_length = policy.max_length.filter(|_| plan.excess > 0).map(|length| match plan.guard {
        Some(guard) => Write::TrimBelow(stream, guard, plan.excess.min(step)),
        None => Write::TrimTo(stream, length.max(shortest)),
    });
    let too_old = cutoff.filter(|_| are_times(state));
    let too_old = too_old.map(|cutoff| plan.guard.map_or(cutoff, |guard| guard.min(cutoff)));
    let by_age = too_old.map(|below| Write::TrimBelow(stream, below, step));
    let ceiling = policy.ceiling.filter(|ceiling| state.length > *ceiling);
    let by_ceiling = ceiling.map(|ceiling| Write::TrimTo(stream, ceiling.max(shortest)));
    let within_need = by_length.into_iter().chain(by_age).map(|command| Trim { command, is_forced: false });
    within_need.chain(by_ceiling.map(|command| Trim { command, is_forced: true }))
}

/// Whether the stream's IDs are times, judging by its first entry. Only then are they ages.
pub(super) fn are_times(state: &StreamState) -> bool {
    state.first_entry_id.map_or(state.length == 0, |first| TIMES.contains(&first.ms))
}

#[cfg(test)]
mod tests {
    use super::{super::write::tests::words, *};
    use crate::{
        config::{Mode, Policy},
        retention::test_policy::policy,
    };
    use proptest::prelude::*;

    /// The smallest number that counts as a time.
    const T: u64 = 1_000_000_000_000;

    /// The commands for a stream of 100 entries from this ID on. A `!` marks forced ones.
    fn sent(
        first: u64,
        guard: Option<u64>,
        cutoff: Option<u64>,
        (limit, ceiling): (Option<u64>, Option<u64>),
        step: u64,
    ) -> Vec<String> {
        let state =
            StreamState { first_entry_id: Some(StreamId::new(first, 0)), ..StreamState::of_length(100) };
        let policy = Policy { max_length: limit, ceiling, ..policy(Mode::Safe) };
        let id = |ms| StreamId::new(ms, 0);
        let excess = policy.excess(100);
        let guard = guard.map(id);
        let plan = Plan { excess, guard, floor: None, unknown: None, at_most: 0, is_exact: true };
        let text = |trim: Trim<'_>| words(&trim.command).join(" ") + if trim.is_forced { " !" } else { "" };
        trims(&"s".into(), &state, &plan, &policy, cutoff.map(id), step).map(text).collect()
    }

    #[test]
    fn each_limit_is_one_command_that_stops_at_what_is_needed() {
        let (none, all) = (None, [""; 0]);
        // Within the limits.
        assert_eq!(sent(T, Some(T + 50), none, (Some(100), none), 10), all);
        assert_eq!(sent(T, Some(T + 50), none, (none, Some(100)), 10), all);
        // By length: the excess, or a step of it, below what is needed.
        let below = |id, limit| format!("XTRIM s MINID ~ {id}-0 LIMIT {limit}");
        assert_eq!(sent(T, Some(T + 50), none, (Some(99), none), 10), [below(T + 50, 1)]);
        assert_eq!(sent(T, Some(T + 50), none, (Some(70), none), 10), [below(T + 50, 10)]);
        assert_eq!(sent(T, none, none, (Some(70), none), 10), ["XTRIM s MAXLEN ~ 90"]);
        assert_eq!(sent(T, none, none, (Some(70), none), 1_000), ["XTRIM s MAXLEN ~ 70"]);
        // By age: a step, below what is needed and what is too old.
        assert_eq!(sent(T, Some(T + 50), Some(T + 80), (none, none), 10), [below(T + 50, 10)]);
        assert_eq!(sent(T, Some(T + 80), Some(T + 50), (none, none), 10), [below(T + 50, 10)]);
        assert_eq!(sent(T, none, Some(T + 50), (none, none), 10), [below(T + 50, 10)]);
        // By the ceiling, even if a group needs the entries.
        assert_eq!(sent(T, Some(T), none, (none, Some(99)), 10), ["XTRIM s MAXLEN ~ 99 !"]);
        assert_eq!(sent(T, Some(T), none, (none, Some(70)), 10), ["XTRIM s MAXLEN ~ 90 !"]);
        // All of them, in this order.
        assert_eq!(
            sent(T, Some(T + 9), Some(T + 5), (Some(70), Some(80)), 50),
            [below(T + 9, 30), below(T + 5, 50), "XTRIM s MAXLEN ~ 80 !".to_owned()]
        );
    }

    #[test]
    fn ids_with_thirteen_digits_are_times() {
        for (first, are) in [(T - 1, false), (T, true), (10 * T - 1, true), (10 * T, false)] {
            assert_eq!(sent(first, None, Some(10 * T), (None, None), 10).len(), usize::from(are), "{first}");
        }
        assert!(are_times(&StreamState::of_length(0)));
        assert!(!are_times(&StreamState::of_length(1)), "its first entry is unknown");
    }

    proptest! {
        #[test]
        fn only_forced_trims_remove_needed_entries_and_none_removes_more_than_a_step(
            (guard, cutoff) in (prop::option::of(T..T + 200), prop::option::of(T..T + 200)),
            limits in (prop::option::of(0_u64..200), prop::option::of(0_u64..200)),
            step in 1_u64..200,
        ) {
            for command in sent(T, guard, cutoff, limits, step) {
                let words: Vec<&str> = command.split(' ').collect();
                let number = |index: usize| words[index].trim_end_matches("-0").parse::<u64>().unwrap();
                match words[2] {
                    "MINID" => {
                        prop_assert!(guard.is_none_or(|guard| number(4) <= guard), "{command}");
                        prop_assert!((1..=step).contains(&number(6)), "{command}");
                    }
                    _ => {
                        let most = if words.len() > 5 { limits.1 } else { limits.0.filter(|_| guard.is_none()) };
                        prop_assert!(most.is_some_and(|most| number(4) >= most), "{command}");
                        prop_assert!(number(4) + step >= 100, "{command}");
                    }
                }
            }
        }
    }
}
