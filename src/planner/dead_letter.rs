//! Which pending entries to set aside, and where.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use super::{Looked, Looker, Refusal, refusal::Wrong};
use crate::{
    clock,
    config::{Config, Mode, StreamRule, is_of_probe},
    model::{Millis, Name, PendingEntry, ServerTime, StreamId},
    source::{Details, Found, Wanted},
    stuck::{Act, DEFAULT_BEGIN, Outcome, Outcomes, Planned},
};

/// Entries whose existence a plan checks: each is read from Redis.
const MOST_CHECKED: usize = 1_000;
/// Entries that are named as meeting one of two conditions.
const MOST_UNFIT: usize = 10;
/// Dead letters at which moving stops where no rule says so.
const MAX_LENGTH: u64 = 10_000;
const NO_DEFAULT: &str = "no default name for its dead letters is in the stream's slot of a cluster";

/// What to set aside.
#[derive(Debug, Clone)]
pub struct DeadLetterOrder {
    /// The stream.
    pub stream: Name,
    /// The group.
    pub group: Name,
    /// These entries; empty: all that fit the rest.
    pub ids: Vec<StreamId>,
    /// Only those that were delivered at least so often. Without this and without IDs, nothing is moved: entries that no longer exist are
    /// acknowledged.
    pub deliveries: Option<u64>,
    /// Only those that were not delivered for at least so long.
    pub idle: Option<Millis>,
    /// Where to begin.
    pub from: StreamId,
    /// The most entries.
    pub max: usize,
    /// The key of the dead letters, unless it is the default one.
    pub to: Option<Name>,
    /// Dead letters at which moving stops, unless it is as the stream's rule says.
    pub max_length: Option<u64>,
    /// Whether to acknowledge entries that no longer exist.
    pub acknowledge_gone: bool,
    /// What the names of added fields begin with, unless it is as the stream's rule says.
    pub prefix: Option<String>,
}

/// What would be set aside.
#[derive(Debug)]
pub struct DeadLetterPlan {
    /// The key of the dead letters; `None` if nothing is to be moved.
    pub to: Option<Name>,
    /// Dead letters at which moving stops.
    pub max_length: u64,
    /// The entries, and whether the first ones of them exist.
    pub looked: Looked,
    /// The server's clock.
    pub now: Option<ServerTime>,
    /// The acts: of named entries without an idle time in the order, one for each second of their own. Entries that no longer exist are items
    /// only if they are to be acknowledged.
    pub planned: Vec<Planned>,
    /// Entries that no longer exist.
    pub gone: u64,
    /// Entries with the IDs of the order that were not delivered so often, or not so long ago. Without IDs the first that were delivered so
    /// often, but not so long ago, where no entry meets both.
    pub unfit: Vec<PendingEntry>,
    /// Whether it was checked of each entry whether it exists.
    pub is_checked: bool,
}

impl DeadLetterOrder {
    /// # Errors
    /// All parameters that are wrong, or what is missing, or Redis failed.
    pub async fn plan(
        &self,
        config: &Config,
        details: &mut Details,
        by: &str,
    ) -> Result<DeadLetterPlan, Refusal> {
        let mut wrong = self.wrong();
        let to = self.moves().then(|| self.target(config)).transpose().map_err(|problem| wrong.push(problem));
        let (Ok(to), []) = (to, wrong.as_slice()) else { return Err(Refusal::Wrong(wrong)) };
        let mut looker = Looker { config, stream: &self.stream, details };
        let group = looker.group(&self.group).await?;
        let is_known = to.as_ref().is_some_and(|to| self.is_known(config, to));
        if let Some(to) = &to {
            let mut looker = Looker { stream: to, details: &mut *looker.details, ..looker };
            looker.check_takes_dead_letters(is_known).await?;
        }
        let now = looker.time().await?;
        let (mut found, unfit) = self.find(&mut looker).await?;
        let idle_at = self.guards_by_own_idle().then(clock::now);
        let mut ids: Vec<StreamId> = found.entries.iter().map(PendingEntry::id).collect();
        let mut exist = looker.exist(ids.get(..MOST_CHECKED).unwrap_or(&ids)).await?;
        let is_checked = exist.len() == ids.len();
        let gone = exist.iter().filter(|exists| !**exists).count();
        let mut each = exist.clone().into_iter();
        if to.is_none() {
            found.entries.retain(|_| !each.next().unwrap_or(true));
            exist.retain(|exists| !exists);
            ids = found.entries.iter().map(PendingEntry::id).collect();
        } else if !self.acknowledge_gone {
            ids.retain(|_| each.next().unwrap_or(true));
        }
        let guards = self.guards(&found, &ids);
        let rule = to.as_ref().and_then(|to| config.rule_of_dead_letters(to));
        let max_length = self.max_length.or(rule.map(|rule| rule.max_length)).unwrap_or(MAX_LENGTH);
        let act = |idle| match &to {
            None => Act::acknowledge_gone(&self.stream, &self.group, by),
            Some(to) => {
                let prefix = self.prefix.as_deref().unwrap_or_else(|| config.prefix_of_dead_letters(to));
                let names = (&self.stream, &self.group, to);
                let needed = (self.deliveries.unwrap_or(0), idle);
                Act::dead_letter(names, needed, max_length, (prefix, by), (self.acknowledge_gone, is_known))
            }
        };
        let planned = guards
            .into_iter()
            .map(|(idle, ids)| Planned { idle_at, ..Planned::of_ids(act(idle), ids) })
            .collect();
        let gone = u64::try_from(gone).unwrap_or(u64::MAX);
        let looked = Looked { group, found, exist };
        Ok(DeadLetterPlan { to, max_length, looked, now, planned, gone, unfit, is_checked })
    }

    /// Whether entries are to be moved, and not only acknowledged if they no longer exist.
    fn moves(&self) -> bool {
        !(self.acknowledge_gone && self.ids.is_empty() && self.deliveries.is_none())
    }

    /// Whether the configuration, or its name, says that a key is one of dead letters.
    fn is_known(&self, config: &Config, key: &Name) -> bool {
        config.dead_letters(&self.stream).as_ref() == Some(key) || config.holds_dead_letters(key)
    }

    /// Whether each entry must be as idle as it is in the plan, and the time since then: that of another entry would not show its delivery.
    fn guards_by_own_idle(&self) -> bool {
        self.idle.is_none() && !self.ids.is_empty()
    }

    /// The idle time that each entry must still have when it is moved, with the entries. One that is delivered meanwhile is less idle than
    /// that, so it stays.
    fn guards(&self, found: &Found, ids: &[StreamId]) -> Vec<(Millis, Vec<StreamId>)> {
        if !self.guards_by_own_idle() {
            return vec![(self.idle.unwrap_or(Millis::ZERO), ids.to_vec())];
        }
        let ids: BTreeSet<StreamId> = ids.iter().copied().collect();
        let mut by_second = BTreeMap::<Duration, (Millis, Vec<StreamId>)>::new();
        for entry in found.entries.iter().filter(|entry| ids.contains(&entry.id())) {
            // One that was given back has none: nobody works on it.
            let idle = entry.entry.idle.unwrap_or(Millis::ZERO);
            let second = Duration::from_secs(idle.duration().as_secs());
            let (least, its_ids) = by_second.entry(second).or_insert((idle, Vec::new()));
            *least = idle.min(*least);
            its_ids.push(entry.id());
        }
        by_second.into_values().collect()
    }

    /// What is wrong, whatever Redis holds.
    fn wrong(&self) -> Vec<Wrong> {
        let mut wrong = Vec::new();
        if self.moves() && self.ids.is_empty() && self.deliveries.is_none() {
            wrong.push(("ids", "needed, or deliveries and an idle time: which entries?".to_owned()));
        }
        if self.deliveries.is_some() && self.idle.is_none() {
            let what = "needs an idle time beside it: a restart also delivers again";
            wrong.push(("deliveries", what.to_owned()));
        }
        // Entries that no longer exist are not copied.
        let of_copies = [
            ("to", self.to.is_some()),
            ("max_length", self.max_length.is_some()),
            ("prefix", self.prefix.is_some()),
        ];
        let useless = of_copies.iter().filter(|(_, is_given)| *is_given && !self.moves());
        wrong.extend(useless.map(|(name, _)| (*name, "has no effect, since nothing is moved".to_owned())));
        if self.prefix.as_ref().is_some_and(String::is_empty) {
            let what = "empty: the added fields would have names that fields of entries have too";
            wrong.push(("prefix", what.to_owned()));
        }
        wrong
    }

    /// The pending entries that are meant, and those that meet one condition only.
    async fn find(&self, looker: &mut Looker<'_>) -> Result<(Found, Vec<PendingEntry>), Refusal> {
        let (deliveries, idle) = (self.deliveries.unwrap_or(0), self.idle.unwrap_or(Millis::ZERO));
        if self.ids.is_empty() {
            let wanted = Wanted { deliveries, idle, from: self.from, ..Wanted::all(self.max) };
            let found = looker.find(&self.group, &wanted).await?;
            if !found.entries.is_empty() || self.deliveries.is_none() {
                return Ok((found, Vec::new()));
            }
            let often = Wanted { idle: Millis::ZERO, limit: MOST_UNFIT, ..wanted };
            return Ok((found, looker.find(&self.group, &often).await?.entries));
        }
        let found = looker.pending_of(&self.group, &self.ids).await?;
        let missing = self.ids.iter().zip(&found).filter(|(_, entry)| entry.is_none());
        let missing: Vec<String> = missing.map(|(id, _)| id.to_string()).collect();
        if !missing.is_empty() {
            let what = format!("not pending in group {}: {}", self.group, missing.join(", "));
            return Err(Refusal::Missing(what));
        }
        let (entries, unfit) =
            found.into_iter().flatten().partition(|entry| entry.is_at_least(deliveries, idle));
        Ok((Found { entries, looked_at: 0, next: None }, unfit))
    }

    /// Where the entries go; or why no key is in the stream's slot by default, or a rule would remove dead letters from this one.
    fn target(&self, config: &Config) -> Result<Name, Wrong> {
        let stream = &self.stream;
        let target = self.to.clone().or_else(|| config.dead_letters(stream));
        let target = target.ok_or_else(|| ("to", format!("needed for {stream}: {NO_DEFAULT}")))?;
        if target.as_bytes().is_empty() {
            return Err(("to", "empty: a variable that is not set?".to_owned()));
        }
        if target.as_bytes() == config.retention.lease_key.as_bytes() {
            return Err(("to", format!("{target}: the key of the lease (retention.lease_key)")));
        }
        if is_of_probe(&target) {
            return Err(("to", format!("{target}: the name of a probe's or a bench's stream")));
        }
        if target == *stream {
            return Err(("to", format!("{target}: the dead letters need a key of their own")));
        }
        // The sidecar knows its own dead letters, and spares them from common rules.
        let rule = config.rule(&target).filter(|_| !config.holds_dead_letters(&target));
        if let Some(rule) = rule.filter(|rule| is_for_sources(rule)) {
            let what =
                format!("{target}: the rule `match: {}` is for live streams. Name another key", rule.pattern);
            return Err(("to", what));
        }
        let trims = |rule: &StreamRule| rule.retention.as_ref().is_some_and(|it| it.mode != Mode::Observe);
        let is_common = |rule: &StreamRule| {
            rule.pattern.exact().is_none()
                || config.rule(stream).is_some_and(|other| std::ptr::eq(rule, other))
        };
        match rule.filter(|rule| trims(rule) && is_common(rule)) {
            None => Ok(target),
            Some(rule) => Err((
                "to",
                format!(
                    "the limit of the rule `match: {}` applies to {target}: retention would remove dead letters. Put a rule for \
                     {target} before it, or name another key",
                    rule.pattern
                ),
            )),
        }
    }
}

/// Whether a rule says of its streams that they are worked on. One that names a key, or keys of dead letters, may be for these.
fn is_for_sources(rule: &StreamRule) -> bool {
    let is_for_any = rule.pattern.glob().is_some_and(|glob| !glob.starts_with(DEFAULT_BEGIN));
    rule.dead_letter.is_some() || (is_for_any && !rule.groups.is_empty())
}

impl DeadLetterPlan {
    /// Entries that would be moved, at most.
    #[must_use]
    pub fn movable(&self) -> usize {
        self.looked.found.entries.len() - usize::try_from(self.gone).unwrap_or(usize::MAX)
    }

    /// What would stay as it is, and why.
    #[must_use]
    pub fn left(&self, order: &DeadLetterOrder) -> Outcomes {
        let gone = if order.acknowledge_gone { 0 } else { self.gone };
        let mut left = Outcomes::of(Outcome::Gone, gone);
        if !order.ids.is_empty() {
            self.unfit.iter().for_each(|_| left.add(Outcome::Changed));
        }
        left
    }
}
