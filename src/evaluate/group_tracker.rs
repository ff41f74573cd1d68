//! What is kept of a group over a window of polls, and the rules for its status.

use std::time::Duration;

use super::{
    GroupStatus, Losses,
    cause::{Backlog, GroupCause},
    debounce::Debounce,
    moment::Moment,
    present::Present,
    rates::{Rate, passed_rate},
    report::GroupVerdict,
    series::{Series, low_part, saturated},
    trend::{Growth, growth},
};
use crate::model::{Millis, StreamId};

/// State of a group that exists or is expected, beyond its last reading and verdict. Times are of a monotonic clock.
#[derive(Debug, Clone, Default)]
pub(super) struct GroupTracker {
    since: Millis,
    /// Lag plus pending entries.
    backlogs: Series,
    /// The low part of the entries that it lost. Kept from the first loss on; most groups never have one.
    lost: Option<Box<Series>>,
    /// Counters of its last reading; `None` if it did not exist.
    last: Option<Counts>,
    /// When the group last made progress, or last had nothing to do.
    moved_at: Millis,
    /// When consumers last certainly received or acknowledged entries; `None` if that was never seen.
    progressed_at: Option<Millis>,
    /// Events within the window. Boxed, since events are rare.
    lately: Option<Box<Lately>>,
    missing: Debounce,
    no_consumers: Debounce,
    stopped: Debounce,
    stuck: Debounce,
    over: Debounce,
    growing: Debounce,
}

/// Counters of a group.
#[derive(Debug, Clone, Copy)]
struct Counts {
    /// From the last reading that had it.
    lost: Option<Losses>,
    /// Pending entries dropped with their consumers.
    dropped: Option<u64>,
    rewinds: u32,
}

#[derive(Debug, Clone, Copy, Default)]
struct Lately {
    trimmed: Option<Removed>,
    suspected: Option<Removed>,
    dropped: Option<Removed>,
    rewound: Option<Rewound>,
}

#[derive(Debug, Clone, Copy)]
struct Removed {
    entries: u64,
    at: Millis,
}

#[derive(Debug, Clone, Copy)]
struct Rewound {
    from: StreamId,
    to: StreamId,
    at: Millis,
}

impl GroupTracker {
    /// A group that is seen for the first time.
    pub(super) fn new(at: Millis) -> Self {
        Self { since: at, moved_at: at, ..Self::default() }
    }

    /// Applies a reading of the group and judges it; `None` if the group does not exist. `lags` are the earlier lags.
    pub(super) fn judge(
        &mut self,
        present: Option<Present<'_>>,
        mut lags: Series,
        added: &Series,
        moment: &Moment<'_>,
    ) -> GroupVerdict {
        let lag = present.as_ref().and_then(|present| present.report.lag.known());
        let backlog =
            lag.zip(present.as_ref()).map(|(lag, present)| lag.saturating_add(present.backlog().pending));
        lags.put(moment.slot, lag.map(saturated));
        self.backlogs.put(moment.slot, backlog.map(saturated));
        let (status, cause) = match &present {
            Some(present) => {
                self.follow(present, moment);
                self.rule(present, added, moment)
            }
            None => self.absent(moment),
        };
        let rate_out = self.rate_out(present.as_ref(), &lags, added, moment);
        GroupVerdict { status, cause, read: present.map(|present| present.report), rate_out, lags }
    }

    /// Applies a poll that could not read the group.
    pub(super) fn pass_over(&mut self, moment: &Moment<'_>) {
        self.backlogs.put(moment.slot, None);
        self.lost.iter_mut().for_each(|lost| lost.put(moment.slot, None));
    }

    /// Removed entries were not delivered, so the rate is unknown if losses are unknown. Suspected losses were
    /// probably not delivered either.
    fn rate_out(
        &mut self,
        present: Option<&Present<'_>>,
        lags: &Series,
        added: &Series,
        moment: &Moment<'_>,
    ) -> Option<Rate> {
        let lost = present.and_then(|present| present.report.lost).map(|lost| lost.at_least + lost.suspected);
        if self.lost.is_some() || lost.is_some_and(|lost| lost > 0) {
            self.lost.get_or_insert_default().put(moment.slot, lost.map(low_part));
        }
        let there_for = moment.since(self.since);
        lost.and_then(|_| passed_rate(added, lags, self.lost.as_deref(), there_for, moment))
    }

    fn absent(&mut self, moment: &Moment<'_>) -> (GroupStatus, GroupCause) {
        if self.last.is_some() {
            let backlogs = std::mem::take(&mut self.backlogs);
            *self = Self { backlogs, ..Self::new(moment.at) };
        }
        let is_missing = self.missing.update(true, moment.at, moment.missing_after, Duration::ZERO);
        let status = if is_missing { GroupStatus::Missing } else { GroupStatus::Unknown };
        (status, GroupCause::NotThere { since: moment.since(self.since) })
    }

    /// Starts again: what the group did before is unknown.
    pub(super) fn begin_at(&mut self, at: Millis) {
        self.since = at;
        self.moved_at = at;
        self.progressed_at = None;
        self.missing = Debounce::default();
    }

    /// Records what has changed since the last reading.
    fn follow(&mut self, present: &Present<'_>, moment: &Moment<'_>) {
        if self.last.is_none() {
            self.begin_at(moment.at);
        }
        // If a reading has no losses, those of the last reading that had them still hold.
        let lost = present.report.lost.or(self.last.and_then(|last| last.lost));
        let dropped = present.report.dropped.as_ref().map(|dropped| dropped.get());
        let dropped = dropped.or(self.last.and_then(|last| last.dropped));
        let now = Counts { lost, dropped, rewinds: present.report.rewinds };
        let mut lately = self.lately.take().map(|lately| *lately).unwrap_or_default();
        if let Some((last, before)) = self.last.replace(now).zip(present.last_state) {
            if let Some((before, now)) = last.lost.zip(now.lost) {
                note_lost(&mut lately.trimmed, before.at_least, now.at_least, moment.at);
                note_lost(&mut lately.suspected, before.suspected, now.suspected, moment.at);
            }
            if let Some((before, now)) = last.dropped.zip(now.dropped) {
                note_lost(&mut lately.dropped, before, now, moment.at);
            }
            if now.rewinds > last.rewinds {
                lately.rewound = Some(Rewound {
                    from: before.last_delivered_id,
                    to: present.state.last_delivered_id,
                    at: moment.at,
                });
            }
            if present.has_progressed_since(before) {
                self.progressed_at = Some(moment.at);
            }
            if present.has_moved_since(before) || present.waits() == Some(false) {
                self.moved_at = moment.at;
            }
        }
        let is_over = |at: Millis| moment.since(at) >= moment.config.status.window;
        lately.trimmed.take_if(|trimmed| is_over(trimmed.at));
        lately.suspected.take_if(|suspected| is_over(suspected.at));
        lately.dropped.take_if(|dropped| is_over(dropped.at));
        lately.rewound.take_if(|rewound| is_over(rewound.at));
        let Lately { trimmed, suspected, dropped, rewound } = lately;
        let is_quiet = trimmed.is_none() && suspected.is_none() && dropped.is_none() && rewound.is_none();
        self.lately = if is_quiet { None } else { Some(Box::new(lately)) };
    }

    /// The first rule that applies.
    fn rule(
        &mut self,
        present: &Present<'_>,
        added: &Series,
        moment: &Moment<'_>,
    ) -> (GroupStatus, GroupCause) {
        // All conditions must be updated, even if an earlier one applies.
        let no_consumers = self.no_consumers(present, moment);
        let stopped = self.stopped(present, moment);
        let stalled = self.stalled(present, moment);
        let stuck = self.stuck(present, moment);
        let lagging = self.lagging(present, added, moment);
        let lagging = if lagging.as_ref().is_some_and(GroupCause::follows_from_stuck) {
            stuck.or(lagging)
        } else {
            lagging.or(stuck)
        };
        let ago = |at: Millis| moment.since(at);
        let Lately { trimmed, suspected, dropped, rewound } =
            self.lately.as_deref().copied().unwrap_or_default();
        let trimmed = trimmed.map(|Removed { entries, at }| GroupCause::Trimmed { entries, ago: ago(at) });
        let suspected =
            suspected.map(|Removed { entries, at }| GroupCause::Suspected { entries, ago: ago(at) });
        let dropped = dropped.map(|Removed { entries, at }| GroupCause::Dropped { entries, ago: ago(at) });
        let rewound = rewound.map(|Rewound { from, to, at }| GroupCause::WentBack { from, to, ago: ago(at) });
        let rules = [
            (GroupStatus::TrimmedPast, trimmed),
            (GroupStatus::NoConsumers, no_consumers),
            (GroupStatus::Stopped, stopped),
            (GroupStatus::Stalled, stalled),
            (GroupStatus::Rewound, rewound),
            (GroupStatus::Lagging, suspected),
            (GroupStatus::Lagging, dropped),
            (GroupStatus::Lagging, lagging),
        ];
        let first = rules.into_iter().find_map(|(status, cause)| Some((status, cause?)));
        first.unwrap_or_else(|| self.otherwise(present, moment))
    }

    fn no_consumers(&mut self, present: &Present<'_>, moment: &Moment<'_>) -> Option<GroupCause> {
        let holds = present.waits() == Some(true) && present.has_no_consumer();
        let is_so = self.no_consumers.update(holds, moment.at, moment.missing_after, Duration::ZERO);
        if is_so { Some(GroupCause::NoConsumer { backlog: present.backlog() }) } else { None }
    }

    /// Only while entries could be read: a consumer that blocks without a timeout is idle too, until there are some.
    fn stopped(&mut self, present: &Present<'_>, moment: &Moment<'_>) -> Option<GroupCause> {
        let status = &moment.config.status;
        let silent = present.silent(moment);
        let holds = silent.is_some() && present.has_lag() == Some(true);
        // They have been idle for long enough. Two polls exclude a coincidence.
        let enter = status.settle.min(2 * moment.config.poll.interval);
        let is_so = self.stopped.update(holds, moment.at, enter, Duration::ZERO);
        let silent = silent.filter(|_| is_so)?;
        Some(GroupCause::Silent {
            backlog: present.backlog(),
            consumers: present.state.consumer_count,
            silent,
        })
    }

    fn stalled(&self, present: &Present<'_>, moment: &Moment<'_>) -> Option<GroupCause> {
        let still = moment.since(self.moved_at);
        if present.waits() != Some(true) || still < moment.config.status.window {
            return None;
        }
        let (backlog, consumers) = (present.backlog(), present.state.consumer_count);
        // With nothing to read, consumers that are idle may be dead, or may block until there is something.
        if let Some(silent) = present.silent(moment) {
            return Some(GroupCause::Silent { backlog, consumers, silent });
        }
        Some(GroupCause::Still {
            backlog,
            consumers,
            least_idle: present.state.least_idle,
            still,
            near: present.near_limit(moment).map(Box::new),
        })
    }

    /// Consumers that hold entries and do nothing. An entry that takes as long to handle is not reported at once.
    fn stuck(&mut self, present: &Present<'_>, moment: &Moment<'_>) -> Option<GroupCause> {
        let stuck = present.stuck(moment);
        let settle = moment.config.status.settle;
        let is_so = self.stuck.update(stuck.is_some(), moment.at, settle, Duration::ZERO);
        stuck.filter(|_| is_so)
    }

    fn lagging(&mut self, present: &Present<'_>, added: &Series, moment: &Moment<'_>) -> Option<GroupCause> {
        let status = &moment.config.status;
        let over = present.over(moment);
        let is_over = self.over.update(over.is_some(), moment.at, status.settle, status.settle);
        let growth = self.growth(added, moment);
        // If the backlog is empty, growth is over. If it has only stopped growing, it is observed for another window.
        let leave = if present.waits() == Some(false) { status.settle } else { status.window };
        let is_growing = self.growing.update(growth.is_some(), moment.at, 2 * status.settle, leave);
        let backlog = present.backlog();
        match (over.filter(|_| is_over), growth.filter(|_| is_growing)) {
            (Some(over), _) => Some(GroupCause::Over(over)),
            (None, Some(Growth { from, to })) => {
                Some(GroupCause::Growing { backlog, from, to, within: status.window })
            }
            (None, None) => {
                let (since, until) = match (self.over.recovering_since(), self.growing.recovering_since()) {
                    (Some(over), None) => (over, status.settle),
                    (None, Some(growing)) => (growing, leave),
                    (Some(over), Some(growing)) => (over.max(growing), leave),
                    (None, None) => return None,
                };
                Some(GroupCause::Recovering { backlog, since: moment.since(since), until })
            }
        }
    }

    fn growth(&self, added: &Series, moment: &Moment<'_>) -> Option<Growth> {
        let window = moment.config.status.window;
        if moment.since(self.since) < window {
            return None;
        }
        let values: Vec<u32> = moment.ticks.within(&self.backlogs, window).map(|(_, value)| value).collect();
        let mut added = moment.ticks.within(added, window).map(|(_, value)| value);
        let came_in =
            added.next().zip(added.next_back()).map(|(first, last)| last.wrapping_sub(first).into());
        growth(&values, came_in)
    }

    /// No problem is known. Decides whether that is enough for `ok`.
    fn otherwise(&self, present: &Present<'_>, moment: &Moment<'_>) -> (GroupStatus, GroupCause) {
        let backlog = present.backlog();
        let status = &moment.config.status;
        let watched = moment.since(self.since);
        let has_moved = self.moved_at > self.since;
        let is_suspect = watched < status.settle && present.over(moment).is_some();
        match present.waits() {
            Some(false) => (GroupStatus::Ok, GroupCause::Idle),
            Some(true) if !is_suspect && (has_moved || watched >= status.window) => {
                (GroupStatus::Ok, self.progress(backlog, moment))
            }
            Some(true) => {
                (GroupStatus::Unknown, GroupCause::TooEarly { backlog, watched, window: status.window })
            }
            None if has_moved && moment.since(self.moved_at) < status.window => {
                (GroupStatus::Ok, self.progress(backlog, moment))
            }
            None => (GroupStatus::Unknown, GroupCause::LagUnknown { backlog }),
        }
    }

    /// What is known of a backlog that is no problem.
    fn progress(&self, backlog: Backlog, moment: &Moment<'_>) -> GroupCause {
        let status = &moment.config.status;
        let just_now = status.settle.max(2 * moment.config.poll.interval);
        let last = self.progressed_at.map(|at| moment.since(at)).filter(|ago| *ago < status.window);
        if last.is_some_and(|ago| ago <= just_now) {
            return GroupCause::Moving { backlog };
        }
        GroupCause::Standing { backlog, last, watched: moment.since(self.since).min(status.window) }
    }
}

/// Adds the losses since the last reading to those within the window.
fn note_lost(noted: &mut Option<Removed>, before: u64, now: u64, at: Millis) {
    if now > before {
        let earlier = noted.map_or(0, |noted| noted.entries);
        *noted = Some(Removed { entries: earlier + now - before, at });
    }
}
