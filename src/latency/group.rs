//! A group's curves from tick to tick, and what came of them.

use std::{sync::Arc, time::Duration};

use super::{
    FollowedOutcomes, Histogram, LeftOut, Outcome, Outcomes, Quantiles, Wait,
    arrivals::{Arrivals, SLACK_MS},
    curve::{At, Curve},
    followed::{Followed, Seen},
    window::Window,
};
use crate::{
    config::Percent,
    model::{GroupPosition, Millis, StreamId, TickTime},
};

/// IDs may be so far ahead of a clock that was set back.
const MOST_AHEAD_MS: u64 = 3_600_000;
/// No server adds or delivers more entries in a millisecond: where a number grows faster, somebody set it.
const MOST_IN_A_MS: u64 = 2_000;

/// What is measured, and against what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Aims {
    /// Time between two ticks.
    pub(super) tick: Duration,
    /// Bounds of the histograms.
    pub(super) bounds: Arc<[u64]>,
    /// How far back quantiles look.
    pub(super) window: Duration,
    /// Objectives for delivery and handling.
    pub(super) objectives: [Option<Duration>; 2],
    /// The share of entries that must meet each.
    pub(super) target: Percent,
}

impl Aims {
    fn tick_ms(&self) -> u64 {
        Millis::from(self.tick).get()
    }
}

/// How long a group's entries took to a stage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stage {
    /// All entries that were measured.
    pub histogram: Histogram,
    /// Those that met the objective, and those that did not; `None` without one.
    pub outcomes: Option<Outcomes>,
    /// Entries that were not measured, in the order of [`LeftOut::ALL`].
    pub left_out: [u64; LeftOut::ALL.len()],
    /// Single entries that were followed; `None` where the curve needs no proof, and without an objective.
    pub followed: Option<FollowedOutcomes>,
    /// Whether those agree with the curve. Where they do not, the outcome of all other entries is unknown, and so are quantiles.
    pub is_in_order: bool,
    window: Window,
}

impl Stage {
    /// The quantiles of the window; `None` if nothing was measured in it, or single entries contradict it.
    ///
    /// They are computed here, since few ask for them.
    #[must_use]
    pub fn quantiles(&self) -> Option<Quantiles> {
        self.window.quantiles().filter(|_| self.is_in_order)
    }
}

/// How long a group's entries take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupLatency {
    /// From an entry's ID to its delivery.
    pub delivery: Stage,
    /// From an entry's ID to its acknowledgement.
    pub handling: Stage,
}

/// A stage with its curve.
#[derive(Debug, Clone)]
struct Measured {
    curve: Curve,
    histogram: Histogram,
    objective: Option<Duration>,
    outcomes: Outcomes,
    /// Entries up to this number have missed the objective certainly, before they reached the curve.
    overdue: u64,
    left_out: [u64; LeftOut::ALL.len()],
    window: Window,
    /// Whether single entries agree with the curve.
    is_in_order: bool,
}

impl Measured {
    fn new(aims: &Aims, objective: Option<Duration>) -> Self {
        Self {
            curve: Curve::default(),
            histogram: Histogram::new(Arc::clone(&aims.bounds)),
            objective,
            outcomes: Outcomes::default(),
            overdue: 0,
            left_out: Default::default(),
            window: Window::default(),
            is_in_order: true,
        }
    }

    fn leave_out(&mut self, reason: LeftOut, entries: u64) {
        if let Some(count) = self.left_out.get_mut(reason as usize) {
            *count = count.saturating_add(entries);
        }
    }

    /// Restarts the curve. What it has passed since the last tick is left out.
    fn restart(&mut self, reason: LeftOut, at: Option<At>) {
        let passed = at.zip(self.curve.number()).map_or(0, |(at, before)| at.number.saturating_sub(before));
        self.leave_out(reason, passed);
        self.curve.restart(at);
    }

    /// Records the waits of the entries after this number.
    fn record(&mut self, after: u64, waits: &[Wait], is_late: bool, aims: &Aims) {
        let tick = aims.tick_ms();
        let mut number = after;
        for wait in waits {
            number += wait.entries;
            // Those that were overdue have been counted.
            let entries = wait.entries.min(number.saturating_sub(self.overdue));
            match self.objective {
                Some(objective) if self.is_in_order => {
                    self.outcomes.add(&Wait { entries, ..*wait }, objective)
                }
                Some(_) => self.outcomes.add_all(entries, Outcome::Unknown),
                None => {}
            }
            if wait.is_close(tick) {
                self.histogram.add(wait);
            } else {
                self.leave_out(if is_late { LeftOut::LateTick } else { LeftOut::Start }, wait.entries);
            }
        }
    }

    /// Counts entries that have waited for longer than the objective and are not delivered yet. They have missed it whatever comes, and a
    /// group that has slowed down delivers few of them.
    fn count_overdue(&mut self, delivered: u64, arrivals: &Arrivals, now: TickTime) {
        let Some(objective) = self.objective else { return };
        let since = now.from.saturating_sub(Millis::from(objective).get() + 1);
        let (first, last) = (self.overdue.max(delivered), arrivals.arrived_by(since));
        if last > first {
            // Alone, those that certainly missed it would be all that is known of the group.
            let outcome = if self.is_in_order { Outcome::Bad } else { Outcome::Unknown };
            self.outcomes.add_all(last - first, outcome);
            self.overdue = last;
        }
    }

    /// Entries may have other numbers now, of which so many wait. None of them is counted twice, so those of which nothing is known yet are
    /// unknown.
    fn renumber(&mut self, waiting: u64, last_number: u64) {
        let counted = self.overdue.saturating_sub(self.curve.number().unwrap_or(0));
        if counted == 0 {
            self.overdue = 0;
            return;
        }
        if self.objective.is_some() {
            self.outcomes.add_all(waiting.saturating_sub(counted), Outcome::Unknown);
        }
        self.overdue = last_number;
    }

    fn summary(&self) -> Stage {
        Stage {
            histogram: self.histogram.clone(),
            outcomes: self.objective.map(|_| self.outcomes),
            left_out: self.left_out,
            followed: None,
            is_in_order: self.is_in_order,
            window: self.window.clone(),
        }
    }
}

/// The last tick at which the curves were known.
#[derive(Debug, Clone, Copy)]
struct Last {
    time: TickTime,
    position: GroupPosition,
    number: u64,
}

/// A group from tick to tick.
#[derive(Debug, Clone)]
pub(super) struct Tracker {
    arrivals: Arrivals,
    delivery: Measured,
    handling: Measured,
    followed: Followed,
    last: Option<Last>,
    /// Number of ticks in a row at which the group could not be read.
    unread: u32,
    /// Why the curves are broken since then.
    broken: Option<LeftOut>,
    /// Another server answers since then, whose numbers and clock may be others.
    is_moved: bool,
    /// Redis counts entries as waiting that no longer exist.
    is_lag_inflated: bool,
    /// The furthest position of the group at any tick: what is delivered again up to there is not new.
    furthest: StreamId,
    /// Entries up to this number are not new to the group; the greatest number while it is behind its furthest position.
    old_up_to: u64,
}

impl Tracker {
    pub(super) fn new(aims: &Aims) -> Self {
        let [delivery, handling] = aims.objectives.map(|objective| Measured::new(aims, objective));
        Self {
            arrivals: Arrivals::default(),
            delivery,
            handling,
            followed: Followed::default(),
            last: None,
            unread: 0,
            broken: None,
            is_moved: false,
            is_lag_inflated: false,
            furthest: StreamId::ZERO,
            old_up_to: 0,
        }
    }

    /// The group could not be read, or another server answers.
    pub(super) fn lose(&mut self, is_moved: bool, aims: &Aims) {
        self.is_moved |= is_moved;
        self.broken = Some(LeftOut::Unread);
        self.unread += 1;
        self.followed.lose();
        if aims.tick * self.unread >= aims.window {
            (self.delivery.window, self.handling.window) = Default::default();
        }
    }

    /// Takes the group's position at a tick.
    ///
    /// `answers` has the entries that were asked for, and whether they are pending.
    pub(super) fn tick(
        &mut self,
        time: TickTime,
        position: GroupPosition,
        answers: &[(StreamId, bool)],
        aims: &Aims,
    ) {
        self.unread = 0;
        for stage in [&mut self.delivery, &mut self.handling] {
            stage.window.follow(time.from, aims.window);
        }
        // After a position that is far ahead of the clock, everything would be left out until then.
        if position.last_delivered_id.ms <= time.to + MOST_AHEAD_MS {
            self.furthest = self.furthest.max(position.last_delivered_id);
        }
        let Some(number) = position.entries_read else {
            self.broken = self.broken.or(Some(LeftOut::LagUnknown));
            return;
        };
        let now = Last { time, position, number };
        let Some(last) = self.last.replace(now) else {
            return self.restart(now, LeftOut::Start);
        };
        if position.lag == Some(0) {
            self.is_lag_inflated = false;
        }
        match self.continued(last, now) {
            Err(reason) => {
                self.is_lag_inflated |= reason == LeftOut::Trimmed;
                self.restart(now, reason);
            }
            Ok(true) => {
                self.step(last, now, aims);
                self.count_overdue(now);
                self.follow(last, now, answers, aims);
            }
            Ok(false) => {
                self.followed.lose();
                self.restart_curves(now, LeftOut::Unread);
                self.count_overdue(now);
            }
        }
        if position.last_delivered_id < self.furthest {
            self.old_up_to = u64::MAX;
        } else if self.old_up_to == u64::MAX {
            self.old_up_to = number;
        }
        let handled = self.handling.curve.number().unwrap_or(number);
        self.arrivals.forget(handled.min(number));
    }

    /// Whether the curves go on; those of a group that was unread do not, but what has arrived has the same numbers as before.
    ///
    /// # Errors
    /// Numbers may be others.
    fn continued(&mut self, last: Last, now: Last) -> Result<bool, LeftOut> {
        let is_moved = std::mem::take(&mut self.is_moved);
        match self.broken.take() {
            Some(reason) if is_moved || reason != LeftOut::Unread => Err(reason),
            broken => {
                self.advance(last, now).map(|()| broken.is_none()).map_err(|reason| broken.unwrap_or(reason))
            }
        }
    }

    fn count_overdue(&mut self, now: Last) {
        if self.old_up_to <= now.number {
            for stage in [&mut self.delivery, &mut self.handling] {
                stage.count_overdue(now.number, &self.arrivals, now.time);
            }
        }
    }

    /// Adds the tick to the arrivals.
    ///
    /// # Errors
    /// The curves break here.
    fn advance(&mut self, last: Last, now: Last) -> Result<(), LeftOut> {
        let (before, after) = (last.position, now.position);
        if now.time.from + SLACK_MS < last.time.from {
            return Err(LeftOut::Clock);
        }
        let moved = after.last_delivered_id.cmp(&before.last_delivered_id);
        // A group that is recreated has no consumers at first.
        let is_recreated = after.consumers == 0 && before.consumers > 0 && moved.is_ne();
        let passed = now.time.to.saturating_sub(last.time.from).saturating_add(1);
        let is_set = |before: u64, after: u64| after.saturating_sub(before) / MOST_IN_A_MS > passed;
        if self.added(last).zip(self.added(now)).is_some_and(|(before, after)| is_set(before, after)) {
            return Err(LeftOut::Trimmed);
        }
        if is_recreated
            || is_set(last.number, now.number)
            || moved != now.number.cmp(&last.number)
            || moved.is_lt()
        {
            return Err(LeftOut::Rewound);
        }
        if let Some(added) = self.added(now) {
            self.arrivals.added(added, now.time)?;
        }
        if moved.is_gt() {
            self.arrivals.entry(now.number, after.last_delivered_id, now.time)?;
        }
        Ok(())
    }

    /// Entries that had been added by then, if their number can be believed.
    fn added(&self, now: Last) -> Option<u64> {
        let lag = now.position.lag.filter(|_| !self.is_lag_inflated)?;
        now.number.checked_add(lag)
    }

    fn delivered(&self, now: Last) -> At {
        let behind = now.position.lag.filter(|_| !self.is_lag_inflated);
        At { time: now.time, number: now.number, behind, last: now.position.last_delivered_id.ms }
    }

    /// `None` if more entries are pending than were delivered.
    fn handled(&self, now: Last) -> Option<At> {
        let pending = now.position.pending;
        let delivered = self.delivered(now);
        let behind = delivered.behind.map(|behind| behind.saturating_add(pending));
        Some(At { number: now.number.checked_sub(pending)?, behind, ..delivered })
    }

    fn restart(&mut self, now: Last, reason: LeftOut) {
        self.followed.lose();
        self.arrivals.restart(now.number, now.position.last_delivered_id);
        if let Some(added) = self.added(now) {
            // Not fewer than those that were delivered, which is all that is known yet.
            self.arrivals.added(added, now.time).ok();
        }
        let last_number = self.arrivals.last_number();
        for stage in [&mut self.delivery, &mut self.handling] {
            stage.renumber(last_number.saturating_sub(now.number), last_number);
        }
        self.restart_curves(now, reason);
    }

    fn restart_curves(&mut self, now: Last, reason: LeftOut) {
        let (delivered, handled) = (self.delivered(now), self.handled(now));
        self.delivery.restart(reason, Some(delivered));
        self.handling.restart(reason, handled);
    }

    /// Measures what has moved since the last tick.
    fn step(&mut self, last: Last, now: Last, aims: &Aims) {
        let is_late = now.time.to.saturating_sub(last.time.from) > 2 * aims.tick_ms();
        let (delivered, handled) = (self.delivered(now), self.handled(now));
        measure(&mut self.delivery, delivered, &self.arrivals, self.old_up_to, is_late, aims);
        let before = self.handling.curve.number();
        match handled {
            Some(at) if before.is_none_or(|before| at.number < before) => {
                self.handling.restart(LeftOut::Rewound, Some(at));
            }
            Some(at) if now.position.consumers < last.position.consumers => {
                self.handling.restart(LeftOut::ConsumerDeleted, Some(at));
            }
            Some(at) => measure(&mut self.handling, at, &self.arrivals, self.old_up_to, is_late, aims),
            None => self.handling.restart(LeftOut::LagUnknown, None),
        }
    }

    /// Follows the entry that was delivered last, and takes what is known of those that are followed.
    fn follow(&mut self, last: Last, now: Last, answers: &[(StreamId, bool)], aims: &Aims) {
        let Some((objective, handled)) = aims.objectives[1].zip(self.handling.curve.number()) else {
            return self.followed.lose();
        };
        // The entries of a deleted consumer are not pending either.
        if now.position.consumers < last.position.consumers {
            self.followed.lose();
        }
        if now.number > last.number && last.number >= self.old_up_to {
            self.followed.follow(now.position.last_delivered_id, now.number, last.time);
        }
        let pending = now.position.pending;
        let seen = Seen { before: last.time, now: now.time, handled, pending, answers };
        self.followed.take(&seen, aims.tick_ms(), objective);
        self.handling.is_in_order = self.followed.are_in_order(aims.target.ratio());
    }

    /// The entries to ask for at a tick that comes so long after the last one.
    pub(super) fn asked(&self, passed: Duration, aims: &Aims) -> Vec<StreamId> {
        let Some((last, objective)) = self.last.zip(aims.objectives[1]) else { return Vec::new() };
        let at = last.time.from + Millis::from(passed).get();
        self.followed.asked(at, aims.tick_ms(), objective).collect()
    }

    /// What came of it.
    pub(super) fn summary(&self) -> GroupLatency {
        let followed = self.handling.objective.map(|_| self.followed.outcomes);
        let handling = Stage { followed, ..self.handling.summary() };
        GroupLatency { delivery: self.delivery.summary(), handling }
    }
}

fn measure(stage: &mut Measured, at: At, arrivals: &Arrivals, old_up_to: u64, is_late: bool, aims: &Aims) {
    let before = stage.curve.number().unwrap_or(at.number);
    let is_old = before < old_up_to;
    let waits = stage.curve.step(at, arrivals);
    if is_old {
        return stage.leave_out(LeftOut::Rewound, waits.iter().map(|wait| wait.entries).sum());
    }
    stage.record(before, &waits, is_late, aims);
    let close: Vec<Wait> = waits.into_iter().filter(|wait| wait.is_close(aims.tick_ms())).collect();
    stage.window.add(&close, at.time.from, aims.window);
}
