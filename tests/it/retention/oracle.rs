//! What a step of retention may do, by brute force: every entry, every pending list, before and after.

use std::collections::{BTreeMap, BTreeSet};

use proptest::test_runner::TestCaseError;
use redis::{Connection, Value, cmd};
use streamwarden::{
    config::{Mode, Policy},
    model::{Name, StreamId},
};

/// All that a stream holds and all that its groups need.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Truth {
    pub(super) entries: Vec<StreamId>,
    pub(super) groups: BTreeMap<String, Needs>,
    /// Entries ever removed; `None` where the server does not count additions.
    ever_removed: Option<i64>,
}

/// Where a group stands.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Needs {
    pub(super) delivered: StreamId,
    pub(super) pending: BTreeSet<StreamId>,
}

impl Truth {
    pub(super) fn of(connection: &mut Connection) -> Self {
        let range: Vec<(String, Value)> = cmd("XRANGE").arg("s").arg("-").arg("+").query(connection).unwrap();
        let entries = range.iter().map(|(id, _)| id.parse().unwrap()).collect();
        let groups: Vec<BTreeMap<String, Value>> =
            cmd("XINFO").arg("GROUPS").arg("s").query(connection).unwrap_or_default();
        let groups: BTreeMap<String, Needs> = groups
            .into_iter()
            .map(|fields| {
                let text = |key: &str| redis::from_redis_value::<String>(fields[key].clone()).unwrap();
                let name = text("name");
                let mut pending = cmd("XPENDING");
                pending.arg("s").arg(&name).arg("-").arg("+").arg(100_000);
                let rows: Vec<(String, String, i64, i64)> = pending.query(connection).unwrap();
                let pending = rows.iter().map(|row| row.0.parse().unwrap()).collect();
                (name, Needs { delivered: text("last-delivered-id").parse().unwrap(), pending })
            })
            .collect();
        let stream: BTreeMap<String, Value> =
            cmd("XINFO").arg("STREAM").arg("s").query(connection).unwrap_or_default();
        let count = |key: &str| redis::from_redis_value::<i64>(stream.get(key)?.clone()).ok();
        let ever_removed = count("entries-added").zip(count("length")).map(|(added, length)| added - length);
        Self { entries, groups, ever_removed }
    }

    /// Whether a group that counts needs this entry.
    fn needs(&self, policy: &Policy, id: StreamId) -> bool {
        let counts = |group: &str| counts(policy, &Name::from(group));
        let needs = |needs: &Needs| id > needs.delivered || needs.pending.contains(&id);
        self.misses_a_group(policy) || self.groups.iter().any(|(group, it)| counts(group) && needs(it))
    }

    fn misses_a_group(&self, policy: &Policy) -> bool {
        let mut expected = policy.groups.iter().filter(|group| counts(policy, group));
        expected.any(|group| !self.groups.contains_key(&group.to_string()))
    }

    /// Entries before the first that somebody needs.
    fn removable(&self, policy: &Policy) -> usize {
        let is_safe = policy.mode == Mode::Safe;
        let needed = self.entries.iter().position(|id| is_safe && self.needs(policy, *id));
        needed.unwrap_or(self.entries.len())
    }
}

fn counts(policy: &Policy, group: &Name) -> bool {
    !policy.ignore_groups.contains(group)
}

/// What the server answered: removed, length, floor, group, why, whether forced, entries ever removed, losses.
pub(super) type Answer = (u64, u64, String, String, String, bool, i64, BTreeMap<String, u64>);

macro_rules! ensure {
    ($holds:expr, $($what:tt)*) => {
        if !$holds {
            return Err(TestCaseError::fail(format!($($what)*)));
        }
    };
}
pub(super) use ensure;

/// Compares what a step did with what it may do.
pub(super) fn check_harmless(
    (policy, step): (&Policy, u64),
    before: &Truth,
    after: &Truth,
    answer: &Answer,
) -> Result<(), TestCaseError> {
    let (removed, length, _, _, _, is_forced, ..) = answer;
    let count = before.entries.len() - after.entries.len();
    ensure!(before.entries.ends_with(&after.entries), "not the oldest went: {before:?} {after:?}");
    ensure!(before.groups == after.groups, "groups changed: {before:?} {after:?}");
    ensure!((*removed, *length) == (count as u64, after.entries.len() as u64), "{answer:?}: {count} went");
    ensure!(*removed <= step, "{removed} went in a step of {step}");
    let gone = &before.entries[..count];
    let needed = gone.iter().find(|id| policy.mode == Mode::Safe && before.needs(policy, **id));
    let ceiling = policy.ceiling.filter(|_| *is_forced);
    match (needed, ceiling) {
        (Some(id), None) => {
            return Err(TestCaseError::fail(format!("{id} was needed: {policy:?} {before:?}")));
        }
        (_, Some(ceiling)) => ensure!(*length >= ceiling, "below the ceiling"),
        (None, None) => ensure!(
            count == 0 || policy.max_length.is_some_and(|limit| *length >= limit),
            "below the limit: {policy:?} {answer:?}"
        ),
    }
    Ok(())
}

/// Compares what each group lost with the entries that went before they were delivered to it.
pub(super) fn check_losses(before: &Truth, after: &Truth, answer: &Answer) -> Result<(), TestCaseError> {
    let (removed, .., ever, lost) = answer;
    let Some(ever_truly) = after.ever_removed.filter(|_| *removed > 0) else {
        ensure!(*ever == -1 && lost.is_empty(), "nothing to count, but {answer:?}");
        return Ok(());
    };
    let gone = &before.entries[..before.entries.len() - after.entries.len()];
    let lost_truly = before.groups.iter().filter_map(|(group, Needs { delivered, .. })| {
        let lost = gone.iter().filter(|id| *id > delivered).count() as u64;
        (lost > 0).then(|| (group.clone(), lost))
    });
    let lost_truly: BTreeMap<String, u64> = lost_truly.collect();
    ensure!(*lost == lost_truly, "in truth {lost_truly:?} were lost: {answer:?} {before:?}");
    ensure!(*ever == ever_truly, "in truth {ever_truly} were ever removed: {answer:?}");
    Ok(())
}

/// Compares who is named, and what is left, with who needs what.
pub(super) fn check_complete(
    (policy, step, node): (&Policy, u64, u64),
    before: &Truth,
    answer: &Answer,
) -> Result<(), TestCaseError> {
    let (removed, _, _, group, reason, ..) = answer;
    let excess = policy.excess(before.entries.len() as u64);
    if *removed == 0 && excess > 0 {
        let is_blocked = (before.removable(policy) as u64) < excess.min(step);
        let is_giant = reason == "node_size";
        ensure!(!is_giant || node >= step, "a node of {node} is no reason: {answer:?}");
        ensure!(
            is_giant || is_blocked != reason.is_empty(),
            "blocked: {is_blocked}, but {answer:?}: {before:?}"
        );
        ensure!(!is_blocked || !group.is_empty(), "nobody is named: {answer:?}");
        ensure!(is_blocked || excess < node || is_giant, "{excess} too many stay: {answer:?}");
        ensure!(is_blocked || is_giant || !policy.exact, "exactly was asked for: {answer:?}");
    }
    Ok(())
}
