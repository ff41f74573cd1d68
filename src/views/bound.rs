//! The limit on series: what is left out where there are more, and in which order.

#![expect(clippy::wildcard_enum_match_arm, reason = "each kind of row has the samples of a few sources")]

use super::{families::Source, rows::Rows, served::Served};
use crate::{
    evaluate::{GroupStatus, Health},
    model::ConsumerState,
    reading::{GroupReading, StreamReading},
};

/// How many series of a reading a page has and leaves out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SeriesCount {
    /// On the page.
    pub shown: usize,
    /// Left out.
    pub dropped: usize,
}

/// Leaves out whole rows until the series of the rest fit under `limit`: consumers first, then groups, then
/// streams, the last names first.
pub(super) fn bound(rows: &mut Rows<'_>, served: &Served, limit: usize) -> SeriesCount {
    let sources: Vec<Source> = served.families.iter().map(|family| family.source).collect();
    let mut count = SeriesCount::default();
    let mut fits = |series: usize| {
        // Once a row is left out, all later ones are: which rows are exposed must not depend on what happens to fit.
        let fits = count.dropped == 0 && count.shown + series <= limit;
        *if fits { &mut count.shown } else { &mut count.dropped } += series;
        fits
    };
    let of_stream = |row: &StreamReading<'_>| {
        let series = sources.iter().map(|source| match source {
            Source::Stream(value) => value(row).is_some().into(),
            Source::StreamMore(_, values) => values(row).len(),
            Source::StreamHealth => served.states(Health::ALL, row.health()).count(),
            _ => 0,
        });
        series.sum()
    };
    let of_group = |row: &GroupReading<'_>| {
        let series = sources.iter().map(|source| match source {
            Source::Group(value) => value(row).is_some().into(),
            Source::GroupMore(_, values) => values(row).len(),
            // Its buckets and the one without a bound, the sum and the count.
            Source::GroupHistogram(value) => value(row).map_or(0, |waits| waits.buckets.len() + 2),
            Source::GroupStatus => served.states(GroupStatus::ALL, row.verdict.status).count(),
            _ => 0,
        });
        series.sum()
    };
    let of_consumers: Vec<_> = sources
        .iter()
        .filter_map(|source| if let Source::Consumer(value) = source { Some(value) } else { None })
        .collect();
    let of_consumer =
        |consumer: &ConsumerState| of_consumers.iter().filter(|value| value(consumer).is_some()).count();
    let streams = rows.streams.iter().filter(|row| fits(of_stream(&row.of))).count();
    let groups = rows.groups.iter().filter(|row| fits(of_group(&row.of))).count();
    let consumers = rows.consumers().filter(|(_, consumer)| fits(of_consumer(consumer))).count();
    rows.streams.truncate(streams);
    rows.groups.truncate(groups);
    rows.shown_consumers = consumers;
    count
}
