//! Commands that may help a group, for a shell: quoted, and each only plans.

use std::{borrow::Cow, time::Duration};

use serde::{Deserialize, Serialize};

use super::word::{Word, Words};
use crate::{
    config::Thresholds,
    model::{ConsumerState, Millis, Name},
    reading::{GroupReading, StreamReading},
    retention::BlockReason,
    stuck::{LONG_IDLE, LONG_IDLE_FLAG, command_line, seems_to_fail},
};

/// A consumer that is idle for longer may be deleted: the default of `reap-consumers`.
const UNUSED_AFTER: Duration = Duration::from_secs(24 * 60 * 60);

/// What a command is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HelpKind {
    /// An entry that was delivered and not acknowledged blocks retention.
    BlocksRetention,
    /// Entries were delivered again and again.
    Poison,
    /// A consumer holds entries and does nothing.
    DeadConsumer,
    /// A consumer holds nothing and does nothing.
    UnusedConsumer,
}

impl Words for HelpKind {
    const NAME: &'static str = "HelpKind";
    const ALL: &'static [Self] =
        &[Self::BlocksRetention, Self::Poison, Self::DeadConsumer, Self::UnusedConsumer];

    fn as_str(self) -> &'static str {
        match self {
            Self::BlocksRetention => "blocks_retention",
            Self::Poison => "poison",
            Self::DeadConsumer => "dead_consumer",
            Self::UnusedConsumer => "unused_consumer",
        }
    }
}

/// A command that may help a group.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "Help"))]
pub struct HelpDocument<'a> {
    /// What it is for.
    pub kind: Word<HelpKind>,
    /// The entry or the consumer that it is about, for people; `null` if it is about several.
    pub about: Option<Cow<'a, str>>,
    /// The command for a shell (bash, zsh or ksh). It only shows what it would do (`--dry-run`).
    pub command: Cow<'a, str>,
}

/// The commands that may help a group.
pub(super) fn help(stream: &StreamReading<'_>, group: &GroupReading<'_>) -> Vec<HelpDocument<'static>> {
    let Some(state) = group.state else { return Vec::new() };
    let names = (stream.name, group.name);
    let blocking = stream.blocked_by().filter(|it| it.reason == BlockReason::Pending);
    let is_blocking = blocking.is_some_and(|it| it.group.as_ref() == Some(group.name));
    let oldest = group.report.map_or(state.oldest_pending, |report| report.oldest_pending(state)).oldest();
    let rule = stream.rule();
    let from = rule.map_or(Thresholds::DELIVERIES, |rule| rule.thresholds.poison_from());
    let blocks = oldest.filter(|oldest| is_blocking && seems_to_fail(oldest, from)).map(|oldest| {
        let id = oldest.id.to_string();
        let command = command_line("dead-letter", names, &[("--id", id.as_bytes())]);
        document(HelpKind::BlocksRetention, Some(id), command)
    });
    let is_poisoned = group.report.and_then(|report| report.poison).is_some_and(|poison| poison.get() > 0);
    // An entry that a consumer retries all the time is never idle for long. Of the others it is not known how idle they are.
    let retried =
        oldest.filter(|oldest| oldest.is_at_least(from, Millis::ZERO) && !seems_to_fail(oldest, from));
    let poison = is_poisoned.then(|| {
        if let Some(retried) = retried {
            let id = retried.id.to_string();
            let command = command_line("dead-letter", names, &[("--id", id.as_bytes())]);
            return document(HelpKind::Poison, Some(id), command);
        }
        let options = [("--deliveries", from.to_string()), ("--idle", LONG_IDLE_FLAG.to_owned())];
        let options = options.each_ref().map(|(flag, value)| (*flag, value.as_bytes()));
        document(HelpKind::Poison, None, command_line("dead-letter", names, &options))
    });
    let has_stuck = state.stuck_consumers.is_some_and(|stuck| stuck.get() > 0);
    let dead = dead_and_living(&state.consumers).filter(|_| has_stuck).map(|(dead, living)| {
        let options =
            [("--from", dead.as_bytes()), ("--to", living.as_bytes()), ("--idle", LONG_IDLE_FLAG.as_bytes())];
        document(HelpKind::DeadConsumer, Some(dead.to_string()), command_line("claim", names, &options))
    });
    let is_unused = |consumer: &ConsumerState| {
        consumer.pending == 0 && consumer.idle.is_some_and(|idle| idle.duration() >= UNUSED_AFTER)
    };
    let unused = state.consumers.iter().find(|consumer| is_unused(consumer)).map(|consumer| {
        let name = Some(consumer.name.to_string());
        document(HelpKind::UnusedConsumer, name, command_line("reap-consumers", names, &[]))
    });
    blocks.into_iter().chain(poison).chain(dead).chain(unused).collect()
}

/// The consumer that holds entries and was idle for longest; and the one that was active last. Both as the command asks: the
/// first one idle for so long, and the other one at work, since only one that reads can handle what it gets.
fn dead_and_living(consumers: &[ConsumerState]) -> Option<(&Name, &Name)> {
    let idle = |consumer: &&ConsumerState| consumer.idle;
    let known = || consumers.iter().filter(|consumer| consumer.idle.is_some());
    let holds_long = |consumer: &&ConsumerState| consumer.pending > 0 && consumer.idle >= Some(LONG_IDLE);
    let dead = known().filter(holds_long).max_by_key(idle)?;
    // Before Redis 7.2 it is not known of any consumer when it received an entry.
    let says_inactive = consumers.iter().any(|consumer| consumer.inactive.is_some());
    let works = |consumer: &&ConsumerState| {
        let was_active = consumer.idle.is_some_and(|idle| idle < LONG_IDLE);
        was_active && (!says_inactive || consumer.inactive.is_some())
    };
    let living = known().filter(works).min_by_key(idle)?;
    Some((&dead.name, &living.name))
}

fn document(kind: HelpKind, about: Option<String>, command: String) -> HelpDocument<'static> {
    HelpDocument { kind: kind.into(), about: about.map(Into::into), command: command.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: u64 = 60_000;

    #[test]
    fn entries_are_handed_over_by_who_did_nothing_for_ten_minutes_to_who_works() {
        let consumer = |name: &str, pending, idle, inactive: Option<u64>| ConsumerState {
            name: name.into(),
            pending,
            idle: Some(Millis::new(idle)),
            inactive: inactive.map(Millis::new),
        };
        let found = |consumers: &[ConsumerState]| {
            let found = dead_and_living(consumers);
            found.map(|(dead, living)| (dead.to_string(), living.to_string()))
        };
        let gone = consumer("gone", 3, 11 * MINUTE, Some(11 * MINUTE));
        let to = |name: &str| Some(("gone".to_owned(), name.to_owned()));
        let works = consumer("works", 0, 1_000, Some(2_000));
        let never = consumer("never", 0, 10, None);
        let slow = consumer("slow", 0, 12 * MINUTE, Some(12 * MINUTE));
        assert_eq!(found(&[gone.clone(), never.clone(), works.clone()]), to("works"));
        assert_eq!(found(&[gone.clone(), never.clone()]), None, "one that never received an entry");
        assert_eq!(found(&[gone.clone(), slow]), None, "one that was not active of late");
        let busy = consumer("gone", 3, 9 * MINUTE, Some(9 * MINUTE));
        assert_eq!(found(&[busy, works.clone()]), None, "the command would refuse");
        // Before Redis 7.2 nobody knows who received an entry.
        let old = consumer("gone", 3, 11 * MINUTE, None);
        assert_eq!(found(&[old, never]), to("never"));
        assert_eq!(found(&[gone, works]), to("works"));
    }
}
