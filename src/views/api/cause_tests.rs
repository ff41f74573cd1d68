//! Each kind of cause with its sentence, in a file that the page's tests read too: its words in English must be this
//! sentence, and it must have words in its other languages.

use std::time::Duration;

use serde_json::{Value, json};

use super::*;
use crate::{
    evaluate::{GroupStatus, GroupVerdict, Health, Series, ServerFault, StreamVerdict, Unread},
    model::Millis,
    retention::{BlockReason, TrimBlocker},
    views::{
        api::{FaultCauseDocument, trim::blocked_by},
        test_reading,
    },
};

const SOON: Duration = Duration::from_secs(59);
const LATER: Duration = Duration::from_secs(3_723);
const DAYS: Duration = Duration::from_secs(183_600);

fn groups() -> Vec<GroupCause> {
    let backlog = |lag, pending| Backlog { lag, pending };
    let both = backlog(Lag::Exactly(1_234), 56);
    let near = NearLimit { pending: 900, limit: 1_000 };
    let still = |backlog, consumers, idle: Option<Duration>, near: Option<NearLimit>| GroupCause::Still {
        backlog,
        consumers,
        least_idle: idle.map(Millis::from),
        still: LATER,
        near: near.map(Box::new),
    };
    let stuck = |pending: Option<u64>, consumers| GroupCause::Stuck {
        worst: pending
            .map(|pending| Box::new(StuckConsumer { name: "worker-1".into(), pending, silent: LATER })),
        consumers,
        after: SOON,
    };
    vec![
        GroupCause::Unread(Reason::Timeout.into()),
        GroupCause::Unread(refused()),
        GroupCause::NotThere { since: DAYS },
        GroupCause::TooEarly { backlog: backlog(Lag::Exactly(1), 0), watched: SOON, window: LATER },
        GroupCause::LagUnknown { backlog: backlog(Lag::AtMost(1), 1) },
        GroupCause::Trimmed { entries: 1, ago: SOON },
        GroupCause::Trimmed { entries: 2_000, ago: SOON },
        GroupCause::Suspected { entries: 1, ago: SOON },
        GroupCause::Suspected { entries: 2_000, ago: SOON },
        GroupCause::Dropped { entries: 1, ago: SOON },
        GroupCause::Dropped { entries: 2_000, ago: SOON },
        GroupCause::WentBack { from: StreamId::new(5, 1), to: StreamId::new(4, 0), ago: SOON },
        GroupCause::NoConsumer { backlog: both },
        GroupCause::Silent { backlog: backlog(Lag::Exactly(0), 1), consumers: 1, silent: LATER },
        GroupCause::Silent { backlog: both, consumers: 2_000, silent: LATER },
        still(backlog(Lag::Exactly(0), 2), 1, Some(SOON), None),
        still(both, 3, Some(SOON), Some(near)),
        still(both, 3, None, None),
        GroupCause::Over(Over::Lag(1, 0)),
        GroupCause::Over(Over::Lag(2_000, 1_000)),
        GroupCause::Over(Over::LagAge(LATER, SOON)),
        GroupCause::Over(Over::LagAgeByDefault(LATER)),
        GroupCause::Over(Over::Pending(1, 0)),
        GroupCause::Over(Over::Pending(2_000, 1_000)),
        GroupCause::Over(Over::PendingAge(DAYS, SOON)),
        GroupCause::Over(Over::PendingAgeByDefault(DAYS)),
        GroupCause::Over(Over::Poison { entries: 1, is_lower_bound: false, deliveries: 5 }),
        GroupCause::Over(Over::Poison { entries: 2_000, is_lower_bound: true, deliveries: 5 }),
        GroupCause::Over(Over::Limit(near)),
        GroupCause::Growing { backlog: both, from: 10, to: 1_290, within: LATER },
        GroupCause::Recovering { backlog: both, since: SOON, until: LATER },
        GroupCause::Idle,
        GroupCause::Moving { backlog: backlog(Lag::AtMost(7), 0) },
        GroupCause::Standing { backlog: both, last: Some(SOON), watched: LATER },
        GroupCause::Standing { backlog: both, last: None, watched: LATER },
        stuck(Some(1), 1),
        stuck(Some(2_000), 2),
        stuck(Some(3), 2_001),
        stuck(None, 1),
        stuck(None, 2_000),
        GroupCause::Ignored(GroupStatus::NoConsumers),
    ]
}

fn streams() -> Vec<StreamCause> {
    let group = |others| StreamCause::Group { name: "billing".into(), others };
    let recreated = |gone| StreamCause::Recreated(Recreation { gone, ago: LATER });
    vec![
        StreamCause::Fine { groups: 0 },
        StreamCause::Fine { groups: 1 },
        StreamCause::Fine { groups: 2 },
        StreamCause::Unwatched { groups: 1_500 },
        group(0),
        group(2),
        StreamCause::Absent(Reason::WrongType),
        StreamCause::Absent(Reason::NoKey),
        StreamCause::Unreadable(Reason::Timeout.into()),
        StreamCause::Unreadable(Reason::NoPermission.into()),
        StreamCause::Unreadable(refused()),
        recreated(Some(0)),
        recreated(Some(1)),
        recreated(Some(2_000)),
        recreated(None),
        StreamCause::TooLong { length: 20_000, limit: 10_000, after: LATER },
        StreamCause::TooOld { age: DAYS, limit: LATER, after: SOON },
        StreamCause::TooLong { length: 20_000, limit: 10_000, after: Duration::ZERO },
        StreamCause::TooOld { age: DAYS, limit: LATER, after: Duration::ZERO },
        StreamCause::Silent { silent: DAYS, threshold: LATER },
        StreamCause::ClockBehind { behind: DAYS },
    ]
}

fn refused() -> Unread {
    Unread { reason: Reason::NoPermission, refused: Some("XINFO STREAM".to_owned()) }
}

fn faults() -> Vec<ServerFault> {
    let (used, limit) = (2_000 << 20, 1_900 << 20);
    vec![
        ServerFault::OutOfMemory { used, limit },
        ServerFault::LogFails,
        ServerFault::SnapshotFails,
        ServerFault::NoReplicas,
        ServerFault::Eviction { policy: "allkeys-lru".into(), used, limit },
        ServerFault::Recreated { recreated: 2, streams: 2_000, restarted: None },
        ServerFault::Recreated { recreated: 1_900, streams: 2_000, restarted: Some(LATER) },
        ServerFault::Vanished { found: 1, before: 2_000, within: Duration::from_hours(6) },
        ServerFault::Vanished { found: 0, before: 1, within: Duration::from_hours(6) },
    ]
}

/// A stream of this health, whose one group is stopped.
fn verdict(cause: StreamCause) -> StreamVerdict {
    let billing = GroupVerdict {
        status: GroupStatus::Stopped,
        cause: GroupCause::NoConsumer { backlog: Backlog { lag: Lag::Exactly(3), pending: 0 } },
        read: None,
        rate_out: None,
        lags: Series::default(),
    };
    StreamVerdict {
        health: Health::Critical,
        cause,
        read: None,
        over_limit: None,
        recreated: None,
        rate_in: None,
        lengths: Series::default(),
        added: Series::default(),
        memory: None,
        groups: [("billing".into(), billing)].into_iter().collect(),
    }
}

#[test]
fn each_kind_of_cause_has_a_sentence() {
    let of_groups = groups().into_iter().map(|cause| {
        json!({"of": "group", "reason": cause.to_string(), "cause": GroupCauseDocument::from(&cause)})
    });
    let of_streams = streams().into_iter().map(|cause| {
        let verdict = verdict(cause);
        let cause = StreamCauseDocument::from(&verdict.cause);
        json!({"of": "stream", "reason": verdict.reason_of(&verdict.cause), "cause": cause})
    });
    let blockers = BlockReason::ALL.map(|reason| {
        let is_group =
            [BlockReason::Unread, BlockReason::Pending, BlockReason::MissingGroup].contains(&reason);
        TrimBlocker { group: is_group.then(|| "billing".into()), reason }
    });
    let of_blockers = blockers
        .iter()
        .map(|blocker| json!({"of": "blocker", "reason": blocker.to_string(), "cause": blocked_by(blocker)}));
    let of_faults = faults().into_iter().map(
        |fault| json!({"of": "fault", "reason": fault.to_string(), "cause": FaultCauseDocument::from(fault)}),
    );
    let lines: Vec<String> = of_groups
        .chain(of_streams)
        .chain(of_blockers)
        .chain(of_faults)
        .map(|line: Value| line.to_string())
        .collect();
    test_reading::assert_golden("causes", &lines.join("\n"));
}
