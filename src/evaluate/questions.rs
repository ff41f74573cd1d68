//! The open questions of a reading: few, bounded, and only about groups that need them.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    lag::{Known, Lag},
    stream_history::StreamHistory,
};
use crate::{
    config::{Config, LagCount, Thresholds, Watched, Watchlist},
    model::{
        GroupState, InOrder, Lookup, Name, Now, PENDING_SAMPLE, Pending, Question, Snapshot, StreamId,
        StreamState,
    },
};

/// Distance between the groups that come first at two consecutive polls. A prime, so that all have their turn.
const LEAPS: usize = 101;
/// Maximum number of questions per poll. Beyond it, answers stay unknown.
pub const MOST_QUESTIONS: usize = 10_000;
/// Maximum number of entries that one question counts: two to three milliseconds of the server's time.
const MOST_PER_COUNT: u64 = 10_000;
/// Minimum size of a part of a large count.
const LEAST_PART: u64 = 100;
/// An entry's reply has an ID and protocol bytes in addition to its fields.
const ENTRY_OVERHEAD_BYTES: u64 = 64;

/// The questions of a reading.
pub(super) struct Questions {
    /// The questions. Each takes one command.
    pub(super) asked: Vec<Question>,
    /// The approximate number of questions beyond the limit.
    pub(super) skipped: usize,
}

/// All questions about a reading, but at most `most`. If there are more, the groups that have waited longest come
/// first, each with all of its questions, so that none starves.
pub(super) fn questions(
    histories: &BTreeMap<Name, Box<StreamHistory>>,
    snapshot: &Snapshot,
    config: &Config,
    watchlist: &Watchlist,
    poll: usize,
    most: usize,
) -> Questions {
    let mut open = Vec::new();
    let mut histories = InOrder::new(histories);
    let mut watchlist = watchlist.in_order();
    for ((stream_name, state), index) in snapshot.streams.iter().zip(snapshot.nodes_of_streams()) {
        let (Ok(stream), Some(history)) = (state, histories.get(stream_name)) else { continue };
        let now = snapshot.node(index).and_then(|node| node.time.as_ref().ok().copied());
        let poison_from = watchlist.get(stream_name).map_or(Thresholds::DELIVERIES, Watched::poison_from);
        for (name, group) in &stream.groups {
            let about = About { stream_name, stream, history, name, group };
            let pending = about.pending(now, poison_from);
            let count = about.count();
            let first = about.first_after();
            open.extend(Some(Open { about, pending, count, first }).filter(|open| open.most() > 0));
        }
    }
    // The sort is stable. Among groups that have waited equally long, others come first at each poll.
    let first = poll.wrapping_mul(LEAPS) % open.len().max(1);
    open.rotate_left(first);
    open.sort_by_cached_key(|open| open.about.asked_at());
    keep_affordable_counts(&mut open, &config.lag_count);
    open.retain(|open| open.most() > 0);
    let all: usize = open.iter().map(Open::most).sum();
    let mut spent = 0;
    let mut chosen = 0;
    for open in &open {
        if spent + open.most() > most.min(MOST_QUESTIONS) {
            break;
        }
        spent += open.most();
        chosen += 1;
    }
    open.truncate(chosen);
    let skipped = all - spent;

    let mut asked = Vec::new();
    let mut counts = Vec::new();
    for Open { about, pending, count, first } in open {
        asked.extend(pending);
        match count {
            Some(count) => counts.push((about, count, first)),
            None => asked.extend(first),
        }
    }
    asked.extend(within_budget(counts, &config.lag_count, poll));
    asked.shrink_to_fit();
    Questions { asked, skipped }
}

/// Removes the counts that the budget of entries no longer pays for, so that other questions are asked instead.
///
/// If several groups have the same position, one of them is counted first. At the next poll its count is a checkpoint,
/// which answers for the others.
fn keep_affordable_counts(open: &mut [Open<'_>], budget: &LagCount) {
    let mut places = BTreeSet::new();
    let place = |open: &Open<'_>| (open.about.stream_name.clone(), open.about.group.last_delivered_id);
    let firsts: Vec<bool> = open.iter().map(|open| places.insert(place(open))).collect();
    let mut budget = CountBudget::new(budget);
    for are_first in [true, false] {
        let these = open.iter_mut().zip(&firsts).filter(|(_, is_first)| **is_first == are_first);
        for (Open { about, count, .. }, _) in these {
            *count = count.take().filter(|count| budget.take(count.wanted().min(LEAST_PART), about) > 0);
        }
    }
}

/// A group and its open questions.
struct Open<'a> {
    about: About<'a>,
    pending: Vec<Question>,
    /// A complete count finds the first entry too.
    count: Option<Count>,
    first: Option<Question>,
}

impl Open<'_> {
    /// Upper bound of the number of questions.
    fn most(&self) -> usize {
        self.pending.len() + usize::from(self.count.is_some()) + usize::from(self.first.is_some())
    }
}

/// The group that questions are about.
struct About<'a> {
    stream_name: &'a Name,
    stream: &'a StreamState,
    history: &'a StreamHistory,
    name: &'a Name,
    group: &'a GroupState,
}

/// A count that would prove a group's lag.
struct Count {
    up_to: StreamId,
    /// Upper bound of the number of entries.
    at_most: u64,
}

impl Count {
    /// One more entry than there can be: only then is it certain that there are no more.
    const fn wanted(&self) -> u64 {
        self.at_most.saturating_add(1)
    }
}

impl About<'_> {
    fn ask(&self, lookup: Lookup) -> Question {
        Question { stream: self.stream_name.clone(), group: self.name.clone(), lookup }
    }

    fn known(&self) -> Option<Known> {
        self.history.known_from(self.stream, self.group)
    }

    /// The count that is needed if neither the group's position nor an earlier poll proves the lag.
    fn count(&self) -> Option<Count> {
        let Lag::AtMost(bound) = self.history.lag(self.stream, self.group) else { return None };
        let known = self.known().filter(|known| known.id > self.group.last_delivered_id)?;
        Some(Count { up_to: known.id, at_most: bound.saturating_sub(known.entries_behind) })
    }

    /// The question for the first undelivered entry, if no reading has had it yet.
    fn first_after(&self) -> Option<Question> {
        let after = self.group.last_delivered_id;
        let lag = self.history.lag(self.stream, self.group).by_counting(self.group, self.known(), None);
        let is_first = self.stream.first_entry_id.is_none_or(|first| first > after);
        let is_known = self.history.first_after(self.name, self.group, self.known()).is_some();
        if lag == Lag::Exactly(0) || is_first || is_known {
            return None;
        }
        Some(self.ask(Lookup::FirstAfter(after)))
    }

    /// The questions about pending entries. A head that is gone hides the oldest existing entry. A head that stays,
    /// or was delivered again, needs a sample.
    fn pending(&self, now: Option<Now>, poison_from: u64) -> Vec<Question> {
        let before = self.history.groups.get(self.name).and_then(|before| before.pending);
        let (is_gone, is_worth_a_look) = match self.group.oldest_pending {
            Pending::None => return Vec::new(),
            // The head is part of the sample.
            Pending::Unknown => (before.is_some_and(|before| self.stream.is_gone(before)), true),
            Pending::Oldest(_) if self.stream.first_entry_id.is_none() => return Vec::new(),
            Pending::Oldest(head) => {
                let is_gone = self.stream.is_gone(head.id);
                (is_gone, is_gone || head.deliveries > 1 || before == Some(head.id))
            }
        };
        let known = self.history.sampled(self.stream, self.name, self.group, now, poison_from);
        let gone_before = self.stream.gone_before();
        let sample = Lookup::PendingSample { limit: PENDING_SAMPLE, gone_before, poison_from };
        let sample = (is_worth_a_look && known.is_none()).then_some(sample);
        // A sample of few entries has all of them.
        let is_deep = is_gone && self.group.pending > PENDING_SAMPLE;
        let is_known = known.is_some_and(|known| known.alive.is_some());
        let from = self.stream.first_entry_id.filter(|_| is_deep && !is_known).map(Lookup::PendingFrom);
        from.into_iter().chain(sample).map(|lookup| self.ask(lookup)).collect()
    }

    /// Bytes that an entry of the stream takes in a reply, judging by its first one.
    const fn entry_bytes(&self) -> u64 {
        self.stream.first_entry_bytes.saturating_add(ENTRY_OVERHEAD_BYTES)
    }

    /// The poll that last asked a question about the group.
    fn asked_at(&self) -> usize {
        self.history.groups.get(self.name).map_or(0, |group| group.asked_at)
    }
}

/// The entries and bytes that may still be counted in this poll.
struct CountBudget {
    entries: u64,
    bytes: u64,
}

impl CountBudget {
    const fn new(whole: &LagCount) -> Self {
        Self { entries: whole.entries, bytes: whole.bytes }
    }

    /// Reserves this many entries of a group's stream, or as many as are left. Returns their number.
    fn take(&mut self, entries: u64, about: &About<'_>) -> u64 {
        let entries = entries.min(self.entries).min(self.bytes / about.entry_bytes());
        self.entries -= entries;
        self.bytes -= entries * about.entry_bytes();
        entries
    }
}

/// Distributes the entries and bytes that may be counted in a poll: small counts completely, then large ones in equal
/// parts, starting with another one at each poll.
fn within_budget(
    mut counts: Vec<(About<'_>, Count, Option<Question>)>,
    budget: &LagCount,
    poll: usize,
) -> Vec<Question> {
    let first = poll.checked_rem(counts.len()).unwrap_or(0);
    counts.rotate_left(first);
    counts.sort_by_key(|(_, count, _)| count.at_most.min(LEAST_PART));
    let mut budget = CountBudget::new(budget);
    let mut left = u64::try_from(counts.len()).unwrap_or(u64::MAX);
    let mut questions = Vec::new();
    for (about, count, first) in counts {
        let part = (budget.entries / left).clamp(LEAST_PART, MOST_PER_COUNT);
        let limit = budget.take(count.wanted().min(part), &about);
        left -= 1;
        if limit > 0 {
            let after = about.group.last_delivered_id;
            questions.push(about.ask(Lookup::Count { after, up_to: count.up_to, limit }));
        }
        // A complete count finds the first entry too.
        if limit < count.wanted() {
            questions.extend(first);
        }
    }
    questions
}

#[cfg(test)]
#[path = "questions_tests.rs"]
mod tests;
