//! What is remembered of each group: what happened to it since the last poll, and what was said of it then.

use std::{collections::BTreeMap, time::Duration};

use streamwarden::{clock::Instant, model::StreamId};

use super::{
    Tally,
    expected::{GroupHappened, INTERVAL_MS, Past},
    facts::{Consumer, Facts, Group},
    story::Polls,
    told::{Subject, Told},
    truths::Right,
};

/// Where each group is: the last entry that it was given, and the server's count of those it has read.
pub(super) type Positions = BTreeMap<String, (StreamId, Option<i64>)>;

/// The groups that there were at the last poll.
#[derive(Debug, Default)]
pub(super) struct Memory(BTreeMap<String, Remembered>);

#[derive(Debug, Default)]
struct Remembered {
    /// `None` where the stream was away.
    losses: Option<Watched>,
    rewinds: u64,
    delivered: StreamId,
    /// Pending entries that went with their consumers, as it was said.
    dropped: u64,
    is_dropped_known: bool,
    /// Those that did since the last poll.
    dropped_since: u64,
    /// Consumers that had done nothing for a poll's interval at the last poll, with their pending entries.
    idle: BTreeMap<String, u64>,
    /// Since when polls have seen it without a break.
    since: Option<Instant>,
}

/// What a page said of a group's losses.
#[derive(Debug, Clone, Copy, Default)]
struct Losses {
    at_least: u64,
    at_most: u64,
    suspected: u64,
}

/// What happened to a group since the last poll, and what the poll before said.
#[derive(Debug, Clone, Copy, Default)]
struct Watched {
    /// Entries that were removed before the group had them, since the first poll that saw the group.
    lost: u64,
    /// Entries that were removed since the last poll behind where the group was then.
    lost_at_most: u64,
    /// What it had lost at the last poll, and what was reported then.
    lost_then: u64,
    reported_then: Losses,
    /// Whether the losses since the last poll have to be known exactly.
    is_exact: bool,
    delivered: StreamId,
    is_lag_known: bool,
}

/// A poll, and what is known of the stream there.
pub(super) struct Poll<'a> {
    pub(super) told: &'a Told,
    pub(super) read_at: Instant,
    /// The server's clock.
    pub(super) time: u64,
    pub(super) polls: Polls,
    /// Whether it is surely the stream of the last poll.
    pub(super) lives_on: bool,
    /// Whether it became another one since.
    pub(super) is_remade: bool,
    /// Whether the page says so.
    pub(super) is_recreated: bool,
}

impl Memory {
    /// An entry is removed while the groups are at these positions; at the last poll they were at those.
    pub(super) fn removed(&mut self, entry: StreamId, now: &Positions, then: &Positions) {
        let is_behind = |positions: &Positions, name| positions.get(name).is_some_and(|(at, _)| entry > *at);
        for (name, it) in &mut self.0 {
            if let Some(losses) = &mut it.losses {
                losses.lost += u64::from(is_behind(now, name));
                // Who was elsewhere in between looks as though it had not been given it.
                losses.lost_at_most += u64::from(is_behind(then, name));
            }
        }
    }

    /// Another server has the stream, where the groups are at these positions.
    pub(super) fn take_over(&mut self, now: &Positions) {
        for (name, it) in &mut self.0 {
            if let Some((delivered, _)) = now.get(name)
                && *delivered < it.delivered
            {
                // What it had lost and been given is another story there.
                (it.delivered, it.losses) = (*delivered, None);
            }
        }
    }

    /// A consumer is deleted, with what it has pending.
    pub(super) fn deleted(&mut self, group: &str, consumer: &str, it: &Consumer, now: u64) {
        if let Some(remembered) = self.0.get_mut(group)
            && remembered.idle.contains_key(consumer)
            && now.saturating_sub(it.seen_at) > INTERVAL_MS
        {
            remembered.dropped_since += it.pending;
        }
    }

    /// What is right to be said of a group at this poll, which becomes the last.
    pub(super) fn happened(
        &mut self,
        name: &str,
        group: &Group,
        poll: &Poll<'_>,
        tally: &mut Tally,
    ) -> GroupHappened {
        let it = self.0.entry(name.to_owned()).or_default();
        let (lost, lost_at_most) = it.losses(name, group.delivered, poll, tally);
        let told = losses(poll.told, name);
        let suspected = Right::at_most(told.map_or(0, |told| told.at_most.saturating_sub(told.at_least)));
        it.rewinds += u64::from(group.delivered < it.delivered && !poll.is_recreated);
        it.delivered = group.delivered;
        it.since = it.since.filter(|_| !poll.is_recreated).or(Some(poll.read_at));
        GroupHappened {
            is_lag_told: group_number(poll.told, name, "lag").is_some(),
            lost,
            lost_at_most,
            suspected,
            dropped: it.dropped(name, group, poll),
            rewinds: Right::number(it.rewinds),
            there_for: it.since.map_or(Duration::ZERO, |since| poll.read_at - since),
        }
    }

    /// Forgets the groups that are not there. While the stream is away they are the same, but nothing of it is compared with
    /// the one that will be.
    pub(super) fn keep(&mut self, facts: Option<&Facts>) {
        if let Some(facts) = facts {
            self.0.retain(|name, _| facts.groups.contains_key(name));
            return;
        }
        for it in self.0.values_mut() {
            let Remembered { rewinds, dropped, is_dropped_known, .. } = *it;
            *it = Remembered { rewinds, dropped, is_dropped_known, ..Remembered::default() };
        }
    }
}

impl Remembered {
    /// What is right to be said of what it lost: for certain, and at most.
    fn losses(
        &mut self,
        name: &str,
        delivered: StreamId,
        poll: &Poll<'_>,
        tally: &mut Tally,
    ) -> (Right, Right) {
        let is_lag_known = group_number(poll.told, name, "lag").is_some();
        let (before, reported) = (self.losses, losses(poll.told, name));
        let mut now = Watched { delivered, is_lag_known, is_exact: reported.is_some(), ..Watched::default() };
        let mut right = (Right::Any, Right::Any);
        if let Some(before) = before.filter(|before| delivered >= before.delivered) {
            now.lost = before.lost;
            let (truth, then) = (now.lost - before.lost_then, before.reported_then);
            let is_alone = poll.polls != Polls::Between;
            // What was proven on one server is not believed of another: less is known for certain after a move.
            let is_still = poll.polls == Polls::Around;
            // Who was elsewhere in between, or of another stream, looks as though it had not been given more.
            let most_told = if is_alone { truth } else { truth.max(before.lost_at_most) };
            let has_to_know = delivered == before.delivered
                && before.is_lag_known
                && is_lag_known
                && before.is_exact
                && poll.lives_on;
            let is_exact = is_still && (truth == 0 || has_to_know);
            let is_bounded = is_still && poll.lives_on;
            right = (
                Right::between(then.at_least + if is_exact { truth } else { 0 }, then.at_least + most_told),
                Right::at_least(then.at_most + if is_bounded { truth } else { 0 }),
            );
            if let Some(reported) = reported {
                let at_least = reported.at_least.wrapping_sub(then.at_least);
                let at_most = reported.at_most.wrapping_sub(then.at_most);
                tally.losses += 1;
                tally.exact_losses += u64::from(is_exact);
                tally.lost_at_least += at_least;
                tally.lost_at_most += at_most;
            }
        }
        now.lost_then = now.lost;
        now.reported_then = reported.or(before.map(|before| before.reported_then)).unwrap_or_default();
        self.losses = Some(now);
        right
    }

    /// What is right to be said of the pending entries that it dropped.
    fn dropped(&mut self, name: &str, group: &Group, poll: &Poll<'_>) -> Right {
        let vanished = self.idle.iter().filter(|(consumer, _)| !group.consumers.contains_key(*consumer));
        let at_most: u64 = vanished.map(|(_, pending)| pending).sum();
        let is_known = self.is_dropped_known && !poll.is_remade && poll.polls != Polls::Moving;
        let at_least = if is_known { self.dropped_since } else { 0 };
        // One may have come back and vanished again.
        let right = Right::between(self.dropped + at_least.min(at_most), self.dropped + at_most);
        let told = group_number(poll.told, name, "pending_dropped");
        (self.dropped, self.is_dropped_known, self.dropped_since) =
            (told.unwrap_or(self.dropped), told.is_some(), 0);
        let is_idle = |it: &Consumer| it.pending > 0 && poll.time.saturating_sub(it.seen_at) > INTERVAL_MS;
        let idle = group.consumers.iter().filter(|(_, consumer)| is_idle(consumer));
        self.idle = idle.map(|(name, consumer)| (name.clone(), consumer.pending)).collect();
        right
    }
}

/// A whole number on a page of metrics.
pub(super) fn number(told: &Told, subject: Subject, name: &str) -> Option<u64> {
    let number = told.get(&(subject, name.to_owned()))?.as_f64()?;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count of a few")]
    Some(number as u64)
}

fn group_number(told: &Told, group: &str, name: &str) -> Option<u64> {
    number(told, Subject::Group(group.to_owned()), &format!("group_{name}"))
}

fn losses(told: &Told, group: &str) -> Option<Losses> {
    Some(Losses {
        at_least: group_number(told, group, "entries_lost")?,
        at_most: group_number(told, group, "entries_lost_upper_bound")?,
        suspected: group_number(told, group, "entries_suspected_lost")?,
    })
}

/// What will be known of this poll at later ones.
pub(super) fn past(facts: Option<&Facts>, told: &Told) -> Past {
    let Some(facts) = facts else { return Past::default() };
    let lag = |group: &Group| facts.ahead(group).len() as u64;
    let lost = |name: &String| losses(told, name).map(|lost| (name.clone(), lost.at_least + lost.suspected));
    Past {
        length: Some(facts.length()),
        added: facts.number("entries-added"),
        lags: facts.groups.iter().map(|(name, group)| (name.clone(), lag(group))).collect(),
        lost: facts.groups.keys().filter_map(lost).collect(),
    }
}
