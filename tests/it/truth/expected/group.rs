//! What should stand on a page of a group and of its consumers.

use std::{cmp::Reverse, time::Duration};

use streamwarden::{evaluate::GroupStatus, model::PENDING_SAMPLE};

use super::{
    super::{
        facts::{Consumer, Facts, Group},
        told::Subject,
        truths::{Right, Truths},
    },
    Expected, GroupHappened, POISON_FROM, STUCK_AFTER_MS, healths, seconds, texts,
};

impl Expected<'_> {
    pub(super) fn group(&self, truths: &mut Truths, facts: &Facts, name: &str, group: &Group) {
        let subject = Subject::Group(name.to_owned());
        self.words(truths, name, true);
        self.lag(truths, &subject, facts, group);
        self.pending(truths, &subject, facts, group);
        self.consumers(truths, name, group);
        let read = group.entries_read.and_then(|read| u64::try_from(read).ok());
        truths.known_if(&subject, ("group_entries_read", "entries_read"), read.map(Right::number));
        truths.known(&subject, ("group_last_delivered_id", ""), Right::number(group.delivered.ms));
        truths.known(&subject, ("", "last_delivered_id"), Right::text(group.delivered.to_string()));
        let none = Right::number(0);
        let happened = self.happened.groups.get(name).cloned().unwrap_or(GroupHappened {
            is_lag_told: false,
            lost: none.clone(),
            lost_at_most: none.clone(),
            suspected: none.clone(),
            dropped: none.clone(),
            rewinds: none,
            there_for: Duration::ZERO,
        });
        truths.maybe(&subject, ("group_entries_lost", "entries_lost"), happened.lost);
        let at_most = ("group_entries_lost_upper_bound", "entries_lost_upper_bound");
        truths.maybe(&subject, at_most, happened.lost_at_most);
        let suspected = ("group_entries_suspected_lost", "entries_suspected_lost");
        truths.maybe(&subject, suspected, happened.suspected);
        truths.maybe(&subject, ("group_pending_dropped", "pending_dropped"), happened.dropped);
        if !matches!(&happened.rewinds, Right::Is(rewinds) if *rewinds == 0) {
            truths.maybe(&subject, ("", "last_rewind_unix_ms"), Right::between(1, self.when.to));
        }
        truths.known(&subject, ("group_rewinds", "rewinds"), happened.rewinds);
    }

    /// What is said of a group whether it is there or not.
    fn words(&self, truths: &mut Truths, name: &str, is_there: bool) {
        let subject = Subject::Group(name.to_owned());
        if name == "g0" {
            truths.known(&subject, ("group_present", ""), Right::number(is_there.into()));
        }
        truths.known(&subject, ("", "present"), Right::number(is_there.into()));
        truths.known(&subject, ("", "expected"), Right::number((name == "g0").into()));
        truths.known(&subject, ("", "name"), Right::text(name));
        truths.known(&subject, ("", "key"), Right::text(name));
        let is_possible = |status: &&GroupStatus| !is_there || **status != GroupStatus::Missing;
        let statuses = texts(GroupStatus::ALL.iter().filter(is_possible).map(|status| status.as_str()));
        truths.known(&subject, ("group_status", "status"), statuses);
        truths.known(&subject, ("", "health"), healths());
        truths.known(&subject, ("", "reason"), Right::Any);
    }

    /// The group that the configuration expects is not there.
    pub(super) fn missing(&self, truths: &mut Truths) {
        self.words(truths, "g0", false);
        truths.known(&Subject::Group("g0".to_owned()), ("", "history.lag"), Right::Any);
    }

    fn lag(&self, truths: &mut Truths, subject: &Subject, facts: &Facts, group: &Group) {
        let ahead = facts.ahead(group);
        let lag = ahead.len() as u64;
        truths.maybe(subject, ("group_lag", "lag"), Right::number(lag));
        let Subject::Group(name) = subject else { return };
        let is_told = self.happened.groups.get(name).map(|group| group.is_lag_told);
        let known = is_told.map_or(Right::Between(0.0, 1.0), |is_told| Right::number(is_told.into()));
        truths.known(subject, ("group_lag_known", "lag_known"), known);
        let bound = match is_told {
            Some(true) => Right::number(lag),
            _ => Right::between(lag, facts.length()),
        };
        truths.known(subject, ("group_lag_upper_bound", "lag_upper_bound"), bound);
        let names = ("group_lag_seconds", "lag_seconds");
        match ahead.first() {
            Some(first) => truths.maybe_if(subject, names, self.when.age(*first)),
            None if is_told == Some(true) => truths.known(subject, names, Right::number(0)),
            None => truths.maybe(subject, names, Right::number(0)),
        }
    }

    fn pending(&self, truths: &mut Truths, subject: &Subject, facts: &Facts, group: &Group) {
        truths.known(subject, ("group_pending", "pending"), Right::number(group.pending.len() as u64));
        let oldest = group.pending.iter().find(|pending| !facts.is_gone(pending.id));
        // The head of the list is always read.
        let is_read = group.pending.first().is_none_or(|head| !facts.is_gone(head.id));
        let mut put = |names, right: Option<Right>| match right {
            Some(right) if is_read => truths.known(subject, names, right),
            Some(right) => truths.maybe(subject, names, right),
            None => {}
        };
        let age = oldest.map_or(Some(Right::number(0)), |oldest| self.when.age(oldest.id));
        put(("group_oldest_pending_age_seconds", "oldest_pending_age_seconds"), age);
        put(("", "oldest_pending_id"), oldest.map(|oldest| Right::text(oldest.id.to_string())));
        let idle = |at: u64| match is_read {
            true => self.when.since(at),
            // It is asked for by itself, and the server says it by its own clock.
            false => {
                let latest = self.when.over + self.when.slowest;
                seconds(self.when.began.min(self.when.from).saturating_sub(at), latest.saturating_sub(at))
            }
        };
        let idle = oldest.map(|oldest| idle(oldest.delivered_at));
        put(("group_oldest_pending_idle_seconds", "oldest_pending_idle_seconds"), idle);
        let deliveries = oldest.map(|oldest| Right::number(oldest.deliveries));
        put(("group_oldest_pending_deliveries", "oldest_pending_deliveries"), deliveries);
        let sample = || group.pending.iter().take(usize::try_from(PENDING_SAMPLE).unwrap());
        let gone = sample().filter(|pending| facts.is_gone(pending.id)).count();
        put(("group_dangling_pending", "dangling_pending"), Some(Right::number(gone as u64)));
        let poison = sample().filter(|it| it.deliveries >= POISON_FROM && !facts.is_gone(it.id)).count();
        truths.maybe(subject, ("group_poison_entries", "poison_entries"), Right::number(poison as u64));
    }

    fn consumers(&self, truths: &mut Truths, name: &str, group: &Group) {
        let subject = Subject::Group(name.to_owned());
        let all = || group.consumers.values();
        truths.known(&subject, ("group_consumers", "consumer_count"), Right::number(all().count() as u64));
        let is_stuck = |it: &Consumer, at: u64| {
            let since = |ms: u64| at.saturating_sub(ms);
            let silent = since(it.seen_at).max(it.active_at.map_or(0, since));
            it.pending > 0 && silent > STUCK_AFTER_MS
        };
        let stuck = |at| all().filter(|it| is_stuck(it, at)).count() as u64;
        let stuck = Right::between(stuck(self.when.from), stuck(self.when.to));
        self.known_at_rest(truths, &subject, ("group_stuck_consumers", "stuck_consumers"), Some(stuck));
        let newest = all().map(|it| it.seen_at).max();
        let newest = newest.map(|at| self.when.since(at));
        self.known_at_rest(truths, &subject, ("", "least_idle_seconds"), newest);
        let listed = self.listed(group);
        let unlisted = all().count() - listed.len();
        truths.known(&subject, ("group_unlisted_consumers", ""), Right::number(unlisted as u64));
        let of_listed: u64 = listed.iter().map(|(_, it)| it.pending).sum();
        let pending = all().map(|it| it.pending).sum::<u64>() - of_listed;
        truths.known(&subject, ("group_unlisted_pending", "unlisted_pending"), Right::number(pending));
        for (consumer, it) in listed {
            let subject = Subject::Consumer(name.to_owned(), consumer.clone());
            truths.known(&subject, ("", "name"), Right::text(consumer));
            truths.known(&subject, ("", "key"), Right::text(consumer));
            truths.known(&subject, ("consumer_pending", "pending"), Right::number(it.pending));
            let idle = self.when.since(it.seen_at);
            self.known_at_rest(truths, &subject, ("consumer_idle_seconds", "idle_seconds"), Some(idle));
            let inactive = it.active_at.map(|at| self.when.since(at));
            let names = ("consumer_inactive_seconds", "inactive_seconds");
            self.known_at_rest(truths, &subject, names, inactive);
        }
    }
    /// The consumers that a page lists: those with the most pending entries.
    pub(super) fn listed<'b>(&self, group: &'b Group) -> Vec<(&'b String, &'b Consumer)> {
        let mut consumers: Vec<_> = group.consumers.iter().collect();
        consumers.sort_by_key(|(_, it)| Reverse(it.pending));
        consumers.truncate(self.listed.consumers);
        consumers
    }
}
