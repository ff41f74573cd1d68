//! Commands that may help a group, for a shell: quoted, and each only plans.

use std::{borrow::Cow, time::Duration};

use serde::{Deserialize, Serialize};

use super::word::{Word, Words};
use crate::{
    config::Thresholds,
    model::{ConsumerState, GroupState, Name},
    reading::{GroupReading, StreamReading},
    retention::BlockReason,
    stuck::command_line,
};

/// Longer than most handlers work on an entry. People check it.
const IDLE: &str = "10m";
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
    let blocks = oldest.filter(|_| is_blocking).map(|oldest| {
        let id = oldest.id.to_string();
        let command = command_line("dead-letter", names, &[("--id", id.as_bytes())]);
        document(HelpKind::BlocksRetention, Some(id), command)
    });
    let is_poisoned = group.report.and_then(|report| report.poison).is_some_and(|poison| poison.get() > 0);
    let poison = is_poisoned.then(|| {
        let from = stream.rule().map_or(Thresholds::DELIVERIES, |rule| rule.thresholds.poison_from());
        let options = [("--deliveries", from.to_string()), ("--idle", IDLE.to_owned())];
        let options = options.each_ref().map(|(flag, value)| (*flag, value.as_bytes()));
        document(HelpKind::Poison, None, command_line("dead-letter", names, &options))
    });
    let dead = dead_and_living(state).map(|(dead, living)| {
        let options = [("--from", dead.as_bytes()), ("--to", living.as_bytes()), ("--idle", IDLE.as_bytes())];
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

/// The consumer that holds entries and was idle for longest, if one is stuck; and the one that was active last.
fn dead_and_living(state: &GroupState) -> Option<(&Name, &Name)> {
    state.stuck_consumers.filter(|stuck| stuck.get() > 0)?;
    let idle = |consumer: &&ConsumerState| consumer.idle;
    let known = || state.consumers.iter().filter(|consumer| consumer.idle.is_some());
    let dead = known().filter(|consumer| consumer.pending > 0).max_by_key(idle)?;
    let living = known().min_by_key(idle).filter(|living| living.idle < dead.idle)?;
    Some((&dead.name, &living.name))
}

fn document(kind: HelpKind, about: Option<String>, command: String) -> HelpDocument<'static> {
    HelpDocument { kind: kind.into(), about: about.map(Into::into), command: command.into() }
}
