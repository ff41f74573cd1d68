//! What is kept of a stream and its groups over a window of polls, and their verdicts on the latest reading.

use std::{collections::BTreeMap, time::Duration};

use super::{
    Health,
    cause::{Recreation, StreamCause},
    debounce::Debounce,
    group_tracker::GroupTracker,
    moment::Moment,
    present::Present,
    rates::rate,
    report::{GroupReport, GroupVerdict, StreamReport, StreamVerdict},
    series::{Series, low_part, saturated},
    set_aside::SetAside,
    takeover::{FirstReading, SLACK, Takeover, without_activity},
};
use crate::{
    config::{Config, Mode, StreamRetention, StreamRule},
    model::{Failure, GroupState, Millis, Name, NameMap, ServerTime, StreamState},
};

/// One stream in a reading.
pub(super) struct Subject<'a> {
    pub(super) state: &'a Result<StreamState, Failure>,
    /// The meaning of its state, if it could be read.
    pub(super) report: Option<StreamReport>,
    pub(super) rule: Option<&'a StreamRule>,
    /// Whether it could not be read although the configuration names it.
    pub(super) is_expected: bool,
    /// Its last reading, if it could be read then.
    pub(super) last_state: Option<&'a StreamState>,
    /// Whether this reading may lack what happened before that one.
    pub(super) may_be_behind: bool,
    /// Whether it is of a replica, which lacks consumers that were never given an entry.
    pub(super) is_of_replica: bool,
    /// The verdict on that reading. It has the series, which continue from there.
    pub(super) last_verdict: Option<&'a StreamVerdict>,
}

/// State of a stream, beyond its last verdict.
#[derive(Debug, Clone, Default)]
pub(super) struct StreamTracker {
    /// Whether it has become another stream since the last verdict.
    is_new: bool,
    /// Whether its server has changed since the last verdict to one that lacks something.
    is_set_back: bool,
    /// Whether another server has taken it over since the last verdict.
    is_taken_over: bool,
    /// When the present server took it over; `None` if it has always been there, as far as is known.
    taken_over: Option<Box<TakenOver>>,
    /// A list, since the nodes of a map have room for many more than the few groups of a stream.
    groups: Vec<(Name, GroupTracker)>,
    /// When the stream was last read.
    read_at: Option<Millis>,
    /// Its recreations as of the last verdict.
    recreations: u64,
    /// The last of them, if it is within the window. Boxed, since it is rare.
    recreated: Option<Box<Recreated>>,
    pub(super) set_aside: SetAside,
    absent: Debounce,
    too_long: Debounce,
    too_old: Debounce,
}

/// A stream that was recreated or rolled back.
#[derive(Debug, Clone, Copy)]
struct Recreated {
    /// When a reading first showed it after that.
    at: Millis,
    /// Entries of the last reading before, if all of them are gone.
    gone: Option<u64>,
}

/// A stream that another server has taken over.
#[derive(Debug, Clone)]
struct TakenOver {
    /// Activity from then on was certainly on the present server.
    at: Millis,
    /// What it reported first about each group.
    first: BTreeMap<Name, FirstReading>,
}

impl StreamTracker {
    /// Drops the past of a stream that has become another one.
    pub(super) fn restart(&mut self) {
        let Self { absent, recreations, recreated, set_aside, .. } = std::mem::take(self);
        *self = Self { is_new: true, absent, recreations, recreated, set_aside, ..Self::default() };
    }

    /// The tracker of a stream that was watched earlier, and recreated so many times then.
    pub(super) fn after(recreations: u64) -> Self {
        Self { recreations, ..Self::default() }
    }

    /// The stream is the same, but lacks what was added to it last: no rate leads across that.
    pub(super) const fn set_back(&mut self) {
        self.is_set_back = true;
    }

    /// Another server has taken the stream over.
    pub(super) const fn take_over(&mut self) {
        self.is_taken_over = true;
    }

    /// Whether what the last reading reported about consumers was about this long or more on the present server.
    pub(super) fn has_settled(&self, after: Duration) -> bool {
        let read_at = self.read_at.unwrap_or_default();
        self.taken_over.as_ref().is_none_or(|taken_over| read_at.since(taken_over.at) > after)
    }

    /// Corrects what a replica, or a server that has taken the stream over, can't know about consumers. `last` is the last reading, and
    /// `time` the server's clock.
    pub(super) fn correct(
        &mut self,
        stream: &mut StreamState,
        last: Option<&StreamState>,
        time: Option<ServerTime>,
        is_of_replica: bool,
        moment: &Moment<'_>,
    ) {
        self.correct_after_takeover(stream, last, time, moment);
        if is_of_replica {
            stream.groups.values_mut().for_each(without_activity);
        }
    }

    fn correct_after_takeover(
        &mut self,
        stream: &mut StreamState,
        last: Option<&StreamState>,
        time: Option<ServerTime>,
        moment: &Moment<'_>,
    ) {
        if std::mem::take(&mut self.is_taken_over) {
            let at = Millis::from(moment.at.duration() + SLACK);
            let mut first = self.taken_over.take().map(|it| it.first).unwrap_or_default();
            first.values_mut().for_each(FirstReading::take_over);
            self.taken_over = Some(Box::new(TakenOver { at, first }));
        }
        let takeover = self.takeover(time, moment);
        let Some((takeover, taken_over)) = takeover.zip(self.taken_over.as_mut()) else { return };
        taken_over.first.retain(|name, _| stream.groups.contains_key(name));
        let mut is_corrected = false;
        for (name, group) in stream.groups.iter_mut() {
            let first = taken_over.first.entry(name.clone()).or_default();
            is_corrected |= takeover.correct(group, last.and_then(|last| last.groups.get(name)), first);
        }
        if takeover.is_over() && !is_corrected {
            self.taken_over = None;
        }
    }

    fn takeover(&self, time: Option<ServerTime>, moment: &Moment<'_>) -> Option<Takeover> {
        Some(Takeover {
            at: moment.at,
            time,
            since: moment.since(self.taken_over.as_ref()?.at),
            passed: moment.since(self.read_at.unwrap_or(moment.at)),
            stopped_after: moment.config.status.stopped_after,
            stuck_after: moment.config.consumers.stuck_after,
        })
    }

    /// Applies a reading of the stream and judges it. `reports` are those of its groups, in their order.
    pub(super) fn judge(
        &mut self,
        subject: &Subject<'_>,
        reports: Vec<GroupReport>,
        moment: &Moment<'_>,
    ) -> StreamVerdict {
        let stream = subject.state.as_ref().ok();
        let is_new = std::mem::take(&mut self.is_new);
        let last = subject.last_verdict.filter(|_| !is_new);
        let (mut lengths, mut added) =
            last.map(|last| (last.lengths.clone(), last.added.clone())).unwrap_or_default();
        if std::mem::take(&mut self.is_set_back) {
            added = Series::default();
        }
        lengths.put(moment.slot, stream.map(|stream| saturated(stream.length)));
        added.put(moment.slot, stream.and_then(|stream| Some(low_part(stream.entries_added?))));
        // A consumer that reads more rarely counts as stopped, so all others have come back by then.
        let may_come_back = self.takeover(None, moment).is_some_and(|it| it.since <= it.stopped_after);
        let missing_after = if may_come_back { Duration::MAX } else { moment.missing_after };
        let moment = &Moment { missing_after, ..*moment };
        let groups = match subject.unreadable() {
            Some(failure) => {
                // As in a failed poll: what is known about the groups holds until they are read again.
                self.groups.iter_mut().for_each(|(_, tracker)| tracker.pass_over(moment));
                let unread = |name: &Name| (name.clone(), GroupVerdict::unread(failure));
                subject.expected().iter().map(unread).collect()
            }
            None => self.judge_groups(subject, reports, last, &added, moment),
        };
        let recreated = self.recreated(subject, moment);
        let (health, cause) = self.health(subject, &groups, recreated, moment);
        StreamVerdict {
            health,
            cause,
            read: subject.report,
            over_limit: over_limit(subject, moment.config).map(Box::new),
            recreated,
            // Of a stream that is not read the rate is unknown, not zero.
            rate_in: stream.and_then(|_| rate(moment.ticks.within(&added, moment.rate_window()))),
            lengths,
            added,
            memory: None,
            groups,
        }
    }

    fn judge_groups(
        &mut self,
        subject: &Subject<'_>,
        reports: Vec<GroupReport>,
        last: Option<&StreamVerdict>,
        added: &Series,
        moment: &Moment<'_>,
    ) -> NameMap<GroupVerdict> {
        let thresholds = subject.rule.map(|rule| &rule.thresholds);
        let groups = subject.groups(reports);
        let ignored = subject.ignored();
        let set_aside = self.set_aside.take();
        // A gap after which nothing is known about the time in between.
        let longest = moment.config.status.window / 2;
        let is_after_gap = self.read_at.replace(moment.at).is_some_and(|last| moment.since(last) > longest);
        let mut before = std::mem::replace(&mut self.groups, Vec::with_capacity(groups.len()));
        let mut verdicts = Vec::with_capacity(groups.len());
        for (name, read) in groups {
            let watched = before.iter().position(|(watched, _)| watched == name);
            let (name, mut tracker) = watched.map_or_else(
                || (name.clone(), GroupTracker::new(moment.at)),
                |index| before.swap_remove(index),
            );
            let last_state = subject.last_state.and_then(|last| last.groups.get(&name));
            let first = self.taken_over.as_ref().and_then(|it| it.first.get(&name));
            let silence = first.and_then(|first| first.silence(moment.at));
            let present = read.map(|(state, report)| Present {
                state,
                last_state,
                silence,
                may_be_behind: subject.may_be_behind,
                is_of_replica: subject.is_of_replica,
                set_aside,
                report,
                thresholds,
            });
            if is_after_gap && present.is_some() {
                tracker.begin_at(moment.at);
            }
            let lags = last.and_then(|last| Some(last.groups.get(&name)?.lags.clone())).unwrap_or_default();
            let mut verdict = tracker.judge(present, lags, added, moment);
            if ignored.contains(&name) {
                verdict.ignore();
            }
            verdicts.push((name.clone(), verdict));
            self.groups.push((name, tracker));
        }
        verdicts.into_iter().collect()
    }

    /// The stream's last recreation, if it is within the window.
    fn recreated(&mut self, subject: &Subject<'_>, moment: &Moment<'_>) -> Option<Recreation> {
        if let Some(report) = subject.report
            && report.recreations > std::mem::replace(&mut self.recreations, report.recreations)
        {
            self.recreated = Some(Box::new(Recreated { at: moment.at, gone: report.entries_gone }));
        }
        self.recreated.take_if(|it| moment.since(it.at) >= moment.config.status.window);
        subject.report?;
        self.recreated.as_deref().map(|it| Recreation { gone: it.gone, ago: moment.since(it.at) })
    }

    /// The worst of the stream's own health and that of its groups.
    fn health(
        &mut self,
        subject: &Subject<'_>,
        groups: &NameMap<GroupVerdict>,
        recreated: Option<Recreation>,
        moment: &Moment<'_>,
    ) -> (Health, StreamCause) {
        let settle = moment.config.status.settle;
        let absence = subject.state.as_ref().err().filter(|failure| failure.is_absence());
        let is_missed = absence.is_some() && subject.is_expected;
        let is_absent = self.absent.update(is_missed, moment.at, settle, Duration::ZERO);
        if let Some(failure) = subject.unreadable() {
            return (Health::Unknown, StreamCause::Unreadable(failure.into()));
        }
        if let Some(failure) = absence {
            let health = if is_absent { Health::Critical } else { Health::Unknown };
            return (health, StreamCause::Absent(failure.reason));
        }
        let own = self
            .over_limit_for_long(subject, moment)
            .or_else(|| silence(subject))
            .or_else(|| clock_behind(subject));
        let own = own.map(|cause| (Health::Warning, cause));
        let worst = groups
            .values()
            .map(|group| group.status.health())
            .max()
            .filter(|health| *health != Health::Healthy);
        let of_group = worst.and_then(|worst| {
            let mut as_bad = groups.iter().filter(|(_, group)| group.status.health() == worst);
            let (name, _) = as_bad.next()?;
            Some((worst, StreamCause::Group { name: name.clone(), others: as_bad.count() }))
        });
        // Of equally bad ones the last: a stream that is another one explains what its groups lack.
        let recreated = recreated.map(|it| (Health::Warning, StreamCause::Recreated(it)));
        let all = own.into_iter().chain(of_group).chain(recreated);
        let worse = all.max_by_key(|(health, _)| *health);
        let unwatched = subject.state.as_ref().map_or(0, |stream| stream.unwatched_groups);
        worse.unwrap_or(match unwatched {
            0 => (Health::Healthy, StreamCause::Fine { groups: groups.len() }),
            groups => (Health::Unknown, StreamCause::Unwatched { groups }),
        })
    }

    /// Whether the stream has exceeded its limit for longer than retention needs to trim it.
    fn over_limit_for_long(&mut self, subject: &Subject<'_>, moment: &Moment<'_>) -> Option<StreamCause> {
        let retention = enforced(subject, moment.config)?;
        let after =
            retention.interval.unwrap_or(moment.config.retention.interval) + moment.config.status.settle;
        let long = too_long(subject, retention, after);
        let too_long = self.too_long.update(long.is_some(), moment.at, after, Duration::ZERO);
        let old = too_old(subject, retention, after);
        let too_old = self.too_old.update(old.is_some(), moment.at, after, Duration::ZERO);
        long.filter(|_| too_long).or(old.filter(|_| too_old))
    }
}

/// The limits of the stream, if they are enforced.
fn enforced<'a>(subject: &Subject<'a>, config: &Config) -> Option<&'a StreamRetention> {
    let retention = subject.rule?.retention.as_ref()?;
    (config.retention.enabled && retention.mode != Mode::Observe).then_some(retention)
}

/// The limit that the stream exceeds now, for however short a time.
fn over_limit(subject: &Subject<'_>, config: &Config) -> Option<StreamCause> {
    let retention = enforced(subject, config)?;
    too_long(subject, retention, Duration::ZERO).or_else(|| too_old(subject, retention, Duration::ZERO))
}

/// Trims remove whole nodes, so a stream at its limit may have this many more entries.
const NODE_ENTRIES: u64 = 100;

fn too_long(subject: &Subject<'_>, retention: &StreamRetention, after: Duration) -> Option<StreamCause> {
    let (limit, length) = (retention.max_length?, subject.state.as_ref().ok()?.length);
    let is_over = length > limit.saturating_add(limit / 100 + NODE_ENTRIES);
    is_over.then_some(StreamCause::TooLong { length, limit, after })
}

fn too_old(subject: &Subject<'_>, retention: &StreamRetention, after: Duration) -> Option<StreamCause> {
    let (limit, age) = (retention.max_age?, subject.report?.oldest_entry_age?.0.duration());
    (age > limit).then_some(StreamCause::TooOld { age, limit, after })
}

fn silence(subject: &Subject<'_>) -> Option<StreamCause> {
    let threshold = subject.rule?.thresholds.silence?;
    let silent = subject.report?.last_write_age?.0.duration();
    (silent > threshold).then_some(StreamCause::Silent { silent, threshold })
}

/// Without ages, nothing shows that entries wait or a stream is silent for too long.
fn clock_behind(subject: &Subject<'_>) -> Option<StreamCause> {
    Some(StreamCause::ClockBehind { behind: subject.report?.clock_behind?.duration() })
}

impl<'a> Subject<'a> {
    fn expected(&self) -> &'a [Name] {
        self.rule.map_or(&[], |rule| &rule.groups)
    }

    /// Groups for which retention does not wait.
    fn ignored(&self) -> &'a [Name] {
        self.rule.map_or(&[], StreamRule::ignored_groups)
    }

    /// Why the stream could not be read, unless it does not exist.
    fn unreadable(&self) -> Option<&'a Failure> {
        self.state.as_ref().err().filter(|failure| !failure.is_absence())
    }

    /// Existing and expected groups.
    fn groups(&self, reports: Vec<GroupReport>) -> Vec<(&'a Name, Option<(&'a GroupState, GroupReport)>)> {
        let state = self.state;
        let present = state.iter().flat_map(|stream| &stream.groups).zip(reports);
        let missing = self
            .expected()
            .iter()
            .filter(|name| !state.as_ref().is_ok_and(|stream| stream.groups.contains_key(name)));
        present
            .map(|((name, group), report)| (name, Some((group, report))))
            .chain(missing.map(|name| (name, None)))
            .collect()
    }
}
