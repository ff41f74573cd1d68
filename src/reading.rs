//! What was read last and what it means: one row a stream, which every view is drawn from.

use std::sync::Arc;

use crate::{
    clock::Moment,
    config::{Policy, StreamRule, Watched, Watchlist},
    evaluate::{GroupReport, GroupVerdict, Health, Report, StreamReport, StreamVerdict},
    model::{EntryHead, Failure, GroupState, Name, Reason, Snapshot, StreamId, StreamState},
    retention::{Plan, RetentionStatus, RetentionStatuses, TrimBlocker},
};

/// Where the polls stand: what the renderer and the probes go by.
#[derive(Clone, Default)]
pub struct Latest {
    /// The last successful poll.
    pub reading: Option<Arc<Reading>>,
    /// Why the last poll failed, if it did.
    pub failure: Option<Failure>,
    /// How many polls have ended, either way.
    pub polls: u64,
}

/// What one successful poll read, and what it means.
pub struct Reading {
    /// Redis's words.
    pub snapshot: Arc<Snapshot>,
    /// Their meaning.
    pub report: Arc<Report>,
    /// For each stream of the snapshot, in their order.
    rows: Vec<Row>,
    /// How many of the streams have which health.
    pub health: HealthCounts,
    /// When it was read.
    pub read_at: Moment,
}

/// What belongs to a stream beside what was read of it.
struct Row {
    watched: Watched,
    /// In a box, since few streams have limits.
    retention: Option<Box<RetentionReading>>,
}

/// A stream's limits, and how they are kept.
pub struct RetentionReading {
    /// What is wanted of the stream.
    pub policy: Arc<Policy>,
    /// What a run would find; `None` for a stream that could not be read.
    pub plan: Option<Plan>,
    /// What this sidecar has done to it; `None` before its first run.
    pub retention_status: Option<RetentionStatus>,
}

impl Reading {
    /// Joins what was read with what is wanted of each stream and what was done to it. It is shown by the rules that it was judged
    /// by, also once others are in force: those are for the next poll.
    #[must_use]
    pub fn new(
        watchlist: &Watchlist,
        retention_statuses: &RetentionStatuses,
        snapshot: Arc<Snapshot>,
        report: Arc<Report>,
        read_at: Moment,
    ) -> Self {
        let mut watchlist = watchlist.in_order();
        let states = snapshot.streams.iter().zip(report.streams.values());
        let rows = states.map(|((name, state), verdict)| {
            let watched = watchlist.get(name).cloned().unwrap_or_else(|| Watched::unknown(name.clone()));
            let retention = watched.policy.clone().map(|policy| {
                let plan = state.as_ref().ok().map(|state| Plan::new(&policy, state, verdict));
                Box::new(RetentionReading {
                    policy,
                    plan,
                    retention_status: retention_statuses.get(name).cloned(),
                })
            });
            Row { watched, retention }
        });
        let rows = rows.collect();
        let health = report.streams.values().map(|verdict| verdict.health).collect();
        Self { snapshot, report, rows, health, read_at }
    }

    /// The streams, in the order of their names.
    pub fn streams(&self) -> impl Iterator<Item = StreamReading<'_>> {
        let states = self.snapshot.streams.values().zip(self.report.streams.values());
        states.zip(&self.rows).map(|((state, verdict), row)| self.of(row, state, verdict))
    }

    /// This stream, if it was asked for.
    #[must_use]
    pub fn stream(&self, name: &Name) -> Option<StreamReading<'_>> {
        let place = self.rows.binary_search_by(|row| row.watched.name.cmp(name)).ok()?;
        let (state, verdict) = (self.snapshot.streams.get(name)?, self.report.streams.get(name)?);
        Some(self.of(self.rows.get(place)?, state, verdict))
    }

    fn of<'a>(
        &'a self,
        row: &'a Row,
        state: &'a Result<StreamState, Failure>,
        verdict: &'a StreamVerdict,
    ) -> StreamReading<'a> {
        let Row { watched, retention } = row;
        StreamReading {
            snapshot: &self.snapshot,
            name: &watched.name,
            watched,
            state,
            report: verdict.read.as_ref(),
            verdict,
            retention: retention.as_deref(),
        }
    }
}

/// A stream that was read, or that could not be.
#[derive(Clone, Copy)]
pub struct StreamReading<'a> {
    snapshot: &'a Snapshot,
    /// Its name.
    pub name: &'a Name,
    /// What the configuration says of it.
    pub watched: &'a Watched,
    /// What it said, or why it said nothing.
    pub state: &'a Result<StreamState, Failure>,
    /// What that means.
    pub report: Option<&'a StreamReport>,
    /// How it fares.
    pub verdict: &'a StreamVerdict,
    /// Its limits, and how they are kept; `None` for a stream without limits.
    pub retention: Option<&'a RetentionReading>,
}

impl<'a> StreamReading<'a> {
    /// What it said, if it did.
    #[must_use]
    pub fn read(&self) -> Option<&'a StreamState> {
        self.state.as_ref().ok()
    }

    /// What the configuration says of it, where a rule matches.
    #[must_use]
    pub fn rule(&self) -> Option<&'a StreamRule> {
        self.watched.rule.as_deref()
    }

    /// Whether the stream is there; unknown where it could not be read for another reason than its absence.
    #[must_use]
    pub fn present(&self) -> Option<bool> {
        match self.state {
            Ok(_) => Some(true),
            Err(failure) => failure.is_absence().then_some(false),
        }
    }

    /// Why the stream could not be read; that it is not there is told by its presence.
    #[must_use]
    pub fn unreadable(&self) -> Option<&'static str> {
        let failure = self.state.as_ref().err().filter(|failure| failure.reason != Reason::NoKey)?;
        Some(failure.reason.as_str())
    }

    /// How many entries it has, where that is known.
    #[must_use]
    pub fn length(&self) -> Option<u64> {
        let read = self.read().map(|state| state.length);
        read.or_else(|| self.snapshot.lengths.get(self.name).copied())
    }

    /// Its last entries, the newest first, where they were to be read and could be.
    #[must_use]
    pub fn last_entries(&self) -> Option<&'a [EntryHead]> {
        self.snapshot.last_entries.get(self.name).map(Vec::as_slice)
    }

    /// The last entry, where it was read, or is the only one, or nothing can have removed it. Trims begin at the front, but those
    /// of acknowledged entries pass over what is needed there.
    #[must_use]
    pub fn last_entry(&self) -> Option<StreamId> {
        let stream = self.read()?;
        if let Some(newest) = self.last_entries().and_then(<[_]>::first) {
            return Some(newest.id);
        }
        let last = stream.last_generated_id.filter(|_| stream.length > 0)?;
        let is_deleted = stream.max_deleted_entry_id.is_none_or(|deleted| deleted >= last);
        let may_be_trimmed =
            self.snapshot.server.may_trim_the_middle() && stream.entries_removed() != Some(0);
        let is_there = stream.first_entry_id == Some(last) || !(is_deleted || may_be_trimmed);
        is_there.then_some(last)
    }

    /// Its groups, in the order of their names: those that are there, and those that the configuration expects.
    pub fn groups(self) -> impl Iterator<Item = GroupReading<'a>> {
        // Of a stream that could not be read it is not known which groups it has.
        let is_stream_known = self.present().is_some();
        self.verdict.groups.iter().map(move |(name, verdict)| GroupReading {
            name,
            state: self.read().and_then(|state| state.groups.get(name)),
            report: verdict.read.as_ref(),
            verdict,
            is_expected: self.watched.groups().contains(name),
            is_stream_known,
        })
    }
}

/// A group that is there, or that the configuration expects.
#[derive(Clone, Copy)]
pub struct GroupReading<'a> {
    /// Its name.
    pub name: &'a Name,
    /// What it said; `None` for an expected group that is not there.
    pub state: Option<&'a GroupState>,
    /// What that means.
    pub report: Option<&'a GroupReport>,
    /// How it fares.
    pub verdict: &'a GroupVerdict,
    /// Whether the configuration expects it.
    pub is_expected: bool,
    is_stream_known: bool,
}

impl GroupReading<'_> {
    /// Whether the group is there; unknown where its stream could not be read.
    #[must_use]
    pub fn present(&self) -> Option<bool> {
        self.is_stream_known.then_some(self.state.is_some())
    }
}

impl RetentionReading {
    /// Who keeps the limit from being reached: by the last run here, else by what the last poll proves.
    #[must_use]
    pub fn blocked_by(&self) -> Option<&TrimBlocker> {
        match &self.retention_status {
            Some(retention_status) if retention_status.last_success.is_some() => {
                retention_status.blocked_by.as_ref()
            }
            _ => self.plan.as_ref()?.blocked_by(),
        }
    }
}

/// How many streams have which health.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct HealthCounts([u64; Health::ALL.len()]);

impl HealthCounts {
    /// So many have this one.
    #[must_use]
    pub fn of(&self, health: Health) -> u64 {
        self.0.get(health as usize).copied().unwrap_or_default()
    }

    /// The worst that a stream has; `None` where there is no stream.
    #[must_use]
    pub fn worst(&self) -> Option<Health> {
        Health::ALL.iter().copied().rfind(|health| self.of(*health) > 0)
    }

    /// The same once nothing of it can be relied upon any more.
    #[must_use]
    pub fn all_unknown(&self) -> Self {
        let mut counts = Self::default();
        if let Some(count) = counts.0.get_mut(Health::Unknown as usize) {
            *count = self.0.iter().sum();
        }
        counts
    }
}

impl FromIterator<Health> for HealthCounts {
    fn from_iter<T: IntoIterator<Item = Health>>(all: T) -> Self {
        let mut counts = Self::default();
        for health in all {
            if let Some(count) = counts.0.get_mut(health as usize) {
                *count += 1;
            }
        }
        counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_health_of_all_counts() {
        let counts: HealthCounts =
            [Health::Healthy, Health::Critical, Health::Healthy, Health::Unknown].into_iter().collect();
        assert_eq!(Health::ALL.iter().map(|health| counts.of(*health)).collect::<Vec<_>>(), [2, 1, 0, 1]);
        assert_eq!(counts.worst(), Some(Health::Critical));
        let stale = counts.all_unknown();
        assert_eq!((stale.of(Health::Unknown), stale.worst()), (4, Some(Health::Unknown)));
        assert_eq!(HealthCounts::default().worst(), None);
    }
}
