//! Hours of a group's life in milliseconds: which statuses are reported when nothing is wrong, and how soon when
//! something is.

mod traces;

use std::fmt::Write as _;

use super::{
    test_readings::{begin, config, node, snapshot},
    *,
};
use crate::model::{
    Answers, Counted, Finding, GroupState, Lookup, Millis, NameMap, Node, Now, OldestPending, Pending,
    Question, ServerTime, Snapshot, StreamId, StreamState,
};
use std::time::Duration;

const EPOCH_MS: u64 = 1_800_000_000_000;
const MINUTE: u64 = 60;
const HOUR: u64 = 3_600;
const STREAM: &str = "streams: [{match: s, groups: [g], thresholds: {lag: 50000, lag_age: 1h}}]";
/// The status window.
const WINDOW: u64 = 5 * MINUTE;

/// A stream with one group. Each entry has the ID of its second.
struct World {
    second: u64,
    entries: Vec<StreamId>,
    trimmed: usize,
    delivered: usize,
    acknowledged: usize,
    asked_at: u64,
    consumers: u64,
    group_is_there: bool,
    random: fastrand::Rng,
    carry: (f64, f64),
}

/// What happens in a second.
#[derive(Clone, Copy)]
struct Second {
    /// Entries that are added.
    adds: f64,
    /// Entries that the consumers can process.
    takes: f64,
    /// Whether the consumers read.
    asks: bool,
    /// Whether they acknowledge the entries that they read.
    acknowledges: bool,
}

const IDLE: Second = Second { adds: 0.0, takes: 0.0, asks: true, acknowledges: true };

fn whole(carry: &mut f64, more: f64) -> usize {
    *carry += more;
    let whole = carry.floor();
    *carry -= whole;
    format!("{whole}").parse().unwrap()
}

impl World {
    fn new(seed: u64) -> Self {
        Self {
            second: 0,
            entries: vec![StreamId::new(EPOCH_MS, 0)],
            trimmed: 0,
            delivered: 1,
            acknowledged: 1,
            asked_at: 0,
            consumers: 3,
            group_is_there: true,
            random: fastrand::Rng::with_seed(seed),
            carry: (0.0, 0.0),
        }
    }

    fn pass(&mut self, now: Second) {
        self.second += 1;
        let ms = EPOCH_MS + self.second * 1_000;
        for seq in 0..whole(&mut self.carry.0, now.adds) {
            self.entries.push(StreamId::new(ms, seq.try_into().unwrap()));
        }
        // Entries that were read in the second before are finished now.
        if now.acknowledges && self.consumers > 0 {
            self.acknowledged = self.delivered;
        }
        if now.asks && self.consumers > 0 {
            self.asked_at = self.second;
            let takes = whole(&mut self.carry.1, now.takes);
            self.delivered = (self.delivered + takes).min(self.entries.len());
            // Unused capacity is lost.
            if self.delivered == self.entries.len() {
                self.carry.1 = 0.0;
            }
        }
    }

    fn snapshot(&self) -> Snapshot {
        let now = ServerTime(EPOCH_MS + self.second * 1_000);
        let count = |number: usize| u64::try_from(number).unwrap();
        let id = |index: usize| self.entries[index];
        let pending = self.delivered - self.acknowledged;
        let position = self.delivered.checked_sub(1).map_or(StreamId::ZERO, id);
        let group = GroupState {
            pending: count(pending),
            oldest_pending: match pending {
                0 => Pending::None,
                _ => Pending::Oldest(OldestPending {
                    id: id(self.acknowledged),
                    idle: Some(Millis::new(1_000)),
                    deliveries: 1,
                }),
            },
            consumer_count: self.consumers,
            least_idle: (self.consumers > 0).then(|| Millis::new(1_000 * (self.second - self.asked_at))),
            ..GroupState::at(position)
        };
        let stream = StreamState {
            length: count(self.entries.len() - self.trimmed),
            last_generated_id: self.entries.last().copied(),
            max_deleted_entry_id: Some(StreamId::ZERO),
            entries_added: Some(count(self.entries.len())),
            first_entry_id: self.entries.get(self.trimmed).copied(),
            groups: if self.group_is_there {
                NameMap::from([("g".into(), group)])
            } else {
                NameMap::default()
            },
            ..StreamState::of_length(0)
        };
        Snapshot {
            nodes: vec![Node { time: Ok(Now::exactly(now)), ..node() }],
            ..snapshot([("s".into(), Ok(stream))])
        }
    }

    fn answer(&self, questions: &[Question]) -> Answers {
        let there = &self.entries[self.trimmed..];
        let answer = |question: &Question| {
            let after = |id: StreamId| there.partition_point(|entry| *entry <= id);
            let answer = match question.lookup {
                Lookup::Count { after: from, up_to, .. } => {
                    let counted = &there[after(from)..after(up_to)];
                    Finding::Counted(Counted {
                        up_to,
                        entries: counted.len().try_into().unwrap(),
                        lowest: counted.first().copied(),
                        is_complete: true,
                    })
                }
                Lookup::FirstAfter(from) => Finding::FirstAfter(there.get(after(from)).copied()),
                Lookup::PendingFrom(_) | Lookup::PendingSample { .. } => Finding::Nothing,
            };
            (question.stream.clone(), question.group.clone(), answer)
        };
        questions.iter().map(answer).collect()
    }
}

/// A simulated life: what happens in each second, and from when to when something is wrong.
struct Trace {
    name: &'static str,
    hours: u64,
    /// The problem, from this second to that.
    wrong: Option<(GroupStatus, u64, u64)>,
    live: fn(&mut World) -> Second,
}

struct Outcome {
    polls: usize,
    /// Statuses that were reported although nothing was wrong.
    false_alarms: Vec<(u64, GroupStatus, String)>,
    said_after: Option<u64>,
    well_after: Option<u64>,
    changes: usize,
    reason: String,
}

fn run(trace: &Trace, seed: u64) -> Outcome {
    let (config, mut history, mut world) = (config(STREAM), History::default(), World::new(seed));
    let mut outcome = Outcome {
        polls: 0,
        false_alarms: Vec::new(),
        said_after: None,
        well_after: None,
        changes: 0,
        reason: String::new(),
    };
    let mut last = GroupStatus::Unknown;
    while world.second < trace.hours * HOUR {
        let second = (trace.live)(&mut world);
        world.pass(second);
        if world.second % 15 != 0 {
            continue;
        }
        outcome.polls += 1;
        let open = begin(&mut history, world.snapshot(), &config, MOST_QUESTIONS);
        let answers = world.answer(open.asked());
        // Polls come a little early or late.
        let jitter = Duration::from_millis(world.random.u64(0..400));
        let (_, report) = open.finish(&answers, Duration::from_secs(world.second) + jitter);
        let group = report.streams.get(&"s".into()).unwrap().groups.get(&"g".into()).unwrap();
        let (now, status) = (world.second, group.status);
        outcome.changes += usize::from(status != last);
        last = status;
        let is_bad = !matches!(status, GroupStatus::Ok | GroupStatus::Unknown);
        match trace.wrong {
            Some((wrong, from, _)) if status == wrong && now >= from => {
                let is_first = outcome.said_after.is_none();
                outcome.said_after.get_or_insert(now - from);
                outcome.reason = if is_first { group.cause.to_string() } else { outcome.reason };
            }
            // During the problem, and for two windows after it, a different status is not a false alarm.
            Some((_, from, to)) if now >= from && now < to + 2 * WINDOW => {}
            _ if is_bad => outcome.false_alarms.push((now, status, group.cause.to_string())),
            _ => {}
        }
        if let Some((_, _, to)) = trace.wrong
            && now >= to
        {
            outcome.well_after = if is_bad { None } else { outcome.well_after.or(Some(now - to)) };
        }
    }
    outcome
}

#[test]
fn no_status_is_reported_without_a_cause_and_each_cause_is_reported_within_two_windows() {
    let mut table =
        "trace | hours | polls | changes | false alarms | reported after | recovered after | reason\n"
            .to_owned();
    let mut failures = Vec::new();
    for trace in traces::TRACES {
        let outcome = run(trace, 7);
        let after =
            |seconds: Option<u64>| seconds.map_or("-".to_owned(), |it| short(Duration::from_secs(it)));
        writeln!(
            table,
            "{} | {} | {} | {} | {} | {} | {} | {}",
            trace.name,
            trace.hours,
            outcome.polls,
            outcome.changes,
            outcome.false_alarms.len(),
            after(outcome.said_after),
            after(outcome.well_after),
            outcome.reason
        )
        .unwrap();
        if let Some(first) = outcome.false_alarms.first() {
            failures.push(format!("{}: {first:?}", trace.name));
        }
        let late = |after: Option<u64>| after.is_none_or(|after| after > 2 * WINDOW);
        if let Some((wrong, ..)) = trace.wrong {
            let late_said = late(outcome.said_after) && wrong != GroupStatus::TrimmedPast;
            if outcome.said_after.is_none() || late_said || late(outcome.well_after) {
                failures.push(format!(
                    "{}: reported after {:?}, recovered after {:?}",
                    trace.name, outcome.said_after, outcome.well_after
                ));
            }
        }
    }
    println!("{table}");
    assert!(failures.is_empty(), "{}\n{table}", failures.join("\n"));
}
