//! What one reading leaves open, as questions: few, bounded, and only about groups that need them.

use std::collections::BTreeMap;

use super::{
    history::StreamHistory,
    judge::{head, is_gone},
    lag::{Known, Lag},
};
use crate::{
    config::{Config, LagCount},
    model::{GroupState, Lookup, Name, Question, ServerTime, Snapshot, StreamId, StreamState},
};

/// Questions a poll; what is beyond stays unknown.
const MOST_QUESTIONS: usize = 10_000;
/// Pending entries a sample: entries that are stuck gather at the head of the list, since others are acknowledged.
pub const PENDING_SAMPLE: u64 = 100;
/// Entries one question counts: two to three milliseconds of the server's time.
const MOST_PER_COUNT: u64 = 10_000;
/// A large count is made in parts of no less.
const LEAST_PART: u64 = 100;
/// Beside its fields, an entry's reply has an ID and the protocol's own bytes.
const ENTRY_OVERHEAD_BYTES: u64 = 64;

/// What is to be asked.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Questions {
    /// The questions, each one command.
    pub asked: Vec<Question>,
    /// How many more there would be.
    pub skipped: usize,
}

/// Everything that is to be asked about a reading.
pub(super) fn questions(
    histories: &BTreeMap<Name, Box<StreamHistory>>,
    snapshot: &Snapshot,
    config: &Config,
    poll: usize,
) -> Questions {
    let (mut counts, mut firsts, mut pending) = (Vec::new(), Vec::new(), Vec::new());
    for (stream_name, state) in &snapshot.streams {
        let (Ok(stream), Some(history)) = (state, histories.get(stream_name)) else { continue };
        let (now, poison_from) = (snapshot.time.as_ref().ok().copied(), config.poison_from(stream_name));
        for (name, group) in &stream.groups {
            let about = About { stream_name, stream, history, name, group };
            pending.extend(about.pending(now, poison_from));
            match about.count() {
                Some(count) => counts.push((about, count)),
                None => firsts.extend(about.first_after()),
            }
        }
    }
    // What is left out is asked later, since a lag and a first entry, once known, mostly need not be asked again.
    let mut asked = within_budget(counts, &config.lag_count, poll);
    asked.extend(firsts.into_iter().chain(pending));
    let skipped = asked.len().saturating_sub(MOST_QUESTIONS);
    asked.truncate(MOST_QUESTIONS);
    asked.shrink_to_fit();
    Questions { asked, skipped }
}

/// A group that questions are about.
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
    /// No more entries than this can be there.
    at_most: u64,
}

impl About<'_> {
    fn ask(&self, lookup: Lookup) -> Question {
        Question { stream: self.stream_name.clone(), group: self.name.clone(), lookup }
    }

    fn known(&self) -> Option<Known> {
        self.history.known_from(self.stream, self.group)
    }

    /// The count that is needed where neither the group's position nor an earlier poll proves the lag.
    fn count(&self) -> Option<Count> {
        let Lag::AtMost(bound) = self.history.lag(self.stream, self.group) else { return None };
        let known = self.known().filter(|known| known.id > self.group.last_delivered_id)?;
        Some(Count { up_to: known.id, at_most: bound.saturating_sub(known.entries_behind) })
    }

    /// The first entry that the group was not given, where no reading has said it yet.
    fn first_after(&self) -> Option<Question> {
        let after = self.group.last_delivered_id;
        let lag = self.history.lag(self.stream, self.group).by_counting(self.group, self.known(), None);
        let is_first = self.stream.first_entry_id.is_none_or(|first| first > after);
        let is_known = self.history.first_after(self.name, self.group, self.known()).is_some();
        (lag != Lag::Exactly(0) && !is_first && !is_known).then(|| self.ask(Lookup::FirstAfter(after)))
    }

    /// A head that is gone hides the oldest pending entry; a head that stays, or comes again, is worth a look.
    fn pending(&self, now: Option<ServerTime>, poison_from: u64) -> impl Iterator<Item = Question> + use<> {
        let (mut from, mut sample) = (None, None);
        if let (Some(head), Some(first)) = (head(self.group), self.stream.first_entry_id) {
            let is_gone = is_gone(self.stream, head.id);
            let before = self.history.groups.get(self.name).and_then(|before| before.pending);
            from = is_gone.then(|| self.ask(Lookup::PendingFrom(first)));
            let is_stuck = is_gone || head.deliveries > 1 || before == Some(head.id);
            let is_known =
                self.history.sampled(self.stream, self.name, self.group, now, poison_from).is_some();
            sample = (is_stuck && !is_known).then(|| self.ask(Lookup::PendingSample(PENDING_SAMPLE)));
        }
        from.into_iter().chain(sample)
    }
}

/// Shares the entries and bytes that may be counted in a poll: small counts whole, then large ones in equal parts, and
/// another one first at each poll.
fn within_budget(mut counts: Vec<(About<'_>, Count)>, budget: &LagCount, poll: usize) -> Vec<Question> {
    let first = poll.checked_rem(counts.len()).unwrap_or(0);
    counts.rotate_left(first);
    counts.sort_by_key(|(_, count)| count.at_most.min(LEAST_PART));
    let (mut entries, mut bytes) = (budget.entries, budget.bytes);
    let mut left = u64::try_from(counts.len()).unwrap_or(u64::MAX);
    let mut questions = Vec::new();
    for (about, Count { up_to, at_most }) in counts {
        let entry_bytes = about.stream.first_entry_bytes.saturating_add(ENTRY_OVERHEAD_BYTES);
        let part = (entries / left).clamp(LEAST_PART, MOST_PER_COUNT);
        // One more than there can be shows that there are no more.
        let limit = at_most.saturating_add(1).min(part).min(entries).min(bytes / entry_bytes);
        left -= 1;
        entries -= limit;
        bytes -= limit * entry_bytes;
        if limit > 0 {
            questions.push(about.ask(Lookup::Count { after: about.group.last_delivered_id, up_to, limit }));
        }
        // A whole count finds the first entry too.
        if limit <= at_most {
            questions.extend(about.first_after());
        }
    }
    questions
}
