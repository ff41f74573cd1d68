//! A stream in a reading, with its groups: its state, what that means, and who blocks its retention.

use std::{sync::Arc, time::Duration};

use crate::{
    config::{DeadLetterRule, Policy, Slo, StreamRule, Watched, Watchlist},
    evaluate::{Age, GroupReport, GroupVerdict, Health, Report, StreamCause, StreamReport, StreamVerdict},
    latency::{GroupLatency, LatencyReport},
    model::{
        EntryHead, Failure, GroupState, Name, Node, Reason, Role, ServerTime, Snapshot, StreamId,
        StreamState, Text,
    },
    retention::{Plan, RetentionStatus, RetentionStatuses, TrimBlocker},
    stuck::{RuleStatus, Stop},
};

/// A stream that the poll covered, whether it could be read or not.
#[derive(Clone, Copy)]
pub struct StreamReading<'a> {
    pub(super) snapshot: &'a Snapshot,
    pub(super) latency: &'a LatencyReport,
    /// Its name.
    pub name: &'a Name,
    /// Its configuration.
    pub watched: &'a Watched,
    /// What Redis reported of it, or why it could not be read.
    pub state: &'a Result<StreamState, Failure>,
    /// What that means.
    pub report: Option<&'a StreamReport>,
    /// What that says of its health. Views show [`health`](Self::health) and [`cause`](Self::cause), which know of retention too.
    pub verdict: &'a StreamVerdict,
    /// Its limits and their enforcement; `None` for a stream without limits.
    pub retention: Option<&'a RetentionReading>,
    /// What the rules about stuck work do with it; `None` without such rules.
    pub rules: Option<&'a RuleReading>,
    pub(super) other_holder: Option<&'a Text>,
}

impl<'a> StreamReading<'a> {
    /// What Redis reported of it, if it could be read.
    #[must_use]
    pub fn read(&self) -> Option<&'a StreamState> {
        self.state.as_ref().ok()
    }

    /// The rule that matches it, if any.
    #[must_use]
    pub fn rule(&self) -> Option<&'a StreamRule> {
        self.watched.rule.as_deref()
    }

    /// The server that has it. In a cluster it is one of several.
    #[must_use]
    pub fn node(&self) -> Option<&'a Node> {
        self.snapshot.node_of(self.name)
    }

    /// That server's clock at the start of the poll, if it is known.
    #[must_use]
    pub fn server_time(&self) -> Option<ServerTime> {
        self.node()?.time.as_ref().ok().map(|now| now.time)
    }

    /// Whether the stream exists; `None` where it could not be read for another reason.
    #[must_use]
    pub fn present(&self) -> Option<bool> {
        match self.state {
            Ok(_) => Some(true),
            Err(failure) => failure.is_absence().then_some(false),
        }
    }

    /// Another sidecar that holds the lease, and therefore enforces the stream's limits in place of this one.
    #[must_use]
    pub fn other_holder(&self) -> Option<&'a Text> {
        self.other_holder.filter(|_| self.retention.is_some_and(|it| it.policy.enforces()))
    }

    /// What prevents the limit from being reached: as of the last run here, else as the last poll proves. If another
    /// sidecar trims, its runs are not known here: a group blocks it only if less than a node may be removed. Else it is that sidecar
    /// that has not trimmed.
    #[must_use]
    pub fn blocked_by(&self) -> Option<&'a TrimBlocker> {
        let retention = self.retention?;
        let plan = retention.plan.as_ref();
        match &retention.retention_status {
            _ if self.other_holder().is_some() => {
                plan.filter(|plan| self.removes_nothing(plan))?.blocked_by()
            }
            Some(status) if status.has_enforced => status.blocked_by.as_ref(),
            _ => plan?.blocked_by(),
        }
    }

    /// Whether so few entries may be removed that a run, which removes whole nodes unless it is exact, removes none of them.
    fn removes_nothing(&self, plan: &Plan) -> bool {
        let is_exact = self.retention.is_none_or(|retention| retention.policy.exact);
        let node =
            self.read().and_then(|stream| stream.length.checked_div(stream.radix_tree_keys?)).unwrap_or(0);
        plan.at_most == 0 || (!is_exact && plan.at_most < node)
    }

    /// The worst of its own health and that of its groups.
    #[must_use]
    pub fn health(&self) -> Health {
        if self.blocked_over_limit().is_some() { Health::Warning } else { self.verdict.health }
    }

    /// The cause of its [health](Self::health).
    #[must_use]
    pub fn cause(&self) -> &'a StreamCause {
        self.blocked_over_limit().unwrap_or(&self.verdict.cause)
    }

    /// The limit that it exceeds while retention is known to be blocked: a reason to warn at once. The verdict alone waits until
    /// retention had time to trim, and knows nothing of its runs.
    fn blocked_over_limit(&self) -> Option<&'a StreamCause> {
        let over_limit = self.verdict.over_limit.as_deref()?;
        // Of other warnings that are not of groups, the verdict names this one first too.
        let comes_first = self.verdict.health < Health::Warning
            || matches!(self.verdict.cause, StreamCause::Silent { .. } | StreamCause::ClockBehind { .. });
        (comes_first && self.blocked_by().is_some()).then_some(over_limit)
    }

    /// The rule that sets its entries aside, and what came of it.
    #[must_use]
    pub fn dead_letter(&self) -> Option<(&'a DeadLetterRule, &'a RuleReading)> {
        self.watched.dead_letter().zip(self.rules)
    }

    /// Why entries stay pending that should be set aside, as of the last run here. If another sidecar holds the lease, its runs are not
    /// known here.
    #[must_use]
    pub fn dead_letters_stopped(&self) -> Option<Stop> {
        self.dead_letter()?.1.status.stop.filter(|_| self.other_holder.is_none())
    }

    /// Why the stream could not be read; `None` for one that does not exist, which [`present`](Self::present)
    /// reports.
    #[must_use]
    pub fn unreadable(&self) -> Option<Reason> {
        match self.state {
            Err(failure) if failure.reason != Reason::NoKey => Some(failure.reason),
            _ => None,
        }
    }

    /// Since when it can't be read, as time since the Unix epoch, if that is known.
    #[must_use]
    pub fn unreadable_since(&self) -> Option<Duration> {
        self.unreadable().and(self.state.as_ref().err()?.since)
    }

    /// The primary that has it, if it is one of a cluster.
    #[must_use]
    pub fn node_of_cluster(&self) -> Option<&'a Node> {
        self.snapshot.cluster.as_ref().and(self.node())
    }

    /// Its number of entries, if it is known.
    #[must_use]
    pub fn length(&self) -> Option<u64> {
        match self.state {
            Ok(state) => Some(state.length),
            Err(_) => self.snapshot.lengths.get(self.name).copied(),
        }
    }

    /// Its last entries, newest first, if the poll read them.
    #[must_use]
    pub fn last_entries(&self) -> Option<&'a [EntryHead]> {
        self.snapshot.last_entries.get(self.name).map(Vec::as_slice)
    }

    /// The ID of its last entry, if that is certain: the entry was read, is the only one, or can't have been removed.
    /// A trim starts at the oldest entry, but a trim of acknowledged entries skips needed ones there.
    #[must_use]
    pub fn last_entry(&self) -> Option<StreamId> {
        let stream = self.read()?;
        if let Some(newest) = self.last_entries().and_then(<[_]>::first) {
            return Some(newest.id);
        }
        let last = stream.last_generated_id.filter(|_| stream.length > 0)?;
        let may_be_deleted = stream.max_deleted_entry_id.is_none_or(|deleted| deleted >= last);
        let may_be_trimmed = self.node()?.server.may_trim_the_middle() && stream.entries_removed() != Some(0);
        let is_certain = stream.first_entry_id == Some(last) || !(may_be_deleted || may_be_trimmed);
        is_certain.then_some(last)
    }

    /// Its groups, by name: existing ones and those that the configuration expects.
    pub fn groups(self) -> impl Iterator<Item = GroupReading<'a>> {
        // The groups of a stream that could not be read are unknown.
        let is_stream_known = self.present().is_some();
        let is_of_replica = self.node().and_then(|node| node.server.role).is_some_and(Role::is_replica);
        self.verdict.groups.iter().map(move |(name, verdict)| GroupReading {
            name,
            state: self.read().and_then(|state| state.groups.get(name)),
            report: verdict.read.as_ref(),
            verdict,
            is_expected: self.watched.groups().contains(name),
            is_ignored: self.watched.rule.as_ref().is_some_and(|rule| rule.ignored_groups().contains(name)),
            latency: self.latency.group(self.name, name),
            slo: self.rule().and_then(|rule| rule.slo),
            is_stream_known,
            is_of_replica,
        })
    }
}

/// A group that exists or that the configuration expects.
#[derive(Clone, Copy)]
pub struct GroupReading<'a> {
    /// Its name.
    pub name: &'a Name,
    /// What Redis reported of it; `None` for an expected group that does not exist.
    pub state: Option<&'a GroupState>,
    /// What that means.
    pub report: Option<&'a GroupReport>,
    /// Its status.
    pub verdict: &'a GroupVerdict,
    /// Whether the configuration expects it.
    pub is_expected: bool,
    /// Whether retention does not wait for it, and nothing about it is a problem.
    pub is_ignored: bool,
    /// How long its entries take, if that is measured.
    pub latency: Option<&'a GroupLatency>,
    slo: Option<Slo>,
    is_stream_known: bool,
    is_of_replica: bool,
}

impl GroupReading<'_> {
    /// Whether the group exists; `None` where its stream could not be read.
    #[must_use]
    pub fn present(&self) -> Option<bool> {
        self.is_stream_known.then_some(self.state.is_some())
    }

    /// The share of entries that must meet each objective of the stream, if it has any.
    #[must_use]
    pub fn target(&self) -> Option<f64> {
        self.slo.map(|slo| slo.target.ratio())
    }

    /// Number of its consumers; `None` where a replica was read, which lacks those that were never given an entry.
    #[must_use]
    pub fn consumer_count(&self) -> Option<u64> {
        self.state.filter(|_| !self.is_of_replica).map(|state| state.consumer_count)
    }
}

/// What the rules about stuck work do with a stream.
pub struct RuleReading {
    /// The key of its dead letters; `None` if nothing is set aside, or if the rule must name the key.
    pub dead_letters: Option<Name>,
    /// The number of its dead letters; `None` if it is unknown.
    pub length: Option<u64>,
    /// The age of the oldest one; `None` without one, or if it is unknown.
    pub oldest_age: Option<Age>,
    /// What this sidecar did; zeros before its first run.
    pub status: RuleStatus,
}

impl RuleReading {
    pub(super) fn new(
        watched: &Watched,
        watchlist: &Watchlist,
        statuses: &RetentionStatuses,
        (snapshot, report): (&Snapshot, &Report),
    ) -> Option<Self> {
        watched.dead_letter().is_some().then_some(()).or(watched.reap_consumers().map(|_| ()))?;
        let dead_letters = watched.dead_letters();
        let length = dead_letters.as_ref().and_then(|key| match snapshot.streams.get(key) {
            Some(Ok(state)) => Some(state.length),
            Some(Err(failure)) if failure.reason == Reason::NoKey => Some(0),
            Some(Err(_)) => snapshot.lengths.get(key).copied(),
            // It was asked for, and does not exist.
            None => watchlist.get(key).map(|_| 0),
        });
        let of_key = dead_letters.as_ref().and_then(|key| report.streams.get(key)?.read.as_ref());
        Some(Self {
            length,
            oldest_age: of_key.and_then(|report| report.oldest_entry_age),
            status: statuses.rules.get(&watched.name).cloned().unwrap_or_default(),
            dead_letters,
        })
    }
}

/// The limits of a stream, and their enforcement.
pub struct RetentionReading {
    /// The limits.
    pub policy: Arc<Policy>,
    /// The result to expect of a run; `None` for a stream that could not be read.
    pub plan: Option<Plan>,
    /// What this sidecar has done to the stream; `None` before its first run.
    pub retention_status: Option<RetentionStatus>,
}
