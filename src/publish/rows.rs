//! What the families draw from: a row a stream and a group, with their labels written once.

use std::borrow::Cow;

use crate::{
    config::{Config, StreamRule},
    evaluate::{GroupReport, GroupStatus, Health, StreamReport, StreamVerdict},
    model::{ConsumerState, Failure, GroupState, Name, Reason, Server, Snapshot, StreamId, StreamState},
    reading::Reading,
    retention::{Holder, Plan, Policy, Standing},
};

/// A stream that was read, or that could not be.
pub struct StreamRow<'a> {
    pub(super) labels: String,
    /// What it said, or why it said nothing.
    pub state: &'a Result<StreamState, Failure>,
    /// What that means.
    pub report: Option<&'a StreamReport>,
    /// How many entries it has, where that is known.
    pub length: Option<u64>,
    /// Its last entry, where that is known.
    pub(super) last_entry: Option<StreamId>,
    /// What the configuration expects of it.
    pub rule: Option<&'a StreamRule>,
    /// How it fares.
    pub health: Option<Health>,
    /// Whether it could not be read although the configuration names it.
    pub is_expected: bool,
    /// Its limits, and how they are kept.
    pub retention: Option<Box<RetentionRow<'a>>>,
}

/// A stream with limits.
pub struct RetentionRow<'a> {
    /// What is wanted of it.
    pub policy: Policy,
    /// What a run would find; `None` for a stream that could not be read.
    pub plan: Option<Plan>,
    /// What this sidecar has done to it.
    pub standing: Option<&'a Standing>,
}

impl<'a> RetentionRow<'a> {
    /// `None` for a stream without limits.
    pub(super) fn new(config: &Config, reading: &'a Reading, name: &Name) -> Option<Self> {
        let policy = Policy::of(config, name)?;
        let state = reading.snapshot.streams.get(name).and_then(|state| state.as_ref().ok());
        let plan = state.zip(reading.report.streams.get(name));
        Some(Self {
            plan: plan.map(|(state, report)| Plan::new(&policy, state, report)),
            policy,
            standing: reading.retention.get(name),
        })
    }

    /// Who keeps the limit from being reached: by the last run here, else by what the last poll proves.
    pub(super) fn blocked_by(&self) -> Option<&Holder> {
        match self.standing {
            Some(standing) if standing.last_success.is_some() => standing.blocked_by.as_ref(),
            _ => self.plan.as_ref()?.blocked_by(),
        }
    }
}

impl StreamRow<'_> {
    pub(super) fn read(&self) -> Option<&StreamState> {
        self.state.as_ref().ok()
    }

    /// Whether the stream is there; unknown where it could not be read for another reason than its absence.
    pub(super) fn present(&self) -> Option<bool> {
        match self.state {
            Ok(_) => Some(true),
            Err(failure) if self.is_expected && failure.is_absence() => Some(false),
            Err(_) => None,
        }
    }

    /// Why the stream could not be read; that it is not there is told by its presence.
    pub(super) fn unreadable(&self) -> Option<&'static str> {
        let failure = self.state.as_ref().err().filter(|failure| failure.reason != Reason::NoKey)?;
        Some(failure.reason.as_str())
    }
}

/// A group that is there, or that the configuration expects.
pub struct GroupRow<'a> {
    pub(super) labels: String,
    /// What it said; `None` for an expected group that is not there.
    pub state: Option<&'a GroupState>,
    /// What that means.
    pub report: Option<&'a GroupReport>,
    /// How it fares.
    pub status: Option<GroupStatus>,
    /// Whether the configuration expects it.
    pub is_expected: bool,
}

/// Which Redis it is.
pub(super) struct RedisRow<'a> {
    /// What people call it.
    pub name: Option<&'a str>,
    /// Where its page is.
    pub external_url: Option<&'a str>,
    /// The server that was read.
    pub server: Option<&'a Server>,
}

/// All rows of a snapshot, in the order of their names.
#[derive(Default)]
pub(super) struct Rows<'a> {
    /// Which Redis it is; `None` where none is read at all.
    pub redis: Option<RedisRow<'a>>,
    /// The streams.
    pub streams: Vec<StreamRow<'a>>,
    /// Their groups.
    pub groups: Vec<GroupRow<'a>>,
    /// How many of their consumers are shown.
    pub shown_consumers: usize,
}

impl<'a> Rows<'a> {
    /// The rows of what was read, if anything was.
    #[must_use]
    pub(super) fn new(config: &'a Config, name: Option<&'a str>, reading: Option<&'a Reading>) -> Self {
        let snapshot = reading.map(|reading| &*reading.snapshot);
        let redis = RedisRow {
            name,
            external_url: config.http.external_url.as_deref(),
            server: snapshot.map(|snapshot| &snapshot.server),
        };
        let mut rows =
            Self { redis: config.enabled.then_some(redis), shown_consumers: usize::MAX, ..Self::default() };
        if let Some(reading) = reading {
            rows.add_streams(config, reading);
        }
        rows
    }

    fn add_streams(&mut self, config: &'a Config, reading: &'a Reading) {
        let (snapshot, report) = (&reading.snapshot, &reading.report);
        self.streams.reserve_exact(snapshot.streams.len());
        // All three are in the order of the names.
        let (mut reports, mut verdicts) =
            (report.streams.iter().peekable(), report.verdicts.iter().peekable());
        for (name, state) in &snapshot.streams {
            let labels = format!("db=\"db{}\",stream=\"{}\"", snapshot.database, escaped(name));
            let rule = config.rule(name);
            let report = reports.next_if(|(of, _)| *of == name).map(|(_, report)| report);
            let verdict = verdicts.next_if(|(of, _)| *of == name).map(|(_, verdict)| verdict);
            let health = verdict.map(|verdict| verdict.health);
            let is_expected = state.is_err() && config.expects(name);
            self.add_groups(&labels, state, (report, verdict), rule);
            let retention = RetentionRow::new(config, reading, name).map(Box::new);
            let length = snapshot.length(name);
            let last_entry = state.as_ref().ok().and_then(|state| last_entry(snapshot, name, state));
            self.streams.push(StreamRow {
                labels,
                state,
                length,
                last_entry,
                report,
                rule,
                health,
                is_expected,
                retention,
            });
        }
    }

    /// The consumers that are listed, each with its group.
    pub(super) fn consumers<'b>(&'b self) -> impl Iterator<Item = (&'b GroupRow<'a>, &'a ConsumerState)> {
        let of_group = |group: &'b GroupRow<'a>| {
            let consumers = group.state.iter().flat_map(|state| &state.consumers);
            consumers.map(move |consumer| (group, consumer))
        };
        self.groups.iter().flat_map(of_group).take(self.shown_consumers)
    }

    fn add_groups(
        &mut self,
        stream_labels: &str,
        state: &'a Result<StreamState, Failure>,
        (report, verdict): (Option<&'a StreamReport>, Option<&'a StreamVerdict>),
        rule: Option<&'a StreamRule>,
    ) {
        // Of a stream that could not be read it is not known which groups it has.
        let is_known = state.as_ref().map_or_else(Failure::is_absence, |_| true);
        let expected = rule.map_or(&[][..], |rule| &rule.groups);
        let present = state.iter().flat_map(|state| &state.groups);
        let missing = expected
            .iter()
            .filter(|name| is_known && !state.as_ref().is_ok_and(|state| state.groups.contains_key(name)));
        let all = present.map(|(name, group)| (name, Some(group))).chain(missing.map(|name| (name, None)));
        for (name, state) in all {
            let labels = [stream_labels, ",group=\"", &escaped(name), "\""].concat();
            let report = report.and_then(|report| report.groups.get(name));
            let status = verdict.and_then(|verdict| Some(verdict.groups.get(name)?.status));
            self.groups.push(GroupRow {
                labels,
                state,
                report,
                status,
                is_expected: expected.contains(name),
            });
        }
    }
}

/// The last entry, where it was read, or is the only one, or nothing can have removed it. Trims begin at the front, but those
/// of acknowledged entries pass over what is needed there.
fn last_entry(snapshot: &Snapshot, name: &Name, stream: &StreamState) -> Option<StreamId> {
    if let Some(newest) = snapshot.last_entries.get(name).and_then(|entries| entries.first()) {
        return Some(newest.id);
    }
    let last = stream.last_generated_id.filter(|_| stream.length > 0)?;
    let is_deleted = stream.max_deleted_entry_id.is_none_or(|deleted| deleted >= last);
    let may_be_trimmed = snapshot.server.may_trim_the_middle() && stream.entries_removed() != Some(0);
    let is_there = stream.first_entry_id == Some(last) || !(is_deleted || may_be_trimmed);
    is_there.then_some(last)
}

/// A name's text, escaped as label values are: in it only quotes and backslashes are left to escape.
pub(super) fn escaped(name: &Name) -> Cow<'_, str> {
    match name.as_plain() {
        Some(plain) if !plain.contains('"') => Cow::Borrowed(plain),
        _ => Cow::Owned(name.to_string().replace('\\', "\\\\").replace('"', "\\\"")),
    }
}
