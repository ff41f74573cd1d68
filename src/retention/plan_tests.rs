//! Plans for readings: which entries may be removed, and what blocks the others.

use super::*;
use crate::{
    evaluate::{GroupCause, GroupReport, GroupStatus, GroupVerdict, Health, Lag, Series, StreamCause},
    model::{GroupState, OldestPending},
    retention::{Losing, losing, test_policy::policy},
};

/// A group with the entries up to this one delivered.
fn group(name: &str, delivered: u64, lag: Lag, oldest_pending: Pending) -> (Name, GroupState, GroupReport) {
    let report = GroupReport {
        lag,
        lag_age: None,
        first_alive: None,
        oldest_pending_age: None,
        dangling: None,
        poison: None,
        lost: None,
        dropped: None,
        rewinds: 0,
        rewound_at: None,
    };
    (name.into(), GroupState { oldest_pending, ..GroupState::at(StreamId::new(delivered, 0)) }, report)
}

fn oldest(number: u64) -> Pending {
    Pending::Oldest(OldestPending { id: StreamId::new(number, 0), idle: None, deliveries: 1 })
}

/// A difference from the default case.
type Change = fn(&mut Policy, &mut StreamState);

/// The plan for the entries `1-0` to `100-0` and a limit of 10.
fn plan(
    change: impl FnOnce(&mut Policy, &mut StreamState),
    groups: impl IntoIterator<Item = (Name, GroupState, GroupReport)>,
) -> Plan {
    let (policy, stream, verdict) = subject(change, groups);
    Plan::new(&policy, &stream, &verdict)
}

fn subject(
    change: impl FnOnce(&mut Policy, &mut StreamState),
    groups: impl IntoIterator<Item = (Name, GroupState, GroupReport)>,
) -> (Policy, StreamState, StreamVerdict) {
    let verdict = |report| GroupVerdict {
        status: GroupStatus::Unknown,
        cause: GroupCause::Idle,
        read: Some(report),
        rate_out: None,
        lags: Series::default(),
    };
    let (states, verdicts): (Vec<_>, Vec<_>) = groups
        .into_iter()
        .map(|(name, state, report)| ((name.clone(), state), (name, verdict(report))))
        .unzip();
    let mut stream = StreamState {
        last_generated_id: Some(StreamId::new(100, 0)),
        first_entry_id: Some(StreamId::new(1, 0)),
        groups: states.into_iter().collect(),
        ..StreamState::of_length(100)
    };
    let mut policy = Policy { max_length: Some(10), ..policy(Mode::Safe) };
    change(&mut policy, &mut stream);
    let verdict = StreamVerdict {
        health: Health::Unknown,
        cause: StreamCause::Fine { groups: 0 },
        read: None,
        over_limit: None,
        recreated: None,
        rate_in: None,
        lengths: Series::default(),
        added: Series::default(),
        memory: None,
        groups: verdicts.into_iter().collect(),
    };
    (policy, stream, verdict)
}

/// A plan as text: the guard, the floor and what blocks it, what is unknown, how many may be removed, and whether the
/// plan is blocked.
fn actual(plan: &Plan) -> String {
    let id = |id: Option<StreamId>| id.map_or("-".to_owned(), |id| id.to_string());
    let blocker = |blocker: Option<&TrimBlocker>| {
        let group =
            |blocker: &TrimBlocker| blocker.group.as_ref().map(ToString::to_string).unwrap_or_default();
        blocker.map_or("-".to_owned(), |blocker| format!("{}:{}", group(blocker), blocker.reason.as_str()))
    };
    let about = if plan.removable().is_some() { "just" } else { "at most" };
    format!(
        "guard {} floor {} {} unknown {} {about} {} of {}{}",
        id(plan.guard),
        id(plan.floor.as_ref().map(|floor| floor.0)),
        blocker(plan.floor.as_ref().map(|floor| &floor.1)),
        blocker(plan.unknown.as_ref()),
        plan.at_most,
        plan.excess,
        if plan.blocked_by().is_some() { " blocked" } else { "" }
    )
}

#[test]
fn a_plan_keeps_what_groups_have_not_received_or_not_acknowledged() {
    let exactly = |delivered: u64| Lag::Exactly(100 - delivered);
    let at = |delivered| group("g", delivered, exactly(delivered), Pending::None);
    let pending = |delivered, id| group("g", delivered, exactly(delivered), oldest(id));
    for (groups, expected) in [
        (vec![], "guard - floor - - unknown - just 90 of 90"),
        // Undelivered entries.
        (vec![at(100)], "guard 100-1 floor - - unknown - just 90 of 90"),
        (vec![at(95)], "guard 95-1 floor 95-1 g:unread unknown - just 90 of 90"),
        (vec![at(90)], "guard 90-1 floor 90-1 g:unread unknown - just 90 of 90"),
        (vec![at(89)], "guard 89-1 floor 89-1 g:unread unknown - just 89 of 90 blocked"),
        (vec![at(1)], "guard 1-1 floor 1-1 g:unread unknown - just 1 of 90 blocked"),
        (vec![at(0)], "guard 0-1 floor 0-1 g:unread unknown - just 0 of 90 blocked"),
        // The exact lag is unknown.
        (
            vec![group("g", 50, Lag::AtMost(60), Pending::None)],
            "guard 50-1 floor 50-1 g:unread unknown - at most 90 of 90",
        ),
        // The lag exceeds the length.
        (
            vec![group("g", 50, Lag::Exactly(200), Pending::None)],
            "guard 50-1 floor 50-1 g:unread unknown - just 0 of 90 blocked",
        ),
        // Pending entries: at least the oldest of them stays.
        (vec![pending(50, 20)], "guard 20-0 floor 20-0 g:pending unknown - at most 49 of 90 blocked"),
        (vec![pending(100, 100)], "guard 100-0 floor 100-0 g:pending unknown - at most 90 of 90"),
        (vec![pending(50, 1)], "guard 1-0 floor 1-0 g:pending unknown - just 0 of 90 blocked"),
        (
            vec![group("g", 50, Lag::AtMost(60), oldest(20))],
            "guard 20-0 floor 20-0 g:pending unknown - at most 90 of 90",
        ),
        (vec![pending(50, 60)], "guard 50-1 floor 50-1 g:unread unknown - just 50 of 90 blocked"),
        // Of several groups the first that needs an entry counts.
        (
            vec![
                group("a", 40, exactly(40), Pending::None),
                pending(90, 20),
                group("z", 20, exactly(20), Pending::None),
            ],
            "guard 20-0 floor 20-0 g:pending unknown - at most 89 of 90 blocked",
        ),
        // One unknown group protects everything.
        (
            vec![group("g", 50, exactly(50), Pending::Unknown)],
            "guard 0-0 floor 50-1 g:unread unknown g:pending at most 50 of 90 blocked",
        ),
    ] {
        assert_eq!(actual(&plan(|_, _| (), groups)), expected);
    }
}

#[test]
fn a_plan_follows_the_limits_and_what_is_known_of_the_stream() {
    let cases: [(Change, &str); 14] = [
        (|_, _| (), "guard 30-1 floor 30-1 g:unread unknown - just 30 of 90 blocked"),
        (|it, _| it.max_length = Some(100), "guard 30-1 floor 30-1 g:unread unknown - just 0 of 0"),
        (|it, _| it.max_length = None, "guard 30-1 floor 30-1 g:unread unknown - just 0 of 0"),
        (|it, _| it.mode = Mode::Strict, "guard - floor - - unknown - just 90 of 90"),
        (|it, _| it.mode = Mode::Observe, "guard 30-1 floor 30-1 g:unread unknown - just 30 of 90 blocked"),
        (|it, _| it.ceiling = Some(80), "guard 30-1 floor 30-1 g:unread unknown - just 30 of 90 blocked"),
        (|it, _| it.ceiling = Some(60), "guard 30-1 floor 30-1 g:unread unknown - just 40 of 90 blocked"),
        (|it, _| it.ceiling = Some(5), "guard 30-1 floor 30-1 g:unread unknown - just 90 of 90"),
        (
            |it, _| it.groups = vec!["g".into()],
            "guard 30-1 floor 30-1 g:unread unknown - just 30 of 90 blocked",
        ),
        (
            |it, _| it.groups = vec!["m".into()],
            "guard 1-0 floor 1-0 m:missing_group unknown - just 0 of 90 blocked",
        ),
        (
            |it, _| (it.groups, it.ignore_groups) = (vec!["m".into()], vec!["m".into(), "g".into()]),
            "guard - floor - - unknown - just 90 of 90",
        ),
        (
            |_, stream| stream.unwatched_groups = 1,
            "guard 0-0 floor 30-1 g:unread unknown :unwatched_groups at most 30 of 90 blocked",
        ),
        // The stream's first and last ID are unknown.
        (
            |_, stream| (stream.first_entry_id, stream.last_generated_id) = (None, None),
            "guard 30-1 floor 30-1 g:unread unknown - just 30 of 90 blocked",
        ),
        (
            |it, stream| (it.groups, stream.first_entry_id) = (vec!["m".into()], None),
            "guard 0-0 floor 0-0 m:missing_group unknown - just 0 of 90 blocked",
        ),
    ];
    for (change, expected) in cases {
        assert_eq!(actual(&plan(change, [group("g", 30, Lag::Exactly(70), Pending::None)])), expected);
    }
    // Strict mode protects no group, and an ignored group needs no protection.
    let changes: [Change; 2] = [|it, _| it.mode = Mode::Strict, |it, _| it.ignore_groups = vec!["g".into()]];
    for change in changes {
        let unknown = group("g", 30, Lag::Exactly(70), Pending::Unknown);
        assert_eq!(actual(&plan(change, [unknown])), "guard - floor - - unknown - just 90 of 90");
    }
}

#[test]
fn groups_that_would_lose_entries_are_listed_with_upper_bounds() {
    let actual = |change: Change, groups: Vec<(Name, GroupState, GroupReport)>| {
        let (policy, stream, verdict) = subject(change, groups);
        let removed = Plan::new(&policy, &stream, &verdict).at_most;
        let losing = losing(removed, &policy, &stream, &verdict);
        let words = |it: &Losing| format!("{} {} {}", it.group, it.undelivered, it.pending);
        losing.iter().map(words).collect::<Vec<_>>().join(", ")
    };
    let pending = |delivered, oldest, count| {
        let (name, state, report) = group("p", delivered, Lag::Exactly(100 - delivered), oldest);
        (name, GroupState { pending: count, ..state }, report)
    };
    let strict: Change = |it, _| it.mode = Mode::Strict;
    // 90 of 100 entries are removed. 30 of them were delivered to the group.
    let behind = || group("g", 30, Lag::Exactly(70), Pending::None);
    for (change, groups, expected) in [
        (strict, vec![behind(), group("read", 95, Lag::Exactly(5), Pending::None)], "g 60 0"),
        (strict, vec![group("g", 30, Lag::AtMost(200), Pending::None)], "g 90 0"),
        (strict, vec![pending(100, oldest(1), 4)], "p 0 4"),
        (strict, vec![pending(20, Pending::Unknown, 400)], "p 70 20"),
        // If the exact lag is unknown, any existing entry may have been delivered.
        (
            strict,
            vec![{
                let (name, state, report) = group("g", 30, Lag::AtMost(200), oldest(1));
                (name, GroupState { pending: 4, ..state }, report)
            }],
            "g 90 4",
        ),
        (|_, _| (), vec![behind()], ""),
        (
            |it, _| it.ignore_groups = vec!["g".into()],
            vec![behind(), group("read", 95, Lag::Exactly(5), Pending::None)],
            "g 60 0",
        ),
    ] {
        assert_eq!(actual(change, groups), expected);
    }
}

#[test]
fn each_block_reason_has_a_label_and_a_sentence() {
    let actual = BlockReason::ALL
        .map(|reason| (reason.as_str(), TrimBlocker { group: Some("g".into()), reason }.to_string()));
    let expected = [
        ("unread", "group g has not read"),
        ("pending", "group g has not acknowledged"),
        ("missing_group", "group g is expected"),
        ("node_size", "a node of the stream holds more entries"),
        ("not_times", "the stream's IDs are not times"),
        ("unsupported", "safe trimming needs Redis 6.2.7"),
        ("unwatched_groups", "the stream has more groups"),
    ];
    for ((label, words), (expected_label, beginning)) in actual.iter().zip(expected) {
        assert_eq!(*label, expected_label);
        assert!(words.starts_with(beginning), "{words}");
    }
}
