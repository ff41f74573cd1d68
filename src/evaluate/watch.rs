//! What is remembered of a stream and its groups over a window of polls, and what it says of them together with the
//! latest reading.

use std::{collections::BTreeMap, time::Duration};

use super::{
    GroupStatus, Health,
    report::StreamReport,
    series::{Series, Slot, Ticks, cut, low_part},
    verdict::{GroupVerdict, Rate, StreamVerdict},
    why::{GroupWhy, StreamWhy},
};
use crate::{
    config::{Config, StreamRule},
    model::{Failure, GroupState, Name, StreamState},
};

/// Of a stream.
#[derive(Debug, Clone, Default)]
pub(super) struct StreamWatch {
    lengths: Series,
    /// The low parts of the counter of entries added.
    added: Series,
    groups: BTreeMap<Name, GroupWatch>,
}

/// Of a group.
#[derive(Debug, Clone, Default)]
struct GroupWatch {
    lags: Series,
}

/// A reading, and when it was made.
pub(super) struct Moment<'a> {
    pub(super) config: &'a Config,
    pub(super) ticks: &'a Ticks,
    pub(super) slot: Slot,
}

/// One stream in a reading.
pub(super) struct Subject<'a> {
    pub(super) state: &'a Result<StreamState, Failure>,
    pub(super) report: Option<&'a StreamReport>,
    pub(super) rule: Option<&'a StreamRule>,
}

impl StreamWatch {
    /// Forgets the past of a stream that has become another one.
    pub(super) fn restart(&mut self) {
        *self = Self::default();
    }
}

impl StreamWatch {
    /// Takes over a reading of the stream, and judges it.
    pub(super) fn judge(&mut self, subject: &Subject<'_>, moment: &Moment<'_>) -> StreamVerdict {
        let stream = subject.state.as_ref().ok();
        self.lengths.put(moment.slot, stream.map(|stream| cut(stream.length)));
        self.added.put(moment.slot, stream.and_then(|stream| Some(low_part(stream.entries_added?))));
        let mut groups = BTreeMap::new();
        self.groups.retain(|name, _| subject.has(name));
        for (name, _group) in subject.groups() {
            let report = subject.report.and_then(|report| report.groups.get(name));
            let watch = self.groups.entry(name.clone()).or_default();
            watch.lags.put(moment.slot, report.and_then(|report| report.lag.known()).map(cut));
            let rate_out = passed_rate(&self.added, &watch.lags, moment);
            groups.insert(
                name.clone(),
                GroupVerdict {
                    status: GroupStatus::Unknown,
                    why: GroupWhy::TooEarly { watched: Duration::ZERO, window: moment.config.status.window },
                    rate_out,
                    lags: watch.lags,
                },
            );
        }
        StreamVerdict {
            health: Health::Unknown,
            why: StreamWhy::Fine,
            rate_in: rate(moment.ticks.within(&self.added, moment.config.status.settle)),
            lengths: self.lengths,
            added: self.added,
            groups,
        }
    }
}

impl Subject<'_> {
    /// The groups that are there, and those that the configuration expects.
    fn groups(&self) -> impl Iterator<Item = (&Name, Option<&GroupState>)> {
        let present = self.state.iter().flat_map(|stream| &stream.groups);
        let expected = self.rule.map_or(&[][..], |rule| &rule.groups);
        let missing = expected
            .iter()
            .filter(|name| !self.state.as_ref().is_ok_and(|stream| stream.groups.contains_key(*name)));
        present.map(|(name, group)| (name, Some(group))).chain(missing.map(|name| (name, None)))
    }

    fn has(&self, group: &Name) -> bool {
        self.groups().any(|(name, _)| name == group)
    }
}

/// How fast a counter went, by the low parts of the first and the last of these values.
fn rate(mut values: impl DoubleEndedIterator<Item = (Duration, u32)>) -> Option<Rate> {
    let ((first_age, first), (last_age, last)) = (values.next()?, values.next_back()?);
    let over = first_age.checked_sub(last_age).filter(|over| !over.is_zero())?;
    Some(Rate { entries: last.wrapping_sub(first).into(), over })
}

/// How fast a group was given entries: those ever added, less those that it lags behind.
fn passed_rate(added: &Series, lags: &Series, moment: &Moment<'_>) -> Option<Rate> {
    let settle = moment.config.status.settle;
    let lags: Vec<(Duration, u32)> = moment.ticks.within(lags, settle).collect();
    let passed = moment.ticks.within(added, settle).filter_map(|(age, added)| {
        let (_, lag) = lags.iter().find(|(of, _)| *of == age)?;
        Some((age, added.wrapping_sub(*lag)))
    });
    // A group that was set back was given no negative number of entries.
    rate(passed).filter(|rate| rate.entries < u64::from(u32::MAX / 2))
}
