//! The entries that a group lost: those removed before they were delivered to it.
//!
//! Removals by the sidecar are counted exactly, when they happen. Removals by others are bounded by two readings: the
//! removed entries, the group's positions, and its lags. If the position moved, removed entries may have been
//! delivered before. Then the bounds differ, unless the server's own `entries-read` decides. That depends on the
//! server, as measured:
//!
//! - Redis 7.0 (7.0.15): a delivery adds one, also with `NOACK`, and a trim adds nothing, so it grows by exactly the
//!   number of delivered entries. It becomes nil if an entry that `XDEL` removed lies ahead, after `XGROUP SETID`
//!   without `ENTRIESREAD`, and on a replica. Only a number that someone sets by hand (`ENTRIESREAD`) can't be
//!   recognised.
//! - Redis 8.0 and 8.6 (8.0.2, 8.6.3), Valkey 8.1 and 9.1 (8.1.1, 9.1.2): the first delivery after a trim past the
//!   position sets it to the number of entries ever added up to there. So it counts lost entries as delivered, and is
//!   not used. Redis 7.2 and 7.4 were not measured and are treated the same.
//!
//! Between two readings a position is assumed to move forward only. Entries that are removed between a reading and
//! its counts may be missing from the upper bound.

use std::time::Duration;

use super::{
    baseline::{Baseline, Step},
    rereads::{Seen, Trail},
};
use crate::model::{Flavour, Name, Removal, Role, Server, ServerTime, StreamId, StreamState};

/// More steps of retention than a late reading has missed. Losses beyond this number are bounded by readings.
const MAX_UNREAD: usize = 4_096;

/// Entries that a group lost since the sidecar started to watch it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Losses {
    /// Lower bound.
    pub at_least: u64,
    /// Upper bound.
    pub at_most: u64,
    /// The part of the difference that was removed while the group was behind by more than an interval.
    pub suspected: u64,
}

/// A stream as of the last reading, and the sidecar's removals since.
#[derive(Debug, Clone, Default)]
pub(super) struct Removals {
    then: Option<Then>,
    own: Vec<Removal>,
    /// Received before the last reading, but later by the stream's own count of removals.
    ahead: Vec<Removal>,
    /// Whether a reading since the last judged one may have been of another stream.
    is_doubted: bool,
}

#[derive(Debug, Clone, Copy)]
struct Then {
    length: u64,
    added: u64,
    removed: u64,
    time: Option<ServerTime>,
    /// Whether its IDs prove anything about another reading.
    ids_prove: bool,
}

/// The reading up to which losses are counted.
pub(super) struct Until<'a> {
    pub(super) stream: &'a StreamState,
    pub(super) time: Option<ServerTime>,
    pub(super) server: &'a Server,
    /// Whether its IDs prove anything about another reading. If not, removals by others have only an upper bound,
    /// which still holds when IDs prove something again.
    pub(super) ids_prove: bool,
    /// Observations since the reading before, if the stream was read in between.
    pub(super) trail: Option<Trail>,
    /// The poll interval.
    pub(super) interval: Duration,
}

/// What happened to a stream between two readings.
pub(super) struct Between<'a> {
    now: &'a StreamState,
    then: Option<Then>,
    own: Vec<Removal>,
    /// Observations in between, if the stream was read then.
    trail: Option<Trail>,
    is_same_stream: bool,
    /// Whether the IDs of both readings prove anything about each other.
    ids_prove: bool,
    /// Whether `entries-read` grows by the number of delivered entries.
    counts_deliveries: bool,
    /// Whether the server reveals removals of undelivered entries.
    shows_deletions: bool,
    interval: Duration,
}

impl std::ops::AddAssign for Losses {
    fn add_assign(&mut self, more: Self) {
        self.at_least += more.at_least;
        self.at_most += more.at_most;
        self.suspected += more.suspected;
    }
}

impl Losses {
    const fn exactly(entries: u64) -> Self {
        Self { at_least: entries, at_most: entries, suspected: 0 }
    }
}

/// Whether a group's `entries-read` grows by the number of delivered entries, and by nothing else.
fn counts_deliveries(server: &Server) -> bool {
    let is_measured = matches!(server.version, Some((7, 0, _))) && server.flavour == Flavour::Redis;
    is_measured && !server.role.is_some_and(Role::is_replica)
}

/// Whether the first entry or the greatest deleted ID reveals that an undelivered entry was removed.
///
/// Redis 8.2 can trim from the middle without a trace (`ACKED`), but only entries that were delivered to every group.
/// Other removals from the middle there (`XDELEX`, `XACKDEL`) move the greatest deleted ID. This was measured on
/// Redis 8.2.3 and 8.6.3, and is not assumed of others.
fn shows_deletions(server: &Server) -> bool {
    let is_measured = server.flavour == Flavour::Redis
        && server.version.is_some_and(|version| ((8, 2, 0)..(8, 8, 0)).contains(&version));
    is_measured || !server.may_trim_the_middle()
}

impl Removals {
    /// Records a removal by the sidecar.
    pub(super) fn record(&mut self, removal: Removal) {
        if self.own.len() < MAX_UNREAD {
            self.own.push(removal);
        }
    }

    /// Begins a reading from the same server, or perhaps another one, whose counters can be those of the same stream.
    pub(super) fn begin(&mut self, is_same_stream: bool) {
        if !is_same_stream {
            self.is_doubted = true;
            self.own.clear();
            self.ahead.clear();
        }
    }

    /// Records that the stream may be another one. Nothing is compared with the last reading, except for upper
    /// bounds.
    pub(super) const fn doubt(&mut self) {
        self.is_doubted = true;
    }

    /// Records that the stream is another one from now on. The losses by the sidecar's own removals remain.
    pub(super) fn restart(&mut self) -> impl Iterator<Item = (Name, Losses)> + use<> {
        let Self { own, ahead, .. } = std::mem::take(self);
        let lost = own.into_iter().chain(ahead).flat_map(|removal| removal.lost);
        lost.map(|(group, entries)| (group, Losses::exactly(entries)))
    }

    /// What happened between the last reading and this one, which becomes the last one; `None` if the server does not
    /// count additions.
    pub(super) fn until<'a>(&mut self, reading: Until<'a>) -> Option<Between<'a>> {
        let Until { stream: now, time, server, ids_prove, trail, interval } = reading;
        let added = now.entries_added?;
        let removed = now.entries_removed()?;
        let then = self.then.replace(Then { length: now.length, added, removed, time, ids_prove });
        let ids_prove = ids_prove && then.is_none_or(|then| then.ids_prove);
        let is_over = |own: &Removal| own.ever_before + own.entries <= removed;
        let (mut own, ahead): (Vec<_>, _) = std::mem::take(&mut self.own).into_iter().partition(is_over);
        own.extend(std::mem::replace(&mut self.ahead, ahead).into_iter().filter(is_over));
        // Removals that were received too late are within the bounds of the reading before.
        own.retain(|own| then.is_none_or(|then| own.ever_before >= then.removed));
        Some(Between {
            now,
            then,
            own,
            trail,
            is_same_stream: !std::mem::take(&mut self.is_doubted) && ids_prove,
            ids_prove,
            counts_deliveries: counts_deliveries(server),
            shows_deletions: shows_deletions(server),
            interval,
        })
    }
}

fn lost(own: &[Removal], name: &Name) -> u64 {
    own.iter().flat_map(|own| &own.lost).filter(|(group, _)| group == name).map(|(_, lost)| lost).sum()
}

impl Between<'_> {
    /// The losses of a group in between. `proven` is the lower bound from checkpoints.
    pub(super) fn lost(&self, name: &Name, step: Option<&Step<'_>>, proven: u64) -> Losses {
        let own = lost(&self.own, name);
        let (Some(then), Some(step)) = (self.then, step) else { return Losses::exactly(own) };
        let (gone, by_others) = self.gone(&then);
        if by_others == 0 {
            return Losses::exactly(own);
        }
        let trail = self.trail.as_ref().filter(|_| self.is_same_stream);
        let seen = trail.and_then(|trail| trail.until(self.now, name, step)).unwrap_or_default();
        let at_most = self.gone_behind(step, &then, seen, gone).min(own + by_others).max(own);
        let undelivered = self.no_more_undelivered(step);
        let still = undelivered.filter(|_| step.now.last_delivered_id == step.before.delivered);
        let at_least = proven.max(still.unwrap_or_default()).min(at_most).max(own);
        let delivered = self.delivered(step);
        let counted = undelivered.zip(delivered).and_then(|(all, delivered)| all.checked_sub(delivered));
        // A number that contradicts the bounds was set by hand.
        if let Some(counted) = counted.filter(|counted| (at_least..=at_most).contains(counted)) {
            return Losses::exactly(counted);
        }
        let is_suspect = self.ids_prove && self.was_due(&step.before, &then) && at_most > at_least;
        Losses { at_least, at_most, suspected: if is_suspect { at_most - at_least } else { 0 } }
    }

    /// The number of removed entries, and the part that others removed.
    fn gone(&self, then: &Then) -> (u64, u64) {
        let gone = self.now.entries_removed().unwrap_or_default().saturating_sub(then.removed);
        (gone, gone.saturating_sub(self.own.iter().map(|own| own.entries).sum()))
    }

    /// Whether an extra reading between two polls is worth its cost: a trim by another client may soon remove entries
    /// that this group has not read. While the group reads, two polls alone could not tell such entries from delivered
    /// ones. A trim is close if the group's position is in the older half of the stream, or if the entries before that
    /// position will be removed within two intervals at the present rate.
    pub(super) fn is_near_loss(&self, step: &Step<'_>) -> bool {
        let Some(then) = self.then else { return false };
        let is_known_anyway = self.counts_deliveries && step.now.entries_read.is_some();
        if is_known_anyway || !self.shows_deletions || step.now.last_delivered_id <= step.before.delivered {
            return false;
        }
        let (_, by_others) = self.gone(&then);
        let delivered = self.now.length.saturating_sub(step.lag.upper_bound());
        delivered <= step.lag.upper_bound() || (by_others > 0 && delivered <= 2 * by_others)
    }

    /// Upper bound of the entries that were removed after the group's position.
    fn gone_behind(&self, step: &Step<'_>, then: &Then, seen: Seen, gone: u64) -> u64 {
        let Step { before, now: group, lag } = step;
        if seen.is_intact {
            return 0;
        }
        let position = before.delivered.min(group.last_delivered_id);
        let first = self.now.first_entry_id;
        let none_deleted_behind = self.now.max_deleted_entry_id.is_some_and(|deleted| deleted <= position);
        if self.shows_deletions && none_deleted_behind && first.is_some_and(|first| first <= position) {
            return 0;
        }
        if group.last_delivered_id < before.delivered {
            return gone;
        }
        let lag_then = before.lag.upper_bound();
        let added = self.now.entries_added.unwrap_or_default().saturating_sub(then.added);
        let there = lag.known().unwrap_or_default().saturating_add(seen.delivered);
        let no_more_there = (lag_then + added).saturating_sub(there);
        // If everything up to the position is gone, the remaining removed entries came after it.
        let is_passed = self.now.length == 0 || first.is_some_and(|first| first > before.delivered);
        let delivered = then.length.saturating_sub(lag_then) + seen.delivered_and_gone;
        let rest = gone.saturating_sub(delivered);
        gone.min(no_more_there).min(if is_passed { rest } else { gone })
    }

    /// The entries that were undelivered at the last reading or added since, and are not undelivered now. They were
    /// either delivered or lost.
    pub(super) fn no_more_undelivered(&self, step: &Step<'_>) -> Option<u64> {
        let lag_then = step.before.lag.known().filter(|_| self.is_same_stream)?;
        let added = self.now.entries_added?.checked_sub(self.then?.added)?;
        (lag_then + added).checked_sub(step.lag.known()?)
    }

    /// The entries that were delivered in between, if the server counts them.
    fn delivered(&self, step: &Step<'_>) -> Option<u64> {
        let Step { before, now: group, .. } = step;
        let is_forward = group.last_delivered_id >= before.delivered;
        // If an entry ahead of a position was deleted, the server guesses.
        let none_deleted = self.now.max_deleted_entry_id.is_some_and(|deleted| deleted <= before.delivered);
        let is_counted = self.counts_deliveries && self.is_same_stream && is_forward && none_deleted;
        let delivered = group.entries_read.filter(|_| is_counted)?.checked_sub(before.entries_read?)?;
        u64::try_from(delivered).ok()
    }

    /// Whether the oldest undelivered entry was older than an interval and was removed. A group that keeps up reads
    /// new entries within one interval. Only a group that is further behind loses entries that existed at a reading.
    fn was_due(&self, before: &Baseline, then: &Then) -> bool {
        let due = |oldest: StreamId| {
            then.time.is_some_and(|time| time.since(oldest.ms).duration() > self.interval)
                && self.now.is_gone(oldest)
        };
        before.first_after.is_some_and(due)
    }
}
